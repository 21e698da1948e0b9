import { mkdir, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { CreateFunctionCommand, CreateFunctionUrlConfigCommand, LambdaClient } from '@aws-sdk/client-lambda';
import type { Result } from '../../../cli/formats.ts';
import type { Finding } from '../../../guard/finding.ts';
import type { PlannedFix } from '../../../guard/replay.ts';
import { assumeRole, type Principal } from '../../support/stack.ts';
import { bytes } from '../boto.ts';
import { createFunction, packageOf } from '../functions.ts';
import { due, functionRole, guard, guardAs, quiet, stack, stage, trust } from '../stage.ts';

const rule = 'function-url-open';
const far = 'far-shop';
/** Its URL was open for a moment only. */
const popUp = 'pop-up';

interface Told extends Pick<Result, 'findings' | 'unknown' | 'regions' | 'stats'> {
  readonly code: number;
  readonly fixes: readonly PlannedFix[];
}

async function told(who: Principal, ...args: readonly string[]): Promise<Told> {
  const { code, output } = await guardAs(who, ...args, '--rule', rule, '--format', 'json');
  return { code, ...(JSON.parse(output.slice(output.indexOf('{'))) as Omit<Told, 'code'>) };
}

const arns = ({ findings }: Told) => findings.map(({ resource }) => resource.arn).sort();

/** What the deployed guard knows to be open. */
async function deployed(): Promise<readonly string[]> {
  const { output } = await guard('findings', '--rule', rule, '--json');
  return (JSON.parse(output) as readonly Finding[]).map(({ subject }) => subject.arn).sort();
}

/** Somebody who may do what `guard policy` prints, and nothing in eu-central-1. */
async function regionalReader(): Promise<Principal> {
  const { output } = await guard('policy', '--rule', rule, '--account', stage.emulator.account);
  const { Version, Statement } = JSON.parse(output) as { readonly Version: string; readonly Statement: readonly object[] };
  const denial = { Effect: 'Deny', Action: '*', Resource: '*', Condition: { StringEquals: { 'aws:RequestedRegion': 'eu-central-1' } } };
  const RoleName = 'regional-reader';
  const AssumeRolePolicyDocument = trust({ AWS: `arn:aws:iam::${stage.emulator.account}:root` });
  const { Role } = await stage.boto.call('iam', 'create_role', { RoleName, AssumeRolePolicyDocument });
  const PolicyDocument = JSON.stringify({ Version, Statement: [...Statement, denial] });
  await stage.boto.call('iam', 'put_role_policy', { RoleName, PolicyName: 'scan', PolicyDocument });
  return await assumeRole(stage.administrator, Role.Arn, 'scan');
}

/** What is asked of the account from the command line, beside the deployed guard, while every rule is in alert. */
export function byHand(): void {
  describe('from the command line, with the account', () => {
    const farArn = `arn:aws:lambda:eu-west-1:111122223333:function:${far}`;

    beforeAll(async () => {
      // The first sweep, where no test has waited for it.
      await due('TickEveryMinute');
      await quiet(1_500);
    });

    it('a scan finds what is open in each region, and names a region that may not be read', async () => {
      const lambda = new LambdaClient({ ...stage.administrator, region: 'eu-west-1' });
      const code = { Runtime: 'nodejs24.x', Handler: 'index.handler', Code: { ZipFile: packageOf(far) } } as const;
      await lambda.send(new CreateFunctionCommand({ FunctionName: far, Role: await functionRole(far), ...code }));
      await lambda.send(new CreateFunctionUrlConfigCommand({ FunctionName: far, AuthType: 'NONE' }));
      await quiet();
      const open = await deployed();
      const both = await told(stage.operator, 'scan', '--region', 'us-east-1,eu-west-1');
      expect(both).toMatchObject({ code: 1, regions: ['us-east-1', 'eu-west-1'], unknown: [] });
      expect(open.length).toBeGreaterThan(2);
      expect(arns(both)).toEqual([farArn, ...open]);

      const all = await told(await regionalReader(), 'scan', '--region', 'all');
      expect({ code: all.code, findings: arns(all) }).toEqual({ code: 3, findings: [farArn, ...open] });
      expect(all.regions).toEqual(expect.arrayContaining(['ap-southeast-2', 'eu-central-1', 'us-west-2']));
      expect(all.unknown.slice(0, 2)).toEqual([
        {
          rule: '*',
          resource: `arn:aws:cloudformation:eu-central-1:111122223333:stack/${stack}`,
          why: 'AccessDenied: not authorized to perform cloudformation:DescribeStacks',
        },
        {
          rule: '*',
          resource: 'arn:aws:lambda:eu-central-1:111122223333:function:*',
          why: 'AccessDeniedException: not authorized to perform lambda:ListFunctions',
        },
      ]);
      expect(new Set(all.unknown.map(({ resource }) => resource.split(':')[3]))).toEqual(new Set(['eu-central-1']));
    });

    it("a replay of the trail's files in S3 finds what is still open, plans its fixes, and changes nothing", async () => {
      await createFunction(popUp, await functionRole(popUp));
      await stage.boto.call('lambda', 'create_function_url_config', { FunctionName: popUp, AuthType: 'NONE' });
      await stage.boto.call('lambda', 'delete_function_url_config', { FunctionName: popUp });
      await quiet();
      const Records = await stage.bench.records();
      const half = Records.length >> 1;
      const inS3 = 'AWSLogs/111122223333/CloudTrail/us-east-1/2026/11/23';
      const files: Readonly<Record<string, Buffer>> = {
        // Not in the order of time.
        [`${inS3}/a.json.gz`]: gzipSync(JSON.stringify({ Records: Records.slice(half) })),
        [`${inS3}/b.json.gz`]: gzipSync(JSON.stringify({ Records: Records.slice(0, half) })),
        'AWSLogs/111122223333/CloudTrail-Digest/us-east-1/d.json.gz': gzipSync('{"digestStartTime":"x"}'),
      };
      const Bucket = 'trail-of-the-suite';
      await stage.botoRoot.call('s3', 'create_bucket', { Bucket });
      for (const [Key, content] of Object.entries(files))
        await stage.botoRoot.call('s3', 'put_object', { Bucket, Key, Body: bytes(content) });

      const since = await stage.bench.now();
      const asked = ['--account', '111122223333', '--region', 'us-east-1', '--remediate', rule];
      const now = await told(stage.operator, 'replay', `s3://${Bucket}/AWSLogs/`, ...asked);
      expect(now).toMatchObject({ code: 1, unknown: [], stats: { events: Records.length, failed: 0 } });
      const open = await deployed();
      expect(arns(now)).toEqual(open);
      expect(now.fixes.map(({ resource }) => resource).sort()).toEqual(open);
      expect(new Set(now.fixes.map(({ plan }) => plan[0]?.split(' ')[0]))).toEqual(new Set(['lambda:UpdateFunctionUrlConfig']));
      const { calls } = await stage.bench.calls(since);
      const own = calls.filter(({ principalArn }) => principalArn.includes('assumed-role/operator/')).map(({ operation }) => operation);
      expect(own).toEqual(expect.arrayContaining(['ListObjectsV2', 'GetObject', expect.stringMatching(/FunctionUrlConfigs?$/)]));
      expect(own.filter((operation) => !/^(Get|List|Describe|Query|Decrypt)/.test(operation))).toEqual([]);

      // Without the account the same files tell as well of what was open, and of nothing whether it still is.
      const folder = '.work/e2e/trail';
      await mkdir(folder, { recursive: true });
      for (const [key, content] of Object.entries(files)) await writeFile(`${folder}/${key.split('/').at(-1)}`, content);
      const offline = await told(stage.operator, 'replay', `${folder}/a.json.gz`, `${folder}/b.json.gz`, '--offline', ...asked);
      expect(offline).toMatchObject({ code: 3, stats: { calls: 0 } });
      expect(arns(offline)).toEqual(expect.arrayContaining([...open]));
      expect([...arns(offline), ...offline.unknown.map(({ resource }) => resource)].some((arn) => arn.endsWith(`:${popUp}`))).toBe(true);
    });
  });
}
