import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Sha256 } from '@aws-crypto/sha256-js';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { SignatureV4 } from '@smithy/signature-v4';
import type { Connection } from '../guard/call.ts';

/** The function's answer where it is not 200. */
export class OperateError extends Error {
  override readonly name = 'OperateError';
}

/**
 * Calls the operate function by its URL, signed with the caller's own credentials.
 * @param endpoint where AWS_ENDPOINT_URL sends calls instead, if it does
 * @throws OperateError with the function's own sentence
 */
export async function callOperate(
  { region }: Connection,
  url: string,
  body: unknown,
  endpoint?: string,
): Promise<Readonly<Record<string, unknown>>> {
  const { hostname, pathname } = new URL(url);
  const text = JSON.stringify(body);
  const signer = new SignatureV4({
    service: 'lambda',
    region,
    sha256: Sha256,
    credentials: await new LambdaClient({ region }).config.credentials(),
  });
  const signed = await signer.sign({
    method: 'POST',
    protocol: 'https:',
    hostname,
    path: pathname,
    headers: { host: hostname, 'content-type': 'application/json' },
    body: text,
  });
  const { status, answer } = await post(endpoint ?? url, pathname, signed.headers, text);
  const read = parse(answer);
  if (status !== 200)
    throw new OperateError(
      typeof read['error'] === 'string'
        ? read['error']
        : `The operate function answered ${status}: may these credentials invoke its URL (lambda:InvokeFunctionUrl)?`,
    );
  return read;
}

async function post(
  base: string,
  path: string,
  headers: Record<string, string>,
  body: string,
): Promise<{ status: number; answer: string }> {
  const { protocol, hostname, port } = new URL(base);
  const request = protocol === 'http:' ? httpRequest : httpsRequest;
  return await new Promise((resolve, reject) => {
    const outgoing = request({ hostname, port, path, method: 'POST', headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, answer: Buffer.concat(chunks).toString('utf8') }));
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}
