import type { Severity } from '../../guard/finding.ts';
import { many } from '../terminal.ts';
import { type Html, html } from './html.ts';
import { median, type Open } from './model.ts';
import { duration, gravest } from './words.ts';

// Every picture says the same in words: the table beside it, or its label.

/** How many there are of each severity. */
export type Counts = Readonly<Record<Severity, number>>;

export function countsOf(findings: readonly { readonly severity: Severity }[]): Counts {
  const of = (severity: Severity) => findings.filter((finding) => finding.severity === severity).length;
  return { critical: of('critical'), high: of('high'), medium: of('medium'), low: of('low') };
}

export const sumOf = (counts: Counts): number => gravest.reduce((sum, severity) => sum + counts[severity], 0);

/** One bar of a row, gravest first; `most` fills it. */
export function bar(counts: Counts, most: number): Html {
  const width = 240;
  let x = 0;
  const pieces = gravest
    .filter((severity) => counts[severity] > 0)
    .map((severity) => {
      const length = (counts[severity] / Math.max(most, 1)) * width;
      x += length;
      return html`<rect class="${severity}" x="${fixed(x - length)}" y="0" width="${fixed(Math.max(length - 1.5, 1))}" height="12"/>`;
    });
  return html`<svg class="bar" viewBox="0 0 ${width} 12" aria-hidden="true" preserveAspectRatio="none">${
    pieces.length === 0 ? html`<rect class="none" x="0" y="5.5" width="${width}" height="1"/>` : pieces
  }</svg>`;
}

const day = 86_400_000;
const ages: readonly (readonly [string, number])[] = [
  ['under a day', day],
  ['1 to 7 days', 7 * day],
  ['8 to 30 days', 30 * day],
  ['31 to 90 days', 90 * day],
  ['over 90 days', Number.POSITIVE_INFINITY],
];

/** Columns of open findings by how long they are open. */
export function ageChart(findings: readonly Open[], now: number): Html {
  const aged = findings.flatMap((finding) => (finding.since === undefined ? [] : [{ finding, age: now - Date.parse(finding.since) }]));
  const columns = ages.map(([label, below], index) => {
    const from = index === 0 ? Number.NEGATIVE_INFINITY : (ages[index - 1]?.[1] ?? 0);
    const counts = countsOf(aged.filter(({ age }) => age >= from && age < below).map(({ finding }) => finding));
    return { label, counts, sum: sumOf(counts) };
  });
  const most = Math.max(1, ...columns.map(({ sum }) => sum));
  const [height, pitch, wide] = [120, 96, 56];
  const said = columns
    .map(({ label, counts, sum }) => {
      const parts = gravest.filter((severity) => counts[severity] > 0).map((severity) => `${counts[severity]} ${severity}`);
      return `${label}: ${sum}${sum === 0 ? '' : ` (${parts.join(', ')})`}`;
    })
    .join('; ');
  return html`<svg class="chart" viewBox="0 0 ${pitch * columns.length} ${height + 46}" role="img" aria-label="Open findings by age. ${said}.">
${columns.map(({ label, counts, sum }, column) => {
  let y = height + 18;
  const x = column * pitch + (pitch - wide) / 2;
  const pieces = gravest.toReversed().map((severity) => {
    const tall = (counts[severity] / most) * height;
    y -= tall;
    return tall === 0
      ? undefined
      : html`<rect class="${severity}" x="${x}" y="${fixed(y)}" width="${wide}" height="${fixed(Math.max(tall - 1.5, 1))}"/>`;
  });
  return html`${pieces}<text class="value" x="${x + wide / 2}" y="${fixed(y - 6)}">${sum}</text><text class="label" x="${x + wide / 2}" y="${height + 38}">${label}</text>`;
})}
<path class="axis" d="M0 ${height + 18.5}H${pitch * columns.length}"/></svg>`;
}

const ticks: readonly (readonly [string, number])[] = [
  ['10 s', 1e4],
  ['1 min', 6e4],
  ['10 min', 6e5],
  ['1 h', 3.6e6],
  ['10 h', 3.6e7],
  ['4 days', 3.456e8],
  ['40 days', 3.456e9],
];

/** One dot for each time, on a logarithmic line. */
export function timesChart(rows: readonly { readonly what: string; readonly times: readonly number[] }[]): Html {
  const [left, width, rowHeight] = [82, 398, 56];
  const [from, to] = [Math.log10(5e3), Math.log10(6e9)];
  const at = (time: number) => left + ((Math.min(Math.max(Math.log10(Math.max(time, 1)), from), to) - from) / (to - from)) * width;
  const bottom = rows.length * rowHeight + 8;
  const said = rows.map(({ what, times }) => `${what}: ${timesInWords(times)}`).join('; ');
  return html`<svg class="chart" viewBox="0 0 490 ${bottom + 24}" role="img" aria-label="Times on a logarithmic scale. ${said}.">
${ticks.map(
  ([label, time]) =>
    html`<path class="grid" d="M${fixed(at(time))} 4V${bottom}"/><text class="label" x="${fixed(at(time))}" y="${bottom + 18}">${label}</text>`,
)}
${rows.map(({ what, times }, row) => {
  const y = row * rowHeight + 32;
  const middle = median(times);
  return html`<text class="label start" x="0" y="${y + 4}">${what}</text>${times.map(
    (time) => html`<circle class="dot" cx="${fixed(at(time))}" cy="${y}" r="5"/>`,
  )}${
    middle === undefined
      ? undefined
      : html`<path class="median" d="M${fixed(at(middle))} ${y - 15}v30"/><text class="value" x="${fixed(at(middle))}" y="${y - 19}">${duration(middle)}</text>`
  }`;
})}</svg>`;
}

export function timesInWords(times: readonly number[]): string {
  const middle = median(times);
  if (middle === undefined) return 'none yet';
  return `half within ${duration(middle)}, the longest ${duration(Math.max(...times))}, of ${many(times.length, 'finding')}`;
}

function fixed(value: number): string {
  return String(Math.round(value * 10) / 10);
}
