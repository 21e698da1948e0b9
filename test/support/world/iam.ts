import { createHash } from 'node:crypto';
import type {
  CreatePolicyCommandInput,
  CreatePolicyVersionCommandInput,
  CreateRoleCommandInput,
  CreateUserCommandInput,
  GetAccountAuthorizationDetailsCommandInput,
  ListEntitiesForPolicyCommandInput,
  SimulateCustomPolicyCommandInput,
  SimulatePrincipalPolicyCommandInput,
} from '@aws-sdk/client-iam';
import { matchesGlob } from '../../../guard/arn.ts';
import { readPolicy, type Statement } from '../../../guard/policy-document.ts';
import { awsError, page, type Service, type Surroundings } from './service.ts';

interface Role {
  readonly id: string;
  readonly arn: string;
  readonly name: string;
  readonly path: string;
  readonly created: Date;
  trust: string;
  description: string | undefined;
  maxSessionDuration: number;
  boundary: string | undefined;
  readonly tags: Map<string, string>;
  readonly inline: Map<string, string>;
  readonly attached: Set<string>;
}

/** A user or a group. */
interface Holder {
  readonly id: string;
  readonly arn: string;
  readonly name: string;
  readonly created: Date;
  boundary: string | undefined;
  readonly tags: Map<string, string>;
  readonly inline: Map<string, string>;
  readonly attached: Set<string>;
  /** Names of the groups that a user is in. */
  readonly groups: Set<string>;
}

interface ManagedPolicy {
  readonly arn: string;
  readonly name: string;
  readonly path: string;
  readonly versions: Map<string, string>;
  defaultVersion: string;
  nextVersion: number;
}

type Input<T, Keys extends keyof T> = Partial<Omit<T, Keys>> & Required<Pick<T, Keys>>;
interface OfRole {
  readonly RoleName: string | undefined;
}
interface Inline extends OfRole {
  readonly PolicyName: string | undefined;
}
interface Attached extends OfRole {
  readonly PolicyArn: string | undefined;
}
interface OfUser {
  readonly UserName: string | undefined;
}
interface OfGroup {
  readonly GroupName: string | undefined;
}
interface Document {
  readonly PolicyName: string | undefined;
  readonly PolicyDocument: string | undefined;
}
interface Paged {
  readonly Marker?: string | undefined;
  readonly MaxItems?: number | undefined;
}

const logs = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:PutLogEvents'], Resource: '*' }],
});
const allowing = (...Action: readonly string[]) =>
  JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action, Resource: '*' }] });
const lambdaMayAssume = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' }],
});

/** IAM, as far as the guard and its tests use it. https://docs.aws.amazon.com/IAM/latest/APIReference/API_Operations.html */
export class IamService implements Service {
  readonly #world: Surroundings;
  readonly #roles = new Map<string, Role>();
  readonly #policies = new Map<string, ManagedPolicy>();
  readonly #users = new Map<string, Holder>();
  readonly #groups = new Map<string, Holder>();

  constructor(world: Surroundings) {
    this.#world = world;
    this.#awsManaged('service-role/AWSLambdaBasicExecutionRole', logs);
    this.#awsManaged(
      'service-role/AWSLambdaVPCAccessExecutionRole',
      allowing('logs:Create*', 'ec2:*NetworkInterface*', 'ec2:DescribeSubnets'),
    );
    this.#awsManaged('service-role/AWSLambdaSQSQueueExecutionRole', allowing('sqs:ReceiveMessage', 'sqs:DeleteMessage'));
    this.#awsManaged('service-role/AWSLambdaRole', allowing('lambda:InvokeFunction'));
    const ofSageMaker = { Effect: 'Allow', Action: 'lambda:*', Resource: 'arn:aws:lambda:*:*:function:*SageMaker*' };
    this.#awsManaged('AmazonSageMakerFullAccess', JSON.stringify({ Version: '2012-10-17', Statement: [ofSageMaker] }));
    this.#awsManaged('AdministratorAccess', allowing('*'));
    this.#awsManaged('ReadOnlyAccess', allowing('s3:Get*', 'dynamodb:Get*', 'iam:Get*', 'iam:List*'));
  }

  createRole(input: Input<CreateRoleCommandInput, 'RoleName'>): object {
    const { RoleName: name = '', Path = '/', AssumeRolePolicyDocument: trust = lambdaMayAssume, Tags = [] } = input;
    if (this.#roles.has(name)) throw exists(`Role with name ${name} already exists.`);
    if (!/^[\w+=,.@-]{1,64}$/.test(name)) throw invalid(`The specified value for roleName is invalid`);
    if (Tags.some(({ Key = '' }) => /^aws:/i.test(Key))) throw invalid('Tag keys beginning with aws: are reserved for system use');
    if (Tags.length > 50) throw wire('LimitExceeded', 'Tag quota exceeded', 409);
    understood(trust);
    this.#roles.set(name, {
      id: `AROA${createHash('sha256').update(`${name} ${this.#world.uuid()}`).digest('hex').slice(0, 17).toUpperCase()}`,
      arn: `arn:aws:iam::${this.#world.account}:role${Path}${name}`,
      name,
      path: Path,
      created: this.#world.tick(),
      trust,
      description: input.Description,
      maxSessionDuration: input.MaxSessionDuration ?? 3600,
      boundary: input.PermissionsBoundary,
      tags: new Map(Tags.map(({ Key = '', Value = '' }) => [Key, Value])),
      inline: new Map(),
      attached: new Set(),
    });
    return this.getRole({ RoleName: name });
  }

  /** Tags that AWS wrote (`aws:cloudformation:…`), which no caller can. */
  tagByAws(name: string, tags: Readonly<Record<string, string>>): void {
    for (const [key, value] of Object.entries(tags)) this.#role(name).tags.set(key, value);
  }

  getRole({ RoleName }: OfRole): object {
    const role = this.#role(RoleName);
    const Tags = [...role.tags].map(([Key, Value]) => ({ Key, Value }));
    return {
      Role: {
        Path: role.path,
        RoleName: role.name,
        RoleId: role.id,
        Arn: role.arn,
        CreateDate: role.created,
        AssumeRolePolicyDocument: encodeURIComponent(role.trust),
        Description: role.description,
        MaxSessionDuration: role.maxSessionDuration,
        ...(role.boundary === undefined
          ? {}
          : { PermissionsBoundary: { PermissionsBoundaryType: 'Policy', PermissionsBoundaryArn: role.boundary } }),
        ...(Tags.length === 0 ? {} : { Tags }),
        RoleLastUsed: {},
      },
    };
  }

  updateAssumeRolePolicy({ RoleName, PolicyDocument = '' }: OfRole & { readonly PolicyDocument: string | undefined }): object {
    understood(PolicyDocument);
    // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-roles
    const [, deleted] = /"(A(?:IDA|ROA)[A-Z0-9]{12,})"/.exec(PolicyDocument) ?? [];
    if (deleted !== undefined) throw wire('MalformedPolicyDocument', `Invalid principal in policy: "AWS":"${deleted}"`, 400);
    this.#role(RoleName).trust = PolicyDocument;
    return {};
  }

  /** Somebody whom the trust policy names was deleted: IAM shows their unique id from then on. */
  deletePrincipal(name: string, arn: string, id: string): void {
    const role = this.#role(name);
    role.trust = role.trust.replace(arn, id);
  }

  deleteRolePermissionsBoundary({ RoleName }: OfRole): object {
    this.#role(RoleName).boundary = undefined;
    return {};
  }

  putRolePermissionsBoundary({ RoleName, PermissionsBoundary }: OfRole & { readonly PermissionsBoundary: string | undefined }): object {
    this.#role(RoleName).boundary = PermissionsBoundary;
    return {};
  }

  deleteRole({ RoleName }: OfRole): object {
    const role = this.#role(RoleName);
    if (role.inline.size > 0) throw wire('DeleteConflict', 'Cannot delete entity, must delete policies first.', 409);
    if (role.attached.size > 0) throw wire('DeleteConflict', 'Cannot delete entity, must detach all policies first.', 409);
    this.#roles.delete(role.name);
    return {};
  }

  /** Deletes a role with everything on it. */
  forgetRole(name: string): void {
    this.#roles.delete(name);
  }

  putRolePolicy({ RoleName, PolicyName = '', PolicyDocument = '' }: Inline & { readonly PolicyDocument: string | undefined }): object {
    understood(PolicyDocument);
    this.#role(RoleName).inline.set(PolicyName, PolicyDocument);
    return {};
  }

  /** A document that IAM takes no more. */
  putRolePolicyAsItWas(role: string, policy: string, document: string): void {
    this.#role(role).inline.set(policy, document);
  }

  getRolePolicy({ RoleName, PolicyName = '' }: Inline): object {
    const document = this.#role(RoleName).inline.get(PolicyName);
    if (document === undefined) throw gone(`The role policy with name ${PolicyName} cannot be found.`);
    return { RoleName, PolicyName, PolicyDocument: encodeURIComponent(document) };
  }

  deleteRolePolicy({ RoleName, PolicyName = '' }: Inline): object {
    if (!this.#role(RoleName).inline.delete(PolicyName)) throw gone(`The role policy with name ${PolicyName} cannot be found.`);
    return {};
  }

  listRolePolicies({ RoleName, Marker, MaxItems = 100 }: OfRole & Paged): object {
    const { items, next } = page([...this.#role(RoleName).inline.keys()].sort(), Marker, MaxItems);
    return { PolicyNames: items, IsTruncated: next !== undefined, Marker: next };
  }

  attachRolePolicy({ RoleName, PolicyArn }: Attached): object {
    this.#role(RoleName).attached.add(this.#policy(PolicyArn).arn);
    return {};
  }

  detachRolePolicy({ RoleName, PolicyArn = '' }: Attached): object {
    if (!this.#role(RoleName).attached.delete(PolicyArn)) throw gone(`Policy ${PolicyArn} was not found.`);
    return {};
  }

  listAttachedRolePolicies({ RoleName, Marker, MaxItems = 100 }: OfRole & Paged): object {
    const { items, next } = page([...this.#role(RoleName).attached], Marker, MaxItems);
    const AttachedPolicies = items.map((PolicyArn) => ({ PolicyName: this.#policy(PolicyArn).name, PolicyArn }));
    return { AttachedPolicies, IsTruncated: next !== undefined, Marker: next };
  }

  createPolicy({
    PolicyName = '',
    Path = '/',
    PolicyDocument = '',
  }: Input<CreatePolicyCommandInput, 'PolicyName' | 'PolicyDocument'>): object {
    const arn = `arn:aws:iam::${this.#world.account}:policy${Path}${PolicyName}`;
    if (this.#policies.has(arn)) throw exists(`A policy called ${PolicyName} already exists.`);
    understood(PolicyDocument);
    this.#policies.set(arn, {
      arn,
      name: PolicyName,
      path: Path,
      versions: new Map([['v1', PolicyDocument]]),
      defaultVersion: 'v1',
      nextVersion: 2,
    });
    return this.getPolicy({ PolicyArn: arn });
  }

  getPolicy({ PolicyArn }: { readonly PolicyArn: string | undefined }): object {
    const { arn, name, path, defaultVersion } = this.#policy(PolicyArn);
    const roles = [...this.#roles.values()];
    const AttachmentCount = roles.filter(({ attached }) => attached.has(arn)).length;
    const PermissionsBoundaryUsageCount = roles.filter(({ boundary }) => boundary === arn).length;
    const counted = { AttachmentCount, PermissionsBoundaryUsageCount };
    return { Policy: { PolicyName: name, Arn: arn, Path: path, DefaultVersionId: defaultVersion, ...counted, IsAttachable: true } };
  }

  createPolicyVersion({ PolicyArn, PolicyDocument = '', SetAsDefault }: CreatePolicyVersionCommandInput): object {
    const policy = this.#policy(PolicyArn);
    if (policy.versions.size === 5) throw wire('LimitExceeded', 'A managed policy can have up to 5 versions.', 409);
    understood(PolicyDocument);
    const version = `v${policy.nextVersion++}`;
    policy.versions.set(version, PolicyDocument);
    if (SetAsDefault === true) policy.defaultVersion = version;
    return { PolicyVersion: { VersionId: version, IsDefaultVersion: SetAsDefault === true } };
  }

  setDefaultPolicyVersion({ PolicyArn, VersionId = '' }: { PolicyArn: string | undefined; VersionId: string | undefined }): object {
    const policy = this.#policy(PolicyArn);
    if (!policy.versions.has(VersionId)) throw gone(`Policy ${PolicyArn} version ${VersionId} does not exist.`);
    policy.defaultVersion = VersionId;
    return {};
  }

  deletePolicyVersion({ PolicyArn, VersionId = '' }: { PolicyArn: string | undefined; VersionId: string | undefined }): object {
    const policy = this.#policy(PolicyArn);
    if (policy.defaultVersion === VersionId) throw wire('DeleteConflict', 'Cannot delete the default version of a policy.', 409);
    policy.versions.delete(VersionId);
    return {};
  }

  getPolicyVersion({ PolicyArn, VersionId = '' }: { PolicyArn: string | undefined; VersionId: string | undefined }): object {
    const { versions, defaultVersion } = this.#policy(PolicyArn);
    const document = versions.get(VersionId);
    if (document === undefined) throw gone(`Policy ${PolicyArn} version ${VersionId} does not exist.`);
    return { PolicyVersion: { Document: encodeURIComponent(document), VersionId, IsDefaultVersion: VersionId === defaultVersion } };
  }

  listEntitiesForPolicy({ PolicyArn, EntityFilter, Marker, MaxItems = 100 }: ListEntitiesForPolicyCommandInput): object {
    const { arn } = this.#policy(PolicyArn);
    const having = <T extends Pick<Holder, 'attached'>>(kind: string, all: Iterable<T>) =>
      EntityFilter === undefined || EntityFilter === kind ? [...all].filter(({ attached }) => attached.has(arn)) : [];
    const roles = having('Role', this.#roles.values()).map((role) => ({ RoleName: role.name, RoleId: role.id }));
    const { items, next } = page(roles, Marker, MaxItems);
    const PolicyUsers = having('User', this.#users.values()).map(({ name, id }) => ({ UserName: name, UserId: id }));
    const PolicyGroups = having('Group', this.#groups.values()).map(({ name, id }) => ({ GroupName: name, GroupId: id }));
    return { PolicyRoles: items, PolicyGroups, PolicyUsers, IsTruncated: next !== undefined, Marker: next };
  }

  // --- users and groups

  createUser({ UserName = '', Path = '/', Tags = [] }: Input<CreateUserCommandInput, 'UserName'>): object {
    this.#users.set(UserName, this.#holder('user', 'AIDA', UserName, Path));
    for (const { Key = '', Value = '' } of Tags) this.#user(UserName).tags.set(Key, Value);
    return this.getUser({ UserName });
  }

  getUser({ UserName }: OfUser): object {
    const { arn, name, id, created, tags } = this.#user(UserName);
    const Tags = [...tags].map(([Key, Value]) => ({ Key, Value }));
    return { User: { Arn: arn, UserName: name, UserId: id, CreateDate: created, ...(Tags.length === 0 ? {} : { Tags }) } };
  }

  createGroup({ GroupName = '', Path = '/' }: { readonly GroupName: string; readonly Path?: string }): object {
    this.#groups.set(GroupName, this.#holder('group', 'AGPA', GroupName, Path));
    return this.getGroup({ GroupName });
  }

  getGroup({ GroupName }: OfGroup): object {
    const { arn, name, id, created } = this.#group(GroupName);
    const Users = [...this.#users.values()].flatMap((user) => (user.groups.has(name) ? [{ UserName: user.name, Arn: user.arn }] : []));
    return { Group: { Arn: arn, GroupName: name, GroupId: id, CreateDate: created }, Users, IsTruncated: false };
  }

  addUserToGroup({ UserName, GroupName }: OfUser & OfGroup): object {
    this.#user(UserName).groups.add(this.#group(GroupName).name);
    return {};
  }

  listGroupsForUser({ UserName, Marker, MaxItems = 100 }: OfUser & Paged): object {
    const { items, next } = page([...this.#user(UserName).groups], Marker, MaxItems);
    const Groups = items.map((name) => ({ GroupName: name, Arn: this.#group(name).arn }));
    return { Groups, IsTruncated: next !== undefined, Marker: next };
  }

  putUserPolicy({ UserName, PolicyName = '', PolicyDocument = '' }: OfUser & Document): object {
    this.#user(UserName).inline.set(PolicyName, PolicyDocument);
    return {};
  }

  putGroupPolicy({ GroupName, PolicyName = '', PolicyDocument = '' }: OfGroup & Document): object {
    this.#group(GroupName).inline.set(PolicyName, PolicyDocument);
    return {};
  }

  getUserPolicy({ UserName, PolicyName = '' }: OfUser & Partial<Document>): object {
    return { PolicyDocument: encodeURIComponent(this.#user(UserName).inline.get(PolicyName) ?? '') };
  }

  getGroupPolicy({ GroupName, PolicyName = '' }: OfGroup & Partial<Document>): object {
    return { PolicyDocument: encodeURIComponent(this.#group(GroupName).inline.get(PolicyName) ?? '') };
  }

  listUserPolicies({ UserName, Marker, MaxItems = 100 }: OfUser & Paged): object {
    const { items, next } = page([...this.#user(UserName).inline.keys()], Marker, MaxItems);
    return { PolicyNames: items, IsTruncated: next !== undefined, Marker: next };
  }

  listGroupPolicies({ GroupName, Marker, MaxItems = 100 }: OfGroup & Paged): object {
    const { items, next } = page([...this.#group(GroupName).inline.keys()], Marker, MaxItems);
    return { PolicyNames: items, IsTruncated: next !== undefined, Marker: next };
  }

  attachUserPolicy({ UserName, PolicyArn }: OfUser & { readonly PolicyArn: string | undefined }): object {
    this.#user(UserName).attached.add(this.#policy(PolicyArn).arn);
    return {};
  }

  detachUserPolicy({ UserName, PolicyArn = '' }: OfUser & { readonly PolicyArn: string | undefined }): object {
    if (!this.#user(UserName).attached.delete(PolicyArn)) throw gone(`Policy ${PolicyArn} was not found.`);
    return {};
  }

  attachGroupPolicy({ GroupName, PolicyArn }: OfGroup & { readonly PolicyArn: string | undefined }): object {
    this.#group(GroupName).attached.add(this.#policy(PolicyArn).arn);
    return {};
  }

  listAttachedUserPolicies({ UserName, Marker, MaxItems = 100 }: OfUser & Paged): object {
    const { items, next } = page([...this.#user(UserName).attached], Marker, MaxItems);
    return { AttachedPolicies: items.map((PolicyArn) => ({ PolicyArn })), IsTruncated: next !== undefined, Marker: next };
  }

  listAttachedGroupPolicies({ GroupName, Marker, MaxItems = 100 }: OfGroup & Paged): object {
    const { items, next } = page([...this.#group(GroupName).attached], Marker, MaxItems);
    return { AttachedPolicies: items.map((PolicyArn) => ({ PolicyArn })), IsTruncated: next !== undefined, Marker: next };
  }

  putUserPermissionsBoundary({ UserName, PermissionsBoundary }: OfUser & { readonly PermissionsBoundary: string | undefined }): object {
    this.#user(UserName).boundary = PermissionsBoundary;
    return {};
  }

  /** Deletes a user with everything on it. */
  forgetUser(name: string): void {
    this.#users.delete(name);
  }

  /** Of users and groups no more than their ARNs: that is what the guard asks for. */
  getAccountAuthorizationDetails({ Filter, Marker, MaxItems = 100 }: GetAccountAuthorizationDetailsCommandInput): object {
    const all = [
      ...[...this.#users.values()].map(({ arn }) => ['User', 'UserDetailList', { Arn: arn }] as const),
      ...[...this.#groups.values()].map(({ arn }) => ['Group', 'GroupDetailList', { Arn: arn }] as const),
      ...[...this.#roles.values()].map((role) => ['Role', 'RoleDetailList', this.#roleDetail(role)] as const),
      ...[...this.#policies.values()]
        .filter(({ arn }) => !arn.startsWith('arn:aws:iam::aws:'))
        .map((policy) => ['LocalManagedPolicy', 'Policies', this.#policyDetail(policy)] as const),
    ].filter(([kind]) => Filter === undefined || Filter.includes(kind));
    const { items, next } = page(all, Marker, MaxItems);
    const lists = Object.groupBy(items, ([, list]) => list);
    const details = Object.entries(lists).map(([list, entries]) => [list, (entries ?? []).map(([, , detail]) => detail)]);
    return { ...Object.fromEntries(details), IsTruncated: next !== undefined, Marker: next };
  }

  /** https://docs.aws.amazon.com/IAM/latest/APIReference/API_RoleDetail.html */
  #roleDetail({ name, inline, attached }: Role): object {
    const {
      Description: _,
      MaxSessionDuration: __,
      ...role
    } = (this.getRole({ RoleName: name }) as { Role: Readonly<Record<string, unknown>> }).Role;
    return {
      ...role,
      RolePolicyList: [...inline].map(([PolicyName, document]) => ({ PolicyName, PolicyDocument: encodeURIComponent(document) })),
      AttachedManagedPolicies: [...attached].map((arn) => ({ PolicyName: this.#policy(arn).name, PolicyArn: arn })),
    };
  }

  /** https://docs.aws.amazon.com/IAM/latest/APIReference/API_ManagedPolicyDetail.html */
  #policyDetail({ arn, versions }: ManagedPolicy): object {
    const { Policy } = this.getPolicy({ PolicyArn: arn }) as { Policy: object };
    const PolicyVersionList = [...versions.keys()].map(
      (VersionId) => (this.getPolicyVersion({ PolicyArn: arn, VersionId }) as { PolicyVersion: object }).PolicyVersion,
    );
    return { ...Policy, PolicyVersionList };
  }

  /** With the boundary and a user's groups, as if the account belonged to no organization. */
  simulatePrincipalPolicy({ PolicySourceArn = '', ...asked }: SimulatePrincipalPolicyCommandInput): object {
    const principal = [...this.#roles.values(), ...this.#users.values(), ...this.#groups.values()].find(
      ({ arn }) => arn === PolicySourceArn,
    );
    if (principal === undefined) throw gone(`Entity ${PolicySourceArn} does not exist.`);
    const holders = [principal, ...('groups' in principal ? [...principal.groups].map((name) => this.#group(name)) : [])];
    const documents = holders.flatMap((holder) => [...holder.inline.values(), ...[...holder.attached].map((arn) => this.#default(arn))]);
    return simulation(documents, principal.boundary === undefined ? undefined : this.#default(principal.boundary), asked);
  }

  simulateCustomPolicy({ PolicyInputList = [], ...asked }: SimulateCustomPolicyCommandInput): object {
    for (const document of PolicyInputList) understood(document);
    return simulation(PolicyInputList, undefined, asked);
  }

  snapshot(): unknown {
    const roles = [...this.#roles.values()].map(({ id: _id, created: _created, ...role }) => [
      role.name,
      { ...role, tags: Object.fromEntries(role.tags), inline: Object.fromEntries(role.inline), attached: [...role.attached].sort() },
    ]);
    const policies = [...this.#policies.values()].map((policy) => [
      policy.arn,
      { ...policy, versions: Object.fromEntries(policy.versions) },
    ]);
    const holders = (all: ReadonlyMap<string, Holder>) =>
      Object.fromEntries(
        [...all.values()].map(({ id: _id, created: _created, name, inline, attached, tags, groups, ...holder }) => [
          name,
          {
            ...holder,
            inline: Object.fromEntries(inline),
            attached: [...attached].sort(),
            tags: Object.fromEntries(tags),
            groups: [...groups].sort(),
          },
        ]),
      );
    const others = { users: holders(this.#users), groups: holders(this.#groups) };
    return { roles: Object.fromEntries(roles), policies: Object.fromEntries(policies), ...others };
  }

  #awsManaged(name: string, document: string): void {
    const arn = `arn:aws:iam::aws:policy/${name}`;
    const [, path = '', last = ''] = /^(.*\/)?([^/]+)$/.exec(name) ?? [];
    this.#policies.set(arn, {
      arn,
      name: last,
      path: `/${path}`,
      versions: new Map([['v1', document]]),
      defaultVersion: 'v1',
      nextVersion: 2,
    });
  }

  #holder(kind: string, prefix: string, name: string, path: string): Holder {
    return {
      id: `${prefix}${createHash('sha256').update(`${name} ${this.#world.uuid()}`).digest('hex').slice(0, 17).toUpperCase()}`,
      arn: `arn:aws:iam::${this.#world.account}:${kind}${path}${name}`,
      name,
      created: this.#world.tick(),
      boundary: undefined,
      tags: new Map(),
      inline: new Map(),
      attached: new Set(),
      groups: new Set(),
    };
  }

  #user(name = ''): Holder {
    const user = this.#users.get(name);
    if (user === undefined) throw gone(`The user with name ${name} cannot be found.`);
    return user;
  }

  #group(name = ''): Holder {
    const group = this.#groups.get(name);
    if (group === undefined) throw gone(`The group with name ${name} cannot be found.`);
    return group;
  }

  #role(name = ''): Role {
    const role = this.#roles.get(name);
    if (role === undefined) throw gone(`The role with name ${name} cannot be found.`);
    return role;
  }

  #policy(arn = ''): ManagedPolicy {
    const policy = this.#policies.get(arn);
    if (policy === undefined) throw gone(`Policy ${arn} was not found.`);
    return policy;
  }

  #default(arn: string): string | undefined {
    const { versions, defaultVersion } = this.#policy(arn);
    return versions.get(defaultVersion);
  }
}

type Asked = Pick<SimulateCustomPolicyCommandInput, 'ActionNames' | 'ResourceArns' | 'ContextEntries'>;

/** One result an action, as AWS sums up the resources (the most restrictive decision), and each resource by itself. */
function simulation(
  documents: readonly (string | undefined)[],
  boundary: string | undefined,
  { ActionNames = [], ResourceArns = ['*'], ContextEntries = [] }: Asked,
): object {
  const context = new Map(
    ContextEntries.map(({ ContextKeyName = '', ContextKeyValues = [] }) => [ContextKeyName.toLowerCase(), ContextKeyValues]),
  );
  const statements = documents.flatMap((document) => readPolicy(document));
  const limits = boundary === undefined ? undefined : readPolicy(boundary);
  const keys = [...statements, ...(limits ?? [])].flatMap(({ Condition = {} }) =>
    Object.values(Condition).flatMap((block) => Object.keys(block)),
  );
  const MissingContextValues = [...new Set(keys)].filter((key) => !context.has(key.toLowerCase()));
  const EvaluationResults = ActionNames.map((EvalActionName) => {
    const decide = (from: readonly Statement[], resource: string) => {
      const effects = from.flatMap((statement) => (applies(statement, EvalActionName, resource, context) ? [statement.Effect] : []));
      return effects.includes('Deny') ? 'explicitDeny' : effects.includes('Allow') ? 'allowed' : 'implicitDeny';
    };
    const within = (resource: string) => limits === undefined || decide(limits, resource) === 'allowed';
    const one = (resource: string) => {
      const own = decide(statements, resource);
      return own === 'allowed' && !within(resource) ? 'implicitDeny' : own;
    };
    const decisions = ResourceArns.map(one);
    const EvalDecision = (['explicitDeny', 'implicitDeny'] as const).find((decision) => decisions.includes(decision)) ?? 'allowed';
    const detail =
      limits === undefined ? {} : { PermissionsBoundaryDecisionDetail: { AllowedByPermissionsBoundary: ResourceArns.every(within) } };
    const EvalResourceName = ResourceArns.length === 1 ? ResourceArns[0] : '*';
    const each = ResourceArns.map((resource) => ({
      EvalResourceName: resource,
      EvalResourceDecision: one(resource),
      MissingContextValues,
      ...(limits === undefined ? {} : { PermissionsBoundaryDecisionDetail: { AllowedByPermissionsBoundary: within(resource) } }),
    }));
    const ResourceSpecificResults = ResourceArns[0] === '*' ? [] : each;
    return {
      EvalActionName,
      EvalResourceName,
      EvalDecision,
      MatchedStatements: [],
      MissingContextValues,
      ResourceSpecificResults,
      ...detail,
    };
  });
  return { EvaluationResults, IsTruncated: false };
}

function applies(statement: Statement, action: string, resource: string, context: ReadonlyMap<string, readonly string[]>): boolean {
  const { Action, NotAction = [], Resource, NotResource, Condition = {} } = statement;
  const named = (patterns: readonly string[]) => patterns.some((pattern) => matchesGlob(action.toLowerCase(), pattern.toLowerCase()));
  const covered = (patterns: readonly string[]) => patterns.some((pattern) => matchesGlob(resource, pattern));
  return (
    (Action === undefined ? !named(NotAction) : named(Action)) &&
    (NotResource === undefined ? covered(Resource ?? ['*']) : !covered(NotResource)) &&
    Object.entries(Condition).every(([operator, block]) =>
      Object.entries(block).every(([key, values]) => met(operator, values, context.get(key.toLowerCase()))),
    )
  );
}

/** The operators that tests use: equal or like, the opposite, and `…IfExists`. */
function met(operator: string, values: readonly string[], actual: readonly string[] | undefined): boolean {
  const [, type = '', not, , ifExists] = /^(String|Arn|Bool)(Not)?(Equals|Like)?(IfExists)?$/.exec(operator) ?? [];
  if (type === '') throw new Error(`test/support/world weighs no ${operator}`);
  if (actual === undefined) return not !== undefined || ifExists !== undefined;
  return actual.some((one) => values.some((value) => matchesGlob(one, value))) === (not === undefined);
}

/** The errors of IAM carry the code of the wire beside the name of the SDK's class. */
function wire(code: string, message: string, status: number): Error {
  return Object.assign(awsError(`${code}Exception`, message, status), { Code: code });
}

function gone(message: string): Error {
  return wire('NoSuchEntity', message, 404);
}

function exists(message: string): Error {
  return wire('EntityAlreadyExists', message, 409);
}

function invalid(message: string): Error {
  return wire('InvalidInput', message, 400);
}

function understood(document: string): void {
  try {
    readPolicy(document);
  } catch {
    throw wire('MalformedPolicyDocument', 'This policy contains invalid Json', 400);
  }
}
