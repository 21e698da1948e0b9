import {
  AuthorizeSecurityGroupIngressCommand,
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateVpcCommand,
  EC2Client,
} from '@aws-sdk/client-ec2';
import { AttachRolePolicyCommand, CreateRoleCommand, IAMClient, PutRolePolicyCommand } from '@aws-sdk/client-iam';
import {
  CreateFunctionCommand,
  CreateFunctionUrlConfigCommand,
  InvokeCommand,
  LambdaClient,
  UpdateFunctionCodeCommand,
  UpdateFunctionUrlConfigCommand,
  waitUntilFunctionActiveV2,
  waitUntilFunctionUpdatedV2,
} from '@aws-sdk/client-lambda';
import { ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { buildSync } from 'esbuild';
import { strToU8, zipSync } from 'fflate';
import { assumeRole, createAdministrator, eventually, type Principal } from '../../test/support/stack.ts';

export const names = {
  orders: 'orders',
  invoices: 'invoices',
  payments: 'payments',
  storefront: 'storefront',
  reports: 'reports',
  checkout: 'checkout',
} as const;
/** Looks like a password, opens nothing. */
export const password = ['correct', 'Horse', '8batteryStaple'].join('-');

/** The emulated account before the guard comes: who acts in it, and what is there. */
export interface Estate {
  readonly administrator: Principal;
  readonly pipeline: Principal;
  readonly pipelineRole: string;
  /** Takes changes back: whoever broke something may not bring it back. */
  readonly operator: Principal;
  readonly sharedRole: string;
  readonly ownRole: string;
  readonly securityGroup: string;
  readonly lambda: LambdaClient;
  readonly ec2: EC2Client;
  readonly iam: IAMClient;
  readonly url: string;
  /** A function's answer, as a text. */
  readonly invoke: (name: string) => Promise<string>;
  readonly settled: (name: string) => Promise<void>;
  readonly openUrl: () => Promise<void>;
  readonly closeUrl: () => Promise<void>;
  /** The pipeline's first deployment under the guard, of every function; ends when the packages are archived. */
  readonly deployAll: (archive: string) => Promise<void>;
  readonly deployAgain: (archive: string) => Promise<void>;
}

const trust = (principal: Record<string, string>) =>
  JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: principal, Action: 'sts:AssumeRole' }] });

/** A package whose handler answers with this text. */
export function packageOf(text: string): Uint8Array {
  return zipSync(
    { 'index.js': strToU8(`exports.handler = async () => ({ statusCode: 200, body: ${JSON.stringify(text)} });`) },
    { mtime: new Date('2026-01-01') },
  );
}

/** A package that reads its password from the environment, or from the secret that the environment names. */
function secretReader(text: string): Uint8Array {
  const code = `
    import { SecretsManagerClient, GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
    const read = async (value) => value.startsWith('arn:') ? (await new SecretsManagerClient({}).send(new GetSecretValueCommand({ SecretId: value }))).SecretString : value;
    export const handler = async () => ({ statusCode: 200, body: ${JSON.stringify(text)} + ' password of ' + (await read(process.env.DB_PASSWORD ?? '')).length + ' letters' });`;
  const { outputFiles } = buildSync({
    stdin: { contents: code, resolveDir: process.cwd() },
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'cjs',
    minify: true,
    write: false,
  });
  return zipSync({ 'index.js': outputFiles[0]?.contents ?? new Uint8Array() }, { mtime: new Date('2026-01-01') });
}

export async function buildEstate(root: Principal): Promise<Estate> {
  const administrator = await createAdministrator(root, 'administrator');
  const iam = new IAMClient(administrator);
  const lambda = new LambdaClient(administrator);
  const ec2 = new EC2Client(administrator);

  const role = async (RoleName: string, principal: Record<string, string>, attached: readonly string[], inline?: object) => {
    const { Role } = await iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: trust(principal) }));
    for (const PolicyArn of attached) await iam.send(new AttachRolePolicyCommand({ RoleName, PolicyArn }));
    if (inline !== undefined) {
      const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement: [inline] });
      await iam.send(new PutRolePolicyCommand({ RoleName, PolicyName: 'own', PolicyDocument }));
    }
    return Role?.Arn ?? '';
  };
  const logs = ['arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole'];
  const service = { Service: 'lambda.amazonaws.com' };
  const roles = Object.fromEntries(
    await Promise.all(
      Object.values(names).map(async (name) => {
        const secrets = {
          Effect: 'Allow',
          Action: 'secretsmanager:GetSecretValue',
          Resource: 'arn:aws:secretsmanager:*:*:secret:compliance-guard/*',
        };
        const attached = name === names.reports ? [...logs, 'arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole'] : logs;
        return [name, await role(`${name}-role`, service, attached, name === names.payments ? secrets : undefined)] as const;
      }),
    ),
  );
  const account = (roles[names.orders] ?? '').split(':')[4] ?? '';
  const powerful = (name: string) => role(name, { AWS: `arn:aws:iam::${account}:root` }, ['arn:aws:iam::aws:policy/AdministratorAccess']);
  const pipelineRole = await powerful('deploy-pipeline');
  const pipeline = await assumeRole(administrator, pipelineRole, 'release');
  const operator = await assumeRole(administrator, await powerful('operator'), 'on-call');
  const deployer = new LambdaClient(pipeline);

  const { Vpc } = await ec2.send(new CreateVpcCommand({ CidrBlock: '10.0.0.0/16' }));
  const { Subnet } = await ec2.send(new CreateSubnetCommand({ VpcId: Vpc?.VpcId, CidrBlock: '10.0.1.0/24' }));
  const { GroupId = '' } = await ec2.send(
    new CreateSecurityGroupCommand({ VpcId: Vpc?.VpcId, GroupName: 'reports', Description: 'the reports function' }),
  );
  await ec2.send(
    new AuthorizeSecurityGroupIngressCommand({
      GroupId,
      IpPermissions: [{ IpProtocol: 'tcp', FromPort: 443, ToPort: 443, IpRanges: [{ CidrIp: '10.0.0.0/16', Description: 'own network' }] }],
    }),
  );

  const packages = (version: number): Record<string, Uint8Array> =>
    Object.fromEntries(
      Object.values(names).map((name) => [
        name,
        name === names.payments ? secretReader(`${name} ${version}`) : packageOf(`${name} ${version}`),
      ]),
    );
  const first = packages(1);
  await Promise.all(
    Object.values(names).map(async (FunctionName) => {
      await deployer.send(
        new CreateFunctionCommand({
          FunctionName,
          Runtime: 'nodejs24.x',
          Handler: 'index.handler',
          Role: roles[FunctionName],
          Code: { ZipFile: first[FunctionName] },
          Tags: { team: FunctionName, ...(FunctionName === names.payments ? { 'compliance-guard:secret-reader': 'yes' } : {}) },
          ...(FunctionName === names.reports ? { VpcConfig: { SubnetIds: [Subnet?.SubnetId ?? ''], SecurityGroupIds: [GroupId] } } : {}),
        }),
      );
      await waitUntilFunctionActiveV2({ client: deployer, maxWaitTime: 30, minDelay: 1, maxDelay: 1 }, { FunctionName });
    }),
  );
  const { FunctionUrl = '' } = await lambda.send(
    new CreateFunctionUrlConfigCommand({ FunctionName: names.storefront, AuthType: 'AWS_IAM' }),
  );

  const settled = async (FunctionName: string) => {
    await waitUntilFunctionUpdatedV2({ client: lambda, maxWaitTime: 30, minDelay: 1, maxDelay: 1 }, { FunctionName });
  };
  const deploy = async (archive: string, which: readonly string[], version: number) => {
    const code = packages(version);
    for (const FunctionName of which) await deployer.send(new UpdateFunctionCodeCommand({ FunctionName, ZipFile: code[FunctionName] }));
    const s3 = new S3Client({ ...administrator, forcePathStyle: true });
    for (const name of which) {
      await eventually(`the package of ${name} is archived`, async () => {
        const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: archive, Prefix: `${name}/` }));
        return Contents.length >= version - 1;
      });
      await settled(name);
    }
  };
  return {
    administrator,
    pipeline,
    pipelineRole,
    operator,
    sharedRole: roles[names.orders] ?? '',
    ownRole: roles[names.invoices] ?? '',
    securityGroup: GroupId,
    lambda,
    ec2,
    iam,
    url: FunctionUrl,
    settled,
    invoke: async (FunctionName) => {
      const { Payload, FunctionError } = await lambda.send(new InvokeCommand({ FunctionName }));
      const answer = JSON.parse(Buffer.from(Payload ?? []).toString('utf8')) as { body?: string; errorMessage?: string };
      if (FunctionError !== undefined) throw new Error(`${FunctionName} fails: ${answer.errorMessage}`);
      return answer.body ?? '';
    },
    openUrl: async () => {
      await lambda.send(new UpdateFunctionUrlConfigCommand({ FunctionName: names.storefront, AuthType: 'NONE' }));
    },
    closeUrl: async () => {
      await lambda.send(new UpdateFunctionUrlConfigCommand({ FunctionName: names.storefront, AuthType: 'AWS_IAM' }));
    },
    deployAll: (archive) => deploy(archive, Object.values(names), 2),
    deployAgain: (archive) => deploy(archive, [names.checkout], 3),
  };
}
