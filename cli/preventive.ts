import { type AnyRule, pascalCase } from '../guard/rule.ts';

/** A service control policy that makes a mistake impossible, instead of telling of it. */
interface Preventive {
  /** The rules that it makes idle. */
  readonly rules: readonly AnyRule['id'][];
  /** Before anybody attaches it. */
  readonly note: string;
  readonly statements: (given: Given) => readonly object[];
}

/** What the policies leave room for. */
interface Given {
  readonly account: string;
  /** ARNs of the roles that deploy. */
  readonly deployers: readonly string[];
  readonly vpcs: readonly string[];
}

const functions = 'arn:*:lambda:*:*:function:*';
/** Condition keys: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html */
const configures = ['lambda:CreateFunction', 'lambda:UpdateFunctionConfiguration'];

const deny = (Sid: string, Action: readonly string[], Condition: object, Resource = functions) => ({
  Sid,
  Effect: 'Deny',
  Action,
  Resource,
  Condition,
});

/** Unless a deployer does it. Sessions of a role have the role's ARN here. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html */
const unless = (arns: readonly string[]) => ({ ArnNotLike: { 'aws:PrincipalArn': arns } });

const preventives: readonly Preventive[] = [
  {
    rules: ['function-url-open'],
    note: 'No function URL without authorization, and no grant that would make one public. URLs that are open already stay so.',
    statements: () => [
      deny('UrlsAskForAuthorization', ['lambda:CreateFunctionUrlConfig', 'lambda:UpdateFunctionUrlConfig', 'lambda:AddPermission'], {
        StringEquals: { 'lambda:FunctionUrlAuthType': 'NONE' },
      }),
    ],
  },
  {
    rules: ['layer-foreign'],
    note: "No layer of another account. Add the accounts of vendors whose layers you use: AWS's own extensions are layers of AWS's accounts too.",
    statements: ({ account }) => [
      deny('OwnLayersOnly', configures, { 'ForAnyValue:StringNotLike': { 'lambda:Layer': [`arn:*:lambda:*:${account}:layer:*:*`] } }),
    ],
  },
  {
    rules: ['function-outside-vpc'],
    note: 'Every function in a VPC. Attach it only where every function belongs in one: it takes no exception by tag.',
    // https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#vpc-conditions
    statements: ({ vpcs }) => [
      deny('FunctionsAreInAVpc', configures, { Null: { 'lambda:VpcIds': 'true' } }),
      ...(vpcs.length === 0 ? [] : [deny('AndInTheseVpcs', configures, { StringNotEquals: { 'lambda:VpcIds': vpcs } })]),
    ],
  },
  {
    rules: ['code-signing-off'],
    note: 'No function without a code signing configuration, and nobody takes one away. Container images cannot be signed this way: it keeps them out.',
    statements: () => [
      deny('FunctionsAreSigned', ['lambda:CreateFunction'], { Null: { 'lambda:CodeSigningConfigArn': 'true' } }),
      { Sid: 'AndStaySo', Effect: 'Deny', Action: ['lambda:DeleteFunctionCodeSigningConfig'], Resource: functions },
    ],
  },
  {
    rules: ['code-changed-by-hand', 'direct-deploy-permission'],
    note: 'Only the deployers change code. A person who has to do so at night cannot either: keep a role for that among them.',
    statements: ({ deployers }) =>
      deployers.length === 0
        ? []
        : [
            deny(
              'OnlyDeployersDeploy',
              ['lambda:CreateFunction', 'lambda:UpdateFunctionCode', 'lambda:UpdateFunctionConfiguration', 'lambda:UpdateAlias'],
              unless(deployers),
            ),
          ],
  },
  {
    rules: ['guard-tampered'],
    note: 'Trails stay on: without one the guard hears nothing.',
    statements: () => [
      {
        Sid: 'TrailsStayOn',
        Effect: 'Deny',
        Action: ['cloudtrail:DeleteTrail', 'cloudtrail:PutEventSelectors', 'cloudtrail:StopLogging', 'cloudtrail:UpdateTrail'],
        Resource: 'arn:*:cloudtrail:*:*:trail/*',
      },
    ],
  },
];

/** The longest that an SCP may be, in characters. https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html */
const longest = 5_120;

/**
 * Service control policies that make impossible what some rules find, one for each, so that each can be attached by itself.
 * @throws Error where one grows longer than AWS Organizations takes
 */
export function preventivePolicies(given: Given): readonly { readonly name: string; readonly note: string; readonly policy: object }[] {
  return preventives.flatMap(({ rules, note, statements }) => {
    const Statement = statements(given);
    if (Statement.length === 0) return [];
    const policy = { Version: '2012-10-17', Statement };
    if (JSON.stringify(policy).length > longest)
      throw new Error(`The policy for ${rules.join(', ')} has more than ${longest} characters: name fewer roles and VPCs.`);
    return [{ name: `Guard${pascalCase(rules[0] ?? '')}`, note: `Instead of ${rules.join(', ')}. ${note}`, policy }];
  });
}
