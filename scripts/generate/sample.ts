import type { Result } from '../../cli/formats.ts';
import { reportOfLedger } from '../../cli/report/model.ts';
import { alertAbout } from '../../guard/alert.ts';
import type { Change } from '../../guard/change.ts';
import type { Actor } from '../../guard/cloudtrail.ts';
import { type Finding, findingId, isWrong, type Severity, type Status } from '../../guard/finding.ts';
import type { Exemption } from '../../guard/ledger.ts';
import type { AnyRule } from '../../guard/rule.ts';
import type { Subject } from '../../guard/subject.ts';
import { rules } from '../../rules/index.ts';

// An estate that nobody has, always the same: what docs/samples shows, and what the tests of the formats and of the report read.

const account = '111122223333';
const region = 'eu-central-1';
const sampleTime = Date.parse('2026-11-22T18:00:00.000Z');
const hour = 3_600_000;
const day = 24 * hour;
const time = (hoursAgo: number) => new Date(sampleTime - hoursAgo * hour).toISOString();

const lambda = (name: string): Subject => ({
  arn: `arn:aws:lambda:${region}:${account}:function:${name}`,
  type: 'AWS::Lambda::Function',
  account,
  region,
});
const other = (service: string, resource: string, type: Subject['type'], where = region): Subject => ({
  arn: `arn:aws:${service}:${where}:${account}:${resource}`,
  type,
  account,
  region,
});

/** The plainest way to say what somebody did: hours ago, who, with which call, and how many seconds later the guard knew. */
type Doing = readonly [hoursAgo: number, who: string, call: string, seconds: number];

interface Told {
  readonly summary: string;
  readonly evidence: Finding['evidence'];
  readonly doing?: Doing;
  readonly hoursAgo?: number;
  readonly status?: Status;
  readonly severity?: Severity;
  readonly tags?: Finding['tags'];
  readonly change?: string;
  /** For what has ended: so many hours after it was found. */
  readonly endedAfter?: number;
}

function ruleOf(id: string): AnyRule {
  const rule = rules.find((one) => one.id === id);
  if (rule === undefined) throw new Error(`There is no rule ${id}.`);
  return rule;
}

function finding(rule: string, subject: Subject, told: Told): Finding {
  const { practice, severity, title } = ruleOf(rule);
  const { summary, evidence, doing, status = 'open', tags = {}, change, endedAfter = 0 } = told;
  const found = doing === undefined ? time(told.hoursAgo ?? 0) : time(doing[0] - doing[3] / 3_600);
  const id = findingId(rule, subject.arn);
  return {
    id,
    rule,
    practice,
    severity: told.severity ?? severity,
    title,
    summary,
    subject,
    evidence,
    tags,
    status,
    opened: 1,
    firstSeen: found,
    openedAt: found,
    lastSeen: isWrong({ status }) ? time(3) : found,
    asOf: isWrong({ status }) ? sampleTime - 3 * hour : Date.parse(found) + endedAfter * hour,
    cause: 'sample',
    ...(doing === undefined
      ? { sweep: found }
      : { actor: actorOf(doing), event: { id: `event-${id}`, name: doing[2], time: time(doing[0]) } }),
    attempts: change === undefined ? 0 : 1,
    ...(change === undefined ? {} : { change }),
  };
}

function actorOf([, who]: Doing): Actor {
  const [role = '', name = ''] = who.split('/');
  const issuer = `arn:aws:iam::${account}:role/${role}`;
  return {
    arn: `arn:aws:sts::${account}:assumed-role/${role}/${name}`,
    issuer,
    issuerId: 'AROAEXAMPLE',
    console: role === 'Developers',
    sourceIp: '203.0.113.7',
    invokedBy: '',
  };
}

const stack = (name: string, logicalId: string) => ({
  'aws:cloudformation:stack-name': name,
  'aws:cloudformation:logical-id': logicalId,
});

export const sampleFindings: readonly Finding[] = [
  finding('secret-in-environment', lambda('billing-export'), {
    summary: 'The variable DB_PASSWORD of billing-export holds a database password in plain text: rotate this credential.',
    evidence: { variables: [{ variable: 'DB_PASSWORD', kind: 'password', versions: ['$LATEST', '14'] }] },
    doing: [21 * 24, 'Developers/ana', 'UpdateFunctionConfiguration', 41],
    tags: stack('billing', 'Export'),
  }),
  finding('function-policy-open', lambda('partner-callback'), {
    summary: 'The policy of partner-callback lets everyone invoke it (statement "partner").',
    evidence: {
      statements: [{ Sid: 'partner', Effect: 'Allow', Principal: '*', Action: 'lambda:InvokeFunction' }],
      unclear: [],
    },
    doing: [5, 'Developers/ben', 'AddPermission', 36],
  }),
  finding('code-changed-by-hand', lambda('checkout'), {
    summary: 'The code that checkout runs was uploaded by Developers/ana from the console, and by no deployer.',
    evidence: { approved: 'tq7v0Ff1o2wXf0rR5wq9dA==', present: '9kfLJ3n0pD2yJm1m2r4PSA==', aliases: ['live'] },
    doing: [30, 'Developers/ana', 'UpdateFunctionCode', 52],
    tags: stack('shop', 'Checkout'),
  }),
  ...['orders', 'orders-archive', 'orders-report'].map((name, index) =>
    finding('role-shared', lambda(name), {
      summary: `${name} uses the role orders-shared, which ${['orders-archive and orders-report use', 'orders and orders-report use', 'orders and orders-archive use'][index]} as well.`,
      evidence: {
        shared: [{ role: `arn:aws:iam::${account}:role/orders-shared`, functions: ['orders', 'orders-archive', 'orders-report'] }],
      },
      hoursAgo: 96 * 24,
    }),
  ),
  finding('role-too-broad', other('iam', 'role/etl-runner', 'AWS::IAM::Role', ''), {
    summary:
      'The role etl-runner of etl-nightly has the rights of an administrator (AdministratorAccess): whoever changes what etl-nightly does has them too.',
    evidence: { rights: ['*:*'], functions: ['etl-nightly'], attached: ['arn:aws:iam::aws:policy/AdministratorAccess'], inline: [] },
    doing: [9 * 24, 'Developers/chris', 'AttachRolePolicy', 74],
  }),
  finding('function-url-open', lambda('status-page'), {
    summary: 'Anyone on the internet can invoke status-page through its function URL.',
    evidence: {
      authType: 'NONE',
      qualifier: '$LATEST',
      statements: ['FunctionURLAllowPublicAccess', 'FunctionURLInvokeAllowPublicAccess'],
    },
    doing: [2, 'Developers/dora', 'CreateFunctionUrlConfig', 19],
  }),
  finding('layer-foreign', lambda('thumbnails'), {
    summary: 'thumbnails runs a layer of the account 444455556666, which nobody listed.',
    evidence: { layers: [{ layer: `arn:aws:lambda:${region}:444455556666:layer:imagemagick:7`, versions: ['$LATEST'] }] },
    hoursAgo: 48 * 24,
  }),
  finding('security-group-open-ingress', other('ec2', 'security-group/sg-0a1b2c3d4e5f60718', 'AWS::EC2::SecurityGroup'), {
    summary:
      'The security group etl (sg-0a1b2c3d4e5f60718) of functions lets the internet in: tcp 22 from 0.0.0.0/0. Functions alone use it, and accept no connections.',
    evidence: {
      group: 'etl',
      vpc: 'vpc-0123456789abcdef0',
      rules: [{ id: 'sgr-0f1e2d3c4b5a69788', protocol: 'tcp', ports: '22', from: '0.0.0.0/0' }],
      functions: ['etl-nightly'],
      otherInterfaces: [],
    },
    hoursAgo: 6 * 24,
    severity: 'low',
  }),
  finding('secret-not-rotated', other('secretsmanager', 'secret:prod/ledger-db-a1B2c3', 'AWS::SecretsManager::Secret'), {
    summary: 'The secret prod/ledger-db keeps its value. Its rotation was cancelled. billing-export and ledger-sync read it.',
    evidence: { rotation: 'cancelled', functions: ['billing-export', 'ledger-sync'], lastRotated: '2026-08-02T03:10:00.000Z' },
    doing: [16 * 24, 'Developers/ben', 'CancelRotateSecret', 63],
  }),
  finding('subnet-single-az', lambda('ledger-sync'), {
    summary: 'ledger-sync runs in subnets of eu-central-1a alone: when that zone fails, the function does.',
    evidence: { narrow: [{ zone: 'eu-central-1a', subnets: ['subnet-0aa11bb22cc33dd44'] }] },
    hoursAgo: 96 * 24,
  }),
  finding('security-group-shared', other('ec2', 'security-group/sg-0default0000000001', 'AWS::EC2::SecurityGroup'), {
    summary: 'ledger-sync uses the default security group of its VPC.',
    evidence: { group: 'default', functions: ['ledger-sync'] },
    hoursAgo: 96 * 24,
  }),
  finding('secret-in-code', lambda('legacy-import'), {
    summary: 'AccessDeniedException: not authorized to perform lambda:GetFunction',
    evidence: {},
    hoursAgo: 96 * 24,
    status: 'unknown',
  }),
  // What has ended: the guard's fixes, and what people put right themselves.
  ...(
    [
      ['function-url-open', 'search', 'remediated', 260, 24, 'change-1', 0.01, 'CreateFunctionUrlConfig'],
      ['function-url-open', 'preview', 'remediated', 410, 31, 'change-2', 0.02, 'UpdateFunctionUrlConfig'],
      ['code-changed-by-hand', 'invoices', 'remediated', 330, 47, 'change-3', 0.3, 'UpdateFunctionCode'],
      ['function-policy-open', 'mailer', 'resolved', 520, 66, undefined, 5.5, 'AddPermission'],
      ['secret-in-environment', 'crm-sync', 'resolved', 700, 58, undefined, 76, 'UpdateFunctionConfiguration'],
      ['layer-foreign', 'pdf', 'resolved', 610, 95, undefined, 28, 'UpdateFunctionConfiguration'],
    ] as const
  ).map(([rule, name, status, hoursAgo, seconds, change, endedAfter, call]) =>
    finding(rule, lambda(name), {
      summary: `${name} broke the rule, and no longer does.`,
      evidence: {},
      doing: [hoursAgo, 'Developers/ben', call, seconds],
      status,
      ...(change === undefined ? {} : { change }),
      endedAfter,
    }),
  ),
  finding('role-shared', lambda('images'), {
    summary: 'images uses the role media, which video uses as well.',
    evidence: { shared: [{ role: `arn:aws:iam::${account}:role/media`, functions: ['images', 'video'] }] },
    hoursAgo: 40 * 24,
    status: 'exempt',
    change: 'change-4',
  }),
];

function change(id: string, rule: string, name: string, hoursAgo: number, calls: readonly string[], more: Partial<Change> = {}): Change {
  const subject = lambda(name);
  return {
    id,
    finding: findingId(rule, subject.arn),
    rule,
    resource: subject.arn,
    account,
    region,
    steps: [],
    calls,
    remains: [],
    done: calls.length,
    status: 'done',
    startedAt: time(hoursAgo),
    fixedAt: sampleTime - hoursAgo * hour + 2_000,
    ...more,
  };
}

const sampleChanges: readonly Change[] = [
  change('change-1', 'function-url-open', 'search', 259.98, ['lambda:UpdateFunctionUrlConfig', 'lambda:RemovePermission']),
  change('change-2', 'function-url-open', 'preview', 409.97, ['lambda:UpdateFunctionUrlConfig', 'lambda:RemovePermission']),
  change('change-3', 'code-changed-by-hand', 'invoices', 329.7, ['lambda:UpdateFunctionCode']),
  change('change-4', 'role-shared', 'images', 39 * 24, ['iam:CreateRole', 'iam:PutRolePolicy', 'lambda:UpdateFunctionConfiguration'], {
    status: 'undone',
    undoneBy: `arn:aws:sts::${account}:assumed-role/Operators/olga`,
  }),
];

const sampleExemptions: readonly Exemption[] = [
  {
    id: '5b0e19f3c2d8',
    rule: 'role-shared',
    resource: lambda('images').arn,
    reason: 'images and video become one function in December',
    owner: 'media team',
    expires: sampleTime + 9 * day,
    by: `arn:aws:sts::${account}:assumed-role/Operators/olga`,
    since: sampleTime - 39 * day,
  },
  {
    id: 'a0c4d7e1b2f9',
    rule: 'function-url-open',
    resource: `arn:aws:lambda:*:*:function:shop-*`,
    reason: 'public by design: webhooks that check a signature',
    owner: 'shop team',
    expires: sampleTime + 64 * day,
    by: `arn:aws:sts::${account}:assumed-role/Operators/olga`,
    since: sampleTime - 26 * day,
  },
];

const sampleUnknown: Result['unknown'] = [
  {
    rule: 'secret-in-code',
    resource: lambda('legacy-import').arn,
    why: 'AccessDeniedException: not authorized to perform lambda:GetFunction',
  },
];

const sampleFrame = { account, regions: [region], at: new Date(sampleTime).toISOString() };

/** What the deployed guard of that estate reports. */
export const sampleReport = reportOfLedger(sampleFindings, {
  ...sampleFrame,
  rules: rules.filter(({ mode }) => mode !== 'off'),
  changes: sampleChanges,
  exemptions: sampleExemptions,
});

/** The rules of the sample's scan: enough to see each kind of entry, few enough to read. */
const scannedRules = new Set([...sampleFindings.map(({ rule }) => rule), 'secret-in-code', 'http-route-open', 'subnet-public']);

/** What a scan of that estate finds: it knows nobody who did anything, and not since when. */
export const sampleScan: Result = {
  ...sampleFrame,
  rules: rules.filter(({ id }) => scannedRules.has(id)),
  findings: sampleFindings
    .filter((found) => isWrong(found) && found.status !== 'unknown')
    .map((found) => {
      const { actor: _actor, event: _event, ...swept } = found;
      return alertAbout(
        { ...swept, openedAt: new Date(sampleTime).toISOString(), sweep: new Date(sampleTime).toISOString() },
        { status: 'open', plan: planOf(found) },
      );
    }),
  unknown: sampleUnknown,
  stats: { events: 0, subscribed: 0, skipped: 0, failed: sampleUnknown.length, resources: 64, calls: 731, seconds: 9.4 },
};

function planOf({ rule, subject }: Finding): readonly string[] {
  const FunctionName = subject.arn.split(':').at(-1);
  if (rule === 'function-url-open')
    return [
      `lambda:UpdateFunctionUrlConfig ${JSON.stringify({ FunctionName, AuthType: 'AWS_IAM' })}`,
      `lambda:RemovePermission ${JSON.stringify({ FunctionName, StatementId: 'FunctionURLAllowPublicAccess' })}`,
    ];
  if (rule === 'function-policy-open') return [`lambda:RemovePermission ${JSON.stringify({ FunctionName, StatementId: 'partner' })}`];
  return [];
}
