import { PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { SendMessageBatchCommand } from '@aws-sdk/client-sqs';
import { load, mocked, onBus } from './bench.ts';

jest.mock('../../ledger/ledger.ts', () => jest.requireActual<typeof import('./bench.ts')>('./bench.ts').ledgerModule());

type Handler = () => Promise<void>;

describe('tick', () => {
  test('asks for the first sweep, and then for what is due', async () => {
    const on = await load<Handler>('tick');
    await on.handler();
    expect(onBus(on)).toEqual([{ type: 'Compliance Due', detail: { task: 'sweep' } }]);
    await on.ledger.recordSweep('s1', Date.now());
    mocked(on.bus).resetHistory();
    await on.handler();
    expect(onBus(on)).toEqual([]);
    await on.ledger.hold('minute-1', 'a', {}, Date.now() - 1);
    await on.handler();
    expect(onBus(on)).toEqual([{ type: 'Compliance Due', detail: { task: 'digest', bucket: 'minute-1' } }]);
  });

  test('fails where the bus takes nothing, so that somebody hears of it', async () => {
    const on = await load<Handler>('tick');
    await on.ledger.hold('minute-2', 'a', {}, Date.now() - 1);
    mocked(on.bus)
      .on(PutEventsCommand)
      .resolves({ FailedEntryCount: 1, Entries: [{ ErrorCode: 'InternalFailure' }] });
    await expect(on.handler()).rejects.toThrow('InternalFailure');
  });
});

describe('sweep', () => {
  interface Sent {
    readonly QueueUrl: string;
    readonly Entries: readonly { readonly MessageBody: string }[];
  }

  test('sends every function to every queue, and remembers that it ran', async () => {
    const on = await load<Handler>('sweep');
    for (let index = 0; index < 23; index += 1) on.world.lambda.createFunction({ FunctionName: `f${index}` });
    await on.handler();
    const sent: readonly Sent[] = mocked(on.queue)
      .commandCalls(SendMessageBatchCommand)
      .map((call: { args: [{ input: Sent }] }) => call.args[0].input);
    for (const queue of ['one', 'two']) {
      const bodies = sent
        .filter(({ QueueUrl }) => QueueUrl.endsWith(queue))
        .flatMap(({ Entries }) => Entries.map(({ MessageBody }) => JSON.parse(MessageBody)));
      expect(new Set(bodies.map(({ subject }: { subject: { arn: string } }) => subject.arn)).size).toBe(23);
      expect(new Set(bodies.map(({ sweep }: { sweep: string }) => sweep)).size).toBe(1);
    }
    expect(Math.max(...sent.map(({ Entries }) => Entries.length))).toBe(10);
    expect(await on.ledger.lastSweep()).toBeDefined();
  });

  test('sends what has a finding to the queue of its practice alone, and tells of idle exemptions', async () => {
    const on = await load<Handler>('sweep');
    const place = { account: '111122223333', region: 'us-east-1' };
    const arn = 'arn:aws:lambda:us-east-1:111122223333:function:orders:live';
    const seen = new Date().toISOString();
    await on.ledger.open({
      id: 'f1',
      rule: 'function-url-open',
      practice: 'apis',
      severity: 'high',
      title: 'A URL',
      summary: 'It is open.',
      subject: { arn, type: 'AWS::Lambda::Function', ...place },
      evidence: {},
      tags: {},
      status: 'open',
      opened: 1,
      firstSeen: seen,
      openedAt: seen,
      lastSeen: seen,
      asOf: 1,
      cause: 'event e1',
      attempts: 0,
    });
    await on.ledger.addExemption({
      id: 'x1',
      rule: 'role-shared',
      resource: '*',
      reason: 'old',
      owner: 'shop',
      expires: Date.now() + 9e9,
      by: 'olga',
      since: 1,
    });
    await on.ledger.recordSweep('s0', 2);
    await on.handler();
    const sent: readonly Sent[] = mocked(on.queue)
      .commandCalls(SendMessageBatchCommand)
      .map((call: { args: [{ input: Sent }] }) => call.args[0].input);
    expect(sent.map(({ QueueUrl, Entries }) => [QueueUrl, Entries.map(({ MessageBody }) => JSON.parse(MessageBody))])).toEqual([
      [
        'https://sqs.us-east-1.amazonaws.com/111122223333/one',
        [{ sweep: expect.any(String), rule: 'function-url-open', subject: { arn, type: 'AWS::Lambda::Function', ...place } }],
      ],
    ]);
    expect(onBus(on)).toMatchObject([{ type: 'Compliance Failure', detail: { title: 'Exemptions that cover nothing', severity: 'low' } }]);
  });

  test('fails where a queue does not take all, so that it is done again', async () => {
    const on = await load<Handler>('sweep');
    on.world.lambda.createFunction({ FunctionName: 'orders' });
    mocked(on.queue)
      .on(SendMessageBatchCommand)
      .resolves({ Failed: [{ Id: '0', Code: 'InternalError', SenderFault: false }] });
    await expect(on.handler()).rejects.toThrow('InternalError');
  });
});

test.each(['LedgerTable', 'GUARD_ACCOUNT', 'DigestOver'])(
  'a function that lacks or cannot use %s does not start, and says which',
  async (name) => {
    jest.resetModules();
    await expect(load<Handler>('tick', { [name]: name === 'DigestOver' ? '0' : '' })).rejects.toThrow(name);
    delete process.env['DigestOver'];
  },
);
