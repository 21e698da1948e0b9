import { CreateAccessKeyCommand, CreateUserCommand, IAMClient } from '@aws-sdk/client-iam';
import { GetFunctionCommand, InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import type { Alert } from '../../../guard/alert.ts';
import { createFunction } from '../functions.ts';
import { alerted, alertsAbout, functionRole, held, mark, quiet, stage, undo } from '../stage.ts';

const rule = 'function-policy-open';
const arn = (name: string) => `arn:aws:lambda:us-east-1:111122223333:function:${rule}-${name}`;
const alias = arn('alias:live');
const version = arn('version:1');
const whole = arn('whole');

const allow = (Resource: string, Principal: unknown, more: object = {}) => ({
  Effect: 'Allow',
  Principal,
  Action: 'lambda:InvokeFunction',
  Resource,
  ...more,
});

async function put(ResourceArn: string, ...Statement: readonly object[]): Promise<void> {
  await stage.boto.call('lambda', 'put_resource_policy', { ResourceArn, Policy: JSON.stringify({ Version: '2012-10-17', Statement }) });
}

/** The policy of a function, version or alias; undefined where it has none. */
async function policyOf(ResourceArn: string): Promise<{ readonly Statement: readonly unknown[] } | undefined> {
  return await stage.boto.call('lambda', 'get_resource_policy', { ResourceArn }).then(
    ({ Policy }) => JSON.parse(Policy),
    () => undefined,
  );
}

const policies = async () => await Promise.all([alias, version, whole].map(policyOf));

/** What somebody can do with the functions who has no permission of his own: only what their policies grant. */
async function strangersMay(): Promise<Readonly<Record<string, boolean>>> {
  const may = (call: Promise<unknown>) =>
    call.then(
      () => true,
      (error: Error) => {
        if (error.name !== 'AccessDeniedException') throw error;
        return false;
      },
    );
  return {
    alias: await may(stranger.send(new InvokeCommand({ FunctionName: alias }))),
    version: await may(stranger.send(new GetFunctionCommand({ FunctionName: version }))),
    whole: await may(stranger.send(new InvokeCommand({ FunctionName: whole }))),
  };
}

let stranger: LambdaClient;

async function aStranger(): Promise<LambdaClient> {
  const iam = new IAMClient(stage.administrator);
  await iam.send(new CreateUserCommand({ UserName: 'stranger' }));
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName: 'stranger' }));
  const credentials = { accessKeyId: AccessKey?.AccessKeyId ?? '', secretAccessKey: AccessKey?.SecretAccessKey ?? '' };
  return new LambdaClient({ ...stage.administrator, credentials });
}

export function functionPolicyOpen(): void {
  describe('function-policy-open', () => {
    it('shuts strangers out of an alias, a version and a function, lets the own account in, and undo brings it all back', async () => {
      stranger = await aStranger();
      for (const name of ['alias', 'version', 'whole'])
        await createFunction(`${rule}-${name}`, await functionRole(`${rule}-${name}`), { Publish: true });
      await stage.boto.call('lambda', 'create_alias', { FunctionName: `${rule}-alias`, Name: 'live', FunctionVersion: '1' });
      await stage.boto.call('events', 'put_rule', { Name: rule, EventPattern: JSON.stringify({ source: [rule] }) });
      await stage.boto.call('events', 'put_targets', { Rule: rule, Targets: [{ Id: 'alias', Arn: alias }] });
      await quiet();

      const since = mark();
      const own = allow(alias, { AWS: 'arn:aws:iam::111122223333:root' }, { Sid: 'own' });
      const trusted = allow(whole, { AWS: 'arn:aws:iam::444455556666:root' }, { Sid: 'partner' });
      const before = await held('apis', async () => {
        await put(alias, own, allow(alias, '*'), allow(alias, { Service: 'events.amazonaws.com' }, { Sid: 'rules' }));
        await put(version, allow(version, '*', { Action: 'lambda:GetFunction' }));
        await put(whole, trusted);
        const everyone = { StatementId: 'everyone', Action: 'lambda:InvokeFunction', Principal: '*' };
        await stage.boto.call('lambda', 'add_permission', { FunctionName: `${rule}-whole`, ...everyone });
        expect(await strangersMay()).toEqual({ alias: true, version: true, whole: true });
        return await policies();
      });
      const fixed: Alert[] = [];
      for (const resource of [alias, version, whole]) {
        const opened = await alerted({ rule, status: 'open', resource }, since);
        expect(opened).toMatchObject({ severity: 'critical', actor: { arn: 'arn:aws:iam::111122223333:user/administrator' } });
        fixed.push(await alerted({ rule, status: 'remediated', resource }, since));
      }
      expect(fixed.map(({ change }) => change?.calls)).toEqual([
        ['lambda:PutResourcePolicy'],
        ['lambda:DeleteResourcePolicy'],
        ['lambda:RemovePermission'],
      ]);
      expect(await strangersMay()).toEqual({ alias: false, version: false, whole: false });
      const rules = { ArnLike: { 'aws:SourceArn': ['111122223333', '444455556666'].map((account) => `arn:aws:events:*:${account}:*`) } };
      expect((await policies()).map((policy) => policy?.Statement)).toEqual([
        [own, allow(alias, { Service: 'events.amazonaws.com' }, { Sid: 'rules', Condition: rules })],
        undefined,
        [trusted],
      ]);
      await stage.boto.call('events', 'put_events', { Entries: [{ Source: rule, DetailType: 'still', Detail: '{}' }] });

      await quiet();
      expect(JSON.stringify(await stage.bench.undelivered())).not.toContain(alias);
      const afterwards = mark();
      for (const each of fixed) await undo(each);
      expect(await policies()).toEqual(before);
      expect(await strangersMay()).toEqual({ alias: true, version: true, whole: true });
      await quiet();
      for (const resource of [alias, version, whole]) expect(alertsAbout(resource, afterwards)).toEqual([`${rule} exempt`]);
      expect(await policies()).toEqual(before);
    });
  });
}
