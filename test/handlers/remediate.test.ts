import { ChangeMessageVisibilityCommand } from '@aws-sdk/client-sqs';
import type { Finding } from '../../guard/finding.ts';
import { findingId } from '../../guard/finding.ts';
import { batch, context, failures, type HandlerBench, load, mocked, onBus, orders, place, type QueueHandler } from './bench.ts';

jest.mock('../../ledger/ledger.ts', () => jest.requireActual<typeof import('./bench.ts')>('./bench.ts').ledgerModule());

function finding(name: string): Finding {
  const arn = orders.replace('orders', name);
  return {
    id: findingId('function-url-open', arn),
    rule: 'function-url-open',
    practice: 'apis',
    severity: 'high',
    title: 'A function URL lets anyone on the internet invoke the function',
    summary: 'It is open.',
    subject: { arn, type: 'AWS::Lambda::Function', ...place },
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
    fixAfter: 0,
  };
}

let on: HandlerBench<QueueHandler>;
beforeEach(async () => {
  on = await load<QueueHandler>('remediate', { Rule: 'function-url-open', FunctionUrlOpenMode: 'remediate', FunctionUrlOpenDelay: '0' });
  for (const FunctionName of ['orders', 'poison']) {
    on.world.lambda.createFunction({ FunctionName });
    on.world.lambda.createFunctionUrlConfig({ FunctionName, AuthType: 'NONE' });
    await on.ledger.open(finding(FunctionName));
  }
});

const authType = () => on.world.lambda.getFunctionUrlConfig({ FunctionName: 'orders' }).AuthType;

test('of a batch only the poison comes back; what names no finding is done, what is fine is put right', async () => {
  const update = on.world.lambda.updateFunctionUrlConfig.bind(on.world.lambda);
  on.world.lambda.updateFunctionUrlConfig = (input) => {
    if (String(input.FunctionName).endsWith('poison'))
      throw Object.assign(new Error('hunter2'), { name: 'ServiceException', $metadata: { httpStatusCode: 500 } });
    return update(input);
  };
  const answer = await on.handler(
    batch({
      text: 'no JSON',
      nothing: {},
      task: { detail: { task: 'sweep' } },
      injected: { detail: { findingId: "x' OR 1=1" } },
      long: { detail: { findingId: 'a'.repeat(21) } },
      unknown: { detail: { findingId: 'a'.repeat(20) } },
      poison: { detail: { findingId: finding('poison').id } },
      fine: { detail: { findingId: finding('orders').id, status: 'open' } },
    }),
    context,
  );
  expect(failures(answer)).toEqual(['poison']);
  expect(authType()).toBe('AWS_IAM');
  expect(onBus(on)).toMatchObject([{ type: 'Compliance Change', detail: { status: 'remediated', resource: { arn: orders } } }]);
  expect(on.logged()).not.toContain('hunter2');
  expect(mocked(on.queue).commandCalls(ChangeMessageVisibilityCommand)).toHaveLength(1);
});

test('nothing that a message says is believed but the id of its finding', async () => {
  const forged = {
    ...finding('orders'),
    plan: ['lambda:DeleteFunction'],
    resource: { arn: orders.replace('orders', 'victim') },
    findingId: finding('orders').id,
  };
  expect(failures(await on.handler(batch({ forged: { detail: forged } }), context))).toEqual([]);
  expect(on.world.calls.filter(({ operation }) => operation.startsWith('Delete'))).toEqual([]);
  expect(JSON.stringify(on.world.calls)).not.toContain('victim');
});

test('a function that is deployed for a rule that is not there does not start', async () => {
  jest.resetModules();
  await expect(load<QueueHandler>('remediate', { Rule: 'nothing-such' })).rejects.toThrow('There is no rule nothing-such.');
});
