import { NetworkUnreadable } from './errors.ts';
import { allPorts, type Direction, decidingEntry, type NetworkAcl, type Ports, portsCutAt, rangeIn } from './network-acl.ts';
import { letThrough, rangesOfRule, type SecurityGroup } from './network-groups.ts';
import { contains, cutAt, type Family, isPrivate, overlaps, prefixOf, publicParts, type Range, rangeOf, textOf } from './network-ranges.ts';
import {
  destinationOf,
  type PrefixLists,
  type RouteTable,
  rangesOf,
  routeTableOf,
  routeTo,
  type Target,
  targetOf,
} from './network-routes.ts';

/** A VPC, as the Describe calls of EC2 answer; what is left out is not there. */
export interface Network {
  readonly region: string;
  readonly subnets: readonly Subnet[];
  readonly routeTables: readonly RouteTable[];
  readonly networkAcls: readonly NetworkAcl[];
  /** Those of the functions and of the interface endpoints. */
  readonly securityGroups: readonly SecurityGroup[];
  readonly endpoints: readonly Endpoint[];
  readonly natGateways: readonly NatGateway[];
  readonly peerings: readonly Peering[];
  /** By the transit gateway's id. */
  readonly transitGateways: ReadonlyMap<string, TransitGateway>;
  /** Those that routes and security groups name, and those of services that have one. */
  readonly prefixLists: PrefixLists;
  /** `com.amazonaws.us-east-1.s3` → the id of its prefix list. */
  readonly serviceLists: ReadonlyMap<string, string>;
  /** The VPC's attributes enableDnsSupport and enableDnsHostnames, both: private DNS needs them. */
  readonly dns: boolean;
}

export interface Subnet {
  readonly SubnetId?: string | undefined;
  readonly VpcId?: string | undefined;
  readonly CidrBlock?: string | undefined;
  readonly Ipv6CidrBlockAssociationSet?: readonly { readonly Ipv6CidrBlock?: string | undefined }[] | undefined;
  readonly AvailabilityZone?: string | undefined;
  readonly BlockPublicAccessStates?: { readonly InternetGatewayBlockMode?: string | undefined } | undefined;
}

export interface Endpoint {
  readonly VpcEndpointId?: string | undefined;
  readonly VpcEndpointType?: string | undefined;
  readonly ServiceName?: string | undefined;
  readonly State?: string | undefined;
  readonly SubnetIds?: readonly string[] | undefined;
  readonly Groups?: readonly { readonly GroupId?: string | undefined }[] | undefined;
  readonly PrivateDnsEnabled?: boolean | undefined;
  readonly DnsOptions?: { readonly PrivateDnsOnlyForInboundResolverEndpoint?: boolean | undefined } | undefined;
}

export interface NatGateway {
  readonly NatGatewayId?: string | undefined;
  readonly SubnetId?: string | undefined;
  readonly VpcId?: string | undefined;
  readonly State?: string | undefined;
  readonly ConnectivityType?: string | undefined;
  /** Of a regional one, which is in no subnet. */
  readonly RouteTableId?: string | undefined;
}

interface PeeredVpc {
  readonly VpcId?: string | undefined;
  readonly CidrBlockSet?: readonly { readonly CidrBlock?: string | undefined }[] | undefined;
  readonly Ipv6CidrBlockSet?: readonly { readonly Ipv6CidrBlock?: string | undefined }[] | undefined;
}

export interface Peering {
  readonly VpcPeeringConnectionId?: string | undefined;
  readonly Status?: { readonly Code?: string | undefined } | undefined;
  readonly AccepterVpcInfo?: PeeredVpc | undefined;
  readonly RequesterVpcInfo?: PeeredVpc | undefined;
}

/** How a VPC is attached to a transit gateway, and the routes of the table that its attachment is associated with. */
export interface TransitGateway {
  readonly attachment: { readonly State?: string | undefined; readonly SubnetIds?: readonly string[] | undefined } | undefined;
  /** The attachment and its route table, by their ids. */
  readonly parts?: readonly string[];
  /** Undefined where they cannot be read: the transit gateway is another account's. */
  readonly routes: readonly TransitRoute[] | undefined;
}

export interface TransitRoute {
  readonly DestinationCidrBlock?: string | undefined;
  readonly State?: string | undefined;
  readonly TransitGatewayAttachments?:
    | readonly { readonly ResourceId?: string | undefined; readonly ResourceType?: string | undefined }[]
    | undefined;
}

/** The interfaces of a function in one subnet. */
export interface Source {
  readonly subnet: string;
  readonly groups: readonly string[];
  /** They have an IPv6 address too (Ipv6AllowedForDualStack). */
  readonly ipv6: boolean;
}

/** What a function wants to reach over TCP. */
export type Destination =
  | { readonly kind: 'internet'; readonly family: Family; readonly port: number }
  | { readonly kind: 'service'; readonly service: string }
  | { readonly kind: 'range'; readonly range: Range; readonly port: number | undefined };

/** Where traffic comes by. */
export interface Hop {
  readonly kind: Target | 'function' | 'subnet' | 'security group' | 'network ACL' | 'route table' | 'interface endpoint';
  readonly id: string;
}

/** Whether a destination is reached. `path` ends with the hop that fails, or that is not understood, and `why` says so. */
export type Reach =
  | { readonly verdict: 'reachable'; readonly path: readonly Hop[] }
  | { readonly verdict: 'unreachable' | 'unknown'; readonly path: readonly Hop[]; readonly why: string };

/**
 * Reads a destination: `internet`, a service (`s3`, `ecr.dkr`, or its whole name), or addresses (`10.0.0.0/16`,
 * `2001:db8::/32`, `192.0.2.7`); `internet` and addresses may have a port behind a colon.
 * @throws NetworkUnreadable where the text is none of these
 */
export function destinationFrom(text: string): Destination {
  const [, address = '', , digits] = /^(internet|[\d.]+(\/\d+)?|[\da-f:.]+\/\d+)(?::(\d{1,5}))?$/i.exec(text) ?? [];
  const port = digits === undefined ? undefined : Number(digits);
  if (address === 'internet' && (port ?? 0) <= 65_535) return { kind: 'internet', family: 'ipv4', port: port ?? 443 };
  if (address !== '' && (port ?? 0) <= 65_535) {
    let range: Range;
    try {
      range = rangeOf(address.includes('/') ? address : `${address}/32`);
    } catch {
      throw new NetworkUnreadable(`${text} is no destination`);
    }
    // The addresses of everybody are the internet: nobody has the private ones among them.
    if (/\/0$/.test(address)) return { kind: 'internet', family: range.family, port: port ?? 443 };
    return { kind: 'range', range, port };
  }
  if (/^[a-z][a-z0-9-]*(\.[a-z0-9-]+)*$/.test(text)) return { kind: 'service', service: text };
  throw new NetworkUnreadable(`${text} is no destination`);
}

/** Whether the interfaces of a function in one subnet reach a destination. */
export function reach(destination: Destination, source: Source, network: Network): Reach {
  if (destination.kind === 'service') return new Walk(source, network).service(destination.service);
  const ports: readonly Ports[] = [destination.port === undefined ? allPorts : [destination.port, destination.port]];
  const walk = new Walk(source, network);
  if (destination.kind === 'internet') return walk.most(publicParts(destination.family), ports);
  return walk.all([destination.range], ports);
}

/** Whether a name, such as an endpoint or a prefix list has, is a service's: `com.amazonaws.us-east-1.s3` is that of `s3`. */
export function isNamed(name: string, service: string, region: string): boolean {
  return name === service || name.replace(/^cn\./, '') === `com.amazonaws.${region}.${service}`;
}

/** Answers of these ports have to come back. https://docs.aws.amazon.com/vpc/latest/userguide/nacl-ephemeral-ports.html */
const ephemeral: Ports = [1024, 65_535];
const https: readonly Ports[] = [[443, 443]];

/** Thrown at the hop at which a way ends. */
class Ends extends Error {
  readonly verdict: 'unreachable' | 'unknown';
  readonly hop: Hop;

  constructor(verdict: 'unreachable' | 'unknown', hop: Hop, why: string) {
    super(why);
    this.verdict = verdict;
    this.hop = hop;
  }
}

/** One way through a network, hop by hop, for addresses that every route and rule on it takes whole. */
class Walk {
  readonly #source: Source;
  readonly #network: Network;
  #path: Hop[] = [];

  constructor(source: Source, network: Network) {
    this.#source = source;
    this.#network = network;
  }

  /** Every part of some ranges has to be reached. */
  all(ranges: readonly Range[], ports: readonly Ports[]): Reach {
    const found = this.#parts(ranges).map((part) => this.#try(() => this.#to(part, ports)));
    const worst = found.find(({ verdict }) => verdict === 'unreachable') ?? found.find(({ verdict }) => verdict === 'unknown');
    return worst ?? { verdict: 'reachable', path: unique(found.flatMap(({ path }) => path)) };
  }

  /**
   * Of the internet, less than a quarter may fail: what is denied for single networks is no lack of the internet.
   * @param partly what it is where more fails, but not all
   */
  most(ranges: readonly Range[], ports: readonly Ports[], partly: 'unreachable' | 'unknown' = 'unreachable'): Reach {
    const found = this.#parts(ranges).map((part) => ({ size: part.end - part.first, of: this.#try(() => this.#to(part, ports)) }));
    const widest = found.toSorted((a, b) => (b.size > a.size ? 1 : -1));
    const failed = widest.filter(({ of }) => of.verdict === 'unreachable');
    const doubtful = widest.filter(({ of }) => of.verdict === 'unknown');
    const sum = (some: typeof found) => some.reduce((total, { size }) => total + size, 0n);
    const isMuch = (some: typeof found) => some.length > 0 && 4n * sum(some) >= sum(found);
    const [first] = isMuch(failed) ? failed : isMuch([...failed, ...doubtful]) ? [...doubtful, ...failed] : [];
    if (first === undefined) return { verdict: 'reachable', path: unique(found.flatMap(({ of }) => of.path)) };
    return first.of.verdict === 'unreachable' && failed.length < found.length ? { ...first.of, verdict: partly } : first.of;
  }

  /** A service by its interface endpoint, its gateway endpoint, or its public addresses, in the order in which AWS takes them. */
  service(service: string): Reach {
    const { endpoints, region, serviceLists, prefixLists, dns } = this.#network;
    const names = (name: string) => isNamed(name, service, region);
    const named = endpoints.filter(
      ({ ServiceName = '', VpcEndpointType, PrivateDnsEnabled, DnsOptions }) =>
        names(ServiceName) &&
        dns &&
        VpcEndpointType === 'Interface' &&
        PrivateDnsEnabled === true &&
        DnsOptions?.PrivateDnsOnlyForInboundResolverEndpoint !== true,
    );
    // The service's name leads to it as long as it is there, whether or not it answers.
    // https://docs.aws.amazon.com/vpc/latest/privatelink/privatelink-access-aws-services.html
    if (named.length > 0)
      return this.#try(() => {
        for (const endpoint of named) this.#interfaceEndpoint(endpoint);
      });
    const list = [...serviceLists].find(([name]) => names(name))?.[1] ?? '';
    const addresses = (prefixLists.get(list) ?? []).map(rangeOf).filter(({ family }) => family === 'ipv4');
    if (addresses.length > 0) return this.all(addresses, https);
    // Which addresses it has is not known: where only some of the internet is reached, they may be among them.
    return this.most(publicParts('ipv4'), https, 'unknown');
  }

  /** Ranges in parts that every route and rule on any way out takes whole. */
  #parts(ranges: readonly Range[]): readonly Range[] {
    const { routeTables, natGateways, securityGroups, prefixLists, subnets, peerings, transitGateways } = this.#network;
    const nats = natGateways.flatMap(({ SubnetId }) => SubnetId ?? []);
    const passed = subnets.filter(({ SubnetId = '' }) => SubnetId === this.#source.subnet || nats.includes(SubnetId));
    const tables = [
      ...passed.flatMap((subnet) => routeTableOf(subnet, routeTables) ?? []),
      ...routeTables.filter(({ RouteTableId }) => natGateways.some((nat) => nat.RouteTableId === RouteTableId)),
    ];
    const groups = securityGroups.filter(({ GroupId = '' }) => this.#source.groups.includes(GroupId));
    const edges = [
      ...tables.flatMap(({ Routes = [] }) => Routes.flatMap((route) => rangesOf(route, prefixLists))),
      ...groups.flatMap(({ IpPermissionsEgress = [] }) => IpPermissionsEgress.flatMap((rule) => rangesOfRule(rule, prefixLists))),
      ...passed.flatMap((subnet) => this.#aclOf(subnet)?.Entries?.map(rangeIn) ?? []),
      ...subnets.flatMap((subnet) => rangesOfSubnet(subnet)),
      ...peerings.flatMap(rangesOfPeering),
      ...[...transitGateways.values()].flatMap(({ routes = [] }) => routes.flatMap(rangesOfTransit)),
    ];
    return ranges.flatMap((range) => cutAt(range, edges));
  }

  #try(walk: () => void): Reach {
    this.#path = [];
    try {
      this.#pass('subnet', this.#source.subnet);
      walk();
      return { verdict: 'reachable', path: unique(this.#path) };
    } catch (error) {
      if (error instanceof Ends) return { verdict: error.verdict, path: endingWith(error.hop, this.#path), why: error.message };
      if (error instanceof NetworkUnreadable) return { verdict: 'unknown', path: unique(this.#path), why: error.message };
      throw error;
    }
  }

  #pass(kind: Hop['kind'], ...ids: readonly string[]): void {
    this.#path.push(...ids.map((id) => ({ kind, id })));
  }

  #to(part: Range, ports: readonly Ports[]): void {
    const subnet = this.#subnet(this.#source.subnet);
    if (part.family === 'ipv6' && !this.#source.ipv6)
      throw fails('subnet', this.#source.subnet, 'the function has no IPv6 address there (Ipv6AllowedForDualStack)');
    const out = this.#groupsOut(part, [], ports);
    // Within a subnet neither its network ACL nor a route has a say.
    if (rangesOfSubnet(subnet).some((range) => overlaps(range, part))) return;
    this.#route(this.#tableOf(subnet), subnet, part, this.#throughAcl(subnet, part, out), 'none');
  }

  /** @param nat the kind of NAT gateway that the traffic has passed */
  #route(table: RouteTable, subnet: Subnet | undefined, part: Range, ports: readonly Ports[], nat: 'none' | 'private' | 'public'): void {
    const name = table.RouteTableId ?? '';
    this.#pass('route table', name);
    const route = routeTo(part, table, this.#network.prefixLists);
    if (route === undefined) throw fails('route table', name, `${name} has no route to ${textOf(part)}`);
    const { kind, id } = targetOf(route);
    if (route.State === 'blackhole')
      throw fails(kind, id, `the route of ${name} to ${destinationOf(route)} leads to ${id}, which is gone (blackhole)`);
    if (kind !== 'local') this.#pass(kind, id);
    switch (kind) {
      case 'local':
        this.#local(subnet, part, ports);
        return;
      case 'internet gateway':
        if (part.family === 'ipv4' && nat !== 'public')
          throw fails(
            kind,
            id,
            `${nat === 'none' ? 'functions have' : 'a private NAT gateway has'} no public IPv4 address, and ${id} takes nothing without one`,
          );
        if (subnet?.BlockPublicAccessStates?.InternetGatewayBlockMode === 'block-bidirectional')
          throw fails(kind, id, `public access is blocked for ${subnet.SubnetId}`);
        return;
      case 'egress-only internet gateway':
        if (part.family === 'ipv4') throw fails(kind, id, `${id} is for IPv6 alone`);
        return;
      case 'NAT gateway':
        if (nat !== 'none') throw fails(kind, id, `${name} leads from one NAT gateway to another, and not to an internet gateway`);
        this.#nat(id, subnet, part, ports);
        return;
      case 'VPC endpoint':
        this.#gatewayEndpoint(id);
        return;
      case 'virtual private gateway':
        return;
      case 'peering connection':
        this.#peering(id, table.VpcId, part);
        return;
      case 'transit gateway':
        this.#transit(id, subnet, part);
        return;
      default:
        throw doubt(kind, id, `what lies behind the ${kind} ${id} cannot be told`);
    }
  }

  /** To other subnets of the VPC: their network ACLs let it in, and answers out. */
  #local(subnet: Subnet | undefined, part: Range, ports: readonly Ports[]): void {
    for (const other of this.#network.subnets) {
      if (!rangesOfSubnet(other).some((range) => overlaps(range, part))) continue;
      this.#pass('subnet', other.SubnetId ?? '');
      this.#intoSubnet(other, rangesOfSubnet(subnet ?? {}, part.family), ports);
    }
  }

  #nat(id: string, subnet: Subnet | undefined, part: Range, ports: readonly Ports[]): void {
    const nat = this.#network.natGateways.find(({ NatGatewayId }) => NatGatewayId === id);
    if (nat?.State !== 'available') throw fails('NAT gateway', id, `${id} is ${nat?.State ?? 'gone'}`);
    if (part.family === 'ipv6') throw doubt('NAT gateway', id, 'IPv6 behind a NAT gateway (NAT64) is not understood');
    const kind = nat.ConnectivityType === 'private' ? 'private' : 'public';
    if (nat.SubnetId === undefined) {
      const table = this.#network.routeTables.find(({ RouteTableId }) => RouteTableId === nat.RouteTableId);
      if (table === undefined) throw doubt('NAT gateway', id, `the route table of ${id} is not known`);
      this.#route(table, undefined, part, ports, kind);
      return;
    }
    const own = this.#subnet(nat.SubnetId);
    const inside = own === subnet ? ports : this.#intoSubnet(own, rangesOfSubnet(subnet ?? {}, 'ipv4'), ports);
    this.#pass('subnet', nat.SubnetId);
    this.#route(this.#tableOf(own), own, part, this.#throughAcl(own, part, inside), kind);
  }

  #gatewayEndpoint(id: string): void {
    const endpoint = this.#network.endpoints.find(({ VpcEndpointId }) => VpcEndpointId === id);
    if (endpoint !== undefined && endpoint.VpcEndpointType !== 'Gateway')
      throw doubt('VPC endpoint', id, `${id} leads to an appliance (${endpoint.VpcEndpointType}), which lets through what it likes`);
    if (!isAvailable(endpoint)) throw fails('VPC endpoint', id, `${id} is ${endpoint?.State ?? 'gone'}`);
  }

  #peering(id: string, vpc: string | undefined, part: Range): void {
    const peering = this.#network.peerings.find(({ VpcPeeringConnectionId }) => VpcPeeringConnectionId === id);
    if (peering?.Status?.Code !== 'active') throw fails('peering connection', id, `${id} is ${peering?.Status?.Code ?? 'gone'}`);
    const { AccepterVpcInfo, RequesterVpcInfo } = peering;
    const ranges = rangesOfPeer(AccepterVpcInfo?.VpcId === vpc ? RequesterVpcInfo : AccepterVpcInfo);
    if (ranges.length === 0) throw doubt('peering connection', id, `the addresses behind ${id} are not known`);
    if (!ranges.some((range) => contains(range, part)))
      throw fails('peering connection', id, `${textOf(part)} lies outside the VPC behind ${id}`);
  }

  #transit(id: string, subnet: Subnet | undefined, part: Range): void {
    const gateway = this.#network.transitGateways.get(id);
    if (gateway === undefined) throw doubt('transit gateway', id, `${id} could not be read`);
    const { attachment, routes } = gateway;
    if (attachment?.State !== 'available')
      throw fails('transit gateway', id, `the VPC's attachment to ${id} is ${attachment?.State ?? 'gone'}`);
    const zones = (attachment.SubnetIds ?? []).map((one) => this.#subnet(one).AvailabilityZone);
    if (subnet?.AvailabilityZone !== undefined && !zones.includes(subnet.AvailabilityZone))
      throw fails('transit gateway', id, `the attachment to ${id} has no subnet in ${subnet.AvailabilityZone}`);
    if (routes === undefined) throw doubt('transit gateway', id, `the routes of ${id} cannot be read`);
    const leading = routes.flatMap((route) =>
      rangesOfTransit(route).flatMap((range) => (contains(range, part) ? [{ route, prefix: prefixOf(range) }] : [])),
    );
    const best = leading.toSorted((a, b) => b.prefix - a.prefix)[0]?.route;
    if (best === undefined) throw fails('transit gateway', id, `no route of ${id} leads to ${textOf(part)}`);
    if (best.State !== 'active')
      throw fails('transit gateway', id, `the route of ${id} to ${best.DestinationCidrBlock} is a ${best.State}`);
  }

  #interfaceEndpoint(endpoint: Endpoint): void {
    const { VpcEndpointId: id = '', SubnetIds = [], Groups = [] } = endpoint;
    if (!isAvailable(endpoint))
      throw fails('interface endpoint', id, `${id}, to which private DNS leads, is ${endpoint.State?.toLowerCase()}`);
    const source = this.#subnet(this.#source.subnet);
    const groups = Groups.flatMap(({ GroupId }) => (GroupId === undefined ? [] : [GroupId]));
    const from = rangesOfSubnet(source, 'ipv4');
    for (const subnet of SubnetIds.map((one) => this.#subnet(one))) {
      for (const range of rangesOfSubnet(subnet, 'ipv4')) {
        this.#groupsOut(range, groups, https);
        if (subnet === source) continue;
        this.#throughAcl(source, range, https);
        this.#intoSubnet(subnet, from, https);
      }
    }
    this.#pass('interface endpoint', id);
    const rules = this.#groups(groups).flatMap(({ IpPermissions = [] }) => IpPermissions);
    for (const range of from) {
      const inward = letThrough(rules, { range, groups: this.#source.groups }, https, this.#network.prefixLists);
      const names = groups.join(', ');
      if (inward.ports.length > 0) continue;
      if (inward.some) throw doubt('security group', names, `${names} lets only a part of ${this.#source.subnet} in to ${id}`);
      throw fails('security group', names, `${names} does not let the function in to ${id} on port 443`);
    }
    this.#pass('security group', ...groups);
  }

  /** Out of the function's security groups. @returns the ports that are left */
  #groupsOut(range: Range, groups: readonly string[], ports: readonly Ports[]): readonly Ports[] {
    const rules = this.#groups(this.#source.groups).flatMap(({ IpPermissionsEgress = [] }) => IpPermissionsEgress);
    const out = letThrough(rules, { range, groups }, ports, this.#network.prefixLists);
    const names = this.#source.groups.join(', ');
    if (out.ports.length === 0) {
      if (out.some) throw doubt('security group', names, `${names} lets out only to a part of ${textOf(range)}`);
      if (out.perhaps && isPrivate(range))
        throw doubt('security group', names, `${names} lets out to groups, and who in ${textOf(range)} is in them is not known`);
      throw fails('security group', names, `no egress rule of ${names} allows ${inWords(ports)} to ${textOf(range)}`);
    }
    this.#pass('security group', ...this.#source.groups);
    return out.ports;
  }

  /** Out of a subnet to addresses, and answers back in. */
  #throughAcl(subnet: Subnet, remote: Range, ports: readonly Ports[]): readonly Ports[] {
    const left = this.#acl(subnet, 'out', [remote], ports);
    this.#answers(subnet, 'in', [remote]);
    return left;
  }

  /** Into a subnet from addresses, and answers back out. */
  #intoSubnet(subnet: Subnet, from: readonly Range[], ports: readonly Ports[]): readonly Ports[] {
    const left = this.#acl(subnet, 'in', from, ports);
    this.#answers(subnet, 'out', from);
    return left;
  }

  #acl(subnet: Subnet, direction: Direction, remotes: readonly Range[], ports: readonly Ports[]): readonly Ports[] {
    const { NetworkAclId: id = '', Entries = [] } = this.#knownAclOf(subnet);
    let left = ports;
    for (const remote of remotes.flatMap((range) => cutAt(range, Entries.map(rangeIn)))) {
      const asked = left;
      const pieces = asked.flatMap((some) => portsCutAt(some, Entries));
      const deciding = pieces.map((some) => decidingEntry(Entries, { direction, remote, protocol: 'tcp', ports: some }));
      left = pieces.filter((_, index) => deciding[index]?.RuleAction === 'allow');
      if (left.length > 0) continue;
      const number = deciding[0]?.RuleNumber ?? 32_767;
      const which = number >= 32_767 ? `no entry of ${id} allows` : `entry ${number} of ${id} denies`;
      throw fails('network ACL', id, `${which} ${inWords(asked)} ${direction === 'in' ? 'in from' : 'out to'} ${textOf(remote)}`);
    }
    this.#pass('network ACL', id);
    return left;
  }

  #answers(subnet: Subnet, direction: Direction, remotes: readonly Range[]): void {
    const { NetworkAclId: id = '', Entries = [] } = this.#knownAclOf(subnet);
    for (const remote of remotes.flatMap((range) => cutAt(range, Entries.map(rangeIn)))) {
      for (const ports of portsCutAt(ephemeral, Entries)) {
        if (decidingEntry(Entries, { direction, remote, protocol: 'tcp', ports })?.RuleAction === 'allow') continue;
        const way = direction === 'in' ? 'back in from' : 'back out to';
        throw fails('network ACL', id, `${id} lets no answers ${way} ${textOf(remote)} on ${inWords([ports])}`);
      }
    }
  }

  #aclOf(subnet: Subnet): NetworkAcl | undefined {
    return this.#network.networkAcls.find(({ Associations = [] }) => Associations.some(({ SubnetId }) => SubnetId === subnet.SubnetId));
  }

  #knownAclOf(subnet: Subnet): NetworkAcl {
    const acl = this.#aclOf(subnet);
    if (acl === undefined) throw doubt('subnet', subnet.SubnetId ?? '', `the network ACL of ${subnet.SubnetId} is not known`);
    return acl;
  }

  #tableOf(subnet: Subnet): RouteTable {
    const table = routeTableOf(subnet, this.#network.routeTables);
    if (table === undefined) throw doubt('subnet', subnet.SubnetId ?? '', `the route table of ${subnet.SubnetId} is not known`);
    return table;
  }

  #subnet(id: string): Subnet {
    const subnet = this.#network.subnets.find(({ SubnetId }) => SubnetId === id);
    if (subnet === undefined) throw doubt('subnet', id, `${id} is not among the subnets of the VPC`);
    return subnet;
  }

  #groups(ids: readonly string[]): readonly SecurityGroup[] {
    return ids.map((id) => {
      const group = this.#network.securityGroups.find(({ GroupId }) => GroupId === id);
      if (group === undefined) throw doubt('security group', id, `${id} is gone`);
      return group;
    });
  }
}

function fails(kind: Hop['kind'], id: string, why: string): Ends {
  return new Ends('unreachable', { kind, id }, why);
}

function doubt(kind: Hop['kind'], id: string, why: string): Ends {
  return new Ends('unknown', { kind, id }, why);
}

function endingWith({ kind, id }: Hop, path: readonly Hop[]): readonly Hop[] {
  return [...unique(path).filter((hop) => hop.kind !== kind || hop.id !== id), { kind, id }];
}

function unique(hops: readonly Hop[]): readonly Hop[] {
  return [...new Map(hops.map((hop) => [`${hop.kind} ${hop.id}`, hop])).values()];
}

function rangesOfSubnet({ CidrBlock, Ipv6CidrBlockAssociationSet = [] }: Subnet, family?: Family): readonly Range[] {
  const six = Ipv6CidrBlockAssociationSet.flatMap(({ Ipv6CidrBlock }) => Ipv6CidrBlock ?? []);
  const ranges = [...(CidrBlock === undefined ? [] : [CidrBlock]), ...six].map(rangeOf);
  return family === undefined ? ranges : ranges.filter((range) => range.family === family);
}

function rangesOfPeer({ CidrBlockSet = [], Ipv6CidrBlockSet = [] }: PeeredVpc = {}): readonly Range[] {
  const blocks = [...CidrBlockSet.map(({ CidrBlock }) => CidrBlock), ...Ipv6CidrBlockSet.map(({ Ipv6CidrBlock }) => Ipv6CidrBlock)];
  return blocks.flatMap((block) => block ?? []).map(rangeOf);
}

function rangesOfPeering({ AccepterVpcInfo, RequesterVpcInfo }: Peering): readonly Range[] {
  return [...rangesOfPeer(AccepterVpcInfo), ...rangesOfPeer(RequesterVpcInfo)];
}

function rangesOfTransit({ DestinationCidrBlock }: TransitRoute): readonly Range[] {
  return DestinationCidrBlock === undefined ? [] : [rangeOf(DestinationCidrBlock)];
}

/** EC2 writes it in small letters, its documentation with a capital. */
function isAvailable(endpoint: Endpoint | undefined): boolean {
  return endpoint?.State?.toLowerCase() === 'available';
}

/** `port 443`, `ports 1024-65535`; of several ranges the first. */
function inWords([ports = allPorts]: readonly Ports[]): string {
  const [first, end] = ports;
  if (first === 0 && end === 65_535) return 'any port';
  return first === end ? `port ${first}` : `ports ${first}-${end}`;
}
