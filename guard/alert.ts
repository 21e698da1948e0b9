import type { Alert } from './alert-schema.ts';
import { partitionOf, roleName } from './arn.ts';
import type { Finding } from './finding.ts';

export type { Alert } from './alert-schema.ts';

/** `source` of every event on the guard's bus. */
export const busSource = 'compliance-guard';
const detailTypes = {
  finding: 'Compliance Finding',
  change: 'Compliance Change',
  failure: 'Compliance Failure',
  digest: 'Compliance Digest',
} as const;
/** Sent by tick when something in the ledger is due: a fix after its delay, a change after its wait, a digest, a sweep. */
export const dueDetailType = 'Compliance Due';

export function detailType(alert: Alert): string {
  return detailTypes[alert.kind];
}

interface AlertParts {
  readonly status: Alert['status'];
  readonly summary?: string;
  readonly plan?: readonly string[];
  readonly change?: { readonly id: string; readonly calls: readonly string[] };
}

/** The alert about a finding in its present status. */
export function alertAbout(finding: Finding, { status, summary, plan = [], change }: AlertParts): Alert {
  const { subject, actor, event } = finding;
  const kind = change !== undefined ? 'change' : status === 'failed' || status === 'unknown' ? 'failure' : 'finding';
  const managedBy = managerOf(finding.tags);
  const happened = Date.parse(event?.time ?? '');
  return {
    version: '1',
    kind,
    status,
    rule: finding.rule,
    practice: finding.practice,
    severity: finding.severity,
    title: finding.title,
    summary: summary ?? finding.summary,
    resource: { arn: subject.arn, type: subject.type, account: subject.account, region: subject.region },
    ...(actor === undefined ? {} : { actor: { arn: actor.arn, issuer: actor.issuer, console: actor.console, sourceIp: actor.sourceIp } }),
    ...(event === undefined ? {} : { event }),
    evidence: finding.evidence,
    plan: [...plan],
    ...(change === undefined
      ? {}
      : { change: { id: change.id, calls: [...change.calls], undo: `npm run guard -- undo ${change.id} --for 7d --reason "<why>"` } }),
    ...(managedBy === undefined ? {} : { managedBy }),
    docs: `docs/rules/${finding.rule}.md`,
    findingId: finding.id,
    opened: finding.opened,
    ...(finding.sweep === undefined ? {} : { sweep: finding.sweep }),
    ...(Number.isNaN(happened) ? {} : { detectedAfterMs: Math.max(0, Date.parse(finding.openedAt) - happened) }),
  };
}

/** An alert about the guard itself: that it stopped, goes on, or acts otherwise from now on. */
export function alertOfGuard(
  config: { readonly home: { readonly account: string; readonly region: string }; readonly stack: string },
  {
    status,
    summary,
    rule = '*',
    title,
    severity = 'high',
    evidence = {},
    sweep,
  }: {
    readonly status: Alert['status'];
    readonly summary: string;
    readonly rule?: string;
    readonly title: string;
    readonly severity?: Alert['severity'];
    readonly evidence?: Alert['evidence'];
    readonly sweep?: string;
  },
): Alert {
  const { account, region } = config.home;
  return {
    version: '1',
    kind: 'failure',
    status,
    rule,
    practice: 'guard',
    severity,
    title,
    summary,
    resource: {
      arn: `arn:${partitionOf(region)}:cloudformation:${region}:${account}:stack/${config.stack}`,
      type: 'AWS::CloudFormation::Stack',
      account,
      region,
    },
    evidence,
    plan: [],
    docs: 'docs/operations.md',
    findingId: '',
    opened: 0,
    ...(sweep === undefined ? {} : { sweep }),
  };
}

/** Who manages a resource, by the tags that CloudFormation, the CDK and common Terraform set-ups leave. */
export function managerOf(tags: Readonly<Record<string, string>>): { stack: string; logicalId: string } | undefined {
  const stack = tags['aws:cloudformation:stack-name'];
  if (stack !== undefined) return { stack, logicalId: tags['aws:cloudformation:logical-id'] ?? '' };
  const terraform = Object.entries(tags).find(
    ([key, value]) => /^(terraform|tf[-_:])/i.test(key) || (/^managed-?by$/i.test(key) && /terraform|opentofu/i.test(value)),
  );
  return terraform === undefined ? undefined : { stack: `Terraform (${terraform[0]}=${terraform[1]})`, logicalId: '' };
}

/** An email's subject for SNS: ASCII, no control characters, at most 100 characters. https://docs.aws.amazon.com/sns/latest/api/API_Publish.html */
export function emailSubject(alert: Alert): string {
  const subject = `[${alert.severity}] ${alert.rule} ${alert.status}: ${alert.resource.arn.slice(alert.resource.arn.lastIndexOf(':') + 1)}`;
  return subject.replace(/[^\x20-\x7e]/g, '?').slice(0, 100);
}

/** The alert as a person reads it. */
export function emailText(alert: Alert): string {
  const lines = [
    alert.summary,
    '',
    `Rule      ${alert.rule} (${alert.severity}): ${alert.title}`,
    `Status    ${alert.status}`,
    `Resource  ${alert.resource.arn}`,
  ];
  if (alert.actor !== undefined)
    lines.push(`By        ${alert.actor.arn}${alert.actor.console ? ' (console)' : ''} from ${alert.actor.sourceIp}`);
  if (alert.event !== undefined) lines.push(`With      ${alert.event.name} at ${alert.event.time} (event ${alert.event.id})`);
  if (alert.managedBy !== undefined)
    lines.push(
      `Managed   ${alert.managedBy.stack} ${alert.managedBy.logicalId}: put it right there too, or the next deployment may bring it back`,
    );
  if (alert.change !== undefined) lines.push('', `Done      ${alert.change.calls.join(', ')}`, `Undo      ${alert.change.undo}`);
  if (alert.plan.length > 0) lines.push('', 'Planned', ...alert.plan.map((call) => `  ${call}`));
  lines.push('', `Evidence  ${JSON.stringify(alert.evidence)}`, `Finding   ${alert.findingId}`, `About     ${alert.docs}`);
  // A tag or a name may hold line breaks: none of them makes a line of its own.
  return lines.map((line) => line.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')).join('\n');
}

/** `MessageAttributes` for filter policies of subscriptions. */
export function filterAttributes(alert: Alert): Readonly<Record<string, string>> {
  const { kind, status, rule, practice, severity, resource } = alert;
  return { kind, status, rule, practice, severity, account: resource.account, region: resource.region };
}

/** What a digest names one by one. */
export function isGrave({ severity }: Alert): boolean {
  return severity === 'critical' || severity === 'high';
}

/** One message for many alerts: every critical and high one named, the others counted. */
export function digestOf(alerts: readonly Alert[], why: string, place: { readonly account: string; readonly region: string }): Alert {
  const grave = alerts.filter(isGrave);
  const counts: Record<string, number> = {};
  for (const { rule, severity } of alerts) counts[`${rule} (${severity})`] = (counts[`${rule} (${severity})`] ?? 0) + 1;
  return {
    version: '1',
    kind: 'digest',
    status: 'open',
    rule: '*',
    practice: '*',
    severity: (['critical', 'high', 'medium', 'low'] as const).find((level) => alerts.some(({ severity }) => severity === level)) ?? 'low',
    title: `${alerts.length} alerts in one`,
    summary: `${why}: ${alerts.length} alerts, ${grave.length} of them critical or high.`,
    resource: { arn: `arn:aws:lambda:${place.region}:${place.account}:function:*`, type: 'AWS::Lambda::Function', ...place },
    evidence: {
      counts,
      criticalAndHigh: grave.map(({ rule, severity, status, resource, findingId, actor }) => ({
        rule,
        severity,
        status,
        resource: resource.arn,
        findingId,
        ...(actor === undefined ? {} : { actor: roleName(actor.arn) }),
      })),
    },
    plan: [],
    docs: 'README.md',
    findingId: '',
    opened: 0,
  };
}
