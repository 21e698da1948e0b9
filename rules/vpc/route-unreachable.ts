import * as z from 'zod';
import {
  createRoute,
  deleteRoute,
  describeInternetGateways,
  describeManagedPrefixLists,
  describeNatGateways,
  describeNetworkAcls,
  describeRouteTables,
  describeSecurityGroups,
  describeSubnets,
  describeTransitGatewayAttachments,
  describeTransitGatewayVpcAttachments,
  describeVpcAttribute,
  describeVpcEndpoints,
  describeVpcPeeringConnections,
  getManagedPrefixListEntries,
  replaceRoute,
  searchTransitGatewayRoutes,
  type VpcEndpoint,
} from '../../aws/ec2.ts';
import { type FunctionConfiguration, getFunctionConfiguration, getTaggedFunction, listAliases } from '../../aws/lambda.ts';
import { functionArn, functionName, matchesGlob, type Place } from '../../guard/arn.ts';
import type { Handle } from '../../guard/call.ts';
import type { ApiEvent } from '../../guard/cloudtrail.ts';
import { ifPresent, NetworkUnreadable } from '../../guard/errors.ts';
import type { Estate } from '../../guard/estate.ts';
import { liveConfigurations } from '../../guard/live.ts';
import { isPrivate } from '../../guard/network-ranges.ts';
import {
  type Destination,
  destinationFrom,
  type Hop,
  isNamed,
  type Network,
  type Reach,
  reach,
  type TransitGateway,
} from '../../guard/network-reach.ts';
import { bare, destinationOf, prefixListsIn, type Route, routeTableOf, targetOf } from '../../guard/network-routes.ts';
import { placed, placementOf } from '../../guard/placement.ts';
import { type CallStep, cloudTrail, defineRule, type Evaluation, type Plan, type Violation } from '../../guard/rule.ts';
import { functionSubject, networkSubject, type Subject } from '../../guard/subject.ts';

const id = 'route-unreachable';
const tag = 'compliance-guard:destinations';

/** The function whose tag says something else now. */
function retagged({ request, ...place }: ApiEvent): readonly Subject[] {
  const { resource, tags, tagKeys } = request;
  const keys = Array.isArray(tagKeys) ? tagKeys : Object.keys(tags ?? {});
  if (typeof resource !== 'string' || !keys.includes(tag)) return [];
  const subject = functionSubject(functionArn(resource, place) ?? '', place);
  return subject === undefined ? [] : [subject];
}

/** Parts of a network by the beginnings of their ids: what comes first says most exactly who depends on it. */
const parts = [
  ...['rtbassoc', 'aclassoc', 'rtb', 'acl', 'nat', 'vpce', 'pcx', 'igw', 'eigw', 'vgw', 'tgw-attach', 'tgw-rtb'],
  ...['sg', 'subnet', 'vpc'],
];

/** The part of a network that an event is about. Ids stand in many places of EC2's requests, and the beginning of each tells what it is. */
function changedPart({ request, ...place }: ApiEvent): readonly Subject[] {
  return partsIn(request, parts, place);
}

/** A subnet that got a route table of its own: nothing depended on that table before. */
function changedSubnet({ request, ...place }: ApiEvent): readonly Subject[] {
  return partsIn(request, ['subnet'], place);
}

/** Routes of a transit gateway change, whichever attachment they come from. */
function changedTransit({ request, ...place }: ApiEvent): readonly Subject[] {
  return partsIn(request, ['tgw-rtb'], place);
}

/** What is new in a VPC may change the way of everybody in it. */
function changedVpc({ request, ...place }: ApiEvent): readonly Subject[] {
  return partsIn(request, ['vpc'], place);
}

function partsIn(request: unknown, kinds: readonly string[], place: Place): readonly Subject[] {
  const ids = idsIn(request);
  const kind = kinds.find((one) => ids.some((name) => name.startsWith(`${one}-`)));
  const named = ids.filter((name) => kind !== undefined && name.startsWith(`${kind}-`));
  const type = subjectTypes[kind ?? ''] ?? 'AWS::EC2::VPC';
  return named.map((name) => networkSubject(type, name, place));
}

/** Of every other part its VPC is the subject, as far as there is one: findings are about functions. */
const subjectTypes: Readonly<Record<string, Parameters<typeof networkSubject>[0]>> = {
  rtb: 'AWS::EC2::RouteTable',
  acl: 'AWS::EC2::NetworkAcl',
  sg: 'AWS::EC2::SecurityGroup',
  subnet: 'AWS::EC2::Subnet',
};

function idsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return /^[a-z]+(-[a-z]+)?-[0-9a-f]{8,17}$/.test(value) ? [value] : [];
  return typeof value === 'object' && value !== null ? [...new Set(Object.values(value).flatMap(idsIn))] : [];
}

const check = [
  getFunctionConfiguration,
  listAliases,
  getTaggedFunction,
  describeSubnets,
  describeRouteTables,
  describeNetworkAcls,
  describeSecurityGroups,
  describeVpcEndpoints,
  describeNatGateways,
  describeInternetGateways,
  describeVpcPeeringConnections,
  describeTransitGatewayAttachments,
  describeTransitGatewayVpcAttachments,
  searchTransitGatewayRoutes,
  describeManagedPrefixLists,
  getManagedPrefixListEntries,
  describeVpcAttribute,
] as const;

export const rule = defineRule({
  id,
  practice: 'vpc',
  severity: 'high',
  title: 'A function cannot reach a destination that it declares',
  on: [
    placed(),
    cloudTrail('lambda', ['TagResource', 'UntagResource'], retagged),
    cloudTrail(
      'ec2',
      [
        'CreateRoute',
        'ReplaceRoute',
        'DeleteRoute',
        'DisassociateRouteTable',
        'ReplaceRouteTableAssociation',
        'DeleteNatGateway',
        'DeleteVpcEndpoints',
        'ModifyVpcEndpoint',
        'DetachInternetGateway',
        'DetachVpnGateway',
        'EnableVgwRoutePropagation',
        'DisableVgwRoutePropagation',
        'AcceptTransitGatewayVpcAttachment',
        'ModifyTransitGatewayVpcAttachment',
        'DeleteTransitGatewayVpcAttachment',
        'AssociateTransitGatewayRouteTable',
        'DisassociateTransitGatewayRouteTable',
        'AcceptVpcPeeringConnection',
        'DeleteVpcPeeringConnection',
        'CreateNetworkAclEntry',
        'ReplaceNetworkAclEntry',
        'DeleteNetworkAclEntry',
        'ReplaceNetworkAclAssociation',
        'AuthorizeSecurityGroupEgress',
        'RevokeSecurityGroupEgress',
        'AuthorizeSecurityGroupIngress',
        'RevokeSecurityGroupIngress',
        'ModifySecurityGroupRules',
      ],
      changedPart,
    ),
    cloudTrail('ec2', ['AssociateRouteTable'], changedSubnet),
    cloudTrail(
      'ec2',
      [
        'CreateTransitGatewayRoute',
        'ReplaceTransitGatewayRoute',
        'DeleteTransitGatewayRoute',
        'EnableTransitGatewayRouteTablePropagation',
        'DisableTransitGatewayRouteTablePropagation',
      ],
      changedTransit,
    ),
    cloudTrail(
      'ec2',
      ['CreateVpcEndpoint', 'AttachInternetGateway', 'AttachVpnGateway', 'CreateTransitGatewayVpcAttachment', 'ModifyVpcAttribute'],
      changedVpc,
    ),
  ],
  check,
  fix: [createRoute, replaceRoute],
  undo: [deleteRoute, replaceRoute],
  delay: 15,
  probation: false,
  params: z.object({
    destinations: z
      .string()
      .regex(
        /^$|^[A-Za-z0-9_*?-]+=[a-z0-9.:/-]+( [a-z0-9.:/-]+)*(,[A-Za-z0-9_*?-]+=[a-z0-9.:/-]+( [a-z0-9.:/-]+)*)*$/,
        'it takes name=destination destination, comma-separated',
      )
      .default('')
      .transform((list) =>
        list.split(',').flatMap((part) => {
          const [glob = '', wanted = ''] = part.split('=');
          return glob === '' ? [] : [{ glob, wanted: wanted.split(' ') }];
        }),
      )
      .describe(
        'What functions have to reach: names, in which * stands for anything, each with its destinations, as in orders-*=internet s3,billing=10.20.0.0/16:5432; the same as the tag compliance-guard:destinations.',
      ),
  }),

  async evaluate(subject, { aws, estate, params, now }) {
    if (subject.type === 'AWS::Lambda::Function') return await evaluateFunction(subject, { aws, estate, params, now });
    const found: Evaluation[] = [];
    // What is recorded of the functions is asked, not Lambda: a change of a network costs the same for one function and for a hundred.
    for (const { function: arn, needs } of await estate.needing(idOf(subject))) {
      const of = functionSubject(arn, subject);
      if (of !== undefined) found.push(await judge(of, needs as Needed, { aws, estate, now }));
    }
    return {
      violations: found.flatMap(({ violations }) => violations),
      compliant: [...found.flatMap(({ compliant }) => compliant), subject],
    };
  },

  distinguishes: ({ unreachable }) => (unreachable as readonly Unreachable[]).map(({ destination, hop }) => [destination, hop.id]),

  async plan({ subject }, { aws, estate, params }) {
    const needed = await neededBy(subject, await liveConfigurations<FunctionConfiguration>(aws, subject.arn), aws, params.destinations);
    const kept = (await estate.kept(id, subject.arn))?.state as KeptRoutes | undefined;
    if (needed === undefined) return { steps: [] };
    if (kept === undefined) return { steps: [], refused: `The guard has never seen ${functionName(subject.arn)} reach what it declares.` };
    return await planFrom(needed, kept, aws, subject);
  },

  async state(subject, { aws }) {
    const live = await liveConfigurations<FunctionConfiguration>(aws, subject.arn);
    if (live === undefined) return undefined;
    const tables: Record<string, readonly string[]> = {};
    for (const place of placesOf(live)) {
      const [routeTables, natGateways] = [await aws.describeRouteTables(place), await aws.describeNatGateways(place)];
      const subnets = [...place.subnets, ...natGateways.flatMap(({ SubnetId }) => SubnetId ?? [])];
      for (const SubnetId of subnets) {
        const { RouteTableId = '', Routes = [] } = routeTableOf({ SubnetId, VpcId: place.vpc }, routeTables) ?? {};
        tables[RouteTableId] = Routes.map((route) => `${destinationOf(route)} ${targetOf(route).id}`).sort();
      }
    }
    return tables;
  },
});

type Reader = Handle<typeof check>;

interface Look {
  readonly aws: Reader;
  readonly estate: Estate;
  readonly now: number;
}

/** What a function needs, as it is recorded: enough to look again without asking Lambda. */
interface Needed {
  readonly tags: Readonly<Record<string, string>>;
  readonly destinations: readonly string[];
  readonly live: readonly Live[];
}

/** A configuration that runs, and where. */
interface Live {
  readonly version: string;
  /** Empty outside a VPC. */
  readonly vpc: string;
  readonly subnets: readonly string[];
  readonly groups: readonly string[];
  readonly ipv6: boolean;
}

/** The routes that led to the destinations, by their tables. */
type KeptRoutes = Readonly<Record<string, readonly Route[]>>;

interface Unreachable {
  readonly destination: string;
  readonly hop: Hop;
  readonly why: string;
  readonly path: readonly string[];
  readonly versions: readonly string[];
  readonly subnets: readonly string[];
}

async function evaluateFunction(
  subject: Subject,
  { aws, estate, now, params }: Look & { readonly params: { readonly destinations: readonly Declaration[] } },
): Promise<Evaluation> {
  const { live } = await placementOf<FunctionConfiguration>(aws, subject, { estate, now });
  const needed = await neededBy(subject, live, aws, params.destinations);
  if (needed !== undefined) return await judge(subject, needed, { aws, estate, now });
  await estate.recordNeeds({ function: subject.arn, asOf: now, places: [], needs: {} });
  return { violations: [], compliant: [subject] };
}

interface Declaration {
  readonly glob: string;
  readonly wanted: readonly string[];
}

/** What a function declares and where it runs; undefined where it declares nothing, or is gone. */
async function neededBy(
  { arn }: Subject,
  live: Awaited<ReturnType<typeof liveConfigurations<FunctionConfiguration>>>,
  aws: Pick<Reader, 'getTaggedFunction'>,
  declared: readonly Declaration[],
): Promise<Needed | undefined> {
  if (live === undefined) return undefined;
  const { Tags: tags = {} } = (await ifPresent(aws.getTaggedFunction({ FunctionName: arn }))) ?? {};
  const byName = declared.flatMap(({ glob, wanted }) => (matchesGlob(functionName(arn), glob) ? wanted : []));
  const destinations = [...new Set([...(tags[tag] ?? '').split(/[\s,]+/), ...byName])].filter((one) => one !== '').sort();
  return destinations.length === 0 ? undefined : { tags, destinations, live: live.map(placeOf) };
}

function placeOf({ version, configuration: { VpcConfig = {} } }: { version: string; configuration: FunctionConfiguration }): Live {
  const { VpcId = '', SubnetIds = [], SecurityGroupIds = [], Ipv6AllowedForDualStack = false } = VpcConfig;
  return { version, vpc: VpcId, subnets: SubnetIds, groups: SecurityGroupIds, ipv6: Ipv6AllowedForDualStack };
}

async function judge(subject: Subject, needed: Needed, { aws, estate, now }: Look): Promise<Evaluation> {
  const networks = await networksOf(needed, aws, subject);
  const { unreachable, unknown, hops } = tryAll(needed, networks);
  const places = placesIn(hops, needed, networks);
  await estate.recordNeeds({ function: subject.arn, asOf: now, places, needs: needed });
  const [first] = unreachable;
  if (first !== undefined) return { violations: [violationOf(subject, needed, unreachable, unknown)], compliant: [] };
  const [doubt] = unknown;
  if (doubt !== undefined) throw new NetworkUnreadable(`${doubt.destination}: ${doubt.why}`);
  await estate.recordKept(id, subject.arn, { state: routesOn(hops, networks), asOf: now });
  return { violations: [], compliant: [subject] };
}

interface Tried {
  readonly unreachable: readonly Unreachable[];
  readonly unknown: readonly { readonly destination: string; readonly why: string }[];
  readonly hops: readonly Hop[];
}

/** Lambda may use any subnet of a configuration: every one of them has to reach every destination. */
function tryAll({ destinations, live }: Needed, networks: ReadonlyMap<string, Network>): Tried {
  const unreachable = new Map<string, Unreachable>();
  const unknown: { destination: string; why: string }[] = [];
  const hops: Hop[] = [];
  for (const destination of destinations) {
    const wanted = destinationFrom(destination);
    for (const { version, vpc, subnets, groups, ipv6 } of live) {
      const network = networks.get(vpc);
      const tries: readonly (readonly [string, Reach])[] =
        network === undefined
          ? [['', withoutVpc(wanted)]]
          : subnets.map((subnet) => [subnet, reach(wanted, { subnet, groups, ipv6 }, network)]);
      for (const [subnet, found] of tries) {
        hops.push(...found.path);
        if (found.verdict === 'reachable') continue;
        if (found.verdict === 'unknown') {
          unknown.push({ destination, why: found.why });
          continue;
        }
        const hop = found.path.at(-1) ?? { kind: 'function', id: version };
        const key = `${destination} ${hop.id}`;
        const before = unreachable.get(key) ?? { destination, hop, why: found.why, path: inWords(found.path), versions: [], subnets: [] };
        unreachable.set(key, {
          ...before,
          versions: [...new Set([...before.versions, version])],
          subnets: [...new Set([...before.subnets, ...(subnet === '' ? [] : [subnet])])],
        });
      }
    }
  }
  return { unreachable: [...unreachable.values()], unknown, hops };
}

/** Outside a VPC a function reaches the internet, and nothing that is private. */
function withoutVpc(wanted: Destination): Reach {
  if (wanted.kind !== 'range' || !isPrivate(wanted.range)) return { verdict: 'reachable', path: [] };
  return { verdict: 'unreachable', path: [{ kind: 'function', id: 'outside' }], why: 'the function is in no VPC' };
}

function violationOf(subject: Subject, { tags }: Needed, unreachable: readonly Unreachable[], unknown: Tried['unknown']): Violation {
  const [first] = unreachable;
  const others = new Set(unreachable.map(({ destination }) => destination)).size - 1;
  const more = others === 0 ? '' : ` Nor does it reach ${others} more.`;
  const from = first?.subnets.length === 0 ? '' : ` from ${first?.subnets.join(', ')}`;
  return {
    subject,
    summary: `${functionName(subject.arn)} cannot reach ${first?.destination}${from}: ${first?.why}.${more}`,
    evidence: { unreachable, ...(unknown.length === 0 ? {} : { unknown }) },
    tags,
  };
}

function inWords(path: readonly Hop[]): readonly string[] {
  return path.map(({ kind, id: name }) => `${kind} ${name}`);
}

/** The ids by which a change of the network leads to a function: of what its traffic comes by, of what associates that, and of its VPCs. */
function placesIn(hops: readonly Hop[], { live }: Needed, networks: ReadonlyMap<string, Network>): readonly string[] {
  const ids = new Set(hops.flatMap(({ id: name }) => name.split(', ')));
  for (const { vpc, subnets } of live) {
    const { routeTables = [], networkAcls = [], transitGateways = [] } = networks.get(vpc) ?? {};
    for (const [name, { parts: own = [] }] of transitGateways) if (ids.has(name)) for (const one of own) ids.add(one);
    if (vpc !== '') ids.add(vpc);
    for (const { RouteTableId = '', Associations = [] } of routeTables)
      for (const { SubnetId = '', Main, RouteTableAssociationId } of Associations as readonly Associated[])
        if (RouteTableAssociationId !== undefined && (subnets.includes(SubnetId) || (Main === true && ids.has(RouteTableId))))
          ids.add(RouteTableAssociationId);
    for (const { Associations = [] } of networkAcls)
      for (const { SubnetId = '', NetworkAclAssociationId } of Associations)
        if (NetworkAclAssociationId !== undefined && subnets.includes(SubnetId)) ids.add(NetworkAclAssociationId);
  }
  return [...ids].filter((name) => /^[a-z]+-/.test(name)).sort();
}

interface Associated {
  readonly SubnetId?: string | undefined;
  readonly Main?: boolean | undefined;
  readonly RouteTableAssociationId?: string | undefined;
}

/** The routes, which somebody made, of the tables on the way. */
function routesOn(hops: readonly Hop[], networks: ReadonlyMap<string, Network>): KeptRoutes {
  const tables = new Set(hops.flatMap(({ kind, id: name }) => (kind === 'route table' ? [name] : [])));
  const all = [...networks.values()].flatMap(({ routeTables }) => routeTables);
  return Object.fromEntries(
    all.flatMap(({ RouteTableId = '', Routes = [] }) => {
      if (!tables.has(RouteTableId)) return [];
      const made = Routes.filter((route) => route.Origin === 'CreateRoute' && route.State === 'active').map(bare);
      return [[RouteTableId, made.slice(0, 100)]];
    }),
  );
}

interface VpcPlace {
  readonly vpc: string;
  readonly subnets: readonly string[];
  readonly groups: readonly string[];
}

/** The VPCs that a function is in: one, but for versions that were published elsewhere. */
function placesOf(live: readonly { version: string; configuration: FunctionConfiguration }[]): readonly VpcPlace[] {
  return vpcsOf(live.map(placeOf));
}

function vpcsOf(live: readonly Live[]): readonly VpcPlace[] {
  const vpcs = [...new Set(live.map(({ vpc }) => vpc))].filter((vpc) => vpc !== '');
  return vpcs.map((vpc) => {
    const own = live.filter((one) => one.vpc === vpc);
    return {
      vpc,
      subnets: [...new Set(own.flatMap(({ subnets }) => subnets))],
      groups: [...new Set(own.flatMap(({ groups }) => groups))],
    };
  });
}

async function networksOf(
  { live, destinations }: Needed,
  aws: Reader,
  place: Place,
  more: readonly Route[] = [],
): Promise<ReadonlyMap<string, Network>> {
  const services = destinations.map(destinationFrom).flatMap((one) => (one.kind === 'service' ? [one.service] : []));
  const networks = new Map<string, Network>();
  for (const vpc of vpcsOf(live)) networks.set(vpc.vpc, await readNetwork(vpc, services, more, aws, place));
  return networks;
}

/** Reads a VPC, as far as the ways out of some subnets go: as many calls for a large VPC as for a small one, but for pages. */
async function readNetwork(
  { vpc, subnets: own, groups }: VpcPlace,
  services: readonly string[],
  more: readonly Route[],
  aws: Reader,
  { account, region }: Place,
): Promise<Network> {
  const [subnets, routeTables, networkAcls, endpoints] = await Promise.all([
    aws.describeSubnets({ vpc }),
    aws.describeRouteTables({ vpc }),
    aws.describeNetworkAcls({ by: 'vpc-id', ids: [vpc] }),
    aws.describeVpcEndpoints({ vpc }),
  ]);
  const tablesOf = (ids: readonly string[]) => ids.flatMap((SubnetId) => routeTableOf({ SubnetId, VpcId: vpc }, routeTables) ?? []);
  const leadingTo = (tables: readonly { readonly Routes?: readonly Route[] | undefined }[], kind: string) =>
    [...tables.flatMap(({ Routes = [] }) => Routes), ...more].map(targetOf).filter((target) => target.kind === kind);
  const first = tablesOf(own);
  const natGateways = leadingTo(first, 'NAT gateway').length === 0 ? [] : await aws.describeNatGateways({ vpc });
  const regional = routeTables.filter(({ RouteTableId }) => natGateways.some((nat) => nat.RouteTableId === RouteTableId));
  const passed = [...first, ...tablesOf(natGateways.flatMap(({ SubnetId }) => SubnetId ?? [])), ...regional];
  const named = endpoints.filter(({ ServiceName = '' }) => services.some((service) => isNamed(ServiceName, service, region)));
  const ofEndpoints = named.flatMap(({ Groups = [] }) => Groups.flatMap(({ GroupId }) => GroupId ?? []));
  const { SecurityGroups: securityGroups = [] } = await aws.describeSecurityGroups({
    Filters: [{ Name: 'group-id', Values: [...new Set([...groups, ...ofEndpoints])] }],
  });
  const serviceLists = new Map<string, string>();
  if (services.length > 0) {
    const names = services.map((service) => (service.startsWith('com.') ? service : `com.amazonaws.${region}.${service}`));
    for (const { PrefixListName = '', PrefixListId = '' } of await aws.describeManagedPrefixLists({ names }))
      serviceLists.set(PrefixListName, PrefixListId);
  }
  const inGroups = securityGroups.flatMap(({ IpPermissions = [], IpPermissionsEgress = [] }) =>
    [...IpPermissions, ...IpPermissionsEgress].flatMap(({ PrefixListIds = [] }) =>
      PrefixListIds.flatMap(({ PrefixListId }) => PrefixListId ?? []),
    ),
  );
  const lists = new Set([...prefixListsIn([...passed, { Routes: more }]), ...inGroups, ...serviceLists.values()]);
  const prefixLists = new Map<string, readonly string[]>();
  for (const list of lists) prefixLists.set(list, (await ifPresent(aws.getManagedPrefixListEntries({ prefixList: list }))) ?? []);
  const peerings = [...new Set(leadingTo(passed, 'peering connection').map((target) => target.id))];
  const gateways = [...new Set(leadingTo(passed, 'transit gateway').map((target) => target.id))];
  return {
    region,
    subnets,
    routeTables,
    networkAcls,
    securityGroups,
    endpoints,
    natGateways,
    peerings: peerings.length === 0 ? [] : await aws.describeVpcPeeringConnections({ peerings }),
    transitGateways: gateways.length === 0 ? new Map() : await readTransitGateways(gateways, vpc, account, aws),
    prefixLists,
    serviceLists,
    dns: named.some(isInterface) ? await hasDns(vpc, aws) : true,
  };
}

function isInterface({ VpcEndpointType }: VpcEndpoint): boolean {
  return VpcEndpointType === 'Interface';
}

async function hasDns(VpcId: string, aws: Reader): Promise<boolean> {
  const support = await aws.describeVpcAttribute({ VpcId, Attribute: 'enableDnsSupport' });
  const names = await aws.describeVpcAttribute({ VpcId, Attribute: 'enableDnsHostnames' });
  return support.EnableDnsSupport?.Value === true && names.EnableDnsHostnames?.Value === true;
}

async function readTransitGateways(
  ids: readonly string[],
  vpc: string,
  account: string,
  aws: Reader,
): Promise<ReadonlyMap<string, TransitGateway>> {
  const [attachments, ofVpc] = [
    await aws.describeTransitGatewayAttachments({ vpc }),
    await aws.describeTransitGatewayVpcAttachments({ vpc }),
  ];
  const gateways = new Map<string, TransitGateway>();
  for (const name of ids) {
    const attachment = ofVpc.find(({ TransitGatewayId }) => TransitGatewayId === name);
    const { TransitGatewayOwnerId, Association } = attachments.find(({ TransitGatewayId }) => TransitGatewayId === name) ?? {};
    const table = TransitGatewayOwnerId === account ? Association?.TransitGatewayRouteTableId : undefined;
    const answer =
      table === undefined
        ? undefined
        : await aws.searchTransitGatewayRoutes({
            TransitGatewayRouteTableId: table,
            Filters: [{ Name: 'state', Values: ['active', 'blackhole'] }],
            MaxResults: 1000,
          });
    const own = [attachment?.TransitGatewayAttachmentId ?? [], Association?.TransitGatewayRouteTableId ?? []].flat();
    gateways.set(name, { attachment, parts: own, routes: answer?.AdditionalRoutesAvailable === true ? undefined : answer?.Routes });
  }
  return gateways;
}

/** Which of the routes that led there before have to be put back, as far as what they lead to is still there. */
async function planFrom(needed: Needed, kept: KeptRoutes, aws: Reader, place: Place): Promise<Plan> {
  const networks = await networksOf(needed, aws, place, Object.values(kept).flat());
  const before = tryAll(needed, networks);
  const lost: Missing[] = [];
  for (const [vpc, network] of networks) {
    for (const { RouteTableId = '', Routes = [] } of network.routeTables) {
      for (const wanted of kept[RouteTableId] ?? []) {
        const present = Routes.find((route) => destinationOf(route) === destinationOf(wanted));
        if (present !== undefined && targetOf(present).id === targetOf(wanted).id) continue;
        // What leads nowhere by now could not be brought back by an undo.
        if (present?.State === 'blackhole' || !(await isThere(wanted, vpc, aws))) continue;
        lost.push({ table: RouteTableId, wanted, ...(present === undefined ? {} : { present: bare(present) }) });
      }
    }
  }
  // A route to an internet gateway makes a subnet public: another rule takes it out of the tables of functions' own subnets.
  const own = vpcsOf(needed.live).flatMap(({ vpc, subnets }) =>
    subnets.map((SubnetId) => routeTableOf({ SubnetId, VpcId: vpc }, networks.get(vpc)?.routeTables ?? [])?.RouteTableId),
  );
  const opening = lost.filter(({ table, wanted }) => own.includes(table) && targetOf(wanted).kind === 'internet gateway');
  const missing = lost.filter((one) => !opening.includes(one));
  const helps = (some: readonly Missing[]) => tryAll(needed, withRoutes(networks, some)).unreachable.length < before.unreachable.length;
  if (!helps(missing)) {
    const [first] = before.unreachable;
    const [opened] = opening;
    if (opened !== undefined && helps(lost))
      return {
        steps: [],
        refused: `Only the route of ${opened.table} to ${targetOf(opened.wanted).id} leads to ${first?.destination}, and it makes a subnet of functions public: put it back by hand, if that is meant.`,
      };
    return { steps: [], refused: `No route that was taken away, and could be put back, leads to ${first?.destination}: ${first?.why}.` };
  }
  const left = tryAll(needed, withRoutes(networks, missing)).unreachable;
  // Only what is needed: without each of these less would be reached.
  const needs = missing.reduce<readonly Missing[]>((some, one) => {
    const without = some.filter((other) => other !== one);
    return tryAll(needed, withRoutes(networks, without)).unreachable.length > left.length ? some : without;
  }, missing);
  const remains = left.map(({ destination, why }) => `${destination}: ${why}`);
  return { steps: needs.map(stepFor), ...(remains.length === 0 ? {} : { remains }) };
}

interface Missing {
  readonly table: string;
  readonly wanted: Route;
  /** What leads there now. */
  readonly present?: Route;
}

function withRoutes(networks: ReadonlyMap<string, Network>, some: readonly Missing[]): ReadonlyMap<string, Network> {
  const changed = [...networks].map(([vpc, network]): [string, Network] => {
    const routeTables = network.routeTables.map((table) => {
      const own = some.filter((one) => one.table === table.RouteTableId);
      const others = (table.Routes ?? []).filter((route) => !own.some(({ wanted }) => destinationOf(wanted) === destinationOf(route)));
      return { ...table, Routes: [...others, ...own.map(({ wanted }) => ({ ...wanted, State: 'active', Origin: 'CreateRoute' }))] };
    });
    return [vpc, { ...network, routeTables }];
  });
  return new Map(changed);
}

/** Whether what a route led to is still there; a gateway endpoint's routes come and go with it, and cannot be made. */
async function isThere(route: Route, vpc: string, aws: Reader): Promise<boolean> {
  const { kind, id: name } = targetOf(route);
  if (kind === 'internet gateway') {
    const gateways = await aws.describeInternetGateways({ vpc });
    return gateways.some(({ InternetGatewayId }) => InternetGatewayId === name);
  }
  // Of a NAT gateway, a peering and a transit gateway the way itself is tried, which asks for more.
  return kind !== 'VPC endpoint';
}

function stepFor({ table: RouteTableId, wanted, present }: Missing): CallStep {
  if (present !== undefined) {
    const undo = { call: 'replaceRoute', input: { RouteTableId, ...present } };
    return { call: 'replaceRoute', input: { RouteTableId, ...wanted }, undo: [undo] };
  }
  const { DestinationCidrBlock, DestinationIpv6CidrBlock, DestinationPrefixListId } = wanted;
  const key = JSON.parse(JSON.stringify({ DestinationCidrBlock, DestinationIpv6CidrBlock, DestinationPrefixListId }));
  return { call: 'createRoute', input: { RouteTableId, ...wanted }, undo: [{ call: 'deleteRoute', input: { RouteTableId, ...key } }] };
}

/** `rtb-0a…` of `arn:…:route-table/rtb-0a…`. */
function idOf({ arn }: Subject): string {
  return arn.slice(arn.lastIndexOf('/') + 1);
}
