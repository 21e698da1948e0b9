import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { mockClient } from 'aws-sdk-client-mock';
import fc from 'fast-check';
import { formats } from '../../cli/formats.ts';
import { formatNames, replay } from '../../cli/replay.ts';
import type { Options } from '../../cli/use.ts';
import type { Alert } from '../../guard/alert.ts';
import type { Unknown } from '../../guard/scan.ts';
import { sample } from '../support/events.ts';
import { createWorld } from '../support/world/index.ts';
import { complaints } from './formats/published.ts';

let folder: string;
let printed: string[];
let told: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'replay-'));
  [printed, told] = [[], []];
  jest.spyOn(console, 'log').mockImplementation((text) => void printed.push(String(text)));
  jest.spyOn(console, 'error').mockImplementation((text) => void told.push(String(text)));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Outcome {
  readonly findings: readonly Alert[];
  readonly unknown: readonly Unknown[];
  readonly stats: Readonly<Record<string, number>>;
  readonly fixes: readonly { readonly rule: string }[];
  readonly rules: readonly { readonly rule: string; readonly mode: string }[];
  readonly period?: { readonly from: string; readonly to: string };
}

async function replayed(options: Options = {}, paths: readonly string[] = [folder]): Promise<Outcome & { readonly code: string }> {
  const code = await replay({ stack: 'lambda-compliance-guard', offline: true, format: 'json', ...options }, paths);
  return { code, ...(JSON.parse(printed.at(-1) ?? '') as Outcome) };
}

function write(name: string, content: string | Buffer): void {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
}

type Detail = Readonly<Record<string, unknown>>;
const detailOf = (path: string, overrides: object = {}) => sample(path, { detail: overrides })['detail'] as Detail;
const anonymous = (eventID: string, functionName: string, eventTime = '2026-10-01T12:00:00Z') =>
  detailOf('CreateFunctionUrlConfig/none.json', { eventID, eventTime, requestParameters: { functionName, qualifier: undefined } });
const irrelevant = (eventID: string) => ({ ...anonymous(eventID, 'x'), eventName: 'Invoke' });
const list = (...Records: readonly unknown[]) => JSON.stringify({ Records });
const arns = ({ findings }: Outcome) => findings.map(({ resource }) => resource.arn.split(':').at(-1));

test('every shape of file, in folders and out, packed and not, in no order', async () => {
  write('b/one.json', list(anonymous('e2', 'b', '2026-10-02T12:00:00Z'), irrelevant('i1')));
  write('b/two.json.gz', gzipSync(list(anonymous('e1', 'a'))));
  write('lines.ndjson', `${JSON.stringify(anonymous('e3', 'c'))}\n${JSON.stringify(irrelevant('i2'))}\n`);
  write('archive.jsonl.gz', gzipSync(JSON.stringify(sample('CreateFunctionUrlConfig/none.json', { detail: anonymous('e4', 'd') }))));
  write('notes.md', 'no records');
  write('CloudTrail-Digest/digest.json', '{"digestStartTime":"x","logFiles":[]}');
  const outcome = await replayed();
  expect(arns(outcome)).toEqual(['a', 'b', 'c', 'd']);
  expect(outcome.stats).toMatchObject({ events: 6, subscribed: 4, skipped: 2, failed: 0, calls: 0, resources: 4 });
  expect(outcome.period).toEqual({ from: '2026-10-01T12:00:00Z', to: '2026-10-02T12:00:00Z' });
  expect(outcome.code).toBe('findings');
});

test('links are followed, without end as well; what is left out is told', async () => {
  const elsewhere = mkdtempSync(join(tmpdir(), 'elsewhere-'));
  try {
    writeFileSync(join(elsewhere, 'far.json'), list(anonymous('e2', 'b')));
    write('logs/a.json', list(anonymous('e1', 'a')));
    for (const name of ['a.json.1', 'b.log', 'c.bz2', 'd.txt']) write(`logs/${name}`, '');
    symlinkSync(elsewhere, join(folder, 'logs/linked'));
    symlinkSync(join(elsewhere, 'far.json'), join(folder, 'logs/file.json'));
    symlinkSync(folder, join(folder, 'logs/round'));
    symlinkSync(join(folder, 'nowhere'), join(folder, 'logs/z.json'));
    const outcome = await replayed({}, [join(folder, 'logs')]);
    expect(arns(outcome)).toEqual(['a', 'b']);
    expect(outcome.stats).toMatchObject({ events: 3, subscribed: 2, failed: 0 });
    const names = ['a.json.1', 'b.log', 'c.bz2'].map((name) => join(folder, 'logs', name)).join(', ');
    expect(told).toContain(`Left out of ${join(folder, 'logs')}: 5 files (${names}, …), not named like log files or not readable.`);
  } finally {
    rmSync(elsewhere, { recursive: true });
  }
});

test('a folder of nothing but files that are left out', async () => {
  write('a.json.1', list(anonymous('e1', 'a')));
  await expect(replayed()).rejects.toThrow('There are no log files in');
  expect(told).toEqual([expect.stringMatching(/: 1 file \(.*a\.json\.1\), not named/)]);
});

test('of lines there may be none', async () => {
  write('a.ndjson', '');
  expect(await replayed()).toMatchObject({ code: 'fine', stats: { events: 0, failed: 0 } });
});

test('what is delivered twice counts once', async () => {
  write('a.json', list(anonymous('e1', 'a'), anonymous('e2', 'b')));
  write('b.json', list(anonymous('e1', 'a')));
  expect((await replayed()).stats).toMatchObject({ events: 3, subscribed: 2, skipped: 1 });
});

test.each([
  [
    'a packed file that is cut',
    'z.json.gz',
    gzipSync(list(...many('z'))).subarray(0, 2_000),
    /z\.json\.gz ends before it is unpacked, after \d+ records/,
  ],
  [
    'a packed file that is damaged in its middle',
    'z.json.gz',
    damaged(gzipSync(list(...many('z')))),
    /z\.json\.gz is damaged, after \d+ records/,
  ],
  [
    'a file that is cut',
    'z.json',
    list(anonymous('z1', 'z'), anonymous('z2', 'y')).slice(0, -100),
    /z\.json: record 2, at byte \d+, is not ended/,
  ],
  ['a record that is no object', 'z.json', list(1), 'z.json: record 1, at byte 12, is no object'],
  ['a record without a time', 'z.json', list({ ...anonymous('z1', 'z'), eventTime: 'x' }), 'z.json: record 1, at byte 12, has no time'],
  [
    'a record with a request that is none',
    'z.json',
    list({ ...anonymous('z1', 'z'), requestParameters: 1 }),
    'z.json: record 1, at byte 12, is not formed like a record of CloudTrail',
  ],
  ['a file without a byte', 'z.json', '', 'z.json is empty'],
  ['a packed file without a byte', 'z.json.gz', gzipSync(''), 'z.json.gz is empty'],
  ['a file of something else', 'z.json', 'hello', 'z.json: record 1, at byte 0, is no object'],
])('%s is counted and named, and costs nothing else', async (_, name, content, why) => {
  write('a.json', list(anonymous('e1', 'a')));
  write(name, content);
  write('zz.json', list(anonymous('e9', 'b')));
  const outcome = await replayed();
  expect(arns(outcome)).toEqual(expect.arrayContaining(['a', 'b']));
  expect(outcome.stats['failed']).toBe(1);
  expect(outcome.code).toBe('unreadable');
  expect(told.join('\n')).toMatch(why instanceof RegExp ? why : new RegExp(why.replaceAll('.', '\\.')));
});

function many(name: string): readonly Detail[] {
  return Array.from({ length: 400 }, (_, index) => anonymous(`${name}${index}${Math.sin(index)}`, `${name}${index}`));
}

function damaged(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy.fill(0xff, copy.length >> 1, (copy.length >> 1) + 20);
  return copy;
}

test('records before the break of a large packed file count', async () => {
  // Text that packs badly, so that the file is unpacked as a stream.
  const record = anonymous('e', 'a');
  const records = Array.from({ length: 2_500 }, (_, index) => ({ ...record, eventID: `e${index}`, noise: noise(index) }));
  const packed = gzipSync(list(...records));
  expect(packed.length).toBeGreaterThan(600_000);
  write('large.json.gz', packed);
  expect((await replayed()).stats).toMatchObject({ events: 2_500, subscribed: 2_500, failed: 0 });
  write('large.json.gz', packed.subarray(0, packed.length - 100_000));
  const { stats } = await replayed();
  expect(stats['failed']).toBe(1);
  expect(stats['subscribed']).toBeGreaterThan(1_500);
});

function noise(seed: number): string {
  let state = seed + 1;
  return Array.from({ length: 400 }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return String.fromCharCode(97 + ((state >>> 16) % 26));
  }).join('');
}

describe('what is asked for', () => {
  beforeEach(() => {
    const other = { ...anonymous('e3', 'c'), awsRegion: 'eu-west-1' };
    const foreign = { ...anonymous('e4', 'd'), recipientAccountId: '444455556666' };
    write('a.json', list(anonymous('e1', 'a', '2026-10-01T12:00:00Z'), anonymous('e2', 'b', '2026-10-03T12:00:00Z'), other, foreign));
  });

  test.each<[string, Options, readonly string[]]>([
    ['everything', {}, ['c', 'a', 'b', 'd']],
    ['from a time on', { from: '2026-10-02' }, ['b']],
    ['before a time', { to: '2026-10-02', account: '111122223333' }, ['c', 'a']],
    ['a region', { region: 'eu-west-1' }, ['c']],
    ['an account', { account: '444455556666' }, ['d']],
    ['a rule', { rule: 'function-url-open' }, ['c', 'a', 'b', 'd']],
    ['another rule', { rule: 'layer-foreign' }, []],
    ['a practice', { practice: 'roles' }, []],
    ['a rule switched off', { mode: 'function-url-open=off' }, []],
  ])('%s', async (_, options, expected) => {
    expect(arns(await replayed(options))).toEqual(expected);
  });

  test.each<[string, Options]>([
    ['an account', { account: '999999999999' }],
    ['a region', { region: 'eu-wst-1' }],
    ['a beginning', { from: '2027-01-01' }],
    ['an end', { to: '2026-01-01' }],
    ['two that do not meet', { account: '444455556666', region: 'eu-west-1' }],
  ])('%s of which there is no record is wrong use, and not one in which nothing happened', async (_, options) => {
    write('iam.json', list({ ...anonymous('i1', 'x'), eventSource: 'iam.amazonaws.com', eventName: 'CreateRole' }));
    await expect(replayed(options)).rejects.toMatchObject({
      name: 'WrongUse',
      message: expect.stringMatching(/^No record in these files/),
    });
  });

  test('a time in which nothing happened that a rule listens to', async () => {
    write('b.json', list({ ...irrelevant('i1'), eventTime: '2026-10-05T12:00:00Z' }));
    expect(await replayed({ from: '2026-10-05' })).toMatchObject({ code: 'fine', findings: [], stats: { failed: 0, subscribed: 0 } });
  });

  test('events of IAM alone are those of every region', async () => {
    write('a.json', list({ ...anonymous('i1', 'x'), eventSource: 'iam.amazonaws.com', eventName: 'UpdateAssumeRolePolicy' }));
    expect((await replayed({ region: 'eu-west-1' })).stats['subscribed']).toBe(1);
  });

  test('a rule alone leaves out what the roles of the guard call', async () => {
    const issuer = { arn: 'arn:aws:iam::111122223333:role/lambda-compliance-guard-remediate-function-url-open', type: 'Role' };
    const userIdentity = {
      type: 'AssumedRole',
      arn: 'arn:aws:sts::111122223333:assumed-role/x/y',
      sessionContext: { sessionIssuer: issuer },
    };
    write('a.json', list({ ...anonymous('e1', 'a'), userIdentity }));
    const unknown = async (options: Options) => new Set((await replayed(options)).unknown.map(({ rule }) => rule));
    expect(await unknown({})).toContain('guard-tampered');
    expect(await unknown({ rule: 'function-url-open' })).not.toContain('guard-tampered');
  });

  test('a rule in remediate, by either option', async () => {
    const one = await replayed({ remediate: 'function-url-open' });
    expect(one.fixes).toHaveLength(4);
    expect(one.rules.find(({ rule }) => rule === 'function-url-open')).toMatchObject({ mode: 'remediate', findings: 4 });
    expect((await replayed({ mode: 'function-url-open=remediate' })).fixes).toEqual(one.fixes);
  });

  test('parameters of the stack', async () => {
    write('a.json', list(detailOf('UpdateFunctionCode20150331v2/code-by-hand.json', {})));
    const deployers = {
      parameter: 'Deployers=arn:aws:iam::111122223333:role/pipeline,arn:aws:iam::111122223333:role/Admin\nSweepSchedule=x',
    };
    const of = ({ findings }: Outcome) => findings.filter(({ rule }) => rule === 'code-changed-by-hand').length;
    expect(
      [of(await replayed({ parameter: 'Deployers=arn:aws:iam::111122223333:role/nobody' })), of(await replayed(deployers))].at(0),
    ).toBe(1);
  });

  test.each<[Options, RegExp]>([
    [{ rule: 'nothing' }, /There is no rule nothing/],
    [{ remediate: 'nothing' }, /There is no rule nothing/],
    [{ remediate: 'layer-foreign,subnet-shared' }, /subnet-shared has no fix/],
    [{ mode: 'layer-foreign=on' }, /--mode takes/],
    [{ rule: 'layer-foreign', mode: 'layer-foreign=off' }, /^No rule is left to judge by/],
    [{ from: 'yesterday' }, /--from takes a time/],
    [{ account: '12' }, /--account takes twelve digits/],
    [{ format: 'xml' }, /--format takes/],
    [{ parameter: 'x' }, /--parameter takes/],
    [{ parameter: 'Deployer=x' }, /^There is no parameter Deployer; there is Deployers\.$/],
    [{ parameter: 'StackName=x' }, /^There is no parameter StackName; there is AlertEmail, Deployers, .*, GuardTamperedScope\.$/],
    [{ parameter: 'DigestOver=0' }, /The parameter DigestOver cannot be used/],
  ])('wrong use: %j', async (options, message) => {
    await expect(replayed(options)).rejects.toThrow(message);
  });

  test('a file that is not there', async () => {
    await expect(replayed({}, [join(folder, 'nowhere')])).rejects.toThrow(/There is no file or folder/);
    mkdirSync(join(folder, 'empty'));
    await expect(replayed({}, [join(folder, 'a.json'), join(folder, 'empty')])).rejects.toMatchObject({
      name: 'WrongUse',
      message: `There are no log files in ${join(folder, 'empty')}.`,
    });
  });
});

test('objects under a prefix, page after page, the digests left out', async () => {
  const s3 = mockClient(S3Client);
  const keys = ['t/', 't/0.log', 't/1.json', 't/CloudTrail-Digest/2.json.gz', 't/3.json.gz', 't/4.json'];
  s3.on(ListObjectsV2Command, { Bucket: 'trail', Prefix: 't/' }).callsFake(({ ContinuationToken: token }) => {
    const at = Number(token ?? 0);
    const [Key] = keys.slice(at);
    return { Contents: [{ Key, Size: 1 }], ...(at + 1 < keys.length ? { NextContinuationToken: String(at + 1) } : {}) };
  });
  const objects: Readonly<Record<string, Buffer>> = {
    't/1.json': Buffer.from(list(anonymous('e1', 'a'))),
    't/3.json.gz': gzipSync(list(anonymous('e3', 'c'), anonymous('e4', 'd'))),
  };
  s3.on(GetObjectCommand).callsFake(({ Key }) => {
    const bytes = objects[Key];
    if (bytes === undefined) throw Object.assign(new Error('no'), { name: 'AccessDenied' });
    return { Body: Readable.from([bytes.subarray(0, 10), bytes.subarray(10)]) };
  });
  const outcome = await replayed({}, ['s3://trail/t/']);
  expect(arns(outcome)).toEqual(['a', 'c', 'd']);
  expect(outcome.stats['failed']).toBe(1);
  expect(told).toContain('Left out of s3://trail/t/: 1 file (s3://trail/t/0.log), not named like log files or not readable.');
  expect(told).toContain('s3://trail/t/4.json cannot be read (AccessDenied), after 0 records');
  s3.on(ListObjectsV2Command).rejects(Object.assign(new Error('x'), { name: 'NoSuchBucket' }));
  await expect(replayed({}, ['s3://trial/t/'])).rejects.toThrow('There is no bucket trial.');
});

describe('with the account as it is now', () => {
  const place = { account: '111122223333', region: 'us-east-1' };
  beforeEach(() => {
    const world = createWorld(place);
    for (const FunctionName of ['a', 'b']) world.lambda.createFunction({ FunctionName });
    world.lambda.createFunctionUrlConfig({ FunctionName: 'a', AuthType: 'NONE' });
    const invalid = Object.assign(new Error('Stack with id guard does not exist'), { name: 'ValidationError' });
    mockClient(CloudFormationClient).on(DescribeStacksCommand).rejects(invalid);
    mockClient(STSClient).on(GetCallerIdentityCommand).resolves({ Account: place.account });
    write('a.json', list(anonymous('e1', 'a'), anonymous('e2', 'b')));
  });
  const online = { offline: undefined, remediate: 'function-url-open', rule: 'function-url-open' };

  test('what is open now is found, what was closed since is not, and the fix is shown', async () => {
    const outcome = await replayed(online);
    expect(arns(outcome)).toEqual(['a']);
    expect(outcome.unknown).toEqual([]);
    expect(outcome.fixes).toMatchObject([{ rule: 'function-url-open', plan: [expect.stringMatching(/^lambda:UpdateFunctionUrlConfig/)] }]);
    expect(outcome.stats['calls']).toBeGreaterThan(0);
    expect(outcome.code).toBe('findings');
  });

  describe('what would have been fixed, in each format', () => {
    const when = '2026-10-01T12:00:00.000Z';
    const inFormat = async (format: string) => {
      await replay({ stack: 'lambda-compliance-guard', ...online, format }, [folder]);
      return printed.join('\n');
    };

    test('SARIF: in the message and the properties of its result', async () => {
      const log = JSON.parse(await inFormat('sarif'));
      expect(complaints('sarif', log)).toEqual([]);
      const [{ message, properties }] = log.runs[0].results;
      expect(message.text).toMatch(/\n\nThe fix, at 2026-10-01 12:00: lambda:UpdateFunctionUrlConfig \{.*"AuthType":"AWS_IAM"\}$/);
      expect(properties.fix).toMatchObject({ rule: 'function-url-open', at: when, plan: [expect.stringMatching(/^lambda:Update/)] });
    });

    test('OCSF: in what the class has no field for', async () => {
      const event = JSON.parse(await inFormat('ocsf'));
      expect(complaints('ocsf', event)).toEqual([]);
      expect(event.unmapped.fix).toMatchObject({ at: when, plan: [expect.stringMatching(/^lambda:Update/)] });
    });

    test('HTML: in a section of its own', async () => {
      const page = await inFormat('html');
      expect(page).toContain('From a replay of 1 log file, 2026-10-01 12:00 UTC to 2026-10-01 12:00 UTC, by 1 rule.');
      expect(page).toMatch(/<h2 id="fixes">What would have been fixed<\/h2>.*<td>lambda:UpdateFunctionUrlConfig .*<\/section>/s);
    });
  });

  test('of another account nothing is known but what the events prove', async () => {
    write('a.json', list({ ...detailOf('DeleteFunctionUrlConfig/plain.json'), recipientAccountId: '444455556666' }));
    const outcome = await replayed(online);
    expect(outcome.findings).toEqual([]);
    expect(outcome.unknown).toMatchObject([{ why: 'only the account 444455556666 knows, and these credentials are of 111122223333.' }]);
    expect(outcome.stats['calls']).toBe(0);
  });
});

test('the formats are those of a scan', () => {
  expect(formatNames).toEqual(Object.keys(formats));
});

test('as a table', async () => {
  write('a.json', list(anonymous('e1', 'a'), detailOf('DeleteFunctionUrlConfig/plain.json', {})));
  expect(await replay({ stack: 'lambda-compliance-guard', offline: true, remediate: 'function-url-open' }, [folder])).toBe('unreadable');
  const table = printed.join('\n');
  expect(table).toMatch(/^rule +mode +findings +fixes +refused +unknown +first +last\n/);
  expect(table).toMatch(/function-url-open +remediate +1 +0 +0 +1 +2026-/);
  expect(table).toMatch(/Would have been fixed, or not:\n.*\n.*Unknown: only the account knows/);
  expect(table).toMatch(/2 records in 1 file, .*: 2 to judge, 0 skipped, 0 not readable; 1 finding, 1 unknown on 2 resources/);
});

test('what is unknown is no exit code of its own where that is allowed', async () => {
  write('a.json', list(detailOf('DeleteFunctionUrlConfig/plain.json')));
  expect([(await replayed()).code, (await replayed({ allowUnknown: true })).code]).toEqual(['unreadable', 'fine']);
});

test('nothing that concerns a rule is nothing found', async () => {
  write('a.json', list(irrelevant('i1')));
  expect(await replay({ stack: 'lambda-compliance-guard', offline: true }, [folder])).toBe('fine');
  expect(printed.join('\n')).toMatch(/^Nothing would have been found\.\n\n1 record in 1 file: 0 to judge, 1 skipped/);
});

test('every sample of this repository, which leaves nothing behind', async () => {
  const before = readdirSync(tmpdir()).filter((name) => name.startsWith('guard-replay-'));
  const { stats, findings, unknown } = await replayed({ all: true }, ['events']);
  expect(stats['failed']).toBe(0);
  expect(stats['subscribed']).toBeGreaterThan(200);
  expect(findings.map(({ rule }) => rule)).toEqual(expect.arrayContaining(['function-url-open', 'function-policy-open', 'layer-foreign']));
  expect(new Set(unknown.map(({ rule, resource }) => `${rule} ${resource}`)).size).toBe(unknown.length);
  expect(unknown.filter(({ resource }) => resource === '')).toEqual([]);
  expect(readdirSync(tmpdir()).filter((name) => name.startsWith('guard-replay-'))).toEqual(before);
});

test('however records are split into files, in whatever shape and order, the same is found', async () => {
  const records: readonly Detail[] = [
    ...['a', 'b', 'a'].map((name, index) => anonymous(`e${index}`, name, `2026-10-0${index + 1}T12:00:00Z`)),
    detailOf('AddPermission20150331v2/everyone.json', { eventTime: '2026-10-02T12:00:00Z' }),
    detailOf('DeleteFunctionUrlConfig/plain.json', { eventTime: '2026-10-04T12:00:00Z' }),
    detailOf('UpdateFunctionConfiguration20150331v2/layer-foreign.json', { eventTime: '2026-10-05T12:00:00Z' }),
    irrelevant('i1'),
  ];
  const shapes: Readonly<Record<string, (some: readonly Detail[]) => string | Buffer>> = {
    json: (some) => list(...some),
    'json.gz': (some) => gzipSync(list(...some)),
    ndjson: (some) => some.map((one) => JSON.stringify(one)).join('\n'),
    jsonl: (some) =>
      some
        .map((one) =>
          JSON.stringify({
            ...sample('CreateFunctionUrlConfig/none.json'),
            source: `aws.${String(one['eventSource']).split('.')[0]}`,
            detail: one,
          }),
        )
        .join('\n'),
  };
  const found = async () => {
    const { findings, unknown, stats } = await replayed();
    return { findings, unknown, subscribed: stats['subscribed'] };
  };
  write('0.json', list(...records));
  const whole = await found();
  expect(whole.findings.length).toBeGreaterThan(2);
  const order = fc.shuffledSubarray([...records], { minLength: records.length });
  await fc.assert(
    fc.asyncProperty(
      order,
      fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.constantFrom(...Object.keys(shapes))), { minLength: 7, maxLength: 7 }),
      async (all, cuts) => {
        rmSync(folder, { recursive: true, force: true });
        let rest = all;
        for (const [index, [size, shape]] of cuts.entries()) {
          const some = index === cuts.length - 1 ? rest : rest.slice(0, size);
          rest = rest.slice(some.length);
          write(`${index}.${shape}`, shapes[shape]?.(some) ?? '');
        }
        expect(await found()).toEqual(whole);
      },
    ),
    { numRuns: 30 },
  );
});
