import { contains, coverHalf, cutAt, type Family, internet, type Range, rangeOf } from './network-ranges.ts';

/** An entry of a network ACL, as DescribeNetworkAcls answers. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_NetworkAclEntry.html */
export interface AclEntry {
  readonly RuleNumber?: number | undefined;
  readonly Egress?: boolean | undefined;
  readonly RuleAction?: string | undefined;
  /** An IANA number; `-1` is every protocol. */
  readonly Protocol?: string | undefined;
  readonly PortRange?: { readonly From?: number | undefined; readonly To?: number | undefined } | undefined;
  readonly CidrBlock?: string | undefined;
  readonly Ipv6CidrBlock?: string | undefined;
}

export interface NetworkAcl {
  readonly NetworkAclId?: string | undefined;
  readonly Entries?: readonly AclEntry[] | undefined;
  readonly Associations?:
    | readonly { readonly SubnetId?: string | undefined; readonly NetworkAclAssociationId?: string | undefined }[]
    | undefined;
}

export type Direction = 'in' | 'out';

/** A first and a last port. */
export type Ports = readonly [first: number, last: number];

const protocols = { tcp: '6', udp: '17' } as const;
export const allPorts: Ports = [0, 65_535];

/** The number of the entry that AWS itself puts at the end of every ACL, and that denies everything. */
const last = 32_767;

/**
 * The entry that decides over traffic: the one with the lowest number that it matches. None where nothing matches, which
 * denies as well. Neither the range nor the ports may be matched in part: see cutAt and portsCutAt.
 * https://docs.aws.amazon.com/vpc/latest/userguide/nacl-rules.html
 */
export function decidingEntry(
  entries: readonly AclEntry[],
  { direction, remote, protocol, ports }: { direction: Direction; remote: Range; protocol: keyof typeof protocols; ports: Ports },
): AclEntry | undefined {
  return entries
    .filter(
      (entry) =>
        (entry.Egress === true) === (direction === 'out') &&
        (entry.Protocol === '-1' || entry.Protocol === protocols[protocol]) &&
        contains(rangeIn(entry), remote) &&
        portsIn(entry)[0] <= ports[0] &&
        ports[1] <= portsIn(entry)[1],
    )
    .toSorted((a, b) => (a.RuleNumber ?? last) - (b.RuleNumber ?? last))[0];
}

/** Ports in pieces, so that each entry holds a piece whole or not at all. */
export function portsCutAt(ports: Ports, entries: readonly AclEntry[]): readonly Ports[] {
  const edges = entries.flatMap((entry) => [portsIn(entry)[0], portsIn(entry)[1] + 1]);
  const inside = edges.filter((edge) => edge > ports[0] && edge <= ports[1]);
  const starts = [...new Set([ports[0], ...inside])].sort((a, b) => a - b);
  return starts.map((first, index) => [first, (starts[index + 1] ?? ports[1] + 1) - 1]);
}

/** The addresses that an entry is about. */
export function rangeIn({ CidrBlock, Ipv6CidrBlock }: AclEntry): Range {
  return rangeOf(CidrBlock ?? Ipv6CidrBlock ?? '');
}

function portsIn({ PortRange: { From = 0, To = 65_535 } = {}, Protocol }: AclEntry): Ports {
  return Protocol === '-1' ? allPorts : [From, To];
}

/** A way in or out that an ACL leaves open. */
export type Opening = `${Direction} ${Family}`;

/**
 * The ways on which entries let the whole internet in or out, on all ports of TCP or of UDP, when they are taken in their
 * order: a rule that allows everything opens nothing behind one that denies it. Half of the internet counts as the whole.
 */
export function openings(entries: readonly AclEntry[]): readonly Opening[] {
  return (['in ipv4', 'in ipv6', 'out ipv4', 'out ipv6'] as const).filter((opening) => {
    const [direction, family] = opening.split(' ') as [Direction, Family];
    const own = entries.filter((entry) => (entry.Egress === true) === (direction === 'out'));
    const parts = cutAt(internet[family], own.map(rangeIn));
    return (['tcp', 'udp'] as const).some((protocol) => {
      const pieces = portsCutAt(allPorts, own);
      const allowed = (remote: Range) =>
        pieces.every((ports) => decidingEntry(own, { direction, remote, protocol, ports })?.RuleAction === 'allow');
      return coverHalf(parts.filter(allowed));
    });
  });
}

/** Whether entries let nothing in at all, or nothing out: from or to no address, on no port of TCP or of UDP. */
export function isShut(entries: readonly AclEntry[] = []): boolean {
  return (['in', 'out'] as const).some((direction) => {
    const own = entries.filter((entry) => (entry.Egress === true) === (direction === 'out'));
    const pieces = portsCutAt(allPorts, own);
    return !(['ipv4', 'ipv6'] as const).some((family) =>
      cutAt(internet[family], own.map(rangeIn)).some((remote) =>
        (['tcp', 'udp'] as const).some((protocol) =>
          pieces.some((ports) => decidingEntry(own, { direction, remote, protocol, ports })?.RuleAction === 'allow'),
        ),
      ),
    );
  });
}
