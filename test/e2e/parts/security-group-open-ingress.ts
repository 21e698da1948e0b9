import { AuthorizeSecurityGroupIngressCommand, EC2Client } from '@aws-sdk/client-ec2';
import { createFunction } from '../functions.ts';
import { alerted, alertsAbout, functionRole, mark, quiet, stage, undo } from '../stage.ts';

const rule = 'security-group-open-ingress';
const ownNetwork = { IpProtocol: 'tcp', FromPort: 443, ToPort: 443, IpRanges: [{ CidrIp: '10.0.0.0/16', Description: 'own network' }] };

let vpc = '';
let subnet = '';
let role = '';

/** A group, and a function that uses it. */
async function groupOf(name: string): Promise<string> {
  const { GroupId } = await stage.boto.call('ec2', 'create_security_group', { VpcId: vpc, GroupName: name, Description: name });
  await stage.boto.call('ec2', 'authorize_security_group_ingress', { GroupId, IpPermissions: [ownNetwork] });
  await createFunction(name, role, { VpcConfig: { SubnetIds: [subnet], SecurityGroupIds: [GroupId] } });
  await quiet();
  return GroupId;
}

/** Its ingress rules, without the ids that AWS assigns. */
async function ingress(GroupId: string) {
  const { SecurityGroupRules } = await stage.boto.call('ec2', 'describe_security_group_rules', {
    Filters: [{ Name: 'group-id', Values: [GroupId] }],
  });
  return SecurityGroupRules.filter(({ IsEgress }: { IsEgress: boolean }) => !IsEgress)
    .map(({ SecurityGroupRuleId: _id, SecurityGroupRuleArn: _arn, ...kept }: Record<string, unknown>) => JSON.stringify(kept))
    .sort();
}

export function securityGroupOpenIngress(): void {
  describe('security-group-open-ingress', () => {
    beforeAll(async () => {
      const { boto } = stage;
      vpc = (await boto.call('ec2', 'create_vpc', { CidrBlock: '10.0.0.0/16' })).Vpc.VpcId;
      subnet = (await boto.call('ec2', 'create_subnet', { VpcId: vpc, CidrBlock: '10.0.1.0/24' })).Subnet.SubnetId;
      role = await functionRole('in-the-vpc', { attached: ['AWSLambdaVPCAccessExecutionRole'] });
    });

    it('takes out the rules of IPv4 and IPv6 that let the internet in, no other, and undo makes them again', async () => {
      const GroupId = await groupOf('reports');
      const closed = await ingress(GroupId);
      const since = mark();
      await stage.boto.call('ec2', 'authorize_security_group_ingress', {
        GroupId,
        IpPermissions: [
          {
            IpProtocol: 'tcp',
            FromPort: 22,
            ToPort: 22,
            IpRanges: [{ CidrIp: '0.0.0.0/0', Description: 'just for a moment' }],
            Ipv6Ranges: [{ CidrIpv6: '::/0' }],
          },
        ],
        TagSpecifications: [{ ResourceType: 'security-group-rule', Tags: [{ Key: 'why', Value: 'debugging' }] }],
      });
      const before = await ingress(GroupId);
      const opened = await alerted({ rule, status: 'open', resource: GroupId }, since);
      expect(opened).toMatchObject({ severity: 'low', evidence: { functions: [expect.stringMatching(/:reports$/)] } });
      const fixed = await alerted({ rule, status: 'remediated', resource: GroupId }, since);
      expect(fixed.change?.calls).toEqual(['ec2:RevokeSecurityGroupIngress', 'ec2:RevokeSecurityGroupIngress']);
      expect(await ingress(GroupId)).toEqual(closed);

      await quiet();
      const afterwards = mark();
      await undo(fixed);
      await quiet();
      expect(await ingress(GroupId)).toEqual(before);
      expect(alertsAbout(GroupId, afterwards)).toEqual([`${rule} exempt`]);
    });

    it('sees a rule that is widened in place', async () => {
      const GroupId = await groupOf('exports');
      const { SecurityGroupRules } = await stage.boto.call('ec2', 'describe_security_group_rules', {
        Filters: [{ Name: 'group-id', Values: [GroupId] }],
      });
      const { SecurityGroupRuleId } = SecurityGroupRules.find(({ IsEgress }: { IsEgress: boolean }) => !IsEgress);
      const since = mark();
      await stage.boto.call('ec2', 'modify_security_group_rules', {
        GroupId,
        SecurityGroupRules: [
          { SecurityGroupRuleId, SecurityGroupRule: { IpProtocol: 'tcp', FromPort: 443, ToPort: 443, CidrIpv4: '0.0.0.0/1' } },
        ],
      });
      await alerted({ rule, status: 'remediated', resource: GroupId }, since);
      expect(await ingress(GroupId)).toEqual([]);
    });

    it('looks into the prefix list that a rule names', async () => {
      const GroupId = await groupOf('partners');
      const { PrefixList } = await stage.boto.call('ec2', 'create_managed_prefix_list', {
        PrefixListName: 'partners',
        AddressFamily: 'IPv4',
        MaxEntries: 2,
        Entries: [{ Cidr: '0.0.0.0/1' }, { Cidr: '128.0.0.0/1' }],
      });
      const closed = await ingress(GroupId);
      const since = mark();
      const PrefixListIds = [{ PrefixListId: PrefixList.PrefixListId }];
      await stage.boto.call('ec2', 'authorize_security_group_ingress', {
        GroupId,
        IpPermissions: [{ IpProtocol: 'tcp', FromPort: 8443, ToPort: 8443, PrefixListIds }],
      });
      await alerted({ rule, status: 'remediated', resource: GroupId }, since);
      expect(await ingress(GroupId)).toEqual(closed);
    });

    it('only alerts, as high, where something else than functions uses the group', async () => {
      const GroupId = await groupOf('shared-with-a-server');
      const { NetworkInterface } = await stage.boto.call('ec2', 'create_network_interface', { SubnetId: subnet, Groups: [GroupId] });
      await quiet();
      const since = mark();
      await new EC2Client(stage.administrator).send(
        new AuthorizeSecurityGroupIngressCommand({
          GroupId,
          IpPermissions: [{ IpProtocol: 'tcp', FromPort: 80, ToPort: 80, IpRanges: [{ CidrIp: '0.0.0.0/0' }] }],
        }),
      );
      const { severity, summary } = await alerted({ rule, status: 'open', resource: GroupId }, since);
      expect(severity).toBe('high');
      expect(summary).toContain(NetworkInterface.NetworkInterfaceId);
      const told = await alerted({ rule, status: 'open', resource: GroupId, planned: true }, since);
      expect(told.summary).toContain('used by more than functions');
      await quiet();
      expect((await ingress(GroupId)).filter((text: string) => text.includes('0.0.0.0/0'))).toHaveLength(1);
      expect(alertsAbout(GroupId, since)).toEqual([`${rule} open`, `${rule} open`]);
    });

    it('sees a function that takes a group which is open already, and that no function uses it any more', async () => {
      const { GroupId } = await stage.boto.call('ec2', 'create_security_group', {
        VpcId: vpc,
        GroupName: 'bastion',
        Description: 'bastion',
      });
      await stage.boto.call('ec2', 'create_network_interface', { SubnetId: subnet, Groups: [GroupId] });
      const everyone = { IpProtocol: '-1', IpRanges: [{ CidrIp: '0.0.0.0/0' }] };
      await stage.boto.call('ec2', 'authorize_security_group_ingress', { GroupId, IpPermissions: [everyone] });
      await quiet();
      const since = mark();
      await createFunction('jobs', role, { VpcConfig: { SubnetIds: [subnet], SecurityGroupIds: [GroupId] } });
      await alerted({ rule, status: 'open', resource: GroupId }, since);
      await stage.boto.call('lambda', 'delete_function', { FunctionName: 'jobs' });
      await alerted({ rule, status: 'resolved', resource: GroupId }, since);
    });
  });
}
