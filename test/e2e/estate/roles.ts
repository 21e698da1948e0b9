import { createFunction, settled } from '../functions.ts';
import { functionRole } from '../stage.ts';
import { account, administrator, aliased, allowing, functionArn, type Kind, type NearMiss, pipeline, roleArn, sound } from './kind.ts';

const lambda = { Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' }, Action: 'sts:AssumeRole' };

async function trust(RoleName: string, ...more: readonly object[]): Promise<void> {
  const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement: [lambda, ...more] });
  await administrator('iam', 'update_assume_role_policy', { RoleName, PolicyDocument });
}

/** A role that somebody else may assume as well, before or after a function has it. */
function trusting(how: string, statement: object, later = false): Kind {
  return {
    rule: 'role-trust-open',
    how,
    async make(name) {
      const role = await functionRole(name);
      const open = () => trust(name, { Effect: 'Allow', Action: 'sts:AssumeRole', ...statement });
      if (!later) await open();
      await createFunction(name, role);
      return { found: [roleArn(name)], ...(later ? { later: open } : {}) };
    },
  };
}

function broad(how: string, allow: object): Kind {
  return {
    rule: 'role-too-broad',
    how,
    async make(name) {
      await sound(name, {}, { allow: [{ Resource: '*', ...allow }] });
      return roleArn(name);
    },
  };
}

const federated = `arn:aws:iam::${account}:oidc-provider/token.actions.githubusercontent.com`;
const web = (keys: object) => ({
  Effect: 'Allow',
  Action: 'sts:AssumeRoleWithWebIdentity',
  Principal: { Federated: federated },
  Condition: {
    StringLike: Object.fromEntries(Object.entries(keys).map(([key, value]) => [`token.actions.githubusercontent.com:${key}`, value])),
  },
});

export const kinds: readonly Kind[] = [
  {
    rule: 'role-shared',
    how: 'shared',
    async make(name) {
      const role = await functionRole(name);
      await createFunction(`${name}-1`, role);
      await createFunction(`${name}-2`, role);
      // Who of the two was there first, only their events tell.
      return functionArn(`${name}-*`);
    },
  },
  {
    rule: 'role-shared',
    how: 'shared-later',
    async make(name) {
      await sound(`${name}-1`);
      await sound(`${name}-2`);
      const give = () => pipeline('update_function_configuration', { FunctionName: `${name}-2`, Role: roleArn(`${name}-1`) });
      return { found: [functionArn(`${name}-*`)], later: give };
    },
  },
  {
    rule: 'role-shared',
    how: 'shared-by-a-version',
    async make(name) {
      await sound(`${name}-1`);
      await createFunction(`${name}-2`, roleArn(`${name}-1`), { Publish: true });
      await aliased(`${name}-2`);
      await pipeline('update_function_configuration', { FunctionName: `${name}-2`, Role: await functionRole(`${name}-2`) });
      await settled(`${name}-2`);
      return functionArn(`${name}-*`);
    },
  },
  // With lambda:* among them, it would be somebody who may deploy as well.
  broad('everything-but-lambda', { NotAction: ['lambda:*', 'iam:*', 'sts:*'] }),
  broad('iam', { Action: 'iam:*' }),
  broad('assumes-any-role', { Action: ['sts:AssumeRole'] }),
  broad('passes-any-role', { Action: 'iam:Pass*' }),
  {
    rule: 'role-too-broad',
    how: 'of-aws-managed',
    async make(name) {
      await sound(name);
      await administrator('iam', 'attach_role_policy', { RoleName: name, PolicyArn: 'arn:aws:iam::aws:policy/IAMFullAccess' });
      return roleArn(name);
    },
  },
  {
    rule: 'role-too-broad',
    how: 'by-a-version',
    async make(name) {
      await sound(name);
      const { Policy } = await administrator('iam', 'create_policy', { PolicyName: name, PolicyDocument: allowing('s3:GetObject') });
      await administrator('iam', 'attach_role_policy', { RoleName: name, PolicyArn: Policy.Arn });
      const version = { PolicyArn: Policy.Arn, PolicyDocument: allowing('iam:*'), SetAsDefault: true };
      return { found: [roleArn(name)], later: () => administrator('iam', 'create_policy_version', version) };
    },
  },
  trusting('trusts-everyone', { Principal: '*' }),
  trusting('trusts-an-account', { Principal: { AWS: 'arn:aws:iam::444455556666:root' } }),
  trusting('trusts-a-service', { Principal: { Service: 'ec2.amazonaws.com' } }),
  trusting('trusts-web-identities', web({ aud: 'sts.amazonaws.com' })),
  trusting('trusts-everyone-later', { Principal: { AWS: '*' } }, true),
];

export const nearMisses: readonly NearMiss[] = [
  {
    how: 'trusts-whom-it-may',
    async make(name) {
      const role = await functionRole(name);
      await trust(
        name,
        { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service: 'states.amazonaws.com', AWS: `arn:aws:iam::${account}:root` } },
        {
          Effect: 'Allow',
          Action: 'sts:AssumeRole',
          Principal: { AWS: 'arn:aws:iam::444455556666:root' },
          Condition: { StringEquals: { 'sts:ExternalId': 'shop-7' } },
        },
        web({ sub: 'repo:shop/orders:*' }),
      );
      await createFunction(name, role);
    },
  },
  {
    how: 'passes-one-role',
    async make(name) {
      const allow = [
        { Action: 'iam:PassRole', Resource: roleArn(name) },
        { Action: 'sts:AssumeRole', Resource: roleArn('reports') },
      ];
      await sound(name, {}, { allow });
    },
  },
  {
    how: 'administrator-in-bounds',
    async make(name) {
      const role = await functionRole(name);
      const { Policy } = await administrator('iam', 'create_policy', { PolicyName: name, PolicyDocument: allowing('s3:*') });
      await administrator('iam', 'put_role_permissions_boundary', { RoleName: name, PermissionsBoundary: Policy.Arn });
      await administrator('iam', 'attach_role_policy', { RoleName: name, PolicyArn: 'arn:aws:iam::aws:policy/AdministratorAccess' });
      await createFunction(name, role);
    },
  },
];
