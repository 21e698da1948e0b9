import { type ChildProcess, fork } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DeleteMessageCommand, type Message, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { SQSEvent, SQSRecord } from 'aws-lambda';
import type { SeenCall } from '../../../test/e2e/bench.ts';
import { buildDirectory, stack, stage } from '../../../test/e2e/stage.ts';
import { assumeRole, type Principal } from '../../../test/support/stack.ts';

/** What a checker's process is told to do. */
export interface Order {
  readonly event: SQSEvent;
  /** What the function has, until Lambda would end it. */
  readonly seconds: number;
}

/** What it answers, once when it has loaded and once for each event. */
export interface Answer {
  readonly milliseconds: number;
  /** What it logged, a line each. */
  readonly lines: readonly string[];
  /** The message comes again. */
  readonly failed: boolean;
  /** Bytes that the process occupies. */
  readonly memory: number;
  /** When it had handled the event: microseconds of the clock that V8's profiler uses. */
  readonly endedAt: number;
}

/** What one event cost. */
export interface Handled {
  readonly milliseconds: number;
  /** Reads of the account, as `service:Operation`, in their order. */
  readonly reads: readonly string[];
  /** Calls of the guard's own ledger, archive, queue, bus and topic. */
  readonly own: readonly string[];
  /** Calls that are made once for several events: leases of a quota, and exemptions, which are known for half a minute. */
  readonly nowAndThen: readonly string[];
  /** What it told, as rule, status and ARN. */
  readonly findings: readonly { readonly rule: string; readonly status: string; readonly resource: string }[];
  readonly failed: boolean;
  readonly memory: number;
  readonly endedAt: number;
}

/** How a process is started: options of Node and variables that the function does not have by itself. */
export interface Start {
  readonly execArgv?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Another bundle than the deployed one. */
  readonly bundle?: string;
  /** How often the message is handled; what is told is of the last time. */
  readonly events?: number;
}

/** What a checker asks of its own: all else is read from the account. */
const own: Readonly<Record<string, RegExp>> = {
  dynamodb: /^(Get|Put|Update|Delete|Query|Transact|BatchGet|BatchWrite)(Item|Items)?/,
  sqs: /^(ChangeMessageVisibility|SendMessage)/,
  events: /^PutEvents$/,
  sns: /^Publish/,
  // The archive of packages: no rule looks into another bucket.
  s3: /^(Get|Head|Put)Object$/,
  sts: /./,
};
const reading = /^(GetResourcePolicy|GetQueueAttributes|GetTopicAttributes)$/;

function isOwn({ service, operation }: Pick<SeenCall, 'service' | 'operation'>): boolean {
  return !reading.test(operation) && (own[service]?.test(operation) ?? false);
}

function isNowAndThen({ keys = [] }: SeenCall): boolean {
  return keys.length > 0 && keys.every((key) => key === 'EXEMPTIONS' || key.startsWith('QUOTA#'));
}

/** A deployed checker whose event source mappings are off: this takes the place of Lambda's poller. */
export class Checker {
  readonly practice: string;
  readonly #as: Principal;
  readonly #sqs: SQSClient;
  readonly #queue: { readonly url: string; readonly arn: string };
  readonly #env: Readonly<Record<string, string>>;
  readonly #seconds: number;
  readonly bundle: string;
  readonly #principal: string;
  #warm: Running | undefined;

  private constructor(practice: string, as: Principal, env: Record<string, string>, seconds: number, bundle: string) {
    const url = (env['Queues'] ?? '').split(',')[0] ?? '';
    this.practice = practice;
    this.#as = as;
    this.#sqs = new SQSClient(as);
    this.#queue = { url, arn: `arn:aws:sqs:${as.region}:${stage.emulator.account}:${url.split('/').at(-1)}` };
    this.#env = env;
    this.#seconds = seconds;
    this.bundle = bundle;
    this.#principal = `:assumed-role/${stack}-check-${practice}/`;
  }

  /** With the environment of the deployed function, the credentials of its role and the bundle that `sam build` made. */
  static async of(practice: string): Promise<Checker> {
    const name = `${stack}-check-${practice}`;
    const { Environment, Timeout, Role, MemorySize } = await stage.botoRoot.call('lambda', 'get_function_configuration', {
      FunctionName: name,
    });
    // Only Lambda may assume the role. A deployer of the guard may change that, and whoever does this in the account is one.
    const roleName = Role.split('/').at(-1);
    const Statement = [
      { Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' },
      { Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${stage.emulator.account}:root` }, Action: 'sts:AssumeRole' },
    ];
    const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement });
    await stage.botoPipeline.call('iam', 'update_assume_role_policy', { RoleName: roleName, PolicyDocument });
    const as = await assumeRole(stage.administrator, Role, name);
    // A bundle is CommonJS, as Lambda takes it where no package.json says otherwise: nowhere in the clone is that so.
    const folder = await mkdtemp(join(tmpdir(), 'checker-'));
    await cp(join(buildDirectory, `Check${practice.charAt(0).toUpperCase()}${practice.slice(1)}`), folder, { recursive: true });
    const env = {
      ...(Environment.Variables as Record<string, string>),
      AWS_REGION: as.region,
      AWS_DEFAULT_REGION: as.region,
      AWS_ENDPOINT_URL: as.endpoint,
      AWS_LAMBDA_FUNCTION_NAME: name,
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(MemorySize),
      AWS_ACCESS_KEY_ID: as.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: as.credentials.secretAccessKey,
      AWS_SESSION_TOKEN: as.credentials.sessionToken ?? '',
      LAMBDA_TASK_ROOT: folder,
    };
    return new Checker(practice, as, env, Timeout, join(folder, `check-${practice}.js`));
  }

  /** Who it acts as. */
  get principal(): Principal {
    return this.#as;
  }

  /** Messages of its queue of events, at most ten: they are its own until it has handled them or six minutes are over. */
  async receive(): Promise<readonly SQSRecord[]> {
    const { Messages = [] } = await this.#sqs.send(
      new ReceiveMessageCommand({ QueueUrl: this.#queue.url, MaxNumberOfMessages: 10, MessageSystemAttributeNames: ['All'] }),
    );
    return Messages.map((message) => this.#record(message));
  }

  #record({ MessageId = '', ReceiptHandle = '', Body = '', Attributes = {}, MD5OfBody = '' }: Message): SQSRecord {
    return {
      messageId: MessageId,
      receiptHandle: ReceiptHandle,
      body: Body,
      attributes: Attributes as unknown as SQSRecord['attributes'],
      messageAttributes: {},
      md5OfBody: MD5OfBody,
      eventSource: 'aws:sqs',
      eventSourceARN: this.#queue.arn,
      awsRegion: this.#as.region,
    };
  }

  async remove({ receiptHandle }: SQSRecord): Promise<void> {
    await this.#sqs.send(new DeleteMessageCommand({ QueueUrl: this.#queue.url, ReceiptHandle: receiptHandle }));
  }

  /** What failed, and will not wait for its time. */
  async redeliver(): Promise<void> {
    await stage.bench.redeliver(this.#queue.url.split('/').at(-1) ?? '');
  }

  /** By a process that is warm, or becomes it. */
  async handle(record: SQSRecord): Promise<Handled> {
    this.#warm ??= await Running.start(this.bundle, this.#env);
    return await this.#counted(this.#warm, record);
  }

  /** By a process of its own, from its start. `warmFrom`: when it had handled the message once, as `endedAt`. */
  async cold(
    record: SQSRecord,
    { env = {}, bundle = this.bundle, events = 1, ...start }: Start = {},
  ): Promise<Handled & { readonly imported: number; readonly warmFrom: number }> {
    const running = await Running.start(bundle, { ...this.#env, ...env }, start.execArgv);
    try {
      const first = await this.#counted(running, record);
      let last = first;
      for (let done = 1; done < events; done += 1) last = await this.#counted(running, record);
      return { imported: running.imported, warmFrom: first.endedAt, ...last };
    } finally {
      await running.end();
    }
  }

  /** AWS gives ten calls of API Gateway a second, and the stack takes no more. The emulator has no quota, and nothing waits here. */
  async #leaseAnew(): Promise<void> {
    if (this.practice !== 'apis') return;
    const Key = { pk: { S: `QUOTA#apigateway-${this.#as.region}` }, sk: { S: 'QUOTA' } };
    await stage.botoRoot.call('dynamodb', 'delete_item', { TableName: this.#env['LedgerTable'], Key });
  }

  async #counted(running: Running, record: SQSRecord): Promise<Handled> {
    await this.#leaseAnew();
    const mark = await stage.bench.now();
    const { milliseconds, lines, failed, memory, endedAt } = await running.handle({ event: { Records: [record] }, seconds: this.#seconds });
    const { calls } = await stage.bench.calls(mark);
    const mine = calls.filter(({ principalArn }) => principalArn.includes(this.#principal));
    const named = (some: readonly SeenCall[]) => some.map(({ service, operation }) => `${service}:${operation}`);
    return {
      milliseconds,
      reads: named(mine.filter((call) => !isOwn(call))),
      own: named(mine.filter((call) => isOwn(call) && !isNowAndThen(call))),
      nowAndThen: named(mine.filter(isNowAndThen)),
      findings: lines.flatMap((line) => {
        const { message, rule, status, resource } = (line.startsWith('{') ? JSON.parse(line) : {}) as Record<string, string>;
        return message === 'finding' ? [{ rule: rule ?? '', status: status ?? '', resource: resource ?? '' }] : [];
      }),
      failed,
      memory,
      endedAt,
    };
  }

  async end(): Promise<void> {
    await this.#warm?.end();
    this.#warm = undefined;
    await rm(dirname(this.bundle), { recursive: true, force: true });
  }
}

/** A process that has loaded a bundle. */
class Running {
  readonly imported: number;
  readonly #process: ChildProcess;

  private constructor(child: ChildProcess, imported: number) {
    this.#process = child;
    this.imported = imported;
  }

  static async start(bundle: string, env: Readonly<Record<string, string>>, execArgv: readonly string[] = []): Promise<Running> {
    const child = fork(join(import.meta.dirname, 'process.ts'), [bundle], {
      execPath: 'node_modules/.bin/node',
      execArgv: [...execArgv],
      env: { ...env },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const { milliseconds } = await answerOf(child);
    return new Running(child, milliseconds);
  }

  async handle(order: Order): Promise<Answer> {
    const answer = answerOf(this.#process);
    this.#process.send(order);
    return await answer;
  }

  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.disconnect();
    await ended;
  }
}

async function answerOf(child: ChildProcess): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const ended = (code: number | null) => reject(new Error(`The checker's process ended with ${code}.`));
    child.once('exit', ended);
    child.once('message', (answer) => {
      child.off('exit', ended);
      resolve(answer as Answer);
    });
  });
}
