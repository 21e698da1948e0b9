import * as z from 'zod';
import { describeSubnets } from '../../aws/ec2.ts';
import { type FunctionConfiguration, getFunctionConfiguration, listAliases, listTags } from '../../aws/lambda.ts';
import { functionName } from '../../guard/arn.ts';
import { ifPresent } from '../../guard/errors.ts';
import { placed, placementOf } from '../../guard/placement.ts';
import { defineRule } from '../../guard/rule.ts';

export const rule = defineRule({
  id: 'subnet-single-az',
  practice: 'vpc',
  severity: 'medium',
  title: 'The subnets of a function lie in fewer than two availability zones',
  on: [placed()],
  check: [getFunctionConfiguration, listAliases, describeSubnets, listTags],
  fix: [],
  undo: [],
  delay: 15,
  probation: false,
  params: z.object({}),

  async evaluate(subject, { aws, estate, now }) {
    const { live = [], subnets: ids } = await placementOf<FunctionConfiguration>(aws, subject, { estate, now });
    if (ids.length === 0) return { violations: [], compliant: [subject] };
    const zoneOf = new Map(
      (await aws.describeSubnets({ subnets: ids })).map(({ SubnetId, AvailabilityZone }) => [SubnetId, AvailabilityZone]),
    );
    const narrow = live.flatMap(({ version, aliases, configuration: { VpcConfig } }) => {
      const subnets = VpcConfig?.SubnetIds ?? [];
      // A subnet that is gone, or whose zone nobody tells, keeps nothing running.
      const zones = [...new Set(subnets.flatMap((id) => zoneOf.get(id) ?? []))].sort();
      return subnets.length === 0 || zones.length > 1 ? [] : [{ version, aliases, subnets, zones }];
    });
    const [first] = narrow;
    if (first === undefined) return { violations: [], compliant: [subject] };
    const answer = await ifPresent(aws.listTags({ Resource: subject.arn }));
    if (answer === undefined) return { violations: [], compliant: [subject] };
    const name = functionName(subject.arn);
    const user = first.version === '$LATEST' ? name : `${name}, version ${first.version} (alias ${first.aliases.join(', ')}),`;
    const where = first.zones.length === 0 ? 'no availability zone that is known' : `one availability zone, ${first.zones[0]}`;
    return {
      violations: [
        {
          subject,
          summary: `${user} runs in subnets of ${where}: when that zone fails, the function does.`,
          evidence: { narrow },
          tags: answer.Tags ?? {},
        },
      ],
      compliant: [],
    };
  },

  distinguishes: ({ narrow }) => narrow,

  async plan() {
    return { steps: [], refused: 'Which further subnet has the same routes and rules is for whoever owns the network to say.' };
  },

  async state() {
    return undefined;
  },
});
