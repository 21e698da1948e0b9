import { type Alert, alertAbout } from './alert.ts';
import type { ApiEvent } from './cloudtrail.ts';
import { errorKind, errorSummary, isAnswer, QuotaUsedUp, RetryLater } from './errors.ts';
import { type Finding, findingId, fingerprintOf } from './finding.ts';
import { planToShow } from './plan.ts';
import type { Ports } from './ports.ts';
import type { AnyRule, Evaluation } from './rule.ts';
import type { Subject } from './subject.ts';

/** What a checker looks at: an event, or one function of a sweep. */
export type Occasion = { readonly event: ApiEvent } | { readonly sweep: string; readonly subject: Subject };

/** A checker may know the exemptions as they were so many milliseconds ago: what is exempted meanwhile is marked in its finding. */
const exemptionsAge = 30_000;

/** event → subjects → findings: judges everything that one message names by the rules of a practice. */
export async function check(occasion: Occasion, rules: readonly AnyRule[], ports: Ports): Promise<readonly Alert[]> {
  const alerts: Alert[] = [];
  for (const rule of rules) {
    if (ports.config.rule(rule.id).mode === 'off') continue;
    for (const subject of await subjectsOf(occasion, rule, ports)) alerts.push(...(await judge(rule, subject, occasion, ports)));
  }
  if (alerts.length > 0) await ports.publish(alerts);
  return alerts;
}

async function subjectsOf(occasion: Occasion, rule: AnyRule, { connect }: Ports): Promise<readonly Subject[]> {
  if ('event' in occasion) return triggered(rule, occasion.event);
  return rule.sweep === undefined ? [occasion.subject] : await rule.sweep(occasion.subject, { aws: connect(rule.check) });
}

/** The subjects that an event names to a rule, each once; an ARN in a request may name one that lies elsewhere. */
export function triggered(rule: AnyRule, event: ApiEvent): readonly Subject[] {
  const named = rule.on.flatMap(({ service, operations, subjects }) =>
    service === event.service && operations.includes(event.operation) ? subjects(event) : [],
  );
  const here = named.filter(({ account, region }) => account === event.account && region === event.region);
  return [...new Map(here.map((subject) => [subject.arn, subject])).values()];
}

async function judge(rule: AnyRule, subject: Subject, occasion: Occasion, ports: Ports): Promise<readonly Alert[]> {
  const asOf = ports.now();
  const event = 'event' in occasion ? occasion.event : undefined;
  // A sweep may come to one finding by two functions: by the message of which it changed tells a redelivery from the other.
  const cause = 'event' in occasion ? `event ${occasion.event.id}` : `sweep ${occasion.sweep} ${occasion.subject.arn}`;
  let evaluation: Evaluation;
  try {
    evaluation = await patiently(() => evaluate(rule, subject, event, ports));
  } catch (error) {
    if (!isAnswer(error) || errorKind(error) === 'passing') throw error;
    // It will not get better by trying again: the verdict is that nothing is known, which is never compliant.
    const violation = {
      subject,
      summary: `Whether ${subject.arn} keeps this rule is unknown: it could not be read (${errorSummary(error)}).`,
      evidence: { error: errorSummary(error) },
      tags: {},
    };
    return await open({ ...finding(rule, violation, { asOf, cause, occasion }), status: 'unknown' }, rule, ports);
  }
  const alerts: Alert[] = [];
  for (const violation of evaluation.violations) {
    const { mode, delay } = ports.config.rule(rule.id);
    const fixable = mode === 'remediate' && rule.fix.length > 0;
    const fixAfter = fixable ? { fixAfter: asOf + delay, ...(delay > 0 ? { dueAt: asOf + delay } : {}) } : {};
    const fingerprint = rule.distinguishes === undefined ? {} : { fingerprint: fingerprintOf(rule.distinguishes(violation.evidence)) };
    alerts.push(...(await open({ ...finding(rule, violation, { asOf, cause, occasion }), ...fixAfter, ...fingerprint }, rule, ports)));
  }
  for (const compliant of evaluation.compliant) alerts.push(...(await resolve(findingId(rule.id, compliant.arn), { asOf, cause }, ports)));
  return alerts;
}

/** Once more where another worker wrote to the same index at the same moment: the queue would take minutes to deliver again. */
async function patiently<T>(look: () => Promise<T>, tries = 3): Promise<T> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof RetryLater) || error instanceof QuotaUsedUp || tries <= 1) throw error;
    return await patiently(look, tries - 1);
  }
}

/** Asks the rule, with the checker's calls or whatever `connect` binds. */
export async function evaluate(
  rule: AnyRule,
  subject: Subject,
  event: ApiEvent | undefined,
  { connect, ledger, config, now }: Omit<Ports, 'publish'>,
): Promise<Evaluation> {
  const { params } = config.rule(rule.id);
  return await rule.evaluate(subject, { aws: connect(rule.check), estate: ledger, params, settings: config.settings, event, now: now() });
}

async function open(candidate: Finding, rule: AnyRule, ports: Ports): Promise<readonly Alert[]> {
  const { ledger, now } = ports;
  const exempt = await ledger.exemption(candidate.rule, candidate.subject.arn, now(), exemptionsAge);
  const { written, finding: kept } = await ledger.open(exempt === undefined ? candidate : { ...candidate, status: 'exempt' });
  if (written === 'unchanged' || kept.status === 'exempt') return [];
  // What is fixed at once needs no plan beside it: the next alert says what was done.
  const shown = kept.status === 'open' && rule.fix.length > 0 && (kept.fixAfter ?? Number.POSITIVE_INFINITY) > now();
  return [alertAbout(kept, { status: kept.status, plan: shown ? await planToShow(kept, rule, ports) : [] })];
}

async function resolve(id: string, reading: { asOf: number; cause: string }, { ledger }: Ports): Promise<readonly Alert[]> {
  const { written, finding: ended } = await ledger.resolve(id, reading);
  if (written === 'unchanged' || ended === undefined) return [];
  return [alertAbout(ended, { status: 'resolved', summary: `Put right, or gone: ${ended.subject.arn} no longer breaks this rule.` })];
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
