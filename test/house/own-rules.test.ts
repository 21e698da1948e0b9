import { findSecrets } from '../../guard/secret-detection.ts';
import { deploy, functions, ofType, statements } from './template.ts';

// The guard keeps the practices that it asks of others.

const stack = deploy({
  Deployers: 'arn:aws:iam::111122223333:role/pipeline',
  Operators: 'arn:aws:iam::111122223333:role/operator',
  AlertEmail: 'ops@example.com',
  CodeChangedByHandMode: 'remediate',
  DirectDeployPermissionMode: 'remediate',
  FunctionUrlOpenMode: 'remediate',
  RoleSharedMode: 'remediate',
  RoleTooBroadMode: 'remediate',
  RoleTrustOpenMode: 'remediate',
  SecretInEnvironmentMode: 'remediate',
  SecurityGroupOpenIngressMode: 'remediate',
});
const made = functions(stack);

test('one role per function', () => {
  const roles = made.map(({ properties }) => properties['Role']);
  expect(roles.length).toBeGreaterThan(5);
  expect(new Set(roles).size).toBe(roles.length);
});

test('no secret in an environment variable', async () => {
  for (const { variables } of made) {
    expect(await findSecrets(Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, String(value)])))).toEqual([]);
  }
});

test('no function URL without authorization, and no permission for everyone', () => {
  for (const [, { AuthType }] of ofType(stack, 'AWS::Lambda::Url')) expect(AuthType).toBe('AWS_IAM');
  for (const [, { Principal, SourceArn, FunctionUrlAuthType }] of ofType(stack, 'AWS::Lambda::Permission')) {
    expect({ Principal, FunctionUrlAuthType }).toEqual({ Principal: 'events.amazonaws.com', FunctionUrlAuthType: undefined });
    expect(SourceArn).toMatch(/^\$\{\w+\.Arn\}$/);
  }
});

test('no security group, and none that is open', () => {
  expect(ofType(stack, 'AWS::EC2::SecurityGroup')).toEqual([]);
});

test('no right of a role goes to everything at once', () => {
  for (const [, { Policies }] of ofType(stack, 'AWS::IAM::Role')) {
    for (const { PolicyDocument } of Policies as readonly { PolicyDocument: never }[]) {
      for (const { effect, actions } of statements(PolicyDocument))
        if (effect === 'Allow') expect(actions.filter((action) => action.includes('*'))).toEqual([]);
    }
  }
});
