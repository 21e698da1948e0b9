import * as z from 'zod';
import { type Place, partitionOf } from './arn.ts';

/**
 * CloudTrail's record of an API call, as EventBridge delivers it.
 * https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
 * Only what the guard reads is checked; everything else may be there or not.
 */
const identity = z.looseObject({
  type: z.string().optional(),
  arn: z.string().optional(),
  principalId: z.string().optional(),
  invokedBy: z.string().optional(),
  sessionContext: z
    .looseObject({ sessionIssuer: z.looseObject({ arn: z.string().optional(), principalId: z.string().optional() }).optional() })
    .optional(),
});

/** The kinds of events that CloudTrail sends to EventBridge and that change something. */
export const detailTypes = { call: 'AWS API Call via CloudTrail', service: 'AWS Service Event via CloudTrail' } as const;
const kinds: ReadonlyMap<string, keyof typeof detailTypes> = new Map([
  [detailTypes.call, 'call'],
  [detailTypes.service, 'service'],
]);

const envelope = z.looseObject({
  id: z.string().min(1),
  source: z.string(),
  account: z.string(),
  region: z.string(),
  'detail-type': z.string(),
  detail: z.looseObject({
    eventID: z.string().optional(),
    eventName: z.string().min(1),
    eventSource: z.string().min(1),
    eventTime: z.string(),
    userIdentity: identity.optional(),
    sourceIPAddress: z.string().optional(),
    sessionCredentialFromConsole: z.string().optional(),
    errorCode: z.string().optional(),
    readOnly: z.boolean().optional(),
    requestParameters: z.record(z.string(), z.unknown()).nullish(),
    responseElements: z.record(z.string(), z.unknown()).nullish(),
    additionalEventData: z.record(z.string(), z.unknown()).nullish(),
    serviceEventDetails: z.record(z.string(), z.unknown()).nullish(),
  }),
});

/**
 * Services whose calls have no region of their own, and where their events are: a stack elsewhere gets them forwarded
 * (template.global.yaml). https://docs.aws.amazon.com/IAM/latest/UserGuide/cloudtrail-integration.html
 */
export const globalServices: readonly string[] = ['iam'];
export const globalRegions: Readonly<Record<string, string>> = {
  aws: 'us-east-1',
  'aws-cn': 'cn-north-1',
  'aws-us-gov': 'us-gov-west-1',
};

/** `lambda` of the event source `lambda.amazonaws.com`, or of China's `lambda.amazonaws.com.cn`. */
export function serviceOf(eventSource: string): string {
  return eventSource.replace(/\.amazonaws\.com(\.cn)?$/, '');
}

/** Whether an event tells of a service whose calls have no region of their own. */
export function isGlobal(eventSource: string): boolean {
  return globalServices.includes(serviceOf(eventSource));
}

/** Who made a change. `issuer` is the role behind a session; `console` is a session of the AWS console. */
export interface Actor {
  readonly arn: string;
  readonly issuer: string;
  /** The unique id of the role or user (AROA…, AIDA…), which a new role of the same name does not share. */
  readonly issuerId: string;
  readonly console: boolean;
  readonly sourceIp: string;
  readonly invokedBy: string;
}

/** A call that changed something, or what a service did by itself, read from an event. */
export interface ApiEvent extends Place {
  /** CloudTrail's eventID: the same in every delivery of this event. */
  readonly id: string;
  /** `lambda`, `ec2`: the eventSource without its domain. */
  readonly service: string;
  /** The operation without the version that CloudTrail adds (`UpdateFunctionCode20150331v2` → `UpdateFunctionCode`). */
  readonly operation: string;
  /** Nobody called: the service tells what it did, and `request` holds what it says of that. */
  readonly ofService?: true;
  readonly time: string;
  readonly actor: Actor;
  /** What was asked for. Of a service's own event: its further data (`additionalEventData`), where a call would have a request. */
  readonly request: Readonly<Record<string, unknown>>;
  readonly response: Readonly<Record<string, unknown>>;
}

/** What a message on a checker's queue turned out to be. `ignored` messages are counted by their reason, never retried. */
export type ReadEvent =
  | { readonly event: ApiEvent }
  | { readonly ignored: 'malformed' | 'not-an-api-call' | 'failed-call' | 'dry-run' | 'elsewhere' };

/**
 * Reads an EventBridge event. Never throws: what cannot be read is `ignored` with the reason, for
 * - a call that failed (`errorCode`): nothing changed
 * - a dry run: `requestParameters.dryRun` of UpdateFunctionCode
 * - another account or region than the guard's own; what a global service tells is told in one region, and of every region
 */
export function readEvent(body: unknown, home: Place): ReadEvent {
  const parsed = envelope.safeParse(body);
  if (!parsed.success) return { ignored: 'malformed' };
  const { detail, ...outer } = parsed.data;
  // aws.* sources are reserved: with eventSource alone anybody with events:PutEvents could forge a record.
  // https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html
  const service = serviceOf(detail.eventSource);
  const kind = kinds.get(outer['detail-type']);
  if (kind === undefined || outer.source !== `aws.${service}`) return { ignored: 'not-an-api-call' };
  const isTold = isGlobal(detail.eventSource) && outer.region === globalRegions[partitionOf(home.region)];
  if (outer.account !== home.account || (outer.region !== home.region && !isTold)) return { ignored: 'elsewhere' };
  if (detail.errorCode !== undefined) return { ignored: 'failed-call' };
  const ofService = kind === 'service';
  const request = detail.requestParameters ?? (ofService ? { ...detail.serviceEventDetails, ...detail.additionalEventData } : {});
  if (request['dryRun'] === true) return { ignored: 'dry-run' };
  const user = detail.userIdentity;
  const issuer = user?.sessionContext?.sessionIssuer;
  // The identity of a service's own event is an account, and the service that acted.
  const itself = ofService ? detail.eventSource : undefined;
  return {
    event: {
      id: detail.eventID ?? outer.id,
      service,
      operation: operationOf(detail.eventName),
      time: detail.eventTime,
      account: outer.account,
      region: home.region,
      actor: {
        arn: itself ?? user?.arn ?? user?.invokedBy ?? '',
        issuer: itself ?? issuer?.arn ?? user?.arn ?? '',
        issuerId: issuer?.principalId ?? user?.principalId ?? '',
        console: detail.sessionCredentialFromConsole === 'true',
        sourceIp: detail.sourceIPAddress ?? '',
        invokedBy: user?.invokedBy ?? '',
      },
      ...(ofService ? { ofService } : {}),
      request,
      response: detail.responseElements ?? {},
    },
  };
}

/** `CreateFunction20150331` → `CreateFunction`; Lambda's events carry the version of its API in their names. */
export function operationOf(eventName: string): string {
  return /^(\w+?)(\d{8})?(v\d+)?$/.exec(eventName)?.[1] ?? eventName;
}

/** A text in a request or response, or undefined where it is missing or not a text. */
export function text(record: Readonly<Record<string, unknown>>, ...path: string[]): string | undefined {
  let value: unknown = record;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Every text that stands under a key, however deep: EC2 nests ids in lists that differ from call to call. */
export function textsUnder(value: unknown, key: string): readonly string[] {
  if (typeof value !== 'object' || value === null) return [];
  const found = Object.entries(value).flatMap(([name, inner]) =>
    name === key && typeof inner === 'string' ? [inner] : textsUnder(inner, key),
  );
  return [...new Set(found)];
}
