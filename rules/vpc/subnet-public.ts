import * as z from 'zod';
import {
  createRoute,
  deleteRoute,
  describeNetworkInterfaces,
  describeRouteTables,
  describeSubnets,
  getManagedPrefixListEntries,
  type RouteTable,
  replaceRoute,
  type Subnet,
} from '../../aws/ec2.ts';
import { getFunctionConfiguration, listAliases } from '../../aws/lambda.ts';
import type { Handle } from '../../guard/call.ts';
import { type ApiEvent, text } from '../../guard/cloudtrail.ts';
import { ifPresent, NetworkUnreadable } from '../../guard/errors.ts';
import type { Estate } from '../../guard/estate.ts';
import {
  bare,
  destinationOf,
  type PrefixLists,
  prefixListsIn,
  type Route,
  routesToInternetGateway,
  routeTableOf,
  targetOf,
} from '../../guard/network-routes.ts';
import { placed } from '../../guard/placement.ts';
import { type CallStep, cloudTrail, defineRule, type Violation } from '../../guard/rule.ts';
import { namesOf, othersAmong, tagsOf } from '../../guard/security-group.ts';
import { networkSubject, type Subject } from '../../guard/subject.ts';
import { evaluateSubnets, subnetOf, subnetSubject } from '../../guard/subnet.ts';

/** The route table whose routes changed, or that a subnet has now; and the subnet itself where the event names it. */
function rerouted({ request, ...place }: ApiEvent): readonly Subject[] {
  const [subnet, table] = [text(request, 'subnetId'), text(request, 'routeTableId')];
  if (subnet !== undefined) return [subnetSubject(subnet, place)];
  return table === undefined ? [] : [networkSubject('AWS::EC2::RouteTable', table, place)];
}

export const rule = defineRule({
  id: 'subnet-public',
  practice: 'vpc',
  severity: 'high',
  title: 'A subnet of functions routes to an internet gateway',
  on: [
    placed(),
    cloudTrail(
      'ec2',
      ['CreateRoute', 'ReplaceRoute', 'DeleteRoute', 'AssociateRouteTable', 'ReplaceRouteTableAssociation', 'DeleteSubnet'],
      rerouted,
    ),
  ],
  check: [
    getFunctionConfiguration,
    listAliases,
    describeSubnets,
    describeRouteTables,
    getManagedPrefixListEntries,
    describeNetworkInterfaces,
  ],
  fix: [deleteRoute, replaceRoute],
  undo: [createRoute, replaceRoute],
  delay: 0,
  probation: false,
  params: z.object({}),

  async evaluate(subject, { aws, estate, event, now }) {
    return await evaluateSubnets(
      subject,
      { aws, estate, now },
      async (used) => {
        const subnets = await aws.describeSubnets({ subnets: [...used.keys()] });
        if (subnets.length === 0) return [];
        const { tables, lists } = await routesOf(subnets, aws);
        const violations: Violation[] = [];
        const kept = new Set<string>();
        for (const subnet of subnets) {
          const table = tableOf(subnet, tables);
          const routes = publicRoutes(table, lists);
          if (routes.length === 0) {
            if (!kept.has(table.RouteTableId ?? '')) await keep(table, subject, { estate, now });
            kept.add(table.RouteTableId ?? '');
            continue;
          }
          const by = await madeByEvents(table, routes, subject, { estate, event });
          violations.push(violationOf(subnet, table, routes, by, used.get(subnet.SubnetId ?? '') ?? [], subject));
        }
        return violations;
      },
      async ({ arn }) => {
        const [table] = await aws.describeRouteTables({ tables: [arn.slice(arn.lastIndexOf('/') + 1)] });
        return table === undefined ? [] : await subnetsWith(table, aws);
      },
    );
  },

  distinguishes: ({ routes }) => routes,

  async plan({ subject, evidence }, { aws, estate }) {
    const [subnet] = await aws.describeSubnets({ subnets: [subnetOf(subject)] });
    if (subnet === undefined) return { steps: [], refused: `${subnetOf(subject)} is gone.` };
    const { tables, lists } = await routesOf([subnet], aws);
    const table = tableOf(subnet, tables);
    const { RouteTableId, Associations = [] } = table;
    const { ipv4, ipv6 } = routesToInternetGateway(table, lists);
    const routes = [...new Set([...ipv4, ...ipv6])];
    const { routeTable, made, replaced } = madeSchema.parse(evidence);
    const here = routeTable === RouteTableId ? routes : [];
    const own = here.filter((route) => made.includes(destinationOf(route)));
    const before = replaced.length === 0 ? [] : await keptRoutes(table, subject, estate);
    const back = here.flatMap((route) => {
      const former = before.find((one) => destinationOf(one) === destinationOf(route));
      return former === undefined || !replaced.includes(destinationOf(route)) ? [] : [{ route, former }];
    });
    const replacing = back.map(({ route, former }): CallStep => {
      const undo = { call: 'replaceRoute', input: { RouteTableId, ...bare(route) } };
      return { call: 'replaceRoute', input: { RouteTableId, ...former }, undo: [undo] };
    });
    const deleting = own.map((route): CallStep => {
      const { DestinationCidrBlock, DestinationIpv6CidrBlock, DestinationPrefixListId, GatewayId } = route;
      const input = { RouteTableId, ...definedOf({ DestinationCidrBlock, DestinationIpv6CidrBlock, DestinationPrefixListId }) };
      return { call: 'deleteRoute', input, undo: [{ call: 'createRoute', input: { ...input, GatewayId } }] };
    });
    const steps = [...deleting, ...replacing];
    if (steps.length === 0)
      return {
        steps,
        refused: `No event that the guard saw made the route of ${RouteTableId} to ${routes[0]?.GatewayId ?? 'an internet gateway'}: whoever made it may need it.`,
      };
    const left = routes.filter((route) => !own.includes(route) && !back.some((one) => one.route === route));
    const remains = left.map((route) => `${destinationOf(route)} → ${route.GatewayId}`);
    if (Associations.some(({ GatewayId }) => GatewayId !== undefined))
      return { steps, remains, refused: `${RouteTableId} also routes what comes in through a gateway.` };
    const all = await subnetsWith(table, aws);
    const others = othersAmong(await aws.describeNetworkInterfaces({ subnets: all }));
    if (others.length === 0) return { steps, remains };
    return {
      steps,
      remains,
      refused: `In the subnets of ${RouteTableId} live more than functions: ${namesOf(others)} may need the route.`,
    };
  },

  async state(subject, { aws }) {
    const [subnet] = await aws.describeSubnets({ subnets: [subnetOf(subject)] });
    if (subnet === undefined) return undefined;
    const { tables } = await routesOf([subnet], aws);
    const { RouteTableId, Routes = [] } = tableOf(subnet, tables);
    return { table: RouteTableId, routes: Routes.map((route) => `${destinationOf(route)} ${targetOf(route).id}`).sort() };
  },
});

type Reader = Handle<[typeof describeSubnets, typeof describeRouteTables, typeof getManagedPrefixListEntries]>;

/** What of the evidence says who made the routes. */
const madeSchema = z.object({ routeTable: z.string(), made: z.array(z.string()), replaced: z.array(z.string()).default([]) });

interface PublicRoute {
  readonly family: 'ipv4' | 'ipv6';
  readonly destination: string;
  readonly gateway: string;
}

/** The route tables of the VPCs of some subnets, and the prefix lists that they name. */
async function routesOf(subnets: readonly Subnet[], aws: Reader): Promise<{ tables: readonly RouteTable[]; lists: PrefixLists }> {
  const tables: RouteTable[] = [];
  for (const vpc of new Set(subnets.map(({ VpcId = '' }) => VpcId))) tables.push(...(await aws.describeRouteTables({ vpc })));
  const own = subnets.map((subnet) => tableOf(subnet, tables));
  const gatewaysOnly = own.map(({ Routes = [], ...table }) => ({
    ...table,
    Routes: Routes.filter(({ GatewayId = '' }) => GatewayId.startsWith('igw-')),
  }));
  const lists = new Map<string, readonly string[]>();
  for (const id of prefixListsIn(gatewaysOnly)) lists.set(id, (await ifPresent(aws.getManagedPrefixListEntries({ prefixList: id }))) ?? []);
  return { tables, lists };
}

function tableOf(subnet: Subnet, tables: readonly RouteTable[]): RouteTable {
  const table = routeTableOf(subnet, tables);
  if (table === undefined) throw new NetworkUnreadable(`the route table of ${subnet.SubnetId} is not shown`);
  return table as RouteTable;
}

/** The subnets of a route table; the main one has every subnet of its VPC that has none of its own. */
async function subnetsWith(table: RouteTable, aws: Reader): Promise<readonly string[]> {
  const { VpcId = '', Associations = [] } = table;
  if (!Associations.some(({ Main }) => Main === true)) return Associations.flatMap(({ SubnetId }) => SubnetId ?? []);
  const tables = await aws.describeRouteTables({ vpc: VpcId });
  const subnets = await aws.describeSubnets({ vpc: VpcId });
  return subnets.flatMap((subnet) => (tableOf(subnet, tables).RouteTableId === table.RouteTableId ? (subnet.SubnetId ?? []) : []));
}

function publicRoutes(table: RouteTable, lists: PrefixLists): readonly PublicRoute[] {
  const byFamily = routesToInternetGateway(table, lists);
  return (['ipv4', 'ipv6'] as const).flatMap((family) =>
    byFamily[family].map((route) => ({ family, destination: destinationOf(route), gateway: route.GatewayId ?? '' })),
  );
}

function violationOf(
  { SubnetId = '', VpcId: vpc = '', Tags }: Subnet,
  { RouteTableId: routeTable = '', Associations = [] }: RouteTable,
  routes: readonly PublicRoute[],
  { made, replaced }: MadeByEvents,
  functions: readonly string[],
  place: Subject,
): Violation {
  const destinations = [...new Set(routes.map(({ destination }) => destination))].join(' and ');
  const has = (wanted: PublicRoute['family']) => routes.some(({ family }) => family === wanted);
  // https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc-internet.html
  const for4 =
    'functions have no public IPv4 address, so that they cannot reach the internet by it, while whatever else is put there can be reached';
  const for6 = 'an IPv6 address there is a public one';
  const why = [...(has('ipv4') ? [for4] : []), ...(has('ipv6') ? [for6] : [])].join('; ');
  const mainTable = !Associations.some((association) => association.SubnetId === SubnetId);
  return {
    subject: subnetSubject(SubnetId, place),
    summary: `The subnet ${SubnetId} of functions routes ${destinations} to ${routes[0]?.gateway}: ${why}.`,
    evidence: { vpc, routeTable, mainTable, routes, made, ...(replaced.length === 0 ? {} : { replaced }), functions },
    tags: tagsOf(Tags),
  };
}

const id = 'subnet-public';

function tableSubject({ RouteTableId = '' }: RouteTable, place: Subject): Subject {
  return networkSubject('AWS::EC2::RouteTable', RouteTableId, place);
}

/** Where the routes of a table that leads to no internet gateway lead, so that one which somebody replaces can be led there again. */
async function keep(table: RouteTable, place: Subject, { estate, now }: { readonly estate: Estate; readonly now: number }): Promise<void> {
  const made = (table.Routes ?? []).filter(({ GatewayId, State }) => GatewayId !== 'local' && State === 'active');
  await estate.recordKept(id, tableSubject(table, place).arn, { state: made.slice(0, 100).map(bare), asOf: now });
}

async function keptRoutes(table: RouteTable, place: Subject, estate: Estate): Promise<readonly Route[]> {
  return ((await estate.kept(id, tableSubject(table, place).arn))?.state ?? []) as readonly Route[];
}

/** Destinations by how the routes there came about. */
interface MadeByEvents {
  readonly made: readonly string[];
  readonly replaced: readonly string[];
}

/**
 * The destinations whose routes events made. Who made a route is written down when its event comes, because a remediator, which
 * looks again, has no event. A route that took the place of another is no one's to delete: it led elsewhere before, and may again.
 */
async function madeByEvents(
  table: RouteTable,
  routes: readonly PublicRoute[],
  place: Subject,
  { estate, event }: { readonly estate: Estate; readonly event: ApiEvent | undefined },
): Promise<MadeByEvents> {
  const named = event?.request ?? {};
  const destination =
    text(named, 'destinationCidrBlock') ?? text(named, 'destinationIpv6CidrBlock') ?? text(named, 'destinationPrefixListId');
  const { arn } = tableSubject(table, place);
  const [made, replaced]: [string[], string[]] = [[], []];
  for (const route of routes) {
    const key = `${arn} ${route.destination}`;
    if (event !== undefined && text(named, 'routeTableId') === table.RouteTableId && destination === route.destination) {
      const led = text(named, 'gatewayId');
      const state = event.operation === 'CreateRoute' ? led : `replaced by ${led}`;
      await estate.recordKept(id, key, { state, asOf: Date.parse(event.time) });
    }
    const state = (await estate.kept(id, key))?.state;
    if (state === route.gateway) made.push(route.destination);
    if (state === `replaced by ${route.gateway}`) replaced.push(route.destination);
  }
  return { made: [...new Set(made)], replaced: [...new Set(replaced)] };
}

function definedOf<T extends object>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
}
