import * as z from 'zod';
import type { Place } from './arn.ts';
import type { Mode } from './mode.ts';
import { type AnyRule, pascalCase, type Settings } from './rule.ts';

/** What a rule was deployed with. */
export interface RuleConfig {
  readonly mode: Mode;
  /** Milliseconds between a finding and its fix. */
  readonly delay: number;
  /** Where fixes are allowed: `*`, `tag:key=value`, ARN globs. */
  readonly scope: readonly string[];
  readonly params: Readonly<Record<string, unknown>>;
}

/** Everything that the stack's parameters decide, read once. */
export interface Config {
  readonly home: Place;
  readonly stack: string;
  readonly settings: Settings;
  readonly operators: readonly string[];
  readonly neverTouch: readonly string[];
  /** Whether tags of a resource may exempt it from a rule. */
  readonly allowTagExemptions: boolean;
  readonly digestOver: number;
  /** How often the same finding is put right within an hour, and how many changes the account sees within ten minutes. */
  readonly budget: { readonly perFinding: number; readonly perAccount: number };
  /** How long a function is watched after a change (milliseconds), and how many invocations tell anything. */
  readonly probation: { readonly length: number; readonly invocations: number };
  readonly lambdaCallsPerSecond: number;
  readonly apiGatewayCallsPerSecond: number;
  readonly rule: (id: string) => RuleConfig;
}

const mode = z.enum(['off', 'alert', 'remediate']);
const list = z
  .string()
  .default('')
  .transform((value) =>
    value
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== ''),
  );
// No whole numbers asked: CloudFormation takes 1.5 for a Number, and a stack that is deployed has to run.
const within = (low: number, high: number) => z.coerce.number().min(low).max(high);
const between = (low: number, high: number, fallback: number) => within(low, high).default(fallback);

/** `role-shared=remediate:15,layer-foreign=off:15`: what Tick, Sweep and Operate know of all rules in one variable. */
const modes = list.pipe(
  z.array(
    z
      .string()
      .regex(/^[a-z-]+=(off|alert|remediate):\d+(\.\d+)?$/, 'it takes <rule>=<mode>:<minutes>')
      .transform((text) => {
        const [id = '', deployed = '', delay = ''] = text.split(/[=:]/);
        return [id, { mode: mode.parse(deployed), delay: Number(delay) * 60_000 }] as const;
      }),
  ),
);

const environment = z.object({
  GUARD_ACCOUNT: z.string().regex(/^\d{12}$/),
  AWS_REGION: z.string().min(1),
  StackName: z.string().min(1),
  Deployers: list,
  Operators: list,
  NeverTouch: list,
  RemediateScope: list,
  Modes: modes,
  ArchiveBucket: z.string().default(''),
  BoundaryArn: z.string().default(''),
  DenialArn: z.string().default(''),
  KeyArn: z.string().default(''),
  AlertTopic: z.string().default(''),
  AllowTagExemptions: z.enum(['true', 'false']).default('false'),
  DigestOver: between(1, 1000, 20),
  LambdaCallsPerSecond: between(1, 1_000, 5),
  ApiGatewayCallsPerSecond: between(1, 10, 3),
  FixesPerFinding: between(1, 100, 3),
  ChangesPerTenMinutes: between(1, 10_000, 20),
  ProbationMinutes: between(0, 1_440, 60),
  ProbationInvocations: between(1, 1_000_000, 20),
});

/** What every rule has. Made once: zod takes its time to make a schema, and a start waits for it. */
const ruleSwitches = z.object({ Mode: mode.default('off'), Delay: within(0, 10_080).optional(), Scope: list });

/**
 * Reads the configuration from environment variables, which are named as the stack's parameters.
 * @throws ConfigError with one sentence that names the parameter
 */
export function readConfig(variables: Readonly<Record<string, string | undefined>>, rules: readonly AnyRule[]): Config {
  const read = parse(environment, variables, '');
  const configured = new Map<string, RuleConfig>();
  const everywhere = read.RemediateScope.length > 0 ? read.RemediateScope : ['*'];
  const switches = (id: string, shippedDelay: number) => {
    const name = pascalCase(id);
    const own = parse(
      ruleSwitches,
      { Mode: variables[`${name}Mode`], Delay: variables[`${name}Delay`], Scope: variables[`${name}Scope`] },
      name,
    );
    return { mode: own.Mode, delay: (own.Delay ?? shippedDelay) * 60_000, scope: own.Scope.length > 0 ? own.Scope : everywhere };
  };
  for (const rule of rules) {
    const name = pascalCase(rule.id);
    const prefixed = Object.fromEntries(
      Object.keys(rule.params.shape).map((param) => [param, variables[`${name}${param.charAt(0).toUpperCase()}${param.slice(1)}`]]),
    );
    configured.set(rule.id, { ...switches(rule.id, rule.delay), params: parse(rule.params, prefixed, name) });
  }
  const deployed = new Map(read.Modes);
  return {
    home: { account: read.GUARD_ACCOUNT, region: read.AWS_REGION },
    stack: read.StackName,
    settings: {
      stack: read.StackName,
      deployers: read.Deployers,
      operators: read.Operators,
      archiveBucket: read.ArchiveBucket,
      boundaryArn: read.BoundaryArn,
      denialArn: read.DenialArn,
      keyArn: read.KeyArn,
      alertTopicArn: read.AlertTopic,
    },
    operators: read.Operators,
    neverTouch: read.NeverTouch,
    allowTagExemptions: read.AllowTagExemptions === 'true',
    digestOver: read.DigestOver,
    budget: { perFinding: read.FixesPerFinding, perAccount: read.ChangesPerTenMinutes },
    probation: { length: read.ProbationMinutes * 60_000, invocations: read.ProbationInvocations },
    lambdaCallsPerSecond: read.LambdaCallsPerSecond,
    apiGatewayCallsPerSecond: read.ApiGatewayCallsPerSecond,
    // Tick, sweep and operate have no rules at hand, and ask for mode and delay alone.
    rule: (id) => configured.get(id) ?? { ...(deployed.get(id) ?? { mode: 'off', delay: 0 }), scope: everywhere, params: {} },
  };
}

/** The same, with rules in other modes. */
export function withModes(config: Config, modeOf: (id: string) => Mode): Config {
  return { ...config, rule: (id) => ({ ...config.rule(id), mode: modeOf(id) }) };
}

export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

function parse<Schema extends z.ZodType>(schema: Schema, value: unknown, prefix: string): z.output<Schema> {
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  const [key = ''] = issue?.path ?? [];
  const parameter = prefix === '' ? String(key) : `${prefix}${String(key).charAt(0).toUpperCase()}${String(key).slice(1)}`;
  throw new ConfigError(`The parameter ${parameter} cannot be used: ${issue?.message ?? 'it is not valid'}.`);
}
