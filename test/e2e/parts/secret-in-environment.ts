import { randomBytes } from 'node:crypto';
import { UpdateFunctionConfigurationCommand } from '@aws-sdk/client-lambda';
import { bytes } from '../boto.ts';
import { answerOf, configuration, createFunction, secretReader, settled } from '../functions.ts';
import { alerted, alertsAbout, everythingKept, functionRole, held, mark, quiet, stage, undo } from '../stage.ts';
import { passwordOfAll } from './all-at-once.ts';
import { operatorsSecret } from './operators.ts';
import { tokenInCode } from './secret-in-code.ts';

const rule = 'secret-in-environment';
/** Values of this run alone, in the shapes of real credentials; they open nothing. */
const password = `Xy7-${randomBytes(12).toString('base64url')}`;
const token = `ghp_${randomBytes(27).toString('base64url').replace(/[-_]/g, 'a')}`;
const secretValues = [password, token, passwordOfAll, operatorsSecret, tokenInCode];

async function setVariables(FunctionName: string, Variables: Record<string, string>): Promise<void> {
  await stage.boto.call('lambda', 'update_function_configuration', { FunctionName, Environment: { Variables } });
  await settled(FunctionName);
}

const variablesOf = async (name: string) => (await configuration(name)).Environment?.Variables ?? {};

export function secretInEnvironment(): void {
  describe('secret-in-environment', () => {
    it('moves the credential of a tagged reader, which still answers, and undo brings it back', async () => {
      const allow = [
        {
          Action: 'secretsmanager:GetSecretValue',
          Resource: 'arn:aws:secretsmanager:us-east-1:111122223333:secret:compliance-guard/payments/*',
        },
      ];
      await createFunction('payments', await functionRole('payments', { allow }), {
        Code: { ZipFile: bytes(secretReader()) },
        Tags: { 'compliance-guard:secret-reader': 'yes' },
      });
      await quiet();
      const since = mark();
      await held('secrets', () => setVariables('payments', { DB_HOST: 'db.internal', DB_PASSWORD: password }));
      const opened = await alerted({ rule, status: 'open', resource: 'function:payments' }, since);
      expect(opened).toMatchObject({ severity: 'critical', evidence: { variables: [{ variable: 'DB_PASSWORD' }] } });
      expect(opened.summary).toContain('Rotate this credential');
      const fixed = await alerted({ rule, status: 'remediated', resource: 'function:payments' }, since);
      await settled('payments');
      const variables = await variablesOf('payments');
      expect(variables).toEqual({ DB_HOST: 'db.internal', DB_PASSWORD: expect.stringMatching(/^arn:aws:secretsmanager:/) });
      expect(await answerOf('payments')).toBe(String(password.length));

      await quiet();
      const afterwards = mark();
      await undo(fixed);
      await settled('payments');
      await quiet();
      expect(await variablesOf('payments')).toEqual({ DB_HOST: 'db.internal', DB_PASSWORD: password });
      expect(await answerOf('payments')).toBe(String(password.length));
      expect((await stage.boto.call('secretsmanager', 'describe_secret', { SecretId: variables.DB_PASSWORD })).DeletedDate).toBeDefined();
      expect(alertsAbout('function:payments', afterwards)).toEqual([`${rule} exempt`]);
    });

    it('only alerts, with the plan, where nothing says that the function fetches its secrets', async () => {
      await createFunction('mailer', await functionRole('mailer'));
      await quiet();
      const since = mark();
      await held('secrets', async () => {
        const Environment = { Variables: { UPSTREAM: token } };
        await stage.lambda.send(new UpdateFunctionConfigurationCommand({ FunctionName: 'mailer', Environment }));
        await settled('mailer');
      });
      const { evidence } = await alerted({ rule, status: 'open', resource: 'function:mailer' }, since);
      expect(evidence).toMatchObject({ variables: [{ variable: 'UPSTREAM' }] });
      const told = await alerted({ rule, status: 'open', resource: 'function:mailer', planned: true }, since);
      expect(told.summary).toContain('compliance-guard:secret-reader');
      await quiet();
      expect(await variablesOf('mailer')).toEqual({ UPSTREAM: token });
    });

    it('puts right what can be, and names the version that an alias still routes to', async () => {
      const allow = [
        {
          Action: 'secretsmanager:GetSecretValue',
          Resource: 'arn:aws:secretsmanager:us-east-1:111122223333:secret:compliance-guard/ledger-sync/*',
        },
      ];
      await createFunction('ledger-sync', await functionRole('ledger-sync', { allow }), {
        Tags: { 'compliance-guard:secret-reader': 'yes' },
      });
      await quiet();
      const since = mark();
      await held('secrets', async () => {
        await setVariables('ledger-sync', { DB_PASSWORD: password });
        const { Version } = await stage.boto.call('lambda', 'publish_version', { FunctionName: 'ledger-sync' });
        await stage.boto.call('lambda', 'create_alias', { FunctionName: 'ledger-sync', Name: 'live', FunctionVersion: Version });
      });
      const { summary } = await alerted({ rule, status: 'partial', resource: 'function:ledger-sync' }, since);
      expect(summary).toContain('version 1, which live routes to (DB_PASSWORD)');
      await settled('ledger-sync');
      expect(await variablesOf('ledger-sync')).toEqual({ DB_PASSWORD: expect.stringMatching(/^arn:aws:secretsmanager:/) });
      await quiet();
    });

    it('leaves nothing behind where the function refuses the change', async () => {
      const allow = [
        {
          Action: 'secretsmanager:GetSecretValue',
          Resource: 'arn:aws:secretsmanager:us-east-1:111122223333:secret:compliance-guard/refusing/*',
        },
      ];
      await createFunction('refusing', await functionRole('refusing', { allow }), { Tags: { 'compliance-guard:secret-reader': 'yes' } });
      await quiet();
      await stage.bench.fail({
        service: 'lambda',
        operation: 'UpdateFunctionConfiguration',
        errorCode: 'InvalidParameterValueException',
        status: 400,
        principalMatches: 'remediate-secret-in-environment',
      });
      const since = mark();
      await held('secrets', () => setVariables('refusing', { DB_PASSWORD: password }));
      const { summary } = await alerted({ rule, status: 'failed', resource: 'function:refusing' }, since);
      expect(summary).toContain('taken back');
      await quiet();
      expect(await variablesOf('refusing')).toEqual({ DB_PASSWORD: password });
      const { SecretList } = await stage.boto.call('secretsmanager', 'list_secrets', {
        Filters: [{ Key: 'name', Values: ['compliance-guard/refusing/'] }],
      });
      expect(SecretList).toEqual([]);
    });
  });
}

/** Last of all rules: whatever went through the guard until here. */
export function valuesAreNowhere(): void {
  test('a secret value is in no alert, ledger item, journal of a change, log, queue or record', async () => {
    await quiet();
    const kept = await everythingKept();
    for (const [where, text] of Object.entries(kept)) {
      const values = secretValues.filter((value) => text.includes(value) || text.includes(Buffer.from(value).toString('base64')));
      expect({ where, values: values.length }).toEqual({ where, values: 0 });
    }
    // It was looked for where the function itself is named.
    for (const where of ['alerts', 'ledger', 'logs', 'records'] as const) expect(kept[where]).toContain('payments');
  });
}
