import type { AnyRule } from '../../guard/rule.ts';
import { rules } from '../../rules/index.ts';
import { sample } from '../support/events.ts';
import { batch, context, failures, load, onBus, type QueueHandler } from './bench.ts';

jest.mock('../../ledger/ledger.ts', () => jest.requireActual<typeof import('./bench.ts')>('./bench.ts').ledgerModule());

const all: readonly AnyRule[] = rules;
const practices = [...new Set(all.map(({ practice }) => practice))];
const bodies = {
  rubbish: '{"detail":',
  foreign: { detail: { task: 'fix' } },
  role: sample('UpdateFunctionConfiguration20150331v2/role-changed.json'),
  secret: sample('UpdateFunctionConfiguration20150331v2/secret-variables.json'),
  code: sample('UpdateFunctionCode20150331v2/code-by-hand.json'),
  url: sample('CreateFunctionUrlConfig/none.json'),
  group: sample('AuthorizeSecurityGroupIngress/nested.json'),
  own: sample('PutFunctionConcurrency20171031/own.json'),
  gone: sample('DeleteFunction20150331/plain.json'),
};

test.each(practices)('check-%s takes any message, of resources that are not there (any more) too', async (practice) => {
  const { handler } = await load<QueueHandler>(`check-${practice}`);
  expect(failures(await handler(batch(bodies), context))).toEqual([]);
});

test.each(practices)('check-%s runs the rules of its practice alone', async (practice) => {
  const on = await load<QueueHandler>(`check-${practice}`, Object.fromEntries(all.map(({ id }) => [modeOf(id), 'alert'])));
  on.world.fail('GetFunction', 'AccessDeniedException');
  on.world.fail('GetFunctionConfiguration', 'AccessDeniedException');
  on.world.fail('GetFunctionUrlConfig', 'AccessDeniedException');
  on.world.fail('GetFunctionConcurrency', 'AccessDeniedException');
  await handleAgain(on.handler);
  // What may not be read is told; security groups are looked up in the index first, which knows none here.
  if (practice !== 'vpc') expect(onBus(on)).not.toEqual([]);
  const own = all.filter((rule) => rule.practice === practice).map(({ id }) => id);
  for (const { detail } of onBus(on)) expect(own).toContain(detail.rule);
});

async function handleAgain(handler: QueueHandler): Promise<void> {
  await handler(batch(bodies), context);
}

function modeOf(id: string): string {
  return `${id.replace(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase())}Mode`;
}

test('a credential that is found is nowhere in what a checker says', async () => {
  // Joined from parts, so that the secret scanners of code hosts find nothing here.
  const password = ['Kx7-mellow', 'Zebra!', '93'].join('');
  const on = await load<QueueHandler>('check-secrets');
  on.world.lambda.createFunction({ FunctionName: 'payments', Environment: { Variables: { DB_PASSWORD: password } } });
  const event = sample('UpdateFunctionConfiguration20150331v2/secret-variables.json', {
    detail: { requestParameters: { functionName: 'payments' } },
  });
  expect(failures(await on.handler(batch({ event }), context))).toEqual([]);
  expect(onBus(on)).toMatchObject([{ detail: { rule: 'secret-in-environment', status: 'open' } }]);
  expect(JSON.stringify(onBus(on)) + on.logged()).not.toContain(password);
});
