import fc from 'fast-check';
import { operationOf, readEvent, text } from '../../guard/cloudtrail.ts';
import { type EventBody, sample } from '../support/events.ts';
import { place } from './bench.ts';

const file = 'UpdateFunctionConfiguration20150331v2/role-changed.json';
const good = (overrides: EventBody = {}) => sample(file, overrides);

test('a change is read: where, what, who, when', () => {
  expect(readEvent(good({ detail: { eventID: 'e1' } }), place)).toMatchObject({
    event: {
      id: 'e1',
      service: 'lambda',
      operation: 'UpdateFunctionConfiguration',
      account: '111122223333',
      region: 'us-east-1',
      actor: {
        arn: expect.stringContaining(':assumed-role/'),
        issuer: expect.stringMatching(/^arn:aws:iam::111122223333:role\//),
        issuerId: expect.stringMatching(/^AROA/),
        console: false,
      },
    },
  });
});

describe('what is malformed is ignored, and never throws', () => {
  test.each([
    ['nothing', undefined],
    ['null', null],
    ['a text', 'event'],
    ['a number', 7],
    ['a list', [good()]],
    ['an empty object', {}],
    ['a message of SNS', { Type: 'Notification', Message: '{}' }],
    ['no detail', good({ detail: undefined })],
    ['a detail that is a text', { ...good(), detail: '{}' }],
    ['no id', good({ id: undefined })],
    ['an empty id', good({ id: '' })],
    ['no source', good({ source: undefined })],
    ['no account', good({ account: undefined })],
    ['an account that is a number', good({ account: 111122223333 })],
    ['no region', good({ region: undefined })],
    ['no detail-type', good({ 'detail-type': undefined })],
    ['no event name', good({ detail: { eventName: undefined } })],
    ['an empty event name', good({ detail: { eventName: '' } })],
    ['no event source', good({ detail: { eventSource: undefined } })],
    ['no time', good({ detail: { eventTime: undefined } })],
    ['request parameters that are a text', good({ detail: { requestParameters: 'functionName=orders' } })],
    ['an identity that is a text', good({ detail: { userIdentity: 'root' } })],
  ])('%s', (_, body) => expect(readEvent(body, place)).toEqual({ ignored: 'malformed' }));

  test('anything at all', () => {
    fc.assert(fc.property(fc.anything(), (body) => expect(readEvent(body, place)).toHaveProperty('ignored')));
  });

  test('anything at all in the place of any field', () => {
    const fields = [
      'eventID',
      'eventName',
      'eventSource',
      'eventTime',
      'userIdentity',
      'requestParameters',
      'responseElements',
      'errorCode',
      'sourceIPAddress',
    ];
    fc.assert(
      fc.property(fc.constantFrom(...fields), fc.jsonValue(), (field, value) => {
        const detail = { ...(good()['detail'] as object), [field]: value };
        expect(Object.keys(readEvent({ ...good(), detail }, place))).toHaveLength(1);
      }),
    );
  });
});

test('an event of 256 KB is read like any other', () => {
  const body = good({ detail: { requestParameters: { functionName: 'orders', description: 'x'.repeat(256 * 1024) } } });
  const read = readEvent(JSON.parse(JSON.stringify(body)), place);
  expect(read).toMatchObject({ event: { request: { functionName: 'orders' } } });
});

describe('what is missing stays empty', () => {
  test.each([
    ['the identity', { userIdentity: undefined }],
    ['its parts', { userIdentity: { type: 'AWSService' } }],
    ['the source address', { sourceIPAddress: undefined }],
    ['the parameters', { requestParameters: undefined }],
    ['parameters that are null', { requestParameters: null, responseElements: null }],
  ])('%s', (_, detail) => {
    const read = readEvent(good({ detail }), place);
    if ('ignored' in read) throw new Error(read.ignored);
    for (const value of [read.event.actor.arn, read.event.actor.issuer, read.event.actor.sourceIp]) expect(typeof value).toBe('string');
    expect(read.event.request).toEqual(expect.any(Object));
    expect(read.event.response).toEqual(expect.any(Object));
  });

  test('the event id: the envelope has one as well', () => {
    expect(readEvent(good({ id: 'envelope', detail: { eventID: undefined } }), place)).toMatchObject({ event: { id: 'envelope' } });
  });
});

describe('who did it', () => {
  const by = (userIdentity: EventBody, more: EventBody = {}) => {
    const read = readEvent({ ...good(), detail: { ...(good()['detail'] as object), userIdentity, ...more } }, place);
    if ('ignored' in read) throw new Error(read.ignored);
    return read.event.actor;
  };

  test('a session is its role', () => {
    const sessionIssuer = { type: 'Role', arn: 'arn:aws:iam::111122223333:role/ci/pipeline', principalId: 'AROAPIPELINE' };
    const arn = 'arn:aws:sts::111122223333:assumed-role/pipeline/build-7';
    expect(by({ type: 'AssumedRole', arn, sessionContext: { sessionIssuer } })).toMatchObject({
      arn,
      issuer: sessionIssuer.arn,
      issuerId: 'AROAPIPELINE',
    });
  });

  test('a user is himself, whatever works for him', () => {
    const arn = 'arn:aws:iam::111122223333:user/ana';
    expect(by({ type: 'IAMUser', arn, principalId: 'AIDAANA', invokedBy: 'cloudformation.amazonaws.com' })).toMatchObject({
      arn,
      issuer: arn,
      issuerId: 'AIDAANA',
      invokedBy: 'cloudformation.amazonaws.com',
    });
  });

  test('a service has no other name', () => {
    expect(by({ type: 'AWSService', invokedBy: 'lambda.amazonaws.com' })).toMatchObject({ arn: 'lambda.amazonaws.com' });
  });

  test('the console says so by a text', () => {
    expect(by({ type: 'IAMUser' }, { sessionCredentialFromConsole: 'true' }).console).toBe(true);
    expect(by({ type: 'IAMUser' }, { sessionCredentialFromConsole: 'false' }).console).toBe(false);
  });
});

describe('what is no change of this account and region is ignored', () => {
  test.each([
    ['a call that failed', { detail: { errorCode: 'AccessDenied' } }, 'failed-call'],
    ['a call that failed in EC2', { detail: { errorCode: 'Client.UnauthorizedOperation', requestParameters: null } }, 'failed-call'],
    ['a dry run of EC2', { detail: { errorCode: 'Client.DryRunOperation' } }, 'failed-call'],
    ['a dry run of Lambda', { detail: { requestParameters: { dryRun: true } } }, 'dry-run'],
    ['another account', { account: '444455556666' }, 'elsewhere'],
    ['another region', { region: 'eu-central-1' }, 'elsewhere'],
    ['a sign-in', { 'detail-type': 'AWS Console Sign In via CloudTrail' }, 'not-an-api-call'],
    [
      'an event of a service from a source that anybody may use',
      { 'detail-type': 'AWS Service Event via CloudTrail', source: 'my.lambda' },
      'not-an-api-call',
    ],
    ['an event of a service elsewhere', { 'detail-type': 'AWS Service Event via CloudTrail', account: '444455556666' }, 'elsewhere'],
    ['a source that anybody may use', { source: 'my.lambda' }, 'not-an-api-call'],
    ['a source that does not go with the record', { source: 'aws.s3' }, 'not-an-api-call'],
    ['a record that does not go with the source', { detail: { eventSource: 's3.amazonaws.com' } }, 'not-an-api-call'],
  ])('%s', (_, overrides, ignored) => expect(readEvent(good(overrides), place)).toEqual({ ignored }));

  test('but not where dryRun is false', () => {
    expect(readEvent(good({ detail: { requestParameters: { dryRun: false } } }), place)).toHaveProperty('event');
  });
});

test.each([
  ['CreateFunction20150331', 'CreateFunction'],
  ['UpdateFunctionCode20150331v2', 'UpdateFunctionCode'],
  ['AddPermission20150331v2', 'AddPermission'],
  ['CreateFunctionUrlConfig', 'CreateFunctionUrlConfig'],
  ['CreateFunctionUrlConfig20211031', 'CreateFunctionUrlConfig'],
  ['PutResourcePolicy', 'PutResourcePolicy'],
  ['ModifySecurityGroupRules', 'ModifySecurityGroupRules'],
  ['', ''],
  ['not a name', 'not a name'],
])('%s is the operation "%s"', (name, operation) => expect(operationOf(name)).toBe(operation));

test('a text is found by its path, or is not there', () => {
  const record = { a: { b: 'found', empty: '', number: 1, list: ['x'] }, nothing: null };
  expect(text(record, 'a', 'b')).toBe('found');
  for (const path of [['a'], ['a', 'empty'], ['a', 'number'], ['a', 'list'], ['a', 'b', 'c'], ['nothing', 'b'], ['x', 'y']]) {
    expect(text(record, ...path)).toBeUndefined();
  }
});

describe('events of IAM, which are told in one region of a partition', () => {
  const ofIam = (region: string) => sample('PutRolePolicy/own.json', { region });

  test.each([
    ['eu-central-1', 'us-east-1'],
    ['us-east-1', 'us-east-1'],
    ['cn-northwest-1', 'cn-north-1'],
    ['us-gov-east-1', 'us-gov-west-1'],
  ])('in %s, one from %s is one of this region', (home, region) => {
    expect(readEvent(ofIam(region), { ...place, region: home })).toMatchObject({ event: { service: 'iam', region: home } });
  });

  test.each([
    ['eu-central-1', 'eu-west-1'],
    ['cn-northwest-1', 'us-east-1'],
    ['us-east-1', 'us-gov-west-1'],
  ])('in %s, one from %s is one of elsewhere', (home, region) => {
    expect(readEvent(ofIam(region), { ...place, region: home })).toEqual({ ignored: 'elsewhere' });
  });

  test('one of another account stays one of elsewhere', () => {
    const body = sample('PutRolePolicy/own.json', { account: '444455556666' });
    expect(readEvent(body, { ...place, region: 'eu-central-1' })).toEqual({ ignored: 'elsewhere' });
  });

  test('a service that has regions is heard in its own', () => {
    expect(readEvent(good({ region: 'us-east-1' }), { ...place, region: 'eu-central-1' })).toEqual({ ignored: 'elsewhere' });
  });
});
