import { type Alert, alertAbout } from './alert.ts';
import type { ApiEvent } from './cloudtrail.ts';
import { errorKind, errorSummary, isAnswer, QuotaUsedUp, RetryLater } from './errors.ts';
import { type Finding, findingId, fingerprintOf, isUnended } from './finding.ts';
import type { Written } from './ledger.ts';
import { unexplainedCall } from './own-calls.ts';
import { planToShow } from './plan.ts';
import type { Ports } from './ports.ts';
import { readOnce, recordOnce } from './reads.ts';
import type { AnyRule, Evaluation } from './rule.ts';
import type { Subject } from './subject.ts';
import type { SweepMessage } from './sweep.ts';
import { causeByTags, type ExemptionByTags, exemptionByTags, retagged } from './tags.ts';

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
  const first = { asOf: ports.now(), ports: { ...ports, connect: readOnce(ports.connect), ledger: recordOnce(ports.ledger) } };
  const attempt = async (rule: string, subject: Subject | undefined, judged: () => Promise<void>) => {
    // Whoever waited for the quota in vain has no time to wait for it again.
    if (failures.some(({ error }) => error instanceof QuotaUsedUp)) return;
    try {
      await judged();
    } catch (error) {
      failures.push({ rule, subject, error });
    }
  };
  if ('event' in occasion)
    await attempt('*', undefined, async () => {
      alerts.push(...(await unexplainedCall(occasion.event, namedBy(occasion.event, rules), ports)));
    });
  for (const rule of rules) {
    if (ports.config.rule(rule.id).mode === 'off') continue;
    await attempt(rule.id, 'event' in occasion ? undefined : occasion.subject, async () => {
      for (const [by, subject] of await subjectsOf(rule, occasion, first.ports))
        await attempt(rule.id, subject, () => judge(by, subject, occasion, ports, alerts, first));
    });
  }
  return { alerts, failures };
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

/** A subject that somebody changes all the time comes back with its message after so many looks. */
const mostLooks = 5;

/** No checker runs for longer: who found something wrong before that is not at work any more. Milliseconds. */
const longestLook = 2 * 60_000;

/**
 * Looks at a subject, and once more at whatever it came too late for, until nobody was faster; by a relative rule also at
 * whatever it ended and another worker has just seen wrong, who perhaps knew more. What somebody puts right between the
 * reading and its write, and another worker saw before there was a finding, stays open until the next event or sweep: to
 * look a second time at every finding would cost as much again, for all of them.
 */
async function judge(
  rule: AnyRule,
  subject: Subject,
  occasion: Occasion,
  ports: Eyes,
  alerts: Alert[],
  reads: Reads,
  looks = 1,
): Promise<void> {
  if (looks > mostLooks) throw new RetryLater(`${subject.arn} changes all the time`);
  const unsettled: Subject[] = [];
  for (const { of, written, told, doubtful = false } of await judgeOnce(rule, subject, occasion, ports, reads, looks)) {
    if (written === 'stale' || doubtful) unsettled.push(of);
    if (written === 'changed' || looks === 1) alerts.push(...told);
  }
  for (const each of unsettled) await judge(rule, each, occasion, ports, alerts, { asOf: ports.now(), ports }, looks + 1);
}

/** Where a look reads, and when the first of its readings may have been made. */
interface Reads {
  readonly asOf: number;
  readonly ports: Eyes;
}

interface Verdict {
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

async function judgeOnce(
  rule: AnyRule,
  subject: Subject,
  occasion: Occasion,
  ports: Eyes,
  { asOf, ports: reading }: Reads,
  looks: number,
): Promise<readonly Verdict[]> {
  // What an event says of the change itself was taken in at the first look.
  const event = 'event' in occasion && looks === 1 ? occasion.event : undefined;
  // A sweep may come to one finding by two functions: by the message of which it changed tells a redelivery from the other.
  const cause = 'event' in occasion ? `event ${occasion.event.id}` : `sweep ${occasion.sweep} ${occasion.subject.arn}`;
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
    return [await open({ ...finding(rule, violation, { asOf, cause, occasion }), status: 'unknown' }, rule, ports)];
  }
  const verdicts: Verdict[] = [];
  // The plans that alerts show of one subject's violations read much the same, such as the API of them all.
  const showing = { ...ports, connect: readOnce(ports.connect) };
  for (const violation of evaluation.violations) {
    const { mode, delay } = ports.config.rule(rule.id);
    const fixable = mode === 'remediate' && rule.fix.length > 0;
    const fixAfter = fixable ? { fixAfter: asOf + delay, ...(delay > 0 ? { dueAt: asOf + delay } : {}) } : {};
    const fingerprint = rule.distinguishes === undefined ? {} : { fingerprint: fingerprintOf(rule.distinguishes(violation.evidence)) };
    verdicts.push(await open({ ...finding(rule, violation, { asOf, cause, occasion }), ...fixAfter, ...fingerprint }, rule, showing));
  }
  for (const compliant of evaluation.compliant) verdicts.push(await resolve(rule, compliant, { asOf, cause }, ports));
  return verdicts;
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
  const verdict = { of: candidate.subject, written };
  // An operator told of their exemption, nobody of that in tags.
  if (!isNews(written) || (kept.status === 'exempt' && kept.exemptUntil === undefined)) return { ...verdict, told: [] };
  if (kept.status === 'exempt' && byTags !== undefined && 'until' in byTags) {
    const summary = `${kept.summary} Its tags exempt it from this rule until ${new Date(byTags.until).toISOString()}: ${byTags.reason}`;
    return { ...verdict, told: [alertAbout(kept, { status: 'exempt', summary })] };
  }
  // What is fixed at once needs no plan beside it: the next alert says what was done.
  const shown = kept.status === 'open' && rule.fix.length > 0 && (kept.fixAfter ?? Number.POSITIVE_INFINITY) > now();
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

async function resolve(rule: AnyRule, of: Subject, reading: { asOf: number; cause: string }, { ledger }: Eyes): Promise<Verdict> {
  const { written, finding: ended } = await ledger.resolve(findingId(rule.id, of.arn), reading);
  if (!isNews(written) || ended === undefined) return { of, written, told: [] };
  return {
    of,
    written,
    doubtful: rule.relative === true && written === 'changed' && Date.parse(ended.lastSeen) > reading.asOf - longestLook,
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
