import { awsError, page, type Service, type Surroundings } from './service.ts';

interface Grant {
  readonly GrantId: string;
  readonly GranteePrincipal: string;
  readonly Operations: readonly string[];
}

/**
 * Policies on buckets, queues, topics, secrets, tables and keys, by the ARN of the resource, and grants of keys.
 * A resource exists as soon as something was put on it.
 */
export class ResourcePolicies implements Service {
  readonly #world: Surroundings;
  readonly #policies = new Map<string, string | undefined>();
  readonly #grants = new Map<string, Grant[]>();
  readonly #keys = new Map<string, object>();

  constructor(world: Surroundings) {
    this.#world = world;
  }

  /** @param policy left out: the resource is there and has none */
  put(arn: string, policy?: object): void {
    this.#policies.set(arn, policy === undefined ? undefined : JSON.stringify(policy));
  }

  /** What a key is where it is not an ordinary one of the customer's. */
  key(arn: string, metadata: object): void {
    this.#keys.set(arn, metadata);
  }

  describeKey({ KeyId }: { KeyId: string }): object {
    if (!this.#keys.has(KeyId)) this.#of(KeyId, 'NotFoundException');
    const ordinary = { KeyManager: 'CUSTOMER', KeyState: 'Enabled', KeySpec: 'SYMMETRIC_DEFAULT' };
    return { KeyMetadata: { Arn: KeyId, ...ordinary, ...this.#keys.get(KeyId) } };
  }

  grant(keyArn: string, GranteePrincipal: string): void {
    const grants = this.#grants.get(keyArn) ?? [];
    this.#grants.set(keyArn, [...grants, { GrantId: this.#world.uuid(), GranteePrincipal, Operations: ['Decrypt'] }]);
  }

  getBucketPolicy({ Bucket, ExpectedBucketOwner }: { Bucket: string; ExpectedBucketOwner: string | undefined }): object {
    if (ExpectedBucketOwner !== this.#world.account) throw awsError('AccessDenied', 'Access Denied', 403);
    const Policy = this.#of(`arn:aws:s3:::${Bucket}`, 'NoSuchBucket');
    if (Policy === undefined) throw awsError('NoSuchBucketPolicy', 'The bucket policy does not exist', 404);
    return { Policy };
  }

  getQueueUrl({ QueueName }: { QueueName: string }): object {
    this.#of(`arn:aws:sqs:${this.#world.region}:${this.#world.account}:${QueueName}`, 'QueueDoesNotExist');
    return { QueueUrl: `https://sqs.${this.#world.region}.amazonaws.com/${this.#world.account}/${QueueName}` };
  }

  getQueueAttributes({ QueueUrl }: { QueueUrl: string }): object {
    const name = QueueUrl.slice(QueueUrl.lastIndexOf('/') + 1);
    const Policy = this.#of(`arn:aws:sqs:${this.#world.region}:${this.#world.account}:${name}`, 'QueueDoesNotExist');
    return Policy === undefined ? {} : { Attributes: { Policy } };
  }

  getTopicAttributes({ TopicArn }: { TopicArn: string }): object {
    return { Attributes: { TopicArn, Policy: this.#of(TopicArn, 'NotFoundException') ?? '' } };
  }

  /** The operation of Secrets Manager (a name or an ARN) and of DynamoDB, which share it. */
  getResourcePolicy(input: { SecretId?: string; ResourceArn?: string }): object {
    if (input.SecretId === undefined) {
      const Policy = this.#of(input.ResourceArn ?? '', 'ResourceNotFoundException');
      if (Policy === undefined) throw awsError('PolicyNotFoundException', 'Resource-based policy not found', 400);
      return { Policy };
    }
    const { SecretId } = input;
    const arn = [...this.#policies.keys()].find(
      (known) => known === SecretId || known.replace(/-\w{6}$/, '').endsWith(`:secret:${SecretId}`),
    );
    return { ARN: arn, ResourcePolicy: this.#of(arn ?? SecretId, 'ResourceNotFoundException') };
  }

  getKeyPolicy({ KeyId }: { KeyId: string }): object {
    return { Policy: this.#of(KeyId, 'NotFoundException'), PolicyName: 'default' };
  }

  listGrants({ KeyId, Marker, Limit = 50 }: { KeyId: string; Marker?: string; Limit?: number }): object {
    const { items, next } = page(this.#grants.get(KeyId) ?? [], Marker, Limit);
    return { Grants: items, Truncated: next !== undefined, NextMarker: next };
  }

  snapshot(): unknown {
    return { policies: Object.fromEntries(this.#policies), grants: Object.fromEntries(this.#grants) };
  }

  #of(arn: string, missing: string): string | undefined {
    if (!this.#policies.has(arn)) throw awsError(missing, `${arn} does not exist`, 404);
    return this.#policies.get(arn);
  }
}
