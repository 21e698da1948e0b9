/** HTML that is safe to put on a page as it is. Made by `html` alone. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Value = string | number | Html | undefined | readonly Value[];

/** A template whose values are escaped, unless they are templates themselves. Attributes need their quotes. */
export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Html {
  return new Html(parts.map((part, index) => `${part}${index < values.length ? textOf(values[index]) : ''}`).join(''));
}

function textOf(value: Value): string {
  if (value === undefined) return '';
  if (value instanceof Html) return value.text;
  if (typeof value === 'string' || typeof value === 'number') return escaped(String(value));
  return value.map(textOf).join('');
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/**
 * Text as it may stand between tags and in quotes. What cannot be seen, or turns the direction of what follows, is shown as its
 * code: a name must not look like another one.
 */
export function escaped(text: string): string {
  return text
    .replace(/[^\P{C}\n\t]|[\p{Zl}\p{Zp}]/gu, (sign) => `\\u{${sign.codePointAt(0)?.toString(16)}}`)
    .replace(/[&<>"']/g, (sign) => entities[sign] ?? '');
}
