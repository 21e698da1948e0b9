import {
  AttachRolePolicyCommand,
  CreateRoleCommand,
  DeleteRoleCommand,
  DeleteRolePolicyCommand,
  DetachRolePolicyCommand,
  GetPolicyCommand,
  GetPolicyVersionCommand,
  GetRoleCommand,
  GetRolePolicyCommand,
  IAMClient,
  ListAttachedRolePoliciesCommand,
  ListRolePoliciesCommand,
  PutRolePolicyCommand,
  SimulatePrincipalPolicyCommand,
} from '@aws-sdk/client-iam';
import type { Call } from '../guard/call.ts';
import { callsOf } from './call.ts';
import { clientPerRegion } from './clients.ts';

export type { Role } from '@aws-sdk/client-iam';

// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
const roles = 'arn:${AWS::Partition}:iam::${AWS::AccountId}:role/*';
const policies = ['arn:${AWS::Partition}:iam::${AWS::AccountId}:policy/*', 'arn:${AWS::Partition}:iam::aws:policy/*'];
/** Roles that the guard makes live under this path, and nowhere else may it write. */
const clones = 'arn:${AWS::Partition}:iam::${AWS::AccountId}:role/compliance-guard/*';
const bounded = { StringEquals: { 'iam:PermissionsBoundary': '${RoleBoundary}' } };

// An error of IAM has two names: the code on the wire and the SDK's class.
const exists = ['EntityAlreadyExists', 'EntityAlreadyExistsException'];
const gone = ['NoSuchEntity', 'NoSuchEntityException'];

const client = clientPerRegion((settings) => new IAMClient(settings));
const call = callsOf('iam', (connection, command) => client(connection).send(command));

export const getRole = call('GetRole', GetRoleCommand, { resource: roles });
export const getRolePolicy = call('GetRolePolicy', GetRolePolicyCommand, { resource: roles });
export const getManagedPolicy = { ...call('GetPolicy', GetPolicyCommand, { resource: policies }), name: 'getManagedPolicy' as const };
export const getPolicyVersion = call('GetPolicyVersion', GetPolicyVersionCommand, { resource: policies });
/** Whether a principal's own policies (and boundary) allow an action: all pages are one answer for a few actions. */
export const simulatePrincipalPolicy = call('SimulatePrincipalPolicy', SimulatePrincipalPolicyCommand, { resource: roles });

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
