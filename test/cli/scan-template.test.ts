import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { sarif } from '../../cli/formats/sarif.ts';
import { scanTemplates } from '../../cli/scan-template.ts';
import type { Options } from '../../cli/session.ts';
import { rules } from '../../rules/index.ts';
import { expectValid } from '../support/alert-schema.ts';
import { complaints } from './formats/published.ts';

const made: string[] = [];
afterAll(() => {
  for (const folder of made) rmSync(folder, { recursive: true });
});

/** A folder with these files, as a text with their names. */
function folderOf(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'templates-'));
  made.push(folder);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

async function scan(text: string, options: Options = {}, of: readonly string[] | undefined = undefined) {
  const file = join(folderOf({ 'template.yaml': text }), 'template.yaml');
  const chosen = of === undefined ? undefined : rules.filter(({ id }) => of.includes(id));
  const { result, unreadable } = await scanTemplates(file, chosen, options);
  const place = (template: unknown) => (template as { logicalId?: string } | undefined)?.logicalId ?? '-';
  return {
    result,
    unreadable,
    found: result.findings.map(({ rule, evidence }) => `${rule} ${place(evidence['template'])}`).sort(),
    unknown: result.unknown.map(({ rule, template }) => `${rule} ${place(template)}`).sort(),
  };
}

const sam = (resources: string, more = '') => `Transform: AWS::Serverless-2016-10-31\n${more}\nResources:\n${resources}`;
/** A function that keeps every rule, with more of its own. */
const fn = (name: string, more = '') =>
  `  ${name}:\n    Type: AWS::Serverless::Function\n    Properties: { Runtime: nodejs24.x, Handler: index.handler, CodeUri: src/${more === '' ? '' : `, ${more}`} }\n`;
const role = (name: string, more = '', trust = '{ Service: lambda.amazonaws.com }') =>
  `  ${name}:\n    Type: AWS::IAM::Role\n    Properties: { AssumeRolePolicyDocument: { Version: 2012-10-17, Statement: [{ Effect: Allow, Principal: ${trust}, Action: 'sts:AssumeRole' }] }${more === '' ? '' : `, ${more}`} }\n`;
const thing = (name: string, type: string, properties: string) => `  ${name}: { Type: '${type}', Properties: { ${properties} } }\n`;
const self = (action: string, of: string) => `{ Effect: Allow, Action: '${action}', Resource: 'arn:aws:iam::111122223333:${of}' }`;
const inGroup = 'VpcConfig: { SubnetIds: [!Ref SubnetA, !Ref SubnetB], SecurityGroupIds: [!Ref Group] }';
const network = [
  thing('Vpc', 'AWS::EC2::VPC', 'CidrBlock: 10.0.0.0/16'),
  thing('SubnetA', 'AWS::EC2::Subnet', "VpcId: !Ref Vpc, AvailabilityZone: !Select [0, !GetAZs '']"),
  thing('SubnetB', 'AWS::EC2::Subnet', "VpcId: !Ref Vpc, AvailabilityZone: !Select [1, !GetAZs '']"),
].join('');
const group = (more: string) => thing('Group', 'AWS::EC2::SecurityGroup', `GroupDescription: x, VpcId: !Ref Vpc, ${more}`);
const tcp = (cidr: string) => `[{ IpProtocol: tcp, FromPort: 443, ToPort: 443, CidrIp: ${cidr} }]`;
const password = 'Xk39vbQ2mmZp7Lw1';
/** Which functions have an ACL of their own, no template says here. */
const acl = 'network-acl-open Fn';

test.each<readonly [string, string, readonly string[], readonly string[]]>([
  ['a function that keeps every rule', sam(fn('Fn')), [], []],
  ['a function URL for everyone', sam(fn('Fn', 'FunctionUrlConfig: { AuthType: NONE }')), ['function-url-open Fn'], []],
  ['a function URL that asks for a signature', sam(fn('Fn', 'FunctionUrlConfig: { AuthType: AWS_IAM }')), [], []],
  [
    'a URL of an alias',
    sam(
      fn('Fn', 'AutoPublishAlias: live') + thing('Url', 'AWS::Lambda::Url', 'TargetFunctionArn: !Ref Fn, Qualifier: live, AuthType: NONE'),
    ),
    ['function-url-open Fn'],
    [],
  ],
  [
    'a URL of whatever function another stack has',
    sam(fn('Fn') + thing('Url', 'AWS::Lambda::Url', 'TargetFunctionArn: !ImportValue other, AuthType: NONE')),
    [],
    ['function-url-open Url'],
  ],
  ['a password', sam(fn('Fn', `Environment: { Variables: { DB_PASSWORD: ${password} } }`)), ['secret-in-environment Fn'], []],
  [
    'a password beside what nobody knows yet',
    sam(fn('Fn', `Environment: { Variables: { DB_PASSWORD: ${password}, OTHER: !ImportValue other } }`)),
    ['secret-in-environment Fn'],
    [],
  ],
  [
    'a password of all functions',
    sam(fn('Fn'), `Globals: { Function: { Environment: { Variables: { DB_PASSWORD: ${password} } } } }`),
    ['secret-in-environment Fn'],
    [],
  ],
  [
    'names that CloudFormation gives, whatever the variable is called',
    sam(
      fn('Fn', 'Environment: { Variables: { API_TOKEN: !Ref Tokens9x8y7z6w5v, SECRET: !Ref Secret } }') +
        thing('Tokens9x8y7z6w5v', 'AWS::DynamoDB::Table', '') +
        thing('Secret', 'AWS::SecretsManager::Secret', ''),
    ),
    [],
    [],
  ],
  [
    'a secret that is looked up at deployment',
    sam(fn('Fn', "Environment: { Variables: { DB_PASSWORD: '{{resolve:secretsmanager:db:SecretString:password}}' } }")),
    [],
    ['secret-in-environment Fn'],
  ],
  [
    'the key of a user',
    sam(
      fn('Fn', 'Environment: { Variables: { KEY: !GetAtt User.SecretAccessKey } }') + thing('User', 'AWS::IAM::AccessKey', 'UserName: x'),
    ),
    [],
    ['secret-in-environment Fn'],
  ],
  [
    'one role of two functions',
    sam(fn('A', 'Role: !GetAtt Shared.Arn') + fn('B', 'Role: !GetAtt Shared.Arn') + role('Shared')),
    ['role-shared B'],
    [],
  ],
  ['a role for each function', sam(fn('A', 'Role: !GetAtt RA.Arn') + fn('B', 'Role: !GetAtt RB.Arn') + role('RA') + role('RB')), [], []],
  [
    'a role of the account',
    sam(fn('Fn', 'Role: arn:aws:iam::000000000000:role/there')),
    [],
    ['role-shared Fn', 'role-too-broad Fn', 'role-trust-open Fn'],
  ],
  [
    'a role that is exported to other stacks',
    `${sam(fn('Fn', 'Role: !GetAtt R.Arn') + role('R'))}Outputs: { R: { Value: !GetAtt R.Arn, Export: { Name: r } } }`,
    [],
    ['role-shared R'],
  ],
  ['a role for everyone', sam(fn('Fn', 'Role: !GetAtt R.Arn') + role('R', '', "{ AWS: '*' }")), ['role-trust-open R'], []],
  [
    'a role for an account that may be the own one',
    sam(fn('Fn', 'Role: !GetAtt R.Arn') + role('R', '', '{ AWS: arn:aws:iam::111122223333:root }')),
    [],
    ['role-trust-open Fn'],
  ],
  ['an administrator, by a policy of AWS', sam(fn('Fn', 'Policies: AdministratorAccess')), ['role-too-broad Fn'], []],
  [
    'an administrator, by an inline policy',
    sam(fn('Fn', "Policies: [{ Statement: [{ Effect: Allow, Action: 'iam:*', Resource: '*' }] }]")),
    ['role-too-broad Fn'],
    [],
  ],
  [
    'an administrator within a boundary',
    sam(
      fn('Fn', 'Policies: AdministratorAccess, PermissionsBoundary: !Ref Boundary') +
        thing('Boundary', 'AWS::IAM::ManagedPolicy', "PolicyDocument: { Statement: [{ Effect: Allow, Action: 's3:*', Resource: '*' }] }"),
    ),
    [],
    [],
  ],
  [
    'an administrator whom something else may deny it',
    sam(fn('Fn', 'Policies: [AdministratorAccess, !Ref Own]'), 'Parameters: { Own: { Type: String } }'),
    [],
    ['role-too-broad Fn'],
  ],
  [
    'a role that may give itself policies, by the pattern of its name',
    sam(
      fn('Fn', 'Role: !GetAtt R.Arn') +
        role(
          'R',
          `RoleName: clerk, Policies: [{ PolicyName: p, PolicyDocument: { Statement: [${self('iam:PutRolePolicy', 'role/cl*')}] } }]`,
        ),
    ),
    ['role-too-broad R'],
    [],
  ],
  [
    'a role that may give another one policies',
    sam(
      fn('Fn', 'Role: !GetAtt R.Arn') +
        role(
          'R',
          `RoleName: clerk, Policies: [{ PolicyName: p, PolicyDocument: { Statement: [${self('iam:PutRolePolicy', 'role/other')}] } }]`,
        ),
    ),
    [],
    [],
  ],
  [
    'a role that may rewrite one of its two policies',
    sam(
      fn('Fn', 'Role: !GetAtt R.Arn') +
        role('R', 'ManagedPolicyArns: [!Ref One, !Ref Two]') +
        thing(
          'One',
          'AWS::IAM::ManagedPolicy',
          `ManagedPolicyName: one, PolicyDocument: { Statement: [${self('iam:CreatePolicyVersion', 'policy/one')}] }`,
        ) +
        thing(
          'Two',
          'AWS::IAM::ManagedPolicy',
          "ManagedPolicyName: two, PolicyDocument: { Statement: [{ Effect: Allow, Action: 's3:*', Resource: '*' }] }",
        ),
    ),
    ['role-too-broad R'],
    [],
  ],
  ["SAM's policy templates", sam(fn('Fn', 'Policies: [{ DynamoDBCrudPolicy: { TableName: x } }]')), [], []],
  [
    'a policy that is attached from outside',
    sam(
      fn('Fn', 'Role: !GetAtt R.Arn') +
        role('R') +
        thing(
          'P',
          'AWS::IAM::Policy',
          "PolicyName: p, Roles: [!Ref R], PolicyDocument: { Statement: { Effect: Allow, Action: '*', Resource: '*' } }",
        ),
    ),
    ['role-too-broad R'],
    [],
  ],
  [
    'a permission for S3 on behalf of anybody',
    sam(
      fn('Fn') + thing('P', 'AWS::Lambda::Permission', 'FunctionName: !Ref Fn, Action: lambda:InvokeFunction, Principal: s3.amazonaws.com'),
    ),
    ['function-policy-open Fn'],
    [],
  ],
  [
    'a permission for one bucket of this account',
    sam(
      fn('Fn') +
        thing('Bucket', 'AWS::S3::Bucket', '') +
        thing(
          'P',
          'AWS::Lambda::Permission',
          'FunctionName: !GetAtt Fn.Arn, Action: lambda:InvokeFunction, Principal: s3.amazonaws.com, SourceArn: !GetAtt Bucket.Arn, SourceAccount: !Ref AWS::AccountId',
        ),
    ),
    [],
    [],
  ],
  [
    'a permission for everyone, on an alias',
    sam(
      fn('Fn', 'AutoPublishAlias: live') +
        thing('P', 'AWS::Lambda::Permission', "FunctionName: !Ref Fn.Alias, Action: lambda:InvokeFunction, Principal: '*'"),
    ),
    ['function-policy-open Fn'],
    [],
  ],
  [
    'a permission on whatever function',
    sam(
      fn('Fn') + thing('P', 'AWS::Lambda::Permission', "FunctionName: !ImportValue other, Action: lambda:InvokeFunction, Principal: '*'"),
    ),
    [],
    ['function-policy-open P', 'function-url-open P'],
  ],
  [
    'a whole resource policy',
    sam(
      fn('Fn') +
        thing(
          'P',
          'AWS::Lambda::ResourcePolicy',
          "ResourceArn: !GetAtt Fn.Arn, Policy: { Version: 2012-10-17, Statement: [{ Effect: Allow, Principal: '*', Action: 'lambda:*', Resource: !GetAtt Fn.Arn }] }",
        ),
    ),
    ['function-policy-open Fn'],
    [],
  ],
  [
    'a group that lets the internet in',
    sam(fn('Fn', inGroup) + network + group(`SecurityGroupIngress: ${tcp('0.0.0.0/0')}`)),
    ['security-group-open-ingress Group'],
    [acl],
  ],
  ['a group that lets a network in', sam(fn('Fn', inGroup) + network + group(`SecurityGroupIngress: ${tcp('10.0.0.0/8')}`)), [], [acl]],
  [
    'a group that lets the internet in by a resource of its own',
    sam(
      fn('Fn', inGroup) +
        network +
        group('') +
        thing('In', 'AWS::EC2::SecurityGroupIngress', "GroupId: !GetAtt Group.GroupId, IpProtocol: '-1', CidrIpv6: '::/0'"),
    ),
    ['security-group-open-ingress Group'],
    [acl],
  ],
  [
    'a rule for whatever group',
    sam(
      fn('Fn', inGroup) +
        network +
        group('') +
        thing('In', 'AWS::EC2::SecurityGroupIngress', "GroupId: !ImportValue g, IpProtocol: '-1', CidrIp: 0.0.0.0/0"),
    ),
    [],
    [acl, 'security-group-open-ingress In'],
  ],
  [
    'a group that a database uses too',
    sam(fn('Fn', inGroup) + network + group('') + thing('Db', 'AWS::RDS::DBInstance', 'VPCSecurityGroups: [!Ref Group]')),
    ['security-group-shared Group'],
    [acl],
  ],
  [
    'a group of the account',
    sam(fn('Fn', 'VpcConfig: { SubnetIds: [!Ref SubnetA, !Ref SubnetB], SecurityGroupIds: [sg-0123456789abcdef0] }') + network),
    [],
    [acl, 'security-group-open-ingress Fn', 'security-group-shared Fn'],
  ],
  [
    'subnets of the account',
    sam(
      fn('Fn', 'VpcConfig: { SubnetIds: !Ref Subnets, SecurityGroupIds: [!Ref Group] }') + network + group(''),
      'Parameters: { Subnets: { Type: List<AWS::EC2::Subnet::Id> } }',
    ),
    [],
    [acl, 'route-unreachable Fn', 'security-group-open-ingress Fn', 'security-group-shared Fn', 'subnet-public Fn', 'subnet-single-az Fn'],
  ],
  [
    'one availability zone',
    sam(fn('Fn', 'VpcConfig: { SubnetIds: [!Ref SubnetA], SecurityGroupIds: [!Ref Group] }') + network + group('')),
    ['subnet-single-az Fn'],
    [acl],
  ],
  [
    'a subnet with a route to the internet',
    sam(
      fn('Fn', inGroup) +
        network +
        group('') +
        thing('Igw', 'AWS::EC2::InternetGateway', '') +
        thing('Table', 'AWS::EC2::RouteTable', 'VpcId: !Ref Vpc') +
        thing('Out', 'AWS::EC2::Route', 'RouteTableId: !Ref Table, DestinationCidrBlock: 0.0.0.0/0, GatewayId: !Ref Igw') +
        thing('ForA', 'AWS::EC2::SubnetRouteTableAssociation', 'RouteTableId: !Ref Table, SubnetId: !Ref SubnetA'),
    ),
    ['subnet-public SubnetA'],
    [acl],
  ],
  ['a layer of AWS', sam(fn('Fn', "Layers: ['arn:aws:lambda:us-east-1:017000801446:layer:AWSLambdaPowertoolsTypeScriptV2:1']")), [], []],
  ['a layer of its own', sam(fn('Fn', 'Layers: [!Ref Layer]') + thing('Layer', 'AWS::Serverless::LayerVersion', 'ContentUri: l/')), [], []],
  ['a layer of some account', sam(fn('Fn', "Layers: ['arn:aws:lambda:us-east-1:111122223333:layer:x:1']")), [], ['layer-foreign Fn']],
  [
    'a method of an API for everyone',
    sam(fn('Fn', 'Events: { Get: { Type: Api, Properties: { Path: /x, Method: get } } }')),
    ['rest-method-open Fn'],
    [],
  ],
  [
    'a method that the API asks an authorizer for',
    sam(
      fn('Fn', 'Events: { Get: { Type: Api, Properties: { RestApiId: !Ref Api, Path: /x, Method: get } } }') +
        thing(
          'Api',
          'AWS::Serverless::Api',
          'StageName: prod, Auth: { DefaultAuthorizer: Pool, Authorizers: { Pool: { UserPoolArn: x } } }',
        ),
    ),
    [],
    [],
  ],
  [
    'a method that is taken out of that',
    sam(
      fn('Fn', 'Events: { Get: { Type: Api, Properties: { RestApiId: !Ref Api, Path: /x, Method: get, Auth: { Authorizer: NONE } } } }') +
        thing('Api', 'AWS::Serverless::Api', 'StageName: prod, Auth: { DefaultAuthorizer: AWS_IAM }'),
    ),
    ['rest-method-open Fn'],
    [],
  ],
  [
    'a method of an API of another stack',
    sam(fn('Fn', 'Events: { Get: { Type: Api, Properties: { RestApiId: !ImportValue api, Path: /x, Method: get } } }')),
    [],
    ['rest-method-open Fn'],
  ],
  [
    'a private API',
    sam(
      fn('Fn', 'Events: { Get: { Type: Api, Properties: { RestApiId: !Ref Api, Path: /x, Method: get } } }') +
        thing('Api', 'AWS::Serverless::Api', 'StageName: prod, EndpointConfiguration: { Type: PRIVATE }'),
    ),
    [],
    [],
  ],
  ['a route of an HTTP API for everyone', sam(fn('Fn', 'Events: { Any: { Type: HttpApi } }')), ['http-route-open Fn'], []],
  [
    'routes of an HTTP API that asks for a token',
    sam(
      fn('Fn', 'Events: { Any: { Type: HttpApi } }'),
      'Globals: { HttpApi: { Auth: { DefaultAuthorizer: Jwt, Authorizers: { Jwt: {} } } } }',
    ),
    [],
    [],
  ],
  [
    'a definition in the template',
    sam(
      fn('Fn') +
        thing(
          'Api',
          'AWS::Serverless::Api',
          'StageName: prod, DefinitionBody: { openapi: 3.0.1, paths: { /x: { get: {}, post: { security: [{ key: [] }] } } } }',
        ),
    ),
    ['rest-method-open Api'],
    [],
  ],
  [
    'a definition in a file of its own',
    sam(fn('Fn') + thing('Api', 'AWS::Serverless::Api', 'StageName: prod, DefinitionUri: api.yaml')),
    [],
    ['rest-method-open Api'],
  ],
  [
    'what CloudFormation makes of an API',
    sam(
      fn('Fn') +
        thing('Api', 'AWS::ApiGateway::RestApi', 'Name: api') +
        thing('Orders', 'AWS::ApiGateway::Resource', 'RestApiId: !Ref Api, ParentId: !GetAtt Api.RootResourceId, PathPart: orders') +
        thing(
          'Get',
          'AWS::ApiGateway::Method',
          "RestApiId: !Ref Api, ResourceId: !Ref Orders, HttpMethod: GET, AuthorizationType: NONE, Integration: { Type: AWS_PROXY, Uri: !Sub 'arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Fn.Arn}/invocations' }",
        ) +
        thing(
          'Post',
          'AWS::ApiGateway::Method',
          'RestApiId: !Ref Api, ResourceId: !Ref Orders, HttpMethod: POST, AuthorizationType: AWS_IAM',
        ) +
        thing('Deployment', 'AWS::ApiGateway::Deployment', 'RestApiId: !Ref Api, StageName: prod') +
        thing('Http', 'AWS::ApiGatewayV2::Api', 'Name: http, ProtocolType: HTTP') +
        thing('To', 'AWS::ApiGatewayV2::Integration', 'ApiId: !Ref Http, IntegrationType: AWS_PROXY, IntegrationUri: !GetAtt Fn.Arn') +
        thing('Open', 'AWS::ApiGatewayV2::Route', "ApiId: !Ref Http, RouteKey: GET /, Target: !Sub 'integrations/${To}'") +
        thing('Closed', 'AWS::ApiGatewayV2::Route', 'ApiId: !Ref Http, RouteKey: POST /, AuthorizationType: AWS_IAM') +
        thing('Stage', 'AWS::ApiGatewayV2::Stage', 'ApiId: !Ref Http, StageName: $default, AutoDeploy: true'),
    ),
    ['http-route-open Open', 'rest-method-open Get'],
    [],
  ],
  [
    'whatever a condition leaves out',
    sam(
      `${fn('Fn')}  Url:\n    Type: AWS::Lambda::Url\n    Condition: Public\n    Properties: { TargetFunctionArn: !Ref Fn, AuthType: NONE }\n`,
      "Parameters: { Stage: { Type: String, Default: prod } }\nConditions: { Public: !And [!Not [!Equals [!Ref Stage, prod]], !Equals [!Ref Nothing, '']] }",
    ),
    [],
    [],
  ],
  [
    'whatever a condition may leave out',
    sam(
      `${fn('Fn')}  Url:\n    Type: AWS::Lambda::Url\n    Condition: Public\n    Properties: { TargetFunctionArn: !Ref Fn, AuthType: NONE }\n`,
      'Conditions: { Public: !Equals [!Ref AWS::AccountId, "111122223333"] }',
    ),
    [],
    ['* Url'],
  ],
  ['a nested stack', sam(fn('Fn') + thing('Nested', 'AWS::CloudFormation::Stack', 'TemplateURL: https://example.com/t')), [], ['* Nested']],
  ['a macro', `Transform: [AWS::Serverless-2016-10-31, Own]\nResources:\n${fn('Fn')}`, [], ['* -']],
  [
    'properties that a macro makes',
    sam('  Fn: { Type: AWS::Lambda::Function, Properties: { Runtime: nodejs24.x, Fn::Transform: { Name: x } } }'),
    [],
    ['* Fn'],
  ],
  ['settings of all functions that a macro makes', sam(fn('Fn'), 'Globals: { Function: { Fn::Transform: { Name: x } } }'), [], ['* -']],
  [
    'an event that there may be',
    sam(fn('Fn', 'Events: { Get: !If [May, { Type: Api }, !Ref AWS::NoValue] }'), 'Conditions: { May: !Equals [!Ref AWS::StackName, x] }'),
    [],
    ['* Fn'],
  ],
  ['an API whose stage is elsewhere', sam(fn('Fn') + thing('Api', 'AWS::ApiGateway::RestApi', 'Name: api')), [], ['rest-method-open Api']],
  ['what has no type', sam(`${fn('Fn')}  Other: { Properties: {} }\n`), [], ['* Other']],
  ['two functions of one name', sam(fn('A', 'FunctionName: same') + fn('B', 'FunctionName: same')), [], ['* B']],
])('%s', async (_, text, found, unknown) => {
  const scanned = await scan(text);
  expect({ found: scanned.found, unknown: scanned.unknown }).toEqual({ found, unknown: [...unknown].sort() });
  for (const finding of scanned.result.findings) expectValid(finding);
});

const parameters = `Parameters:
  Undecided: { Type: String }
  Looked: { Type: 'AWS::SSM::Parameter::Value<String>', Default: /x }
Mappings: { Map: { top: { second: x } } }
Conditions:
  Perhaps: !Equals [!Ref Undecided, x]
`;

/** Rule → a template in which one value decides, with a value that keeps the rule and one that breaks it. */
const decisive: Readonly<Record<string, readonly [text: (value: string) => string, good: string, bad: string]>> = {
  'function-url-open': [(value) => fn('Fn', `FunctionUrlConfig: { AuthType: ${value} }`), 'AWS_IAM', 'NONE'],
  'secret-in-environment': [
    (value) => fn('Fn', `Environment: { Variables: { DB_PASSWORD: ${value} } }`),
    'arn:aws:secretsmanager:us-east-1:000000000000:secret:x',
    password,
  ],
  'environment-without-cmk': [
    (value) => fn('Fn', `Environment: { Variables: { TABLE: x } }, KmsKeyArn: ${value}`) + thing('Key', 'AWS::KMS::Key', ''),
    '!GetAtt Key.Arn',
    '!Ref AWS::NoValue',
  ],
  'role-shared': [
    (value) => fn('A', 'Role: !GetAtt R.Arn') + fn('B', `Role: ${value}`) + role('R') + role('Own'),
    '!GetAtt Own.Arn',
    '!GetAtt R.Arn',
  ],
  'role-trust-open': [
    (value) => fn('Fn', 'Role: !GetAtt R.Arn') + role('R', '', `{ AWS: ${value} }`),
    'arn:aws:iam::000000000000:root',
    "'*'",
  ],
  'role-too-broad': [
    (value) => fn('Fn', 'Role: !GetAtt R.Arn') + role('R', `ManagedPolicyArns: [${value}]`),
    'arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole',
    'arn:aws:iam::aws:policy/AdministratorAccess',
  ],
  'function-policy-open': [
    (value) =>
      fn('Fn') + thing('P', 'AWS::Lambda::Permission', `FunctionName: !Ref Fn, Action: lambda:InvokeFunction, Principal: ${value}`),
    'arn:aws:iam::000000000000:root',
    "'*'",
  ],
  'security-group-open-ingress': [
    (value) => fn('Fn', inGroup) + network + group(`SecurityGroupIngress: ${tcp(value)}`),
    '10.0.0.0/8',
    '0.0.0.0/0',
  ],
  'security-group-open-egress': [
    (value) => fn('Fn', inGroup) + network + group(`SecurityGroupEgress: [{ IpProtocol: '-1', CidrIp: ${value} }]`),
    '10.0.0.0/8',
    '0.0.0.0/0',
  ],
  'subnet-single-az': [
    (value) =>
      fn('Fn', inGroup) +
      group('') +
      thing('SubnetA', 'AWS::EC2::Subnet', 'AvailabilityZone: us-east-1a') +
      thing('SubnetB', 'AWS::EC2::Subnet', `AvailabilityZone: ${value}`),
    'us-east-1b',
    'us-east-1a',
  ],
  'layer-foreign': [
    (value) => fn('Fn', `Layers: [${value}]`) + thing('Layer', 'AWS::Lambda::LayerVersion', ''),
    '!Ref Layer',
    'arn:aws:lambda:us-east-1:999999999999:layer:x:1',
  ],
  'http-route-open': [
    (value) => fn('Fn', `Events: { Any: { Type: HttpApi, Properties: { Auth: { Authorizer: ${value} } } } }`),
    'AWS_IAM',
    'NONE',
  ],
  'rest-method-open': [
    (value) => fn('Fn', `Events: { Get: { Type: Api, Properties: { Path: /, Method: get, Auth: { Authorizer: ${value} } } } }`),
    'AWS_IAM',
    'NONE',
  ],
};
const given: Options = { account: '000000000000', region: 'us-east-1' };
const cases = Object.entries(decisive).map(([rule, parts]) => [rule, ...parts] as const);

test.each(cases)('%s: one value makes the difference', async (rule, text, good, bad) => {
  expect(await scan(sam(text(good), parameters), given, [rule])).toMatchObject({ found: [], unknown: [] });
  const broken = await scan(sam(text(bad), parameters), given, [rule]);
  expect(broken.found.map((one) => one.split(' ')[0])).toEqual([rule]);
  // The same by a condition that a parameter decides.
  const decided = sam(text(`!If [Perhaps, ${bad}, ${good}]`), parameters);
  expect((await scan(decided, { ...given, parameter: 'Undecided=x' }, [rule])).found).toEqual(broken.found);
  expect(await scan(decided, { ...given, parameter: 'Undecided=y' }, [rule])).toMatchObject({ found: [], unknown: [] });
});

test('a value that cannot be resolved makes a rule neither kept nor broken, however it is put', async () => {
  const leaf = fc.constantFrom<((good: string, bad: string) => string)[]>(
    () => '!Ref Undecided',
    () => '!Ref Looked',
    () => '!Ref Nowhere',
    () => '!ImportValue other',
    () => "'{{resolve:ssm:/x}}'",
    () => "!Sub '${Undecided}'",
    () => '!GetAtt Nested.Outputs.X',
    (good, bad) => `!If [Perhaps, ${good}, ${bad}]`,
    (good, bad) => `!If [Perhaps, ${bad}, ${good}]`,
    () => '!FindInMap [Map, top, !Ref Undecided]',
    () => '!FindInMap [Map, top, third]',
    () => '{ Fn::Transform: { Name: x } }',
  );
  const wrapping = fc.constantFrom<((value: string) => string)[]>(
    (value) => value,
    (value) => `!Select [0, [${value}]]`,
    (value) => `!Join ['', [${value}]]`,
    (value) => `!If [Perhaps, ${value}, ${value}]`,
    (value) => `!Select [0, !Split [',', ${value}]]`,
    (value) => `!Sub ['\${x}', { x: ${value} }]`,
  );
  const one = fc.tuple(fc.constantFrom(...cases), leaf, fc.array(wrapping, { maxLength: 3 }));
  await fc.assert(
    fc.asyncProperty(one, async ([[rule, text, good, bad], unsaid, wraps]) => {
      // What is not there cannot be put into a list.
      const value = (bad.includes('NoValue') ? [] : wraps).reduce((made, wrap) => wrap(made), unsaid(good, bad));
      const scanned = await scan(sam(text(value), parameters), given, [rule]);
      expect(scanned.found).toEqual([]);
      expect(scanned.unknown.map((each) => each.split(' ')[0])).toContain(rule);
      expect(scanned.unreadable).toBe(false);
    }),
    { numRuns: 150 },
  );
}, 120_000);

describe('files', () => {
  test('a folder: templates are found, other files and what tools made are left out, and what is broken is named', async () => {
    const json = {
      Resources: {
        Fn: { Type: 'AWS::Lambda::Function', Properties: { Role: { 'Fn::GetAtt': ['R', 'Arn'] } } },
        R: {
          Type: 'AWS::IAM::Role',
          Properties: { AssumeRolePolicyDocument: { Statement: { Effect: 'Allow', Principal: '*', Action: 'sts:*' } } },
        },
      },
    };
    const folder = folderOf({
      'a/template.yaml': sam(fn('Fn', 'FunctionUrlConfig: { AuthType: NONE }')),
      'b/stack.template.json': JSON.stringify(json, null, '\t'),
      'broken.yaml': 'Resources:\n  Fn: { Type: [',
      'twice.yaml': 'Resources:\n  Fn: { Type: x }\n  Fn: { Type: y }\n',
      'values.yaml': 'resources: { limits: {} }\n',
      'broken-but-no-template.yaml': 'a: [',
      'package.json': '{}',
      'node_modules/x/template.yaml': 'Resources: [',
      '.aws-sam/build/template.yaml': 'Resources: [',
      'README.md': 'Resources:',
    });
    const { result, unreadable } = await scanTemplates(folder, undefined, {});
    const places = result.findings.map(({ rule, evidence }) => ({ rule, ...(evidence['template'] as object) }));
    expect(places).toEqual([
      { rule: 'function-url-open', file: expect.stringMatching(/a\/template\.yaml$/), line: 4, logicalId: 'Fn' },
      { rule: 'role-trust-open', file: expect.stringMatching(/b\/stack\.template\.json$/), line: 14, logicalId: 'R' },
    ]);
    expect(result.unknown).toMatchObject(
      [/\/broken\.yaml$/, /\/twice\.yaml$/].map((file) => ({
        rule: '*',
        resource: expect.stringMatching(file),
        why: expect.stringMatching(/^TemplateUnreadable: line \d/),
        template: { file: expect.stringMatching(file), line: 1 },
      })),
    );
    expect(unreadable).toBe(true);
  });

  test('links are followed, without end as well; what is too large is unknown, and what is left out is told', async () => {
    const told: string[] = [];
    jest.spyOn(console, 'error').mockImplementation((text) => void told.push(String(text)));
    const text = sam(fn('Fn', 'FunctionUrlConfig: { AuthType: NONE }'));
    const long = `# ${'x'.repeat(4_000_000)}\n`;
    const elsewhere = folderOf({ 'far.yaml': text });
    const folder = folderOf({
      'large.yaml': `Resources: {}\n${long}`,
      'large.json': long,
      'a.yaml.tmpl': text,
      'b.cfn': text,
      'c.md': text,
    });
    symlinkSync(elsewhere, join(folder, 'linked'));
    symlinkSync(folder, join(folder, 'round'));
    const { result, unreadable } = await scanTemplates(folder, undefined, {});
    expect(result.findings.map(({ evidence }) => evidence['template'])).toMatchObject([
      { file: expect.stringMatching(/linked\/far\.yaml$/) },
    ]);
    const large = { resource: expect.stringMatching(/\/large\.yaml$/), why: 'it is larger than any template' };
    expect({ unknown: result.unknown, unreadable }).toMatchObject({ unknown: [large], unreadable: true });
    expect(told).toEqual([expect.stringMatching(/^Left out of .*: 3 files \(.*a\.yaml\.tmpl, .*b\.cfn, .*large\.json\), not named/)]);
  });

  test('a file that is no template, and one that is not there', async () => {
    const folder = folderOf({ 'x.yaml': 'a: 1', 'y/z.txt': 'a' });
    expect((await scanTemplates(join(folder, 'x.yaml'), undefined, {})).unreadable).toBe(true);
    await expect(scanTemplates(join(folder, 'y'), undefined, {})).rejects.toThrow('There is no template');
    await expect(scanTemplates(join(folder, 'nowhere'), undefined, {})).rejects.toThrow('cannot be read');
  });

  const ten = (name: string) => `[${Array(10).fill(name).join()}]`;
  const bomb = [...'bcdefgh'].map((key, index) => `${key}: &${key} ${ten(`*${'abcdefg'[index]}`)}`).join('\n');
  test.each([
    ['a bomb of aliases', `a: &a ${ten('x')}\n${bomb}\nResources: { Fn: { Type: x, Properties: { x: *h } } }`],
    ['brackets without end', `Resources:\n  Fn: ${'['.repeat(100_000)}`],
    ['an alias of nothing', 'Resources: { Fn: *nothing }'],
  ])('%s', async (_, text) => {
    const { result, unreadable } = await scan(text);
    expect(result.findings).toEqual([]);
    expect(unreadable).toBe(true);
  });
});

test('what a template could say is asked for by its name', async () => {
  const text = sam(fn('Fn', 'FunctionUrlConfig: { AuthType: !Ref Auth }'), 'Parameters: { Auth: { Type: String } }');
  const [one] = (await scan(text)).result.unknown;
  expect(one?.why).toBe('the parameter Auth has no default: give --parameter Auth=…');
  expect((await scan(text, { parameter: 'Auth=NONE' })).found).toEqual(['function-url-open Fn']);
  expect(await scan(text, { parameter: 'Auth=AWS_IAM' })).toMatchObject({ found: [], unknown: [] });
});

test('a parameter of the stack counts beside those of the templates', async () => {
  const template = sam(
    fn('Fn', "Layers: ['arn:aws:lambda:us-east-1:111122223333:layer:x:1'], FunctionUrlConfig: { AuthType: !Ref Auth }"),
    'Parameters: { Auth: { Type: String } }',
  );
  const parameter = 'Auth=NONE\nLayerForeignAccounts=111122223333';
  expect(await scan(template, { account: '444455556666', parameter })).toMatchObject({ found: ['function-url-open Fn'], unknown: [] });
  const off = { account: '111122223333', parameter: 'FunctionUrlOpenMode=off\nAuth=NONE' };
  expect(await scan(template, off)).toMatchObject({ found: [], unknown: [] });
  const wrong = (given: string) => scan(template, { parameter: given });
  await expect(wrong('Aut=NONE')).rejects.toThrow('There is no parameter Aut, of a template or of the stack; there is Auth.');
  expect((await scan('Resources: {', { parameter: 'Stage=prod' })).unreadable).toBe(true);
  await expect(wrong('LayersForeignAccounts=x')).rejects.toThrow('; there is LayerForeignMode, LayerForeignDelay,');
});

test('a layer of an account is the own one, or another, once the account is given', async () => {
  const text = sam(fn('Fn', "Layers: ['arn:aws:lambda:us-east-1:111122223333:layer:x:1']"));
  expect(await scan(text, { account: '111122223333' })).toMatchObject({ found: [], unknown: [] });
  expect(await scan(text, { account: '444455556666' })).toMatchObject({ found: ['layer-foreign Fn'], unknown: [] });
});

test.each<readonly [string, Options, readonly string[] | undefined, string]>([
  ['a rule that says nothing of templates', { rule: 'code-drifted' }, ['code-drifted'], 'scan the account'],
  ['several regions', { region: 'us-east-1,eu-west-1' }, undefined, 'one region'],
  ['an account that is none', { account: '1' }, undefined, '12 digits'],
  ['a parameter without a value', { parameter: 'Stage' }, undefined, 'takes <Name>=<value>'],
])('refuses %s', async (_, options, of, message) => {
  await expect(scan(sam(fn('Fn')), options, of)).rejects.toThrow(message);
});

test("the guard's own templates break none of its rules, and leave nothing unknown", async () => {
  for (const path of ['template.yaml', 'template.global.yaml']) {
    const { result, unreadable } = await scanTemplates(join(import.meta.dirname, '../..', path), rules, {});
    expect({ findings: result.findings, unknown: result.unknown, unreadable }).toEqual({ findings: [], unknown: [], unreadable: false });
  }
}, 60_000);

test('code scanning is shown file and line', async () => {
  const { result } = await scan(sam(fn('Fn', 'FunctionUrlConfig: { AuthType: NONE }, Role: !ImportValue r')));
  const stats = { events: 0, subscribed: 0, skipped: 0, failed: 0, resources: 1, calls: 0, seconds: 0 };
  const log = JSON.parse(sarif({ ...result, stats }));
  expect(complaints('sarif', log)).toEqual([]);
  const place = { artifactLocation: { uri: expect.stringMatching(/template\.yaml$/) }, region: { startLine: 4 } };
  expect(log.runs[0].results[0].locations[0].physicalLocation).toEqual(place);
  expect(log.runs[0].invocations[0].toolExecutionNotifications[0].locations[0].physicalLocation).toEqual(place);
});
