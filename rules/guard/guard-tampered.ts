import * as z from 'zod';
import { listStackResources } from '../../aws/cloudformation.ts';
import { describeTrails, getEventSelectors, getTrailStatus } from '../../aws/cloudtrail.ts';
import { describeRule, disableRule, enableRule } from '../../aws/eventbridge.ts';
import { describeKey, disableKey, enableKey } from '../../aws/kms.ts';
import {
  deleteFunctionConcurrency,
  getFunctionConcurrency,
  listEventSourceMappings,
  putFunctionConcurrency,
  updateEventSourceMapping,
} from '../../aws/lambda.ts';
import { listSubscriptionsByTopic } from '../../aws/sns.ts';
import { functionName, type Place, parseArn, partitionOf } from '../../guard/arn.ts';
import type { Handle } from '../../guard/call.ts';
import type { ApiEvent } from '../../guard/cloudtrail.ts';
import { errorKind, ifPresent, TrailUnreadable } from '../../guard/errors.ts';
import { isOwn, isSwitch, mayChange, namedThings, ownOperations } from '../../guard/own-things.ts';
import { type CallStep, cloudTrail, defineRule, type Evaluation, listing, type Settings, type Step } from '../../guard/rule.ts';
import { functionSubject, type Subject } from '../../guard/subject.ts';
import { forgive, knownOf, recordTampering, type Tampering } from '../../guard/tampering.ts';
import { leftOut, missingIn, type Trail, trailsSubject } from '../../guard/trails.ts';

const check = [
  describeRule,
  getFunctionConcurrency,
  listEventSourceMappings,
  describeKey,
  listSubscriptionsByTopic,
  describeTrails,
  getTrailStatus,
  getEventSelectors,
] as const;
type Reader = Handle<typeof check>;

export const rule = defineRule({
  id: 'guard-tampered',
  practice: 'guard',
  severity: 'critical',
  title: 'Somebody changed the guard, or switched part of it off',
  on: [...ownOperations].map(([service, operations]) => cloudTrail(service, operations, namedThings)),
  check,
  fix: [enableRule, updateEventSourceMapping, deleteFunctionConcurrency, enableKey],
  undo: [disableRule, updateEventSourceMapping, putFunctionConcurrency, disableKey],
  delay: 0,
  probation: false,
  params: z.object({}),

  // Functions of the estate are none of its business: what it looks at, it lists.
  sweep: async () => [],
  list: listing([listStackResources], async function* (place, aws, { stack }) {
    yield [trailsSubject(place)];
    const resources = await aws.listStackResources({ StackName: stack });
    yield resources.flatMap(({ ResourceType = '', PhysicalResourceId = '', ResourceStatus = '' }) =>
      ResourceStatus.startsWith('DELETE') ? [] : (listed(ResourceType, PhysicalResourceId, place) ?? []),
    );
  }),

  distinguishes: ({ event, off }) => (off === undefined ? event : [event, off]),

  // Most calls leave nothing behind that tells right from wrong: who made them does. Whatever is switched off can be seen to be.
  async evaluate(subject, { aws, estate, settings, event, now }) {
    if (!isOwn(subject, settings)) return { violations: [], compliant: [] };
    if (subject.type === 'AWS::CloudTrail::Trail') return await evaluateTrails(subject, { aws, settings, event });
    const trusted = event !== undefined && mayChange(event, settings);
    const known =
      event === undefined
        ? await knownOf(estate, subject.arn)
        : trusted
          ? await forgive(estate, subject.arn, event, now)
          : isSwitch(event)
            ? await knownOf(estate, subject.arn)
            : await recordTampering(estate, subject.arn, event, now);
    const state = await stateOf(subject, aws, settings);
    const off = state === 'gone' ? (known.until === undefined && known.tampering === undefined ? ['it is not there'] : []) : offIn(state);
    if (known.tampering === undefined && off.length === 0) return { violations: [], compliant: [subject] };
    // They know what they do; if it stays so, the sweep tells. Where nobody is listed, only what is taken down is left alone.
    const isMeant = trusted && (settings.deployers.length + settings.operators.length > 0 || /^Delete/.test(event.operation));
    if (isMeant && known.tampering === undefined) return { violations: [], compliant: [] };
    const evidence = { ...known.tampering, ...(off.length === 0 ? {} : { off }) };
    return { violations: [{ subject, summary: summaryOf(subject, known.tampering, off), evidence, tags: {} }], compliant: [] };
  },

  async plan({ subject, evidence }, { aws, settings }) {
    if (subject.type === 'AWS::CloudTrail::Trail')
      return { steps: [], refused: 'The guard changes no trail: start one that takes in management events, writes among them.' };
    const state = await stateOf(subject, aws, settings);
    const steps = state === 'gone' ? [] : switchesOn(subject, state);
    const { call } = evidence as Partial<Tampering>;
    if (steps.length === 0)
      return { steps, refused: 'Only what is switched off can be switched on again: deploy the stack anew, and look at who did it.' };
    return { steps, ...(call === undefined ? {} : { remains: [`what ${call} changed`] }) };
  },

  async state(subject, { aws }) {
    return await stateOf(subject, aws);
  },
});

/**
 * EventBridge hears of calls only where a trail takes them in.
 * https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
 */
async function evaluateTrails(
  subject: Subject,
  { aws, settings, event }: { readonly aws: Reader; readonly settings: Settings; readonly event: ApiEvent | undefined },
): Promise<Evaluation> {
  const trails: Trail[] = [];
  const unread: string[] = [];
  const { trailList = [] } = await aws.describeTrails({});
  for (const { TrailARN: arn = '', IncludeGlobalServiceEvents: global = true } of trailList) {
    const trail = await readTrail(arn, global, subject, aws);
    if (trail === 'unreadable') unread.push(arn);
    else if (trail !== 'gone') trails.push(trail);
    if (missingIn(trails, subject).why.length === 0) return { violations: [], compliant: [subject] };
  }
  if (unread.length > 0)
    throw new TrailUnreadable(`${unread.join(', ')} belongs to another account, and no trail of this one takes in all`);
  // As with a rule that an operator disables: if it stays so, the sweep tells.
  if (event !== undefined && settings.deployers.length + settings.operators.length > 0 && mayChange(event, settings))
    return { violations: [], compliant: [] };
  const { all, why } = missingIn(trails, subject);
  const summary = `Not all that is called in this account and region reaches the guard: ${why.join(', ')}.`;
  return {
    violations: [{ subject, summary, evidence: { off: why, trails }, tags: {}, ...(all ? {} : { severity: 'medium' }) }],
    compliant: [],
  };
}

/** A trail of the organization can be read by the account alone that it belongs to. */
async function readTrail(arn: string, global: boolean, { account }: Subject, aws: Reader): Promise<Trail | 'gone' | 'unreadable'> {
  try {
    const { IsLogging: logging = false, LatestDeliveryError } = await aws.getTrailStatus({ Name: arn });
    const leavesOut = logging ? leftOut(await aws.getEventSelectors({ TrailName: arn }), global) : [];
    return { arn, logging, leavesOut, ...(LatestDeliveryError === undefined ? {} : { deliveryError: LatestDeliveryError }) };
  } catch (error) {
    if (errorKind(error) === 'passing') throw error;
    if (parseArn(arn)?.account !== account) return 'unreadable';
    if (errorKind(error) === 'absent') return 'gone';
    throw error;
  }
}

/** What a sweep looks at: what can be seen to be switched off, or gone. */
function listed(type: string, id: string, place: Place): Subject[] | undefined {
  const { account, region } = place;
  const arn = (service: string, resource: string) => `arn:${partitionOf(region)}:${service}:${region}:${account}:${resource}`;
  switch (type) {
    // On a bus of its own, a rule is called `bus|name`.
    case 'AWS::Events::Rule':
      return [{ arn: arn('events', `rule/${id.replace('|', '/')}`), type, ...place }];
    case 'AWS::Lambda::Function':
      return [functionSubject(id, place)].filter((subject) => subject !== undefined);
    case 'AWS::KMS::Key':
      return [{ arn: arn('kms', `key/${id}`), type, ...place }];
    case 'AWS::SNS::Topic':
      return [{ arn: id, type, ...place }];
    default:
      return undefined;
  }
}

/** What can be switched off of a thing, and what is. */
interface State {
  /** The State of a rule, or of a key. */
  readonly state?: string;
  readonly concurrency?: number;
  /** Event source mappings that do not run, by their ids. */
  readonly stopped?: readonly string[];
  readonly mappings?: number;
  readonly subscribed?: boolean;
}

async function stateOf(subject: Subject, aws: Reader, settings?: Settings): Promise<State | 'gone'> {
  switch (subject.type) {
    case 'AWS::Events::Rule': {
      const found = await ifPresent(aws.describeRule(named(subject)));
      return found === undefined ? 'gone' : { state: found.State ?? '' };
    }
    case 'AWS::Lambda::Function': {
      const reserved = await ifPresent(aws.getFunctionConcurrency({ FunctionName: subject.arn }));
      if (reserved === undefined) return 'gone';
      const { ReservedConcurrentExecutions: concurrency } = reserved;
      const mappings = takesFromQueue(subject) ? await aws.listEventSourceMappings({ FunctionName: subject.arn }) : undefined;
      return { ...(concurrency === undefined ? {} : { concurrency }), ...(mappings === undefined ? {} : running(mappings)) };
    }
    case 'AWS::KMS::Key': {
      const found = await ifPresent(aws.describeKey({ KeyId: subject.arn }));
      return found === undefined ? 'gone' : { state: found.KeyMetadata?.KeyState ?? '' };
    }
    case 'AWS::SNS::Topic': {
      if (settings !== undefined && subject.arn !== settings.alertTopicArn) return {};
      const subscriptions = await ifPresent(aws.listSubscriptionsByTopic({ TopicArn: subject.arn }));
      if (subscriptions === undefined) return 'gone';
      return { subscribed: subscriptions.some(({ SubscriptionArn = '' }) => SubscriptionArn.startsWith('arn:')) };
    }
    default:
      return {};
  }
}

/** Schedules and callers start the others. */
function takesFromQueue({ arn }: Subject): boolean {
  return !/-(operate|sweep|tick)$/.test(functionName(arn));
}

function running(mappings: readonly { readonly UUID?: string | undefined; readonly State?: string | undefined }[]): State {
  const stopped = mappings.filter(({ State = '' }) => /^Disabl/.test(State)).map(({ UUID = '' }) => UUID);
  return { stopped: stopped.sort(), mappings: mappings.length };
}

function offIn({ state = '', concurrency, stopped = [], mappings, subscribed }: State): readonly string[] {
  return [
    ...(state === 'DISABLED' ? ['the rule is disabled'] : []),
    ...(['Disabled', 'PendingDeletion'].includes(state) ? [`the key is ${state}`] : []),
    ...(concurrency === 0 ? ['its reserved concurrency is 0'] : []),
    ...stopped.map((id) => `the event source mapping ${id} is disabled`),
    ...(mappings === 0 ? ['it has no event source mapping'] : []),
    ...(subscribed === false ? ['nobody has a confirmed subscription'] : []),
  ];
}

function switchesOn(subject: Subject, { state = '', concurrency, stopped = [] }: State): readonly Step[] {
  const step = (call: string, undo: string, named: object, off: object = {}): CallStep => ({
    call,
    input: { ...named },
    undo: [{ call: undo, input: { ...named, ...off } }],
  });
  return [
    ...(state === 'DISABLED' ? [step('enableRule', 'disableRule', named(subject))] : []),
    // A key that waits for its deletion may hold what somebody wants to be rid of: that is for a person to decide.
    ...(state === 'Disabled' ? [step('enableKey', 'disableKey', { KeyId: subject.arn })] : []),
    ...(concurrency === 0
      ? [step('deleteFunctionConcurrency', 'putFunctionConcurrency', { FunctionName: subject.arn }, { ReservedConcurrentExecutions: 0 })]
      : []),
    ...stopped.map((UUID): CallStep => {
      const set = (Enabled: boolean) => ({ call: 'updateEventSourceMapping', input: { UUID, Enabled } });
      return { ...set(true), undo: [set(false)] };
    }),
  ];
}

/** A rule's name, and its bus where it is not the account's. */
function named({ arn }: Subject): { readonly Name: string; readonly EventBusName?: string } {
  const [, first = '', second] = (parseArn(arn)?.resource ?? '').split('/');
  return second === undefined ? { Name: first } : { Name: second, EventBusName: first };
}

function summaryOf({ arn }: Subject, tampering: Tampering | undefined, off: readonly string[]): string {
  const what = parseArn(arn)?.resource ?? arn;
  const is = off.length === 0 ? '' : ` Of ${what}: ${off.join(', ')}, so the guard does not see or do all that it should.`;
  if (tampering === undefined) return is.trim();
  return `${tampering.by}, who is neither an operator nor a deployer of the guard, called ${tampering.call} on ${what} at ${tampering.time}.${is}`;
}
