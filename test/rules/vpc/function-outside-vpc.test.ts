import type { MemoryLedger } from '../../../ledger/memory.ts';
import { rule } from '../../../rules/vpc/function-outside-vpc.ts';
import { sample } from '../../support/events.ts';
import { ruleTest } from '../../support/rule-test.ts';
import type { World } from '../../support/world/index.ts';

const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const group = 'sg-0a1b2c3d4e5f60718';
const subnet = 'subnet-0a1b2c3d4e5f60718';
const required = { team: 'shop', 'compliance-guard:vpc-required': 'true' };
const inside = { SubnetIds: [subnet], SecurityGroupIds: [group] };
const outside = { SubnetIds: [], SecurityGroupIds: [] };
const kept = { ...inside, Ipv6AllowedForDualStack: false };
const passes = "and is not: its traffic passes none of the VPC's controls.";

function network({ ec2 }: World): void {
  ec2.createSubnet({ SubnetId: subnet });
  ec2.createSecurityGroup({ GroupId: group, GroupName: 'orders' });
}

/** A function that must be in a VPC, was in one while the guard looked, and was taken out. */
async function takenOut(world: World, ledger: MemoryLedger): Promise<void> {
  network(world);
  world.lambda.createFunction({ FunctionName: 'orders', Tags: required, VpcConfig: inside });
  await ledger.recordKept('function-outside-vpc', orders, { state: kept, asOf: world.now });
  world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', VpcConfig: outside });
  world.advance(600);
}

ruleTest(rule, {
  rows: [
    {
      name: 'a function in a VPC',
      kind: 'compliant',
      arrange: (world) => {
        network(world);
        world.lambda.createFunction({ FunctionName: 'orders', Tags: required, VpcConfig: inside });
      },
      event: sample('CreateFunction20150331/in-vpc.json'),
      expect: { compliant: [orders] },
      calls: { aws: 2, ledger: 2 },
    },
    {
      name: 'a function of which nothing says that it must be in a VPC',
      kind: 'compliant',
      arrange: ({ lambda }) => {
        lambda.createFunction({ FunctionName: 'orders', Tags: { 'compliance-guard:vpc-required': 'false' } });
      },
      params: { functions: 'payments,order' },
      event: sample('UpdateFunctionConfiguration20150331v2/vpc.json'),
      expect: { compliant: [orders] },
      calls: { aws: 3, ledger: 1 },
    },
    {
      name: 'the tag is taken away',
      kind: 'compliant',
      arrange: ({ lambda }) => {
        lambda.createFunction({ FunctionName: 'orders' });
      },
      event: sample('UntagResource20170331v2/vpc-required.json'),
      expect: { compliant: [orders] },
    },
    {
      name: 'a function on managed instances, whose network is in its capacity provider',
      kind: 'compliant',
      arrange: ({ lambda }) => {
        lambda.createFunction({
          FunctionName: 'orders',
          Tags: required,
          CapacityProviderConfig: {
            LambdaManagedInstancesCapacityProviderConfig: {
              CapacityProviderArn: 'arn:aws:lambda:us-east-1:111122223333:capacity-provider:shop',
            },
          },
        });
      },
      sweep: orders,
      expect: { compliant: [orders] },
    },
    {
      name: 'taken out of its VPC, which its tag requires',
      kind: 'violating',
      arrange: takenOut,
      event: sample('UpdateFunctionConfiguration20150331v2/vpc.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'medium',
            summary: `orders must be in a VPC by its tag compliance-guard:vpc-required, ${passes}`,
            evidence: { outside: [{ version: '$LATEST', aliases: [] }], requiredBy: 'its tag compliance-guard:vpc-required' },
            tags: required,
            plan: {
              steps: [
                {
                  call: 'moveNetwork',
                  input: { FunctionName: orders, VpcConfig: inside, RevisionId: expect.any(String) },
                  undo: [{ call: 'moveNetwork', input: { FunctionName: orders, VpcConfig: outside } }],
                },
              ],
              remains: [],
            },
          },
        ],
        compliant: [],
      },
      calls: { aws: 3, ledger: 1 },
    },
    {
      name: 'refused: never seen in a VPC, which a parameter requires',
      kind: 'violating',
      arrange: ({ lambda }) => {
        lambda.createFunction({ FunctionName: 'orders' });
      },
      params: { functions: 'payments,ord*' },
      sweep: orders,
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'medium',
            summary: `orders must be in a VPC by FunctionOutsideVpcFunctions (ord*), ${passes}`,
            evidence: { outside: [{ version: '$LATEST', aliases: [] }], requiredBy: 'ord*' },
            tags: {},
            plan: {
              steps: [],
              refused: 'The guard never saw orders in a VPC: which one it belongs to is not known.',
              remains: [],
            },
          },
        ],
      },
    },
    {
      name: 'refused: its subnet is gone',
      kind: 'violating',
      arrange: async (world, ledger) => {
        world.ec2.createSecurityGroup({ GroupId: group, GroupName: 'orders' });
        world.lambda.createFunction({ FunctionName: 'orders', Tags: required });
        world.advance(600);
        const state = { ...kept, SubnetIds: [subnet, 'subnet-0b00000000000000b'], Ipv6AllowedForDualStack: true };
        await ledger.recordKept('function-outside-vpc', orders, { state, asOf: 1 });
      },
      event: sample('TagResource20170331v2/vpc-required.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'medium',
            summary: `orders must be in a VPC by its tag compliance-guard:vpc-required, ${passes}`,
            evidence: { outside: [{ version: '$LATEST', aliases: [] }], requiredBy: 'its tag compliance-guard:vpc-required' },
            tags: required,
            plan: {
              steps: [
                {
                  call: 'moveNetwork',
                  input: {
                    FunctionName: orders,
                    VpcConfig: {
                      SubnetIds: [subnet, 'subnet-0b00000000000000b'],
                      SecurityGroupIds: [group],
                      Ipv6AllowedForDualStack: true,
                    },
                    RevisionId: expect.any(String),
                  },
                  undo: [{ call: 'moveNetwork', input: { FunctionName: orders, VpcConfig: outside } }],
                },
              ],
              remains: [],
              refused: `Of its last VPC configuration ${subnet}, subnet-0b00000000000000b are gone.`,
            },
          },
        ],
      },
    },
    {
      name: 'refused: only a version that an alias routes to is outside',
      kind: 'violating',
      arrange: (world) => {
        network(world);
        world.lambda.createFunction({ FunctionName: 'orders', Tags: required });
        world.lambda.publishVersion({ FunctionName: 'orders' });
        world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
        world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', VpcConfig: inside });
        world.advance(600);
      },
      event: sample('UpdateAlias20150331/live.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'medium',
            summary: `orders, version 1 (alias live), must be in a VPC by its tag compliance-guard:vpc-required, ${passes}`,
            evidence: { outside: [{ version: '1', aliases: ['live'] }], requiredBy: 'its tag compliance-guard:vpc-required' },
            tags: required,
            plan: {
              steps: [],
              refused: '$LATEST is in a VPC, version 1 (alias live) is not: publish it and let the alias route to that.',
              remains: ['version 1 (alias live)'],
            },
          },
        ],
      },
    },
    {
      name: 'a call that failed',
      kind: 'ignored',
      event: sample('UpdateFunctionConfiguration20150331v2/vpc.json', {
        detail: { errorCode: 'InvalidParameterValueException', responseElements: null },
      }),
    },
    {
      name: 'another tag',
      kind: 'ignored',
      event: sample('TagResource20170331v2/exempt.json'),
    },
    {
      name: 'tags may not be read: whether it must be in a VPC stays unknown',
      kind: 'failing',
      arrange: takenOut,
      event: sample('UpdateFunctionConfiguration20150331v2/vpc.json'),
      fail: { operation: 'ListTags', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'too many requests',
      kind: 'failing',
      arrange: takenOut,
      sweep: orders,
      fail: { operation: 'GetFunctionConfiguration', error: 'TooManyRequestsException' },
      expect: { throws: 'passing' },
    },
    { name: 'the function is gone', kind: 'failing', event: sample('DeleteFunction20150331/plain.json') },
    {
      name: 'the function goes while it is looked at',
      kind: 'failing',
      arrange: takenOut,
      sweep: orders,
      fail: { operation: 'ListTags', error: 'ResourceNotFoundException' },
    },
  ],
  roundTrips: [
    {
      name: 'its last VPC configuration comes back',
      arrange: takenOut,
      event: sample('UpdateFunctionConfiguration20150331v2/vpc.json'),
      steps: ['moveNetwork'],
      fixed: ({ lambda }) => {
        expect(lambda.getFunctionConfiguration({ FunctionName: 'orders' })).toMatchObject({ VpcConfig: inside });
      },
    },
    {
      name: 'a live version outside stays, and is named',
      arrange: async (world, ledger) => {
        await takenOut(world, ledger);
        world.lambda.publishVersion({ FunctionName: 'orders' });
        world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
        world.advance(600);
      },
      event: sample('UpdateAlias20150331/live.json'),
      steps: ['moveNetwork'],
      remains: ['version 1 (alias live)'],
    },
  ],
});
