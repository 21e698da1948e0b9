/** As `node --cpu-prof` writes it; times in microseconds. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
    readonly children?: readonly number[];
    readonly positionTicks?: readonly { readonly line: number; readonly ticks: number }[];
  }[];
  readonly startTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export type CallFrame = CpuProfile['nodes'][number]['callFrame'];

/** Milliseconds by node: of the samples after a moment of the profiler's clock, in microseconds. */
export function selfTimes({ samples, timeDeltas, startTime }: CpuProfile, since = 0): ReadonlyMap<number, number> {
  const own = new Map<number, number>();
  let at = startTime;
  for (const [index, id] of samples.entries()) {
    const delta = timeDeltas[index] ?? 0;
    at += delta;
    if (at >= since) own.set(id, (own.get(id) ?? 0) + delta / 1000);
  }
  return own;
}

/** A box: what a function took, with all that it called. */
interface Box {
  readonly name: string;
  readonly of: string;
  milliseconds: number;
  readonly above: Map<string, Box>;
}

const width = 1200;
const height = 17;
/** What is narrower is left out, in pixels. */
const narrowest = 2;

/**
 * A flame graph as SVG: who called whom from below to above, as wide as it took, coloured by whose code it is.
 * https://www.brendangregg.com/flamegraphs.html
 * @param ownerOf the package of a frame, `Node`, or undefined for what shows nothing
 * @param share what the times are divided by, such as the number of events
 */
export function flameGraph(
  profile: CpuProfile,
  title: string,
  ownerOf: (frame: CallFrame) => string | undefined,
  { since = 0, share = 1 }: { readonly since?: number; readonly share?: number } = {},
): string {
  const own = selfTimes(profile, since);
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const root: Box = { name: title, of: '', milliseconds: 0, above: new Map() };
  const climb = (id: number, below: Box): number => {
    const node = nodes.get(id);
    if (node === undefined) return 0;
    const of = ownerOf(node.callFrame);
    const name = node.callFrame.functionName || '(anonymous)';
    const key = `${of} ${name}`;
    const box = of === undefined ? below : (below.above.get(key) ?? { name, of, milliseconds: 0, above: new Map() });
    let milliseconds = (own.get(id) ?? 0) / share;
    for (const child of node.children ?? []) milliseconds += climb(child, box);
    if (of === undefined) return milliseconds;
    box.milliseconds += milliseconds;
    if (box.milliseconds > 0) below.above.set(key, box);
    return milliseconds;
  };
  root.milliseconds = climb(profile.nodes[0]?.id ?? 0, root);
  const boxes = drawn(root, 0, 0, width / root.milliseconds);
  const levels = Math.max(...boxes.map(({ level }) => level)) + 1;
  const rects = boxes.map(({ box, level, x, wide }) => {
    const y = (levels - 1 - level) * height;
    const told = `${box.of === '' || box.of === box.name ? box.name : `${box.name} (${box.of})`}: ${box.milliseconds.toFixed(1)} ms`;
    const letters = Math.floor(wide / 6.2);
    const text = letters < 4 ? '' : `<text x="${(x + 2).toFixed(1)}" y="${y + 12}">${escaped(told.slice(0, letters))}</text>`;
    return `<g><title>${escaped(told)}</title><rect x="${x.toFixed(1)}" y="${y}" width="${wide.toFixed(1)}" height="${height - 1}" fill="${colourOf(box.of)}"/>${text}</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${levels * height}" font-family="monospace" font-size="10">`,
    `<title>${escaped(title)}</title>`,
    ...rects,
    '</svg>',
    '',
  ].join('\n');
}

interface Drawn {
  readonly box: Box;
  readonly level: number;
  readonly x: number;
  readonly wide: number;
}

function drawn(box: Box, level: number, x: number, scale: number): readonly Drawn[] {
  const wide = box.milliseconds * scale;
  if (wide < narrowest) return [];
  let left = x;
  const above = [...box.above.values()].toSorted((a, b) => b.milliseconds - a.milliseconds);
  return [
    { box, level, x, wide },
    ...above.flatMap((one) => {
      const at = left;
      left += one.milliseconds * scale;
      return drawn(one, level + 1, at, scale);
    }),
  ];
}

/** The same for the same name in every graph. */
function colourOf(name: string): string {
  if (name === '') return '#dddddd';
  const sum = [...name].reduce((total, letter) => (total * 31 + letter.charCodeAt(0)) % 360, 7);
  return `hsl(${sum} 65% 75%)`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
