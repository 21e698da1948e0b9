import { type Alert, alertAbout } from './alert.ts';
import type { ApiEvent } from './cloudtrail.ts';
import { errorKind, errorSummary, isAnswer, QuotaUsedUp, RetryLater } from './errors.ts';
import { type Finding, findingId, fingerprintOf, isUnended, longestLook } from './finding.ts';
import type { Ended, Reading, Written } from './ledger.ts';
import { unexplainedCall } from './own-calls.ts';
import { planToShow } from './plan.ts';
import type { Ports } from './ports.ts';
import { readOnce, recordOnce } from './reads.ts';
import type { AnyRule, Evaluation } from './rule.ts';
import type { Subject } from './subject.ts';
import type { SweepMessage } from './sweep.ts';
import { causeByTags, type ExemptionByTags, exemptionByTags, retagged } from './tags.ts';

/** A subject that somebody changes all the time comes back with its message after so many looks. */
const mostLooks = 5;

/** What a checker looks at: an event, or a message of a sweep. */
export type Occasion = { readonly event: ApiEvent } | SweepMessage;

/** A checker may know the exemptions as they were so many milliseconds ago: what is exempted meanwhile is marked in its finding. */
const exemptionsAge = 30_000;

/** What whoever looks needs: everything but a way to tell. */
type Eyes = Omit<Ports, 'publish'>;

/** What could not be judged, and by which rule. */
export interface Failure {
  readonly rule: string;
  readonly subject: Subject | undefined;
  readonly error: unknown;
}

/**
 * event → subjects → findings: judges everything that one message names by the rules of a practice, and publishes what is
 * to be told. What fails for one rule or subject keeps no other from being judged and told.
 * @throws what failed, then, so that the message is delivered again
 */
export async function check(occasion: Occasion, rules: readonly AnyRule[], ports: Ports): Promise<readonly Alert[]> {
  const { alerts, failures } = await look(occasion, rules, ports);
  if (alerts.length > 0) await ports.publish(alerts);
  if (failures.length > 0) throw (failures.find(({ error }) => errorKind(error) === 'passing') ?? failures[0])?.error;
  return alerts;
}

/** The same without telling anybody: what there is to tell, and what failed. */
export async function look(
  occasion: Occasion,
  rules: readonly AnyRule[],
  ports: Eyes,
): Promise<{ readonly alerts: readonly Alert[]; readonly failures: readonly Failure[] }> {
  const alerts: Alert[] = [];
  const failures: Failure[] = [];
  const attempt: Attempt = async (rule, subject, work) => {
    try {
      return await work();
    } catch (error) {
      failures.push({ rule, subject, error });
      return [];
    }
  };
  // Whoever waited for the quota in vain has no time to wait for it again.
  const isUsedUp = () => failures.some(({ error }) => error instanceof QuotaUsedUp);
  const read: Attempt = async (rule, subject, work) => (isUsedUp() ? [] : await attempt(rule, subject, work));
  const judging = rules.filter(({ id }) => ports.config.rule(id).mode !== 'off');
  const larger = ports.prefersLarger === true ? judging.flatMap(({ check }) => check) : [];
  // A sweep may come to one finding by two functions: by the message of which it changed tells a redelivery from the other.
  const cause = 'event' in occasion ? `event ${occasion.event.id}` : `sweep ${occasion.sweep} ${occasion.subject.arn}`;
  const readingNow = (): Reads => ({
    asOf: ports.now(),
    cause,
    ports: { ...ports, connect: readOnce(ports.connect, larger), ledger: recordOnce(ports.ledger) },
  });
  if ('event' in occasion) {
    const { event } = occasion;
    alerts.push(...(await attempt('*', undefined, () => unexplainedCall(event, namedBy(event, rules), ports))));
  }
  const whole = 'event' in occasion ? undefined : occasion.subject;
  let reads = readingNow();
  let due: Judged = await inTurn(judging, (rule) => read(rule.id, whole, () => subjectsOf(rule, occasion, reads.ports)));
  for (let looks = 1; due.length > 0; looks += 1) {
    if (looks > 1) reads = readingNow();
    const judged = (pairs: Judged) =>
      inTurn(pairs, ([rule, subject]) =>
        read(rule.id, subject, async () => [await judge(rule, subject, occasion, ports, reads, looks === 1)]),
      );
    const judgements = (await Promise.all(lanes(due, ports).map(judged))).flat();
    // Plans ask the same as the judgement, and nothing anew where no call is left.
    const writing = { ...ports, connect: reads.ports.connect };
    const verdicts = await writeDown(judgements, reads, () => (isUsedUp() ? { ...writing, showsPlans: false } : writing), attempt);
    for (const { written, told } of verdicts) if (written === 'changed' || looks === 1) alerts.push(...told);
    due = verdicts.flatMap(({ by, of, written, doubtful = false }) => (written === 'stale' || doubtful ? [[by, of] as const] : []));
    if (looks === mostLooks) {
      for (const [{ id }, subject] of due)
        failures.push({ rule: id, subject, error: new RetryLater(`${subject.arn} changes all the time`) });
      break;
    }
  }
  return { alerts, failures };
}

/** Does some work for a rule and its subject; what fails is kept, and yields nothing. */
type Attempt = <T>(rule: string, subject: Subject | undefined, work: () => Promise<readonly T[]>) => Promise<readonly T[]>;

/** What comes of each, one after the other. */
async function inTurn<T, R>(all: Iterable<T>, work: (one: T) => Promise<readonly R[]>): Promise<readonly R[]> {
  const found: R[] = [];
  for (const one of all) found.push(...(await work(one)));
  return found;
}

/**
 * What is judged side by side, because nearly all of the time is waiting for AWS: a rule and its subjects, one after the
 * other, and together the rules of which one reads what another writes.
 */
function lanes(due: Judged, { sideBySide = false }: Eyes): readonly Judged[] {
  if (!sideBySide) return [due];
  return [...Map.groupBy(due, ([{ id, inTurn: together = false }]) => (together ? '' : id)).values()];
}

/** Who is judged, and by what: the rule, or an answer of AWS that stands for its verdict. */
type Judged = readonly (readonly [by: AnyRule, subject: Subject])[];

async function subjectsOf(rule: AnyRule, occasion: Occasion, ports: Eyes): Promise<Judged> {
  if ('event' in occasion) {
    const named = triggered(rule, occasion.event).map((subject) => [rule, subject] as const);
    const found = await foundOnRetagged(rule, occasion.event, ports);
    return [...new Map([...found, ...named].map((judged) => [judged[1].arn, judged])).values()];
  }
  // A finding's own subject is looked at by its own rule, whatever the rule would look at in a sweep.
  if (occasion.rule !== undefined) return occasion.rule === rule.id ? [[rule, occasion.subject]] : [];
  return await sweptBy(rule, occasion.subject, ports);
}

/** What a rule looks at in a sweep of one subject. Where AWS will not list it, the subject itself is unknown. */
async function sweptBy(rule: AnyRule, subject: Subject, { connect }: Eyes): Promise<Judged> {
  if (rule.sweep === undefined) return [[rule, subject]];
  try {
    return (await rule.sweep(subject, { aws: connect(rule.check) })).map((each) => [rule, each] as const);
  } catch (error) {
    if (!isAnswer(error) || errorKind(error) === 'passing') throw error;
    return [[{ ...rule, evaluate: async () => Promise.reject(error) }, subject]];
  }
}

/**
 * What a rule has found on a resource whose tags were changed: they may exempt it now, or no longer. A function's tags are
 * its aliases' as well. Where nothing was found, tags exempt from nothing: only the ledger is asked.
 */
async function foundOnRetagged(rule: AnyRule, event: ApiEvent, ports: Eyes): Promise<Judged> {
  const found: (readonly [AnyRule, Subject])[] = [];
  for (const subject of retagged(event)) {
    const all: Judged = subject.type === 'AWS::Lambda::Function' ? await sweptBy(rule, subject, ports) : [[rule, subject]];
    for (const [by, one] of all) {
      const finding = await ports.ledger.finding(findingId(rule.id, one.arn));
      if (finding !== undefined && isUnended(finding)) found.push([by, one]);
    }
  }
  return found;
}

/** Everything that an event names to any of the rules. */
function namedBy(event: ApiEvent, rules: readonly AnyRule[]): readonly Subject[] {
  return unique([...rules.flatMap((rule) => triggered(rule, event)), ...retagged(event)]);
}

function unique(subjects: readonly Subject[]): readonly Subject[] {
  return [...new Map(subjects.map((subject) => [subject.arn, subject])).values()];
}

/** The subjects that an event names to a rule, each once; an ARN in a request may name one that lies elsewhere. */
export function triggered(rule: AnyRule, event: ApiEvent): readonly Subject[] {
  const named = rule.on.flatMap(({ service, operations, ofService, subjects }) =>
    service === event.service && ofService === event.ofService && operations.includes(event.operation) ? subjects(event) : [],
  );
  const here = named.filter(({ account, region }) => account === event.account && region === event.region);
  return unique(here);
}

/** Where a look reads, when the first of its readings may have been made, and the message that led to it. */
interface Reads extends Reading {
  readonly ports: Eyes;
}

/** What a rule says, before the ledger knows. */
interface Judgement {
  readonly rule: AnyRule;
  /** Findings that the ledger is to hold. */
  readonly wrong: readonly Finding[];
  /** Subjects whose findings are to end. */
  readonly right: readonly Subject[];
}

interface Verdict {
  readonly by: AnyRule;
  readonly of: Subject;
  readonly written: Written;
  readonly told: readonly Alert[];
  /** It ended what somebody else may have found after this reading began. */
  readonly doubtful?: boolean;
}

/** What the ledger now holds, and perhaps nobody was told yet. */
function isNews(written: Written): boolean {
  return written === 'changed' || written === 'again';
}

async function judge(
  rule: AnyRule,
  subject: Subject,
  occasion: Occasion,
  ports: Eyes,
  { asOf, cause, ports: reading }: Reads,
  first: boolean,
): Promise<Judgement> {
  // What an event says of the change itself was taken in at the first look.
  const event = 'event' in occasion && first ? occasion.event : undefined;
  let evaluation: Evaluation;
  try {
    evaluation = await patiently((again) => evaluate(rule, subject, event, again ? { ...reading, connect: ports.connect } : reading));
  } catch (error) {
    if (!isAnswer(error) || errorKind(error) === 'passing') throw error;
    // It will not get better by trying again: the verdict is that nothing is known, which is never compliant.
    const violation = {
      subject,
      summary: `Whether ${subject.arn} keeps this rule is unknown: it could not be read (${errorSummary(error)}).`,
      evidence: { error: errorSummary(error) },
      tags: {},
    };
    const unknown: Finding = { ...finding(rule, violation, { asOf, cause, occasion }), status: 'unknown' };
    return { rule, wrong: [unknown], right: [] };
  }
  const { mode, delay } = ports.config.rule(rule.id);
  const fixable = mode === 'remediate' && rule.fix.length > 0;
  const fixAfter = fixable ? { fixAfter: asOf + delay, ...(delay > 0 ? { dueAt: asOf + delay } : {}) } : {};
  const wrong = evaluation.violations.map((violation): Finding => {
    const fingerprint = rule.distinguishes === undefined ? {} : { fingerprint: fingerprintOf(rule.distinguishes(violation.evidence)) };
    return { ...finding(rule, violation, { asOf, cause, occasion }), ...fixAfter, ...fingerprint };
  });
  return { rule, wrong, right: evaluation.compliant };
}

/**
 * Writes down what all rules said, what is wrong and, in one go, what is right. The ledger is looked at after the last
 * reading, so that whoever found something before it is seen. What one reading found wrong, no other of the same look ends.
 * Whoever came too late (`stale`), or by a relative rule ended what another worker has just seen wrong, who perhaps knew more,
 * has to look again. What somebody puts right between the reading and its write, and another worker saw before there was a
 * finding, stays open until the next event or sweep: to look a second time at every finding would cost as much again, for all
 * of them.
 * @param ports what to write with, as it is at the moment
 */
async function writeDown(
  judgements: readonly Judgement[],
  reading: Reading,
  ports: () => Eyes,
  attempt: Attempt,
): Promise<readonly Verdict[]> {
  const wrong = new Set(judgements.flatMap((judgement) => judgement.wrong.map(({ id }) => id)));
  const right = new Map<string, readonly [AnyRule, Subject]>();
  for (const { rule, right: compliant } of judgements) for (const of of compliant) right.set(findingId(rule.id, of.arn), [rule, of]);
  for (const id of wrong) right.delete(id);
  const opening = inTurn(judgements, ({ rule, wrong }) =>
    inTurn(wrong, (candidate) => attempt(rule.id, candidate.subject, async () => [await open(candidate, rule, ports())])),
  );
  const ending = right.size === 0 ? Promise.resolve([]) : ports().ledger.resolveAll([...right.keys()], reading);
  const endings = inTurn([...right.values()].entries(), ([index, [rule, of]]) =>
    attempt(rule.id, of, async () => [resolved(rule, of, reading, (await ending)[index])]),
  );
  return (await Promise.all([opening, endings])).flat();
}

/** Once more where another worker wrote to the same index at the same moment: the queue would take minutes to deliver again. */
async function patiently<T>(look: (again: boolean) => Promise<T>, tries = 3, again = false): Promise<T> {
  try {
    return await look(again);
  } catch (error) {
    if (!(error instanceof RetryLater) || error instanceof QuotaUsedUp || tries <= 1) throw error;
    return await patiently(look, tries - 1, true);
  }
}

/** Asks the rule, with the checker's calls or whatever `connect` binds. */
export async function evaluate(
  rule: AnyRule,
  subject: Subject,
  event: ApiEvent | undefined,
  { connect, ledger, config, now }: Eyes,
): Promise<Evaluation> {
  const { params } = config.rule(rule.id);
  return await rule.evaluate(subject, { aws: connect(rule.check), estate: ledger, params, settings: config.settings, event, now: now() });
}

async function open(candidate: Finding, rule: AnyRule, ports: Eyes): Promise<Verdict> {
  const { ledger, config, now } = ports;
  const known = await ledger.exemption(candidate.rule, candidate.subject.arn, now(), exemptionsAge);
  // One that has ended meanwhile would leave a finding exempt that nothing opens again.
  const granted = known === undefined ? undefined : await ledger.exemption(candidate.rule, candidate.subject.arn, now());
  const byTags = exemptionByTags(candidate, config, now());
  const { written, finding: kept } = await ledger.open(granted === undefined ? asTagsSay(candidate, byTags) : exempt(candidate));
  const verdict = { by: rule, of: candidate.subject, written };
  // An operator told of their exemption, nobody of that in tags.
  if (!isNews(written) || (kept.status === 'exempt' && kept.exemptUntil === undefined)) return { ...verdict, told: [] };
  if (kept.status === 'exempt' && byTags !== undefined && 'until' in byTags) {
    const summary = `${kept.summary} Its tags exempt it from this rule until ${new Date(byTags.until).toISOString()}: ${byTags.reason}`;
    return { ...verdict, told: [alertAbout(kept, { status: 'exempt', summary })] };
  }
  // What is fixed at once needs no plan beside it: the next alert says what was done.
  const inTime = rule.fix.length > 0 && (kept.fixAfter ?? Number.POSITIVE_INFINITY) > now();
  const shown = ports.showsPlans !== false && kept.status === 'open' && inTime;
  return { ...verdict, told: [alertAbout(kept, { status: kept.status, plan: shown ? await planToShow(kept, rule, ports) : [] })] };
}

/** What is exempt is not fixed, and nobody has to look after it in between. */
function exempt({ fixAfter: _, dueAt: _due, ...candidate }: Finding): Finding {
  return { ...candidate, status: 'exempt' };
}

function asTagsSay(candidate: Finding, byTags: ExemptionByTags | undefined): Finding {
  if (byTags === undefined) return candidate;
  if ('refused' in byTags) return { ...candidate, summary: `${candidate.summary} ${byTags.refused}` };
  return { ...exempt(candidate), cause: causeByTags(candidate.cause), exemptUntil: byTags.until, dueAt: byTags.until };
}

function resolved(by: AnyRule, of: Subject, { asOf }: Reading, answer: Ended | undefined): Verdict {
  const { written = 'unchanged', finding: ended } = answer ?? {};
  if (!isNews(written) || ended === undefined) return { by, of, written, told: [] };
  return {
    by,
    of,
    written,
    doubtful: by.relative === true && written === 'changed' && Date.parse(ended.lastSeen) > asOf - longestLook,
    told: [alertAbout(ended, { status: 'resolved', summary: `Put right, or gone: ${ended.subject.arn} no longer breaks this rule.` })],
  };
}

interface Seen {
  readonly asOf: number;
  readonly cause: string;
  readonly occasion: Occasion;
}

function finding(rule: AnyRule, violation: Evaluation['violations'][number], { asOf, cause, occasion }: Seen): Finding {
  const { subject, summary, evidence, tags, severity = rule.severity } = violation;
  const seen = new Date(asOf).toISOString();
  const origin =
    'event' in occasion
      ? { actor: occasion.event.actor, event: { id: occasion.event.id, name: occasion.event.operation, time: occasion.event.time } }
      : { sweep: occasion.sweep };
  return {
    id: findingId(rule.id, subject.arn),
    rule: rule.id,
    practice: rule.practice,
    severity,
    title: rule.title,
    summary,
    subject,
    evidence,
    tags,
    status: 'open',
    opened: 1,
    firstSeen: seen,
    openedAt: seen,
    lastSeen: seen,
    asOf,
    cause,
    attempts: 0,
    ...origin,
  };
}
