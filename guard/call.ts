/** One API call of AWS, as a rule declares it. The implementations live in aws/, one file per service. */
export interface Call<Name extends string = string, Input = never, Output = unknown> {
  /** The operation in camel case; unique in the house, it is the method's name on the handle. */
  readonly name: Name;
  readonly service: string;
  /** The operation as AWS spells it, where the house calls it by another name (`switchRole` is UpdateFunctionConfiguration). */
  readonly operation?: string;
  /** What the call needs from IAM, the one source of every generated policy. */
  readonly permissions: readonly Permission[];
  /** Names of errors that mean "this was done already", when a step is run again after a kill, or "there is nothing left to do it to". */
  readonly alreadyDone: readonly string[];
  readonly run: (connection: Connection, input: Input) => Promise<Output>;
  /** Calls whose answers hold this one's: who makes one of them need not make this one. */
  readonly within?: readonly Within[];
}

/** How one call's answer stands in another's. */
export interface Within {
  readonly call: AnyCall;
  /** What the other is asked for the same thing. */
  readonly input: (input: never) => object;
  /** Undefined where the other does not tell. */
  readonly answer: (answer: never) => unknown;
}

/** An IAM action on resources; `resource` may hold CloudFormation variables (`${AWS::Partition}`). */
export interface Permission {
  readonly action: string;
  readonly resource: string | readonly string[];
  readonly condition?: Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;
}

const reading = /:(GET$|Get|List|Describe|Search|Simulate|Head|Decrypt)/;

/** Whether a call changes nothing: all that it needs is permission to read. Decrypt stands beside the reading of what a key encrypts. */
export function isReading({ permissions }: AnyCall): boolean {
  return permissions.every(({ action }) => reading.test(action));
}

/** The account and region that a handle is bound to. */
export interface Connection {
  readonly account: string;
  readonly region: string;
}

// biome-ignore lint/suspicious/noExplicitAny: a list of calls is heterogeneous; each call keeps its own types
export type AnyCall = Call<string, any, any>;

/** The methods that a rule gets for the calls it declared: a call that was not declared does not compile. */
export type Handle<Calls extends readonly AnyCall[]> = {
  readonly [C in Calls[number] as C['name']]: C extends Call<string, infer Input, infer Output> ? (input: Input) => Promise<Output> : never;
};

/** What remains of a call when it is written down: its name and its input, as JSON. */
export interface RecordedCall {
  readonly call: string;
  readonly input: Readonly<Record<string, unknown>>;
}

/** `lambda:UpdateFunctionUrlConfig`, as alerts and IAM spell it. */
export function iamName(call: AnyCall): string {
  return `${call.service}:${call.operation ?? `${call.name.charAt(0).toUpperCase()}${call.name.slice(1)}`}`;
}
