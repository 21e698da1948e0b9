import { createHash } from 'node:crypto';
import type { HeadObjectCommandInput } from '@aws-sdk/client-s3';
import { awsError, type Service, type Surroundings } from './service.ts';

interface ObjectVersion {
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly contentType: string | undefined;
  /** Kept only where the writer sent one, as S3 shows it. */
  readonly checksum: string | undefined;
}

interface Put {
  readonly Bucket: string | undefined;
  readonly Key: string | undefined;
  readonly Body: Uint8Array | string;
  readonly ContentType?: string | undefined;
  readonly ChecksumSHA256?: string | undefined;
  readonly IfNoneMatch?: string | undefined;
}

type Head = Pick<HeadObjectCommandInput, 'Bucket' | 'Key' | 'VersionId' | 'ChecksumMode'>;

/** S3 with versioned buckets, each of which is there when it is first used. https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html */
export class S3Service implements Service {
  readonly #world: Surroundings;
  readonly #objects = new Map<string, readonly ObjectVersion[]>();

  constructor(world: Surroundings) {
    this.#world = world;
  }

  putObject({ Bucket = '', Key = '', Body, ContentType, ChecksumSHA256, IfNoneMatch }: Put): object {
    const bytes = new Uint8Array(Buffer.from(Body as Uint8Array));
    const versions = this.#objects.get(place(Bucket, Key)) ?? [];
    if (IfNoneMatch === '*' && versions.length > 0) {
      throw awsError('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold', 412);
    }
    const digest = createHash('sha256').update(bytes).digest('base64');
    if (ChecksumSHA256 !== undefined && ChecksumSHA256 !== digest) {
      throw awsError('BadDigest', 'The SHA256 you specified did not match the calculated checksum.');
    }
    const version = { id: this.#world.uuid(), bytes, contentType: ContentType, checksum: ChecksumSHA256 };
    this.#objects.set(place(Bucket, Key), [...versions, version]);
    this.#world.tick();
    return { VersionId: version.id, ...(ChecksumSHA256 === undefined ? {} : { ChecksumSHA256 }) };
  }

  headObject({ Bucket = '', Key = '', VersionId, ChecksumMode }: Head): object {
    const found = this.#version(Bucket, Key, VersionId);
    // An answer to HEAD has no body, hence no code: the SDK makes its name of the status.
    if (found === undefined) throw awsError('NotFound', 'UnknownError', 404);
    return {
      VersionId: found.id,
      ContentLength: found.bytes.byteLength,
      ContentType: found.contentType,
      ...(ChecksumMode === 'ENABLED' && found.checksum !== undefined ? { ChecksumSHA256: found.checksum } : {}),
    };
  }

  /** Takes every version away, as a lifecycle rule or an intruder would. */
  remove(bucket: string, key: string): void {
    this.#objects.delete(place(bucket, key));
  }

  /** The keys in a bucket. */
  keys(bucket: string): readonly string[] {
    return [...this.#objects.keys()].filter((key) => key.startsWith(`${bucket}/`)).map((key) => key.slice(bucket.length + 1));
  }

  /** What lies in a bucket, for services that read it (Lambda, when code comes from S3). */
  object(bucket: string, key: string, version?: string): Uint8Array | undefined {
    return this.#version(bucket, key, version)?.bytes;
  }

  snapshot(): unknown {
    return Object.fromEntries(
      [...this.#objects].map(([key, versions]) => [key, versions.map(({ bytes }) => Buffer.from(bytes).toString('base64'))]),
    );
  }

  #version(bucket: string, key: string, version: string | undefined): ObjectVersion | undefined {
    const versions = this.#objects.get(place(bucket, key)) ?? [];
    return version === undefined ? versions.at(-1) : versions.find(({ id }) => id === version);
  }
}

function place(bucket: string, key: string): string {
  return `${bucket}/${key}`;
}
