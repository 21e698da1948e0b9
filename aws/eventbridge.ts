import {
  DescribeRuleCommand,
  DisableRuleCommand,
  EnableRuleCommand,
  EventBridgeClient,
  PutEventsCommand,
} from '@aws-sdk/client-eventbridge';
import type { Connection } from '../guard/call.ts';
import { RetryLater } from '../guard/errors.ts';
import { callsOf } from './call.ts';
import { clientPerRegion } from './clients.ts';

const client = clientPerRegion((settings) => new EventBridgeClient(settings));
const call = callsOf('events', (connection, command) => client(connection).send(command));

// The guard's own rules, on the account's bus and on its own one; no other.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html
const own = {
  resource: [
    'arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${AWS::StackName}-*',
    'arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${AWS::StackName}/${AWS::StackName}-*',
  ],
  alreadyDone: ['ResourceNotFoundException'],
};

export const describeRule = call('DescribeRule', DescribeRuleCommand, own);
export const enableRule = call('EnableRule', EnableRuleCommand, own);
export const disableRule = call('DisableRule', DisableRuleCommand, own);

export interface BusEvent {
  readonly source: string;
  readonly detailType: string;
  readonly detail: unknown;
}

/**
 * Puts events on a bus, ten a call.
 * @throws RetryLater where the bus took only some of them: the whole is sent again, receivers know duplicates
 */
export async function putEvents(connection: Connection, bus: string, events: readonly BusEvent[]): Promise<void> {
  for (let start = 0; start < events.length; start += 10) {
    const Entries = events.slice(start, start + 10).map(({ source, detailType, detail }) => ({
      EventBusName: bus,
      Source: source,
      DetailType: detailType,
      Detail: JSON.stringify(detail),
    }));
    const { FailedEntryCount = 0, Entries: answers = [] } = await client(connection).send(new PutEventsCommand({ Entries }));
    if (FailedEntryCount > 0) {
      throw new RetryLater(
        `the bus refused ${FailedEntryCount} of ${Entries.length} events (${answers.find(({ ErrorCode }) => ErrorCode !== undefined)?.ErrorCode})`,
      );
    }
  }
}
