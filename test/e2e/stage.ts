import { mkdir, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { EventBridgeClient, ListRulesCommand } from '@aws-sdk/client-eventbridge';
import { AttachRolePolicyCommand, CreateRoleCommand, IAMClient, PutRolePolicyCommand } from '@aws-sdk/client-iam';
import { LambdaClient } from '@aws-sdk/client-lambda';
import type { Alert } from '../../guard/alert.ts';
import { type Emulator, startEmulator } from '../emulator/start.ts';
import {
  assumeRole,
  createAdministrator,
  environmentOf,
  type Inbox,
  type Principal,
  patience,
  type Received,
  rootUser,
  run,
} from '../support/stack.ts';
import { Bench } from './bench.ts';
import { Boto } from './boto.ts';

export const stack = 'lambda-compliance-guard';
const work = '.work/e2e';
/** Apart from the artifacts of a build by hand. */
export const buildDirectory = `${work}/build`;

/** Everything that the tests of the suite share: one emulated account, and who acts in it. */
export interface Stage {
  readonly emulator: Emulator;
  readonly bench: Bench;
  readonly root: Principal;
  /** Does the wrong things. */
  readonly administrator: Principal;
  /** The pipeline, which is listed in Deployers. */
  readonly pipeline: Principal;
  readonly pipelineRole: string;
  /** Who runs the command line; listed in Operators. */
  readonly operator: Principal;
  readonly operatorRole: string;
  readonly lambda: LambdaClient;
  /** boto3 as the administrator. */
  readonly boto: Boto;
  /** boto3 as the pipeline. */
  readonly botoPipeline: Boto;
  /** boto3 as the account's root user: for what no test is about. */
  readonly botoRoot: Boto;
  /** Set when the guard is deployed. */
  outputs: Readonly<Record<string, string>>;
  /** When that was done, in milliseconds. */
  deployedAt: number;
  inbox: Inbox;
}

export const stage = {} as Stage;
/** Where the account's logs are left. */
let leftIn = work;

export const trust = (principal: Record<string, string>) =>
  JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: principal, Action: 'sts:AssumeRole' }] });

/**
 * Starts the account and makes its principals.
 * @param name of the folder in which the account's logs are left
 */
export async function openStage(name: string): Promise<void> {
  leftIn = `${work}/${name}`;
  await mkdir(leftIn, { recursive: true });
  const emulator = await startEmulator({ log: `${leftIn}/emulator.log` });
  const root = rootUser(emulator);
  const administrator = await createAdministrator(root, 'administrator');
  const iam = new IAMClient(root);
  const role = async (RoleName: string) => {
    const AssumeRolePolicyDocument = trust({ AWS: `arn:aws:iam::${emulator.account}:root` });
    const { Role } = await iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument }));
    await iam.send(new AttachRolePolicyCommand({ RoleName, PolicyArn: 'arn:aws:iam::aws:policy/AdministratorAccess' }));
    return Role?.Arn ?? '';
  };
  const [pipelineRole, operatorRole] = await Promise.all([role('deploy-pipeline'), role('operator')]);
  const [pipeline, operator] = await Promise.all([
    assumeRole(administrator, pipelineRole, 'release'),
    assumeRole(administrator, operatorRole, 'on-call'),
  ]);
  Object.assign(stage, {
    emulator,
    bench: new Bench(root),
    root,
    administrator,
    pipeline,
    pipelineRole,
    operator,
    operatorRole,
    lambda: new LambdaClient(administrator),
    boto: new Boto(administrator),
    botoPipeline: new Boto(pipeline),
    botoRoot: new Boto(root),
  } satisfies Omit<Stage, 'outputs' | 'deployedAt' | 'inbox'>);
}

export async function closeStage(): Promise<void> {
  await stage.inbox?.close();
  if (stage.botoRoot !== undefined) await keepLogs();
  for (const client of [stage.boto, stage.botoPipeline, stage.botoRoot]) client?.end();
  await stage.emulator?.stop();
}

/** The events of every log group of the guard, by the function's name. @param startTime since when, in milliseconds */
export async function guardLogs(startTime = 0): Promise<Readonly<Record<string, readonly string[]>>> {
  const { logGroups } = await stage.botoRoot.call('logs', 'describe_log_groups', { logGroupNamePrefix: `/aws/lambda/${stack}` });
  const logs: Record<string, string[]> = {};
  for (const { logGroupName } of logGroups) {
    const messages: string[] = [];
    let nextToken: string | undefined;
    do {
      const page = await stage.botoRoot.call('logs', 'filter_log_events', {
        logGroupName,
        startTime,
        ...(nextToken === undefined ? {} : { nextToken }),
      });
      messages.push(...page.events.map(({ message }: { message: string }) => message));
      nextToken = page.nextToken;
    } while (nextToken !== undefined);
    logs[logGroupName.replace('/aws/lambda/', '')] = messages;
  }
  return logs;
}

/** All that the guard wrote down or sent anywhere, as text. */
export async function everythingKept(): Promise<
  Readonly<Record<'alerts' | 'ledger' | 'logs' | 'queues' | 'records' | 'undelivered', string>>
> {
  const { botoRoot, bench, inbox, outputs } = stage;
  const items: unknown[] = [];
  let ExclusiveStartKey: unknown;
  do {
    const page = await botoRoot.call('dynamodb', 'scan', {
      TableName: outputs['LedgerTableName'],
      ...(ExclusiveStartKey === undefined ? {} : { ExclusiveStartKey }),
    });
    items.push(...page.Items);
    ExclusiveStartKey = page.LastEvaluatedKey;
  } while (ExclusiveStartKey !== undefined);
  const { QueueUrls = [] } = await botoRoot.call('sqs', 'list_queues', {});
  const queues = await Promise.all(
    QueueUrls.map(async (QueueUrl: string) => {
      await openForReading(QueueUrl);
      return await botoRoot.call('sqs', 'receive_message', { QueueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 0 });
    }),
  );
  const kept = {
    alerts: inbox.received.map(({ alert }) => alert),
    ledger: items,
    logs: await guardLogs(),
    queues,
    records: await bench.records(),
    undelivered: await bench.undelivered(),
  };
  return Object.fromEntries(Object.entries(kept).map(([where, what]) => [where, JSON.stringify(what)])) as Record<
    keyof typeof kept,
    string
  >;
}

/** Nobody but its function reads a queue of the guard: whoever looks into one has to change its policy first. */
async function openForReading(QueueUrl: string): Promise<void> {
  const { Attributes } = await stage.botoRoot.call('sqs', 'get_queue_attributes', { QueueUrl, AttributeNames: ['Policy'] });
  const policy = JSON.parse(Attributes?.Policy ?? '{"Statement":[]}') as { readonly Statement: readonly { readonly Sid?: string }[] };
  const Statement = policy.Statement.filter(({ Sid }) => Sid !== 'NobodyElseReads');
  if (Statement.length === policy.Statement.length) return;
  const Policy = JSON.stringify({ ...policy, Statement });
  await stage.botoPipeline.call('sqs', 'set_queue_attributes', { QueueUrl, Attributes: { Policy } });
}

/** For whoever looks into a failed run: the account is gone by then, and the logs are with the stack. */
export async function keepLogs(): Promise<void> {
  const text = Object.entries(await guardLogs()).flatMap(([name, messages]) => [
    `== ${name}`,
    ...messages.map((message) => message.trimEnd()),
  ]);
  if (text.length > 0) await writeFile(`${leftIn}/guard.log`, text.join('\n'));
  await writeFile(`${leftIn}/denied.json`, JSON.stringify(await stage.bench.denied(), null, 1));
  await writeFile(`${leftIn}/calls.json`, JSON.stringify((await stage.bench.calls()).calls));
}

/** Makes an execution role for functions. */
export async function functionRole(
  RoleName: string,
  { attached = [], allow = [] }: { attached?: readonly string[]; allow?: readonly object[] } = {},
): Promise<string> {
  const iam = new IAMClient(stage.administrator);
  const { Role } = await iam.send(
    new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: trust({ Service: 'lambda.amazonaws.com' }) }),
  );
  for (const name of ['AWSLambdaBasicExecutionRole', ...attached])
    await iam.send(new AttachRolePolicyCommand({ RoleName, PolicyArn: `arn:aws:iam::aws:policy/service-role/${name}` }));
  if (allow.length > 0) {
    const Statement = allow.map((statement) => ({ Effect: 'Allow', ...statement }));
    const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement });
    await iam.send(new PutRolePolicyCommand({ RoleName, PolicyName: 'own', PolicyDocument }));
  }
  return Role?.Arn ?? '';
}

/** Waits until every message is handled. */
export async function quiet(milliseconds = 700): Promise<void> {
  await stage.bench.quiet(`${stack}-`, { milliseconds });
}

let scheduled: readonly string[] | undefined;

/** The minute is over (`TickEveryMinute`), or the day (`SweepOnSchedule`), or it is time for a `Heartbeat`. */
export async function due(logicalId: 'TickEveryMinute' | 'SweepOnSchedule' | 'Heartbeat'): Promise<void> {
  if (scheduled === undefined) {
    const { Rules = [] } = await new EventBridgeClient(stage.root).send(new ListRulesCommand({}));
    scheduled = Rules.map(({ Name = '' }) => Name);
  }
  const name = scheduled.find((candidate) => candidate.includes(logicalId));
  if (name === undefined) throw new Error(`The stack has no rule ${logicalId}: ${scheduled.join(', ')}.`);
  await stage.bench.fire(name);
}

/** How many alerts there are so far: what comes later is what the next step caused. */
export function mark(): number {
  return stage.inbox.received.length;
}

interface Expected {
  readonly rule: string;
  readonly status: Alert['status'];
  /** What the ARN of the resource ends with. */
  readonly resource: string;
  /** Only an alert with the plan of a fix that is not made. */
  readonly planned?: boolean;
  /** What its summary says, among other things. */
  readonly says?: string;
}

/**
 * The alert that a step causes. While it is not there the minutes pass quickly, so that nobody waits for the clock. Fixes that meet
 * each other wait 15 seconds, some of them several times.
 */
export async function alerted(
  { rule, status, resource, planned = false, says = '' }: Expected,
  since: number,
  seconds = patience,
): Promise<Alert> {
  const clock = setInterval(() => void due('TickEveryMinute').catch(() => undefined), 1_000);
  try {
    const { alert } = await stage.inbox.waitFor(
      `${rule} ${status} ${resource}${planned ? ' with the plan' : ''}`,
      (candidate) =>
        candidate.rule === rule &&
        candidate.status === status &&
        candidate.resource.arn.endsWith(resource) &&
        candidate.summary.includes(says) &&
        (!planned || candidate.plan.length > 0),
      { since, seconds },
    );
    return alert;
  } finally {
    clearInterval(clock);
  }
}

/** The alerts about a resource since a mark, as `rule status`. */
export function alertsAbout(resource: string, since: number): readonly string[] {
  return stage.inbox.received
    .slice(since)
    .flatMap(({ alert }: Received) => (alert.resource.arn.endsWith(resource) ? [`${alert.rule} ${alert.status}`] : []));
}

/** The command line, as the operator. */
export async function guard(...args: readonly string[]): Promise<{ readonly code: number; readonly output: string }> {
  return await guardAs(stage.operator, ...args);
}

/** The command line, as somebody else. */
export async function guardAs(who: Principal, ...args: readonly string[]): Promise<{ readonly code: number; readonly output: string }> {
  return await run('node_modules/.bin/node', ['cli/main.ts', ...args], environmentOf(who));
}

/** Takes a change back with the command that its alert names. */
export async function undo({ change }: Alert): Promise<void> {
  const { code, output } = await guard('undo', change?.id ?? '', '--for', '7d', '--reason', 'the suite takes it back');
  if (code !== 0) throw new Error(`The undo of ${change?.id} ended with ${code}: ${output}`);
}

/** What happens in here reaches a checker only afterwards, all of it at once and in any order: its queue is held back. */
export async function held<T>(checker: string, happens: () => Promise<T>): Promise<T> {
  // By the pipeline, which is a deployer: anybody else would tamper with the guard.
  const { EventSourceMappings } = await stage.botoPipeline.call('lambda', 'list_event_source_mappings', {
    FunctionName: `${stack}-check-${checker}`,
  });
  const set = async (Enabled: boolean) => {
    for (const { UUID } of EventSourceMappings) await stage.botoPipeline.call('lambda', 'update_event_source_mapping', { UUID, Enabled });
  };
  await set(false);
  // A poll that had begun may still take a message.
  await new Promise((resolve) => setTimeout(resolve, 200));
  try {
    return await happens();
  } finally {
    await set(true);
  }
}

/** What happens in here is never told to anybody: the account's trail does not log. A deployer of the guard may stop it. */
export async function unheard<T>(happens: () => Promise<T>): Promise<T> {
  const { botoPipeline } = stage;
  const trail = { Name: 'management-events' };
  await botoPipeline.call('cloudtrail', 'stop_logging', trail);
  try {
    return await happens();
  } finally {
    await botoPipeline.call('cloudtrail', 'start_logging', trail);
  }
}

/** The status that anybody on the internet gets from a function URL. */
export async function publicStatus(url: string): Promise<number> {
  const { hostname, pathname } = new URL(url);
  const { hostname: host, port } = new URL(stage.emulator.endpoint);
  return await new Promise((resolve, reject) => {
    request({ host, port, path: pathname, headers: { host: hostname } }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });
}
