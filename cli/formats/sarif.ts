import type { Alert } from '../../guard/alert.ts';
import type { Severity } from '../../guard/finding.ts';
import type { PlannedFix } from '../../guard/replay.ts';
import { type AnyRule, pascalCase } from '../../guard/rule.ts';
import type { Unknown } from '../../guard/scan.ts';
import type { Format } from '../formats.ts';
import { proseOf, version } from '../pages.ts';
import { minuteOf } from '../terminal.ts';
import { whatOf } from './fix.ts';

// https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html, and what code scanning reads of it:
// https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning

const level: Readonly<Record<Severity, string>> = { critical: 'error', high: 'error', medium: 'warning', low: 'note' };
/** As code scanning reads a number: over 9 critical, from 7 high, from 4 medium, over 0 low. */
const score: Readonly<Record<Severity, string>> = { critical: '9.5', high: '8.0', medium: '5.5', low: '2.5' };

export const sarif: Format = ({ account, regions, at, rules, findings, unknown, stats, replay }) => {
  const index = new Map(rules.map(({ id }, place) => [id, place]));
  const fixes = new Map(replay?.fixes.map((fix) => [fix.findingId, fix]));
  const run = {
    tool: {
      driver: { name: 'lambda-compliance-guard', semanticVersion: version, rules: rules.map(described), notifications: [notReadable] },
    },
    // One category an account: an upload replaces what the same category held before, and nothing else.
    automationDetails: { id: `lambda-compliance-guard/${account}/${regions.join('+')}/` },
    invocations: [
      {
        executionSuccessful: unknown.length === 0,
        startTimeUtc: at,
        endTimeUtc: new Date(Date.parse(at) + stats.seconds * 1_000).toISOString(),
        toolExecutionNotifications: unknown.map((one) => notification(one, index.get(one.rule))),
      },
    ],
    results: findings.map((finding) => result(finding, index.get(finding.rule), fixes.get(finding.findingId))),
    columnKind: 'utf16CodeUnits',
  };
  return JSON.stringify(
    {
      $schema: 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json',
      version: '2.1.0',
      runs: [run],
    },
    null,
    2,
  );
};

function described({ id, practice, severity, title }: AnyRule): object {
  // The project publishes its pages nowhere, so that there is no helpUri, which must be absolute.
  const markdown = `**${title}.**\n\n${proseOf(id)}`;
  return {
    id,
    name: pascalCase(id),
    shortDescription: { text: title },
    fullDescription: { text: `${title}.` },
    help: { text: markdown.replace(/[*`]|^## /gm, ''), markdown },
    defaultConfiguration: { level: level[severity] },
    properties: {
      tags: ['security', 'aws', 'lambda', practice],
      precision: 'high',
      'problem.severity': level[severity] === 'note' ? 'recommendation' : level[severity],
      'security-severity': score[severity],
    },
  };
}

function result(finding: Alert, ruleIndex: number | undefined, fix: PlannedFix | undefined): object {
  const { rule, severity, summary, resource, findingId, status, evidence, plan, actor, event, managedBy, docs } = finding;
  return {
    ruleId: rule,
    ...(ruleIndex === undefined ? {} : { ruleIndex }),
    level: level[severity],
    message: { text: fix === undefined ? summary : `${summary}\n\nThe fix, at ${minuteOf(fix.at)}: ${whatOf(fix)}` },
    locations: [locationOf(resource.arn, evidence['template'] as Unknown['template'])],
    // Code scanning tells one alert from another by the first; it would make it of the line of a file, and there is none.
    partialFingerprints: { primaryLocationLineHash: `${findingId}:1`, 'findingId/v1': findingId },
    properties: { severity, status, resource, evidence, plan, actor, event, managedBy, docs, fix },
  };
}

const notReadable = {
  id: 'not-readable',
  shortDescription: { text: 'What could not be read is not known to be right.' },
  defaultConfiguration: { level: 'error' },
};

function notification({ rule, resource, why, template }: Unknown, index: number | undefined): object {
  return {
    descriptor: { id: notReadable.id, index: 0 },
    ...(index === undefined ? {} : { associatedRule: { id: rule, index } }),
    level: 'error',
    message: { text: `Not known whether ${resource} keeps ${rule === '*' ? 'any rule' : rule}: ${why}` },
    locations: [locationOf(resource, template)],
  };
}

/**
 * Where a resource "is": its place in a template, where one was scanned. In an account it is no file, but code scanning shows nothing without one: the path stands for the ARN, and is the
 * same in every scan.
 */
function locationOf(arn: string, template: Unknown['template']): object {
  const name = template?.logicalId ?? (arn.split(':').slice(5).join(':') || arn);
  const uri = template === undefined ? pathOf(arn) : template.file.split(/[/\\]/).map(encodeURIComponent).join('/');
  return {
    physicalLocation: { artifactLocation: { uri }, region: { startLine: template?.line ?? 1 } },
    logicalLocations: [{ name, fullyQualifiedName: arn, kind: 'resource' }],
  };
}

/** `aws/111122223333/us-east-1/lambda/function/orders`. */
function pathOf(arn: string): string {
  const [, partition = '', service = '', region = '', account = '', ...rest] = arn.split(':');
  return (
    [partition, account, region || 'global', service, ...rest.join('/').split('/')]
      .filter((part) => part !== '')
      // A dot alone, or two, would be another place.
      .map((part) => (/^\.+$/.test(part) ? part.replaceAll('.', '%2E') : encodeURIComponent(part)))
      .join('/')
  );
}
