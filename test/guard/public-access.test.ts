import { publicAccess } from '../../guard/policy-document.ts';

// One statement, of which each row changes what it says. What AWS documents is cited; IAM is short for
// https://docs.aws.amazon.com/IAM/latest/UserGuide/ and S3 for https://docs.aws.amazon.com/AmazonS3/latest/userguide/.

const trust = { account: '111122223333', trustedAccounts: ['222222222222'], organization: 'o-a1b2c3d4e5' };
const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const grant = { Sid: 'it', Effect: 'Allow', Principal: '*' as unknown, Action: 'lambda:InvokeFunction', Resource: orders };
const rule = 'arn:aws:events:us-east-1:111122223333:rule/nightly';

type Verdict = 'public' | 'restricted' | 'unknown';
type Row = readonly [what: string, verdict: Verdict, part: unknown];

const policy = (...Statement: unknown[]) => ({ Version: '2012-10-17', Statement });
const expected = (verdict: Verdict) => ({ verdict, statements: verdict === 'restricted' ? [] : ['it'] });

// IAM/reference_policies_elements_principal.html, IAM/reference_policies_elements_notprincipal.html
const principals: readonly Row[] = [
  ['everyone', 'public', { Principal: '*' }],
  ['everyone, as AWS', 'public', { Principal: { AWS: '*' } }],
  ['everyone, in a list', 'public', { Principal: { AWS: ['*'] } }],
  ['everyone, whatever kind', 'public', { Principal: { '*': '*' } }],
  ['everyone beside the account', 'public', { Principal: { AWS: ['111122223333', '*'] } }],
  ['the account by its id', 'restricted', { Principal: { AWS: '111122223333' } }],
  ['the account by its root', 'restricted', { Principal: { AWS: 'arn:aws:iam::111122223333:root' } }],
  ['a role of the account', 'restricted', { Principal: { AWS: 'arn:aws:iam::111122223333:role/service/orders' } }],
  ['a user of the account', 'restricted', { Principal: { AWS: 'arn:aws:iam::111122223333:user/ana' } }],
  ['a session of the account', 'restricted', { Principal: { AWS: 'arn:aws:sts::111122223333:assumed-role/orders/ana' } }],
  ['a trusted account', 'restricted', { Principal: { AWS: '222222222222' } }],
  ['a role of a trusted account', 'restricted', { Principal: { AWS: 'arn:aws:iam::222222222222:role/ci' } }],
  ['another account by its id', 'public', { Principal: { AWS: '444455556666' } }],
  ['another account by its root', 'public', { Principal: { AWS: 'arn:aws:iam::444455556666:root' } }],
  ['a role of another account', 'public', { Principal: { AWS: 'arn:aws:iam::444455556666:role/example' } }],
  ['a session of another account', 'public', { Principal: { AWS: 'arn:aws:sts::444455556666:assumed-role/example/x' } }],
  ['a federated user of another account', 'public', { Principal: { AWS: 'arn:aws:sts::444455556666:federated-user/x' } }],
  ['another account in China', 'public', { Principal: { AWS: 'arn:aws-cn:iam::444455556666:root' } }],
  ['another account among trusted ones', 'public', { Principal: { AWS: ['222222222222', '111122223333', '444455556666'] } }],
  ['a role that is deleted', 'unknown', { Principal: { AWS: 'AROA1234567890EXAMPLE' } }],
  ['a user who is deleted', 'unknown', { Principal: { AWS: 'AIDA1234567890EXAMPLE' } }],
  ['some other unique id', 'unknown', { Principal: { AWS: 'AGPA1234567890EXAMPLE' } }],
  ['every account, by a wildcard that is none', 'unknown', { Principal: { AWS: 'arn:aws:iam::*:root' } }],
  ['roles elsewhere, by a wildcard that is none', 'unknown', { Principal: { AWS: 'arn:aws:iam::444455556666:role/*' } }],
  ['roles of the account, by a wildcard that is none', 'restricted', { Principal: { AWS: 'arn:aws:iam::111122223333:role/*' } }],
  ['what is no principal', 'unknown', { Principal: { AWS: 's3.amazonaws.com' } }],
  ['an account that lacks a digit', 'unknown', { Principal: { AWS: '11112222333' } }],
  ['an identity provider for the world', 'public', { Principal: { Federated: 'graph.facebook.com' } }],
  ['SAML of the account', 'restricted', { Principal: { Federated: 'arn:aws:iam::111122223333:saml-provider/corp' } }],
  ['SAML of another account', 'public', { Principal: { Federated: 'arn:aws:iam::444455556666:saml-provider/corp' } }],
  ['OIDC of the account, which may be anybody', 'unknown', { Principal: { Federated: 'arn:aws:iam::111122223333:oidc-provider/x.org' } }],
  ['an identity provider nowhere', 'unknown', { Principal: { Federated: 'arn:aws:iam::aws:saml-provider/x' } }],
  ['a canonical user', 'unknown', { Principal: { CanonicalUser: '79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be' } }],
  ['a kind of principal that AWS does not have', 'unknown', { Principal: { Robot: '111122223333' } }],
  ['something that is no wildcard', 'unknown', { Principal: { '*': 'x' } }],
  ['everybody but some', 'public', { Principal: undefined, NotPrincipal: { AWS: 'arn:aws:iam::444455556666:root' } }],
  ['everybody but the account', 'public', { Principal: undefined, NotPrincipal: { AWS: '111122223333' } }],
];

// https://docs.aws.amazon.com/lambda/latest/dg/permissions-function-services.html, IAM/confused-deputy.html
const services: readonly Row[] = [
  ['without a source', 'public', { Principal: { Service: 'sns.amazonaws.com' } }],
  ['beside the account', 'public', { Principal: { AWS: '111122223333', Service: 'events.amazonaws.com' } }],
  ['of every name', 'public', { Principal: { Service: '*' } }],
  ['a rule of the account', 'restricted', { Condition: { ArnLike: { 'AWS:SourceArn': rule } } }],
  ['a rule of a trusted account', 'restricted', { Condition: { ArnLike: { 'aws:SourceArn': 'arn:aws:events:*:222222222222:rule/x' } } }],
  ['a rule of another account', 'public', { Condition: { ArnLike: { 'aws:SourceArn': 'arn:aws:events:us-east-1:444455556666:rule/x' } } }],
  ['rules of the account anywhere', 'restricted', { Condition: { ArnLike: { 'aws:SourceArn': 'arn:aws:events:*:111122223333:*' } } }],
  ['all that is anybody’s', 'public', { Condition: { ArnLike: { 'aws:SourceArn': 'arn:aws:*:*:*:*' } } }],
  ['everything', 'public', { Condition: { ArnLike: { 'aws:SourceArn': '*' } } }],
  ['an account in part', 'public', { Condition: { ArnLike: { 'aws:SourceArn': 'arn:aws:events:us-east-1:1111*:rule/x' } } }],
  ['one of the account, one of another', 'public', { Condition: { ArnLike: { 'aws:SourceArn': [rule, rule.replace('1111', '4444')] } } }],
  [
    'an API',
    'restricted',
    {
      Principal: { Service: 'apigateway.amazonaws.com' },
      Condition: { ArnLike: { 'AWS:SourceArn': 'arn:aws:execute-api:us-east-2:111122223333:mnh1xmpli7/*/GET/' } },
    },
  ],
  [
    'a bucket: whose it is, its ARN does not say',
    'public',
    { Principal: { Service: 's3.amazonaws.com' }, Condition: { ArnLike: { 'AWS:SourceArn': 'arn:aws:s3:::my-bucket' } } },
  ],
  [
    'a bucket of the account',
    'restricted',
    {
      Principal: { Service: 's3.amazonaws.com' },
      Condition: { StringEquals: { 'AWS:SourceAccount': '111122223333' }, ArnLike: { 'AWS:SourceArn': 'arn:aws:s3:::my-bucket' } },
    },
  ],
  [
    'a bucket of another account',
    'public',
    {
      Principal: { Service: 's3.amazonaws.com' },
      Condition: { StringEquals: { 'AWS:SourceAccount': '444455556666' }, ArnLike: { 'AWS:SourceArn': 'arn:aws:s3:::my-bucket' } },
    },
  ],
  ['an account', 'restricted', { Condition: { StringEquals: { 'aws:SourceAccount': '111122223333' } } }],
  ['an account, as a number', 'restricted', { Condition: { StringEquals: { 'aws:SourceAccount': 111122223333 } } }],
  ['an owner, as it used to be', 'restricted', { Condition: { StringEquals: { 'aws:SourceOwner': '111122223333' } } }],
  ['any account', 'public', { Condition: { StringLike: { 'aws:SourceAccount': '*' } } }],
  ['an account called *', 'unknown', { Condition: { StringEquals: { 'aws:SourceAccount': '*' } } }],
  ['an account, or no account', 'public', { Condition: { StringEqualsIfExists: { 'aws:SourceAccount': '111122223333' } } }],
  ['an organization', 'restricted', { Condition: { StringEquals: { 'aws:SourceOrgID': 'o-a1b2c3d4e5' } } }],
  ['another organization', 'public', { Condition: { StringEquals: { 'aws:SourceOrgID': 'o-zzzzzzzzzz' } } }],
  ['a unit', 'restricted', { Condition: { 'ForAnyValue:StringLike': { 'aws:SourceOrgPaths': 'o-a1b2c3d4e5/r-ab12/*' } } }],
  [
    // https://docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html (EventSourceToken)
    'a skill of Alexa',
    'restricted',
    { Principal: { Service: 'alexa-appkit.amazon.com' }, Condition: { StringEquals: { 'lambda:EventSourceToken': 'amzn1.ask.skill.7' } } },
  ],
  ['Alexa', 'public', { Principal: { Service: 'alexa-appkit.amazon.com' } }],
  ['any skill', 'public', { Condition: { StringLike: { 'lambda:EventSourceToken': 'amzn1.ask.skill.*' } } }],
  // https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/lambda-edge-permissions.html
  ['replication to the edge', 'restricted', { Principal: { Service: 'replicator.lambda.amazonaws.com' }, Action: 'lambda:GetFunction' }],
  ['the edge itself', 'public', { Principal: { Service: 'edgelambda.amazonaws.com' } }],
].map(([what, verdict, part]) => [what, verdict, { Principal: { Service: 'events.amazonaws.com' }, ...(part as object) }] as Row);

/** Rows about conditions of a grant to everyone. */
const conditions = (...rows: readonly (readonly [string, Verdict, object])[]): readonly Row[] =>
  rows.map(([what, verdict, Condition]) => [what, verdict, { Condition }]);

// IAM/reference_policies_condition-keys.html
const callers = conditions(
  // https://docs.aws.amazon.com/lambda/latest/dg/permissions-function-organization.html
  ['an organization', 'restricted', { StringEquals: { 'aws:PrincipalOrgID': 'o-a1b2c3d4e5' } }],
  ['another organization', 'public', { StringEquals: { 'aws:PrincipalOrgID': 'o-t194hfs8cz' } }],
  ['two organizations', 'public', { StringEquals: { 'aws:PrincipalOrgID': ['o-a1b2c3d4e5', 'o-t194hfs8cz'] } }],
  ['any organization', 'public', { StringLike: { 'aws:PrincipalOrgID': 'o-*' } }],
  ['any organization, as a name', 'unknown', { StringEquals: { 'aws:PrincipalOrgID': 'o-*' } }],
  ['what is no organization', 'unknown', { StringEquals: { 'aws:PrincipalOrgID': 'mine' } }],
  ['all of an organization', 'restricted', { 'ForAnyValue:StringLike': { 'aws:PrincipalOrgPaths': ['o-a1b2c3d4e5/*'] } }],
  ['a unit', 'restricted', { 'ForAnyValue:StringEquals': { 'aws:PrincipalOrgPaths': 'o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/' } }],
  ['a unit of another organization', 'public', { 'ForAnyValue:StringLike': { 'aws:PrincipalOrgPaths': 'o-zzzzzzzzzz/r-ab12/*' } }],
  ['a unit of any organization', 'public', { 'ForAnyValue:StringLike': { 'aws:PrincipalOrgPaths': '*/r-ab12/ou-ab12-11111111/*' } }],
  ['organizations that begin like this one', 'public', { 'ForAnyValue:StringLike': { 'aws:PrincipalOrgPaths': 'o-a1b2c3d4e5*' } }],
  ['a path that leads nowhere', 'unknown', { 'ForAnyValue:StringEquals': { 'aws:PrincipalOrgPaths': 'o-a1b2c3d4e5' } }],
  ['a unit, or none', 'public', { 'ForAllValues:StringLike': { 'aws:PrincipalOrgPaths': 'o-a1b2c3d4e5/*' } }],
  [
    'a unit, and not none',
    'restricted',
    { 'ForAllValues:StringLike': { 'aws:PrincipalOrgPaths': 'o-a1b2c3d4e5/*' }, Null: { 'aws:PrincipalOrgPaths': 'false' } },
  ],
  ['an account', 'restricted', { StringEquals: { 'aws:PrincipalAccount': '111122223333' } }],
  ['another account', 'public', { StringEquals: { 'aws:PrincipalAccount': '444455556666' } }],
  ['nobody known', 'public', { StringEquals: { 'aws:PrincipalAccount': 'anonymous' } }],
  ['what is no account', 'unknown', { StringEquals: { 'aws:PrincipalAccount': 'prod' } }],
  ['accounts that begin so', 'public', { StringLike: { 'aws:PrincipalAccount': '11112222333?' } }],
  ['an account if there is one, and there always is', 'restricted', { StringEqualsIfExists: { 'aws:PrincipalAccount': '111122223333' } }],
  ['each account', 'restricted', { 'ForAllValues:StringEquals': { 'aws:PrincipalAccount': '111122223333' } }],
  ['a role', 'restricted', { ArnEquals: { 'aws:PrincipalArn': 'arn:aws:iam::111122223333:role/ci' } }],
  ['a role, as text', 'restricted', { StringEquals: { 'aws:PrincipalArn': 'arn:aws:iam::111122223333:role/ci' } }],
  ['a role of another account', 'public', { ArnEquals: { 'aws:PrincipalArn': 'arn:aws:iam::444455556666:role/ci' } }],
  ['roles', 'restricted', { ArnLike: { 'aws:PrincipalArn': 'arn:aws:iam::111122223333:role/*' } }],
  ['roles, as text', 'restricted', { StringLike: { 'aws:PrincipalArn': 'arn:aws:iam::111122223333:role/*' } }],
  ['roles of any account', 'public', { ArnLike: { 'aws:PrincipalArn': 'arn:aws:iam::*:role/Admin' } }],
  ['roles of any account, as text', 'public', { StringLike: { 'aws:PrincipalArn': 'arn:aws:iam::*:role/Admin' } }],
  ['roles of any account, as a name', 'unknown', { StringEquals: { 'aws:PrincipalArn': 'arn:aws:iam::*:role/Admin' } }],
  // IAM/reference_policies_elements_condition_operators.html#Conditions_ARN
  ['a service that reaches into a path', 'public', { StringLike: { 'aws:PrincipalArn': 'arn:aws:iam*:111122223333:role/x' } }],
  ['a region that may reach into a path', 'unknown', { StringLike: { 'aws:PrincipalArn': 'arn:aws:iam:*:111122223333:role/x' } }],
  ['a region that reaches on', 'unknown', { StringLike: { 'aws:SourceArn': 'arn:aws:execute-api:*:111122223333:*' } }],
  ['a region that ends at its colon', 'restricted', { ArnLike: { 'aws:SourceArn': 'arn:aws:execute-api:*:111122223333:*' } }],
  ['a region that is a star', 'restricted', { StringEquals: { 'aws:SourceArn': 'arn:aws:sns:*:111122223333:x' } }],
  ['what is no ARN', 'unknown', { ArnEquals: { 'aws:PrincipalArn': 'ci' } }],
  ['AWS’s own', 'unknown', { ArnEquals: { 'aws:PrincipalArn': 'arn:aws:iam::aws:role/x' } }],
  ['a root user', 'restricted', { StringEquals: { 'aws:userid': '111122223333' } }],
  ['a root user elsewhere', 'public', { StringEquals: { 'aws:userid': '444455556666' } }],
  ['a user, whose account is not told', 'unknown', { StringEquals: { 'aws:userid': 'AIDA1234567890EXAMPLE' } }],
  ['sessions of a role, whose account is not told', 'unknown', { StringLike: { 'aws:userid': 'AROA1234567890EXAMPLE:*' } }],
  ['a user of no id', 'unknown', { StringLike: { 'aws:userid': 'ana' } }],
  ['sessions of that name', 'public', { StringLike: { 'aws:userid': '*:ana' } }],
  // https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html
  ['an account at KMS', 'restricted', { StringEquals: { 'kms:CallerAccount': '111122223333' } }],
  ['an account at KMS, through a service', 'public', { StringEquals: { 'kms:ViaService': 'lambda.us-east-1.amazonaws.com' } }],
  // https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
  ['another function', 'restricted', { ArnEquals: { 'lambda:SourceFunctionArn': orders } }],
  ['another function elsewhere', 'public', { ArnEquals: { 'lambda:SourceFunctionArn': orders.replace('1111', '4444') } }],
);

// S3/access-control-block-public-access.html#access-control-block-public-access-policy-status
const networks = conditions(
  ['a range', 'restricted', { IpAddress: { 'aws:SourceIp': '203.0.113.0/24' } }],
  ['an address', 'restricted', { IpAddress: { 'aws:SourceIp': '203.0.113.7' } }],
  ['ranges of both families', 'restricted', { IpAddress: { 'aws:SourceIp': ['203.0.113.0/24', '2001:DB8:1234:5678::/64'] } }],
  ['an address of the sixth version', 'restricted', { IpAddress: { 'aws:SourceIp': '2001:db8::7' } }],
  ['a /8', 'restricted', { IpAddress: { 'aws:SourceIp': '54.0.0.0/8' } }],
  ['more than a /8', 'public', { IpAddress: { 'aws:SourceIp': '54.0.0.0/7' } }],
  ['a /32 of IPv6', 'restricted', { IpAddress: { 'aws:SourceIp': '2001:db8::/32' } }],
  ['more than a /32 of IPv6', 'public', { IpAddress: { 'aws:SourceIp': '2001:d00::/24' } }],
  ['the internet', 'public', { IpAddress: { 'aws:SourceIp': '0.0.0.0/0' } }],
  ['the internet of IPv6', 'public', { IpAddress: { 'aws:SourceIp': '::/0' } }],
  ['half of it', 'public', { IpAddress: { 'aws:SourceIp': '0.0.0.0/1' } }],
  ['both halves', 'public', { IpAddress: { 'aws:SourceIp': ['0.0.0.0/1', '128.0.0.0/1'] } }],
  ['a half in small pieces', 'public', { IpAddress: { 'aws:SourceIp': Array.from({ length: 128 }, (_, first) => `${first}.0.0.0/8`) } }],
  ['the internet beside a range', 'public', { IpAddress: { 'aws:SourceIp': ['203.0.113.0/24', '0.0.0.0/0'] } }],
  ['a private range, which is nobody’s address', 'restricted', { IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } }],
  ['private ranges of IPv6', 'restricted', { IpAddress: { 'aws:SourceIp': 'fc00::/7' } }],
  ['more than a private range', 'public', { IpAddress: { 'aws:SourceIp': '10.0.0.0/7' } }],
  ['all but a range', 'public', { NotIpAddress: { 'aws:SourceIp': '203.0.113.0/24' } }],
  [
    'a range less one',
    'restricted',
    { IpAddress: { 'aws:SourceIp': '54.240.143.0/24' }, NotIpAddress: { 'aws:SourceIp': '54.240.143.188/32' } },
  ],
  ['a range, where there is one', 'public', { IpAddressIfExists: { 'aws:SourceIp': '203.0.113.0/24' } }],
  ['what is no range', 'unknown', { IpAddress: { 'aws:SourceIp': '203.0.113.*' } }],
  ['what is no range, beside the internet', 'public', { IpAddress: { 'aws:SourceIp': ['office', '0.0.0.0/0'] } }],
  ['IPv4 in the clothes of IPv6', 'unknown', { IpAddress: { 'aws:SourceIp': '::ffff:0:0/96' } }],
  ['a range as text', 'unknown', { StringLike: { 'aws:SourceIp': '203.0.113.*' } }],
  ['a VPC', 'restricted', { StringEquals: { 'aws:SourceVpc': 'vpc-91237329' } }],
  ['any VPC', 'public', { StringLike: { 'aws:SourceVpc': 'vpc-*' } }],
  ['any VPC, as a name', 'unknown', { StringEquals: { 'aws:SourceVpc': 'vpc-*' } }],
  ['some VPC', 'public', { Null: { 'aws:SourceVpc': 'false' } }],
  ['a VPC endpoint', 'restricted', { StringEquals: { 'aws:SourceVpce': ['vpce-1a2b3c4d', 'vpce-2b3c4d5e'] } }],
  ['no VPC endpoint', 'unknown', { StringEquals: { 'aws:SourceVpce': '' } }],
  [
    'a VPC, if any, or a range, if any',
    'public',
    { IpAddressIfExists: { 'aws:SourceIp': '203.0.113.0/24' }, StringEqualsIfExists: { 'aws:SourceVpc': 'vpc-1' } },
  ],
  ['instances of a VPC', 'restricted', { StringEquals: { 'aws:Ec2InstanceSourceVpc': 'vpc-1' } }],
  ['an address, as text', 'unknown', { StringEquals: { 'aws:SourceIp': '203.0.113.7' } }],
  ['an address in some VPC', 'public', { IpAddress: { 'aws:VpcSourceIp': '10.1.2.3' } }],
  ['an address in a VPC', 'restricted', { IpAddress: { 'aws:VpcSourceIp': '10.1.2.3' }, StringEquals: { 'aws:SourceVpc': 'vpc-1' } }],
  ['VPC endpoints of an account', 'restricted', { StringEquals: { 'aws:VpceAccount': '111122223333' } }],
  ['VPC endpoints of an organization', 'restricted', { StringEquals: { 'aws:VpceOrgID': 'o-a1b2c3d4e5' } }],
);

// IAM/reference_policies_elements_condition_operators.html, …_condition-single-vs-multi-valued-context-keys.html
const operators = conditions(
  ['nothing', 'public', {}],
  ['no key', 'public', { StringEquals: {} }],
  ['no value, if it exists', 'public', { StringEqualsIfExists: { 'aws:SourceAccount': [] } }],
  ['no value', 'unknown', { StringEquals: { 'aws:SourceAccount': [] } }],
  ['a negation', 'public', { StringNotEquals: { 'aws:PrincipalAccount': '444455556666' } }],
  ['a negation, any case', 'public', { StringNotEqualsIgnoreCase: { 'aws:PrincipalOrgID': 'o-zzzzzzzzzz' } }],
  ['a negated pattern', 'public', { StringNotLike: { 'aws:PrincipalArn': 'arn:aws:iam::111122223333:*' } }],
  ['a negated ARN', 'public', { ArnNotEquals: { 'aws:PrincipalArn': 'arn:aws:iam::444455556666:user/x' } }],
  ['a negated ARN pattern', 'public', { ArnNotLike: { 'aws:SourceArn': rule } }],
  ['a negation of all', 'public', { 'ForAllValues:StringNotEquals': { 'aws:PrincipalOrgPaths': 'o-zzzzzzzzzz/*' } }],
  [
    'a negation beside a source',
    'restricted',
    { StringNotEquals: { 'aws:PrincipalAccount': '444455556666' }, ArnLike: { 'aws:SourceArn': rule } },
  ],
  ['any case', 'restricted', { StringEqualsIgnoreCase: { 'aws:SourceAccount': '111122223333' } }],
  ['key and operator in another case', 'restricted', { stringequals: { 'AWS:SOURCEACCOUNT': '111122223333' } }],
  ['any of the values', 'restricted', { 'ForAnyValue:StringEquals': { 'aws:SourceAccount': ['111122223333', '222222222222'] } }],
  ['any of the values, or none', 'public', { 'ForAnyValue:StringEqualsIfExists': { 'aws:SourceAccount': '111122223333' } }],
  ['all values', 'public', { 'ForAllValues:StringEquals': { 'aws:SourceAccount': '111122223333' } }],
  ['if it exists', 'public', { ArnLikeIfExists: { 'aws:SourceArn': rule } }],
  ['if it exists, which it must', 'restricted', { ArnLikeIfExists: { 'aws:SourceArn': rule }, Null: { 'aws:sourcearn': false } }],
  ['if it exists, which it must not', 'public', { ArnLikeIfExists: { 'aws:SourceArn': rule }, Null: { 'aws:SourceArn': true } }],
  ['if it exists, which another must', 'public', { ArnLikeIfExists: { 'aws:SourceArn': rule }, Null: { 'aws:SourceAccount': false } }],
  ['that it exists', 'public', { Null: { 'aws:SourceArn': 'false' } }],
  ['that it does not exist', 'public', { Null: { 'aws:SourceArn': 'true' } }],
  ['Null, if it exists, which is no operator', 'unknown', { NullIfExists: { 'aws:SourceArn': 'false' } }],
  ['an operator that AWS does not have', 'unknown', { StringMatches: { 'aws:SourceAccount': '111122223333' } }],
  ['a negation that AWS does not have', 'unknown', { BoolNotEquals: { 'aws:SecureTransport': 'true' } }],
  ['a set that AWS does not have', 'unknown', { 'ForSomeValue:StringEquals': { 'aws:SourceAccount': '111122223333' } }],
  ['an operator that does not go with the key', 'unknown', { NumericEquals: { 'aws:SourceAccount': '111122223333' } }],
  ['an ARN operator on an account', 'unknown', { ArnLike: { 'aws:SourceAccount': '111122223333' } }],
  ['binary', 'unknown', { BinaryEquals: { 'aws:SourceAccount': '111122223333' } }],
  ['a truth about an account', 'unknown', { Bool: { 'aws:SourceAccount': 'true' } }],
  ['a key that is not understood', 'unknown', { StringEquals: { 'sns:Protocol': 'https' } }],
  ['a key that is not understood, negated', 'unknown', { StringNotEquals: { 'aws:NewKey': 'x' } }],
  ['a key that is not understood, if it exists', 'unknown', { StringEqualsIfExists: { 'aws:NewKey': 'x' } }],
  ['a key that is not understood, absent', 'unknown', { Null: { 'aws:NewKey': 'true' } }],
  [
    'a key that is not understood, beside a source',
    'restricted',
    { StringEquals: { 'aws:NewKey': 'x', 'aws:SourceAccount': '111122223333' } },
  ],
  ['a key that is not understood, beside a wide source', 'unknown', { StringLike: { 'aws:NewKey': 'x', 'aws:SourceAccount': '*' } }],
  ['a key that only begins like another', 'unknown', { StringEquals: { 'aws:SourceAccounts': '111122223333' } }],
  ['a tag of nothing', 'unknown', { StringEquals: { 'aws:SourceAccount/x': '111122223333' } }],
);

// What does not tell where a caller belongs. IAM/reference_policies_condition-keys.html
const elsewhere = conditions(
  // https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
  ['a URL that asks for nothing', 'public', { StringEquals: { 'lambda:FunctionUrlAuthType': 'NONE' } }],
  ['a URL that asks for a signature, of anybody', 'public', { StringEquals: { 'lambda:FunctionUrlAuthType': 'AWS_IAM' } }],
  ['through the URL', 'public', { Bool: { 'lambda:InvokedViaFunctionUrl': 'true' } }],
  ['through a service', 'public', { Bool: { 'aws:ViaAWSService': 'true' } }],
  ['through certain services', 'public', { 'ForAnyValue:StringEquals': { 'aws:CalledVia': ['dynamodb.amazonaws.com'] } }],
  ['first through a service', 'public', { StringEquals: { 'aws:CalledViaFirst': 'cloudformation.amazonaws.com' } }],
  ['last through a service', 'public', { StringEquals: { 'aws:CalledViaLast': 'dynamodb.amazonaws.com' } }],
  ['by a service', 'public', { Bool: { 'aws:PrincipalIsAWSService': 'true' } }],
  ['by a certain service', 'public', { StringEquals: { 'aws:PrincipalServiceName': 'cloudtrail.amazonaws.com' } }],
  [
    'by a service on behalf of the account',
    'restricted',
    { Bool: { 'aws:PrincipalIsAWSService': 'true' }, StringEquals: { 'aws:SourceAccount': '111122223333' } },
  ],
  ['by people with a tag', 'public', { StringEquals: { 'aws:PrincipalTag/team': 'orders' } }],
  ['by people with a tag that looks like a key', 'public', { StringEquals: { 'aws:PrincipalTag/aws:SourceAccount': '111122223333' } }],
  ['by people of a name', 'public', { StringEquals: { 'aws:username': 'ana' } }],
  ['by people of a kind', 'public', { StringEquals: { 'aws:PrincipalType': 'AssumedRole' } }],
  ['by people who were somebody', 'public', { StringEquals: { 'aws:SourceIdentity': 'ana' } }],
  ['with a second factor', 'public', { Bool: { 'aws:MultiFactorAuthPresent': 'true' } }],
  ['with a second factor just now', 'public', { NumericLessThan: { 'aws:MultiFactorAuthAge': '3600' } }],
  ['with fresh credentials', 'public', { DateGreaterThan: { 'aws:TokenIssueTime': '2026-01-01T00:00:00Z' } }],
  ['until some day', 'public', { DateLessThan: { 'aws:CurrentTime': '2020-06-30T23:59:59Z' } }],
  ['until some second', 'public', { NumericLessThanEquals: { 'aws:EpochTime': '1593561599' } }],
  ['over TLS', 'public', { Bool: { 'aws:SecureTransport': 'true' } }],
  ['in a region', 'public', { StringEquals: { 'aws:RequestedRegion': 'us-east-1' } }],
  ['from a page', 'public', { StringLike: { 'aws:Referer': 'https://www.example.com/*' } }],
  ['with some program', 'public', { StringLike: { 'aws:UserAgent': 'orders/*' } }],
  ['to what belongs to the account', 'public', { StringEquals: { 'aws:ResourceAccount': '111122223333' } }],
  ['to what belongs to the organization', 'public', { StringEquals: { 'aws:ResourceOrgID': 'o-a1b2c3d4e5' } }],
  ['to what has a tag', 'public', { StringEquals: { 'aws:ResourceTag/stage': 'prod' } }],
);

// IAM/reference_policies_variables.html
const variables = conditions(
  ['the resource’s account', 'restricted', { StringEquals: { 'aws:SourceAccount': '${aws:ResourceAccount}' } }],
  ['the resource’s account in an ARN', 'restricted', { ArnLike: { 'aws:SourceArn': 'arn:aws:sns:*:${aws:resourceaccount}:*' } }],
  ['the resource’s organization', 'restricted', { StringEquals: { 'aws:PrincipalOrgID': '${aws:ResourceOrgID}' } }],
  [
    'the path of the resource’s organization',
    'restricted',
    { 'ForAnyValue:StringLike': { 'aws:SourceOrgPaths': '${aws:ResourceOrgID}/*' } },
  ],
  ['the caller’s own account', 'unknown', { StringEquals: { 'aws:SourceAccount': '${aws:PrincipalAccount}' } }],
  ['the caller’s tag', 'unknown', { StringEquals: { 'aws:PrincipalOrgID': '${aws:PrincipalTag/org}' } }],
  ['the caller’s account in an ARN', 'unknown', { ArnLike: { 'aws:PrincipalArn': 'arn:aws:iam::${aws:PrincipalAccount}:role/x' } }],
  ['a variable before the account', 'unknown', { ArnLike: { 'aws:SourceArn': 'arn:aws:sns:${x}:111122223333:topic' } }],
  [
    'a variable behind the account',
    'restricted',
    { ArnLike: { 'aws:PrincipalArn': 'arn:aws:iam::111122223333:role/${aws:PrincipalTag/team}' } },
  ],
  ['a VPC of the caller’s', 'unknown', { StringEquals: { 'aws:SourceVpc': '${aws:PrincipalTag/vpc}' } }],
  ['a user id of the caller’s', 'unknown', { StringLike: { 'aws:userid': '${aws:userid}' } }],
  ['a caller’s word on the organization', 'unknown', { StringLike: { 'aws:PrincipalOrgID': "${aws:PrincipalTag/org, 'o-*'}" } }],
  ['sessions of the caller’s', 'unknown', { StringLike: { 'aws:userid': '${aws:PrincipalTag/id}:*' } }],
  ['a variable whose default is open', 'unknown', { StringLike: { 'aws:SourceAccount': "${aws:PrincipalTag/a, '*'}" } }],
);

// IAM/reference_policies_grammar.html
const grammar: readonly Row[] = [
  ['no principal', 'unknown', { Principal: undefined }],
  ['no principals', 'unknown', { Principal: {} }],
  ['an empty list of principals', 'unknown', { Principal: { AWS: [] } }],
  ['an empty principal', 'unknown', { Principal: '' }],
  ['a principal that is a number', 'unknown', { Principal: { AWS: 111122223333 } }],
  ['principals said twice', 'unknown', { Principal: { AWS: '111122223333' }, NotPrincipal: { AWS: '111122223333' } }],
  ['no action', 'unknown', { Action: undefined }],
  ['actions said twice', 'unknown', { NotAction: 'lambda:*' }],
  ['all actions but one', 'public', { Action: undefined, NotAction: 'lambda:GetFunction' }],
  ['resources said twice', 'unknown', { NotResource: orders }],
  ['all resources but one', 'public', { Resource: undefined, NotResource: `${orders}:live` }],
  ['no resource, as in a role', 'public', { Resource: undefined }],
  ['an action that does not invoke', 'public', { Action: 'lambda:UpdateFunctionCode' }],
  ['an element that the grammar lacks', 'unknown', { condition: { StringEquals: { 'aws:SourceAccount': '111122223333' } } }],
  ['an effect that the grammar lacks', 'unknown', { Effect: 'allow' }],
  ['a key that records leave out', 'unknown', { Condition: { StringEquals: JSON.parse('{"__proto__":"x"}') } }],
  [
    'a key said twice, in two cases',
    'unknown',
    { Condition: { StringLike: { 'aws:SourceAccount': '111122223333', 'AWS:SourceAccount': '*' } } },
  ],
  ['an operator said twice, in two cases', 'unknown', { Condition: { Bool: {}, bool: { 'aws:SecureTransport': 'true' } } }],
  ['a condition that is a list', 'unknown', { Condition: [{ StringEquals: { 'aws:SourceAccount': '111122223333' } }] }],
];

describe.each([
  ['principals', principals],
  ['a service that is called for', services],
  ['a grant to everyone, if it is', callers],
  ['a grant to everyone, from', networks],
  ['a grant to everyone, under', operators],
  ['a grant to everyone,', elsewhere],
  ['a grant to everyone, if something is', variables],
  ['grammar:', grammar],
])('%s', (_, rows) => {
  it.each(rows)('%s: %s', (__, verdict, part) => {
    expect(publicAccess(policy({ ...grant, ...(part as object) }), trust)).toEqual(expected(verdict));
  });
});

describe('where the organization is not known', () => {
  it.each<[string, Verdict, object]>([
    ['one is as good as another', 'unknown', { StringEquals: { 'aws:PrincipalOrgID': 'o-a1b2c3d4e5' } }],
    ['so is a path', 'unknown', { 'ForAnyValue:StringLike': { 'aws:PrincipalOrgPaths': 'o-a1b2c3d4e5/*' } }],
    ['any is any', 'public', { StringLike: { 'aws:PrincipalOrgID': '*' } }],
    ['the resource’s is its own', 'restricted', { StringEquals: { 'aws:PrincipalOrgID': '${aws:ResourceOrgID}' } }],
    ['the account is the account', 'restricted', { StringEquals: { 'aws:PrincipalAccount': '111122223333' } }],
  ])('%s: %s', (_, verdict, Condition) => {
    const { organization, ...unaware } = trust;
    expect(publicAccess(policy({ ...grant, Condition }), unaware)).toEqual(expected(verdict));
  });
});

// IAM/reference_policies_evaluation-logic.html: an explicit Deny overrides.
describe('what is granted to', () => {
  const deny = { Effect: 'Deny', Principal: '*' as unknown, Action: 'lambda:*', Resource: orders };
  const outside = { StringNotEquals: { 'aws:PrincipalOrgID': 'o-a1b2c3d4e5' } };
  const account = { Principal: { AWS: '444455556666' } };
  const service = { Principal: { Service: 'sns.amazonaws.com' } };

  it.each<[string, Verdict, object, object]>([
    ['everyone, but denied to everyone', 'restricted', {}, {}],
    ['everyone, but denied to all principals by account', 'public', {}, { Principal: { AWS: '*' } }],
    ['all principals by account, but denied to them', 'restricted', { Principal: { AWS: '*' } }, { Principal: { AWS: '*' } }],
    ['an account, but denied to it', 'restricted', account, { Principal: { AWS: 'arn:aws:iam::444455556666:root' } }],
    ['a role, but denied to its account', 'restricted', { Principal: { AWS: 'arn:aws:iam::444455556666:role/x' } }, account],
    ['an account, but denied to a role of it', 'public', account, { Principal: { AWS: 'arn:aws:iam::444455556666:role/x' } }],
    ['an account, but denied to another', 'public', account, { Principal: { AWS: '555555555555' } }],
    ['an account, but denied to all services', 'public', account, { Principal: { Service: '*' } }],
    ['a service, but denied to it', 'restricted', service, service],
    ['a service, but denied to another', 'public', service, { Principal: { Service: 's3.amazonaws.com' } }],
    ['a service, but denied to all principals by account', 'public', service, { Principal: { AWS: '*' } }],
    ['an account, but denied to what is no wildcard', 'public', account, { Principal: { '*': 'x' } }],
    ['an account, but denied to all principals by account', 'restricted', account, { Principal: { AWS: '*' } }],
    ['a service, but denied to all services', 'restricted', service, { Principal: { Service: '*' } }],
    ['something not understood, but denied to everyone', 'restricted', { Principal: { CanonicalUser: '79a5' } }, {}],
    ['everyone, but denied to what is no wildcard', 'public', {}, { Principal: { '*': 'x' } }],

    ['everyone, but denied to all but the account', 'restricted', {}, { Principal: undefined, NotPrincipal: { AWS: '111122223333' } }],
    [
      'everyone, but denied to all but another',
      'public',
      {},
      { Principal: undefined, NotPrincipal: { AWS: ['111122223333', '444455556666'] } },
    ],
    ['everyone, but denied to all but a service', 'public', {}, { Principal: undefined, NotPrincipal: { Service: 'sns.amazonaws.com' } }],
    [
      'everyone, but denied to all but I do not know whom',
      'public',
      {},
      { Principal: undefined, NotPrincipal: { AWS: 'arn:aws:iam::*:root' } },
    ],

    ['everyone, but another action is denied', 'public', {}, { Action: 'lambda:GetFunction' }],
    ['everyone, but the action is denied in another case', 'restricted', {}, { Action: 'LAMBDA:invokefunction' }],
    ['everyone, but the action is denied among others', 'restricted', {}, { Action: ['lambda:GetFunction', 'lambda:Invoke*'] }],
    [
      'everyone, but only some of the actions are denied',
      'public',
      { Action: ['lambda:InvokeFunction', 'lambda:GetFunction'] },
      { Action: 'lambda:Invoke*' },
    ],
    ['everyone, but a narrower pattern is denied', 'public', { Action: 'lambda:*' }, { Action: 'lambda:Invoke*' }],
    ['everyone, but a wider pattern is denied', 'restricted', { Action: 'lambda:Invoke*' }, { Action: '*' }],
    ['everyone, but a pattern as long as its stars is denied', 'public', { Action: 'lambda:*' }, { Action: 'lambda:?' }],
    ['everyone, all actions but one, but some are denied', 'public', { Action: undefined, NotAction: 'lambda:GetFunction' }, {}],
    [
      'everyone, all actions but one, but all are denied',
      'restricted',
      { Action: undefined, NotAction: 'lambda:GetFunction' },
      { Action: '*' },
    ],
    ['everyone, but denied is all but another action', 'public', {}, { Action: undefined, NotAction: 'lambda:GetFunction' }],

    ['everyone, but for an alias it is denied', 'public', {}, { Resource: `${orders}:live` }],
    ['everyone, but for all resources it is denied', 'restricted', {}, { Resource: '*' }],
    ['everyone, but for all functions it is denied', 'restricted', {}, { Resource: 'arn:aws:lambda:*:111122223333:function:*' }],
    ['everyone, but a star would have to reach over a colon', 'public', {}, { Resource: 'arn:aws:lambda:*:function:orders' }],
    ['everyone, for all resources, but for one it is denied', 'public', { Resource: '*' }, {}],
    ['everyone, but for all others it is denied', 'public', {}, { Resource: undefined, NotResource: `${orders}:live` }],
    ['everyone, for two resources, but for one it is denied', 'public', { Resource: [orders, `${orders}:live`] }, {}],
    ['everyone, without a word on resources, but for one it is denied', 'public', { Resource: undefined }, {}],
    ['everyone, but it is denied without a word on resources', 'restricted', { Resource: undefined }, { Resource: undefined }],

    // IAM/reference_policies_condition-keys.html#condition-keys-principalorgid
    ['everyone, but denied outside the organization', 'restricted', {}, { Condition: outside }],
    [
      'everyone, but denied outside, if it exists',
      'restricted',
      {},
      { Condition: { StringNotEqualsIfExists: { 'aws:PrincipalOrgID': 'o-a1b2c3d4e5' } } },
    ],
    [
      'everyone, but denied outside another organization',
      'public',
      {},
      { Condition: { StringNotEquals: { 'aws:PrincipalOrgID': 'o-zzzzzzzzzz' } } },
    ],
    ['everyone, but denied inside', 'public', {}, { Condition: { StringEquals: { 'aws:PrincipalOrgID': 'o-a1b2c3d4e5' } } }],
    [
      'everyone, but denied outside the account',
      'restricted',
      {},
      { Condition: { StringNotEquals: { 'aws:PrincipalAccount': ['111122223333', '222222222222'] } } },
    ],
    [
      'everyone, but denied outside two accounts, one of them strange',
      'public',
      {},
      { Condition: { StringNotEquals: { 'aws:PrincipalAccount': ['111122223333', '444455556666'] } } },
    ],
    [
      'everyone, but denied to other principals',
      'restricted',
      {},
      { Condition: { ArnNotLike: { 'aws:PrincipalArn': 'arn:aws:iam::111122223333:*' } } },
    ],
    ['everyone, but denied outside a range', 'restricted', {}, { Condition: { NotIpAddress: { 'aws:SourceIp': '203.0.113.0/24' } } }],
    ['everyone, but denied outside the internet', 'public', {}, { Condition: { NotIpAddress: { 'aws:SourceIp': '0.0.0.0/0' } } }],
    ['everyone, but denied outside a VPC', 'restricted', {}, { Condition: { StringNotEquals: { 'aws:SourceVpc': 'vpc-1' } } }],
    [
      'everyone, but denied outside a VPC and a range',
      'restricted',
      {},
      { Condition: { StringNotEqualsIfExists: { 'aws:SourceVpc': 'vpc-1' }, NotIpAddressIfExists: { 'aws:SourceIp': '203.0.113.0/24' } } },
    ],
    [
      'everyone, but denied outside a unit',
      'restricted',
      {},
      { Condition: { 'ForAllValues:StringNotLike': { 'aws:PrincipalOrgPaths': 'o-a1b2c3d4e5/*' } } },
    ],
    [
      'everyone, but denied where some path is not the unit’s',
      'public',
      {},
      { Condition: { 'ForAnyValue:StringNotLike': { 'aws:PrincipalOrgPaths': 'o-a1b2c3d4e5/*' } } },
    ],
    [
      'everyone, but denied where the only path is not the unit’s',
      'public',
      {},
      { Condition: { StringNotLike: { 'aws:PrincipalOrgPaths': 'o-a1b2c3d4e5/*' } } },
    ],
    [
      'everyone, but denied where some account is not this one',
      'public',
      {},
      { Condition: { 'ForAnyValue:StringNotEquals': { 'aws:PrincipalAccount': '111122223333' } } },
    ],
    ['everyone, but denied without TLS', 'public', {}, { Condition: { Bool: { 'aws:SecureTransport': 'false' } } }],
    ['everyone, but denied without a tag', 'public', {}, { Condition: { StringNotEquals: { 'aws:PrincipalTag/team': 'orders' } } }],
    [
      'everyone, but denied outside, without a tag',
      'public',
      {},
      { Condition: { StringNotEquals: { ...outside.StringNotEquals, 'aws:ResourceTag/open': 'true' } } },
    ],
    ['everyone, but denied to those of no organization', 'public', {}, { Condition: { Null: { 'aws:PrincipalOrgID': 'true' } } }],
    ['everyone, but denied under a key that is not understood', 'public', {}, { Condition: { StringNotEquals: { 'aws:NewKey': 'x' } } }],
    [
      'everyone, but denied under an operator that is not understood',
      'public',
      {},
      { Condition: { StringUnlike: { 'aws:PrincipalOrgID': 'o-a1b2c3d4e5' } } },
    ],
    ['everyone, but denied under no value', 'public', {}, { Condition: { StringNotEquals: { 'aws:PrincipalOrgID': [] } } }],
    [
      'everyone, but denied outside their own account',
      'public',
      {},
      { Condition: { StringNotEquals: { 'aws:PrincipalAccount': '${aws:PrincipalTag/home}' } } },
    ],
    [
      'everyone, but denied outside the resource’s organization',
      'restricted',
      {},
      { Condition: { StringNotEquals: { 'aws:PrincipalOrgID': '${aws:ResourceOrgID}' } } },
    ],

    // https://github.com/aws-samples/data-perimeter-policy-examples/tree/main/resource_control_policies
    [
      'an account, but denied outside to all but services',
      'restricted',
      account,
      { Condition: { ...outside, BoolIfExists: { 'aws:PrincipalIsAWSService': 'false' } } },
    ],
    [
      'everyone, but denied outside to all but services',
      'public',
      {},
      { Condition: { ...outside, BoolIfExists: { 'aws:PrincipalIsAWSService': 'false' } } },
    ],
    [
      'all principals by account, but denied to all but services',
      'public',
      { Principal: { AWS: '*' } },
      { Condition: { ...outside, Bool: { 'aws:PrincipalIsAWSService': 'false' } } },
    ],
    [
      'a service, but denied to services for others',
      'restricted',
      service,
      { Condition: { StringNotEqualsIfExists: { 'aws:SourceOrgID': 'o-a1b2c3d4e5' }, Bool: { 'aws:PrincipalIsAWSService': 'true' } } },
    ],
    [
      'a service, but denied to services that say for whom',
      'public',
      service,
      {
        Condition: {
          StringNotEqualsIfExists: { 'aws:SourceOrgID': 'o-a1b2c3d4e5' },
          Null: { 'aws:SourceAccount': 'false' },
          Bool: { 'aws:PrincipalIsAWSService': 'true' },
        },
      },
    ],
    [
      'a service, but denied outside to all but services',
      'public',
      service,
      { Condition: { ...outside, Bool: { 'aws:PrincipalIsAWSService': 'false' } } },
    ],
    [
      'something not understood, but denied outside to all but services',
      'unknown',
      { Principal: { CanonicalUser: '79a5' } },
      { Condition: { ...outside, Bool: { 'aws:PrincipalIsAWSService': 'false' } } },
    ],
    [
      'a service, but denied to what calls itself so',
      'public',
      service,
      { Condition: { StringEquals: { 'aws:PrincipalIsAWSService': 'true' } } },
    ],
    ['a service, but denied outside the organization, where services are', 'restricted', service, { Condition: outside }],

    ['everyone, but denied in a statement that is not understood', 'public', {}, { Unless: true }],
    [
      'everyone, but denied under a key that records leave out',
      'public',
      {},
      { Condition: { StringEquals: JSON.parse('{"__proto__":"x"}') } },
    ],
  ])('%s: %s', (_, verdict, granted, denied) => {
    const statements = [
      { ...grant, ...granted },
      { ...deny, Sid: 'denial', ...denied },
    ];
    expect(publicAccess(policy(...statements), trust)).toEqual(expected(verdict));
    expect(publicAccess(policy(...statements.reverse()), trust)).toEqual(expected(verdict));
  });

  it('two, by two denials', () => {
    const both = { ...grant, Principal: { ...account.Principal, ...service.Principal } };
    expect(publicAccess(policy(both, { ...deny, ...account }), trust).verdict).toBe('public');
    expect(publicAccess(policy(both, { ...deny, ...account }, { ...deny, ...service }), trust).verdict).toBe('restricted');
  });

  it('nobody, but denied in a statement that is not understood', () => {
    expect(publicAccess(policy({ ...deny, Sid: 'denial', Unless: true }), trust)).toEqual({ verdict: 'unknown', statements: ['denial'] });
  });
});

describe('a document', () => {
  const open = { ...grant, Sid: 'open' };
  const closed = { ...grant, Sid: 'closed', Principal: { AWS: '111122223333' } };
  const odd = { ...grant, Sid: 'odd', Condition: { StringEquals: { 'aws:NewKey': 'x' } } };
  const { Sid, ...nameless } = grant;

  it.each<[string, unknown, object]>([
    ['that is missing', undefined, { verdict: 'restricted', statements: [] }],
    ['that is empty', '', { verdict: 'restricted', statements: [] }],
    ['without statements', policy(), { verdict: 'restricted', statements: [] }],
    ['with one statement outside a list', { Statement: open }, { verdict: 'public', statements: ['open'] }],
    ['as text', JSON.stringify(policy(open)), { verdict: 'public', statements: ['open'] }],
    ['as text of IAM', encodeURIComponent(JSON.stringify(policy(open))), { verdict: 'public', statements: ['open'] }],
    ['with all that is public', policy(open, closed, { ...open, Sid: 'too' }), { verdict: 'public', statements: ['open', 'too'] }],
    ['with what is public among what is not understood', policy(odd, open), { verdict: 'public', statements: ['open'] }],
    ['with what is public beside what is none', policy(7, null, open), { verdict: 'public', statements: ['open'] }],
    ['with what is not understood', policy(closed, odd), { verdict: 'unknown', statements: ['odd'] }],
    [
      'with statements that have no Sid',
      policy(closed, nameless, { ...nameless, Sid: '' }),
      { verdict: 'public', statements: ['#1', '#2'] },
    ],
    ['with what is no statement', policy(closed, 'x'), { verdict: 'unknown', statements: ['#1'] }],
    ['that is no JSON', '{', { verdict: 'unknown', statements: [] }],
    ['that is badly encoded', '%7B%', { verdict: 'unknown', statements: [] }],
    ['that is a list', [open], { verdict: 'unknown', statements: [] }],
    ['that is null', null, { verdict: 'unknown', statements: [] }],
    ['that has no statements', {}, { verdict: 'unknown', statements: [] }],
    ['whose statements are text', { Statement: 'Allow' }, { verdict: 'unknown', statements: [] }],
  ])('%s', (_, document, access) => expect(publicAccess(document, trust)).toEqual(access));
});
