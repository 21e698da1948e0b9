import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { nodeFlag } from '../cli/clone.ts';
import { randomFrom } from './random.ts';

// How fast `guard replay` reads, and in how much memory: a set of log files made from a seed, read by zcat | wc -l and by the
// command in turn. `node scripts/bench-replay.ts --megabytes 1024` is what docs/performance.md tells of.

const { values } = parseArgs({
  options: {
    megabytes: { type: 'string', default: '256' },
    seed: { type: 'string', default: '1' },
    /** Of a thousand records, so many that a rule listens to. */
    subscribed: { type: 'string', default: '0' },
    rounds: { type: 'string', default: '3' },
    /** Where the files are made, and stay. */
    folder: { type: 'string' },
  },
});
const megabyte = 1024 * 1024;
const total = Number(values.megabytes) * megabyte;
const perThousand = Number(values.subscribed);

const random = randomFrom(Number(values.seed));
const hex = (digits: number) =>
  Array.from({ length: Math.ceil(digits / 8) }, () => (random() * 2 ** 32).toString(16).padStart(8, '0').slice(-8))
    .join('')
    .slice(0, digits);
const id = () => `${hex(8)}-${hex(4)}-${hex(4)}-${hex(4)}-${hex(12)}`;
const pick = <T>(of: readonly T[]) => of[Math.floor(random() * of.length)] as T;

const account = '111122223333';
const reads = [
  ['sts', 'AssumeRole'],
  ['kms', 'Decrypt'],
  ['ec2', 'DescribeInstances'],
  ['ec2', 'DescribeNetworkInterfaces'],
  ['s3', 'GetBucketAcl'],
  ['ssm', 'GetParameter'],
  ['logs', 'CreateLogStream'],
  ['lambda', 'GetFunction20150331v2'],
  ['lambda', 'ListTags20170331'],
  ['dynamodb', 'DescribeTable'],
  ['monitoring', 'DescribeAlarms'],
  ['ecs', 'RegisterContainerInstance'],
] as const;
const writes = [
  ['lambda', 'UpdateFunctionConfiguration20150331v2'],
  ['lambda', 'CreateFunctionUrlConfig'],
] as const;

function record(at: number): object {
  const isRead = random() * 1000 >= perThousand;
  const [service, eventName] = isRead ? pick(reads) : pick(writes);
  const role = pick(['web', 'batch', 'deploy', 'monitor', 'backup']);
  const session = `i-${hex(17)}`;
  const arn = `arn:aws:sts::${account}:assumed-role/${role}/${session}`;
  return {
    eventVersion: '1.11',
    userIdentity: {
      type: 'AssumedRole',
      principalId: `AROAEXAMPLE${role.toUpperCase()}:${session}`,
      arn,
      accountId: account,
      accessKeyId: `ASIAEXAMPLE${hex(9).toUpperCase()}`,
      sessionContext: {
        sessionIssuer: {
          type: 'Role',
          principalId: `AROAEXAMPLE${role.toUpperCase()}`,
          arn: `arn:aws:iam::${account}:role/${role}`,
          accountId: account,
          userName: role,
        },
        attributes: { creationDate: new Date(at - 3_600_000).toISOString(), mfaAuthenticated: 'false' },
      },
    },
    eventTime: new Date(at).toISOString().replace(/\.\d+/, ''),
    eventSource: `${service}.amazonaws.com`,
    eventName,
    awsRegion: 'eu-west-1',
    sourceIPAddress: `10.${Math.floor(random() * 256)}.${Math.floor(random() * 256)}.${Math.floor(random() * 256)}`,
    userAgent: 'aws-sdk-go-v2/1.30.3 os/linux lang/go#1.23.0 md/GOOS#linux md/GOARCH#arm64 api/sts#1.30.3',
    requestParameters: isRead
      ? {
          roleArn: `arn:aws:iam::${account}:role/${pick(['read', 'write'])}-${hex(6)}`,
          roleSessionName: session,
          filterSet: { items: [{ name: 'vpc-id', valueSet: { items: [{ value: `vpc-${hex(17)}` }] } }] },
        }
      : { functionName: `function-${Math.floor(random() * 200)}`, authType: 'AWS_IAM' },
    responseElements: null,
    requestID: id(),
    eventID: id(),
    readOnly: isRead,
    resources: [{ accountId: account, type: 'AWS::IAM::Role', ARN: `arn:aws:iam::${account}:role/${role}` }],
    eventType: 'AwsApiCall',
    managementEvent: true,
    recipientAccountId: account,
    eventCategory: 'Management',
    tlsDetails: {
      tlsVersion: 'TLSv1.3',
      cipherSuite: 'TLS_AES_128_GCM_SHA256',
      clientProvidedHostHeader: `${service}.eu-west-1.amazonaws.com`,
    },
  };
}

function makeSet(folder: string): { readonly files: number; readonly records: number; readonly packed: number } {
  let [files, records, packed, made] = [0, 0, 0, 0];
  const begin = Date.UTC(2026, 9, 1);
  while (made < total) {
    const size = 500 + Math.floor(random() * 4_500);
    const list = Array.from({ length: size }, (_, index) => record(begin + files * 300_000 + index * 60));
    const json = JSON.stringify({ Records: list });
    const bytes = gzipSync(json);
    const day = join(
      folder,
      'AWSLogs',
      account,
      'CloudTrail',
      'eu-west-1',
      '2026',
      '10',
      String(1 + Math.floor(files / 288)).padStart(2, '0'),
    );
    mkdirSync(day, { recursive: true });
    writeFileSync(join(day, `${account}_CloudTrail_eu-west-1_${String(files).padStart(6, '0')}_${hex(16)}.json.gz`), bytes);
    files += 1;
    records += size;
    packed += bytes.length;
    made += json.length;
  }
  return { files, records, packed };
}

/** What a command took: seconds, seconds of processors, and the most memory that one of its processes held, in megabytes. */
async function measured(
  command: string,
): Promise<{ readonly seconds: number; readonly busy: number; readonly peak: number; readonly output: string }> {
  const child = spawn('bash', ['-c', `TIMEFORMAT='%R %U %S'; time { ${command} 2> /dev/null; }`]);
  let [peak, output, times] = [0, '', ''];
  child.stdout.on('data', (chunk) => {
    output += String(chunk);
  });
  child.stderr.on('data', (chunk) => {
    times += String(chunk);
  });
  const watch = setInterval(() => {
    try {
      const [first = ''] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').split(' ');
      peak = Math.max(peak, Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${first}/status`, 'utf8'))?.[1] ?? 0) / 1024);
    } catch {
      // It ended, or this is no Linux.
    }
  }, 20);
  await new Promise((resolve) => child.on('close', resolve));
  clearInterval(watch);
  const [seconds = 0, user = 0, system = 0] = times.trim().split(' ').map(Number);
  return { seconds, busy: user + system, peak, output };
}

const folder = values.folder ?? mkdtempSync(join(tmpdir(), 'guard-bench-'));
try {
  const { files, records, packed } = makeSet(folder);
  console.log(
    `${records} records in ${files} files: ${values.megabytes} MB, ${(packed / megabyte).toFixed(0)} MB packed; ${perThousand} of 1,000 are listened to; seed ${values.seed}`,
  );
  const plainly = `find ${folder} -name '*.gz' -exec zcat {} + | wc -l`;
  await measured(plainly);
  for (let round = 1; round <= Number(values.rounds); round += 1) {
    const plain = await measured(plainly);
    const replay = await measured(`${process.execPath} ${nodeFlag} scripts/guard.mjs replay --offline ${folder}`);
    const times = (of: 'seconds' | 'busy') => `${(replay[of] / plain[of]).toFixed(2)} times`;
    console.log(
      `zcat | wc -l ${plain.seconds.toFixed(1)} s, guard replay ${replay.seconds.toFixed(1)} s: ${times('seconds')} (${times('busy')} of processor time), ${Math.round(records / replay.seconds)} records/s, ${replay.peak.toFixed(0)} MB at most`,
    );
    console.log(`  ${replay.output.trim().split('\n').at(-1) ?? ''}`);
  }
} finally {
  if (values.folder === undefined) rmSync(folder, { recursive: true, force: true });
}
