import { LambdaServiceException, ResourceNotFoundException } from '@aws-sdk/client-lambda';
import { S3ServiceException } from '@aws-sdk/client-s3';
import {
  errorKind,
  errorName,
  errorSummary,
  ifPresent,
  isAnswer,
  LedgerFailed,
  PackageUnreadable,
  RetryLater,
} from '../../guard/errors.ts';

const named = (name: string, more: object = {}) => Object.assign(new Error('secret-message'), { name, ...more });

test.each([
  'ResourceNotFoundException',
  'NoSuchEntity',
  'NoSuchEntityException',
  'NoSuchKey',
  'NoSuchBucketPolicy',
  'NotFound',
  'InvalidGroup.NotFound',
  'InvalidSecurityGroupRuleId.NotFound',
  'QueueDoesNotExist',
])('%s: it is not there', (name) => expect(errorKind(named(name))).toBe('absent'));

test.each([
  'ThrottlingException',
  'Throttling',
  'TooManyRequestsException',
  'RequestLimitExceeded',
  'ProvisionedThroughputExceededException',
  'SlowDown',
  'ServiceException',
  'InternalError',
  'ServiceUnavailable',
  'ResourceConflictException',
  'ConcurrentModificationException',
  'TransactionConflictException',
  'TimeoutError',
  'ECONNRESET',
])('%s: it may pass', (name) => expect(errorKind(named(name))).toBe('passing'));

test.each([
  'AccessDenied',
  'AccessDeniedException',
  'UnauthorizedOperation',
  'ValidationException',
  'InvalidParameterValueException',
  'PreconditionFailedException',
  'Error',
  'TypeError',
  'NoSuchEntityButLonger',
])('%s: it will stay', (name) => expect(errorKind(named(name))).toBe('lasting'));

test('a server that fails may recover, whatever it calls the error', () => {
  expect(errorKind(named('Unheard', { $metadata: { httpStatusCode: 503 } }))).toBe('passing');
  expect(errorKind(named('Unheard', { $metadata: { httpStatusCode: 429 } }))).toBe('passing');
  expect(errorKind(named('Unheard', { $metadata: { httpStatusCode: 400 } }))).toBe('lasting');
});

test('errors as the SDK throws them', () => {
  expect(errorKind(new ResourceNotFoundException({ message: 'x', $metadata: { httpStatusCode: 404 } }))).toBe('absent');
  expect(errorKind(new LambdaServiceException({ name: 'TooManyRequestsException', $fault: 'client', $metadata: {} }))).toBe('passing');
  expect(errorKind(new S3ServiceException({ name: 'AccessDenied', $fault: 'client', $metadata: { httpStatusCode: 403 } }))).toBe('lasting');
});

test.each([[undefined], [null], ['text'], [7], [{}], [[]]])('%j is an error that will stay', (error) => {
  expect(errorKind(error)).toBe('lasting');
  expect(errorName(error)).toBe('Error');
});

test('a code goes before a name', () => {
  expect(errorName(named('Error', { code: 'ECONNRESET' }))).toBe('ECONNRESET');
  expect(errorName(named('NoSuchEntityException', { Code: 'NoSuchEntity' }))).toBe('NoSuchEntity');
  expect(errorName(named('Plain', { code: 500 }))).toBe('Plain');
});

test("the guard's own errors", () => {
  expect(errorKind(new RetryLater('later'))).toBe('passing');
  expect(errorKind(new PackageUnreadable('never'))).toBe('lasting');
});

test('what the ledger answers says nothing of a resource, even that it is denied or missing', () => {
  for (const name of ['AccessDeniedException', 'ResourceNotFoundException', 'InternalServerError']) {
    const failed = new LedgerFailed(named(name, { $metadata: {} }));
    expect(errorKind(failed)).toBe('passing');
    expect(isAnswer(failed)).toBe(false);
    expect(errorSummary(failed)).toBe(`LedgerFailed (${name})`);
  }
});

test('what is logged of an error holds nothing that AWS quoted', () => {
  expect(errorSummary(named('ValidationException', { Item: { secret: 'hunter2' } }))).toBe('ValidationException');
  const message = 'User: arn:aws:iam::1:user/a is not authorized to perform: SNS:GetTopicAttributes on resource: hunter2';
  expect(errorSummary(Object.assign(new Error(message), { name: 'AuthorizationError' }))).toBe(
    'AuthorizationError: not authorized to perform SNS:GetTopicAttributes',
  );
});

test('what is gone is undefined, and every other error goes on', async () => {
  await expect(ifPresent(Promise.resolve(1))).resolves.toBe(1);
  await expect(ifPresent(Promise.reject(named('NoSuchEntity')))).resolves.toBeUndefined();
  await expect(ifPresent(Promise.reject(named('AccessDenied')))).rejects.toThrow('secret-message');
});
