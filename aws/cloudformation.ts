import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { clientPerRegion } from './clients.ts';

const client = clientPerRegion((settings) => new CloudFormationClient(settings));

/** A stack's outputs and parameters by name. */
export async function describeStack(
  region: string,
  stack: string,
): Promise<{
  readonly outputs: Readonly<Record<string, string>>;
  readonly parameters: Readonly<Record<string, string>>;
  readonly account: string;
}> {
  const { Stacks = [] } = await client({ region }).send(new DescribeStacksCommand({ StackName: stack }));
  const [found] = Stacks;
  const outputs = Object.fromEntries((found?.Outputs ?? []).map(({ OutputKey = '', OutputValue = '' }) => [OutputKey, OutputValue]));
  const parameters = Object.fromEntries(
    (found?.Parameters ?? []).map(({ ParameterKey = '', ParameterValue = '' }) => [ParameterKey, ParameterValue]),
  );
  return { outputs, parameters, account: found?.StackId?.split(':')[4] ?? '' };
}
