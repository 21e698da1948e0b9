import { DynamoDBClient, GetResourcePolicyCommand as GetTablePolicyCommand } from '@aws-sdk/client-dynamodb';
import { GetBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3';
import { GetResourcePolicyCommand as GetSecretPolicyCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { GetTopicAttributesCommand, SNSClient } from '@aws-sdk/client-sns';
import { GetQueueAttributesCommand, GetQueueUrlCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { Call } from '../guard/call.ts';
import { callsOf } from './call.ts';
import { clientPerRegion } from './clients.ts';

// Policies on resources: with keys' (aws/kms.ts) the places outside IAM that may name a role.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_aws-services-that-work-with-iam.html

const s3 = clientPerRegion((settings) => new S3Client(settings));
const sqs = clientPerRegion((settings) => new SQSClient(settings));
const sns = clientPerRegion((settings) => new SNSClient(settings));
const dynamodb = clientPerRegion((settings) => new DynamoDBClient(settings));
const secretsManager = clientPerRegion((settings) => new SecretsManagerClient(settings));

export const getBucketPolicy = callsOf('s3', (connection, command) => s3(connection).send(command))(
  'GetBucketPolicy',
  GetBucketPolicyCommand,
  {
    resource: 'arn:${AWS::Partition}:s3:::*',
  },
);

export const getTopicAttributes = callsOf('sns', (connection, command) => sns(connection).send(command))(
  'GetTopicAttributes',
  GetTopicAttributesCommand,
  {
    resource: 'arn:${AWS::Partition}:sns:*:${AWS::AccountId}:*',
  },
);

/** Lambda, DynamoDB and Secrets Manager each have an operation GetResourcePolicy; here each has a name of its own. */
export const getTablePolicy = {
  ...callsOf('dynamodb', (connection, command) => dynamodb(connection).send(command))('GetResourcePolicy', GetTablePolicyCommand, {
    resource: 'arn:${AWS::Partition}:dynamodb:*:${AWS::AccountId}:table/*',
  }),
  name: 'getTablePolicy' as const,
};

export const getSecretPolicy = {
  ...callsOf('secretsmanager', (connection, command) => secretsManager(connection).send(command))(
    'GetResourcePolicy',
    GetSecretPolicyCommand,
    {
      resource: 'arn:${AWS::Partition}:secretsmanager:*:${AWS::AccountId}:secret:*',
    },
  ),
  name: 'getSecretPolicy' as const,
};

/** A queue's policy; queues are read by their URL, which their name tells. */
export const getQueuePolicy: Call<'getQueuePolicy', { readonly QueueName: string }, string | undefined> = {
  name: 'getQueuePolicy',
  service: 'sqs',
  operation: 'GetQueueAttributes',
  permissions: ['sqs:GetQueueUrl', 'sqs:GetQueueAttributes'].map((action) => ({
    action,
    resource: 'arn:${AWS::Partition}:sqs:*:${AWS::AccountId}:*',
  })),
  alreadyDone: [],
  async run(connection, input) {
    const { QueueUrl } = await sqs(connection).send(new GetQueueUrlCommand(input));
    const { Attributes } = await sqs(connection).send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['Policy'] }));
    return Attributes?.Policy;
  },
};
