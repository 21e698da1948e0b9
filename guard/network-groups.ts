import type { Ports } from './network-acl.ts';
import { contains, cutAt, type Range, rangeOf } from './network-ranges.ts';
import type { PrefixLists } from './network-routes.ts';

/** Rules of one protocol and port range, as DescribeSecurityGroups answers. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html */
export interface GroupRule {
  /** `tcp`, `udp`, …, an IANA number, or `-1` for every protocol. */
  readonly IpProtocol?: string | undefined;
  readonly FromPort?: number | undefined;
  readonly ToPort?: number | undefined;
  readonly IpRanges?: readonly { readonly CidrIp?: string | undefined }[] | undefined;
  readonly Ipv6Ranges?: readonly { readonly CidrIpv6?: string | undefined }[] | undefined;
  readonly PrefixListIds?: readonly { readonly PrefixListId?: string | undefined }[] | undefined;
  readonly UserIdGroupPairs?: readonly { readonly GroupId?: string | undefined }[] | undefined;
}

export interface SecurityGroup {
  readonly GroupId?: string | undefined;
  readonly IpPermissions?: readonly GroupRule[] | undefined;
  readonly IpPermissionsEgress?: readonly GroupRule[] | undefined;
}

/** What rules let through of what was asked. */
export interface LetThrough {
  /** The ports on which TCP reaches every address that was asked for. */
  readonly ports: readonly Ports[];
  /** At least some of the addresses are reached. */
  readonly some: boolean;
  /** A rule names a group whose members are not known here, so more may be reached. */
  readonly perhaps: boolean;
}

/**
 * What the rules of security groups, all of them together, let through over TCP.
 * @param remote the other side's addresses, and the groups of its interfaces where they are known
 */
export function letThrough(
  rules: readonly GroupRule[],
  remote: { readonly range: Range; readonly groups: readonly string[] },
  ports: readonly Ports[],
  lists: PrefixLists,
): LetThrough {
  const ofTcp = rules.filter(({ IpProtocol = '-1' }) => ['-1', 'tcp', '6'].includes(IpProtocol));
  const parts = cutAt(
    remote.range,
    ofTcp.flatMap((rule) => rangesOfRule(rule, lists)),
  );
  const named = (rule: GroupRule) => (rule.UserIdGroupPairs ?? []).flatMap(({ GroupId }) => (GroupId === undefined ? [] : [GroupId]));
  const byPart = parts.map((part) => {
    const matching = ofTcp.filter(
      (rule) =>
        rangesOfRule(rule, lists).some((range) => contains(range, part)) || named(rule).some((group) => remote.groups.includes(group)),
    );
    return intersection(ports, matching.map(portsOf));
  });
  return {
    ports: byPart.reduce((some, more) => intersection(some, more), ports),
    some: byPart.some((some) => some.length > 0),
    perhaps: remote.groups.length === 0 && ofTcp.some((rule) => named(rule).length > 0 && intersection(ports, [portsOf(rule)]).length > 0),
  };
}

/** The addresses that a rule names, those of its prefix lists among them. A list that is not given lets nothing through. */
export function rangesOfRule({ IpRanges = [], Ipv6Ranges = [], PrefixListIds = [] }: GroupRule, lists: PrefixLists): readonly Range[] {
  return [
    ...IpRanges.flatMap(({ CidrIp }) => (CidrIp === undefined ? [] : [CidrIp])),
    ...Ipv6Ranges.flatMap(({ CidrIpv6 }) => (CidrIpv6 === undefined ? [] : [CidrIpv6])),
    ...PrefixListIds.flatMap(({ PrefixListId = '' }) => lists.get(PrefixListId) ?? []),
  ].map(rangeOf);
}

function portsOf({ IpProtocol = '-1', FromPort = 0, ToPort = 65_535 }: GroupRule): Ports {
  return IpProtocol === '-1' || FromPort === -1 ? [0, 65_535] : [FromPort, ToPort];
}

/** Ports that are in both. */
function intersection(some: readonly Ports[], others: readonly Ports[]): readonly Ports[] {
  const both = some.flatMap((a) => others.map((b): Ports => [Math.max(a[0], b[0]), Math.min(a[1], b[1])]));
  const unique = new Map(both.filter(([first, end]) => first <= end).map((ports) => [String(ports), ports]));
  return [...unique.values()];
}
