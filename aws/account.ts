import { DescribeRegionsCommand, EC2Client } from '@aws-sdk/client-ec2';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import type { Call } from '../guard/call.ts';
import { clientPerRegion } from './clients.ts';

const sts = clientPerRegion((settings) => new STSClient(settings));
const ec2 = clientPerRegion((settings) => new EC2Client(settings));

/** The account that the credentials belong to. Nobody needs a permission for it. */
export async function callerAccount(region: string): Promise<string> {
  const { Account = '' } = await sts({ region }).send(new GetCallerIdentityCommand({}));
  return Account;
}

/** The regions that are enabled for the account. */
export const describeRegions: Call<'describeRegions', object, readonly string[]> = {
  name: 'describeRegions',
  service: 'ec2',
  permissions: [{ action: 'ec2:DescribeRegions', resource: '*' }],
  alreadyDone: [],
  run: async (connection) => {
    const { Regions = [] } = await ec2(connection).send(new DescribeRegionsCommand({}));
    return Regions.flatMap(({ RegionName }) => RegionName ?? []).sort();
  },
};
