import { connect } from '../../aws/handle.ts';
import { getFunctionConfiguration, listTags, removePermission } from '../../aws/lambda.ts';
import { check } from '../../guard/check.ts';
import { readOnce } from '../../guard/reads.ts';
import type { AnyRule } from '../../guard/rule.ts';
import { bench, event, orders, place, timeoutLong } from './bench.ts';

const named = { FunctionName: orders };

function counted() {
  const { world } = bench();
  const once = readOnce((calls) => connect(calls, place));
  return { world, once, made: () => world.calls.map(({ operation }) => operation) };
}

test('what was read is not read again, whoever asks', async () => {
  const { once, made } = counted();
  const first = await once([getFunctionConfiguration, listTags]).getFunctionConfiguration(named);
  const second = once([getFunctionConfiguration]);
  expect(await Promise.all([second.getFunctionConfiguration(named), second.getFunctionConfiguration(named)])).toEqual([first, first]);
  expect(made()).toEqual(['GetFunctionConfiguration']);
  await second.getFunctionConfiguration({ FunctionName: 'orders' });
  expect(made()).toEqual(['GetFunctionConfiguration', 'GetFunctionConfiguration']);
});

test('what failed is read again', async () => {
  const { world, once } = counted();
  const aws = once([getFunctionConfiguration]);
  world.lambda.deleteFunction({ FunctionName: 'orders' });
  await expect(aws.getFunctionConfiguration(named)).rejects.toThrow();
  world.lambda.createFunction({ FunctionName: 'orders' });
  expect(await aws.getFunctionConfiguration(named)).toMatchObject({ FunctionName: 'orders' });
});

test('what changes something is done every time', async () => {
  const { once, made } = counted();
  const aws = once([removePermission]);
  for (const _ of [1, 2]) await aws.removePermission({ ...named, StatementId: 'none' }).catch(() => undefined);
  expect(made()).toEqual(['RemovePermission', 'RemovePermission']);
});

test('a message is read once for all rules of a checker, and the next message again', async () => {
  const { ports, world } = bench();
  const other: AnyRule = { ...timeoutLong, id: 'timeout-longer' };
  const read = () => world.calls.filter(({ operation }) => operation === 'GetFunctionConfiguration').length;
  await check({ event: event('e1') }, [timeoutLong, other], ports);
  expect(read()).toBe(1);
  await check({ event: event('e2') }, [timeoutLong, other], ports);
  expect(read()).toBe(2);
});
