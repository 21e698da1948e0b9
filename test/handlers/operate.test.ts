import type { LambdaFunctionURLEventWithIAMAuthorizer, LambdaFunctionURLResult } from 'aws-lambda';
import { type HandlerBench, load } from './bench.ts';

jest.mock('../../ledger/ledger.ts', () => jest.requireActual<typeof import('./bench.ts')>('./bench.ts').ledgerModule());

type Handler = (event: LambdaFunctionURLEventWithIAMAuthorizer) => Promise<{ readonly statusCode: number; readonly body: string }>;
const olga = 'arn:aws:sts::111122223333:assumed-role/Operators/olga';

let on: HandlerBench<Handler>;
beforeEach(async () => {
  on = await load<Handler>('operate', { Operators: 'arn:aws:iam::111122223333:role/Operators' });
});

function request(body: unknown, { by = olga, base64 = false } = {}): LambdaFunctionURLEventWithIAMAuthorizer {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return {
    body: base64 ? Buffer.from(text).toString('base64') : text,
    isBase64Encoded: base64,
    requestContext: { authorizer: { iam: { userArn: by } } },
  } as unknown as LambdaFunctionURLEventWithIAMAuthorizer;
}

test('an operator is heard, and named in the log', async () => {
  const answer = await on.handler(request({ action: 'pause', reason: 'incident' }));
  expect(answer).toMatchObject({ statusCode: 200 } satisfies LambdaFunctionURLResult);
  expect(JSON.parse(answer.body)).toEqual({ paused: true });
  expect(await on.ledger.switches()).toMatchObject({ paused: true });
  expect(on.logged()).toContain(olga);
});

test('a body may come in base64', async () => {
  expect(await on.handler(request({ action: 'resume' }, { base64: true }))).toMatchObject({ statusCode: 200 });
  expect(await on.ledger.switches()).toMatchObject({ paused: false });
});

test.each([
  ['no JSON', 'pause', 'The request is not JSON.'],
  ['nothing', '', 'The request is not JSON.'],
  ['something else', { action: 'explode' }, 'The request cannot be read'],
  ['a list', [], 'The request cannot be read'],
])('%s gets a sentence', async (_, body, sentence) => {
  const answer = await on.handler(request(body));
  expect(answer.statusCode).toBe(400);
  expect((JSON.parse(answer.body) as { error: string }).error).toContain(sentence);
});

test('somebody else gets one too, whatever the body says of who he is', async () => {
  const answer = await on.handler(
    request({ action: 'pause', reason: 'incident', by: olga, userArn: olga }, { by: 'arn:aws:iam::111122223333:user/eve' }),
  );
  expect(answer.statusCode).toBe(400);
  expect(answer.body).toContain("not among the stack's Operators");
});

test('what is broken on this side is an error, not an answer', async () => {
  on.ledger.setSwitch = async () => Promise.reject(new Error('the table is gone'));
  await expect(on.handler(request({ action: 'pause', reason: 'incident' }))).rejects.toThrow('the table is gone');
});
