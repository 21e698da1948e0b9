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

/** What a stack says of itself. */
export interface StackDescription {
  readonly outputs: Readonly<Record<string, string>>;
  readonly parameters: Readonly<Record<string, string>>;
  readonly account: string;
}

/** A stack's outputs and parameters by name. */
export const describeStack: Call<'describeStack', { readonly StackName: string }, StackDescription> = {
  name: 'describeStack',
  service: 'cloudformation',
  operation: 'DescribeStacks',
  permissions: [{ action: 'cloudformation:DescribeStacks', resource: 'arn:${AWS::Partition}:cloudformation:*:${AWS::AccountId}:stack/*' }],
  alreadyDone: [],
  run: async (connection, input) => {
    const { Stacks = [] } = await client(connection).send(new DescribeStacksCommand(input));
    const [found] = Stacks;
    const outputs = Object.fromEntries((found?.Outputs ?? []).map(({ OutputKey = '', OutputValue = '' }) => [OutputKey, OutputValue]));
    const parameters = Object.fromEntries(
      (found?.Parameters ?? []).map(({ ParameterKey = '', ParameterValue = '' }) => [ParameterKey, ParameterValue]),
    );
    return { outputs, parameters, account: found?.StackId?.split(':')[4] ?? '' };
  },
};

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
