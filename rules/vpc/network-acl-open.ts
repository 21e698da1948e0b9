import * as z from 'zod';
import {
  associateNetworkAcl,
  createNetworkAclEntry,
  deleteNetworkAclEntry,
  describeNetworkAcls,
  describeNetworkInterfaces,
  type NetworkAcl,
  type NetworkAclEntry,
  replaceNetworkAclEntry,
} from '../../aws/ec2.ts';
import { type FunctionConfiguration, getFunctionConfiguration, listAliases } from '../../aws/lambda.ts';
import { functionArn, functionName, type Place } from '../../guard/arn.ts';
import type { Handle } from '../../guard/call.ts';
import { type ApiEvent, text } from '../../guard/cloudtrail.ts';
import type { Estate } from '../../guard/estate.ts';
import type { Finding } from '../../guard/finding.ts';
import { type Direction, isShut, openings } from '../../guard/network-acl.ts';
import { placementOf } from '../../guard/placement.ts';
import { type CallStep, cloudTrail, defineRule, type Evaluation, type Plan, type Violation } from '../../guard/rule.ts';
import { namesOf, othersAmong } from '../../guard/security-group.ts';
import { functionSubject, networkSubject, type Subject } from '../../guard/subject.ts';

const id = 'network-acl-open';

/** The function whose network, or whose versions that run, an event may have changed. */
function changedFunction({ request, ...place }: ApiEvent): readonly Subject[] {
  const subject = functionSubject(functionArn(text(request, 'functionName') ?? '', place) ?? '', place);
  return subject === undefined ? [] : [subject];
}

/** The ACL whose entries, or whose subnets, an event has changed: of an association it is the new one. */
function changedAcl({ request, ...place }: ApiEvent): readonly Subject[] {
  const acl = text(request, 'networkAclId');
  return acl === undefined ? [] : [aclSubject(acl, place)];
}

function deletedSubnet({ request, ...place }: ApiEvent): readonly Subject[] {
  const subnet = text(request, 'subnetId');
  return subnet === undefined ? [] : [subnetSubject(subnet, place)];
}

export const rule = defineRule({
  id,
  practice: 'vpc',
  severity: 'medium',
  title: "The network ACL of functions' subnets lets the whole internet through",
  on: [
    cloudTrail(
      'lambda',
      ['CreateFunction', 'UpdateFunctionConfiguration', 'DeleteFunction', 'CreateAlias', 'UpdateAlias', 'DeleteAlias'],
      changedFunction,
    ),
    cloudTrail(
      'ec2',
      ['CreateNetworkAclEntry', 'ReplaceNetworkAclEntry', 'DeleteNetworkAclEntry', 'ReplaceNetworkAclAssociation', 'DeleteNetworkAcl'],
      changedAcl,
    ),
    cloudTrail('ec2', ['DeleteSubnet'], deletedSubnet),
  ],
  check: [getFunctionConfiguration, listAliases, describeNetworkAcls, describeNetworkInterfaces],
  fix: [createNetworkAclEntry, replaceNetworkAclEntry, deleteNetworkAclEntry, associateNetworkAcl],
  undo: [createNetworkAclEntry, replaceNetworkAclEntry, deleteNetworkAclEntry, associateNetworkAcl],
  delay: 15,
  probation: false,
  params: z.object({
    report: z
      .string()
      .regex(/^(loosened|all)$/, 'it takes loosened or all')
      .default('loosened')
      .describe(
        'loosened: only what became more open than the guard has seen it. all: every network ACL of functions that lets the whole internet through, as the default one of a VPC does.',
      ),
  }),

  async evaluate(subject, { aws, estate, params, event, now }) {
    const look = { place: subject, estate, now, all: params.report === 'all' };
    if (subject.type === 'AWS::Lambda::Function') {
      const { subnets, left } = await placementOf<FunctionConfiguration>(aws, subject, { estate, now });
      const freed = left.filter(isSubnetId);
      return await judge(await behind([...subnets, ...freed], aws), [...subnets, ...freed], look);
    }
    const name = idOf(subject);
    if (subject.type === 'AWS::EC2::Subnet') return await judge(await behind([name], aws), [name], look);
    const acls = await aws.describeNetworkAcls({ by: 'network-acl-id', ids: [name] });
    // Only an association says which subnet has moved: the others are where they were.
    const moved = text(event?.response ?? {}, 'newAssociationId');
    const subnets = acls.flatMap(({ Associations = [] }) =>
      Associations.flatMap(({ NetworkAclAssociationId, SubnetId = '' }) => (NetworkAclAssociationId === moved ? [SubnetId] : [])),
    );
    const { violations, compliant } = await judge(acls, subnets, look);
    return { violations, compliant: acls.length === 0 ? [subject] : compliant };
  },

  distinguishes: ({ open }) => open,

  async plan(finding, { aws, estate }) {
    return finding.subject.type === 'AWS::EC2::Subnet' ? await planOfSubnet(finding, aws, estate) : await planOfAcl(finding, aws, estate);
  },

  async state(subject, { aws }) {
    const name = idOf(subject);
    if (subject.type === 'AWS::EC2::Subnet') return (await behind([name], aws))[0]?.NetworkAclId;
    const [acl] = await aws.describeNetworkAcls({ by: 'network-acl-id', ids: [name] });
    return acl === undefined ? undefined : ownEntries(acl);
  },
});

type Reader = Handle<[typeof describeNetworkAcls]>;
type PlanReader = Handle<[typeof describeNetworkAcls, typeof describeNetworkInterfaces]>;

interface Look {
  readonly place: Place;
  readonly estate: Estate;
  readonly now: number;
  /** Report what was never tighter as well. */
  readonly all: boolean;
}

/** How an ACL was while it kept something out. */
interface TighterAcl {
  readonly entries: readonly NetworkAclEntry[];
}

/** Behind which ACL a subnet was while that kept something out, and what it left open nevertheless. */
interface TighterSubnet {
  readonly acl: string;
  readonly open: readonly Direction[];
}

/** The ACLs of subnets, one for each. */
async function behind(subnets: readonly string[], aws: Reader): Promise<readonly NetworkAcl[]> {
  return subnets.length === 0 ? [] : await aws.describeNetworkAcls({ by: 'association.subnet-id', ids: subnets });
}

/**
 * Judges ACLs by their entries, and some of their subnets by whether they were behind a tighter one. What is no more open
 * than it was is recorded, so that it can be brought back.
 */
async function judge(acls: readonly NetworkAcl[], subnets: readonly string[], look: Look): Promise<Evaluation> {
  const evaluations: Evaluation[] = [];
  const found = new Set<string>();
  for (const acl of acls) {
    const own = subnets.filter((subnet) => subnetsOf(acl).includes(subnet));
    for (const subnet of own) found.add(subnet);
    evaluations.push(await judgeAcl(acl, look));
    for (const subnet of own) evaluations.push(await judgeSubnet(subnet, acl, look));
  }
  // A subnet that no ACL knows is gone.
  const gone = subnets.filter((subnet) => !found.has(subnet)).map((subnet) => subnetSubject(subnet, look.place));
  return {
    violations: evaluations.flatMap(({ violations }) => violations),
    compliant: [...evaluations.flatMap(({ compliant }) => compliant), ...gone],
  };
}

async function judgeAcl(acl: NetworkAcl, { place, estate, now, all }: Look): Promise<Evaluation> {
  const { NetworkAclId = '' } = acl;
  const subject = aclSubject(NetworkAclId, place);
  const open = directionsOf(acl.Entries);
  const kept = (await estate.kept(id, subject.arn))?.state as TighterAcl | undefined;
  const before = kept?.entries;
  const loosened = before === undefined ? [] : open.filter((direction) => !directionsOf(before).includes(direction));
  // One that lets nothing in, or nothing out, is a quarantine or half made: how it was then is no measure of how it should be.
  const measure = open.length < 2 && !isShut(acl.Entries);
  if (loosened.length === 0 && measure) await keep({ entries: ownEntries(acl) }, kept, subject, { estate, now });
  const reported = loosened.length > 0 ? loosened : all ? open : [];
  if (reported.length === 0) return { violations: [], compliant: [subject] };
  const functions = await functionsBehind(subnetsOf(acl), estate);
  if (functions.length === 0) {
    // An ACL is made entry by entry: how it was while it was nothing to functions tells nothing.
    if (loosened.length > 0 && !isShut(acl.Entries)) await keep({ entries: ownEntries(acl) }, kept, subject, { estate, now });
    return { violations: [], compliant: [subject] };
  }
  const since = loosened.length > 0 ? ', and did not before' : '';
  const violation: Violation = {
    subject,
    summary: `The network ACL ${NetworkAclId} lets the whole internet ${inWords(reported)} on all ports${since}: ${leftTo(functions)}.`,
    evidence: {
      acl: NetworkAclId,
      vpc: acl.VpcId ?? '',
      open: openings(acl.Entries ?? []),
      entries: ownEntries(acl),
      ...(before === undefined ? {} : { before }),
      functions,
    },
    tags: Object.fromEntries((acl.Tags ?? []).flatMap(({ Key, Value = '' }) => (Key === undefined ? [] : [[Key, Value]]))),
  };
  return { violations: [violation], compliant: [] };
}

async function judgeSubnet(subnet: string, acl: NetworkAcl, { place, estate, now }: Look): Promise<Evaluation> {
  const { NetworkAclId = '' } = acl;
  const subject = subnetSubject(subnet, place);
  const open = directionsOf(acl.Entries);
  const before = (await estate.kept(id, subject.arn))?.state as TighterSubnet | undefined;
  const moved = before !== undefined && before.acl !== NetworkAclId;
  const loosened = moved ? open.filter((direction) => !before.open.includes(direction)) : [];
  if (before === undefined || loosened.length === 0) {
    if (open.length < 2 && !isShut(acl.Entries)) await keep({ acl: NetworkAclId, open }, before, subject, { estate, now });
    return { violations: [], compliant: [subject] };
  }
  const functions = await functionsBehind([subnet], estate);
  if (functions.length === 0) {
    await keep({ acl: NetworkAclId, open }, before, subject, { estate, now });
    return { violations: [], compliant: [subject] };
  }
  const violation: Violation = {
    subject,
    summary: `The subnet ${subnet} was moved from the network ACL ${before.acl} to ${NetworkAclId}, which lets the whole internet ${inWords(loosened)} on all ports: ${leftTo(functions)}.`,
    evidence: { subnet, acl: NetworkAclId, before: before.acl, open: openings(acl.Entries ?? []), functions },
    tags: {},
  };
  return { violations: [violation], compliant: [] };
}

/** Records what keeps something out, where that is not what is recorded already. */
async function keep(
  present: TighterAcl | TighterSubnet,
  recorded: TighterAcl | TighterSubnet | undefined,
  { arn }: Subject,
  { estate, now }: Pick<Look, 'estate' | 'now'>,
): Promise<void> {
  if (JSON.stringify(present) !== JSON.stringify(recorded)) await estate.recordKept(id, arn, { state: present, asOf: now });
}

async function planOfAcl({ subject }: Finding, aws: PlanReader, estate: Estate): Promise<Plan> {
  const NetworkAclId = idOf(subject);
  const [acl] = await aws.describeNetworkAcls({ by: 'network-acl-id', ids: [NetworkAclId] });
  const before = ((await estate.kept(id, subject.arn))?.state as TighterAcl | undefined)?.entries;
  if (acl === undefined) return { steps: [] };
  if (before === undefined)
    return { steps: [], refused: `The guard has never seen ${NetworkAclId} tighter: there is nothing to bring back.` };
  const loosened = directionsOf(acl.Entries).filter((direction) => !directionsOf(before).includes(direction));
  const ofThese = ({ Egress }: NetworkAclEntry) => loosened.includes(Egress === true ? 'out' : 'in');
  const [wanted, present] = [before.filter(ofThese), ownEntries(acl).filter(ofThese)];
  const back: CallStep[] = wanted.flatMap((entry): CallStep[] => {
    const now = present.find((other) => keyOf(other) === keyOf(entry));
    if (now === undefined) {
      const undo = { call: 'deleteNetworkAclEntry', input: { NetworkAclId, RuleNumber: entry.RuleNumber, Egress: entry.Egress } };
      return [{ call: 'createNetworkAclEntry', input: { NetworkAclId, ...entry }, undo: [undo] }];
    }
    if (JSON.stringify(now) === JSON.stringify(entry)) return [];
    const undo = { call: 'replaceNetworkAclEntry', input: { NetworkAclId, ...now } };
    return [{ call: 'replaceNetworkAclEntry', input: { NetworkAclId, ...entry }, undo: [undo] }];
  });
  const out: CallStep[] = present.flatMap((entry): CallStep[] => {
    if (wanted.some((other) => keyOf(other) === keyOf(entry))) return [];
    const undo = { call: 'createNetworkAclEntry', input: { NetworkAclId, ...entry } };
    const { RuleNumber, Egress } = entry;
    return [{ call: 'deleteNetworkAclEntry', input: { NetworkAclId, RuleNumber, Egress }, undo: [undo] }];
  });
  // What denies comes back before what allowed in its place is taken out: no traffic is let through in between that was not before.
  return await unlessOthers([...back, ...out], NetworkAclId, subnetsOf(acl), aws);
}

async function planOfSubnet({ subject }: Finding, aws: PlanReader, estate: Estate): Promise<Plan> {
  const subnet = idOf(subject);
  const [present] = await behind([subnet], aws);
  const before = (await estate.kept(id, subject.arn))?.state as TighterSubnet | undefined;
  if (present === undefined || before === undefined) return { steps: [] };
  const [former] = await aws.describeNetworkAcls({ by: 'network-acl-id', ids: [before.acl] });
  if (former === undefined) return { steps: [], refused: `The network ACL that ${subnet} was behind, ${before.acl}, is gone.` };
  if (directionsOf(former.Entries).some((direction) => !before.open.includes(direction)))
    return { steps: [], refused: `The network ACL that ${subnet} was behind, ${before.acl}, has become more open as well.` };
  const undo = { call: 'associateNetworkAcl', input: { subnet, acl: present.NetworkAclId } };
  const step = { call: 'associateNetworkAcl', input: { subnet, acl: before.acl }, undo: [undo] };
  return await unlessOthers([step], before.acl, [subnet], aws);
}

/** An ACL is in the way of everything in its subnets: where more than functions live there, nobody knows what that needs. */
async function unlessOthers(steps: readonly CallStep[], acl: string, subnets: readonly string[], aws: PlanReader): Promise<Plan> {
  const others =
    steps.length === 0 || subnets.length === 0 ? [] : othersAmong(await aws.describeNetworkInterfaces({ subnets: [...subnets] }));
  if (others.length === 0) return { steps };
  return { steps, refused: `Behind ${acl} live more than functions: ${namesOf(others)} may need what it lets through now.` };
}

/** Whether entries let the whole internet in, and out: of IPv4 or of IPv6. */
function directionsOf(entries: readonly NetworkAclEntry[] = []): readonly Direction[] {
  const open = openings(entries).map((opening) => opening.split(' ')[0]);
  return (['in', 'out'] as const).filter((direction) => open.includes(direction));
}

/** The entries without those that AWS puts at the end of every ACL, in their order; as CreateNetworkAclEntry takes them. */
function ownEntries({ Entries = [] }: NetworkAcl): readonly NetworkAclEntry[] {
  return Entries.flatMap(({ RuleNumber = 0, Egress, RuleAction, Protocol, CidrBlock, Ipv6CidrBlock, PortRange, IcmpTypeCode }) => {
    if (RuleNumber >= 32_767) return [];
    const entry = { RuleNumber, Egress, RuleAction, Protocol, CidrBlock, Ipv6CidrBlock, PortRange, IcmpTypeCode };
    return [JSON.parse(JSON.stringify(entry)) as NetworkAclEntry];
  }).sort((a, b) => Number(a.Egress) - Number(b.Egress) || (a.RuleNumber ?? 0) - (b.RuleNumber ?? 0));
}

function keyOf({ Egress, RuleNumber }: NetworkAclEntry): string {
  return `${Egress} ${RuleNumber}`;
}

/** Functions in subnets; ten are enough to name. */
async function functionsBehind(subnets: readonly string[], estate: Estate): Promise<readonly string[]> {
  const functions = new Set<string>();
  for (const subnet of subnets) {
    for (const name of await estate.functionsIn(subnet)) functions.add(name);
    if (functions.size >= 10) break;
  }
  return [...functions].sort().slice(0, 10);
}

function leftTo(functions: readonly string[]): string {
  const names = functions.slice(0, 3).map(functionName).join(', ');
  return `${names}${functions.length > 3 ? ' and others' : ''} behind it ${functions.length === 1 ? 'has' : 'have'} only security groups left`;
}

function inWords(directions: readonly Direction[]): string {
  return directions.join(' and ');
}

function subnetsOf({ Associations = [] }: NetworkAcl): readonly string[] {
  return Associations.flatMap(({ SubnetId }) => (SubnetId === undefined ? [] : [SubnetId]));
}

function aclSubject(name: string, place: Place): Subject {
  return networkSubject('AWS::EC2::NetworkAcl', name, place);
}

function subnetSubject(name: string, place: Place): Subject {
  return networkSubject('AWS::EC2::Subnet', name, place);
}

/** `acl-0a…` of `arn:…:network-acl/acl-0a…`. */
function idOf({ arn }: Subject): string {
  return arn.slice(arn.lastIndexOf('/') + 1);
}

function isSubnetId(text: string): boolean {
  return text.startsWith('subnet-');
}
