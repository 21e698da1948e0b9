import { type Alert, alertAbout } from './alert.ts';
import type { AnyCall, Handle } from './call.ts';
import { evaluate, look, triggered } from './check.ts';
import { type ApiEvent, isGlobal, readEvent } from './cloudtrail.ts';
import type { Config } from './config.ts';
import { errorKind, errorSummary } from './errors.ts';
import type { Finding } from './finding.ts';
import type { Ledger } from './ledger.ts';
import { describe, planFor } from './plan.ts';
import type { Ports } from './ports.ts';
import { answerOnce } from './reads.ts';
import type { RecordedEvent } from './records.ts';
import type { AnyRule, Evaluation } from './rule.ts';
import { type ScanPorts, type ScanSettings, scan, type Unknown } from './scan.ts';
import { untouchable } from './scope.ts';
import type { Subject } from './subject.ts';
import { retagged } from './tags.ts';
import { tamperedRule } from './tampering.ts';

/** An account and region in which a guard would have been deployed. */
export interface Home {
  readonly config: Config;
  /** Empty, and of this home alone. */
  readonly ledger: Ledger;
  readonly connect: Ports['connect'];
  /** Why nothing of the account can be asked; undefined where it can. */
  readonly unasked?: string;
  /** The functions that are there, for what a first sweep learns of them. */
  readonly functions?: Parameters<typeof scan>[0];
  /** What the guard that is deployed there did, and leaves alone. */
  readonly deployed?: Pick<Ledger, 'latestChanges' | 'change' | 'exemption'>;
}

/** What a fix would have been. It was never made. */
export interface PlannedFix {
  readonly rule: string;
  readonly resource: string;
  readonly findingId: string;
  /** When it would have begun: the finding's time, and the rule's delay. */
  readonly at: string;
  readonly plan: readonly string[];
  /** Why it would not have been made. */
  readonly refused?: string;
  /** Why nobody knows what it would have been. */
  readonly unknown?: string;
}

/** What a rule came to. */
export interface Tally {
  readonly rule: string;
  readonly mode: string;
  readonly findings: number;
  readonly fixes: number;
  readonly refused: number;
  readonly unknown: number;
  /** The times of the first and the last event that led to any of these. */
  readonly first: string;
  readonly last: string;
}

export interface Replayed {
  /** Whatever was found, also what has ended since, in its last status. */
  readonly findings: readonly Alert[];
  readonly fixes: readonly PlannedFix[];
  readonly unknown: readonly Unknown[];
  readonly tallies: readonly Tally[];
  /** What events named to rules. */
  readonly resources: number;
}

/** Nobody is asked: what only the account knows stays unknown. */
class Unasked extends Error {
  override readonly name = 'Unasked';
}

/** Answers that are kept at most; so many resources have a rule or two. */
const keptAnswers = 20_000;
const tenMinutes = 10 * 60_000;

/**
 * Puts events to rules as if they came now, each at its own time. Nothing is told and nothing changed; what AWS is asked it is
 * asked once, and answers how things are now, not how they were.
 * @param events in order of time
 */
export async function replay(
  events: Iterable<RecordedEvent>,
  homes: readonly Home[],
  rules: readonly AnyRule[],
  settings: ScanSettings & {
    /** When the first event was, in milliseconds: what is learned before is learned then. */
    readonly since: number;
  },
): Promise<Replayed> {
  const stages = homes.map((home) => new Stage(home, rules));
  for (const stage of stages) await stage.learn(settings);
  for (const body of events)
    for (const stage of stages) {
      const read = stage.hears(body) ? readEvent(body, stage.place) : undefined;
      if (read !== undefined && 'event' in read) await stage.handle(read.event);
    }
  const outcomes: Replayed[] = [];
  for (const stage of stages) outcomes.push(await stage.outcome());
  return joined(outcomes, rules);
}

/** A home, and what happens there. */
class Stage {
  readonly #home: Home;
  readonly #rules: readonly AnyRule[];
  readonly #ports: ScanPorts;
  #now = 0;
  readonly #shown = new Map<string, Alert>();
  readonly #unknown = new Map<string, Unknown>();
  readonly #resources = new Set<string>();
  /** The first and last time by rule. */
  readonly #times = new Map<string, readonly [first: string, last: string]>();

  constructor(home: Home, rules: readonly AnyRule[]) {
    this.#home = home;
    const on = rules.filter(({ id }) => home.config.rule(id).mode !== 'off');
    this.#rules = home.unasked === undefined ? on : on.map(byEventAlone);
    const { config, unasked, connect } = home;
    this.#ports = {
      config,
      ledger: ledgerOf(home),
      connect: unasked === undefined ? answeredOnce(connect) : nobody(unasked),
      now: () => this.#now,
    };
  }

  get place() {
    return this.#home.config.home;
  }

  hears({ account, region, detail }: RecordedEvent): boolean {
    return account === this.place.account && (region === this.place.region || isGlobal(detail.eventSource));
  }

  /** What the guard's first sweep would have known of the estate before the first event; it finds nothing here. */
  async learn({ since, ...settings }: ScanSettings & { readonly since: number }): Promise<void> {
    const { functions } = this.#home;
    if (functions === undefined) return;
    this.#now = since;
    const { unknown } = await scan(functions, this.#rules, { ...this.#ports, ledger: this.#learning() }, settings);
    for (const one of unknown) this.#isUnknown(one);
  }

  #learning(): Ledger {
    return overlaid(this.#ports.ledger, {
      open: async (finding: Finding) => {
        const { rule, subject, status, summary } = finding;
        if (status === 'unknown') this.#isUnknown({ rule, resource: subject.arn, why: summary });
        return { written: 'unchanged', finding };
      },
      resolve: async () => ({ written: 'unchanged', finding: undefined }),
    });
  }

  async handle(event: ApiEvent): Promise<void> {
    this.#now = Date.parse(event.time);
    for (const rule of this.#rules) for (const { arn } of triggered(rule, event)) this.#resources.add(arn);
    const { alerts, failures } = await look({ event }, this.#rules, this.#ports);
    for (const alert of alerts) {
      if (alert.status === 'resolved') continue;
      this.#shown.set(alert.findingId, alert);
      this.#happened(alert.rule, event.time);
    }
    for (const { rule, subject, error } of failures) {
      const isOwnCall = rule === '*';
      const resource = isOwnCall ? event.actor.issuer : (subject ?? this.#namedBy(event, rule))?.arn;
      this.#isUnknown({ rule: isOwnCall ? tamperedRule : rule, resource: resource ?? '', why: whyOf(error) }, event.time);
    }
  }

  #namedBy(event: ApiEvent, id: string): Subject | undefined {
    const rule = this.#rules.find((one) => one.id === id);
    return (rule === undefined ? undefined : triggered(rule, event)[0]) ?? retagged(event)[0];
  }

  #isUnknown(unknown: Unknown, time?: string): void {
    const key = `${unknown.rule} ${unknown.resource}`;
    if (!this.#unknown.has(key)) this.#unknown.set(key, unknown);
    if (time !== undefined) this.#happened(unknown.rule, time);
  }

  #happened(rule: string, time: string): void {
    const [first = time] = this.#times.get(rule) ?? [];
    this.#times.set(rule, [first, time]);
  }

  async outcome(): Promise<Replayed> {
    const findings: Alert[] = [];
    const fixes: PlannedFix[] = [];
    for await (const finding of this.#ports.ledger.findings({})) {
      const { id, rule, subject, status, summary } = finding;
      if (status === 'unknown') this.#isUnknown({ rule, resource: subject.arn, why: summary });
      else if (status === 'exempt') continue;
      else findings.push(alertAbout(finding, { status, plan: this.#shown.get(id)?.plan ?? [] }));
      if (status === 'open' || status === 'resolved') fixes.push(...(await this.#fixOf(finding)));
    }
    const paused = inBudget(fixes.sort(byTime), this.#home.config);
    const unknown = [...this.#unknown.values()];
    return { findings, fixes: paused, unknown, tallies: this.#tallies(findings, paused, unknown), resources: this.#resources.size };
  }

  /** What the remediator would have done when the rule's delay was over. */
  async #fixOf(finding: Finding): Promise<readonly PlannedFix[]> {
    const { fixAfter, status, asOf, subject, id } = finding;
    if (fixAfter === undefined || (status === 'resolved' && asOf <= fixAfter)) return [];
    const rule = this.#rules.find((one) => one.id === finding.rule);
    if (rule === undefined) return [];
    this.#now = fixAfter;
    const fix = { rule: rule.id, resource: subject.arn, findingId: id, at: new Date(fixAfter).toISOString(), plan: [] };
    const not = untouchable(finding, this.#ports.config);
    if (not !== undefined) return [{ ...fix, refused: not }];
    const { unasked } = this.#home;
    if (unasked !== undefined) return [{ ...fix, unknown: unasked }];
    try {
      const { violations } = await evaluate(rule, subject, undefined, this.#ports);
      const violation = violations.find((one) => one.subject.arn === subject.arn);
      if (violation === undefined) return [{ ...fix, refused: 'There is nothing to do: as things are now it keeps the rule, or is gone.' }];
      const { steps, refused } = await planFor({ ...finding, evidence: violation.evidence }, 'change', rule, this.#ports, true);
      const plan = describe(steps, rule);
      if (refused !== undefined) return [{ ...fix, plan, refused }];
      return [steps.length === 0 ? { ...fix, refused: 'There is no fix for it.' } : { ...fix, plan }];
    } catch (error) {
      return [{ ...fix, unknown: errorSummary(error) }];
    }
  }

  #tallies(findings: readonly Alert[], fixes: readonly PlannedFix[], unknown: readonly Unknown[]): readonly Tally[] {
    const ids = new Set([...findings, ...unknown].map(({ rule }) => rule));
    return [...ids].map((rule) => {
      const of = <T extends { readonly rule: string }>(all: readonly T[]) => all.filter((one) => one.rule === rule);
      const [first = '', last = ''] = this.#times.get(rule) ?? [];
      return {
        rule,
        mode: this.#home.config.rule(rule).mode,
        findings: of(findings).length,
        fixes: of(fixes).filter(({ refused, unknown: why }) => refused === undefined && why === undefined).length,
        refused: of(fixes).filter(({ refused }) => refused !== undefined).length,
        unknown: of(unknown).length,
        first,
        last,
      };
    });
  }
}

/** The error's name alone is kept of AWS's answers; of what was not asked, why. */
function whyOf(error: unknown): string {
  return error instanceof Unasked ? error.message : errorSummary(error);
}

/** A rule where nobody can be asked: it finds what an event proves by itself, if it knows how. */
function byEventAlone(rule: AnyRule): AnyRule {
  return {
    ...rule,
    evaluate: async (subject, context): Promise<Evaluation> => {
      try {
        return await rule.evaluate(subject, context);
      } catch (error) {
        const told = error instanceof Unasked && context.event !== undefined ? rule.tells?.(context.event, context) : undefined;
        const violations = told?.filter((one) => one.subject.arn === subject.arn) ?? [];
        if (violations.length === 0) throw error;
        return { violations, compliant: [] };
      }
    },
    plan: async () => ({ steps: [], refused: 'what it would do only the account knows.' }),
  };
}

/** Whatever is asked, nobody answers. */
function nobody(why: string): Ports['connect'] {
  const unasked = new Unasked(why);
  return <const Calls extends readonly AnyCall[]>(calls: Calls) =>
    Object.fromEntries(calls.map(({ name }) => [name, () => Promise.reject(unasked)])) as unknown as Handle<Calls>;
}

/** Asks once: an answer stays, and so does one that it cannot be read. */
function answeredOnce(connect: Ports['connect']): Ports['connect'] {
  const answers = new Map<string, Promise<unknown>>();
  const once = (name: string, ask: (input: unknown) => Promise<unknown>) => (input: unknown) => {
    const key = `${name} ${JSON.stringify(input)}`;
    if (!answers.has(key) && answers.size >= keptAnswers) answers.clear();
    return answerOnce(
      answers,
      key,
      () => ask(input),
      (error) => errorKind(error) === 'passing',
    );
  };
  return <const Calls extends readonly AnyCall[]>(calls: Calls) => {
    const handle = connect(calls) as Readonly<Record<string, (input: unknown) => Promise<unknown>>>;
    return Object.fromEntries(Object.entries(handle).map(([name, ask]) => [name, once(name, ask)])) as Handle<Calls>;
  };
}

/** What is not there in an index that was never built says nothing; what the deployed guard did explains its calls. */
function ledgerOf({ ledger, unasked, deployed }: Home): Ledger {
  if (unasked === undefined) {
    if (deployed === undefined) return ledger;
    return overlaid(ledger, {
      latestChanges: (since) => deployed.latestChanges(since),
      change: (id) => deployed.change(id),
      exemption: (rule, arn, now, maxAge) => deployed.exemption(rule, arn, now, maxAge),
    });
  }
  const error = new Unasked(unasked);
  const unknown = () => Promise.reject(error);
  return overlaid(ledger, {
    longestUsers: unknown,
    functionsIn: unknown,
    functionsReading: unknown,
    needing: unknown,
    latestChanges: () => ({ [Symbol.asyncIterator]: () => ({ next: unknown }) }),
  });
}

function overlaid(ledger: Ledger, methods: Partial<Ledger>): Ledger {
  return new Proxy(ledger, {
    get: (target, name) => {
      const member: unknown = Reflect.get(name in methods ? methods : target, name);
      return typeof member === 'function' && !(name in methods) ? member.bind(target) : member;
    },
  });
}

function byTime(a: PlannedFix, b: PlannedFix): number {
  return a.at < b.at ? -1 : a.at > b.at ? 1 : a.findingId.localeCompare(b.findingId);
}

/** More changes within ten minutes than the stack allows pause the guard, and nobody was there to let it go on. */
function inBudget(fixes: readonly PlannedFix[], { budget: { perAccount } }: Config): readonly PlannedFix[] {
  const begun: number[] = [];
  let paused = false;
  return fixes.map((fix) => {
    if (fix.refused !== undefined || fix.unknown !== undefined) return fix;
    const at = Date.parse(fix.at);
    paused ||= begun.filter((before) => before > at - tenMinutes).length >= perAccount;
    begun.push(at);
    const refused = `The guard would have paused itself: more than ${perAccount} changes within ten minutes (ChangesPerTenMinutes).`;
    return paused ? { ...fix, refused } : fix;
  });
}

/** The homes together: by rule in the order of rules, and by resource. */
function joined(outcomes: readonly Replayed[], rules: readonly AnyRule[]): Replayed {
  const all = <K extends 'findings' | 'fixes' | 'unknown' | 'tallies'>(of: K) =>
    outcomes.flatMap((outcome) => [...outcome[of]] as Replayed[K][number][]);
  const byResource = (a: Alert, b: Alert) => a.resource.arn.localeCompare(b.resource.arn) || a.rule.localeCompare(b.rule);
  const unknown = new Map((all('unknown') as Unknown[]).map((one) => [`${one.rule} ${one.resource}`, one]));
  const tallies = all('tallies') as Tally[];
  return {
    findings: (all('findings') as Alert[]).sort(byResource),
    fixes: (all('fixes') as PlannedFix[]).sort(byTime),
    unknown: [...unknown.values()],
    tallies: rules.flatMap(({ id }) => sumOf(tallies.filter(({ rule }) => rule === id))),
    resources: outcomes.reduce((sum, { resources }) => sum + resources, 0),
  };
}

function sumOf(tallies: readonly Tally[]): readonly Tally[] {
  const [one] = tallies;
  if (one === undefined) return [];
  const sum = (figure: 'findings' | 'fixes' | 'refused' | 'unknown') => tallies.reduce((total, tally) => total + tally[figure], 0);
  const times = tallies
    .flatMap(({ first, last }) => [first, last])
    .filter((time) => time !== '')
    .sort();
  return [
    {
      ...one,
      mode: [...new Set(tallies.map(({ mode }) => mode))].join(', '),
      findings: sum('findings'),
      fixes: sum('fixes'),
      refused: sum('refused'),
      unknown: sum('unknown'),
      first: times[0] ?? '',
      last: times.at(-1) ?? '',
    },
  ];
}
