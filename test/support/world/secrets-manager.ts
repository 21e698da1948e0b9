import { createHash } from 'node:crypto';
import type {
  CreateSecretCommandInput,
  DeleteSecretCommandInput,
  DescribeSecretCommandOutput,
  GetSecretValueCommandInput,
  ListSecretsCommandInput,
  RotateSecretCommandInput,
} from '@aws-sdk/client-secrets-manager';
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
  /** What DescribeSecret says of its rotation, and of who else has to do with it. */
  rotation: Rotation;
}

type Rotation = Partial<
  Pick<
    DescribeSecretCommandOutput,
    | 'RotationEnabled'
    | 'RotationLambdaARN'
    | 'RotationRules'
    | 'LastRotatedDate'
    | 'NextRotationDate'
    | 'LastChangedDate'
    | 'OwningService'
    | 'PrimaryRegion'
  >
>;

interface Named {
  readonly SecretId: string | undefined;
}

const day = 24 * 3600_000;

/** Of the first secret in a world, so that the samples in events/ can name it. */
const firstSuffix = 'a1B2c3';

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
    const suffix = this.#secrets.size === 0 ? firstSuffix : createHash('sha256').update(this.#world.uuid()).digest('hex').slice(0, 6);
    const secret: Secret = present ?? {
      arn: `arn:aws:secretsmanager:${this.#world.region}:${this.#world.account}:secret:${Name}-${suffix}`,
      name: Name,
      description: Description,
      tags: Object.fromEntries(Tags.map(({ Key = '', Value = '' }) => [Key, Value])),
      versions: new Map([[token, SecretString]]),
      current: token,
      deletedAt: undefined,
      rotation: {},
    };
    this.#secrets.set(Name, secret);
    this.#world.tick();
    return { ARN: secret.arn, Name, VersionId: token };
  }

  describeSecret({ SecretId }: Named): object {
    const { arn, name, description, tags, current, deletedAt, rotation } = this.#secret(SecretId);
    return {
      ...rotation,
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

  /** One secret a page, so that whoever lists them goes through pages. */
  listSecrets({ NextToken = '0' }: ListSecretsCommandInput): object {
    const all = [...this.#secrets.values()].filter(({ deletedAt }) => deletedAt === undefined);
    const at = Number(NextToken);
    const SecretList = all.slice(at, at + 1).map(({ arn, current }) => {
      const { VersionIdsToStages: _, ...listed } = this.describeSecret({ SecretId: arn }) as Record<string, unknown>;
      return { ...listed, SecretVersionsToStages: { [current]: ['AWSCURRENT'] } };
    });
    return { SecretList, ...(at + 1 < all.length ? { NextToken: String(at + 1) } : {}) };
  }

  rotateSecret({ SecretId, RotationLambdaARN, RotationRules, RotateImmediately = true }: RotateSecretCommandInput): object {
    const secret = this.#secret(SecretId);
    if (secret.deletedAt !== undefined) throw marked();
    const rotator = RotationLambdaARN ?? secret.rotation.RotationLambdaARN;
    if (rotator === undefined) throw awsError('InvalidRequestException', 'No Lambda rotation function ARN is associated with this secret.');
    const rules = RotationRules ?? secret.rotation.RotationRules;
    const now = this.#world.tick();
    secret.rotation = {
      ...secret.rotation,
      RotationEnabled: true,
      RotationLambdaARN: rotator,
      ...(rules === undefined ? {} : { RotationRules: rules }),
      ...(RotateImmediately ? { LastRotatedDate: now, LastChangedDate: now } : {}),
      NextRotationDate: new Date(now.getTime() + (rules?.AutomaticallyAfterDays ?? 30) * day),
    };
    return { ARN: secret.arn, Name: secret.name, VersionId: secret.current };
  }

  /** Rotation is off: its function and schedule go on being told, its dates do not. */
  cancelRotateSecret({ SecretId }: Named): object {
    const secret = this.#secret(SecretId);
    if (secret.deletedAt !== undefined) throw marked();
    const { LastRotatedDate: _, NextRotationDate: _next, ...rest } = secret.rotation;
    secret.rotation = { ...rest, RotationEnabled: false };
    return { ARN: secret.arn, Name: secret.name };
  }

  /** What AWS says of a secret's rotation from now on. @returns the secret's ARN */
  edit(name: string, rotation: Rotation): string {
    const secret = this.#secret(name);
    secret.rotation = { ...secret.rotation, ...rotation };
    return secret.arn;
  }

  arnOf(name: string): string {
    return this.#secret(name).arn;
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
        .map(({ name, description, tags, versions, rotation }) => [
          name,
          { description, tags, versions: Object.fromEntries(versions), ...(Object.keys(rotation).length === 0 ? {} : { rotation }) },
        ]),
    );
  }

  #secret(id = ''): Secret {
    const found = [...this.#secrets.values()].find(({ arn, name }) => [arn, name, arn.slice(0, -7)].includes(id));
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
