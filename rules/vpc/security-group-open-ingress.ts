import * as z from 'zod';
import {
  authorizeSecurityGroupIngress,
  describeNetworkInterfaces,
  describeSecurityGroupRules,
  describeSecurityGroups,
  getManagedPrefixListEntries,
  type IpPermission,
  type NetworkInterface,
  revokeSecurityGroupIngress,
  type SecurityGroup,
  type SecurityGroupRule,
} from '../../aws/ec2.ts';
import { type FunctionConfiguration, getFunctionConfiguration, listAliases } from '../../aws/lambda.ts';
import { functionArn, type Place } from '../../guard/arn.ts';
import type { Handle } from '../../guard/call.ts';
import { type ApiEvent, text } from '../../guard/cloudtrail.ts';
import { ifPresent } from '../../guard/errors.ts';
import type { Estate } from '../../guard/estate.ts';
import { coversHalfOfTheInternet } from '../../guard/network.ts';
import { placementOf, withoutFunctions } from '../../guard/placement.ts';
import { type CallStep, cloudTrail, defineRule, type Evaluation, type Violation } from '../../guard/rule.ts';
import { functionSubject, type Subject, securityGroupSubject } from '../../guard/subject.ts';

/** The function whose network, or whose versions that run, an event may have changed. */
function changedFunction({ request, ...place }: ApiEvent): readonly Subject[] {
  const subject = functionSubject(functionArn(text(request, 'functionName') ?? '', place) ?? '', place);
  return subject === undefined ? [] : [subject];
}

/**
 * The group that an event names. Requests come in three shapes (a group id beside nested or flat rules, a group name
 * alone, and ModifySecurityGroupRules in a wrapper of its own); the rules in an answer name the group by its id.
 */
function changedGroup({ request, response, ...place }: ApiEvent): readonly Subject[] {
  const id =
    text(request, 'groupId') ??
    text(request, 'ModifySecurityGroupRulesRequest', 'GroupId') ??
    text(response, 'groupId') ??
    text(response, 'securityGroupRuleSet', 'items', '0', 'groupId') ??
    text(response, 'revokedSecurityGroupRuleSet', 'items', '0', 'groupId') ??
    text(request, 'groupName');
  return id === undefined ? [] : [securityGroupSubject(id, place)];
}

export const rule = defineRule({
  id: 'security-group-open-ingress',
  practice: 'vpc',
  severity: 'high',
  title: 'A security group of functions lets the internet in',
  on: [
    cloudTrail(
      'lambda',
      ['CreateFunction', 'UpdateFunctionConfiguration', 'DeleteFunction', 'CreateAlias', 'UpdateAlias', 'DeleteAlias'],
      changedFunction,
    ),
    cloudTrail(
      'ec2',
      ['AuthorizeSecurityGroupIngress', 'ModifySecurityGroupRules', 'RevokeSecurityGroupIngress', 'DeleteSecurityGroup'],
      changedGroup,
    ),
  ],
  check: [
    getFunctionConfiguration,
    listAliases,
    describeSecurityGroups,
    getManagedPrefixListEntries,
    describeNetworkInterfaces,
    describeSecurityGroupRules,
  ],
  fix: [revokeSecurityGroupIngress],
  undo: [authorizeSecurityGroupIngress],
  delay: 0,
  probation: false,
  params: z.object({}),

  async evaluate(subject, { aws, estate, now }) {
    if (subject.type === 'AWS::Lambda::Function') return await evaluateFunction(subject, aws, estate, now);
    const id = groupOf(subject);
    if (!isGroupId(id)) return await evaluateNamed(id, subject, aws, estate);
    const functions = await estate.functionsIn(id);
    if (functions.length === 0) return { violations: [], compliant: [subject] };
    return await judge([id], await describe([id], aws), subject, aws, async () => functions);
  },

  distinguishes: ({ rules }) => rules,

  async plan({ subject }, { aws }) {
    const GroupId = groupOf(subject);
    const rules = await aws.describeSecurityGroupRules({ groups: [GroupId] });
    const isOpen = openness(aws);
    const steps: CallStep[] = [];
    for (const candidate of rules) {
      if (candidate.IsEgress === true || !(await isOpen(sourceOf(candidate)))) continue;
      steps.push({
        call: 'revokeSecurityGroupIngress',
        // One rule a call: with several, AWS would refuse them all where one has gone in the meantime.
        input: { GroupId, SecurityGroupRuleIds: [candidate.SecurityGroupRuleId] },
        undo: [{ call: 'authorizeSecurityGroupIngress', input: { GroupId, ...sameAgain(candidate) } }],
      });
    }
    const others = othersAmong(await aws.describeNetworkInterfaces({ groups: [GroupId] }));
    if (others.length === 0) return { steps };
    return { steps, refused: `${GroupId} is used by more than functions: ${namesOf(others)} may need what its rules let in.` };
  },

  async state(subject, { aws }) {
    const rules = await aws.describeSecurityGroupRules({ groups: [groupOf(subject)] });
    // A rule that is made again has another id.
    return rules.flatMap((one) => (one.IsEgress === true ? [] : [JSON.stringify(sameAgain(one))])).sort();
  },
});

type Reader = Handle<
  [
    typeof getFunctionConfiguration,
    typeof listAliases,
    typeof describeSecurityGroups,
    typeof getManagedPrefixListEntries,
    typeof describeNetworkInterfaces,
  ]
>;

/** A function: its groups go into the index, and each is judged. */
async function evaluateFunction(subject: Subject, aws: Reader, estate: Estate, now: number): Promise<Evaluation> {
  const { live, groups, left } = await placementOf<FunctionConfiguration>(aws, subject, { estate, now });
  const unused = (await withoutFunctions(left.filter(isGroupId), estate)).map((id) => securityGroupSubject(id, subject));
  if (live === undefined) return { violations: [], compliant: unused };
  const { violations, compliant } = await judge(groups, await describe(groups, aws), subject, aws, (id) => estate.functionsIn(id));
  // Groups that no function uses any more are no matter of this rule.
  return { violations, compliant: [...compliant, ...unused] };
}

/** A group that the event names, but not by its id: one group of that name for each VPC. */
async function evaluateNamed(name: string, subject: Subject, aws: Reader, estate: Estate): Promise<Evaluation> {
  const { SecurityGroups = [] } = await aws.describeSecurityGroups({ Filters: [{ Name: 'group-name', Values: [name] }] });
  const functions = new Map<string, readonly string[]>();
  for (const { GroupId = '' } of SecurityGroups) functions.set(GroupId, await estate.functionsIn(GroupId));
  const used = SecurityGroups.filter(({ GroupId = '' }) => functions.get(GroupId)?.length !== 0);
  const ids = used.map(({ GroupId = '' }) => GroupId);
  const { violations, compliant } = await judge(ids, used, subject, aws, async (id) => functions.get(id) ?? []);
  // The name is no subject of a finding, unless it could not be looked up before.
  return { violations, compliant: [...compliant, subject] };
}

async function describe(ids: readonly string[], aws: Reader): Promise<readonly SecurityGroup[]> {
  if (ids.length === 0) return [];
  const { SecurityGroups = [] } = await aws.describeSecurityGroups({ Filters: [{ Name: 'group-id', Values: [...ids] }] });
  return SecurityGroups;
}

/** Judges groups that functions use; one that is gone lets nobody in. */
async function judge(
  ids: readonly string[],
  groups: readonly SecurityGroup[],
  place: Place,
  aws: Reader,
  functionsIn: (id: string) => Promise<readonly string[]>,
): Promise<Evaluation> {
  const isOpen = openness(aws);
  const open = new Map<string, readonly Opening[]>();
  for (const { GroupId = '', IpPermissions = [] } of groups) {
    const openings: Opening[] = [];
    for (const candidate of IpPermissions.flatMap(sourcesOf)) if (await isOpen(candidate.from)) openings.push(candidate);
    if (openings.length > 0) open.set(GroupId, openings);
  }
  const compliant = ids.filter((id) => !open.has(id)).map((id) => securityGroupSubject(id, place));
  if (open.size === 0) return { violations: [], compliant };
  const interfaces = await aws.describeNetworkInterfaces({ groups: [...open.keys()] });
  const violations: Violation[] = [];
  for (const group of groups) {
    const { GroupId = '' } = group;
    const openings = open.get(GroupId);
    if (openings === undefined) continue;
    const others = othersAmong(interfaces.filter(({ Groups = [] }) => Groups.some((member) => member.GroupId === GroupId)));
    violations.push(violationOf(group, openings, others, await functionsIn(GroupId), place));
  }
  return { violations, compliant };
}

/** A source that an ingress rule lets in: an address range, or a prefix list by its id. */
interface Opening {
  readonly protocol: string;
  /** `443`, `8000-8100`, `all`; for ICMP its type and code. */
  readonly ports: string;
  readonly from: string;
  readonly description?: string;
}

function sourcesOf({
  IpProtocol = '-1',
  FromPort = -1,
  ToPort = -1,
  IpRanges = [],
  Ipv6Ranges = [],
  PrefixListIds = [],
}: IpPermission): readonly Opening[] {
  const protocol = IpProtocol === '-1' ? 'all' : IpProtocol;
  const range = FromPort === ToPort ? String(FromPort) : `${FromPort}-${ToPort}`;
  const ports = FromPort === -1 && ToPort === -1 ? 'all' : range;
  const sources = [
    ...IpRanges.map(({ CidrIp: from, Description: description }) => ({ from, description })),
    ...Ipv6Ranges.map(({ CidrIpv6: from, Description: description }) => ({ from, description })),
    ...PrefixListIds.map(({ PrefixListId: from, Description: description }) => ({ from, description })),
  ];
  return sources.flatMap(({ from, description }) =>
    from === undefined ? [] : [{ protocol, ports, from, ...(description === undefined ? {} : { description }) }],
  );
}

function sourceOf({ CidrIpv4, CidrIpv6, PrefixListId }: SecurityGroupRule): string | undefined {
  return CidrIpv4 ?? CidrIpv6 ?? PrefixListId;
}

/** Whether a source is the internet; each prefix list is read once. What AWS manages (its own services' ranges) is not. */
function openness(aws: Pick<Reader, 'getManagedPrefixListEntries'>): (source: string | undefined) => Promise<boolean> {
  const lists = new Map<string, boolean>();
  return async (source) => {
    if (source === undefined) return false;
    if (!source.startsWith('pl-')) return coversHalfOfTheInternet([source]);
    const known = lists.get(source);
    if (known !== undefined) return known;
    const entries = (await ifPresent(aws.getManagedPrefixListEntries({ prefixList: source }))) ?? [];
    const open = coversHalfOfTheInternet(entries);
    lists.set(source, open);
    return open;
  };
}

function violationOf(
  { GroupId = '', GroupName = '', VpcId = '', Tags = [] }: SecurityGroup,
  openings: readonly Opening[],
  others: readonly Other[],
  functions: readonly string[],
  place: Place,
): Violation {
  const [first, ...more] = openings.map(
    ({ protocol, ports, from }) => `${protocol === 'all' ? 'everything' : `${protocol} ${ports}`} from ${from}`,
  );
  const what = more.length === 0 ? first : `${first} and ${more.length} more`;
  const reach =
    others.length === 0
      ? 'Only functions use it, and functions accept no connections: nothing needs these rules.'
      : `Besides functions, ${namesOf(others)} ${others.length === 1 ? 'uses' : 'use'} it and may be reached.`;
  return {
    subject: securityGroupSubject(GroupId, place),
    summary: `The security group ${GroupName} (${GroupId}) of functions lets the internet in: ${what}. ${reach}`,
    evidence: { group: GroupName, vpc: VpcId, rules: openings, functions, otherInterfaces: others.slice(0, 10) },
    tags: Object.fromEntries(Tags.flatMap(({ Key, Value = '' }) => (Key === undefined ? [] : [[Key, Value]]))),
    ...(others.length === 0 ? { severity: 'low' as const } : {}),
  };
}

interface Other {
  readonly id: string;
  readonly type: string;
}

/** Interfaces that are not Lambda's: they prove that others use a group, and only they do, for idle functions have none. */
function othersAmong(interfaces: readonly NetworkInterface[]): readonly Other[] {
  return interfaces.flatMap(({ NetworkInterfaceId: id = '', InterfaceType: type = 'interface' }) =>
    type === 'lambda' ? [] : [{ id, type }],
  );
}

function namesOf(others: readonly Other[]): string {
  const named = others.slice(0, 3).map(({ id, type }) => `${id} (${type})`);
  return `${named.join(', ')}${others.length > 3 ? ` and ${others.length - 3} more interfaces` : ''}`;
}

/** The parameters of AuthorizeSecurityGroupIngress that make a rule again; tags of AWS's own cannot be given. */
function sameAgain({ IpProtocol, FromPort, ToPort, CidrIpv4, CidrIpv6, PrefixListId, Description, Tags = [] }: SecurityGroupRule) {
  const described = Description === undefined ? {} : { Description };
  const own = Tags.filter(({ Key = '' }) => !Key.startsWith('aws:'));
  const permission: IpPermission = {
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

function groupOf({ arn }: Subject): string {
  return arn.slice(arn.lastIndexOf('security-group/') + 'security-group/'.length);
}

/** Names of groups cannot begin with `sg-`. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html */
function isGroupId(text: string): boolean {
  return text.startsWith('sg-');
}
