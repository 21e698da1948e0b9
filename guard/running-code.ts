import { ifPresent, PackageUnreadable } from './errors.ts';
import type { AliasRouting, CodePackage, CodeSettings } from './estate.ts';
import { lastModified, routedVersions } from './live.ts';
import { type Configured, type Setup, setupOf } from './run-setup.ts';

/** The code of a function that runs: $LATEST, and what its aliases route to. */
export interface RunningCode {
  readonly function: string;
  /** The package of $LATEST. */
  readonly package: CodePackage;
  readonly aliases: Readonly<Record<string, AliasRouting>>;
  /** Version → CodeSha256 of $LATEST and of every version that an alias routes to. */
  readonly hashes: Readonly<Record<string, string>>;
  /** Of $LATEST: that of a version is frozen with its code. */
  readonly setup: Setup;
  /** When $LATEST was changed last, in milliseconds. */
  readonly modified: number;
}

/** With what a plan needs besides: RevisionIds, tags, and whether an update is under way. */
export interface RunningFunction extends RunningCode {
  readonly tags: Readonly<Record<string, string>>;
  readonly updating: boolean;
  /** Where the package of $LATEST can be fetched, for ten minutes, by whoever knows it: it stays in memory. */
  readonly location: string | undefined;
  readonly revision: string | undefined;
  /** Alias name → RevisionId. */
  readonly revisions: Readonly<Record<string, string | undefined>>;
}

export const latest = '$LATEST';

/** A configuration, as Lambda answers. */
interface Configuration extends Configured {
  readonly CodeSha256?: string | undefined;
  readonly PackageType?: string | undefined;
  readonly Architectures?: readonly string[] | undefined;
  readonly RevisionId?: string | undefined;
  readonly State?: string | undefined;
  readonly LastUpdateStatus?: string | undefined;
  readonly LastModified?: string | undefined;
}

/** GetFunction's answer. https://docs.aws.amazon.com/lambda/latest/api/API_GetFunction.html */
interface FunctionAnswer {
  readonly Configuration?: Configuration | undefined;
  readonly Code?:
    | {
        readonly Location?: string | undefined;
        readonly ResolvedImageUri?: string | undefined;
        readonly ResolvedS3Object?:
          | { readonly S3Bucket?: string | undefined; readonly S3Key?: string | undefined; readonly S3ObjectVersion?: string | undefined }
          | undefined;
        readonly SourceKMSKeyArn?: string | undefined;
      }
    | undefined;
  readonly Tags?: Readonly<Record<string, string>> | undefined;
}

interface Alias {
  readonly Name?: string | undefined;
  readonly FunctionVersion?: string | undefined;
  readonly RoutingConfig?: { readonly AdditionalVersionWeights?: Readonly<Record<string, number>> | undefined } | undefined;
  readonly RevisionId?: string | undefined;
}

interface Reader {
  getDecryptedFunction(input: { FunctionName: string }): Promise<FunctionAnswer>;
  getFunctionConfiguration(input: { FunctionName: string; Qualifier: string }): Promise<Configuration>;
  listAliases(input: { FunctionName: string }): Promise<readonly Alias[]>;
}

/**
 * Reads what runs of a function: two reads, and one more for each version that an alias routes to. Undefined where the
 * function is gone.
 * @throws PackageUnreadable where Lambda tells no hash: then nothing is known of the code
 */
export async function runningFunction(aws: Reader, arn: string): Promise<RunningFunction | undefined> {
  const answer = await ifPresent(aws.getDecryptedFunction({ FunctionName: arn }));
  if (answer?.Configuration === undefined) return undefined;
  const { Configuration, Tags = {} } = answer;
  const aliases = (await ifPresent(aws.listAliases({ FunctionName: arn }))) ?? [];
  const current = packageOf(answer, arn);
  const hashes: Record<string, string> = { [latest]: current.sha256 };
  for (const version of routedVersions(aliases).keys()) {
    const published = await ifPresent(aws.getFunctionConfiguration({ FunctionName: arn, Qualifier: version }));
    if (published !== undefined) hashes[version] = hashOf(published.CodeSha256, `${arn}:${version}`);
  }
  return {
    function: arn,
    package: current,
    aliases: Object.fromEntries(aliases.map((alias) => [alias.Name, routingOf(alias)])),
    hashes,
    setup: setupOf(Configuration, arn),
    tags: Tags,
    location: answer.Code?.Location,
    updating: Configuration.State === 'Pending' || Configuration.LastUpdateStatus === 'InProgress',
    modified: lastModified(Configuration),
    revision: Configuration.RevisionId,
    revisions: Object.fromEntries(aliases.map(({ Name, RevisionId }) => [Name, RevisionId])),
  };
}

function packageOf({ Configuration, Code }: FunctionAnswer, arn: string): CodePackage {
  const settings = settingsOf(Configuration?.Architectures?.[0], Code?.SourceKMSKeyArn);
  if (Configuration?.PackageType === 'Image') {
    // By digest: a tag may name another image tomorrow.
    const imageUri = Code?.ResolvedImageUri;
    if (imageUri === undefined) throw new PackageUnreadable(`Lambda tells no image of ${arn}`);
    return { type: 'Image', sha256: hashOf(Configuration.CodeSha256 || imageUri.split('@sha256:')[1], arn), imageUri, ...settings };
  }
  const sha256 = hashOf(Configuration?.CodeSha256, arn);
  // https://docs.aws.amazon.com/lambda/latest/dg/configuration-self-managed-storage.html
  const { S3Bucket: bucket, S3Key: key, S3ObjectVersion: version = 'null' } = Code?.ResolvedS3Object ?? {};
  if (bucket !== undefined && key !== undefined) return { type: 'Reference', sha256, object: { bucket, key, version }, ...settings };
  return { type: 'Zip', sha256, archive: undefined, ...settings };
}

function settingsOf(architecture: string | undefined, kmsKeyArn: string | undefined): CodeSettings {
  return { ...(architecture === undefined ? {} : { architecture }), ...(kmsKeyArn === undefined ? {} : { kmsKeyArn }) };
}

function hashOf(sha256: string | undefined, what: string): string {
  if (sha256 === undefined || sha256 === '') throw new PackageUnreadable(`Lambda tells no hash of ${what}`);
  return sha256;
}

function routingOf({ FunctionVersion = latest, RoutingConfig }: Alias): AliasRouting {
  return { version: FunctionVersion, weights: { ...RoutingConfig?.AdditionalVersionWeights } };
}
