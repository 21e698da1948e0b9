import {
  type AttributeDefinition,
  CreateTableCommand,
  DynamoDBClient,
  type GlobalSecondaryIndex,
  type KeySchemaElement,
  type LocalSecondaryIndex,
} from '@aws-sdk/client-dynamodb';
import type { Finding } from '../../guard/finding.ts';
import { DynamoLedger } from '../../ledger/ledger.ts';
import { Table } from '../../ledger/table.ts';
import { type Emulator, startEmulator } from '../emulator/start.ts';
import { deploy } from '../house/template.ts';
import { ledgerContract } from '../support/ledger-contract.ts';
import { environmentOf, rootUser } from '../support/stack.ts';

// The ledger of the deployed guard, on a table with the keys and indexes that the template gives it.

const { AttributeDefinitions, KeySchema, LocalSecondaryIndexes, GlobalSecondaryIndexes } = (deploy().resources['Ledger']?.Properties ??
  {}) as unknown as {
  readonly AttributeDefinitions: AttributeDefinition[];
  readonly KeySchema: KeySchemaElement[];
  readonly LocalSecondaryIndexes: LocalSecondaryIndex[];
  readonly GlobalSecondaryIndexes: GlobalSecondaryIndex[];
};

let emulator: Emulator;
let tables = 0;

beforeAll(async () => {
  emulator = await startEmulator();
  // The clients of aws/ know no endpoint: they find it where a deployed function finds its region and keys.
  Object.assign(process.env, environmentOf(rootUser(emulator)));
});
afterAll(() => emulator?.stop());

async function emptyTable(): Promise<Table> {
  tables += 1;
  const TableName = `ledger-${tables}`;
  await new DynamoDBClient(rootUser(emulator)).send(
    new CreateTableCommand({
      TableName,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions,
      KeySchema,
      LocalSecondaryIndexes,
      GlobalSecondaryIndexes,
    }),
  );
  return new Table(TableName, { account: emulator.account, region: emulator.region });
}

ledgerContract('DynamoLedger', async () => new DynamoLedger(await emptyTable()));

describe('two workers at once', () => {
  const now = 1_790_000_000_000;
  const arn = (name: string) => `arn:aws:lambda:us-east-1:111122223333:function:${name}`;
  const finding: Finding = {
    id: '0123456789abcdef0123',
    rule: 'function-url-open',
    practice: 'apis',
    severity: 'high',
    title: 'A function URL lets anyone on the internet invoke the function',
    summary: 'Anyone can invoke it.',
    subject: { arn: arn('orders'), type: 'AWS::Lambda::Function', account: '111122223333', region: 'us-east-1' },
    evidence: {},
    tags: {},
    status: 'open',
    opened: 1,
    firstSeen: new Date(now).toISOString(),
    lastSeen: new Date(now).toISOString(),
    openedAt: new Date(now).toISOString(),
    asOf: now,
    cause: 'event 1',
    attempts: 0,
  };
  let one: DynamoLedger;
  let other: DynamoLedger;
  beforeEach(async () => {
    const table = await emptyTable();
    one = new DynamoLedger(table);
    other = new DynamoLedger(table);
  });
  const both = <T>(act: (ledger: DynamoLedger, index: number) => Promise<T>) => Promise.all([one, other].map(act));

  it('open a finding once', async () => {
    const answers = await both((ledger, index) => ledger.open({ ...finding, cause: `event ${index}` }));
    expect(answers.map(({ written }) => written).sort()).toEqual(['changed', 'unchanged']);
    expect(await one.finding(finding.id)).toMatchObject({ opened: 1 });
  });

  it('end a finding once', async () => {
    await one.open(finding);
    const answers = await both((ledger, index) => ledger.resolve(finding.id, { asOf: now + 1, cause: `event ${index}` }));
    expect(answers.map(({ written }) => written).sort()).toEqual(['changed', 'unchanged']);
  });

  it('lock a resource once', async () => {
    expect((await both((ledger, index) => ledger.lock(arn('orders'), `change ${index}`, now, 60_000))).sort()).toEqual([false, true]);
  });

  it('send what is due once', async () => {
    await one.open({ ...finding, dueAt: now });
    const [due] = await one.due(now);
    if (due === undefined) throw new Error('Nothing is due.');
    expect((await both((ledger) => ledger.postpone(due, now + 60_000))).sort()).toEqual([false, true]);
  });

  it('count every alert of a minute', async () => {
    const counts = await Promise.all(
      Array.from(
        { length: 20 },
        async (_, index) => (await (index % 2 === 0 ? one : other).announce(`key ${index}`, 'minute-1', now)).count,
      ),
    );
    expect(counts.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
  });

  it('lease no call of a quota twice', async () => {
    const leases = await Promise.all(
      Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? one : other).lease('lambda', 5, 5, now, 4_000)),
    );
    // At the most four seconds' worth, and the one that is under way; who lost a race asks again.
    const turns = leases.filter((turn) => turn !== undefined);
    expect(turns.length).toBeGreaterThan(0);
    expect(turns.length).toBeLessThanOrEqual(5);
    expect(new Set(turns).size).toBe(turns.length);
  });

  it('leave the newer of two observations in the index of roles', async () => {
    const role = (name: string) => `arn:aws:iam::111122223333:role/${name}`;
    await both((ledger, index) =>
      ledger.recordRoles({ function: arn('orders'), asOf: now + index, role: role(`r${index}`), liveRoles: [] }),
    );
    expect(await one.longestUsers(role('r1'))).toMatchObject([{ function: arn('orders') }]);
    expect(await one.longestUsers(role('r0'))).toEqual([]);
  });

  it('leave the index of security groups whole', async () => {
    await one.recordNetwork({ function: arn('orders'), asOf: now, groups: ['sg-0'], subnets: [] });
    const settled = await Promise.allSettled(
      [one, other].map((ledger, index) =>
        ledger.recordNetwork({ function: arn('orders'), asOf: now + 1 + index, groups: [`sg-${index + 1}`], subnets: [] }),
      ),
    );
    // Whoever loses tries again; what the winner wrote is whole.
    expect(settled.some(({ status }) => status === 'fulfilled')).toBe(true);
    const users = await Promise.all(['sg-0', 'sg-1', 'sg-2'].map((group) => one.functionsIn(group)));
    expect(users.flat()).toEqual([arn('orders')]);
    expect(users[0]).toEqual([]);
  });
});
