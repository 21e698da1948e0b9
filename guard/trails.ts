import { type Place, parseArn, partitionOf } from './arn.ts';
import { globalRegions, globalServices } from './cloudtrail.ts';
import type { Subject } from './subject.ts';

/** Services whose events the rules listen to; a house test holds it against the rules. */
export const heardServices: readonly string[] = [
  'apigateway',
  'cloudtrail',
  'dynamodb',
  'ec2',
  'events',
  'iam',
  'kms',
  'lambda',
  'monitoring',
  'secretsmanager',
  'sns',
  'sqs',
];

/** The trails of an account that hand on what is called in a region, all of them together: where there is none, there is still this. */
export function trailsSubject({ account, region }: Place): Subject {
  return {
    arn: `arn:${partitionOf(region)}:cloudtrail:${region}:${account}:trail/*`,
    type: 'AWS::CloudTrail::Trail',
    account,
    region,
  };
}

/** What GetEventSelectors says: one kind or the other. */
export interface Selectors {
  readonly EventSelectors?:
    | readonly {
        readonly ReadWriteType?: string | undefined;
        readonly IncludeManagementEvents?: boolean | undefined;
        readonly ExcludeManagementEventSources?: readonly string[] | undefined;
      }[]
    | undefined;
  readonly AdvancedEventSelectors?: readonly { readonly FieldSelectors?: readonly FieldSelector[] | undefined }[] | undefined;
}

interface FieldSelector {
  readonly Field?: string | undefined;
  readonly Equals?: readonly string[] | undefined;
  readonly StartsWith?: readonly string[] | undefined;
  readonly EndsWith?: readonly string[] | undefined;
  readonly NotEquals?: readonly string[] | undefined;
  readonly NotStartsWith?: readonly string[] | undefined;
  readonly NotEndsWith?: readonly string[] | undefined;
}

/** A trail, as far as it matters whether events come by it. */
export interface Trail {
  readonly arn: string;
  readonly logging: boolean;
  /** The heard services whose calls it does not take in, or not all of those that change something. */
  readonly leavesOut: readonly string[];
  /** Why CloudTrail could not write its last file. Events may come nevertheless. */
  readonly deliveryError?: string;
}

/**
 * Heard services of which a trail does not take in every call that changes something.
 * https://docs.aws.amazon.com/awscloudtrail/latest/userguide/logging-management-events-with-cloudtrail.html
 * @param global whether it takes in the events of global services
 */
export function leftOut({ EventSelectors = [], AdvancedEventSelectors = [] }: Selectors, global: boolean): readonly string[] {
  const takes = (service: string) => {
    const source = `${service}.amazonaws.com`;
    const basic = EventSelectors.some(
      ({ ReadWriteType, IncludeManagementEvents, ExcludeManagementEventSources = [] }) =>
        IncludeManagementEvents !== false && ReadWriteType !== 'ReadOnly' && !ExcludeManagementEventSources.includes(source),
    );
    return basic || AdvancedEventSelectors.some(({ FieldSelectors = [] }) => takesAll(FieldSelectors, source));
  };
  return heardServices.filter((service) => !takes(service) || (!global && globalServices.includes(service)));
}

/** What any other field narrows is not all of it. */
function takesAll(fields: readonly FieldSelector[], source: string): boolean {
  const write: Readonly<Record<string, string>> = { eventCategory: 'Management', readOnly: 'false', eventSource: source };
  return (
    fields.some(({ Field }) => Field === 'eventCategory') &&
    fields.every((field) => {
      const value = write[field.Field ?? ''];
      return value !== undefined && matches(field, value);
    })
  );
}

function matches({ Equals, StartsWith, EndsWith, NotEquals, NotStartsWith, NotEndsWith }: FieldSelector, value: string): boolean {
  const positive = [
    ...(Equals ?? []).map((each) => value === each),
    ...(StartsWith ?? []).map((each) => value.startsWith(each)),
    ...(EndsWith ?? []).map((each) => value.endsWith(each)),
  ];
  const refused =
    (NotEquals ?? []).includes(value) ||
    (NotStartsWith ?? []).some((each) => value.startsWith(each)) ||
    (NotEndsWith ?? []).some((each) => value.endsWith(each));
  return !refused && (positive.length === 0 || positive.some(Boolean));
}

/** Why events do not come, or not all of them; empty where one trail or another hands on each that is listened to. */
export function missingIn(trails: readonly Trail[], { region }: Place): { readonly all: boolean; readonly why: readonly string[] } {
  const name = ({ arn }: Trail) => parseArn(arn)?.resource ?? arn;
  const logging = trails.filter((trail) => trail.logging);
  // Events of global services come from one region alone, and are forwarded from there.
  const here = heardServices.filter((service) => !globalServices.includes(service) || region === globalRegions[partitionOf(region)]);
  const missing = here.filter((service) => logging.every(({ leavesOut }) => leavesOut.includes(service)));
  if (missing.length === 0) return { all: false, why: [] };
  if (missing.length < here.length) {
    const sources = missing.map((service) => `${service}.amazonaws.com`);
    return { all: false, why: [`no trail takes in the calls of ${sources.join(', ')}`] };
  }
  if (trails.length === 0) return { all: true, why: ['there is no trail'] };
  const why = trails.map((trail) => `${name(trail)} ${trail.logging ? 'takes in no calls that change something' : 'does not log'}`);
  return { all: true, why };
}
