import { readFileSync } from 'node:fs';
import { inClone } from './clone.ts';
import { Told } from './plain.ts';

/** What a command was given. */
export type Options = Readonly<Record<string, string | boolean | undefined>>;

/** The name that the stack has where nobody gave it another. */
export const defaultStack = 'lambda-compliance-guard';

/** Bad input: the message says what is wrong and what to do. */
export class WrongUse extends Told {
  override readonly name = 'WrongUse';
}

/** The parts of an option that takes several, separated by commas; none where it was not given. */
export function listed(value: Options[string]): readonly string[] {
  return typeof value === 'string' ? value.split(',').map((one) => one.trim()) : [];
}

/** The names of the stack's parameters, as its template has them. */
function stackParameters(): readonly string[] {
  const template = readFileSync(inClone('template.yaml'), 'utf8');
  const section = /^Parameters:\n(.*?)^\w/ms.exec(template)?.[1] ?? '';
  return [...section.matchAll(/^ {2}(\w+):$/gm)].map(([, name = '']) => name);
}

/** What `--parameter` gives the stack, by name. @throws WrongUse where the stack has no such parameter */
export function parametersIn(options: Options): Readonly<Record<string, string>> {
  return splitParameters(options, []).ofStack;
}

/**
 * What `--parameter` gives the stack, and what it gives templates; a name that both have counts for both.
 * @param names the parameters of the templates
 * @throws WrongUse where a name is none of theirs
 */
export function splitParameters(
  options: Options,
  names: readonly string[],
): { readonly ofStack: Readonly<Record<string, string>>; readonly ofTemplates: Readonly<Record<string, string>> } {
  const given = Object.entries(parametersGiven(options));
  const own = given.length === 0 ? [] : stackParameters();
  for (const [name] of given) {
    const known = [...names, ...own];
    if (known.includes(name)) continue;
    // Most mistakes are in the end of a name, or in its letters' case.
    const near = known.filter((one) => one.slice(0, 3).toLowerCase() === name.slice(0, 3).toLowerCase());
    const there = near.length === 0 ? known : near;
    throw new WrongUse(
      `There is no parameter ${name}${names.length === 0 ? '' : ', of a template or of the stack'}; there is ${there.join(', ')}.`,
    );
  }
  const among = (some: readonly string[]) => Object.fromEntries(given.filter(([name]) => some.includes(name)));
  return { ofStack: among(own), ofTemplates: among(names) };
}

/** `--parameter Deployers=arn:…`, one or several, by name. @throws WrongUse where one is none */
export function parametersGiven({ parameter }: Options): Readonly<Record<string, string>> {
  const lines = typeof parameter === 'string' ? parameter.split('\n') : [];
  return Object.fromEntries(
    lines.map((line) => {
      const [, name, value] = /^(\w+)=(.*)$/s.exec(line) ?? [];
      if (name === undefined || value === undefined) throw new WrongUse(`--parameter takes <Name>=<value>; "${line}" is not that.`);
      return [name, value];
    }),
  );
}
