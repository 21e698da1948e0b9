import { rules } from '@secretlint/secretlint-rule-preset-recommend';
import type { SecretLintRuleContext, SecretLintSourceCode } from '@secretlint/types';

/** A variable that holds a credential, and what kind of one. Never its value. */
export interface FoundSecret {
  readonly variable: string;
  readonly kind: string;
}

/**
 * The variables that hold a plaintext credential, by the value (known formats, passwords in URLs and settings) and by
 * the name with a plausible value. What merely names or points at a secret is none.
 */
export function findSecrets(variables: Readonly<Record<string, string>>): FoundSecret[] {
  const knownFormat = formatScanner();
  const accessKeyIdPresent = Object.values(variables).some((value) => accessKeyId.test(value) && !exampleOfAws.test(value));
  return Object.entries(variables).flatMap(([variable, value]) => {
    try {
      const kind = knownFormat(variable, value) ?? pairedKey(value, accessKeyIdPresent) ?? inside(value) ?? byName(variable, value);
      return kind === undefined ? [] : [{ variable, kind }];
    } catch {
      // Errors of parsers quote what they parse: neither message nor cause goes on.
      throw new SecretDetectionFailed(`the value of ${variable} could not be examined`);
    }
  });
}

/** Where a text holds a credential, and what kind of one. Never its value. */
export interface FoundInText {
  /** The place in the text where it begins, or the name that it is given. */
  readonly at: number;
  readonly kind: string;
}

/**
 * A function that finds credentials in source code and settings: known formats anywhere, and texts in quotes that are given a name such
 * as `password`. In code, where such names stand for labels and messages, too, the text has to look like nothing that a person would say.
 */
export function textScanner(): (content: string, extension: string) => readonly FoundInText[] {
  const found: FoundInText[] = [];
  const scanners = makeScanners((kind, at) => found.push({ at, kind }));
  return (content, extension) => {
    found.length = 0;
    try {
      runScanners(scanners, content, extension);
      for (const { name, value, at } of assignmentsIn(content, extension)) {
        const kind = isSaying(value, extension) ? undefined : byName(name, value);
        if (kind !== undefined) found.push({ at, kind });
      }
    } catch {
      throw new SecretDetectionFailed('a text could not be examined');
    }
    return [...found];
  };
}

function* assignmentsIn(content: string, extension: string): Generator<{ name: string; value: string; at: number }> {
  // From the text back to the name: a pattern that begins with the name would be tried at every word of the code.
  for (const { 2: value = '', index } of content.matchAll(/[=:]>?\s{0,4}(["'`])([^"'`\\\n]{8,200})\1/g)) {
    const name = /([A-Za-z_][\w.-]{2,60})["'`]?\s{0,4}:?$/.exec(content.slice(Math.max(0, index - 70), index))?.[1];
    if (name !== undefined) yield { name, value, at: index };
  }
  if (!isVariables(extension)) return;
  for (const { 1: name = '', 2: value = '', index: at } of content.matchAll(
    /^[ \t]{0,8}(?:export )?([A-Za-z_]\w{2,60})=([^\s"'#][^\n\r]{3,200})$/gm,
  ))
    yield { name, value, at };
}

function isVariables(extension: string): boolean {
  return extension === '.env' || extension === '.properties' || extension === '.ini';
}

/** Words and sentences rather than a credential: no digit among letters. Files of variables hold no sentences. */
function isSaying(value: string, extension: string): boolean {
  return !isVariables(extension) && (/\s/.test(value) || !/\d/.test(value) || !/[A-Za-z]/.test(value));
}

class SecretDetectionFailed extends Error {
  override readonly name = 'SecretDetectionFailed';
}

type Scanner = (typeof rules)[number];

/** Kinds in the words of this house, where the library's own read less well. */
const kinds: Readonly<Record<string, string>> = {
  AWSSecretAccessKey: 'AWS secret access key',
  BasicAuth: 'password in a URL',
  GITHUB_TOKEN: 'GitHub token',
  IncomingWebhook: 'Slack webhook',
  MongoDBConnection: 'password in a URL',
  MySQLConnection: 'password in a URL',
  PackageJSON_xOauthToken: 'GitHub token',
  PostgreSQLConnection: 'password in a URL',
  PrivateKey: 'private key',
  PrivateKeyJSON: 'Google Cloud service account key',
  SLACK_TOKEN: 'Slack token',
};

/** A comment in a value must not switch the detection off. */
const commentFilter = '@secretlint/secretlint-rule-filter-comments';

/**
 * Runs secretlint's rules, which are synchronous, without secretlint's engine, which is not. The rules put what they
 * matched into their messages; only the message's id and fixed words leave this function.
 */
function formatScanner(): (variable: string, value: string) => string | undefined {
  let found: string | undefined;
  const scanners = makeScanners((kind) => {
    found ??= kind;
  });
  return (variable, value) => {
    found = undefined;
    runScanners(scanners, `${variable}=${value}`, '');
    if (value.trimStart().startsWith('{')) runScanners(scanners, value, '.json');
    return found;
  };
}

type Scanners = readonly ReturnType<Scanner['create']>[];

function makeScanners(report: (kind: string, at: number) => void): Scanners {
  const context = {
    sharedOptions: {},
    createTranslator: (messages: Scanner['messages']) => (messageId: string) => ({
      message: kinds[messageId] ?? wordsOf(messages[messageId]),
      messageId,
      data: undefined,
    }),
    report: ({ message, range }: { readonly message: { readonly message: string }; readonly range: readonly number[] }) =>
      report(message.message, range[0] ?? 0),
    ignore: () => undefined,
  } as unknown as SecretLintRuleContext;
  return rules.filter(({ meta }) => meta.id !== commentFilter).map((rule) => rule.create(context, {}));
}

function runScanners(scanners: Scanners, content: string, ext: string): void {
  const source = { content, ext, filePath: undefined, contentType: 'text', hasBOM: false } as unknown as SecretLintSourceCode;
  for (const { file } of scanners) {
    if (file?.(source) !== undefined) throw new SecretDetectionFailed('a rule of secretlint is no longer synchronous');
  }
}

/** `found npm access token: …` → `npm access token`, with nothing in place of what was matched. */
function wordsOf(message: Scanner['messages'][string] | undefined): string {
  const nothing = new Proxy({}, { get: () => '' });
  return (message?.en(nothing) ?? 'credential').replace(/^found /, '').replace(/\(\)|[:\s]+$/g, '');
}

const accessKeyId = /\b(?:AKIA|ASIA)[A-Z2-7]{16}\b/;
const exampleOfAws = /EXAMPLE(?:KEY)?$/;

/** A secret access key under any name: beside an access key id, 40 characters of all kinds are one. */
function pairedKey(value: string, accessKeyIdPresent: boolean): string | undefined {
  const shaped = /^[A-Za-z0-9/+]{40}$/.test(value) && /[a-z]/.test(value) && /[A-Z]/.test(value) && /\d/.test(value);
  return accessKeyIdPresent && shaped && !exampleOfAws.test(value) ? kinds['AWSSecretAccessKey'] : undefined;
}

/** A credential within a value: in a URL, an Authorization header, JSON, or settings such as `Server=…;Password=…`. */
function inside(value: string): string | undefined {
  for (const [, password = ''] of value.matchAll(/\b[a-z][a-z0-9+.-]{0,30}:\/\/[^\s:@/?#]{0,200}:([^\s/?#]{1,500})@[^\s@]/gi)) {
    if (plausible('password', decoded(password))) return 'password in a URL';
  }
  const [, scheme = '', credentials = ''] = /^(Bearer|Basic|Token)\s+([\w.~+/=-]{8,})$/i.exec(value.trim()) ?? [];
  if (scheme !== '' && plausible('token', credentials)) return 'authorization header';
  const settings = settingsIn(value);
  const type = settings.map(([key, text]) => typeOf(key, text)).find((found) => found !== undefined);
  return type === undefined ? undefined : `holds a ${type}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Keys and texts within a value: the leaves of JSON, or `key=text` pairs of connection strings, headers and queries. */
function settingsIn(value: string): readonly (readonly [string, string])[] {
  if (/^\s*[[{]/.test(value)) {
    try {
      return leaves('', JSON.parse(value));
    } catch {
      // No JSON after all.
    }
  }
  return [...value.matchAll(/(?:^|[;,&?\s])(?:-D)?([A-Za-z][\w .-]{0,60}?)\s*=\s*("[^"]*"|'[^']*'|[^;,&\s]+)/g)].map(
    ([, key = '', text = '']) => [key, text],
  );
}

function leaves(key: string, value: unknown): readonly (readonly [string, string])[] {
  if (typeof value === 'string') return [[key, value]];
  if (Array.isArray(value)) return value.flatMap((item) => leaves(key, item));
  return typeof value === 'object' && value !== null ? Object.entries(value).flatMap(([inner, item]) => leaves(inner, item)) : [];
}

function byName(variable: string, value: string): string | undefined {
  // https://docs.aws.amazon.com/powertools/typescript/latest/environment-variables/
  if (variable.startsWith('POWERTOOLS_')) return undefined;
  const type = typeOf(variable, value);
  return type === undefined ? undefined : `named like a ${type}`;
}

type Type = 'password' | 'secret' | 'token' | 'key';

/** What a name says that the text is, where the text may well be it. */
function typeOf(name: string, text: string): Type | undefined {
  const words = wordsIn(name);
  const head = typeAtEnd(words);
  if (/ENCRYPTION|MASTER|KMS|CMK/.test(words.join(' ')) && idOfKmsKey.test(text)) return undefined;
  if (head !== undefined) return plausible(head.type, text, head.surely) ? head.type : undefined;
  // The word stands elsewhere (TOKEN_GITHUB): then only what looks random counts, and never what describes a secret (TOKEN_URL).
  if (describes.has(words.at(-1) ?? '')) return undefined;
  const other = words.map((_, index) => typeAtEnd(words.slice(0, index + 1))).find((found) => found !== undefined);
  return other !== undefined && plausible(other.type, text) && looksRandom(text) ? other.type : undefined;
}

// https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id-key-id
const idOfKmsKey = /^(?:mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** `dbPassword`, `DB-PASSWORD` → DB, PASSWORD; further words that only say which one (PROD, V2) are left out. */
function wordsIn(name: string): readonly string[] {
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1_$2')
    .toUpperCase()
    .split(/[^A-Z0-9]+/)
    .filter((word) => word !== '');
  while (words.length > 1 && (variants.has(words.at(-1) ?? '') || /^V?\d+$/.test(words.at(-1) ?? ''))) words.pop();
  return words;
}

const set = (words: string): ReadonlySet<string> => new Set(words.split(' '));

const variants = set(
  'PROD PRODUCTION DEV DEVELOPMENT STAGING STAGE STG TEST QA UAT LIVE SANDBOX PRIMARY SECONDARY CURRENT PREVIOUS OLD NEW DEFAULT VALUE PLAIN PLAINTEXT TEXT RAW BASE64 B64 HEX BASE',
);

/** Last words of names that speak about a secret without holding it. */
const describes = set(
  'NAME NAMES ARN ARNS ID IDS PATH PATHS FILE FILENAME DIR PARAMETER PARAMETERS PARAM PARAMS PREFIX SUFFIX URL URLS URI ENDPOINT HOST DOMAIN LENGTH SIZE MIN MAX TTL EXPIRY EXPIRES EXPIRATION AGE DAYS HOURS MINUTES SECONDS TIMEOUT INTERVAL POLICY TYPE KIND FORMAT VERSION REGION HEADER ALGORITHM ALG ISSUER AUDIENCE SCOPE BUCKET TABLE QUEUE TOPIC STORE MANAGER PROVIDER BACKEND SOURCE ENABLED DISABLED REQUIRED ROTATION COUNT LIMIT FIELD ATTRIBUTE COLUMN COOKIE CLAIM LABEL ALIAS REF REFERENCE LOCATION FUNCTION ROLE USER USERNAME EMAIL KEY HASH PATTERN REGEX MESSAGE',
);

/** A KEY is a credential only together with one of these. */
const keyWords = set(
  'API PRIVATE ACCESS SECRET ENCRYPTION SIGNING AUTH MASTER ACCOUNT LICENSE SHARED HMAC JWT SSH ADMIN APP SERVICE SUBSCRIPTION',
);

/** A SECRET after one of these is the secret itself; elsewhere (DB_SECRET) it is mostly the name of one. */
const secretWords = set('CLIENT JWT APP SESSION WEBHOOK SIGNING COOKIE SHARED HMAC CONSUMER AUTH API TOKEN OAUTH ENCRYPTION');

/** The type that the last words of a name mean; `surely` where the name leaves no doubt. */
function typeAtEnd(words: readonly string[]): { readonly type: Type; readonly surely: boolean } | undefined {
  const [before = '', last = ''] = words.slice(-2).length === 2 ? words.slice(-2) : ['', words.at(-1)];
  if (/(?:PASSWORDS?|PASSWD|PASSPHRASE|PASSCODE|PWD)$/.test(last) || /^(?:DB|SMTP|USER|ROOT|ADMIN)?PASS$/.test(last))
    return { type: 'password', surely: true };
  if (/(?:CLIENT|APP|JWT|CONSUMER)SECRET$/.test(last)) return { type: 'secret', surely: true };
  if (/SECRETS?$|^CREDENTIALS?$/.test(last)) return { type: 'secret', surely: secretWords.has(before) };
  if (/(?:^|ACCESS|AUTH|API|BEARER|REFRESH|BOT)TOKENS?$/.test(last)) return { type: 'token', surely: false };
  if (/^KEYS?$/.test(last) && keyWords.has(before)) return { type: 'key', surely: false };
  return /(?:API|SECRET|PRIVATE|ACCESS|AUTH|ACCOUNT|ENCRYPTION|SIGNING)KEYS?$/.test(last) ? { type: 'key', surely: false } : undefined;
}

/** Whether a text may be a credential of this type, and is neither a setting, a placeholder nor a pointer to a secret. */
function plausible(type: Type, text: string, surely = type === 'password'): boolean {
  const value = text.trim().replace(/^(["'])(.*)\1$/s, '$2');
  if (value.length < (surely ? 4 : 8) || harmless.some((pattern) => pattern.test(value)) || isPath(value)) return false;
  if (type === 'password') return !(/\s/.test(value) && /password/i.test(value));
  return !/\s/.test(value) && (surely || !readsLikeAName(type, value));
}

const harmless: readonly RegExp[] = [
  // Settings: words, numbers, durations, addresses.
  /^(?:true|false|yes|no|on|off|enabled?|disabled?|none|null|nil|undefined|n\/?a|tbd|todo|auto|generated?|required|optional|prompt|default|always|never|iam|ssm|vault|env|aws|kms|secretsmanager)$/i,
  /^[-+]?[\d.,:]+(?:ms|s|m|h|d|kb|mb)?$/i,
  /^[a-z][a-z0-9+.-]*:\/\/\S*$/i,
  // Pointers: ARNs, dynamic references, variables, other stores.
  /^arn:[\w-]+:[\w-]+:/,
  /\$\{[^}]*\}|\{\{[^}]*\}\}/,
  /^(?:<[^>]*>|\[[^\]]*\]|%\w+%|\$\w+|\$\([^)]*\)|\{\w+\})$/,
  /^(?:ssm|secretsmanager|asm|vault|op|kms|s3|file|env|gcp|sops|ref|alias|aws|projects)[:/]/i,
  // Placeholders.
  /^(.)\1*$/,
  /^[*x•._-]+$/i,
  /^(?:change[-_ ]?(?:me|it|this)|replace[-_ ]?(?:me|this)|placeholder|dummy|example|sample|redacted|masked|hidden|fill[-_ ]?(?:me|in))[-_ !.\d]*$/i,
  /^(?:your|replace[-_ ]?with|insert|enter|put)[-_ ].*$/i,
  exampleOfAws,
  // Ciphertext of KMS and of the AWS Encryption SDK, and hashes: useless without what they were made with.
  // https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars-encryption.html
  /^AQ[EI][CD]AH[A-Za-z0-9+/]{60,}={0,2}$/,
  /^(?:AYAD|AgV4)[A-Za-z0-9+/]{100,}={0,2}$/,
  /^(?:ENC\[AES256|\$ANSIBLE_VAULT)/,
  /^\$(?:2[aby]|argon2\w*|5|6)\$/,
  // What is public anyway.
  /^-----BEGIN (?:[A-Z]+ )?(?:PUBLIC KEY|CERTIFICATE)-----/,
  /^(?:ssh-(?:rsa|ed25519)|ecdsa-sha2-\S+) /,
];

/** `/prod/db/password`, `./key.pem`, `prod/db/main`; not a base64 text that happens to hold slashes. */
function isPath(value: string): boolean {
  if (/^[\w./-]+\.(?:pem|key|crt|cer|json|ya?ml|p12|pfx|jks|txt|env|ini|conf)$/i.test(value)) return true;
  const parts = /^(?:~|\.{0,2})(?:\/?[\w.@-]+)(?:\/[\w.@-]+)*\/?$/.test(value) && value.includes('/') ? value.split('/') : [];
  return parts.length > 0 && !parts.some(looksRandom);
}

/** `prod-db-credentials`, `production`, `DatabaseSecret3B81-AbCd`: more likely the name of a secret than a secret. */
function readsLikeAName(type: Type, value: string): boolean {
  if (type === 'secret' && /secret|credential/i.test(value)) return true;
  return /^[A-Za-z]*\d{0,4}(?:[-_.:/@][A-Za-z]*\d{0,4})*$/.test(value) && !looksRandom(value);
}

/** Long, of letters and digits mixed, and of many different characters. */
function looksRandom(value: string): boolean {
  return (
    value.length >= 16 &&
    !/\s/.test(value) &&
    /\d/.test(value) &&
    /[A-Za-z]/.test(value) &&
    new Set(value).size >= 9 &&
    /[A-Za-z]\d+[A-Za-z]|\d[A-Za-z]+\d/.test(value)
  );
}
