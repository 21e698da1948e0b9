/**
 * How the guard reads an error of AWS.
 * - `absent`: the resource is not there (any more)
 * - `passing`: throttling, 5xx, a conflict with another change: the same call may succeed later
 * - `lasting`: everything else (AccessDenied, validation): it will not go away by trying again
 */
export type ErrorKind = 'absent' | 'passing' | 'lasting';

const absent =
  /^(ResourceNotFoundException|NoSuchEntity(Exception)?|NoSuchKey|NoSuchBucket|NoSuchBucketPolicy|PolicyNotFoundException|TrailNotFoundException|QueueDoesNotExist|AWS\.SimpleQueueService\.NonExistentQueue|NotFoundException|NotFound|Invalid\w+\.NotFound)$/;

// ResourceConflictException: Lambda refuses a change while State is Pending or LastUpdateStatus is InProgress.
// https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
const passing =
  /^(ThrottlingException|Throttling|ThrottledException|RequestThrottled(Exception)?|EC2ThrottledException|TooManyRequestsException|RequestLimitExceeded|ProvisionedThroughputExceededException|SlowDown|ServiceException|ServiceUnavailable(Exception)?|ServiceFailure(Exception)?|InternalError|InternalFailure|InternalServerError|InternalServerException|InternalServiceError(Exception)?|RequestTimeout(Exception)?|TimeoutError|ResourceConflictException|ConcurrentModification(Exception)?|TransactionConflictException|TransactionInProgressException|LimitExceededException|NetworkingError|ECONNRESET|ECONNREFUSED|ETIMEDOUT|EPIPE|AbortError)$/;

export function errorName(error: unknown): string {
  if (typeof error !== 'object' || error === null) return 'Error';
  const { name, Code, code } = error as { name?: unknown; Code?: unknown; code?: unknown };
  for (const candidate of [code, Code, name]) if (typeof candidate === 'string' && candidate !== '') return candidate;
  return 'Error';
}

export function errorKind(error: unknown): ErrorKind {
  if (error instanceof RetryLater || error instanceof LedgerFailed) return 'passing';
  const name = errorName(error);
  if (absent.test(name)) return 'absent';
  if (passing.test(name)) return 'passing';
  const status = (error as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata?.httpStatusCode ?? 0;
  return status >= 500 || status === 429 ? 'passing' : 'lasting';
}

/** The answer, or undefined where the resource is not there. Every other error goes on. */
export async function ifPresent<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (errorKind(error) === 'absent') return undefined;
    throw error;
  }
}

/** Thrown where the same message will succeed later: the queue delivers it again. */
export class RetryLater extends Error {
  override readonly name = 'RetryLater';
}

/**
 * The ledger could not be read or written. That says nothing of the resource that is looked at: whatever the error is, what
 * needed the ledger stops there and is tried again.
 */
export class LedgerFailed extends Error {
  override readonly name: string;

  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.name = `LedgerFailed (${errorName(cause)})`;
  }
}

/** Thrown where AWS hands out no package, or no hash of it: what runs is then unknown. */
export class PackageUnreadable extends Error {
  override readonly name = 'PackageUnreadable';
}

/** Thrown where a function's variables cannot be decrypted: what they make run is then unknown. */
export class VariablesUnreadable extends Error {
  override readonly name = 'VariablesUnreadable';
}

/** Thrown where an answer about a network cannot be understood, or tells too little: what it lets through is then unknown. */
export class NetworkUnreadable extends Error {
  override readonly name = 'NetworkUnreadable';
}

/** Thrown where a trail belongs to another account, which alone may read whether it logs, and what. */
export class TrailUnreadable extends Error {
  override readonly name = 'TrailUnreadable';
}

/** Thrown where a template that is not deployed yet does not say: only the account does, or whoever deploys it. */
export class OnlyTheAccountKnows extends Error {
  override readonly name = 'OnlyTheAccountKnows';
}

/** The same, after a wait that was long already: whoever catches it gives the message back at once. Nothing has failed. */
export class QuotaUsedUp extends RetryLater {
  /** The message comes back after so many seconds. */
  readonly away: number;

  constructor(message: string, away: number) {
    super(message);
    this.away = away;
  }
}

/** AWS answered with an error, or a document could not be understood; anything else is a defect and goes to the dead letters. */
export function isAnswer(error: unknown): boolean {
  if (error instanceof RetryLater) return true;
  return (
    typeof error === 'object' &&
    error !== null &&
    ('$metadata' in error ||
      [
        'PolicyUnreadable',
        'EnvironmentUnreadable',
        'PackageUnreadable',
        'NetworkUnreadable',
        'TrailUnreadable',
        'DefinitionUnreadable',
        'OnlyTheAccountKnows',
      ].includes((error as Error).name))
  );
}

/** The action that IAM refused, where AWS tells: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html */
export function deniedAction(error: unknown): string | undefined {
  return /not authorized to perform: ([\w-]+:\w+)/.exec(error instanceof Error ? error.message : '')?.[1];
}

/**
 * An error's text for a log or an alert: the name and the action that was refused, because messages of AWS may quote inputs; of a
 * network or trail what is not understood.
 */
export function errorSummary(error: unknown): string {
  const name = errorName(error);
  if (error instanceof NetworkUnreadable || error instanceof TrailUnreadable || error instanceof OnlyTheAccountKnows)
    return `${name}: ${error.message}`;
  const action = deniedAction(error);
  return action === undefined ? name : `${name}: not authorized to perform ${action}`;
}
