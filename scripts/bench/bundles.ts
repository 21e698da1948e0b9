import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { zipSync } from 'fflate';
import { parseDocument } from 'yaml';

const root = join(import.meta.dirname, '..', '..');

/** What a checker's function is deployed as. */
export interface Bundle {
  readonly practice: string;
  readonly bytes: number;
  /** As `sam package` zips it. */
  readonly zippedBytes: number;
  /** Bytes of each package (`own` is the guard's own code) before it is zipped, the largest first. */
  readonly inputs: readonly (readonly [name: string, bytes: number])[];
}

interface Resource {
  readonly Metadata?: {
    readonly BuildMethod?: string;
    readonly BuildProperties?: {
      readonly Minify: boolean;
      readonly Target: string;
      readonly MainFields: string;
      readonly Supported: readonly string[];
      readonly External: readonly string[];
      readonly EntryPoints: readonly [string];
    };
  };
}

type Properties = NonNullable<NonNullable<Resource['Metadata']>['BuildProperties']>;

/** What the template says of the checkers' bundles. */
async function checkers(): Promise<readonly Properties[]> {
  const template = parseDocument(await readFile(join(root, 'template.yaml'), 'utf8'), { logLevel: 'silent' });
  const { Resources } = template.toJS() as { readonly Resources: Readonly<Record<string, Resource>> };
  return Object.values(Resources).flatMap(({ Metadata }) => {
    const properties = Metadata?.BuildMethod === 'esbuild' ? Metadata.BuildProperties : undefined;
    return properties?.EntryPoints[0].startsWith('check-') ? [properties] : [];
  });
}

async function bundled({ Minify, Target, MainFields, Supported, External, EntryPoints: [entry] }: Properties) {
  const { outputFiles, metafile } = await build({
    entryPoints: [join(root, 'handlers', entry)],
    absWorkingDir: root,
    bundle: true,
    platform: 'node',
    minify: Minify,
    target: Target,
    mainFields: MainFields.split(','),
    supported: Object.fromEntries(Supported.map((one) => [one.split('=')[0], one.endsWith('=true')])),
    external: [...External],
    outdir: 'out',
    write: false,
    metafile: true,
  });
  return { contents: outputFiles[0]?.contents ?? new Uint8Array(), metafile };
}

/** The bundle of a checker as text that can be read, in which comments name the files. */
export async function readableBundle(practice: string): Promise<Uint8Array> {
  const properties = (await checkers()).find(({ EntryPoints: [entry] }) => entry === `check-${practice}.ts`);
  if (properties === undefined) throw new Error(`There is no checker ${practice}.`);
  return (await bundled({ ...properties, Minify: false })).contents;
}

/** Bundles the checkers as `sam build` does, by what the template says of them. */
export async function checkerBundles(): Promise<readonly Bundle[]> {
  const built = await checkers();
  return await Promise.all(
    built.map(async (properties) => {
      const [entry] = properties.EntryPoints;
      const { contents, metafile } = await bundled(properties);
      const inputs = new Map<string, number>();
      for (const { inputs: files } of Object.values(metafile.outputs))
        for (const [file, { bytesInOutput }] of Object.entries(files)) {
          const name = packageOf(file);
          inputs.set(name, (inputs.get(name) ?? 0) + bytesInOutput);
        }
      return {
        practice: entry.replace(/^check-|\.ts$/g, ''),
        bytes: contents.length,
        zippedBytes: zipSync({ [entry.replace('.ts', '.js')]: contents }, { level: 9 }).length,
        inputs: [...inputs].sort((x, y) => y[1] - x[1]),
      };
    }),
  );
}

/** The package that a file is of; `own` for the guard's own code. */
export function packageOf(file: string): string {
  const inside = file.split('node_modules/').at(-1) ?? '';
  if (inside === file) return 'own';
  const [scope = '', name = ''] = inside.split('/');
  return scope.startsWith('@') ? `${scope}/${name}` : scope;
}

function kilobytes(bytes: number): number {
  return Math.ceil(bytes / 1000);
}

/** Kilobytes (1,000 bytes) of each checker, zipped. */
export function bundleKilobytes(bundles: readonly Bundle[]): Readonly<Record<string, number>> {
  return Object.fromEntries(bundles.map(({ practice, zippedBytes }) => [practice, kilobytes(zippedBytes)]));
}

/** The table of sizes, as Markdown. */
export function renderBundles(bundles: readonly Bundle[]): string {
  return [
    '| checker | zipped, KB | bundle, KB | largest inputs, KB |',
    '|---|---|---|---|',
    ...bundles.map(({ practice, zippedBytes, bytes, inputs }) => {
      const largest = inputs.slice(0, 3).map(([name, size]) => `${name} ${kilobytes(size)}`);
      return `| ${practice} | ${kilobytes(zippedBytes)} | ${kilobytes(bytes)} | ${largest.join(', ')} |`;
    }),
  ].join('\n');
}

if (import.meta.main) void checkerBundles().then((bundles) => console.log(renderBundles(bundles)));
