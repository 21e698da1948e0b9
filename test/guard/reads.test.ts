import { connect } from '../../aws/handle.ts';
import {
  getDecryptedFunction,
  getFunction,
  getFunctionConfiguration,
  getTaggedFunction,
  listTags,
  removePermission,
} from '../../aws/lambda.ts';
import { check } from '../../guard/check.ts';
import { RetryLater } from '../../guard/errors.ts';
import type { Baseline } from '../../guard/estate.ts';
import { readOnce, recordOnce } from '../../guard/reads.ts';
import type { AnyRule } from '../../guard/rule.ts';
import { MemoryLedger } from '../../ledger/memory.ts';
import { awsError } from '../support/world/service.ts';
import { bench, event, orders, place, timeoutLong } from './bench.ts';

/** The modes of timeout-long, and of the same rule by another name. */
const bothOn = { TimeoutLongMode: 'alert', Modes: 'timeout-longer=alert:0' };
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
  const { wire } = world;
  world.wire = async () => {
    world.wire = wire;
    throw awsError('TooManyRequestsException', 'slow down', 429);
  };
  await expect(aws.getFunctionConfiguration(named)).rejects.toThrow('slow down');
  expect(await aws.getFunctionConfiguration(named)).toMatchObject({ FunctionName: 'orders' });
});

test('that something is not there is read once', async () => {
  const { world, once, made } = counted();
  const aws = once([getFunctionConfiguration]);
  world.lambda.deleteFunction({ FunctionName: 'orders' });
  for (const _ of [1, 2]) await expect(aws.getFunctionConfiguration(named)).rejects.toThrow();
  expect(made()).toEqual(['GetFunctionConfiguration']);
});

describe('where a larger call may be made', () => {
  function larger() {
    const { world } = bench();
    const once = readOnce((calls) => connect(calls, place), [getFunction]);
    return { world, once, made: () => world.calls.map(({ operation }) => operation) };
  }

  test('it answers the smaller ones, and itself, once', async () => {
    const { world, once, made } = larger();
    const { Configuration } = await getFunction.run(place, named);
    const { Tags } = await listTags.run(place, { Resource: orders });
    world.calls.length = 0;
    const aws = once([getFunctionConfiguration, listTags, getDecryptedFunction]);
    expect(await aws.getFunctionConfiguration(named)).toEqual(Configuration);
    expect(await aws.listTags({ Resource: orders })).toEqual({ Tags });
    expect((await aws.getDecryptedFunction(named)).Configuration).toEqual(Configuration);
    expect(made()).toEqual(['GetFunction']);
  });

  test('of what is not there neither tells anything', async () => {
    const { world, once, made } = larger();
    world.lambda.deleteFunction({ FunctionName: 'orders' });
    const aws = once([getFunctionConfiguration, listTags]);
    await expect(aws.getFunctionConfiguration(named)).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
    await expect(aws.listTags({ Resource: orders })).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
    expect(made()).toEqual(['GetFunction']);
  });

  test('who may not make it makes the smaller ones, and tries it once', async () => {
    const { world, once, made } = larger();
    world.fail('GetFunction', 'AccessDeniedException');
    const aws = once([getFunctionConfiguration, listTags]);
    expect(await aws.getFunctionConfiguration(named)).toMatchObject({ FunctionName: 'orders' });
    await aws.listTags({ Resource: orders });
    expect(made()).toEqual(['GetFunction', 'GetFunctionConfiguration', 'ListTags']);
  });

  test('what may pass is no answer', async () => {
    const { world, once, made } = larger();
    world.fail('GetFunction', 'TooManyRequestsException');
    await expect(once([getFunctionConfiguration]).getFunctionConfiguration(named)).rejects.toMatchObject({
      name: 'TooManyRequestsException',
    });
    expect(made()).toEqual(['GetFunction']);
  });

  test('tags that it may not tell are asked for, or are an error', async () => {
    const { world, once, made } = larger();
    const { wire } = world;
    world.wire = async (call, make) =>
      call.operation === 'GetFunction'
        ? { ...((await wire(call, make)) as object), Tags: undefined, TagsError: { ErrorCode: 'AccessDeniedException', Message: 'no' } }
        : await wire(call, make);
    const aws = once([listTags, getTaggedFunction]);
    await aws.listTags({ Resource: orders });
    expect(made()).toEqual(['GetFunction', 'ListTags']);
    await expect(connect([getTaggedFunction], place).getTaggedFunction(named)).rejects.toMatchObject({ name: 'AccessDeniedException' });
  });
});

test('what changes something is done every time', async () => {
  const { once, made } = counted();
  const aws = once([removePermission]);
  for (const _ of [1, 2]) await aws.removePermission({ ...named, StatementId: 'none' }).catch(() => undefined);
  expect(made()).toEqual(['RemovePermission', 'RemovePermission']);
});

test('a message is read once for all rules of a checker, and the next message again', async () => {
  const { ports, world } = bench(timeoutLong, bothOn);
  // A plan that is shown reads for itself.
  const one: AnyRule = timeoutLong;
  const other: AnyRule = { ...one, id: 'timeout-longer' };
  const read = () => world.calls.filter(({ operation }) => operation === 'GetFunctionConfiguration').length;
  const planless = { ...ports, showsPlans: false };
  await check({ event: event('e1') }, [one, other], planless);
  expect(read()).toBe(1);
  await check({ event: event('e2') }, [one, other], planless);
  expect(read()).toBe(2);
});

describe('the indexes, within one message', () => {
  const network = { function: orders, asOf: 1, groups: ['sg-1'], subnets: ['subnet-1'] };
  const moved = { ...network, asOf: 2, groups: ['sg-2'] };

  const baseline: Baseline = {
    function: orders,
    asOf: 1,
    state: 'observed',
    package: { type: 'Zip', sha256: 'sha-1', archive: undefined },
    approvedHashes: ['sha-1'],
    aliases: {},
    by: 'a deployer',
    at: '2026-01-01T00:00:00Z',
  };

  async function recorded() {
    const ledger = new MemoryLedger();
    await ledger.recordNetwork(network);
    await ledger.recordRoles({ function: orders, asOf: 1, role: 'one', liveRoles: [] });
    ledger.calls.length = 0;
    return { ledger, once: recordOnce(ledger) };
  }

  test('every rule that records where a function is now learns what it left', async () => {
    const { ledger, once } = await recorded();
    for (const _ of [1, 2]) expect(await once.recordNetwork(moved)).toEqual({ left: ['sg-1'], stale: false });
    const roles = { function: orders, asOf: 2, role: 'two', liveRoles: [] };
    for (const _ of [1, 2]) expect(await once.recordRoles(roles)).toEqual({ left: ['one'], stale: false });
    expect(ledger.calls).toEqual(['recordNetwork', 'recordRoles']);
  });

  test('and that it is gone, whenever each finds it so', async () => {
    const { ledger, once } = await recorded();
    for (const now of [5, 6]) expect(await once.forgetNetwork(orders, now)).toEqual({ left: ['sg-1', 'subnet-1'] });
    for (const now of [5, 6]) expect(await once.forgetRoles(orders, now)).toEqual({ left: ['one'] });
    expect(ledger.calls).toEqual(['forgetNetwork', 'forgetRoles']);
  });

  test('another observation is another record', async () => {
    const { once } = await recorded();
    expect(await once.recordNetwork(moved)).toEqual({ left: ['sg-1'], stale: false });
    expect(await once.recordNetwork({ ...moved, asOf: 3, groups: ['sg-3'] })).toEqual({ left: ['sg-2'], stale: false });
  });

  test('what could not be recorded is recorded again', async () => {
    const { ledger, once } = await recorded();
    const recordNetwork = jest.spyOn(ledger, 'recordNetwork').mockRejectedValueOnce(new Error('busy'));
    await expect(once.recordNetwork(moved)).rejects.toThrow('busy');
    expect(await once.recordNetwork(moved)).toEqual({ left: ['sg-1'], stale: false });
    expect(recordNetwork).toHaveBeenCalledTimes(2);
  });

  test('what was looked up is looked up again once something was recorded', async () => {
    const { ledger, once } = await recorded();
    for (const _ of [1, 2]) expect(await once.functionsIn('sg-1')).toEqual([orders]);
    for (const _ of [1, 2]) expect(await once.longestUsers('one')).toHaveLength(1);
    await once.forgetNetwork(orders, 5);
    await once.forgetRoles(orders, 5);
    expect(await once.functionsIn('sg-1')).toEqual([]);
    expect(await once.longestUsers('one')).toEqual([]);
    expect(ledger.calls).toEqual(['functionsIn', 'longestUsers', 'forgetNetwork', 'forgetRoles', 'functionsIn', 'longestUsers']);
  });

  test('the approved code is read once, and again once it was recorded, or somebody else was first', async () => {
    const { ledger, once } = await recorded();
    const first = { ...baseline, revision: 1 };
    for (const _ of [1, 2]) expect(await once.baseline(orders)).toBeUndefined();
    expect(await once.recordBaseline(first)).toBe(true);
    for (const _ of [1, 2]) expect(await once.baseline(orders)).toEqual(first);
    const second = { ...baseline, revision: 2, by: 'somebody else' };
    await ledger.recordBaseline(second);
    expect(await once.recordBaseline({ ...second, by: 'the guard' })).toBe(false);
    for (const _ of [1, 2]) expect(await once.baseline(orders)).toEqual(second);
    await once.forgetBaseline(orders, 5);
    expect(await once.baseline(orders)).toEqual(second);
    const [read, record, forget] = ['baseline', 'recordBaseline', 'forgetBaseline'];
    expect(ledger.calls).toEqual([read, record, read, record, record, read, forget, read]);
  });

  test('everything else reaches the ledger each time', async () => {
    const { ledger, once } = await recorded();
    for (const asOf of [1, 2]) await once.recordKept('some-rule', orders, { state: 'as it was', asOf });
    for (const _ of [1, 2]) expect(await once.kept('some-rule', orders)).toMatchObject({ state: 'as it was' });
    expect(ledger.calls).toEqual(['recordKept', 'recordKept', 'kept', 'kept']);
  });
});

test('two rules of a checker both learn from one message what a function left, at the cost of one', async () => {
  const { ports, ledger } = bench(timeoutLong, bothOn);
  const left: (readonly string[])[] = [];
  await ledger.recordNetwork({ function: orders, asOf: 1, groups: ['sg-1'], subnets: [] });
  ledger.calls.length = 0;
  const placed = (id: string): AnyRule => ({
    ...timeoutLong,
    id,
    evaluate: async (subject, { estate }) => {
      left.push((await estate.recordNetwork({ function: subject.arn, asOf: 2, groups: [], subnets: [] })).left);
      return { violations: [], compliant: [] };
    },
  });
  await check({ event: event('e1') }, [placed('timeout-long'), placed('timeout-longer')], ports);
  expect(left).toEqual([['sg-1'], ['sg-1']]);
  expect(ledger.calls.filter((call) => call === 'recordNetwork')).toHaveLength(1);
});

test('a rule that waits for another worker still learns what a function left', async () => {
  const { ports, ledger } = bench(timeoutLong, bothOn);
  await ledger.recordNetwork({ function: orders, asOf: 1, groups: ['sg-1'], subnets: [] });
  const left: (readonly string[])[] = [];
  const impatient: AnyRule = {
    ...timeoutLong,
    evaluate: async (subject, { estate }) => {
      left.push((await estate.recordNetwork({ function: subject.arn, asOf: 2, groups: [], subnets: [] })).left);
      if (left.length === 1) throw new RetryLater('another worker');
      return { violations: [], compliant: [] };
    },
  };
  await check({ event: event('e1') }, [impatient], ports);
  expect(left).toEqual([['sg-1'], ['sg-1']]);
});
