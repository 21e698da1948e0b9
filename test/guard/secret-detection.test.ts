import { rules } from '@secretlint/secretlint-rule-preset-recommend';
import fc from 'fast-check';
import { findSecrets } from '../../guard/secret-detection.ts';

// Fakes are joined from parts, so that the secret scanners of code hosts find nothing in this file.
const fake = (...parts: readonly string[]) => parts.join('');
const awsKey = fake('wJ4lrXUtnF', 'EMI/K7MDEN', 'G+bPxRfiCY', 'Zz09AbCdEf');
const awsKeyId = fake('AKIA', 'Z7QW3ERT5YUIOP24');
const body = 'MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKjMzEfYyjiWA4R4ypbHRWGu4mUfSgHJkLzXcVbNm12';
const privateKey = fake('-----BEGIN PRIVATE', ' KEY-----\n', body, '\n-----END PRIVATE', ' KEY-----\n');
const serviceAccount = JSON.stringify({
  type: 'service_account',
  private_key_id: 'ab12',
  private_key: fake('-----BEGIN PRIVATE', ' KEY-----\nMIIE'),
});
const githubToken = fake('ghp', '_', 'aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5');
const slackToken = fake('xoxb', '-123456789012-1234567890123-', 'AbCdEfGhIjKlMnOpQrStUvWx');
const stripeKey = fake('sk', '_live_', '51HqLyjWDarjtT1zdp7dcA8BcD');
const npmToken = fake('npm', '_', 'aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5');
const gitlabToken = fake('glpat', '-', 'aB3dE5gH7jK9mN1pQ3sT');
const random = fake('q7Wm2Zx9', 'Lk4Tn8Vb', 'R3pY6sD1');
const kmsBlob = fake('AQICAHh', 'k2Vv9dX'.repeat(18), 'AA==');
const password = fake('Tr0ub4dor', '&3');

const found: readonly (readonly [title: string, variables: Record<string, string>, kinds: Record<string, string>])[] = [
  ['a GitHub token under any name', { SETTINGS: githubToken }, { SETTINGS: 'GitHub token' }],
  ['a Slack token', { BOT: slackToken }, { BOT: 'Slack token' }],
  [
    'a Slack webhook',
    { NOTIFY: fake('https://hooks.slack.com/services/', 'T00AA11BB/B00AA11BB/', 'aB3dE5gH7jK9mN1pQ3sT5vW7') },
    { NOTIFY: 'Slack webhook' },
  ],
  ['a Stripe key', { PAY: stripeKey }, { PAY: 'Stripe Live Secret Key' }],
  ['an npm token', { REGISTRY: npmToken }, { REGISTRY: 'npm access token' }],
  ['a GitLab token', { CI: gitlabToken }, { CI: 'GitLab Personal Access Token' }],
  ['a private key', { SIGNER: privateKey }, { SIGNER: 'private key' }],
  ['a private key with escaped line breaks', { SIGNER: privateKey.replaceAll('\n', '\\n') }, { SIGNER: 'private key' }],
  ['a service account of Google Cloud', { GCP: serviceAccount }, { GCP: 'Google Cloud service account key' }],
  ['an AWS secret access key by its usual name', { AWS_SECRET_ACCESS_KEY: awsKey }, { AWS_SECRET_ACCESS_KEY: 'AWS secret access key' }],
  [
    'an AWS secret access key under another name, beside its id',
    { S3_ID: awsKeyId, S3_PASS_2: awsKey },
    { S3_PASS_2: 'AWS secret access key' },
  ],
  ['a comment in a value does not switch the detection off', { A: `${githubToken} secretlint-disable` }, { A: 'GitHub token' }],
  [
    'a password in the URL of a database',
    { DATABASE_URL: `postgres://app:${random}@db.internal:5432/app` },
    { DATABASE_URL: 'password in a URL' },
  ],
  ['a password in a URL, without a user', { CACHE: `redis://:${random}@cache.internal:6379/0` }, { CACHE: 'password in a URL' }],
  ['a password with an @ in a URL', { BROKER: 'amqps://app:p@55w0rd@mq.internal' }, { BROKER: 'password in a URL' }],
  ['a password in the URL of an HTTP service', { WEBHOOK: `https://app:${random}@hooks.internal/x` }, { WEBHOOK: 'password in a URL' }],
  [
    'the password "password" in a URL is a weak one, not a placeholder',
    { DB: 'mysql://app:password@db.internal/app' },
    { DB: 'password in a URL' },
  ],
  ['a token in the query of a URL', { HOOK: `https://hooks.internal/x?token=${random}` }, { HOOK: 'holds a token' }],
  ['a connection string with a password', { DB: `Server=db.internal;User Id=app;Password=${password};` }, { DB: 'holds a password' }],
  ['a connection string with an account key', { STORE: `AccountName=x;AccountKey=${random}==` }, { STORE: 'holds a key' }],
  ['JDBC with a password', { DB: `jdbc:mysql://db.internal/app?user=app&password=${password}` }, { DB: 'holds a password' }],
  ['headers with an API key', { OTEL_EXPORTER_OTLP_HEADERS: `api-key=${random}` }, { OTEL_EXPORTER_OTLP_HEADERS: 'holds a key' }],
  ['JSON with a password', { DB: JSON.stringify({ host: 'db.internal', auth: { user: 'app', password } }) }, { DB: 'holds a password' }],
  ['an Authorization header', { UPSTREAM: `Bearer ${random}` }, { UPSTREAM: 'authorization header' }],
  ['a password by its name', { DB_PASSWORD: password }, { DB_PASSWORD: 'named like a password' }],
  ['a password in camel case', { dbPassword: password }, { dbPassword: 'named like a password' }],
  ['a password in one word', { PGPASSWORD: password }, { PGPASSWORD: 'named like a password' }],
  ['a password of some stage', { DB_PASSWORD_PROD: password }, { DB_PASSWORD_PROD: 'named like a password' }],
  ['a short password', { SMTP_PASS: 'root' }, { SMTP_PASS: 'named like a password' }],
  ['a word as a password', { DB_PASSWORD: 'hunter' }, { DB_PASSWORD: 'named like a password' }],
  ['a passphrase with spaces', { KEY_PASSPHRASE: 'correct horse battery staple' }, { KEY_PASSPHRASE: 'named like a password' }],
  ['an API key', { API_KEY: random }, { API_KEY: 'named like a key' }],
  ['an API key in the form of a UUID', { API_KEY: 'b1f7c9d2-3e4a-4b5c-8d6e-7f8091a2b3c4' }, { API_KEY: 'named like a key' }],
  ['an API key in one word', { stripeApikey: random }, { stripeApikey: 'named like a key' }],
  ['a license key', { NEW_RELIC_LICENSE_KEY: random }, { NEW_RELIC_LICENSE_KEY: 'named like a key' }],
  ['a client secret that is a word', { CLIENT_SECRET: 'supersecret' }, { CLIENT_SECRET: 'named like a secret' }],
  ['a secret of random characters', { DB_SECRET: random }, { DB_SECRET: 'named like a secret' }],
  ['a token', { AUTH_TOKEN: random }, { AUTH_TOKEN: 'named like a token' }],
  ['a token with the word in front', { TOKEN_GITHUB: random }, { TOKEN_GITHUB: 'named like a token' }],
  ['a base64 key that begins like a path', { SIGNING_KEY: `/${random}/${random}` }, { SIGNING_KEY: 'named like a key' }],
  ['a secret framework key', { SECRET_KEY_BASE: random }, { SECRET_KEY_BASE: 'named like a key' }],
];

const silent: readonly (readonly [title: string, variables: Record<string, string>])[] = [
  ['no variables', {}],
  ['an ordinary setting', { STAGE: 'production', TABLE_NAME: 'orders', LOG_LEVEL: 'INFO' }],
  ['an empty value', { DB_PASSWORD: '', API_KEY: '   ' }],
  ['the name of a secret', { RDS_secrets_name: 'prod/rds/main', DB_SECRET_NAME: 'database-credentials', secretName: random }],
  ['the name of a secret, in a variable that does not say so', { DB_SECRET: 'prod-db-credentials', APP_CREDENTIALS: 'app/prod/main' }],
  ['the name that CloudFormation gave a secret', { DB_SECRET: fake('DatabaseSecret3B81', '7195-AbCdEfGhIjKl') }],
  ['the ARN of a secret', { SECRET_ARN: 'arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/db-a1B2c3' }],
  [
    'an ARN in a variable named like a secret',
    {
      DB_PASSWORD: 'arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/db-a1B2c3',
      API_KEY: 'arn:aws:ssm:us-east-1:111122223333:parameter/key',
      ENCRYPTION_KEY: 'arn:aws:kms:us-east-1:111122223333:key/b1f7c9d2',
    },
  ],
  ['the id of a secret', { GITHUB_SECRET_ID: random, API_KEY_ID: random, VAULT_SECRET_ID: 'b1f7c9d2-3e4a-4b5c-8d6e-7f8091a2b3c4' }],
  [
    'a path in Parameter Store',
    { DB_PASSWORD_PATH: '/prod/db/password', DB_PASSWORD: '/prod/db/password', API_TOKEN_PARAMETER: '/prod/token' },
  ],
  ['a relative path', { DB_PASSWORD: 'prod/db/password' }],
  ['a file', { SSH_PRIVATE_KEY: '/var/task/keys/id_rsa', JWT_SIGNING_KEY: 'certs/signing.pem', KEY_PASSWORD_FILE: random }],
  ['a dynamic reference', { DB_PASSWORD: '{{resolve:secretsmanager:prod/db:SecretString:password}}' }],
  [
    'a placeholder of a template',
    { DB_PASSWORD: '$' + '{DB_PASSWORD}', API_KEY: '<your-api-key>', AUTH_TOKEN: '%TOKEN%', X_API_KEY: '$API_KEY' },
  ],
  ['a URL with a placeholder for the password', { DATABASE_URL: 'postgres://app:$' + '{PASSWORD}@db.internal/app' }],
  [
    'a URL without credentials',
    {
      DATABASE_URL: 'postgres://db.internal:5432/app',
      SECRET: 'https://vault.internal:8200/v1/secret',
      TOKEN_URL: 'https://auth.internal/oauth/token',
      MAIL: 'https://x.internal/?to=a:b@c',
    },
  ],
  ['a URL with a user only', { REMOTE: 'ssh://git@git.internal/app.git' }],
  [
    'a boolean, a number, a duration',
    { USE_PASSWORD: 'true', MAX_TOKENS: '4096', SESSION_TOKEN_TTL: '15m', ACCESS_TOKEN: '3600', API_KEY: 'disabled' },
  ],
  ['an empty password is allowed', { ALLOW_EMPTY_PASSWORD: 'yes', MYSQL_ALLOW_EMPTY_PASSWORD: 'yes' }],
  ['certificates of AWS', { AWS_CA_BUNDLE: '/etc/ssl/certs/ca-bundle.crt', NODE_EXTRA_CA_CERTS: '/var/task/rds-ca.pem' }],
  [
    'Powertools for AWS Lambda',
    { POWERTOOLS_SERVICE_NAME: 'payments', POWERTOOLS_PARAMETERS_MAX_AGE: '5', POWERTOOLS_METRICS_SECRET: random },
  ],
  [
    'what is clearly a placeholder',
    {
      DB_PASSWORD: 'changeme',
      API_KEY: 'replace-me',
      AUTH_TOKEN: 'your-token-here',
      ROOT_PASSWORD: '********',
      X_PASSWORD: 'xxxxxxxx',
      APP_SECRET: 'TODO',
      SMTP_PASSWORD: 'dummy',
    },
  ],
  ['ciphertext of KMS', { DB_PASSWORD: kmsBlob, API_KEY: kmsBlob }],
  ['the id of a KMS key', { ENCRYPTION_KEY: 'b1f7c9d2-3e4a-4b5c-8d6e-7f8091a2b3c4', KMS_MASTER_KEY: 'alias/orders' }],
  ['a hash of a password', { ADMIN_PASSWORD: fake('$2b$12$', 'abcdefghijklmnopqrstuvABCDEFGHIJKLMNOPQRSTUV012345678') }],
  ['a public key', { JWT_PUBLIC_KEY: fake('-----BEGIN PUBLIC', ` KEY-----\n${body}\n-----END PUBLIC KEY-----`) }],
  [
    'keys that are no credentials',
    { PARTITION_KEY: 'customerId', S3_KEY: random, CACHE_KEY: random, IDEMPOTENCY_KEY: random, SITE_KEY: random },
  ],
  [
    'words that hold others',
    { TOKENIZER_MODEL: random, BYPASS: random, COMPASS: random, KEYWORDS: 'a,b', SECRETARY: random, MONKEY: random },
  ],
  [
    'what describes a secret',
    {
      PASSWORD_MIN_LENGTH: '12',
      PASSWORD_POLICY: random,
      TOKEN_ISSUER: random,
      SECRET_ROTATION: random,
      TOKEN_HEADER: 'x-auth-token-header-1',
    },
  ],
  ['the key under which a secret holds its password', { PASSWORD_KEY: 'password', SECRET_KEY_NAME: random }],
  ['a message about a password', { MESSAGE_WRONG_PASSWORD: 'Wrong password, try again' }],
  [
    "the example keys of AWS's documentation",
    { AWS_ACCESS_KEY_ID: fake('AKIAIOSFODNN7', 'EXAMPLE'), AWS_SECRET_ACCESS_KEY: fake('wJalrXUtnFEMI/K7MDENG/', 'bPxRfiCYEXAMPLEKEY') },
  ],
  ['an access key id alone', { KEY_ID: awsKeyId }],
  ['a Git commit beside an access key id', { KEY_ID: awsKeyId, COMMIT: '0123456789abcdef0123456789abcdef01234567' }],
  ['JSON about secrets', { CONFIG: JSON.stringify({ secretName: 'prod/db', passwordPolicy: { minLength: 12 }, tokens: 4096 }) }],
  ['options of Node', { NODE_OPTIONS: '--enable-source-maps --max-old-space-size=512' }],
  [
    "Java's own default password of its trust store is in every documentation",
    { JAVA_TOOL_OPTIONS: '-Djavax.net.ssl.trustStorePassword=changeit' },
  ],
];

describe('finds', () => {
  test.each(found)('%s', (_title, variables, kinds) => {
    expect(Object.fromEntries(findSecrets(variables).map(({ variable, kind }) => [variable, kind]))).toEqual(kinds);
  });
});

describe('stays silent about', () => {
  test.each(silent)('%s', (_title, variables) => {
    expect(findSecrets(variables)).toEqual([]);
  });
});

test('every title is there once', () => {
  const titles = [...found, ...silent].map(([title]) => title);
  expect(titles).toEqual([...new Set(titles)]);
});

test('tells each variable once, and nothing but its name and the kind', () => {
  const both = { DB_PASSWORD: githubToken, STAGE: 'prod', TOKEN: slackToken };
  expect(findSecrets(both)).toEqual([
    { variable: 'DB_PASSWORD', kind: 'GitHub token' },
    { variable: 'TOKEN', kind: 'Slack token' },
  ]);
});

test('no value appears in what is told', () => {
  const secrets = [awsKey, privateKey, serviceAccount, githubToken, slackToken, stripeKey, npmToken, gitlabToken, random, password];
  const value = fc.oneof(
    fc.constantFrom(...secrets),
    fc.tuple(fc.string({ maxLength: 40 }), fc.constantFrom(...secrets), fc.string({ maxLength: 40 })).map((parts) => parts.join('')),
    fc.tuple(fc.webUrl(), fc.constantFrom(...secrets)).map(([url, secret]) => url.replace('://', `://user:${encodeURIComponent(secret)}@`)),
    fc.json().map((json) => json),
    fc.string({ minLength: 8, maxLength: 200, unit: 'binary' }),
  );
  const name = fc.oneof(
    fc.constantFrom('DB_PASSWORD', 'API_KEY', 'X', 'clientSecret', 'AUTH_TOKEN_PROD'),
    fc.stringMatching(/^[A-Za-z][A-Za-z0-9_]{1,20}$/),
  );
  fc.assert(
    fc.property(fc.dictionary(name, value, { maxKeys: 6 }), (variables) => {
      for (const { variable, kind } of findSecrets(variables)) {
        expect(Object.keys(variables)).toContain(variable);
        const text = variables[variable] ?? '';
        expect(kind.includes(text)).toBe(false);
        for (const secret of secrets) expect(kind.includes(secret)).toBe(false);
        expect(kind).toMatch(/^[\w' ().-]{3,60}$/);
      }
    }),
    { numRuns: 2000 },
  );
});

test('4 KB of anything take no time', () => {
  const nasty = [
    'a'.repeat(4000),
    '='.repeat(4000),
    'a='.repeat(2000),
    'x://'.repeat(1000),
    '://a:'.repeat(800),
    '/a'.repeat(2000),
    '{"a":'.repeat(700),
    ' '.repeat(4000),
    'a '.repeat(2000),
    '-----BEGIN PRIVATE KEY-----'.repeat(150),
  ];
  const started = performance.now();
  for (const value of nasty) findSecrets({ DB_PASSWORD: value, API_KEY: value, OTHER: value });
  expect(performance.now() - started).toBeLessThan(2000);
});

test("all of the library's rules are synchronous and say what they found in words", async () => {
  const results: unknown[] = [];
  const context = {
    sharedOptions: {},
    createTranslator: () => () => ({ message: '', messageId: '', data: undefined }),
    report: () => undefined,
    ignore: () => undefined,
  };
  for (const rule of rules) {
    const source = { content: 'x', ext: '', filePath: undefined, contentType: 'text', indexToPosition: () => ({ line: 1, column: 0 }) };
    results.push(rule.create(context as never, {}).file?.(source as never));
    for (const message of Object.values(rule.messages)) expect(typeof message.en({ toString: () => '' })).toBe('string');
  }
  expect(results.every((result) => result === undefined)).toBe(true);
});
