import { assumeRole } from '../../support/stack.ts';
import { Boto } from '../boto.ts';
import { createFunction } from '../functions.ts';
import { alerted, alertsAbout, functionRole, mark, quiet, stack, stage } from '../stage.ts';

const RoleName = `${stack}-remediate-function-url-open`;
const roleArn = `arn:aws:iam::111122223333:role/${RoleName}`;

const hijacked = 'hijacked';

/** Acts with a role of the guard, whose trust somebody widened for a moment. */
async function withTheRole(acts: (as: Boto) => Promise<void>): Promise<void> {
  const { AssumeRolePolicyDocument } = (await stage.boto.call('iam', 'get_role', { RoleName })).Role;
  const trusting = async (document: object) =>
    await stage.boto.call('iam', 'update_assume_role_policy', { RoleName, PolicyDocument: JSON.stringify(document) });
  const everybody = { Effect: 'Allow', Principal: { AWS: 'arn:aws:iam::111122223333:root' }, Action: 'sts:AssumeRole' };
  await trusting({ ...AssumeRolePolicyDocument, Statement: [...AssumeRolePolicyDocument.Statement, everybody] });
  const as = new Boto(await assumeRole(stage.administrator, roleArn, 'somebody'));
  try {
    await acts(as);
  } finally {
    as.end();
    await trusting(AssumeRolePolicyDocument);
  }
}

export function ownRoles(): void {
  describe('a role of the guard in the hands of somebody else', () => {
    it('is told as critical at its first call, which is judged like any other; what the guard does itself is not told', async () => {
      const FunctionName = hijacked;
      await createFunction(FunctionName, await functionRole(FunctionName));
      await stage.boto.call('lambda', 'create_function_url_config', { FunctionName, AuthType: 'AWS_IAM' });
      await quiet();
      const since = mark();
      await withTheRole(async (as) => {
        await as.call('lambda', 'update_function_url_config', { FunctionName, AuthType: 'NONE' });
      });
      const told = await alerted(
        { rule: 'guard-tampered', status: 'open', resource: RoleName, says: `The guard's role ${RoleName}` },
        since,
      );
      expect(told).toMatchObject({
        kind: 'failure',
        severity: 'critical',
        resource: { arn: roleArn, type: 'AWS::IAM::Role' },
        actor: { arn: `arn:aws:sts::111122223333:assumed-role/${RoleName}/somebody` },
        summary: expect.stringContaining(`The guard's role ${RoleName} called lambda:UpdateFunctionUrlConfig on ${FunctionName}`),
      });
      await alerted({ rule: 'function-url-open', status: 'remediated', resource: `function:${FunctionName}` }, since);
      await quiet();
      // That somebody changed whom the role trusts, twice, is told by the same rule.
      expect(new Set(alertsAbout(RoleName, since))).toEqual(new Set(['guard-tampered open']));
    });
  });
}

export function ownCallsAreExplained(): void {
  test('no call that the guard made itself was taken for that of somebody else', () => {
    const told = stage.inbox.received.flatMap(({ alert }) => (alert.summary.startsWith("The guard's role ") ? [alert.summary] : []));
    expect(told).toEqual([expect.stringContaining(` on ${hijacked} at `)]);
  });
}
