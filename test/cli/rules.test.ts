import { rules as list } from '../../cli/rules.ts';
import { rules } from '../../rules/index.ts';

async function printed(...args: readonly string[]): Promise<string> {
  const said: string[] = [];
  const log = jest.spyOn(console, 'log').mockImplementation((text) => void said.push(text));
  try {
    await list({}, args);
    return said.join('\n');
  } finally {
    log.mockRestore();
  }
}

test('all rules stand in a table', async () => {
  const text = await printed();
  for (const { id, title } of rules)
    expect(text).toMatch(new RegExp(`^${id} +\\w+ +(critical|high|medium|low) +(alert|off) +(yes|no) +${title}$`, 'm'));
});

test.each(rules.map(({ id }) => id))('%s is explained without the marks of its page', async (id) => {
  const text = await printed(id);
  expect(text).toMatch(new RegExp(`^# ${id}\n`));
  expect(text).toContain('## When not to use it');
  expect(text).not.toMatch(/<!--|\]\(|\*\*/);
});

test('a rule that is not there is told, with those that are', async () => {
  await expect(printed('role-shard')).rejects.toThrow(/^There is no rule role-shard; there are role-shared, /);
});
