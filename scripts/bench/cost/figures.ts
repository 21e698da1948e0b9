import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';

// What scripts/bench/cost.ts measured, kept beside it: the page is made of these figures, and changes only with them or with the code.

export const figuresPath = join(import.meta.dirname, 'figures.json');

/** What one unit of work cost: a message, a function that a sweep looks at, a minute. Means, as measured on the emulated account. */
const cost = z.strictObject({
  /** How many of them were measured. */
  units: z.number(),
  /** Times that the function was started for one. */
  invocations: z.number(),
  /** Milliseconds of a processor. */
  cpu: z.number(),
  /** Reads of AWS, and writes into the archive. */
  calls: z.number(),
  /** Those of them that are leased from a quota: of Lambda, of its GetPolicy, of API Gateway. */
  lambda: z.number(),
  policy: z.number(),
  apigateway: z.number(),
  /** Calls of the ledger, and what DynamoDB bills for them. */
  ledger: z.number(),
  readUnits: z.number(),
  writeUnits: z.number(),
  /** PutEvents, and Publish of SNS. */
  published: z.number(),
  /** Of SQS, by the function itself. */
  sqs: z.number(),
  logBytes: z.number(),
});

const figuresSchema = z.strictObject({
  measured: z.strictObject({ on: z.string(), functions: z.number() }),
  /** By the rule of EventBridge that brought the message. */
  events: z.record(z.string(), cost),
  /** By checker: one function, once. */
  sweep: z.record(z.string(), cost),
  /** The function that lists the estate, by function. */
  list: cost,
  tick: cost,
  /** The checker's and the notifier's part. */
  heartbeat: z.strictObject({ check: cost, notify: cost }),
  /** An alert, by the notifier. */
  alert: cost,
  ledger: z.strictObject({ bytesOfFunction: z.number(), itemsOfFunction: z.number() }),
});

export type Cost = z.infer<typeof cost>;
export type Figures = z.infer<typeof figuresSchema>;

export function readFigures(): Figures {
  return figuresSchema.parse(JSON.parse(readFileSync(figuresPath, 'utf8')));
}
