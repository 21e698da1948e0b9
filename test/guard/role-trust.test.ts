import { deletedPrincipals, openingsOf } from '../../guard/role-trust.ts';

const account = '111122223333';
const allowed = { account, trustedAccounts: ['555566667777'], services: ['lambda.amazonaws.com'] };

function verdictOn(statement: object): string {
  const document = JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole', ...statement }] });
  const { openings, unclear } = openingsOf(document, allowed);
  if (openings.length > 0) return 'open';
  return unclear.length > 0 ? 'unclear' : 'closed';
}

const partner = { AWS: 'arn:aws:iam::444455556666:role/deploy' };
const oidc = { Federated: `arn:aws:iam::${account}:oidc-provider/id.example.com/pool` };
const sub = (operator: string, value: string) => ({ Condition: { [operator]: { 'id.example.com/pool:sub': value } } });
const externalId = (operator: string, value: string) => ({ Condition: { [operator]: { 'STS:externalid': value } } });

test.each([
  [{ Principal: partner }, 'open'],
  [{ Principal: { AWS: '444455556666' } }, 'open'],
  [{ Principal: { AWS: '555566667777' } }, 'closed'],
  [{ Principal: { AWS: `arn:aws:sts::${account}:assumed-role/app/session` } }, 'closed'],
  [{ Principal: { AWS: 'AIDAEXAMPLEDELETED1' } }, 'closed'],
  [{ Principal: partner, ...externalId('StringEquals', 'a') }, 'closed'],
  [{ Principal: partner, ...externalId('StringLike', 'a') }, 'closed'],
  [{ Principal: partner, ...externalId('StringLike', '*') }, 'open'],
  [{ Principal: partner, ...externalId('StringNotEquals', 'a') }, 'open'],
  [{ Principal: partner, ...externalId('StringEqualsIfExists', 'a') }, 'open'],
  [{ Principal: { AWS: '*' }, ...externalId('StringEquals', 'a') }, 'open'],
  [{ Principal: partner, Condition: { IpAddress: { 'aws:SourceIp': '192.0.2.0/24' } } }, 'closed'],
  [{ Principal: partner, Condition: { StringEquals: { 'aws:PrincipalOrgID': 'o-a1b2c3d4e5' } } }, 'unclear'],
  [{ Principal: { Service: 'lambda.amazonaws.com' } }, 'closed'],
  [{ Principal: { Service: 'lambda.eu-west-1.amazonaws.com' } }, 'closed'],
  [{ Principal: { Service: 'lambda.us-gov-west-1.amazonaws.com' } }, 'closed'],
  [{ Principal: { Service: 'notlambda.amazonaws.com' } }, 'open'],
  [{ Principal: { Federated: `arn:aws:iam::${account}:saml-provider/corp` }, Action: 'sts:AssumeRoleWithSAML' }, 'closed'],
  [{ Principal: { Federated: 'arn:aws:iam::444455556666:saml-provider/corp' }, Action: 'sts:AssumeRoleWithSAML' }, 'open'],
  [{ Principal: oidc, Action: 'sts:AssumeRoleWithWebIdentity' }, 'open'],
  [{ Principal: oidc, Action: 'sts:*', ...sub('StringEquals', 'app:orders') }, 'closed'],
  [{ Principal: oidc, Action: 'sts:*', ...sub('StringLike', 'app:*') }, 'open'],
  [{ Principal: oidc, Action: 'sts:*', ...sub('StringLike', '*') }, 'open'],
  [{ Principal: oidc, Action: 'sts:*', ...sub('StringNotEquals', 'app:orders') }, 'open'],
  [{ Principal: { Federated: 'cognito-identity.amazonaws.com' }, Action: 'sts:AssumeRoleWithWebIdentity' }, 'open'],
  [
    {
      Principal: { Federated: 'cognito-identity.amazonaws.com' },
      Action: 'sts:AssumeRoleWithWebIdentity',
      Condition: { StringEquals: { 'cognito-identity.amazonaws.com:aud': 'us-east-1:12345678-abcd' } },
    },
    'closed',
  ],
  [{ Principal: '*', Action: ['sts:TagSession', 'sts:SetSourceIdentity'] }, 'closed'],
  [{ Principal: '*', Action: 'sts:Assume*' }, 'open'],
  [{ Principal: '*', Action: undefined, NotAction: 'sts:TagSession' }, 'open'],
  [{ Principal: '*', Action: undefined, NotAction: 'sts:*' }, 'closed'],
  [{ Principal: { CanonicalUser: 'abc' } }, 'unclear'],
  [{ Principal: '*', Effect: 'Deny' }, 'closed'],
  [{ Principal: '*', Effect: 'Perhaps' }, 'unclear'],
])('%j is %s', (statement, verdict) => expect(verdictOn(statement)).toBe(verdict));

test('ids of deleted principals are found wherever they stand', () => {
  const Statement = [
    { Effect: 'Allow', Principal: { AWS: ['arn:aws:iam::111122223333:root', 'AIDAEXAMPLEDELETED1'] }, Action: 'sts:AssumeRole' },
    { Effect: 'Deny', NotPrincipal: { AWS: 'AROAEXAMPLEDELETED2' }, Action: 'sts:AssumeRole' },
  ];
  expect(deletedPrincipals(JSON.stringify({ Version: '2012-10-17', Statement }))).toEqual(['AIDAEXAMPLEDELETED1', 'AROAEXAMPLEDELETED2']);
});

test('a document without statements is an error, never closed', () => {
  expect(() => openingsOf('{}', allowed)).toThrow('statements');
});
