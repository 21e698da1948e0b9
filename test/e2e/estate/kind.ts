import { createFunction } from '../functions.ts';
import { functionRole, stage } from '../stage.ts';

/** What the functions of the account share without breaking a rule. */
export interface Ground {
  readonly vpc: string;
  /** A subnet with a NAT gateway, in which no function is. */
  readonly publicSubnet: string;
  readonly internetGateway: string;
  readonly natGateway: string;
  /** A security group that no function uses. */
  readonly otherGroup: string;
  /** The customer's key for variables. */
  readonly key: string;
  /** The code signing configuration that functions must have, and another. */
  readonly signing: string;
  readonly otherSigning: string;
  /** A layer of an account that nobody listed. */
  readonly foreignLayer: string;
  /** A group whose users may deploy since before the guard was there. */
  readonly developers: string;
  /** The function that rotates secrets; it answers, but makes no new version. */
  readonly rotator: string;
}

/** What is wrong, by its ARN, and what makes it so only once the guard has seen it right. */
export interface Wrong {
  readonly found: readonly string[];
  readonly later?: () => Promise<unknown>;
}

/** One way to break one rule. */
export interface Kind {
  readonly rule: string;
  /** A few words that end the function's name. */
  readonly how: string;
  /** Why no sweep of an account that it does not know could find it: it takes an event. */
  readonly onlyHeard?: string;
  /** Why no event leads to it: it takes a sweep, by a guard that has seen it right. */
  readonly onlySwept?: string;
  /** Makes a function that breaks this rule and no other. @returns the ARN of what is wrong, or more of it */
  readonly make: (name: string, ground: Ground) => Promise<string | Wrong>;
}

/** A function that looks as if it broke a rule, and breaks none. */
export interface NearMiss {
  readonly how: string;
  /** @returns what puts it right, once the guard has seen it wrong, if anything does */
  readonly make: (name: string, ground: Ground) => Promise<unknown | { readonly later: () => Promise<unknown> }>;
}

export const account = '111122223333';
export const home = `us-east-1:${account}`;

export function functionArn(name: string): string {
  return `arn:aws:lambda:${home}:function:${name}`;
}

export function roleArn(name: string): string {
  return `arn:aws:iam::${account}:role/${name}`;
}

/** Does something as the administrator. */
export async function administrator(service: string, operation: string, input: object) {
  return await stage.boto.call(service, operation, input);
}

/** Does something as the pipeline: what runs, with what, is its business alone. */
export async function pipeline(operation: string, input: object) {
  return await stage.botoPipeline.call('lambda', operation, input);
}

/** What a role of functions may be. */
export type RoleOptions = NonNullable<Parameters<typeof functionRole>[1]>;

/** A function with a role of its own, deployed by the pipeline: nothing is wrong with it. @returns its ARN */
export async function sound(name: string, more: object = {}, role: RoleOptions = {}): Promise<string> {
  await createFunction(name, await functionRole(name, role), more);
  return functionArn(name);
}

/** Routes an alias to version 1 of a function, by the pipeline. */
export async function aliased(FunctionName: string): Promise<void> {
  await pipeline('create_alias', { FunctionName, Name: 'live', FunctionVersion: '1' });
}

/** The policy of a user, group, role or key. */
export function allowing(Action: string | readonly string[], Resource: string | readonly string[] = '*'): string {
  return JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action, Resource }] });
}

/** Variables that hold no secret, encrypted with the customer's key. */
export function variables(Variables: Readonly<Record<string, string>>, { key }: Ground): object {
  return { Environment: { Variables }, KMSKeyArn: key };
}
