import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { mockClient } from 'aws-sdk-client-mock';
import { RetryLater } from '../../guard/errors.ts';
import { DynamoLedger } from '../../ledger/ledger.ts';
import { Table } from '../../ledger/table.ts';
import { MemoryTable } from '../support/memory-table.ts';

// What the indexes cost, and what becomes of them where two workers write at once, on a table that does what it is told.

const place = { account: '111122223333', region: 'us-east-1' };
const arn = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const { send } = mockClient(DynamoDBDocumentClient);

/** A new table; something may happen before each call. */
function obeyed(before: () => Promise<void> = async () => undefined): void {
  const table = new MemoryTable();
  send.callsFake(async (command) => {
    await before();
    return table.answer(command.constructor.name.replace('Command', ''), command.input as never) as never;
  });
}

test('a function that is where it was costs one call, whether or not it was changed since', async () => {
  obeyed();
  const calls = new Table('ledger', place);
  const ledger = new DynamoLedger(calls);
  const costs = async (asOf: number, groups: readonly string[]) => {
    const before = calls.calls;
    const answer = await ledger.recordNetwork({ function: arn, asOf, groups, subnets: [] });
    return { ...answer, calls: calls.calls - before };
  };
  expect(await costs(1, ['sg-1', 'sg-2'])).toEqual({ left: [], stale: false, calls: 2 });
  expect(await costs(1, ['sg-2', 'sg-1'])).toEqual({ left: [], stale: false, calls: 1 });
  expect(await costs(3, ['sg-1', 'sg-2'])).toEqual({ left: [], stale: false, calls: 1 });
  expect(await costs(2, ['sg-1', 'sg-2'])).toEqual({ left: [], stale: true, calls: 1 });
  expect(await costs(4, ['sg-1'])).toEqual({ left: ['sg-2'], stale: false, calls: 2 });
});

test('what an older worker records of a role meanwhile is not taken for what was just seen', async () => {
  const ledger = new DynamoLedger(new Table('ledger', place));
  const record = { function: arn, liveRoles: [] };
  let meanwhile: (() => Promise<unknown>) | undefined;
  obeyed(async () => {
    const next = meanwhile;
    meanwhile = undefined;
    await next?.();
  });
  await ledger.recordRoles({ ...record, asOf: 1, role: 'own' });
  // It was away for a moment; whoever read that comes between the two calls of whoever read that it is back.
  let calls = 0;
  const late = async () => {
    calls += 1;
    if (calls === 1) meanwhile = late;
    else await ledger.recordRoles({ ...record, asOf: 2, role: 'shared' });
  };
  meanwhile = late;
  await expect(ledger.recordRoles({ ...record, asOf: 3, role: 'own' })).rejects.toThrow(RetryLater);
  expect(await ledger.recordRoles({ ...record, asOf: 3, role: 'own' })).toEqual({ left: ['shared'], stale: false });
  expect(await ledger.longestUsers('shared')).toEqual([]);
});
