import type { Change, Progress } from './change.ts';
import type { Actor } from './cloudtrail.ts';
import type { Estate } from './estate.ts';
import type { Finding, Status } from './finding.ts';
import type { Mode } from './mode.ts';

/**
 * What writing a finding did. `again`: this very message wrote it before, so what follows it has to be done once more.
 * `stale`: the ledger holds a newer reading that says otherwise, and nothing was written.
 */
export type Written = 'changed' | 'again' | 'unchanged' | 'stale';

/** A reading that saw a rule kept: when it began, and the message that led to it. */
export interface Reading {
  readonly asOf: number;
  readonly cause: string;
}

/** What became of a finding that a reading is to end; undefined where there is none. */
export interface Ended {
  readonly written: Written;
  readonly finding: Finding | undefined;
}

/** The guard's memory. Every write is conditional: duplicates, late events and two workers at once end in the same state. */
export interface Ledger extends Estate {
  /**
   * Opens a finding, or opens it again where it had ended or has become graver or another. Otherwise one that is open (or failed,
   * or reverted) stays as it is but for `lastSeen` and `asOf`, and one that an operator exempted stays exempt; one that tags exempted
   * opens, or is exempt until another time, as the tags now are. What a sweep found and the event explains becomes the event's.
   * `finding.status` is `open`, `exempt`, or `unknown` where the subject could not be read.
   * One call, and one more where it was wrong already. `finding` in the answer is what the ledger now holds.
   */
  open(finding: Finding): Promise<{ readonly written: Written; readonly finding: Finding }>;
  /** Ends a finding, if there is one that has not ended (see isUnended), no change is under way and no newer reading says otherwise. One call. */
  resolve(id: string, reading: Reading): Promise<Ended>;
  /**
   * The same of many findings of one reading, in their order. They are looked at together first, and only those that there is
   * something to end of cost a call each: what is opened after that look is as if it were opened after `resolve`. Each id once.
   */
  resolveAll(ids: readonly string[], reading: Reading): Promise<readonly Ended[]>;
  finding(id: string): Promise<Finding | undefined>;
  findings(filter: { readonly rule?: string; readonly status?: Status }): AsyncIterable<Finding>;
  /** When tick sends a finding to its remediator (again); undefined for never. Nothing is written where it is no longer open. */
  remind(id: string, dueAt: number | undefined): Promise<void>;
  /** Sets a finding's status after a fix, an undo or an operator's word. Undefined where nothing was written. */
  setStatus(id: string, to: StatusChange): Promise<Finding | undefined>;

  /** Journals a change before its first step. Where it is there already, that one is returned (a redelivery goes on with it). */
  begin(change: Change): Promise<Change>;
  /**
   * Writes down how far a change is. `dueAt` is taken away where it is left out.
   * @param from the statuses that a worker may have left it in; where it is in another one by now, or further on, nothing
   * is written
   * @returns whether it was written
   */
  progress(id: string, to: Progress, from?: readonly Change['status'][]): Promise<boolean>;
  change(id: string): Promise<Change | undefined>;
  changes(): AsyncIterable<Change>;
  /** Changes that were begun since then (milliseconds), the latest first. One that was begun in this very second may be missing. */
  latestChanges(since: number): AsyncIterable<Change>;

  /** Takes the lock on a resource for this holder, or again for the same; false where another holds it. */
  lock(resource: string, holder: string, now: number, milliseconds: number): Promise<boolean>;
  unlock(resource: string, holder: string): Promise<void>;

  /** The runtime switches, read consistently. */
  switches(): Promise<Switches>;
  setSwitch(name: 'paused' | `mode:${string}`, value: string | undefined, by: string): Promise<void>;

  /** The exemption in force, if any. With `maxAge` (milliseconds) a list that was read that short a time ago will do. */
  exemption(rule: string, resourceArn: string, now: number, maxAge?: number): Promise<Exemption | undefined>;
  addExemption(exemption: Exemption): Promise<void>;
  exemptions(): AsyncIterable<Exemption>;
  removeExemption(id: string): Promise<void>;

  /** Items whose time has come: at most a few hundred at a time. */
  due(now: number): Promise<readonly Due[]>;
  /** Puts an item's time off, so that only one tick sends it on; false where another tick was first. */
  postpone(due: Due, until: number | undefined): Promise<boolean>;

  /**
   * Writes down that an alert is being sent, once for each key within a day, and counts it in a bucket (a minute, a sweep).
   * @returns `bucket` and `count`: where it was counted, perhaps by an earlier delivery, and as which; `sent`: it left already
   * @throws RetryLater where another delivery of it began less than a minute ago, and may still send it
   */
  announce(key: string, bucket: string, now: number): Promise<{ readonly bucket: string; readonly count: number; readonly sent: boolean }>;
  markSent(key: string): Promise<void>;
  /** Keeps an alert back for the bucket's digest, which is due at `dueAt` (put off by every further one). */
  hold(bucket: string, key: string, alert: unknown, dueAt: number): Promise<void>;
  /** Whether an alert is kept back in the bucket still. */
  isHeld(bucket: string, key: string): Promise<boolean>;
  held(bucket: string): AsyncIterable<{ readonly key: string; readonly alert: unknown }>;
  /** Marks as sent what was held in a bucket, and forgets it; what came in the meantime stays, and stays due. */
  release(bucket: string, keys: readonly string[]): Promise<void>;

  /** Functions that an index holds and that were last seen before `asOf`: what a sweep looks at once more. */
  functionsRecorded(): AsyncIterable<string>;
  /** The latest sweep, or undefined before the first. */
  lastSweep(): Promise<{ readonly id: string; readonly startedAt: number } | undefined>;
  recordSweep(id: string, startedAt: number): Promise<boolean>;

  /**
   * Leases calls of a quota, unless more than `ahead` milliseconds' worth of it is promised away already.
   * @returns the moment (milliseconds) up to which it was promised to others: the calls' own turn; undefined where there is no lease
   */
  lease(quota: string, calls: number, perSecond: number, now: number, ahead: number): Promise<number | undefined>;

  /**
   * Spends one of a budget of `limit` within any `window` (milliseconds), or nothing where that many are spent; the same
   * `what` is spent once only.
   * @returns whether there was one left
   * @throws RetryLater where another worker spends at the same moment
   */
  spend(budget: string, what: string, limit: number, window: number, now: number): Promise<boolean>;
}

/** A new status of a finding. `dueAt` and `fixing` are taken away where they are left out, `exemptUntil` always. */
export interface StatusChange {
  readonly status: Status;
  /** The finding as it was read: only where it still has that status, in that life of it. */
  readonly was?: Pick<Finding, 'status' | 'opened'>;
  /** Only where no checker read its subject after this moment, in milliseconds. */
  readonly unreadSince?: number;
  readonly cause: string;
  readonly change?: string;
  readonly opened?: number;
  readonly attempts?: number;
  readonly fixAfter?: number;
  readonly fixes?: readonly number[];
  readonly orderedBy?: string;
  readonly dueAt?: number;
  /** The change that is under way: until it ends, a compliant reading does not resolve the finding. */
  readonly fixing?: string;
  readonly asOf?: number;
}

/** What operators switched at run time. They only ever lower a rule's mode. */
export interface Switches {
  readonly paused: boolean;
  readonly modes: Readonly<Record<string, Mode>>;
}

export interface Exemption {
  readonly id: string;
  readonly rule: string;
  /** An ARN glob. */
  readonly resource: string;
  readonly reason: string;
  readonly owner: string;
  /** Milliseconds. */
  readonly expires: number;
  readonly by: string;
  /** When it was granted, in milliseconds. */
  readonly since?: number;
}

export interface Due {
  readonly kind: 'finding' | 'change' | 'digest' | 'exemption';
  readonly id: string;
  readonly rule: string;
  readonly dueAt: number;
}

export type { Actor };
