import * as z from 'zod';
import { simulatePrincipalPolicy } from '../../aws/iam.ts';
import { describeCustomerKey, getKeyPolicy } from '../../aws/kms.ts';
import { encryptVariables, type FunctionConfiguration, getFunctionConfiguration, listAliases, listTags } from '../../aws/lambda.ts';
import { functionName, parseArn } from '../../guard/arn.ts';
import type { Handle } from '../../guard/call.ts';
import { type ApiEvent, text } from '../../guard/cloudtrail.ts';
import { errorKind, errorSummary, ifPresent, RetryLater } from '../../guard/errors.ts';
import { keyAccess } from '../../guard/key-access.ts';
import { type LiveConfiguration, liveConfigurations } from '../../guard/live.ts';
import { cloudTrail, defineRule, type Step } from '../../guard/rule.ts';
import { functionSubject, type Subject } from '../../guard/subject.ts';

/** The function itself, whatever version or alias an event is about: the variables of all that run are one finding. */
function wholeFunction({ request, ...place }: ApiEvent): readonly Subject[] {
  const subject = functionSubject(text(request, 'functionName') ?? '', place, '$LATEST');
  return subject === undefined ? [] : [subject];
}

const check = [getFunctionConfiguration, listAliases, describeCustomerKey, listTags, getKeyPolicy, simulatePrincipalPolicy] as const;
type Reads = Handle<typeof check>;

export const rule = defineRule({
  id: 'environment-without-cmk',
  practice: 'secrets',
  severity: 'medium',
  title: 'Environment variables are not encrypted with a key of your own',
  mode: 'off',
  on: [
    cloudTrail(
      'lambda',
      ['CreateFunction', 'UpdateFunctionConfiguration', 'DeleteFunction', 'CreateAlias', 'UpdateAlias', 'DeleteAlias'],
      wholeFunction,
    ),
  ],
  check,
  fix: [encryptVariables],
  undo: [encryptVariables],
  delay: 15,
  probation: true,
  params: z.object({
    arn: z
      .string()
      .regex(/^$|^arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key\/[a-zA-Z0-9-]+$/, 'it takes the ARN of a key')
      .default('')
      .describe('The ARN of the customer-managed key that functions get which have none. Empty: none gets one.'),
  }),

  // Whether there are variables shows without reading them: where the guard may not decrypt them, Lambda says so.
  async evaluate(subject, { aws }) {
    const found = await unencrypted((await liveConfigurations(aws, subject.arn)) ?? [], subject, aws);
    if (found.length === 0) return { violations: [], compliant: [subject] };
    const { Tags = {} } = (await ifPresent(aws.listTags({ Resource: subject.arn }))) ?? {};
    const evidence = {
      versions: found.map(({ version, aliases, configuration: { KMSKeyArn } }) => ({
        version,
        ...(aliases.length === 0 ? {} : { aliases }),
        ...(KMSKeyArn === undefined ? {} : { key: KMSKeyArn }),
      })),
    };
    return { violations: [{ subject, summary: summaryOf(subject, found), evidence, tags: Tags }], compliant: [] };
  },

  distinguishes: ({ versions }) => versions,

  async plan({ subject }, { aws, params: { arn: key }, settings, toShow }) {
    const found = await unencrypted((await liveConfigurations(aws, subject.arn)) ?? [], subject, aws);
    const remains = found.flatMap(({ version, aliases }) =>
      version === '$LATEST' ? [] : [`version ${version}, which ${aliases.join(', ')} routes to`],
    );
    const latest = found.find(({ version }) => version === '$LATEST')?.configuration;
    if (latest === undefined) {
      if (remains.length === 0) return { steps: [] };
      const refused =
        'Only published versions are without such a key, and a version cannot be changed: publish a new one and move its aliases.';
      return { steps: [], remains, refused };
    }
    if (key === '') return { steps: [], remains, refused: 'EnvironmentWithoutCmkArn names no key to encrypt them with.' };
    if (!toShow && (latest.State === 'Pending' || latest.LastUpdateStatus === 'InProgress'))
      throw new RetryLater(`${subject.arn} is being updated`);
    const { RevisionId, KMSKeyArn = '' } = latest;
    const step: Step = {
      call: 'encryptVariables',
      input: { FunctionName: subject.arn, KMSKeyArn: key, ...(RevisionId === undefined ? {} : { RevisionId }) },
      undo: [{ call: 'encryptVariables', input: { FunctionName: subject.arn, KMSKeyArn } }],
    };
    const users = { role: latest.Role ?? '', deployers: settings.deployers };
    const refused = await whyNot(key, users, subject, aws).catch((error: unknown) => {
      if (errorKind(error) === 'passing') throw error;
      return `Who may use ${key} could not be read (${errorSummary(error)}).`;
    });
    return { steps: [step], remains, ...(refused === undefined ? {} : { refused }) };
  },

  async state(subject, { aws }) {
    const configuration = await ifPresent(aws.getFunctionConfiguration({ FunctionName: subject.arn }));
    return configuration === undefined ? undefined : { key: configuration.KMSKeyArn ?? '' };
  },
});

type Live = LiveConfiguration<FunctionConfiguration>;

/** What runs with variables that no key of the customer's encrypts. */
async function unencrypted(
  configurations: readonly Live[],
  place: Subject,
  aws: Pick<Reads, 'describeCustomerKey'>,
): Promise<readonly Live[]> {
  const managers = new Map<string, Promise<boolean>>();
  const found: Live[] = [];
  for (const live of configurations) {
    const { Environment, KMSKeyArn } = live.configuration;
    if (Environment?.Error === undefined && Object.keys(Environment?.Variables ?? {}).length === 0) continue;
    if (KMSKeyArn !== undefined && !managers.has(KMSKeyArn)) managers.set(KMSKeyArn, isOfAws(KMSKeyArn, place, aws));
    if (KMSKeyArn === undefined || (await managers.get(KMSKeyArn)) === true) found.push(live);
  }
  return found;
}

/** Whether AWS manages a key. Such a key is never of another account, and never deleted. */
async function isOfAws(key: string, { account }: Subject, aws: Pick<Reads, 'describeCustomerKey'>): Promise<boolean> {
  if ((parseArn(key)?.account ?? account) !== account) return false;
  const described = await ifPresent(aws.describeCustomerKey({ KeyId: key }));
  return described?.KeyMetadata?.KeyManager === 'AWS';
}

function summaryOf({ arn }: Subject, found: readonly Live[]): string {
  const where = found.map(({ version, aliases }) => (version === '$LATEST' ? version : `version ${version} (${aliases.join(', ')})`));
  return `The environment variables of ${functionName(arn)} are encrypted with a key of AWS, in ${where.join(' and ')}: whoever may read the configuration reads them, and no key policy of yours says who.`;
}

/** What it takes to encrypt variables through Lambda. https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars-encryption.html */
const toDeploy = ['kms:CreateGrant', 'kms:Encrypt', 'kms:Decrypt'] as const;

/** Why a function cannot have the key: the key itself, or somebody whom it would stop. */
async function whyNot(
  key: string,
  { role, deployers }: { readonly role: string; readonly deployers: readonly string[] },
  { account, region }: Subject,
  aws: Reads,
): Promise<string | undefined> {
  // Whoever else deploys is not known, and would be locked out of the function.
  if (deployers.length === 0) return 'Nobody is listed in Deployers, so that nobody can be asked whether they may use the key.';
  const home = parseArn(key);
  if (home?.account !== account || home.region !== region) return `${key} is not in this account and region.`;
  const { KeyMetadata: metadata } = (await ifPresent(aws.describeCustomerKey({ KeyId: key }))) ?? {};
  if (metadata === undefined) return `${key} does not exist.`;
  if (metadata.KeyManager !== 'CUSTOMER') return `${key} is not a key of your own.`;
  if (metadata.KeyState !== 'Enabled' || metadata.KeySpec !== 'SYMMETRIC_DEFAULT')
    return `${key} cannot encrypt variables: it is ${metadata.KeyState} and ${metadata.KeySpec}.`;
  const { Policy } = await aws.getKeyPolicy({ KeyId: key, PolicyName: 'default' });
  const closed = toDeploy.find((action) => keyAccess(Policy, { action, account, region }) === 'closed');
  if (closed !== undefined) return `The policy of ${key} does not leave ${closed} to IAM: nobody knows who could encrypt with it.`;
  const users = [
    { what: 'execution role', principal: role, actions: ['kms:Decrypt'] },
    ...deployers.map((principal) => ({ what: 'deployer', principal, actions: toDeploy })),
  ];
  for (const { what, principal, actions } of users) {
    for (const action of actions) {
      const access = keyAccess(Policy, { action, principal, account, region });
      if (access === 'closed' || !(await mayUse(key, { action, principal, region, isNamed: access === 'named' }, aws)))
        return `The ${what} ${principal} may not use ${key}: allow it ${action} first.`;
    }
  }
  return undefined;
}

/** IAM's own word; where the key's policy names the role, IAM only has to say nothing against it. */
async function mayUse(
  key: string,
  { action, principal, region, isNamed }: { action: string; principal: string; region: string; isNamed: boolean },
  { simulatePrincipalPolicy: simulate }: Pick<Reads, 'simulatePrincipalPolicy'>,
): Promise<boolean> {
  const service = `lambda.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
  const answer = await ifPresent(
    simulate({
      PolicySourceArn: principal,
      ActionNames: [action],
      ResourceArns: [key],
      ContextEntries: [
        { ContextKeyName: 'kms:ViaService', ContextKeyType: 'string', ContextKeyValues: [service] },
        { ContextKeyName: 'kms:GrantIsForAWSResource', ContextKeyType: 'boolean', ContextKeyValues: ['true'] },
      ],
    }),
  );
  const [result, ...more] = answer?.EvaluationResults ?? [];
  if (result === undefined || more.length > 0) return false;
  if (result.EvalDecision === 'allowed') return true;
  const limited =
    result.PermissionsBoundaryDecisionDetail?.AllowedByPermissionsBoundary === false ||
    result.OrganizationsDecisionDetail?.AllowedByOrganizations === false;
  return isNamed && result.EvalDecision === 'implicitDeny' && !limited;
}
