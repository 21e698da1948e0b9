import { ofSweeps } from '../../../guard/quota.ts';
import type { Cost, Figures } from './figures.ts';
import { costOfUnits, evaluationTiers, type Meter, prices } from './prices.ts';

// What a month costs. Nothing in here asks anybody anything: quantities times prices.

export const minutesOfMonth = 43_800;
export const secondsOfMonth = 60 * minutesOfMonth;

/** What nobody could measure here, and everybody can replace. */
export interface Assumptions {
  /** Milliseconds that AWS takes to answer a call; the calls of a message are taken one after the other, which is more than they take. */
  readonly latency: number;
  /** Milliseconds of a cold start, and for how many seconds an idle function stays warm. */
  readonly coldStart: number;
  readonly warmFor: number;
  /** Pollers of an event source mapping, and how long each of their empty receives takes. */
  readonly pollers: number;
  readonly pollSeconds: number;
  /** Messages of sweeps that are received, hidden and deleted at a time. */
  readonly batch: number;
  /** Alerts for each message that an event brought, and emails for each alert. */
  readonly alertsPerMessage: number;
  readonly emailsPerAlert: number;
  /** Bytes that Lambda itself logs of an invocation: START, END and REPORT. */
  readonly platformLog: number;
  /** Megabytes of a package, and for how many months of deployments the archive keeps them: nothing deletes them. */
  readonly packageMegabytes: number;
  readonly archiveMonths: number;
  /** Seconds for which a service uses a data key again. */
  readonly dataKeySeconds: number;
  /** How often a waiting invocation asks for a share of the quota, a second; after how many seconds it puts its messages back, and for how many. */
  readonly leasesPerSecond: number;
  readonly patience: number;
  readonly away: number;
}

export const assumptions: Assumptions = {
  latency: 30,
  coldStart: 700,
  warmFor: 600,
  pollers: 5,
  pollSeconds: 20,
  batch: 10,
  alertsPerMessage: 0.02,
  emailsPerAlert: 1,
  platformLog: 400,
  packageMegabytes: 5,
  archiveMonths: 12,
  dataKeySeconds: 300,
  leasesPerSecond: 2,
  patience: 30,
  away: ofSweeps.away,
};

/** What of the stack costs something, as template.yaml has it. */
export interface Deployed {
  /** Event source mappings with a queue each. */
  readonly mappings: number;
  readonly alarms: number;
  readonly dashboards: number;
  readonly metrics: number;
  readonly keys: number;
  /** Megabytes by function. */
  readonly memory: Readonly<Record<string, number>>;
  /** Invocations at a time for the queue of a sweep. */
  readonly sweepConcurrency: number;
  readonly logDays: number;
  readonly lambdaCallsPerSecond: number;
  readonly apiGatewayCallsPerSecond: number;
}

/** An account's month. */
export interface Month {
  readonly functions: number;
  /** Management events that CloudTrail records, reads included. */
  readonly events: number;
  readonly sweeps: number;
}

/** Of all management events, how many each rule of EventBridge lets through, and how many are UpdateFunctionCode. */
export interface Shares {
  readonly listeners: Readonly<Record<string, number>>;
  readonly deployments: number;
}

export interface Line {
  readonly part: 'standing by' | 'events' | 'sweeps';
  readonly meter: Meter;
  /** Units a month. */
  readonly units: number;
}

/** So many units of work by a function, each of which costs what was measured. */
interface Work {
  readonly part: Line['part'];
  readonly function: string;
  readonly cost: Cost;
  readonly units: number;
}

/**
 * The lines of a month's bill: what stands by whether anything happens or not, what events bring, and what sweeps do.
 * @throws Error for a rule of EventBridge whose checker was not measured
 */
export function monthly(
  month: Month,
  deployed: Deployed,
  shares: Shares,
  figures: Figures,
  assume: Assumptions = assumptions,
): readonly Line[] {
  const byListener = Object.entries(shares.listeners).map(([rule, share]) => ({ rule, messages: month.events * share }));
  const messages = sum(byListener.map((one) => one.messages));
  const alerts = messages * assume.alertsPerMessage;
  const heartbeats = minutesOfMonth / 5;
  const minutes = minutesOfMonth;
  const work: readonly Work[] = [
    { part: 'standing by', function: 'Tick', cost: figures.tick, units: minutes },
    { part: 'standing by', function: 'CheckGuard', cost: figures.heartbeat.check, units: heartbeats },
    { part: 'standing by', function: 'Notify', cost: figures.heartbeat.notify, units: heartbeats },
    ...byListener.map(({ rule, messages: units }) => ({
      part: 'events' as const,
      function: checkerOf(rule),
      cost: costOfListener(rule, figures),
      units,
    })),
    { part: 'events', function: 'Notify', cost: figures.alert, units: alerts },
    { part: 'sweeps', function: 'Sweep', cost: figures.list, units: month.functions * month.sweeps },
  ];
  return [
    ...standing(deployed, assume),
    ...work.flatMap((one) => linesOf(one, deployed, assume)),
    ...queueLines(byListener, alerts, heartbeats, assume),
    ...alertLines(alerts, assume),
    { part: 'standing by', meter: 'customEvent', units: heartbeats },
    ...sweepLines(month, deployed, figures, assume),
    ...ledgerLines(month, figures),
    { part: 'events', meter: 'put', units: month.events * shares.deployments },
    { part: 'events', meter: 'stored', units: (month.events * shares.deployments * assume.archiveMonths * assume.packageMegabytes) / 1000 },
    { part: 'sweeps', meter: 'stored', units: (month.functions * assume.packageMegabytes) / 1000 },
  ];
}

/** Requests a month of SQS that bring nothing, for so many queues that Lambda polls. */
export function emptyReceives(mappings: number, { pollers, pollSeconds }: Assumptions = assumptions): number {
  return mappings * pollers * (secondsOfMonth / pollSeconds);
}

function standing(deployed: Deployed, assume: Assumptions): readonly Line[] {
  const part = 'standing by';
  return [
    { part, meter: 'sqsRequest', units: emptyReceives(deployed.mappings, assume) },
    { part, meter: 'alarm', units: deployed.alarms },
    { part, meter: 'dashboard', units: deployed.dashboards },
    { part, meter: 'metric', units: deployed.metrics },
    { part, meter: 'key', units: deployed.keys },
  ];
}

/** What a function's work costs wherever it comes from. */
function linesOf({ part, function: id, cost, units }: Work, deployed: Deployed, assume: Assumptions): readonly Line[] {
  const memory = memoryOf(id, deployed);
  const seconds =
    units * (milliseconds(cost, memory, assume) / 1000) + (coldStarts(units * cost.invocations, assume) * assume.coldStart) / 1000;
  const gigabytes = (units * (cost.logBytes + cost.invocations * assume.platformLog)) / 1e9;
  return [
    { part, meter: 'lambdaRequest', units: units * cost.invocations },
    { part, meter: 'lambdaGigabyteSecond', units: seconds * memory },
    { part, meter: 'dynamoRead', units: units * cost.readUnits },
    { part, meter: 'dynamoWrite', units: units * cost.writeUnits },
    { part, meter: 'logged', units: gigabytes },
    { part, meter: 'logStored', units: (gigabytes * deployed.logDays) / 30 },
    // A cold start decrypts the variables; the ledger's key is asked for again as often as a data key at most.
    { part, meter: 'keyRequest', units: coldStarts(units * cost.invocations, assume) + Math.min(units * cost.ledger, reuses(assume)) },
  ];
}

/** Megabytes at which a function of Lambda has one processor; with less memory, it has that part of one. https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html */
const wholeProcessor = 1_769;

/** How long one unit runs where AWS answers. @param memory in gigabytes */
export function milliseconds({ cpu, calls, ledger, published, sqs }: Cost, memory: number, { latency }: Assumptions): number {
  return cpu * Math.max(1, wholeProcessor / (1024 * memory)) + (calls + ledger + published + sqs) * latency;
}

/** Of so many invocations a month at random times, those that come when the function is warm no longer. */
export function coldStarts(invocations: number, { warmFor }: Assumptions): number {
  return invocations * Math.exp((-invocations * warmFor) / secondsOfMonth);
}

function reuses({ dataKeySeconds }: Assumptions): number {
  return secondsOfMonth / dataKeySeconds;
}

/** Each message is sent, received, hidden for as long as it may take, and deleted. */
const requestsPerMessage = 4;
/** Of a sender and a receiver. https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html */
const keyRequestsPerReuse = 3;

function queueLines(
  byListener: readonly { readonly rule: string; readonly messages: number }[],
  alerts: number,
  heartbeats: number,
  assume: Assumptions,
): readonly Line[] {
  const queues = new Map<string, number>();
  for (const { rule, messages } of byListener) queues.set(checkerOf(rule), (queues.get(checkerOf(rule)) ?? 0) + messages);
  queues.set('Notify', alerts);
  const keys = (messages: number) => keyRequestsPerReuse * Math.min(messages, reuses(assume));
  return [
    { part: 'standing by', meter: 'sqsRequest', units: 2 * requestsPerMessage * heartbeats },
    { part: 'standing by', meter: 'keyRequest', units: 2 * keys(heartbeats) },
    { part: 'events', meter: 'sqsRequest', units: requestsPerMessage * sum([...queues.values()]) },
    { part: 'events', meter: 'keyRequest', units: sum([...queues.values()].map(keys)) },
  ];
}

function alertLines(alerts: number, { emailsPerAlert }: Assumptions): readonly Line[] {
  const part = 'events';
  return [
    { part, meter: 'customEvent', units: alerts },
    { part, meter: 'published', units: alerts },
    { part, meter: 'email', units: alerts * emailsPerAlert },
    { part, meter: 'keyRequest', units: 2 * alerts },
  ];
}

/** Seconds that a sweep takes at least: every checker takes its calls from the same small shares of the account's quotas. */
export function secondsOfSweep(functions: number, deployed: Deployed, figures: Figures): number {
  const checkers = Object.values(figures.sweep);
  return Math.max(
    (functions * sum(checkers.map(({ lambda }) => lambda))) / deployed.lambdaCallsPerSecond,
    (functions * sum(checkers.map(({ policy }) => policy))) / deployed.lambdaCallsPerSecond,
    (functions * sum(checkers.map(({ apigateway }) => apigateway))) / deployed.apiGatewayCallsPerSecond,
  );
}

/**
 * Whoever waits for a share of a quota is billed: for as long as a sweep lasts, the invocations that a sweep's queue may have run,
 * and ask the ledger for a lease. docs/decisions/quota-leases.md says how they wait.
 */
function sweepLines({ functions, sweeps }: Month, deployed: Deployed, figures: Figures, assume: Assumptions): readonly Line[] {
  const part = 'sweeps';
  const lasts = secondsOfSweep(functions, deployed, figures);
  return Object.entries(figures.sweep).flatMap(([checker, cost]) => {
    const waits = cost.lambda + cost.policy + cost.apigateway > 0;
    const memory = memoryOf(checker, deployed);
    // The calls of a batch are made side by side, and one processor works for all of them.
    const works = (functions * milliseconds({ ...cost, cpu: cost.cpu * assume.batch }, memory, assume)) / 1000 / assume.batch;
    const waiting = waits ? lasts * deployed.sweepConcurrency * shareOfWaiting(functions, deployed, assume) : 0;
    const gigabytes = (functions * sweeps * (cost.logBytes + cost.invocations * assume.platformLog)) / 1e9;
    const keys = keyRequestsPerReuse * Math.min(functions / assume.batch, lasts / assume.dataKeySeconds + 1);
    const lines: readonly Line[] = [
      // A batch that is put back is received again.
      { part, meter: 'sqsRequest', units: sweeps * requestsPerMessage * (functions / assume.batch + waiting / assume.patience) },
      { part, meter: 'keyRequest', units: sweeps * keys },
      { part, meter: 'lambdaRequest', units: sweeps * (functions * cost.invocations + waiting / assume.patience) },
      { part, meter: 'lambdaGigabyteSecond', units: sweeps * Math.max(works, waiting) * memory },
      { part, meter: 'dynamoRead', units: sweeps * functions * cost.readUnits },
      { part, meter: 'dynamoWrite', units: sweeps * (functions * cost.writeUnits + waiting * assume.leasesPerSecond) },
      { part, meter: 'logged', units: gigabytes },
      { part, meter: 'logStored', units: (gigabytes * deployed.logDays) / 30 },
    ];
    return lines;
  });
}

/** Of the time of a sweep, when messages are there to wait: to try each of them once takes so long, and then it is away for a while. */
function shareOfWaiting(functions: number, { sweepConcurrency }: Deployed, { batch, patience, away }: Assumptions): number {
  const round = Math.ceil(functions / batch / sweepConcurrency) * patience;
  return round / (round + away);
}

function ledgerLines({ functions }: Month, { ledger }: Figures): readonly Line[] {
  const gigabytes = (functions * ledger.bytesOfFunction) / 1e9;
  return [
    { part: 'sweeps', meter: 'dynamoStored', units: gigabytes },
    { part: 'sweeps', meter: 'dynamoBackup', units: gigabytes },
  ];
}

/** `CheckRolesOnIam` → `CheckRoles`. */
function checkerOf(rule: string): string {
  return rule.replace(/On[A-Z]\w*$/, '');
}

/** A rule that brought nothing where it was measured costs what the other rules of its checker cost on average. */
function costOfListener(rule: string, { events }: Figures): Cost {
  const own = events[rule];
  if (own !== undefined) return own;
  const others = Object.entries(events).flatMap(([name, cost]) => (checkerOf(name) === checkerOf(rule) ? [cost] : []));
  const [first] = others;
  if (first === undefined) throw new Error(`No message of ${checkerOf(rule)} was measured.`);
  const names = Object.keys(first) as (keyof Cost)[];
  return Object.fromEntries(names.map((name) => [name, sum(others.map((cost) => cost[name])) / others.length])) as Cost;
}

function memoryOf(id: string, { memory }: Deployed): number {
  const megabytes = memory[id];
  if (megabytes === undefined) throw new Error(`The stack has no function ${id}.`);
  return megabytes / 1024;
}

/** Dollars of these lines; `free` takes off what every account has for nothing. */
export function dollars(lines: readonly Line[], { free = false }: { readonly free?: boolean } = {}): number {
  const units = new Map<Meter, number>();
  for (const line of lines) units.set(line.meter, (units.get(line.meter) ?? 0) + line.units);
  return sum([...units].map(([meter, used]) => costOfUnits(meter, Math.max(0, used - (free ? prices[meter].free : 0)))));
}

// --- the others

/** AWS Config doing the same: what changed is recorded, and every rule that looks at it is evaluated. */
export interface ConfigShares {
  /** Of all management events: changes of what rules look at. */
  readonly changes: number;
  /** … times the rules that look at each. */
  readonly evaluations: number;
  /** Rules that look at functions. */
  readonly functionRules: number;
  /** Of all rules, those that need a Lambda function of one's own. */
  readonly custom: number;
}

/** A custom rule's function: megabytes, and milliseconds an evaluation. */
export const customRule = { megabytes: 256, milliseconds: 300 };

/**
 * @param daily evaluates every rule about functions on every function once a day, as a sweep does; else on changes alone
 * @returns dollars a month, once what was there before has been recorded
 */
export function configDollars({ functions, events, sweeps }: Month, shares: ConfigShares, { daily }: { readonly daily: boolean }): number {
  const evaluations = events * shares.evaluations + (daily ? functions * shares.functionRules * sweeps : 0);
  const own = evaluations * shares.custom;
  return (
    costOfUnits('configurationItem', events * shares.changes) +
    evaluationDollars(evaluations) +
    costOfUnits('lambdaRequest', own) +
    costOfUnits('lambdaGigabyteSecond', own * (customRule.milliseconds / 1000) * (customRule.megabytes / 1024))
  );
}

/** Each tier's price for what is in it. */
export function evaluationDollars(evaluations: number): number {
  let below = 0;
  let total = 0;
  for (const { upTo, dollars: each } of evaluationTiers) {
    total += Math.max(0, Math.min(evaluations, upTo) - below) * each;
    below = upTo;
  }
  return total;
}

/** Cloud Custodian's event mode: a function for each policy, started for each event that the policy names. */
export interface EventMode {
  /** Policies that run for an event of a function, and for any other that is heard of; measured for CreateFunction. */
  readonly policiesPerFunctionEvent: number;
  readonly policiesPerOtherEvent: number;
  readonly millisecondsPerPolicy: number;
  readonly callsPerPolicy: number;
  readonly coldStart: number;
  readonly policies: number;
  readonly megabytes: number;
}

/** @param shares of all management events: of functions, and others that some policy names */
export function eventModeDollars(
  { events }: Pick<Month, 'events'>,
  shares: { readonly lambda: number; readonly others: number },
  mode: EventMode,
  assume: Assumptions = assumptions,
): number {
  const runs = events * (shares.lambda * mode.policiesPerFunctionEvent + shares.others * mode.policiesPerOtherEvent);
  const cold = mode.policies * coldStarts(runs / mode.policies, assume);
  const seconds = (runs * (mode.millisecondsPerPolicy + mode.callsPerPolicy * assume.latency) + cold * mode.coldStart) / 1000;
  const gigabytes = (runs * (assume.platformLog + 1_000)) / 1e9;
  return (
    costOfUnits('lambdaRequest', runs) +
    costOfUnits('lambdaGigabyteSecondX86', seconds * (mode.megabytes / 1024)) +
    costOfUnits('logged', gigabytes)
  );
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
