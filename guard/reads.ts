import type { AnyCall, Handle } from './call.ts';
import type { Ports } from './ports.ts';

const isRead = /:(Get|List|Describe|Simulate|Head)/;

/**
 * Calls that are made once: what one rule has read for a message, another does not read again. Only readings that
 * succeeded are kept, and only as long as whoever holds the returned function.
 */
export function readOnce(connect: Ports['connect']): Ports['connect'] {
  const answers = new Map<string, Promise<unknown>>();
  const once = (call: AnyCall, method: (input: unknown) => Promise<unknown>) => (input: unknown) => {
    const key = `${call.name} ${JSON.stringify(input)}`;
    const known = answers.get(key);
    if (known !== undefined) return known;
    const answer = method(input);
    answers.set(key, answer);
    answer.catch(() => answers.delete(key));
    return answer;
  };
  return <const Calls extends readonly AnyCall[]>(calls: Calls): Handle<Calls> => {
    const handle = connect(calls) as Readonly<Record<string, (input: unknown) => Promise<unknown>>>;
    const methods = calls.map((call) => {
      const method = handle[call.name] as (input: unknown) => Promise<unknown>;
      return [call.name, call.permissions.every(({ action }) => isRead.test(action)) ? once(call, method) : method];
    });
    return Object.fromEntries(methods) as Handle<Calls>;
  };
}
