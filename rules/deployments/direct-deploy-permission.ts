import * as z from 'zod';
import {
  denyRole,
  denyUser,
  getGroup,
  getGroupPolicy,
  getManagedPolicy,
  getPolicyVersion,
  getRole,
  getRolePolicy,
  getUser,
  getUserPolicy,
  listAttachedGroupPolicies,
  listAttachedRolePolicies,
  listAttachedUserPolicies,
  listEntitiesForPolicy,
  listGroupPolicies,
  listGroupsForUser,
  listRolePolicies,
  listUserPolicies,
  principalsPage,
  simulatePolicyOf,
  undenyRole,
  undenyUser,
} from '../../aws/iam.ts';
import { getPolicy, listTags } from '../../aws/lambda.ts';
import { managerOf } from '../../guard/alert.ts';
import { functionName, parseArn, qualifierOf, roleName } from '../../guard/arn.ts';
import type { Handle } from '../../guard/call.ts';
import { type ApiEvent, text } from '../../guard/cloudtrail.ts';
import {
  actionsOn,
  addedTo,
  commonTo,
  compact,
  type DeployRights,
  grantedBy,
  grantsAdded,
  hasUnseenGrants,
  isNone,
  type OwnGrant,
  resourcesNamed,
} from '../../guard/deploy-rights.ts';
import { ifPresent } from '../../guard/errors.ts';
import type { Estate } from '../../guard/estate.ts';
import { whyNotOurs } from '../../guard/function-roles.ts';
import { ownRole } from '../../guard/own-calls.ts';
import { plainDocument } from '../../guard/role-source.ts';
import { cloudTrail, defineRule, listing, type Settings, type Violation } from '../../guard/rule.ts';
import { decisionsOf, requestContext } from '../../guard/simulation.ts';
import { functionSubject, iamSubject, type Subject } from '../../guard/subject.ts';

const id = 'direct-deploy-permission';

/** The user, group or role that an event names, without its path; of a user who joins or leaves a group, the user. */
function namedPrincipal({ request, ...place }: ApiEvent): readonly Subject[] {
  const [user, group, role] = ['userName', 'groupName', 'roleName'].map((key) => text(request, key));
  if (user !== undefined) return [iamSubject('AWS::IAM::User', `user/${user}`, place)];
  if (group !== undefined) return [iamSubject('AWS::IAM::Group', `group/${group}`, place)];
  return role === undefined ? [] : [iamSubject('AWS::IAM::Role', `role/${role}`, place)];
}

/** A managed policy of the account that another version is in force of now. */
function namedPolicy({ operation, request, ...place }: ApiEvent): readonly Subject[] {
  const { resource = '', account } = parseArn(text(request, 'policyArn') ?? '') ?? {};
  if (account !== place.account || (operation === 'CreatePolicyVersion' && request['setAsDefault'] !== true)) return [];
  return [iamSubject('AWS::IAM::ManagedPolicy', resource, place)];
}

/** A function whose policy was changed; those of its versions and aliases let nobody change what runs. */
function namedFunction({ request, ...place }: ApiEvent): readonly Subject[] {
  const name = text(request, 'functionName') ?? text(request, 'resourceArn') ?? '';
  const subject = functionSubject(name, place);
  return subject === undefined || (text(request, 'qualifier') ?? qualifierOf(name)) !== undefined ? [] : [subject];
}

const check = [
  getPolicy,
  listTags,
  getUser,
  getGroup,
  getRole,
  simulatePolicyOf,
  listGroupsForUser,
  listUserPolicies,
  listGroupPolicies,
  listRolePolicies,
  getUserPolicy,
  getGroupPolicy,
  getRolePolicy,
  listAttachedUserPolicies,
  listAttachedGroupPolicies,
  listAttachedRolePolicies,
  getManagedPolicy,
  getPolicyVersion,
  listEntitiesForPolicy,
] as const;
type Reads = Handle<typeof check>;

const granting = ['AddPermission', 'Attach', 'Put', 'AddUserToGroup', 'CreatePolicyVersion', 'SetDefaultPolicyVersion'];

export const rule = defineRule({
  id,
  practice: 'deployments',
  severity: 'high',
  title: 'Somebody who is no deployer may change the code of functions, and could not before',
  on: [
    cloudTrail(
      'iam',
      [
        ...['AttachUserPolicy', 'PutUserPolicy', 'DetachUserPolicy', 'DeleteUserPolicy', 'DeleteUser'],
        ...['AddUserToGroup', 'RemoveUserFromGroup', 'PutUserPermissionsBoundary', 'DeleteUserPermissionsBoundary'],
        ...['AttachGroupPolicy', 'PutGroupPolicy', 'DetachGroupPolicy', 'DeleteGroupPolicy', 'DeleteGroup'],
        ...['AttachRolePolicy', 'PutRolePolicy', 'DetachRolePolicy', 'DeleteRolePolicy', 'DeleteRole'],
        ...['PutRolePermissionsBoundary', 'DeleteRolePermissionsBoundary'],
      ],
      namedPrincipal,
    ),
    cloudTrail('iam', ['CreatePolicyVersion', 'SetDefaultPolicyVersion'], namedPolicy),
    cloudTrail(
      'lambda',
      ['AddPermission', 'RemovePermission', 'PutResourcePolicy', 'DeleteResourcePolicy', 'DeleteFunction'],
      namedFunction,
    ),
  ],
  check,
  fix: [denyUser, denyRole],
  undo: [undenyUser, undenyRole],
  delay: 15,
  probation: false,
  accepts: true,
  params: z.object({}),
  distinguishes: ({ may }) => may,

  // A function leads to its own policy and to nobody else: a sweep lists users, groups and roles.
  list: listing([principalsPage], async function* (place, aws) {
    let Marker: string | undefined;
    do {
      const page = await aws.principalsPage({ Marker });
      yield page.arns.flatMap((arn) => principalAt(arn, place));
      ({ Marker } = page);
    } while (Marker !== undefined);
  }),

  async evaluate(subject, look) {
    if (subject.type === 'AWS::Lambda::Function') {
      const granted = await judgeFunction(subject, look);
      return granted === undefined ? { violations: [], compliant: [subject] } : { violations: [granted], compliant: [] };
    }
    const violations: Violation[] = [];
    const compliant: Subject[] = [];
    for (const named of await principalsIn(subject, look.aws)) {
      const principal = await principalOf(named, look.aws);
      // Without its path a name is no subject of a finding, unless it could not be looked up before.
      if (principal?.subject.arn !== named.arn) compliant.push(named);
      const violation = principal === undefined ? undefined : await judge(principal, look);
      if (violation !== undefined) violations.push(violation);
      else if (principal !== undefined) compliant.push(principal.subject);
    }
    if (subject.type === 'AWS::IAM::ManagedPolicy') compliant.push(subject);
    return { violations, compliant };
  },

  async plan({ subject }, { aws, estate, settings, now }) {
    if (subject.type === 'AWS::Lambda::Function') {
      const refused = `The policy of ${functionName(subject.arn)} grants it: only who wrote that knows what else it is for. Take the statement out by hand.`;
      return { steps: [], refused };
    }
    const principal = await principalOf(subject, aws);
    const name = nameOf(subject);
    if (principal?.subject.arn !== subject.arn) return { steps: [], refused: `${name} is gone.` };
    if (subject.type === 'AWS::IAM::Group')
      return {
        steps: [],
        refused: `${name} is a group: there may be deployers in it. Take the policy from it, or the users out of it, by hand.`,
      };
    const ofUser = { UserName: name, PolicyArn: settings.denialArn };
    const ofRole = { RoleName: name, PolicyArn: settings.denialArn };
    const steps =
      subject.type === 'AWS::IAM::User'
        ? [{ call: 'denyUser', input: ofUser, undo: [{ call: 'undenyUser', input: ofUser }] }]
        : [{ call: 'denyRole', input: ofRole, undo: [{ call: 'undenyRole', input: ofRole }] }];
    const accepted = (await estate.kept(id, subject.arn))?.state as Accepted | undefined;
    const manager = managerOf(principal.tags);
    const refused =
      whyNotOurs(subject.arn) ??
      (manager === undefined ? undefined : `${name} is managed by ${manager.stack}: take the permission away there.`) ??
      (settings.operators.includes(subject.arn) ? `${name} is one of the Operators, who take changes of the guard back.` : undefined) ??
      (settings.deployers.length === 0 ? 'Nobody is listed in Deployers.' : undefined) ??
      (settings.denialArn === '' ? 'The stack has no policy that denies to deploy.' : undefined) ??
      (accepted?.known === true
        ? await whyMore(subject, accepted, { aws, estate, settings, now, event: undefined })
        : `What ${name} could do before is not known.`);
    return refused === undefined ? { steps } : { steps, refused };
  },

  async state(subject, { aws }) {
    if (subject.type === 'AWS::Lambda::Function') return (await ifPresent(aws.getPolicy({ FunctionName: subject.arn })))?.Policy;
    const principal = await principalOf(subject, aws);
    return principal?.subject.arn === subject.arn ? [...(await attachedTo(subject, aws))].sort() : undefined;
  },
});

/** As a sweep or an earlier look found it, and nobody objected. */
interface Accepted {
  readonly rights: DeployRights;
  readonly groups: readonly string[];
  /** False where what it could do before was not seen, so that nothing is known to be new. */
  readonly known: boolean;
}

interface Principal {
  readonly subject: Subject;
  /** Milliseconds. */
  readonly created: number;
  readonly tags: Readonly<Record<string, string>>;
}

function principalAt(arn: string, place: { readonly account: string; readonly region: string }): readonly Subject[] {
  const { resource = '' } = parseArn(arn) ?? {};
  if (resource.startsWith('role/aws-service-role/')) return [];
  const type = ({ user: 'AWS::IAM::User', group: 'AWS::IAM::Group', role: 'AWS::IAM::Role' } as const)[resource.split('/')[0] ?? ''];
  return type === undefined ? [] : [iamSubject(type, resource, place)];
}

/** Of a policy, everybody that it is attached to. */
async function principalsIn(subject: Subject, aws: Reads): Promise<readonly Subject[]> {
  if (subject.type !== 'AWS::IAM::ManagedPolicy') return [subject];
  const names = (await ifPresent(aws.listEntitiesForPolicy({ PolicyArn: subject.arn }))) ?? [];
  return names.flatMap((name) => principalAt(iamSubject(subject.type, name, subject).arn, subject));
}

/** The last part of an ARN: the name without the path. */
function nameOf({ arn }: Subject): string {
  return roleName(arn);
}

/** As it is; undefined where it is gone. */
async function principalOf(named: Subject, aws: Reads): Promise<Principal | undefined> {
  const name = nameOf(named);
  const found = await ifPresent<Found>(
    named.type === 'AWS::IAM::User'
      ? aws.getUser({ UserName: name }).then(({ User }) => User)
      : named.type === 'AWS::IAM::Group'
        ? aws.getGroup({ GroupName: name }).then(({ Group }) => Group)
        : aws.getRole({ RoleName: name }).then(({ Role }) => Role),
  );
  if (found?.Arn === undefined) return undefined;
  const tags = Object.fromEntries((found.Tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value]));
  return { subject: { ...named, arn: found.Arn }, created: found.CreateDate?.getTime() ?? 0, tags };
}

type Found =
  | {
      readonly Arn?: string | undefined;
      readonly CreateDate?: Date | undefined;
      readonly Tags?: readonly { readonly Key: string | undefined; readonly Value: string | undefined }[] | undefined;
    }
  | undefined;

interface Look {
  readonly aws: Reads;
  readonly estate: Estate;
  readonly settings: Settings;
  readonly event: ApiEvent | undefined;
  readonly now: number;
}

/** Whom a function's own policy lets deploy since the last look. */
async function judgeFunction(subject: Subject, { aws, estate, settings, event, now }: Look): Promise<Violation | undefined> {
  const policy = await ifPresent(aws.getPolicy({ FunctionName: subject.arn }));
  const grants = grantedBy(policy?.Policy, subject).filter(
    ({ principal }) =>
      !settings.deployers.includes(principal) && ownRole(principal, { stack: settings.stack, home: subject }) === undefined,
  );
  for (const { principal } of grants)
    await estate.recordKept(id, grantKey(principal), { state: { function: subject.arn } satisfies NamedIn, asOf: now });
  const state = (await estate.kept(id, subject.arn))?.state as { readonly grants: readonly OwnGrant[] } | undefined;
  const mayHaveGranted = event !== undefined && granting.some((prefix) => event.operation.startsWith(prefix));
  const added = state === undefined ? (mayHaveGranted ? grants : []) : grantsAdded(state.grants, grants);
  if (added.length === 0) {
    // Of what it lost nothing is accepted any more.
    await estate.recordKept(id, subject.arn, { state: { grants }, asOf: now });
    return undefined;
  }
  // Whoever looks again without the event still knows that nothing of it was accepted.
  if (state === undefined) await estate.recordKept(id, subject.arn, { state: { grants: [] }, asOf: now });
  const { Tags = {} } = (await ifPresent(aws.listTags({ Resource: subject.arn }))) ?? {};
  const [
    {
      principal,
      actions: [action, ...more],
    } = { principal: '', actions: [''] },
    ...others
  ] = added;
  const who = principal === '*' ? 'everybody who meets its condition' : principal;
  const what = `${action}${more.length === 0 ? '' : ` and ${more.length} more`}`;
  return {
    subject,
    summary: `The policy of ${functionName(subject.arn)} now lets ${who} change what it runs (${what})${others.length === 0 ? '' : `, and ${others.length} more principals`}, who are not among the Deployers.`,
    evidence: { may: Object.fromEntries(added.map((grant) => [grant.principal, grant.actions])), before: state?.grants ?? 'not known' },
    tags: Tags,
  };
}

async function judge(principal: Principal, look: Look): Promise<Violation | undefined> {
  const { subject } = principal;
  const { aws, estate, settings, event, now } = look;
  const accept = async (accepted: Accepted) => await estate.recordKept(id, subject.arn, { state: accepted, asOf: now });
  if (ownRole(subject.arn, { stack: settings.stack, home: subject }) !== undefined) return undefined;
  if (settings.deployers.includes(subject.arn)) {
    // Whoever is taken off the list has nothing that was accepted.
    await accept({ rights: {}, groups: [], known: false });
    return undefined;
  }
  const groups = await groupsOf(subject, aws);
  const rights = await rightsOf(subject, groups, look);
  const accepted = (await estate.kept(id, subject.arn))?.state as Accepted | undefined;
  if (isNone(rights) && (await attachedTo(subject, aws)).includes(settings.denialArn)) {
    // What the guard itself denies is not lost: it is as before when that is taken back.
    if (accepted === undefined) await accept({ rights, groups, known: false });
    return undefined;
  }
  if (accepted === undefined) {
    const isNew = await isMadeSince(principal, look);
    const mayHaveGranted = event !== undefined && granting.some((prefix) => event.operation.startsWith(prefix));
    if (isNone(rights) || !(isNew || mayHaveGranted || event?.operation.includes('Boundary'))) {
      await accept({ rights, groups, known: true });
      return undefined;
    }
    await accept({ rights: {}, groups: [], known: isNew });
    return violationOf(principal, rights, isNew ? {} : undefined, settings);
  }
  const added = await withoutGroups(
    addedTo(accepted.rights, rights),
    subject,
    groups.filter((group) => accepted.groups.includes(group)),
    look,
  );
  if (!isNone(added)) return violationOf(principal, added, accepted.known ? accepted.rights : undefined, settings);
  // Of what it lost nothing is accepted any more, nor what only its groups have: that is a finding of theirs.
  await accept({ rights: commonTo(accepted.rights, rights), groups, known: true });
  return undefined;
}

async function groupsOf(subject: Subject, aws: Reads): Promise<readonly string[]> {
  return subject.type === 'AWS::IAM::User' ? ((await ifPresent(aws.listGroupsForUser({ UserName: nameOf(subject) }))) ?? []) : [];
}

/** Whether it was made after the guard looked at principals for the first time: then it could do nothing before. */
async function isMadeSince({ subject, created }: Principal, { estate, now }: Look): Promise<boolean> {
  const account = iamSubject('AWS::IAM::User', 'root', subject).arn;
  const { state } = (await estate.kept(id, account)) ?? {};
  if (state === undefined) await estate.recordKept(id, account, { state: { since: now }, asOf: now });
  return created > ((state as { readonly since: number } | undefined)?.since ?? now);
}

/** What a principal may deploy, by simulation: everywhere, or else on what its policies name. */
async function rightsOf(subject: Subject, groups: readonly string[], { aws, now }: Look): Promise<DeployRights> {
  const everywhere = await allowedOn('*', subject, aws, now);
  const all = actionsOn('*').length === everywhere.length;
  const documents: string[] = [];
  for (const holder of all ? [] : [subject, ...groups.flatMap((group) => principalAt(group, subject))])
    documents.push(...(await documentsOf(holder, aws)));
  const rights: (readonly [string, readonly string[]])[] = [['*', everywhere]];
  for (const resource of resourcesNamed(documents, subject)) {
    const allowed = await allowedOn(resource, subject, aws, now);
    rights.push([resource, allowed.filter((action) => !everywhere.includes(action))]);
  }
  return compact(rights);
}

async function allowedOn(resource: string, subject: Subject, aws: Reads, now: number): Promise<readonly string[]> {
  const answer = await ifPresent(
    aws.simulatePolicyOf({
      PolicySourceArn: subject.arn,
      ActionNames: [...actionsOn(resource)],
      ResourceArns: [resource],
      // People who are asked for a second factor have one.
      ContextEntries: [
        ...requestContext(subject, now),
        { ContextKeyName: 'aws:MultiFactorAuthPresent', ContextKeyValues: ['true'], ContextKeyType: 'boolean' },
      ],
    }),
  );
  return decisionsOf(answer ?? {}).allowed;
}

/** Policies that may name resources: inline ones, and managed ones of the account. Those of AWS name no account's functions, or all of a pattern. */
async function documentsOf(holder: Subject, aws: Reads, which?: 'of AWS'): Promise<readonly string[]> {
  const name = nameOf(holder);
  const documents: string[] = [];
  const inline = which === undefined ? await ifPresent(inlineOf(holder, aws)) : [];
  for (const PolicyName of inline ?? []) {
    const { PolicyDocument = '' } =
      holder.type === 'AWS::IAM::User'
        ? await aws.getUserPolicy({ UserName: name, PolicyName })
        : holder.type === 'AWS::IAM::Group'
          ? await aws.getGroupPolicy({ GroupName: name, PolicyName })
          : await aws.getRolePolicy({ RoleName: name, PolicyName });
    documents.push(plainDocument(PolicyDocument));
  }
  for (const PolicyArn of await attachedTo(holder, aws)) {
    if ((parseArn(PolicyArn)?.account === 'aws') !== (which === 'of AWS')) continue;
    const { Policy } = await aws.getManagedPolicy({ PolicyArn });
    const { PolicyVersion } = await aws.getPolicyVersion({ PolicyArn, VersionId: Policy?.DefaultVersionId });
    documents.push(plainDocument(PolicyVersion?.Document ?? ''));
  }
  return documents;
}

async function inlineOf(holder: Subject, aws: Reads): Promise<readonly string[]> {
  const name = nameOf(holder);
  if (holder.type === 'AWS::IAM::User') return await aws.listUserPolicies({ UserName: name });
  return holder.type === 'AWS::IAM::Group'
    ? await aws.listGroupPolicies({ GroupName: name })
    : await aws.listRolePolicies({ RoleName: name });
}

async function attachedTo(holder: Subject, aws: Reads): Promise<readonly string[]> {
  const name = nameOf(holder);
  const attached =
    holder.type === 'AWS::IAM::User'
      ? aws.listAttachedUserPolicies({ UserName: name })
      : holder.type === 'AWS::IAM::Group'
        ? aws.listAttachedGroupPolicies({ GroupName: name })
        : aws.listAttachedRolePolicies({ RoleName: name });
  return (await ifPresent(attached)) ?? [];
}

/** What a user's groups do not have themselves: what a group is given is a finding of the group, once, and not of everybody in it. */
async function withoutGroups(added: DeployRights, subject: Subject, groups: readonly string[], { aws, now }: Look): Promise<DeployRights> {
  if (isNone(added)) return added;
  const left = new Map(Object.entries(added));
  for (const group of groups.flatMap((arn) => principalAt(arn, subject))) {
    for (const [resource, actions] of left) {
      const allowed = await allowedOn(resource, group, aws, now);
      left.set(
        resource,
        actions.filter((action) => !allowed.includes(action)),
      );
    }
  }
  return compact([...left]);
}

/**
 * The policy denies everything at once. Why that would be more than what is new, as a sentence; undefined where all that somebody
 * may do is new.
 */
async function whyMore(subject: Subject, accepted: Accepted, look: Look): Promise<string | undefined> {
  const { aws } = look;
  const name = nameOf(subject);
  const byHand = 'the policy would deny that as well. Take away by hand what is new.';
  const [before] = Object.keys(accepted.rights);
  if (before !== undefined) return `${name} could deploy to ${before} before, which was accepted: ${byHand}`;
  const groups = (await groupsOf(subject, aws)).flatMap((group) => principalAt(group, subject));
  for (const group of groups.filter(({ arn }) => accepted.groups.includes(arn))) {
    const [where] = Object.keys(await rightsOf(group, [], look));
    if (where !== undefined) return `${name} was in ${nameOf(group)} before, which may deploy to ${where}: ${byHand}`;
  }
  const [own, ofAws]: [string[], string[]] = [[], []];
  for (const holder of [subject, ...groups]) {
    own.push(...(await documentsOf(holder, aws)));
    ofAws.push(...(await documentsOf(holder, aws, 'of AWS')));
  }
  if (hasUnseenGrants([...own, ...ofAws], resourcesNamed(own, subject), subject))
    return `${name} may deploy under a condition or elsewhere as well, and whether that is new is not known: ${byHand}`;
  for (const principal of [subject.arn, '*']) {
    const { state } = (await look.estate.kept(id, grantKey(principal))) ?? {};
    const known = functionSubject((state as NamedIn | undefined)?.function ?? '', subject);
    const policy = known && (await ifPresent(aws.getPolicy({ FunctionName: known.arn })));
    if (known !== undefined && grantedBy(policy?.Policy, known).some((grant) => grant.principal === principal))
      return `The policy of ${functionName(known.arn)} lets ${name} deploy to it as well: ${byHand}`;
  }
  return undefined;
}

/** The last function that was seen to have a policy which lets somebody deploy to it. */
interface NamedIn {
  readonly function: string;
}

function grantKey(principal: string): string {
  return `${principal} in the policy of a function`;
}

function violationOf(
  { subject, tags }: Principal,
  may: DeployRights,
  before: DeployRights | undefined,
  { deployers }: Settings,
): Violation {
  const kind = subject.type.replace('AWS::IAM::', '').toLowerCase();
  const [[resource, [action, ...more]] = ['', ['']] as const, ...elsewhere] = Object.entries(may);
  const what = `${action}${more.length === 0 ? '' : ` and ${more.length} more`} on ${resource}${elsewhere.length === 0 ? '' : ', and elsewhere'}`;
  const listed = deployers.length === 0 ? 'no Deployers are listed' : 'it is not among the Deployers';
  return {
    subject,
    summary: `The ${kind} ${nameOf(subject)} may now change what functions run (${what}), and ${listed}.`,
    evidence: { may, before: before ?? 'not known' },
    tags,
  };
}
