import { GetLayerVersionByArnCommand } from '@aws-sdk/client-lambda';
import type { Call } from '../guard/call.ts';
import { PackageUnreadable, RetryLater } from '../guard/errors.ts';
import { type PackageScan, type ScanLimits, scanPackage } from '../guard/package-scan.ts';
import { lambdaClient } from './lambda.ts';

/** What bounds a scan; `seconds` are those of its download and examination together. */
export interface ScanBounds {
  readonly folders: readonly string[];
  readonly bytes: number;
  readonly seconds: number;
}

/** Examines the package at an address that GetFunction handed out: who has that needs no right of their own. */
export const scanFunctionPackage: Call<
  'scanFunctionPackage',
  ScanBounds & { readonly location: string | undefined; readonly of: string; readonly sha256: string | undefined },
  PackageScan
> = {
  name: 'scanFunctionPackage',
  service: 'https',
  operation: 'GET',
  permissions: [],
  alreadyDone: [],
  run: async (_, { location, of, sha256, ...bounds }) => await scanAt(location, of, sha256, bounds),
};

/** Examines a layer version by its ARN. AWS's own and other accounts' layers may be closed to whoever does not run them. */
export const scanLayerVersion: Call<'scanLayerVersion', ScanBounds & { readonly arn: string }, PackageScan> = {
  name: 'scanLayerVersion',
  service: 'lambda',
  operation: 'GetLayerVersionByArn',
  permissions: [{ action: 'lambda:GetLayerVersion', resource: 'arn:${AWS::Partition}:lambda:*:*:layer:*:*' }],
  alreadyDone: [],
  async run(connection, { arn, ...bounds }) {
    const { Content } = await lambdaClient(connection).send(new GetLayerVersionByArnCommand({ Arn: arn }));
    return await scanAt(Content?.Location, arn, Content?.CodeSha256, bounds);
  },
};

/** One package at a time: messages of a batch are handled side by side, and what each holds in memory would add up. */
let previous: Promise<unknown> = Promise.resolve();

async function scanAt(location: string | undefined, of: string, sha256: string | undefined, bounds: ScanBounds): Promise<PackageScan> {
  if (location === undefined) throw new PackageUnreadable(`Lambda hands out no package of ${of}`);
  const turn = previous.catch(() => undefined).then(() => download(location, of, bounds));
  previous = turn;
  const scan = await turn;
  if (scan.sha256 !== undefined && sha256 !== undefined && scan.sha256 !== sha256)
    throw new RetryLater(`the package of ${of} was changed while it was read`);
  return scan;
}

/** Neither the location, which is signed, nor what came from there may stand in an error. */
async function download(location: string, of: string, { seconds, ...bounds }: ScanBounds): Promise<PackageScan> {
  const clock = () => performance.now();
  const limits: ScanLimits = { ...bounds, clock, until: clock() + seconds * 1000 };
  let answer: Response;
  try {
    // Only from where Lambda said: a redirection leads elsewhere.
    answer = await fetch(location, { redirect: 'error', signal: AbortSignal.timeout(seconds * 1000 + 5_000) });
  } catch {
    throw new RetryLater(`the download of ${of} broke off`);
  }
  if (!answer.ok || answer.body === null) throw new RetryLater(`the package of ${of} could not be downloaded (HTTP ${answer.status})`);
  try {
    return await scanPackage(answer.body, limits);
  } catch (error) {
    if (error instanceof PackageUnreadable || (error instanceof Error && error.name === 'SecretDetectionFailed')) throw error;
    throw new RetryLater(`the download of ${of} broke off`);
  }
}
