import {
  GetFunctionConcurrencyCommand,
  LambdaClient,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateFunctionConfigurationCommand,
} from '@aws-sdk/client-lambda';
import * as z from 'zod';
import { callsOf } from '../../aws/call.ts';
import { connect } from '../../aws/handle.ts';
import { addPermission, getFunctionConfiguration, listTags, removePermission } from '../../aws/lambda.ts';
import type { Alert } from '../../guard/alert.ts';
import { functionArn } from '../../guard/arn.ts';
import type { AnyCall, Handle } from '../../guard/call.ts';
import { check } from '../../guard/check.ts';
import { type ApiEvent, readEvent, text } from '../../guard/cloudtrail.ts';
import { type Config, readConfig } from '../../guard/config.ts';
import type { FixPorts, Metrics } from '../../guard/ports.ts';
import { type AnyRule, cloudTrail, defineRule, type Plan } from '../../guard/rule.ts';
import { functionSubject } from '../../guard/subject.ts';
import { MemoryLedger } from '../../ledger/memory.ts';
import { expectValid } from '../support/alert-schema.ts';
import { sample } from '../support/events.ts';
import { createWorld, type World } from '../support/world/index.ts';

export const place = { account: '111122223333', region: 'us-east-1' };
export const orders = functionArn('orders', place) ?? '';
export const admin = 'arn:aws:sts::111122223333:assumed-role/Admin/ana';
export const minute = 60_000;

const lambda = new LambdaClient({ region: place.region });
const call = callsOf('lambda', (_, command) => lambda.send(command));
const anywhere = { resource: 'arn:*' };

/**
 * A rule of these tests alone: functions may run for a minute at most. Its fix has a step that may be repeated, one
 * that says that it was done before, a wait, and one that can be made only once (RevisionId).
 */
export const timeoutLong = defineRule({
  id: 'timeout-long',
  practice: 'deployments',
  severity: 'high',
  title: 'A function may run for longer than a minute',
  on: [
    cloudTrail('lambda', ['UpdateFunctionConfiguration', 'CreateFunction'], ({ request, ...where }) =>
      [functionSubject(text(request, 'functionName') ?? '', where)].filter((subject) => subject !== undefined),
    ),
  ],
  check: [getFunctionConfiguration, listTags, call('GetFunctionConcurrency', GetFunctionConcurrencyCommand, anywhere)],
  fix: [
    call('TagResource', TagResourceCommand, anywhere),
    addPermission,
    call('UpdateFunctionConfiguration', UpdateFunctionConfigurationCommand, anywhere),
  ],
  undo: [
    call('UntagResource', UntagResourceCommand, anywhere),
    removePermission,
    call('UpdateFunctionConfiguration', UpdateFunctionConfigurationCommand, anywhere),
  ],
  delay: 0,
  probation: false,
  params: z.object({ longest: z.string().default('60') }),

  async evaluate(subject, { aws, params }) {
    const { Timeout = 0 } = await aws.getFunctionConfiguration({ FunctionName: subject.arn });
    if (Timeout <= Number(params.longest)) return { violations: [], compliant: [subject] };
    const { Tags = {} } = await aws.listTags({ Resource: subject.arn });
    return {
      violations: [{ subject, summary: `${subject.arn} may run for ${Timeout} s.`, evidence: { timeout: Timeout }, tags: Tags }],
      compliant: [],
    };
  },

  async plan({ subject, evidence }, { aws, changeId, params }): Promise<Plan> {
    await aws.getFunctionConcurrency({ FunctionName: subject.arn });
    const { RevisionId } = await aws.getFunctionConfiguration({ FunctionName: subject.arn });
    const target = { FunctionName: subject.arn };
    return {
      steps: [
        {
          call: 'tagResource',
          input: { Resource: subject.arn, Tags: { limited: changeId } },
          undo: [{ call: 'untagResource', input: { Resource: subject.arn, TagKeys: ['limited'] } }],
        },
        {
          call: 'addPermission',
          input: { ...target, StatementId: changeId, Action: 'lambda:InvokeFunction', Principal: '444455556666' },
          undo: [{ call: 'removePermission', input: { ...target, StatementId: changeId } }],
        },
        { waitSeconds: 60, why: 'somebody may object' },
        {
          call: 'updateFunctionConfiguration',
          input: { ...target, Timeout: Number(params.longest), RevisionId },
          undo: [{ call: 'updateFunctionConfiguration', input: { ...target, Timeout: evidence['timeout'] } }],
        },
      ],
    };
  },

  async state(subject, { aws }) {
    return { timeout: (await aws.getFunctionConfiguration({ FunctionName: subject.arn })).Timeout };
  },
});

/** A function that is invoked and does not fail. */
export const fine: Metrics = { invocations: 100, errors: 0, throttles: 0, deadLetterErrors: 0, iteratorAge: 0 };

export interface Bench {
  /** How functions fare, as CloudWatch would tell. */
  readonly metrics: { before: Metrics; after: Metrics };
  readonly world: World;
  readonly ledger: MemoryLedger;
  readonly config: Config;
  readonly ports: FixPorts;
  /** What was put on the guard's bus, in order. */
  readonly published: Alert[];
  readonly advance: (milliseconds: number) => void;
}

/** The machinery around a rule, with a function `orders` that breaks it. @param variables stack parameters beside the defaults of these tests */
export function bench(rule: AnyRule = timeoutLong, variables: Readonly<Record<string, string>> = {}): Bench {
  const world = createWorld(place);
  world.lambda.createFunction({ FunctionName: 'orders', Timeout: 300, Tags: { team: 'shop' } });
  const ledger = new MemoryLedger();
  const config = configFor([rule], variables);
  const published: Alert[] = [];
  const metrics = { before: fine, after: fine };
  const ports: FixPorts = {
    ledger,
    config,
    connect: (calls) => connect(calls, place),
    publish: async (alerts) => {
      for (const alert of alerts) expectValid(alert);
      published.push(...structuredClone(alerts));
    },
    now: () => world.now,
    metrics: async (_, __, to) => (to === world.now ? metrics.after : metrics.before),
  };
  return { metrics, world, ledger, config, ports, published, advance: (milliseconds) => world.advance(milliseconds / 1000) };
}

export function configFor(rules: readonly AnyRule[], variables: Readonly<Record<string, string>> = {}): Config {
  const base = {
    GUARD_ACCOUNT: place.account,
    AWS_REGION: place.region,
    StackName: 'guard',
    TimeoutLongMode: 'remediate',
    TimeoutLongDelay: '0',
  };
  return readConfig({ ...base, ...variables }, rules);
}

/** An event of Lambda, as a checker reads it. */
export function event(id = 'e1', changes: Readonly<Record<string, unknown>> = {}): ApiEvent {
  const read = readEvent(
    sample('UpdateFunctionConfiguration20150331v2/role-changed.json', {
      detail: { eventID: id, requestParameters: { functionName: 'orders' }, ...changes },
    }),
    place,
  );
  if ('ignored' in read) throw new Error(`the event is ignored: ${read.ignored}`);
  return read.event;
}

/** Lets the checker find what is wrong. @returns the finding's id */
export async function found({ ports }: Bench, rule: AnyRule = timeoutLong, id = 'e1'): Promise<string> {
  const [alert] = await check({ event: event(id) }, [rule], ports);
  if (alert === undefined) throw new Error('the checker found nothing');
  return alert.findingId;
}

/** The function's configuration in the world, without a call that anybody counts. */
export function timeout({ world }: Bench): number | undefined {
  return world.lambda.getFunctionConfiguration({ FunctionName: 'orders' }).Timeout;
}

/** The process died: nothing that it tries after this happens. */
export class Killed extends Error {
  override readonly name = 'Killed';
}

/** The same ports, for a process that is killed right after its k-th call to the outer world: that call was made. */
export function killedAfter(k: number, ports: FixPorts): { readonly ports: FixPorts; readonly calls: () => number } {
  let calls = 0;
  const counted = async <T>(make: () => Promise<T>): Promise<T> => {
    if (calls >= k) throw new Killed();
    calls += 1;
    const answer = await make();
    if (calls >= k) throw new Killed();
    return answer;
  };
  const watch = <T extends object>(target: T): T =>
    new Proxy(target, {
      get: (inner, name) => {
        const member = Reflect.get(inner, name) as unknown;
        if (typeof member !== 'function') return member;
        // An async generator is left alone: none is used on the way that these tests go.
        if (member.constructor.name === 'AsyncGeneratorFunction') return member.bind(inner);
        return (...given: unknown[]) => counted(() => (member as (...all: unknown[]) => Promise<unknown>).apply(inner, given));
      },
    });
  return {
    ports: {
      ...ports,
      ledger: watch(ports.ledger),
      connect: <const Calls extends readonly AnyCall[]>(all: Calls) => watch(ports.connect(all) as object) as Handle<Calls>,
      publish: (alerts) => counted(() => ports.publish(alerts)),
      metrics: (...given) => counted(() => ports.metrics(...given)),
    },
    calls: () => calls,
  };
}
