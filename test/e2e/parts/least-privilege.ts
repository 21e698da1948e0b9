import { rules } from '../../../rules/index.ts';
import { stack, stage } from '../stage.ts';
import { allowedToTheGuard } from './alert-mode.ts';

/** What runs the guard itself: its logs, queues, ledger, bus and key are the same for every function, whether it uses all of it or not. */
const plumbing =
  /^(logs:.*|events:PutEvents|sqs:(ReceiveMessage|DeleteMessage|ChangeMessageVisibility|GetQueueAttributes)|dynamodb:(Get|Put|Update|Delete)Item|dynamodb:Query|kms:(Decrypt|GenerateDataKey))$/;

/** What policies have to allow although the suite sees nobody call it, and why. */
const neverSeen: Readonly<Record<string, string>> = {
  'lambda:ListTags in check-deployments': 'decides whether the answer of GetFunction holds the tags',
  'lambda:ListTags in remediate-code-changed-by-hand': 'the same',
  's3:ListBucket in check-deployments': 'decides whether S3 says that an object is not there',
  's3:ListBucket in remediate-code-changed-by-hand': 'the same',
  'iam:TagRole in remediate-role-shared': 'asked for beside CreateRole, which carries the tags; the emulator asks for CreateRole alone',
  'secretsmanager:TagResource in remediate-secret-in-environment': 'the same, beside CreateSecret',
  'lambda:ListFunctionUrlConfigs in remediate-function-url-open': 'a sweep asks it, and only checkers sweep',
  'lambda:ListAliases in remediate-function-policy-open': 'the same',
  'lambda:GetFunctionConfiguration in remediate-security-group-open-ingress': 'asked about functions, whose groups alone are put right',
  'lambda:ListAliases in remediate-security-group-open-ingress': 'the same',
  'lambda:GetFunctionConfiguration in remediate-role-too-broad': 'the same, of roles',
  'lambda:ListAliases in remediate-role-too-broad': 'the same',
  'iam:ListEntitiesForPolicy in remediate-role-too-broad': 'asked about policies, whose roles alone are put right',
  'lambda:GetFunctionConfiguration in remediate-role-trust-open': 'asked about functions, whose roles alone are put right',
  'lambda:ListAliases in remediate-role-trust-open': 'the same',
  'iam:GetRolePolicy in remediate-secret-not-rotated': 'asked about functions, whose secrets alone are put right',
  'iam:GetPolicy in remediate-secret-not-rotated': 'the same',
  'iam:GetPolicyVersion in remediate-secret-not-rotated': 'the same',
  'iam:ListRolePolicies in remediate-secret-not-rotated': 'the same',
  'iam:ListAttachedRolePolicies in remediate-secret-not-rotated': 'the same',
  'lambda:ListAliases in remediate-secret-not-rotated': 'the same',
  'iam:ListEntitiesForPolicy in remediate-direct-deploy-permission': 'asked about policies, of which nobody is denied anything',
  'lambda:GetPolicy in remediate-direct-deploy-permission': 'asked about functions, whose policies are told and left alone',
  'lambda:ListTags in remediate-direct-deploy-permission': 'the same',
  'kms:CreateGrant in remediate-secret-in-environment': 'of functions with a key of the customer',
  'kms:Encrypt in remediate-secret-in-environment': 'the same',
};

/** A checker shows the plan that the remediator of its rule makes, and the suite hardly ever has it do so: what one of them reads the other may. */
function planner(role: string): readonly string[] {
  return rules.flatMap(({ id, practice }) => (role === `remediate-${id}` ? [`check-${practice}`] : []));
}

export function leastPrivilege(): void {
  describe('the roles of the guard, after everything that it did', () => {
    it('were refused nothing', async () => {
      const denied = (await stage.bench.denied()).filter(({ principalArn }) => principalArn.includes(`/${stack}-`));
      expect(denied.map(({ principalArn, action, resource }) => `${principalArn.split('/').at(-1)}: ${action} on ${resource}`)).toEqual([]);
    });

    it('may do nothing to the estate that they did not do', async () => {
      const { calls } = await stage.bench.calls();
      const called = new Set(
        calls.flatMap(({ principalArn, actions }) => {
          const role = new RegExp(`:assumed-role/${stack}-([^/]+)/`).exec(principalArn)?.[1];
          return role === undefined ? [] : actions.flatMap((action) => [role, ...planner(role)].map((of) => `${action} in ${of}`));
        }),
      );
      const allowed = (await allowedToTheGuard())
        .filter(({ role }) => /-(check|remediate)-/.test(role))
        .flatMap(({ role, actions }) =>
          actions.filter((action) => !plumbing.test(action)).map((action) => `${action} in ${role.slice(stack.length + 1)}`),
        );
      const idle = [...new Set(allowed.filter((action) => !called.has(action)))];
      expect(idle.sort()).toEqual(Object.keys(neverSeen).sort());
    });
  });
}
