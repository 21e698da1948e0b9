import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { rules } from '../../rules/index.ts';
import { read, root } from './repository.ts';

const run = promisify(execFile);

test('what follows from the rules is generated and committed', async () => {
  // In a process of its own, with the Node.js that strips types: that is how people run it.
  const node = join(root, 'node_modules/.bin/node');
  await expect(run(node, ['scripts/generate.ts', '--check'], { cwd: root, timeout: 60_000 })).resolves.toMatchObject({ stderr: '' });
}, 60_000);

test('the README has a row for every rule', () => {
  const table = /<!-- generated: rules -->\n([\s\S]*?)<!-- \/generated -->/.exec(read('README.md'))?.[1] ?? '';
  const rows = table
    .split('\n')
    .flatMap((line) => /^\| \[([a-z-]+)\]\(docs\/rules\/([a-z-]+)\.md\) \|/.exec(line)?.slice(1, 3).join(' ') ?? []);
  expect(rows).toEqual(rules.map(({ id }) => `${id} ${id}`));
});

test('a page begins with its generated head', () => {
  for (const { id, title } of rules) expect(read(`docs/rules/${id}.md`)).toMatch(`<!-- generated: head -->\n# ${id}\n\n**${title}.**`);
});
