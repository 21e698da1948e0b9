import { type Answer, bytes } from '../boto.ts';
import { createFunction, packageOf } from '../functions.ts';
import { alerted, alertsAbout, functionRole, mark, quiet, stage, undo } from '../stage.ts';

const rule = 'secret-not-rotated';
const schedule = { AutomaticallyAfterDays: 30 };

/** A secret that is rotated by a function, and a function that reads it. @returns the secret's ARN */
async function rotated(name: string, rotator: string): Promise<string> {
  const { ARN } = await stage.boto.call('secretsmanager', 'create_secret', { Name: `${name}/db`, SecretString: 'not of this test' });
  await stage.boto.call('secretsmanager', 'rotate_secret', {
    SecretId: ARN,
    RotationLambdaARN: rotator,
    RotationRules: schedule,
    RotateImmediately: false,
  });
  const statement = { Action: 'secretsmanager:GetSecretValue', Resource: ARN };
  const role = await functionRole(`${name}-reader`, { allow: [statement] });
  const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', ...statement }] });
  const { Policy } = await stage.boto.call('iam', 'create_policy', { PolicyName: `${name}-reader`, PolicyDocument });
  await stage.boto.call('iam', 'attach_role_policy', { RoleName: `${name}-reader`, PolicyArn: Policy.Arn });
  await createFunction(`${name}-reader`, role, { Environment: { Variables: { DB_SECRET_ARN: ARN } } });
  return ARN;
}

async function rotatorOf(name: string): Promise<string> {
  const arn = await createFunction(name, await functionRole(name), { Code: { ZipFile: bytes(packageOf('rotates nothing')) } });
  await stage.botoPipeline.call('lambda', 'add_permission', {
    FunctionName: name,
    StatementId: 'rotation',
    Action: 'lambda:InvokeFunction',
    Principal: 'secretsmanager.amazonaws.com',
    SourceAccount: stage.emulator.account,
  });
  return arn;
}

async function rotation(SecretId: string): Promise<Answer> {
  const { RotationEnabled, RotationLambdaARN, RotationRules } = await stage.boto.call('secretsmanager', 'describe_secret', { SecretId });
  return { RotationEnabled, RotationLambdaARN, RotationRules };
}

export function secretNotRotated(): void {
  describe('secret-not-rotated', () => {
    it('turns on again what somebody turned off, and undo turns it off; tells what a service tells by itself', async () => {
      const rotator = await rotatorOf('not-rotated-rotator');
      const [secret, failing] = [await rotated('not-rotated', rotator), await rotated('not-rotated-failing', rotator)];
      await quiet();
      const since = mark();
      await stage.boto.call('secretsmanager', 'cancel_rotate_secret', { SecretId: 'not-rotated/db' });
      const off = { RotationEnabled: false, RotationLambdaARN: rotator, RotationRules: schedule };
      const named = secret.slice(secret.indexOf(':secret:'));
      // The function answers, but makes no new version.
      await stage.boto.call('secretsmanager', 'rotate_secret', { SecretId: failing });
      const opened = await alerted({ rule, status: 'open', resource: named }, since);
      expect(opened).toMatchObject({ severity: 'medium', evidence: { rotation: 'cancelled', rotatedBy: rotator, schedule } });
      expect(opened.evidence['functions']).toEqual([expect.stringMatching(/:not-rotated-reader$/)]);
      const fixed = await alerted({ rule, status: 'remediated', resource: named }, since);
      expect(fixed.change?.calls).toEqual(['secretsmanager:RotateSecret']);
      expect(await rotation(secret)).toEqual({ ...off, RotationEnabled: true });

      const told = await alerted({ rule, status: 'open', resource: failing.slice(failing.indexOf(':secret:')) }, since);
      expect(told).toMatchObject({
        actor: { arn: 'secretsmanager.amazonaws.com', issuer: 'secretsmanager.amazonaws.com' },
        event: { name: 'RotationFailed' },
        evidence: { rotation: 'failing' },
      });
      await quiet();
      const afterwards = mark();
      await undo(fixed);
      await quiet();
      expect(await rotation(secret)).toEqual(off);
      expect(alertsAbout(named, afterwards)).toEqual([`${rule} exempt`]);
      expect((await rotation(failing)).RotationEnabled).toBe(true);
    });
  });
}
