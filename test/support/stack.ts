import { spawn } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { AttachUserPolicyCommand, CreateAccessKeyCommand, CreateUserCommand, IAMClient } from '@aws-sdk/client-iam';
import { SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import {
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SetQueueAttributesCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import type { Alert } from '../../guard/alert.ts';
import type { Emulator } from '../emulator/start.ts';

const root = join(import.meta.dirname, '..', '..');
const stackName = 'lambda-compliance-guard';

/** What every client of the SDK takes to act as somebody in the emulated account. */
export interface Principal {
  readonly region: string;
  readonly endpoint: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string; readonly sessionToken?: string };
}

export function rootUser({ endpoint, region, accessKeyId, secretAccessKey }: Emulator): Principal {
  return { endpoint, region, credentials: { accessKeyId, secretAccessKey } };
}

/** An IAM user with administrator rights and keys. */
export async function createAdministrator(as: Principal, UserName: string): Promise<Principal> {
  const iam = new IAMClient(as);
  await iam.send(new CreateUserCommand({ UserName }));
  await iam.send(new AttachUserPolicyCommand({ UserName, PolicyArn: 'arn:aws:iam::aws:policy/AdministratorAccess' }));
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
  return { ...as, credentials: { accessKeyId: AccessKey?.AccessKeyId ?? '', secretAccessKey: AccessKey?.SecretAccessKey ?? '' } };
}

export async function assumeRole(as: Principal, RoleArn: string, RoleSessionName: string): Promise<Principal> {
  const { Credentials } = await new STSClient(as).send(new AssumeRoleCommand({ RoleArn, RoleSessionName }));
  return {
    ...as,
    credentials: {
      accessKeyId: Credentials?.AccessKeyId ?? '',
      secretAccessKey: Credentials?.SecretAccessKey ?? '',
      sessionToken: Credentials?.SessionToken ?? '',
    },
  };
}

/** The variables by which any client (sam, the AWS CLI, boto3, the guard's own CLI) acts as this principal, and nobody else. */
export function environmentOf({ endpoint, region, credentials }: Principal): Record<string, string> {
  return {
    PATH: [join(root, 'node_modules', '.bin'), join(root, '.venv', 'sam', 'bin'), process.env['PATH'] ?? ''].join(delimiter),
    HOME: process.env['HOME'] ?? '',
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    ...(credentials.sessionToken === undefined ? {} : { AWS_SESSION_TOKEN: credentials.sessionToken }),
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_EC2_METADATA_DISABLED: 'true',
    SAM_CLI_TELEMETRY: '0',
  };
}

/** Runs a command in the repository's folder. @throws with the end of its output where it fails */
export async function run(
  command: string,
  args: readonly string[],
  env: Record<string, string>,
): Promise<{ readonly code: number; readonly output: string }> {
  const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const keep = (data: Buffer) => {
    output += data.toString('utf8');
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exit) => resolve(exit ?? 1));
  });
  return { code, output };
}

async function sam(args: readonly string[], as: Principal): Promise<void> {
  const { code, output } = await run(join(root, '.venv', 'sam', 'bin', 'sam'), args, environmentOf(as));
  if (code !== 0) throw new Error(`sam ${args[0]} failed:\n${output.slice(-4000)}`);
}

/** @param directory where the artifacts go: builds into different ones do not disturb each other */
export async function samBuild(as: Principal, directory = '.aws-sam/build'): Promise<void> {
  await sam(['build', '--build-dir', directory], as);
}

/** `sam deploy` of what was built, as a user would; returns the stack's outputs. */
export async function samDeploy(
  as: Principal,
  parameters: Readonly<Record<string, string>> = {},
  directory = '.aws-sam/build',
): Promise<Readonly<Record<string, string>>> {
  const overrides = Object.entries(parameters).map(([name, value]) => `${name}=${value}`);
  await sam(
    [
      'deploy',
      '--config-file',
      join(root, 'samconfig.toml'),
      '--template-file',
      `${directory}/template.yaml`,
      '--no-confirm-changeset',
      '--no-fail-on-empty-changeset',
      '--no-progressbar',
      ...(overrides.length === 0 ? [] : ['--parameter-overrides', ...overrides]),
    ],
    as,
  );
  const { Stacks = [] } = await new CloudFormationClient(as).send(new DescribeStacksCommand({ StackName: stackName }));
  return Object.fromEntries((Stacks[0]?.Outputs ?? []).map(({ OutputKey = '', OutputValue = '' }) => [OutputKey, OutputValue]));
}

/** `sam delete` of all that. */
export async function samDelete(as: Principal): Promise<void> {
  await sam(['delete', '--stack-name', stackName, '--region', as.region, '--no-prompts'], as);
}

export interface Received {
  readonly alert: Alert;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** A queue subscribed to a topic, and everything that came through it. */
export class Inbox {
  readonly received: Received[] = [];
  readonly #sqs: SQSClient;
  readonly #url: string;
  #open = true;
  readonly #reading: Promise<void>;

  private constructor(sqs: SQSClient, url: string) {
    this.#sqs = sqs;
    this.#url = url;
    this.#reading = this.#read();
  }

  static async subscribe(as: Principal, topicArn: string, name: string): Promise<Inbox> {
    const sqs = new SQSClient(as);
    const { QueueUrl = '' } = await sqs.send(new CreateQueueCommand({ QueueName: name }));
    const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }));
    const Endpoint = Attributes?.QueueArn ?? '';
    const Policy = JSON.stringify({
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Principal: { Service: 'sns.amazonaws.com' },
          Action: 'sqs:SendMessage',
          Resource: Endpoint,
          Condition: { ArnEquals: { 'aws:SourceArn': topicArn } },
        },
      ],
    });
    await sqs.send(new SetQueueAttributesCommand({ QueueUrl, Attributes: { Policy } }));
    await new SNSClient(as).send(
      new SubscribeCommand({ TopicArn: topicArn, Protocol: 'sqs', Endpoint, Attributes: { RawMessageDelivery: 'true' } }),
    );
    return new Inbox(sqs, QueueUrl);
  }

  async #read(): Promise<void> {
    while (this.#open) {
      const { Messages = [] } = await this.#sqs.send(
        new ReceiveMessageCommand({ QueueUrl: this.#url, MaxNumberOfMessages: 10, WaitTimeSeconds: 1 }),
      );
      const at = Date.now();
      for (const { Body = '' } of Messages) this.received.push({ alert: JSON.parse(Body) as Alert, at });
      if (Messages.length > 0) {
        await this.#sqs.send(
          new DeleteMessageBatchCommand({
            QueueUrl: this.#url,
            Entries: Messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle })),
          }),
        );
      }
    }
  }

  /** The first alert since `since` (an index into `received`) for which this holds. @throws where none comes in time */
  async waitFor(
    what: string,
    holds: (alert: Alert) => boolean,
    { since = 0, seconds = patience }: { since?: number; seconds?: number } = {},
  ): Promise<Received> {
    const end = Date.now() + seconds * 1000;
    for (;;) {
      const found = this.received.slice(since).find(({ alert }) => holds(alert));
      if (found !== undefined) return found;
      if (Date.now() > end) {
        const came = this.received.slice(since).map(({ alert }) => `${alert.rule} ${alert.status} ${alert.resource.arn}: ${alert.summary}`);
        throw new Error(
          `No alert within ${seconds} s: ${what}. Since then came: ${came.length === 0 ? 'nothing' : `\n  ${came.join('\n  ')}`}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async close(): Promise<void> {
    this.#open = false;
    await this.#reading;
  }
}

/** How many seconds whoever waits does so at most: a slow machine takes its time, and no test is to fail of that. */
export const patience = 300;

/** Waits until something holds. @throws where it does not in time */
export async function eventually<T>(what: string, look: () => Promise<T | undefined | false>, seconds = patience): Promise<T> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    if (Date.now() > end) throw new Error(`Did not happen within ${seconds} s: ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
