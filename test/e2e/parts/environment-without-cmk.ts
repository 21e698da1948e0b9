import { answerOf, configuration, createFunction, settled } from '../functions.ts';
import { alerted, alertsAbout, functionRole, held, mark, quiet, stage, undo } from '../stage.ts';

const rule = 'environment-without-cmk';
const allowed = [{ Action: 'kms:Decrypt', Resource: '*' }];

let key = '';

/** The key of the customer's that the stack gets as a parameter. */
export async function customersKey(): Promise<string> {
  key = (await stage.boto.call('kms', 'create_key', { Description: 'variables of functions' })).KeyMetadata.Arn;
  return key;
}

export function environmentWithoutCmk(): void {
  describe('environment-without-cmk', () => {
    it('gives variables the key where the role may decrypt with it, and undo takes it away', async () => {
      const [may, mayNot] = await Promise.all([functionRole('without-cmk-may', { allow: allowed }), functionRole('without-cmk-may-not')]);
      await Promise.all([createFunction('without-cmk-may', may), createFunction('without-cmk-may-not', mayNot)]);
      await quiet();
      const since = mark();
      await held('secrets', async () => {
        const Environment = { Variables: { STAGE: 'production' } };
        for (const FunctionName of ['without-cmk-may', 'without-cmk-may-not'])
          await stage.boto.call('lambda', 'update_function_configuration', { FunctionName, Environment });
        await settled('without-cmk-may-not');
      });
      await alerted({ rule, status: 'open', resource: 'function:without-cmk-may' }, since);
      const fixed = await alerted({ rule, status: 'remediated', resource: 'function:without-cmk-may' }, since);
      const told = await alerted({ rule, status: 'open', resource: 'function:without-cmk-may-not', planned: true }, since);
      expect(told.summary).toContain('role/without-cmk-may-not may not use');
      await settled('without-cmk-may');
      expect(await configuration('without-cmk-may')).toMatchObject({ KMSKeyArn: key, Environment: { Variables: { STAGE: 'production' } } });
      expect(await answerOf('without-cmk-may')).toBe('without-cmk-may 1');
      expect(await configuration('without-cmk-may-not')).not.toHaveProperty('KMSKeyArn');

      await quiet();
      const afterwards = mark();
      await undo(fixed);
      await settled('without-cmk-may');
      await quiet();
      expect(await configuration('without-cmk-may')).not.toHaveProperty('KMSKeyArn');
      expect(await configuration('without-cmk-may')).toMatchObject({ Environment: { Variables: { STAGE: 'production' } } });
      expect(alertsAbout('function:without-cmk-may', afterwards)).toEqual([`${rule} exempt`]);
    });
  });
}
