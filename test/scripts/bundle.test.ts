import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildSync } from 'esbuild';
import { handlerOf, withoutComputedKeys } from '../../scripts/bundle.ts';

test('keys that are computed from a string of the file are written as that string', () => {
  const schemas = [
    'const _a = "ami";',
    'const _xN = "xmlName";',
    'const _q = "\\"";',
    'export var Image$ = [3, n0, _a, { [_xN]: _a, [_q]: 1, [_other]: 2 }, [_a]];',
  ].join('\n');
  expect(withoutComputedKeys(schemas).split('\n').at(-1)).toBe(
    'export var Image$ = [3, n0, _a, { "xmlName": _a, [_q]: 1, [_other]: 2 }, [_a]];',
  );
});

describe('the schemas of every client', () => {
  const sdk = join(__dirname, '..', '..', 'node_modules', '@aws-sdk');
  const clients = readdirSync(sdk).filter((name) => name.startsWith('client-'));

  test.each(clients)('%s: are the same without computed keys, of which none is left', (client) => {
    const file = join(sdk, client, 'dist-es', 'schemas', 'schemas_0.js');
    const written = readFileSync(file, 'utf8');
    const rewritten = withoutComputedKeys(written);
    expect(written).toMatch(/\[_\w+\]:/);
    expect(rewritten).not.toMatch(/\[_\w+\]:/);
    expect(shown(loaded(rewritten, file))).toBe(shown(loaded(written, file)));
  });

  /** What a module exports. */
  function loaded(contents: string, file: string): object {
    const { outputFiles } = buildSync({
      stdin: { contents, resolveDir: dirname(file) },
      ...{ bundle: true, packages: 'external', platform: 'node', format: 'cjs', write: false },
    });
    const module = { exports: {} };
    new Function('module', 'require', outputFiles[0]?.text ?? '')(module, require);
    return module.exports;
  }

  /** All of it, lists that are made when they are needed included: by what makes them. */
  function shown(exported: object): string {
    return JSON.stringify(exported, (_, value: unknown) => (typeof value === 'function' ? String(value) : value));
  }
});

test.each([
  ['CheckRoles', 'check-roles'],
  ['Tick', 'tick'],
  ['RemediateRoleShared', 'remediate'],
])('the handler of %s is %s', (id, handler) => {
  expect(handlerOf(id)).toBe(handler);
});
