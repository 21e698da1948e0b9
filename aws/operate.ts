import type { Connection } from '../guard/call.ts';
import { type GuardName, requestHash, type Signed } from '../guard/identity.ts';
import { post } from './post.ts';
import { signedPost, signIdentity } from './sts.ts';

/** The function's answer where it is not 200. */
export class OperateError extends Error {
  override readonly name = 'OperateError';
}

/**
 * Calls the operate function by its URL, signed with the caller's own credentials. The URL lets in whoever may invoke
 * it; who that is the function believes of STS alone, so the request carries an identity that was signed for it.
 * @param endpoint where AWS_ENDPOINT_URL sends calls instead, if it does
 * @throws OperateError with the function's own sentence
 */
export async function callOperate(
  connection: Connection,
  { url, stack }: { readonly url: string } & Pick<GuardName, 'stack'>,
  asked: unknown,
  endpoint?: string,
): Promise<Readonly<Record<string, unknown>>> {
  const { hostname, pathname } = new URL(url);
  const request = JSON.stringify(asked);
  const identity = await signIdentity(connection, requestHash({ ...connection, stack }, request));
  const signed = await signedPost(connection, 'lambda', {
    path: pathname,
    headers: { host: hostname, 'content-type': 'application/json' },
    body: JSON.stringify({ request, identity } satisfies Signed),
  });
  const { status, answer } = await post(endpoint ?? url, signed, 60);
  const read = parse(answer);
  if (status !== 200)
    throw new OperateError(
      typeof read['error'] === 'string'
        ? read['error']
        : `The operate function answered ${status}: may these credentials invoke its URL (lambda:InvokeFunctionUrl)?`,
    );
  return read;
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}
