import { AddLayerVersionPermissionCommand, LambdaClient, PublishLayerVersionCommand } from '@aws-sdk/client-lambda';
import fc from 'fast-check';
import * as apis from './estate/apis.ts';
import * as deployments from './estate/deployments.ts';
import { account, administrator, type Ground, type Kind, type NearMiss, pipeline, sound, type Wrong } from './estate/kind.ts';
import * as roles from './estate/roles.ts';
import * as secrets from './estate/secrets.ts';
import * as vpc from './estate/vpc.ts';
import { packageOf } from './functions.ts';
import { stage, unheard } from './stage.ts';

// An account of many functions, some of which break one rule each, and some of which look as if they did.

export const kinds: readonly Kind[] = [...roles.kinds, ...secrets.kinds, ...apis.kinds, ...vpc.kinds, ...deployments.kinds];
export const once: readonly Kind[] = deployments.once;

const plain: NearMiss = { how: 'sound', make: async (name) => await sound(name) };
export const nearMisses: readonly NearMiss[] = [
  ...roles.nearMisses,
  ...secrets.nearMisses,
  ...apis.nearMisses,
  ...vpc.nearMisses,
  ...deployments.nearMisses,
];

/** What the account has before the guard comes: whoever deploys, and what the stack's parameters name. */
export type Before = Pick<Ground, 'key' | 'signing' | 'otherSigning' | 'foreignLayer' | 'developers'>;

export async function before(): Promise<Before> {
  const developers = 'estate-developers';
  await administrator('iam', 'create_group', { GroupName: developers });
  const PolicyArn = 'arn:aws:iam::aws:policy/PowerUserAccess';
  await administrator('iam', 'attach_group_policy', { GroupName: developers, PolicyArn });
  return {
    key: (await administrator('kms', 'create_key', { Description: 'variables of functions' })).KeyMetadata.Arn,
    signing: await signing('Enforce'),
    otherSigning: await signing('Warn'),
    foreignLayer: await strangersLayer(),
    developers,
  };
}

async function signing(UntrustedArtifactOnDeployment: string): Promise<string> {
  const { CodeSigningConfig } = await pipeline('create_code_signing_config', {
    AllowedPublishers: { SigningProfileVersionArns: [`arn:aws:signer:us-east-1:${account}:/signing-profiles/release/a1b2c3d4e5`] },
    CodeSigningPolicies: { UntrustedArtifactOnDeployment },
  });
  return CodeSigningConfig.CodeSigningConfigArn;
}

/** A layer that another account lets everybody use. */
async function strangersLayer(): Promise<string> {
  const credentials = { ...stage.root.credentials, accessKeyId: '444455556666' };
  const stranger = new LambdaClient({ ...stage.root, credentials });
  const published = await stranger.send(new PublishLayerVersionCommand({ LayerName: 'helper', Content: { ZipFile: packageOf('helper') } }));
  const named = { LayerName: 'helper', VersionNumber: published.Version, StatementId: 'everybody' };
  await stranger.send(new AddLayerVersionPermissionCommand({ ...named, Action: 'lambda:GetLayerVersion', Principal: '*' }));
  return published.LayerVersionArn ?? '';
}

/** Parameters of the stack that some kinds need: see there. Partners of the account are no strangers. */
export function parameters({ signing: config }: Before): Readonly<Record<string, string>> {
  return {
    CodeSigningOffConfigArn: config,
    CodeSigningOffFunctions: 'estate-*-signed*',
    FunctionOutsideVpcFunctions: 'estate-*-outside-by-name*',
    FunctionPolicyOpenTrustedAccounts: '444455556666',
  };
}

/** What its functions stand on. */
export async function ground(known: Before): Promise<Ground> {
  const ec2 = async (operation: string, input: object) => await administrator('ec2', operation, input);
  const VpcId = (await ec2('create_vpc', { CidrBlock: '10.0.0.0/16' })).Vpc.VpcId as string;
  const { InternetGatewayId } = (await ec2('create_internet_gateway', {})).InternetGateway;
  await ec2('attach_internet_gateway', { InternetGatewayId, VpcId });
  const publicSubnet = await vpc.subnetIn(VpcId);
  const { RouteTableId } = (await ec2('create_route_table', { VpcId })).RouteTable;
  await ec2('associate_route_table', { RouteTableId, SubnetId: publicSubnet });
  await ec2('create_route', { RouteTableId, DestinationCidrBlock: '0.0.0.0/0', GatewayId: InternetGatewayId });
  const { NatGatewayId } = (await ec2('create_nat_gateway', { SubnetId: publicSubnet })).NatGateway;
  const rotator = await sound('estate-rotator');
  const permission = { StatementId: 'rotation', Action: 'lambda:InvokeFunction', Principal: 'secretsmanager.amazonaws.com' };
  await pipeline('add_permission', { FunctionName: 'estate-rotator', SourceAccount: account, ...permission });
  return {
    ...known,
    vpc: VpcId,
    publicSubnet,
    internetGateway: InternetGatewayId,
    natGateway: NatGatewayId,
    otherGroup: await vpc.closedGroup('estate-other', VpcId),
    rotator,
  };
}

/** A function of the account: what it breaks, or what it looks like. */
export type Drawn = { readonly breaks: Kind } | { readonly sound: NearMiss };

/**
 * Which function of the account is what. One in three breaks something; of every other one half only looks like it. As long
 * as there are enough of them every kind occurs, the rest is drawn.
 */
export function draw(functions: number, seed: number): readonly Drawn[] {
  const wrong = shuffled(kinds, Math.ceil(functions / 3), seed);
  const right = shuffled([...nearMisses, ...nearMisses.map(() => plain)], functions, seed + 1);
  return Array.from({ length: functions }, (_, index) => {
    const breaks = index % 3 === 0 ? wrong[index / 3] : undefined;
    return breaks === undefined ? { sound: right[index] ?? plain } : { breaks };
  });
}

/** So many, in which each occurs as often as any other, but for one. */
function shuffled<T>(some: readonly T[], length: number, seed: number): readonly T[] {
  const all = fc.shuffledSubarray([...some], { minLength: some.length });
  return fc
    .sample(all, { seed, numRuns: Math.ceil(length / some.length) })
    .flat()
    .slice(0, length);
}

/** Something that has to be found: rule and ARN, and by what kind it came about. */
export interface Expected {
  readonly finding: string;
  readonly name: string;
  readonly kind: Kind;
}

/** Of two that share a role, either may be the one that is found. */
export function finding(rule: string, resource: string): string {
  return `${rule} ${rule === 'role-shared' ? resource.replace(/-[12]$/, '-*') : resource}`;
}

interface Built {
  readonly expected: readonly Expected[];
  /** Makes wrong what was right until now, and the other way round. */
  readonly later: () => Promise<void>;
}

/**
 * Makes the account, as far as it is wrong from the beginning.
 * @param besides what is wrong with what is no function of it
 */
export async function build(drawn: readonly Drawn[], known: Before, besides: readonly Kind[] = once): Promise<Built> {
  const shared = await ground(known);
  const expected: Expected[] = [];
  const later: { silent: boolean; happens: () => Promise<unknown> }[] = [];
  const afterwards = (name: string, made: object, silent: boolean) => {
    if ('later' in made && typeof made.later === 'function') {
      const happens = made.later as () => Promise<unknown>;
      later.push({ silent, happens: () => told(name, happens()) });
    }
  };
  const breakBy = async (kind: Kind, name: string) => {
    const made = await told(name, kind.make(name, shared));
    const wrong: Wrong = typeof made === 'string' ? { found: [made] } : made;
    expected.push(...wrong.found.map((arn) => ({ finding: `${kind.rule} ${arn}`, name, kind })));
    afterwards(name, wrong, kind.onlySwept !== undefined);
  };
  await sideBySide(drawn.entries(), async ([index, one]) => {
    if ('breaks' in one) await breakBy(one.breaks, `estate-${index}-${one.breaks.how}`);
    else {
      const name = `estate-${index}-${one.sound.how}`;
      afterwards(name, Object(await told(name, one.sound.make(name, shared))), false);
    }
  });
  for (const kind of besides) await breakBy(kind, `estate-once-${kind.how}`);
  return {
    expected,
    later: async () => {
      const [silent, loud] = [true, false].map((wanted) => later.filter(({ silent }) => silent === wanted));
      await sideBySide((loud ?? []).values(), ({ happens }) => happens());
      await unheard(() => sideBySide((silent ?? []).values(), ({ happens }) => happens()));
    },
  };
}

/** Whatever fails says of which function. */
export async function told<T>(name: string, promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    throw new Error(`${name}: ${(error as Error).message}`, { cause: error });
  }
}

/** A few at a time: the emulator's services do not wait for each other. */
export async function sideBySide<T>(items: Iterator<T>, work: (item: T) => Promise<unknown>): Promise<void> {
  const worker = async () => {
    for (let next = items.next(); next.done !== true; next = items.next()) await work(next.value);
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
}
