/** What a terminal obeys, what turns the direction of reading, and how commands to a CI's log begin: `::error::`, `##[…]`, `##vso[…]`. */
const obeyed = /[\p{Cc}\u2028\u2029\u202A-\u202E\u2066-\u2069]|(?<=^\s*):(?=:[a-z])|#(?=#(vso)?\[)/gu;

/**
 * Text of others (names, messages of AWS, what stands in templates and logs) on one line, and without anything that a terminal or
 * a CI's log would obey: that is shown as `\u000a`.
 */
export function plain(text: string): string {
  return text.replace(obeyed, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** An error that is told on lines of its own, to which no text of others in it adds any. */
export class Told extends Error {
  constructor(...lines: readonly string[]) {
    super(lines.map(plain).join('\n'));
  }
}
