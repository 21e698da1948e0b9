import { createHash } from 'node:crypto';
import type { Ledger } from '../../guard/ledger.ts';
import type { EventBody } from '../support/events.ts';
import { sample } from '../support/events.ts';
import type { World } from '../support/world/index.ts';

/** A function or group that breaks a rule, so that its fix has every kind of step that it can have. */
export interface SetUp {
  readonly arrange: (world: World, ledger: Ledger) => void | Promise<void>;
  /** What tells the checker: an event, or a message of a sweep. */
  readonly event: EventBody;
  /** Stack parameters without which the rule would not fix it. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** Somebody deletes what is being fixed. */
  readonly remove: (world: World) => void;
  /** Being deleted is what the rule is about: the finding then stays open, and the refused fix is told. */
  readonly missed?: true;
}

const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const payments = 'arn:aws:lambda:us-east-1:111122223333:function:payments';
const pipeline = 'arn:aws:iam::111122223333:role/pipeline';
const shared = 'arn:aws:iam::111122223333:role/shared-app';
const group = 'sg-0a1b2c3d4e5f60718';
const archive = 'guard-archive';
const key = 'arn:aws:kms:us-east-1:111122223333:key/0a1b2c3d-4e5f-4a5b-8c6d-7e8f9a0b1c2d';

const zip = (text: string) => ({ ZipFile: Buffer.from(text) });
const allow = (Action: string | readonly string[], Resource: string) => ({ Effect: 'Allow', Action, Resource });
const document = (...Statement: readonly object[]) => JSON.stringify({ Version: '2012-10-17', Statement });
const removeOrders = ({ lambda }: World) => void lambda.deleteFunction({ FunctionName: 'orders' });

/** The pipeline's code is approved, and somebody else's runs. */
async function withForeignCode({ lambda, s3 }: World, ledger: Ledger): Promise<void> {
  lambda.createFunction({ FunctionName: 'orders', Code: zip('approved package') });
  lambda.publishVersion({ FunctionName: 'orders' });
  lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
  lambda.updateFunctionCode({ FunctionName: 'orders', ...zip('foreign package') });
  lambda.publishVersion({ FunctionName: 'orders' });
  lambda.updateAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '2' });
  const sha256 = createHash('sha256').update('approved package').digest('base64');
  const place = { Bucket: archive, Key: 'orders/approved.zip' };
  const { VersionId: version } = s3.putObject({ ...place, Body: 'approved package', ChecksumSHA256: sha256 }) as { VersionId: string };
  await ledger.recordBaseline({
    function: orders,
    state: 'approved',
    package: { type: 'Zip', sha256, archive: { bucket: place.Bucket, key: place.Key, version }, architecture: 'arm64' },
    approvedHashes: [sha256],
    aliases: { live: { version: '1', weights: {} } },
    by: pipeline,
    at: '2026-11-22T11:00:00Z',
    asOf: Date.parse('2026-11-22T11:00:00Z'),
    revision: 1,
  });
}

/** One for every rule that fixes something; a rule without one fails the tests. */
export const setUps: Readonly<Record<string, SetUp>> = {
  'role-shared': {
    arrange: async ({ iam, lambda, now, resourcePolicies }, ledger) => {
      iam.createRole({ RoleName: 'shared-app', Tags: [{ Key: 'team', Value: 'shop' }] });
      iam.attachRolePolicy({ RoleName: 'shared-app', PolicyArn: 'arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole' });
      const PolicyDocument = document(allow('s3:GetObject', 'arn:aws:s3:::orders-data/*'));
      iam.putRolePolicy({ RoleName: 'shared-app', PolicyName: 'work', PolicyDocument });
      resourcePolicies.put('arn:aws:s3:::orders-data');
      lambda.createFunction({ FunctionName: 'payments', Role: shared });
      await ledger.recordRoles({ function: payments, asOf: now, role: shared, liveRoles: [] });
      lambda.createFunction({ FunctionName: 'orders', Role: shared });
    },
    event: sample('CreateFunction20150331/role-shared.json'),
    parameters: { RoleSharedSplitRoles: shared },
    remove: removeOrders,
  },
  'role-too-broad': {
    arrange: async ({ iam, lambda, now }, ledger) => {
      const RoleName = 'orders-role';
      const role = `arn:aws:iam::111122223333:role/${RoleName}`;
      iam.createRole({ RoleName });
      iam.createPolicy({ PolicyName: 'access', PolicyDocument: document(allow('s3:GetObject', '*')) });
      const access = 'arn:aws:iam::111122223333:policy/access';
      iam.attachRolePolicy({ RoleName, PolicyArn: access });
      lambda.createFunction({ FunctionName: 'orders', Role: role });
      await ledger.recordRoles({ function: orders, asOf: now, role, liveRoles: [] });
      const state = { attached: [access], inline: [], versions: { [access]: 'v1' } };
      await ledger.recordKept('role-too-broad', role, { state, asOf: 1 });
      iam.createPolicyVersion({ PolicyArn: access, PolicyDocument: document(allow('sts:*', '*')), SetAsDefault: true });
      iam.putRolePolicy({ RoleName, PolicyName: 'quick-fix', PolicyDocument: document(allow('iam:*', '*')) });
      iam.attachRolePolicy({ RoleName, PolicyArn: 'arn:aws:iam::aws:policy/AdministratorAccess' });
    },
    event: sample('AttachRolePolicy/administrator.json'),
    remove: ({ iam }) => iam.forgetRole('orders-role'),
  },
  'role-trust-open': {
    arrange: async ({ iam, lambda, now }, ledger) => {
      const RoleName = 'orders-role';
      const role = `arn:aws:iam::111122223333:role/${RoleName}`;
      const trust = { Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com', AWS: '*' }, Action: 'sts:AssumeRole' };
      iam.createRole({ RoleName, AssumeRolePolicyDocument: document(trust) });
      lambda.createFunction({ FunctionName: 'orders', Role: role });
      await ledger.recordRoles({ function: orders, asOf: now, role, liveRoles: [] });
    },
    event: sample('UpdateAssumeRolePolicy/everyone.json'),
    remove: ({ iam }) => iam.forgetRole('orders-role'),
  },
  'secret-in-environment': {
    arrange: ({ iam, lambda }) => {
      // Joined from parts, so that the secret scanners of code hosts find nothing here.
      const DB_PASSWORD = ['Tr0ub4dor', '&3', 'Zebra'].join('');
      const SETTINGS = ['ghp', '_aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5'].join('');
      lambda.createFunction({ FunctionName: 'orders', Environment: { Variables: { DB_PASSWORD, SETTINGS, STAGE: 'prod' } } });
      iam.createRole({ RoleName: 'orders' });
      const secrets = 'arn:aws:secretsmanager:us-east-1:111122223333:secret:compliance-guard/orders/*';
      const PolicyDocument = document(allow('secretsmanager:GetSecretValue', secrets));
      iam.putRolePolicy({ RoleName: 'orders', PolicyName: 'secrets', PolicyDocument });
    },
    event: sample('UpdateFunctionConfiguration20150331v2/secret-variables.json'),
    parameters: { SecretInEnvironmentReaders: 'orders' },
    remove: removeOrders,
  },
  'environment-without-cmk': {
    arrange: ({ iam, lambda, resourcePolicies }) => {
      lambda.createFunction({ FunctionName: 'orders', Environment: { Variables: { STAGE: 'prod' } } });
      const root = { AWS: 'arn:aws:iam::111122223333:root' };
      resourcePolicies.put(key, { Version: '2012-10-17', Statement: [{ ...allow('kms:*', '*'), Principal: root }] });
      iam.createRole({ RoleName: 'orders' });
      iam.putRolePolicy({ RoleName: 'orders', PolicyName: 'key', PolicyDocument: document(allow('kms:Decrypt', key)) });
      iam.createRole({ RoleName: 'pipeline' });
      iam.putRolePolicy({ RoleName: 'pipeline', PolicyName: 'key', PolicyDocument: document(allow('kms:*', key)) });
    },
    event: sample('UpdateFunctionConfiguration20150331v2/secret-variables.json'),
    parameters: { EnvironmentWithoutCmkArn: key },
    remove: removeOrders,
  },
  'secret-not-rotated': {
    arrange: async ({ lambda, secretsManager, now }, ledger) => {
      const rotator = 'arn:aws:lambda:us-east-1:111122223333:function:SecretsManagerRotation';
      lambda.createFunction({ FunctionName: 'SecretsManagerRotation' });
      secretsManager.createSecret({ Name: 'prod/db', SecretString: 'not of this test' });
      const schedule = { RotationRules: { AutomaticallyAfterDays: 30 }, RotateImmediately: false };
      secretsManager.rotateSecret({ SecretId: 'prod/db', RotationLambdaARN: rotator, ...schedule });
      secretsManager.cancelRotateSecret({ SecretId: 'prod/db' });
      const DB_SECRET_ARN = secretsManager.arnOf('prod/db');
      lambda.createFunction({ FunctionName: 'orders', Environment: { Variables: { DB_SECRET_ARN } } });
      await ledger.recordSecrets({ function: orders, asOf: now, secrets: [DB_SECRET_ARN] });
    },
    event: sample('CancelRotateSecret/by-arn.json'),
    remove: ({ secretsManager }) => void secretsManager.deleteSecret({ SecretId: 'prod/db' }),
  },
  'function-url-open': {
    arrange: ({ lambda }) => {
      const named = { FunctionName: 'orders', Principal: '*' };
      lambda.createFunction({ FunctionName: 'orders' });
      lambda.createFunctionUrlConfig({ FunctionName: 'orders', AuthType: 'NONE' });
      const invokeUrl = { Action: 'lambda:InvokeFunctionUrl', FunctionUrlAuthType: 'NONE' as const };
      lambda.addPermission({ ...named, StatementId: 'FunctionURLAllowPublicAccess', ...invokeUrl });
      const invoke = { Action: 'lambda:InvokeFunction', InvokedViaFunctionUrl: true };
      lambda.addPermission({ ...named, StatementId: 'FunctionURLInvokeAllowPublicAccess', ...invoke });
    },
    event: sample('CreateFunctionUrlConfig/none.json'),
    remove: removeOrders,
  },
  'function-policy-open': {
    arrange: ({ lambda }) => {
      lambda.createFunction({ FunctionName: 'orders' });
      const everyone = { Effect: 'Allow', Principal: { AWS: ['*', '111122223333'] }, Action: 'lambda:InvokeFunction', Resource: orders };
      const fromBuckets = { ...everyone, Sid: 'buckets', Principal: { Service: 's3.amazonaws.com' } };
      lambda.putResourcePolicy({ ResourceArn: orders, Policy: document(everyone, fromBuckets) });
    },
    event: sample('AddPermission20150331v2/everyone.json'),
    remove: removeOrders,
  },
  'rest-method-open': {
    arrange: (world) => {
      const restApiId = 'a1b2c3d4e5';
      world.apiGateway.createRestApi({ id: restApiId });
      world.apiGateway.createMethod({ restApiId, path: '/orders', httpMethod: 'GET' });
      world.apiGateway.createDeployment({ restApiId, stageName: 'prod' });
      world.advance(3600);
    },
    event: sample('CreateDeployment/rest.json'),
    remove: ({ apiGateway }) => void apiGateway.deleteRestApi({ restApiId: 'a1b2c3d4e5' }),
  },
  'http-route-open': {
    arrange: (world) => {
      const { apiGatewayV2 } = world;
      const named = { ApiId: 'a1b2c3d4e5', RouteId: 'r1s2t3u' };
      apiGatewayV2.createApi({ ...named, Name: 'shop' });
      const { IntegrationId } = apiGatewayV2.createIntegration({ ...named, IntegrationUri: orders });
      apiGatewayV2.createRoute({ ...named, RouteKey: 'GET /orders', Target: `integrations/${IntegrationId}` });
      const { DeploymentId = '' } = apiGatewayV2.createDeployment(named);
      apiGatewayV2.createStage({ ...named, StageName: 'prod', DeploymentId });
      world.advance(3600);
    },
    event: sample('CreateDeployment/http.json'),
    remove: ({ apiGatewayV2 }) => void apiGatewayV2.deleteApi({ ApiId: 'a1b2c3d4e5' }),
  },
  'security-group-open-ingress': {
    arrange: async ({ ec2, lambda, now }, ledger) => {
      const subnet = 'subnet-0a1b2c3d4e5f60718';
      ec2.createSecurityGroup({ GroupId: group, GroupName: 'orders' });
      const web = { IpProtocol: 'tcp', FromPort: 443, ToPort: 443 };
      const ranges = { IpRanges: [{ CidrIp: '0.0.0.0/0', Description: 'web' }], Ipv6Ranges: [{ CidrIpv6: '::/0' }] };
      ec2.authorizeSecurityGroupIngress({
        GroupId: group,
        IpPermissions: [{ ...web, ...ranges }],
        TagSpecifications: [{ ResourceType: 'security-group-rule', Tags: [{ Key: 'ticket', Value: 'SHOP-7' }] }],
      });
      lambda.createFunction({ FunctionName: 'orders', VpcConfig: { SubnetIds: [subnet], SecurityGroupIds: [group] } });
      await ledger.recordNetwork({ function: orders, asOf: now, groups: [group], subnets: [subnet] });
    },
    event: sample('AuthorizeSecurityGroupIngress/nested.json'),
    remove: ({ ec2 }) => void ec2.deleteSecurityGroup({ GroupId: group }),
  },
  'guard-tampered': {
    arrange: ({ lambda }) => {
      lambda.createFunction({ FunctionName: 'guard-check-apis' });
      lambda.createEventSourceMapping({ FunctionName: 'guard-check-apis', UUID: '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0' });
      lambda.putFunctionConcurrency({ FunctionName: 'guard-check-apis', ReservedConcurrentExecutions: 0 });
      lambda.updateEventSourceMapping({ UUID: '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0', Enabled: false });
    },
    event: sample('PutFunctionConcurrency20171031/own.json'),
    remove: ({ lambda }) => void lambda.deleteFunction({ FunctionName: 'guard-check-apis' }),
    missed: true,
  },
  'security-group-open-egress': {
    arrange: async ({ ec2, lambda, now }, ledger) => {
      const subnet = 'subnet-0a1b2c3d4e5f60718';
      ec2.createSecurityGroup({ GroupId: group, GroupName: 'orders' });
      lambda.createFunction({ FunctionName: 'orders', VpcConfig: { SubnetIds: [subnet], SecurityGroupIds: [group] } });
      await ledger.recordNetwork({ function: orders, asOf: now, groups: [group], subnets: [subnet] });
    },
    event: sample('AuthorizeSecurityGroupEgress/everywhere.json'),
    parameters: { SecurityGroupOpenEgressAllow: 'tcp/443/0.0.0.0/0' },
    remove: ({ ec2 }) => void ec2.deleteSecurityGroup({ GroupId: group }),
  },
  'route-unreachable': {
    arrange: async ({ ec2, lambda, now }, ledger) => {
      const [VpcId, subnet, table, nat] = [
        'vpc-0a1b2c3d4e5f60718',
        'subnet-0a1b2c3d4e5f60718',
        'rtb-0a1b2c3d4e5f60718',
        'nat-0a1b2c3d4e5f60718',
      ];
      const [publicSubnet, publicTable, igw] = ['subnet-0f0e0d0c0b0a09080', 'rtb-0f0e0d0c0b0a09080', 'igw-0a1b2c3d4e5f60718'];
      const [acl, tag] = ['acl-0a1b2c3d4e5f60718', 'compliance-guard:destinations'];
      ec2.createSubnet({ SubnetId: subnet, CidrBlock: '10.0.1.0/24' });
      ec2.createSubnet({ SubnetId: publicSubnet, CidrBlock: '10.0.2.0/24' });
      const everywhere = { DestinationCidrBlock: '0.0.0.0/0', State: 'active', Origin: 'CreateRoute' } as const;
      ec2.put(
        'routeTables',
        { RouteTableId: table, VpcId, Routes: [{ ...everywhere, GatewayId: igw }], Associations: [{ SubnetId: subnet }] },
        { RouteTableId: publicTable, VpcId, Routes: [], Associations: [{ SubnetId: publicSubnet }] },
      );
      ec2.createNetworkAcl({ NetworkAclId: acl, Subnets: [subnet, publicSubnet] });
      const all = { RuleNumber: 100, Protocol: '-1', RuleAction: 'allow', CidrBlock: '0.0.0.0/0' } as const;
      for (const Egress of [false, true]) ec2.createNetworkAclEntry({ NetworkAclId: acl, ...all, Egress });
      ec2.createSecurityGroup({ GroupId: group, GroupName: 'orders' });
      ec2.put('natGateways', { NatGatewayId: nat, VpcId, SubnetId: publicSubnet, State: 'available' });
      ec2.put('internetGateways', { InternetGatewayId: igw, Attachments: [{ VpcId }] });
      const VpcConfig = { SubnetIds: [subnet], SecurityGroupIds: [group] };
      lambda.createFunction({ FunctionName: 'orders', VpcConfig, Tags: { [tag]: 'internet' } });
      const live = [{ version: '$LATEST', vpc: VpcId, subnets: [subnet], groups: [group], ipv6: false }];
      const needs = { tags: { [tag]: 'internet' }, destinations: ['internet'], live };
      await ledger.recordNeeds({ function: orders, asOf: now - 1000, places: [table], needs });
      const state = {
        [table]: [{ DestinationCidrBlock: '0.0.0.0/0', NatGatewayId: nat }],
        [publicTable]: [{ DestinationCidrBlock: '0.0.0.0/0', GatewayId: igw }],
      };
      await ledger.recordKept('route-unreachable', orders, { state, asOf: now - 1000 });
    },
    event: sample('ReplaceRoute/other-target.json'),
    remove: removeOrders,
  },
  'network-acl-open': {
    arrange: async ({ ec2, lambda, now }, ledger) => {
      const [NetworkAclId, subnet] = ['acl-0a1b2c3d4e5f60718', 'subnet-0a1b2c3d4e5f60718'];
      const entry = { RuleAction: 'allow', Protocol: '-1', CidrBlock: '0.0.0.0/0', Egress: false } as const;
      ec2.createNetworkAcl({ NetworkAclId, Subnets: [subnet] });
      for (const RuleNumber of [80, 100]) ec2.createNetworkAclEntry({ NetworkAclId, ...entry, RuleNumber });
      const entries = [
        { RuleNumber: 90, Egress: false, RuleAction: 'deny', Protocol: '-1', CidrBlock: '0.0.0.0/0' },
        { RuleNumber: 100, Egress: false, RuleAction: 'allow', Protocol: '-1', CidrBlock: '10.0.0.0/16' },
      ];
      const arn = `arn:aws:ec2:us-east-1:111122223333:network-acl/${NetworkAclId}`;
      await ledger.recordKept('network-acl-open', arn, { state: { entries }, asOf: now - 1000 });
      lambda.createFunction({ FunctionName: 'orders', VpcConfig: { SubnetIds: [subnet], SecurityGroupIds: [group] } });
      await ledger.recordNetwork({ function: orders, asOf: now, groups: [group], subnets: [subnet] });
    },
    event: sample('CreateNetworkAclEntry/allow-everyone.json'),
    remove: ({ ec2 }) => {
      const { NetworkAclId } = ec2.createNetworkAcl().NetworkAcl as { NetworkAclId: string };
      ec2.replaceNetworkAclAssociation({ AssociationId: 'aclassoc-00000000000000001', NetworkAclId });
      ec2.deleteNetworkAcl({ NetworkAclId: 'acl-0a1b2c3d4e5f60718' });
    },
  },
  'direct-deploy-permission': {
    arrange: async ({ iam }, ledger) => {
      iam.createUser({ UserName: 'ana' });
      const denied = ['CreateFunction', 'UpdateAlias', 'UpdateFunctionCode', 'UpdateFunctionConfiguration', 'PublishLayerVersion'];
      const denial = { Effect: 'Deny', Action: denied.map((action) => `lambda:${action}`), Resource: '*' };
      iam.createPolicy({ PolicyName: 'guard-denial', PolicyDocument: document(denial) });
      const state = { rights: {}, groups: [], known: true };
      await ledger.recordKept('direct-deploy-permission', 'arn:aws:iam::111122223333:user/ana', { state, asOf: 1 });
      iam.putUserPolicy({ UserName: 'ana', PolicyName: 'hotfix', PolicyDocument: document(allow('lambda:*', '*')) });
    },
    event: sample('PutUserPolicy/lambda.json'),
    parameters: { Deployers: pipeline },
    remove: ({ iam }) => iam.forgetUser('ana'),
  },
  'function-outside-vpc': {
    arrange: async ({ ec2, lambda, now }, ledger) => {
      const network = { SubnetIds: ['subnet-0a1b2c3d4e5f60718'], SecurityGroupIds: [group] };
      ec2.createSubnet({ SubnetId: 'subnet-0a1b2c3d4e5f60718' });
      ec2.createSecurityGroup({ GroupId: group, GroupName: 'orders' });
      const state = { ...network, Ipv6AllowedForDualStack: false };
      await ledger.recordKept('function-outside-vpc', orders, { state, asOf: now });
      lambda.createFunction({ FunctionName: 'orders', Tags: { 'compliance-guard:vpc-required': 'true' } });
      lambda.updateFunctionConfiguration({ FunctionName: 'orders', VpcConfig: { SubnetIds: [], SecurityGroupIds: [] } });
    },
    event: sample('UpdateFunctionConfiguration20150331v2/vpc.json'),
    remove: removeOrders,
  },
  'subnet-public': {
    arrange: async ({ ec2, lambda, now }, ledger) => {
      const [subnet, RouteTableId] = ['subnet-0a1b2c3d4e5f60718', 'rtb-0a1b2c3d4e5f60718'];
      ec2.createSubnet({ SubnetId: subnet });
      ec2.put('routeTables', { RouteTableId, VpcId: 'vpc-0a1b2c3d4e5f60718', Routes: [], Associations: [{ SubnetId: subnet }] });
      ec2.createRoute({ RouteTableId, DestinationCidrBlock: '0.0.0.0/0', GatewayId: 'igw-0a1b2c3d4e5f60718' });
      lambda.createFunction({ FunctionName: 'orders', VpcConfig: { SubnetIds: [subnet], SecurityGroupIds: [group] } });
      await ledger.recordNetwork({ function: orders, asOf: now, groups: [group], subnets: [subnet] });
    },
    event: sample('CreateRoute/internet-gateway.json'),
    remove: ({ ec2 }) => void ec2.deleteSubnet({ SubnetId: 'subnet-0a1b2c3d4e5f60718' }),
  },
  'code-changed-by-hand': {
    arrange: withForeignCode,
    event: sample('UpdateFunctionCode20150331v2/code-by-hand.json'),
    parameters: { Deployers: pipeline },
    remove: removeOrders,
  },
  'code-drifted': {
    arrange: withForeignCode,
    event: { sweep: 'daily', subject: { arn: orders, type: 'AWS::Lambda::Function', account: '111122223333', region: 'us-east-1' } },
    parameters: { Deployers: pipeline },
    remove: removeOrders,
  },
  'code-signing-off': {
    arrange: ({ lambda }) => {
      lambda.createCodeSigningConfig({ CodeSigningPolicies: { UntrustedArtifactOnDeployment: 'Enforce' } });
      lambda.createFunction({ FunctionName: 'orders' });
    },
    event: sample('DeleteFunctionCodeSigningConfig/removed.json'),
    parameters: { CodeSigningOffConfigArn: 'arn:aws:lambda:us-east-1:111122223333:code-signing-config:csc-00000000000000000' },
    remove: removeOrders,
  },
  'layer-foreign': {
    arrange: async ({ lambda }, ledger) => {
      const own = 'arn:aws:lambda:us-east-1:111122223333:layer:shared:7';
      lambda.publishLayer(own, Buffer.from('our own'));
      lambda.createFunction({ FunctionName: 'orders', Layers: [own, 'arn:aws:lambda:us-east-1:444455556666:layer:helper:1'] });
      await ledger.recordKept('layer-foreign', orders, { state: [own], asOf: 1 });
    },
    event: sample('UpdateFunctionConfiguration20150331v2/layer-foreign.json'),
    remove: removeOrders,
  },
};
