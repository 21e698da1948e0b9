import {
  ChangeMessageVisibilityBatchCommand,
  ChangeMessageVisibilityCommand,
  SendMessageBatchCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { partitionOf } from '../guard/arn.ts';
import type { Connection } from '../guard/call.ts';
import { RetryLater } from '../guard/errors.ts';
import { clientPerRegion } from './clients.ts';

const client = clientPerRegion((settings) => new SQSClient(settings));

/** `https://sqs.<region>.amazonaws.com/<account>/<name>` as an ARN. */
export function queueArn({ region }: Pick<Connection, 'region'>, queueUrl: string): string {
  const [account, name] = new URL(queueUrl).pathname.split('/').slice(-2);
  return `arn:${partitionOf(region)}:sqs:${region}:${account}:${name}`;
}

/**
 * Sends messages to a queue, ten a call. They appear there after so many seconds.
 * @throws RetryLater where the queue took only some of them
 */
export async function sendMessages(
  connection: Connection,
  queueUrl: string,
  bodies: readonly unknown[],
  DelaySeconds?: number,
): Promise<void> {
  for (let start = 0; start < bodies.length; start += 10) {
    const Entries = bodies
      .slice(start, start + 10)
      .map((body, index) => ({ Id: String(index), MessageBody: JSON.stringify(body), DelaySeconds }));
    const { Failed = [] } = await client(connection).send(new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries }));
    if (Failed.length > 0) throw new RetryLater(`the queue refused ${Failed.length} of ${Entries.length} messages (${Failed[0]?.Code})`);
  }
}

/** Lets a message that was received come back after so many seconds. */
export async function delayMessage(
  connection: Connection,
  QueueUrl: string,
  ReceiptHandle: string,
  VisibilityTimeout: number,
): Promise<void> {
  await client(connection).send(new ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle, VisibilityTimeout }));
}

/**
 * Lets messages that were received stay hidden for so many seconds more, at most ten in the one call. Only what is in
 * flight in this queue can: SQS makes the receipts, and answers for each by itself.
 * https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibilityBatch.html
 * @returns for each receipt why it was refused, or undefined where it was not
 */
export async function keepHidden(
  connection: Connection,
  QueueUrl: string,
  receipts: readonly string[],
  VisibilityTimeout: number,
): Promise<readonly (string | undefined)[]> {
  const Entries = receipts.map((ReceiptHandle, index) => ({ Id: String(index), ReceiptHandle, VisibilityTimeout }));
  const { Successful = [], Failed = [] } = await client(connection).send(new ChangeMessageVisibilityBatchCommand({ QueueUrl, Entries }));
  const kept = new Set(Successful.map(({ Id }) => Id));
  const codes = new Map(Failed.map(({ Id, Code }) => [Id, Code]));
  return Entries.map(({ Id }) => (kept.has(Id) ? undefined : (codes.get(Id) ?? 'NoAnswer')));
}
