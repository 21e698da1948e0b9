import { AddPermissionCommand, CreateFunctionUrlConfigCommand, UpdateFunctionUrlConfigCommand } from '@aws-sdk/client-lambda';
import { createFunction } from '../functions.ts';
import { alerted, alertsAbout, functionRole, held, mark, publicStatus, quiet, stage, undo } from '../stage.ts';

const rule = 'function-url-open';
const invokeUrl = { StatementId: 'everyone-url', Action: 'lambda:InvokeFunctionUrl', Principal: '*', FunctionUrlAuthType: 'NONE' } as const;
const invoke = { StatementId: 'everyone-function', Action: 'lambda:InvokeFunction', Principal: '*', InvokedViaFunctionUrl: true } as const;

/** URL and policy of a qualifier, as they were and as they have to be again. */
async function state(named: { readonly FunctionName: string; readonly Qualifier?: string }) {
  const { AuthType, FunctionUrl } = await stage.boto.call('lambda', 'get_function_url_config', named);
  const policy = await stage.boto.call('lambda', 'get_policy', named).catch(() => ({ Policy: '{"Statement":[]}' }));
  return { AuthType, FunctionUrl, statements: JSON.parse(policy.Policy).Statement };
}

export function functionUrlOpen(): void {
  describe('function-url-open', () => {
    it('closes the URL of an alias, takes out both public statements and no other, and undo brings all of it back', async () => {
      await createFunction('storefront', await functionRole('storefront'), { Publish: true });
      const live = { FunctionName: 'storefront', Qualifier: 'live' };
      await stage.boto.call('lambda', 'create_alias', { FunctionName: 'storefront', Name: 'live', FunctionVersion: '1' });
      const partner = {
        StatementId: 'partner',
        Action: 'lambda:InvokeFunctionUrl',
        Principal: '444455556666',
        FunctionUrlAuthType: 'AWS_IAM',
      };
      await stage.boto.call('lambda', 'add_permission', { ...live, ...partner });
      await quiet();

      const since = mark();
      const before = await held('apis', async () => {
        await stage.boto.call('lambda', 'add_permission', { ...live, ...invokeUrl });
        await stage.boto.call('lambda', 'create_function_url_config', { ...live, AuthType: 'NONE' });
        await stage.boto.call('lambda', 'add_permission', { ...live, ...invoke });
        return await state(live);
      });
      expect(await publicStatus(before.FunctionUrl)).toBe(200);
      const opened = await alerted({ rule, status: 'open', resource: 'function:storefront:live' }, since);
      expect(opened).toMatchObject({ severity: 'high', actor: { arn: 'arn:aws:iam::111122223333:user/administrator' } });
      const fixed = await alerted({ rule, status: 'remediated', resource: 'function:storefront:live' }, since);
      expect(fixed.change?.calls).toEqual(['lambda:UpdateFunctionUrlConfig', 'lambda:RemovePermission', 'lambda:RemovePermission']);
      expect(await publicStatus(before.FunctionUrl)).toBe(403);
      const { AuthType, statements } = await state(live);
      expect({ AuthType, sids: statements.map(({ Sid }: { Sid: string }) => Sid) }).toEqual({ AuthType: 'AWS_IAM', sids: ['partner'] });

      await quiet();
      const afterwards = mark();
      await undo(fixed);
      expect(await state(live)).toEqual(before);
      expect(await publicStatus(before.FunctionUrl)).toBe(200);
      await quiet();
      expect(alertsAbout('function:storefront:live', afterwards)).toEqual([`${rule} exempt`]);
      expect(await state(live)).toEqual(before);
    });

    it('ends closed when the URL comes before its statements', async () => {
      await createFunction('catalogue', await functionRole('catalogue'));
      await quiet();
      const since = mark();
      const { FunctionUrl = '' } = await stage.lambda.send(
        new CreateFunctionUrlConfigCommand({ FunctionName: 'catalogue', AuthType: 'NONE' }),
      );
      await alerted({ rule, status: 'remediated', resource: 'function:catalogue' }, since);
      const again = mark();
      await stage.lambda.send(new AddPermissionCommand({ FunctionName: 'catalogue', ...invokeUrl }));
      await alerted({ rule, status: 'remediated', resource: 'function:catalogue' }, again);
      await quiet();
      expect(await publicStatus(FunctionUrl)).toBe(403);
      expect(await state({ FunctionName: 'catalogue' })).toMatchObject({ AuthType: 'AWS_IAM', statements: [] });
    });

    it('ends closed when the statements come before the URL', async () => {
      await createFunction('pricelist', await functionRole('pricelist'));
      await quiet();
      const since = mark();
      await stage.lambda.send(new AddPermissionCommand({ FunctionName: 'pricelist', ...invokeUrl }));
      const early = await alerted({ rule, status: 'open', resource: 'function:pricelist' }, since);
      expect(early.severity).toBe('medium');
      await alerted({ rule, status: 'remediated', resource: 'function:pricelist' }, since);
      const again = mark();
      await stage.lambda.send(new CreateFunctionUrlConfigCommand({ FunctionName: 'pricelist', AuthType: 'AWS_IAM' }));
      await stage.lambda.send(new UpdateFunctionUrlConfigCommand({ FunctionName: 'pricelist', AuthType: 'NONE' }));
      await alerted({ rule, status: 'remediated', resource: 'function:pricelist' }, again);
      await quiet();
      expect(await state({ FunctionName: 'pricelist' })).toMatchObject({ AuthType: 'AWS_IAM', statements: [] });
    });

    it('edits documents whose statements nobody can name, and undo puts them back', async () => {
      const arn = (name: string) => `arn:aws:lambda:us-east-1:111122223333:function:${name}`;
      for (const name of ['document-url-whole', 'document-url-beside']) await createFunction(name, await functionRole(name));
      await quiet();
      const since = mark();
      const condition = { Condition: { StringEquals: { 'lambda:FunctionUrlAuthType': 'NONE' } } };
      const statement = (Resource: string, Principal: unknown) => ({
        Effect: 'Allow',
        Principal,
        Action: 'lambda:InvokeFunctionUrl',
        Resource,
        ...condition,
      });
      const put = async (ResourceArn: string, ...Statement: readonly object[]) => {
        const Policy = JSON.stringify({ Version: '2012-10-17', Statement });
        await stage.boto.call('lambda', 'put_resource_policy', { ResourceArn, Policy });
      };
      const read = async (ResourceArn: string) =>
        await stage.boto.call('lambda', 'get_resource_policy', { ResourceArn }).then(
          ({ Policy }) => JSON.parse(Policy).Statement,
          () => undefined,
        );
      const [alone, beside] = [arn('document-url-whole'), arn('document-url-beside')];
      await put(alone, statement(alone, '*'));
      await put(beside, statement(beside, { AWS: ['*', '444455556666'] }));
      const fixed = [
        await alerted({ rule, status: 'remediated', resource: alone }, since),
        await alerted({ rule, status: 'remediated', resource: beside }, since),
      ];
      expect(fixed.map(({ change }) => change?.calls)).toEqual([['lambda:DeleteResourcePolicy'], ['lambda:PutResourcePolicy']]);
      expect([await read(alone), await read(beside)]).toEqual([undefined, [statement(beside, { AWS: ['444455556666'] })]]);
      await quiet();
      for (const each of fixed) await undo(each);
      expect([await read(alone), await read(beside)]).toEqual([
        [statement(alone, '*')],
        [statement(beside, { AWS: ['*', '444455556666'] })],
      ]);
    });
  });
}
