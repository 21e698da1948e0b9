import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import type { Connection } from '../guard/call.ts';
import { clientPerRegion } from './clients.ts';

const client = clientPerRegion((settings) => new SNSClient(settings));

export interface TopicMessage {
  readonly topicArn: string;
  /** For email: ASCII, at most 100 characters. */
  readonly subject: string;
  /** A text for email, JSON for everything else (MessageStructure json). */
  readonly email: string;
  readonly json: unknown;
  readonly attributes: Readonly<Record<string, string>>;
}

export async function publish(connection: Connection, { topicArn, subject, email, json, attributes }: TopicMessage): Promise<void> {
  await client(connection).send(
    new PublishCommand({
      TopicArn: topicArn,
      Subject: subject,
      MessageStructure: 'json',
      Message: JSON.stringify({ default: JSON.stringify(json), email }),
      MessageAttributes: Object.fromEntries(
        Object.entries(attributes).map(([key, StringValue]) => [key, { DataType: 'String', StringValue }]),
      ),
    }),
  );
}
