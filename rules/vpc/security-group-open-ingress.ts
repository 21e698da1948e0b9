import * as z from 'zod';
import {
  authorizeSecurityGroupIngress,
  describeNetworkInterfaces,
  describeSecurityGroupRules,
  describeSecurityGroups,
  getManagedPrefixListEntries,
  revokeSecurityGroupIngress,
  type SecurityGroup,
} from '../../aws/ec2.ts';
import { getFunctionConfiguration, listAliases } from '../../aws/lambda.ts';
import type { Place } from '../../guard/arn.ts';
import type { Handle } from '../../guard/call.ts';
import { placed } from '../../guard/placement.ts';
import { type CallStep, cloudTrail, defineRule, type Violation } from '../../guard/rule.ts';
import {
  changedGroup,
  evaluateGroups,
  groupOf,
  namesOf,
  type Other,
  openness,
  othersAmong,
  type Peer,
  peerOf,
  peersOf,
  sameAgain,
  tagsOf,
} from '../../guard/security-group.ts';
import { securityGroupSubject } from '../../guard/subject.ts';

export const rule = defineRule({
  id: 'security-group-open-ingress',
  practice: 'vpc',
  severity: 'high',
  title: 'A security group of functions lets the internet in',
  on: [
    placed(),
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
    return await evaluateGroups<SecurityGroup>(subject, { aws, estate, now }, (groups, functionsIn) =>
      judge(groups, subject, aws, functionsIn),
    );
  },

  distinguishes: ({ rules }) => rules,

  async plan({ subject }, { aws }) {
    const GroupId = groupOf(subject);
    const rules = await aws.describeSecurityGroupRules({ groups: [GroupId] });
    const isOpen = openness(aws);
    const steps: CallStep[] = [];
    for (const candidate of rules) {
      if (candidate.IsEgress === true || !(await isOpen(peerOf(candidate)))) continue;
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

type Reader = Handle<readonly [typeof getManagedPrefixListEntries, typeof describeNetworkInterfaces]>;

async function judge(
  groups: readonly SecurityGroup[],
  place: Place,
  aws: Reader,
  functionsIn: (id: string) => Promise<readonly string[]>,
): Promise<readonly Violation[]> {
  const isOpen = openness(aws);
  const open = new Map<string, readonly Peer[]>();
  for (const { GroupId = '', IpPermissions = [] } of groups) {
    const openings: Peer[] = [];
    for (const candidate of IpPermissions.flatMap(peersOf)) if (await isOpen(candidate.peer)) openings.push(candidate);
    if (openings.length > 0) open.set(GroupId, openings);
  }
  if (open.size === 0) return [];
  const interfaces = await aws.describeNetworkInterfaces({ groups: [...open.keys()] });
  const violations: Violation[] = [];
  for (const group of groups) {
    const { GroupId = '' } = group;
    const openings = open.get(GroupId);
    if (openings === undefined) continue;
    const others = othersAmong(interfaces.filter(({ Groups = [] }) => Groups.some((member) => member.GroupId === GroupId)));
    violations.push(violationOf(group, openings, others, await functionsIn(GroupId), place));
  }
  return violations;
}

function violationOf(
  { GroupId = '', GroupName = '', VpcId = '', Tags }: SecurityGroup,
  openings: readonly Peer[],
  others: readonly Other[],
  functions: readonly string[],
  place: Place,
): Violation {
  const [first, ...more] = openings.map(
    ({ protocol, ports, peer }) => `${protocol === 'all' ? 'everything' : `${protocol} ${ports}`} from ${peer}`,
  );
  const what = more.length === 0 ? first : `${first} and ${more.length} more`;
  const reach =
    others.length === 0
      ? 'Only functions use it, and functions accept no connections: nothing needs these rules.'
      : `Besides functions, ${namesOf(others)} ${others.length === 1 ? 'uses' : 'use'} it and may be reached.`;
  const rules = openings.map(({ protocol, ports, peer: from, ...described }) => ({ protocol, ports, from, ...described }));
  return {
    subject: securityGroupSubject(GroupId, place),
    summary: `The security group ${GroupName} (${GroupId}) of functions lets the internet in: ${what}. ${reach}`,
    evidence: { group: GroupName, vpc: VpcId, rules, functions, otherInterfaces: others.slice(0, 10) },
    tags: tagsOf(Tags),
    ...(others.length === 0 ? { severity: 'low' as const } : {}),
  };
}
