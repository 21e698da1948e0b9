import type { LambdaFunctionURLEvent, LambdaFunctionURLResult } from 'aws-lambda';
import { signerOf } from '../aws/sts.ts';
import { readSigned } from '../guard/identity.ts';
import { operate, Refused } from '../guard/operate.ts';
import { logger, wire } from './wire.ts';

const ports = wire([]);
const { home, stack } = ports.config;

/** The function URL that operators call. Whoever may invoke the function can write any caller into the event: STS says who it is. */
export async function handler(event: LambdaFunctionURLEvent): Promise<LambdaFunctionURLResult> {
  let by = 'unknown';
  try {
    const { request, identity } = readSigned(textOf(event), { ...home, stack }, ports.now());
    by = await signerOf(home, identity, process.env['AWS_ENDPOINT_URL_STS'] ?? process.env['AWS_ENDPOINT_URL']);
    const answer = await operate(request, by, ports);
    logger.info('operated', { by });
    return { statusCode: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(answer) };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    logger.warn('refused', { by, why: error.message });
    return { statusCode: 400, headers: { 'content-type': 'application/json' }, body: JSON.stringify({ error: error.message }) };
  }
}

function textOf({ body = '', isBase64Encoded }: LambdaFunctionURLEvent): string {
  return isBase64Encoded ? Buffer.from(body, 'base64').toString('utf8') : body;
}
