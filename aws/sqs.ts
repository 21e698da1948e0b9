import { SendMessageBatchCommand, SQSClient } from '@aws-sdk/client-sqs';
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
