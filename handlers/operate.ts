import type { LambdaFunctionURLEventWithIAMAuthorizer, LambdaFunctionURLResult } from 'aws-lambda';
import { operate, Refused } from '../guard/operate.ts';
import { logger, wire } from './wire.ts';

const ports = wire([]);

/** The function URL that operators call, signed: AWS says who they are. */
export async function handler(event: LambdaFunctionURLEventWithIAMAuthorizer): Promise<LambdaFunctionURLResult> {
  const by = event.requestContext.authorizer.iam.userArn;
  try {
    const answer = await operate(read(event), by, ports);
    logger.info('operated', { by });
    return { statusCode: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(answer) };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    logger.warn('refused', { by, why: error.message });
    return { statusCode: 400, headers: { 'content-type': 'application/json' }, body: JSON.stringify({ error: error.message }) };
  }
}

function read({ body = '', isBase64Encoded }: LambdaFunctionURLEventWithIAMAuthorizer): unknown {
  try {
    return JSON.parse(isBase64Encoded ? Buffer.from(body, 'base64').toString('utf8') : body);
  } catch {
    throw new Refused('The request is not JSON.');
  }
}
