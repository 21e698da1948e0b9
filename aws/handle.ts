import type { AnyCall, Connection, Handle } from '../guard/call.ts';

/** Called around every call that a handle makes; what it throws stops the call. */
export type Watch = (call: AnyCall, input: unknown) => Promise<void> | void;

/** The handle of a rule: its declared calls, bound to one account and region. */
export function connect<const Calls extends readonly AnyCall[]>(calls: Calls, connection: Connection, watch?: Watch): Handle<Calls> {
  const methods = calls.map((call) => [
    call.name,
    async (input: never) => {
      await watch?.(call, input);
      return await call.run(connection, input);
    },
  ]);
  return Object.fromEntries(methods) as Handle<Calls>;
}
