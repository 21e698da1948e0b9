import { median } from '../median.ts';

/** The middle one of some figures, and from where to where they reach. */
export interface Spread {
  readonly median: number;
  readonly from: number;
  readonly to: number;
}

export function spread(figures: readonly number[]): Spread {
  return { median: median(figures), from: Math.min(...figures), to: Math.max(...figures) };
}

export function shown({ median: middle, from, to }: Spread, digits = 1): string {
  return `${middle.toFixed(digits)} (${from.toFixed(digits)} to ${to.toFixed(digits)})`;
}
