import { policy, scanCalls } from '../../cli/rights.ts';
import { isReading } from '../../guard/call.ts';
import { rules } from '../../rules/index.ts';

async function printed(options: Readonly<Record<string, string | boolean>>): Promise<string> {
  const said: string[] = [];
  const log = jest.spyOn(console, 'log').mockImplementation((text) => void said.push(text));
  try {
    await policy(options);
    return said.join('\n');
  } finally {
    log.mockRestore();
  }
}

type Statements = readonly { readonly Action: readonly string[]; readonly Resource: readonly string[] }[];

test('a scan needs nothing but to read, and all that its rules read', async () => {
  const { Statement } = JSON.parse(await printed({ account: '111122223333', all: true })) as { Statement: Statements };
  const actions = Statement.flatMap(({ Action }) => Action);
  expect(actions.filter((action) => !/:(GET$|Get|List|Describe|Search|Simulate|Decrypt|Query)/.test(action))).toEqual([]);
  const read = rules
    .filter(({ accepts }) => accepts !== true)
    .flatMap(({ check, list }) => [...check, ...(list?.calls ?? [])])
    .filter(isReading);
  expect(read.length).toBeGreaterThan(50);
  const named = (resource: string | readonly string[]) => [resource].flat().every((one) => /^[^$]*(\$\{AWS::\w+\}[^$]*)*$/.test(one));
  const needed = read.flatMap(({ permissions }) => permissions.flatMap(({ action, resource }) => (named(resource) ? [action] : [])));
  expect(needed.filter((action) => !actions.includes(action))).toEqual([]);
  expect(JSON.stringify(Statement)).not.toContain('${');
  // Keys are used through Lambda alone.
  const decrypts = Statement.filter(({ Action }) => Action.includes('kms:Decrypt'));
  expect(decrypts).toMatchObject([{ Condition: { StringLike: { 'kms:ViaService': 'lambda.*.amazonaws.com*' } } }]);
  expect(JSON.stringify(Statement)).toContain('arn:aws:lambda:*:111122223333:function:*');
});

test('for one rule it is less', async () => {
  const { Statement } = JSON.parse(await printed({ rule: 'environment-without-cmk' })) as { Statement: Statements };
  const services = new Set(Statement.flatMap(({ Action }) => Action.map((action) => action.split(':')[0])));
  expect([...services].filter((service) => ['ec2', 's3', 'apigateway'].includes(service ?? ''))).toEqual(['ec2']);
  expect(scanCalls(rules).length).toBeGreaterThan(scanCalls(rules.slice(0, 1)).length);
});

describe('preventive policies', () => {
  const all = { preventive: true, account: '111122223333', deployers: 'arn:aws:iam::111122223333:role/pipeline', vpcs: 'vpc-1, vpc-2' };
  const documents = (text: string) =>
    text
      .split(/^# Guard\w+\n# .*\n/m)
      .slice(1)
      .map((one) => JSON.parse(one));

  test('each denies, and is short enough to be attached', async () => {
    const policies = documents(await printed(all));
    expect(policies).toHaveLength(6);
    for (const one of policies) {
      expect(one.Statement.every(({ Effect }: { Effect: string }) => Effect === 'Deny')).toBe(true);
      expect(JSON.stringify(one).length).toBeLessThanOrEqual(5_120);
    }
  });

  test('spare the deployers, and name the account and its VPCs', async () => {
    const text = await printed(all);
    expect(text).toContain('"ArnNotLike": {\n          "aws:PrincipalArn": [\n            "arn:aws:iam::111122223333:role/pipeline"');
    expect(text).toContain('arn:*:lambda:*:111122223333:layer:*:*');
    expect(text).toContain('"vpc-1",\n            "vpc-2"');
  });

  test('without deployers nobody is kept from deploying', async () => {
    expect(await printed({ preventive: true })).not.toContain('UpdateFunctionCode');
  });
});
