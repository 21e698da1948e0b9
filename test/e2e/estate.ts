import fc from 'fast-check';
import { bytes } from './boto.ts';
import { createFunction, packageOf } from './functions.ts';
import { functionRole, stage } from './stage.ts';

// An account of many functions, some of which break one rule each.

const home = 'us-east-1:111122223333';
const functionArn = (name: string) => `arn:aws:lambda:${home}:function:${name}`;

/** What the functions of the account share without breaking a rule. */
export interface Ground {
  readonly vpc: string;
}

/** One way to break one rule. */
export interface Kind {
  readonly rule: string;
  /** Why no sweep of an account that it does not know could find it: it takes an event. */
  readonly onlyHeard?: string;
  /** Makes a function that breaks this rule and no other. @returns the ARN of what is wrong */
  readonly make: (name: string, ground: Ground) => Promise<string>;
}

/** A function with a role of its own, deployed by the pipeline: nothing is wrong with it. */
async function sound(name: string, more: object = {}, attached: readonly string[] = []): Promise<string> {
  await createFunction(name, await functionRole(name, { attached }), more);
  return functionArn(name);
}

const inVpc = ['AWSLambdaVPCAccessExecutionRole'];
const everyone = { IpProtocol: 'tcp', FromPort: 443, ToPort: 443 };

/** A security group that lets nothing in and nothing out. */
async function closedGroup(GroupName: string, VpcId: string): Promise<string> {
  const { GroupId } = await stage.boto.call('ec2', 'create_security_group', { GroupName, VpcId, Description: GroupName });
  const all = [{ IpProtocol: '-1', IpRanges: [{ CidrIp: '0.0.0.0/0' }] }];
  await stage.boto.call('ec2', 'revoke_security_group_egress', { GroupId, IpPermissions: all });
  return GroupId;
}

let networks = 0;

/** A function in two private subnets and a group of its own. */
async function placed(name: string, { vpc }: Ground): Promise<{ readonly group: string; readonly subnets: readonly string[] }> {
  networks += 1;
  const subnets: string[] = [];
  for (const [half, AvailabilityZone] of ['us-east-1a', 'us-east-1b'].entries()) {
    const at = 2 * networks + half;
    const CidrBlock = `10.0.${at >> 4}.${16 * (at & 15)}/28`;
    const { Subnet } = await stage.boto.call('ec2', 'create_subnet', { VpcId: vpc, CidrBlock, AvailabilityZone });
    subnets.push(Subnet.SubnetId);
  }
  const group = await closedGroup(name, vpc);
  await sound(name, { VpcConfig: { SubnetIds: subnets, SecurityGroupIds: [group] } }, inVpc);
  return { group, subnets };
}

export const kinds: readonly Kind[] = [
  {
    rule: 'role-shared',
    async make(name) {
      const role = await functionRole(name);
      await createFunction(`${name}-1`, role);
      await createFunction(`${name}-2`, role);
      // Who of the two was there first, only their events tell.
      return functionArn(`${name}-*`);
    },
  },
  {
    rule: 'secret-in-environment',
    make: async (name) => await sound(name, { Environment: { Variables: { DB_PASSWORD: ['Winter', 'Sale', '2026!', 'x9Qz'].join('') } } }),
  },
  {
    rule: 'function-url-open',
    async make(name) {
      const arn = await sound(name);
      await stage.boto.call('lambda', 'create_function_url_config', { FunctionName: name, AuthType: 'NONE' });
      return arn;
    },
  },
  {
    rule: 'function-url-open',
    async make(name) {
      const arn = await sound(name, { Publish: true });
      await stage.botoPipeline.call('lambda', 'create_alias', { FunctionName: name, Name: 'live', FunctionVersion: '1' });
      await stage.boto.call('lambda', 'create_function_url_config', { FunctionName: name, Qualifier: 'live', AuthType: 'NONE' });
      return `${arn}:live`;
    },
  },
  {
    rule: 'security-group-open-ingress',
    async make(name, ground) {
      const { group } = await placed(name, ground);
      const IpPermissions = [{ ...everyone, Ipv6Ranges: [{ CidrIpv6: '::/0' }] }];
      await stage.boto.call('ec2', 'authorize_security_group_ingress', { GroupId: group, IpPermissions });
      return `arn:aws:ec2:${home}:security-group/${group}`;
    },
  },
  {
    rule: 'security-group-open-egress',
    async make(name, ground) {
      const { group } = await placed(name, ground);
      const IpPermissions = [{ IpProtocol: '-1', IpRanges: [{ CidrIp: '0.0.0.0/0' }] }];
      await stage.boto.call('ec2', 'authorize_security_group_egress', { GroupId: group, IpPermissions });
      return `arn:aws:ec2:${home}:security-group/${group}`;
    },
  },
  {
    rule: 'code-changed-by-hand',
    onlyHeard: 'what runs when the guard comes is what it observes; who put it there is not known',
    async make(name) {
      const arn = await sound(name);
      await stage.boto.call('lambda', 'update_function_code', { FunctionName: name, ZipFile: bytes(packageOf(`${name} by hand`)) });
      return arn;
    },
  },
];

/** Which function of the account breaks what: one in three breaks something, every kind occurs, the rest is drawn. */
export function draw(functions: number, seed: number): readonly (Kind | undefined)[] {
  const wrong = Math.ceil(functions / 3);
  const drawn = fc.sample(fc.shuffledSubarray([...kinds], { minLength: kinds.length }), { seed, numRuns: Math.ceil(wrong / kinds.length) });
  const order = drawn.flat().slice(0, wrong);
  return Array.from({ length: functions }, (_, index) => (index % 3 === 0 ? order[index / 3] : undefined));
}

/** Makes the account. @returns what has to be found: rule and ARN, and whether only events tell */
export async function build(account: readonly (Kind | undefined)[]): Promise<readonly { readonly finding: string; readonly kind: Kind }[]> {
  const { Vpc } = await stage.boto.call('ec2', 'create_vpc', { CidrBlock: '10.0.0.0/16' });
  const ground = { vpc: Vpc.VpcId };
  const wrong: { finding: string; kind: Kind }[] = [];
  for (const [index, kind] of account.entries()) {
    const name = `estate-${index}`;
    if (kind === undefined) {
      // Every tenth sound one has a network, which costs most to look at.
      await (index % 10 === 1 ? placed(name, ground) : sound(name));
    } else wrong.push({ finding: `${kind.rule} ${await kind.make(name, ground)}`, kind });
  }
  return wrong;
}
