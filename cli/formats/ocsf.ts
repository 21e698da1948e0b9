import type { Alert } from '../../guard/alert.ts';
import { type Place, parseArn, partitionOf } from '../../guard/arn.ts';
import type { Severity } from '../../guard/finding.ts';
import type { PlannedFix } from '../../guard/replay.ts';
import type { AnyRule } from '../../guard/rule.ts';
import type { Unknown } from '../../guard/scan.ts';
import type { Format } from '../formats.ts';
import { onPage, version } from '../pages.ts';

// https://schema.ocsf.io/1.8.0/classes/compliance_finding?profiles=cloud

const severities: Readonly<Record<Severity, readonly [number, string]>> = {
  low: [2, 'Low'],
  medium: [3, 'Medium'],
  high: [4, 'High'],
  critical: [5, 'Critical'],
};
const failed = { status: 'Fail', status_id: 3 } as const;
const unknownStatus = { status: 'Unknown', status_id: 0 } as const;

/**
 * One event a line: what Firehose (which makes Security Lake's Parquet of it), Glue and Athena, OpenSearch, Splunk and `jq` take
 * as it is. What could not be read is an event as well, with the status Unknown: it does not count as passed.
 */
export const ocsf: Format = ({ account, regions, at, rules, findings, unknown, replay }) => {
  const time = Date.parse(at);
  const ruleOf = new Map(rules.map((rule) => [rule.id, rule]));
  const fixOf = new Map(replay?.fixes.map((fix) => [fix.findingId, fix]));
  return [
    ...findings.map((finding) => eventOf(finding, time, ruleOf.get(finding.rule), fixOf.get(finding.findingId))),
    ...unknown.map((one) => eventOfUnknown(one, time, placeOf(one, { account, region: regions[0] ?? '' }), ruleOf.get(one.rule))),
  ]
    .map((event) => JSON.stringify(event))
    .join('\n');
};

function eventOf(finding: Alert, time: number, rule: AnyRule | undefined, planned: PlannedFix | undefined): object {
  const {
    rule: id,
    practice,
    severity,
    title,
    summary,
    resource,
    actor,
    event,
    evidence,
    plan,
    managedBy,
    docs,
    findingId,
    status,
  } = finding;
  const happened = event === undefined ? Number.NaN : Date.parse(event.time);
  const fix = onPage(id, 'What the fix does');
  return {
    ...frame(time, id, { account: resource.account, region: resource.region }, severities[severity]),
    message: summary,
    status: 'New',
    status_id: 1,
    ...(Number.isNaN(happened) ? {} : { start_time: happened }),
    compliance: complianceOf(id, practice, failed, { title, rule, severity }),
    finding_info: {
      uid: findingId,
      title,
      desc: summary,
      created_time: time,
      types: [practice],
      analytic: { type_id: 1, type: 'Rule', uid: id, name: title, version },
    },
    resources: [resourceOf(resource.arn, resource.type, resource.region)],
    evidences: [
      {
        name: 'what the rule saw',
        data: evidence,
        ...(actor === undefined
          ? {}
          : {
              actor: {
                user: { uid: actor.arn, type: actor.console ? 'console session' : 'session' },
                session: { issuer: actor.issuer },
              },
              ...(/^[\d.]+$|:.*:/.test(actor.sourceIp) ? { src_endpoint: { ip: actor.sourceIp } } : {}),
            }),
        ...(event === undefined ? {} : { api: { operation: event.name, request: { uid: event.id } } }),
      },
    ],
    ...(fix === '' ? {} : { remediation: { desc: fix, references: [docs] } }),
    unmapped: { status, plan, ...(planned === undefined ? {} : { fix: planned }), ...(managedBy === undefined ? {} : { managedBy }) },
  };
}

function eventOfUnknown({ rule: id, resource, why }: Unknown, time: number, place: Place, rule: AnyRule | undefined): object {
  const title = rule?.title ?? 'No rule could be judged';
  return {
    ...frame(time, id, place, [0, 'Unknown']),
    message: `Not known: ${why}`,
    status: 'New',
    status_id: 1,
    compliance: {
      ...complianceOf(id, rule?.practice ?? 'guard', unknownStatus, { title, rule, severity: rule?.severity }),
      status_detail: why,
    },
    finding_info: { uid: `unknown ${id} ${resource}`, title, desc: `It could not be read: ${why}`, created_time: time },
    resources: [resourceOf(resource, undefined, place.region)],
  };
}

/** Where something that could not be read is: roles and the like are in no region, and count to the first that was scanned. */
function placeOf({ resource }: Unknown, first: Place): Place {
  const { account = '', region = '' } = parseArn(resource) ?? {};
  return { account: account || first.account, region: region || first.region };
}

/** What is the same in every event. */
function frame(time: number, rule: string, { account, region }: Place, [severity_id, severity]: readonly [number, string]): object {
  return {
    category_uid: 2,
    category_name: 'Findings',
    class_uid: 2003,
    class_name: 'Compliance Finding',
    activity_id: 1,
    activity_name: 'Create',
    type_uid: 200301,
    type_name: 'Compliance Finding: Create',
    time,
    severity_id,
    severity,
    metadata: {
      version: '1.8.0',
      profiles: ['cloud'],
      event_code: rule,
      product: { uid: 'lambda-compliance-guard', name: 'Lambda compliance guard', vendor_name: 'lambda-compliance-guard', version },
    },
    cloud: {
      provider: 'AWS',
      cloud_partition: partitionOf(region),
      region,
      account: { uid: account, type_id: 10, type: 'AWS Account' },
    },
  };
}

function complianceOf(
  id: string,
  practice: string,
  status: typeof failed | typeof unknownStatus,
  { title, rule, severity }: { readonly title: string; readonly rule: AnyRule | undefined; readonly severity: Severity | undefined },
): object {
  const [severity_id, name] = severity === undefined ? [0, 'Unknown'] : severities[severity];
  return {
    ...status,
    control: id,
    desc: rule?.title ?? title,
    standards: ['Five practices for AWS Lambda'],
    requirements: [practice],
    checks: [{ uid: id, name: title, ...status, severity_id, severity: name, standards: ['Five practices for AWS Lambda'] }],
  };
}

function resourceOf(arn: string, type: string | undefined, region: string): object {
  return {
    uid: arn,
    name: arn.split(':').slice(5).join(':') || arn,
    ...(type === undefined ? {} : { type }),
    region,
    cloud_partition: partitionOf(region),
    provider: 'AWS',
    role: 'Target',
    role_id: 1,
  };
}
