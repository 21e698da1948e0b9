import { rule } from '../../../rules/vpc/subnet-single-az.ts';
import { sample } from '../../support/events.ts';
import { ruleTest } from '../../support/rule-test.ts';
import type { World } from '../../support/world/index.ts';

const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const group = 'sg-0a1b2c3d4e5f60718';
const [a, alsoA, b] = ['subnet-0a1b2c3d4e5f60718', 'subnet-0a00000000000000a', 'subnet-0b00000000000000b'];
const inSubnets = (...SubnetIds: string[]) => ({
  FunctionName: 'orders',
  Tags: { team: 'shop' },
  VpcConfig: { SubnetIds, SecurityGroupIds: [group] },
});

/** Two subnets in one zone, and one in another. */
function network({ ec2 }: World): void {
  for (const SubnetId of [a, alsoA]) ec2.createSubnet({ SubnetId, AvailabilityZone: 'us-east-1a' });
  ec2.createSubnet({ SubnetId: b, AvailabilityZone: 'us-east-1b' });
}

ruleTest(rule, {
  rows: [
    {
      name: 'subnets in two zones',
      kind: 'compliant',
      arrange: (world) => {
        network(world);
        world.lambda.createFunction(inSubnets(a, b));
      },
      event: sample('CreateFunction20150331/in-vpc.json'),
      expect: { compliant: [orders] },
      calls: { aws: 3, ledger: 1 },
    },
    {
      name: 'a function outside a VPC',
      kind: 'compliant',
      arrange: ({ lambda }) => {
        lambda.createFunction({ FunctionName: 'orders' });
      },
      sweep: orders,
      expect: { compliant: [orders] },
      calls: { aws: 2, ledger: 1 },
    },
    {
      name: 'a version outside a VPC, which an alias routes to, beside $LATEST in two zones',
      kind: 'compliant',
      arrange: (world) => {
        network(world);
        world.lambda.createFunction({ FunctionName: 'orders' });
        world.lambda.publishVersion({ FunctionName: 'orders' });
        world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
        world.lambda.updateFunctionConfiguration(inSubnets(a, b));
      },
      sweep: orders,
      expect: { compliant: [orders] },
    },
    {
      name: 'one subnet',
      kind: 'violating',
      arrange: (world) => {
        network(world);
        world.lambda.createFunction(inSubnets(a));
      },
      event: sample('CreateFunction20150331/in-vpc.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'medium',
            summary: 'orders runs in subnets of one availability zone, us-east-1a: when that zone fails, the function does.',
            evidence: { narrow: [{ version: '$LATEST', aliases: [], subnets: [a], zones: ['us-east-1a'] }] },
            tags: { team: 'shop' },
          },
        ],
        compliant: [],
      },
      calls: { aws: 4, ledger: 1 },
    },
    {
      name: 'two subnets in one zone',
      kind: 'violating',
      arrange: (world) => {
        network(world);
        world.lambda.createFunction(inSubnets(a, alsoA));
      },
      event: sample('UpdateFunctionConfiguration20150331v2/vpc.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'medium',
            summary: 'orders runs in subnets of one availability zone, us-east-1a: when that zone fails, the function does.',
            evidence: { narrow: [{ version: '$LATEST', aliases: [], subnets: [a, alsoA], zones: ['us-east-1a'] }] },
            tags: { team: 'shop' },
          },
        ],
      },
    },
    {
      name: 'a version that an alias routes to stays behind in one zone',
      kind: 'violating',
      arrange: (world) => {
        network(world);
        world.lambda.createFunction(inSubnets(b));
        world.lambda.publishVersion({ FunctionName: 'orders' });
        world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
        world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', VpcConfig: { SubnetIds: [a, b], SecurityGroupIds: [group] } });
      },
      event: sample('UpdateAlias20150331/live.json'),
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'medium',
            summary:
              'orders, version 1 (alias live), runs in subnets of one availability zone, us-east-1b: when that zone fails, the function does.',
            evidence: { narrow: [{ version: '1', aliases: ['live'], subnets: [b], zones: ['us-east-1b'] }] },
            tags: { team: 'shop' },
          },
        ],
      },
    },
    {
      name: 'subnets that are gone count for no zone',
      kind: 'violating',
      arrange: ({ lambda }) => {
        lambda.createFunction(inSubnets(a, b));
      },
      sweep: orders,
      expect: {
        violations: [
          {
            subject: orders,
            severity: 'medium',
            summary: 'orders runs in subnets of no availability zone that is known: when that zone fails, the function does.',
            evidence: { narrow: [{ version: '$LATEST', aliases: [], subnets: [a, b], zones: [] }] },
            tags: { team: 'shop' },
          },
        ],
      },
    },
    {
      name: 'a call that failed',
      kind: 'ignored',
      event: sample('CreateFunction20150331/in-vpc.json', {
        detail: { errorCode: 'InvalidParameterValueException', responseElements: null },
      }),
    },
    {
      name: 'an event that names no function',
      kind: 'ignored',
      event: sample('CreateFunction20150331/in-vpc.json', { detail: { requestParameters: null, responseElements: null } }),
    },
    {
      name: 'subnets may not be read',
      kind: 'failing',
      arrange: (world) => {
        world.lambda.createFunction(inSubnets(a, b));
      },
      sweep: orders,
      fail: { operation: 'DescribeSubnets', error: 'UnauthorizedOperation' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'too many requests',
      kind: 'failing',
      sweep: orders,
      fail: { operation: 'GetFunctionConfiguration', error: 'TooManyRequestsException' },
      expect: { throws: 'passing' },
    },
    { name: 'the function is gone', kind: 'failing', event: sample('DeleteFunction20150331/plain.json') },
    {
      name: 'the function goes while it is looked at',
      kind: 'failing',
      arrange: (world) => {
        network(world);
        world.lambda.createFunction(inSubnets(a));
      },
      sweep: orders,
      fail: { operation: 'ListTags', error: 'ResourceNotFoundException' },
    },
  ],
});
