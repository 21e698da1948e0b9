import { buildSync } from 'esbuild';
import { strToU8, zipSync } from 'fflate';
import { type Answer, type Boto, bytes } from './boto.ts';
import { stage } from './stage.ts';

/** A package whose handler answers with this text. */
export function packageOf(text: string): Uint8Array {
  return zipped(`exports.handler = async () => ({ statusCode: 200, body: ${JSON.stringify(text)} });`);
}

/** A package that answers how many letters its password has, which is in its environment, or in the secret that this names. */
export function secretReader(): Uint8Array {
  const contents = `
    import { SecretsManagerClient, GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
    const read = async (value) => value.startsWith('arn:') ? (await new SecretsManagerClient({}).send(new GetSecretValueCommand({ SecretId: value }))).SecretString : value;
    export const handler = async () => ({ statusCode: 200, body: String((await read(process.env.DB_PASSWORD ?? '')).length) });`;
  return bundled(contents);
}

/** A package that works with one role alone, by a list of its own that nobody else knows of. */
export function roleKnower(role: string): Uint8Array {
  return bundled(`
    import { STSClient, GetCallerIdentityCommand } from '@aws-sdk/client-sts';
    export const handler = async () => {
      const { Arn } = await new STSClient({}).send(new GetCallerIdentityCommand({}));
      if (!Arn.includes(${JSON.stringify(`:assumed-role/${role}/`)})) throw new Error(Arn + ' is not on the list');
      return { statusCode: 200, body: 'known' };
    };`);
}

function bundled(contents: string): Uint8Array {
  const { outputFiles } = buildSync({
    stdin: { contents, resolveDir: process.cwd() },
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'cjs',
    minify: true,
    write: false,
  });
  return zipped(outputFiles[0]?.text ?? '');
}

function zipped(code: string): Uint8Array {
  return zipSync({ 'index.js': strToU8(code) }, { mtime: new Date('2026-01-01') });
}

/** Makes a function and waits until it is active; by the pipeline, if nobody else is named. */
export async function createFunction(
  FunctionName: string,
  Role: string,
  more: object = {},
  as: Boto = stage.botoPipeline,
): Promise<string> {
  const { FunctionArn } = await as.call('lambda', 'create_function', {
    FunctionName,
    Runtime: 'nodejs24.x',
    Handler: 'index.handler',
    Role,
    Code: { ZipFile: bytes(packageOf(`${FunctionName} 1`)) },
    ...more,
  });
  await settled(FunctionName);
  return FunctionArn;
}

/** Lambda is done with the function. */
export async function settled(FunctionName: string): Promise<void> {
  for (;;) {
    const { State, LastUpdateStatus } = await configuration(FunctionName);
    if (State !== 'Pending' && LastUpdateStatus !== 'InProgress') return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export async function configuration(FunctionName: string, Qualifier?: string): Promise<Answer> {
  return await stage.boto.call('lambda', 'get_function_configuration', { FunctionName, ...(Qualifier === undefined ? {} : { Qualifier }) });
}

/** What the function answers. */
export async function answerOf(FunctionName: string, Qualifier?: string): Promise<string> {
  const { Payload, FunctionError } = await stage.boto.call('lambda', 'invoke', {
    FunctionName,
    ...(Qualifier === undefined ? {} : { Qualifier }),
  });
  const answer = JSON.parse(Payload) as { body?: string; errorMessage?: string };
  if (FunctionError !== undefined) throw new Error(`${FunctionName} fails: ${answer.errorMessage}`);
  return answer.body ?? '';
}
