import { DescribeKeyCommand, DisableKeyCommand, EnableKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { callsOf } from './call.ts';
import { clientPerRegion } from './clients.ts';

const client = clientPerRegion((settings) => new KMSClient(settings));
const call = callsOf('kms', (connection, command) => client(connection).send(command));

// The stack's own key. https://docs.aws.amazon.com/service-authorization/latest/reference/list_awskeymanagementservice.html
const own = { resource: '${Key.Arn}' };

export const describeKey = call('DescribeKey', DescribeKeyCommand, own);
export const enableKey = call('EnableKey', EnableKeyCommand, own);
export const disableKey = call('DisableKey', DisableKeyCommand, own);

/** A key of the customer's, or one that AWS manages for the account. */
export const describeCustomerKey = {
  ...call('DescribeKey', DescribeKeyCommand, { resource: 'arn:${AWS::Partition}:kms:*:${AWS::AccountId}:key/*' }),
  name: 'describeCustomerKey' as const,
};
