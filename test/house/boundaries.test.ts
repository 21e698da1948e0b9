import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { root } from './repository.ts';

// Who may import whom is kept by the linter. Here it has to prove that it does, in a folder of its own.

const refused: readonly (readonly [string, string])[] = [
  ['guard/scratch.ts', '../aws/lambda.ts'],
  ['guard/scratch.ts', '../ledger/ledger.ts'],
  ['guard/scratch.ts', '../rules/index.ts'],
  ['guard/scratch.ts', '@aws-sdk/client-lambda'],
  ['guard/scratch.ts', '@aws-lambda-powertools/logger'],
  ['aws/scratch.ts', '../ledger/ledger.ts'],
  ['aws/scratch.ts', '../rules/index.ts'],
  ['ledger/scratch.ts', '@aws-sdk/client-dynamodb'],
  ['ledger/scratch.ts', '../rules/index.ts'],
  ['rules/apis/scratch.ts', './function-url-open.ts'],
  ['rules/apis/scratch.ts', '../roles/role-shared.ts'],
  ['rules/apis/scratch.ts', '../../ledger/ledger.ts'],
  ['rules/apis/scratch.ts', '@aws-sdk/client-lambda'],
  ['handlers/scratch.ts', '../test/support/rule-test.ts'],
  ['handlers/scratch.ts', '../cli/main.ts'],
  ['handlers/scratch.ts', '@aws-sdk/client-sns'],
  ['cli/scratch.ts', '@aws-sdk/client-sts'],
];

const allowed: readonly (readonly [string, string])[] = [
  ['guard/scratch.ts', './arn.ts'],
  ['guard/scratch.ts', 'zod'],
  ['aws/scratch.ts', '@aws-sdk/client-lambda'],
  ['aws/scratch.ts', '../guard/call.ts'],
  ['ledger/scratch.ts', '../aws/dynamodb.ts'],
  ['rules/apis/scratch.ts', '../../guard/rule.ts'],
  ['rules/apis/scratch.ts', '../../aws/lambda.ts'],
  ['handlers/scratch.ts', '../rules/index.ts'],
];

const surroundings: readonly (readonly [string, string, string])[] = [
  ...['guard', 'aws', 'ledger', 'rules/apis'].map((folder) => [folder, "process.env['AWS_REGION']", 'noProcessEnv'] as const),
  ...['guard', 'ledger', 'rules/apis'].flatMap((folder) =>
    ['Date.now()', 'new Date()', 'Math.random()', 'crypto.randomUUID()'].map((call) => [folder, call, 'plugin'] as const),
  ),
];

const importing = (from: string) => `import { x } from '${from}';\n\nexport const y = x;\n`;
const cases: readonly (readonly [string, string])[] = [
  ...[...refused, ...allowed].map(([path, from]) => [path, importing(from)] as const),
  ...surroundings.map(([folder, call]) => [`${folder}/scratch.ts`, `export const y = ${call};\n`] as const),
];

interface Diagnostic {
  readonly category: string;
  readonly location: { readonly path: string | { readonly file?: string } };
}

/** What the linter says of each case, in one run. */
function complaintsOf(sources: typeof cases): readonly (readonly string[])[] {
  const folder = mkdtempSync(join(tmpdir(), 'boundaries-'));
  try {
    for (const name of ['biome.json', 'scripts/clock.grit']) cpSync(join(root, name), join(folder, name), { recursive: true });
    const files = sources.map(([path, source], index) => {
      const file = path.replace('scratch', `scratch-${index}`);
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), source);
      return file;
    });
    const biome = join(root, 'node_modules/.bin/biome');
    const options = ['--vcs-enabled=false', '--reporter=json', '--max-diagnostics=none', '--colors=off'];
    const { stdout } = spawnSync(biome, ['lint', ...options, '.'], { cwd: folder, encoding: 'utf8' });
    const { diagnostics } = JSON.parse(stdout) as { diagnostics: readonly Diagnostic[] };
    return files.map((file) =>
      diagnostics.flatMap(({ category, location: { path } }) => ((typeof path === 'string' ? path : path.file) === file ? [category] : [])),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const complaints = complaintsOf(cases);

test.each(refused.map(([path, from], index) => [path, from, index] as const))('%s may not import %s', (_, __, index) => {
  expect(complaints[index]).toContain('lint/style/noRestrictedImports');
});

test.each(allowed.map(([path, from], index) => [path, from, refused.length + index] as const))('%s may import %s', (_, __, index) => {
  expect(complaints[index]).toEqual([]);
});

test.each(surroundings.map(([folder, call, rule], index) => [folder, call, rule, refused.length + allowed.length + index] as const))(
  '%s is handed what it would learn from %s',
  (_, __, rule, index) => expect(String(complaints[index])).toContain(rule),
);
