import { CreateEventBusCommand, EventBridgeClient, PutEventsCommand, PutRuleCommand, PutTargetsCommand } from '@aws-sdk/client-eventbridge';
import { CreateRoleCommand, IAMClient, PutRolePolicyCommand } from '@aws-sdk/client-iam';
import { CreateEventSourceMappingCommand, CreateFunctionCommand, LambdaClient, waitUntilFunctionActiveV2 } from '@aws-sdk/client-lambda';
import { CreateTopicCommand, SNSClient } from '@aws-sdk/client-sns';
import { CreateQueueCommand, GetQueueAttributesCommand, SetQueueAttributesCommand, SQSClient } from '@aws-sdk/client-sqs';
import { buildSync } from 'esbuild';
import { zipSync } from 'fflate';
import { Inbox, type Principal } from '../../test/support/stack.ts';
import { median } from '../median.ts';

/** The median of the shortest way there is: EventBridge → queue → a function that does nothing but publish → SNS → queue. Milliseconds. */
export async function bareMedian(as: Principal, rounds = 9): Promise<number> {
  const [iam, lambda, events, sqs, sns] = [
    new IAMClient(as),
    new LambdaClient(as),
    new EventBridgeClient(as),
    new SQSClient(as),
    new SNSClient(as),
  ];
  const { TopicArn = '' } = await sns.send(new CreateTopicCommand({ Name: 'bare' }));
  const { QueueUrl = '' } = await sqs.send(new CreateQueueCommand({ QueueName: 'bare-events' }));
  const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }));
  const queue = Attributes?.QueueArn ?? '';
  const allow = (statement: object) => JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', ...statement }] });
  await sqs.send(
    new SetQueueAttributesCommand({
      QueueUrl,
      Attributes: { Policy: allow({ Principal: { Service: 'events.amazonaws.com' }, Action: 'sqs:SendMessage', Resource: queue }) },
    }),
  );

  await events.send(new CreateEventBusCommand({ Name: 'bare' }));
  await events.send(new PutRuleCommand({ Name: 'bare', EventBusName: 'bare', EventPattern: JSON.stringify({ source: ['bare'] }) }));
  await events.send(new PutTargetsCommand({ Rule: 'bare', EventBusName: 'bare', Targets: [{ Id: 'queue', Arn: queue }] }));

  const { Role } = await iam.send(
    new CreateRoleCommand({
      RoleName: 'bare',
      AssumeRolePolicyDocument: allow({ Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' }),
    }),
  );
  const PolicyDocument = JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow', Action: ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'], Resource: queue },
      { Effect: 'Allow', Action: 'sns:Publish', Resource: TopicArn },
    ],
  });
  await iam.send(new PutRolePolicyCommand({ RoleName: 'bare', PolicyName: 'bare', PolicyDocument }));
  const contents = `
    import { SNSClient, PublishCommand } from '@aws-sdk/client-sns';
    const sns = new SNSClient({});
    export const handler = async () => { await sns.send(new PublishCommand({ TopicArn: process.env.TOPIC, Message: '{}' })); };`;
  const { outputFiles } = buildSync({
    stdin: { contents, resolveDir: process.cwd() },
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'cjs',
    minify: true,
    write: false,
  });
  await lambda.send(
    new CreateFunctionCommand({
      FunctionName: 'bare',
      Runtime: 'nodejs24.x',
      Handler: 'index.handler',
      Role: Role?.Arn,
      Code: { ZipFile: zipSync({ 'index.js': outputFiles[0]?.contents ?? new Uint8Array() }) },
      Environment: { Variables: { TOPIC: TopicArn } },
    }),
  );
  await waitUntilFunctionActiveV2({ client: lambda, maxWaitTime: 30, minDelay: 1, maxDelay: 1 }, { FunctionName: 'bare' });
  await lambda.send(new CreateEventSourceMappingCommand({ FunctionName: 'bare', EventSourceArn: queue, BatchSize: 10 }));

  const inbox = await Inbox.subscribe(as, TopicArn, 'bare-alerts');
  const times: number[] = [];
  // The first round starts the function and does not count.
  for (let round = 0; round <= rounds; round += 1) {
    const since = inbox.received.length;
    const started = Date.now();
    await events.send(new PutEventsCommand({ Entries: [{ EventBusName: 'bare', Source: 'bare', DetailType: 'bare', Detail: '{}' }] }));
    const { at } = await inbox.waitFor('the bare way', () => true, { since });
    if (round > 0) times.push(at - started);
  }
  await inbox.close();
  return median(times);
}
