import { zipSync } from 'fflate';
import { practices } from '../../guard/finding.ts';
import { bundleHandler } from '../bundle.ts';

/** What a checker's function is deployed as. */
export interface Bundle {
  readonly practice: string;
  readonly bytes: number;
  /** As `sam package` zips it. */
  readonly zippedBytes: number;
  /** Bytes of each package (`own` is the guard's own code) before it is zipped, the largest first. */
  readonly inputs: readonly (readonly [name: string, bytes: number])[];
}

/** Bundles the checkers as `sam build` does. */
export async function checkerBundles(): Promise<readonly Bundle[]> {
  return await Promise.all(
    practices.map(async (practice) => {
      const { contents, metafile } = await bundleHandler(`check-${practice}`);
      const inputs = new Map<string, number>();
      for (const { inputs: files } of Object.values(metafile.outputs))
        for (const [file, { bytesInOutput }] of Object.entries(files)) {
          const name = packageOf(file);
          inputs.set(name, (inputs.get(name) ?? 0) + bytesInOutput);
        }
      return {
        practice,
        bytes: contents.length,
        zippedBytes: zipSync({ [`check-${practice}.js`]: contents }, { level: 9 }).length,
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
