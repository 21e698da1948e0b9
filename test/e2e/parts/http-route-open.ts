import { createFunction } from '../functions.ts';
import { alerted, alertsAbout, functionRole, held, mark, publicStatus, quiet, stage, undo } from '../stage.ts';

const rule = 'http-route-open';

/** What anybody gets from a stage of an API. */
async function answer(api: string, path: string): Promise<number> {
  return await publicStatus(`https://${api}.execute-api.us-east-1.amazonaws.com${path}`);
}

async function call(operation: string, input: Readonly<Record<string, unknown>>) {
  return await stage.boto.call('apigatewayv2', operation, input);
}

/** A route's authorization, and what the stage prod serves. */
async function state(ApiId: string, RouteId: string) {
  const { AuthorizationType } = await call('get_route', { ApiId, RouteId });
  const { DeploymentId } = await call('get_stage', { ApiId, StageName: 'prod' });
  return { AuthorizationType, DeploymentId };
}

export function httpRouteOpen(): void {
  describe('http-route-open', () => {
    it('closes what quick create opened, and a route on a stage that is deployed by hand; undo brings both back', async () => {
      const Target = await createFunction('http-route', await functionRole('http-route'));
      const quick = { Name: 'http-route-quick', ProtocolType: 'HTTP', Target };
      const { ApiId } = await call('create_api', { Name: 'http-route-manual', ProtocolType: 'HTTP' });
      const { IntegrationId } = await call('create_integration', { ApiId, IntegrationType: 'AWS_PROXY', IntegrationUri: Target });
      const route = { RouteKey: 'GET /orders', Target: `integrations/${IntegrationId}`, AuthorizationType: 'AWS_IAM' };
      const { RouteId } = await call('create_route', { ApiId, ...route });
      await call('create_stage', { ApiId, StageName: 'prod' });
      await call('create_deployment', { ApiId, StageName: 'prod' });
      await quiet();
      const since = mark();
      expect(alertsAbout(RouteId, 0)).toEqual([]);

      const { quickApi, before } = await held('apis', async () => {
        await call('update_route', { ApiId, RouteId, AuthorizationType: 'NONE' });
        await call('create_deployment', { ApiId, StageName: 'prod' });
        const { ApiId: made } = await call('create_api', quick);
        return { quickApi: made, before: await state(ApiId, RouteId) };
      });
      const [{ RouteId: quickRoute }] = (await call('get_routes', { ApiId: quickApi })).Items;
      expect([await answer(quickApi, '/'), await answer(ApiId, '/prod/orders')]).toEqual([200, 200]);
      const opened = await alerted({ rule, status: 'open', resource: `/apis/${ApiId}/routes/${RouteId}` }, since);
      expect(opened).toMatchObject({ severity: 'high', actor: { arn: 'arn:aws:iam::111122223333:user/administrator' } });
      const manual = await alerted({ rule, status: 'remediated', resource: `/routes/${RouteId}` }, since);
      expect(manual.change?.calls).toEqual(['apigateway:UpdateRoute', 'apigateway:CreateDeployment']);
      const automatic = await alerted({ rule, status: 'remediated', resource: `/routes/${quickRoute}` }, since);
      expect(automatic.change?.calls).toEqual(['apigateway:UpdateRoute']);
      expect([await answer(quickApi, '/'), await answer(ApiId, '/prod/orders')]).toEqual([403, 403]);

      await quiet();
      const afterwards = mark();
      await Promise.all([undo(manual), undo(automatic)]);
      expect(await state(ApiId, RouteId)).toEqual(before);
      expect([await answer(quickApi, '/'), await answer(ApiId, '/prod/orders')]).toEqual([200, 200]);
      await quiet();
      expect(alertsAbout(`/routes/${RouteId}`, afterwards)).toEqual([`${rule} exempt`]);
      expect(alertsAbout(`/routes/${quickRoute}`, afterwards)).toEqual([`${rule} exempt`]);
      expect(await state(ApiId, RouteId)).toEqual(before);
    });
  });
}
