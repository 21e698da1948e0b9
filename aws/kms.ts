import {
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  GetKeyPolicyCommand,
  type GrantListEntry,
  KMSClient,
  ListGrantsCommand,
} from '@aws-sdk/client-kms';
import type { Call } from '../guard/call.ts';
import { callsOf } from './call.ts';
import { clientPerRegion } from './clients.ts';

const client = clientPerRegion((settings) => new KMSClient(settings));
const call = callsOf('kms', (connection, command) => client(connection).send(command));

// The stack's own key. https://docs.aws.amazon.com/service-authorization/latest/reference/list_awskeymanagementservice.html
const own = { resource: '${Key.Arn}' };

export const describeKey = call('DescribeKey', DescribeKeyCommand, own);
export const enableKey = call('EnableKey', EnableKeyCommand, own);
export const disableKey = call('DisableKey', DisableKeyCommand, own);

const keys = 'arn:${AWS::Partition}:kms:*:${AWS::AccountId}:key/*';

/** A key of the customer's, or one that AWS manages for the account. */
export const describeCustomerKey = {
  ...call('DescribeKey', DescribeKeyCommand, { resource: keys }),
  name: 'describeCustomerKey' as const,
};

export const getKeyPolicy = call('GetKeyPolicy', GetKeyPolicyCommand, { resource: keys });

/** Every grant of a key, all pages. */
export const listGrants: Call<'listGrants', { readonly KeyId: string }, readonly GrantListEntry[]> = {
  name: 'listGrants',
  service: 'kms',
  permissions: [{ action: 'kms:ListGrants', resource: keys }],
  alreadyDone: [],
  async run(connection, input) {
    const grants: GrantListEntry[] = [];
    let Marker: string | undefined;
    do {
      const page = await client(connection).send(new ListGrantsCommand({ ...input, Marker, Limit: 100 }));
      grants.push(...(page.Grants ?? []));
      Marker = page.Truncated === true ? page.NextMarker : undefined;
    } while (Marker !== undefined);
    return grants;
  },
};
