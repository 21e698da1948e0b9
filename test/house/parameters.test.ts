import { readConfig } from '../../guard/config.ts';
import { type AnyRule, pascalCase } from '../../guard/rule.ts';
import { rules } from '../../rules/index.ts';
import { deploy, functions, type Parameter, template } from './template.ts';

// A parameter that the functions would refuse has to be refused before anything is deployed, and the sentence names it.

const all: readonly AnyRule[] = rules;
const given = Object.entries(template.Parameters);

/** Whether CloudFormation takes a value. https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html */
function takes({ Type, AllowedValues, AllowedPattern, MinValue, MaxValue }: Parameter, value: string): boolean {
  if (Type === 'Number' && (value === '' || !Number.isFinite(Number(value)))) return false;
  if (AllowedValues !== undefined && !AllowedValues.map(String).includes(value)) return false;
  if (AllowedPattern !== undefined && !new RegExp(`^(?:${AllowedPattern})$`).test(value)) return false;
  return !(MinValue !== undefined && Number(value) < MinValue) && !(MaxValue !== undefined && Number(value) > MaxValue);
}

test.each(given)('%s has a default that it takes, and says what it is for', (name, parameter) => {
  expect(takes(parameter, String(parameter.Default))).toBe(true);
  expect(parameter.Description.length).toBeGreaterThan(20);
  // The default sentence of CloudFormation quotes the pattern, which nobody can read.
  if (parameter.AllowedPattern !== undefined) expect(parameter.ConstraintDescription).toContain(name);
});

test.each([
  ['AlertEmail', 'not an address', 'ops@example.com'],
  ['Deployers', 'arn:aws:iam::111122223333:role/pipe*', 'arn:aws:iam::111122223333:role/ci/pipeline'],
  [
    'Deployers',
    'arn:aws:iam::111122223333:role/a, arn:aws:iam::111122223333:role/b',
    'arn:aws:iam::111122223333:role/a,arn:aws:iam::111122223333:role/b',
  ],
  ['Deployers', 'pipeline', ''],
  ['Operators', '*', 'arn:aws:iam::111122223333:user/ana'],
  ['SweepSchedule', 'daily', 'cron(0 3 * * ? *)'],
  ['DigestOver', '0', '1'],
  ['LambdaCallsPerSecond', '1001', '1000'],
  ['ApiGatewayCallsPerSecond', '11', '10'],
  ['LogRetentionDays', '1', '365'],
  ['FunctionUrlOpenMode', 'fix', 'remediate'],
  ['FunctionUrlOpenDelay', '-1', '0'],
  ['FunctionUrlOpenDelay', '10081', '10080'],
])('%s refuses "%s", and takes "%s"', (name, bad, good) => {
  const parameter = template.Parameters[name];
  if (parameter === undefined) throw new Error(`there is no parameter ${name}`);
  expect(takes(parameter, bad)).toBe(false);
  expect(takes(parameter, good)).toBe(true);
});

const probes = [
  '',
  '0',
  '1',
  '-1',
  '1.5',
  '16',
  '901',
  '1001',
  '10081',
  '99999',
  'x',
  'a b',
  'a,b',
  ',',
  '*',
  '%',
  'arn:aws:iam::111122223333:role/a',
  'arn:aws:iam::1:role/a',
  'NaN',
  '1e3',
  '12 ',
];
const ofRules = all.flatMap((rule) => [
  ...Object.keys(rule.params.shape).map(
    (param) => [`${pascalCase(rule.id)}${param.charAt(0).toUpperCase()}${param.slice(1)}`, rule] as const,
  ),
  ...(rule.fix.length > 0 ? [[`${pascalCase(rule.id)}Delay`, rule] as const] : []),
  [`${pascalCase(rule.id)}Mode`, rule] as const,
]);

test.each(ofRules)('whatever the functions refuse as %s the template refuses first', (name, rule) => {
  const parameter = template.Parameters[name];
  if (parameter === undefined) throw new Error(`there is no parameter ${name}`);
  expect(probes.filter((probe) => takes(parameter, probe) && !works({ [name]: probe }, rule))).toEqual([]);
});

test.each(['DigestOver', 'LambdaCallsPerSecond', 'ApiGatewayCallsPerSecond'])(
  'whatever the functions refuse as %s the template refuses first',
  (name) => {
    const parameter = template.Parameters[name];
    if (parameter === undefined) throw new Error(`there is no parameter ${name}`);
    expect(probes.filter((probe) => takes(parameter, probe) && !works({ [name]: probe }))).toEqual([]);
  },
);

function works(variables: Readonly<Record<string, string>>, ...rule: readonly AnyRule[]): boolean {
  try {
    readConfig({ GUARD_ACCOUNT: '111122223333', AWS_REGION: 'us-east-1', StackName: 'guard', ...variables }, rule);
    return true;
  } catch {
    return false;
  }
}

test('every function can read its configuration as shipped, and its rules are in the mode of the parameters', () => {
  for (const { id, variables } of functions(deploy())) {
    const own = all.filter((rule) => `${pascalCase(rule.id)}Mode` in variables);
    const config = readConfig(
      { AWS_REGION: 'us-east-1', ...Object.fromEntries(Object.entries(variables).map(([key, value]) => [key, String(value)])) },
      own,
    );
    for (const rule of own) {
      expect([id, config.rule(rule.id).mode]).toEqual([id, template.Parameters[`${pascalCase(rule.id)}Mode`]?.Default]);
      expect(config.rule(rule.id).delay).toBe(rule.delay * 60_000);
    }
    if (id.startsWith('Check')) expect(own.map(({ practice }) => pascalCase(practice))).toEqual(own.map(() => id.slice('Check'.length)));
  }
});

// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
test.each(functions(deploy()).map(({ id, variables }) => [id, variables] as const))(
  'the variables of %s leave 1.5 of the 4 KB that Lambda allows to what parameters give',
  (_, variables) => {
    const size = Object.entries(variables).reduce((sum, [name, value]) => sum + Buffer.byteLength(`${name}${String(value)}`), 0);
    expect(size).toBeLessThan(2_560);
  },
);

test('tick, sweep and operate know the mode and the delay of every rule', () => {
  const knowing = functions(deploy({ RoleSharedMode: 'off', RoleSharedDelay: '7' })).filter(({ variables }) => 'Modes' in variables);
  expect(knowing.map(({ id }) => id).sort()).toEqual(['Operate', 'Sweep', 'Tick']);
  for (const { variables } of knowing) {
    const modes = String(variables['Modes']).split(',');
    expect(modes).toContain('role-shared=off:7');
    expect(modes.map((each) => each.split('=')[0])).toEqual(all.map(({ id }) => id));
  }
});

test('an empty list of pipelines and a rule of deployments in remediate do not go together', () => {
  const rule = template.Rules['DeployersBeforeRemediation'];
  expect(rule).toMatchObject({
    RuleCondition: {
      'Fn::Or': all.flatMap(({ id, practice, fix }) =>
        practice === 'deployments' && fix.length > 0 ? [{ 'Fn::Equals': [{ Ref: `${pascalCase(id)}Mode` }, 'remediate'] }] : [],
      ),
    },
    Assertions: [
      { Assert: { 'Fn::Not': [{ 'Fn::Equals': [{ Ref: 'Deployers' }, ''] }] }, AssertDescription: expect.stringContaining('Deployers') },
    ],
  });
});
