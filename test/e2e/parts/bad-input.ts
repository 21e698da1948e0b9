import { isDeepStrictEqual } from 'node:util';
import { eventually } from '../../support/stack.ts';
import { type Answer, Boto } from '../boto.ts';
import { createFunction, settled } from '../functions.ts';
import { alerted, functionRole, guardLogs, held, mark, quiet, stack, stage } from '../stage.ts';

const checkers = ['roles', 'secrets', 'apis', 'vpc', 'deployments'];
const secret = ['hunter', '22', 'Hunter22!'].join('-');

async function queueOf(checker: string, kind: 'Events' | 'DeadLetters'): Promise<string> {
  const { StackResourceDetail } = await stage.botoRoot.call('cloudformation', 'describe_stack_resource', {
    StackName: stack,
    LogicalResourceId: `Check${checker.charAt(0).toUpperCase()}${checker.slice(1)}${kind}`,
  });
  return StackResourceDetail.PhysicalResourceId;
}

async function waiting(QueueUrl: string): Promise<number> {
  const { Attributes } = await stage.botoRoot.call('sqs', 'get_queue_attributes', { QueueUrl, AttributeNames: ['All'] });
  return Number(Attributes.ApproximateNumberOfMessages) + Number(Attributes.ApproximateNumberOfMessagesNotVisible);
}

async function left(checker: string) {
  return {
    checker,
    events: await waiting(await queueOf(checker, 'Events')),
    deadLetters: await waiting(await queueOf(checker, 'DeadLetters')),
  };
}

/** An event as EventBridge delivers it, around a record of CloudTrail. */
function envelope(detail: Answer, more: object = {}): Answer {
  const source = `aws.${detail.eventSource.split('.')[0]}`;
  return {
    version: '0',
    id: '6f87d04b-9f74-4f04-a780-7acf4b0a9b38',
    'detail-type': 'AWS API Call via CloudTrail',
    source,
    account: '111122223333',
    time: detail.eventTime,
    region: 'us-east-1',
    resources: [],
    detail,
    ...more,
  };
}

async function recordOf(eventName: string): Promise<Answer> {
  const record = (await stage.bench.records()).findLast(
    (candidate) => candidate.eventName === eventName && candidate.errorCode === undefined,
  );
  if (record === undefined) throw new Error(`Nobody called ${eventName}.`);
  return record;
}

export function badInput(): void {
  describe('input that nobody meant', () => {
    it('takes no message of anybody but the rules, not even of an administrator', async () => {
      const { boto } = stage;
      for (const checker of checkers) {
        const QueueUrl = await queueOf(checker, 'Events');
        await expect(boto.call('sqs', 'send_message', { QueueUrl, MessageBody: '{}' })).rejects.toThrow(/AccessDenied/);
      }
      const forged = { Detail: JSON.stringify(await recordOf('CreateFunction20150331')), DetailType: 'AWS API Call via CloudTrail' };
      const answer = await boto
        .call('events', 'put_events', { Entries: [{ ...forged, Source: 'aws.lambda' }] })
        .then(({ Entries }: Answer) => Entries[0].ErrorCode)
        .catch(({ name }: Error) => name);
      expect(answer).toMatch(/NotAuthorizedForSource/);
      const onto = { ...forged, Source: 'compliance-guard', EventBusName: stage.outputs['GuardBusName'] };
      await expect(boto.call('events', 'put_events', { Entries: [onto] })).rejects.toThrow(/AccessDenied/);
      const topic = { TopicArn: stage.outputs['AlertTopicArn'], Message: '{}' };
      await expect(boto.call('sns', 'publish', topic)).rejects.toThrow(/Authorization|AccessDenied/);
    });

    it('lets nobody but the guard write to its ledger', async () => {
      const Item = { pk: { S: 'SWITCHES' }, sk: { S: 'paused' } };
      await expect(stage.boto.call('dynamodb', 'put_item', { TableName: stage.outputs['LedgerTableName'], Item })).rejects.toThrow(
        /AccessDenied/,
      );
    });

    it('reads what it can, counts the rest, tells no secret, and holds up nothing of the same batch', async () => {
      await createFunction('good-neighbour', await functionRole('good-neighbour'));
      await stage.boto.call('lambda', 'update_function_configuration', {
        FunctionName: 'good-neighbour',
        Description: 'of the same batch',
      });
      await settled('good-neighbour');
      await quiet();
      const since = mark();
      // The emulator ends a function in the midst of a batch when a deployment changes it: such messages come again in minutes.
      const before = await Promise.all(checkers.map(left));
      const began = Date.now();
      // Only who may send messages back out of the dead letters can put anything there: the operator.
      const operator = new Boto(stage.operator);
      try {
        for (const checker of checkers) {
          const QueueUrl = await queueOf(checker, 'Events');
          await held(checker, async () => {
            if (checker === 'apis')
              await stage.boto.call('lambda', 'create_function_url_config', { FunctionName: 'good-neighbour', AuthType: 'NONE' });
            const bodies = await badMessages();
            for (let first = 0; first < bodies.length; first += 10) {
              const Entries = bodies.slice(first, first + 10).map((MessageBody, index) => ({ Id: String(index), MessageBody }));
              const { Failed = [] } = await operator.call('sqs', 'send_message_batch', { QueueUrl, Entries });
              expect(Failed).toEqual([]);
            }
            await operator.call('sqs', 'send_message', { QueueUrl, MessageBody: await hugeMessage() });
          });
        }
      } finally {
        operator.end();
      }
      await alerted({ rule: 'function-url-open', status: 'open', resource: 'function:good-neighbour' }, since);
      // Quiet is not enough where a queue is slow to be read.
      await eventually('every message is read', async () => isDeepStrictEqual(await Promise.all(checkers.map(left)), before));
      await quiet(1_500);
      const logs = await guardLogs(began);
      for (const checker of checkers) {
        const lines = logs[`${stack}-check-${checker}`] ?? [];
        const all = lines.join('\n');
        const ignored = (reason: string) =>
          lines.filter((line) => line.includes('"event ignored"') && line.includes(`"reason":"${reason}"`)).length;
        expect({ checker, malformed: ignored('malformed'), elsewhere: ignored('elsewhere'), forged: ignored('not-an-api-call') }).toEqual({
          checker,
          malformed: 6,
          elsewhere: 2,
          forged: 1,
        });
        // The metric in the log, which CloudWatch counts.
        expect(all).toContain('"Ignored-malformed"');
        expect(all).not.toContain(secret);
        expect(lines.filter((line) => line.includes('"message failed"'))).toEqual([]);
        expect(await left(checker)).toEqual(before.find((queues) => queues.checker === checker));
      }
      // An invented event about what is not there makes no finding.
      const raised = stage.inbox.received.slice(since).map(({ alert }) => alert.resource.arn);
      expect(raised.filter((arn) => !arn.endsWith(':good-neighbour'))).toEqual([]);
    });
  });
}

async function badMessages(): Promise<readonly string[]> {
  const record = await recordOf('UpdateFunctionConfiguration20150331v2');
  const gone = { ...record, requestParameters: { functionName: 'gone' }, responseElements: null };
  const group = {
    ...gone,
    eventSource: 'ec2.amazonaws.com',
    eventName: 'AuthorizeSecurityGroupIngress',
    requestParameters: { groupId: 'sg-00000000000000000' },
  };
  const named = (eventName: string) => ({
    ...gone,
    eventName,
    requestParameters: { functionName: 'gone', name: 'live', qualifier: 'live' },
  });
  const messages: Answer[] = [
    // malformed
    null,
    [],
    { password: secret },
    envelope({ ...record, eventName: undefined, environment: secret }),
    { ...envelope(record), detail: secret },
    // not for this guard
    envelope(gone, { account: '444455556666' }),
    envelope(gone, { region: 'eu-central-1' }),
    envelope(gone, { source: 'my.own.lambda' }),
    // read, and about nothing
    envelope({ ...record, eventName: 'ExplodeFunction20150331' }),
    envelope({ ...gone, eventName: 'UpdateFunctionConfiguration20991231v9' }),
    envelope({ ...record, requestParameters: null, responseElements: null }),
    envelope({ ...record, requestParameters: { functionName: { nested: secret } } }),
    envelope({ ...record, userIdentity: undefined, requestParameters: { functionName: 'gone' } }),
    envelope(gone),
    envelope(group),
    envelope(named('CreateFunction20150331')),
    envelope(named('UpdateFunctionCode20150331v2')),
    envelope(named('CreateFunctionUrlConfig')),
    envelope(named('UpdateAlias20150331')),
  ];
  return [`{"detail": "${secret}"`, ...messages.map((message) => JSON.stringify(message))];
}

/** As large as a message may be. */
async function hugeMessage(): Promise<string> {
  const record = await recordOf('UpdateFunctionConfiguration20150331v2');
  const message = (description: string) =>
    JSON.stringify(envelope({ ...record, requestParameters: { functionName: 'gone', description }, responseElements: null }));
  return message(secret.repeat(Math.floor((262_144 - message('').length) / secret.length)));
}
