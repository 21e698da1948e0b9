import { ConditionalCheckFailedException, DynamoDBClient, TransactionCanceledException } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import { clientPerRegion } from './clients.ts';

export {
  BatchGetCommand,
  type BatchGetCommandOutput,
  DeleteCommand,
  GetCommand,
  PutCommand,
  QueryCommand,
  type QueryCommandInput,
  TransactWriteCommand,
  type TransactWriteCommandInput,
  UpdateCommand,
  type UpdateCommandInput,
} from '@aws-sdk/lib-dynamodb';

/** A client that speaks plain objects; undefined attributes are left out. */
export const dynamodb = clientPerRegion((settings) =>
  DynamoDBDocumentClient.from(new DynamoDBClient(settings), { marshallOptions: { removeUndefinedValues: true } }),
);

/** Whether a write was refused by its own condition; `item` is what was there. */
export function refused(error: unknown): { readonly item: Record<string, unknown> | undefined } | undefined {
  if (error instanceof ConditionalCheckFailedException) return { item: error.Item === undefined ? undefined : unmarshall(error.Item) };
  if (
    error instanceof TransactionCanceledException &&
    (error.CancellationReasons ?? []).some(({ Code }) => Code === 'ConditionalCheckFailed')
  ) {
    return { item: undefined };
  }
  return undefined;
}
