import { functionArn, type Place, parseArn, partitionOf, qualifierOf } from './arn.ts';

/** CloudFormation's names for what a finding may be about. */
export const subjectTypes = [
  'AWS::Lambda::Function',
  'AWS::Lambda::CodeSigningConfig',
  'AWS::IAM::Role',
  'AWS::IAM::User',
  'AWS::IAM::Group',
  'AWS::IAM::ManagedPolicy',
  'AWS::SecretsManager::Secret',
  'AWS::ApiGateway::Method',
  'AWS::ApiGateway::RestApi',
  'AWS::ApiGatewayV2::Api',
  'AWS::ApiGatewayV2::Route',
  'AWS::EC2::NetworkAcl',
  'AWS::EC2::RouteTable',
  'AWS::EC2::SecurityGroup',
  'AWS::EC2::Subnet',
  'AWS::EC2::VPC',
  'AWS::CloudFormation::Stack',
  'AWS::CloudTrail::Trail',
  'AWS::CloudWatch::Alarm',
  'AWS::DynamoDB::Table',
  'AWS::Events::EventBus',
  'AWS::Events::Rule',
  'AWS::IAM::ManagedPolicy',
  'AWS::KMS::Key',
  'AWS::SNS::Topic',
  'AWS::SQS::Queue',
] as const;

/** What a rule judges and what a finding names: the thing that is wrong and would be changed. */
export interface Subject extends Place {
  readonly arn: string;
  readonly type: (typeof subjectTypes)[number];
}

/** A function, or one of its versions or aliases, from the name in an event. */
export function functionSubject(name: string, place: Place, qualifier?: string): Subject | undefined {
  const arn = functionArn(name, place);
  if (arn === undefined) return undefined;
  const { account, region } = parseArn(arn) as Place;
  const suffix = qualifier ?? qualifierOf(name);
  return { arn: suffix === undefined || suffix === '$LATEST' ? arn : `${arn}:${suffix}`, type: 'AWS::Lambda::Function', account, region };
}

/** A code signing configuration, from its ARN; it lies where that says. */
export function codeSigningSubject(arn: string, place: Place): Subject {
  const { account, region } = parseArn(arn) ?? place;
  return { arn, type: 'AWS::Lambda::CodeSigningConfig', account, region };
}

export function securityGroupSubject(id: string, place: Place): Subject {
  return networkSubject('AWS::EC2::SecurityGroup', id, place);
}

/** A secret, from its name or ARN: an ARN made of a name lacks the six characters that Secrets Manager adds. */
export function secretSubject(id: string, { account, region }: Place): Subject {
  const arn = id.startsWith('arn:') ? id : `arn:${partitionOf(region)}:secretsmanager:${region}:${account}:secret:${id}`;
  const { account: owner = account, region: home = region } = parseArn(arn) ?? {};
  return { arn, type: 'AWS::SecretsManager::Secret', account: owner, region: home };
}

/** A secret's ARN without the six characters at its end, which is how policies often name it. */
export function withoutSuffix(secretArn: string): string {
  return secretArn.replace(/-[A-Za-z0-9]{6}$/, '');
}

const networkArns = {
  'AWS::EC2::NetworkAcl': 'network-acl',
  'AWS::EC2::RouteTable': 'route-table',
  'AWS::EC2::SecurityGroup': 'security-group',
  'AWS::EC2::Subnet': 'subnet',
  'AWS::EC2::VPC': 'vpc',
} as const;

/** Part of a network, from its id. */
export function networkSubject(type: keyof typeof networkArns, id: string, { account, region }: Place): Subject {
  return { arn: `arn:${partitionOf(region)}:ec2:${region}:${account}:${networkArns[type]}/${id}`, type, account, region };
}

type ApiType = 'AWS::ApiGateway::RestApi' | 'AWS::ApiGateway::Method' | 'AWS::ApiGatewayV2::Api' | 'AWS::ApiGatewayV2::Route';

/** An API of API Gateway or a part of it, from its path: `/apis/a1b2c3d4e5/routes/r1s2t3u`. */
export function apiSubject(type: ApiType, path: string, { account, region }: Place): Subject {
  return { arn: `arn:${partitionOf(region)}:apigateway:${region}::${path}`, type, account, region };
}

/** Something of IAM: its ARN has no region, and the region of its events is that of the place. */
export function iamSubject(type: Subject['type'], resource: string, { account, region }: Place): Subject {
  return { arn: `arn:${partitionOf(region)}:iam::${account}:${resource}`, type, account, region };
}
