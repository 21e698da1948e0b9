import { GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { clientPerRegion, patience } from './clients.ts';

// A bucket of trails often lies in another region than what they tell of.
const s3 = clientPerRegion((settings) => new S3Client({ ...settings, followRegionRedirects: true }), patience.packages);

/** The keys under a prefix, in their order, without those by which consoles make folders. Needs s3:ListBucket. */
export async function* keysUnder(region: string, bucket: string, prefix: string): AsyncGenerator<string> {
  let token: string | undefined;
  do {
    const page = await s3({ region }).send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ContinuationToken: token }));
    for (const { Key } of page.Contents ?? []) if (Key !== undefined && !Key.endsWith('/')) yield Key;
    token = page.NextContinuationToken;
  } while (token !== undefined);
}

/** An object's bytes as they arrive. Needs s3:GetObject, and kms:Decrypt for the key of an encrypted trail. */
export async function objectBytes(region: string, bucket: string, key: string): Promise<AsyncIterable<Uint8Array>> {
  const { Body } = await s3({ region }).send(new GetObjectCommand({ Bucket: bucket, Key: key }));
  if (Body === undefined) throw new Error(`s3://${bucket}/${key} has no content.`);
  return Body as unknown as AsyncIterable<Uint8Array>;
}
