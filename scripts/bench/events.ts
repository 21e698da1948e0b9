import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { SQSRecord } from 'aws-lambda';
import { pascalCase } from '../../guard/rule.ts';
import { DynamoLedger } from '../../ledger/ledger.ts';
import { Table } from '../../ledger/table.ts';
import { rules } from '../../rules/index.ts';
import { account, administrator, type Ground, home, type Kind, sound } from '../../test/e2e/estate/kind.ts';
import { closedGroup, subnetIn } from '../../test/e2e/estate/vpc.ts';
import { before, type Expected, finding, ground, kinds, once, parameters, sideBySide, told } from '../../test/e2e/estate.ts';
import { packageOf } from '../../test/e2e/functions.ts';
import { buildDirectory, closeStage, due, openStage, quiet, stage, trust } from '../../test/e2e/stage.ts';
import { environmentOf, samBuild, samDeploy } from '../../test/support/stack.ts';
import { median } from '../median.ts';
import { Checker, type Handled } from './events/checker.ts';
import { Custodian, type Envelope } from './events/custodian.ts';
import { type Profiles, profileOf, renderProfile } from './events/profile.ts';
import { type Judgement, judge, type Report } from './peers/judge.ts';
import { progress } from './progress.ts';
import { type Spread, shown, spread } from './spread.ts';

// What an event costs: the guard is deployed to an emulated account, and this takes the place of Lambda's poller. Every
// checker runs as its deployed function does (bundle, variables, role) on messages of its own queue, one at a time, while the
// account grows. `node scripts/bench/events.ts --sizes 50,200`.

/** How often an event calls AWS. */
interface Calls {
  /** Reads of the account. */
  readonly reads: number;
  /** Calls of the guard's own ledger, archive, queue and bus. */
  readonly own: number;
}

/** How often each call was made, by `service:Operation`. */
type Times = Readonly<Record<string, number>>;

interface CreateFunctionCalls {
  readonly reads: Times;
  readonly own: Times;
}

/** One kind of violation, by the event that told of it. */
interface KindFigures {
  readonly rule: string;
  readonly how: string;
  readonly event: string;
  /** By the number of functions in the account. */
  readonly calls: Readonly<Record<number, Calls>>;
  /** Milliseconds, where they were taken. */
  readonly warm?: Warm;
  /** Calls of the policy that asks the same, where the event starts one. */
  readonly custodianCalls: Readonly<Record<number, number>>;
}

/** A warm function, in milliseconds. */
interface Warm {
  readonly practice: string;
  readonly own: Spread;
  /** The policy that asks the same. */
  readonly custodian?: Spread;
  /** The median of a round against that of the policy in this round. */
  readonly ratio?: Spread;
  /** The same against all policies of the practice that this event starts, which together look at what the checker looks at. */
  readonly practiceRatio?: Spread;
}

interface ColdFigures {
  readonly practice: string;
  readonly how: string;
  readonly imported: Spread;
  readonly first: Spread;
  /** Import and first event together, of every policy of the practice that this event starts. */
  readonly custodian?: Spread;
  /** Import and first event together, against the median policy of the same round. */
  readonly ratio?: Spread;
  readonly profile?: Profiles;
}

/** What `measureEvents` found. */
export interface EventFigures {
  readonly sizes: readonly number[];
  /** Violations that events can tell of, and how many of them were found. */
  readonly eventRecall: number;
  readonly expected: number;
  readonly missed: readonly string[];
  /** Findings of nothing that was made wrong. */
  readonly unexpected: readonly string[];
  readonly kinds: readonly KindFigures[];
  /** Kinds whose events read more, or less, where there are more functions. */
  readonly growing: readonly string[];
  /** One CreateFunction that breaks nothing, by checker, in an account of so many functions. */
  readonly createFunction: Readonly<Record<number, Readonly<Record<string, CreateFunctionCalls>>>>;
  readonly cold: readonly ColdFigures[];
  /** What Cloud Custodian found of the same events, if it was told of them. */
  readonly custodian?: {
    readonly found: Pick<Judgement, 'recall' | 'kinds' | 'missed'>;
    /** Policies that a CreateFunction starts, and all their calls. */
    readonly createFunction: { readonly policies: number; readonly calls: number };
    /** Runs that failed. */
    readonly errors: number;
  };
}

interface Options {
  /** How many functions the account has, one after another. */
  readonly sizes: readonly number[];
  /** How often times are taken; 0 takes none. */
  readonly rounds: number;
  /** Whether Cloud Custodian is told of the same events. */
  readonly custodian?: boolean;
  /** The violations that are made, if not all: how each is. */
  readonly only?: readonly string[];
  /** Whether cold and warm events are profiled, one of each checker. */
  readonly profiled?: boolean;
}

/** Events that a checker handles warm in each round: so many by so many rounds are what a p50 is of. */
const warmEach = 6;

/** Functions that fill the account, in one request. */
const fillAtOnce = 250;

/** Whose first event is measured: what every practice has, and other tools have a policy for. */
const coldKinds = ['trusts-everyone', 'password-by-name', 'url', 'ingress', 'signed-by-nobody', 'guard-switched-off'];

/** Deploys the guard, grows the account, and measures. @throws where a message cannot be handled */
export async function measureEvents({ custodian = true, ...options }: Options): Promise<EventFigures> {
  await openStage('events');
  try {
    const known = await before();
    progress('building and deploying');
    await samBuild(stage.pipeline, buildDirectory);
    const modes = Object.fromEntries(rules.map(({ id }) => [`${pascalCase(id)}Mode`, 'alert']));
    // The emulator has no quota.
    const calls = { LambdaCallsPerSecond: '1000', ApiGatewayCallsPerSecond: '10' };
    const more = { Deployers: stage.pipelineRole, Operators: stage.operatorRole, ...calls, DigestOver: '1000' };
    stage.outputs = await samDeploy(stage.pipeline, { ...modes, ...parameters(known), ...more }, buildDirectory);
    // The first sweep, of an account that is empty.
    await due('TickEveryMinute');
    await quiet(1_500);
    await stopDeployed();
    const practices = [...new Set(rules.map(({ practice }) => practice))];
    const checkers = await Promise.all(practices.map((practice) => Checker.of(practice)));
    const peer = custodian ? await Custodian.start() : undefined;
    try {
      return await new Measurement(checkers, await ground(known), options, peer).run();
    } finally {
      for (const checker of checkers) await checker.end();
      await peer?.end();
    }
  } finally {
    await closeStage();
  }
}

/** No deployed function of the guard does anything any more. By a deployer of it: anybody else would tamper with it. */
async function stopDeployed(): Promise<void> {
  const { EventSourceMappings } = await stage.botoPipeline.call('lambda', 'list_event_source_mappings', {});
  for (const { UUID } of EventSourceMappings)
    await stage.botoPipeline.call('lambda', 'update_event_source_mapping', { UUID, Enabled: false });
  const { Rules } = await stage.botoPipeline.call('events', 'list_rules', {});
  for (const { Name, ScheduleExpression } of Rules)
    if (ScheduleExpression !== undefined) await stage.botoPipeline.call('events', 'disable_rule', { Name });
  await quiet(1_500);
}

/** An event of which a checker was told. */
interface Told extends Handled {
  readonly checker: Checker;
  readonly envelope: Envelope;
}

class Measurement {
  readonly #checkers: readonly Checker[];
  readonly #ground: Ground;
  readonly #options: Options;
  readonly #custodian: Custodian | undefined;
  readonly #calls = new Map<string, { event: string; calls: Record<number, Calls>; custodianCalls: Record<number, number> }>();
  readonly #warm = new Map<string, Warm>();
  readonly #custodianReports: Report[] = [];
  readonly #toldCustodian = new Set<string>();
  #custodianErrors = 0;
  #custodianCreate = { policies: 0, calls: 0 };
  readonly #cold: ColdFigures[] = [];
  readonly #missed: string[] = [];
  readonly #unexpected: string[] = [];
  #firstExpected: readonly Expected[] = [];
  #expected = 0;
  #functions = 0;
  #common: { readonly group: string; readonly subnets: readonly string[] } | undefined;

  constructor(checkers: readonly Checker[], its: Ground, options: Options, custodian: Custodian | undefined) {
    this.#checkers = checkers;
    this.#ground = its;
    this.#options = options;
    this.#custodian = custodian;
  }

  async run(): Promise<EventFigures> {
    const { sizes } = this.#options;
    const createFunction: Record<number, Readonly<Record<string, CreateFunctionCalls>>> = {};
    await this.#drain(new Map());
    for (const [index, size] of sizes.entries()) {
      progress(`an account of ${size} functions`);
      await this.#grow(size);
      createFunction[size] = await this.#createOne(size);
      await this.#breakAll(size, index === 0);
    }
    const figures = [...this.#calls].map(([how, { event, calls, custodianCalls }]): KindFigures => {
      const rule = this.#kinds().find((kind) => kind.how === how)?.rule ?? '';
      const warm = this.#warm.get(how);
      return { rule, how, event, calls, custodianCalls, ...(warm === undefined ? {} : { warm }) };
    });
    return {
      sizes,
      eventRecall: 1 - this.#missed.length / this.#expected,
      expected: this.#expected,
      missed: this.#missed,
      unexpected: this.#unexpected,
      kinds: figures.sort((a, b) => `${a.rule} ${a.how}`.localeCompare(`${b.rule} ${b.how}`)),
      growing: figures.flatMap(({ how, calls }) => {
        const [reads, own] = [Object.values(calls).map((at) => at.reads), Object.values(calls).map((at) => at.own)];
        return new Set(reads).size + new Set(own).size > 2 ? [`${how}: ${reads.join(', ')} reads, ${own.join(', ')} own`] : [];
      }),
      createFunction,
      cold: this.#cold,
      ...(this.#custodian === undefined
        ? {}
        : {
            custodian: {
              found: judge(this.#custodianReports, this.#firstExpected),
              createFunction: this.#custodianCreate,
              errors: this.#custodianErrors,
            },
          }),
    };
  }

  /** What events can tell of. */
  #kinds(): readonly Kind[] {
    const all = [...kinds.filter(({ onlySwept }) => onlySwept === undefined), this.#commonGroup, ...once];
    return all.filter(({ how }) => this.#options.only?.includes(how) ?? true);
  }

  /** In the security group of half of all functions: what the account's size could make dearer. */
  readonly #commonGroup: Kind = {
    rule: 'security-group-open-ingress',
    how: 'ingress-of-the-common-group',
    make: async () => {
      const GroupId = this.#common?.group;
      const IpPermissions = [{ IpProtocol: 'tcp', FromPort: 443, ToPort: 443, IpRanges: [{ CidrIp: '0.0.0.0/0' }] }];
      await administrator('ec2', 'authorize_security_group_ingress', { GroupId, IpPermissions });
      return `arn:aws:ec2:${home}:security-group/${GroupId}`;
    },
  };

  /** So many functions, half of them in one group and two subnets. The indexes are told of them as a sweep would. */
  async #grow(size: number): Promise<void> {
    const { vpc } = this.#ground;
    this.#common ??= { group: await closedGroup('fill', vpc), subnets: [await subnetIn(vpc, 'a'), await subnetIn(vpc, 'b')] };
    const { group, subnets } = this.#common;
    const vpcChecker = this.#checkers.find(({ practice }) => practice === 'vpc');
    Object.assign(process.env, environmentOf(vpcChecker?.principal ?? stage.root));
    const ledger = new DynamoLedger(new Table(stage.outputs['LedgerTableName'] ?? '', { account, region: stage.root.region }));
    const ZipFile = Buffer.from(packageOf('fill')).toString('base64');
    const VpcConfig = { SubnetIds: subnets, SecurityGroupIds: [group] };
    const wanted = Array.from({ length: size - this.#functions }, (_, index) => ({
      FunctionName: `fill-${this.#functions + index}`,
      Runtime: 'nodejs24.x',
      Handler: 'index.handler',
      Code: { ZipFile },
      ...(index % 2 === 0 ? { VpcConfig } : {}),
    }));
    for (let from = 0; from < wanted.length; from += fillAtOnce) {
      const made = await stage.bench.functions({
        functions: wanted.slice(from, from + fillAtOnce),
        trust: trust({ Service: 'lambda.amazonaws.com' }),
        policy: 'arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole',
      });
      await sideBySide(made.values(), async ({ FunctionArn, Role, LastModified, VpcConfig: placed }) => {
        const record = { function: FunctionArn, asOf: Date.parse(LastModified) };
        await ledger.recordRoles({ ...record, role: Role, liveRoles: [] });
        if (placed !== undefined) await ledger.recordNetwork({ ...record, groups: [group], subnets });
      });
    }
    progress(`filled with ${wanted.length} functions`);
    this.#functions = size;
    await this.#drain(new Map());
  }

  /** A function that breaks nothing: what each checker reads of it. */
  async #createOne(size: number): Promise<Readonly<Record<string, CreateFunctionCalls>>> {
    const name = `create-${size}`;
    await sound(name);
    const created = (await this.#drain(new Map())).filter(
      ({ envelope: { detail } }) => detail.eventName.startsWith('CreateFunction') && detail.requestParameters?.['functionName'] === name,
    );
    const [{ envelope } = { envelope: undefined }] = created;
    if (this.#custodian !== undefined && envelope !== undefined) {
      const runs = [];
      for (const { policy } of this.#custodian.startedBy(envelope)) runs.push(await this.#custodian.handle(policy, envelope));
      this.#custodianCreate = { policies: runs.length, calls: runs.reduce((sum, { calls }) => sum + calls, 0) };
    }
    const byChecker = created.map(({ checker, reads, own, findings }) => {
      if (findings.length > 0) throw new Error(`${name} breaks ${findings.map(({ rule }) => rule).join(', ')}`);
      return [checker.practice, { reads: timesEach(reads), own: timesEach(own) }] as const;
    });
    return Object.fromEntries(byChecker);
  }

  /** Breaks every rule in every way, as far as events tell, and hears of it. */
  async #breakAll(size: number, first: boolean): Promise<void> {
    const all = this.#kinds().filter((kind) => first || !once.includes(kind));
    const expected: Expected[] = [];
    const later: (() => Promise<unknown>)[] = [];
    const mark = (await stage.bench.records()).at(-1)?.seq ?? 0;
    await sideBySide(all.values(), async (kind) => {
      const name = `estate-${size}-${kind.how}`;
      const made = await told(name, kind.make(name, this.#ground));
      const wrong = typeof made === 'string' ? { found: [made] } : made;
      expected.push(...wrong.found.map((arn) => ({ finding: `${kind.rule} ${arn}`, name, kind })));
      if (wrong.later !== undefined) later.push(() => told(name, wrong.later?.() ?? Promise.resolve()));
    });
    const open = new Map(expected.map((one) => [one.finding, one.kind]));
    this.#expected += open.size;
    const wanted = new Set(open.keys());
    if (first) this.#firstExpected = expected;
    await this.#drain(open, size, first);
    await sideBySide(later.values(), (happens) => happens());
    await this.#drain(open, size, first, wanted);
    // And what Cloud Custodian would be told of beside that: the guard is not told of every event.
    if (first) for (const detail of (await stage.bench.records()).filter(({ seq }) => seq > mark)) await this.#tellCustodian({ detail });
    this.#missed.push(...[...open.keys()].map((one) => `${one} (of ${size})`));
    const IpPermissions = [{ IpProtocol: 'tcp', FromPort: 443, ToPort: 443, IpRanges: [{ CidrIp: '0.0.0.0/0' }] }];
    if (all.includes(this.#commonGroup))
      await administrator('ec2', 'revoke_security_group_ingress', { GroupId: this.#common?.group, IpPermissions });
    await this.#drain(new Map());
  }

  /**
   * Hands the checkers every message that there is.
   * @param open what is to be found; what was found is taken out
   * @param wanted if given, findings of anything else are unexpected
   */
  async #drain(open: Map<string, Kind>, size = 0, timed = false, wanted?: ReadonlySet<string>): Promise<readonly Told[]> {
    const all: Told[] = [];
    for (const checker of this.#checkers) {
      for (let failures = 0; ; ) {
        const records = await checker.receive();
        if (records.length === 0 && failures === 0) break;
        if (records.length === 0) {
          failures = 0;
          await checker.redeliver();
        }
        for (const record of records) {
          const handled = await checker.handle(record);
          const envelope = JSON.parse(record.body) as Envelope;
          all.push({ ...handled, checker, envelope });
          if (handled.failed) {
            failures += 1;
            continue;
          }
          await this.#heard(checker, record, handled, { open, size, timed, envelope, ...(wanted ? { wanted } : {}) });
          if (timed) await this.#tellCustodian(envelope);
          await checker.remove(record);
        }
      }
    }
    progress(`${all.length} events handled`);
    return all;
  }

  async #heard(checker: Checker, record: SQSRecord, { findings, reads, own }: Handled, told: Telling): Promise<void> {
    const { open, wanted, size, timed, envelope } = told;
    for (const { rule, status, resource } of findings) {
      const one = finding(rule, resource);
      if (status !== 'open') continue;
      if (wanted?.has(one) === false) this.#unexpected.push(`${one} (of ${size})`);
      const kind = open.get(one);
      if (kind === undefined) continue;
      open.delete(one);
      const figures = this.#calls.get(kind.how) ?? { event: envelope.detail.eventName, calls: {}, custodianCalls: {} };
      this.#calls.set(kind.how, figures);
      if (figures.calls[size] !== undefined) continue;
      figures.calls[size] = { reads: reads.length, own: own.length };
      const [policy] = this.#policies(kind, envelope);
      if (policy !== undefined) figures.custodianCalls[size] = (await this.#custodian?.handle(policy, envelope))?.calls ?? 0;
      if (timed && this.#options.rounds > 0) await this.#time(kind, checker, record, envelope);
      if (timed && this.#options.rounds > 0 && coldKinds.includes(kind.how)) await this.#start(kind, checker, record, envelope);
    }
  }

  /** Policies of Cloud Custodian that this event starts: first that which asks what this rule asks, then the others of its practice. */
  #policies({ rule }: Kind, envelope: Envelope): readonly [string | undefined, ...string[]] {
    const started = this.#custodian?.startedBy(envelope) ?? [];
    const same = started.find((policy) => policy.rules.includes(rule))?.policy;
    const practice = practiceOf(rule);
    const all = started.filter((policy) => policy.policy !== same && policy.rules.some((one) => practiceOf(one) === practice));
    return [same, ...all.map(({ policy }) => policy)];
  }

  /** What Cloud Custodian finds of an event, whatever the checkers found of it. */
  async #tellCustodian(envelope: Envelope): Promise<void> {
    if (this.#custodian === undefined || this.#toldCustodian.has(envelope.detail.eventID)) return;
    this.#toldCustodian.add(envelope.detail.eventID);
    for (const { policy, rules: asked } of this.#custodian.startedBy(envelope)) {
      const { matched, error } = await this.#custodian.handle(policy, envelope);
      if (error !== undefined) this.#custodianErrors += 1;
      this.#custodianReports.push(...matched.map((arn) => ({ rules: asked, arn })));
    }
  }

  /** Takes the times of one event, by turns with Cloud Custodian: the message is still the checker's, and is handled again and again. */
  async #time(kind: Kind, checker: Checker, record: SQSRecord, envelope: Envelope): Promise<void> {
    const [policy, ...others] = this.#policies(kind, envelope);
    const [ours, theirs, ratios, practice]: [number[], number[], number[], number[]] = [[], [], [], []];
    for (let round = 0; round < this.#options.rounds; round += 1) {
      const [mine, same, besides]: [number[], number[], number[]] = [[], [], []];
      for (let turn = 0; turn < warmEach; turn += 1) {
        mine.push((await checker.handle(record)).milliseconds);
        if (policy !== undefined) same.push(await this.#timeOf(policy, envelope));
      }
      // Once a round is enough for those that look at something else.
      for (const other of policy === undefined ? [] : others) besides.push(await this.#timeOf(other, envelope));
      ours.push(...mine);
      theirs.push(...same);
      ratios.push(median(mine) / median(same));
      practice.push(median(mine) / (median(same) + besides.reduce((sum, one) => sum + one, 0)));
    }
    const their = policy === undefined ? {} : { custodian: spread(theirs), ratio: spread(ratios), practiceRatio: spread(practice) };
    this.#warm.set(kind.how, { practice: checker.practice, own: spread(ours), ...their });
  }

  async #timeOf(policy: string, envelope: Envelope): Promise<number> {
    return (await this.#custodian?.handle(policy, envelope))?.milliseconds ?? 0;
  }

  /** The same from the start of a process. */
  async #start(kind: Kind, checker: Checker, record: SQSRecord, envelope: Envelope): Promise<void> {
    const policies = this.#policies(kind, envelope).filter((policy) => policy !== undefined);
    const [imported, first, theirs, ratios]: [number[], number[], number[], number[]] = [[], [], [], []];
    for (let round = 0; round < this.#options.rounds; round += 1) {
      const cold = await checker.cold(record);
      imported.push(cold.imported);
      first.push(cold.milliseconds);
      const others: number[] = [];
      for (const policy of policies) {
        const other = await this.#custodian?.cold(policy, envelope);
        if (other !== undefined) others.push(other.imported + other.first);
      }
      theirs.push(...others);
      if (others.length > 0) ratios.push((cold.imported + cold.milliseconds) / median(others));
    }
    const their = theirs.length === 0 ? {} : { custodian: spread(theirs), ratio: spread(ratios) };
    const profile = this.#options.profiled === true ? { profile: await profileOf(checker, record) } : {};
    this.#cold.push({ practice: checker.practice, how: kind.how, imported: spread(imported), first: spread(first), ...their, ...profile });
  }
}

/** What is known when a checker has handled a message. */
interface Telling {
  readonly open: Map<string, Kind>;
  readonly wanted?: ReadonlySet<string>;
  readonly size: number;
  readonly timed: boolean;
  readonly envelope: Envelope;
}

function practiceOf(rule: string): string {
  return rules.find(({ id }) => id === rule)?.practice ?? '';
}

/** How often each call was made. */
function timesEach(calls: readonly string[]): Times {
  const times = Map.groupBy(calls, (call) => call)
    .entries()
    .map(([call, { length }]) => [call, length] as const);
  return Object.fromEntries(times);
}

function listed(calls: Times): string {
  return Object.entries(calls)
    .map(([call, times]) => (times > 1 ? `${times} ${call}` : call))
    .join(', ');
}

/** Reads that a CreateFunction costs whatever the rules know: what depends on the role's policies and on aliases is aside. */
const aside = /^(iam:Simulate|lambda:ListAliases)/;

/** Calls of the account for one CreateFunction over all checkers, without simulations and reads of aliases. */
export function createFunctionCalls({ createFunction, sizes }: EventFigures): number {
  const last = createFunction[sizes.at(-1) ?? 0] ?? {};
  const counted = Object.values(last).flatMap(({ reads }) => Object.entries(reads).filter(([read]) => !aside.test(read)));
  return counted.reduce((sum, [, times]) => sum + times, 0);
}

/** Calls of the events that told of a violation, by rule (of its dearest kind) and of all kinds together, in an account of so many functions. */
export function eventCallsAt(
  { kinds: all, sizes }: EventFigures,
  size: number,
): { readonly total: number; readonly byRule: Readonly<Record<string, number>> } {
  const byRule: Record<string, number> = {};
  let total = 0;
  for (const { rule, calls } of all) {
    // What is wrong once in an account is made at its first size alone.
    if (sizes.some((one) => calls[one] === undefined)) continue;
    const { reads, own } = calls[size] ?? { reads: 0, own: 0 };
    total += reads + own;
    byRule[rule] = Math.max(byRule[rule] ?? 0, reads + own);
  }
  return { total, byRule };
}

/** Times of an event against Cloud Custodian's: by checker, the median of all kinds that it has a policy for. */
export function warmVsCustodian({
  kinds: all,
}: EventFigures): Readonly<Record<string, { readonly policy: number; readonly practice: number }>> {
  const compared = all.flatMap(({ warm }) => (warm?.ratio === undefined || warm.practiceRatio === undefined ? [] : [warm]));
  const byPractice = Map.groupBy(compared, ({ practice }) => practice).entries();
  return Object.fromEntries(
    byPractice.map(([practice, warm]) => [
      practice,
      {
        policy: median(warm.map(({ ratio }) => ratio?.median ?? Number.NaN)),
        practice: median(warm.map(({ practiceRatio }) => practiceRatio?.median ?? Number.NaN)),
      },
    ]),
  );
}

/** Import and first event against Cloud Custodian's, by checker. */
export function coldVsCustodian({ cold }: EventFigures): Readonly<Record<string, number>> {
  return Object.fromEntries(cold.flatMap(({ practice, ratio }) => (ratio === undefined ? [] : [[practice, ratio.median]])));
}

/** The tables of what was measured, as Markdown. */
export function renderEvents(figures: EventFigures): string {
  const { sizes, kinds: all, cold, createFunction, custodian } = figures;
  const ratio = (some: Spread | undefined) => (some === undefined ? '' : shown(some, 2));
  const lines = [
    `event recall ${figures.eventRecall.toFixed(4)} of ${figures.expected}, unexpected ${figures.unexpected.length}`,
    ...figures.missed.map((one) => `  missed: ${one}`),
    ...figures.unexpected.map((one) => `  unexpected: ${one}`),
    ...(custodian === undefined
      ? []
      : [
          `Cloud Custodian, of the first account's: event recall ${custodian.found.recall.violations.toFixed(4)}, mean over ${custodian.found.kinds.all} kinds ${custodian.found.recall.kinds.toFixed(4)}; ${custodian.errors} runs failed`,
          ...Object.entries(custodian.found.missed).map(([kind, missed]) => `  missed by Cloud Custodian: ${kind}, ${missed}`),
        ]),
    '',
    `| rule | violation | event | ${sizes.map((size) => `${size} functions`).join(' | ')} | Custodian's calls | warm, ms | Custodian's, ms | times its policy | times its policies of the practice |`,
    `|---|---|---|${sizes.map(() => '---').join('|')}|---|---|---|---|---|`,
    ...all.map(({ rule, how, event, calls, custodianCalls, warm }) => {
      const by = sizes.map((size) => (calls[size] === undefined ? '' : `${calls[size].reads} + ${calls[size].own}`));
      const theirs = sizes.flatMap((size) => custodianCalls[size] ?? []).join(', ');
      const times = [warm?.own, warm?.custodian].map((some) => (some === undefined ? '' : shown(some, 0)));
      return `| ${[rule, how, event, ...by, theirs, ...times, ratio(warm?.ratio), ratio(warm?.practiceRatio)].join(' | ')} |`;
    }),
    '',
    figures.growing.length === 0 ? 'Calls do not depend on the number of functions.' : 'Calls depend on the number of functions:',
    ...figures.growing.map((one) => `  ${one}`),
    '',
    `One CreateFunction that breaks nothing: ${createFunctionCalls(figures)} calls of the account, simulations and ListAliases aside`,
    ...Object.entries(createFunction[sizes.at(-1) ?? 0] ?? {}).map(
      ([practice, { reads, own }]) => `  ${practice}: ${listed(reads)}; of the guard's own: ${listed(own)}`,
    ),
    ...(custodian === undefined
      ? []
      : [`  Cloud Custodian: ${custodian.createFunction.policies} policies, ${custodian.createFunction.calls} calls`]),
    '',
    '| checker | import, ms | first event, ms | Custodian, both, ms | times its median policy |',
    '|---|---|---|---|---|',
    ...cold.map(({ practice, imported, first, custodian: theirs, ratio: times }) => {
      const both = theirs === undefined ? '' : shown(theirs, 0);
      return `| ${practice} | ${shown(imported, 0)} | ${shown(first, 0)} | ${both} | ${ratio(times)} |`;
    }),
    ...cold.flatMap(({ practice, profile }) =>
      profile === undefined ? [] : ['', `Where the time of ${practice} goes:`, renderProfile(profile)],
    ),
    '',
    'Warm, median of all kinds (against the policy of the rule, and all of the practice that the event starts):',
    ...Object.entries(warmVsCustodian(figures)).map(
      ([practice, { policy, practice: whole }]) => `  ${practice}: ${policy.toFixed(2)}, ${whole.toFixed(2)}`,
    ),
  ];
  return lines.join('\n');
}

async function writeFlameGraphs({ cold }: EventFigures, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const { practice, profile } of cold)
    for (const [what, { graph }] of Object.entries(profile ?? {})) await writeFile(join(folder, `${practice}-${what}.svg`), graph);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      sizes: { type: 'string', default: '50,200' },
      rounds: { type: 'string', default: '5' },
      only: { type: 'string' },
      alone: { type: 'boolean', default: false },
      profile: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const figures = await measureEvents({
    sizes: values.sizes.split(',').map(Number),
    rounds: Number(values.rounds),
    custodian: !values.alone,
    profiled: values.profile !== undefined,
    ...(values.only === undefined ? {} : { only: values.only.split(',') }),
  });
  if (values.profile !== undefined) await writeFlameGraphs(figures, values.profile);
  console.log(values.json ? JSON.stringify(figures) : renderEvents(figures));
  process.exit();
}
