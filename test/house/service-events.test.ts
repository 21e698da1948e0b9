import * as z from 'zod';
import { triggered } from '../../guard/check.ts';
import { readEvent } from '../../guard/cloudtrail.ts';
import { cloudTrail, defineRule, serviceEvents } from '../../guard/rule.ts';
import { checkOperations } from '../../scripts/generate/operations.ts';
import { eventPatterns } from '../../scripts/generate/template.ts';
import { matches } from './pattern.ts';

// What a service does by itself is no call: from the declaration to the pattern, and from the record to the subject.

const place = { account: '111122223333', region: 'us-east-1' };
const arn = 'arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/db-a1B2c3';

const listening = (...on: Parameters<typeof defineRule>[0]['on'][number][]) =>
  defineRule({
    id: 'secret-watched',
    practice: 'secrets',
    severity: 'low',
    title: 'A secret is watched by these tests',
    on,
    check: [],
    fix: [],
    undo: [],
    delay: 0,
    probation: false,
    params: z.object({}),
    evaluate: async (subject) => ({ violations: [], compliant: [subject] }),
    plan: async () => ({ steps: [] }),
    state: async () => ({}),
  });

const secret = { arn, type: 'AWS::SecretsManager::Secret' as const, ...place };
const calls = cloudTrail('secretsmanager', ['CancelRotateSecret'], () => [secret]);
const tellings = serviceEvents('secretsmanager', ['RotationFailed'], ({ request }) =>
  request['SecretId'] === arn || request['secretId'] === arn ? [secret] : [],
);

/** The record of a rotation that failed, as Secrets Manager writes it. */
function rotationFailed(detail: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  return {
    version: '0',
    id: 'd82e0a2d-f36e-11fd-37cb-cba423a71196',
    'detail-type': 'AWS Service Event via CloudTrail',
    source: 'aws.secretsmanager',
    ...place,
    time: '2026-11-02T08:30:00Z',
    resources: [],
    detail: {
      userIdentity: { accountId: '111122223333', invokedBy: 'secretsmanager.amazonaws.com' },
      eventTime: '2026-11-02T08:30:00Z',
      eventSource: 'secretsmanager.amazonaws.com',
      eventName: 'RotationFailed',
      sourceIPAddress: 'secretsmanager.amazonaws.com',
      requestParameters: null,
      responseElements: null,
      additionalEventData: { SecretId: arn },
      eventID: 'e3b69cfe-b70e-4c94-baa9-9decc3c150b9',
      eventType: 'AwsServiceEvent',
      ...detail,
    },
  };
}

function read(body: unknown) {
  const found = readEvent(body, place);
  if ('ignored' in found) throw new Error(found.ignored);
  return found.event;
}

test('it is read: nobody called, the service acted, and what it says stands where a request would', () => {
  expect(read(rotationFailed())).toMatchObject({
    service: 'secretsmanager',
    operation: 'RotationFailed',
    ofService: true,
    actor: { arn: 'secretsmanager.amazonaws.com', issuer: 'secretsmanager.amazonaws.com', issuerId: '', console: false },
    request: { SecretId: arn },
    response: {},
  });
});

test('it is read where the identity is an account alone, or is missing', () => {
  for (const userIdentity of [{ accountId: '111122223333' }, undefined]) {
    expect(read(rotationFailed({ userIdentity })).actor.arn).toBe('secretsmanager.amazonaws.com');
  }
});

test('it is read where its data stand in the other place that CloudTrail has for them', () => {
  const event = read(rotationFailed({ additionalEventData: undefined, serviceEventDetails: { secretId: arn } }));
  expect(triggered(listening(tellings), event)).toEqual([secret]);
});

test('it names its subjects to rules that listen to the service, and to no others', () => {
  expect(triggered(listening(tellings), read(rotationFailed()))).toEqual([secret]);
  expect(triggered(listening(calls), read(rotationFailed()))).toEqual([]);
  expect(triggered(listening(calls), read(rotationFailed({ eventName: 'CancelRotateSecret' })))).toEqual([]);
  const called = { ...rotationFailed(), 'detail-type': 'AWS API Call via CloudTrail' };
  expect(triggered(listening(tellings), read(called))).toEqual([]);
});

test('one pattern takes the calls of a service and what it does by itself', () => {
  const [both, ...more] = eventPatterns([listening(calls, tellings)]);
  expect(more).toEqual([]);
  expect(matches(both?.pattern, rotationFailed())).toBe(true);
  const [only] = eventPatterns([listening(calls)]);
  expect(matches(only?.pattern, rotationFailed({ eventName: 'CancelRotateSecret' }))).toBe(false);
  expect(matches(both?.pattern, { ...rotationFailed(), source: 'my.secrets' })).toBe(false);
});

test('the SDK knows every call, and nothing of what services do by themselves', async () => {
  await expect(checkOperations([listening(calls, tellings)])).resolves.toBeUndefined();
  await expect(checkOperations([listening(cloudTrail('secretsmanager', ['RotationFailed'], () => []))])).rejects.toThrow('RotationFailed');
});
