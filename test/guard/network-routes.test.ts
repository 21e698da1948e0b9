import fc from 'fast-check';
import { NetworkUnreadable } from '../../guard/errors.ts';
import { cutAt, isPrivate, overlaps, publicParts, rangeOf, textOf } from '../../guard/network-ranges.ts';
import {
  destinationOf,
  prefixListsIn,
  type Route,
  type RouteTable,
  rangesOf,
  routesToInternetGateway,
  routeTableOf,
  routeTo,
  targetOf,
} from '../../guard/network-routes.ts';

const VpcId = 'vpc-1';
const local: Route = { DestinationCidrBlock: '10.0.0.0/16', GatewayId: 'local', State: 'active', Origin: 'CreateRouteTable' };
const toNat: Route = { DestinationCidrBlock: '0.0.0.0/0', NatGatewayId: 'nat-1', State: 'active', Origin: 'CreateRoute' };
const toInternet: Route = { DestinationCidrBlock: '0.0.0.0/0', GatewayId: 'igw-1', State: 'active', Origin: 'CreateRoute' };
const table = (...Routes: Route[]): RouteTable => ({ RouteTableId: 'rtb-1', VpcId, Routes });
const none = new Map<string, readonly string[]>();

describe('the route table of a subnet', () => {
  const main = { RouteTableId: 'rtb-main', VpcId, Associations: [{ Main: true }] };
  const own = {
    RouteTableId: 'rtb-own',
    VpcId,
    Associations: [{ Main: false, SubnetId: 'subnet-1', AssociationState: { State: 'associated' } }],
  };
  const foreign = { RouteTableId: 'rtb-foreign', VpcId: 'vpc-2', Associations: [{ Main: true }, { SubnetId: 'subnet-1' }] };
  const left = {
    RouteTableId: 'rtb-left',
    VpcId,
    Associations: [{ SubnetId: 'subnet-1', AssociationState: { State: 'disassociated' } }],
  };
  const edge = { RouteTableId: 'rtb-edge', VpcId, Associations: [{ Main: false }] };

  it.each([
    ['its own', 'subnet-1', [main, foreign, own], 'rtb-own'],
    ['the main one', 'subnet-2', [foreign, own, edge, main], 'rtb-main'],
    ['the main one, where its own was taken away', 'subnet-1', [left, main], 'rtb-main'],
    ['none', 'subnet-2', [own, foreign], undefined],
    ['the main one for no subnet', undefined, [edge, own, main], 'rtb-main'],
  ])('%s', (_, SubnetId, tables, expected) => {
    expect(routeTableOf({ SubnetId, VpcId }, tables)?.RouteTableId).toBe(expected);
  });
});

describe('what a route leads to', () => {
  it.each<[string, Route, string]>([
    ['local', { GatewayId: 'local' }, 'local'],
    ['internet gateway', { GatewayId: 'igw-1' }, 'igw-1'],
    ['VPC endpoint', { GatewayId: 'vpce-1' }, 'vpce-1'],
    ['virtual private gateway', { GatewayId: 'vgw-1' }, 'vgw-1'],
    ['other network', { GatewayId: 'xyz-1' }, 'xyz-1'],
    ['NAT gateway', { NatGatewayId: 'nat-1' }, 'nat-1'],
    ['egress-only internet gateway', { EgressOnlyInternetGatewayId: 'eigw-1' }, 'eigw-1'],
    ['transit gateway', { TransitGatewayId: 'tgw-1' }, 'tgw-1'],
    ['peering connection', { VpcPeeringConnectionId: 'pcx-1' }, 'pcx-1'],
    ['network interface', { NetworkInterfaceId: 'eni-1', InstanceId: 'i-1' }, 'eni-1'],
    ['network interface', { InstanceId: 'i-1' }, 'i-1'],
    ['local gateway', { LocalGatewayId: 'lgw-1' }, 'lgw-1'],
    ['carrier gateway', { CarrierGatewayId: 'cagw-1' }, 'cagw-1'],
    ['core network', { CoreNetworkArn: 'arn:aws:networkmanager::1:core-network/c' }, 'arn:aws:networkmanager::1:core-network/c'],
    ['other network', { OdbNetworkArn: 'arn:aws:odb:us-east-1:1:odb-network/o' }, 'arn:aws:odb:us-east-1:1:odb-network/o'],
    ['other network', {}, ''],
  ])('%s: %j', (kind, route, id) => expect(targetOf(route)).toEqual({ kind, id }));
});

describe('the route that traffic takes', () => {
  const list: Route = { DestinationPrefixListId: 'pl-1', GatewayId: 'vpce-1', State: 'active', Origin: 'CreateRoute' };
  const told: Route = { DestinationCidrBlock: '192.0.2.0/24', GatewayId: 'vgw-1', State: 'active', Origin: 'EnableVgwRoutePropagation' };
  const made: Route = { DestinationCidrBlock: '192.0.2.0/24', VpcPeeringConnectionId: 'pcx-1', State: 'active', Origin: 'CreateRoute' };
  const lists = new Map([['pl-1', ['192.0.2.0/24', '198.51.100.0/24']]]);

  it.each<[string, string, Route[], string | undefined]>([
    ['none', '198.51.100.7/32', [local], undefined],
    ['the default', '198.51.100.7/32', [local, toNat], 'nat-1'],
    ['the more specific', '10.0.3.4/32', [toNat, local], 'local'],
    [
      'the most specific, though it leads nowhere',
      '10.9.0.1/32',
      [toNat, { ...toInternet, DestinationCidrBlock: '10.9.0.0/16', State: 'blackhole' }],
      'igw-1',
    ],
    ['an entry of a prefix list', '198.51.100.7/32', [toNat, list], 'vpce-1'],
    ['one that somebody made before a prefix list', '192.0.2.1/32', [list, made], 'pcx-1'],
    ['a prefix list before one that was propagated', '192.0.2.1/32', [told, list], 'vpce-1'],
    ['of another family', '2001:db8::1/128', [toNat], undefined],
    ['IPv6', '2600::1/128', [toNat, { DestinationIpv6CidrBlock: '::/0', EgressOnlyInternetGatewayId: 'eigw-1' }], 'eigw-1'],
  ])('%s', (_, to, routes, expected) => {
    const route = routeTo(rangeOf(to), table(...routes), lists);
    expect(route === undefined ? undefined : targetOf(route).id).toBe(expected);
  });

  it('is unknown where two prefix lists lead elsewhere, and where a list was not read', () => {
    const other: Route = { DestinationPrefixListId: 'pl-2', GatewayId: 'vpce-2', State: 'active' };
    const both = new Map([...lists, ['pl-2', ['192.0.2.0/24']]]);
    expect(() => routeTo(rangeOf('192.0.2.1/32'), table(list, other), both)).toThrow(NetworkUnreadable);
    expect(targetOf(routeTo(rangeOf('192.0.2.1/32'), table(list, { ...other, GatewayId: 'vpce-1' }), both) ?? {}).id).toBe('vpce-1');
    expect(() => routeTo(rangeOf('192.0.2.1/32'), table(list), none)).toThrow('pl-1');
  });
});

describe('routes to an internet gateway', () => {
  const list: Route = { DestinationPrefixListId: 'pl-1', GatewayId: 'igw-1', State: 'active' };
  const six: Route = { DestinationIpv6CidrBlock: '::/0', GatewayId: 'igw-1', State: 'active' };

  it.each<[string, Route[], Route[], Route[]]>([
    ['none', [local, toNat], [], []],
    ['IPv4', [local, toInternet], [toInternet], []],
    ['IPv6 alone', [toNat, six], [], [six]],
    ['a prefix list, by what is in it', [list], [list], []],
    [
      'a part of the internet',
      [{ ...toInternet, DestinationCidrBlock: '203.0.113.0/24' }],
      [{ ...toInternet, DestinationCidrBlock: '203.0.113.0/24' }],
      [],
    ],
    ['a gateway that is not attached', [{ ...toInternet, State: 'blackhole' }], [], []],
  ])('%s', (_, routes, ipv4, ipv6) => {
    expect(routesToInternetGateway(table(...routes), new Map([['pl-1', ['203.0.113.0/24']]]))).toEqual({ ipv4, ipv6 });
  });

  it('needs the prefix lists that it names', () => {
    expect(prefixListsIn([table(list, local), table({ ...list, DestinationPrefixListId: 'pl-0' }, list)])).toEqual(['pl-0', 'pl-1']);
    expect(() => routesToInternetGateway(table(list), none)).toThrow(NetworkUnreadable);
  });
});

describe('for any routes', () => {
  const block = fc
    .tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 32 }))
    .map(([a, b, prefix]) => `${a}.${b}.0.0/${prefix}`);
  const route = fc.record({
    DestinationCidrBlock: block,
    NatGatewayId: fc.constantFrom('nat-1', 'nat-2'),
    State: fc.constantFrom('active', 'blackhole'),
    Origin: fc.constantFrom('CreateRoute', 'EnableVgwRoutePropagation'),
  });
  // A table holds a destination once.
  const routes = fc.uniqueArray(route, { selector: (one) => textOf(rangeOf(one.DestinationCidrBlock)), maxLength: 8 });
  const address = block.map((text) => rangeOf(text.replace(/\/\d+$/, '/32')));

  it('their order does not matter', () => {
    fc.assert(
      fc.property(routes, address, fc.infiniteStream(fc.nat()), (some, to, keys) => {
        const shuffled = some.map((one) => [keys.next().value, one] as const).sort((a, b) => Number(a[0]) - Number(b[0]));
        expect(routeTo(to, table(...shuffled.map(([, one]) => one)), none)).toEqual(routeTo(to, table(...some), none));
      }),
    );
  });

  it('a route to elsewhere changes nothing', () => {
    fc.assert(
      fc.property(routes, route, address, (some, more, to) => {
        fc.pre(!overlaps(rangeOf(destinationOf(more)), to));
        expect(routeTo(to, table(...some, more), none)).toEqual(routeTo(to, table(...some), none));
      }),
    );
  });

  it('the longest prefix wins, whatever else is there', () => {
    fc.assert(
      fc.property(routes, address, (some, to) => {
        const others = some.filter((one) => !one.DestinationCidrBlock.endsWith('/32'));
        const exact: Route = { DestinationCidrBlock: textOf(to), NatGatewayId: 'nat-3', State: 'blackhole' };
        expect(routeTo(to, table(...others, exact), none)).toBe(exact);
      }),
    );
  });

  it('every part of a range takes one route, whole', () => {
    fc.assert(
      fc.property(routes, block, (some, text) => {
        const parts = cutAt(
          rangeOf(text),
          some.flatMap((one) => rangesOf(one, none)),
        );
        for (const part of parts)
          for (const edge of [part.first, part.end - 1n])
            expect(routeTo({ ...part, first: edge, end: edge + 1n }, table(...some), none)).toBe(routeTo(part, table(...some), none));
      }),
    );
  });
});

describe('ranges', () => {
  it.each(['0.0.0.0/0', '10.0.0.0/8', '203.0.113.7/32', '::/0', '2001:db8::/33', 'fd00::/8'])('%s reads as it is written', (text) => {
    expect(textOf(rangeOf(text))).toBe(text);
  });

  it('are cut where others begin and end', () => {
    const parts = cutAt(rangeOf('0.0.0.0/0'), ['10.0.0.0/8', '192.168.0.0/16', '::/0'].map(rangeOf));
    expect(parts.map(textOf)).toEqual([
      '0.0.0.0-9.255.255.255',
      '10.0.0.0/8',
      '11.0.0.0-192.167.255.255',
      '192.168.0.0/16',
      '192.169.0.0-255.255.255.255',
    ]);
  });

  it('are private where nobody on the internet has their addresses', () => {
    const found = ['10.1.0.0/16', '172.16.0.0/12', '100.64.0.0/10', 'fd00::/8', '8.8.8.8/32', '172.0.0.0/8', '2600::/12', '0.0.0.0/0'];
    expect(found.filter((text) => isPrivate(rangeOf(text)))).toEqual(['10.1.0.0/16', '172.16.0.0/12', '100.64.0.0/10', 'fd00::/8']);
    expect(publicParts('ipv6').map(textOf)).toEqual(['2000::/3']);
    expect(publicParts('ipv4').some((part) => overlaps(part, rangeOf('10.0.0.0/8')))).toBe(false);
  });
});
