import { answerOf, configuration, createFunction, settled } from '../functions.ts';
import { alerted, alertsAbout, functionRole, held, mark, quiet, stage, undo } from '../stage.ts';

const rule = 'role-shared';

/** A role whole, without what AWS assigns. */
async function roleState(RoleName: string) {
  const { Role } = await stage.boto.call('iam', 'get_role', { RoleName });
  const { PolicyNames } = await stage.boto.call('iam', 'list_role_policies', { RoleName });
  const { AttachedPolicies } = await stage.boto.call('iam', 'list_attached_role_policies', { RoleName });
  const inline = await Promise.all(
    PolicyNames.map(async (PolicyName: string) => {
      const { PolicyDocument } = await stage.boto.call('iam', 'get_role_policy', { RoleName, PolicyName });
      return [PolicyName, PolicyDocument];
    }),
  );
  const { AssumeRolePolicyDocument: trust, MaxSessionDuration, Tags = [], Path, PermissionsBoundary } = Role;
  const attached = AttachedPolicies.map(({ PolicyArn }: { PolicyArn: string }) => PolicyArn).sort();
  return { trust, MaxSessionDuration, Tags, Path, boundary: PermissionsBoundary?.PermissionsBoundaryArn, inline, attached };
}

export function roleShared(): void {
  describe('role-shared', () => {
    let shared = '';
    beforeAll(async () => {
      const table = 'arn:aws:dynamodb:us-east-1:111122223333:table/orders';
      await stage.botoRoot.call('dynamodb', 'create_table', {
        TableName: 'orders',
        BillingMode: 'PAY_PER_REQUEST',
        AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
        KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      });
      const { boto } = stage;
      const { QueueUrl } = await boto.call('sqs', 'create_queue', { QueueName: 'orders' });
      const { TopicArn } = await boto.call('sns', 'create_topic', { Name: 'orders' });
      const { ARN } = await boto.call('secretsmanager', 'create_secret', { Name: 'orders', SecretString: 'not of this test' });
      const { KeyMetadata } = await boto.call('kms', 'create_key');
      await boto.call('s3', 'create_bucket', { Bucket: 'orders-of-the-suite' });
      await createFunction('order-printer', await functionRole('order-printer'));
      // Whatever has a policy of its own is looked at before the role is split.
      shared = await functionRole('shared-orders', {
        allow: [
          { Action: 'dynamodb:GetItem', Resource: table },
          { Action: 'sqs:SendMessage', Resource: `arn:aws:sqs:us-east-1:111122223333:${QueueUrl.split('/').at(-1)}` },
          { Action: 'sns:Publish', Resource: TopicArn },
          { Action: 'secretsmanager:GetSecretValue', Resource: ARN },
          { Action: 'kms:Decrypt', Resource: KeyMetadata.Arn },
          { Action: 's3:GetObject', Resource: 'arn:aws:s3:::orders-of-the-suite/*' },
          { Action: 'lambda:InvokeFunction', Resource: 'arn:aws:lambda:us-east-1:111122223333:function:order-printer' },
        ],
      });
      await stage.boto.call('iam', 'tag_role', { RoleName: 'shared-orders', Tags: [{ Key: 'team', Value: 'sales' }] });
      await createFunction('orders', shared);
    });

    it('gives a function that took the role of another a role of its own, and undo takes that away again', async () => {
      await createFunction('invoices', await functionRole('invoices'));
      await quiet();
      const since = mark();
      const { State, Role, Environment, Description, Timeout } = await held('roles', async () => {
        await stage.boto.call('lambda', 'update_function_configuration', { FunctionName: 'invoices', Role: shared });
        await settled('invoices');
        return await configuration('invoices');
      });
      const opened = await alerted({ rule, status: 'open', resource: 'function:invoices' }, since);
      expect(opened).toMatchObject({
        severity: 'high',
        evidence: { shared: [{ role: shared, longestUser: expect.stringMatching(/:orders$/) }] },
      });
      expect(Role).toBe(shared);
      const fixed = await alerted({ rule, status: 'remediated', resource: 'function:invoices' }, since);
      expect(fixed.change?.calls).toEqual(
        expect.arrayContaining(['iam:CreateRole', 'iam:PutRolePolicy', 'iam:AttachRolePolicy', 'lambda:UpdateFunctionConfiguration']),
      );
      await settled('invoices');
      const clone: string = (await configuration('invoices')).Role;
      expect((await configuration('orders')).Role).toBe(shared);
      expect(clone).toMatch(/^arn:aws:iam::111122223333:role\/compliance-guard\//);
      const source = await roleState('shared-orders');
      const made = await roleState(clone.slice(clone.lastIndexOf('/') + 1));
      expect(made).toMatchObject({
        trust: source.trust,
        inline: source.inline,
        attached: source.attached,
        MaxSessionDuration: source.MaxSessionDuration,
      });
      expect(made.Tags).toEqual(expect.arrayContaining([{ Key: 'team', Value: 'sales' }]));
      expect(made.boundary).toMatch(/:policy\//);
      expect(await Promise.all(['orders', 'invoices'].map((name) => answerOf(name)))).toEqual(['orders 1', 'invoices 1']);

      await quiet();
      const afterwards = mark();
      await undo(fixed);
      await settled('invoices');
      await quiet();
      expect(await configuration('invoices')).toMatchObject({
        State,
        Role,
        Description,
        Timeout,
        ...(Environment === undefined ? {} : { Environment }),
      });
      await expect(stage.boto.call('iam', 'get_role', { RoleName: clone.slice(clone.lastIndexOf('/') + 1) })).rejects.toThrow(
        'NoSuchEntity',
      );
      expect(alertsAbout('function:invoices', afterwards)).toEqual([`${rule} exempt`]);
      expect(await answerOf('invoices')).toBe('invoices 1');
    });

    it('splits a role that a new function takes', async () => {
      const since = mark();
      await createFunction('refunds', shared);
      await alerted({ rule, status: 'remediated', resource: 'function:refunds' }, since);
      await settled('refunds');
      expect((await configuration('refunds')).Role).toMatch(/:role\/compliance-guard\//);
      expect(await answerOf('refunds')).toBe('refunds 1');
    });

    it('takes back what it made where the function refuses the role', async () => {
      await createFunction('returns', await functionRole('returns'));
      await quiet();
      await stage.bench.fail({
        service: 'lambda',
        operation: 'UpdateFunctionConfiguration',
        errorCode: 'InvalidParameterValueException',
        status: 400,
        principalMatches: 'remediate-role-shared',
      });
      const since = mark();
      await stage.boto.call('lambda', 'update_function_configuration', { FunctionName: 'returns', Role: shared });
      const { summary } = await alerted({ rule, status: 'failed', resource: 'function:returns' }, since);
      expect(summary).toContain('taken back');
      await quiet();
      expect((await configuration('returns')).Role).toBe(shared);
      const { Roles } = await stage.boto.call('iam', 'list_roles', { PathPrefix: '/compliance-guard/' });
      expect(Roles.filter(({ RoleName }: { RoleName: string }) => RoleName.includes('returns'))).toEqual([]);
    });

    it('tells the plan, and makes nothing of it, where the role is not listed', async () => {
      const office = await functionRole('office');
      await createFunction('office-calendar', office);
      await quiet();
      const since = mark();
      await held('roles', () => createFunction('office-mail', office));
      const { plan, summary } = await alerted({ rule, status: 'open', resource: 'function:office-mail', planned: true }, since);
      expect(summary).toContain('RoleSharedSplitRoles');
      expect(plan[0]).toMatch(/^iam:CreateRole /);
      await quiet();
      expect((await configuration('office-mail')).Role).toBe(office);
      const { Roles } = await stage.boto.call('iam', 'list_roles', { PathPrefix: '/compliance-guard/' });
      expect(Roles.filter(({ RoleName }: { RoleName: string }) => RoleName.includes('office'))).toEqual([]);
    });

    it('ends a finding when the function that had the role for longest is deleted', async () => {
      const since = mark();
      await stage.boto.call('lambda', 'delete_function', { FunctionName: 'office-calendar' });
      await alerted({ rule, status: 'resolved', resource: 'function:office-mail' }, since);
    });
  });
}
