import { GetFunctionConfigurationCommand, ListVersionsByFunctionCommand, UpdateFunctionConfigurationCommand } from '@aws-sdk/client-lambda';
import {
  CancelRotateSecretCommand,
  CreateSecretCommand,
  DeleteSecretCommand,
  type DeleteSecretCommandInput,
  DescribeSecretCommand,
  GetSecretValueCommand,
  ListSecretsCommand,
  RotateSecretCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import type { Call, Connection, Permission } from '../guard/call.ts';
import { errorName, ifPresent, RetryLater } from '../guard/errors.ts';
import { callsOf } from './call.ts';
import { clientPerRegion } from './clients.ts';
import {
  configurationWithoutLayers,
  type FunctionConfiguration,
  getDecryptedConfiguration,
  keysThroughLambda,
  lambdaClient,
} from './lambda.ts';
import { allPages } from './pages.ts';

export type { DescribeSecretCommandOutput as DescribeSecretOutput } from '@aws-sdk/client-secrets-manager';

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html
/** Secrets that the guard makes are named `compliance-guard/…`, and no other may it touch. */
const secrets = 'arn:${AWS::Partition}:secretsmanager:*:${AWS::AccountId}:secret:compliance-guard/*';
const functions = 'arn:${AWS::Partition}:lambda:*:${AWS::AccountId}:function:*';

const client = clientPerRegion((settings) => new SecretsManagerClient(settings));
const call = callsOf('secretsmanager', (connection, command) => client(connection).send(command));

/** Any secret of the account: of these only what is said about them is read, never a value. */
const anySecret = 'arn:${AWS::Partition}:secretsmanager:*:${AWS::AccountId}:secret:*';

/** Functions that may be put back as the ones that rotate, as the stack's parameter says. */
const rotators = 'arn:${AWS::Partition}:lambda:*:${AWS::AccountId}:function:${SecretNotRotatedFunctions}';

/** What is known of a secret besides its value. */
export const describeSecret = call('DescribeSecret', DescribeSecretCommand, { resource: anySecret });

/** One page of the secrets of a region: what a sweep walks through. */
export const listSecrets = call('ListSecrets', ListSecretsCommand, { resource: '*' });

/**
 * Turns rotation on with a function that rotates the secret. Secrets Manager invokes that function with the caller's rights to see
 * whether it may. https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html
 */
export const rotateSecret = call('RotateSecret', RotateSecretCommand, {
  resource: anySecret,
  condition: { ArnLike: { 'secretsmanager:RotationLambdaARN': rotators } },
  also: [{ action: 'lambda:InvokeFunction', resource: rotators }],
});

export const cancelRotateSecret = call('CancelRotateSecret', CancelRotateSecretCommand, {
  resource: anySecret,
  // Of a secret that is scheduled for deletion nothing is rotated any more.
  alreadyDone: ['ResourceNotFoundException', 'InvalidRequestException'],
});

const deletion = call('DeleteSecret', DeleteSecretCommand, {
  resource: secrets,
  alreadyDone: ['InvalidRequestException', 'ResourceNotFoundException'],
});

/**
 * Deletes a secret with a recovery window, so that even an undo can be taken back, unless a version of its function
 * names it: whoever invokes that version needs it. A version that cannot be read counts as one.
 */
export const deleteSecret = {
  ...deletion,
  permissions: [
    ...deletion.permissions,
    { action: 'lambda:ListVersionsByFunction', resource: functions },
    ...keysThroughLambda('kms:Decrypt'),
  ],
  run: async (
    connection: Connection,
    { functionName, ...input }: DeleteSecretCommandInput & { readonly functionName: string },
  ): Promise<void> => {
    if (!(await isNamed(connection, functionName, input.SecretId ?? ''))) await deletion.run(connection, input);
  },
};

async function isNamed(connection: Connection, FunctionName: string, secretName: string): Promise<boolean> {
  const pages = allPages(async (Marker) => {
    const page = await lambdaClient(connection).send(new ListVersionsByFunctionCommand({ FunctionName, Marker, MaxItems: 50 }));
    return { items: page.Versions, next: page.NextMarker };
  });
  return ((await ifPresent(pages)) ?? []).some(
    ({ Environment }) =>
      Environment?.Error !== undefined || Object.values(Environment?.Variables ?? {}).some((value) => value.includes(secretName)),
  );
}

/** A variable that moves into a secret; `token` becomes the id of the secret's version. */
export interface VariableMove {
  readonly variable: string;
  readonly secretName: string;
  readonly token: string;
}

/** Variables of one function that move. */
export interface VariableMoves {
  readonly functionName: string;
  readonly moves: readonly VariableMove[];
}

// A step is journaled, and a journal must not hold a credential. These calls therefore take names only and carry the
// value from one service to the other themselves: it exists in this function's memory and nowhere else. No message of
// their errors holds more than names.

const readVariables: readonly Permission[] = getDecryptedConfiguration.permissions;
const writeVariables: readonly Permission[] = [
  ...readVariables,
  configurationWithoutLayers,
  ...keysThroughLambda('kms:Encrypt', 'kms:CreateGrant'),
];

/** Makes a secret of a function's environment variable. */
export const createSecretFromVariable: Call<
  'createSecretFromVariable',
  VariableMove & { readonly functionName: string; readonly tags: Readonly<Record<string, string>> },
  void
> = {
  name: 'createSecretFromVariable',
  service: 'secretsmanager',
  operation: 'CreateSecret',
  permissions: [
    { action: 'secretsmanager:CreateSecret', resource: secrets },
    { action: 'secretsmanager:TagResource', resource: secrets },
    ...readVariables,
  ],
  alreadyDone: ['ResourceExistsException'],
  async run(connection, { functionName, variable, secretName, token, tags }) {
    const value = (await configuration(connection, functionName)).Environment?.Variables?.[variable];
    if (value === undefined) throw new VariableChanged(`${functionName} has no variable ${variable} any more`);
    await client(connection).send(
      new CreateSecretCommand({
        Name: secretName,
        ClientRequestToken: token,
        SecretString: value,
        Description: `Moved from the environment variable ${variable} of ${functionName}`,
        Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })),
      }),
    );
  },
};

/**
 * Puts the secrets' ARNs into the variables that held their values; every other variable stays as it is.
 * @throws VariableChanged where a variable holds something else by now than its secret: that would be lost
 */
export const pointVariablesAtSecrets: Call<'pointVariablesAtSecrets', VariableMoves, void> = {
  name: 'pointVariablesAtSecrets',
  service: 'lambda',
  operation: 'UpdateFunctionConfiguration',
  permissions: [
    { action: 'secretsmanager:DescribeSecret', resource: secrets },
    { action: 'secretsmanager:GetSecretValue', resource: secrets },
    ...writeVariables,
  ],
  alreadyDone: [],
  run: async (connection, { functionName, moves }) =>
    await editVariables(connection, await configuration(connection, functionName), async (variables) => {
      const edits: Record<string, string> = {};
      for (const move of moves) {
        const arn = await arnOf(connection, move);
        if (variables[move.variable] === arn) continue;
        if (variables[move.variable] !== (await textOf(connection, move))) {
          throw new VariableChanged(`${functionName} has something else in ${move.variable} than ${move.secretName}`);
        }
        edits[move.variable] = arn;
      }
      return edits;
    }),
};

/**
 * The undo: puts the values back from the very versions of the secrets that were made. A variable that no longer holds
 * the secret's ARN was put back already, or somebody chose another value since: it stays. Where the function is gone
 * there is nothing to put back.
 * @throws VariableChanged where a variable names a secret that is gone: its value is lost
 */
export const restoreVariablesFromSecrets: Call<'restoreVariablesFromSecrets', VariableMoves, void> = {
  name: 'restoreVariablesFromSecrets',
  service: 'lambda',
  operation: 'UpdateFunctionConfiguration',
  permissions: [
    { action: 'secretsmanager:DescribeSecret', resource: secrets },
    { action: 'secretsmanager:GetSecretValue', resource: secrets },
    ...writeVariables,
  ],
  alreadyDone: [],
  async run(connection, { functionName, moves }) {
    const current = await ifPresent(configuration(connection, functionName));
    if (current === undefined) return;
    await editVariables(connection, current, async (variables) => {
      const edits: Record<string, string> = {};
      for (const move of moves) {
        const arn = await ifPresent(arnOf(connection, move));
        const value = variables[move.variable];
        if (arn === undefined && value?.includes(`:secret:${move.secretName}-`))
          throw new VariableChanged(`${move.variable} of ${functionName} names ${move.secretName}, which is gone`);
        if (arn !== undefined && value === arn) edits[move.variable] = await textOf(connection, move);
      }
      return edits;
    });
  },
};

class VariableChanged extends Error {
  override readonly name = 'VariableChanged';
}

async function arnOf(connection: Connection, { secretName }: VariableMove): Promise<string> {
  const { ARN = '' } = await client(connection).send(new DescribeSecretCommand({ SecretId: secretName }));
  return ARN;
}

async function textOf(connection: Connection, { secretName, token }: VariableMove): Promise<string> {
  const { SecretString } = await client(connection).send(new GetSecretValueCommand({ SecretId: secretName, VersionId: token }));
  if (SecretString === undefined) throw new VariableChanged(`the secret ${secretName} holds no text`);
  return SecretString;
}

async function configuration(connection: Connection, functionName: string) {
  return await lambdaClient(connection).send(new GetFunctionConfigurationCommand({ FunctionName: functionName }));
}

/** UpdateFunctionConfiguration replaces the whole map of variables: RevisionId refuses where it changed since it was read. */
async function editVariables(
  connection: Connection,
  { FunctionArn: functionName = '', Environment, RevisionId }: FunctionConfiguration,
  editsOf: (variables: Readonly<Record<string, string>>) => Promise<Readonly<Record<string, string>>>,
): Promise<void> {
  if (Environment?.Error !== undefined) throw new VariableChanged(`the variables of ${functionName} cannot be decrypted`);
  const variables = Environment?.Variables ?? {};
  const edits = await editsOf(variables);
  if (Object.keys(edits).length === 0) return;
  try {
    await lambdaClient(connection).send(
      new UpdateFunctionConfigurationCommand({
        FunctionName: functionName,
        RevisionId,
        Environment: { Variables: { ...variables, ...edits } },
      }),
    );
  } catch (error) {
    if (errorName(error) === 'PreconditionFailedException')
      throw new RetryLater(`${functionName} was changed in between`, { cause: error });
    throw error;
  }
}
