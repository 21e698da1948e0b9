import { parseArgs } from 'node:util';
import { functionArn } from '../../guard/arn.ts';
import { type EventBody, sample } from '../../test/support/events.ts';
import type { World } from '../../test/support/world/index.ts';
import { median } from '../median.ts';
import { randomFrom } from '../random.ts';
import { Bucket, place, type QuotaName, Simulation } from './burst/simulation.ts';
import { realTime, type Time, VirtualTime } from './burst/virtual-time.ts';
import { progress } from './progress.ts';

// What a flood of events does to an account whose quotas are small, and what the quotas do to the guard: its handlers, ledger
// and rules on a clock that passes only when nobody has anything to do, between queues and an AWS in memory (burst/simulation.ts).
// `node scripts/bench/burst.ts` makes the figures of docs/performance.md; with --events 300 in seconds.

/** The guard's share of each quota as the template ships it, in calls a second; GetFunction (100 a second) has none. */
const shares = { 'lambda:GetPolicy': 5, 'lambda:*': 5, 'apigateway:*': 3 } as const;
type Shared = keyof typeof shares;
const shared = Object.keys(shares) as Shared[];

/** What somebody else calls all the time beside the guard, a second. */
const beside: Readonly<Record<Shared, number>> = { 'lambda:GetPolicy': 9, 'lambda:*': 9, 'apigateway:*': 6 };

const start = Date.parse('2026-11-23T00:00:00.000Z');
const noLimit = { LambdaCallsPerSecond: '1000', ApiGatewayCallsPerSecond: '10' };
const arnOf = (name: string) => functionArn(name, place) ?? '';

/** Calls of the guard against one quota. */
interface CallFigures {
  readonly share: number;
  readonly all: number;
  /** On average, from the first to the last. */
  readonly perSecond: number;
  /** In the ten seconds that had the most, a second. */
  readonly mostOverTenSeconds: number;
  /** In the second that had the most: the share, and what had been saved up before. */
  readonly mostInOneSecond: number;
  /** Calls beyond a bucket that holds a second's share, and one more, since what was leased evenly sets out a little less so. */
  readonly beyondShare: number;
}

/** What `measureBurst` found. Times are seconds of the account, not of the machine. */
export interface BurstFigures {
  readonly events: number;
  readonly functions: number;
  /** Messages that the events are in the queues of the checkers that listen. */
  readonly messages: number;
  readonly calls: Readonly<Record<Shared, CallFigures>>;
  /** Calls that AWS throttled, of the pipeline beside the guard and of the guard. */
  readonly throttled: { readonly pipeline: number; readonly guard: number };
  /** Dead letters, and findings that an unhurried guard tells and this one did not. */
  readonly lost: number;
  /** Alerts that were sent once more. */
  readonly doubled: number;
  readonly told: number;
  readonly drain: { readonly seconds: number; readonly allowed: number; readonly ratio: number };
  /** Messages that were put back because they could not begin. */
  readonly putBack: number;
  /** Seconds from an event to the end of its last checker: with nothing else to do, and while a sweep runs. */
  readonly overtaking: { readonly alone: Latency; readonly duringSweep: Latency };
  readonly sweep: SweepFigures;
  /** Seconds until the alert, by deployments a minute. */
  readonly deployments: readonly { readonly perMinute: number; readonly latency: Latency }[];
  /** Of one checker with its workers, where no share holds it back: in real time, and as the latency of AWS alone would allow. */
  readonly eventsPerSecond: number;
  readonly eventsPerSecondByLatency: number;
}

interface SweepFigures {
  readonly functions: number;
  readonly seconds: number;
  readonly allowed: number;
  readonly ratio: number;
  /** Calls a function, by quota. */
  readonly calls: Readonly<Record<Shared, number>>;
}

interface Latency {
  readonly median: number;
  readonly most: number;
}

interface Options {
  readonly events: number;
  readonly functions: number;
  readonly seed: number;
}

/** The whole part. Takes two minutes for 10,000 events. */
export async function measureBurst({ events, functions, seed }: Options): Promise<BurstFigures> {
  const flooded = await flood({ events, functions, seed });
  progress(`burst: ${flooded.messages} messages of ${events} events judged in ${flooded.drain.seconds.toFixed(0)} s`);
  const swept = Math.min(functions, 400);
  const [alone, duringSweep] = [await overtaking(0, seed), await overtaking(swept, seed)];
  progress(`burst: an event overtakes a sweep in ${duringSweep.median.toFixed(1)} s`);
  const deployments = [];
  for (const perMinute of [1, 6, 12, 30, 60]) deployments.push({ perMinute, latency: await deploying(perMinute, seed) });
  return {
    ...flooded,
    overtaking: { alone, duringSweep },
    sweep: await sweeping(swept, seed),
    deployments,
    eventsPerSecond: await unlimited(Math.min(events, 3_000), seed, realTime),
    eventsPerSecondByLatency: await unlimited(Math.min(events, 3_000), seed, new VirtualTime(start)),
  };
}

/** Functions with a role each; of ten, three have a URL that is open to everybody, one an open policy, and one an open API before it. */
function estate(world: World, size: number): readonly string[] {
  const names = Array.from({ length: size }, (_, index) => `function-${index}`);
  for (const [index, FunctionName] of names.entries()) {
    world.iam.createRole({ RoleName: FunctionName });
    world.lambda.createFunction({ FunctionName });
    if (index % 10 < 3) world.lambda.createFunctionUrlConfig({ FunctionName, AuthType: 'NONE' });
    if (index % 10 === 3)
      world.lambda.addPermission({ FunctionName, StatementId: 'everyone', Action: 'lambda:InvokeFunction', Principal: '*' });
    if (index % 10 === 5) world.apiGatewayV2.createApi({ ApiId: `api${index}`, Target: arnOf(FunctionName) });
  }
  return names;
}

/** What CloudTrail tells of a change of one function, or of the API before it. */
const changes: Readonly<Record<string, (name: string, index: number) => readonly [sample: string, detail: object]>> = {
  configuration: (name) => [
    'UpdateFunctionConfiguration20150331v2/setup-by-hand.json',
    { requestParameters: { functionName: name, layers: undefined }, responseElements: configurationOf(name) },
  ],
  code: (name) => [
    'UpdateFunctionCode20150331v2/code-by-hand.json',
    { requestParameters: { functionName: name }, responseElements: configurationOf(name) },
  ],
  permission: (name) => ['AddPermission20150331v2/everyone.json', { requestParameters: { functionName: name } }],
  url: (name) => [
    'CreateFunctionUrlConfig/none.json',
    { requestParameters: { functionName: name }, responseElements: { functionArn: arnOf(name) } },
  ],
  tags: (name) => ['TagResource20170331v2/exempt.json', { requestParameters: { resource: arnOf(name) } }],
  stage: (_, index) => ['UpdateStage/http.json', { requestParameters: { apiId: `api${index - (index % 10) + 5}`, stageName: '$default' } }],
};

/** How often each of them happens. */
const mix = ['configuration', 'configuration', 'configuration', 'code', 'code', 'permission', 'permission', 'url', 'tags', 'stage'];

function configurationOf(name: string): object {
  return { functionName: name, functionArn: arnOf(name), role: `arn:aws:iam::${place.account}:role/${name}` };
}

function eventOf(id: string, change: string, name: string, index: number): EventBody {
  const [path, detail] = (changes[change] as (typeof changes)[string])(name, index);
  return sample(path, { id, detail: { eventID: id, ...detail } });
}

function eventsOf(names: readonly string[], { events, seed }: Options): readonly EventBody[] {
  const random = randomFrom(seed);
  return Array.from({ length: events }, (_, number) => {
    const index = Math.floor(random() * names.length);
    return eventOf(`e${number}`, mix[number % mix.length] ?? '', names[index] ?? '', index);
  });
}

/** All events at once, by a guard with its share beside a pipeline, and by one that has all the time and calls it wants. */
export async function flood(
  options: Options,
): Promise<Omit<BurstFigures, 'overtaking' | 'sweep' | 'deployments' | 'eventsPerSecond' | 'eventsPerSecondByLatency'>> {
  const unhurried = await judged(options, { parameters: noLimit, throttles: false });
  const hurried = await judged(options, {}, beside);
  const findings = (simulation: Simulation) => simulation.told.map(({ alert }) => [alert.findingId, alert.opened, alert.status].join(' '));
  const [expected, told] = [new Set(findings(unhurried.simulation)), findings(hurried.simulation)];
  const { simulation, seconds } = hurried;
  const allowed = Math.max(...shared.map((quota) => unhurried.simulation.calls[quota].length / shares[quota]));
  return {
    events: options.events,
    functions: options.functions,
    messages: simulation.queues.reduce((all, { receives, dead }) => all + receives.length + dead.length, -simulation.putBack),
    calls: callFigures(simulation),
    throttled: simulation.throttled,
    lost: simulation.queues.reduce((all, { dead }) => all + dead.length, 0) + [...expected].filter((one) => !told.includes(one)).length,
    doubled: told.length - new Set(told).size,
    told: told.length,
    drain: { seconds, allowed, ratio: seconds / allowed },
    putBack: simulation.putBack,
  };
}

async function judged(
  options: Options,
  settings: Partial<Parameters<typeof Simulation.create>[0]>,
  pipeline: Readonly<Partial<Record<QuotaName, number>>> = {},
): Promise<{ readonly simulation: Simulation; readonly seconds: number }> {
  const time = new VirtualTime(start);
  const simulation = await Simulation.create({ seed: options.seed, time, ...settings });
  const names = estate(simulation.world, options.functions);
  for (const event of eventsOf(names, options)) simulation.send(event);
  void simulation.pipeline(pipeline, simulation.quiet);
  await time.passes(simulation.quiet);
  const seconds = (time.now() - start) / 1000;
  // What was told last is on its way.
  await time.until(time.now() + 120_000);
  return { simulation, seconds };
}

function callFigures(simulation: Simulation): Record<Shared, CallFigures> {
  const of = (quota: Shared): CallFigures => {
    const moments = simulation.calls[quota];
    const share = shares[quota];
    const bucket = new Bucket(share, share + 1);
    return {
      share,
      all: moments.length,
      perSecond: moments.length / Math.max(1, ((moments.at(-1) ?? 0) - (moments[0] ?? 0)) / 1000),
      mostOverTenSeconds: mostWithin(moments, 10_000) / 10,
      mostInOneSecond: mostWithin(moments, 1_000),
      beyondShare: moments.filter((moment) => !bucket.take(moment)).length,
    };
  };
  return Object.fromEntries(shared.map((quota) => [quota, of(quota)])) as never;
}

/** The most moments within any so many milliseconds. */
function mostWithin(moments: readonly number[], window: number): number {
  let [first, most] = [0, 0];
  for (const [last, moment] of moments.entries()) {
    while (moment - (moments[first] ?? 0) >= window) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

/** One event every 20 seconds, while a sweep of so many functions runs. */
export async function overtaking(swept: number, seed: number): Promise<Latency> {
  const time = new VirtualTime(start);
  const simulation = await Simulation.create({ seed, time });
  const names = estate(simulation.world, Math.max(swept, 30));
  simulation.sweep('s1', names.slice(0, swept).map(arnOf));
  const isOver = () => swept > 0 && Object.values(simulation.sweeps).every(({ waiting }) => waiting === 0);
  const waits: number[] = [];
  for (let number = 0; number < 30 && !isOver(); number += 1) {
    const sent = time.now();
    simulation.send(eventOf(`e${number}`, mix[number % mix.length] ?? '', names[number] ?? '', number));
    await time.until(sent + 20_000);
    const done = simulation.handled.get(`e${number}`);
    waits.push(done === undefined ? Number.POSITIVE_INFINITY : (Math.max(...done.values()) - sent) / 1000);
  }
  return latencyOf(waits);
}

/** A sweep of so many functions that nothing disturbs. */
export async function sweeping(functions: number, seed: number): Promise<SweepFigures> {
  const time = new VirtualTime(start);
  const simulation = await Simulation.create({ seed, time });
  simulation.sweep('s1', estate(simulation.world, functions).map(arnOf));
  await time.passes(simulation.quiet);
  const seconds = (time.now() - start) / 1000;
  const allowed = Math.max(...shared.map((quota) => simulation.calls[quota].length / shares[quota]));
  const calls = Object.fromEntries(shared.map((quota) => [quota, simulation.calls[quota].length / functions])) as Record<Shared, number>;
  return { functions, seconds, allowed, ratio: seconds / allowed, calls };
}

function latencyOf(waits: readonly number[]): Latency {
  return { median: median(waits), most: Math.max(...waits) };
}

/** Functions that are deployed one after the other, each with a URL that is open: from its event to its alert. */
async function deploying(perMinute: number, seed: number): Promise<Latency> {
  const time = new VirtualTime(start);
  const simulation = await Simulation.create({ seed, time });
  const names = Array.from({ length: Math.max(5, 5 * perMinute) }, (_, index) => `deployed-${index}`);
  for (const FunctionName of names) {
    simulation.world.iam.createRole({ RoleName: FunctionName });
    simulation.world.lambda.createFunction({ FunctionName });
    simulation.world.lambda.createFunctionUrlConfig({ FunctionName, AuthType: 'NONE' });
  }
  const sent = new Map<string, number>();
  for (const [index, name] of names.entries()) {
    for (const change of ['created', 'code', 'permission', 'url', 'tags'])
      simulation.send(
        change === 'created'
          ? sample('CreateFunction20150331/code-by-hand.json', {
              id: `${name} ${change}`,
              detail: { eventID: `${name} ${change}`, requestParameters: configurationOf(name), responseElements: configurationOf(name) },
            })
          : eventOf(`${name} ${change}`, change, name, index),
      );
    sent.set(arnOf(name), time.now());
    await time.until(time.now() + 60_000 / perMinute);
  }
  await time.passes(simulation.quiet);
  const alerts = simulation.told.filter(({ alert }) => alert.rule === 'function-url-open');
  const waits = alerts.map(({ alert, at }) => (at - (sent.get(alert.resource.arn) ?? Number.NaN)) / 1000);
  if (waits.length !== names.length) throw new Error(`${names.length} open URLs were told of ${waits.length} times`);
  return latencyOf(waits);
}

/** Events of one checker a second, with the latency of AWS and nothing that holds it back. */
async function unlimited(events: number, seed: number, time: Time): Promise<number> {
  const simulation = await Simulation.create({ seed, time, parameters: noLimit, throttles: false });
  const names = estate(simulation.world, 300);
  const began = time.now();
  for (let number = 0; number < events; number += 1) {
    const index = number % names.length;
    simulation.send(eventOf(`e${number}`, 'url', names[index] ?? '', index), ['apis']);
  }
  if (time instanceof VirtualTime) await time.passes(simulation.quiet);
  else while (!simulation.quiet()) await time.sleep(10);
  return events / ((time.now() - began) / 1000);
}

type Promised = Pick<BurstFigures, 'calls' | 'throttled' | 'lost' | 'doubled' | 'drain'> &
  Partial<Pick<BurstFigures, 'overtaking' | 'eventsPerSecondByLatency'>>;

/** What of the guard's promises these figures break; none where all are kept. */
export function brokenPromises(figures: Promised): readonly string[] {
  const { calls, throttled, lost, doubled, drain, overtaking: event, eventsPerSecondByLatency: unlimited = 150 } = figures;
  const overtakes = event?.duringSweep.most ?? 0;
  return [
    ...Object.entries(calls).flatMap(([quota, { beyondShare }]) =>
      beyondShare > 0 ? [`${beyondShare} calls of ${quota} beyond the share`] : [],
    ),
    ...(throttled.pipeline > 0 ? [`${throttled.pipeline} calls of the pipeline were throttled`] : []),
    ...(throttled.guard > 0 ? [`${throttled.guard} calls of the guard were throttled`] : []),
    ...(lost > 0 ? [`${lost} lost`] : []),
    ...(doubled > 0 ? [`${doubled} told twice`] : []),
    ...(drain.ratio > 1.2 ? [`took ${drain.ratio.toFixed(2)} times as long as the share allows`] : []),
    ...(overtakes > 10 ? [`an event took ${overtakes.toFixed(1)} s while a sweep ran`] : []),
    ...(unlimited < 150 ? [`one checker handles ${unlimited.toFixed(0)} events a second, not 150`] : []),
  ];
}

/** The figures as a text. */
export function burstTable(figures: BurstFigures): string {
  const { calls, throttled, drain, overtaking: event, sweep, deployments } = figures;
  const seconds = ({ median: middle, most }: Latency) => `${middle.toFixed(1)} s, at most ${most.toFixed(1)} s`;
  const lines: readonly (readonly [string, string])[] = [
    ['events at once, and messages that they are', `${figures.events}, ${figures.messages}`],
    ...shared.map((quota): readonly [string, string] => {
      const { share, perSecond, mostOverTenSeconds, mostInOneSecond, beyondShare, all } = calls[quota];
      const most = `${mostOverTenSeconds} a second over ten seconds, ${mostInOneSecond} in one`;
      return [
        `calls of ${quota}`,
        `${all}: ${perSecond.toFixed(2)} a second of ${share}, at most ${most}; ${beyondShare} beyond the share`,
      ];
    }),
    ['throttled: of the pipeline, of the guard', `${throttled.pipeline}, ${throttled.guard}`],
    ['alerts, lost, told twice', `${figures.told}, ${figures.lost}, ${figures.doubled}`],
    ['put back', String(figures.putBack)],
    ['all judged after', `${drain.seconds.toFixed(0)} s; the share allows ${drain.allowed.toFixed(0)} s: ${drain.ratio.toFixed(3)} times`],
    ['an event by itself', seconds(event.alone)],
    ['an event while a sweep runs', seconds(event.duringSweep)],
    ['a sweep, calls a function', shared.map((quota) => `${quota} ${sweep.calls[quota].toFixed(2)}`).join(', ')],
    [`a sweep of ${sweep.functions} functions`, `${sweep.seconds.toFixed(0)} s, ${sweep.ratio.toFixed(3)} times what the share allows`],
    ...deployments.map(({ perMinute, latency }): readonly [string, string] => [
      `alert of a function, at ${perMinute} deployments a minute`,
      seconds(latency),
    ]),
    [
      'events a second of one checker without a share',
      `${figures.eventsPerSecond.toFixed(0)} in real time, ${figures.eventsPerSecondByLatency.toFixed(0)} by latency alone`,
    ],
  ];
  const width = Math.max(...lines.map(([what]) => what.length));
  return lines.map(([what, figure]) => `${what.padEnd(width)}  ${figure}`).join('\n');
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      events: { type: 'string', default: '10000' },
      functions: { type: 'string', default: '1000' },
      seed: { type: 'string', default: '20261123' },
      json: { type: 'boolean', default: false },
    },
  });
  const { events, functions, seed, json } = values;
  const figures = await measureBurst({ events: Number(events), functions: Number(functions), seed: Number(seed) });
  console.log(json ? JSON.stringify(figures) : burstTable(figures));
  const broken = brokenPromises(figures);
  for (const promise of broken) console.error(`broken: ${promise}`);
  process.exit(broken.length > 0 ? 1 : 0);
}

if (import.meta.main) void main();
