import { DynamoLedger } from '../../../ledger/ledger.ts';
import { Table } from '../../../ledger/table.ts';
import { rules } from '../../../rules/index.ts';
import { environmentOf } from '../../support/stack.ts';
import type { SeenCall } from '../bench.ts';
import { bytes } from '../boto.ts';
import { createFunction, packageOf, settled } from '../functions.ts';
import { functionRole, guard, quiet, stack, stage } from '../stage.ts';

/** The sizes of an account, in functions. */
const sizes = [10, 100, 1_000];

/** What one event cost one checker. */
interface Cost {
  /** Reads of AWS, without those of the next column. */
  readonly reads: number;
  /** ListAliases, and one read for each version that an alias routes to. */
  readonly aliases: number;
  /** Writes of AWS: copies of packages into the archive. */
  readonly writes: number;
  readonly putEvents: number;
  readonly ledger: number;
  /** Leases of the quota: one for five calls of Lambda. */
  readonly leases: number;
  /** The list of exemptions, read again after half a minute. */
  readonly exemptions: number;
}

function costOf(calls: readonly SeenCall[]): Cost {
  const aws = calls.filter(({ service }) => !['dynamodb', 'events', 'logs', 'sqs', 'kms', 'sts'].includes(service));
  const ledger = calls.filter(({ service }) => service === 'dynamodb');
  const lists = aws.filter(({ operation }) => operation === 'ListAliases').length;
  const ofVersions = aws.filter(
    ({ operation, resources }) => /^GetFunction(Configuration)?$/.test(operation) && /:function:[^:]+:\d+$/.test(resources[0] ?? ''),
  );
  const writes = aws.filter(({ operation }) => operation === 'PutObject').length;
  const leases = ledger.filter(({ keys = [] }) => keys.some((key) => key.startsWith('QUOTA#'))).length;
  const exemptions = ledger.filter(({ keys = [] }) => keys.includes('EXEMPTIONS')).length;
  const aliases = lists + ofVersions.length;
  return {
    reads: aws.length - aliases - writes,
    aliases,
    writes,
    putEvents: calls.filter(({ operation }) => operation === 'PutEvents').length,
    ledger: ledger.length - leases - exemptions,
    leases,
    exemptions,
  };
}

type Costs = Readonly<Record<string, Cost>>;

/** What these checkers spend on what happens, as `checker: what`. */
async function costs(what: string, checkers: readonly string[], happens: () => Promise<void>): Promise<Costs> {
  const before = await stage.bench.now();
  await happens();
  await quiet();
  const { calls: seen } = await stage.bench.calls(before);
  const of = (checker: string) => costOf(seen.filter(({ functionName }) => functionName === `${stack}-check-${checker}`));
  return Object.fromEntries(checkers.map((checker) => [`${checker}: ${what}`, of(checker)]));
}

const shared = 'arn:aws:iam::111122223333:role/everybody';
const everyone = [{ IpProtocol: 'tcp', FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: '0.0.0.0/0' }] }];
let ownRole = '';
let group = '';

/** Functions that share one role and one security group, in the ledger as a sweep leaves them. */
async function fill(from: number, to: number): Promise<void> {
  const { outputs, emulator } = stage;
  const ledger = new DynamoLedger(new Table(outputs['LedgerTableName'] ?? '', { account: emulator.account, region: emulator.region }));
  const asOf = Date.now() - 3_600_000;
  for (let first = from; first < to; first += 50) {
    const batch = Array.from({ length: Math.min(50, to - first) }, (_, offset) => first + offset);
    await Promise.all(
      batch.map(async (index) => {
        const name = `arn:aws:lambda:us-east-1:111122223333:function:one-of-many-${index}`;
        await ledger.recordRoles({ function: name, asOf, role: shared, liveRoles: [] });
        await ledger.recordNetwork({ function: name, asOf, groups: [group], subnets: [] });
      }),
    );
  }
}

async function update(FunctionName: string, more: object): Promise<void> {
  await stage.boto.call('lambda', 'update_function_configuration', { FunctionName, ...more });
  await settled(FunctionName);
}

async function upload(FunctionName: string, as: typeof stage.boto, text: string): Promise<void> {
  await as.call('lambda', 'update_function_code', { FunctionName, ZipFile: bytes(packageOf(text)) });
  await settled(FunctionName);
}

/** One event a checker with nothing wrong, then one with everything wrong. Each checker hears of each step once at the most. */
async function measure(name: string, also = ''): Promise<Costs> {
  const { boto, botoPipeline } = stage;
  const fine = await costs(`nothing wrong${also}`, ['roles', 'secrets', 'vpc', 'apis', 'deployments'], async () => {
    await update(name, { Description: `at ${Date.now()}` });
    await boto.call('lambda', 'create_function_url_config', { FunctionName: name, AuthType: 'AWS_IAM' });
    await upload(name, botoPipeline, `${name} at ${Date.now()}`);
  });
  const wrong = await costs(`a finding opens${also}`, ['secrets', 'apis', 'deployments'], async () => {
    await update(name, { Environment: { Variables: { DB_PASSWORD: 'Kq8-vR2zLw0p-Tt' } } });
    await boto.call('lambda', 'update_function_url_config', { FunctionName: name, AuthType: 'NONE' });
    await upload(name, boto, `by hand at ${Date.now()}`);
  });
  const changed = await costs(`a finding opens by leaving another role${also}`, ['roles'], () => update(name, { Role: shared }));
  // As it was, for the next size.
  await boto.call('lambda', 'delete_function_url_config', { FunctionName: name });
  await update(name, { Role: ownRole, Environment: { Variables: {} } });
  await upload(name, botoPipeline, `${name} again`);
  await quiet();
  return { ...fine, ...wrong, ...changed };
}

/** What has no function before, or none at all. */
async function measureNew(called: string): Promise<Costs> {
  const { boto } = stage;
  const made = await costs('a finding opens', ['roles'], async () => {
    await createFunction(`new-at-${called}`, shared);
  });
  const widened = await costs('a finding opens', ['vpc'], () =>
    boto.call('ec2', 'authorize_security_group_ingress', { GroupId: group, IpPermissions: everyone }),
  );
  await boto.call('ec2', 'revoke_security_group_ingress', { GroupId: group, IpPermissions: everyone });
  await quiet();
  return { ...made, ...widened };
}

export function calls(): void {
  describe('what an event costs', () => {
    beforeAll(async () => {
      // The ledger is filled through its own code, which finds its table where a deployed function does.
      Object.assign(process.env, environmentOf(stage.root));
      // Nothing is put right meanwhile: only the checkers are measured.
      const { code, output } = await guard('pause', '--reason', 'only the checkers are measured');
      if (code !== 0) throw new Error(output);
      await functionRole('everybody');
      ownRole = await functionRole('probe');
      const { VpcId } = (await stage.boto.call('ec2', 'create_vpc', { CidrBlock: '10.2.0.0/16' })).Vpc;
      group = (await stage.boto.call('ec2', 'create_security_group', { VpcId, GroupName: 'many', Description: 'many' })).GroupId;
      await createFunction('probe', ownRole);
      await createFunction('probe-live', await functionRole('probe-live'), { Publish: true });
      await stage.botoPipeline.call('lambda', 'create_alias', { FunctionName: 'probe-live', Name: 'live', FunctionVersion: '1' });
      await quiet();
    });

    it('is little, and the same with 10, 100 and 1,000 functions (which are written straight into the indexes of the ledger)', async () => {
      const measured: Record<number, Costs> = {};
      let there = 0;
      for (const size of sizes) {
        await fill(there, size);
        there = size;
        const once = async (called: string) => ({ ...(await measure('probe')), ...(await measureNew(called)) });
        const costs = await once(`${size}`);
        // A message may come twice, and what was done before be heard late: what really costs more does so again.
        measured[size] = growing([measured[10] ?? costs, costs]).length === 0 ? costs : await once(`${size}-again`);
      }
      const routed = await measure('probe-live', ', one version routed');
      console.log(table({ ...measured, 1000: { ...measured[1_000], ...routed } }));
      expect(growing(sizes.map((size) => measured[size] ?? {}))).toEqual([]);
      for (const [what, cost] of Object.entries({ ...measured[1_000], ...routed })) {
        const versions = what.endsWith('routed') ? 1 : 0;
        const { reads, writes, putEvents, ledger, aliases, exemptions } = cost;
        // So much for a rule; those of a practice share what they can.
        const share = rules.filter(({ practice }) => what.startsWith(`${practice}:`)).length;
        expect({ what, aliases, within: aliases <= share * (1 + versions) }).toEqual({ what, aliases, within: true });
        expect(exemptions).toBeLessThanOrEqual(1);
        if (what.includes('nothing wrong')) {
          expect({ what, reads, within: reads <= share * 2 }).toEqual({ what, reads, within: true });
          expect({ what, putEvents }).toEqual({ what, putEvents: 0 });
          continue;
        }
        const aws = reads + writes + putEvents;
        // A role that comes with the function is looked at as well: who it is, what it may do, and once, what it is given.
        const role = what.startsWith('roles') ? 4 * (1 + versions) : 0;
        expect({ what, aws, within: aws <= share * 4 + role }).toEqual({ what, aws, within: true });
        // One for each version that is routed to: it is a subject of its own. One more for each role that the function left, whose other users may be alone now, or that a version still has; two to
        // know whether a role is known, and to end what was found on it; and one to keep what it is given.
        const roles = what.startsWith('roles') && what.includes('leaving') ? 1 + versions : 0;
        const kept = what.startsWith('roles') ? 3 * (1 + versions) : 0;
        expect({ what, ledger, within: ledger <= share * 3 + versions + roles + kept }).toEqual({ what, ledger, within: true });
        expect({ what, putEvents }).toEqual({ what, putEvents: 1 });
      }
    });
  });
}

/** Whether two rules of a practice ask at the same moment, or one after the other, makes a difference of one or two. */
const noise = 2;

/**
 * What costs more than with the fewest functions. It may cost less: what is asked of AWS, or written down, at the first time
 * alone. When the last lease and the last reading of the exemptions were, decides over those.
 */
function growing([first = {}, ...others]: readonly Readonly<Record<string, Cost>>[]): readonly string[] {
  return others.flatMap((other) =>
    Object.entries(other).flatMap(([what, { leases: _leases, exemptions: _exemptions, ...cost }]) =>
      Object.entries(cost).flatMap(([of, count]) => {
        const before = first[what]?.[of as keyof Cost];
        return before !== undefined && count <= before + noise ? [] : [`${what}: ${of} ${before} → ${count}`];
      }),
    ),
  );
}

function table(measured: Readonly<Record<number, Readonly<Record<string, Cost>>>>): string {
  const head = ['functions', 'checker: event', 'AWS reads', '+ aliases', 'AWS writes', 'PutEvents', 'ledger', 'quota', 'exemptions'];
  const rows = Object.entries(measured).flatMap(([size, all]) =>
    Object.entries(all).map(([what, { reads, aliases, writes, putEvents, ledger, leases, exemptions }]) =>
      [size, what, reads, aliases, writes, putEvents, ledger, leases, exemptions].map(String),
    ),
  );
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  return [head, ...rows].map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')).join('\n');
}
