import type { Command } from 'commander';
import { rules } from '../rules/index.ts';
import { inClone, nodeFlag } from './clone.ts';
import { WrongUse } from './session.ts';

/** Commands that take a rule's id. */
const ofRules = ['exempt', 'mode', 'rules'];

/** What may follow `guard`, and what may follow each command. */
function words(program: Command): { readonly commands: readonly string[]; readonly after: Readonly<Record<string, readonly string[]>> } {
  const general = program.options.flatMap(({ long }) => long ?? []);
  const after = program.commands.map((command) => {
    const own = command.options.flatMap(({ long }) => long ?? []);
    return [
      command.name(),
      [...own, ...general, '--help', ...(ofRules.includes(command.name()) ? rules.map(({ id }) => id) : [])],
    ] as const;
  });
  return { commands: program.commands.map((command) => command.name()), after: Object.fromEntries(after) };
}

const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

const scripts: Readonly<Record<string, (run: string, known: ReturnType<typeof words>) => string>> = {
  bash: (run, { commands, after }) => `guard() { ${run} "$@"; }
_guard() {
  local word="\${COMP_WORDS[COMP_CWORD]}" words
  if [ "$COMP_CWORD" -eq 1 ]; then words="${commands.join(' ')}"; else
    case "\${COMP_WORDS[1]}" in
${Object.entries(after)
  .map(([command, follows]) => `      ${command}) words="${follows.join(' ')}";;`)
  .join('\n')}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _guard guard`,
  zsh: (run, known) => `autoload -Uz compinit bashcompinit && compinit -u && bashcompinit\n${scripts['bash']?.(run, known) ?? ''}`,
  fish: (run, { commands, after }) => `function guard; ${run} $argv; end
complete -c guard -n __fish_use_subcommand -f -a ${quoted(commands.join(' '))}
${Object.entries(after)
  .map(([command, follows]) => `complete -c guard -n '__fish_seen_subcommand_from ${command}' -a ${quoted(follows.join(' '))}`)
  .join('\n')}`,
};

/** A script for a shell that makes \`guard\` a command of it, wherever one stands, and completes what follows. */
export function completion(shell: string, program: Command): string {
  const script = scripts[shell];
  if (script === undefined) throw new WrongUse(`There is completion for ${Object.keys(scripts).join(', ')}; "${shell}" is none of them.`);
  const guard = [quoted(inClone('node_modules/.bin/node')), nodeFlag, quoted(inClone('scripts/guard.mjs'))].join(' ');
  return script(guard, words(program));
}
