import * as z from 'zod';
import { type FunctionConfiguration, getDecryptedConfiguration, getDecryptedFunction, listAliases, listTags } from '../../aws/lambda.ts';
import { type ScanBounds, scanFunctionPackage, scanLayerVersion } from '../../aws/package-scan.ts';
import { functionArn, functionName } from '../../guard/arn.ts';
import type { Handle } from '../../guard/call.ts';
import { type ApiEvent, text } from '../../guard/cloudtrail.ts';
import { errorKind, ifPresent, isAnswer, PackageUnreadable, RetryLater } from '../../guard/errors.ts';
import type { Estate } from '../../guard/estate.ts';
import { type LiveConfiguration, liveConfigurations } from '../../guard/live.ts';
import type { PackageScan } from '../../guard/package-scan.ts';
import { cloudTrail, defineRule } from '../../guard/rule.ts';
import { functionSubject, type Subject } from '../../guard/subject.ts';

const id = 'secret-in-code';

/** The function itself, whatever version or alias an event is about: the packages of all that runs are one finding. */
function wholeFunction({ request, ...place }: ApiEvent): readonly Subject[] {
  const subject = functionSubject(functionArn(text(request, 'functionName') ?? '', place) ?? '', place);
  return subject === undefined ? [] : [subject];
}

type Reads = Handle<readonly [typeof getDecryptedFunction, typeof scanFunctionPackage, typeof scanLayerVersion]>;

export const rule = defineRule({
  id,
  practice: 'secrets',
  severity: 'high',
  title: 'A credential lies inside the code of a function or in one of its layers',
  on: [
    cloudTrail(
      'lambda',
      [
        'CreateFunction',
        'UpdateFunctionCode',
        'UpdateFunctionConfiguration',
        'DeleteFunction',
        'CreateAlias',
        'UpdateAlias',
        'DeleteAlias',
      ],
      wholeFunction,
    ),
  ],
  check: [getDecryptedConfiguration, listAliases, listTags, getDecryptedFunction, scanFunctionPackage, scanLayerVersion],
  fix: [],
  undo: [],
  delay: 15,
  probation: false,
  // Memory brings processors with it, and a batch may hold several packages.
  memory: 1024,
  timeout: 120,
  params: z.object({
    folders: z
      .string()
      .default('node_modules,site-packages,dist-packages,vendor,__pycache__,.git')
      .describe('Folders that are not examined, at any depth, comma-separated: those of dependencies.'),
    megabytes: z
      .string()
      .regex(/^[1-9]\d{0,2}$/)
      .default('250')
      .describe('Unpacked texts of a package that are examined, at most.'),
    seconds: z
      .string()
      .regex(/^([1-9]|[1-4]\d)$/)
      .default('20')
      .describe('For how long a package is downloaded and examined, at most.'),
  }),

  distinguishes: ({ found }) =>
    (found as readonly { in: string; file: string; kind: string }[]).map((each) => [each.in, each.file, each.kind]),

  async evaluate(subject, { aws, estate, params, now }) {
    // In the words of the other rules of this practice: what one of them has read for a message is not read again.
    const { getDecryptedConfiguration: getConfiguration, listAliases: aliases } = aws;
    const reader = { getFunctionConfiguration: getConfiguration, listAliases: aliases };
    const live = await liveConfigurations<FunctionConfiguration>(reader, subject.arn);
    if (live === undefined) return { violations: [], compliant: [subject] };
    // An image cannot be read this way: nothing is known of it, and nothing is said.
    if (live[0]?.configuration.PackageType === 'Image') return { violations: [], compliant: [] };
    const bounds = {
      folders: params.folders.split(',').map((folder) => folder.trim()),
      bytes: Number(params.megabytes) * 1024 * 1024,
      seconds: Number(params.seconds),
    };
    const scans = await scansOf(subject, live, { aws, estate, bounds, now });
    const found = scans.flatMap(({ in: where, versions, scan }) => (scan?.found ?? []).map((each) => ({ in: where, ...each, versions })));
    const unread = scans.filter(({ scan }) => scan === undefined || scan.skipped.unfinished !== undefined);
    if (found.length === 0 && unread.length > 0)
      throw new PackageUnreadable(`${unread.map(({ in: where }) => where).join(', ')} of ${subject.arn} could not be examined whole`);
    if (found.length === 0) return { violations: [], compliant: [subject] };
    const { Tags = {} } = (await ifPresent(aws.listTags({ Resource: subject.arn }))) ?? {};
    const more = scans.reduce((sum, { scan }) => sum + (scan?.more ?? 0), 0);
    const named = found.slice(0, mostNamed);
    const evidence = {
      found: named,
      ...(more + found.length === named.length ? {} : { more: more + found.length - named.length }),
      examined: scans.map(({ in: where, versions, scan }) => ({
        in: where,
        versions,
        ...(scan === undefined
          ? { skipped: 'may not be read' }
          : { files: scan.scanned.files, bytes: scan.scanned.bytes, skipped: scan.skipped }),
      })),
    };
    return { violations: [{ subject, summary: summaryOf(subject, named, found.length + more), evidence, tags: Tags }], compliant: [] };
  },

  plan: async () => ({ steps: [], refused: 'Code cannot be put right from outside: take the credential out, deploy, and rotate it.' }),

  state: async () => ({}),
});

/** An alert has room for so many. */
const mostNamed = 30;

interface Scanned {
  /** `package`, or a layer version by its ARN. */
  readonly in: string;
  readonly versions: readonly string[];
  /** Undefined where it may not be read. */
  readonly scan: PackageScan | undefined;
}

interface ScanContext {
  readonly aws: Reads;
  readonly estate: Estate;
  readonly bounds: ScanBounds;
  readonly now: number;
}

/** Every package and layer version that runs, each once, whichever versions of the function share it. */
async function scansOf(
  { arn }: Subject,
  live: readonly LiveConfiguration<FunctionConfiguration>[],
  context: ScanContext,
): Promise<readonly Scanned[]> {
  const packages = new Map<string, string[]>();
  const layers = new Map<string, string[]>();
  for (const { version, configuration } of live) {
    const { CodeSha256 = '', Layers = [] } = configuration;
    packages.set(CodeSha256, [...(packages.get(CodeSha256) ?? []), version]);
    for (const { Arn = '' } of Layers) layers.set(Arn, [...(layers.get(Arn) ?? []), version]);
  }
  const scans: Scanned[] = [];
  for (const [sha256, versions] of packages) {
    const [version = ''] = versions;
    const of = { FunctionName: arn, ...(version === '$LATEST' ? {} : { Qualifier: version }) };
    const scan = await once(`sha256:${sha256}`, context, async (bounds) => {
      const { Configuration, Code } = await context.aws.getDecryptedFunction(of);
      if (Configuration?.CodeSha256 !== sha256) throw new RetryLater(`${arn} has other code by now`);
      return await context.aws.scanFunctionPackage({ location: Code?.Location, of: arn, sha256, ...bounds });
    });
    scans.push({ in: 'package', versions, scan });
  }
  for (const [layer, versions] of layers) {
    const scan = await readable(once(layer, context, (bounds) => context.aws.scanLayerVersion({ arn: layer, ...bounds })));
    scans.push({ in: layer, versions, scan });
  }
  return scans;
}

/** A layer that is gone, or closed to everybody but its owner, runs on in the function. */
async function readable(scan: Promise<PackageScan>): Promise<PackageScan | undefined> {
  try {
    return await ifPresent(scan);
  } catch (error) {
    if (isAnswer(error) && errorKind(error) === 'lasting') return undefined;
    throw error;
  }
}

/** Which detection this is: what an older one examined is examined again. */
const edition = 1;

/** What the ledger keeps of a scan, under the hash or the layer version, for neither ever has other bytes. */
interface KeptScan {
  readonly edition: number;
  readonly folders: readonly string[];
  readonly scan: PackageScan;
}

async function once(
  name: string,
  { estate, bounds, now }: ScanContext,
  examine: (bounds: ScanBounds) => Promise<PackageScan>,
): Promise<PackageScan> {
  const kept = (await estate.kept(id, name))?.state as KeptScan | undefined;
  if (kept?.edition === edition && String(kept.folders) === String(bounds.folders)) return kept.scan;
  const scan = await examine(bounds);
  // What was not examined to the end may be another time.
  if (scan.skipped.unfinished === undefined) {
    const state: KeptScan = { edition, folders: bounds.folders, scan };
    await estate.recordKept(id, name, { state, asOf: now });
  }
  return scan;
}

function summaryOf({ arn }: Subject, found: readonly { in: string; file: string; line: number; kind: string }[], count: number): string {
  const [first] = found;
  const where = first === undefined || first.in === 'package' ? 'its package' : `the layer ${first.in}`;
  const others = count > 1 ? `, and ${count - 1} more` : '';
  return `The code of ${functionName(arn)} holds a credential: ${first?.kind} in ${first?.file}, line ${first?.line}, of ${where}${others}. Whoever may read the code knows it. Rotate ${count > 1 ? 'each of them' : 'it'}.`;
}
