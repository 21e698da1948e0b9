import type { Command as SdkCommand } from '@smithy/types';
import type { Call, Connection, Permission } from '../guard/call.ts';

/** A command class of the SDK: its input and output types are the call's. */
// biome-ignore lint/suspicious/noExplicitAny: a client's own unions of inputs and outputs do not matter here
type CommandClass<Input extends object, Output extends object> = new (input: Input) => SdkCommand<any, Input, any, Output, any>;

interface Options {
  /** What IAM checks the action against; the function, role or group pattern. */
  readonly resource: string | readonly string[];
  readonly condition?: Permission['condition'];
  /** The action where it is not `service:Operation`. */
  readonly action?: string;
  /** Further permissions that AWS asks of the caller (iam:PassRole, kms:Decrypt …). */
  readonly also?: readonly Permission[];
  readonly alreadyDone?: readonly string[];
}

type Send = (connection: Connection, command: never) => Promise<unknown>;

/**
 * Makes the calls of one service: each is one API operation with the IAM permission that it needs.
 * @param send how a command reaches the service in the connection's region
 */
export function callsOf(service: string, send: Send) {
  return function call<Name extends string, Input extends object, Output extends object>(
    operation: Name,
    Command: CommandClass<Input, Output>,
    { resource, condition, action = `${service}:${operation}`, also = [], alreadyDone = [] }: Options,
  ): Call<Uncapitalize<Name>, Input, Output> {
    return {
      name: `${operation.charAt(0).toLowerCase()}${operation.slice(1)}` as Uncapitalize<Name>,
      service,
      operation,
      permissions: [{ action, resource, ...(condition === undefined ? {} : { condition }) }, ...also],
      alreadyDone,
      run: async (connection, input) => (await send(connection, new Command(input) as never)) as Output,
    };
  };
}
