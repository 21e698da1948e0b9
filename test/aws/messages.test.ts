import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import {
  ChangeMessageVisibilityBatchCommand,
  ChangeMessageVisibilityCommand,
  SendMessageBatchCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { mockClient } from 'aws-sdk-client-mock';
import { putEvents } from '../../aws/eventbridge.ts';
import { publish } from '../../aws/sns.ts';
import { delayMessage, keepHidden, queueArn, sendMessages } from '../../aws/sqs.ts';
import { RetryLater } from '../../guard/errors.ts';

const place = { account: '111122223333', region: 'us-east-1' };
const busEvent = (index: number) => ({ source: 'compliance-guard', detailType: 'Compliance Finding', detail: { index } });

describe('putEvents', () => {
  const bus = mockClient(EventBridgeClient);
  beforeEach(() => bus.reset());

  test('puts events on the bus, ten a call', async () => {
    bus.on(PutEventsCommand).resolves({ FailedEntryCount: 0, Entries: [] });
    await putEvents(
      place,
      'guard',
      Array.from({ length: 23 }, (_, index) => busEvent(index)),
    );
    const calls = bus.commandCalls(PutEventsCommand).map(({ args: [{ input }] }) => input.Entries ?? []);
    expect(calls.map(({ length }) => length)).toEqual([10, 10, 3]);
    expect(calls[2]?.[2]).toEqual({
      EventBusName: 'guard',
      Source: 'compliance-guard',
      DetailType: 'Compliance Finding',
      Detail: '{"index":22}',
    });
  });

  test('of nothing calls nobody', async () => {
    await putEvents(place, 'guard', []);
    expect(bus.calls()).toEqual([]);
  });

  test('that the bus took in part is done again later, and the sentence says why', async () => {
    bus
      .on(PutEventsCommand)
      .resolves({ FailedEntryCount: 1, Entries: [{ EventId: 'e1' }, { ErrorCode: 'ThrottlingException', ErrorMessage: 'x' }] });
    const put = putEvents(place, 'guard', [busEvent(1), busEvent(2)]);
    await expect(put).rejects.toThrow(RetryLater);
    await expect(put).rejects.toThrow('the bus refused 1 of 2 events (ThrottlingException)');
  });

  test('that is refused is an error', async () => {
    bus.on(PutEventsCommand).rejects(Object.assign(new Error('x'), { name: 'AccessDeniedException' }));
    await expect(putEvents(place, 'guard', [busEvent(1)])).rejects.toMatchObject({ name: 'AccessDeniedException' });
  });
});

describe('sendMessages', () => {
  const queue = mockClient(SQSClient);
  beforeEach(() => queue.reset());

  test('sends messages, ten a call', async () => {
    queue.on(SendMessageBatchCommand).resolves({ Successful: [], Failed: [] });
    await sendMessages(
      place,
      'https://queue',
      Array.from({ length: 11 }, (_, index) => ({ index })),
    );
    const calls = queue.commandCalls(SendMessageBatchCommand).map(({ args: [{ input }] }) => input);
    expect(calls.map(({ Entries = [] }) => Entries.length)).toEqual([10, 1]);
    expect(calls[0]?.QueueUrl).toBe('https://queue');
    expect(new Set(calls[0]?.Entries?.map(({ Id }) => Id)).size).toBe(10);
    expect(calls[1]?.Entries?.[0]?.MessageBody).toBe('{"index":10}');
  });

  test('that the queue took in part is done again later', async () => {
    queue.on(SendMessageBatchCommand).resolves({ Successful: [], Failed: [{ Id: '0', Code: 'InternalError', SenderFault: false }] });
    await expect(sendMessages(place, 'https://queue', [1, 2])).rejects.toThrow(
      new RetryLater('the queue refused 1 of 2 messages (InternalError)'),
    );
  });

  test('a message is put off by its receipt', async () => {
    queue.on(ChangeMessageVisibilityCommand).resolves({});
    const QueueUrl = 'https://sqs.us-east-1.amazonaws.com/111122223333/guard-queue';
    await delayMessage(place, QueueUrl, 'receipt', 30);
    expect(queue.commandCalls(ChangeMessageVisibilityCommand)[0]?.args[0].input).toEqual({
      QueueUrl,
      ReceiptHandle: 'receipt',
      VisibilityTimeout: 30,
    });
  });

  test('a receipt is good where the queue says so of it, in one call for all', async () => {
    queue
      .on(ChangeMessageVisibilityBatchCommand)
      .resolves({ Successful: [{ Id: '1' }], Failed: [{ Id: '0', Code: 'ReceiptHandleIsInvalid', SenderFault: true }] });
    expect(await keepHidden(place, 'https://queue', ['made up', 'real', 'without an answer'], 360)).toEqual([
      'ReceiptHandleIsInvalid',
      undefined,
      'NoAnswer',
    ]);
    const calls = queue.commandCalls(ChangeMessageVisibilityBatchCommand).map(({ args: [{ input }] }) => input);
    expect(calls).toEqual([
      {
        QueueUrl: 'https://queue',
        Entries: ['made up', 'real', 'without an answer'].map((ReceiptHandle, index) => ({
          Id: String(index),
          ReceiptHandle,
          VisibilityTimeout: 360,
        })),
      },
    ]);
  });
});

test.each([
  ['us-east-1', 'https://sqs.us-east-1.amazonaws.com/111122223333/events', 'arn:aws:sqs:us-east-1:111122223333:events'],
  ['cn-north-1', 'https://sqs.cn-north-1.amazonaws.com.cn/111122223333/events', 'arn:aws-cn:sqs:cn-north-1:111122223333:events'],
  ['us-east-1', 'http://127.0.0.1:4566/111122223333/events', 'arn:aws:sqs:us-east-1:111122223333:events'],
])('in %s the queue at %s has an ARN', (region, url, arn) => {
  expect(queueArn({ region }, url)).toBe(arn);
});

test('a message of SNS is a text for email and JSON for everybody else', async () => {
  const topic = mockClient(SNSClient);
  topic.on(PublishCommand).resolves({ MessageId: 'm1' });
  await publish(place, {
    topicArn: 'arn:topic',
    subject: 'Subject',
    email: 'line 1\nline "2"',
    json: { a: ['x'] },
    attributes: { rule: 'role-shared', severity: 'high' },
  });
  const input = topic.commandCalls(PublishCommand)[0]?.args[0].input;
  expect(input).toEqual({
    TopicArn: 'arn:topic',
    Subject: 'Subject',
    MessageStructure: 'json',
    Message: expect.any(String),
    MessageAttributes: { rule: { DataType: 'String', StringValue: 'role-shared' }, severity: { DataType: 'String', StringValue: 'high' } },
  });
  const { default: json, email, ...more } = JSON.parse(input?.Message ?? '') as Record<string, string>;
  expect({ json: JSON.parse(json ?? ''), email, more }).toEqual({ json: { a: ['x'] }, email: 'line 1\nline "2"', more: {} });
});
