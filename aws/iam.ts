import type {
  GetRoleCommandInput,
  GetRoleCommandOutput,
  ListAttachedGroupPoliciesCommandOutput,
  ListAttachedUserPoliciesCommandOutput,
  ListGroupPoliciesCommandOutput,
  ListGroupsForUserCommandOutput,
  ListUserPoliciesCommandOutput,
  ManagedPolicyDetail,
  RoleDetail,
} from '@aws-sdk/client-iam';
import {
  AttachRolePolicyCommand,
  AttachUserPolicyCommand,
  CreateRoleCommand,
  DeleteRoleCommand,
  DeleteRolePolicyCommand,
  DetachRolePolicyCommand,
  DetachUserPolicyCommand,
  GetAccountAuthorizationDetailsCommand,
  GetGroupCommand,
  GetGroupPolicyCommand,
  GetPolicyCommand,
  GetPolicyVersionCommand,
  GetRoleCommand,
  GetRolePolicyCommand,
  GetUserCommand,
  GetUserPolicyCommand,
  IAMClient,
  ListAttachedGroupPoliciesCommand,
  ListAttachedRolePoliciesCommand,
  ListAttachedUserPoliciesCommand,
  ListEntitiesForPolicyCommand,
  ListGroupPoliciesCommand,
  ListGroupsForUserCommand,
  ListRolePoliciesCommand,
  ListUserPoliciesCommand,
  PutRolePolicyCommand,
  SetDefaultPolicyVersionCommand,
  SimulateCustomPolicyCommand,
  SimulatePrincipalPolicyCommand,
  UpdateAssumeRolePolicyCommand,
} from '@aws-sdk/client-iam';
import type { Call } from '../guard/call.ts';
import { errorKind, ifPresent } from '../guard/errors.ts';
import { callsOf } from './call.ts';
import { clientPerRegion, oneEndpoint } from './clients.ts';

export type { Role } from '@aws-sdk/client-iam';

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
const roles = 'arn:${AWS::Partition}:iam::${AWS::AccountId}:role/*';
const users = 'arn:${AWS::Partition}:iam::${AWS::AccountId}:user/*';
const groups = 'arn:${AWS::Partition}:iam::${AWS::AccountId}:group/*';
const policies = ['arn:${AWS::Partition}:iam::${AWS::AccountId}:policy/*', 'arn:${AWS::Partition}:iam::aws:policy/*'];
/** Roles that the guard makes live under this path, and nowhere else may it write. */
const clones = 'arn:${AWS::Partition}:iam::${AWS::AccountId}:role/compliance-guard/*';
const bounded = { StringEquals: { 'iam:PermissionsBoundary': '${RoleBoundary}' } };

// An error of IAM has two names: the code on the wire and the SDK's class.
const exists = ['EntityAlreadyExists', 'EntityAlreadyExistsException'];
const gone = ['NoSuchEntity', 'NoSuchEntityException'];

const client = clientPerRegion((settings) => new IAMClient({ ...settings, ...oneEndpoint }));
const call = callsOf('iam', (connection, command) => client(connection).send(command));

export const getRole = call('GetRole', GetRoleCommand, { resource: roles });
/** The same for whoever makes another like it, with what no list of roles tells. */
export const getWholeRole: Call<'getWholeRole', GetRoleCommandInput, GetRoleCommandOutput> = {
  ...getRole,
  name: 'getWholeRole',
  operation: 'GetRole',
  run: (connection, input) => getRole.run(connection, input),
};
export const getRolePolicy = call('GetRolePolicy', GetRolePolicyCommand, { resource: roles });
export const getManagedPolicy = { ...call('GetPolicy', GetPolicyCommand, { resource: policies }), name: 'getManagedPolicy' as const };
export const getPolicyVersion = call('GetPolicyVersion', GetPolicyVersionCommand, { resource: policies });
/** Whether a principal's own policies (and boundary) allow an action: all pages are one answer for a few actions. */
export const simulatePrincipalPolicy = call('SimulatePrincipalPolicy', SimulatePrincipalPolicyCommand, { resource: roles });

/** What policies allow by themselves; IAM has no resources to ask it for. */
export const simulateCustomPolicy = call('SimulateCustomPolicy', SimulateCustomPolicyCommand, { resource: '*' });

/** The names of a role's inline policies, all pages. */
export const listRolePolicies: Call<'listRolePolicies', { readonly RoleName: string }, readonly string[]> = {
  name: 'listRolePolicies',
  service: 'iam',
  permissions: [{ action: 'iam:ListRolePolicies', resource: roles }],
  alreadyDone: [],
  async run(connection, input) {
    const names: string[] = [];
    let Marker: string | undefined;
    do {
      const page = await client(connection).send(new ListRolePoliciesCommand({ ...input, Marker }));
      names.push(...(page.PolicyNames ?? []));
      Marker = page.IsTruncated === true ? page.Marker : undefined;
    } while (Marker !== undefined);
    return names;
  },
};

/** The ARNs of a role's managed policies, all pages. */
export const listAttachedRolePolicies: Call<'listAttachedRolePolicies', { readonly RoleName: string }, readonly string[]> = {
  name: 'listAttachedRolePolicies',
  service: 'iam',
  permissions: [{ action: 'iam:ListAttachedRolePolicies', resource: roles }],
  alreadyDone: [],
  async run(connection, input) {
    const arns: string[] = [];
    let Marker: string | undefined;
    do {
      const page = await client(connection).send(new ListAttachedRolePoliciesCommand({ ...input, Marker }));
      for (const { PolicyArn } of page.AttachedPolicies ?? []) if (PolicyArn !== undefined) arns.push(PolicyArn);
      Marker = page.IsTruncated === true ? page.Marker : undefined;
    } while (Marker !== undefined);
    return arns;
  },
};

/** The names of the roles that a managed policy is attached to, a hundred at the most. */
export const listRolesWithPolicy: Call<'listRolesWithPolicy', { readonly PolicyArn: string }, readonly string[]> = {
  name: 'listRolesWithPolicy',
  service: 'iam',
  operation: 'ListEntitiesForPolicy',
  permissions: [{ action: 'iam:ListEntitiesForPolicy', resource: policies }],
  alreadyDone: [],
  async run(connection, input) {
    const page = await client(connection).send(new ListEntitiesForPolicyCommand({ ...input, EntityFilter: 'Role', MaxItems: 100 }));
    return (page.PolicyRoles ?? []).flatMap(({ RoleName }) => RoleName ?? []);
  },
};

// --- users and groups

export const getUser = call('GetUser', GetUserCommand, { resource: users });
export const getUserPolicy = call('GetUserPolicy', GetUserPolicyCommand, { resource: users });
/** With the group's users, a page of them: who they are does not matter. */
export const getGroup = call('GetGroup', GetGroupCommand, { resource: groups });
export const getGroupPolicy = call('GetGroupPolicy', GetGroupPolicyCommand, { resource: groups });

interface Page {
  readonly IsTruncated?: boolean | undefined;
  readonly Marker?: string | undefined;
}

/** A list of names or ARNs, all pages. */
function allPages<const Name extends string, Input extends object, Output extends Page>(
  name: Name,
  resource: string,
  Command: new (input: Input & { Marker?: string }) => unknown,
  itemsOf: (page: Output) => readonly (string | undefined)[] | undefined,
): Call<Name, Input, readonly string[]> {
  return {
    name,
    service: 'iam',
    permissions: [{ action: `iam:${name.charAt(0).toUpperCase()}${name.slice(1)}`, resource }],
    alreadyDone: [],
    async run(connection, input) {
      const items: string[] = [];
      let Marker: string | undefined;
      do {
        const command = new Command({ ...input, ...(Marker === undefined ? {} : { Marker }) });
        const page = (await client(connection).send(command as never)) as unknown as Output;
        for (const item of itemsOf(page) ?? []) if (item !== undefined) items.push(item);
        Marker = page.IsTruncated === true ? page.Marker : undefined;
      } while (Marker !== undefined);
      return items;
    },
  };
}

type OfUser = { readonly UserName: string };
type OfGroup = { readonly GroupName: string };
export const listUserPolicies = allPages<'listUserPolicies', OfUser, ListUserPoliciesCommandOutput>(
  'listUserPolicies',
  users,
  ListUserPoliciesCommand,
  ({ PolicyNames }) => PolicyNames,
);
export const listGroupPolicies = allPages<'listGroupPolicies', OfGroup, ListGroupPoliciesCommandOutput>(
  'listGroupPolicies',
  groups,
  ListGroupPoliciesCommand,
  ({ PolicyNames }) => PolicyNames,
);
export const listAttachedUserPolicies = allPages<'listAttachedUserPolicies', OfUser, ListAttachedUserPoliciesCommandOutput>(
  'listAttachedUserPolicies',
  users,
  ListAttachedUserPoliciesCommand,
  ({ AttachedPolicies }) => AttachedPolicies?.map(({ PolicyArn }) => PolicyArn),
);
export const listAttachedGroupPolicies = allPages<'listAttachedGroupPolicies', OfGroup, ListAttachedGroupPoliciesCommandOutput>(
  'listAttachedGroupPolicies',
  groups,
  ListAttachedGroupPoliciesCommand,
  ({ AttachedPolicies }) => AttachedPolicies?.map(({ PolicyArn }) => PolicyArn),
);
/** The ARNs of a user's groups. */
export const listGroupsForUser = allPages<'listGroupsForUser', OfUser, ListGroupsForUserCommandOutput>(
  'listGroupsForUser',
  users,
  ListGroupsForUserCommand,
  ({ Groups }) => Groups?.map(({ Arn }) => Arn),
);

/** The simulation of a user, a group or a role. */
export const simulatePolicyOf = {
  ...call('SimulatePrincipalPolicy', SimulatePrincipalPolicyCommand, { resource: [users, groups, roles] }),
  name: 'simulatePolicyOf' as const,
  operation: 'SimulatePrincipalPolicy',
};

/** Whom a managed policy is attached to, a hundred at the most: `user/name`, `group/name`, `role/name`. */
export const listEntitiesForPolicy: Call<'listEntitiesForPolicy', { readonly PolicyArn: string }, readonly string[]> = {
  name: 'listEntitiesForPolicy',
  service: 'iam',
  permissions: [{ action: 'iam:ListEntitiesForPolicy', resource: policies }],
  alreadyDone: [],
  async run(connection, input) {
    const {
      PolicyUsers = [],
      PolicyGroups = [],
      PolicyRoles = [],
    } = await client(connection).send(
      new ListEntitiesForPolicyCommand({ ...input, PolicyUsageFilter: 'PermissionsPolicy', MaxItems: 100 }),
    );
    return [
      ...PolicyUsers.map(({ UserName }) => `user/${UserName}`),
      ...PolicyGroups.map(({ GroupName }) => `group/${GroupName}`),
      ...PolicyRoles.map(({ RoleName }) => `role/${RoleName}`),
    ];
  },
};

interface PrincipalsPage {
  readonly arns: readonly string[];
  readonly Marker: string | undefined;
}

/** The ARNs of every user, group and role, a page at a time. */
export const principalsPage: Call<'principalsPage', { readonly Marker: string | undefined }, PrincipalsPage> = {
  name: 'principalsPage',
  service: 'iam',
  operation: 'GetAccountAuthorizationDetails',
  permissions: [{ action: 'iam:GetAccountAuthorizationDetails', resource: '*' }],
  alreadyDone: [],
  async run(connection, { Marker }) {
    const page = await client(connection).send(
      new GetAccountAuthorizationDetailsCommand({
        Filter: ['User', 'Group', 'Role'],
        MaxItems: 200,
        ...(Marker === undefined ? {} : { Marker }),
      }),
    );
    const all = [...(page.UserDetailList ?? []), ...(page.GroupDetailList ?? []), ...(page.RoleDetailList ?? [])];
    return { arns: all.flatMap(({ Arn }) => Arn ?? []), Marker: page.IsTruncated === true ? page.Marker : undefined };
  },
};

/** What the account's roles and its own policies are, with their documents. */
export interface AccountDetails {
  readonly roles: readonly RoleDetail[];
  readonly policies: readonly ManagedPolicyDetail[];
}

/** Every role and every policy of the account's own, all pages (200 a page). */
export const accountDetails: Call<'accountDetails', object, AccountDetails> = {
  name: 'accountDetails',
  service: 'iam',
  operation: 'GetAccountAuthorizationDetails',
  permissions: principalsPage.permissions,
  alreadyDone: [],
  async run(connection) {
    const roles: RoleDetail[] = [];
    const policies: ManagedPolicyDetail[] = [];
    let Marker: string | undefined;
    do {
      const page = await client(connection).send(
        new GetAccountAuthorizationDetailsCommand({ Filter: ['Role', 'LocalManagedPolicy'], MaxItems: 200, Marker }),
      );
      roles.push(...(page.RoleDetailList ?? []));
      policies.push(...(page.Policies ?? []));
      Marker = page.IsTruncated === true ? page.Marker : undefined;
    } while (Marker !== undefined);
    return { roles, policies };
  },
};

// The one policy that can be attached to any user or role: it denies what deploys code, and allows nothing.
const denial = { ArnEquals: { 'iam:PolicyARN': '${DirectDeployDenial}' } };
export const denyUser = {
  ...call('AttachUserPolicy', AttachUserPolicyCommand, { resource: users, condition: denial }),
  name: 'denyUser' as const,
  operation: 'AttachUserPolicy',
};
export const denyRole = {
  ...call('AttachRolePolicy', AttachRolePolicyCommand, { resource: roles, condition: denial }),
  name: 'denyRole' as const,
  operation: 'AttachRolePolicy',
};
export const undenyUser = {
  ...call('DetachUserPolicy', DetachUserPolicyCommand, { resource: users, condition: denial, alreadyDone: gone }),
  name: 'undenyUser' as const,
  operation: 'DetachUserPolicy',
};
export const undenyRole = {
  ...call('DetachRolePolicy', DetachRolePolicyCommand, { resource: roles, condition: denial, alreadyDone: gone }),
  name: 'undenyRole' as const,
  operation: 'DetachRolePolicy',
};

// Of any role of the account: policies can be taken from it, and what a policy was before be put in force again. Nothing can
// be given to a role; whoever takes such a change back does so with permissions of their own.
const anyPolicy = { ArnLike: { 'iam:PolicyARN': policies } };
export const detachPolicyFromRole = {
  ...call('DetachRolePolicy', DetachRolePolicyCommand, { resource: roles, condition: anyPolicy, alreadyDone: gone }),
  name: 'detachPolicyFromRole' as const,
  operation: 'DetachRolePolicy',
};
/** A role that is gone needs no policy; a policy that is gone is an error. IAM calls both NoSuchEntity. */
export const attachPolicyToRole: Call<'attachPolicyToRole', { readonly RoleName: string; readonly PolicyArn: string }, unknown> = {
  name: 'attachPolicyToRole',
  service: 'iam',
  operation: 'AttachRolePolicy',
  permissions: [
    { action: 'iam:AttachRolePolicy', resource: roles, condition: anyPolicy },
    { action: 'iam:GetRole', resource: roles },
  ],
  alreadyDone: [],
  async run(connection, input) {
    try {
      return await client(connection).send(new AttachRolePolicyCommand(input));
    } catch (error) {
      const { RoleName } = input;
      const isThere =
        errorKind(error) !== 'absent' || (await ifPresent(client(connection).send(new GetRoleCommand({ RoleName })))) !== undefined;
      if (isThere) throw error;
      return {};
    }
  },
};
export const deleteInlinePolicy = {
  ...call('DeleteRolePolicy', DeleteRolePolicyCommand, { resource: roles, alreadyDone: gone }),
  name: 'deleteInlinePolicy' as const,
  operation: 'DeleteRolePolicy',
};
export const putInlinePolicy = {
  ...call('PutRolePolicy', PutRolePolicyCommand, { resource: roles, alreadyDone: gone }),
  name: 'putInlinePolicy' as const,
  operation: 'PutRolePolicy',
};
export const setDefaultPolicyVersion = call('SetDefaultPolicyVersion', SetDefaultPolicyVersionCommand, {
  resource: 'arn:${AWS::Partition}:iam::${AWS::AccountId}:policy/*',
});

export const updateAssumeRolePolicy = call('UpdateAssumeRolePolicy', UpdateAssumeRolePolicyCommand, { resource: roles, alreadyDone: gone });

// A role can be made, and given policies, only under the guard's path and with the stack's boundary on it.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html#access_policies_boundaries-delegate
export const createRole = call('CreateRole', CreateRoleCommand, {
  resource: clones,
  condition: bounded,
  also: [{ action: 'iam:TagRole', resource: clones }],
  alreadyDone: exists,
});
export const putRolePolicy = call('PutRolePolicy', PutRolePolicyCommand, { resource: clones, condition: bounded });
export const attachRolePolicy = call('AttachRolePolicy', AttachRolePolicyCommand, { resource: clones, condition: bounded });
export const detachRolePolicy = call('DetachRolePolicy', DetachRolePolicyCommand, {
  resource: clones,
  condition: bounded,
  alreadyDone: gone,
});
export const deleteRolePolicy = call('DeleteRolePolicy', DeleteRolePolicyCommand, {
  resource: clones,
  condition: bounded,
  alreadyDone: gone,
});
export const deleteRole = call('DeleteRole', DeleteRoleCommand, { resource: clones, alreadyDone: gone });
