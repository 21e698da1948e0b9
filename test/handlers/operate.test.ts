import type { LambdaFunctionURLEvent, LambdaFunctionURLResult } from 'aws-lambda';
import { signIdentity } from '../../aws/sts.ts';
import { type Identity, requestHash } from '../../guard/identity.ts';
import { type FakeSts, startSts } from '../support/sts.ts';
import { type HandlerBench, load, place } from './bench.ts';

jest.mock('../../ledger/ledger.ts', () => jest.requireActual<typeof import('./bench.ts')>('./bench.ts').ledgerModule());

type Handler = (event: LambdaFunctionURLEvent) => Promise<{ readonly statusCode: number; readonly body: string }>;
const olga = 'arn:aws:sts::111122223333:assumed-role/Operators/olga';
const eve = 'arn:aws:iam::111122223333:user/eve';
const guard = { ...place, stack: 'guard' };
const pause = { action: 'pause', reason: 'incident' };

let sts: FakeSts;
let on: HandlerBench<Handler>;
beforeAll(async () => {
  sts = await startSts();
  sts.known
    .set('AKIAEXAMPLEOLGA', olga)
    .set('AKIAEXAMPLEEVE', eve)
    .set('AKIAEXAMPLEFAR', 'arn:aws:sts::444455556666:assumed-role/Operators/olga');
});
afterAll(() => sts.close());
beforeEach(async () => {
  on = await load<Handler>('operate', { Operators: 'arn:aws:iam::111122223333:role/Operators', AWS_ENDPOINT_URL_STS: sts.endpoint });
  sts.asked.length = 0;
  sts.answer = undefined;
});

interface Sent {
  readonly key?: string;
  readonly for?: typeof guard;
  readonly change?: (identity: Identity) => object;
}

/** A request as the command line sends it. */
async function signed(
  asked: unknown,
  { key = 'AKIAEXAMPLEOLGA', for: of = guard, change = (identity) => identity }: Sent = {},
): Promise<string> {
  const request = typeof asked === 'string' ? asked : JSON.stringify(asked);
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: key, AWS_SECRET_ACCESS_KEY: 'never-sent' });
  const identity = await signIdentity(place, requestHash(of, request));
  return JSON.stringify({ request, identity: change(identity) });
}

/** Whoever may invoke the function can claim any caller here. */
function event(body: string, { base64 = false } = {}): LambdaFunctionURLEvent {
  return {
    body: base64 ? Buffer.from(body).toString('base64') : body,
    isBase64Encoded: base64,
    requestContext: { authorizer: { iam: { userArn: olga } } },
  } as unknown as LambdaFunctionURLEvent;
}

const sentence = ({ body }: { readonly body: string }) => (JSON.parse(body) as { error: string }).error;

test('an operator is heard, and named in the log', async () => {
  const answer = await on.handler(event(await signed(pause)));
  expect(answer).toMatchObject({ statusCode: 200 } satisfies LambdaFunctionURLResult);
  expect(JSON.parse(answer.body)).toEqual({ paused: true });
  expect(await on.ledger.switches()).toMatchObject({ paused: true });
  expect(on.logged()).toContain(olga);
  expect(on.logged()).not.toContain('Signature=');
});

test('a body may come in base64', async () => {
  expect(await on.handler(event(await signed({ action: 'resume' }), { base64: true }))).toMatchObject({ statusCode: 200 });
  expect(await on.ledger.switches()).toMatchObject({ paused: false });
});

test.each([
  ['no JSON', 'pause', 'The request is not JSON.'],
  ['nothing', '', 'The request is not JSON.'],
  ['something else', { action: 'explode' }, 'The request cannot be read'],
  ['a list', [], 'The request cannot be read'],
])('%s gets a sentence', async (_, body, why) => {
  const answer = await on.handler(event(await signed(body)));
  expect(answer.statusCode).toBe(400);
  expect(sentence(answer)).toContain(why);
});

test('somebody else gets one too, whatever the event and the request say of who he is', async () => {
  const answer = await on.handler(event(await signed({ ...pause, by: olga, userArn: olga }, { key: 'AKIAEXAMPLEEVE' })));
  expect(answer.statusCode).toBe(400);
  expect(sentence(answer)).toContain(`${eve} is not among the stack's Operators`);
  expect(await on.ledger.switches()).toMatchObject({ paused: false });
});

test('STS is asked nothing but who signed, at its own host, with no header but those of the signature', async () => {
  const change = (identity: Identity) => ({ ...identity, host: 'sts.evil.example', 'x-amz-target': 'x', 'x-forwarded-for': '1.2.3.4' });
  expect(await on.handler(event(await signed(pause, { change })))).toMatchObject({ statusCode: 200 });
  expect(sts.asked).toMatchObject([
    {
      method: 'POST',
      url: '/',
      body: 'Action=GetCallerIdentity&Version=2011-06-15',
      headers: { host: 'sts.us-east-1.amazonaws.com', 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
    },
  ]);
  const own = ['authorization', 'x-amz-content-sha256', 'x-amz-date', 'x-guard-request'];
  const plain = ['connection', 'content-length', 'content-type', 'host', 'transfer-encoding'];
  expect(Object.keys(sts.asked[0]?.headers ?? {}).filter((name) => ![...own, ...plain].includes(name))).toEqual([]);
});

const unsigned = (name: string) => (identity: Identity) => ({
  ...identity,
  authorization: identity.authorization.replace(new RegExp(`(=|;)${name};?`), '$1').replace(/;,/, ','),
});
const at = (milliseconds: number) => (identity: Identity) => ({
  ...identity,
  'x-amz-date': new Date(Date.now() + milliseconds).toISOString().replace(/[-:]|\.\d+/g, ''),
});
const somethingElse = 'The request was signed for something else';
const notRecently = 'The request was not signed within the last five minutes';
const noSender = 'The request does not say who sends it: use `npm run guard`';

describe('a request is refused, and nobody is asked about it,', () => {
  test.each<[string, Sent, string]>([
    ['that was signed for another guard', { for: { ...guard, stack: 'other' } }, somethingElse],
    ['that was signed for the guard of another region', { for: { ...guard, region: 'eu-west-1' } }, somethingElse],
    ['that was signed for the guard of another account', { for: { ...guard, account: '444455556666' } }, somethingElse],
    ['whose binding is not signed', { change: unsigned('x-guard-request') }, somethingElse],
    ['whose host is not signed', { change: unsigned('host') }, somethingElse],
    ['whose date is not signed', { change: unsigned('x-amz-date') }, somethingElse],
    [
      'that names its signed headers twice',
      { change: (i) => ({ ...i, authorization: i.authorization.replace(', Signature', ', SignedHeaders=host, Signature') }) },
      somethingElse,
    ],
    ['that was signed six minutes ago', { change: at(-360_000) }, notRecently],
    ['that was signed for later', { change: at(360_000) }, notRecently],
    ['whose date is none', { change: (i) => ({ ...i, 'x-amz-date': 'today' }) }, notRecently],
    ['without a signature', { change: ({ authorization: _, ...i }) => i }, noSender],
    [
      'with a line break in a header',
      { change: (i) => ({ ...i, authorization: `${i.authorization}\r\nhost: sts.evil.example` }) },
      noSender,
    ],
  ])('%s', async (_, sent, why) => {
    const answer = await on.handler(event(await signed(pause, sent)));
    expect(answer.statusCode).toBe(400);
    expect(sentence(answer)).toContain(why);
    expect(sts.asked).toEqual([]);
    expect(await on.ledger.switches()).toMatchObject({ paused: false });
  });

  test('that carries an identity of another request', async () => {
    const { identity } = JSON.parse(await signed({ action: 'resume' }));
    const answer = await on.handler(event(JSON.stringify({ request: JSON.stringify(pause), identity })));
    expect(sentence(answer)).toContain(somethingElse);
    expect(sts.asked).toEqual([]);
    expect(await on.ledger.switches()).toMatchObject({ paused: false });
  });

  test.each([
    ['that carries no identity', JSON.stringify(pause)],
    ['that is a text', '"pause"'],
    ['that is null', 'null'],
  ])('%s, as whoever invokes the function directly would send it', async (_, body) => {
    expect(sentence(await on.handler(event(body)))).toContain(noSender);
    expect(sts.asked).toEqual([]);
    expect(await on.ledger.switches()).toMatchObject({ paused: false });
  });
});

test.each([
  ['does not accept the signature', 'AKIAEXAMPLEMADEUP', 'AWS does not accept the signature of the request (InvalidClientTokenId).'],
  ['says it is of another account', 'AKIAEXAMPLEFAR', 'does not belong to the account of the guard'],
])('where STS %s, it is refused', async (_, key, why) => {
  const answer = await on.handler(event(await signed(pause, { key })));
  expect(answer.statusCode).toBe(400);
  expect(sentence(answer)).toContain(why);
  expect(await on.ledger.switches()).toMatchObject({ paused: false });
});

test.each([
  ['is out of order', { status: 503, body: '' }],
  ['answers something else', { status: 200, body: '<html>' }],
  ['sends elsewhere', { status: 302, body: `<Arn>${olga}</Arn>` }],
])('where STS %s, that is an error, not an answer', async (_, answer) => {
  sts.answer = answer;
  await expect(on.handler(event(await signed(pause)))).rejects.toThrow(`STS answered ${answer.status}`);
  expect(await on.ledger.switches()).toMatchObject({ paused: false });
});

test('what is broken on this side is an error, not an answer', async () => {
  on.ledger.setSwitch = async () => Promise.reject(new Error('the table is gone'));
  await expect(on.handler(event(await signed(pause)))).rejects.toThrow('the table is gone');
});
