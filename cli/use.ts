/** What a command was given. */
export type Options = Readonly<Record<string, string | boolean | undefined>>;

/** Bad input: the message says what is wrong and what to do. */
export class WrongUse extends Error {
  override readonly name = 'WrongUse';
}
