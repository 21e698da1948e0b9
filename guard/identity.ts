import { createHash } from 'node:crypto';
import * as z from 'zod';
import type { Place } from './arn.ts';
import { Refused } from './operate.ts';

/** The signed header that binds an identity to one request of one guard. */
export const requestHeader = 'x-guard-request';

const header = z.string().regex(/^[\x20-\x7e]+$/);

/**
 * The headers of a signed request to sts:GetCallerIdentity. Whoever holds it can learn from STS who signed it, and do
 * nothing else with it: https://developer.hashicorp.com/vault/docs/auth/aws describes the method.
 */
const identitySchema = z.object({
  authorization: header,
  'x-amz-content-sha256': header.optional(),
  'x-amz-date': header,
  'x-amz-security-token': header.optional(),
  [requestHeader]: header,
});
export type Identity = z.output<typeof identitySchema>;

/** What the operate function gets: a request as text, and its sender's identity. */
const signedSchema = z.object({ request: z.string(), identity: identitySchema });
export type Signed = z.output<typeof signedSchema>;

/** `SignedHeaders=` can stand there only once: AWS must read the same in it. */
const signature = /^AWS4-HMAC-SHA256 Credential=[\w/+=-]+, ?SignedHeaders=([a-z0-9;-]+), ?Signature=[0-9a-f]{64}$/;
const mustBeSigned = ['host', 'x-amz-date', requestHeader];
const fiveMinutes = 300_000;

/** One guard among all of them. */
export interface GuardName extends Place {
  readonly stack: string;
}

/** What an identity is signed for: it is good for this request alone, and for this guard alone. */
export function requestHash({ account, region, stack }: GuardName, request: string): string {
  return createHash('sha256').update(`${account}/${region}/${stack}\n${request}`).digest('hex');
}

/**
 * Reads what the operate function was sent, by its URL or by whoever may invoke it.
 * @returns the request, and an identity that is bound to it; who that is only STS can say
 * @throws Refused with one sentence
 */
export function readSigned(body: string, guard: GuardName, now: number): { readonly request: unknown; readonly identity: Identity } {
  const read = signedSchema.safeParse(parse(body));
  if (!read.success) throw new Refused('The request does not say who sends it: use `npm run guard` of the version that is deployed.');
  const { request, identity } = read.data;
  const signed = signature.exec(identity.authorization)?.[1]?.split(';') ?? [];
  if (mustBeSigned.some((name) => !signed.includes(name)) || identity[requestHeader] !== requestHash(guard, request))
    throw new Refused('The request was signed for something else: for another request, or for another guard.');
  if (!(Math.abs(now - timeOf(identity['x-amz-date'])) <= fiveMinutes))
    throw new Refused('The request was not signed within the last five minutes: is the clock right?');
  return { request: parse(request), identity };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refused('The request is not JSON.');
  }
}

/** `20261122T120000Z` → milliseconds since 1970. */
function timeOf(date: string): number {
  return Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
}
