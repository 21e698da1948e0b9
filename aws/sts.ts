import { Sha256 } from '@aws-crypto/sha256-js';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { SignatureV4 } from '@smithy/signature-v4';
import { parseArn } from '../guard/arn.ts';
import type { Connection } from '../guard/call.ts';
import { type Identity, requestHeader } from '../guard/identity.ts';
import { Refused } from '../guard/operate.ts';
import { type Post, post } from './post.ts';

type Region = Pick<Connection, 'region'>;

/** Signs a POST with the credentials that the SDK finds. */
export async function signedPost(
  { region }: Region,
  service: string,
  { path, headers, body }: Post & { readonly headers: { readonly host: string } },
): Promise<Post> {
  const credentials = await new LambdaClient({ region }).config.credentials();
  const signer = new SignatureV4({ service, region, sha256: Sha256, credentials });
  const signed = await signer.sign({ method: 'POST', protocol: 'https:', hostname: headers.host, path, headers: { ...headers }, body });
  return { path, headers: signed.headers, body };
}

/** The one request whose answer says who signed it. https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html */
function getCallerIdentity({ region }: Region): Post & { readonly headers: { readonly host: string; readonly 'content-type': string } } {
  return {
    path: '/',
    headers: {
      host: `sts.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`,
      'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
    },
    body: 'Action=GetCallerIdentity&Version=2011-06-15',
  };
}

/** Signs for a request: whoever gets this can ask STS who did, and nothing else. */
export async function signIdentity(region: Region, hash: string): Promise<Identity> {
  const { headers, ...request } = getCallerIdentity(region);
  const signed = await signedPost(region, 'sts', { ...request, headers: { ...headers, [requestHeader]: hash } });
  const { host: _host, 'content-type': _type, ...identity } = signed.headers;
  return identity as Identity;
}

/**
 * Who signed, by the word of STS: the caller's headers fill in the signature alone, everything else is fixed here.
 * @param endpoint where AWS_ENDPOINT_URL sends calls instead, if it does
 * @throws Refused where STS does not accept the signature, or it is of another account
 */
export async function signerOf(home: Connection, identity: Identity, endpoint?: string): Promise<string> {
  const { path, headers, body } = getCallerIdentity(home);
  const { status, answer } = await post(endpoint ?? `https://${headers.host}`, { path, headers: { ...identity, ...headers }, body }, 10);
  if (status >= 400 && status < 500) {
    const code = /<Code>(\w+)<\/Code>/.exec(answer)?.[1] ?? String(status);
    throw new Refused(`AWS does not accept the signature of the request (${code}).`);
  }
  const arn = status === 200 ? /<Arn>([^<]+)<\/Arn>/.exec(answer)?.[1] : undefined;
  if (arn === undefined) throw new Error(`STS answered ${status}`);
  if (parseArn(arn)?.account !== home.account) throw new Refused(`${arn} does not belong to the account of the guard.`);
  return arn;
}
