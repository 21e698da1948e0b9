import fc from 'fast-check';
import { type PublicAccess, publicAccess } from '../../guard/policy-document.ts';

const trust = { account: '111122223333', trustedAccounts: ['222222222222'], organization: 'o-a1b2c3d4e5' };
const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const judge = (...Statement: readonly unknown[]) => publicAccess({ Version: '2012-10-17', Statement }, trust);
const rank = ({ verdict }: PublicAccess) => ['restricted', 'unknown', 'public'].indexOf(verdict);

// --- policies

interface Statement {
  readonly Sid: string;
  readonly Effect: 'Allow' | 'Deny';
  readonly Principal?: unknown;
  readonly NotPrincipal?: unknown;
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
}

/** Values for each key: of the inside, of the outside, of everybody and of nobody. */
const values: Readonly<Record<string, readonly string[]>> = {
  'aws:SourceAccount': ['111122223333', '222222222222', '444455556666', '*', '4444*', '${aws:ResourceAccount}', '${aws:PrincipalAccount}'],
  'aws:PrincipalAccount': ['111122223333', '444455556666', 'anonymous', '?*', '${aws:PrincipalAccount}'],
  'aws:PrincipalOrgID': ['o-a1b2c3d4e5', 'o-zzzzzzzzzz', 'o-*', '${aws:ResourceOrgID}'],
  'aws:SourceOrgID': ['o-a1b2c3d4e5', 'o-zzzzzzzzzz', '*'],
  'aws:PrincipalOrgPaths': ['o-a1b2c3d4e5/*', 'o-zzzzzzzzzz/r-ab12/*', '*/r-ab12/*', 'o-*'],
  'aws:PrincipalArn': [
    'arn:aws:iam::111122223333:role/x',
    'arn:aws:iam::111122223333:*',
    'arn:aws:iam::444455556666:role/x',
    'arn:aws:iam::*:role/x',
    'arn:aws:iam:*:111122223333:role/x',
    'arn:aws:iam::${aws:PrincipalAccount}:role/x',
    '*',
  ],
  'aws:SourceArn': [
    'arn:aws:sns:us-east-1:111122223333:topic',
    'arn:aws:*:*:111122223333:*',
    'arn:aws:sns:us-east-1:444455556666:topic',
    'arn:aws:s3:::my-bucket',
    'arn:aws:*:*:*:*',
    'arn:aws:execute-api:*:111122223333:*',
    'arn:aws:sns:*:${aws:ResourceAccount}:*',
  ],
  'aws:SourceIp': ['203.0.113.0/24', '128.0.0.0/1', '0.0.0.0/0', '198.0.0.0/7', '10.0.0.0/8'],
  'aws:SourceVpc': ['vpc-1', 'vpc-*'],
  'aws:VpcSourceIp': ['10.0.0.0/8'],
  'lambda:EventSourceToken': ['amzn1.ask.skill.7', 'amzn1.ask.skill.*'],
  'lambda:FunctionUrlAuthType': ['NONE', 'AWS_IAM'],
  'aws:PrincipalIsAWSService': ['true', 'false'],
  'aws:SecureTransport': ['true', 'false'],
  'aws:PrincipalTag/team': ['orders', '*'],
  'aws:Unheard': ['x', 'true', '*'],
};

const operators = ['StringEquals', 'StringNotEquals', 'StringLike', 'StringNotLike', 'ArnEquals', 'ArnLike', 'ArnNotLike'];
const operator = fc
  .tuple(
    fc.oneof({ weight: 4, arbitrary: fc.constant('') }, fc.constantFrom('ForAllValues:', 'ForAnyValue:')),
    fc.constantFrom(...operators, 'IpAddress', 'NotIpAddress', 'Bool'),
    fc.oneof({ weight: 4, arbitrary: fc.constant('') }, fc.constant('IfExists')),
  )
  .map((parts) => parts.join(''));

const oneCondition = fc.constantFrom(...Object.keys(values)).chain((key) =>
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc
        .tuple(operator, fc.uniqueArray(fc.constantFrom(...(values[key] ?? [])), { minLength: 1, maxLength: 2 }))
        .map(([name, list]) => [name, { [key]: list }] as const),
    },
    { weight: 1, arbitrary: fc.constantFrom('true', 'false').map((value) => ['Null', { [key]: [value] }] as const) },
  ),
);
const condition = fc.array(oneCondition, { maxLength: 3 }).map((all) => {
  const block: Record<string, Record<string, readonly string[]>> = {};
  for (const [name, keys] of all) block[name] = { ...block[name], ...keys };
  return block;
});

const principal = fc.constantFrom<unknown>(
  '*',
  { AWS: '*' },
  { AWS: '111122223333' },
  { AWS: '444455556666' },
  { AWS: ['111122223333', 'arn:aws:iam::444455556666:role/x'] },
  { Service: 'sns.amazonaws.com' },
  { Service: '*' },
  { AWS: '222222222222', Service: ['s3.amazonaws.com', 'sns.amazonaws.com'] },
);
const who = fc.oneof(
  { weight: 5, arbitrary: principal.map((Principal) => ({ Principal })) },
  { weight: 1, arbitrary: principal.map((NotPrincipal) => ({ NotPrincipal })) },
);
const actions = fc.constantFrom('lambda:InvokeFunction', 'lambda:*', '*', 'lambda:Get*', ['lambda:GetFunction', 'lambda:InvokeFunction']);
const resources = fc.constantFrom(orders, '*', `${orders}:live`, 'arn:aws:lambda:*:111122223333:function:*');
const perimeter = fc.constantFrom<Statement['Condition']>(
  {},
  { StringNotEquals: { 'aws:PrincipalOrgID': ['o-a1b2c3d4e5'] } },
  { StringNotEqualsIfExists: { 'aws:SourceAccount': ['111122223333'] }, Bool: { 'aws:PrincipalIsAWSService': ['true'] } },
  { ArnNotLike: { 'aws:PrincipalArn': ['arn:aws:iam::111122223333:*'] }, BoolIfExists: { 'aws:PrincipalIsAWSService': ['false'] } },
);
const statement = (Effect: 'Allow' | 'Deny', under: fc.Arbitrary<Statement['Condition']>) =>
  fc
    .record({ named: who, Action: actions, Resource: resources, Condition: under, Sid: fc.nat().map((id) => `s${id}`) })
    .map(({ named, ...rest }): Statement => ({ Effect, ...named, ...rest }));
const [allow, deny] = [statement('Allow', condition), statement('Deny', fc.oneof(condition, perimeter))];
const policy = fc.array(fc.oneof({ weight: 3, arbitrary: allow }, { weight: 2, arbitrary: deny }), { maxLength: 5 });

// --- requests from outside, and what IAM makes of them

interface Request {
  readonly caller: { readonly AWS?: string; readonly Service?: string };
  /** By key in lower case. */
  readonly context: Readonly<Record<string, readonly string[]>>;
}

const everywhere = { 'aws:securetransport': ['true'], 'lambda:functionurlauthtype': ['AWS_IAM'] };
const principalFrom = (account: string, name: string, more: Request['context']): Request => ({
  caller: { AWS: `arn:aws:iam::${account}:${name}` },
  context: {
    ...everywhere,
    'aws:principalaccount': [account],
    'aws:principalarn': [`arn:aws:iam::${account}:${name}`],
    'aws:principalisawsservice': ['false'],
    ...more,
  },
});
const serviceFor = (name: string, more: Request['context']): Request => ({
  caller: { Service: `${name}.amazonaws.com` },
  context: { ...everywhere, 'aws:principalaccount': ['012345678901'], 'aws:principalisawsservice': ['true'], ...more },
});

const outside: readonly Request[] = [
  {
    caller: {},
    context: { 'lambda:functionurlauthtype': ['NONE'], 'aws:principalaccount': ['anonymous'], 'aws:sourceip': ['198.51.100.7'] },
  },
  principalFrom('444455556666', 'role/x', { 'aws:sourceip': ['198.51.100.7'], 'aws:principaltag/team': ['orders'] }),
  principalFrom('444455556666', 'role/x', {
    'aws:sourceip': ['198.51.100.7'],
    'aws:principalorgid': ['o-zzzzzzzzzz'],
    'aws:principalorgpaths': ['o-zzzzzzzzzz/r-ab12/ou-1/'],
  }),
  principalFrom('444455556666', 'role/a:111122223333:role/x', { 'aws:sourceip': ['198.51.100.7'] }),
  principalFrom('555555555555', 'user/y', { 'aws:sourcevpc': ['vpc-2'], 'aws:vpcsourceip': ['10.1.2.3'] }),
  serviceFor('events', {}),
  serviceFor('s3', { 'aws:sourcearn': ['arn:aws:s3:::my-bucket'], 'aws:sourceaccount': ['444455556666'] }),
  serviceFor('sns', {
    'aws:sourcearn': ['arn:aws:sns:us-east-1:444455556666:topic'],
    'aws:sourceaccount': ['444455556666'],
    'aws:sourceorgid': ['o-zzzzzzzzzz'],
  }),
  serviceFor('apigateway', { 'aws:sourcearn': ['arn:aws:execute-api:us-east-1:444455556666:api/prod/GET/x:111122223333:y'] }),
  serviceFor('alexa', { 'lambda:eventsourcetoken': ['amzn1.ask.skill.8'] }),
];

const list = <T>(one: T | readonly T[]): readonly T[] => (Array.isArray(one) ? one : [one as T]);
const glob = (pattern: string) =>
  new RegExp(
    `^${pattern
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.')}$`,
    's',
  );

/** The value of a policy in a request: undefined where a variable has none. */
function resolve(value: string, { context }: Request): string | undefined {
  if (!value.includes('${')) return value;
  const [whole = '', key = ''] = /\$\{([^}]+)\}/.exec(value) ?? [];
  const own: Readonly<Record<string, string>> = { 'aws:resourceaccount': trust.account, 'aws:resourceorgid': trust.organization };
  const found = own[key.toLowerCase()] ?? context[key.toLowerCase()]?.[0];
  return found === undefined ? undefined : value.replace(whole, found);
}

const number = (address: string) => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
const arnOperator = (actual: string, value: string) => {
  const split = (arn: string) => /^(.*?):(.*?):(.*?):(.*?):(.*?):(.*)$/s.exec(arn)?.slice(1);
  const [pattern, arn] = [split(value), split(actual)];
  return pattern === undefined || arn === undefined ? undefined : pattern.every((part, index) => glob(part).test(arn[index] ?? ''));
};
const compare: Readonly<Record<string, (actual: string, value: string) => boolean | undefined>> = {
  StringEquals: (actual, value) => actual === value,
  StringLike: (actual, value) => glob(value).test(actual),
  ArnEquals: arnOperator,
  ArnLike: arnOperator,
  Bool: (actual, value) => (/^(true|false)$/.test(value) ? actual === value : undefined),
  IpAddress(actual, value) {
    const [first = '', bits] = value.split('/');
    if (bits === undefined || !/^\d+\.\d+\.\d+\.\d+$/.test(actual)) return undefined;
    const size = 2 ** (32 - Number(bits));
    return Math.floor(number(actual) / size) === Math.floor(number(first) / size);
  },
};

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html; undefined where it does not say. */
function holds(name: string, key: string, wanted: readonly string[], request: Request): boolean | undefined {
  if (key === 'aws:Unheard') return undefined;
  const actual = request.context[key.toLowerCase()];
  if (name === 'Null') return wanted.includes(String(actual === undefined));
  const [, set, positive = '', suffix] = /^(?:(\w+):)?(.*?)(IfExists)?$/.exec(name.replace('Not', '')) ?? [];
  const negated = name.includes('Not');
  if (actual === undefined) {
    if (suffix !== undefined || set === 'ForAllValues') return true;
    return set === undefined ? negated : false;
  }
  const one = (value: string) => {
    const results = wanted.map((each) => {
      const resolved = resolve(each, request);
      return resolved === undefined ? false : compare[positive]?.(value, resolved);
    });
    if (results.includes(undefined)) return undefined;
    return results.includes(true) !== negated;
  };
  const all = actual.map(one);
  if (all.includes(undefined)) return undefined;
  return set === 'ForAllValues' ? !all.includes(false) : all.includes(true);
}

/**
 * Whether a statement applies to a request for orders’ invocation. Where AWS does not say, an Allow does and a Deny does not.
 * Nor does it say whether {AWS: '*'} names services: it may be one way or the other, but is the same in a whole policy.
 */
function applies(
  { Effect, Principal, NotPrincipal, Action, Resource, Condition }: Statement,
  request: Request,
  starNamesServices: boolean,
): boolean {
  const doubt = Effect === 'Allow';
  const names = (principals: unknown) => {
    if (principals === '*') return true;
    return Object.entries(principals as Readonly<Record<string, string | readonly string[]>>).some(([kind, some]) =>
      list(some).some((name) => {
        const caller = request.caller[kind as 'AWS' | 'Service'];
        if (name === '*') return kind === 'AWS' ? starNamesServices || request.caller.Service === undefined : caller !== undefined;
        return caller === name || (kind === 'AWS' && caller?.split(':')[4] === name);
      }),
    );
  };
  return (
    (Principal === undefined ? !names(NotPrincipal) : names(Principal)) &&
    list(Action).some((action) => glob(action).test('lambda:InvokeFunction')) &&
    list(Resource).some((resource) => glob(resource).test(orders)) &&
    Object.entries(Condition).every(([name, keys]) =>
      Object.entries(keys).every(([key, wanted]) => holds(name, key, wanted, request) ?? doubt),
    )
  );
}

function lets(statements: readonly Statement[], request: Request): boolean {
  return [true, false].some((starNamesServices) => {
    const effects = statements.filter((one) => applies(one, request, starNamesServices)).map(({ Effect }) => Effect);
    return effects.includes('Allow') && !effects.includes('Deny');
  });
}

// --- what holds of every policy

/** Runs a property, and proves that its policies were of all sorts. */
function always(policies: fc.Arbitrary<readonly Statement[]>, holdsOf: (statements: readonly Statement[]) => void, numRuns = 300): void {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(policies, (statements) => {
      const { verdict } = judge(...statements);
      seen.set(verdict, (seen.get(verdict) ?? 0) + 1);
      holdsOf(statements);
    }),
    { numRuns },
  );
  for (const verdict of ['public', 'restricted', 'unknown']) expect(seen.get(verdict) ?? 0).toBeGreaterThan(numRuns / 50);
}

test('no policy is restricted that lets a request from outside through', () => {
  let through = 0;
  always(
    policy,
    (statements) => {
      const found = outside.find((request) => lets(statements, request));
      if (found === undefined) return;
      through += 1;
      expect({ found, verdict: judge(...statements).verdict }).not.toEqual({ found, verdict: 'restricted' });
    },
    1000,
  );
  expect(through).toBeGreaterThan(150);
});

test('another Allow never makes it less public', () => {
  always(policy, (statements) => {
    const [last, ...others] = statements.toReversed();
    if (last?.Effect === 'Allow') expect(rank(judge(...statements))).toBeGreaterThanOrEqual(rank(judge(...others)));
  });
});

test('another Deny never makes it more public', () => {
  let less = 0;
  const wide = statement('Deny', perimeter).map((denial): Statement => ({ ...denial, Action: '*', Resource: '*' }));
  const few = fc.array(allow, { minLength: 1, maxLength: 2 });
  const policies = fc.oneof(fc.tuple(policy, deny), fc.tuple(few, wide)).map(([statements, denial]) => [...statements, denial]);
  always(policies, (statements) => {
    const [after, before] = [rank(judge(...statements)), rank(judge(...statements.slice(0, -1)))];
    expect(after).toBeLessThanOrEqual(before);
    if (after < before) less += 1;
  });
  expect(less).toBeGreaterThan(0);
});

test('the order of statements does not matter', () => {
  always(policy, (statements) => {
    const [there, back] = [judge(...statements), judge(...statements.toReversed())];
    expect(back).toEqual({ ...there, statements: there.statements.toReversed() });
  });
});

test('one value is as good in a list', () => {
  const single = (value: unknown): unknown => (Array.isArray(value) && value.length === 1 ? value[0] : value);
  const listed = (value: unknown): unknown => (value === '*' || value === undefined ? value : list(value));
  const each = (change: (value: unknown) => unknown, record: unknown): unknown =>
    typeof record === 'object' ? Object.fromEntries(Object.entries(record ?? {}).map(([key, value]) => [key, change(value)])) : record;
  always(policy, (statements) => {
    const written = (change: (value: unknown) => unknown) =>
      statements.map(({ Action, Resource, Condition, Principal, NotPrincipal, ...rest }) => ({
        ...rest,
        ...(Principal === undefined ? { NotPrincipal: each(change, NotPrincipal) } : { Principal: each(change, Principal) }),
        Action: change(Action),
        Resource: change(Resource),
        Condition: each((keys) => each(change, keys), Condition),
      }));
    const access = judge(...statements);
    expect(judge(...written(single))).toEqual(access);
    expect(judge(...written(listed))).toEqual(access);
    if (statements.length === 1) expect(publicAccess({ Statement: statements[0] }, trust)).toEqual(access);
    expect(publicAccess(JSON.stringify({ Statement: statements }), trust)).toEqual(access);
  });
});

test('the case of keys and actions does not matter', () => {
  always(policy, (statements) => {
    const shout = (one: Statement) => ({
      ...one,
      Action: list(one.Action).map((action) => action.toUpperCase()),
      Condition: Object.fromEntries(
        Object.entries(one.Condition).map(([name, keys]) => [
          name,
          Object.fromEntries(Object.entries(keys).map(([key, wanted]) => [key.toUpperCase(), wanted])),
        ]),
      ),
    });
    expect(judge(...statements.map(shout))).toEqual(judge(...statements));
  });
});

test('a key that nobody knows restricts nothing', () => {
  const key = fc.string({ minLength: 1 }).filter((name) => name !== '__proto__' && !/^(aws|lambda|kms|ec2):/i.test(name));
  fc.assert(
    fc.property(operator, key, fc.array(fc.string()), principal, condition, (name, unheard, wanted, Principal, Condition) => {
      const open = { Sid: 'it', Effect: 'Allow', Principal, Action: 'lambda:InvokeFunction', Resource: orders };
      const before = judge({ ...open, Condition });
      const after = judge({ ...open, Condition: { ...Condition, [name]: { ...Condition[name], [unheard]: wanted } } });
      expect(after.verdict).toBe(before.verdict === 'restricted' ? 'restricted' : 'unknown');
    }),
    { numRuns: 300 },
  );
});

test('what lets an account or a service in lets everyone in', () => {
  fc.assert(
    fc.property(principal, condition, (Principal, Condition) => {
      const one = { Sid: 'it', Effect: 'Allow', Action: 'lambda:InvokeFunction', Resource: orders, Condition };
      expect(rank(judge({ ...one, Principal: '*' }))).toBeGreaterThanOrEqual(rank(judge({ ...one, Principal })));
    }),
  );
});

test('whatever it is given, it does not fail', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.anything(), fc.json(), fc.record({ Statement: fc.anything() }), fc.record({ Statement: fc.array(fc.object()) })),
      (document) => {
        expect(['public', 'restricted', 'unknown']).toContain(publicAccess(document, trust).verdict);
      },
    ),
    { numRuns: 300 },
  );
});
