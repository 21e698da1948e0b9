import { createHash } from 'node:crypto';
import type { CreateSecretCommandInput, DeleteSecretCommandInput, GetSecretValueCommandInput } from '@aws-sdk/client-secrets-manager';
import { awsError, type Service, type Surroundings } from './service.ts';

interface Secret {
  readonly arn: string;
  readonly name: string;
  readonly description: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
  /** Version id → value. */
  readonly versions: Map<string, string>;
  current: string;
  deletedAt: Date | undefined;
}

interface Named {
  readonly SecretId: string | undefined;
}

const day = 24 * 3600_000;

/** Secrets Manager, as far as the guard uses it. https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Operations.html */
export class SecretsManagerService implements Service {
  readonly #world: Surroundings;
  readonly #secrets = new Map<string, Secret>();

  constructor(world: Surroundings) {
    this.#world = world;
  }

  createSecret({ Name = '', ClientRequestToken, SecretString = '', Description, Tags = [] }: CreateSecretCommandInput): object {
    const token = ClientRequestToken ?? this.#world.uuid();
    if (token.length < 32 || token.length > 64)
      throw awsError('InvalidParameterException', 'ClientRequestToken must be 32-64 characters long.');
    if (!/^[\w/+=.@-]{1,512}$/.test(Name)) throw awsError('ValidationException', 'Invalid name.');
    const present = this.#secrets.get(Name);
    if (present?.deletedAt !== undefined) {
      throw awsError(
        'InvalidRequestException',
        "You can't create this secret because a secret with this name is already scheduled for deletion.",
      );
    }
    if (present !== undefined && present.versions.get(token) !== SecretString) {
      throw awsError('ResourceExistsException', `The operation failed because the secret ${Name} already exists.`);
    }
    // AWS adds six characters of its own to the name. https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html
    const suffix = createHash('sha256').update(this.#world.uuid()).digest('hex').slice(0, 6);
    const secret: Secret = present ?? {
      arn: `arn:aws:secretsmanager:${this.#world.region}:${this.#world.account}:secret:${Name}-${suffix}`,
      name: Name,
      description: Description,
      tags: Object.fromEntries(Tags.map(({ Key = '', Value = '' }) => [Key, Value])),
      versions: new Map([[token, SecretString]]),
      current: token,
      deletedAt: undefined,
    };
    this.#secrets.set(Name, secret);
    this.#world.tick();
    return { ARN: secret.arn, Name, VersionId: token };
  }

  describeSecret({ SecretId }: Named): object {
    const { arn, name, description, tags, current, deletedAt } = this.#secret(SecretId);
    return {
      ARN: arn,
      Name: name,
      Description: description,
      Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })),
      VersionIdsToStages: { [current]: ['AWSCURRENT'] },
      ...(deletedAt === undefined ? {} : { DeletedDate: deletedAt }),
    };
  }

  getSecretValue({ SecretId, VersionId }: GetSecretValueCommandInput): object {
    const secret = this.#secret(SecretId);
    if (secret.deletedAt !== undefined) throw marked();
    const SecretString = secret.versions.get(VersionId ?? secret.current);
    if (SecretString === undefined) throw missing();
    return { ARN: secret.arn, Name: secret.name, SecretString, VersionId: VersionId ?? secret.current };
  }

  deleteSecret({ SecretId, RecoveryWindowInDays = 30 }: DeleteSecretCommandInput): object {
    const secret = this.#secret(SecretId);
    if (secret.deletedAt !== undefined) throw marked();
    secret.deletedAt = new Date(this.#world.tick().getTime() + RecoveryWindowInDays * day);
    return { ARN: secret.arn, Name: secret.name, DeletionDate: secret.deletedAt };
  }

  restoreSecret({ SecretId }: Named): object {
    const secret = this.#secret(SecretId);
    secret.deletedAt = undefined;
    return { ARN: secret.arn, Name: secret.name };
  }

  /** The secrets that are there, by their names. */
  names(): readonly string[] {
    return [...this.#secrets.values()].filter(({ deletedAt }) => deletedAt === undefined).map(({ name }) => name);
  }

  /** A secret that is scheduled for deletion can be recovered, and otherwise counts as gone. */
  snapshot(): unknown {
    return Object.fromEntries(
      [...this.#secrets.values()]
        .filter(({ deletedAt }) => deletedAt === undefined)
        .map(({ name, description, tags, versions }) => [name, { description, tags, versions: Object.fromEntries(versions) }]),
    );
  }

  #secret(id = ''): Secret {
    const found = [...this.#secrets.values()].find(({ arn, name }) => id === arn || id === name);
    if (found === undefined) throw missing();
    return found;
  }
}

function missing(): Error {
  return awsError('ResourceNotFoundException', "Secrets Manager can't find the specified secret.");
}

function marked(): Error {
  return awsError('InvalidRequestException', "You can't perform this operation on the secret because it was marked for deletion.");
}
