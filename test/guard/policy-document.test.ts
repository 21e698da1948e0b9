import { PolicyUnreadable, publicUrlStatements, readPolicy } from '../../guard/policy-document.ts';

const statement = {
  Sid: 'url',
  Effect: 'Allow',
  Principal: '*',
  Action: 'lambda:InvokeFunctionUrl',
  Resource: 'arn:aws:lambda:us-east-1:111122223333:function:orders',
  Condition: { StringEquals: { 'lambda:FunctionUrlAuthType': 'NONE' } },
};
const through = {
  ...statement,
  Sid: 'through',
  Action: 'lambda:InvokeFunction',
  Condition: { Bool: { 'lambda:InvokedViaFunctionUrl': 'true' } },
};
const trust = { account: '111122223333', trustedAccounts: [] };
const policy = (...Statement: object[]) => JSON.stringify({ Version: '2012-10-17', Statement });

describe('a policy', () => {
  it('may be missing', () => expect(readPolicy(undefined)).toEqual([]));

  it('may hold one statement, and single values for lists', () => {
    expect(readPolicy(JSON.stringify({ Statement: statement }))).toMatchObject([
      {
        Action: ['lambda:InvokeFunctionUrl'],
        Principal: { '*': ['*'] },
        Condition: { StringEquals: { 'lambda:FunctionUrlAuthType': ['NONE'] } },
      },
    ]);
  });

  it('may come URL-encoded, from IAM', () => expect(readPolicy(encodeURIComponent(policy(statement)))).toHaveLength(1));

  it.each([
    ['{'],
    ['[]'],
    ['"text"'],
    ['%7B%'],
    [policy({ Effect: 'Perhaps' })],
    [policy({ ...statement, Principal: 7 })],
    ['{}'],
    ['{"Statement":[{"Effect":"Deny","Condition":{"Bool":{"__proto__":"x"}}}]}'],
  ])('that cannot be understood is no empty policy: %s', (text) => expect(() => readPolicy(text)).toThrow(PolicyUnreadable));
});

describe('the public statements of a URL', () => {
  it('come with the parameters that make them again', () => {
    expect(publicUrlStatements(policy(statement, through), trust)).toMatchObject([
      { sid: 'url', addPermission: { Action: 'lambda:InvokeFunctionUrl', Principal: '*', FunctionUrlAuthType: 'NONE' } },
      { sid: 'through', addPermission: { Action: 'lambda:InvokeFunction', Principal: '*', InvokedViaFunctionUrl: true } },
    ]);
  });

  it.each([
    ['Deny', { Effect: 'Deny' }],
    ['one account', { Principal: { AWS: 'arn:aws:iam::444455556666:root' } }],
    ['a further condition', { Condition: { ...statement.Condition, IpAddress: { 'aws:SourceIp': '203.0.113.0/24' } } }],
    ['signed requests', { Condition: { StringEquals: { 'lambda:FunctionUrlAuthType': 'AWS_IAM' } } }],
    [
      'the auth type if there is one: other calls have none',
      { Condition: { StringEqualsIfExists: { 'lambda:FunctionUrlAuthType': 'NONE' } } },
    ],
    ['all auth types there are', { Condition: { 'ForAllValues:StringEquals': { 'lambda:FunctionUrlAuthType': 'NONE' } } }],
    ['any other auth type', { Condition: { StringNotEquals: { 'lambda:FunctionUrlAuthType': 'NONE' } } }],
    ['a URL if there is one', { Condition: { BoolIfExists: { 'lambda:InvokedViaFunctionUrl': 'true' } } }],
    ['no URL', { Condition: { Bool: { 'lambda:InvokedViaFunctionUrl': 'false' } } }],
    ['no condition: not a matter of URLs alone', { Condition: undefined }],
  ])('are not those with %s', (_, part) => expect(publicUrlStatements(policy({ ...statement, ...part }), trust)).toEqual([]));

  it.each([
    ['no Sid', { Sid: undefined }],
    ['two actions', { Action: ['lambda:InvokeFunctionUrl', 'lambda:GetFunction'] }],
    ['another action', { Action: 'lambda:*' }],
    ['another principal beside everyone', { Principal: { AWS: ['*', 'arn:aws:iam::444455556666:root'] } }],
    ['a service beside everyone', { Principal: { AWS: '*', Service: 's3.amazonaws.com' } }],
    ['two resources', { Resource: [statement.Resource, `${statement.Resource}:live`] }],
    ['another operator', { Condition: { StringLike: { 'lambda:FunctionUrlAuthType': 'NONE' } } }],
    ['both auth types', { Condition: { StringEquals: { 'lambda:FunctionUrlAuthType': ['NONE', 'AWS_IAM'] } } }],
  ])('have none where AddPermission could not make them: %s', (_, part) => {
    expect(publicUrlStatements(policy({ ...statement, ...part }), trust)).toMatchObject([{ addPermission: undefined }]);
  });
});
