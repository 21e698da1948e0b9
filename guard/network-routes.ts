import { NetworkUnreadable } from './errors.ts';
import { contains, type Family, prefixOf, type Range, rangeOf, textOf } from './network-ranges.ts';

/** A route, as DescribeRouteTables answers. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Route.html */
export interface Route {
  readonly DestinationCidrBlock?: string | undefined;
  readonly DestinationIpv6CidrBlock?: string | undefined;
  readonly DestinationPrefixListId?: string | undefined;
  readonly GatewayId?: string | undefined;
  readonly NatGatewayId?: string | undefined;
  readonly EgressOnlyInternetGatewayId?: string | undefined;
  readonly TransitGatewayId?: string | undefined;
  readonly VpcPeeringConnectionId?: string | undefined;
  readonly NetworkInterfaceId?: string | undefined;
  readonly InstanceId?: string | undefined;
  readonly LocalGatewayId?: string | undefined;
  readonly CarrierGatewayId?: string | undefined;
  readonly CoreNetworkArn?: string | undefined;
  readonly OdbNetworkArn?: string | undefined;
  /** `active`, or `blackhole` where its target is gone or not attached. */
  readonly State?: string | undefined;
  /** `EnableVgwRoutePropagation` where a gateway told of it; else somebody made it. */
  readonly Origin?: string | undefined;
}

export interface RouteTable {
  readonly RouteTableId?: string | undefined;
  readonly VpcId?: string | undefined;
  readonly Routes?: readonly Route[] | undefined;
  readonly Associations?:
    | readonly {
        readonly SubnetId?: string | undefined;
        readonly Main?: boolean | undefined;
        readonly AssociationState?: { readonly State?: string | undefined } | undefined;
      }[]
    | undefined;
}

/** Prefix lists by their ids: the address ranges in them. */
export type PrefixLists = ReadonlyMap<string, readonly string[]>;

/** Where a route leads to. */
export type Target =
  | 'local'
  | 'internet gateway'
  | 'egress-only internet gateway'
  | 'NAT gateway'
  | 'VPC endpoint'
  | 'virtual private gateway'
  | 'transit gateway'
  | 'peering connection'
  | 'network interface'
  | 'local gateway'
  | 'carrier gateway'
  | 'core network'
  | 'other network';

/**
 * The route table of a subnet: its own, or else the main one of its VPC. Undefined where neither is among the tables.
 * https://docs.aws.amazon.com/vpc/latest/userguide/subnet-route-tables.html
 */
export function routeTableOf(
  { SubnetId, VpcId }: { readonly SubnetId?: string | undefined; readonly VpcId?: string | undefined },
  tables: readonly RouteTable[],
): RouteTable | undefined {
  const ofVpc = tables.filter((table) => table.VpcId === VpcId);
  const associated = (wanted: (association: { SubnetId?: string | undefined; Main?: boolean | undefined }) => boolean) =>
    ofVpc.find(({ Associations = [] }) =>
      Associations.some((one) => wanted(one) && !['disassociated', 'failed'].includes(one.AssociationState?.State ?? '')),
    );
  return (
    associated((association) => SubnetId !== undefined && association.SubnetId === SubnetId) ?? associated(({ Main }) => Main === true)
  );
}

/**
 * The active routes of a table to an internet gateway, by the address family of what they lead to.
 * @throws NetworkUnreadable where such a route names a prefix list whose entries are not given (see prefixListsIn)
 */
export function routesToInternetGateway({ Routes = [] }: RouteTable, lists: PrefixLists): Readonly<Record<Family, readonly Route[]>> {
  const active = Routes.filter((route) => route.State !== 'blackhole' && targetOf(route).kind === 'internet gateway');
  const ofFamily = (family: Family) => active.filter((route) => rangesOf(route, lists).some((range) => range.family === family));
  return { ipv4: ofFamily('ipv4'), ipv6: ofFamily('ipv6') };
}

/** The prefix lists that routes name as destinations. */
export function prefixListsIn(tables: readonly RouteTable[]): readonly string[] {
  const named = tables.flatMap(({ Routes = [] }) => Routes.flatMap(({ DestinationPrefixListId: id }) => (id === undefined ? [] : [id])));
  return [...new Set(named)].sort();
}

/** What a route leads to: its kind and its id. */
export function targetOf(route: Route): { readonly kind: Target; readonly id: string } {
  const { GatewayId, NatGatewayId, EgressOnlyInternetGatewayId, TransitGatewayId, VpcPeeringConnectionId, NetworkInterfaceId } = route;
  if (GatewayId !== undefined)
    return { kind: gateways.find(([prefix]) => GatewayId.startsWith(prefix))?.[1] ?? 'other network', id: GatewayId };
  if (NatGatewayId !== undefined) return { kind: 'NAT gateway', id: NatGatewayId };
  if (EgressOnlyInternetGatewayId !== undefined) return { kind: 'egress-only internet gateway', id: EgressOnlyInternetGatewayId };
  if (TransitGatewayId !== undefined) return { kind: 'transit gateway', id: TransitGatewayId };
  if (VpcPeeringConnectionId !== undefined) return { kind: 'peering connection', id: VpcPeeringConnectionId };
  if (NetworkInterfaceId !== undefined || route.InstanceId !== undefined)
    return { kind: 'network interface', id: NetworkInterfaceId ?? route.InstanceId ?? '' };
  if (route.LocalGatewayId !== undefined) return { kind: 'local gateway', id: route.LocalGatewayId };
  if (route.CarrierGatewayId !== undefined) return { kind: 'carrier gateway', id: route.CarrierGatewayId };
  if (route.CoreNetworkArn !== undefined) return { kind: 'core network', id: route.CoreNetworkArn };
  return { kind: 'other network', id: route.OdbNetworkArn ?? '' };
}

const gateways: readonly (readonly [string, Target])[] = [
  ['local', 'local'],
  ['igw-', 'internet gateway'],
  ['vpce-', 'VPC endpoint'],
  ['vgw-', 'virtual private gateway'],
];

/** A route's destination as AWS writes it: an address range, or a prefix list's id. */
export function destinationOf({ DestinationCidrBlock, DestinationIpv6CidrBlock, DestinationPrefixListId }: Route): string {
  return DestinationCidrBlock ?? DestinationIpv6CidrBlock ?? DestinationPrefixListId ?? '';
}

/** The address ranges that a route leads to. @throws NetworkUnreadable where the entries of its prefix list are not given */
export function rangesOf({ DestinationPrefixListId: id, ...route }: Route, lists: PrefixLists): readonly Range[] {
  if (id === undefined) return [rangeOf(destinationOf(route))];
  const entries = lists.get(id);
  if (entries === undefined) throw new NetworkUnreadable(`the entries of the prefix list ${id} are not known`);
  return entries.map(rangeOf);
}

/**
 * The route that traffic to a range takes: the one with the longest prefix; of several, one that somebody made before one
 * of a prefix list, and that before one that was propagated. The range must not be held by a route in part: see cutAt.
 * https://docs.aws.amazon.com/vpc/latest/userguide/route-tables-priority.html
 * @throws NetworkUnreadable where two prefix lists lead to different targets, of which AWS takes either
 */
export function routeTo(range: Range, { Routes = [] }: RouteTable, lists: PrefixLists): Route | undefined {
  const found = Routes.flatMap((route) => {
    const prefixes = rangesOf(route, lists).flatMap((own) => (contains(own, range) ? [prefixOf(own)] : []));
    return prefixes.length === 0 ? [] : [{ route, prefix: Math.max(...prefixes), rank: rankOf(route) }];
  }).sort((a, b) => b.prefix - a.prefix || a.rank - b.rank);
  const [best] = found;
  if (best === undefined) return undefined;
  const rival = found.find(({ route, prefix, rank }) => prefix === best.prefix && rank === best.rank && !sameTarget(route, best.route));
  if (rival === undefined) return best.route;
  throw new NetworkUnreadable(`${destinationOf(best.route)} and ${destinationOf(rival.route)} both lead to ${textOf(range)}`);
}

function rankOf({ DestinationPrefixListId, Origin }: Route): number {
  if (Origin === 'EnableVgwRoutePropagation') return 2;
  return DestinationPrefixListId === undefined ? 0 : 1;
}

function sameTarget(a: Route, b: Route): boolean {
  return a.State === b.State && targetOf(a).kind === targetOf(b).kind && targetOf(a).id === targetOf(b).id;
}

type Shown = Route & { readonly InstanceOwnerId?: string | undefined };

/** A route as CreateRoute and ReplaceRoute take it. */
export function bare({ State: _, Origin: __, InstanceOwnerId: ___, InstanceId, NetworkInterfaceId, ...route }: Shown): Route {
  const own = NetworkInterfaceId === undefined ? { InstanceId } : { NetworkInterfaceId };
  return JSON.parse(JSON.stringify({ ...route, ...own })) as Route;
}
