import * as z from 'zod';
import { describeNetworkInterfaces, describeSubnets } from '../../aws/ec2.ts';
import { getFunctionConfiguration, listAliases } from '../../aws/lambda.ts';
import { functionName, matchesGlob } from '../../guard/arn.ts';
import { placed } from '../../guard/placement.ts';
import { cloudTrail, defineRule, type Violation } from '../../guard/rule.ts';
import { namesOf, othersAmong, tagsOf } from '../../guard/security-group.ts';
import { evaluateSubnets, subnetSubject, subnetsNamed } from '../../guard/subnet.ts';

export const rule = defineRule({
  id: 'subnet-shared',
  practice: 'vpc',
  severity: 'low',
  title: 'A function that needs a subnet of its own shares it',
  mode: 'off',
  on: [placed(), cloudTrail('ec2', ['CreateNetworkInterface', 'RunInstances', 'DeleteSubnet'], subnetsNamed)],
  check: [getFunctionConfiguration, listAliases, describeNetworkInterfaces, describeSubnets],
  fix: [],
  undo: [],
  delay: 15,
  probation: false,
  params: z.object({
    functions: z
      .string()
      .regex(/^$|^[A-Za-z0-9_*?-]+(,[A-Za-z0-9_*?-]+)*$/, 'it takes names of functions, comma-separated and without spaces')
      .default('*')
      .transform((list) => list.split(',').filter((name) => name !== ''))
      .describe('Functions that need a subnet of their own: comma-separated names, in which * stands for anything.'),
    otherFunctions: z
      .string()
      .regex(/^(allow|forbid)$/, 'it is allow or forbid')
      .default('forbid')
      .describe('Whether other functions may live in the same subnet: allow or forbid.'),
  }),

  async evaluate(subject, { aws, estate, params, now }) {
    return await evaluateSubnets(subject, { aws, estate, now }, async (used) => {
      const needs = (arn: string) => params.functions.some((glob) => matchesGlob(functionName(arn), glob));
      const concerned = [...used].filter(([, functions]) => functions.some(needs));
      if (concerned.length === 0) return [];
      const interfaces = await aws.describeNetworkInterfaces({ subnets: concerned.map(([id]) => id) });
      const violations: Violation[] = [];
      for (const [id, functions] of concerned) {
        const [user = ''] = functions.filter(needs);
        // Endpoints are how functions reach services, and no workload.
        const others = othersAmong(interfaces.filter(({ SubnetId }) => SubnetId === id)).filter(({ type }) => !type.endsWith('endpoint'));
        const neighbours = params.otherFunctions === 'forbid' ? functions.filter((arn) => arn !== user) : [];
        if (others.length === 0 && neighbours.length === 0) continue;
        const [subnet] = await aws.describeSubnets({ subnets: [id] });
        if (subnet === undefined) continue;
        const named = neighbours.length > 3 ? [...neighbours.slice(0, 3).map(functionName), 'others'] : neighbours.map(functionName);
        const sharers = [...(others.length === 0 ? [] : [namesOf(others)]), ...named];
        violations.push({
          subject: subnetSubject(id, subject),
          summary: `${functionName(user)} needs a subnet of its own, and shares ${id} with ${sharers.join(', ')}: network ACL and routes are theirs too.`,
          evidence: { vpc: subnet.VpcId, functions, otherInterfaces: others.slice(0, 10) },
          tags: tagsOf(subnet.Tags),
        });
      }
      return violations;
    });
  },

  async plan() {
    return { steps: [], refused: 'Only whoever owns the network can give the function another subnet.' };
  },

  async state() {
    return undefined;
  },
});
