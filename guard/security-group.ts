import { type ApiEvent, text, textsUnder } from './cloudtrail.ts';
import { ifPresent } from './errors.ts';
import type { Estate } from './estate.ts';
import { coversHalfOfTheInternet } from './network.ts';
import { type Placement, placementOf, withoutFunctions } from './placement.ts';
import type { Evaluation, Violation } from './rule.ts';
import { type Subject, securityGroupSubject } from './subject.ts';

/** The parts of EC2's answers that are judged. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpPermission.html */
interface IpPermission {
  readonly IpProtocol?: string | undefined;
  readonly FromPort?: number | undefined;
  readonly ToPort?: number | undefined;
  readonly IpRanges?: readonly { readonly CidrIp?: string | undefined; readonly Description?: string | undefined }[] | undefined;
  readonly Ipv6Ranges?: readonly { readonly CidrIpv6?: string | undefined; readonly Description?: string | undefined }[] | undefined;
  readonly PrefixListIds?: readonly { readonly PrefixListId?: string | undefined; readonly Description?: string | undefined }[] | undefined;
}

interface GroupRule {
  readonly IpProtocol?: string | undefined;
  readonly FromPort?: number | undefined;
  readonly ToPort?: number | undefined;
  readonly CidrIpv4?: string | undefined;
  readonly CidrIpv6?: string | undefined;
  readonly PrefixListId?: string | undefined;
  readonly Description?: string | undefined;
  readonly Tags?: readonly Tag[] | undefined;
}

interface Tag {
  readonly Key?: string | undefined;
  readonly Value?: string | undefined;
}

interface NetworkInterface {
  readonly NetworkInterfaceId?: string | undefined;
  readonly InterfaceType?: string | undefined;
}

/**
 * The group that an event names. Requests come in three shapes (a group id beside nested or flat rules, a group name
 * alone, and ModifySecurityGroupRules in a wrapper of its own); the rules in an answer name the group by its id.
 */
export function changedGroup({ request, response, ...place }: ApiEvent): readonly Subject[] {
  const id =
    text(request, 'groupId') ??
    text(request, 'ModifySecurityGroupRulesRequest', 'GroupId') ??
    text(response, 'groupId') ??
    text(response, 'securityGroupRuleSet', 'items', '0', 'groupId') ??
    text(response, 'revokedSecurityGroupRuleSet', 'items', '0', 'groupId') ??
    text(request, 'groupName');
  return id === undefined ? [] : [securityGroupSubject(id, place)];
}

/** Every group that an event names, in the request or in the answer: those of new interfaces, or of interfaces that changed theirs. */
export function groupsNamed({ request, response, ...place }: ApiEvent): readonly Subject[] {
  return textsUnder({ request, response }, 'groupId').flatMap((id) => (isGroupId(id) ? [securityGroupSubject(id, place)] : []));
}

export function groupOf({ arn }: Subject): string {
  return arn.slice(arn.lastIndexOf('security-group/') + 'security-group/'.length);
}

/** Names of groups cannot begin with `sg-`. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html */
function isGroupId(id: string): boolean {
  return id.startsWith('sg-');
}

interface Reader<Group> {
  describeSecurityGroups(input: { readonly Filters: { readonly Name: string; readonly Values: string[] }[] }): Promise<{
    readonly SecurityGroups?: Group[] | undefined;
  }>;
}

type FunctionReader = Parameters<typeof placementOf>[0];
type FunctionsIn = Estate['functionsIn'];

/**
 * Comes from a function, or from a group, to the groups that are to be judged: those that functions use. A group that is
 * gone, or that no function uses any more, breaks no rule of functions.
 * @param judge the violations among some groups
 */
export async function evaluateGroups<Group extends { readonly GroupId?: string | undefined }>(
  subject: Subject,
  { aws, estate, now }: { readonly aws: Reader<Group> & FunctionReader; readonly estate: Estate; readonly now: number },
  judge: (groups: readonly Group[], functionsIn: FunctionsIn) => Promise<readonly Violation[]>,
): Promise<Evaluation> {
  const judged = async (ids: readonly string[], groups: readonly Group[], functionsIn: FunctionsIn): Promise<Evaluation> => {
    const violations = groups.length === 0 ? [] : await judge(groups, functionsIn);
    const compliant = ids.map((id) => securityGroupSubject(id, subject));
    return { violations, compliant: compliant.filter(({ arn }) => !violations.some((violation) => violation.subject.arn === arn)) };
  };
  if (subject.type === 'AWS::Lambda::Function') {
    const { live, groups, left }: Placement<object> = await placementOf(aws, subject, { estate, now });
    const unused = (await withoutFunctions(left.filter(isGroupId), estate)).map((id) => securityGroupSubject(id, subject));
    if (live === undefined) return { violations: [], compliant: unused };
    const { violations, compliant } = await judged(groups, await describe(aws, 'group-id', groups), (id) => estate.functionsIn(id));
    return { violations, compliant: [...compliant, ...unused] };
  }
  const id = groupOf(subject);
  if (isGroupId(id)) {
    const functions = await estate.functionsIn(id);
    if (functions.length === 0) return { violations: [], compliant: [subject] };
    return await judged([id], await describe(aws, 'group-id', [id]), async () => functions);
  }
  // Named, but not by its id: one group of that name for each VPC.
  const functions = new Map<string, readonly string[]>();
  const named = await describe(aws, 'group-name', [id]);
  for (const { GroupId = '' } of named) functions.set(GroupId, await estate.functionsIn(GroupId));
  const used = named.filter(({ GroupId = '' }) => functions.get(GroupId)?.length !== 0);
  const ids = used.map(({ GroupId = '' }) => GroupId);
  const { violations, compliant } = await judged(ids, used, async (group) => functions.get(group) ?? []);
  // The name is no subject of a finding, unless it could not be looked up before.
  return { violations, compliant: [...compliant, subject] };
}

async function describe<Group>(aws: Reader<Group>, Name: string, ids: readonly string[]): Promise<readonly Group[]> {
  if (ids.length === 0) return [];
  const { SecurityGroups = [] } = await aws.describeSecurityGroups({ Filters: [{ Name, Values: [...ids] }] });
  return SecurityGroups;
}

/** Whom a rule of a group lets in, or out to: an address range, or a prefix list by its id. */
export interface Peer {
  readonly protocol: string;
  /** `443`, `8000-8100`, `all`; for ICMP its type and code. */
  readonly ports: string;
  readonly peer: string;
  readonly description?: string;
}

export function peersOf({
  IpProtocol = '-1',
  FromPort = -1,
  ToPort = -1,
  IpRanges = [],
  Ipv6Ranges = [],
  PrefixListIds = [],
}: IpPermission): readonly Peer[] {
  const protocol = IpProtocol === '-1' ? 'all' : IpProtocol;
  const range = FromPort === ToPort ? String(FromPort) : `${FromPort}-${ToPort}`;
  const ports = FromPort === -1 && ToPort === -1 ? 'all' : range;
  const peers = [
    ...IpRanges.map(({ CidrIp: peer, Description: description }) => ({ peer, description })),
    ...Ipv6Ranges.map(({ CidrIpv6: peer, Description: description }) => ({ peer, description })),
    ...PrefixListIds.map(({ PrefixListId: peer, Description: description }) => ({ peer, description })),
  ];
  return peers.flatMap(({ peer, description }) =>
    peer === undefined ? [] : [{ protocol, ports, peer, ...(description === undefined ? {} : { description }) }],
  );
}

export function peerOf({ CidrIpv4, CidrIpv6, PrefixListId }: GroupRule): string | undefined {
  return CidrIpv4 ?? CidrIpv6 ?? PrefixListId;
}

/** Whether a peer is the internet; each prefix list is read once. What AWS manages (its own services' ranges) is not. */
export function openness(aws: {
  getManagedPrefixListEntries(input: { readonly prefixList: string }): Promise<readonly string[]>;
}): (peer: string | undefined) => Promise<boolean> {
  const lists = new Map<string, boolean>();
  return async (peer) => {
    if (peer === undefined) return false;
    if (!peer.startsWith('pl-')) return coversHalfOfTheInternet([peer]);
    const known = lists.get(peer);
    if (known !== undefined) return known;
    const entries = (await ifPresent(aws.getManagedPrefixListEntries({ prefixList: peer }))) ?? [];
    const open = coversHalfOfTheInternet(entries);
    lists.set(peer, open);
    return open;
  };
}

/** An interface that is not a function's. */
export interface Other {
  readonly id: string;
  readonly type: string;
}

/** Interfaces that are not Lambda's: they prove that others use a group, and only they do, for idle functions have none. */
export function othersAmong(interfaces: readonly NetworkInterface[]): readonly Other[] {
  return interfaces.flatMap(({ NetworkInterfaceId: id = '', InterfaceType: type = 'interface' }) =>
    type === 'lambda' ? [] : [{ id, type }],
  );
}

export function namesOf(others: readonly Other[]): string {
  const named = others.slice(0, 3).map(({ id, type }) => `${id} (${type})`);
  return `${named.join(', ')}${others.length > 3 ? ` and ${others.length - 3} more interfaces` : ''}`;
}

/** The parameters of a call that authorizes a rule again; tags of AWS's own cannot be given. */
export function sameAgain({ IpProtocol, FromPort, ToPort, CidrIpv4, CidrIpv6, PrefixListId, Description, Tags = [] }: GroupRule) {
  const described = Description === undefined ? {} : { Description };
  const own = Tags.filter(({ Key = '' }) => !Key.startsWith('aws:'));
  const permission = {
    IpProtocol,
    ...(IpProtocol === '-1' ? {} : { FromPort, ToPort }),
    ...(CidrIpv4 === undefined ? {} : { IpRanges: [{ CidrIp: CidrIpv4, ...described }] }),
    ...(CidrIpv6 === undefined ? {} : { Ipv6Ranges: [{ CidrIpv6, ...described }] }),
    ...(PrefixListId === undefined ? {} : { PrefixListIds: [{ PrefixListId, ...described }] }),
  };
  return {
    IpPermissions: [permission],
    ...(own.length === 0 ? {} : { TagSpecifications: [{ ResourceType: 'security-group-rule', Tags: own }] }),
  };
}

/** EC2's tags as a record. */
export function tagsOf(tags: readonly Tag[] = []): Readonly<Record<string, string>> {
  return Object.fromEntries(tags.flatMap(({ Key, Value = '' }) => (Key === undefined ? [] : [[Key, Value]])));
}
