import { isMap, isScalar, isSeq, type Node, parseDocument } from 'yaml';
import { read } from './repository.ts';

// What CloudFormation makes of template.yaml, as far as this template needs it: parameters, conditions and intrinsic
// functions. References to what the stack itself makes stay as texts, `${Key}` and `${Key.Arn}`, that a test can compare.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html

export type Value = string | number | boolean | null | readonly Value[] | { readonly [key: string]: Value };
export type Properties = Readonly<Record<string, Value>>;

export interface Resource {
  readonly Type: string;
  readonly Properties: Properties;
  readonly [attribute: string]: Value;
}

export interface Parameter {
  readonly Type: string;
  readonly Default?: string | number;
  readonly AllowedValues?: readonly (string | number)[];
  readonly AllowedPattern?: string;
  readonly ConstraintDescription?: string;
  readonly MinValue?: number;
  readonly MaxValue?: number;
  readonly Description: string;
}

/** A deployed stack: what is left of the template for some parameters. */
export interface Stack {
  readonly resources: Readonly<Record<string, Resource>>;
  readonly outputs: Properties;
  /** What every function has, unless it says otherwise. */
  readonly globals: Properties & { readonly Environment: { readonly Variables: Properties } };
}

interface Template {
  readonly Parameters: Readonly<Record<string, Parameter>>;
  readonly Conditions: Properties;
  readonly Resources: Readonly<Record<string, Resource>>;
  readonly Outputs: Properties;
  readonly Rules: Properties;
  readonly Globals: { readonly Function: { readonly Environment: { readonly Variables: Properties } } & Properties };
}

/** Where the stack of these tests lies. */
export const pseudo: Readonly<Record<string, string>> = {
  'AWS::AccountId': '111122223333',
  'AWS::Partition': 'aws',
  'AWS::Region': 'us-east-1',
  'AWS::StackName': 'guard',
  'AWS::URLSuffix': 'amazonaws.com',
};

/** A template with `!Ref x` written as `{ Ref: x }`, as CloudFormation reads it: YAML 1.1, where a bare `off` is false. */
export function parse(source: string): Template {
  const { contents, errors } = parseDocument(source, { version: '1.1', logLevel: 'silent' });
  if (errors[0] !== undefined) throw errors[0];
  return plain(contents) as unknown as Template;
}

export const template = parse(read('template.yaml'));

function plain(node: Node | null | unknown): Value {
  if (isMap(node)) {
    const entries = node.items.map(({ key, value }) => [String(isScalar(key) ? key.value : key), plain(value)] as const);
    return tagged(node.tag, Object.fromEntries(entries));
  }
  if (isSeq(node)) return tagged(node.tag, node.items.map(plain));
  if (!isScalar(node)) return null;
  // To CloudFormation a bare y or n is a letter: `AttributeType: N`.
  return tagged(
    node.tag,
    typeof node.value === 'boolean' && /^[yn]$/i.test(node.source ?? '') ? (node.source ?? '') : (node.value as Value),
  );
}

function tagged(tag: string | undefined, value: Value): Value {
  if (tag === undefined || !/^!\w/.test(tag)) return value;
  const name = tag.slice(1);
  if (name === 'Ref' || name === 'Condition') return { [name]: value };
  return { [`Fn::${name}`]: name === 'GetAtt' && typeof value === 'string' ? value.split('.') : value };
}

/** @param given parameters that differ from their defaults; `AWS::StackName` may be among them */
export function deploy(given: Readonly<Record<string, string>> = {}, from: Template = template): Stack {
  const unknown = Object.keys(given).find((name) => !(name in from.Parameters) && !(name in pseudo));
  if (unknown !== undefined) throw new Error(`the template has no parameter ${unknown}`);
  const known: Record<string, Value> = { ...pseudo };
  for (const [name, { Default }] of Object.entries(from.Parameters)) if (Default !== undefined) known[name] = String(Default);
  Object.assign(known, given);
  const conditions = new Map<string, boolean>();
  const holds = (name: string): boolean => {
    const condition = from.Conditions[name];
    if (condition === undefined) throw new Error(`the template has no condition ${name}`);
    const known = conditions.get(name) ?? resolve(condition) === true;
    conditions.set(name, known);
    return known;
  };

  function reference(name: string): Value {
    const value = known[name];
    if (value !== undefined) return value;
    const [id = ''] = name.split('.');
    if (from.Resources[id] === undefined) throw new Error(`the template refers to ${name}, which is nowhere`);
    return `\${${name}}`;
  }

  function resolve(value: Value): Value {
    if (Array.isArray(value)) return value.map(resolve).filter((item) => item !== nothing);
    if (typeof value !== 'object' || value === null) return value;
    const [[name, argument] = ['', null]] = Object.entries(value);
    if (Object.keys(value).length === 1 && (name === 'Ref' || name === 'Condition' || name.startsWith('Fn::')))
      return call(name, argument ?? null);
    const entries = Object.entries(value).map(([key, inner]) => [key, resolve(inner)] as const);
    return Object.fromEntries(entries.filter(([, inner]) => inner !== nothing));
  }

  function call(name: string, argument: Value): Value {
    const list = (Array.isArray(argument) ? argument : [argument]) as readonly Value[];
    const at = (index: number): Value => resolve(list[index] ?? null);
    switch (name) {
      case 'Ref':
        return argument === 'AWS::NoValue' ? nothing : reference(String(argument));
      case 'Condition':
        return holds(String(argument));
      case 'Fn::GetAtt':
        return reference(list.join('.'));
      case 'Fn::Sub': {
        const own = (list.length === 2 ? resolve(list[1] ?? null) : {}) as Properties;
        return String(list[0]).replace(/\$\{([^!}][^}]*)\}/g, (_, inner: string) => String(own[inner] ?? reference(inner)));
      }
      case 'Fn::If':
        return resolve((holds(String(list[0])) ? list[1] : list[2]) ?? null);
      case 'Fn::Equals':
        return String(at(0)) === String(at(1));
      case 'Fn::Not':
        return at(0) !== true;
      case 'Fn::And':
        return list.every((_, index) => at(index) === true);
      case 'Fn::Or':
        return list.some((_, index) => at(index) === true);
      case 'Fn::Join':
        return (at(1) as readonly Value[]).join(String(at(0)));
      case 'Fn::Split':
        return String(at(1)).split(String(at(0)));
      case 'Fn::Select':
        return (at(1) as readonly Value[])[Number(at(0))] ?? null;
      default:
        throw new Error(`the template uses ${name}, which this reader does not know`);
    }
  }

  const resources = Object.entries(from.Resources).filter(([, { Condition }]) => Condition === undefined || holds(String(Condition)));
  const stack = {
    resources: Object.fromEntries(
      resources.map(([id, { Condition: _, ...resource }]) => [id, { Properties: {}, ...(resolve(resource) as object) }]),
    ),
    outputs: resolve(from.Outputs),
    globals: resolve(from.Globals.Function),
  } as unknown as Stack;
  refuseDangling(stack);
  return stack;
}

/** What a missing property is resolved to (AWS::NoValue). */
const nothing = '\0nothing';

/** A stack in which something names what its own conditions have left out could not be deployed. */
function refuseDangling({ resources, outputs }: Stack): void {
  for (const [id, value] of Object.entries({ ...resources, Outputs: outputs })) {
    for (const [, name = ''] of JSON.stringify(value).matchAll(/\$\{(\w+)(?:\.\w+)*\}/g)) {
      if (!(name in resources)) throw new Error(`${id} refers to ${name}, which this stack does not have`);
    }
  }
}

/** The resources of a type, each with its id. */
export function ofType({ resources }: Stack, type: string): readonly (readonly [string, Properties])[] {
  return Object.entries(resources).flatMap(([id, { Type, Properties }]) => (Type === type ? [[id, Properties] as const] : []));
}

/** A function with what Globals gives it. */
export interface Lambda {
  readonly id: string;
  readonly properties: Properties;
  readonly variables: Properties;
}

export function functions(stack: Stack): readonly Lambda[] {
  return ofType(stack, 'AWS::Serverless::Function').map(([id, own]) => {
    const { Environment, ...globals } = stack.globals;
    const variables = (own['Environment'] as { Variables?: Properties } | undefined)?.Variables ?? {};
    return { id, properties: { ...globals, ...own }, variables: { ...Environment.Variables, ...variables } };
  });
}

/** A statement of a policy, single values made lists. */
export interface Statement {
  readonly sid: string;
  readonly effect: string;
  readonly actions: readonly string[];
  readonly resources: readonly string[];
  readonly principals: readonly string[];
  readonly condition: Readonly<Record<string, Readonly<Record<string, Value>>>>;
}

export function statements(document: Value | undefined): readonly Statement[] {
  const { Statement = [] } = (document ?? {}) as { readonly Statement?: Value };
  return ([Statement].flat() as readonly Properties[]).map(({ Sid, Effect, Action, Resource, Principal, Condition, ...rest }) => {
    const odd = Object.keys(rest);
    if (odd.length > 0) throw new Error(`a policy of the template uses ${odd.join(', ')}, which these tests do not know`);
    const principals = typeof Principal === 'object' && Principal !== null ? Object.values(Principal).flat() : [Principal ?? []].flat();
    return {
      sid: String(Sid ?? ''),
      effect: String(Effect),
      actions: [Action ?? []].flat().map(String),
      resources: [Resource ?? []].flat().map(String),
      principals: principals.map(String),
      condition: (Condition ?? {}) as Statement['condition'],
    };
  });
}

/** The inline policies of a role, and nothing else: no other policy may be attached to one of the stack's roles. */
export function roleStatements(properties: Properties): readonly Statement[] {
  const { Policies = [] } = properties as { readonly Policies?: readonly { readonly PolicyDocument: Value }[] };
  return Policies.flatMap(({ PolicyDocument }) => statements(PolicyDocument));
}
