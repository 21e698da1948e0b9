import * as z from 'zod';
import { describeSecurityGroups, describeSubnets } from '../../aws/ec2.ts';
import { type FunctionConfiguration, getFunctionConfiguration, listAliases, listTags, moveNetwork } from '../../aws/lambda.ts';
import { functionName, matchesGlob } from '../../guard/arn.ts';
import type { ApiEvent } from '../../guard/cloudtrail.ts';
import { ifPresent, RetryLater } from '../../guard/errors.ts';
import { liveConfigurations } from '../../guard/live.ts';
import { placed, placementOf } from '../../guard/placement.ts';
import { cloudTrail, defineRule } from '../../guard/rule.ts';
import { functionSubject, type Subject } from '../../guard/subject.ts';

const tag = 'compliance-guard:vpc-required';

/** The function whose tag says something else now. */
function retagged({ request, ...place }: ApiEvent): readonly Subject[] {
  const { resource, tags, tagKeys } = request;
  const keys = Array.isArray(tagKeys) ? tagKeys : Object.keys(tags ?? {});
  if (typeof resource !== 'string' || !keys.includes(tag)) return [];
  const subject = functionSubject(resource, place, '$LATEST');
  return subject === undefined ? [] : [subject];
}

export const rule = defineRule({
  id: 'function-outside-vpc',
  practice: 'vpc',
  severity: 'medium',
  title: 'A function that must be in a VPC is not in one',
  mode: 'off',
  on: [placed(), cloudTrail('lambda', ['TagResource', 'UntagResource'], retagged)],
  check: [getFunctionConfiguration, listAliases, listTags, describeSubnets, describeSecurityGroups],
  fix: [moveNetwork],
  undo: [moveNetwork],
  delay: 15,
  probation: true,
  params: z.object({
    functions: z
      .string()
      .regex(/^$|^[A-Za-z0-9_*?-]+(,[A-Za-z0-9_*?-]+)*$/, 'it takes names of functions, comma-separated and without spaces')
      .default('')
      .transform((list) => list.split(',').filter((name) => name !== ''))
      .describe(
        'Functions that must be in a VPC: comma-separated names, in which * stands for anything; the same as the tag compliance-guard:vpc-required.',
      ),
  }),

  async evaluate(subject, { aws, estate, params, now }) {
    const { live = [] } = await placementOf<FunctionConfiguration>(aws, subject, { estate, now });
    const network = networkOf(live[0]?.configuration);
    // Where it is now is what a fix puts back, whether or not it must be there already.
    if (network !== undefined) await estate.recordKept('function-outside-vpc', subject.arn, { state: network, asOf: now });
    const outside = live.filter(({ configuration }) => isOutside(configuration));
    const [first] = outside;
    if (first === undefined) return { violations: [], compliant: [subject] };
    const name = functionName(subject.arn);
    const answer = await ifPresent(aws.listTags({ Resource: subject.arn }));
    if (answer === undefined) return { violations: [], compliant: [subject] };
    const tags = answer.Tags ?? {};
    const required = (tags[tag] ?? 'false') !== 'false' ? `its tag ${tag}` : params.functions.find((glob) => matchesGlob(name, glob));
    if (required === undefined) return { violations: [], compliant: [subject] };
    const who = first.version === latest ? name : `${name}, version ${first.version} (alias ${first.aliases.join(', ')}),`;
    return {
      violations: [
        {
          subject,
          summary: `${who} must be in a VPC by ${required.includes(':') ? required : `FunctionOutsideVpcFunctions (${required})`}, and is not: its traffic passes none of the VPC's controls.`,
          evidence: { outside: outside.map(({ version, aliases }) => ({ version, aliases })), requiredBy: required },
          tags,
        },
      ],
      compliant: [],
    };
  },

  async plan({ subject }, { aws, estate, toShow }) {
    const live = await liveConfigurations<FunctionConfiguration>(aws, subject.arn);
    const current = live?.[0]?.configuration;
    if (live === undefined || current === undefined) return { steps: [], refused: `${subject.arn} is gone.` };
    // Lambda refuses changes until then, and its RevisionId moves on by itself. https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
    if (!toShow && (current.State === 'Pending' || current.LastUpdateStatus === 'InProgress'))
      throw new RetryLater(`${subject.arn} is still being updated`);
    // A published version keeps the network that it was published with: only its owner can put another in its place.
    const remains = live.flatMap(({ version, aliases, configuration }) =>
      version !== latest && isOutside(configuration) ? [`version ${version} (alias ${aliases.join(', ')})`] : [],
    );
    if (!isOutside(current))
      return {
        steps: [],
        refused: `$LATEST is in a VPC, ${remains.join(', ')} is not: publish it and let the alias route to that.`,
        remains,
      };
    const kept = await estate.kept('function-outside-vpc', subject.arn);
    const read = networkSchema.safeParse(kept?.state);
    if (!read.success)
      return {
        steps: [],
        refused: `The guard never saw ${functionName(subject.arn)} in a VPC: which one it belongs to is not known.`,
        remains,
      };
    const { SubnetIds, SecurityGroupIds, Ipv6AllowedForDualStack } = read.data;
    const VpcConfig = { SubnetIds, SecurityGroupIds, ...(Ipv6AllowedForDualStack ? { Ipv6AllowedForDualStack } : {}) };
    const steps = [
      {
        call: 'moveNetwork',
        input: { FunctionName: subject.arn, VpcConfig, RevisionId: current.RevisionId },
        undo: [{ call: 'moveNetwork', input: { FunctionName: subject.arn, VpcConfig: { SubnetIds: [], SecurityGroupIds: [] } } }],
      },
    ];
    const subnets = (await aws.describeSubnets({ subnets: SubnetIds })).map(({ SubnetId }) => SubnetId);
    const { SecurityGroups = [] } = await aws.describeSecurityGroups({ Filters: [{ Name: 'group-id', Values: SecurityGroupIds }] });
    const there = [...subnets, ...SecurityGroups.map(({ GroupId }) => GroupId)];
    const missing = [...SubnetIds, ...SecurityGroupIds].filter((id) => !there.includes(id));
    if (missing.length === 0) return { steps, remains };
    return { steps, remains, refused: `Of its last VPC configuration ${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} gone.` };
  },

  async state(subject, { aws }) {
    const configuration = await ifPresent(aws.getFunctionConfiguration({ FunctionName: subject.arn }));
    return configuration === undefined ? undefined : { network: networkOf(configuration) ?? 'none' };
  },
});

const latest = '$LATEST';

const networkSchema = z.object({
  SubnetIds: z.array(z.string()).min(1),
  SecurityGroupIds: z.array(z.string()).min(1),
  Ipv6AllowedForDualStack: z.boolean().default(false),
});

/** Lambda leaves the network out, or shows it empty. Managed instances have theirs in a capacity provider. */
function isOutside({ VpcConfig, CapacityProviderConfig }: FunctionConfiguration): boolean {
  return (VpcConfig?.SubnetIds ?? []).length === 0 && CapacityProviderConfig === undefined;
}

function networkOf(configuration: FunctionConfiguration | undefined): z.output<typeof networkSchema> | undefined {
  const { SubnetIds = [], SecurityGroupIds = [], Ipv6AllowedForDualStack = false } = configuration?.VpcConfig ?? {};
  if (SubnetIds.length === 0) return undefined;
  return { SubnetIds: SubnetIds.toSorted(), SecurityGroupIds: SecurityGroupIds.toSorted(), Ipv6AllowedForDualStack };
}
