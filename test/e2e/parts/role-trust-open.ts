import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { createFunction } from '../functions.ts';
import { alerted, alertsAbout, functionRole, held, mark, quiet, stage, undo } from '../stage.ts';

const rule = 'role-trust-open';
const RoleName = 'trust-open-clerk';
const lambda = { Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' };
const partner = {
  Sid: 'Partner',
  Effect: 'Allow',
  Principal: { AWS: 'arn:aws:iam::444455556666:root' },
  Action: 'sts:AssumeRole',
  Condition: { StringEquals: { 'sts:ExternalId': 'shop-7' } },
};
const everyone = { Effect: 'Allow', Principal: { AWS: '*', Service: 'states.amazonaws.com' }, Action: 'sts:AssumeRole' };

async function trust(): Promise<unknown> {
  return (await stage.boto.call('iam', 'get_role', { RoleName })).Role.AssumeRolePolicyDocument;
}

/** Somebody who may assume whatever role lets them. @returns whether this one does */
async function visitor(): Promise<(role: string) => Promise<boolean>> {
  const UserName = 'trust-open-visitor';
  await stage.boto.call('iam', 'create_user', { UserName });
  const PolicyDocument = JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole', Resource: '*' }],
  });
  await stage.boto.call('iam', 'put_user_policy', { UserName, PolicyName: 'visits', PolicyDocument });
  const { AccessKey } = await stage.boto.call('iam', 'create_access_key', { UserName });
  const credentials = { accessKeyId: AccessKey.AccessKeyId, secretAccessKey: AccessKey.SecretAccessKey };
  const client = new STSClient({ ...stage.administrator, credentials });
  return async (role) =>
    await client.send(new AssumeRoleCommand({ RoleArn: role, RoleSessionName: 'visit' })).then(
      () => true,
      () => false,
    );
}

export function roleTrustOpen(): void {
  describe('role-trust-open', () => {
    it('takes everyone out of a trust policy, leaves whoever else is in it, and undo brings the policy back', async () => {
      const { boto } = stage;
      const role = await functionRole(RoleName);
      const assumed = await visitor();
      await createFunction('trust-open', role);
      await quiet();
      expect(await assumed(role)).toBe(false);

      const since = mark();
      const broken = await held('roles', async () => {
        const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement: [lambda, partner, everyone] });
        await boto.call('iam', 'update_assume_role_policy', { RoleName, PolicyDocument });
        expect(await assumed(role)).toBe(true);
        return await trust();
      });
      const opened = await alerted({ rule, status: 'open', resource: RoleName }, since);
      expect(opened).toMatchObject({ severity: 'high', evidence: { principals: [{ kind: 'AWS', principal: '*' }] } });
      const fixed = await alerted({ rule, status: 'remediated', resource: RoleName }, since);
      expect(fixed.change?.calls).toEqual(['iam:UpdateAssumeRolePolicy']);
      expect(await trust()).toMatchObject({
        Statement: [lambda, partner, { ...everyone, Principal: { Service: 'states.amazonaws.com' } }],
      });
      expect(await assumed(role)).toBe(false);

      await quiet();
      const afterwards = mark();
      await undo(fixed);
      await quiet();
      expect(await trust()).toEqual(broken);
      expect(alertsAbout(RoleName, afterwards)).toEqual([`${rule} exempt`]);
    });
  });
}
