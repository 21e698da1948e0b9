import { spawnSync } from 'node:child_process';
import { Command } from 'commander';
import { completion } from '../../cli/completion.ts';

const program = new Command('guard').option('--region <region>');
program.command('scan').option('--rule <ids>');
program.command('mode <rule> <mode>');

/** What bash would offer after these words. */
function offered(...line: readonly string[]): readonly string[] {
  const script = `${completion('bash', program)}\nCOMP_WORDS=(${line.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${line.length - 1}; _guard; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, status, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout.trim().split('\n');
}

test.each([
  [
    ['guard', ''],
    ['scan', 'mode'],
  ],
  [['guard', 'sc'], ['scan']],
  [
    ['guard', 'scan', '--r'],
    ['--rule', '--region'],
  ],
  [
    ['guard', 'mode', 'role-'],
    ['role-shared', 'role-too-broad', 'role-trust-open'],
  ],
])('bash offers after %j', (line, words) => expect([...offered(...line)].sort()).toEqual([...words].sort()));

test('bash runs the command line wherever one stands', () => {
  const script = `cd / && ${completion('bash', program).replace(/^guard\(\) \{ .*?guard\.mjs'/, (call) => call.replace(/'[^']*bin\/node'/, 'echo'))}\nguard scan --rule x`;
  const { stdout } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
  expect(stdout).toMatch(/^--max-semi-space-size=\d+ \/.*scripts\/guard\.mjs scan --rule x\n$/);
});

test('zsh and fish have it too, other shells are refused', () => {
  expect(completion('zsh', program)).toContain('bashcompinit');
  expect(completion('fish', program)).toContain("complete -c guard -n '__fish_seen_subcommand_from scan' -a '--rule --region --help'");
  expect(() => completion('tcsh', program)).toThrow('There is completion for bash, zsh, fish; "tcsh" is none of them.');
});
