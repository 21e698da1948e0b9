import { ChangeMessageVisibilityCommand, SendMessageBatchCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { Connection } from '../guard/call.ts';
import { RetryLater } from '../guard/errors.ts';
import { clientPerRegion } from './clients.ts';

const client = clientPerRegion((settings) => new SQSClient(settings));

/**
 * Sends messages to a queue, ten a call.
 * @throws RetryLater where the queue took only some of them
 */
export async function sendMessages(connection: Connection, queueUrl: string, bodies: readonly unknown[]): Promise<void> {
  for (let start = 0; start < bodies.length; start += 10) {
    const Entries = bodies.slice(start, start + 10).map((body, index) => ({ Id: String(index), MessageBody: JSON.stringify(body) }));
    const { Failed = [] } = await client(connection).send(new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries }));
    if (Failed.length > 0) throw new RetryLater(`the queue refused ${Failed.length} of ${Entries.length} messages (${Failed[0]?.Code})`);
  }
}

/** Lets a message that was received come back after so many seconds. */
export async function delayMessage(
  connection: Connection,
  queueArn: string,
  ReceiptHandle: string,
  VisibilityTimeout: number,
): Promise<void> {
  const [, , , region, account, name] = queueArn.split(':');
  const { protocol, hostname } = (await client(connection).config.endpoint?.()) ?? {
    protocol: 'https:',
    hostname: `sqs.${region}.amazonaws.com`,
  };
  await client(connection).send(
    new ChangeMessageVisibilityCommand({ QueueUrl: `${protocol}//${hostname}/${account}/${name}`, ReceiptHandle, VisibilityTimeout }),
  );
}
