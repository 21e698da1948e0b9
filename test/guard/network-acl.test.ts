import fc from 'fast-check';
import { type AclEntry, allPorts, decidingEntry, openings, portsCutAt } from '../../guard/network-acl.ts';
import { rangeOf } from '../../guard/network-ranges.ts';

const everyone = { Protocol: '-1', CidrBlock: '0.0.0.0/0', RuleAction: 'allow', Egress: false } as const;
const allow = (RuleNumber: number, more: AclEntry = {}): AclEntry => ({ ...everyone, RuleNumber, ...more });
const deny = (RuleNumber: number, more: AclEntry = {}): AclEntry => ({ ...everyone, RuleNumber, RuleAction: 'deny', ...more });
const tcp = (From: number, To: number): AclEntry => ({ Protocol: '6', PortRange: { From, To } });
const out: AclEntry = { Egress: true };
const six: AclEntry = { CidrBlock: undefined, Ipv6CidrBlock: '::/0' };
const end = [deny(32_767), deny(32_767, out)];

describe('the ways that an ACL leaves open', () => {
  it.each<[string, AclEntry[], string[]]>([
    ['nothing but what AWS puts at the end', end, []],
    ['no entry at all', [], []],
    ['the default ACL', [allow(100), allow(100, out), ...end], ['in ipv4', 'out ipv4']],
    [
      'the default ACL with IPv6',
      [allow(100), allow(101, six), allow(100, out), allow(101, { ...six, ...out })],
      ['in ipv4', 'in ipv6', 'out ipv4', 'out ipv6'],
    ],
    ['out alone', [allow(100, out), ...end], ['out ipv4']],
    ['a denial before it', [deny(90), allow(100), ...end], []],
    ['a denial behind it', [allow(100), deny(110), ...end], ['in ipv4']],
    ['written down in another order', [deny(110), allow(100)], ['in ipv4']],
    ['all ports of TCP', [allow(100, tcp(0, 65_535))], ['in ipv4']],
    ['all ports of UDP', [allow(100, { ...tcp(0, 65_535), Protocol: '17' })], ['in ipv4']],
    ['all ports in two entries', [allow(100, tcp(0, 1023)), allow(110, tcp(1024, 65_535))], ['in ipv4']],
    ['the ephemeral ports', [allow(100, tcp(1024, 65_535))], []],
    ['one port less, by a denial', [deny(90, tcp(22, 22)), allow(100)], ['in ipv4']],
    ['one port less of each protocol', [deny(90, tcp(22, 22)), deny(91, { ...tcp(22, 22), Protocol: '17' }), allow(100)], []],
    ['both halves', [allow(100, { CidrBlock: '0.0.0.0/1' }), allow(110, { CidrBlock: '128.0.0.0/1' })], ['in ipv4']],
    ['a small part denied', [deny(90, { CidrBlock: '192.0.2.0/24' }), allow(100)], ['in ipv4']],
    ['more than half denied', [deny(90, { CidrBlock: '0.0.0.0/1' }), deny(91, { CidrBlock: '192.0.2.0/24' }), allow(100)], []],
    ['the own network', [allow(100, { CidrBlock: '10.0.0.0/8' })], []],
    ['ICMP', [allow(100, { Protocol: '1' })], []],
  ])('%s', (_, entries, expected) => expect(openings(entries)).toEqual(expected));
});

describe('the entry that decides', () => {
  const asks = { direction: 'in', remote: rangeOf('192.0.2.7/32'), protocol: 'tcp', ports: [443, 443] } as const;

  it.each<[string, AclEntry[], number | undefined]>([
    ['the lowest number', [deny(200), allow(100)], 100],
    ['not one for other addresses', [allow(100, { CidrBlock: '10.0.0.0/8' }), deny(200)], 200],
    ['not one for other ports', [allow(100, tcp(80, 80)), deny(200)], 200],
    ['not one for another protocol', [allow(100, { ...tcp(443, 443), Protocol: '17' }), deny(200)], 200],
    ['not one for the other direction', [allow(100, out), deny(200)], 200],
    ['not one for the other family', [allow(100, six), deny(200)], 200],
    ['none', [], undefined],
  ])('%s', (_, entries, expected) => expect(decidingEntry(entries, asks)?.RuleNumber).toBe(expected));
});

it('ports are cut where entries begin and end', () => {
  expect(portsCutAt(allPorts, [allow(1, tcp(80, 80)), allow(2, tcp(443, 65_535)), allow(3)])).toEqual([
    [0, 79],
    [80, 80],
    [81, 442],
    [443, 65_535],
  ]);
  expect(portsCutAt([443, 443], [allow(1, tcp(80, 1000))])).toEqual([[443, 443]]);
});

describe('for any entries', () => {
  const entry = fc.record({
    RuleAction: fc.constantFrom('allow', 'deny'),
    Egress: fc.boolean(),
    Protocol: fc.constantFrom('-1', '6', '17'),
    CidrBlock: fc.constantFrom('0.0.0.0/0', '0.0.0.0/1', '128.0.0.0/1', '10.0.0.0/8', '192.0.2.0/24'),
    PortRange: fc.tuple(fc.nat(65_535), fc.nat(65_535)).map(([a, b]) => ({ From: Math.min(a, b), To: Math.max(a, b) })),
  });
  const numbered = fc.array(entry, { maxLength: 8 }).map((some) => some.map((one, index) => ({ ...one, RuleNumber: 100 + index })));

  it('the order in which they are written down does not matter', () => {
    fc.assert(fc.property(numbered, (entries) => expect(openings(entries.toReversed())).toEqual(openings(entries))));
  });

  it('only the numbers do: a denial of everything closes whatever comes behind it, and nothing before it', () => {
    fc.assert(
      fc.property(numbered, (entries) => {
        expect(openings([...entries, deny(1), deny(1, out)])).toEqual([]);
        expect(openings([...entries, deny(30_000), deny(30_000, out)])).toEqual(openings(entries));
      }),
    );
  });

  it('one more that allows never closes a way, and one more that denies never opens one', () => {
    fc.assert(
      fc.property(numbered, entry, fc.integer({ min: 90, max: 120 }), (entries, more, RuleNumber) => {
        const spaced = entries.map((one) => ({ ...one, RuleNumber: one.RuleNumber * 10 }));
        const after = openings([...spaced, { ...more, RuleNumber: RuleNumber * 10 + 1 }]);
        const [fewer, wider] = more.RuleAction === 'allow' ? [openings(spaced), after] : [after, openings(spaced)];
        expect(wider).toEqual(expect.arrayContaining([...fewer]));
      }),
    );
  });
});
