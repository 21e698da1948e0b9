import { createFunction } from '../functions.ts';
import { alerted, alertsAbout, functionRole, mark, quiet, stage } from '../stage.ts';

/** Tags that exempt from a rule for a month. Lambda takes no commas in their values. */
function exempting(rule: string): Readonly<Record<string, string>> {
  return {
    'compliance-guard:exempt': `some-other-rule ${rule}`,
    'compliance-guard:exempt-until': new Date(Date.now() + 30 * 24 * 3_600_000).toISOString().slice(0, 10),
    'compliance-guard:exempt-reason': 'public by design',
  };
}

const asList = (tags: Readonly<Record<string, string>>) => Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));

export function tags(): void {
  describe('tags that exempt', () => {
    it('keep a function as it is; when they go it is open again, and put right', async () => {
      const FunctionName = 'tagged';
      const Resource = await createFunction(FunctionName, await functionRole(FunctionName), { Tags: exempting('function-url-open') });
      const authType = async () => (await stage.boto.call('lambda', 'get_function_url_config', { FunctionName })).AuthType;
      await quiet();
      const since = mark();
      await stage.boto.call('lambda', 'create_function_url_config', { FunctionName, AuthType: 'NONE' });
      const told = await alerted({ rule: 'function-url-open', status: 'exempt', resource: `function:${FunctionName}` }, since);
      expect(told.summary).toMatch(/Its tags exempt it from this rule until 20\d\d-.*: public by design$/);
      await stage.boto.call('lambda', 'tag_resource', { Resource, Tags: { 'compliance-guard:exempt-reason': 'still public by design' } });
      await quiet();
      expect(await authType()).toBe('NONE');
      expect(alertsAbout(`function:${FunctionName}`, since)).toEqual(['function-url-open exempt']);

      const gone = mark();
      await stage.boto.call('lambda', 'untag_resource', { Resource, TagKeys: ['compliance-guard:exempt-until'] });
      const { summary } = await alerted({ rule: 'function-url-open', status: 'open', resource: `function:${FunctionName}` }, gone);
      expect(summary).toContain('does not count: compliance-guard:exempt-until has to hold a date');
      await alerted({ rule: 'function-url-open', status: 'remediated', resource: `function:${FunctionName}` }, gone);
      expect(await authType()).toBe('AWS_IAM');
    });

    it('do the same for a security group', async () => {
      const rule = 'security-group-open-ingress';
      const { VpcId } = (await stage.boto.call('ec2', 'create_vpc', { CidrBlock: '10.3.0.0/16' })).Vpc;
      const { SubnetId } = (await stage.boto.call('ec2', 'create_subnet', { VpcId, CidrBlock: '10.3.1.0/24' })).Subnet;
      const { GroupId } = await stage.boto.call('ec2', 'create_security_group', { VpcId, GroupName: 'tagged', Description: 'tagged' });
      await stage.boto.call('ec2', 'create_tags', { Resources: [GroupId], Tags: asList(exempting(rule)) });
      const role = await functionRole('tagged-group', { attached: ['AWSLambdaVPCAccessExecutionRole'] });
      await createFunction('tagged-group', role, { VpcConfig: { SubnetIds: [SubnetId], SecurityGroupIds: [GroupId] } });
      await quiet();
      const since = mark();
      const IpPermissions = [{ IpProtocol: 'tcp', FromPort: 443, ToPort: 443, IpRanges: [{ CidrIp: '0.0.0.0/0' }] }];
      await stage.boto.call('ec2', 'authorize_security_group_ingress', { GroupId, IpPermissions });
      await alerted({ rule, status: 'exempt', resource: GroupId }, since);
      const gone = mark();
      await stage.boto.call('ec2', 'delete_tags', { Resources: [GroupId], Tags: [{ Key: 'compliance-guard:exempt' }] });
      await alerted({ rule, status: 'open', resource: GroupId }, gone);
      await alerted({ rule, status: 'remediated', resource: GroupId }, gone);
    });
  });
}
