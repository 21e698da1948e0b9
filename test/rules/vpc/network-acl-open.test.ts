import type { NetworkAclEntry } from '@aws-sdk/client-ec2';
import { connect } from '../../../aws/handle.ts';
import { functionSubject, networkSubject, type Subject } from '../../../guard/subject.ts';
import { MemoryLedger } from '../../../ledger/memory.ts';
import { rule } from '../../../rules/vpc/network-acl-open.ts';
import { sample } from '../../support/events.ts';
import { place, ruleTest } from '../../support/rule-test.ts';
import { createWorld, type World } from '../../support/world/index.ts';

const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const acl = 'acl-0a1b2c3d4e5f60718';
const aclArn = `arn:aws:ec2:us-east-1:111122223333:network-acl/${acl}`;
const other = 'acl-0f0e0d0c0b0a09080';
const otherArn = `arn:aws:ec2:us-east-1:111122223333:network-acl/${other}`;
const subnet = 'subnet-0a1b2c3d4e5f60718';
const subnetArn = `arn:aws:ec2:us-east-1:111122223333:subnet/${subnet}`;
const secondSubnet = 'subnet-0f0e0d0c0b0a09080';
const vpc = 'vpc-0a1b2c3d4e5f60718';
const group = 'sg-0a1b2c3d4e5f60718';

type Entry = NetworkAclEntry & { RuleNumber: number; Egress: boolean };
const everyone = { RuleAction: 'allow', Protocol: '-1', CidrBlock: '0.0.0.0/0' } as const;
const allowIn: Entry = { RuleNumber: 100, Egress: false, ...everyone };
const allowOut: Entry = { RuleNumber: 100, Egress: true, ...everyone };
const denyIn: Entry = { RuleNumber: 90, Egress: false, RuleAction: 'deny', Protocol: '-1', CidrBlock: '0.0.0.0/0' };
const ownIn: Entry = { RuleNumber: 100, Egress: false, RuleAction: 'allow', Protocol: '-1', CidrBlock: '10.0.0.0/16' };
const answersIn: Entry = {
  RuleNumber: 110,
  Egress: false,
  RuleAction: 'allow',
  Protocol: '6',
  CidrBlock: '0.0.0.0/0',
  PortRange: { From: 1024, To: 65_535 },
};

/** The ACL with its entries, its subnet, and the function in that, which the index knows. */
async function behind(entries: readonly Entry[], world: World, ledger: MemoryLedger): Promise<void> {
  world.ec2.createNetworkAcl({ NetworkAclId: acl, Subnets: [subnet], Tags: { team: 'shop' } });
  write(entries, world);
  world.lambda.createFunction({ FunctionName: 'orders', VpcConfig: { SubnetIds: [subnet], SecurityGroupIds: [group] } });
  await ledger.recordNetwork({ function: orders, asOf: world.now, groups: [group], subnets: [subnet] });
}

function write(entries: readonly Entry[], { ec2 }: World, NetworkAclId = acl): void {
  for (const entry of entries) ec2.createNetworkAclEntry({ NetworkAclId, ...entry } as never);
}

/** What the guard saw of the ACL before. */
async function seen(entries: readonly Entry[], { now }: World, ledger: MemoryLedger): Promise<void> {
  await ledger.recordKept('network-acl-open', aclArn, { state: { entries }, asOf: now - 1000 });
}

/** The subnet was behind the tighter ACL, and is behind another. */
async function moved(world: World, ledger: MemoryLedger, entries: readonly Entry[] = [ownIn, answersIn, allowOut]): Promise<void> {
  await behind(entries, world, ledger);
  await seen(entries, world, ledger);
  await ledger.recordKept('network-acl-open', subnetArn, { state: { acl, open: ['out'] }, asOf: world.now - 1000 });
  world.ec2.createNetworkAcl({ NetworkAclId: other, Subnets: [secondSubnet], IsDefault: true });
  write([allowIn, allowOut], world, other);
  const associations = { AssociationId: 'aclassoc-00000000000000001', NetworkAclId: other };
  world.ec2.replaceNetworkAclAssociation(associations);
}

const association = sample('ReplaceNetworkAclAssociation/other-acl.json', {
  detail: { responseElements: { newAssociationId: 'aclassoc-00000000000000003' } },
});

ruleTest(rule, {
  rows: [
    {
      name: 'the default ACL of a VPC, which was never tighter',
      kind: 'compliant',
      arrange: (world, ledger) => behind([allowIn, allowOut], world, ledger),
      event: sample('CreateNetworkAclEntry/allow-everyone.json'),
      expect: { compliant: [aclArn] },
      calls: { aws: 1, ledger: 1 },
    },
    {
      name: 'an ACL that keeps the internet out is remembered',
      kind: 'compliant',
      arrange: (world, ledger) => behind([ownIn, answersIn, allowOut], world, ledger),
      event: sample('CreateNetworkAclEntry/allow-everyone.json'),
      expect: { compliant: [aclArn] },
      calls: { aws: 1, ledger: 2 },
    },
    {
      name: 'an ACL that is as it was',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await behind([ownIn, answersIn, allowOut], world, ledger);
        await seen([ownIn, answersIn, allowOut], world, ledger);
      },
      event: sample('DeleteNetworkAclEntry/denial.json'),
      expect: { compliant: [aclArn] },
      calls: { aws: 1, ledger: 1 },
    },
    {
      name: 'everybody is allowed in behind an entry that denies',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await behind([denyIn, allowIn, allowOut], world, ledger);
        await seen([ownIn, allowOut], world, ledger);
      },
      event: sample('ReplaceNetworkAclEntry/allow-everyone.json'),
      expect: { compliant: [aclArn] },
    },
    {
      name: 'an ACL behind which there is no function',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        world.ec2.createNetworkAcl({ NetworkAclId: acl, Subnets: [subnet] });
        write([allowIn, allowOut], world);
        await seen([ownIn, allowOut], world, ledger);
      },
      event: sample('CreateNetworkAclEntry/allow-everyone.json'),
      expect: { compliant: [aclArn] },
      calls: { aws: 1, ledger: 3 },
    },
    {
      name: 'an ACL that is gone',
      kind: 'compliant',
      event: sample('DeleteNetworkAcl/plain.json'),
      expect: { compliant: [aclArn] },
      calls: { aws: 1, ledger: 0 },
    },
    {
      name: 'a subnet that is gone',
      kind: 'compliant',
      event: sample('DeleteSubnet/plain.json'),
      expect: { compliant: [subnetArn] },
      calls: { aws: 1, ledger: 0 },
    },
    {
      name: 'a function outside a VPC',
      kind: 'compliant',
      arrange: ({ lambda }) => {
        lambda.createFunction({ FunctionName: 'orders' });
      },
      event: sample('CreateFunction20150331/in-vpc.json'),
      expect: { compliant: [] },
      calls: { aws: 2, ledger: 1 },
    },
    {
      name: 'a function in a subnet that is kept closed: both are remembered',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await behind([ownIn, answersIn, allowOut], world, ledger);
        await ledger.forgetNetwork(orders, world.now);
      },
      event: sample('CreateFunction20150331/in-vpc.json'),
      expect: { compliant: [aclArn, subnetArn] },
      calls: { aws: 3, ledger: 5 },
    },
    {
      name: 'a subnet that moved behind an ACL that is as tight',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await moved(world, ledger);
        world.ec2.deleteNetworkAclEntry({ NetworkAclId: other, RuleNumber: 100, Egress: false });
        write([ownIn], world, other);
      },
      event: association,
      expect: { compliant: [otherArn, subnetArn] },
      calls: { aws: 1, ledger: 4 },
    },
    {
      name: 'a quarantine is no measure: a subnet behind an ACL that lets nothing in',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await moved(world, ledger);
        write([{ ...denyIn, RuleNumber: 1 }], world, other);
      },
      event: association,
      expect: { compliant: [otherArn, subnetArn] },
      // Nothing is recorded.
      calls: { aws: 1, ledger: 2 },
    },
    {
      name: 'a quarantine is no measure: an ACL that lets nothing out',
      kind: 'compliant',
      arrange: async (world, ledger) => await behind([ownIn, answersIn, { ...denyIn, Egress: true }, allowOut], world, ledger),
      event: sample('CreateNetworkAclEntry/allow-everyone.json'),
      expect: { compliant: [aclArn] },
      calls: { aws: 1, ledger: 1 },
    },
    {
      name: 'something else lives behind the ACL',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await behind([{ ...allowIn, RuleNumber: 90 }, ownIn, answersIn, allowOut], world, ledger);
        await seen([ownIn, answersIn, allowOut], world, ledger);
        world.ec2.createNetworkInterface({ Groups: [], SubnetId: subnet, NetworkInterfaceId: 'eni-0b1c2d3e4f5061728' });
      },
      event: sample('CreateNetworkAclEntry/allow-everyone.json'),
      expect: {
        violations: [
          {
            subject: aclArn,
            severity: 'medium',
            summary: `The network ACL ${acl} lets the whole internet in on all ports, and did not before: orders behind it has only security groups left.`,
            evidence: {
              acl,
              vpc,
              open: ['in ipv4', 'out ipv4'],
              entries: [{ ...allowIn, RuleNumber: 90 }, ownIn, answersIn, allowOut],
              before: [ownIn, answersIn, allowOut],
              functions: [orders],
            },
            tags: { team: 'shop' },
            plan: {
              steps: [
                {
                  call: 'deleteNetworkAclEntry',
                  input: { NetworkAclId: acl, RuleNumber: 90, Egress: false },
                  undo: [{ call: 'createNetworkAclEntry', input: { NetworkAclId: acl, ...allowIn, RuleNumber: 90 } }],
                },
              ],
              refused: `Behind ${acl} live more than functions: eni-0b1c2d3e4f5061728 (interface) may need what it lets through now.`,
            },
          },
        ],
        compliant: [],
      },
      calls: { aws: 1, ledger: 2 },
    },
    {
      name: 'a function leaves the subnet that was moved',
      kind: 'compliant',
      arrange: async (world, ledger) => {
        await moved(world, ledger);
        world.lambda.deleteFunction({ FunctionName: 'orders' });
      },
      event: sample('DeleteFunction20150331/plain.json'),
      expect: { compliant: [otherArn, subnetArn] },
      calls: { aws: 2, ledger: 5 },
    },
    {
      name: 'an entry before the others lets everybody in',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await behind([{ ...allowIn, RuleNumber: 90 }, ownIn, answersIn, allowOut], world, ledger);
        await seen([ownIn, answersIn, allowOut], world, ledger);
      },
      event: sample('CreateNetworkAclEntry/allow-everyone.json'),
      expect: {
        violations: [
          {
            subject: aclArn,
            severity: 'medium',
            summary: `The network ACL ${acl} lets the whole internet in on all ports, and did not before: orders behind it has only security groups left.`,
            evidence: {
              acl,
              vpc,
              open: ['in ipv4', 'out ipv4'],
              entries: [{ ...allowIn, RuleNumber: 90 }, ownIn, answersIn, allowOut],
              before: [ownIn, answersIn, allowOut],
              functions: [orders],
            },
            tags: { team: 'shop' },
            plan: {
              steps: [
                {
                  call: 'deleteNetworkAclEntry',
                  input: { NetworkAclId: acl, RuleNumber: 90, Egress: false },
                  undo: [{ call: 'createNetworkAclEntry', input: { NetworkAclId: acl, ...allowIn, RuleNumber: 90 } }],
                },
              ],
            },
          },
        ],
        compliant: [],
      },
      calls: { aws: 1, ledger: 2 },
    },
    {
      name: 'the entry that denied was taken out, and another was widened, both ways',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await behind([allowIn, allowOut], world, ledger);
        await seen([denyIn, allowIn, { ...ownIn, Egress: true }], world, ledger);
      },
      event: sample('DeleteNetworkAclEntry/denial.json'),
      expect: {
        violations: [
          {
            subject: aclArn,
            severity: 'medium',
            summary: `The network ACL ${acl} lets the whole internet in and out on all ports, and did not before: orders behind it has only security groups left.`,
            evidence: {
              acl,
              vpc,
              open: ['in ipv4', 'out ipv4'],
              entries: [allowIn, allowOut],
              before: [denyIn, allowIn, { ...ownIn, Egress: true }],
              functions: [orders],
            },
            tags: { team: 'shop' },
            plan: {
              steps: [
                {
                  call: 'createNetworkAclEntry',
                  input: { NetworkAclId: acl, ...denyIn },
                  undo: [{ call: 'deleteNetworkAclEntry', input: { NetworkAclId: acl, RuleNumber: 90, Egress: false } }],
                },
                {
                  call: 'replaceNetworkAclEntry',
                  input: { NetworkAclId: acl, ...ownIn, Egress: true },
                  undo: [{ call: 'replaceNetworkAclEntry', input: { NetworkAclId: acl, ...allowOut } }],
                },
              ],
            },
          },
        ],
      },
    },
    {
      name: 'what else changed in the direction that is still closed stays',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await behind([allowIn, { ...ownIn, Egress: true, CidrBlock: '192.168.0.0/16' }], world, ledger);
        await seen([ownIn, { ...ownIn, Egress: true }], world, ledger);
      },
      event: sample('ReplaceNetworkAclEntry/allow-everyone.json'),
      expect: {
        violations: [
          {
            subject: aclArn,
            severity: 'medium',
            summary: `The network ACL ${acl} lets the whole internet in on all ports, and did not before: orders behind it has only security groups left.`,
            evidence: {
              acl,
              vpc,
              open: ['in ipv4'],
              entries: [allowIn, { ...ownIn, Egress: true, CidrBlock: '192.168.0.0/16' }],
              before: [ownIn, { ...ownIn, Egress: true }],
              functions: [orders],
            },
            tags: { team: 'shop' },
            plan: {
              steps: [
                {
                  call: 'replaceNetworkAclEntry',
                  input: { NetworkAclId: acl, ...ownIn },
                  undo: [{ call: 'replaceNetworkAclEntry', input: { NetworkAclId: acl, ...allowIn } }],
                },
              ],
            },
          },
        ],
      },
    },
    {
      name: 'a subnet was moved behind the default ACL',
      kind: 'violating',
      arrange: moved,
      event: association,
      expect: {
        violations: [
          {
            subject: subnetArn,
            severity: 'medium',
            summary: `The subnet ${subnet} was moved from the network ACL ${acl} to ${other}, which lets the whole internet in on all ports: orders behind it has only security groups left.`,
            evidence: { subnet, acl: other, before: acl, open: ['in ipv4', 'out ipv4'], functions: [orders] },
            tags: {},
            plan: {
              steps: [
                {
                  call: 'associateNetworkAcl',
                  input: { subnet, acl },
                  undo: [{ call: 'associateNetworkAcl', input: { subnet, acl: other } }],
                },
              ],
            },
          },
        ],
        compliant: [otherArn],
      },
      calls: { aws: 1, ledger: 3 },
    },
    {
      name: 'the ACL that a subnet was behind is gone: nothing to bring back',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await moved(world, ledger);
        world.ec2.deleteNetworkAcl({ NetworkAclId: acl });
      },
      event: association,
      expect: {
        violations: [
          {
            subject: subnetArn,
            severity: 'medium',
            summary: `The subnet ${subnet} was moved from the network ACL ${acl} to ${other}, which lets the whole internet in on all ports: orders behind it has only security groups left.`,
            evidence: { subnet, acl: other, before: acl, open: ['in ipv4', 'out ipv4'], functions: [orders] },
            tags: {},
            plan: { steps: [], refused: `The network ACL that ${subnet} was behind, ${acl}, is gone.` },
          },
        ],
      },
    },
    {
      name: 'the ACL that a subnet was behind lets everybody in by now',
      kind: 'violating',
      arrange: async (world, ledger) => {
        await moved(world, ledger);
        write([{ ...allowIn, RuleNumber: 10 }], world);
      },
      event: association,
      expect: {
        violations: [
          {
            subject: subnetArn,
            severity: 'medium',
            summary: `The subnet ${subnet} was moved from the network ACL ${acl} to ${other}, which lets the whole internet in on all ports: orders behind it has only security groups left.`,
            evidence: { subnet, acl: other, before: acl, open: ['in ipv4', 'out ipv4'], functions: [orders] },
            tags: {},
            plan: { steps: [], refused: `The network ACL that ${subnet} was behind, ${acl}, has become more open as well.` },
          },
        ],
      },
    },
    {
      name: 'a sweep finds the subnet that no event told of',
      kind: 'violating',
      arrange: moved,
      sweep: orders,
      expect: {
        violations: [
          {
            subject: subnetArn,
            severity: 'medium',
            summary: `The subnet ${subnet} was moved from the network ACL ${acl} to ${other}, which lets the whole internet in on all ports: orders behind it has only security groups left.`,
            evidence: { subnet, acl: other, before: acl, open: ['in ipv4', 'out ipv4'], functions: [orders] },
            tags: {},
          },
        ],
        compliant: [otherArn],
      },
    },
    {
      name: 'with the parameter all, the default ACL is found too, and nothing is known that could be brought back',
      kind: 'violating',
      params: { report: 'all' },
      arrange: (world, ledger) => behind([allowIn, allowOut], world, ledger),
      event: sample('CreateNetworkAclEntry/allow-everyone.json'),
      expect: {
        violations: [
          {
            subject: aclArn,
            severity: 'medium',
            summary: `The network ACL ${acl} lets the whole internet in and out on all ports: orders behind it has only security groups left.`,
            evidence: { acl, vpc, open: ['in ipv4', 'out ipv4'], entries: [allowIn, allowOut], functions: [orders] },
            tags: { team: 'shop' },
            plan: { steps: [], refused: `The guard has never seen ${acl} tighter: there is nothing to bring back.` },
          },
        ],
      },
      calls: { aws: 1, ledger: 2 },
    },
    {
      name: 'several functions, and IPv6',
      kind: 'violating',
      arrange: async (world, ledger) => {
        const six: Entry = { RuleNumber: 101, Egress: false, RuleAction: 'allow', Protocol: '-1', Ipv6CidrBlock: '::/0' };
        await behind([six, ownIn], world, ledger);
        await seen([ownIn], world, ledger);
        for (const name of ['a', 'b', 'c'])
          await ledger.recordNetwork({ function: `${orders}-${name}`, asOf: world.now, groups: [], subnets: [subnet] });
      },
      event: sample('CreateNetworkAclEntry/allow-everyone.json'),
      expect: {
        violations: [
          {
            subject: aclArn,
            severity: 'medium',
            summary: `The network ACL ${acl} lets the whole internet in on all ports, and did not before: orders, orders-a, orders-b and others behind it have only security groups left.`,
            evidence: {
              acl,
              vpc,
              open: ['in ipv6'],
              entries: [ownIn, { RuleNumber: 101, Egress: false, RuleAction: 'allow', Protocol: '-1', Ipv6CidrBlock: '::/0' }],
              before: [ownIn],
              functions: [orders, `${orders}-a`, `${orders}-b`, `${orders}-c`],
            },
            tags: { team: 'shop' },
          },
        ],
      },
    },
    {
      name: 'an entry that could not be made',
      kind: 'ignored',
      event: sample('CreateNetworkAclEntry/allow-everyone.json', {
        detail: { errorCode: 'Client.NetworkAclEntryAlreadyExists', responseElements: null },
      }),
    },
    {
      name: 'an event that names no ACL',
      kind: 'ignored',
      event: sample('CreateNetworkAclEntry/allow-everyone.json', { detail: { requestParameters: null, responseElements: null } }),
    },
    {
      name: 'ACLs may not be read',
      kind: 'failing',
      event: sample('CreateNetworkAclEntry/allow-everyone.json'),
      fail: { operation: 'DescribeNetworkAcls', error: 'UnauthorizedOperation' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'too many requests',
      kind: 'failing',
      event: association,
      fail: { operation: 'DescribeNetworkAcls', error: 'RequestLimitExceeded' },
      expect: { throws: 'passing' },
    },
    {
      name: 'the function may not be read',
      kind: 'failing',
      event: sample('CreateFunction20150331/in-vpc.json'),
      fail: { operation: 'GetFunctionConfiguration', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'the function is gone, and so is its subnet',
      kind: 'failing',
      arrange: async ({ now }, ledger) => {
        await ledger.recordNetwork({ function: orders, asOf: now, groups: [group], subnets: [subnet] });
      },
      event: sample('DeleteFunction20150331/plain.json'),
    },
  ],
  roundTrips: [
    {
      name: 'entries were made, widened and deleted',
      arrange: async (world, ledger) => {
        await behind([{ ...allowIn, RuleNumber: 80 }, allowIn, allowOut], world, ledger);
        const ping: Entry = {
          RuleNumber: 95,
          Egress: false,
          RuleAction: 'allow',
          Protocol: '1',
          CidrBlock: '0.0.0.0/0',
          IcmpTypeCode: { Type: 8, Code: -1 },
        };
        await seen([denyIn, ping, ownIn, allowOut], world, ledger);
      },
      event: sample('CreateNetworkAclEntry/allow-everyone.json'),
      steps: ['createNetworkAclEntry', 'createNetworkAclEntry', 'replaceNetworkAclEntry', 'deleteNetworkAclEntry'],
      fixed: ({ ec2 }) => {
        const { NetworkAcls } = ec2.describeNetworkAcls() as { NetworkAcls: { Entries: Entry[] }[] };
        const numbers = NetworkAcls[0]?.Entries.flatMap(({ RuleNumber, Egress }) => (Egress ? [] : [RuleNumber]));
        expect(numbers?.sort()).toEqual([100, 32_767, 90, 95]);
      },
    },
    {
      name: 'a subnet was moved',
      arrange: moved,
      event: association,
      steps: ['associateNetworkAcl'],
    },
  ],
});

test('how an ACL and a subnet were while no function was behind them is no measure: an ACL is made entry by entry', async () => {
  const world = createWorld(place);
  const ledger = new MemoryLedger();
  const context = { estate: ledger, params: { report: 'loosened' }, settings: {} as never, event: undefined };
  const look = async (subject: Subject) => {
    world.advance(1);
    const { violations } = await rule.evaluate(subject, { ...context, aws: connect(rule.check, place), now: world.now });
    return violations.map((violation) => violation.subject.arn);
  };
  world.ec2.createNetworkAcl({ NetworkAclId: acl, Subnets: [subnet] });
  for (const entry of [ownIn, allowOut]) {
    write([entry], world);
    expect(await look(networkSubject('AWS::EC2::NetworkAcl', acl, place))).toEqual([]);
  }
  await ledger.recordKept('network-acl-open', subnetArn, { state: { acl: other, open: [] }, asOf: world.now });
  expect(await look(networkSubject('AWS::EC2::Subnet', subnet, place))).toEqual([]);
  world.lambda.createFunction({ FunctionName: 'orders', VpcConfig: { SubnetIds: [subnet], SecurityGroupIds: [group] } });
  expect(await look(functionSubject('orders', place) as Subject)).toEqual([]);
  write([{ ...allowIn, RuleNumber: 90 }], world);
  expect(await look(networkSubject('AWS::EC2::NetworkAcl', acl, place))).toEqual([aclArn]);
});
