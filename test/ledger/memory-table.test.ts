import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { mockClient } from 'aws-sdk-client-mock';
import { DynamoLedger } from '../../ledger/ledger.ts';
import { Table } from '../../ledger/table.ts';
import { ledgerContract } from '../support/ledger-contract.ts';
import { MemoryTable } from '../support/memory-table.ts';

ledgerContract('DynamoLedger on a table in memory', () => {
  const table = new MemoryTable();
  const { send } = mockClient(DynamoDBDocumentClient);
  send.callsFake(async (command) => table.answer(command.constructor.name.replace('Command', ''), command.input as never) as never);
  return new DynamoLedger(new Table('ledger', { account: '111122223333', region: 'us-east-1' }));
});
