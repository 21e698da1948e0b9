import { createFunction } from '../functions.ts';
import { alerted, alertsAbout, functionRole, held, mark, quiet, stage, undo } from '../stage.ts';

const rule = 'role-too-broad';
const account = '111122223333';
const PolicyArn = `arn:aws:iam::${account}:policy/too-broad-access`;
const administrator = 'arn:aws:iam::aws:policy/AdministratorAccess';
const RoleName = 'too-broad-clerk';

const allowing = (Action: string) => JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action, Resource: '*' }] });

/** What the role is given: it has to be the same again in the end. */
async function given() {
  const { boto } = stage;
  const { AttachedPolicies } = await boto.call('iam', 'list_attached_role_policies', { RoleName });
  const { PolicyNames } = await boto.call('iam', 'list_role_policies', { RoleName });
  const inline = await Promise.all(
    PolicyNames.map(async (PolicyName: string) => (await boto.call('iam', 'get_role_policy', { RoleName, PolicyName })).PolicyDocument),
  );
  const { Policy } = await boto.call('iam', 'get_policy', { PolicyArn });
  const attached: string[] = AttachedPolicies.map((policy: { PolicyArn: string }) => policy.PolicyArn).sort();
  return { attached, names: PolicyNames, inline, version: Policy.DefaultVersionId };
}

async function mayDo(action: string): Promise<string> {
  const { EvaluationResults } = await stage.boto.call('iam', 'simulate_principal_policy', {
    PolicySourceArn: `arn:aws:iam::${account}:role/${RoleName}`,
    ActionNames: [action],
  });
  return EvaluationResults[0].EvalDecision;
}

export function roleTooBroad(): void {
  describe('role-too-broad', () => {
    it('takes back a policy, an inline policy and a version that made a role an administrator, and undo brings all three back', async () => {
      const { boto } = stage;
      const role = await functionRole(RoleName, { allow: [{ Action: 's3:GetObject', Resource: '*' }] });
      await boto.call('iam', 'create_policy', { PolicyName: 'too-broad-access', PolicyDocument: allowing('dynamodb:GetItem') });
      await boto.call('iam', 'attach_role_policy', { RoleName, PolicyArn });
      await createFunction('too-broad', role);
      await quiet();
      const before = await given();

      const since = mark();
      const broken = await held('roles', async () => {
        await boto.call('iam', 'put_role_policy', { RoleName, PolicyName: 'quick-fix', PolicyDocument: allowing('sts:*') });
        await boto.call('iam', 'create_policy_version', { PolicyArn, PolicyDocument: allowing('iam:*'), SetAsDefault: true });
        await boto.call('iam', 'attach_role_policy', { RoleName, PolicyArn: 'arn:aws:iam::aws:policy/ReadOnlyAccess' });
        await boto.call('iam', 'attach_role_policy', { RoleName, PolicyArn: administrator });
        expect(await mayDo('iam:CreateUser')).toBe('allowed');
        return await given();
      });
      const opened = await alerted({ rule, status: 'open', resource: RoleName }, since);
      expect(opened).toMatchObject({ severity: 'high', resource: { type: 'AWS::IAM::Role', arn: role } });
      expect(opened.evidence).toMatchObject({ functions: [expect.stringMatching(/:too-broad$/)] });
      const fixed = await alerted({ rule, status: 'remediated', resource: RoleName }, since);
      expect([...(fixed.change?.calls ?? [])].sort()).toEqual([
        'iam:DeleteRolePolicy',
        'iam:DetachRolePolicy',
        'iam:SetDefaultPolicyVersion',
      ]);
      expect(await given()).toEqual({ ...before, attached: [...before.attached, 'arn:aws:iam::aws:policy/ReadOnlyAccess'].sort() });
      expect(await mayDo('iam:CreateUser')).toBe('implicitDeny');

      await quiet();
      const afterwards = mark();
      await undo(fixed);
      await quiet();
      expect(await given()).toEqual(broken);
      // Whoever may do everything may also deploy: that is another rule's to tell.
      expect(alertsAbout(RoleName, afterwards).filter((alert) => alert.startsWith(rule))).toEqual([`${rule} exempt`]);
    });
  });
}
