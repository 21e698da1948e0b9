import { type Arn, parseArn } from './arn.ts';
import type { Statement } from './policy-document.ts';

/** A resource that may have a policy of its own, and what its service needs to know to read that. */
export type GuardedResource =
  | { readonly service: 's3' | 'sqs'; readonly arn: string; readonly name: string }
  | { readonly service: 'sns' | 'kms' | 'dynamodb' | 'secretsmanager'; readonly arn: string }
  | { readonly service: 'lambda'; readonly arn: string; readonly name: string; readonly qualifier: string | undefined };

interface Policy {
  readonly name: string;
  readonly statements: readonly Statement[];
}

/**
 * Services whose resources have no policy that could name a role of this account: they have none at all, or (log
 * groups, X-Ray, parameters) only such as let services or other accounts in.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_aws-services-that-work-with-iam.html
 */
const withoutPolicies: ReadonlySet<string> = new Set([
  'logs',
  'xray',
  'cloudwatch',
  'ec2',
  'ssm',
  'states',
  'firehose',
  'cognito-idp',
  'rds-data',
  'rds-db',
]);

/**
 * The resources that a role's policies name and that have policies of their own. A pattern on such a service, another
 * account's or another region's resource, and a service that the guard cannot read are a `doubt`: one sentence.
 */
export function reachOf(
  policies: readonly Policy[],
  roleArn: string,
  functionArn: string,
): { readonly doubt: string } | { readonly resources: readonly GuardedResource[] } {
  const { partition = '', account = '' } = parseArn(roleArn) ?? {};
  const home = { partition, account, region: parseArn(functionArn)?.region ?? '' };
  const resources = new Map<string, GuardedResource>();
  for (const { name, statements } of policies) {
    for (const statement of statements) {
      if (statement.Effect !== 'Allow') continue;
      for (const named of statement.Resource ?? ['*']) {
        const arn = parseArn(named);
        if (arn === undefined || /[*?$]/.test(arn.service)) {
          const action = widestOf(statement);
          if (action === undefined) continue;
          return {
            doubt: `The policy ${name} allows ${action} on ${named}: the policies of everything that this covers cannot be read, and one may name the role.`,
          };
        }
        if (/^\d{12}$/.test(arn.account) && arn.account !== account) {
          return { doubt: `The policy ${name} reaches ${named}, and what another account lets the role do cannot be read.` };
        }
        if (withoutPolicies.has(arn.service)) continue;
        const found = guarded(named, arn, home);
        if (found === undefined)
          return { doubt: `The policy ${name} names ${named}: who else decides over it cannot be read, and may name the role.` };
        resources.set(`${found.service} ${found.arn}`, found);
      }
    }
  }
  return { resources: [...resources.values()] };
}

/** An action of a statement on a service whose resources may have policies. */
function widestOf({ Action, NotAction = [] }: Statement): string | undefined {
  if (Action === undefined) return `everything but ${NotAction.join(', ')}`;
  return Action.find((action) => !withoutPolicies.has(action.split(':', 1)[0]?.toLowerCase() ?? ''));
}

/** The one resource that an ARN names, or undefined where it is a pattern, elsewhere, or of a service not known here. */
function guarded(named: string, arn: Arn, home: Pick<Arn, 'partition' | 'account' | 'region'>): GuardedResource | undefined {
  const { service, resource } = arn;
  if (arn.partition !== home.partition) return undefined;
  if (service === 's3') {
    const bucket = /^([a-z0-9.-]+)(?:\/.*)?$/s.exec(resource)?.[1];
    return bucket === undefined || arn.region !== '' || arn.account !== ''
      ? undefined
      : { service, arn: `arn:${home.partition}:s3:::${bucket}`, name: bucket };
  }
  if (arn.account !== home.account || arn.region !== home.region) return undefined;
  const prefix = named.slice(0, -resource.length);
  switch (service) {
    case 'sqs':
      return /^[\w-]+(\.fifo)?$/.test(resource) ? { service, arn: named, name: resource } : undefined;
    case 'sns':
      return /^[\w-]+(\.fifo)?$/.test(resource) ? { service, arn: named } : undefined;
    case 'kms':
      return /^key\/[\w-]+$/.test(resource) ? { service, arn: named } : undefined;
    case 'dynamodb': {
      const owner = /^(table\/[\w.-]+)(?:\/index\/.*)?$/.exec(resource)?.[1] ?? /^table\/[\w.-]+\/stream\/[\w:.-]+$/.exec(resource)?.[0];
      return owner === undefined ? undefined : { service, arn: `${prefix}${owner}` };
    }
    case 'secretsmanager': {
      // AWS ends a secret's ARN with a hyphen and six random characters, which policies often leave open.
      const secret = /^secret:([\w/+=.@-]+?)(-\?{6})?$/.exec(resource);
      if (secret === null) return undefined;
      return { service, arn: secret[2] === undefined ? named : (secret[1] ?? named) };
    }
    case 'lambda': {
      const [, name, qualifier] = /^function:([\w-]+)(?::([\w$-]+))?$/.exec(resource) ?? [];
      return name === undefined ? undefined : { service, arn: named, name, qualifier };
    }
    default:
      return undefined;
  }
}

/** The reads of resource policies that it takes, as aws/ declares them. */
interface Reader {
  getBucketPolicy(input: { Bucket: string; ExpectedBucketOwner: string }): Promise<{ readonly Policy?: string | undefined }>;
  getQueuePolicy(input: { QueueName: string }): Promise<string | undefined>;
  getTopicAttributes(input: { TopicArn: string }): Promise<{ readonly Attributes?: Readonly<Record<string, string>> | undefined }>;
  getSecretPolicy(input: { SecretId: string }): Promise<{ readonly ResourcePolicy?: string | undefined }>;
  getTablePolicy(input: { ResourceArn: string }): Promise<{ readonly Policy?: string | undefined }>;
  getPolicy(input: { FunctionName: string; Qualifier: string | undefined }): Promise<{ readonly Policy?: string | undefined }>;
  getKeyPolicy(input: { KeyId: string; PolicyName: string }): Promise<{ readonly Policy?: string | undefined }>;
  listGrants(input: { KeyId: string }): Promise<readonly unknown[]>;
}

/** Everything that decides over a resource besides IAM, as JSON. */
export async function documentsOf(aws: Reader, resource: GuardedResource, account: string): Promise<readonly string[]> {
  switch (resource.service) {
    case 's3':
      return texts((await aws.getBucketPolicy({ Bucket: resource.name, ExpectedBucketOwner: account })).Policy);
    case 'sqs':
      return texts(await aws.getQueuePolicy({ QueueName: resource.name }));
    case 'sns':
      return texts((await aws.getTopicAttributes({ TopicArn: resource.arn })).Attributes?.['Policy']);
    case 'secretsmanager':
      return texts((await aws.getSecretPolicy({ SecretId: resource.arn })).ResourcePolicy);
    case 'dynamodb':
      return texts((await aws.getTablePolicy({ ResourceArn: resource.arn })).Policy);
    case 'lambda':
      return texts((await aws.getPolicy({ FunctionName: resource.name, Qualifier: resource.qualifier })).Policy);
    case 'kms':
      return texts(
        (await aws.getKeyPolicy({ KeyId: resource.arn, PolicyName: 'default' })).Policy,
        JSON.stringify(await aws.listGrants({ KeyId: resource.arn })),
      );
  }
}

function texts(...documents: readonly (string | undefined)[]): readonly string[] {
  return documents.filter((document) => document !== undefined && document !== '') as string[];
}
