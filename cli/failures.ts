import { deniedAction, errorName } from '../guard/errors.ts';
import { plain, Told } from './plain.ts';

/** What to do about errors that are the operator's to mend, by their names. */
const advice: readonly (readonly [RegExp, string])[] = [
  [
    /^(CredentialsProviderError|UnrecognizedClientException|InvalidClientTokenId|InvalidAccessKeyId|AuthFailure|SignatureDoesNotMatch)$/,
    'AWS does not know these credentials, or there are none: log in (`aws sso login`), set AWS_PROFILE, or give --profile.',
  ],
  [
    /^(ExpiredToken(Exception)?|TokenRefreshRequired|RequestExpired|SSOTokenProviderFailure)$/,
    'The credentials have expired: log in again, such as with `aws sso login --profile <profile>`.',
  ],
  [
    /^(ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|NetworkingError|TimeoutError)$/,
    'AWS cannot be reached from here: look at --region, --endpoint-url and the network.',
  ],
];

/** An error as one sentence that says what to do. */
export function explained(error: unknown): string {
  const name = errorName(error);
  const told = error instanceof Error ? error.message : String(error);
  const action = deniedAction(error);
  if (action !== undefined)
    return `Your credentials do not allow ${action}: \`npm run guard -- policy\` prints what a scan needs, docs/operations.md what each command needs.`;
  const known = advice.find(([names]) => names.test(name));
  if (error instanceof Told) return told;
  return known === undefined ? plain(told) : `${known[1]} (${name})`;
}
