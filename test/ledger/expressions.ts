interface Command {
  readonly UpdateExpression?: string;
  readonly ConditionExpression?: string;
  readonly KeyConditionExpression?: string;
  readonly ExpressionAttributeNames?: Readonly<Record<string, string>>;
  readonly ExpressionAttributeValues?: Readonly<Record<string, unknown>>;
  readonly TransactItems?: readonly { readonly Put?: Command; readonly Delete?: Command }[];
}

const functions = ['attribute_exists', 'attribute_not_exists', 'if_not_exists', 'begins_with'];
const words = ['SET', 'REMOVE', 'AND', 'OR', 'NOT', 'IN'];

/**
 * Throws where DynamoDB would refuse an expression before it looks at the item: a placeholder without a definition, or a
 * definition that nobody uses; an attribute by its bare name, which may be a reserved word; an attribute set twice.
 * https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.html
 */
export function expectSound(command: Command): void {
  for (const { Put, Delete } of command.TransactItems ?? []) for (const one of [Put, Delete]) if (one !== undefined) expectSound(one);
  const { UpdateExpression = '', ConditionExpression = '', KeyConditionExpression = '' } = command;
  const expression = [UpdateExpression, ConditionExpression, KeyConditionExpression].join(' ');
  expect([...new Set(expression.match(/#\w+/g))].sort()).toEqual(Object.keys(command.ExpressionAttributeNames ?? {}).sort());
  expect([...new Set(expression.match(/:\w+/g))].sort()).toEqual(Object.keys(command.ExpressionAttributeValues ?? {}).sort());
  const bare = expression.replace(/[#:]\w+/g, '').match(/[A-Za-z_]\w*/g) ?? [];
  expect(bare.filter((word) => !functions.includes(word) && !words.includes(word))).toEqual([]);
  for (const value of Object.values(command.ExpressionAttributeValues ?? {})) expect(value).toBeDefined();
  const written = [...UpdateExpression.matchAll(/(?:SET|REMOVE|,) (#\w+)/g)].map(([, name]) => name);
  expect(new Set(written).size).toBe(written.length);
}
