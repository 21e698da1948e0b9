import { awsError } from '../support/world/service.ts';
import { type Call, type Fate, isWrite, Killed } from './account.ts';
import type { Guard } from './guard.ts';

/** Something that goes wrong at one call, or from one call on. */
export interface Fault {
  readonly name: string;
  /** Which calls can suffer it. */
  readonly strikes: (call: Call) => boolean;
  /** What becomes of every call of a guard, where it strikes at this one. */
  readonly at: (struck: Call, guard: Guard) => Fate;
}

const minute = 60_000;
/** After so long SQS has given up on every message. */
const long = 120 * minute;

type Kind = 'throttled' | 'failing' | 'denied' | 'busy';

/** What each service answers, with its HTTP status: the errors that its API reference lists. */
const answers: Readonly<Record<Kind, Readonly<Record<string, readonly [code: string, status: number]>>>> = {
  throttled: {
    lambda: ['TooManyRequestsException', 429],
    ec2: ['RequestLimitExceeded', 503],
    iam: ['Throttling', 400],
    secretsManager: ['ThrottlingException', 400],
    s3: ['SlowDown', 503],
    dynamodb: ['ProvisionedThroughputExceededException', 400],
    events: ['ThrottlingException', 400],
    sns: ['Throttled', 429],
    sqs: ['RequestThrottled', 400],
    cloudwatch: ['Throttling', 400],
  },
  failing: {
    lambda: ['ServiceException', 500],
    ec2: ['InternalError', 500],
    iam: ['ServiceFailure', 500],
    secretsManager: ['InternalServiceError', 500],
    s3: ['InternalError', 500],
    dynamodb: ['InternalServerError', 500],
    events: ['InternalException', 500],
    sns: ['InternalError', 500],
    sqs: ['InternalFailure', 500],
    cloudwatch: ['InternalServiceFault', 500],
  },
  denied: {
    lambda: ['AccessDeniedException', 403],
    ec2: ['UnauthorizedOperation', 403],
    iam: ['AccessDenied', 403],
    secretsManager: ['AccessDeniedException', 400],
    s3: ['AccessDenied', 403],
    dynamodb: ['AccessDeniedException', 400],
    events: ['AccessDeniedException', 400],
    sns: ['AuthorizationError', 403],
    sqs: ['AccessDenied', 403],
    cloudwatch: ['AccessDenied', 403],
  },
  // Services that are not here have no such error.
  busy: {
    lambda: ['ResourceConflictException', 409],
    iam: ['ConcurrentModification', 409],
    s3: ['ConditionalRequestConflict', 409],
    dynamodb: ['TransactionConflictException', 400],
  },
};

function errorOf(kind: Kind, { service, operation }: Call): Error {
  const answer = answers[kind][service];
  if (answer === undefined) throw new Error(`${service} has no error for what is ${kind}`);
  return awsError(answer[0], `${operation} fails in this test`, answer[1]);
}

const everyCall = () => true;
const everyWrite = isWrite;
/** Only what changes something tells that it is busy. */
const mayBeBusy = (call: Call) => isWrite(call) && answers.busy[call.service] !== undefined;

/** The call fails once. */
function once(kind: Kind): Fault['at'] {
  return (struck) => async (call, make) => {
    if (call.number === struck.number) throw errorOf(kind, call);
    return make();
  };
}

/** The call fails, and every other one like it, for a time. */
function forTime(kind: Kind, milliseconds: number, alike: (one: Call, other: Call) => boolean): Fault['at'] {
  return (struck, { account: { world } }) => {
    let end = Number.POSITIVE_INFINITY;
    return async (call, make) => {
      if (call.number === struck.number) end = world.now + milliseconds;
      if (call.number >= struck.number && world.now < end && alike(call, struck)) throw errorOf(kind, call);
      return make();
    };
  };
}

const sameOperation = (one: Call, other: Call) => one.service === other.service && one.operation === other.operation;
const sameService = (one: Call, other: Call) => one.service === other.service;

/** The answer does not come in time. https://github.com/smithy-lang/smithy-typescript/blob/main/packages/node-http-handler/src/set-socket-timeout.ts */
function timeout(): Error {
  return Object.assign(new Error('Connection timed out'), { name: 'TimeoutError', $metadata: {} });
}

const of = (service: string) => (call: Call) => call.service === service;
/** Whatever the fix itself calls: neither the ledger nor what carries messages. */
const ofTheFix = ({ service }: Call) => !['dynamodb', 'events', 'sns', 'sqs', 'cloudwatch'].includes(service);

export const faults: readonly Fault[] = [
  { name: 'throttled', strikes: everyCall, at: once('throttled') },
  { name: 'error of the service (5xx)', strikes: everyCall, at: once('failing') },
  { name: 'AccessDenied, once', strikes: everyCall, at: once('denied') },
  { name: 'AccessDenied, from then on for two hours', strikes: everyCall, at: forTime('denied', long, sameOperation) },
  { name: 'busy with another change', strikes: mayBeBusy, at: once('busy') },
  {
    name: 'busy with other changes for two hours',
    strikes: (call) => mayBeBusy(call) && call.service !== 'dynamodb',
    at: forTime('busy', long, sameOperation),
  },
  {
    name: 'the resource is deleted just before',
    strikes: ({ process }) => ['check', 'remediate', 'operator'].includes(process.name),
    at: (struck, { account, setUp }) => {
      return async (call, make) => {
        if (call.number === struck.number) setUp.remove(account.world);
        return make();
      };
    },
  },
  {
    name: 'made, and the answer lost',
    strikes: everyWrite,
    at: (struck) => async (call, make) => {
      const answer = await make();
      if (call.number === struck.number) throw timeout();
      return answer;
    },
  },
  {
    name: 'made, the answer lost, and made again by the SDK',
    strikes: everyWrite,
    at: (struck) => async (call, make) => {
      const answer = await make();
      return call.number === struck.number ? await make() : answer;
    },
  },
  {
    name: 'made, and the function killed',
    strikes: everyCall,
    at: (struck) => async (call, make) => {
      const answer = await make();
      if (call.number !== struck.number) return answer;
      call.process.dead = true;
      throw new Killed();
    },
  },
  {
    name: 'the bus refuses an entry',
    strikes: of('events'),
    at: (struck) => async (call, make) => {
      if (call.number !== struck.number) return make();
      const entries = call.input['Entries'] as unknown[];
      // What is refused is the last one.
      const refused = entries.pop();
      const taken = (await make()) as { Entries: object[] };
      entries.push(refused);
      return { FailedEntryCount: 1, Entries: [...taken.Entries, { ErrorCode: 'InternalFailure', ErrorMessage: 'refused' }] };
    },
  },
  ...(
    [
      ['the ledger', of('dynamodb')],
      ['the bus', of('events')],
      ['the topic', of('sns')],
      ['what the fix calls', ofTheFix],
    ] as const
  ).flatMap(([what, strikes]): Fault[] => [
    { name: `${what} is down for ten minutes`, strikes, at: forTime('failing', 10 * minute, sameService) },
    { name: `${what} is down for two hours`, strikes, at: forTime('failing', long, sameService) },
  ]),
];

interface Duel {
  readonly firstStopped: PromiseWithResolvers<void>;
  readonly secondStopped: PromiseWithResolvers<void>;
  firstEnded: Promise<void>;
}

/**
 * Two remediators get the same message at the same time. The first stops before its call number `first`; the second then
 * runs until before its write number `second`; the first goes on to its end, and then the second. Where one does not
 * make so many calls, the other follows its end.
 */
export function atOnce(first: number, second: number): Fate {
  const counts = { first: 0, second: 0 };
  const duels = new Map<string, Duel>();
  return async (call, make) => {
    const { name, delivery, ended } = call.process;
    if (name !== 'remediate' && name !== 'remediate again') return make();
    const duel = duels.get(delivery) ?? {
      firstStopped: Promise.withResolvers<void>(),
      secondStopped: Promise.withResolvers<void>(),
      firstEnded: Promise.resolve(),
    };
    duels.set(delivery, duel);
    if (name === 'remediate') {
      duel.firstEnded = ended;
      void ended.then(duel.firstStopped.resolve);
      counts.first += 1;
      if (counts.first === first) {
        duel.firstStopped.resolve();
        await duel.secondStopped.promise;
      }
    } else {
      void ended.then(duel.secondStopped.resolve);
      await duel.firstStopped.promise;
      if (isWrite(call)) counts.second += 1;
      if (isWrite(call) && counts.second === second) {
        duel.secondStopped.resolve();
        await duel.firstEnded;
      }
    }
    return make();
  };
}
