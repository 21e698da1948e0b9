import {
  BatchGetCommand,
  type BatchGetCommandOutput,
  DeleteCommand,
  dynamodb,
  GetCommand,
  PutCommand,
  QueryCommand,
  type QueryCommandInput,
  refused,
  TransactWriteCommand,
  type TransactWriteCommandInput,
  UpdateCommand,
} from '../aws/dynamodb.ts';
import type { Connection } from '../guard/call.ts';
import { LedgerFailed } from '../guard/errors.ts';

export type Item = Readonly<Record<string, unknown>>;
export interface Key {
  readonly pk: string;
  readonly sk: string;
}

/** As many as BatchGetItem takes. */
const mostKeys = 100;

/** A conditional write's outcome: done, with what was there before; or refused, with what is there. */
export type Outcome =
  | { readonly done: true; readonly before: Item | undefined }
  | { readonly done: false; readonly present: Item | undefined };

export interface Update {
  /** Attributes to set; a value of `undefined` removes the attribute. */
  readonly set?: Item;
  /** Further SET clauses, e.g. `#opened = if_not_exists(#opened, :zero) + :one`. Their names and values come from `values` and `#name` as written. */
  readonly also?: readonly string[];
  /** `#status = :s AND asOf <= :a` — attributes as `#name`, values from `values`. */
  readonly when?: string;
  readonly values?: Item;
}

/** The table behind the ledger: keys pk and sk, and one method a call. Counts its calls. */
export class Table {
  calls = 0;
  readonly #name: string;
  readonly #connection: Connection;

  constructor(name: string, connection: Connection) {
    this.#name = name;
    this.#connection = connection;
  }

  async #send(command: unknown): Promise<Record<string, unknown>> {
    this.calls += 1;
    try {
      return (await dynamodb(this.#connection).send(command as never)) as Record<string, unknown>;
    } catch (error) {
      throw refused(error) === undefined ? new LedgerFailed(error) : error;
    }
  }

  async get(key: Key): Promise<Item | undefined> {
    const { Item } = await this.#send(new GetCommand({ TableName: this.#name, Key: key, ConsistentRead: true }));
    return Item as Item | undefined;
  }

  /**
   * The items of these keys that are there, in any order: a call for a hundred of them, and one more for what DynamoDB left out.
   * https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
   */
  async getAll(keys: readonly Key[]): Promise<readonly Item[]> {
    const found: Item[] = [];
    for (let first = 0; first < keys.length; first += mostKeys) {
      let Keys: Item[] = keys.slice(first, first + mostKeys).map((key) => ({ ...key }));
      while (Keys.length > 0) {
        const RequestItems = { [this.#name]: { Keys, ConsistentRead: true } };
        const answer = (await this.#send(new BatchGetCommand({ RequestItems }))) as Partial<BatchGetCommandOutput>;
        found.push(...(answer.Responses?.[this.#name] ?? []));
        const left = answer.UnprocessedKeys?.[this.#name]?.Keys ?? [];
        // DynamoDB says so with an error, which the SDK waits for, where it can answer nothing at all.
        if (left.length >= Keys.length) throw new LedgerFailed(new Error(`DynamoDB left out all of ${left.length} items`));
        Keys = left;
      }
    }
    return found;
  }

  async put(item: Key & Item, when?: string, values?: Item): Promise<Outcome> {
    return await outcome(
      this.#send(
        new PutCommand({
          TableName: this.#name,
          Item: item,
          ReturnValues: 'ALL_OLD',
          ...(when === undefined ? {} : { ...condition(when, values), ReturnValuesOnConditionCheckFailure: 'ALL_OLD' }),
        }),
      ),
    );
  }

  async delete(key: Key, when?: string, values?: Item): Promise<Outcome> {
    return await outcome(
      this.#send(
        new DeleteCommand({
          TableName: this.#name,
          Key: key,
          ReturnValues: 'ALL_OLD',
          ...(when === undefined ? {} : { ...condition(when, values), ReturnValuesOnConditionCheckFailure: 'ALL_OLD' }),
        }),
      ),
    );
  }

  /** @returns as `before`: the item as it was, or with `answer: 'new'` as it is now. */
  async update(key: Key, update: Update, answer: 'old' | 'new' = 'old'): Promise<Outcome> {
    return await outcome(
      this.#send(
        new UpdateCommand({ TableName: this.#name, ...updateOf(key, update), ReturnValues: answer === 'old' ? 'ALL_OLD' : 'ALL_NEW' }),
      ),
    );
  }

  /** All or nothing; false where a condition refused it. */
  async transact(
    writes: readonly ({ readonly put: Key & Item; readonly when?: string; readonly values?: Item } | { readonly delete: Key })[],
  ): Promise<boolean> {
    const TransactItems: TransactWriteCommandInput['TransactItems'] = writes.map((write) =>
      'put' in write
        ? { Put: { TableName: this.#name, Item: write.put, ...(write.when === undefined ? {} : condition(write.when, write.values)) } }
        : { Delete: { TableName: this.#name, Key: write.delete } },
    );
    return (await outcome(this.#send(new TransactWriteCommand({ TransactItems })))).done;
  }

  /** Items of a partition in the order of their sort keys; consistent but on a global index. */
  async *query(where: {
    readonly pk: string;
    readonly prefix?: string;
    readonly limit?: number;
    readonly index?: 'role';
  }): AsyncGenerator<Item> {
    const { pk, prefix, limit, index } = where;
    const sort = index === 'role' ? 'roleKey' : 'sk';
    yield* this.#pages(
      {
        KeyConditionExpression: prefix === undefined ? '#pk = :pk' : '#pk = :pk AND begins_with(#sort, :prefix)',
        ExpressionAttributeNames: { '#pk': 'pk', ...(prefix === undefined ? {} : { '#sort': sort }) },
        ExpressionAttributeValues: { ':pk': pk, ...(prefix === undefined ? {} : { ':prefix': prefix }) },
        ConsistentRead: true,
        ...(index === undefined ? {} : { IndexName: index }),
        ...(limit === undefined ? {} : { Limit: limit }),
      },
      limit,
    );
  }

  /** Items of one kind on a global index: `due` up to a time, `kind` in the order they were made. */
  async *list(index: 'due' | 'kind', partition: string, upTo?: number): AsyncGenerator<Item> {
    const [key, sort] = index === 'due' ? ['dueKey', 'dueAt'] : ['kind', 'madeAt'];
    yield* this.#pages({
      IndexName: index,
      KeyConditionExpression: upTo === undefined ? '#key = :key' : '#key = :key AND #sort <= :upTo',
      ExpressionAttributeNames: { '#key': key as string, ...(upTo === undefined ? {} : { '#sort': sort as string }) },
      ExpressionAttributeValues: { ':key': partition, ...(upTo === undefined ? {} : { ':upTo': upTo }) },
    });
  }

  /** Items of one kind that were made since then, the latest first. */
  async *latest(kind: string, since: number): AsyncGenerator<Item> {
    yield* this.#pages({
      IndexName: 'kind',
      KeyConditionExpression: '#kind = :kind AND #madeAt >= :since',
      ExpressionAttributeNames: { '#kind': 'kind', '#madeAt': 'madeAt' },
      ExpressionAttributeValues: { ':kind': kind, ':since': since },
      ScanIndexForward: false,
    });
  }

  async *#pages(input: Omit<QueryCommandInput, 'TableName'>, limit = Number.POSITIVE_INFINITY): AsyncGenerator<Item> {
    let ExclusiveStartKey: Record<string, unknown> | undefined;
    let left = limit;
    do {
      const page = await this.#send(new QueryCommand({ TableName: this.#name, ...input, ExclusiveStartKey }));
      for (const item of (page['Items'] ?? []) as Item[]) {
        yield item;
        left -= 1;
        if (left <= 0) return;
      }
      ExclusiveStartKey = page['LastEvaluatedKey'] as Record<string, unknown> | undefined;
    } while (ExclusiveStartKey !== undefined);
  }
}

async function outcome(answer: Promise<Record<string, unknown>>): Promise<Outcome> {
  try {
    const { Attributes } = await answer;
    return { done: true, before: Attributes as Item | undefined };
  } catch (error) {
    const refusal = refused(error);
    if (refusal === undefined) throw error;
    return { done: false, present: refusal.item };
  }
}

function condition(when: string, values: Item | undefined) {
  const names = namesIn(when);
  const used = valuesIn(when, values);
  return {
    ConditionExpression: when,
    ...(Object.keys(names).length === 0 ? {} : { ExpressionAttributeNames: names }),
    ...(Object.keys(used).length === 0 ? {} : { ExpressionAttributeValues: used }),
  };
}

function updateOf(key: Key, { set = {}, also = [], when, values }: Update) {
  const setters = Object.entries(set).filter(([, value]) => value !== undefined);
  const removed = Object.entries(set).filter(([, value]) => value === undefined);
  const clauses = [...setters.map(([name]) => `#${name} = :set_${name}`), ...also];
  const UpdateExpression = [
    clauses.length > 0 ? `SET ${clauses.join(', ')}` : '',
    removed.length > 0 ? `REMOVE ${removed.map(([name]) => `#${name}`).join(', ')}` : '',
  ]
    .filter((part) => part !== '')
    .join(' ');
  const expressions = `${UpdateExpression} ${when ?? ''}`;
  const all = { ...valuesIn(expressions, values), ...Object.fromEntries(setters.map(([name, value]) => [`:set_${name}`, value])) };
  return {
    Key: key,
    UpdateExpression,
    ExpressionAttributeNames: namesIn(expressions),
    ...(Object.keys(all).length === 0 ? {} : { ExpressionAttributeValues: all }),
    ...(when === undefined ? {} : { ConditionExpression: when, ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const }),
  };
}

function namesIn(expression: string): Record<string, string> {
  return Object.fromEntries([...expression.matchAll(/#(\w+)/g)].map(([placeholder, name]) => [placeholder, name as string]));
}

function valuesIn(expression: string, values: Item | undefined): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values ?? {}).flatMap(([name, value]) => (new RegExp(`:${name}\\b`).test(expression) ? [[`:${name}`, value]] : [])),
  );
}
