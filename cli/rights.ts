import { describeStack } from '../aws/cloudformation.ts';
import { describeRegions } from '../aws/ec2.ts';
import { listsFor } from '../aws/lists.ts';
import { partitionOf } from '../guard/arn.ts';
import type { AnyCall, Permission } from '../guard/call.ts';
import { rules } from '../rules/index.ts';
import { policyOf, readsAmong } from './policy.ts';
import { preventivePolicies } from './preventive.ts';
import { chosenRules } from './scan.ts';
import { defaultStack, listed, type Options } from './use.ts';

/** Every call that a scan makes by some rules. */
export function scanCalls(of: readonly (typeof rules)[number][] = rules): readonly AnyCall[] {
  const judging = of.filter(({ accepts }) => accepts !== true);
  const calls: readonly AnyCall[] = judging.flatMap(({ check, list }) => [...check, ...(list?.calls ?? [])]);
  return readsAmong([describeStack, describeRegions, ...listsFor(calls), ...calls]);
}

/** What a scan reads of a deployed guard's ledger: whoever is exempt. The table's key is open to whoever may read the table. */
const exemptions: Permission = {
  action: 'dynamodb:Query',
  resource: 'arn:${AWS::Partition}:dynamodb:*:${AWS::AccountId}:table/${AWS::StackName}-*',
  condition: { 'ForAllValues:StringEquals': { 'dynamodb:LeadingKeys': ['EXEMPTIONS'] } },
};

/** Prints the IAM policy that a scan needs, or policies that prevent what rules find. Calls nobody. */
export async function policy(options: Options): Promise<'fine'> {
  const { account = '*', region = 'us-east-1', stack = defaultStack, preventive } = options;
  const named = (option: string) => listed(options[option]).filter((one) => one !== '');
  if (preventive === true) {
    const policies = preventivePolicies({ account: String(account), deployers: named('deployers'), vpcs: named('vpcs') });
    console.log(
      policies.map(({ name, note, policy: document }) => `# ${name}\n# ${note}\n${JSON.stringify(document, null, 2)}`).join('\n\n'),
    );
    return 'fine';
  }
  const partition = partitionOf(String(region).split(',')[0] ?? '');
  const names = {
    'AWS::Partition': partition,
    'AWS::AccountId': String(account),
    'AWS::Region': '*',
    'AWS::StackName': String(stack),
    // What the stack's own things are called begins with its name; a key has none.
    AlertTopic: `arn:${partition}:sns:*:${account}:${stack}-*`,
    'Archive.Arn': `arn:${partition}:s3:::${stack}-*`,
  };
  const { Version, Statement } = JSON.parse(policyOf([...scanCalls(chosenRules(options)), { permissions: [exemptions] }], names)) as {
    Version: string;
    Statement: readonly object[];
  };
  // What only a deployed stack has a name for, nobody reads without one.
  const nameless = (statement: object) => JSON.stringify(statement).includes('${');
  console.log(JSON.stringify({ Version, Statement: Statement.filter((statement) => !nameless(statement)) }, null, 2));
  return 'fine';
}
