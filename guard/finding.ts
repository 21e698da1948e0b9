import { hash } from 'node:crypto';
import type { Actor } from './cloudtrail.ts';
import type { Subject } from './subject.ts';

export const practices = ['roles', 'secrets', 'apis', 'vpc', 'deployments', 'guard'] as const;
export type Practice = (typeof practices)[number];
/** The mildest first. */
export const severities = ['low', 'medium', 'high', 'critical'] as const;
export type Severity = (typeof severities)[number];

/** How grave: 0 is the mildest. */
export function rankOf(severity: Severity): number {
  return severities.indexOf(severity);
}

/**
 * The life of a finding: open → remediated | partial | resolved | exempt | failed | reverted, and open again when it comes
 * back. `failed` and `reverted` stay so, and are fixed again only by an operator's word. `unknown`: the subject could not
 * be read, so nothing is known of it (which is not compliant).
 */
export type Status = 'open' | 'remediated' | 'partial' | 'resolved' | 'failed' | 'unknown' | 'exempt' | 'reverted';

/** A subject that breaks (or broke) a rule, as the ledger keeps it. */
export interface Finding {
  /** Made from rule and subject: the same wherever and however often it is found. */
  readonly id: string;
  readonly rule: string;
  readonly practice: Practice;
  readonly severity: Severity;
  readonly title: string;
  readonly summary: string;
  readonly subject: Subject;
  readonly evidence: Readonly<Record<string, unknown>>;
  readonly tags: Readonly<Record<string, string>>;
  readonly status: Status;
  /** How often it was opened: 1, then one more at each reopening. */
  readonly opened: number;
  readonly firstSeen: string;
  readonly openedAt: string;
  /** When a message last found it still wrong. */
  readonly lastSeen: string;
  /** Milliseconds: when the subject was last read; an older reading never overwrites a newer one. */
  readonly asOf: number;
  /** The message (event, sweep) that brought the finding into its present status. */
  readonly cause: string;
  readonly actor?: Actor;
  readonly event?: { readonly id: string; readonly name: string; readonly time: string };
  /** The sweep that found it, if no event did. */
  readonly sweep?: string;
  /** How often a fix was begun. */
  readonly attempts: number;
  /** The latest change made for it. */
  readonly change?: string;
  /** What tells this violation of the subject from another one. */
  readonly fingerprint?: string;
  /** The change under way, if any. */
  readonly fixing?: string;
  /** When tick sends it to its remediator (again), in milliseconds. */
  readonly dueAt?: number;
  /**
   * From when on a remediator may fix it, in milliseconds: the end of the rule's delay, or the word of an operator.
   * A finding that was opened before its rule was set to remediate has none, and waits for `guard fix`.
   */
  readonly fixAfter?: number;
  /** Until when tags of its subject exempt it, in milliseconds; an operator's exemption stands in the ledger by itself. */
  readonly exemptUntil?: number;
  /** When fixes of it were begun, in milliseconds, the latest last: the budget counts them. */
  readonly fixes?: readonly number[];
  /** The operator who had it fixed. */
  readonly orderedBy?: string;
}

/** The id of the finding of a rule on a subject: 20 hexadecimal digits. */
export function findingId(rule: string, subjectArn: string): string {
  return hash('sha256', `${rule}\n${subjectArn}`).slice(0, 20);
}

/** 16 hexadecimal digits of whatever distinguishes a violation. */
export function fingerprintOf(distinction: unknown): string {
  return hash('sha256', JSON.stringify(distinction)).slice(0, 16);
}

/**
 * No checker runs for longer, in milliseconds: who began to look before that is not at work any more, and nobody sees what happened so
 * much later.
 */
export const longestLook = 2 * 60_000;

/**
 * Whether a finding is the event's that a sweep came upon before the event arrived: its alert may be held back until the sweep is
 * over, and names nobody.
 */
export function explains({ event, status }: Finding, found: Finding): boolean {
  if (event === undefined || status !== 'open' || found.status !== 'open' || found.fixing !== undefined) return false;
  return found.sweep !== undefined && Date.parse(event.time) <= Date.parse(found.openedAt) + longestLook;
}

/** What a sweep looks at again, so that nothing stays in the ledger that is no longer so. */
export function isUnended(finding: Pick<Finding, 'status'>): boolean {
  return isWrong(finding) || finding.status === 'exempt';
}

/** What somebody has to look at, and may be exempted from. */
export function isWrong({ status }: Pick<Finding, 'status'>): boolean {
  return status === 'open' || status === 'partial' || status === 'failed' || status === 'reverted' || status === 'unknown';
}
