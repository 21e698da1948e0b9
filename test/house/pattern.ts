import type { Value } from './template.ts';

/**
 * Whether EventBridge matches an event, for the operators that this template uses; any other throws.
 * https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
 */
export function matches(pattern: Value | undefined, event: unknown): boolean {
  const fields = isRecord(event) ? event : {};
  return Object.entries(record(pattern)).every(([key, wanted]) => {
    if (key === '$or') return (wanted as readonly Value[]).some((alternative) => matches(alternative, event));
    if (!Array.isArray(wanted)) return matches(wanted, fields[key]);
    return wanted.some((one: Value) => matchesValue(one, fields[key]));
  });
}

function matchesValue(wanted: Value, value: unknown): boolean {
  // A list in the event matches where one of its members does.
  if (Array.isArray(value)) return value.some((one) => matchesValue(wanted, one));
  if (typeof wanted !== 'object' || wanted === null) return value === wanted;
  const [[operator, argument] = ['', null]] = Object.entries(record(wanted));
  switch (operator) {
    case 'exists':
      return (value !== undefined) === argument;
    case 'prefix':
      return typeof value === 'string' && value.startsWith(String(argument));
    default:
      throw new Error(`the template's patterns use ${operator}, which these tests do not know`);
  }
}

function record(value: Value | undefined): Readonly<Record<string, Value>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${JSON.stringify(value)} is no pattern`);
  return value as Readonly<Record<string, Value>>;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
