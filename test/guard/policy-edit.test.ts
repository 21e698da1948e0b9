import fc from 'fast-check';
import { type PublicGrant, publicGrants } from '../../guard/policy-document.ts';
import { policyFix } from '../../guard/policy-edit.ts';
import { isWait } from '../../guard/rule.ts';
import type { Subject } from '../../guard/subject.ts';

const trust = { account: '111122223333', trustedAccounts: ['222222222222'], organization: 'o-a1b2c3d4e5' };
const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const subject: Subject = { arn: orders, type: 'AWS::Lambda::Function', account: '111122223333', region: 'us-east-1' };
const grant = { Sid: 'it', Effect: 'Allow', Principal: '*' as unknown, Action: 'lambda:InvokeFunction', Resource: orders };
const { Sid, ...nameless } = grant;
const own = { ...grant, Sid: 'own', Principal: { AWS: '111122223333' } };
const text = (...Statement: readonly unknown[]) => JSON.stringify({ Version: '2012-10-17', Id: 'default', Statement });

/** What stands in the policy after its fix, or the reason why there is none. */
function fixed(Policy: string, chosen: (grant: PublicGrant) => boolean = () => true, where = subject): readonly unknown[] | string {
  const fix = policyFix(where, { Policy, RevisionId: 'r1' }, publicGrants(Policy, trust).grants.filter(chosen), trust);
  if ('refused' in fix) return fix.refused;
  const [step, ...more] = fix.steps;
  const before = JSON.parse(Policy);
  if (step === undefined) return before.Statement;
  if (more.length > 0 || isWait(step)) throw new Error('a policy is written once');
  expect(step.input['RevisionId']).toBe('r1');
  expect(step.undo).toEqual([{ call: 'restoreResourcePolicy', input: { ResourceArn: where.arn, Policy } }]);
  if (step.call === 'deleteResourcePolicy') return [];
  const statements = [before.Statement].flat() as readonly { readonly Sid?: string }[];
  if (step.call === 'removePermission') return statements.filter((statement) => statement.Sid !== step.input['StatementId']);
  const { Statement, ...rest } = JSON.parse(String(step.input['Policy']));
  expect(rest).toEqual({ Version: '2012-10-17', Id: 'default' });
  return Statement;
}

const service = (name: string, Condition?: object) => ({ ...grant, Principal: { Service: `${name}.amazonaws.com` }, Condition });
const accounts = ['111122223333', '222222222222'];
const arnsOf = (name: string) => accounts.map((account) => `arn:aws:${name}:*:${account}:*`);

describe('a fix of a policy', () => {
  it.each<[string, readonly object[], readonly object[]]>([
    ['lets everyone out', [own, grant], [own]],
    ['lets out who is written in a list', [{ ...grant, Principal: { AWS: ['*'] } }, own], [own]],
    ['lets out whoever is not named', [own, { ...nameless, Principal: undefined, NotPrincipal: { AWS: '111122223333' } }], [own]],
    ['leaves nothing', [nameless], []],
    [
      'leaves a denial',
      [nameless, { ...grant, Effect: 'Deny', Action: 'lambda:GetFunction' }],
      [{ ...grant, Effect: 'Deny', Action: 'lambda:GetFunction' }],
    ],
    [
      'leaves who is trusted, in the same statement',
      [{ ...grant, Principal: { AWS: ['444455556666', '222222222222', 'arn:aws:iam::111122223333:role/ci'] } }],
      [{ ...grant, Principal: { AWS: ['222222222222', 'arn:aws:iam::111122223333:role/ci'] } }],
    ],
    ['asks a service for the accounts', [service('s3')], [service('s3', { StringEquals: { 'aws:SourceAccount': accounts } })]],
    [
      'asks it beside what is asked already',
      [service('s3', { stringequals: { 'aws:PrincipalIsAWSService': 'true' } })],
      [service('s3', { stringequals: { 'aws:PrincipalIsAWSService': 'true', 'aws:SourceAccount': accounts } })],
    ],
    ['asks it for the ARNs', [service('sns')], [service('sns', { ArnLike: { 'aws:SourceArn': arnsOf('sns') } })]],
    [
      'asks an API for its own ARN',
      [service('apigateway')],
      [service('apigateway', { ArnLike: { 'aws:SourceArn': arnsOf('execute-api') } })],
    ],
    [
      'narrows a wide pattern',
      [service('events', { ArnLike: { 'AWS:SourceArn': 'arn:aws:events:*:*:rule/nightly-*' } })],
      [
        service('events', {
          ArnLike: { 'AWS:SourceArn': 'arn:aws:events:*:*:rule/nightly-*' },
          ArnEquals: { 'aws:SourceArn': arnsOf('events') },
        }),
      ],
    ],
    [
      'asks where the account was asked for only if there is one',
      [service('s3', { StringEqualsIfExists: { 'aws:SourceAccount': '111122223333' } })],
      [
        service('s3', {
          StringEqualsIfExists: { 'aws:SourceAccount': '111122223333' },
          StringEquals: { 'aws:SourceAccount': accounts },
        }),
      ],
    ],
    [
      'lets out a service that calls for others',
      [own, service('sns', { ArnLike: { 'aws:SourceArn': 'arn:aws:sns:us-east-1:444455556666:t' } })],
      [own],
    ],
    ['lets out a service of another organization', [own, service('sns', { StringEquals: { 'aws:SourceOrgID': 'o-zzzzzzzzzz' } })], [own]],
    [
      'splits services that name their sources in other ways, with Sids of their own',
      [
        { ...own, Sid: 'it2' },
        { ...grant, Principal: { Service: ['s3.amazonaws.com', 'sns.amazonaws.com', 'ses.amazonaws.com'] } },
      ],
      [
        { ...own, Sid: 'it2' },
        {
          ...grant,
          Principal: { Service: ['s3.amazonaws.com', 'ses.amazonaws.com'] },
          Condition: { StringEquals: { 'aws:SourceAccount': accounts } },
        },
        { ...grant, Sid: 'it3', Principal: { Service: 'sns.amazonaws.com' }, Condition: { ArnLike: { 'aws:SourceArn': arnsOf('sns') } } },
      ],
    ],
  ])('%s', (_, before, after) => expect(fixed(text(...before))).toEqual(JSON.parse(JSON.stringify(after))));

  it('knows the partition', () => {
    const china = { ...subject, arn: orders.replace('arn:aws:', 'arn:aws-cn:').replace('us-east-1', 'cn-north-1'), region: 'cn-north-1' };
    const policy = text({ ...grant, Principal: { Service: 'sns.amazonaws.com' } });
    expect(JSON.stringify(fixed(policy, undefined, china))).toContain('arn:aws-cn:sns:*:111122223333:*');
  });

  it('takes no more than it is asked to', () => {
    const other = { ...grant, Sid: 'other' };
    expect(fixed(text(other, grant), ({ sid }) => sid === 'it')).toEqual([other]);
    expect(fixed(text(grant), () => false)).toEqual([grant]);
  });

  it('writes a policy with one statement outside a list', () => expect(fixed(JSON.stringify({ Statement: nameless }))).toEqual([]));

  it.each<[string, readonly object[], string]>([
    ['a service whose sources are not known', [service('alexa-appkit')], 'is not known'],
    [
      'accounts inside and outside',
      [service('s3', { StringEquals: { 'aws:SourceAccount': ['111122223333', '444455556666'] } })],
      'name somebody inside',
    ],
    [
      'insiders who are asked for in vain',
      [{ ...grant, Condition: { StringEqualsIfExists: { 'aws:SourceAccount': '111122223333' } } }],
      'name somebody inside',
    ],
    [
      'two patterns that are too wide',
      [service('sns', { ArnLike: { 'aws:SourceArn': '*' }, ArnEquals: { 'aws:SourceArn': 'arn:aws:sns:*:*:t' } })],
      'has a condition on its source already',
    ],
    ['a principal that was deleted', [grant, { ...own, Principal: { AWS: 'AIDA1234567890EXAMPLE' } }], 'was deleted'],
    [
      'a principal that was deleted, and spared',
      [grant, { ...own, Effect: 'Deny', Principal: undefined, NotPrincipal: { AWS: ['AROA1234567890EXAMPLE'] } }],
      'was deleted',
    ],
  ])('is refused for %s', (_, statements, reason) => expect(fixed(text(...statements))).toContain(reason));

  it('removes by Sid only a whole statement that no other shares its Sid with', () => {
    const call = (...statements: readonly object[]) => {
      const Policy = text(...statements);
      return policyFix(subject, { Policy, RevisionId: 'r1' }, publicGrants(Policy, trust).grants, trust).steps.map((step) => step.call);
    };
    expect(call(own, grant)).toEqual(['removePermission']);
    expect(call(own, nameless)).toEqual(['putResourcePolicy']);
    expect(call(own, grant, { ...grant, Sid: 'too' })).toEqual(['putResourcePolicy']);
    expect(call({ ...own, Sid: 'it' }, grant)).toEqual(['putResourcePolicy']);
    expect(call(own, { ...grant, Sid: 'with blanks' })).toEqual(['putResourcePolicy']);
    expect(call(own, { ...grant, Principal: { AWS: ['*', '111122223333'] } })).toEqual(['putResourcePolicy']);
    expect(call(nameless)).toEqual(['deleteResourcePolicy']);
  });
});

describe('whatever the policy', () => {
  const principal = fc.constantFrom<unknown>(
    '*',
    { AWS: '*' },
    { AWS: ['111122223333', '*'] },
    { AWS: ['222222222222', '444455556666'] },
    { AWS: 'arn:aws:iam::444455556666:role/x', Service: 'sns.amazonaws.com' },
    { Service: ['s3.amazonaws.com', 'events.amazonaws.com'] },
    { Service: 'lex.amazonaws.com' },
    { AWS: '111122223333' },
    { CanonicalUser: '79a5' },
    { Federated: ['graph.facebook.com', 'arn:aws:iam::111122223333:saml-provider/corp'] },
  );
  const condition = fc.constantFrom<object | undefined>(
    undefined,
    { StringEquals: { 'aws:SourceAccount': '111122223333' } },
    { StringEquals: { 'aws:SourceAccount': '444455556666' } },
    { StringEquals: { 'aws:PrincipalOrgID': ['o-a1b2c3d4e5', 'o-zzzzzzzzzz'] } },
    { ArnLike: { 'aws:SourceArn': 'arn:aws:*:*:*:*' } },
    { ArnLike: { 'aws:SourceArn': 'arn:aws:s3:::my-bucket' } },
    { StringNotEquals: { 'aws:PrincipalAccount': '444455556666' } },
    { StringEquals: { 'aws:NewKey': 'x' } },
    { IpAddress: { 'aws:SourceIp': '203.0.113.0/24' } },
  );
  const statement = fc
    .record({
      Sid: fc.constantFrom('a', 'b', 'a2', undefined),
      Effect: fc.constantFrom('Allow', 'Allow', 'Allow', 'Deny'),
      Principal: principal,
      Action: fc.constantFrom('lambda:InvokeFunction', 'lambda:*'),
      Resource: fc.constant(orders),
      Condition: condition,
    })
    .map((one) => JSON.parse(JSON.stringify(one)) as object);

  it('a fix leaves nobody outside in, and every other statement as it was', () => {
    fc.assert(
      fc.property(fc.array(statement, { minLength: 1, maxLength: 5 }), (statements) => {
        const before = publicGrants(text(...statements), trust);
        const after = fixed(text(...statements));
        if (typeof after === 'string') return;
        expect(publicGrants(text(...after), trust).grants).toEqual([]);
        const untouched = statements.filter((_, index) => before.grants.every((grant) => grant.index !== index));
        expect(after).toEqual(expect.arrayContaining(untouched));
        const sids = after.flatMap((one) => (one as { Sid?: string }).Sid ?? []);
        const twice = statements.flatMap((one) => (one as { Sid?: string }).Sid ?? []);
        if (new Set(twice).size === twice.length) expect(new Set(sids).size).toBe(sids.length);
      }),
      { numRuns: 500 },
    );
  });
});
