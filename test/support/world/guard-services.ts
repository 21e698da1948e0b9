import { awsError, page, type Service, type Surroundings } from './service.ts';

// What a guard itself is made of, as far as the rule that looks after it asks.

/** Rules of EventBridge, by bus and name. https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DescribeRule.html */
export class EventBridgeService implements Service {
  readonly #rules = new Map<string, 'ENABLED' | 'DISABLED'>();

  putRule({ Name, EventBusName = 'default' }: RuleName): object {
    this.#rules.set(`${EventBusName}/${Name}`, 'ENABLED');
    return {};
  }

  describeRule({ Name, EventBusName = 'default' }: RuleName): object {
    return { Name, EventBusName, State: this.#state({ Name, EventBusName }) };
  }

  enableRule(named: RuleName): object {
    return this.#set(named, 'ENABLED');
  }

  disableRule(named: RuleName): object {
    return this.#set(named, 'DISABLED');
  }

  deleteRule({ Name, EventBusName = 'default' }: RuleName): object {
    this.#rules.delete(`${EventBusName}/${Name}`);
    return {};
  }

  snapshot(): unknown {
    return Object.fromEntries(this.#rules);
  }

  #set({ Name, EventBusName = 'default' }: RuleName, state: 'ENABLED' | 'DISABLED'): object {
    this.#state({ Name, EventBusName });
    this.#rules.set(`${EventBusName}/${Name}`, state);
    return {};
  }

  #state({ Name, EventBusName = 'default' }: RuleName): string {
    const state = this.#rules.get(`${EventBusName}/${Name}`);
    if (state === undefined) throw awsError('ResourceNotFoundException', `Rule ${Name} does not exist on EventBus ${EventBusName}.`);
    return state;
  }
}

interface RuleName {
  readonly Name: string;
  readonly EventBusName?: string;
}

/** Keys, by their ARNs. https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html */
export class KmsService implements Service {
  readonly #states = new Map<string, string>();
  readonly #others: () => { describeKey(input: { KeyId: string }): object };

  /** @param others keys of which a policy is known, and what they are */
  constructor(others: () => { describeKey(input: { KeyId: string }): object }) {
    this.#others = others;
  }

  /** @param arn what KMS would choose */
  createKey(arn: string): void {
    this.#states.set(arn, 'Enabled');
  }

  describeKey({ KeyId }: { KeyId: string }): object {
    const KeyState = this.#states.get(KeyId);
    if (KeyState === undefined) return this.#others().describeKey({ KeyId });
    return { KeyMetadata: { KeyId, KeyState } };
  }

  enableKey({ KeyId }: { KeyId: string }): object {
    return this.#set(KeyId, 'Enabled');
  }

  disableKey({ KeyId }: { KeyId: string }): object {
    return this.#set(KeyId, 'Disabled');
  }

  scheduleKeyDeletion({ KeyId }: { KeyId: string }): object {
    return this.#set(KeyId, 'PendingDeletion');
  }

  snapshot(): unknown {
    return Object.fromEntries(this.#states);
  }

  #set(KeyId: string, state: string): object {
    this.#states.set(KeyId, state);
    return {};
  }
}

/** Subscriptions of topics. https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html */
export class SnsService implements Service {
  readonly #topics = new Map<string, string[]>();

  /** @param subscriptions their ARNs; `PendingConfirmation` where nobody has confirmed one */
  createTopic(arn: string, ...subscriptions: readonly string[]): void {
    this.#topics.set(arn, [...subscriptions]);
  }

  listSubscriptionsByTopic({ TopicArn }: { TopicArn: string }): object {
    const found = this.#topics.get(TopicArn);
    if (found === undefined) throw awsError('NotFoundException', 'Topic does not exist', 404);
    return { Subscriptions: found.map((SubscriptionArn) => ({ TopicArn, SubscriptionArn, Protocol: 'email' })) };
  }

  snapshot(): unknown {
    return Object.fromEntries(this.#topics);
  }
}

interface StackResource {
  readonly ResourceType: string;
  readonly PhysicalResourceId: string;
  readonly ResourceStatus?: string;
}

/** The resources of stacks, two a page. https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ListStackResources.html */
export class CloudFormationService implements Service {
  readonly #world: Surroundings;
  readonly #stacks = new Map<string, readonly StackResource[]>();

  constructor(world: Surroundings) {
    this.#world = world;
  }

  createStack(StackName: string, resources: readonly StackResource[]): void {
    this.#stacks.set(StackName, resources);
  }

  listStackResources({ StackName, NextToken = '0' }: { StackName: string; NextToken?: string }): object {
    const found = this.#stacks.get(StackName);
    if (found === undefined) throw awsError('ValidationError', `Stack with id ${StackName} does not exist`);
    const next = Number(NextToken) + 2;
    const LastUpdatedTimestamp = new Date(this.#world.now);
    const page = found.slice(Number(NextToken), next).map((one) => ({ ResourceStatus: 'CREATE_COMPLETE', LastUpdatedTimestamp, ...one }));
    return { StackResourceSummaries: page, ...(next < found.length ? { NextToken: String(next) } : {}) };
  }

  snapshot(): unknown {
    return Object.fromEntries(this.#stacks);
  }
}

interface TrailSettings {
  readonly IsLogging?: boolean;
  readonly IncludeGlobalServiceEvents?: boolean;
  readonly LatestDeliveryError?: string;
  readonly EventSelectors?: readonly object[];
  readonly AdvancedEventSelectors?: readonly object[];
}

/** Trails by their ARNs. https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_GetTrailStatus.html */
export class CloudTrailService implements Service {
  readonly #trails = new Map<string, TrailSettings>();

  /** By default it logs every management event. */
  putTrail(arn: string, settings: TrailSettings = {}): void {
    this.#trails.set(arn, settings);
  }

  describeTrails(): object {
    const trailList = [...this.#trails].map(([TrailARN, { IncludeGlobalServiceEvents = true }]) => ({
      TrailARN,
      Name: TrailARN.split('/').at(-1),
      IncludeGlobalServiceEvents,
    }));
    return { trailList };
  }

  getTrailStatus({ Name }: { Name: string }): object {
    const { IsLogging = true, LatestDeliveryError } = this.#trail(Name);
    return { IsLogging, ...(LatestDeliveryError === undefined ? {} : { LatestDeliveryError }) };
  }

  getEventSelectors({ TrailName }: { TrailName: string }): object {
    const all = { ReadWriteType: 'All', IncludeManagementEvents: true, DataResources: [], ExcludeManagementEventSources: [] };
    const { EventSelectors = [all], AdvancedEventSelectors } = this.#trail(TrailName);
    return { TrailARN: TrailName, ...(AdvancedEventSelectors === undefined ? { EventSelectors } : { AdvancedEventSelectors }) };
  }

  snapshot(): unknown {
    return Object.fromEntries(this.#trails);
  }

  #trail(arn: string): TrailSettings {
    const found = this.#trails.get(arn);
    if (found === undefined) throw awsError('TrailNotFoundException', `Unknown trail: ${arn}`, 404);
    return found;
  }
}

/** The tags of functions. https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html */
export class TaggingService implements Service {
  readonly #tagged: () => readonly object[];

  constructor(tagged: () => readonly object[]) {
    this.#tagged = tagged;
  }

  getResources({ PaginationToken, ResourcesPerPage = 50 }: { PaginationToken?: string; ResourcesPerPage?: number }): object {
    const { items, next } = page(this.#tagged(), PaginationToken, ResourcesPerPage);
    return { ResourceTagMappingList: items, PaginationToken: next ?? '' };
  }

  snapshot(): unknown {
    return {};
  }
}
