/** What a command was given. */
export type Options = Readonly<Record<string, string | boolean | undefined>>;

/** Bad input: the message says what is wrong and what to do. */
export class WrongUse extends Error {
  override readonly name = 'WrongUse';
}

/** The parts of an option that takes several, separated by commas; none where it was not given. */
export function listed(value: Options[string]): readonly string[] {
  return typeof value === 'string' ? value.split(',').map((one) => one.trim()) : [];
}

/** `--parameter Deployers=arn:…`, one or several, by name. @throws WrongUse where one is none */
export function parametersIn({ parameter }: Options): Readonly<Record<string, string>> {
  const lines = typeof parameter === 'string' ? parameter.split('\n') : [];
  return Object.fromEntries(
    lines.map((line) => {
      const [, name, value] = /^(\w+)=(.*)$/s.exec(line) ?? [];
      if (name === undefined || value === undefined) throw new WrongUse(`--parameter takes <Name>=<value>; "${line}" is not that.`);
      return [name, value];
    }),
  );
}
