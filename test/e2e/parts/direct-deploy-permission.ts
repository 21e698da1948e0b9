import { Boto } from '../boto.ts';
import { createFunction } from '../functions.ts';
import { alerted, alertsAbout, due, functionRole, held, mark, quiet, stack, stage, undo } from '../stage.ts';

const rule = 'direct-deploy-permission';
const name = (what: string) => `direct-deploy-${what}`;
const orders = 'arn:aws:lambda:us-east-1:111122223333:function:direct-deploy';
const policy = (Action: string, Resource: string) =>
  JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action, Resource }] });

/** The managed policies of a user. */
async function attached(UserName: string): Promise<readonly string[]> {
  const { AttachedPolicies } = await stage.boto.call('iam', 'list_attached_user_policies', { UserName });
  return AttachedPolicies.map(({ PolicyArn }: { PolicyArn: string }) => PolicyArn);
}

/** boto3 as a user. */
async function as(UserName: string): Promise<Boto> {
  const { AccessKey } = await stage.boto.call('iam', 'create_access_key', { UserName });
  const credentials = { accessKeyId: AccessKey.AccessKeyId, secretAccessKey: AccessKey.SecretAccessKey };
  return new Boto({ ...stage.administrator, credentials });
}

/** Whether somebody may change the function. */
async function mayDeploy(who: Boto): Promise<boolean> {
  return await who.call('lambda', 'update_function_configuration', { FunctionName: 'direct-deploy', Description: 'by hand' }).then(
    () => true,
    () => false,
  );
}

export function directDeployPermission(): void {
  describe('direct-deploy-permission', () => {
    it('denies a user and a role what they were given, leaves a group and who was accepted alone, and undo takes the denial off', async () => {
      const { boto } = stage;
      await createFunction('direct-deploy', await functionRole(name('function')));
      const [ana, clerk, builder, team] = [name('ana'), name('clerk'), name('builder'), name('team')];
      await boto.call('iam', 'create_user', { UserName: ana });
      await boto.call('iam', 'put_user_policy', { UserName: ana, PolicyName: 'reads', PolicyDocument: policy('lambda:Get*', '*') });
      await boto.call('iam', 'create_policy', { PolicyName: name('access'), PolicyDocument: policy('s3:GetObject', '*') });
      const PolicyArn = `arn:aws:iam::111122223333:policy/${name('access')}`;
      await Promise.all([functionRole(clerk), functionRole(builder)]);
      await boto.call('iam', 'attach_role_policy', { RoleName: clerk, PolicyArn });
      await boto.call('iam', 'create_group', { GroupName: team });
      const user = await as(ana);
      // The sweep knows them from now on, and the administrator, who may deploy since before the guard was there.
      await quiet();
      await due('SweepOnSchedule');
      // Of everything that the suite has made until now.
      await stage.bench.quiet(`${stack}-`, { milliseconds: 1_500, seconds: 300 });
      expect(await mayDeploy(user)).toBe(false);

      const since = mark();
      await held('deployments', async () => {
        await boto.call('iam', 'put_user_policy', {
          UserName: ana,
          PolicyName: 'hotfix',
          PolicyDocument: policy('lambda:Update*', orders),
        });
        await boto.call('iam', 'create_policy_version', { PolicyArn, PolicyDocument: policy('lambda:*', '*'), SetAsDefault: true });
        await boto.call('iam', 'put_group_policy', { GroupName: team, PolicyName: 'hotfix', PolicyDocument: policy('lambda:*', orders) });
        await boto.call('iam', 'attach_group_policy', { GroupName: team, PolicyArn });
        await boto.call('iam', 'add_user_to_group', { GroupName: team, UserName: ana });
        expect(await mayDeploy(user)).toBe(true);
        const Principal = { AWS: `arn:aws:iam::111122223333:role/${builder}` };
        const Statement = [{ Effect: 'Allow', Principal, Action: 'lambda:UpdateFunctionCode', Resource: orders }];
        await boto.call('lambda', 'put_resource_policy', {
          ResourceArn: orders,
          Policy: JSON.stringify({ Version: '2012-10-17', Statement }),
        });
      });
      const granted = await alerted({ rule, status: 'open', resource: 'function:direct-deploy' }, since);
      expect(granted.evidence).toMatchObject({ may: { [`arn:aws:iam::111122223333:role/${builder}`]: ['lambda:UpdateFunctionCode'] } });
      const opened = await alerted({ rule, status: 'open', resource: `user/${ana}` }, since);
      expect(opened).toMatchObject({ severity: 'high', resource: { type: 'AWS::IAM::User' }, evidence: { before: {} } });
      const fixed = await alerted({ rule, status: 'remediated', resource: `user/${ana}` }, since);
      expect(fixed.change?.calls).toEqual(['iam:AttachUserPolicy']);
      await alerted({ rule, status: 'remediated', resource: `role/${clerk}` }, since);
      await alerted({ rule, status: 'open', resource: `group/${team}`, says: 'Not put right' }, since);
      expect(await attached(ana)).toEqual([stage.outputs['DirectDeployDenialArn']]);
      expect(await mayDeploy(user)).toBe(false);
      expect(alertsAbout('user/administrator', 0)).toEqual([]);

      await quiet();
      const afterwards = mark();
      await undo(fixed);
      await quiet();
      expect(await attached(ana)).toEqual([]);
      expect(await mayDeploy(user)).toBe(true);
      // What was known of her is known again: nothing of it is accepted, and she is exempt for a time.
      expect(alertsAbout(`user/${ana}`, afterwards)).toEqual([`${rule} exempt`]);
      user.end();
    });
  });
}
