import * as z from 'zod';
import type { ApiEvent } from './cloudtrail.ts';
import type { Config } from './config.ts';
import type { Finding } from './finding.ts';
import { functionSubject, type Subject, securityGroupSubject } from './subject.ts';

/** Calls that change tags, by service: whichever checker hears of other calls of the service hears of these as well. */
export const tagOperations = {
  lambda: ['TagResource', 'UntagResource'],
  ec2: ['CreateTags', 'DeleteTags'],
} as const;

/** The tags that the guard reads. */
const ours = 'compliance-guard:';
const exemptTag = `${ours}exempt`;
const untilTag = `${ours}exempt-until`;
const reasonTag = `${ours}exempt-reason`;

/** Requests of tagOperations, as CloudTrail has them: Lambda's name one resource, EC2's lists of resources and of tags. */
const tagRequest = z.looseObject({
  resource: z.string().default(''),
  tags: z.record(z.string(), z.unknown()).default({}),
  tagKeys: z.array(z.string()).default([]),
  resourcesSet: z.looseObject({ items: z.array(z.looseObject({ resourceId: z.string() })).default([]) }).default({ items: [] }),
  tagSet: z.looseObject({ items: z.array(z.looseObject({ key: z.string().default('') })).default([]) }).default({ items: [] }),
});

/** The functions and security groups of which an event changed a tag that the guard reads, or did not say which tags. */
export function retagged({ service, operation, request, ...place }: ApiEvent): readonly Subject[] {
  const ofLambda = service === 'lambda' && tagOperations.lambda.some((known) => known === operation);
  const ofEc2 = service === 'ec2' && tagOperations.ec2.some((known) => known === operation);
  if (!ofLambda && !ofEc2) return [];
  const read = tagRequest.safeParse(request);
  if (!read.success) return [];
  const { resource, tags, tagKeys, resourcesSet, tagSet } = read.data;
  const keys = [...Object.keys(tags), ...tagKeys, ...tagSet.items.map(({ key }) => key)];
  if (keys.length > 0 && !keys.some((key) => key.startsWith(ours))) return [];
  if (ofLambda) return [functionSubject(resource, place)].filter((subject) => subject !== undefined);
  return resourcesSet.items.flatMap(({ resourceId }) => (resourceId.startsWith('sg-') ? [securityGroupSubject(resourceId, place)] : []));
}

/** An exemption by tags, until a moment in milliseconds; or a sentence that says why the tags do not count. */
export type ExemptionByTags = { readonly until: number; readonly reason: string } | { readonly refused: string };

const date = z.union([z.iso.date(), z.iso.datetime()]);
const longest = 366 * 24 * 3600_000;

/** What a finding's tags say about an exemption from its rule; undefined where they ask for none. */
export function exemptionByTags(
  { rule, severity, tags }: Pick<Finding, 'rule' | 'severity' | 'tags'>,
  { allowTagExemptions }: Pick<Config, 'allowTagExemptions'>,
  now: number,
): ExemptionByTags | undefined {
  const { [exemptTag]: rules = '', [untilTag]: end = '', [reasonTag]: reason = '' } = tags;
  // Lambda takes no commas in the values of tags, EC2 does.
  if (!rules.split(/[\s,]+/).includes(rule)) return undefined;
  const why = (because: string) => ({ refused: `Its tag ${exemptTag} does not count: ${because}.` });
  if (!allowTagExemptions) return why('this stack allows no exemptions by tags (AllowTagExemptions)');
  if (severity === 'critical') return why('only an operator exempts from a critical finding');
  const until = date.safeParse(end.trim()).success ? Date.parse(end.trim()) : Number.NaN;
  if (Number.isNaN(until)) return why(`${untilTag} has to hold a date such as 2027-01-31`);
  if (until <= now) return why(`${untilTag} is over`);
  if (until > now + longest) return why(`${untilTag} lies more than a year ahead`);
  if (reason.trim().length < 3) return why(`${reasonTag} has to say why`);
  return { until, reason: reason.trim() };
}

/** The cause of a finding's status where its tags brought it about, with the message in which that was seen. */
export function causeByTags(message: string): string {
  return `tag ${exemptTag}, ${message}`;
}
