import { bytes } from '../boto.ts';
import { answerOf, createFunction, packageOf, settled } from '../functions.ts';
import { alerted, alertsAbout, due, functionRole, guard, mark, quiet, stack, stage, undo, unheard } from '../stage.ts';

const arn = (name: string) => `arn:aws:lambda:us-east-1:111122223333:function:${name}`;

async function item(pk: string, sk: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  const { Item } = await stage.botoRoot.call('dynamodb', 'get_item', {
    TableName: stage.outputs['LedgerTableName'],
    Key: { pk: { S: pk }, sk: { S: sk } },
    ConsistentRead: true,
  });
  return Item;
}

async function remove(pk: string, sk: string): Promise<void> {
  await stage.botoRoot.call('dynamodb', 'delete_item', {
    TableName: stage.outputs['LedgerTableName'],
    Key: { pk: { S: pk }, sk: { S: sk } },
  });
}

async function sweep(): Promise<void> {
  await due('SweepOnSchedule');
  await quiet(2_000);
}

export function sweeps(): void {
  describe('a sweep', () => {
    it('makes the indexes whole again, forgets what was deleted without an event, and finds what no event told', async () => {
      const Role = await functionRole('sweep-shared', { attached: ['AWSLambdaVPCAccessExecutionRole'] });
      const { VpcId } = (await stage.boto.call('ec2', 'create_vpc', { CidrBlock: '10.1.0.0/16' })).Vpc;
      const { SubnetId } = (await stage.boto.call('ec2', 'create_subnet', { VpcId, CidrBlock: '10.1.1.0/24' })).Subnet;
      const { GroupId } = await stage.boto.call('ec2', 'create_security_group', { VpcId, GroupName: 'swept', Description: 'swept' });
      const VpcConfig = { SubnetIds: [SubnetId], SecurityGroupIds: [GroupId] };
      await createFunction('swept-first', Role, { VpcConfig });
      await quiet();
      // The next sweep but one tells of it.
      const nobody = ['exempt', 'function-url-open', arn('nobody-*'), '--for', '30d', '--reason', 'all of them moved', '--owner', 'shop'];
      expect(await guard(...nobody)).toMatchObject({ code: 0 });
      const since = mark();
      await createFunction('swept-second', Role, { VpcConfig });
      await alerted({ rule: 'role-shared', status: 'open', resource: 'function:swept-second' }, since);
      await quiet();

      await remove('ROLES', arn('swept-second'));
      await remove('NETWORK', arn('swept-second'));
      await remove(`IN#${GroupId}`, arn('swept-second'));
      await remove('BASELINE', arn('swept-second'));
      await createFunction('unheard', await functionRole('unheard'));
      await quiet();
      await unheard(async () => {
        await stage.boto.call('lambda', 'delete_function', { FunctionName: 'swept-first' });
        await stage.boto.call('lambda', 'update_function_code', {
          FunctionName: 'unheard',
          ZipFile: bytes(packageOf('put there in silence')),
        });
        await settled('unheard');
      });
      await quiet();
      expect((await guard('findings', '--rule', 'code-drifted')).output).not.toContain(':unheard');
      expect(await item('ROLES', arn('swept-first'))).toHaveProperty('role');
      const silence = mark();
      await sweep();

      expect(await item('ROLES', arn('swept-second'))).toMatchObject({ role: { S: Role } });
      expect(await item('NETWORK', arn('swept-second'))).toBeDefined();
      expect(await item(`IN#${GroupId}`, arn('swept-second'))).toBeDefined();
      expect(await item('BASELINE', arn('swept-second'))).toBeDefined();
      expect(await item('ROLES', arn('swept-first'))).toMatchObject({ gone: { BOOL: true } });
      expect(await item(`IN#${GroupId}`, arn('swept-first'))).toBeUndefined();
      // Nobody shares the role any more: the finding ended, without an event.
      expect((await guard('findings', '--rule', 'role-shared')).output).not.toContain('swept-second');
      // Nobody knows who did it and when: one finding, of the rule that only a sweep finds anything by, and put right.
      const fixed = await alerted({ rule: 'code-drifted', status: 'remediated', resource: 'function:unheard' }, silence);
      await settled('unheard');
      expect(await answerOf('unheard')).toBe('unheard 1');
      expect((await guard('findings', '--rule', 'code-changed-by-hand')).output).not.toContain(':unheard');
      await quiet();
      const afterwards = mark();
      await undo(fixed);
      await settled('unheard');
      await quiet();
      expect(await answerOf('unheard')).toBe('put there in silence');
      // The undo was seen: whoever took it back is known, and exempt from either rule.
      expect(alertsAbout('function:unheard', afterwards)).toContain('code-drifted exempt');
    });

    it('ends the finding of an alias that was deleted without an event, and finds nothing wrong with the guard itself', async () => {
      const rule = 'function-url-open';
      await createFunction('swept-alias', await functionRole('swept-alias'), { Publish: true });
      const live = { FunctionName: 'swept-alias', Qualifier: 'live' };
      await stage.boto.call('lambda', 'create_alias', { FunctionName: 'swept-alias', Name: 'live', FunctionVersion: '1' });
      await quiet();
      expect(await guard('mode', rule, 'alert')).toMatchObject({ code: 0 });
      const since = mark();
      await stage.boto.call('lambda', 'create_function_url_config', { ...live, AuthType: 'NONE' });
      await alerted({ rule, status: 'open', resource: 'function:swept-alias:live' }, since);
      await quiet();
      await unheard(async () => {
        await stage.boto.call('lambda', 'delete_function_url_config', live);
        await stage.boto.call('lambda', 'delete_alias', { FunctionName: 'swept-alias', Name: 'live' });
      });
      await quiet();
      expect((await guard('findings', '--rule', rule)).output).toContain('swept-alias:live');
      await sweep();
      await alerted({ rule, status: 'resolved', resource: 'function:swept-alias:live' }, since);
      expect((await guard('findings', '--rule', rule)).output).not.toContain('swept-alias');
      expect(await guard('mode', rule, 'deployed')).toMatchObject({ code: 0 });
      expect((await guard('findings')).output).not.toContain(`${stack}-`);
    });
  });
}

/** What sweeps find is told once they have been quiet for a minute. */
export function idleExemptions(): void {
  test('a sweep told of the exemption that covers nothing, with its owner and reason', async () => {
    const { alert } = await stage.inbox.waitFor('an idle exemption', ({ title }) => title === 'Exemptions that cover nothing', {
      seconds: 90,
    });
    expect(alert).toMatchObject({
      kind: 'failure',
      severity: 'low',
      rule: '*',
      evidence: { exemptions: [{ resource: arn('nobody-*'), owner: 'shop' }] },
    });
    expect(alert.summary).toContain(`${arn('nobody-*')} from function-url-open (shop: all of them moved)`);
  });
}
