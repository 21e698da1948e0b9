import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { clientPerRegion } from './clients.ts';

const sts = clientPerRegion((settings) => new STSClient(settings));

/** The region that the profile in use names. */
export async function regionOfProfile(): Promise<string | undefined> {
  return await new STSClient({}).config.region().catch(() => undefined);
}

/** The account that the credentials belong to. Nobody needs a permission for it. */
export async function callerAccount(region: string): Promise<string> {
  const { Account = '' } = await sts({ region }).send(new GetCallerIdentityCommand({}));
  return Account;
}
