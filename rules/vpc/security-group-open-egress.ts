import * as z from 'zod';
import {
  authorizeSecurityGroupEgress,
  describeNetworkInterfaces,
  describeSecurityGroupRules,
  describeSecurityGroups,
  getManagedPrefixListEntries,
  revokeSecurityGroupEgress,
  type SecurityGroup,
} from '../../aws/ec2.ts';
import { getFunctionConfiguration, listAliases } from '../../aws/lambda.ts';
import { placed } from '../../guard/placement.ts';
import { type CallStep, cloudTrail, defineRule, type Violation } from '../../guard/rule.ts';
import {
  changedGroup,
  evaluateGroups,
  groupOf,
  namesOf,
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
  id: 'security-group-open-egress',
  practice: 'vpc',
  severity: 'medium',
  title: 'A security group of functions lets them out to the whole internet on every port',
  mode: 'off',
  on: [
    placed(),
    cloudTrail(
      'ec2',
      ['AuthorizeSecurityGroupEgress', 'ModifySecurityGroupRules', 'RevokeSecurityGroupEgress', 'DeleteSecurityGroup'],
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
  fix: [authorizeSecurityGroupEgress, revokeSecurityGroupEgress],
  undo: [authorizeSecurityGroupEgress, revokeSecurityGroupEgress],
  delay: 15,
  probation: false,
  params: z.object({
    allow: z
      .string()
      .regex(
        /^$|^(tcp|udp)\/\d{1,5}(-\d{1,5})?\/(pl-[0-9a-f]+|[0-9a-fA-F.:]+\/\d{1,3})(,(tcp|udp)\/\d{1,5}(-\d{1,5})?\/(pl-[0-9a-f]+|[0-9a-fA-F.:]+\/\d{1,3}))*$/,
        'it takes protocol/ports/range, comma-separated and without spaces: tcp/443/0.0.0.0/0,udp/53/10.0.0.2/32',
      )
      .default('')
      .transform((list) => list.split(',').flatMap((entry) => allowedBy(entry)))
      .describe(
        'Egress rules that the fix puts in place of those that allow everything: comma-separated tcp or udp, port or ports, and an address range or prefix list, as in tcp/443/0.0.0.0/0,tcp/5432/10.0.0.0/16. Empty: nothing is fixed, because the functions would be cut off.',
      ),
  }),

  async evaluate(subject, { aws, estate, now }) {
    return await evaluateGroups<SecurityGroup>(subject, { aws, estate, now }, async (groups, functionsIn) => {
      const isOpen = openness(aws);
      const violations: Violation[] = [];
      for (const { GroupId = '', GroupName = '', VpcId = '', IpPermissionsEgress = [], Tags } of groups) {
        const open: Peer[] = [];
        const candidates = IpPermissionsEgress.filter(isEveryPort).flatMap(peersOf);
        for (const candidate of candidates) if (await isOpen(candidate.peer)) open.push(candidate);
        if (open.length === 0) continue;
        const rules = open.map(({ protocol, ports, peer: to, ...described }) => ({ protocol, ports, to, ...described }));
        violations.push({
          subject: securityGroupSubject(GroupId, subject),
          summary: `The security group ${GroupName} (${GroupId}) of functions lets them out to the whole internet on every port: ${textOf(open)}. Whatever runs in them can send data anywhere.`,
          evidence: { group: GroupName, vpc: VpcId, rules, functions: await functionsIn(GroupId) },
          tags: tagsOf(Tags),
        });
      }
      return violations;
    });
  },

  distinguishes: ({ rules }) => rules,

  async plan({ subject }, { aws, params }) {
    const GroupId = groupOf(subject);
    const egress = (await aws.describeSecurityGroupRules({ groups: [GroupId] })).filter(({ IsEgress }) => IsEgress === true);
    const isOpen = openness(aws);
    const there = egress.map((one) => keyOf(one.IpProtocol, one.FromPort, one.ToPort, peerOf(one)));
    // What functions need is let out before what they do not is cut.
    const authorize = params.allow
      .filter(({ key }) => !there.includes(key))
      .map(({ permission }): CallStep => {
        const input = { GroupId, IpPermissions: [permission] };
        return { call: 'authorizeSecurityGroupEgress', input, undo: [{ call: 'revokeSecurityGroupEgress', input }] };
      });
    const revoke: CallStep[] = [];
    for (const candidate of egress) {
      if (!isEveryPort(candidate) || !(await isOpen(peerOf(candidate)))) continue;
      revoke.push({
        call: 'revokeSecurityGroupEgress',
        // One rule a call: with several, AWS would refuse them all where one has gone in the meantime.
        input: { GroupId, SecurityGroupRuleIds: [candidate.SecurityGroupRuleId] },
        undo: [{ call: 'authorizeSecurityGroupEgress', input: { GroupId, ...sameAgain(candidate) } }],
      });
    }
    const steps = [...authorize, ...revoke];
    if (params.allow.length === 0)
      return { steps, refused: 'SecurityGroupOpenEgressAllow is empty: without these rules the functions would be cut off.' };
    const open = [];
    for (const { permission, peer } of params.allow) if (isEveryPort(permission) && (await isOpen(peer))) open.push(peer);
    if (open.length > 0) return { steps, refused: `SecurityGroupOpenEgressAllow itself allows every port to ${open.join(', ')}.` };
    const others = othersAmong(await aws.describeNetworkInterfaces({ groups: [GroupId] }));
    if (others.length === 0) return { steps };
    return { steps, refused: `${GroupId} is used by more than functions: ${namesOf(others)} may need what its rules let out.` };
  },

  async state(subject, { aws }) {
    const rules = await aws.describeSecurityGroupRules({ groups: [groupOf(subject)] });
    // A rule that is made again has another id.
    return rules.flatMap((one) => (one.IsEgress === true ? [JSON.stringify(sameAgain(one))] : [])).sort();
  },
});

/** Every protocol, or every port of TCP or UDP; port 0 is hardly one. */
function isEveryPort({ IpProtocol, FromPort = 0, ToPort = 0 }: { IpProtocol?: string; FromPort?: number; ToPort?: number }): boolean {
  return IpProtocol === '-1' || ((IpProtocol === 'tcp' || IpProtocol === 'udp') && FromPort <= 1 && ToPort === 65535);
}

function textOf(open: readonly Peer[]): string {
  const [first = '', ...more] = open.map(({ protocol, peer }) => `${protocol === 'all' ? 'everything' : `all of ${protocol}`} to ${peer}`);
  return more.length === 0 ? first : `${first} and ${more.length} more`;
}

function keyOf(protocol = '', from = -1, to = -1, peer = ''): string {
  return `${protocol} ${from} ${to} ${peer}`;
}

/** An entry of the parameter, as AuthorizeSecurityGroupEgress takes it. */
function allowedBy(entry: string) {
  const [IpProtocol = '', ports = '', ...rest] = entry.split('/');
  if (ports === '') return [];
  const peer = rest.join('/');
  const [FromPort = 0, ToPort = FromPort] = ports.split('-').map(Number);
  const family = peer.includes(':') ? { Ipv6Ranges: [{ CidrIpv6: peer }] } : { IpRanges: [{ CidrIp: peer }] };
  const to = peer.startsWith('pl-') ? { PrefixListIds: [{ PrefixListId: peer }] } : family;
  return [{ key: keyOf(IpProtocol, FromPort, ToPort, peer), peer, permission: { IpProtocol, FromPort, ToPort, ...to } }];
}
