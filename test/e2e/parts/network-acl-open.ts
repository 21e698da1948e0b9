import { createFunction } from '../functions.ts';
import { alerted, alertsAbout, functionRole, mark, quiet, stage, undo } from '../stage.ts';

const rule = 'network-acl-open';
const everyone = { Protocol: '-1', RuleAction: 'allow', CidrBlock: '0.0.0.0/0' };
const own = { RuleNumber: 100, Egress: false, ...everyone, CidrBlock: '10.0.0.0/16' };
const answers = { RuleNumber: 110, Egress: false, ...everyone, Protocol: '6', PortRange: { From: 1024, To: 65_535 } };

async function ec2(operation: string, input: object) {
  return await stage.boto.call('ec2', operation, input);
}

/** The entries of an ACL, and its subnets. */
async function acl(NetworkAclId: string) {
  const { NetworkAcls } = await ec2('describe_network_acls', { NetworkAclIds: [NetworkAclId] });
  const { Entries, Associations } = NetworkAcls[0];
  return {
    entries: Entries.map((entry: object) => JSON.stringify(entry)).sort(),
    subnets: Associations.map(({ SubnetId }: { SubnetId: string }) => SubnetId).sort(),
  };
}

async function associate(SubnetId: string, NetworkAclId: string): Promise<void> {
  const { NetworkAcls } = await ec2('describe_network_acls', { Filters: [{ Name: 'association.subnet-id', Values: [SubnetId] }] });
  const { NetworkAclAssociationId: AssociationId } = NetworkAcls[0].Associations.find(
    (one: { SubnetId: string }) => one.SubnetId === SubnetId,
  );
  await ec2('replace_network_acl_association', { AssociationId, NetworkAclId });
}

export function networkAclOpen(): void {
  describe('network-acl-open', () => {
    it('brings back the entries of an ACL and the ACL of a subnet, and undo takes both away again', async () => {
      const VpcId = (await ec2('create_vpc', { CidrBlock: '10.0.0.0/16' })).Vpc.VpcId;
      const subnetOf = async (CidrBlock: string) => (await ec2('create_subnet', { VpcId, CidrBlock })).Subnet.SubnetId as string;
      const [changed, moved] = [await subnetOf('10.0.1.0/24'), await subnetOf('10.0.2.0/24')];
      const acls: string[] = [];
      for (const subnet of [changed, moved]) {
        const { NetworkAclId } = (await ec2('create_network_acl', { VpcId })).NetworkAcl;
        for (const entry of [own, answers, { ...everyone, RuleNumber: 100, Egress: true }])
          await ec2('create_network_acl_entry', { NetworkAclId, ...entry });
        await associate(subnet, NetworkAclId);
        acls.push(NetworkAclId);
      }
      const [first = '', second = ''] = acls;
      const { NetworkAcls } = await ec2('describe_network_acls', { Filters: [{ Name: 'vpc-id', Values: [VpcId] }] });
      const standard = NetworkAcls.find(({ IsDefault }: { IsDefault: boolean }) => IsDefault).NetworkAclId;
      const role = await functionRole('network-acl-open', { attached: ['AWSLambdaVPCAccessExecutionRole'] });
      const group = (await ec2('create_security_group', { VpcId, GroupName: 'network-acl-open', Description: 'of its function' })).GroupId;
      await createFunction('network-acl-open', role, { VpcConfig: { SubnetIds: [changed, moved], SecurityGroupIds: [group] } });
      await quiet();
      const closed = await acl(first);

      const since = mark();
      await ec2('create_network_acl_entry', { NetworkAclId: first, RuleNumber: 90, Egress: false, ...everyone });
      await associate(moved, standard);
      const opened = [await acl(first), await acl(second)];
      const alert = await alerted({ rule, status: 'open', resource: first }, since);
      expect(alert).toMatchObject({ severity: 'medium', evidence: { functions: [expect.stringMatching(/:network-acl-open$/)] } });
      await alerted({ rule, status: 'open', resource: moved, says: standard }, since);
      const entries = await alerted({ rule, status: 'remediated', resource: first }, since);
      const association = await alerted({ rule, status: 'remediated', resource: moved }, since);
      expect(entries.change?.calls).toEqual(['ec2:DeleteNetworkAclEntry']);
      expect(association.change?.calls).toEqual(['ec2:ReplaceNetworkAclAssociation']);
      expect(await acl(first)).toEqual(closed);
      expect((await acl(second)).subnets).toEqual([moved]);

      await quiet();
      const afterwards = mark();
      await Promise.all([undo(entries), undo(association)]);
      await quiet();
      expect([await acl(first), await acl(second)]).toEqual(opened);
      expect([...alertsAbout(first, afterwards), ...alertsAbout(moved, afterwards)]).toEqual([`${rule} exempt`, `${rule} exempt`]);
    });

    it('says nothing of the ACL that a VPC has by default', () => {
      expect(
        stage.inbox.received.flatMap(({ alert }) => (alert.rule === rule ? [alert.evidence['before'] === undefined] : [])),
      ).not.toContain(true);
    });
  });
}
