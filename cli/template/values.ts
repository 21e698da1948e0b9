import { partitionOf } from '../../guard/arn.ts';
import { OnlyTheAccountKnows } from '../../guard/errors.ts';
import { isRaw, type Raw, recordOf } from './document.ts';

/** A value that the template does not decide. Whoever reads it learns why, and nothing else. */
export class Unsaid {
  readonly why: string;

  constructor(why: string) {
    this.why = why;
  }
}

/** What a template says of something. */
export type Value = string | number | boolean | null | Unsaid | readonly Value[] | { readonly [key: string]: Value };
export type Properties = { readonly [key: string]: Value };

/** What stands for the account and the region that a template will be deployed to. */
export interface Deployment {
  readonly region: string;
  readonly account: string;
  /** Whether these were given, or are but placeholders: then nothing can be decided by them. */
  readonly regionGiven: boolean;
  readonly accountGiven: boolean;
  /** `--parameter Name=Value`. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** What a reference to a resource stands for; the attribute is undefined in a Ref. */
export type Reference = (logicalId: string, attribute: string | undefined) => Value | undefined;

export function isRecord(value: Value | undefined): value is Properties {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Unsaid);
}

export function isList(value: Value | undefined): value is readonly Value[] {
  return Array.isArray(value);
}

/** The first part of a value that the template does not decide. */
export function unsaidIn(value: Value | undefined): Unsaid | undefined {
  if (value instanceof Unsaid) return value;
  if (typeof value !== 'object' || value === null) return undefined;
  for (const part of Object.values(value)) {
    const found = unsaidIn(part);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Why a value is not to be had: as an error, which makes the verdict `unknown`. */
export function refuse({ why }: Unsaid): never {
  throw new OnlyTheAccountKnows(why);
}

/**
 * A value as a rule may read it: whatever the template does not decide throws once it is read, and not before, so that a
 * rule that needs it cannot come to a verdict.
 */
export function readable(value: unknown): unknown {
  if (value instanceof Unsaid) return refuse(value);
  if (typeof value !== 'object' || value === null) return value;
  const made: object = Array.isArray(value) ? [] : {};
  for (const [key, part] of Object.entries(value)) {
    if (part === undefined) continue;
    const get = part instanceof Unsaid ? () => refuse(part) : undefined;
    const how = { enumerable: true, configurable: true };
    Object.defineProperty(made, key, get === undefined ? { ...how, writable: true, value: readable(part) } : { ...how, get });
  }
  return made;
}

/** The text of a policy, or why it cannot be told. */
export function textOf(document: Value | undefined): string | Unsaid | undefined {
  if (document === undefined || document === null) return undefined;
  if (document instanceof Unsaid || typeof document === 'string') return document;
  return unsaidIn(document) ?? JSON.stringify(document);
}

/** Parameters, mappings and conditions of a template, and what they make of its values. */
export class Values {
  readonly #content: { readonly [key: string]: Raw };
  readonly #deployment: Deployment;
  readonly #reference: Reference;
  /** What is being resolved: whatever leads back to itself is undecided. */
  readonly #under = new Set<string>();

  constructor(content: { readonly [key: string]: Raw }, deployment: Deployment, reference: Reference) {
    this.#content = content;
    this.#deployment = deployment;
    this.#reference = reference;
  }

  /** Undefined is AWS::NoValue. */
  resolve(raw: Raw | undefined): Value | undefined {
    return this.#resolve(raw, false);
  }

  /** Whether a condition of the template holds. */
  condition(name: Raw | undefined): boolean | Unsaid {
    if (typeof name !== 'string') return new Unsaid('a condition has no name');
    const conditions = this.#content['Conditions'];
    const raw = isRaw(conditions) ? conditions[name] : undefined;
    if (raw === undefined) return new Unsaid(`the template has no condition ${name}`);
    return this.#once(`condition ${name}`, () => this.#truth(raw));
  }

  #once<T>(what: string, work: () => T): T | Unsaid {
    if (this.#under.has(what)) return new Unsaid(`the ${what} leads to itself`);
    this.#under.add(what);
    try {
      return work();
    } finally {
      this.#under.delete(what);
    }
  }

  /** @param deciding whether the value decides what is deployed: placeholders decide nothing */
  #resolve(raw: Raw | undefined, deciding: boolean): Value | undefined {
    if (raw === undefined) return undefined;
    if (typeof raw === 'string') return raw.includes('{{resolve:') ? new Unsaid('a value is looked up at deployment ({{resolve:…}})') : raw;
    if (typeof raw !== 'object' || raw === null) return raw;
    if (Array.isArray(raw)) return (raw as readonly Raw[]).flatMap((each) => this.#resolve(each, deciding) ?? []) as readonly Value[];
    const entries = Object.entries(raw as { readonly [key: string]: Raw });
    const [[name, argument] = ['', null]] = entries;
    if (entries.length === 1 && name === 'Ref') return this.#ref(argument, deciding);
    if (entries.length === 1 && name.startsWith('Fn::')) return this.#call(name, argument, deciding);
    const macro = entries.find(([key]) => key.startsWith('Fn::'));
    if (macro !== undefined) return new Unsaid(`${macro[0]} makes a part of the template at deployment`);
    return recordOf(
      entries.flatMap(([key, part]): (readonly [string, Value])[] => {
        const value = this.#resolve(part, deciding);
        return value === undefined ? [] : [[key, value]];
      }),
    );
  }

  #ref(name: Raw, deciding: boolean): Value | undefined {
    if (typeof name !== 'string') return new Unsaid('a Ref names nothing');
    if (name.startsWith('AWS::')) return this.#pseudo(name, deciding);
    const parameters = this.#content['Parameters'];
    const parameter = isRaw(parameters) ? parameters[name] : undefined;
    if (parameter !== undefined) return this.#parameter(name, isRaw(parameter) ? parameter : {});
    const value = this.#once(`reference to ${name}`, () => this.#reference(name, undefined));
    return value ?? new Unsaid(`${name} is neither a parameter nor a resource`);
  }

  #pseudo(name: string, deciding: boolean): Value | undefined {
    const { account, region, accountGiven, regionGiven } = this.#deployment;
    const undecided = (given: boolean, option: string, value: string) =>
      deciding && !given ? new Unsaid(`something depends on ${name}: give ${option}`) : value;
    switch (name) {
      case 'AWS::NoValue':
        return undefined;
      case 'AWS::AccountId':
        return undecided(accountGiven, '--account', account);
      case 'AWS::Region':
        return undecided(regionGiven, '--region', region);
      case 'AWS::Partition':
        return undecided(regionGiven, '--region', partitionOf(region));
      case 'AWS::URLSuffix':
        return undecided(regionGiven, '--region', region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com');
      case 'AWS::StackName':
        return deciding ? new Unsaid('something depends on the name of the stack') : 'stack';
      default:
        return new Unsaid(`${name} is known once the stack is there`);
    }
  }

  #parameter(name: string, { Type = 'String', Default }: { readonly [key: string]: Raw }): Value {
    const given = this.#deployment.parameters[name];
    const text = given ?? (Default === undefined || Default === null ? undefined : String(Default));
    if (text === undefined) return new Unsaid(`the parameter ${name} has no default: give --parameter ${name}=…`);
    if (String(Type).startsWith('AWS::SSM::Parameter::Value')) return new Unsaid(`the parameter ${name} is read from Systems Manager`);
    if (text.includes('{{resolve:')) return new Unsaid(`the parameter ${name} is looked up at deployment ({{resolve:…}})`);
    if (Type === 'CommaDelimitedList' || String(Type).startsWith('List<'))
      return text === '' ? [] : text.split(',').map((part) => part.trim());
    return Type === 'Number' && text !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
  }

  #call(name: string, raw: Raw, deciding: boolean): Value | undefined {
    const argument = (index: number) => (Array.isArray(raw) ? this.#resolve((raw as readonly Raw[])[index], deciding) : undefined);
    const parts = (): readonly Raw[] => (Array.isArray(raw) ? (raw as readonly Raw[]) : []);
    switch (name) {
      case 'Fn::GetAtt':
        return this.#getAtt(raw);
      case 'Fn::Sub':
        return this.#sub(raw, deciding);
      case 'Fn::Join': {
        const [by, list] = [argument(0), argument(1)];
        const unsaid = unsaidIn(list) ?? unsaidIn(by);
        if (unsaid !== undefined) return unsaid;
        return isList(list) && typeof by === 'string' ? list.map(String).join(by) : new Unsaid('Fn::Join is given no list');
      }
      case 'Fn::Split': {
        const [by, text] = [argument(0), argument(1)];
        if (text instanceof Unsaid) return text;
        return typeof by === 'string' && typeof text === 'string' ? text.split(by) : new Unsaid('Fn::Split is given no text');
      }
      case 'Fn::Select': {
        const [index, list] = [argument(0), argument(1)];
        if (list instanceof Unsaid) return list;
        if (index instanceof Unsaid) return index;
        return (isList(list) ? list[Number(index)] : undefined) ?? new Unsaid('Fn::Select chooses what is not there');
      }
      case 'Fn::If': {
        const [condition, yes, no] = parts();
        const truth = this.condition(condition);
        return truth instanceof Unsaid ? truth : this.#resolve(truth ? yes : no, deciding);
      }
      case 'Fn::FindInMap':
        return this.#findInMap(parts(), deciding);
      case 'Fn::Base64': {
        const text = this.#resolve(raw, deciding);
        return typeof text === 'string'
          ? Buffer.from(text).toString('base64')
          : (unsaidIn(text) ?? new Unsaid('Fn::Base64 is given no text'));
      }
      case 'Fn::GetAZs': {
        const { region } = this.#deployment;
        // Which zones there are, only the account knows; that they differ is known.
        return deciding ? new Unsaid('something depends on the availability zones') : ['a', 'b', 'c'].map((zone) => `${region}${zone}`);
      }
      case 'Fn::Length': {
        const list = this.#resolve(raw, deciding);
        return isList(list) ? list.length : (unsaidIn(list) ?? new Unsaid('Fn::Length is given no list'));
      }
      case 'Fn::ToJsonString': {
        const value = this.#resolve(raw, deciding);
        return unsaidIn(value) ?? JSON.stringify(value);
      }
      case 'Fn::ImportValue':
        return new Unsaid('a value is imported from another stack (Fn::ImportValue)');
      case 'Fn::Equals':
      case 'Fn::And':
      case 'Fn::Or':
      case 'Fn::Not':
        return this.#truth({ [name]: raw });
      default:
        return new Unsaid(`${name} is worked out at deployment`);
    }
  }

  #getAtt(raw: Raw): Value {
    const [logicalId, ...rest] = typeof raw === 'string' ? raw.split('.') : Array.isArray(raw) ? (raw as readonly Raw[]) : [];
    const attribute = rest.map((part) => this.#resolve(part, false));
    if (typeof logicalId !== 'string' || attribute.some((part) => typeof part !== 'string')) return new Unsaid('Fn::GetAtt names nothing');
    return this.#attribute(logicalId, attribute.join('.'));
  }

  #attribute(logicalId: string, attribute: string): Value {
    const value = this.#once(`reference to ${logicalId}.${attribute}`, () => this.#reference(logicalId, attribute));
    return value ?? new Unsaid(`${logicalId}.${attribute} is known once the stack is there`);
  }

  #sub(raw: Raw, deciding: boolean): Value {
    const [text, own] = Array.isArray(raw) ? (raw as readonly Raw[]) : [raw, null];
    if (typeof text !== 'string') return new Unsaid('Fn::Sub is given no text');
    if (text.includes('{{resolve:')) return new Unsaid('a value is looked up at deployment ({{resolve:…}})');
    let unsaid: Unsaid | undefined;
    const made = text.replace(/\$\{(!?)\s*([^}]*?)\s*\}/g, (_, literal: string, name: string) => {
      if (literal === '!') return `\${${name}}`;
      const given = isRaw(own) && name in own ? this.#resolve(own[name], deciding) : undefined;
      const dot = name.startsWith('AWS::') ? -1 : name.indexOf('.');
      const value =
        given ??
        (dot < 0
          ? this.#ref(name, deciding)
          : (this.#reference(name, undefined) ?? this.#attribute(name.slice(0, dot), name.slice(dot + 1))));
      const missing = unsaidIn(value);
      if (missing !== undefined || typeof value === 'object') unsaid ??= missing ?? new Unsaid(`\${${name}} is no text`);
      return String(value ?? '');
    });
    return unsaid ?? made;
  }

  #findInMap(parts: readonly Raw[], deciding: boolean): Value | undefined {
    const [mapName, top, second] = parts.slice(0, 3).map((part) => this.#resolve(part, deciding));
    const unsaid = unsaidIn(mapName) ?? unsaidIn(top) ?? unsaidIn(second);
    if (unsaid !== undefined) return unsaid;
    const within = (map: Raw | undefined, key: Value | undefined) => (isRaw(map) ? map[String(key)] : undefined);
    const found = within(within(within(this.#content['Mappings'], mapName), top), second);
    if (found !== undefined) return this.#resolve(found, deciding);
    const otherwise = parts[3];
    const fallback = isRaw(otherwise) && 'DefaultValue' in otherwise ? this.#resolve(otherwise['DefaultValue'], deciding) : undefined;
    return fallback ?? new Unsaid(`the mapping ${String(mapName)} has nothing for ${String(top)}`);
  }

  /** Three-valued: what one part decides, no undecided part can change. */
  #truth(raw: Raw): boolean | Unsaid {
    if (!isRaw(raw)) return new Unsaid('a condition is none');
    const [[name, given] = ['', null]] = Object.entries(raw);
    const parts = Array.isArray(given) ? (given as readonly Raw[]) : [];
    switch (name) {
      case 'Condition':
        return this.condition(given);
      case 'Fn::Equals': {
        const [one, other] = parts.map((part) => this.#resolve(part, true));
        return unsaidIn(one) ?? unsaidIn(other) ?? String(one) === String(other);
      }
      case 'Fn::Not': {
        const truth = this.#truth(parts[0] ?? null);
        return truth instanceof Unsaid ? truth : !truth;
      }
      case 'Fn::And':
      case 'Fn::Or': {
        const truths = parts.map((part) => this.#truth(part));
        const decisive = name === 'Fn::Or';
        if (truths.includes(decisive)) return decisive;
        return truths.find((truth) => truth instanceof Unsaid) ?? !decisive;
      }
      default:
        return new Unsaid(`a condition uses ${name}`);
    }
  }
}
