import { PublishCommand } from '@aws-sdk/client-sns';
import { alertAbout } from '../../guard/alert.ts';
import { batch, context, counted, failures, type HandlerBench, load, mocked, orders, place, type QueueHandler } from './bench.ts';

jest.mock('../../ledger/ledger.ts', () => jest.requireActual<typeof import('./bench.ts')>('./bench.ts').ledgerModule());

const alert = (id: string, more: object = {}) => ({
  ...alertAbout(
    {
      id,
      rule: 'function-url-open',
      practice: 'apis',
      severity: 'high',
      title: 'A function URL lets anyone on the internet invoke the function',
      summary: `${id} is open.`,
      subject: { arn: orders, type: 'AWS::Lambda::Function', ...place },
      evidence: { authType: 'NONE' },
      tags: {},
      status: 'open',
      opened: 1,
      firstSeen: '2026-11-22T12:00:00.000Z',
      lastSeen: '2026-11-22T12:00:00.000Z',
      openedAt: '2026-11-22T12:00:00.000Z',
      asOf: 0,
      cause: 'event e1',
      attempts: 0,
    },
    { status: 'open' },
  ),
  ...more,
});

let on: HandlerBench<QueueHandler>;
beforeEach(async () => {
  on = await load<QueueHandler>('notify', { DigestOver: '1000' });
});

interface Published {
  readonly TopicArn: string;
  readonly Subject: string;
  readonly Message: string;
  readonly MessageStructure: string;
  readonly MessageAttributes: Readonly<Record<string, { readonly StringValue: string }>>;
}

function published(): readonly Published[] {
  return mocked(on.topic)
    .commandCalls(PublishCommand)
    .map((call: { args: [{ input: Published }] }) => call.args[0].input);
}

test('of a batch only what SNS refuses comes back; what is no alert is ignored', async () => {
  mocked(on.topic)
    .on(PublishCommand)
    .callsFake(async (input: Published) => {
      if (input.Message.includes('poison'))
        throw Object.assign(new Error('hunter2'), { name: 'ThrottlingException', $metadata: { httpStatusCode: 429 } });
      return {};
    });
  const answer = await on.handler(
    batch({
      text: '{',
      nothing: {},
      almost: { detail: { ...alert('almost'), severity: 'deadly' } },
      poison: { detail: alert('poison') },
      fine: { detail: alert('fine') },
    }),
    context,
  );
  expect(failures(answer)).toEqual(['poison']);
  expect(published().filter(({ Message }) => Message.includes('fine'))).toHaveLength(1);
  expect(published().filter(({ Message }) => Message.includes('almost'))).toEqual([]);
  expect(on.logged()).not.toContain('hunter2');
  expect(counted(on.logged(), 'MessagesFailed')).toBe(1);
});

test('an alert is a message with a subject, a text for email, JSON for all others, and attributes to filter by', async () => {
  await on.handler(batch({ one: { detail: alert('one') } }), context);
  const [message] = published();
  expect(message).toMatchObject({
    TopicArn: 'arn:aws:sns:us-east-1:111122223333:alerts',
    MessageStructure: 'json',
    Subject: '[high] function-url-open open: orders',
  });
  const { default: json, email } = JSON.parse(message?.Message ?? '{}') as { default: string; email: string };
  expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(alert('one'))));
  expect(email).toContain('one is open.');
  expect(
    Object.entries(message?.MessageAttributes ?? {})
      .map(([name, { StringValue }]) => `${name}=${StringValue}`)
      .sort(),
  ).toEqual([
    'account=111122223333',
    'kind=finding',
    'practice=apis',
    'region=us-east-1',
    'rule=function-url-open',
    'severity=high',
    'status=open',
  ]);
});

test('a digest that is due is sent', async () => {
  const held = (id: string) => ({ detail: alert(id, { sweep: 's1' }) });
  expect(failures(await on.handler(batch({ a: held('a'), b: held('b') }), context))).toEqual([]);
  expect(published()).toEqual([]);
  await on.handler(batch({ due: { detail: { task: 'digest', bucket: 'sweep-s1' } } }), context);
  expect(published()).toHaveLength(2);
  await on.handler(batch({ due: { detail: { task: 'digest', bucket: 'sweep-s1' } } }), context);
  expect(published()).toHaveLength(2);
});

test('a heartbeat is counted by the stack, and told to nobody', async () => {
  const answer = await on.handler(batch({ beat: { detail: { task: 'heartbeat' } } }), context);
  expect(failures(answer)).toEqual([]);
  expect(published()).toEqual([]);
  const [line = ''] = on
    .logged()
    .split('\n')
    .filter((each) => each.includes('Heartbeats'));
  expect(JSON.parse(line)).toMatchObject({
    _aws: { CloudWatchMetrics: [{ Namespace: 'ComplianceGuard', Dimensions: [['service', 'stack']], Metrics: [{ Name: 'Heartbeats' }] }] },
    service: 'compliance-guard',
    stack: 'guard',
    Heartbeats: 1,
  });
});
