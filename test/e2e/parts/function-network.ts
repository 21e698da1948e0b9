import { configuration, createFunction, settled } from '../functions.ts';
import { alerted, functionRole, mark, quiet, stage, undo } from '../stage.ts';

/** Whatever is named like this may be fixed by security-group-open-egress; the groups of other parts only cause its alerts. */
export const egressScope = 'tag:egress=by-list';

const network = { vpc: '', gateway: '', role: '' };

/** A subnet with a route table of its own. */
async function subnetWithTable(CidrBlock: string, AvailabilityZone: string): Promise<{ subnet: string; table: string }> {
  const { boto } = stage;
  const { Subnet } = await boto.call('ec2', 'create_subnet', { VpcId: network.vpc, CidrBlock, AvailabilityZone });
  const { RouteTable } = await boto.call('ec2', 'create_route_table', { VpcId: network.vpc });
  const [subnet, table] = [Subnet.SubnetId as string, RouteTable.RouteTableId as string];
  await boto.call('ec2', 'associate_route_table', { SubnetId: subnet, RouteTableId: table });
  return { subnet, table };
}

async function groupNamed(GroupName: string, Tags: readonly object[] = []): Promise<string> {
  const more = Tags.length === 0 ? {} : { TagSpecifications: [{ ResourceType: 'security-group', Tags }] };
  return (await stage.boto.call('ec2', 'create_security_group', { VpcId: network.vpc, GroupName, Description: GroupName, ...more }))
    .GroupId;
}

/** Its egress rules, without the ids that AWS assigns. */
async function egress(GroupId: string): Promise<readonly string[]> {
  const { SecurityGroupRules } = await stage.boto.call('ec2', 'describe_security_group_rules', {
    Filters: [{ Name: 'group-id', Values: [GroupId] }],
  });
  return SecurityGroupRules.filter(({ IsEgress }: { IsEgress: boolean }) => IsEgress)
    .map(({ SecurityGroupRuleId: _id, SecurityGroupRuleArn: _arn, ...kept }: Record<string, unknown>) => JSON.stringify(kept))
    .sort();
}

/** The targets of a table's routes, by their destinations. */
async function routes(table: string): Promise<Readonly<Record<string, string>>> {
  const { RouteTables } = await stage.boto.call('ec2', 'describe_route_tables', { RouteTableIds: [table] });
  const Routes = (RouteTables[0]?.Routes ?? []) as readonly Readonly<Record<string, string>>[];
  return Object.fromEntries(Routes.map(({ DestinationCidrBlock = '', GatewayId = '' }) => [DestinationCidrBlock, GatewayId]));
}

export function functionNetwork(): void {
  describe('function-network', () => {
    let [a, b] = [
      { subnet: '', table: '' },
      { subnet: '', table: '' },
    ];
    beforeAll(async () => {
      const { boto } = stage;
      network.vpc = (await boto.call('ec2', 'create_vpc', { CidrBlock: '10.7.0.0/16' })).Vpc.VpcId;
      network.gateway = (await boto.call('ec2', 'create_internet_gateway', {})).InternetGateway.InternetGatewayId;
      await boto.call('ec2', 'attach_internet_gateway', { InternetGatewayId: network.gateway, VpcId: network.vpc });
      network.role = await functionRole('function-network', { attached: ['AWSLambdaVPCAccessExecutionRole'] });
      [a, b] = await Promise.all([subnetWithTable('10.7.1.0/24', 'us-east-1a'), subnetWithTable('10.7.2.0/24', 'us-east-1b')]);
    });

    it('security-group-open-egress puts the list in place of what lets everything out, and undo takes it back', async () => {
      const rule = 'security-group-open-egress';
      const GroupId = await groupNamed('egress-reports', [{ Key: 'egress', Value: 'by-list' }]);
      const before = await egress(GroupId);
      const since = mark();
      const SubnetIds = [a.subnet, b.subnet];
      await createFunction('egress-reports', network.role, { VpcConfig: { SubnetIds, SecurityGroupIds: [GroupId] } });
      await alerted({ rule, status: 'open', resource: GroupId }, since);
      const fixed = await alerted({ rule, status: 'remediated', resource: GroupId }, since);
      expect(fixed.change?.calls).toEqual(['ec2:AuthorizeSecurityGroupEgress', 'ec2:RevokeSecurityGroupEgress']);
      const after = await egress(GroupId);
      expect(after).toHaveLength(1);
      expect(JSON.parse(after[0] ?? '')).toMatchObject({ IpProtocol: 'tcp', FromPort: 443, ToPort: 443, CidrIpv4: '0.0.0.0/0' });
      await quiet();
      await undo(fixed);
      await quiet();
      expect(await egress(GroupId)).toEqual(before);
    });

    it('subnet-public deletes the route that somebody made to an internet gateway, and undo makes it again', async () => {
      const rule = 'subnet-public';
      const since = mark();
      const route = { RouteTableId: a.table, DestinationCidrBlock: '0.0.0.0/0', GatewayId: network.gateway };
      await stage.boto.call('ec2', 'create_route', route);
      const fixed = await alerted({ rule, status: 'remediated', resource: a.subnet }, since);
      expect(fixed.change?.calls).toEqual(['ec2:DeleteRoute']);
      expect(Object.values(await routes(a.table))).toEqual(['local']);
      await quiet();
      await undo(fixed);
      await quiet();
      expect(await routes(a.table)).toMatchObject({ '0.0.0.0/0': network.gateway });
    });

    it('subnet-public leads a route back to where it led before somebody replaced it, and undo leads it to the internet gateway', async () => {
      const rule = 'subnet-public';
      const { NatGateway } = await stage.boto.call('ec2', 'create_nat_gateway', { SubnetId: a.subnet, ConnectivityType: 'private' });
      const route = { RouteTableId: b.table, DestinationCidrBlock: '0.0.0.0/0' };
      await stage.boto.call('ec2', 'create_route', { ...route, NatGatewayId: NatGateway.NatGatewayId });
      await quiet();
      const since = mark();
      await stage.boto.call('ec2', 'replace_route', { ...route, GatewayId: network.gateway });
      const fixed = await alerted({ rule, status: 'remediated', resource: b.subnet }, since);
      expect(fixed.change?.calls).toEqual(['ec2:ReplaceRoute']);
      expect((await routes(b.table))['0.0.0.0/0']).toBe('');
      await quiet();
      await undo(fixed);
      await quiet();
      expect((await routes(b.table))['0.0.0.0/0']).toBe(network.gateway);
      await stage.boto.call('ec2', 'delete_route', route);
      await quiet();
    });

    it('function-outside-vpc puts a function back into its VPC, and undo takes it out again', async () => {
      const rule = 'function-outside-vpc';
      const GroupId = await groupNamed('outside-orders');
      const inside = { SubnetIds: [b.subnet], SecurityGroupIds: [GroupId] };
      const Tags = { 'compliance-guard:vpc-required': 'true' };
      await createFunction('outside-orders', network.role, { VpcConfig: inside, Tags });
      await quiet();
      const since = mark();
      const outside = { FunctionName: 'outside-orders', VpcConfig: { SubnetIds: [], SecurityGroupIds: [] } };
      await stage.botoPipeline.call('lambda', 'update_function_configuration', outside);
      const fixed = await alerted({ rule, status: 'remediated', resource: 'function:outside-orders' }, since);
      expect(fixed.change?.calls).toEqual(['lambda:UpdateFunctionConfiguration']);
      await settled('outside-orders');
      expect((await configuration('outside-orders')).VpcConfig).toMatchObject(inside);
      await quiet();
      await undo(fixed);
      await settled('outside-orders');
      await quiet();
      expect((await configuration('outside-orders')).VpcConfig?.SubnetIds ?? []).toEqual([]);
    });

    it('security-group-shared, subnet-shared and subnet-single-az tell of a function among others, and of none once it has moved', async () => {
      const { boto, botoPipeline } = stage;
      const filters = { Filters: [{ Name: 'vpc-id', Values: [network.vpc] }] };
      const { SecurityGroups } = await boto.call('ec2', 'describe_security_groups', filters);
      const { GroupId: shared } = SecurityGroups.find(({ GroupName }: { GroupName: string }) => GroupName === 'default');
      const own = await groupNamed('shared-jobs');
      const { subnet } = await subnetWithTable('10.7.3.0/24', 'us-east-1a');
      const since = mark();
      await createFunction('shared-jobs', network.role, { VpcConfig: { SubnetIds: [subnet], SecurityGroupIds: [own] } });
      await alerted({ rule: 'subnet-single-az', status: 'open', resource: 'function:shared-jobs' }, since);
      await boto.call('ec2', 'create_network_interface', { SubnetId: subnet, Groups: [own] });
      await alerted({ rule: 'security-group-shared', status: 'open', resource: own }, since);
      await alerted({ rule: 'subnet-shared', status: 'open', resource: subnet }, since);
      const VpcConfig = { SubnetIds: [a.subnet, b.subnet], SecurityGroupIds: [shared] };
      await botoPipeline.call('lambda', 'update_function_configuration', { FunctionName: 'shared-jobs', VpcConfig });
      await alerted({ rule: 'security-group-shared', status: 'open', resource: shared, says: 'default group' }, since);
      await alerted({ rule: 'subnet-single-az', status: 'resolved', resource: 'function:shared-jobs' }, since);
      await alerted({ rule: 'security-group-shared', status: 'resolved', resource: own }, since);
      await alerted({ rule: 'subnet-shared', status: 'resolved', resource: subnet }, since);
    });
  });
}
