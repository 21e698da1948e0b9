import { randomBytes } from 'node:crypto';
import type { Change } from '../../../guard/change.ts';
import type { Finding } from '../../../guard/finding.ts';
import { eventually } from '../../support/stack.ts';
import { bytes } from '../boto.ts';
import { answerOf, configuration, createFunction, packageOf, secretReader, settled } from '../functions.ts';
import { alerted, due, functionRole, guard, held, mark, quiet, stage, undo } from '../stage.ts';

/** The operator's ARN in what the guard tells. */
const operator = 'arn:aws:sts::111122223333:assumed-role/operator/on-call';
const password = `Hj5-${randomBytes(12).toString('base64url')}`;

async function authType(FunctionName: string): Promise<string> {
  return (await stage.boto.call('lambda', 'get_function_url_config', { FunctionName })).AuthType;
}

async function findingAbout(rule: string, resource: string): Promise<Finding | undefined> {
  const { output } = await guard('findings', '--rule', rule, '--all', '--json');
  return (JSON.parse(output) as readonly Finding[]).find(({ subject }) => subject.arn.endsWith(resource));
}

async function changesOf(resource: string): Promise<readonly Change[]> {
  const { output } = await guard('changes', '--json');
  return (JSON.parse(output) as readonly Change[]).filter((change) => change.resource.endsWith(resource));
}

/** While this happens no minute is ever over. */
async function withoutClock<T>(happens: () => Promise<T>): Promise<T> {
  const { Rules } = await stage.botoRoot.call('events', 'list_rules');
  const { Name } = Rules.find((rule: { Name: string }) => rule.Name.includes('TickEveryMinute'));
  await stage.botoRoot.call('events', 'disable_rule', { Name });
  try {
    return await happens();
  } finally {
    await stage.botoRoot.call('events', 'enable_rule', { Name });
  }
}

/** @param older a function whose URL was opened while every rule was in alert */
export function operators(older: string): void {
  describe('an operator', () => {
    it('sees what the fix of an older finding would do, and has it made', async () => {
      const { id = '', ...found } = (await findingAbout('function-url-open', `:${older}`)) ?? {};
      expect(found).toMatchObject({ status: 'open' });
      expect(await authType(older)).toBe('NONE');
      const plan = await guard('plan', id);
      expect(plan.code).toBe(0);
      expect(plan.output).toMatch(/Now +\{"authType":"NONE"/);
      expect(plan.output).toMatch(
        /1\. lambda:UpdateFunctionUrlConfig .*"AuthType":"AWS_IAM"\}\n +undo: lambda:UpdateFunctionUrlConfig .*"NONE"\}/,
      );
      expect(plan.output).not.toContain('Not run');
      expect(await guard('plan', '00000000000000000000')).toMatchObject({ code: 2 });
      expect(await guard('fix', id)).toMatchObject({ code: 2, output: expect.stringContaining('give --yes') });
      await quiet();
      expect(await authType(older)).toBe('NONE');

      const since = mark();
      expect(await guard('fix', id, '--yes')).toMatchObject({ code: 0, output: expect.stringContaining('The fix is ordered.') });
      const ordered = await alerted({ rule: 'function-url-open', status: 'open', resource: `:${older}` }, since);
      expect(ordered.summary).toContain(`${operator} has it fixed`);
      await alerted({ rule: 'function-url-open', status: 'remediated', resource: `:${older}` }, since);
      expect(await authType(older)).toBe('AWS_IAM');
      expect(await guard('fix', id, '--yes')).toMatchObject({ code: 3, output: expect.stringContaining('It is remediated') });
    });

    it('sees who did what when, and exempts something until it is over', async () => {
      const resource = ':legacy-4';
      const { output } = await guard('findings', '--rule', 'function-url-open');
      expect(output).toMatch(/^finding +severity +status +rule +first seen +last seen +by +resource$/m);
      expect(output).toMatch(/^[0-9a-f]{20} {2}high +open +function-url-open +20\d\d-[-\d: ]+ - +arn:\S+:legacy-4$/m);
      const since = mark();
      const why = ['--for', '1h', '--reason', 'a migration', '--owner', 'shop'];
      const granted = await guard('exempt', 'function-url-open', `arn:aws:lambda:*:*:function${resource}`, ...why);
      const { exemption } = JSON.parse(granted.output) as { exemption: string };
      const told = await alerted({ rule: 'function-url-open', status: 'exempt', resource }, since);
      expect(told.summary).toContain(`${operator} exempted`);
      expect((await guard('exemptions')).output).toMatch(new RegExp(`^${exemption} +20.* shop +${operator} +a migration$`, 'm'));
      expect(await guard('unexempt', exemption)).toMatchObject({ code: 0 });
      // It is open again, as if it were found now: the rule puts it right.
      await alerted({ rule: 'function-url-open', status: 'remediated', resource }, since);
      expect((await guard('exemptions')).output).not.toContain(exemption);
    });

    it('takes nothing back that somebody changed since, unless by force, and a version keeps the secret that it reads', async () => {
      const Resource = 'arn:aws:secretsmanager:us-east-1:111122223333:secret:compliance-guard/loyalty/*';
      const Role = await functionRole('loyalty', { allow: [{ Action: 'secretsmanager:GetSecretValue', Resource }] });
      const Code = { ZipFile: bytes(secretReader()) };
      await createFunction('loyalty', Role, { Code, Tags: { 'compliance-guard:secret-reader': 'yes' } });
      await quiet();
      const since = mark();
      await held('secrets', async () => {
        const Environment = { Variables: { DB_PASSWORD: password } };
        await stage.boto.call('lambda', 'update_function_configuration', { FunctionName: 'loyalty', Environment });
        await settled('loyalty');
      });
      const fixed = await alerted({ rule: 'secret-in-environment', status: 'remediated', resource: ':loyalty' }, since);
      await settled('loyalty');
      const { DB_PASSWORD } = (await configuration('loyalty')).Environment.Variables;
      await stage.botoPipeline.call('lambda', 'publish_version', { FunctionName: 'loyalty' });
      const Environment = { Variables: { DB_PASSWORD, POINTS: '10' } };
      await stage.boto.call('lambda', 'update_function_configuration', { FunctionName: 'loyalty', Environment });
      await settled('loyalty');
      await quiet();

      const id = fixed.change?.id ?? '';
      const why = ['--for', '7d', '--reason', 'the suite takes it back'];
      const refused = await guard('undo', id, ...why);
      expect(refused).toMatchObject({ code: 2, output: expect.stringContaining(`is no longer as change ${id} left it`) });
      expect(refused.output).toContain(`Now it is        ["DB_PASSWORD=${DB_PASSWORD}","POINTS"]`);
      expect((await configuration('loyalty')).Environment.Variables).toEqual({ DB_PASSWORD, POINTS: '10' });
      expect((await guard('exemptions')).output).not.toContain(`undo-${id}`);

      expect(await guard('undo', id, ...why, '--force')).toMatchObject({ code: 0 });
      await settled('loyalty');
      expect((await configuration('loyalty')).Environment.Variables).toEqual({ DB_PASSWORD: password, POINTS: '10' });
      expect(await answerOf('loyalty')).toBe(String(password.length));
      expect(await answerOf('loyalty', '1')).toBe(String(password.length));
      const secret = await stage.boto.call('secretsmanager', 'describe_secret', { SecretId: DB_PASSWORD });
      expect(secret.DeletedDate).toBeUndefined();
      const told = await alerted({ rule: 'secret-in-environment', status: 'exempt', resource: ':loyalty' }, since);
      expect(told).toMatchObject({ kind: 'change', change: { id }, summary: expect.stringContaining(operator) });
      expect(await guard('undo', id, ...why)).toMatchObject({ code: 0, output: `Change ${id} was taken back before, by ${operator}.\n` });
    });

    it('stops a fix between two of its writes, and takes back what was made of it', async () => {
      const shared = await functionRole('shared-parcels');
      await createFunction('parcels', shared);
      await createFunction('labels', await functionRole('labels'));
      await quiet();
      await withoutClock(async () => {
        const since = await stage.bench.now();
        await stage.boto.call('lambda', 'update_function_configuration', { FunctionName: 'labels', Role: shared });
        await settled('labels');
        const waiting = await eventually('a change that waits', async () => {
          const changes = await changesOf(':labels');
          // While Lambda is still at work on the function, nothing begins before the clock comes by.
          if (changes.length === 0) await due('TickEveryMinute');
          return changes.find(({ status }) => status === 'waiting');
        });
        const lowered = await guard('mode', 'role-shared', 'alert');
        expect(lowered).toMatchObject({ code: 3, output: expect.stringContaining('nobody would look after it') });
        expect(await guard('pause', '--reason', 'the suite stops it')).toMatchObject({ code: 0 });
        // The wait of the change is over: only the pause holds it.
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        await due('TickEveryMinute');
        await quiet();
        expect((await configuration('labels')).Role).toBe(shared);
        const { calls } = await stage.bench.calls(since);
        const writes = calls
          .filter(({ functionName = '' }) => functionName.endsWith('-remediate-role-shared'))
          .map(({ operation }) => operation);
        expect(writes).toContain('CreateRole');
        expect(writes).not.toContain('UpdateFunctionConfiguration');
        const made = { change: { id: waiting.id } } as Parameters<typeof undo>[0];
        await undo(made);
        const { Roles } = await stage.boto.call('iam', 'list_roles', { PathPrefix: '/compliance-guard/' });
        expect(Roles.filter(({ RoleName }: { RoleName: string }) => RoleName.includes('labels'))).toEqual([]);
        expect(await changesOf(':labels')).toMatchObject([{ id: waiting.id, status: 'undone', undoneBy: operator }]);
        expect(await guard('resume')).toMatchObject({ code: 0 });
      });
    });

    it('has a fix made that a pause held back', async () => {
      await createFunction('window-seat', await functionRole('window-seat'));
      await quiet();
      expect(await guard('pause', '--reason', 'the suite stops everything')).toMatchObject({ code: 0 });
      const since = mark();
      await stage.boto.call('lambda', 'create_function_url_config', { FunctionName: 'window-seat', AuthType: 'NONE' });
      const { findingId } = await alerted({ rule: 'function-url-open', status: 'open', resource: ':window-seat' }, since);
      await quiet();
      expect(await authType('window-seat')).toBe('NONE');
      expect(await guard('resume')).toMatchObject({ code: 0 });
      expect(await guard('fix', findingId, '--yes')).toMatchObject({ code: 0 });
      await alerted({ rule: 'function-url-open', status: 'remediated', resource: ':window-seat' }, since);
      expect(await authType('window-seat')).toBe('AWS_IAM');
    });

    it('approves what somebody put there by hand, and from then on that is what comes back', async () => {
      await createFunction('kiosk', await functionRole('kiosk'));
      await quiet();
      const upload = async (text: string) => {
        await stage.boto.call('lambda', 'update_function_code', { FunctionName: 'kiosk', ZipFile: bytes(packageOf(text)) });
        await settled('kiosk');
      };
      expect(await guard('pause', '--reason', 'a hot fix')).toMatchObject({ code: 0 });
      const since = mark();
      await upload('a hot fix');
      await alerted({ rule: 'code-changed-by-hand', status: 'open', resource: ':kiosk' }, since);
      const { CodeSha256 } = await configuration('kiosk');
      const approved = await guard('approve', 'kiosk', '--yes');
      expect(approved).toMatchObject({ code: 0, output: expect.stringContaining(`$LATEST  ${CodeSha256}  put there by hand`) });
      const told = await alerted({ rule: 'code-changed-by-hand', status: 'resolved', resource: `/lambda-compliance-guard` }, since);
      expect(told.summary).toContain(`${operator} approved what`);
      // Any event of the function makes a checker look.
      await stage.boto.call('lambda', 'publish_version', { FunctionName: 'kiosk' });
      await alerted({ rule: 'code-changed-by-hand', status: 'resolved', resource: ':kiosk' }, since);
      expect(await guard('resume')).toMatchObject({ code: 0 });

      const again = mark();
      await held('deployments', () => upload('not a fix at all'));
      await alerted({ rule: 'code-changed-by-hand', status: 'remediated', resource: ':kiosk' }, again);
      await settled('kiosk');
      expect((await configuration('kiosk')).CodeSha256).toBe(CodeSha256);
      expect(await answerOf('kiosk')).toBe('a hot fix');
    });
  });
}

/** For the test that looks for values everywhere. */
export const operatorsSecret = password;
