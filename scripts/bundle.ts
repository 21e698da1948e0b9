/**
 * How the guard is bundled, once for all: what `sam build` deploys (`handlers/Makefile`), the command line, and what the benches measure.
 *   node scripts/bundle.ts <logical id of a function> <folder>
 */
import { copyFileSync, existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BuildOptions, build, type Metafile, type Plugin } from 'esbuild';
import { kebabCase } from './kebab-case.ts';
import { keptFolder, removeOldKept } from './kept.mjs';

const root = join(import.meta.dirname, '..');

/** Where else the SDK would look for credentials, if Lambda had not put those of the function's role into its environment. */
const otherCredentials = ['http', 'ini', 'login', 'process', 'sso', 'web-identity'].map((name) => `@aws-sdk/credential-provider-${name}`);

/** What the SDK loads outside of Lambda: on EC2 and in browsers. */
const elsewhere = ['@smithy/credential-provider-imds', 'bowser'];

/**
 * Of a client of the SDK only the shapes stay that somebody's calls need. A schema is a list whose objects have names of the same file as
 * keys (`{ [_xN]: … }`). What a key is computed from may do something, for all that esbuild knows, so it would keep every
 * schema of the service. Here each such name gives way to the string that it stands for.
 */
const onlyUsedShapes: Plugin = {
  name: 'only-used-shapes',
  setup({ onLoad }) {
    onLoad({ filter: /@aws-sdk[\\/]client-[^\\/]+[\\/]dist-es[\\/]schemas[\\/].*\.js$/ }, async ({ path }) => ({
      contents: withoutComputedKeys(await readFile(path, 'utf8')),
    }));
  },
};

/** `const _xN = "xmlName"; … { [_xN]: _a }` → `const _xN = "xmlName"; … { "xmlName": _a }`. */
export function withoutComputedKeys(schemas: string): string {
  const strings = new Map([...schemas.matchAll(/^const (_\w+) = ("[^"\\]*");$/gm)].map(([, name, text]) => [name, text]));
  return schemas.replace(/\[(_\w+)\]:/g, (key, name: string) => {
    const text = strings.get(name);
    return text === undefined ? key : `${text}:`;
  });
}

/** From ES modules esbuild takes only what is used. By itself it prefers CommonJS for Node, of which it takes everything. */
const common = {
  ...{ absWorkingDir: root, bundle: true, platform: 'node', mainFields: ['module', 'main'], minify: true, logLevel: 'silent' },
  plugins: [onlyUsedShapes],
} as const satisfies BuildOptions;

/**
 * A function's bundle, and what is in it.
 * @param handler its file in handlers/, without `.ts`
 * @param options `minify: false` for text that can be read, in which comments name the files
 */
export async function bundleHandler(
  handler: string,
  { minify = true }: { readonly minify?: boolean } = {},
): Promise<{ readonly contents: Uint8Array; readonly metafile: Metafile }> {
  const { outputFiles, metafile } = await build({
    ...common,
    entryPoints: [join(root, 'handlers', `${handler}.ts`)],
    minify,
    target: 'es2023',
    // `import('node:http')`, which the SDK writes where an endpoint has no TLS, loads fetch and WebSocket too, which nobody uses; `require` does not.
    supported: { 'dynamic-import': false },
    external: [...otherCredentials, ...elsewhere],
    outdir: 'out',
    write: false,
    metafile: true,
  });
  return { contents: outputFiles[0]?.contents ?? new Uint8Array(), metafile };
}

/** Writes the bundle of the command line, `main.js` and what it loads when it is needed, to a folder. */
export async function bundleCommandLine(outdir: string): Promise<void> {
  const require = "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);";
  await build({
    ...{ ...common, entryPoints: [join(root, 'cli', 'main.ts')], outdir, splitting: true, format: 'esm' },
    ...{ target: 'node24', banner: { js: require } },
  });
}

/** The file of a function's handler: `CheckRoles` → `check-roles`, and of whatever begins with `Remediate` → `remediate`. */
export function handlerOf(id: string): string {
  return id.startsWith('Remediate') ? 'remediate' : kebabCase(id);
}

/** Puts a function's bundle into a folder. It is made once for a state of the sources: all remediators have the same. */
async function bundleInto(folder: string, handler: string): Promise<void> {
  const file = `${handler}.js`;
  const kept = keptFolder('handlers', ['aws', 'guard', 'handlers', 'ledger', 'rules']);
  if (!existsSync(join(kept, file))) {
    removeOldKept(kept);
    const { contents } = await bundleHandler(handler);
    mkdirSync(kept, { recursive: true });
    const written = join(kept, `${file}.${process.pid}`);
    writeFileSync(written, contents);
    renameSync(written, join(kept, file));
  }
  copyFileSync(join(kept, file), join(folder, file));
}

if (import.meta.main) {
  const [id = '', folder = ''] = process.argv.slice(2);
  const handler = handlerOf(id);
  if (folder === '' || !existsSync(join(root, 'handlers', `${handler}.ts`))) {
    console.error(
      `Say a function by its logical ID, and a folder: node scripts/bundle.ts CheckRoles <folder>. There is no handlers/${handler}.ts.`,
    );
    process.exitCode = 2;
  } else
    bundleInto(folder, handler).catch((error: unknown) => {
      console.error(`${id} could not be bundled: ${error instanceof Error ? error.message : String(error)}`);
      process.exitCode = 1;
    });
}
