import { type Html, html } from './html.ts';

/** The little Markdown that the pages of rules use: paragraphs, lists, code, emphasis. Everything else is shown as it is written. */
export function markdown(text: string): readonly Html[] {
  return text
    .split(/\n{2,}/)
    .filter((block) => block.trim() !== '')
    .flatMap((block) => {
      const lines = block.split('\n');
      const start = lines.findIndex((line) => bullet.test(line));
      if (start < 0) return [html`<p>${inline(joined(lines))}</p>`];
      const before = start === 0 ? [] : [html`<p>${inline(joined(lines.slice(0, start)))}</p>`];
      const items = itemsOf(lines.slice(start)).map((item) => html`<li>${inline(item)}</li>`);
      return [...before, /^\d/.test(lines[start] ?? '') ? html`<ol>${items}</ol>` : html`<ul>${items}</ul>`];
    });
}

const bullet = /^(?:-|\d+\.) /;
const joined = (lines: readonly string[]) => lines.map((line) => line.trim()).join(' ');

/** Each item with the lines that go on with it. */
function itemsOf(lines: readonly string[]): readonly string[] {
  const items: string[] = [];
  for (const line of lines) {
    if (bullet.test(line)) items.push(line.replace(bullet, ''));
    else items.push(`${items.pop()} ${line.trim()}`);
  }
  return items;
}

function inline(text: string): readonly (string | Html)[] {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((part) => {
    if (/^`.+`$/.test(part)) return html`<code>${part.slice(1, -1)}</code>`;
    return /^\*\*.+\*\*$/.test(part) ? html`<strong>${part.slice(2, -2)}</strong>` : part;
  });
}
