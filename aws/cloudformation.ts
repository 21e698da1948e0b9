import {
  CloudFormationClient,
  DescribeStacksCommand,
  ListStackResourcesCommand,
  type StackResourceSummary,
} from '@aws-sdk/client-cloudformation';
import type { Call } from '../guard/call.ts';
import { clientPerRegion } from './clients.ts';
import { allPages } from './pages.ts';

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

/** What the guard's own stack consists of, all pages (100 a page). */
export const listStackResources: Call<'listStackResources', { readonly StackName: string }, readonly StackResourceSummary[]> = {
  name: 'listStackResources',
  service: 'cloudformation',
  permissions: [
    {
      action: 'cloudformation:ListStackResources',
      resource: 'arn:${AWS::Partition}:cloudformation:${AWS::Region}:${AWS::AccountId}:stack/${AWS::StackName}/*',
    },
  ],
  alreadyDone: [],
  run: (connection, input) =>
    allPages(async (NextToken) => {
      const page = await client(connection).send(new ListStackResourcesCommand({ ...input, NextToken }));
      return { items: page.StackResourceSummaries, next: page.NextToken };
    }),
};
