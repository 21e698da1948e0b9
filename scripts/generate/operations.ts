import type { AnyRule } from '../../guard/rule.ts';
import { tagOperations } from '../../guard/tags.ts';

/** Refuses an operation that the SDK does not know: a misspelt event name would make a rule that never hears anything. */
export async function checkOperations(rules: readonly AnyRule[]): Promise<void> {
  for (const [service, operations] of Object.entries(tagOperations)) await check('The tags', service, operations);
  // What services write of their own doing is no operation, and the SDK has no list of it.
  for (const rule of rules)
    for (const { service, operations, ofService } of rule.on) if (ofService === undefined) await check(rule.id, service, operations);
}

/** CloudTrail's services whose operations are not in the client of the same name. */
const clients: Readonly<Record<string, readonly string[]>> = {
  apigateway: ['api-gateway', 'apigatewayv2'],
  events: ['eventbridge'],
  monitoring: ['cloudwatch'],
  secretsmanager: ['secrets-manager'],
};

async function check(who: string, service: string, operations: readonly string[]): Promise<void> {
  const modules = await Promise.all((clients[service] ?? [service]).map(async (name) => await import(`@aws-sdk/client-${name}`)));
  const client: Record<string, unknown> = Object.assign({}, ...modules);
  for (const operation of operations) {
    if (client[`${operation}Command`] === undefined)
      throw new Error(`${who} listens to ${service} ${operation}, which the SDK does not know.`);
  }
}
