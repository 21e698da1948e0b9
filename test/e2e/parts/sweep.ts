import { bytes } from '../boto.ts';
import { answerOf, createFunction, packageOf, settled } from '../functions.ts';
import { alerted, due, functionRole, guard, mark, quiet, stage, unheard } from '../stage.ts';

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
      expect((await guard('findings', '--rule', 'code-changed-by-hand')).output).not.toContain(':unheard');
      expect(await item('ROLES', arn('swept-first'))).toHaveProperty('role');
      await sweep();

      expect(await item('ROLES', arn('swept-second'))).toMatchObject({ role: { S: Role } });
      expect(await item('NETWORK', arn('swept-second'))).toBeDefined();
      expect(await item(`IN#${GroupId}`, arn('swept-second'))).toBeDefined();
      expect(await item('BASELINE', arn('swept-second'))).toBeDefined();
      expect(await item('ROLES', arn('swept-first'))).toMatchObject({ gone: { BOOL: true } });
      expect(await item(`IN#${GroupId}`, arn('swept-first'))).toBeUndefined();
      // Nobody shares the role any more: the finding ended, without an event.
      expect((await guard('findings', '--rule', 'role-shared')).output).not.toContain('swept-second');
      // Nobody knows who did it and when: it is told, and left to whoever reads that.
      const { code, output } = await guard('findings', '--rule', 'code-changed-by-hand');
      expect({ code, output }).toEqual({ code: 1, output: expect.stringMatching(/critical +open +code-changed-by-hand .*:unheard/) });
      expect(await answerOf('unheard')).toBe('put there in silence');
    });
  });
}
