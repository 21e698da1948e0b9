import { CreateSecretCommand, DeleteSecretCommand, DescribeSecretCommand, GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { GetFunctionConfigurationCommand, UpdateFunctionConfigurationCommand } from '@aws-sdk/client-lambda';
import type { Call, Connection } from '../guard/call.ts';
import { callsOf } from './call.ts';
import { clientPerRegion } from './clients.ts';
import { lambdaClient } from './lambda.ts';

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html
/** Secrets that the guard makes are named `compliance-guard/…`, and no other may it touch. */
const secrets = 'arn:${AWS::Partition}:secretsmanager:*:${AWS::AccountId}:secret:compliance-guard/*';
const functions = 'arn:${AWS::Partition}:lambda:*:${AWS::AccountId}:function:*';

const client = clientPerRegion((settings) => new SecretsManagerClient(settings));
const call = callsOf('secretsmanager', (connection, command) => client(connection).send(command));

/** Deleted with a recovery window, so that even an undo can be taken back. */
export const deleteSecret = call('DeleteSecret', DeleteSecretCommand, { resource: secrets, alreadyDone: ['InvalidRequestException', 'ResourceNotFoundException'] });

/** A variable that moves into a secret; `token` becomes the id of the secret's version. */
export interface VariableMove {
  readonly functionName: string;
  readonly variable: string;
  readonly secretName: string;
  readonly token: string;
}

// A step is journaled, and a journal must not hold a credential. These calls therefore take names only and carry the
// value from one service to the other themselves: it exists in this function's memory and nowhere else.

/** Makes a secret of a function's environment variable. */
export const createSecretFromVariable: Call<'createSecretFromVariable', VariableMove & { readonly tags: Readonly<Record<string, string>> }, void> = {
  name: 'createSecretFromVariable',
  service: 'secretsmanager',
  permissions: [
    { action: 'secretsmanager:CreateSecret', resource: secrets },
    { action: 'secretsmanager:TagResource', resource: secrets },
    { action: 'lambda:GetFunctionConfiguration', resource: functions },
  ],
  alreadyDone: ['ResourceExistsException'],
  async run(connection, { functionName, variable, secretName, token, tags }) {
    const value = (await configuration(connection, functionName)).Environment?.Variables?.[variable];
    if (value === undefined) throw new VariableGone(`${functionName} has no variable ${variable} any more`);
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

/** Puts the secrets' ARNs into the variables that held their values; every other variable stays as it is. */
export const pointVariablesAtSecrets: Call<'pointVariablesAtSecrets', { readonly functionName: string; readonly moves: readonly VariableMove[] }, void> = {
  name: 'pointVariablesAtSecrets',
  service: 'lambda',
  permissions: [
    { action: 'secretsmanager:DescribeSecret', resource: secrets },
    { action: 'lambda:GetFunctionConfiguration', resource: functions },
    { action: 'lambda:UpdateFunctionConfiguration', resource: functions },
  ],
  alreadyDone: [],
  async run(connection, { functionName, moves }) {
    const replaced: Record<string, string> = {};
    for (const { secretName, variable } of moves) {
      const { ARN } = await client(connection).send(new DescribeSecretCommand({ SecretId: secretName }));
      if (ARN !== undefined) replaced[variable] = ARN;
    }
    await replaceVariables(connection, functionName, replaced);
  },
};

/** The undo: puts the values back from the very versions of the secrets that were made. */
export const restoreVariablesFromSecrets: Call<'restoreVariablesFromSecrets', { readonly functionName: string; readonly moves: readonly VariableMove[] }, void> = {
  name: 'restoreVariablesFromSecrets',
  service: 'lambda',
  permissions: [
    { action: 'secretsmanager:GetSecretValue', resource: secrets },
    { action: 'lambda:GetFunctionConfiguration', resource: functions },
    { action: 'lambda:UpdateFunctionConfiguration', resource: functions },
  ],
  alreadyDone: [],
  async run(connection, { functionName, moves }) {
    const restored: Record<string, string> = {};
    for (const { secretName, variable, token } of moves) {
      const { SecretString } = await client(connection).send(new GetSecretValueCommand({ SecretId: secretName, VersionId: token }));
      if (SecretString === undefined) throw new VariableGone(`the secret ${secretName} holds no text`);
      restored[variable] = SecretString;
    }
    await replaceVariables(connection, functionName, restored);
  },
};

class VariableGone extends Error {
  override readonly name = 'VariableGone';
}

async function configuration(connection: Connection, functionName: string) {
  return await lambdaClient(connection).send(new GetFunctionConfigurationCommand({ FunctionName: functionName }));
}

/** UpdateFunctionConfiguration replaces the whole map of variables: RevisionId refuses where it changed since it was read. */
async function replaceVariables(connection: Connection, functionName: string, replaced: Readonly<Record<string, string>>): Promise<void> {
  const { Environment, RevisionId } = await configuration(connection, functionName);
  await lambdaClient(connection).send(
    new UpdateFunctionConfigurationCommand({ FunctionName: functionName, RevisionId, Environment: { Variables: { ...Environment?.Variables, ...replaced } } }),
  );
}
