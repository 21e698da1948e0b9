import type { AnyRule } from '../../guard/rule.ts';

/** Refuses an operation that the SDK does not know: a misspelt event name would make a rule that never hears anything. */
export async function checkOperations(rules: readonly AnyRule[]): Promise<void> {
  for (const rule of rules) {
    for (const { service, operations } of rule.on) {
      const client = (await import(`@aws-sdk/client-${service}`)) as Record<string, unknown>;
      for (const operation of operations) {
        if (client[`${operation}Command`] === undefined)
          throw new Error(`${rule.id} listens to ${service} ${operation}, which the SDK does not know.`);
      }
    }
  }
}
