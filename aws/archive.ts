import { GetFunctionCommand } from '@aws-sdk/client-lambda';
import { HeadObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import type { Call, Connection } from '../guard/call.ts';
import { errorKind, errorName, PackageUnreadable, RetryLater } from '../guard/errors.ts';
import type { ArchivedObject } from '../guard/estate.ts';
import { clientPerRegion, patience } from './clients.ts';
import { getFunction, keysThroughLambda, lambdaClient } from './lambda.ts';

const archive = '${Archive.Arn}/*';
const key = '${Key.Arn}';

const s3 = clientPerRegion((settings) => new S3Client(settings), patience.packages);

/** Where a package lies in the archive, and the CodeSha256 that it must have. */
export interface PackageKey {
  readonly bucket: string;
  readonly key: string;
  readonly sha256: string;
}

/**
 * Copies a function's package into the archive, from where GetFunction said that it lies (`location`, good for ten minutes), or
 * asks that first. The bytes are held against the hash before they are written and once more by S3, and an object that is there is
 * never written over: nobody who changes the code in between gets theirs into the archive under the hash of another.
 * @returns where it lies, or undefined where the code is not (any more) the one with this hash: nothing was written
 */
export const archivePackage: Call<
  'archivePackage',
  PackageKey & { readonly functionName: string; readonly qualifier?: string | undefined; readonly location?: string | undefined },
  ArchivedObject | undefined
> = {
  name: 'archivePackage',
  service: 's3',
  operation: 'PutObject',
  permissions: [
    ...getFunction.permissions,
    ...keysThroughLambda('kms:Decrypt'),
    { action: 's3:PutObject', resource: archive },
    { action: 's3:GetObject', resource: archive },
    { action: 's3:ListBucket', resource: '${Archive.Arn}' },
    { action: 'kms:GenerateDataKey', resource: key },
    { action: 'kms:Decrypt', resource: key },
  ],
  alreadyDone: [],
  async run(connection, { functionName, qualifier, location, ...place }) {
    const from = location ?? (await locationOf(connection, functionName, qualifier, place));
    if (from === undefined) return undefined;
    const body = await download(from, functionName);
    const digest = Buffer.from(await crypto.subtle.digest('SHA-256', body)).toString('base64');
    return digest === place.sha256 ? await put(connection, place, body) : undefined;
  },
};

async function locationOf(
  connection: Connection,
  functionName: string,
  qualifier: string | undefined,
  { sha256 }: PackageKey,
): Promise<string | undefined> {
  const { Configuration, Code } = await lambdaClient(connection).send(
    new GetFunctionCommand({ FunctionName: functionName, Qualifier: qualifier }),
  );
  if (Configuration?.CodeSha256 !== sha256) return undefined;
  if (Code?.Location !== undefined) return Code.Location;
  throw new PackageUnreadable(`Lambda hands out no package of ${functionName} (${Code?.Error?.ErrorCode ?? 'no location'})`);
}

async function put(connection: Connection, place: PackageKey, Body: Uint8Array): Promise<ArchivedObject> {
  const { bucket, key: Key, sha256 } = place;
  try {
    const { VersionId = 'null' } = await s3(connection).send(
      // https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
      new PutObjectCommand({ Bucket: bucket, Key, Body, ContentType: 'application/zip', ChecksumSHA256: sha256, IfNoneMatch: '*' }),
    );
    return { bucket, key: Key, version: VersionId };
  } catch (error) {
    if (errorName(error) === 'ConditionalRequestConflict') throw new RetryLater(`${Key} is being archived`, { cause: error });
    if (errorName(error) !== 'PreconditionFailed') throw error;
    const present = await head(connection, place);
    if (present === undefined) throw new PackageUnreadable(`the archive holds something else as ${Key}`);
    return present;
  }
}

/** Where a package lies in the archive, or undefined where it does not lie there with this hash (in this version). */
export const findPackage: Call<'findPackage', PackageKey & { readonly version?: string | undefined }, ArchivedObject | undefined> = {
  name: 'findPackage',
  service: 's3',
  operation: 'GetObject',
  permissions: [
    { action: 's3:GetObject', resource: archive },
    { action: 's3:GetObjectVersion', resource: archive },
    // Without it S3 answers 403 for what is not there. https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
    { action: 's3:ListBucket', resource: '${Archive.Arn}' },
    { action: 'kms:Decrypt', resource: key },
  ],
  alreadyDone: [],
  run: (connection, input) => head(connection, input),
};

async function head(
  connection: Connection,
  { bucket, key: Key, sha256, version }: PackageKey & { readonly version?: string | undefined },
): Promise<ArchivedObject | undefined> {
  try {
    const { VersionId = 'null', ChecksumSHA256 } = await s3(connection).send(
      new HeadObjectCommand({ Bucket: bucket, Key, VersionId: version, ChecksumMode: 'ENABLED' }),
    );
    return ChecksumSHA256 === sha256 ? { bucket, key: Key, version: VersionId } : undefined;
  } catch (error) {
    if (errorKind(error) === 'absent') return undefined;
    throw error;
  }
}

/** Neither the location, which is signed, nor what came from there may stand in an error. */
async function download(location: string, functionName: string): Promise<Uint8Array<ArrayBuffer>> {
  let answer: Response;
  try {
    answer = await fetch(location, { signal: AbortSignal.timeout(30_000) });
    if (answer.ok) return new Uint8Array(await answer.arrayBuffer());
  } catch {
    throw new RetryLater(`the download of ${functionName} broke off`);
  }
  throw new RetryLater(`the package of ${functionName} could not be downloaded (HTTP ${answer.status})`);
}
