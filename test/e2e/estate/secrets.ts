import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { strToU8, zipSync } from 'fflate';
import { bytes } from '../boto.ts';
import { settled } from '../functions.ts';
import { administrator, aliased, type Ground, type Kind, type NearMiss, pipeline, type RoleOptions, sound, variables } from './kind.ts';

const zip = (files: Readonly<Record<string, string>>) =>
  bytes(zipSync(Object.fromEntries(Object.entries(files).map(([name, text]) => [name, strToU8(text)]))));

const handler = 'exports.handler = async () => ({});\n';

/**
 * In the shape of a real one, its checksum included; it opens nothing.
 * https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/
 */
function token(name: string): string {
  const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  const random = Array.from(createHash('sha256').update(name).digest().subarray(2), (byte) => digits[byte % 62]).join('');
  let checksum = '';
  for (let rest = crc32(random); checksum.length < 6; rest = Math.floor(rest / 62)) checksum = `${digits[rest % 62]}${checksum}`;
  return `ghp_${random}${checksum}`;
}

const password = ['Winter', 'Sale', '2026!', 'x9Qz'].join('');

function plain(how: string, values: (name: string) => Readonly<Record<string, string>>): Kind {
  return {
    rule: 'secret-in-environment',
    how,
    make: async (name, ground) => await sound(name, variables(values(name), ground)),
  };
}

/** A secret that is rotated every month. @returns its ARN */
async function rotated(name: string, { rotator }: Ground): Promise<string> {
  const { ARN } = await administrator('secretsmanager', 'create_secret', { Name: `${name}/db`, SecretString: 'not of this test' });
  const RotationRules = { AutomaticallyAfterDays: 30 };
  const rotation = { SecretId: ARN, RotationLambdaARN: rotator, RotationRules, RotateImmediately: false };
  await administrator('secretsmanager', 'rotate_secret', rotation);
  return ARN;
}

const reading = (secret: string): RoleOptions => ({ allow: [{ Action: 'secretsmanager:GetSecretValue', Resource: secret }] });

export const kinds: readonly Kind[] = [
  plain('password-by-name', () => ({ DB_PASSWORD: password })),
  plain('token-by-value', (name) => ({ SETTING: token(name) })),
  plain('password-in-a-url', () => ({ DATABASE: `postgres://orders:${password}@db.internal:5432/orders` })),
  {
    rule: 'secret-in-environment',
    how: 'password-in-a-version',
    async make(name, ground) {
      const arn = await sound(name, { ...variables({ DB_PASSWORD: password }, ground), Publish: true });
      await aliased(name);
      await pipeline('update_function_configuration', { FunctionName: name, Environment: { Variables: {} } });
      return arn;
    },
  },
  {
    rule: 'environment-without-cmk',
    how: 'no-key',
    make: async (name) => await sound(name, { Environment: { Variables: { STAGE: 'production' } } }),
  },
  {
    rule: 'environment-without-cmk',
    how: 'no-key-in-a-version',
    async make(name, { key: KMSKeyArn }) {
      const arn = await sound(name, { Environment: { Variables: { STAGE: 'production' } }, Publish: true });
      await aliased(name);
      await pipeline('update_function_configuration', { FunctionName: name, KMSKeyArn });
      return arn;
    },
  },
  {
    rule: 'environment-without-cmk',
    how: 'key-taken-away',
    async make(name, ground) {
      const found = [await sound(name, variables({ STAGE: 'production' }, ground))];
      return { found, later: () => pipeline('update_function_configuration', { FunctionName: name, KMSKeyArn: '' }) };
    },
  },
  {
    rule: 'secret-in-code',
    how: 'token-in-code',
    make: async (name) =>
      await sound(name, { Code: { ZipFile: zip({ 'index.js': handler, 'lib/key.js': `exports.key = '${token(name)}';\n` }) } }),
  },
  {
    rule: 'secret-in-code',
    how: 'token-in-a-layer',
    async make(name) {
      const Content = { ZipFile: zip({ 'tools/run.sh': `#!/bin/sh\necho ${token(name)}\n` }) };
      const { LayerVersionArn } = await pipeline('publish_layer_version', { LayerName: name, Content });
      return await sound(name, { Layers: [LayerVersionArn] });
    },
  },
  {
    rule: 'secret-in-code',
    how: 'token-in-a-version',
    async make(name) {
      const ZipFile = zip({ 'index.js': handler, '.env': `GITHUB_TOKEN=${token(name)}\n` });
      const arn = await sound(name, { Code: { ZipFile }, Publish: true });
      await aliased(name);
      await pipeline('update_function_code', { FunctionName: name, ZipFile: zip({ 'index.js': `// ${name}\n${handler}` }) });
      await settled(name);
      return arn;
    },
  },
  {
    rule: 'secret-not-rotated',
    how: 'cancelled-read-by-role',
    async make(name, ground) {
      const secret = await rotated(name, ground);
      await sound(name, {}, reading(secret));
      return { found: [secret], later: () => administrator('secretsmanager', 'cancel_rotate_secret', { SecretId: `${name}/db` }) };
    },
  },
  {
    rule: 'secret-not-rotated',
    how: 'cancelled-read-by-name',
    async make(name, ground) {
      const secret = await rotated(name, ground);
      await administrator('secretsmanager', 'cancel_rotate_secret', { SecretId: secret });
      await sound(name, variables({ DB_SECRET_ARN: secret }, ground), reading(secret));
      return secret;
    },
  },
  {
    rule: 'secret-not-rotated',
    how: 'failing',
    onlyHeard: 'no call tells that a rotation failed, only the event of Secrets Manager',
    async make(name, ground) {
      const secret = await rotated(name, ground);
      await sound(name, {}, reading(secret));
      return { found: [secret], later: () => administrator('secretsmanager', 'rotate_secret', { SecretId: secret }) };
    },
  },
];

export const nearMisses: readonly NearMiss[] = [
  {
    how: 'names-secrets',
    make: async (name, ground) =>
      await sound(
        name,
        variables(
          {
            DB_PASSWORD: '{{resolve:secretsmanager:orders/db}}',
            API_KEY: 'changeme',
            TOKEN_URL: 'https://login.shop.example/oauth/token',
            DB_SECRET: 'orders-db-credentials',
          },
          ground,
        ),
      ),
  },
  {
    how: 'code-speaks-of-passwords',
    async make(name) {
      const text = `${handler}const password = process.env.DB_PASSWORD;\nconst label = { password: 'Your password, please' };\n// ${name}\n`;
      await sound(name, { Code: { ZipFile: zip({ 'index.js': text, 'node_modules/x/test.js': `const t = '${token(name)}';\n` }) } });
    },
  },
  {
    how: 'reads-a-rotated-secret',
    async make(name, ground) {
      const secret = await rotated(name, ground);
      await sound(name, variables({ DB_SECRET_ARN: secret }, ground), reading(secret));
    },
  },
  {
    how: 'reads-no-cancelled-one',
    async make(name, ground) {
      const secret = await rotated(name, ground);
      await administrator('secretsmanager', 'cancel_rotate_secret', { SecretId: secret });
      await sound(name);
    },
  },
];
