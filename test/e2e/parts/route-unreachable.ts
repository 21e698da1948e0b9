import { configuration, createFunction } from '../functions.ts';
import { alerted, alertsAbout, functionRole, mark, quiet, stage, undo } from '../stage.ts';

const rule = 'route-unreachable';
const name = 'route-unreachable';
const resource = `function:${name}`;
const everywhere = { DestinationCidrBlock: '0.0.0.0/0' };

async function ec2(operation: string, input: object) {
  return await stage.boto.call('ec2', operation, input);
}

/** The routes of a table but for the VPC's own: `0.0.0.0/0 nat-0… active`. */
async function routes(RouteTableId: string): Promise<readonly string[]> {
  const { RouteTables } = await ec2('describe_route_tables', { RouteTableIds: [RouteTableId] });
  return RouteTables[0].Routes.flatMap(({ DestinationCidrBlock, GatewayId, NatGatewayId, State }: Record<string, string>) =>
    GatewayId === 'local' ? [] : [`${DestinationCidrBlock} ${NatGatewayId ?? GatewayId} ${State}`],
  );
}

export function routeUnreachable(): void {
  describe('route-unreachable', () => {
    it('puts the route back without which a function does not reach the internet, and undo takes it away again', async () => {
      const VpcId = (await ec2('create_vpc', { CidrBlock: '10.0.0.0/16' })).Vpc.VpcId;
      const subnetOf = async (CidrBlock: string) => (await ec2('create_subnet', { VpcId, CidrBlock })).Subnet.SubnetId as string;
      const [own, open] = [await subnetOf('10.0.1.0/24'), await subnetOf('10.0.2.0/24')];
      const InternetGatewayId = (await ec2('create_internet_gateway', {})).InternetGateway.InternetGatewayId;
      await ec2('attach_internet_gateway', { InternetGatewayId, VpcId });
      const tableOf = async (SubnetId: string, target: object) => {
        const { RouteTableId } = (await ec2('create_route_table', { VpcId })).RouteTable;
        await ec2('associate_route_table', { RouteTableId, SubnetId });
        await ec2('create_route', { RouteTableId, ...everywhere, ...target });
        return RouteTableId as string;
      };
      await tableOf(open, { GatewayId: InternetGatewayId });
      const NatGatewayId = (await ec2('create_nat_gateway', { SubnetId: open })).NatGateway.NatGatewayId as string;
      const table = await tableOf(own, { NatGatewayId });
      const role = await functionRole(name, { attached: ['AWSLambdaVPCAccessExecutionRole'] });
      const group = (await ec2('create_security_group', { VpcId, GroupName: name, Description: name })).GroupId;
      const Tags = { 'compliance-guard:destinations': 'internet 10.0.2.0/24:5432' };
      await createFunction(name, role, { VpcConfig: { SubnetIds: [own], SecurityGroupIds: [group] }, Tags });
      await quiet();
      const before = await routes(table);
      expect(before).toEqual([`0.0.0.0/0 ${NatGatewayId} active`]);

      const since = mark();
      await ec2('delete_route', { RouteTableId: table, ...everywhere });
      const opened = await alerted({ rule, status: 'open', resource }, since);
      expect(opened.summary).toContain(`${table} has no route`);
      const fixed = await alerted({ rule, status: 'remediated', resource }, since);
      expect(fixed.change?.calls).toEqual(['ec2:CreateRoute']);
      expect(await routes(table)).toEqual(before);

      await quiet();
      const afterwards = mark();
      await undo(fixed);
      await quiet();
      expect(await routes(table)).toEqual([]);
      expect(alertsAbout(resource, afterwards)).toEqual([`${rule} exempt`]);
    });

    it('names the NAT gateway that is gone, and makes no route to it', async () => {
      const { VpcConfig, Role } = await configuration(name);
      const { NatGateways } = await ec2('describe_nat_gateways', { Filters: [{ Name: 'vpc-id', Values: [VpcConfig.VpcId] }] });
      const { NatGatewayId } = NatGateways[0];
      const { RouteTables } = await ec2('describe_route_tables', {
        Filters: [{ Name: 'association.subnet-id', Values: VpcConfig.SubnetIds }],
      });
      const { RouteTableId } = RouteTables[0];
      await ec2('create_route', { RouteTableId, ...everywhere, NatGatewayId });
      const Tags = { 'compliance-guard:destinations': 'internet' };
      await createFunction(`${name}-nat`, Role, {
        VpcConfig: { SubnetIds: VpcConfig.SubnetIds, SecurityGroupIds: VpcConfig.SecurityGroupIds },
        Tags,
      });
      await quiet();
      const since = mark();
      await ec2('delete_nat_gateway', { NatGatewayId });
      const told = await alerted({ rule, status: 'open', resource: `${resource}-nat`, says: 'could be put back' }, since);
      expect(told.summary).toContain(`${NatGatewayId}, which is gone`);
    });
  });
}
