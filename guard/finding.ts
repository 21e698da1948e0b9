import { createHash } from 'node:crypto';
import type { Actor } from './cloudtrail.ts';
import type { Subject } from './subject.ts';

export type Practice = 'roles' | 'secrets' | 'apis' | 'vpc' | 'deployments' | 'guard';
export type Severity = 'critical' | 'high' | 'medium' | 'low';

/** How grave: 0 is the mildest. */
export function rankOf(severity: Severity): number {
  return ['low', 'medium', 'high', 'critical'].indexOf(severity);
}

/**
 * The life of a finding: open → remediated | partial | resolved | exempt | failed, and open again when it comes back.
 * `unknown`: the subject could not be read, so nothing is known of it (which is not compliant).
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
  /** Milliseconds: when the subject was read; an older reading never overwrites a newer one. */
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
  /** The end of the rule's delay, in milliseconds: a remediator leaves an earlier message alone. */
  readonly fixAfter?: number;
}

/** The id of the finding of a rule on a subject: 20 hexadecimal digits. */
export function findingId(rule: string, subjectArn: string): string {
  return createHash('sha256').update(`${rule}\n${subjectArn}`).digest('hex').slice(0, 20);
}

/** 16 hexadecimal digits of whatever distinguishes a violation. */
export function fingerprintOf(distinction: unknown): string {
  return createHash('sha256').update(JSON.stringify(distinction)).digest('hex').slice(0, 16);
}

/** A finding that is being, or still has to be, put right. */
export function isOpen(finding: Finding): boolean {
  return finding.status === 'open' || finding.status === 'partial';
}
