import { GetFunctionCommand } from '@aws-sdk/client-lambda';
import { HeadObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import type { Call } from '../guard/call.ts';
import type { ArchivedObject } from '../guard/estate.ts';
import { clientPerRegion } from './clients.ts';
import { lambdaClient } from './lambda.ts';

const functions = 'arn:${AWS::Partition}:lambda:*:${AWS::AccountId}:function:*';
const archive = '${Archive.Arn}/*';
const key = '${Key.Arn}';

const s3 = clientPerRegion((settings) => new S3Client(settings));

/**
 * Copies a function's package into the archive under its hash, unless the running code is another by now.
 * @returns where it lies, or undefined where the current CodeSha256 is not `sha256` (changed in the meantime: nothing was written)
 */
export const archivePackage: Call<
  'archivePackage',
  { readonly functionName: string; readonly qualifier?: string; readonly sha256: string; readonly bucket: string; readonly key: string },
  ArchivedObject | undefined
> = {
  name: 'archivePackage',
  service: 's3',
  permissions: [
    { action: 'lambda:GetFunction', resource: functions },
    { action: 's3:PutObject', resource: archive },
    { action: 's3:GetObject', resource: archive },
    { action: 'kms:GenerateDataKey', resource: key },
    { action: 'kms:Decrypt', resource: key },
  ],
  alreadyDone: [],
  async run(connection, { functionName, qualifier, sha256, bucket, key: Key }) {
    const { Configuration, Code } = await lambdaClient(connection).send(new GetFunctionCommand({ FunctionName: functionName, Qualifier: qualifier }));
    if (Configuration?.CodeSha256 !== sha256 || Code?.Location === undefined) return undefined;
    const answer = await fetch(Code.Location);
    if (!answer.ok) throw new Error(`the package of ${functionName} could not be downloaded: HTTP ${answer.status}`);
    const body = Buffer.from(await answer.arrayBuffer());
    const digest = Buffer.from(await crypto.subtle.digest('SHA-256', body)).toString('base64');
    if (digest !== sha256) return undefined;
    const { VersionId = 'null' } = await s3(connection).send(new PutObjectCommand({ Bucket: bucket, Key, Body: body, ContentType: 'application/zip' }));
    return { bucket, key: Key, version: VersionId };
  },
};

/** Where a package lies in the archive, or undefined where it was never archived. */
export const findPackage: Call<'findPackage', { readonly bucket: string; readonly key: string }, ArchivedObject | undefined> = {
  name: 'findPackage',
  service: 's3',
  permissions: [{ action: 's3:GetObject', resource: archive }],
  alreadyDone: [],
  async run(connection, { bucket, key: Key }) {
    const { VersionId = 'null' } = await s3(connection).send(new HeadObjectCommand({ Bucket: bucket, Key }));
    return { bucket, key: Key, version: VersionId };
  },
};
