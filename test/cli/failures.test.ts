import { explained } from '../../cli/failures.ts';
import { WrongUse } from '../../cli/use.ts';

const error = (name: string, message = 'x') => Object.assign(new Error(message), { name });

test.each([
  ['no credentials', error('CredentialsProviderError'), /--profile\. \(CredentialsProviderError\)$/],
  ['credentials that are wrong', error('UnrecognizedClientException'), /AWS does not know these credentials/],
  ['credentials that have expired', error('ExpiredTokenException'), /have expired: log in again/],
  ['a network without AWS', Object.assign(new Error('x'), { code: 'ENOTFOUND' }), /cannot be reached from here/],
  [
    'a right that is missing',
    error('AccessDeniedException', 'User: arn:aws:iam::1:user/a is not authorized to perform: lambda:ListFunctions on resource: *'),
    /^Your credentials do not allow lambda:ListFunctions: `npm run guard -- policy`/,
  ],
  ['anything else', error('Error', 'There is no finding x.'), /^There is no finding x\.$/],
  ['what others wrote', error('Error', 'Bad name x\n::error::y\u001B[2J'), /^Bad name x\\u000a::error::y\\u001b\[2J$/],
  [
    'wrong use that names what others wrote',
    new WrongUse('There is no x\n::error::y.', 'Look.'),
    /^There is no x\\u000a::error::y\.\nLook\.$/,
  ],
  ['what is no error', 'broken', /^broken$/],
])('%s', (_, given, told) => expect(explained(given)).toMatch(told));
