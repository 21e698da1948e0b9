import { ListSubscriptionsByTopicCommand, PublishCommand, SNSClient, type Subscription } from '@aws-sdk/client-sns';
import type { Call, Connection } from '../guard/call.ts';
import { clientPerRegion } from './clients.ts';
import { allPages } from './pages.ts';

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

/** Who hears of the alerts, all pages; who has not confirmed is called PendingConfirmation. */
export const listSubscriptionsByTopic: Call<'listSubscriptionsByTopic', { readonly TopicArn: string }, readonly Subscription[]> = {
  name: 'listSubscriptionsByTopic',
  service: 'sns',
  permissions: [{ action: 'sns:ListSubscriptionsByTopic', resource: '${AlertTopic}' }],
  alreadyDone: [],
  run: (connection, input) =>
    allPages(async (NextToken) => {
      const page = await client(connection).send(new ListSubscriptionsByTopicCommand({ ...input, NextToken }));
      return { items: page.Subscriptions, next: page.NextToken };
    }),
};
