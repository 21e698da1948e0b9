import { randomBytes } from 'node:crypto';
import type { Alert } from '../../../guard/alert.ts';
import { samDeploy } from '../../support/stack.ts';
import { bytes } from '../boto.ts';
import { answerOf, configuration, createFunction, roleKnower, secretReader, settled } from '../functions.ts';
import { alerted, alertsAbout, buildDirectory, functionRole, guard, held, mark, quiet, stage, undo } from '../stage.ts';

const password = `Qv3-${randomBytes(12).toString('base64url')}`;
const shared = 'shared-shipping';

async function takesSharedRole(FunctionName: string): Promise<void> {
  const Role = (await configuration('shipping')).Role;
  await stage.boto.call('lambda', 'update_function_configuration', { FunctionName, Role });
  await settled(FunctionName);
}

/** CloudWatch keeps minutes, and that of the change tells of both: it is invoked in the next one. */
async function failing(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 60_100 - (Date.now() % 60_000)));
  for (let time = 0; time < 4; time += 1) await expect(answerOf('customs')).rejects.toThrow('is not on the list');
}

async function rolesMadeFor(FunctionName: string): Promise<readonly string[]> {
  const { Roles } = await stage.boto.call('iam', 'list_roles', { PathPrefix: '/compliance-guard/' });
  return Roles.map(({ RoleName }: { RoleName: string }) => RoleName).filter((name: string) => name.includes(FunctionName));
}

/** @param meanwhile tests that take the minute for which changes are watched */
export function probation(meanwhile: () => void): void {
  describe('a change on probation', () => {
    let since = 0;
    let split: Alert;
    let failed: Promise<void>;

    it('is made and watched', async () => {
      await createFunction('shipping', await functionRole(shared));
      const Code = { ZipFile: bytes(roleKnower(shared)) };
      await createFunction('customs', await functionRole('customs'), { Code });
      const allow = [
        {
          Action: 'secretsmanager:GetSecretValue',
          Resource: 'arn:aws:secretsmanager:us-east-1:111122223333:secret:compliance-guard/seldom/*',
        },
      ];
      await createFunction('seldom', await functionRole('seldom', { allow }), {
        Code: { ZipFile: bytes(secretReader()) },
        Tags: { 'compliance-guard:secret-reader': 'yes' },
      });
      await quiet();
      since = mark();
      await held('roles', async () => {
        await takesSharedRole('customs');
        for (let time = 0; time < 4; time += 1) expect(await answerOf('customs')).toBe('known');
      });
      const Environment = { Variables: { DB_PASSWORD: password } };
      await stage.boto.call('lambda', 'update_function_configuration', { FunctionName: 'seldom', Environment });
      split = await alerted({ rule: 'role-shared', status: 'remediated', resource: 'function:customs' }, since);
      const moved = await alerted({ rule: 'secret-in-environment', status: 'remediated', resource: 'function:seldom' }, since);
      for (const { summary } of [split, moved]) expect(summary).toContain('It is watched for 1 minutes');
      await settled('customs');
      expect((await configuration('customs')).Role).toMatch(/:role\/compliance-guard\//);
      failed = failing();
      const { code, output } = await guard('mode', 'role-shared', 'alert');
      expect({ code, output }).toEqual({ code: 3, output: expect.stringContaining('is on probation') });
    });

    meanwhile();

    it('is taken back where the function fails from then on, and told with the evidence', async () => {
      await failed;
      const taken = await alerted({ rule: 'role-shared', status: 'reverted', resource: 'function:customs' }, since);
      expect(taken.change?.id).toBe(split.change?.id);
      expect(taken.summary).toMatch(/fared worse after the change: [34] of [34] invocations failed \(before: 0 of 4\)/);
      expect(taken.evidence).toMatchObject({ before: { invocations: 4, errors: 0 }, after: { invocations: expect.any(Number) } });
      await settled('customs');
      await quiet();
      expect((await configuration('customs')).Role).toMatch(new RegExp(`:role/${shared}$`));
      expect(await rolesMadeFor('customs')).toEqual([]);
      expect(await answerOf('customs')).toBe('known');
      const told = alertsAbout('function:customs', since).filter((alert) => !alert.endsWith('unproven'));
      expect(told).toEqual(['role-shared open', 'role-shared remediated', 'role-shared reverted']);
    });

    it('is unproven where the function is hardly invoked, and stays as it is', async () => {
      const { summary } = await alerted({ rule: 'secret-in-environment', status: 'unproven', resource: 'function:seldom' }, since);
      expect(summary).toContain('was invoked 0 times since the change');
      expect((await configuration('seldom')).Environment.Variables).toEqual({
        DB_PASSWORD: expect.stringMatching(/^arn:aws:secretsmanager:/),
      });
    });
  });
}

/** The last that happens: afterwards nobody puts anything right any more. */
export function deployedBack(parameters: () => Readonly<Record<string, string>>): void {
  it('a change on probation whose remediator a deployment takes away is told, with the undo, which works', async () => {
    expect(await guard('resume')).toMatchObject({ code: 0 });
    await createFunction('returns-desk', await functionRole('returns-desk'));
    await quiet();
    const since = mark();
    await takesSharedRole('returns-desk');
    const split = await alerted({ rule: 'role-shared', status: 'remediated', resource: 'function:returns-desk' }, since);
    await samDeploy(stage.pipeline, parameters(), buildDirectory);
    const told = { says: 'A deployment took the remediator of role-shared away', status: 'unproven' } as const;
    const left = await alerted({ rule: 'role-shared', resource: 'function:returns-desk', ...told }, since);
    expect(left.change).toMatchObject({ id: split.change?.id, undo: expect.stringContaining(`undo ${split.change?.id} `) });
    await undo(left);
    await settled('returns-desk');
    expect((await configuration('returns-desk')).Role).toMatch(new RegExp(`:role/${shared}$`));
    expect(await rolesMadeFor('returns-desk')).toEqual([]);
  });
}
