import { isDeepStrictEqual } from 'node:util';
import { ConditionalCheckFailedException, TransactionCanceledException } from '@aws-sdk/client-dynamodb';
import { marshall } from '@aws-sdk/util-dynamodb';

type Item = Record<string, unknown>;

interface Expressions {
  readonly ConditionExpression?: string;
  readonly UpdateExpression?: string;
  readonly KeyConditionExpression?: string;
  readonly ExpressionAttributeNames?: Readonly<Record<string, string>>;
  readonly ExpressionAttributeValues?: Readonly<Record<string, unknown>>;
}

interface Input extends Expressions {
  readonly Key?: Item;
  readonly Item?: Item;
  readonly IndexName?: string;
  readonly Limit?: number;
  readonly ScanIndexForward?: boolean;
  readonly ReturnValues?: string;
  readonly RequestItems?: Readonly<Record<string, { readonly Keys: readonly Item[] }>>;
  readonly TransactItems?: readonly { readonly Put?: Input; readonly Delete?: Input }[];
}

/** Sort keys of the table and of its indexes, as the template has them; an item without one is not in the index. */
const sortKeys: Readonly<Record<string, string>> = { table: 'sk', role: 'roleKey', due: 'dueAt', kind: 'madeAt' };

/**
 * The ledger's table in memory, behind the document client of the SDK: the expressions that ledger/table.ts writes are
 * read and obeyed. Held to the ledger's contract, as DynamoDB is.
 */
export class MemoryTable {
  readonly #items = new Map<string, Item>();
  /** The same by their partition, because a query of one looks at no other. */
  readonly #partitions = new Map<unknown, Map<string, Item>>();

  /** Every item, as it is. */
  get items(): readonly Item[] {
    return [...this.#items.values()];
  }

  /** One operation by its name, with the input of its command. @throws what DynamoDB answers where a condition refuses */
  answer(operation: string, input: Input): object {
    switch (operation) {
      case 'Get':
        return { Item: shown(this.#items.get(keyOf(input.Key))) };
      case 'BatchGet':
        return {
          Responses: Object.fromEntries(Object.entries(input.RequestItems ?? {}).map(([name, { Keys }]) => [name, this.#some(Keys)])),
        };
      case 'Query':
        return { Items: this.#query(input) };
      case 'TransactWrite':
        return this.#transact(input.TransactItems ?? []);
      case 'Put':
      case 'Delete':
      case 'Update':
        return this.#write(operation, input);
      default:
        throw new Error(`test/support/memory-table has no ${operation}`);
    }
  }

  #some(keys: readonly Item[]): readonly Item[] {
    if (keys.length > 100) throw new Error('BatchGetItem takes a hundred keys');
    if (new Set(keys.map(keyOf)).size < keys.length) throw new Error('BatchGetItem takes every key once');
    return keys.flatMap((key) => {
      const item = shown(this.#items.get(keyOf(key)));
      return item === undefined ? [] : [item];
    });
  }

  #write(operation: 'Put' | 'Delete' | 'Update', input: Input): object {
    const key = keyOf(input.Key ?? input.Item);
    const before = this.#items.get(key);
    if (!holds(input.ConditionExpression, input, before ?? {})) {
      const Item = before === undefined ? {} : { Item: marshall(before, { removeUndefinedValues: true }) };
      throw new ConditionalCheckFailedException({ message: 'The conditional request failed', $metadata: { httpStatusCode: 400 }, ...Item });
    }
    if (operation === 'Delete') this.#remove(key, before);
    else this.#keep(key, operation === 'Put' ? kept(input.Item ?? {}) : updated(input, before ?? { ...input.Key }));
    const Attributes = input.ReturnValues === 'ALL_NEW' ? this.#items.get(key) : before;
    return Attributes === undefined ? {} : { Attributes: shown(Attributes) };
  }

  #keep(key: string, item: Item): void {
    const partition = this.#partitions.get(item['pk']) ?? new Map<string, Item>();
    this.#partitions.set(item['pk'], partition.set(key, item));
    this.#items.set(key, item);
  }

  #remove(key: string, item: Item | undefined): void {
    this.#partitions.get(item?.['pk'])?.delete(key);
    this.#items.delete(key);
  }

  #transact(writes: NonNullable<Input['TransactItems']>): object {
    const all = writes.map(({ Put, Delete }) => ({ put: Put !== undefined, input: (Put ?? Delete) as Input }));
    const refused = all.map(({ input }) => !holds(input.ConditionExpression, input, this.#items.get(keyOf(input.Key ?? input.Item)) ?? {}));
    if (refused.includes(true)) {
      throw new TransactionCanceledException({
        message: 'Transaction cancelled',
        $metadata: { httpStatusCode: 400 },
        CancellationReasons: refused.map((one) => ({ Code: one ? 'ConditionalCheckFailed' : 'None' })),
      });
    }
    for (const { put, input } of all) this.#write(put ? 'Put' : 'Delete', { ...input, ConditionExpression: '' });
    return {};
  }

  #query({ IndexName = 'table', Limit = Number.POSITIVE_INFINITY, ScanIndexForward = true, ...input }: Input): readonly Item[] {
    const sort = sortKeys[IndexName] ?? 'sk';
    // The table and the index of roles have the same partitions, the others lie across them.
    const own =
      IndexName === 'table' || IndexName === 'role' ? this.#partitions.get(input.ExpressionAttributeValues?.[':pk']) : this.#items;
    const found = [...(own?.values() ?? [])]
      .filter((item) => item[sort] !== undefined && holds(input.KeyConditionExpression, input, item))
      .sort((a, b) => (order(a[sort]) < order(b[sort]) ? -1 : order(a[sort]) > order(b[sort]) ? 1 : 0));
    return (ScanIndexForward ? found : found.reverse()).slice(0, Limit).map((item) => ({ ...item }));
  }
}

/** Numbers by their value, texts by their characters. */
function order(value: unknown): string {
  return typeof value === 'number' ? value.toFixed(3).padStart(20, '0') : String(value);
}

function keyOf(item: Item | undefined): string {
  return JSON.stringify([item?.['pk'], item?.['sk']]);
}

/** An item as it is kept: without what is undefined, as the document client sends it. */
function kept(item: Item): Item {
  return Object.fromEntries(Object.entries(item).flatMap(([name, value]) => (value === undefined ? [] : [[name, plain(value)]])));
}

/** Data of its own, which nobody changes from then on. */
function plain(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? frozen(JSON.parse(JSON.stringify(value))) : value;
}

function frozen(value: object): object {
  for (const inner of Object.values(value)) if (typeof inner === 'object' && inner !== null) frozen(inner);
  return Object.freeze(value);
}

/** An item of the reader's own, whose values are the table's. */
function shown(item: Item | undefined): Item | undefined {
  return item === undefined ? undefined : { ...item };
}

function holds(expression: string | undefined, input: Expressions, item: Item): boolean {
  if (expression === undefined || expression === '') return true;
  return new Reader(expression, input, item).condition();
}

function updated(input: Expressions, before: Item): Item {
  const after = { ...before };
  const { UpdateExpression = '' } = input;
  const [, setters = '', removed = ''] = /^(?:SET (.*?))?\s*(?:REMOVE (.*))?$/s.exec(UpdateExpression) ?? [];
  if (setters !== '') {
    const reader = new Reader(setters, input, before);
    do {
      const name = reader.name();
      reader.take('=');
      // Every value is worked out from the item as it was.
      after[name] = plain(reader.sum());
    } while (reader.accept(','));
  }
  for (const name of removed.split(',')) delete after[input.ExpressionAttributeNames?.[name.trim()] ?? ''];
  return after;
}

/** Reads an expression and works it out for one item, in one go. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html */
class Reader {
  readonly #words: readonly string[];
  readonly #input: Expressions;
  readonly #item: Item;
  #at = 0;

  constructor(expression: string, input: Expressions, item: Item) {
    this.#words = expression.match(/[#:]?\w+|<>|<=|>=|[<>=(),+]/g) ?? [];
    this.#input = input;
    this.#item = item;
  }

  accept(word: string): boolean {
    if (this.#words[this.#at] !== word) return false;
    this.#at += 1;
    return true;
  }

  take(word: string): void {
    if (!this.accept(word)) throw new Error(`"${word}" is missing in ${this.#words.join(' ')}`);
  }

  name(): string {
    const placeholder = this.#words[this.#at++] ?? '';
    const name = this.#input.ExpressionAttributeNames?.[placeholder];
    if (name === undefined) throw new Error(`${placeholder} names no attribute`);
    return name;
  }

  condition(): boolean {
    let met = this.#all();
    while (this.accept('OR')) met = this.#all() || met;
    return met;
  }

  sum(): unknown {
    const first = this.#value();
    return this.accept('+') ? Number(first) + Number(this.#value()) : first;
  }

  #all(): boolean {
    let met = this.#one();
    while (this.accept('AND')) met = this.#one() && met;
    return met;
  }

  #one(): boolean {
    if (this.accept('(')) {
      const met = this.condition();
      this.take(')');
      return met;
    }
    const of = this.#function();
    if (of === 'attribute_exists') return this.#argument() !== undefined;
    if (of === 'attribute_not_exists') return this.#argument() === undefined;
    if (of === 'begins_with') {
      const [text, start] = [this.#argument(','), this.#argument()];
      return String(text ?? '').startsWith(String(start));
    }
    const left = this.#value();
    if (this.accept('IN')) {
      this.take('(');
      const values = [this.#value()];
      while (this.accept(',')) values.push(this.#value());
      this.take(')');
      return values.includes(left);
    }
    const operator = this.#words[this.#at++];
    const right = this.#value();
    if (operator === '<>') return !isDeepStrictEqual(left, right);
    // Nothing compares with what is not there.
    if (left === undefined || right === undefined) return false;
    const [a, b] = [left, right] as [number, number];
    if (operator === '=') return isDeepStrictEqual(a, b);
    if (operator === '<') return a < b;
    if (operator === '<=') return a <= b;
    if (operator === '>') return a > b;
    if (operator === '>=') return a >= b;
    throw new Error(`the operator ${operator} is not understood`);
  }

  #function(): string | undefined {
    const word = this.#words[this.#at] ?? '';
    if (!/^[a-z]/.test(word)) return undefined;
    this.#at += 1;
    this.take('(');
    return word;
  }

  #argument(end = ')'): unknown {
    const value = this.#value();
    this.take(end);
    return value;
  }

  #value(): unknown {
    if (this.#function() === 'if_not_exists') {
      const [present, otherwise] = [this.#argument(','), this.#argument()];
      return present ?? otherwise;
    }
    const word = this.#words[this.#at] ?? '';
    if (word.startsWith('#')) return this.#item[this.name()];
    this.#at += 1;
    const { ExpressionAttributeValues: values = {} } = this.#input;
    if (!(word in values)) throw new Error(`${word} is no value`);
    return values[word];
  }
}
