import type { Alert } from './alert.ts';
import type { AnyCall, Handle } from './call.ts';
import type { Config } from './config.ts';
import type { Ledger } from './ledger.ts';

/** The outer world of the machinery, handed in so that it can be tested and replayed. */
export interface Ports {
  readonly ledger: Ledger;
  readonly config: Config;
  readonly connect: <const Calls extends readonly AnyCall[]>(calls: Calls) => Handle<Calls>;
  /** Whether one call is made in the place of those whose answers its answer holds; not where lists tell those. */
  readonly prefersLarger?: boolean;
  /** Whether alerts carry what a fix would do, which takes reads of its own; they do where nothing is said. */
  readonly showsPlans?: boolean;
  /** Whether the rules of a message are judged side by side; not where others wait for what it asks. */
  readonly sideBySide?: boolean;
  /** Puts alerts on the guard's bus. */
  readonly publish: (alerts: readonly Alert[]) => Promise<void>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** How a function fared between two moments: sums, and the longest age of a record of its streams in milliseconds. */
export interface Metrics {
  readonly invocations: number;
  readonly errors: number;
  readonly throttles: number;
  readonly deadLetterErrors: number;
  readonly iteratorAge: number;
}

/** What a remediator has besides a checker's: it may look at how a function fares. */
export interface FixPorts extends Ports {
  /** A function's metrics between two moments, in milliseconds. */
  readonly metrics: (functionArn: string, from: number, to: number) => Promise<Metrics>;
}
