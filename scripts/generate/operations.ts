import type { AnyRule } from '../../guard/rule.ts';
import { tagOperations } from '../../guard/tags.ts';

/** Refuses an operation that the SDK does not know: a misspelt event name would make a rule that never hears anything. */
export async function checkOperations(rules: readonly AnyRule[]): Promise<void> {
  for (const [service, operations] of Object.entries(tagOperations)) await check('The tags', service, operations);
  for (const rule of rules) for (const { service, operations } of rule.on) await check(rule.id, service, operations);
}

async function check(who: string, service: string, operations: readonly string[]): Promise<void> {
  const client = (await import(`@aws-sdk/client-${service}`)) as Record<string, unknown>;
  for (const operation of operations) {
    if (client[`${operation}Command`] === undefined)
      throw new Error(`${who} listens to ${service} ${operation}, which the SDK does not know.`);
  }
}
