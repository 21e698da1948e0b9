import * as z from 'zod';
import { describeNetworkInterfaces, describeSecurityGroups, type SecurityGroup } from '../../aws/ec2.ts';
import { getFunctionConfiguration, listAliases } from '../../aws/lambda.ts';
import { placed } from '../../guard/placement.ts';
import { cloudTrail, defineRule, type Violation } from '../../guard/rule.ts';
import { evaluateGroups, groupsNamed, namesOf, othersAmong, tagsOf } from '../../guard/security-group.ts';
import { securityGroupSubject } from '../../guard/subject.ts';

export const rule = defineRule({
  id: 'security-group-shared',
  practice: 'vpc',
  severity: 'low',
  title: 'A security group of functions is the default one, or other workloads use it as well',
  on: [
    placed(),
    // Whoever joins a group: an interface of its own, or one that came with an instance.
    cloudTrail(
      'ec2',
      ['CreateNetworkInterface', 'ModifyNetworkInterfaceAttribute', 'RunInstances', 'ModifyInstanceAttribute', 'DeleteSecurityGroup'],
      groupsNamed,
    ),
  ],
  check: [getFunctionConfiguration, listAliases, describeSecurityGroups, describeNetworkInterfaces],
  fix: [],
  undo: [],
  delay: 15,
  probation: false,
  params: z.object({}),

  async evaluate(subject, { aws, estate, now }) {
    return await evaluateGroups<SecurityGroup>(subject, { aws, estate, now }, async (groups, functionsIn) => {
      const ids = groups.map(({ GroupId = '' }) => GroupId);
      const interfaces = await aws.describeNetworkInterfaces({ groups: ids });
      const violations: Violation[] = [];
      for (const { GroupId = '', GroupName = '', VpcId = '', Tags } of groups) {
        const others = othersAmong(interfaces.filter(({ Groups = [] }) => Groups.some((member) => member.GroupId === GroupId)));
        // No other group can have this name. https://docs.aws.amazon.com/vpc/latest/userguide/default-security-group.html
        const isDefault = GroupName === 'default';
        if (!isDefault && others.length === 0) continue;
        const used = `${namesOf(others)} ${others.length === 1 ? 'uses' : 'use'} it besides functions`;
        const why = isDefault
          ? `is the default group of ${VpcId}, which whatever names no other group is put into${others.length === 0 ? '' : `; ${used}`}`
          : `is shared: ${used}`;
        violations.push({
          subject: securityGroupSubject(GroupId, subject),
          summary: `The security group ${GroupName} (${GroupId}) of functions ${why}. A rule that is made for the one opens the other too.`,
          evidence: {
            group: GroupName,
            vpc: VpcId,
            default: isDefault,
            functions: await functionsIn(GroupId),
            otherInterfaces: others.slice(0, 10),
          },
          tags: tagsOf(Tags),
        });
      }
      return violations;
    });
  },

  async plan() {
    return { steps: [], refused: 'Only whoever knows both workloads can give the functions a group of their own.' };
  },

  async state() {
    return undefined;
  },
});
