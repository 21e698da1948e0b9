import * as z from 'zod';

/**
 * What the outside sees: an SNS message and the `detail` of an event on the guard's bus. The JSON Schema in schemas/
 * is generated from this; fields are only ever added.
 */
export const alertSchema = z.object({
  version: z.literal('1'),
  kind: z.enum(['finding', 'change', 'failure', 'digest']),
  status: z.enum(['open', 'remediated', 'partial', 'unproven', 'resolved', 'reverted', 'failed', 'unknown', 'exempt', 'paused']),
  rule: z.string(),
  practice: z.string(),
  severity: z.enum(['critical', 'high', 'medium', 'low']),
  title: z.string(),
  summary: z.string().describe('One sentence that somebody who did not write the function understands.'),
  resource: z.object({ arn: z.string(), type: z.string(), account: z.string(), region: z.string() }),
  actor: z.object({ arn: z.string(), issuer: z.string(), console: z.boolean(), sourceIp: z.string() }).optional(),
  event: z.object({ id: z.string(), name: z.string(), time: z.string() }).optional(),
  evidence: z.record(z.string(), z.unknown()),
  plan: z.array(z.string()).describe('The calls of the fix, in order, where a fix was planned and not (or not wholly) made.'),
  change: z
    .object({ id: z.string(), calls: z.array(z.string()), undo: z.string().describe('The command that takes the change back.') })
    .optional(),
  managedBy: z.object({ stack: z.string(), logicalId: z.string() }).optional(),
  docs: z.string(),
  findingId: z.string(),
  /** One more at each reopening: with findingId and status it tells one alert from another. */
  opened: z.number().int(),
  sweep: z.string().optional().describe('The sweep that found it, where no event did.'),
  detectedAfterMs: z.number().optional().describe('Milliseconds from the event to the finding.'),
});

export type Alert = z.output<typeof alertSchema>;
