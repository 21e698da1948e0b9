import { readdir, readFile } from 'node:fs/promises';
import { pascalCase } from '../../../guard/rule.ts';
import { rules } from '../../../rules/index.ts';
import type { SeenCall, TrailRecord } from '../../../test/e2e/bench.ts';
import { bytes } from '../../../test/e2e/boto.ts';
import { createFunction, packageOf, settled } from '../../../test/e2e/functions.ts';
import {
  buildDirectory,
  closeStage,
  due,
  functionRole,
  guardLogs,
  openStage,
  quiet,
  stack,
  stage,
  trust,
} from '../../../test/e2e/stage.ts';
import { Inbox, samBuild, samDeploy } from '../../../test/support/stack.ts';
import { kebabCase } from '../../kebab-case.ts';
import type { Cost, Figures } from './figures.ts';
import { heardBy } from './trail.ts';

// What a message costs, counted where the guard is deployed as a user deploys it: on the emulated account, which knows every call.

const practices = [...new Set(rules.map(({ practice }) => practice))];
const lambdaId = (id: string) => `${stack}-${kebabCase(id)}`;
const checkers = practices.map((practice) => `Check${pascalCase(practice)}`);

/** So many times each kind of event happens, with a function of its own each time. */
const times = 10;

/** @param functions how many the account has when it is swept; 20 or more */
export async function measure(functions: number): Promise<Figures> {
  await openStage('cost');
  try {
    await samBuild(stage.pipeline, buildDirectory);
    // No quota to wait for: what waiting costs is reckoned from the calls.
    const parameters = { Deployers: stage.pipelineRole, LambdaCallsPerSecond: '100', ApiGatewayCallsPerSecond: '10' };
    stage.outputs = await samDeploy(stage.pipeline, parameters, buildDirectory);
    stage.inbox = await Inbox.subscribe(stage.administrator, stage.outputs['AlertTopicArn'] ?? '', 'cost-alerts');
    await fill(functions);
    await quiet(3_000);
    // Every function is warm, and has built its indexes, before anything is counted.
    await events('warm');
    await sweepOnce();
    return {
      measured: { on: new Date(Date.now()).toISOString().slice(0, 10), functions },
      events: await measureEvents(),
      ...(await measureSweep()),
      ...(await measureClock()),
      alert: await measureAlert(),
      ledger: await sizes(functions),
    };
  } finally {
    await closeStage();
  }
}

const ordinary = { Environment: { Variables: { STAGE: 'test' } } };
let network: { readonly group: string; readonly subnets: readonly string[]; readonly table: string };

/** An account as an ordinary one: functions with a role each, a third of them in a VPC, a tenth with a URL or an API. */
async function fill(functions: number): Promise<void> {
  const { botoPipeline: boto } = stage;
  const { VpcId } = (await boto.call('ec2', 'create_vpc', { CidrBlock: '10.9.0.0/16' })).Vpc;
  const subnet = async (CidrBlock: string, AvailabilityZone: string) =>
    (await boto.call('ec2', 'create_subnet', { VpcId, CidrBlock, AvailabilityZone })).Subnet.SubnetId;
  const subnets = [await subnet('10.9.1.0/24', 'us-east-1a'), await subnet('10.9.2.0/24', 'us-east-1b')];
  const { GroupId: group } = await boto.call('ec2', 'create_security_group', { VpcId, GroupName: 'cost', Description: 'of functions' });
  const table = (await boto.call('ec2', 'create_route_table', { VpcId })).RouteTable.RouteTableId;
  network = { group, subnets, table };
  for (let index = 0; index < functions; index += 1) {
    const role = await functionRole(`cost-${index}`, { attached: ['AWSLambdaVPCAccessExecutionRole'] });
    const inVpc = index % 3 === 0 ? { VpcConfig: { SubnetIds: subnets, SecurityGroupIds: [group] } } : {};
    await createFunction(`cost-${index}`, role, { ...ordinary, ...inVpc });
    if (index % 10 === 0) await boto.call('lambda', 'create_function_url_config', { FunctionName: `cost-${index}`, AuthType: 'AWS_IAM' });
    if (index % 10 === 1) await boto.call('apigatewayv2', 'create_api', { Name: `cost-${index}`, ProtocolType: 'HTTP' });
  }
}

/** What happens in an account day by day, service by service: nothing of it breaks a rule. */
const happenings: Readonly<Record<string, (name: string, index: number) => Promise<unknown>>> = {
  iam: async (name) => {
    await functionRole(name, { attached: ['AWSLambdaBasicExecutionRole'] });
    const { botoPipeline: boto } = stage;
    const role = { RoleName: name };
    const Statement = [{ Effect: 'Allow', Action: 'sqs:SendMessage', Resource: 'arn:aws:sqs:us-east-1:111122223333:orders' }];
    const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement });
    await boto.call('iam', 'put_role_policy', { ...role, PolicyName: 'own', PolicyDocument });
    await boto.call('iam', 'update_assume_role_policy', { ...role, PolicyDocument: trust({ Service: 'lambda.amazonaws.com' }) });
    await boto.call('iam', 'delete_role_policy', { ...role, PolicyName: 'own' });
  },
  lambda: async (name, index) => {
    const { botoPipeline: boto } = stage;
    const FunctionName = `cost-${name}`;
    await createFunction(FunctionName, `arn:aws:iam::111122223333:role/${name}`, ordinary);
    await boto.call('lambda', 'update_function_configuration', { FunctionName, Description: `${index}` });
    await settled(FunctionName);
    await boto.call('lambda', 'update_function_code', { FunctionName, ZipFile: bytes(packageOf(`${name} 2`)) });
    await settled(FunctionName);
    const permission = { FunctionName, StatementId: 'rule', Action: 'lambda:InvokeFunction', Principal: 'events.amazonaws.com' };
    await boto.call('lambda', 'add_permission', { ...permission, SourceArn: 'arn:aws:events:us-east-1:111122223333:rule/hourly' });
    await boto.call('lambda', 'delete_function', { FunctionName });
  },
  ec2: async (_, index) => {
    const { botoPipeline: boto } = stage;
    const IpPermissions = [{ IpProtocol: 'tcp', FromPort: 443, ToPort: 443, IpRanges: [{ CidrIp: `10.0.${index}.0/24` }] }];
    await boto.call('ec2', 'authorize_security_group_ingress', { GroupId: network.group, IpPermissions });
    await boto.call('ec2', 'revoke_security_group_ingress', { GroupId: network.group, IpPermissions });
    const [SubnetId] = network.subnets;
    const { AssociationId } = await boto.call('ec2', 'associate_route_table', { RouteTableId: network.table, SubnetId });
    await boto.call('ec2', 'disassociate_route_table', { AssociationId });
    const { NetworkInterfaceId } = (await boto.call('ec2', 'create_network_interface', { SubnetId, Groups: [network.group] }))
      .NetworkInterface;
    await boto.call('ec2', 'delete_network_interface', { NetworkInterfaceId });
  },
  secretsmanager: async (name) => {
    const { botoPipeline: boto } = stage;
    await boto.call('secretsmanager', 'create_secret', { Name: name, SecretString: 'of nobody' });
    await boto.call('secretsmanager', 'delete_secret', { SecretId: name });
  },
  apigateway: async (name) => {
    const { botoPipeline: boto } = stage;
    const { ApiId } = await boto.call('apigatewayv2', 'create_api', { Name: name, ProtocolType: 'HTTP' });
    const { RouteId } = await boto.call('apigatewayv2', 'create_route', { ApiId, RouteKey: 'GET /orders', AuthorizationType: 'AWS_IAM' });
    await boto.call('apigatewayv2', 'update_route', { ApiId, RouteId, AuthorizationType: 'AWS_IAM' });
    await boto.call('apigatewayv2', 'delete_api', { ApiId });
  },
  events: async (name) => {
    const { botoPipeline: boto } = stage;
    await boto.call('events', 'put_rule', { Name: name, ScheduleExpression: 'rate(1 hour)' });
    await boto.call('events', 'disable_rule', { Name: name });
    await boto.call('events', 'delete_rule', { Name: name });
  },
};

async function events(round: string, service?: string): Promise<void> {
  for (const [name, happen] of Object.entries(happenings)) {
    if (service !== undefined && name !== service) continue;
    const count = round === 'warm' ? 2 : times;
    for (let index = 0; index < count; index += 1) await happen(`${round}-${index}`, index);
    await quiet();
  }
}

/** Each service by itself, so that every checker hears by one rule of EventBridge at a time. */
async function measureEvents(): Promise<Record<string, Cost>> {
  const measured: Record<string, Cost> = {};
  for (const service of Object.keys(happenings)) {
    const seen = await during(() => events('counted', service));
    const messages = new Map<string, number>();
    for (const record of seen.records) for (const rule of heardBy(record)) messages.set(rule, (messages.get(rule) ?? 0) + 1);
    for (const [rule, units] of messages) {
      const [checker = ''] = rule.split('On');
      measured[rule] = costOf(seen, checker, units);
    }
  }
  return Object.fromEntries(Object.entries(measured).sort());
}

async function sweepOnce(): Promise<void> {
  await due('SweepOnSchedule');
  await quiet(2_000);
}

async function measureSweep(): Promise<Pick<Figures, 'sweep' | 'list'>> {
  // What was deleted since the last one is forgotten by now.
  await sweepOnce();
  const before = await sweptFunctions();
  const seen = await during(sweepOnce);
  const functions = (await sweptFunctions()) - before;
  return {
    sweep: Object.fromEntries(checkers.map((checker) => [checker, costOf(seen, checker, functions)])),
    list: costOf(seen, 'Sweep', functions),
  };
}

/** How many functions all sweeps so far have sent: the guard's own are among them. */
async function sweptFunctions(): Promise<number> {
  const logs = (await guardLogs())[lambdaId('Sweep')] ?? [];
  return logs.reduce((sum, line) => sum + Number(/"message":"sweep sent".*"functions":(\d+)/.exec(line)?.[1] ?? 0), 0);
}

async function measureClock(): Promise<Pick<Figures, 'tick' | 'heartbeat'>> {
  const again = async (rule: 'TickEveryMinute' | 'Heartbeat') => {
    for (let index = 0; index < times; index += 1) {
      await due(rule);
      await quiet();
    }
  };
  const ticks = await during(() => again('TickEveryMinute'));
  const beats = await during(() => again('Heartbeat'));
  const tick = costOf(ticks, 'Tick', ticks.invocations['Tick'] ?? 0);
  return {
    tick,
    heartbeat: { check: costOf(beats, 'CheckGuard', beats.invocations['CheckGuard'] ?? 0), notify: costOf(beats, 'Notify', times) },
  };
}

/** Alerts: URLs that anybody may call. */
async function measureAlert(): Promise<Cost> {
  const before = stage.inbox.received.length;
  const seen = await during(async () => {
    for (let index = 0; index < times; index += 1) {
      const FunctionName = `cost-${index}`;
      await stage.boto.call('lambda', 'add_permission', {
        FunctionName,
        StatementId: 'all',
        Action: 'lambda:InvokeFunction',
        Principal: '*',
      });
    }
    await quiet(2_000);
  });
  return costOf(seen, 'Notify', stage.inbox.received.length - before);
}

interface Seen {
  readonly calls: readonly SeenCall[];
  readonly records: readonly TrailRecord[];
  readonly invocations: Readonly<Record<string, number>>;
  /** Milliseconds of a processor. */
  readonly cpu: Readonly<Record<string, number>>;
  readonly logBytes: Readonly<Record<string, number>>;
  readonly unitsOfKey: ReadonlyMap<string, Units>;
}

/** What it takes to write an item: in the table alone, where a condition keeps it as it is, and with its indexes. */
interface Units {
  readonly table: number;
  readonly all: number;
}

const functionIds = [...checkers, 'Notify', 'Sweep', 'Tick'];

async function during(work: () => Promise<void>): Promise<Seen> {
  const mark = await stage.bench.now();
  const recorded = (await stage.bench.records()).length;
  const [logsBefore, invokedBefore, before] = [await logged(), await invoked(), await processes()];
  await work();
  const { calls } = await stage.bench.calls(mark);
  const [logsAfter, invokedAfter, after] = [await logged(), await invoked(), await processes()];
  const less = (all: Readonly<Record<string, number>>, some: Readonly<Record<string, number>>) =>
    Object.fromEntries(functionIds.map((id) => [id, (all[id] ?? 0) - (some[id] ?? 0)]));
  return {
    calls,
    records: (await stage.bench.records()).slice(recorded),
    invocations: less(invokedAfter, invokedBefore),
    cpu: Object.fromEntries(functionIds.map((id) => [id, cpuBetween(before, after, lambdaId(id))])),
    logBytes: less(logsAfter, logsBefore),
    unitsOfKey: await writeUnitsByKey(),
  };
}

async function logged(): Promise<Record<string, number>> {
  const logs = await guardLogs();
  // CloudWatch bills 26 bytes with every event. https://aws.amazon.com/cloudwatch/pricing/
  const size = (id: string) => (logs[lambdaId(id)] ?? []).reduce((sum, message) => sum + Buffer.byteLength(message) + 26, 0);
  return Object.fromEntries(functionIds.map((id) => [id, size(id)]));
}

async function invoked(): Promise<Record<string, number>> {
  const invocations: Record<string, number> = {};
  for (const id of functionIds) {
    const { Datapoints } = await stage.botoRoot.call('cloudwatch', 'get_metric_statistics', {
      Namespace: 'AWS/Lambda',
      MetricName: 'Invocations',
      Dimensions: [{ Name: 'FunctionName', Value: lambdaId(id) }],
      StartTime: (Date.now() - 7_200_000) / 1000,
      EndTime: (Date.now() + 60_000) / 1000,
      Period: 60,
      Statistics: ['Sum'],
    });
    invocations[id] = Datapoints.reduce((sum: number, { Sum }: { Sum: number }) => sum + Sum, 0);
  }
  return invocations;
}

/** A process that a function runs in, and the milliseconds that it has had of a processor. */
interface Running {
  readonly name: string;
  readonly cpu: number;
}

/**
 * The processes of functions in this emulator, by their id. How long an invocation takes depends on what else the machine does; how
 * much of a processor it uses does not. Linux tells both. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
 */
async function processes(): Promise<ReadonlyMap<string, Running>> {
  const found = new Map<string, Running>();
  for (const id of await readdir('/proc')) {
    if (!/^\d+$/.test(id)) continue;
    // Others' processes cannot be read, and some end meanwhile.
    const [environ, stat] = await Promise.all([
      readFile(`/proc/${id}/environ`, 'utf8').catch(() => ''),
      readFile(`/proc/${id}/stat`, 'utf8').catch(() => ''),
    ]);
    const variables = environ.split('\0');
    const name = variables.find((one) => one.startsWith('AWS_LAMBDA_FUNCTION_NAME='))?.split('=')[1];
    if (name === undefined || !variables.includes(`AWS_ENDPOINT_URL=${stage.emulator.endpoint}`)) continue;
    const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    found.set(id, { name, cpu: (Number(ticks[11]) + Number(ticks[12])) * 10 });
  }
  return found;
}

function cpuBetween(before: ReadonlyMap<string, Running>, after: ReadonlyMap<string, Running>, name: string): number {
  const own = [...after].filter(([, running]) => running.name === name);
  return own.reduce((sum, [id, { cpu }]) => sum + cpu - (before.get(id)?.cpu ?? 0), 0);
}

const reading = /^(Get|Query|Scan|BatchGet)/;
const writing = /^(Put|Update|Delete|TransactWrite|BatchWrite)/;

function costOf({ calls, invocations, cpu, logBytes, unitsOfKey }: Seen, id: string, units: number): Cost {
  if (units === 0) throw new Error(`${id} was measured with nothing to do.`);
  const own = calls.filter(({ functionName }) => functionName === lambdaId(id));
  const of = (service: string) => own.filter((call) => call.service === service);
  const aws = own.filter(({ service }) => !['dynamodb', 'events', 'logs', 'sqs', 'sns', 'kms', 'sts', 'monitoring'].includes(service));
  const lambda = aws.filter(({ service, operation }) => service === 'lambda' && !/^GetFunction$/.test(operation));
  const ledger = of('dynamodb');
  const written = ({ keys = [], operation, errorCode }: SeenCall) => {
    const each = keys.reduce((sum, key) => sum + (unitsOfKey.get(key)?.[errorCode === undefined ? 'all' : 'table'] ?? 1), 0);
    // A transaction is written twice. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
    return Math.max(1, operation.startsWith('Transact') ? 2 * each : each);
  };
  // An item that is not there is read as well. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
  const read = ({ keys = [], operation }: SeenCall) => (operation === 'BatchGetItem' ? keys.length : 1);
  const per = (count: number) => Math.round((count / units) * 1000) / 1000;
  return {
    units,
    invocations: per(invocations[id] ?? 0),
    cpu: per(cpu[id] ?? 0),
    calls: per(aws.length),
    lambda: per(lambda.filter(({ operation }) => operation !== 'GetPolicy').length),
    policy: per(lambda.filter(({ operation }) => operation === 'GetPolicy').length),
    apigateway: per(aws.filter(({ service }) => service.startsWith('apigateway')).length),
    ledger: per(ledger.length),
    readUnits: per(ledger.filter(({ operation }) => reading.test(operation)).reduce((sum, call) => sum + read(call), 0)),
    writeUnits: per(ledger.filter(({ operation }) => writing.test(operation)).reduce((sum, call) => sum + written(call), 0)),
    published: per(of('events').length + of('sns').length),
    sqs: per(of('sqs').length),
    logBytes: Math.round((logBytes[id] ?? 0) / units),
  };
}

type Item = Readonly<Record<string, unknown>>;

async function items(): Promise<readonly Item[]> {
  const all: Item[] = [];
  let ExclusiveStartKey: unknown;
  do {
    const start = ExclusiveStartKey === undefined ? {} : { ExclusiveStartKey };
    const page = await stage.botoRoot.call('dynamodb', 'scan', { TableName: stage.outputs['LedgerTableName'], ...start });
    all.push(...page.Items);
    ExclusiveStartKey = page.LastEvaluatedKey;
  } while (ExclusiveStartKey !== undefined);
  return all;
}

/**
 * By partition key, the mean of its items: a kilobyte of an item is a unit, in the table and in each index that holds it. What is not
 * there takes one: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/WorkingWithItems.html#WorkingWithItems.ConditionalUpdate
 */
async function writeUnitsByKey(): Promise<ReadonlyMap<string, Units>> {
  const byKey = Map.groupBy(await items(), (item) => (item['pk'] as { readonly S: string }).S);
  const mean = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
  const kilobytes = (item: Item) => Math.ceil(sizeOf(item) / 1024);
  const copies = (item: Item) => 1 + ['roleKey', 'dueKey', 'kind'].filter((name) => name in item).length;
  return new Map(
    [...byKey].map(([key, own]) => [
      key,
      { table: mean(own.map(kilobytes)), all: mean(own.map((item) => kilobytes(item) * copies(item))) },
    ]),
  );
}

/** What DynamoDB counts. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html */
function sizeOf(item: Item): number {
  return Object.entries(item).reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + sizeOfValue(value as Attribute), 0);
}

interface Attribute {
  readonly S?: string;
  readonly N?: string;
  readonly M?: Readonly<Record<string, Attribute>>;
  readonly L?: readonly Attribute[];
  readonly SS?: readonly string[];
}

function sizeOfValue({ S, N, M, L, SS }: Attribute): number {
  if (S !== undefined) return Buffer.byteLength(S);
  if (N !== undefined) return Math.ceil(N.length / 2) + 1;
  if (M !== undefined) return 3 + sizeOf(M) + Object.keys(M).length;
  if (L !== undefined) return L.reduce((sum, value) => sum + 1 + sizeOfValue(value), 3);
  return SS === undefined ? 1 : SS.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
}

async function sizes(functions: number): Promise<Figures['ledger']> {
  const all = await items();
  const bytesOfAll = all.reduce((sum, item) => sum + sizeOf(item), 0);
  return { bytesOfFunction: Math.round(bytesOfAll / functions), itemsOfFunction: Math.round((all.length / functions) * 10) / 10 };
}
