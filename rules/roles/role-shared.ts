import * as z from 'zod';
import {
  attachRolePolicy,
  createRole,
  deleteRole,
  deleteRolePolicy,
  detachRolePolicy,
  getManagedPolicy,
  getPolicyVersion,
  getRolePolicy,
  getWholeRole,
  listAttachedRolePolicies,
  listRolePolicies,
  putRolePolicy,
} from '../../aws/iam.ts';
import { getKeyPolicy, listGrants } from '../../aws/kms.ts';
import {
  type FunctionConfiguration,
  getFunctionConfiguration,
  getPolicy,
  listAliases,
  listTags,
  switchRole,
  switchRoleBack,
} from '../../aws/lambda.ts';
import { getBucketPolicy, getQueuePolicy, getSecretPolicy, getTablePolicy, getTopicAttributes } from '../../aws/resource-policies.ts';
import { functionName, matchesGlob, roleName } from '../../guard/arn.ts';
import type { Handle } from '../../guard/call.ts';
import { type ApiEvent, text } from '../../guard/cloudtrail.ts';
import { errorKind, errorSummary, ifPresent, RetryLater } from '../../guard/errors.ts';
import type { Estate } from '../../guard/estate.ts';
import { type LiveConfiguration, liveConfigurations } from '../../guard/live.ts';
import { type Clone, cloneOf, cloneSteps, judgeClone, namesRole } from '../../guard/role-clone.ts';
import { documentsOf } from '../../guard/role-reach.ts';
import { readRole, type SourceRole } from '../../guard/role-source.ts';
import { rolesUsed } from '../../guard/role-use.ts';
import { cloudTrail, defineRule, type Step, type Violation } from '../../guard/rule.ts';
import { functionSubject, type Subject } from '../../guard/subject.ts';

/** The function itself, whatever version or alias an event is about: all of them together are one subject. */
function wholeFunction({ request, ...place }: ApiEvent): readonly Subject[] {
  const subject = functionSubject(text(request, 'functionName') ?? '', place, '$LATEST');
  return subject?.account === place.account && subject.region === place.region ? [subject] : [];
}

const readsOfSource = [
  getWholeRole,
  listRolePolicies,
  getRolePolicy,
  listAttachedRolePolicies,
  getManagedPolicy,
  getPolicyVersion,
] as const;
const readsOfReach = [
  getBucketPolicy,
  getQueuePolicy,
  getTopicAttributes,
  getSecretPolicy,
  getTablePolicy,
  getKeyPolicy,
  listGrants,
  getPolicy,
] as const;
const planReads = [...readsOfSource, ...readsOfReach] as const;

export const rule = defineRule({
  id: 'role-shared',
  practice: 'roles',
  severity: 'high',
  title: 'Two or more functions use one execution role',
  on: [
    cloudTrail(
      'lambda',
      ['CreateFunction', 'UpdateFunctionConfiguration', 'DeleteFunction', 'CreateAlias', 'UpdateAlias', 'DeleteAlias'],
      wholeFunction,
    ),
  ],
  check: [getFunctionConfiguration, listAliases, listTags, ...planReads],
  fix: [createRole, putRolePolicy, attachRolePolicy, switchRole],
  undo: [switchRoleBack, detachRolePolicy, deleteRolePolicy, deleteRole],
  delay: 15,
  probation: true,
  relative: true,
  params: z.object({
    splitRoles: z
      .string()
      .regex(
        /^$|^arn:[a-z-]+:iam::\d{12}:role\/[^,\s]+(,arn:[a-z-]+:iam::\d{12}:role\/[^,\s]+)*$/,
        'it takes ARNs of roles, comma-separated and without spaces',
      )
      .default('')
      .transform((list) => list.split(',').filter((arn) => arn !== ''))
      .describe(
        'Roles that may be split: comma-separated role ARNs, in which * stands for anything. The guard may then pass them to Lambda. Empty: none.',
      ),
    settle: z
      .string()
      .regex(/^([0-9]{1,2}|[1-8][0-9]{2}|900)$/, 'it takes seconds, from 0 to 900')
      .default('120')
      .transform(Number)
      .describe(
        'Seconds between making a role and giving it to its function: IAM needs a while until a new role is known everywhere. 0 to 900.',
      ),
  }),

  // The ledger's index answers who else uses a role, at the same cost for any number of functions: what one function's
  // event can change shows in the two longest users of its roles. See docs/decisions/role-index.md.
  async evaluate(subject, { aws, estate, event, now }) {
    const { live, left, stale } = await rolesUsed<FunctionConfiguration>(aws, subject, { estate, now });
    if (stale) {
      // A checker has judged the newer state. A remediator or a sweep must not take silence for an answer.
      if (event === undefined) throw new RetryLater(`${subject.arn} changed while it was read`);
      return { violations: [], compliant: [] };
    }
    const { shared, seconds } = await sharing(subject, live ?? [], estate);
    const violations: Violation[] = [];
    const compliant = await freed(left, subject, estate);
    if (shared.length === 0) compliant.push(subject);
    else violations.push({ subject, summary: summaryOf(subject, shared), evidence: { shared }, tags: (await tagsOf(aws, subject)) ?? {} });
    for (const { other, role } of seconds) {
      const tags = await tagsOf(aws, other);
      const evidence = { shared: [{ role, longestUser: subject.arn }] };
      if (tags !== undefined) violations.push({ subject: other, summary: summaryOf(other, evidence.shared), evidence, tags });
      else {
        await estate.forgetRoles(other.arn, now);
        compliant.push(other);
      }
    }
    return { violations, compliant };
  },

  async plan({ subject }, { aws, estate, params, settings, changeId, toShow }) {
    const live = await liveConfigurations(aws, subject.arn);
    const { Role: role, RevisionId, State, LastUpdateStatus, KMSKeyArn } = live?.[0]?.configuration ?? {};
    if (live === undefined || role === undefined) return { steps: [], refused: `${subject.arn} is gone.` };
    // Lambda refuses changes until then, and its RevisionId moves on by itself. https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
    if (!toShow && (State === 'Pending' || LastUpdateStatus === 'InProgress'))
      throw new RetryLater(`${subject.arn} is still being updated`);
    const { shared } = await sharing(subject, live, estate);
    // A published version keeps the role that it was published with: only its owner can put another in its place.
    const remains = shared.flatMap(({ usedBy }) => usedBy.filter((user) => user !== latest));
    const { longestUser } = shared.find(({ usedBy }) => usedBy.includes(latest)) ?? {};
    if (longestUser === undefined) {
      const frozen = `${remains.join(', ')} shares a role, $LATEST does not: publish it and let the alias route to that.`;
      return { steps: [], refused: remains.length === 0 ? `${subject.arn} shares no role any more.` : frozen, remains };
    }
    const source = await readRole(aws, role);
    if (source === undefined) return { steps: [], refused: `The role ${role} is gone.`, remains };
    const clone = cloneOf(source, { functionArn: subject.arn, change: changeId, boundary: settings.boundaryArn });
    const steps: readonly Step[] = [
      ...cloneSteps(source, clone),
      ...(params.settle === 0 ? [] : [{ waitSeconds: params.settle, why: 'a new role is not known everywhere in AWS at once' }]),
      {
        call: 'switchRole',
        input: { FunctionName: subject.arn, Role: clone.arn, RevisionId },
        undo: [{ call: 'switchRoleBack', input: { FunctionName: subject.arn, Role: role, from: clone.arn } }],
      },
    ];
    const refused =
      (params.splitRoles.some((glob) => matchesGlob(role, glob))
        ? undefined
        : `${role} is not among the roles that RoleSharedSplitRoles lists.`) ??
      (settings.boundaryArn === '' ? 'The stack has no boundary for the roles that it makes.' : undefined) ??
      // https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars-encryption.html
      (KMSKeyArn === undefined
        ? undefined
        : `Its environment is encrypted with ${KMSKeyArn}: another role needs a grant on that key, which the guard may not make.`) ??
      ((await runsWith(aws, longestUser, role))
        ? undefined
        : `${longestUser}, recorded as its longest user, no longer runs with ${role}: the next sweep corrects the index.`) ??
      (await whyNotTo(aws, source, clone, subject));
    return { steps, remains, ...(refused === undefined ? {} : { refused }) };
  },

  async state(subject, { aws }) {
    return { role: (await ifPresent(aws.getFunctionConfiguration({ FunctionName: subject.arn })))?.Role };
  },
});

const latest = '$LATEST';

/** A role that another function has used for longer. */
interface Sharing {
  readonly role: string;
  readonly longestUser: string;
  /** `$LATEST`, and the versions that aliases route to; not known of a function that the index alone tells of. */
  readonly usedBy: readonly string[];
}

type Live = readonly LiveConfiguration<FunctionConfiguration>[];

/** By its roles: where the function is not the longest user, and where it is, who comes second. */
async function sharing(
  subject: Subject,
  live: Live,
  estate: Estate,
): Promise<{ shared: Sharing[]; seconds: { role: string; other: Subject }[] }> {
  const usersOf = new Map<string, string[]>();
  for (const { version, aliases, configuration } of live) {
    const user = version === latest ? latest : `version ${version} (alias ${aliases.join(', ')})`;
    if (configuration.Role !== undefined) usersOf.set(configuration.Role, [...(usersOf.get(configuration.Role) ?? []), user]);
  }
  const shared: Sharing[] = [];
  const seconds = new Map<string, { role: string; other: Subject }>();
  for (const [role, usedBy] of usersOf) {
    const [longest, second] = await estate.longestUsers(role);
    if (longest !== undefined && longest.function !== subject.arn) shared.push({ role, longestUser: longest.function, usedBy });
    else if (second !== undefined) seconds.set(second.function, { role, other: { ...subject, arn: second.function } });
  }
  return { shared, seconds: [...seconds.values()] };
}

/** Those who are the longest users now that this function left. Whoever runs with further roles is judged when it is looked at itself. */
async function freed(left: readonly string[], subject: Subject, estate: Estate): Promise<Subject[]> {
  const subjects: Subject[] = [];
  for (const role of left) {
    const [longest] = await estate.longestUsers(role);
    if (longest?.only === true && longest.function !== subject.arn) subjects.push({ ...subject, arn: longest.function });
  }
  return subjects;
}

function summaryOf({ arn }: Subject, [first]: readonly (Omit<Sharing, 'usedBy'> & Partial<Sharing>)[]): string {
  const { role = '', longestUser = '', usedBy = [latest] } = first ?? {};
  const user = usedBy.includes(latest) ? functionName(arn) : `${functionName(arn)}, ${usedBy[0]},`;
  return `${user} runs with the same execution role as ${functionName(longestUser)}, ${roleName(role)}: each of the two can do whatever the other needs.`;
}

/** Undefined where the function is gone. */
async function tagsOf(aws: Handle<readonly [typeof listTags]>, { arn }: Subject): Promise<Readonly<Record<string, string>> | undefined> {
  const answer = await ifPresent(aws.listTags({ Resource: arn }));
  return answer === undefined ? undefined : (answer.Tags ?? {});
}

async function runsWith(
  aws: Parameters<typeof liveConfigurations<FunctionConfiguration>>[0],
  functionArn: string,
  role: string,
): Promise<boolean> {
  const live = (await liveConfigurations(aws, functionArn)) ?? [];
  return live.some(({ configuration }) => configuration.Role === role);
}

/** What speaks against the clone: the role itself, or something outside IAM that names it. A doubt is a reason too. */
async function whyNotTo(
  aws: Handle<typeof readsOfReach>,
  source: SourceRole,
  clone: Clone,
  { account }: Subject,
): Promise<string | undefined> {
  const judged = judgeClone(source, clone);
  if ('refused' in judged) return judged.refused;
  for (const resource of judged.reach) {
    try {
      const documents = (await ifPresent(documentsOf(aws, resource, account))) ?? [];
      if (documents.some((document) => namesRole(document, source, clone)))
        return `A policy or grant of ${resource.arn} names ${source.arn}, and would not apply to another role.`;
    } catch (error) {
      if (errorKind(error) === 'passing') throw error;
      return `What ${resource.arn} grants could not be read (${errorSummary(error)}), and may name ${source.arn}.`;
    }
  }
  return undefined;
}
