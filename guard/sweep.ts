import { alertOfGuard } from './alert.ts';
import { matchesGlob } from './arn.ts';
import { type Finding, isUnended, type Practice } from './finding.ts';
import type { Exemption } from './ledger.ts';
import type { Ports } from './ports.ts';
import type { AnyRule } from './rule.ts';
import { functionSubject, type Subject } from './subject.ts';

/** A message on a checker's sweep queue: one function to look at, or with a rule, the subject of one of its findings. */
export interface SweepMessage {
  readonly sweep: string;
  readonly rule?: string | undefined;
  readonly subject: Subject;
}

/** To the sweep queue of a practice. */
export type SendSwept = (practice: Practice, messages: readonly SweepMessage[]) => Promise<void>;

/** So many messages are sent to a queue at a time. */
const batch = 50;

/**
 * Lists the estate and sends one message a function to every checker; functions that the ledger still knows and the account
 * no longer has are sent too, so that their indexes and findings end. So is the subject of every finding that has not ended,
 * to its own practice: an alias or group that is gone has no function that would lead to it. Rules list what else they look at
 * (see Listing). What cannot be sent to one queue
 * is sent to the others all the same. Tells which exemptions cover nothing.
 *
 * With 10,000 functions it takes about two minutes: 200 pages of at most half a second, the queues side by side.
 * @returns how many functions, listed subjects and findings were sent
 * @throws what failed, in the end
 */
export async function sweep(
  id: string,
  pages: AsyncIterable<readonly { readonly FunctionArn?: string | undefined }[]>,
  practices: readonly Practice[],
  rules: readonly AnyRule[],
  send: SendSwept,
  ports: Ports,
): Promise<{ readonly functions: number; readonly listed: number; readonly findings: number }> {
  const { ledger, config, now, connect } = ports;
  const before = await ledger.lastSweep();
  await ledger.recordSweep(id, now());
  const failures: unknown[] = [];
  const sendTo = async (practice: Practice, messages: readonly SweepMessage[]) => {
    if (messages.length > 0) await send(practice, messages).catch((error: unknown) => failures.push(error));
  };
  const seen = new Set<string>();
  const sendFunctions = async (arns: readonly string[]) => {
    const fresh = arns.filter((arn) => !seen.has(arn));
    for (const arn of fresh) seen.add(arn);
    const messages = fresh.flatMap((arn) => {
      const subject = functionSubject(arn, config.home);
      return subject === undefined ? [] : [{ sweep: id, subject }];
    });
    await Promise.all(practices.map((practice) => sendTo(practice, messages)));
  };
  for await (const page of pages) await sendFunctions(page.flatMap(({ FunctionArn }) => (FunctionArn === undefined ? [] : [FunctionArn])));
  for await (const arns of inBatches(ledger.functionsRecorded())) await sendFunctions(arns);

  let listed = 0;
  for (const { id: rule, practice, list } of rules) {
    if (list === undefined || config.rule(rule).mode === 'off') continue;
    try {
      for await (const subjects of list.subjects(config.home, connect(list.calls), config.settings)) {
        listed += subjects.length;
        for (let first = 0; first < subjects.length; first += batch) {
          const messages = subjects.slice(first, first + batch).map((subject) => ({ sweep: id, rule, subject }));
          await sendTo(practice, messages);
        }
      }
    } catch (error) {
      failures.push(error);
    }
  }

  const idle = new Map<string, Exemption>();
  // What was granted since the last sweep may cover what this one finds.
  for await (const exemption of ledger.exemptions())
    if (exemption.expires > now() && (exemption.since ?? 0) < (before?.startedAt ?? 0)) idle.set(exemption.id, exemption);
  let findings = 0;
  for await (const part of inBatches(ledger.findings({}))) {
    for (const [key, exemption] of idle) if (part.some((finding) => isCoveredBy(exemption, finding))) idle.delete(key);
    const unended = part.filter((finding) => isUnended(finding) && practices.includes(finding.practice));
    findings += unended.length;
    const messagesFor = (practice: Practice) =>
      unended.flatMap((finding) => (finding.practice === practice ? [{ sweep: id, rule: finding.rule, subject: finding.subject }] : []));
    await Promise.all(practices.map((practice) => sendTo(practice, messagesFor(practice))));
  }
  if (idle.size > 0) await tellIdle(id, [...idle.values()], ports);
  if (failures.length > 0) throw failures[0];
  return { functions: seen.size, listed, findings };
}

async function* inBatches<T>(items: AsyncIterable<T>): AsyncGenerator<readonly T[]> {
  let part: T[] = [];
  for await (const item of items) {
    part.push(item);
    if (part.length < batch) continue;
    yield part;
    part = [];
  }
  if (part.length > 0) yield part;
}

function isCoveredBy({ rule, resource }: Exemption, finding: Finding): boolean {
  return (
    finding.status === 'exempt' && finding.exemptUntil === undefined && finding.rule === rule && matchesGlob(finding.subject.arn, resource)
  );
}

/** An alert holds 256 KB: so many exemptions are listed in it, and so many named in its sentence. */
const listedAtMost = 100;
const namedAtMost = 3;

async function tellIdle(
  sweepId: string,
  idle: readonly Exemption[],
  { config, publish }: Pick<Ports, 'config' | 'publish'>,
): Promise<void> {
  const named = idle.slice(0, namedAtMost).map(({ rule, resource, owner, reason }) => `${resource} from ${rule} (${owner}: ${reason})`);
  const more = idle.length > namedAtMost ? ` and ${idle.length - namedAtMost} more` : '';
  const what = idle.length === 1 ? 'An exemption covers' : `${idle.length} exemptions cover`;
  const summary = `${what} nothing that is wrong, says the sweep of ${sweepId}: ${named.join('; ')}${more}. \`npm run guard -- unexempt <id>\` ends one.`;
  const exemptions = idle.slice(0, listedAtMost).map(({ id, rule, resource, owner, reason, expires }) => ({
    id,
    rule,
    resource,
    owner,
    reason,
    expires: new Date(expires).toISOString(),
  }));
  await publish([
    alertOfGuard(config, {
      status: 'open',
      severity: 'low',
      title: 'Exemptions that cover nothing',
      summary,
      evidence: { exemptions },
      sweep: sweepId,
    }),
  ]);
}
