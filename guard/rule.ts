import type * as z from 'zod';
import type { Place } from './arn.ts';
import type { AnyCall, Handle, RecordedCall } from './call.ts';
import type { ApiEvent } from './cloudtrail.ts';
import type { Estate } from './estate.ts';
import type { Finding, Practice, Severity } from './finding.ts';
import type { Subject } from './subject.ts';

/** Events that make a rule look, and where each names its subjects. */
export interface Trigger {
  /** The eventSource without its domain: `lambda`. */
  readonly service: string;
  /** Operations by the SDK's own names, without CloudTrail's version suffixes; or the names of events of the service itself. */
  readonly operations: readonly string[];
  /** The events are no calls: the service tells of its own doing (`AWS Service Event via CloudTrail`). */
  readonly ofService?: true;
  /** The subjects that an event names; empty where it names none that this rule could judge. */
  readonly subjects: (event: ApiEvent) => readonly Subject[];
}

export function cloudTrail(service: string, operations: readonly string[], subjects: Trigger['subjects']): Trigger {
  return { service, operations, subjects };
}

/**
 * Events that a service writes of what it did itself: nobody called, so they name no caller and have no request.
 * https://docs.aws.amazon.com/awscloudtrail/latest/userguide/non-api-aws-service-events.html
 */
export function serviceEvents(service: string, names: readonly string[], subjects: Trigger['subjects']): Trigger {
  return { service, operations: names, ofService: true, subjects };
}

/** One subject that breaks a rule. */
export interface Violation {
  readonly subject: Subject;
  /** One sentence for somebody who did not write the function. Never a secret value. */
  readonly summary: string;
  /** What was seen, for the alert and for whoever looks into it. JSON, never a secret value. */
  readonly evidence: Readonly<Record<string, unknown>>;
  /** The subject's tags: they tell who manages it and whether a fix may touch it. */
  readonly tags: Readonly<Record<string, string>>;
  /** Where this one is graver or milder than the rule's own severity. */
  readonly severity?: Severity;
}

/** What a rule found: who breaks it, and who was looked at and does not. */
export interface Evaluation {
  readonly violations: readonly Violation[];
  readonly compliant: readonly Subject[];
}

/** One call of a fix. Its undo is chosen beforehand and runs in reverse order of the steps. */
export interface CallStep extends RecordedCall {
  readonly undo: readonly RecordedCall[];
}

/** A pause between steps (IAM is eventually consistent); tick goes on with the change when it is over. */
export interface WaitStep {
  readonly waitSeconds: number;
  readonly why: string;
}

export type Step = CallStep | WaitStep;

/** Ordered steps; with `refused`, they are shown but not run, because of this sentence. */
export interface Plan {
  readonly steps: readonly Step[];
  readonly refused?: string;
  /** What stays wrong after the fix, e.g. versions that an alias still routes to: the change is then `partial`. */
  readonly remains?: readonly string[];
}

/** How a sweep comes to subjects that are no functions. */
export interface Listing {
  /** The only calls that it can make: the sweep has them, and no other of the rule's. */
  readonly calls: readonly AnyCall[];
  /** Page by page; each subject gets a message of its own. */
  readonly subjects: (place: Place, aws: Handle<readonly AnyCall[]>, settings?: Settings) => AsyncIterable<readonly Subject[]>;
}

/** Declares a listing, with the compiler holding it to the calls it declares. */
export function listing<const Calls extends readonly AnyCall[]>(
  calls: Calls,
  subjects: (place: Place, aws: Handle<Calls>, settings: Settings) => AsyncIterable<readonly Subject[]>,
): Listing {
  return { calls, subjects: subjects as Listing['subjects'] };
}

/** What a rule may know of the deployment besides its own parameters. */
export interface Settings {
  /** What the guard's own things are called after. */
  readonly stack: string;
  /** Role ARNs of the pipelines that deploy code. */
  readonly deployers: readonly string[];
  /** ARNs of roles or users who may operate the guard. */
  readonly operators: readonly string[];
  /** The bucket of approved packages. */
  readonly archiveBucket: string;
  /** The boundary that every role made by the guard carries. */
  readonly boundaryArn: string;
  /** The managed policy that denies to deploy code. */
  readonly denialArn: string;
  /** The stack's own key, and the topic of its alerts: the only things of the stack that no name tells. */
  readonly keyArn: string;
  readonly alertTopicArn: string;
}

export interface EvaluateContext<Check extends readonly AnyCall[], Params> {
  readonly aws: Handle<Check>;
  readonly estate: Estate;
  readonly params: Params;
  readonly settings: Settings;
  /** The event that led here; undefined in a sweep and when a remediator looks again. */
  readonly event: ApiEvent | undefined;
  /** Milliseconds since 1970. */
  readonly now: number;
}

export interface PlanContext<Check extends readonly AnyCall[], Params> extends Omit<EvaluateContext<Check, Params>, 'event'> {
  /** A short name that is unique to the change: what a plan creates is named by it, so that a step can be repeated. */
  readonly changeId: string;
  /** The plan is for reading only: a resource that is busy at the moment is no reason to wait. */
  readonly toShow: boolean;
}

/** A rule: the only page that decides what is wrong and what would put it right. It never writes to a resource. */
export interface Rule<
  Check extends readonly AnyCall[] = readonly AnyCall[],
  Fix extends readonly AnyCall[] = readonly AnyCall[],
  Undo extends readonly AnyCall[] = readonly AnyCall[],
  Params extends z.ZodObject = z.ZodObject,
> {
  readonly id: string;
  readonly practice: Practice;
  readonly severity: Severity;
  readonly title: string;
  readonly on: readonly Trigger[];
  /** The only calls that evaluate() and plan() can make. */
  readonly check: Check;
  /** The only calls that a step can make. Empty: the rule only alerts. */
  readonly fix: Fix;
  /** The only calls that a step's undo can make. */
  readonly undo: Undo;
  /** `off`: ships switched off, because it is noisy in an ordinary account. Every other rule ships in `alert`. */
  readonly mode?: 'off';
  /** Minutes between finding and fix, as shipped. */
  readonly delay: number;
  /** After the change the function is watched (see probation.ts); only then do undo's calls enter the remediator's role. */
  readonly probation: boolean;
  /**
   * Whether a subject breaks it depends on who else is there: whoever ends what another has just found may have known less,
   * and looks once more. Every other rule reads all that it needs of the subject itself.
   */
  readonly relative?: true;
  /**
   * What it finds at its first look is accepted, and it judges what changes afterwards: only a guard that remembers can, and a
   * scan cannot.
   */
  readonly accepts?: true;
  /** It reads what another rule of its practice writes, or the other way round: such rules are judged one after the other. */
  readonly inTurn?: true;
  /** Megabytes that its checker and remediator need; 512 where it says nothing. */
  readonly memory?: number;
  /** Seconds that its checker may run; 60 where it says nothing. */
  readonly timeout?: number;
  /** Further stack parameters, `<RuleIdInPascalCase><Param>`: every one a text with a default. */
  readonly params: Params;
  /**
   * What a fix of a subject keeps others from while it runs, as an ARN, where that is more than the subject: the API, of
   * which whole deployments are made.
   */
  readonly holds?: (subject: Subject) => string;
  /** In a sweep: the subjects of one function. By default the function itself. */
  readonly sweep?: (subject: Subject, context: { readonly aws: Handle<Check> }) => Promise<readonly Subject[]>;
  /** What a sweep lists for this rule besides functions: subjects that no function would lead to. */
  readonly list?: Listing;
  /**
   * What of the evidence tells one violation of a subject from another: where it changes while the finding is open,
   * the finding opens once more and is told. Without it a finding is the same until it ends.
   */
  readonly distinguishes?: (evidence: Readonly<Record<string, unknown>>) => unknown;
  readonly evaluate: (subject: Subject, context: EvaluateContext<Check, z.output<Params>>) => Promise<Evaluation>;
  /**
   * What an event proves by itself, at its time. Only a replay without the account's state asks for it: everywhere else
   * the event says where to look, and what is there decides.
   */
  readonly tells?: (event: ApiEvent, context: { readonly params: z.output<Params>; readonly settings: Settings }) => readonly Violation[];
  readonly plan: (finding: Finding, context: PlanContext<Check, z.output<Params>>) => Promise<Plan>;
  /**
   * What a fix touches, as it is now, as JSON without secret values and without what AWS assigns anew: a change is
   * taken back only where this still is what the change left. Undefined where the subject is gone.
   */
  readonly state: (subject: Subject, context: { readonly aws: Handle<Check> }) => Promise<unknown>;
}

// biome-ignore lint/suspicious/noExplicitAny: the list of all rules is heterogeneous; each rule keeps its own types
export type AnyRule = Rule<any, any, any, any>;

/** Declares a rule, with the compiler holding it to the calls it declares. */
export function defineRule<
  const Check extends readonly AnyCall[],
  const Fix extends readonly AnyCall[],
  const Undo extends readonly AnyCall[],
  Params extends z.ZodObject,
>(rule: Rule<Check, Fix, Undo, Params>): Rule<Check, Fix, Undo, Params> {
  return rule;
}

export function isWait(step: Step): step is WaitStep {
  return 'waitSeconds' in step;
}

/** `role-shared` → `RoleShared`: how a rule is spelled in stack parameters. */
export function pascalCase(id: string): string {
  return id.replace(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase());
}
