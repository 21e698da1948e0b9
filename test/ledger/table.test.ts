import { ConditionalCheckFailedException, TransactionCanceledException } from '@aws-sdk/client-dynamodb';
import {
  BatchGetCommand,
  DeleteCommand,
  DynamoDBDocumentClient,
  GetCommand,
  PutCommand,
  QueryCommand,
  TransactWriteCommand,
  UpdateCommand,
} from '@aws-sdk/lib-dynamodb';
import { mockClient } from 'aws-sdk-client-mock';
import { LedgerFailed } from '../../guard/errors.ts';
import { Table } from '../../ledger/table.ts';
import { expectSound } from './expressions.ts';

// What is said to DynamoDB. What DynamoDB makes of it is tested on the emulator, with the ledger's contract.

const place = { account: '111122223333', region: 'us-east-1' };
const key = { pk: 'FINDING#1', sk: 'FINDING' };
const dynamo = mockClient(DynamoDBDocumentClient);
let table: Table;

beforeEach(() => {
  dynamo.reset();
  dynamo.onAnyCommand().resolves({});
  table = new Table('ledger', place);
});

afterEach(() => {
  for (const { args } of dynamo.calls()) expectSound(args[0].input as never);
});

/** The only command that was sent. */
function sent(): unknown {
  const calls = dynamo.calls();
  expect(calls).toHaveLength(1);
  return calls[0]?.args[0].input;
}

const refusal = new ConditionalCheckFailedException({
  message: 'x',
  $metadata: {},
  Item: { pk: { S: 'FINDING#1' }, status: { S: 'open' } },
});

describe('get', () => {
  test('reads what was written last', async () => {
    dynamo.on(GetCommand).resolves({ Item: { ...key, a: 1 } });
    expect(await table.get(key)).toEqual({ ...key, a: 1 });
    expect(sent()).toEqual({ TableName: 'ledger', Key: key, ConsistentRead: true });
  });

  test('of what is not there is undefined', async () => {
    expect(await table.get(key)).toBeUndefined();
  });
});

describe('getAll', () => {
  const keysOf = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, index) => ({ pk: `FINDING#${from + index}`, sk: 'FINDING' }));
  const asked = () => dynamo.commandCalls(BatchGetCommand).map(({ args: [{ input }] }) => input.RequestItems?.['ledger']?.Keys);

  test('reads what was written last, a hundred at a time', async () => {
    dynamo
      .on(BatchGetCommand)
      .resolvesOnce({ Responses: { ledger: [{ ...key, a: 1 }] } })
      .resolvesOnce({ Responses: { ledger: [{ ...key, a: 2 }] } });
    expect(await table.getAll(keysOf(0, 130))).toEqual([
      { ...key, a: 1 },
      { ...key, a: 2 },
    ]);
    expect(asked()).toEqual([keysOf(0, 100), keysOf(100, 130)]);
    for (const { args } of dynamo.commandCalls(BatchGetCommand))
      expect(args[0].input.RequestItems?.['ledger']).toHaveProperty('ConsistentRead', true);
  });

  test('asks again for what DynamoDB left out, and only for that', async () => {
    const leaving = (from: number, to: number) => ({ UnprocessedKeys: { ledger: { Keys: keysOf(from, to), ConsistentRead: true } } });
    dynamo
      .on(BatchGetCommand)
      .resolvesOnce({ Responses: { ledger: [{ a: 1 }] }, ...leaving(1, 3) })
      .resolvesOnce({ Responses: { ledger: [{ a: 2 }] }, ...leaving(2, 3) })
      .resolvesOnce({ Responses: { ledger: [{ a: 3 }] }, UnprocessedKeys: {} });
    expect(await table.getAll(keysOf(0, 3))).toEqual([{ a: 1 }, { a: 2 }, { a: 3 }]);
    expect(asked()).toEqual([keysOf(0, 3), keysOf(1, 3), keysOf(2, 3)]);
  });

  test('takes nothing for absent that DynamoDB leaves out for ever', async () => {
    dynamo.on(BatchGetCommand).resolves({ Responses: {}, UnprocessedKeys: { ledger: { Keys: keysOf(0, 2) } } });
    await expect(table.getAll(keysOf(0, 2))).rejects.toThrow(LedgerFailed);
  });

  test('of nothing asks nothing', async () => {
    expect(await table.getAll([])).toEqual([]);
    expect(dynamo.calls()).toEqual([]);
  });
});

describe('put', () => {
  test('without a condition', async () => {
    dynamo.on(PutCommand).resolves({ Attributes: { ...key, a: 0 } });
    expect(await table.put({ ...key, a: 1 })).toEqual({ done: true, before: { ...key, a: 0 } });
    expect(sent()).toEqual({ TableName: 'ledger', Item: { ...key, a: 1 }, ReturnValues: 'ALL_OLD' });
  });

  test('with a condition names its attributes and values, and no more', async () => {
    await table.put({ ...key, until: 5 }, 'attribute_not_exists(#pk) OR #holder = :holder OR #until < :now', {
      holder: 'me',
      now: 7,
      unused: 'x',
    });
    expect(sent()).toEqual({
      TableName: 'ledger',
      Item: { ...key, until: 5 },
      ReturnValues: 'ALL_OLD',
      ConditionExpression: 'attribute_not_exists(#pk) OR #holder = :holder OR #until < :now',
      ExpressionAttributeNames: { '#pk': 'pk', '#holder': 'holder', '#until': 'until' },
      ExpressionAttributeValues: { ':holder': 'me', ':now': 7 },
      ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
    });
  });

  test('with a condition that has no values sends none', async () => {
    await table.put(key, 'attribute_not_exists(#pk)');
    expect(sent()).not.toHaveProperty('ExpressionAttributeValues');
  });

  test('that is refused tells what is there', async () => {
    dynamo.on(PutCommand).rejects(refusal);
    expect(await table.put(key, 'attribute_not_exists(#pk)')).toEqual({ done: false, present: { pk: 'FINDING#1', status: 'open' } });
  });

  test('that fails otherwise is an error', async () => {
    const error = Object.assign(new Error('x'), { name: 'ProvisionedThroughputExceededException' });
    dynamo.on(PutCommand).rejects(error);
    const failed = await table.put(key).catch((thrown: unknown) => thrown);
    expect(failed).toBeInstanceOf(LedgerFailed);
    expect(failed).toMatchObject({ name: 'LedgerFailed (ProvisionedThroughputExceededException)', cause: error });
  });
});

describe('delete', () => {
  test('with and without a condition', async () => {
    await table.delete(key);
    await table.delete(key, '#holder = :holder', { holder: 'me' });
    expect(dynamo.commandCalls(DeleteCommand).map(({ args: [{ input }] }) => input)).toEqual([
      { TableName: 'ledger', Key: key, ReturnValues: 'ALL_OLD' },
      {
        TableName: 'ledger',
        Key: key,
        ReturnValues: 'ALL_OLD',
        ConditionExpression: '#holder = :holder',
        ExpressionAttributeNames: { '#holder': 'holder' },
        ExpressionAttributeValues: { ':holder': 'me' },
        ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
      },
    ]);
  });
});

describe('update', () => {
  test('sets what has a value, and removes what is undefined', async () => {
    await table.update(key, { set: { status: 'open', dueAt: undefined, dueKey: undefined, zero: 0, empty: '', no: false, nothing: null } });
    expect(sent()).toEqual({
      TableName: 'ledger',
      Key: key,
      UpdateExpression:
        'SET #status = :set_status, #zero = :set_zero, #empty = :set_empty, #no = :set_no, #nothing = :set_nothing REMOVE #dueAt, #dueKey',
      ExpressionAttributeNames: {
        '#status': 'status',
        '#zero': 'zero',
        '#empty': 'empty',
        '#no': 'no',
        '#nothing': 'nothing',
        '#dueAt': 'dueAt',
        '#dueKey': 'dueKey',
      },
      ExpressionAttributeValues: { ':set_status': 'open', ':set_zero': 0, ':set_empty': '', ':set_no': false, ':set_nothing': null },
      ReturnValues: 'ALL_OLD',
    });
  });

  test('only removes, without values', async () => {
    await table.update(key, { set: { dueAt: undefined } });
    expect(sent()).toEqual({
      TableName: 'ledger',
      Key: key,
      UpdateExpression: 'REMOVE #dueAt',
      ExpressionAttributeNames: { '#dueAt': 'dueAt' },
      ReturnValues: 'ALL_OLD',
    });
  });

  test('counts, under a condition that may use a value of the same name as what it sets', async () => {
    dynamo.on(UpdateCommand).resolves({ Attributes: { count: 3 } });
    const answer = await table.update(
      key,
      {
        set: { asOf: 9 },
        also: ['#count = if_not_exists(#count, :zero) + :one'],
        when: 'attribute_not_exists(#pk) OR #asOf <= :asOf',
        values: { zero: 0, one: 1, asOf: 8, unused: 7 },
      },
      'new',
    );
    expect(answer).toEqual({ done: true, before: { count: 3 } });
    expect(sent()).toEqual({
      TableName: 'ledger',
      Key: key,
      UpdateExpression: 'SET #asOf = :set_asOf, #count = if_not_exists(#count, :zero) + :one',
      ExpressionAttributeNames: { '#asOf': 'asOf', '#count': 'count', '#pk': 'pk' },
      ExpressionAttributeValues: { ':set_asOf': 9, ':zero': 0, ':one': 1, ':asOf': 8 },
      ConditionExpression: 'attribute_not_exists(#pk) OR #asOf <= :asOf',
      ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
      ReturnValues: 'ALL_NEW',
    });
  });

  test('that is refused tells what is there', async () => {
    dynamo.on(UpdateCommand).rejects(refusal);
    expect(await table.update(key, { set: { a: 1 }, when: '#b = :b', values: { b: 2 } })).toEqual({
      done: false,
      present: { pk: 'FINDING#1', status: 'open' },
    });
  });
});

describe('transact', () => {
  test('puts and deletes together, each under its own condition', async () => {
    expect(
      await table.transact([
        { put: { ...key, asOf: 2 }, when: '#asOf = :was', values: { was: 1 } },
        { put: key },
        { delete: { pk: 'a', sk: 'b' } },
      ]),
    ).toBe(true);
    expect(sent()).toEqual({
      TransactItems: [
        {
          Put: {
            TableName: 'ledger',
            Item: { ...key, asOf: 2 },
            ConditionExpression: '#asOf = :was',
            ExpressionAttributeNames: { '#asOf': 'asOf' },
            ExpressionAttributeValues: { ':was': 1 },
          },
        },
        { Put: { TableName: 'ledger', Item: key } },
        { Delete: { TableName: 'ledger', Key: { pk: 'a', sk: 'b' } } },
      ],
    });
  });

  test('says that a condition refused it; another reason is an error', async () => {
    const cancelled = (Code: string) =>
      new TransactionCanceledException({ message: 'x', $metadata: {}, CancellationReasons: [{ Code: 'None' }, { Code }] });
    dynamo.on(TransactWriteCommand).rejects(cancelled('ConditionalCheckFailed'));
    expect(await table.transact([{ put: key }])).toBe(false);
    dynamo.on(TransactWriteCommand).rejects(cancelled('TransactionConflict'));
    await expect(table.transact([{ put: key }])).rejects.toThrow(LedgerFailed);
  });
});

describe('query', () => {
  async function all(items: AsyncIterable<unknown>): Promise<readonly unknown[]> {
    const list = [];
    for await (const item of items) list.push(item);
    return list;
  }

  test('reads a partition, page by page, as it was written last', async () => {
    dynamo
      .on(QueryCommand)
      .resolvesOnce({ Items: [{ sk: 'a' }, { sk: 'b' }], LastEvaluatedKey: { pk: 'p', sk: 'b' } })
      .resolvesOnce({ Items: [{ sk: 'c' }] });
    expect(await all(table.query({ pk: 'p' }))).toEqual([{ sk: 'a' }, { sk: 'b' }, { sk: 'c' }]);
    expect(dynamo.commandCalls(QueryCommand).map(({ args: [{ input }] }) => input)).toEqual([
      {
        TableName: 'ledger',
        KeyConditionExpression: '#pk = :pk',
        ExpressionAttributeNames: { '#pk': 'pk' },
        ExpressionAttributeValues: { ':pk': 'p' },
        ConsistentRead: true,
      },
      expect.objectContaining({ ExclusiveStartKey: { pk: 'p', sk: 'b' } }),
    ]);
  });

  test('by a prefix of the sort key, or of the local index, and no more than asked for', async () => {
    dynamo.on(QueryCommand).resolves({ Items: [{ sk: 'a' }, { sk: 'b' }, { sk: 'c' }], LastEvaluatedKey: { pk: 'p', sk: 'c' } });
    expect(await all(table.query({ pk: 'p', prefix: 'HELD#', limit: 2 }))).toHaveLength(2);
    expect(await all(table.query({ pk: 'ROLES', prefix: 'role|', limit: 2, index: 'role' }))).toHaveLength(2);
    const [held, roles] = dynamo.commandCalls(QueryCommand).map(({ args: [{ input }] }) => input);
    expect(held).toMatchObject({
      KeyConditionExpression: '#pk = :pk AND begins_with(#sort, :prefix)',
      ExpressionAttributeNames: { '#sort': 'sk' },
      Limit: 2,
    });
    expect(roles).toMatchObject({
      IndexName: 'role',
      ExpressionAttributeNames: { '#sort': 'roleKey' },
      ExpressionAttributeValues: { ':prefix': 'role|' },
      ConsistentRead: true,
    });
    expect(dynamo.calls()).toHaveLength(2);
  });

  test('of an index that may lag asks for no consistent answer: DynamoDB would refuse', async () => {
    dynamo.on(QueryCommand).resolves({ Items: [] });
    await all(table.list('due', 'due', 5));
    await all(table.list('kind', 'finding'));
    const [due, kind] = dynamo.commandCalls(QueryCommand).map(({ args: [{ input }] }) => input);
    expect(due).toEqual({
      TableName: 'ledger',
      IndexName: 'due',
      KeyConditionExpression: '#key = :key AND #sort <= :upTo',
      ExpressionAttributeNames: { '#key': 'dueKey', '#sort': 'dueAt' },
      ExpressionAttributeValues: { ':key': 'due', ':upTo': 5 },
    });
    expect(kind).toEqual({
      TableName: 'ledger',
      IndexName: 'kind',
      KeyConditionExpression: '#key = :key',
      ExpressionAttributeNames: { '#key': 'kind' },
      ExpressionAttributeValues: { ':key': 'finding' },
    });
  });

  test('that nobody reads on asks for no further page', async () => {
    dynamo.on(QueryCommand).resolves({ Items: [{ sk: 'a' }], LastEvaluatedKey: { pk: 'p', sk: 'a' } });
    for await (const _ of table.query({ pk: 'p' })) break;
    expect(dynamo.calls()).toHaveLength(1);
  });
});

test('calls are counted', async () => {
  await table.get(key);
  await table.put(key);
  await table.update(key, { set: { a: 1 } });
  expect(table.calls).toBe(3);
});

test('an expression that is not sound would be seen', () => {
  expect(() => expectSound({ UpdateExpression: 'SET #a = :b', ExpressionAttributeNames: { '#a': 'a' } })).toThrow();
  expect(() =>
    expectSound({
      ConditionExpression: '#a = :b',
      ExpressionAttributeNames: { '#a': 'a', '#c': 'c' },
      ExpressionAttributeValues: { ':b': 1 },
    }),
  ).toThrow();
  expect(() => expectSound({ ConditionExpression: 'status = :b', ExpressionAttributeValues: { ':b': 1 } })).toThrow();
  expect(() =>
    expectSound({
      UpdateExpression: 'SET #a = :b, #a = :b',
      ExpressionAttributeNames: { '#a': 'a' },
      ExpressionAttributeValues: { ':b': 1 },
    }),
  ).toThrow();
});
