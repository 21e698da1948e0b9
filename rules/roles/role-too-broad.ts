import * as z from 'zod';
import {
  attachPolicyToRole,
  deleteInlinePolicy,
  detachPolicyFromRole,
  getManagedPolicy,
  getPolicyVersion,
  getRole,
  getRolePolicy,
  listAttachedRolePolicies,
  listRolePolicies,
  listRolesWithPolicy,
  putInlinePolicy,
  type Role,
  setDefaultPolicyVersion,
  simulateCustomPolicy,
  simulatePrincipalPolicy,
} from '../../aws/iam.ts';
import { getFunctionConfiguration, listAliases } from '../../aws/lambda.ts';
import { functionName, parseArn, roleName } from '../../guard/arn.ts';
import type { Handle } from '../../guard/call.ts';
import { type ApiEvent, text } from '../../guard/cloudtrail.ts';
import { ifPresent } from '../../guard/errors.ts';
import { functionWithRole, namedRole, roleChanges, rolesAmong, usedRoles, whyNotOurs } from '../../guard/function-roles.ts';
import { PolicyUnreadable } from '../../guard/policy-document.ts';
import { plainDocument } from '../../guard/role-source.ts';
import { type CallStep, cloudTrail, defineRule, type Plan, type Violation } from '../../guard/rule.ts';
import { type ContextEntry, decisionsOf, requestContext, type Simulated } from '../../guard/simulation.ts';
import { iamSubject, type Subject } from '../../guard/subject.ts';

const id = 'role-too-broad';

/** A managed policy that another version is in force of now. */
function namedPolicy({ operation, request, ...place }: ApiEvent): readonly Subject[] {
  const arn = text(request, 'policyArn') ?? '';
  const { resource = '', account } = parseArn(arn) ?? {};
  if (account !== place.account || (operation === 'CreatePolicyVersion' && request['setAsDefault'] !== true)) return [];
  return [iamSubject('AWS::IAM::ManagedPolicy', resource, place)];
}

const check = [
  getFunctionConfiguration,
  listAliases,
  getRole,
  simulatePrincipalPolicy,
  listRolesWithPolicy,
  listRolePolicies,
  listAttachedRolePolicies,
  getManagedPolicy,
  getPolicyVersion,
  getRolePolicy,
  simulateCustomPolicy,
] as const;
type Reads = Handle<typeof check>;

export const rule = defineRule({
  id,
  practice: 'roles',
  severity: 'high',
  title: "A function's role has the rights of an administrator",
  on: [
    cloudTrail('lambda', roleChanges, functionWithRole),
    cloudTrail(
      'iam',
      [
        'AttachRolePolicy',
        'DetachRolePolicy',
        'PutRolePolicy',
        'DeleteRolePolicy',
        'PutRolePermissionsBoundary',
        'DeleteRolePermissionsBoundary',
        'DeleteRole',
      ],
      namedRole,
    ),
    cloudTrail('iam', ['CreatePolicyVersion', 'SetDefaultPolicyVersion'], namedPolicy),
  ],
  check,
  fix: [detachPolicyFromRole, deleteInlinePolicy, setDefaultPolicyVersion],
  undo: [attachPolicyToRole, putInlinePolicy, setDefaultPolicyVersion],
  delay: 15,
  probation: false,
  params: z.object({}),
  distinguishes: ({ rights }) => rights,

  async evaluate(subject, { aws, estate, event, now }) {
    const { used, others } =
      subject.type === 'AWS::IAM::ManagedPolicy'
        ? await rolesWith(subject, aws, (roles) => rolesAmong(roles, aws, estate))
        : await usedRoles(subject, aws, { estate, event, now });
    const violations: Violation[] = [];
    const compliant = [...others];
    let doubt: PolicyUnreadable | undefined;
    for (const { subject: of, role, functions } of used) {
      const attached = await attachedTo(role, aws);
      const { rights, doubtful } = await rightsOf(of, attached, aws, now);
      if (rights.length > 0) violations.push(violationOf(of, role, functions, rights, await grantsOf(role, aws, attached)));
      else if (doubtful.length > 0)
        doubt = new PolicyUnreadable(`${of.arn} is denied ${doubtful.join(', ')} under a condition that a simulation does not know`);
      else {
        compliant.push(of);
        // Events of IAM tell of every change of a role that functions run with; those of a function lead to many that did not change.
        if (event?.service !== 'lambda' || (await estate.kept(id, of.arn)) === undefined)
          await estate.recordKept(id, of.arn, { state: await grantsOf(role, aws, attached), asOf: now });
      }
    }
    if (doubt !== undefined && violations.length === 0) throw doubt;
    return { violations, compliant };
  },

  async plan({ subject }, { aws, estate, now }) {
    const { Role: role } = (await ifPresent(aws.getRole({ RoleName: roleName(subject.arn) }))) ?? {};
    if (role?.Arn !== subject.arn) return { steps: [], refused: `The role ${subject.arn} is gone.` };
    const { state } = (await estate.kept(id, subject.arn)) ?? {};
    if (state === undefined)
      return {
        steps: [],
        refused: `What ${roleName(subject.arn)} could do before is not known: the guard has never seen it without these rights.`,
      };
    const plan = await takeBack(role, state as Grants, { subject, aws, now });
    const refused = whyNotOurs(subject.arn) ?? plan.refused;
    return refused === undefined ? plan : { ...plan, refused };
  },

  async state(subject, { aws }) {
    const { Role: role } = (await ifPresent(aws.getRole({ RoleName: roleName(subject.arn) }))) ?? {};
    return role?.Arn === subject.arn ? await grantsOf(role, aws, await attachedTo(role, aws)) : undefined;
  },
});

interface Right {
  readonly right: string;
  /** What tells it. */
  readonly actions: readonly string[];
}

/**
 * Rights of an administrator, and the actions on `*` that tell of them: all of the first, any of the others. Whoever may give
 * policies to every role or user, or change theirs, may do everything; so may who becomes any role.
 */
const everything = [
  'dynamodb:DeleteTable',
  'ec2:RunInstances',
  'kms:CreateKey',
  'rds:DeleteDBInstance',
  's3:DeleteBucket',
  'sns:DeleteTopic',
] as const;
const telling: readonly Right[] = [
  {
    right: 'iam:*',
    actions: [
      'iam:AttachRolePolicy',
      'iam:AttachUserPolicy',
      'iam:CreatePolicyVersion',
      'iam:PutRolePolicy',
      'iam:PutUserPolicy',
      'iam:UpdateAssumeRolePolicy',
    ],
  },
  { right: 'sts:*', actions: ['sts:AssumeRole'] },
  { right: 'iam:PassRole on *', actions: ['iam:PassRole'] },
];
const making = 'lambda:CreateFunction';
const asked = [...everything, ...telling.flatMap(({ actions }) => actions), making];

/** Whoever may do one of these to their own role, or to a policy that it has, gives themselves the rest, or the role to others. */
const toItself = ['iam:AttachRolePolicy', 'iam:PutRolePolicy', 'iam:UpdateAssumeRolePolicy'];
const toOwnPolicies = ['iam:CreatePolicyVersion'];

function rightsIn(allowed: readonly string[]): readonly Right[] {
  const all = everything.every((action) => allowed.includes(action));
  const others = telling.map(({ right, actions }) => ({ right, actions: actions.filter((action) => allowed.includes(action)) }));
  return [...(all ? [{ right: '*:*', actions: everything }] : []), ...others.filter(({ actions }) => actions.length > 0)];
}

type Simulate = (question: { ActionNames: string[]; ResourceArns?: string[]; ContextEntries: ContextEntry[] }) => Promise<Simulated>;

/** By a role's policies and boundary, and the organization's, together. */
async function rightsOf(subject: Subject, attached: readonly string[], aws: Reads, now: number) {
  const simulate: Simulate = async (question) =>
    (await ifPresent(aws.simulatePrincipalPolicy({ PolicySourceArn: subject.arn, ...question }))) ?? {};
  return await rightsBy(simulate, subject, attached.filter(isOwned), now);
}

/**
 * Two simulations, however many policies there are: on everything, and on the role itself with the policies that it has. One
 * more for whoever may make functions.
 */
async function rightsBy(simulate: Simulate, role: Subject, policies: readonly string[], now: number) {
  const ContextEntries = requestContext(role, now);
  const { allowed, doubtful } = decisionsOf(await simulate({ ActionNames: asked, ContextEntries }));
  const rights = [...rightsIn(allowed)];
  const doubts = new Set(doubtful.filter((action) => action !== making));
  if (!rights.some(({ right }) => right === 'iam:*')) {
    const ActionNames = [...toItself, ...toOwnPolicies];
    const answer = await simulate({ ActionNames, ResourceArns: [role.arn, ...policies], ContextEntries });
    const found = new Set<string>();
    for (const resource of [role.arn, ...policies]) {
      const decisions = decisionsOf(answer, resource);
      for (const action of resource === role.arn ? toItself : toOwnPolicies) {
        if (decisions.allowed.includes(action)) found.add(action);
        if (decisions.doubtful.includes(action)) doubts.add(action);
      }
    }
    if (found.size > 0) rights.push({ right: 'iam:* on itself', actions: [...found] });
  }
  if (allowed.includes(making) && !allowed.includes('iam:PassRole')) {
    const toLambda: ContextEntry = {
      ContextKeyName: 'iam:PassedToService',
      ContextKeyValues: ['lambda.amazonaws.com'],
      ContextKeyType: 'string',
    };
    const answer = await simulate({ ActionNames: ['iam:PassRole'], ContextEntries: [...ContextEntries, toLambda] });
    const actions = ['iam:PassRole', making];
    if (decisionsOf(answer).allowed.length > 0) rights.push({ right: 'iam:PassRole to Lambda', actions });
  }
  return { rights, doubtful: [...doubts] };
}

/** The roles that a policy is attached to. The policy itself is no subject of a finding, unless it could not be looked up before. */
async function rolesWith<Found extends { readonly others: readonly Subject[] }>(
  policy: Subject,
  aws: Reads,
  among: (roles: readonly Subject[]) => Promise<Found>,
): Promise<Found> {
  const names = (await ifPresent(aws.listRolesWithPolicy({ PolicyArn: policy.arn }))) ?? [];
  const found = await among(names.map((name) => iamSubject('AWS::IAM::Role', `role/${name}`, policy)));
  return { ...found, others: [...found.others, policy] };
}

function violationOf(
  subject: Subject,
  role: Role,
  functions: readonly string[],
  rights: readonly Right[],
  { attached, inline, boundary }: Grants,
): Violation {
  const names = functions.map(functionName);
  const what = rights.map(({ right }) => right).join(', ');
  return {
    subject,
    summary: `The role ${roleName(subject.arn)} of ${names.join(' and ')} has the rights of an administrator (${what}): whoever changes what ${names[0]} does has them too.`,
    evidence: { rights, functions, attached, inline, ...(boundary === undefined ? {} : { boundary }) },
    tags: Object.fromEntries((role.Tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value])),
  };
}

/** What a role is given, by name. */
interface Grants {
  readonly attached: readonly string[];
  readonly inline: readonly string[];
  /** The version in force of those attached policies that the account owns: those of AWS it cannot change. */
  readonly versions: Readonly<Record<string, string>>;
  readonly boundary?: string;
}

async function attachedTo({ RoleName = '' }: Role, aws: Pick<Reads, 'listAttachedRolePolicies'>): Promise<readonly string[]> {
  return (await ifPresent(aws.listAttachedRolePolicies({ RoleName }))) ?? [];
}

async function grantsOf(role: Role, aws: Pick<Reads, 'listRolePolicies' | 'getManagedPolicy'>, attached: readonly string[]) {
  const inline = (await ifPresent(aws.listRolePolicies({ RoleName: role.RoleName ?? '' }))) ?? [];
  const versions: Record<string, string> = {};
  for (const PolicyArn of attached.filter(isOwned)) {
    const { Policy } = (await ifPresent(aws.getManagedPolicy({ PolicyArn }))) ?? {};
    versions[PolicyArn] = Policy?.DefaultVersionId ?? '';
  }
  const boundary = role.PermissionsBoundary?.PermissionsBoundaryArn;
  return {
    attached: [...attached].sort(),
    inline: [...inline].sort(),
    versions,
    ...(boundary === undefined ? {} : { boundary }),
  } satisfies Grants;
}

function isOwned(policyArn: string): boolean {
  return parseArn(policyArn)?.account !== 'aws';
}

/** Something that the role was given since it kept the rule, and how it is taken back. */
interface Grant {
  readonly name: string;
  readonly document: string;
  /** What is in force once it is taken back, if anything. */
  readonly instead?: string;
  readonly step: CallStep;
  readonly refused?: string;
}

/** Takes back what was given to the role since then, and only as much of it as makes the difference. */
async function takeBack(role: Role, before: Grants, look: { subject: Subject; aws: Reads; now: number }): Promise<Plan> {
  const { subject, aws, now } = look;
  const attached = await attachedTo(role, aws);
  const { rights } = await rightsOf(subject, attached, aws, now);
  if (rights.length === 0) return { steps: [] };
  const name = roleName(subject.arn);
  const grants = await grantsOf(role, aws, attached);
  if (grants.boundary !== before.boundary) {
    const was = before.boundary === undefined ? 'had none' : `was ${before.boundary}`;
    return { steps: [], refused: `The permissions boundary of ${name} is another since then (it ${was}): put that right by hand.` };
  }
  const { given, kept } = await policiesOf(role, grants, before, aws);
  const isBroad = async (policies: ReadonlyMap<string, string>) => {
    if (policies.size === 0) return false;
    const simulate: Simulate = (question) => aws.simulateCustomPolicy({ PolicyInputList: [...policies.values()], ...question });
    const owned = [...policies.keys()].filter((one) => one.startsWith('arn:') && isOwned(one));
    return (await rightsBy(simulate, subject, owned, now)).rights.length > 0;
  };
  // Deny statements among them count as well: what is left is asked for as a whole.
  let left = new Map([...kept, ...given.flatMap((grant) => (grant.instead === undefined ? [] : [[grant.name, grant.instead] as const]))]);
  if (await isBroad(left)) {
    // The guard may take rights from roles, and write none: what stood there before would be a policy that it writes.
    for (const [policy, document] of [...kept].filter(([one]) => !one.startsWith('arn:')))
      if (await isBroad(new Map([[policy, document]]))) {
        const refused = `The inline policy ${policy}, which ${name} had before without these rights, was overwritten, and the guard may write no policy: put it back to what it was by hand.`;
        return { steps: [], refused };
      }
    const refused = `Policies that ${name} had before give it such rights too, as they are now: what it was given since is not the reason.`;
    return { steps: [], refused };
  }
  const offending: Grant[] = [];
  for (const grant of given) {
    const withIt = new Map([...left, [grant.name, grant.document]]);
    if (await isBroad(withIt)) offending.push(grant);
    else left = withIt;
  }
  const refused =
    offending.length === 0 ? `No policy that ${name} was given since then is the reason.` : offending.find((one) => one.refused)?.refused;
  return { steps: offending.map(({ step }) => step), ...(refused === undefined ? {} : { refused }) };
}

/** Every policy of the role: those given since, or another version of it since, and the documents of all others. */
async function policiesOf(
  role: Role,
  grants: Grants,
  before: Grants,
  aws: Reads,
): Promise<{ given: readonly Grant[]; kept: ReadonlyMap<string, string> }> {
  const RoleName = role.RoleName ?? '';
  const given: Grant[] = [];
  const kept = new Map<string, string>();
  for (const PolicyArn of grants.attached) {
    const { Policy } = await aws.getManagedPolicy({ PolicyArn });
    const { DefaultVersionId: VersionId = '' } = Policy ?? {};
    const { PolicyVersion } = await aws.getPolicyVersion({ PolicyArn, VersionId });
    const document = plainDocument(PolicyVersion?.Document ?? '');
    const { [PolicyArn]: was = VersionId } = before.versions;
    if (!before.attached.includes(PolicyArn)) {
      const undo = { call: 'attachPolicyToRole', input: { RoleName, PolicyArn } };
      given.push({ name: PolicyArn, document, step: { call: 'detachPolicyFromRole', input: { RoleName, PolicyArn }, undo: [undo] } });
    } else if (was === VersionId) kept.set(PolicyArn, document);
    else {
      const former = await ifPresent(aws.getPolicyVersion({ PolicyArn, VersionId: was }));
      const alone = Policy?.AttachmentCount === 1 && (Policy.PermissionsBoundaryUsageCount ?? 0) === 0;
      const refused =
        former === undefined
          ? `The version ${was} of ${PolicyArn}, which was in force before, is gone.`
          : `${PolicyArn} is in use elsewhere too: another version of it would change what others may do.`;
      given.push({
        name: PolicyArn,
        document,
        ...(former === undefined ? {} : { instead: plainDocument(former.PolicyVersion?.Document ?? '') }),
        step: {
          call: 'setDefaultPolicyVersion',
          input: { PolicyArn, VersionId: was },
          undo: [{ call: 'setDefaultPolicyVersion', input: { PolicyArn, VersionId } }],
        },
        ...(former !== undefined && alone ? {} : { refused }),
      });
    }
  }
  for (const PolicyName of grants.inline) {
    const { PolicyDocument = '' } = await aws.getRolePolicy({ RoleName, PolicyName });
    const document = plainDocument(PolicyDocument);
    if (before.inline.includes(PolicyName)) kept.set(PolicyName, document);
    else {
      const undo = { call: 'putInlinePolicy', input: { RoleName, PolicyName, PolicyDocument: document } };
      given.push({ name: PolicyName, document, step: { call: 'deleteInlinePolicy', input: { RoleName, PolicyName }, undo: [undo] } });
    }
  }
  return { given, kept };
}
