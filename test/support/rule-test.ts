import { connect } from '../../aws/handle.ts';
import { wholeRegion } from '../../aws/lists.ts';
import { parseArn } from '../../guard/arn.ts';
import type { AnyCall, RecordedCall } from '../../guard/call.ts';
import { triggered } from '../../guard/check.ts';
import { type ApiEvent, type ReadEvent, readEvent } from '../../guard/cloudtrail.ts';
import { errorKind, errorName } from '../../guard/errors.ts';
import { type Finding, findingId, type Severity } from '../../guard/finding.ts';
import type { Ports } from '../../guard/ports.ts';
import { type AnyRule, type Evaluation, isWait, type Plan, type Settings, type Violation } from '../../guard/rule.ts';
import { functionSubject, type Subject } from '../../guard/subject.ts';
import { MemoryLedger } from '../../ledger/memory.ts';
import type { EventBody } from './events.ts';
import { createWorld, type SdkCall, type World } from './world/index.ts';

/** A violation as the table writes it out: whole, as the alert will carry it. */
export interface ExpectedViolation {
  /** The subject's ARN. */
  readonly subject: string;
  readonly severity: Severity;
  readonly summary: string;
  readonly evidence: Readonly<Record<string, unknown>>;
  readonly tags: Readonly<Record<string, string>>;
  /** What the rule's plan must be, where the row says so. */
  readonly plan?: Plan;
}

interface Common {
  readonly name: string;
  readonly arrange?: (world: World, ledger: MemoryLedger) => void | Promise<void>;
  /** Parameters that differ from the rule's defaults. */
  readonly params?: Readonly<Record<string, string>>;
  readonly settings?: Partial<Settings>;
}

/** What makes the rule look: an event, a function (by its ARN) in a sweep, or a subject that a sweep listed. */
type Cause = { readonly event: EventBody } | { readonly sweep: string } | { readonly listed: Subject };

/** Calls that an evaluation makes, exactly. */
interface Cost {
  readonly calls?: { readonly aws?: number; readonly ledger?: number };
}

type Compliant = Common & Cause & Cost & { readonly kind: 'compliant'; readonly expect?: { readonly compliant: readonly string[] } };
type Violating = Common &
  Cause &
  Cost & {
    readonly kind: 'violating';
    readonly expect: { readonly violations: readonly ExpectedViolation[]; readonly compliant?: readonly string[] };
  };
type Ignored = Common & { readonly kind: 'ignored'; readonly event: EventBody };
type Failing = Common &
  Cause &
  Cost & {
    readonly kind: 'failing';
    /** The operation that fails throughout; left out where the world itself is what cannot be read. */
    readonly fail?: { readonly operation: string; readonly error: string; readonly after?: number };
    /** What evaluate() throws; left out where the subject counts as gone, which is compliant. */
    readonly expect?: { readonly throws: 'passing' | 'lasting'; readonly error?: string };
  };

export type Row = Compliant | Violating | Ignored | Failing;

/** bad → evaluate → plan → run → clean → undo → equal to before. */
export type RoundTrip = Common &
  Cause & {
    /** The calls of the plan in order; `wait` for a pause. */
    readonly steps: readonly string[];
    /** What stays wrong after the fix, by the plan's own word. */
    readonly remains?: readonly string[];
    /** Looks at the world between fix and undo. */
    readonly fixed?: (world: World) => void | Promise<void>;
  };

export interface RuleTable {
  readonly rows: readonly Row[];
  /** Required where the rule has a fix. */
  readonly roundTrips?: readonly RoundTrip[];
}

export const place = { account: '111122223333', region: 'us-east-1' };
/** What plans are named by in tests. */
export const changeId = 'c0ffee123456';

const defaultSettings: Settings = {
  stack: 'guard',
  deployers: [],
  operators: [],
  archiveBucket: 'guard-archive',
  boundaryArn: 'arn:aws:iam::111122223333:policy/compliance-guard/boundary',
  denialArn: 'arn:aws:iam::111122223333:policy/guard-denial',
  keyArn: 'arn:aws:kms:us-east-1:111122223333:key/11112222-3333-4444-5555-666677778888',
  alertTopicArn: 'arn:aws:sns:us-east-1:111122223333:guard-AlertTopic-A1B2C3',
};

/** Seconds after which no function is Pending or InProgress any more. */
const settled = 600;

const isRead = /^(Get|List|Describe|Head|Search|Simulate|Export)/;

/**
 * Tests a rule by a literal table, and refuses a table that proves too little:
 * rows of every kind, among them the ones that rules get wrong, and a round trip for a rule that fixes.
 * Every call that the rule declares has to be made by some row or round trip.
 */
export function ruleTest(rule: AnyRule, table: RuleTable): void {
  const refusals = refusalsOf(rule, table);
  if (refusals.length > 0) throw new Error(`the table of ${rule.id} is refused:\n${refusals.map((why) => `- ${why}`).join('\n')}`);
  const tester = new RuleTester(rule);
  const { rows, roundTrips = [] } = table;
  let ran = 0;
  describe(rule.id, () => {
    for (const kind of ['compliant', 'violating', 'ignored', 'failing'] as const) {
      describe(kind, () => {
        for (const row of rows) {
          if (row.kind !== kind) continue;
          it(row.name, async () => {
            ran += 1;
            await tester.row(row);
          });
        }
      });
    }
    for (const trip of roundTrips) {
      it(`round trip: ${trip.name}`, async () => {
        ran += 1;
        await tester.roundTrip(trip, 1);
      });
      it(`round trip, every call made twice: ${trip.name}`, async () => await tester.roundTrip(trip, 2));
    }
    it('makes every call that it declares', () => {
      if (ran === rows.length + roundTrips.length) expect(tester.neverCalled()).toEqual([]);
    });
  });
}

/** Why a table is refused. */
export function refusalsOf(rule: AnyRule, { rows, roundTrips = [] }: RuleTable): readonly string[] {
  const names = [...rows.map(({ name }) => name), ...roundTrips.map(({ name }) => name)];
  const doubles = names.filter((name, index) => names.indexOf(name) !== index);
  const failing = rows.filter((row) => row.kind === 'failing');
  const failures = failing.map(({ fail }) => fail?.error ?? '');
  const ignored = rows.flatMap((row) => (row.kind === 'ignored' ? [whyIgnored(rule, row.event)] : []));
  const dryRuns = rule.on.some(({ service, operations }) => service === 'lambda' && operations.includes('UpdateFunctionCode'));
  const wanted: readonly (readonly [boolean, string])[] = [
    [rows.some(({ kind }) => kind === 'compliant'), 'no compliant row'],
    [rows.some(({ kind }) => kind === 'violating'), 'no violating row'],
    [ignored.includes('failed-call'), 'no ignored row of a call that failed'],
    [ignored.includes('other-resource'), 'no ignored row of an event that is read but names nothing for this rule'],
    [!dryRuns || ignored.includes('dry-run'), 'no ignored row of a dry run'],
    [failures.some((error) => /AccessDenied|Unauthorized/.test(error)), 'no failing row with AccessDenied'],
    [failures.some((error) => /Throttl|TooManyRequests|RequestLimitExceeded/.test(error)), 'no failing row with throttling'],
    [failing.some((row) => row.expect === undefined), 'no failing row of a resource that is gone'],
    [rule.fix.length === 0 || roundTrips.length > 0, 'no round trip, and the rule has a fix'],
  ];
  return [
    ...doubles.map((name) => `two rows are named "${name}"`),
    ...rows.flatMap((row) => (row.name.trim() === '' ? ['a row has no name'] : [])),
    ...rows.flatMap((row) => (row.kind === 'violating' && row.expect.violations.length === 0 ? [`"${row.name}" violates nothing`] : [])),
    ...wanted.flatMap(([met, why]) => (met ? [] : [why])),
  ];
}

function whyIgnored(rule: AnyRule, body: EventBody): Extract<ReadEvent, { ignored: string }>['ignored'] | 'other-resource' | undefined {
  const read = readEvent(body, place);
  if ('ignored' in read) return read.ignored;
  return triggered(rule, read.event).length === 0 ? 'other-resource' : undefined;
}

interface Stage {
  readonly world: World;
  readonly ledger: MemoryLedger;
  readonly params: Readonly<Record<string, unknown>>;
  readonly settings: Settings;
  readonly event: ApiEvent | undefined;
  readonly subjects: readonly Subject[];
  /** How the rule's calls are made, where it is not one by one. */
  readonly connect?: Ports['connect'];
}

/** Runs rows and round trips of one rule, and remembers which of its declared calls were made. */
export class RuleTester {
  readonly #rule: AnyRule;
  readonly #made = { check: new Set<string>(), fix: new Set<string>(), undo: new Set<string>() };

  constructor(rule: AnyRule) {
    this.#rule = rule;
  }

  async row(row: Row): Promise<void> {
    if (row.kind === 'ignored') return await this.#ignored(row);
    const stage = await this.#stage(row);
    if (row.kind === 'failing') return await this.#failing(row, stage);
    if ('event' in row && stage.subjects.length === 0) throw new Error('the event names no subject: the row belongs under "ignored"');
    const evaluation = await this.#evaluateAll(stage);
    this.#compareCost(row, stage);
    const { violations, compliant } = row.kind === 'violating' ? row.expect : { violations: [], compliant: row.expect?.compliant };
    expect(evaluation.violations.map((violation) => this.#shown(violation))).toEqual(
      violations.map(({ plan: _, ...expected }) => expected),
    );
    if (compliant !== undefined) expect(evaluation.compliant.map(({ arn }) => arn)).toEqual(compliant);
    if (!('event' in row) && this.#rule.accepts !== true) await this.#sameByLists(row, evaluation);
    if (this.#rule.fix.length === 0) return;
    for (const [index, violation] of evaluation.violations.entries()) {
      const plan = await this.#plan(violation, stage);
      const expected = violations[index]?.plan;
      if (expected !== undefined) expect(plan).toEqual(expected);
    }
  }

  /** Whoever looks at the whole region, and reads lists, sees the same. */
  async #sameByLists(row: Common & Cause, evaluation: Evaluation): Promise<void> {
    const stage = await this.#stage(row);
    const whole = wholeRegion(place, () => undefined);
    for await (const _ of whole.functions());
    expect(await this.#evaluateAll({ ...stage, connect: whole.connect })).toEqual(evaluation);
  }

  async roundTrip(trip: RoundTrip, times: 1 | 2): Promise<void> {
    const stage = await this.#stage(trip);
    const { violations } = await this.#evaluateAll(stage);
    if (violations.length === 0) throw new Error('nothing is wrong before the fix');
    stage.world.advance(settled);
    const before = stage.world.snapshot();
    const state = await this.#states(violations, stage);
    const plans: { readonly violation: Violation; readonly plan: Plan }[] = [];
    for (const violation of violations) {
      if (!(await this.#stillViolates(violation, stage)))
        throw new Error(`a remediator, which has no event, finds nothing wrong with ${violation.subject.arn}`);
      const plan = await this.#plan(violation, stage);
      if (plan.refused !== undefined) throw new Error(`the plan is refused: ${plan.refused}`);
      plans.push({ violation, plan });
      for (const step of plan.steps) {
        if (isWait(step)) stage.world.advance(step.waitSeconds);
        else for (let time = 1; time <= times; time += 1) await this.#fix(step, time, violation, stage);
      }
    }
    expect(plans.flatMap(({ plan }) => plan.steps.map((step) => (isWait(step) ? 'wait' : step.call)))).toEqual(trip.steps);
    expect(plans.flatMap(({ plan }) => plan.remains ?? [])).toEqual(trip.remains ?? []);
    for (const { violation, plan } of plans) {
      if ((plan.remains ?? []).length === 0) expect(await this.#stillViolates(violation, stage)).toBe(false);
    }
    expect(stage.world.snapshot()).not.toEqual(before);
    expect(await this.#states(violations, stage)).not.toEqual(state);
    await trip.fixed?.(stage.world);
    for (const step of plans.flatMap(({ plan }) => plan.steps).toReversed()) {
      if (isWait(step)) continue;
      for (const call of step.undo) for (let time = 1; time <= times; time += 1) await this.#make('undo', call, stage);
    }
    stage.world.advance(settled);
    expect(stage.world.snapshot()).toEqual(before);
    expect(await this.#states(violations, stage)).toEqual(state);
  }

  /** What the rule says that its fixes touch, as it is kept: as JSON. */
  async #states(violations: readonly Violation[], { world }: Stage): Promise<unknown> {
    const states = [];
    for (const { subject } of violations) states.push(await this.#rule.state(subject, { aws: this.#handle('check', world) }));
    return JSON.parse(JSON.stringify(states));
  }

  /** Declared calls that no row and no round trip has made: permissions that the rule does not need, or cases that the table lacks. */
  neverCalled(): readonly string[] {
    return (['check', 'fix', 'undo'] as const).flatMap((list) =>
      this.#rule[list].flatMap(({ name }: AnyCall) =>
        this.#made[list].has(name) ? [] : [`declared but never called: ${name} in ${list}`],
      ),
    );
  }

  async #stage(row: Common & Cause): Promise<Stage> {
    const world = createWorld(place);
    const ledger = new MemoryLedger();
    await row.arrange?.(world, ledger);
    ledger.calls.length = 0;
    world.calls.length = 0;
    const params = frozen(this.#rule.params.parse(row.params ?? {}));
    const settings = frozen({ ...defaultSettings, ...row.settings });
    if ('sweep' in row) {
      const subject = functionSubject(row.sweep, place);
      if (subject === undefined) throw new Error(`${row.sweep} is no function`);
      const subjects = (await this.#rule.sweep?.(frozen(subject), { aws: this.#handle('check', world) })) ?? [subject];
      return { world, ledger, params, settings, event: undefined, subjects };
    }
    if ('listed' in row) return { world, ledger, params, settings, event: undefined, subjects: [frozen(row.listed)] };
    const read = readEvent(row.event, place);
    if ('ignored' in read) throw new Error(`the event is ignored (${read.ignored}): the row belongs under "ignored"`);
    const event = frozen(read.event);
    return { world, ledger, params, settings, event, subjects: triggered(this.#rule, event) };
  }

  async #ignored(row: Ignored): Promise<void> {
    const world = createWorld(place);
    await row.arrange?.(world, new MemoryLedger());
    expect(whyIgnored(this.#rule, frozen(row.event))).toEqual(expect.any(String));
    expect(world.calls).toEqual([]);
  }

  async #failing(row: Failing, stage: Stage): Promise<void> {
    const { fail } = row;
    if (fail !== undefined) stage.world.fail(fail.operation, fail.error, fail.after === undefined ? {} : { after: fail.after });
    let thrown: unknown;
    let evaluation: Evaluation = { violations: [], compliant: [] };
    try {
      evaluation = await this.#evaluateAll(stage);
    } catch (error) {
      thrown = error;
    }
    if (fail !== undefined && !stage.world.calls.some(({ operation }) => operation === fail.operation)) {
      throw new Error(`${fail.operation} was never called`, { cause: thrown });
    }
    if (row.expect === undefined) {
      if (thrown !== undefined) throw thrown;
      expect(evaluation.violations).toEqual([]);
      return;
    }
    if (thrown === undefined) throw new Error('nothing was thrown: what cannot be read is never compliant');
    // A defect of the rule or of this harness is no answer to a failure.
    if (!['passing', 'lasting'].includes(errorKind(thrown)) || thrown instanceof TypeError) throw thrown;
    expect({ throws: errorKind(thrown), error: errorName(thrown) }).toEqual({
      throws: row.expect.throws,
      error: row.expect.error ?? fail?.error,
    });
    this.#compareCost(row, stage);
  }

  /** The evaluation of every subject, as the checker asks for it. */
  async #evaluateAll(stage: Stage): Promise<Evaluation> {
    const evaluations: Evaluation[] = [];
    for (const subject of stage.subjects) evaluations.push(await this.#evaluate(subject, stage, stage.event));
    return {
      violations: evaluations.flatMap(({ violations }) => violations),
      compliant: evaluations.flatMap(({ compliant }) => compliant),
    };
  }

  async #evaluate(
    subject: Subject,
    { world, ledger, params, settings, connect: byLists }: Stage,
    event: ApiEvent | undefined,
  ): Promise<Evaluation> {
    const made = new Set<string>();
    const from = world.calls.length;
    const aws = byLists?.(this.#rule.check) ?? this.#handle('check', world, (name) => made.add(name));
    const evaluation: Evaluation = await this.#rule.evaluate(frozen(subject), {
      aws,
      estate: ledger,
      params,
      settings,
      event,
      now: world.now,
    });
    refuseWrites('evaluate()', world.calls.slice(from), settings);
    for (const violation of evaluation.violations) {
      refuseEmpty(violation);
      if (this.#rule.distinguishes?.(violation.evidence) === undefined && this.#rule.distinguishes !== undefined)
        throw new Error('distinguishes() finds nothing in the evidence to tell violations apart by');
    }
    return evaluation;
  }

  async #plan(violation: Violation, { world, ledger, params, settings }: Stage): Promise<Plan> {
    const from = world.calls.length;
    const aws = this.#handle('check', world);
    const finding = frozen(findingOf(this.#rule, violation, world.now));
    const plan: Plan = await this.#rule.plan(finding, { aws, estate: ledger, params, settings, now: world.now, changeId, toShow: false });
    refuseWrites('plan()', world.calls.slice(from), settings);
    for (const step of plan.steps) {
      if (isWait(step)) continue;
      refuseUndeclared(step, this.#rule.fix, 'fix');
      for (const call of step.undo) refuseUndeclared(call, this.#rule.undo, 'undo');
    }
    return frozen(plan);
  }

  async #stillViolates({ subject }: Violation, stage: Stage): Promise<boolean> {
    const { violations } = await this.#evaluate(subject, stage, undefined);
    return violations.some((violation) => violation.subject.arn === subject.arn);
  }

  /** Makes a step as the machinery does: an error on repeating it is harmless only if the violation is gone by then. */
  async #fix(step: RecordedCall, time: number, violation: Violation, stage: Stage): Promise<void> {
    try {
      await this.#make('fix', step, stage);
    } catch (error) {
      if (time === 1 || (await this.#stillViolates(violation, stage))) {
        throw new Error(`${step.call} failed at its ${time === 1 ? 'first' : 'second'} run: ${String(error)}`, { cause: error });
      }
    }
  }

  /** Makes a recorded call; what may pass is tried again later, what was done already is done. */
  async #make(list: 'fix' | 'undo', { call, input }: RecordedCall, { world }: Stage): Promise<void> {
    const declared = (this.#rule[list] as readonly AnyCall[]).find(({ name }) => name === call);
    const method = this.#handle(list, world)[call];
    if (declared === undefined || method === undefined) throw new Error(`${call} is not declared in ${list}`);
    for (let attempt = 1; ; attempt += 1) {
      try {
        await method(JSON.parse(JSON.stringify(input)));
        return;
      } catch (error) {
        if (declared.alreadyDone.includes(errorName(error))) return;
        if (errorKind(error) !== 'passing' || attempt === 5) throw error;
        world.advance(10);
      }
    }
  }

  #handle(
    list: 'check' | 'fix' | 'undo',
    { account, region }: World,
    told: (name: string) => void = () => {},
  ): Readonly<Record<string, (input: unknown) => Promise<unknown>>> {
    return connect(this.#rule[list] as readonly AnyCall[], { account, region }, ({ name }) => {
      this.#made[list].add(name);
      told(name);
    }) as Readonly<Record<string, (input: unknown) => Promise<unknown>>>;
  }

  #shown({ subject, severity = this.#rule.severity, summary, evidence, tags }: Violation): Omit<ExpectedViolation, 'plan'> {
    return { subject: subject.arn, severity, summary, evidence, tags };
  }

  #compareCost({ calls }: Cost, { world, ledger }: Stage): void {
    if (calls?.aws !== undefined) expect(world.calls.map(({ operation }) => operation)).toHaveLength(calls.aws);
    if (calls?.ledger !== undefined) expect(ledger.calls).toHaveLength(calls.ledger);
  }
}

function findingOf(rule: AnyRule, { subject, severity = rule.severity, summary, evidence, tags }: Violation, now: number): Finding {
  const seen = new Date(now).toISOString();
  const { id, practice, title } = rule;
  const life = {
    status: 'open' as const,
    opened: 1,
    firstSeen: seen,
    lastSeen: seen,
    openedAt: seen,
    asOf: now,
    cause: 'event test',
    attempts: 0,
  };
  return { id: findingId(id, subject.arn), rule: id, practice, severity, title, summary, subject, evidence, tags, ...life };
}

/** Writes to nothing but the guard's own archive of packages, which a rule of deployments fills as it looks. */
function refuseWrites(who: string, calls: readonly SdkCall[], { archiveBucket }: Settings): void {
  const archives = ({ service, operation, input }: SdkCall) =>
    service === 's3' && operation === 'PutObject' && input['Bucket'] === archiveBucket;
  const write = calls.find((call) => !isRead.test(call.operation) && !archives(call));
  if (write !== undefined) throw new Error(`${who} writes: ${write.operation}`);
}

function refuseEmpty({ subject, summary, evidence, tags }: Violation): void {
  if (parseArn(subject.arn) === undefined) throw new Error(`the subject ${subject.arn} is no ARN`);
  if (summary.trim() === '') throw new Error(`the violation of ${subject.arn} has no summary`);
  if (Object.keys(evidence).length === 0) throw new Error(`the violation of ${subject.arn} has no evidence`);
  expect(JSON.parse(JSON.stringify({ evidence, tags }))).toEqual({ evidence, tags });
}

function refuseUndeclared({ call, input }: RecordedCall, declared: readonly AnyCall[], list: string): void {
  if (!declared.some(({ name }) => name === call)) throw new Error(`the plan calls ${call}, which is not declared in ${list}`);
  expect(JSON.parse(JSON.stringify(input))).toEqual(input);
}

/** The same value, which throws when somebody writes to it. */
function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value) && !ArrayBuffer.isView(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) frozen(inner);
  }
  return value;
}
