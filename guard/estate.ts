import type { SourceTouches } from './event-sources.ts';
import type { KnownSetup } from './run-setup.ts';

/** What a function, version or alias runs with, as far as the indexes keep it. */
export interface FunctionRecord {
  /** The function's ARN, no qualifier. */
  readonly function: string;
  /** The configuration's LastModified, in milliseconds: an older observation never overwrites a newer one. */
  readonly asOf: number;
}

/** A function's use of an execution role. */
export interface RoleUse {
  readonly function: string;
  readonly role: string;
  /** Since when the ledger knows this use, in milliseconds. */
  readonly since: number;
  /** The function is recorded with no other role, in no live version: whoever is longest here breaks nothing elsewhere. */
  readonly only: boolean;
}

/** How a subject was while it kept a rule. */
export interface Kept {
  readonly state: unknown;
  /** Milliseconds: when it was read. */
  readonly asOf: number;
}

/** What a function needs to reach the destinations that it declares. */
export interface Needs {
  /** The parts of the network, by their ids, that it depends on; none where it declares nothing. */
  readonly places: readonly string[];
  /** What the rule has to know to look again, as JSON. */
  readonly needs: unknown;
}

/** Which package of a function is approved, and where it is archived. */
export interface Baseline {
  readonly function: string;
  /** `observed` is what was found running; only `approved` code is ever put back. */
  readonly state: 'approved' | 'observed';
  readonly package: CodePackage;
  /** Every hash that was approved (or observed) and may still serve an alias. */
  readonly approvedHashes: readonly string[];
  /** Alias name → what it routes to, as last approved (or observed). */
  readonly aliases: Readonly<Record<string, AliasRouting>>;
  /**
   * What somebody put there by hand, so that no sweep takes it for what was always there: hashes, `live→3` or `live→3+4`
   * for an alias and the versions that it was routed to, and `setup:handler→index.handler` for a part of the set-up.
   */
  readonly byHand?: readonly string[];
  /** Handler, runtime, layers and what else decides which code of $LATEST runs, as last approved (or observed). */
  readonly setup?: KnownSetup;
  /** Milliseconds: a deployer wrote variables then, and what they are was not seen before somebody changed the function again. */
  readonly variablesDue?: number;
  /** The event source mappings that events told of. */
  readonly sources?: SourceTouches;
  readonly by: string;
  readonly at: string;
  /** Milliseconds of the event that made it so, 0 where only a sweep saw it: an older one never overwrites a newer. */
  readonly asOf: number;
  /** An operator's word that what runs is right, until a checker has seen that it still runs. */
  readonly approval?: Approval;
  /** One more at every write, where two workers must not write over each other's. */
  readonly revision?: number;
}

/** What an operator saw running, and approved. */
export interface Approval {
  /** Hashes of $LATEST and of what aliases route to, and the routings, in the words of `byHand`. */
  readonly runs: readonly string[];
  /** The hash of $LATEST. */
  readonly sha256: string;
  readonly by: string;
  readonly at: string;
}

export interface AliasRouting {
  readonly version: string;
  /** Further versions and their weights (weighted aliases). */
  readonly weights: Readonly<Record<string, number>>;
}

/**
 * Code as the guard can put it back: an archived zip package, a container image by its digest, or the object in S3 that
 * the function references (Lambda keeps no copy of that, and neither does the guard).
 */
export type CodePackage = CodeSettings &
  (
    | { readonly type: 'Zip'; readonly sha256: string; readonly archive: ArchivedObject | undefined }
    | { readonly type: 'Image'; readonly sha256: string; readonly imageUri: string }
    | { readonly type: 'Reference'; readonly sha256: string; readonly object: ArchivedObject }
  );

/** What UpdateFunctionCode sets besides the code itself. */
export interface CodeSettings {
  readonly architecture?: string;
  /** The customer-managed key that encrypts a zip package in Lambda. */
  readonly kmsKeyArn?: string;
}

export interface ArchivedObject {
  readonly bucket: string;
  readonly key: string;
  readonly version: string;
}

/**
 * What the guard knows of the estate beyond the subject at hand: the ledger's indexes and baselines. The cost of
 * every method is one call to the ledger, however many functions the account has, unless it says otherwise.
 */
export interface Estate {
  /**
   * Records which role a function runs with ($LATEST, and the roles of versions that aliases route to).
   * @returns `left`: roles that it no longer uses; `stale`: a newer observation is already recorded, nothing was written.
   */
  recordRoles(
    record: FunctionRecord & { readonly role: string; readonly liveRoles: readonly string[] },
  ): Promise<{ left: readonly string[]; stale: boolean }>;
  /** The two functions that are recorded longest with this role (ties by ARN), fewer where fewer use it. */
  longestUsers(role: string): Promise<readonly RoleUse[]>;
  /** The roles of a function that no longer exists, taken out of the index. */
  forgetRoles(functionArn: string, asOf: number): Promise<{ left: readonly string[] }>;

  /** Records the groups and subnets of a function's interfaces ($LATEST and live versions). One call, two where they changed. */
  recordNetwork(
    record: FunctionRecord & { readonly groups: readonly string[]; readonly subnets: readonly string[] },
  ): Promise<{ left: readonly string[]; stale: boolean }>;
  forgetNetwork(functionArn: string, asOf: number): Promise<{ left: readonly string[] }>;
  /** Functions with an interface in this security group or subnet (by its id), at most ten. */
  functionsIn(groupOrSubnet: string): Promise<readonly string[]>;

  /** Records the secrets that a function reads, by their ARNs with or without the six characters at the end. One call, two where they changed. */
  recordSecrets(record: FunctionRecord & { readonly secrets: readonly string[] }): Promise<{ left: readonly string[]; stale: boolean }>;
  forgetSecrets(functionArn: string, asOf: number): Promise<{ left: readonly string[] }>;
  /** Functions that read a secret (by its whole ARN), at most ten. Two calls. */
  functionsReading(secretArn: string): Promise<readonly string[]>;
  /** Records what a function needs of the network. One call, two where that changed. */
  recordNeeds(record: FunctionRecord & Needs): Promise<void>;
  /** The functions that need this part of the network (by its id), at most a hundred. */
  needing(place: string): Promise<readonly { readonly function: string; readonly needs: unknown }[]>;

  /**
   * Records what a rule saw of a subject while the rule was kept, as JSON without secret values, so that its fix can bring
   * that back. Not over a newer one; nothing is written where the same is there already. One call.
   */
  recordKept(rule: string, subjectArn: string, kept: Kept): Promise<void>;
  /** What was recorded last; undefined where the guard never saw the rule kept. */
  kept(rule: string, subjectArn: string): Promise<Kept | undefined>;

  baseline(functionArn: string): Promise<Baseline | undefined>;
  /**
   * Writes a baseline unless a newer one is there, or with a revision, one of the same or a later revision.
   * @returns whether it was written
   */
  recordBaseline(baseline: Baseline): Promise<boolean>;
  /** The function is gone: its baseline is kept for a while, in case it is made again, and no sweep asks for it any more. */
  forgetBaseline(functionArn: string, now: number): Promise<void>;
}
