import { createFunction } from '../functions.ts';
import { alerted, alertsAbout, functionRole, held, mark, publicStatus, quiet, stage, undo } from '../stage.ts';

const rule = 'rest-method-open';

async function call(operation: string, input: Readonly<Record<string, unknown>>) {
  return await stage.boto.call('apigateway', operation, input);
}

/** What anybody gets from `GET /orders` on the stage prod. */
async function answer(api: string): Promise<number> {
  return await publicStatus(`https://${api}.execute-api.us-east-1.amazonaws.com/prod/orders`);
}

interface Named {
  readonly restApiId: string;
  readonly resourceId: string;
  readonly httpMethod: string;
}

/** An API with `GET /orders`, which asks for AWS_IAM, on the stage prod. */
async function createApi(name: string, uri: string): Promise<Named> {
  const { id: restApiId } = await call('create_rest_api', { name });
  const [{ id: parentId }] = (await call('get_resources', { restApiId })).items;
  const { id: resourceId } = await call('create_resource', { restApiId, parentId, pathPart: 'orders' });
  const named = { restApiId, resourceId, httpMethod: 'GET' };
  await call('put_method', { ...named, authorizationType: 'AWS_IAM' });
  await call('put_integration', { ...named, type: 'AWS_PROXY', integrationHttpMethod: 'POST', uri });
  await call('create_deployment', { restApiId, stageName: 'prod' });
  return named;
}

async function open(named: Named): Promise<void> {
  await call('update_method', { ...named, patchOperations: [{ op: 'replace', path: '/authorizationType', value: 'NONE' }] });
  await call('create_deployment', { restApiId: named.restApiId, stageName: 'prod' });
}

/** A method's authorization, and what the stage serves. */
async function state(named: Named) {
  const { authorizationType } = await call('get_method', { ...named });
  const { deploymentId } = await call('get_stage', { restApiId: named.restApiId, stageName: 'prod' });
  return { authorizationType, deploymentId };
}

const endOf = ({ restApiId, resourceId }: Named) => `/restapis/${restApiId}/resources/${resourceId}/methods/GET`;

export function restMethodOpen(): void {
  describe('rest-method-open', () => {
    it('closes a method and deploys it, but ships nothing that nobody deployed; undo puts the stage and the method back', async () => {
      const arn = await createFunction('rest-method', await functionRole('rest-method'));
      const uri = `arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/${arn}/invocations`;
      const orders = await createApi('rest-method-orders', uri);
      const drafts = await createApi('rest-method-drafts', uri);
      expect([await answer(orders.restApiId), await answer(drafts.restApiId)]).toEqual([403, 403]);
      await quiet();
      const since = mark();

      const before = await held('apis', async () => {
        await open(orders);
        await open(drafts);
        await call('put_method', { ...drafts, httpMethod: 'POST', authorizationType: 'AWS_IAM' });
        return { orders: await state(orders), drafts: await state(drafts) };
      });
      expect([await answer(orders.restApiId), await answer(drafts.restApiId)]).toEqual([200, 200]);
      const opened = await alerted({ rule, status: 'open', resource: endOf(orders) }, since);
      expect(opened).toMatchObject({ severity: 'high', actor: { arn: 'arn:aws:iam::111122223333:user/administrator' } });
      const fixed = await alerted({ rule, status: 'remediated', resource: endOf(orders) }, since);
      expect(fixed.change?.calls).toEqual(['apigateway:UpdateMethod', 'apigateway:CreateDeployment']);
      const refused = await alerted({ rule, status: 'open', resource: endOf(drafts), planned: true }, since);
      expect(refused.summary).toContain('changes that its stage prod does not serve yet (methods POST /orders)');
      expect([await answer(orders.restApiId), await answer(drafts.restApiId)]).toEqual([403, 200]);
      expect(await state(drafts)).toEqual(before.drafts);

      await quiet();
      const afterwards = mark();
      await undo(fixed);
      expect(await state(orders)).toEqual(before.orders);
      expect(await answer(orders.restApiId)).toBe(200);
      await quiet();
      expect(alertsAbout(endOf(orders), afterwards)).toEqual([`${rule} exempt`]);
      expect(await state(orders)).toEqual(before.orders);
    });
  });
}
