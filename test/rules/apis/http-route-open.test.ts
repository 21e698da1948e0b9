import { connect } from '../../../aws/handle.ts';
import { rule } from '../../../rules/apis/http-route-open.ts';
import { sample } from '../../support/events.ts';
import { place, ruleTest } from '../../support/rule-test.ts';
import { createWorld, type World } from '../../support/world/index.ts';

const ApiId = 'a1b2c3d4e5';
const RouteId = 'r1s2t3u';
const api = 'arn:aws:apigateway:us-east-1::/apis/a1b2c3d4e5';
const orders = `${api}/routes/r1s2t3u`;
const orderFunction = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const endpoint = 'https://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com';
const mark = 'compliance-guard c0ffee123456 prod';

/** An HTTP API with one integration: a function's, unless the row says otherwise. */
function withApi({ apiGatewayV2 }: World, { uri = orderFunction, ...settings }: Record<string, unknown> & { uri?: string } = {}): string {
  apiGatewayV2.createApi({ ApiId, Tags: { team: 'shop' }, ...settings });
  return `integrations/${apiGatewayV2.createIntegration({ ApiId, IntegrationUri: uri }).IntegrationId}`;
}

function stage({ apiGatewayV2 }: World): void {
  apiGatewayV2.createStage({ ApiId, StageName: 'prod', AutoDeploy: true });
}

/** A stage that serves one deployment, made an hour ago. */
function manualStage(world: World, StageName = 'prod'): string {
  const { DeploymentId = '' } = world.apiGatewayV2.createDeployment({ ApiId });
  world.apiGatewayV2.createStage({ ApiId, StageName, DeploymentId });
  world.advance(3600);
  return DeploymentId;
}

function withRoute(world: World, route: Record<string, unknown> = {}): void {
  const Target = withApi(world);
  world.apiGatewayV2.createRoute({ ApiId, RouteId, RouteKey: 'GET /orders', Target, ...route });
}

function withOpenRoute(world: World): void {
  withRoute(world);
  stage(world);
}

function withManualStage(world: World): void {
  withRoute(world);
  manualStage(world);
}

function withWebSocket(world: World, AutoDeploy: boolean, ApiKeyRequired = false): void {
  const Target = withApi(world, { ProtocolType: 'WEBSOCKET' });
  world.apiGatewayV2.createRoute({ ApiId, RouteId, RouteKey: '$connect', Target, ApiKeyRequired });
  world.apiGatewayV2.createRoute({ ApiId, RouteId: 'message', RouteKey: 'sendmessage', Target });
  const { DeploymentId = '' } = world.apiGatewayV2.createDeployment({ ApiId });
  world.apiGatewayV2.createStage({ ApiId, StageName: 'prod', AutoDeploy, DeploymentId });
}

function withDisabledEndpoint(world: World): void {
  const Target = withApi(world, { DisableExecuteApiEndpoint: true });
  world.apiGatewayV2.createRoute({ ApiId, RouteId, RouteKey: 'GET /orders', Target });
  stage(world);
}

const listed = { arn: api, type: 'AWS::ApiGatewayV2::Api', account: '111122223333', region: 'us-east-1' } as const;

const close = {
  call: 'closeRoute',
  input: { ApiId, RouteId, AuthorizationType: 'AWS_IAM' },
  undo: [{ call: 'updateRoute', input: { ApiId, RouteId, AuthorizationType: 'NONE' } }],
};
const open = {
  subject: orders,
  severity: 'high',
  summary: 'Anyone on the internet can call GET /orders of the HTTP API shop (a1b2c3d4e5), stage prod, which asks for no authorization.',
  evidence: { api: 'shop', route: 'GET /orders', stages: ['prod'], authorizationType: 'NONE', endpoint, function: orderFunction },
  tags: { team: 'shop' },
} as const;

ruleTest(rule, {
  rows: [
    {
      name: 'a route with AWS_IAM',
      kind: 'compliant',
      arrange: (world) => {
        withRoute(world, { AuthorizationType: 'AWS_IAM' });
        stage(world);
      },
      event: sample('UpdateRoute/none.json'),
      expect: { compliant: [orders] },
      calls: { aws: 3, ledger: 0 },
    },
    {
      name: 'a route with a JWT authorizer, whose deletion AWS refused',
      kind: 'compliant',
      arrange: (world) => {
        withRoute(world);
        const { AuthorizerId } = world.apiGatewayV2.createAuthorizer({ ApiId });
        world.apiGatewayV2.updateRoute({ ApiId, RouteId, AuthorizationType: 'JWT', AuthorizerId });
        stage(world);
      },
      event: sample('DeleteAuthorizer/http.json'),
      expect: { compliant: [orders, api] },
      calls: { aws: 4, ledger: 0 },
    },
    {
      name: 'no stage serves the route yet',
      kind: 'compliant',
      arrange: (world) => withRoute(world),
      event: sample('CreateRoute/none.json'),
      expect: { compliant: [orders] },
      calls: { aws: 3, ledger: 0 },
    },
    {
      name: 'a route that its stage does not serve, because nobody deployed it',
      kind: 'compliant',
      arrange: (world) => {
        const Target = withApi(world);
        manualStage(world);
        world.apiGatewayV2.createRoute({ ApiId, RouteId, RouteKey: 'GET /orders', Target });
      },
      event: sample('CreateRoute/none.json'),
      expect: { compliant: [orders] },
      calls: { aws: 4, ledger: 0 },
    },
    {
      name: 'preflight requests of browsers',
      kind: 'compliant',
      arrange: (world) => {
        withRoute(world, { RouteKey: 'OPTIONS /orders' });
        stage(world);
      },
      event: sample('CreateRoute/none.json'),
      expect: { compliant: [orders] },
    },
    {
      name: 'routes of a WebSocket API other than $connect',
      kind: 'compliant',
      arrange: (world) => {
        withWebSocket(world, true);
        world.apiGatewayV2.updateRoute({ ApiId, RouteId, AuthorizationType: 'AWS_IAM' });
      },
      event: sample('CreateDeployment/http.json'),
      expect: { compliant: [orders, `${api}/routes/message`, api] },
    },
    {
      name: 'an API key for $connect, where the parameter lets it count',
      kind: 'compliant',
      arrange: (world) => withWebSocket(world, true, true),
      params: { apiKeys: 'true' },
      event: sample('CreateStage/http.json'),
      expect: { compliant: [orders, `${api}/routes/message`, api] },
    },
    {
      name: 'an API that reaches no function',
      kind: 'compliant',
      arrange: (world) => {
        const Target = withApi(world, { uri: 'https://shop.example.com/orders' });
        world.apiGatewayV2.createRoute({ ApiId, RouteId, RouteKey: 'GET /orders', Target });
        stage(world);
      },
      event: sample('CreateRoute/none.json'),
      expect: { compliant: [orders] },
      calls: { aws: 4, ledger: 0 },
    },
    {
      name: 'the endpoint is disabled, and no domain name leads to the API',
      kind: 'compliant',
      arrange: (world) => {
        withDisabledEndpoint(world);
        world.apiGatewayV2.createDomainName({ DomainName: 'other.example.com' });
        world.apiGatewayV2.createApiMapping({ DomainName: 'other.example.com', ApiId: 'z9y8x7w6v5', Stage: 'prod' });
        world.apiGatewayV2.createDomainName({ DomainName: 'inside.example.com', EndpointType: 'PRIVATE' });
        world.apiGatewayV2.createApiMapping({ DomainName: 'inside.example.com', ApiId, Stage: 'prod' });
      },
      event: sample('UpdateApi/endpoint-on.json'),
      expect: { compliant: [orders, api] },
      calls: { aws: 5, ledger: 0 },
    },
    {
      name: 'the endpoint is disabled, and the domain name asks for certificates',
      kind: 'compliant',
      arrange: (world) => {
        withDisabledEndpoint(world);
        world.apiGatewayV2.createDomainName({ DomainName: 'api.example.com', TruststoreUri: 's3://certificates/trust.pem' });
        world.apiGatewayV2.createApiMapping({ DomainName: 'api.example.com', ApiId, Stage: 'prod' });
      },
      event: sample('CreateApiMapping/http.json'),
      expect: { compliant: [orders, api] },
      calls: { aws: 4, ledger: 0 },
    },
    {
      name: 'quick create',
      kind: 'violating',
      arrange: ({ apiGatewayV2 }) => void apiGatewayV2.createApi({ ApiId, Target: orderFunction }),
      event: sample('CreateApi/quick-create.json'),
      expect: {
        violations: [
          {
            subject: `${api}/routes/eccbc87`,
            severity: 'high',
            summary:
              'Anyone on the internet can call $default of the HTTP API shop (a1b2c3d4e5), stage $default, which asks for no authorization.',
            evidence: {
              api: 'shop',
              route: '$default',
              stages: ['$default'],
              authorizationType: 'NONE',
              endpoint,
              function: orderFunction,
            },
            tags: {},
          },
        ],
        compliant: [api],
      },
      calls: { aws: 4, ledger: 0 },
    },
    {
      name: 'NONE is the default, and stands in no request',
      kind: 'violating',
      arrange: withOpenRoute,
      event: sample('UpdateRoute/none.json'),
      expect: { violations: [{ ...open, plan: { steps: [close] } }], compliant: [] },
      calls: { aws: 4, ledger: 0 },
    },
    {
      name: 'an import that opens some of many routes',
      kind: 'violating',
      arrange: (world) => {
        withOpenRoute(world);
        for (let index = 0; index < 120; index += 1)
          world.apiGatewayV2.createRoute({ ApiId, RouteId: `safe${index}`, RouteKey: `GET /safe${index}`, AuthorizationType: 'AWS_IAM' });
        world.apiGatewayV2.createRoute({ ApiId, RouteId: 'late', RouteKey: 'POST /late', Target: 'integrations/gone' });
      },
      event: sample('ReimportApi/http.json'),
      expect: {
        violations: [
          open,
          {
            ...open,
            subject: `${api}/routes/late`,
            summary:
              'Anyone on the internet can call POST /late of the HTTP API shop (a1b2c3d4e5), stage prod, which asks for no authorization.',
            evidence: { api: 'shop', route: 'POST /late', stages: ['prod'], authorizationType: 'NONE', endpoint },
          },
        ],
      },
      calls: { aws: 4, ledger: 0 },
    },
    {
      name: 'the $connect route of a WebSocket API',
      kind: 'violating',
      arrange: (world) => withWebSocket(world, true, true),
      event: sample('CreateStage/http.json'),
      expect: {
        violations: [
          {
            ...open,
            summary:
              'Anyone on the internet can call $connect of the WebSocket API shop (a1b2c3d4e5), stage prod, which asks for no authorization.',
            evidence: {
              ...open.evidence,
              route: '$connect',
              endpoint: 'wss://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com',
            },
            plan: { steps: [close] },
          },
        ],
      },
    },
    {
      name: 'a WebSocket API that is deployed by hand is not fixed',
      kind: 'violating',
      arrange: (world) => withWebSocket(world, false),
      event: sample('CreateDeployment/http.json'),
      expect: {
        violations: [
          {
            ...open,
            summary:
              'Anyone on the internet can call $connect of the WebSocket API shop (a1b2c3d4e5), stage prod, which asks for no authorization.',
            evidence: {
              ...open.evidence,
              route: '$connect',
              endpoint: 'wss://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com',
            },
            plan: {
              steps: [
                close,
                {
                  call: 'deployHttpApi',
                  input: { ApiId, StageName: 'prod', Description: mark },
                  undo: [{ call: 'updateHttpStage', input: { ApiId, StageName: 'prod', DeploymentId: 'c81e728' } }],
                },
              ],
              refused:
                'shop (a1b2c3d4e5) is not deployed: API Gateway exports no WebSocket API, so nobody can tell what a deployment would ship beside the fix.',
            },
          },
        ],
        compliant: [`${api}/routes/message`, api],
      },
    },
    {
      name: 'an API that reaches no function, where the parameter says all',
      kind: 'violating',
      arrange: (world) => {
        const Target = withApi(world, { uri: 'https://shop.example.com/orders' });
        world.apiGatewayV2.createRoute({ ApiId, RouteId, RouteKey: 'GET /orders', Target });
        stage(world);
      },
      params: { allApis: 'true' },
      event: sample('CreateRoute/none.json'),
      expect: {
        violations: [{ ...open, evidence: { api: 'shop', route: 'GET /orders', stages: ['prod'], authorizationType: 'NONE', endpoint } }],
      },
    },
    {
      name: 'the endpoint is disabled, and a domain name leads to the API',
      kind: 'violating',
      arrange: (world) => {
        withDisabledEndpoint(world);
        world.apiGatewayV2.createDomainName({ DomainName: 'api.example.com' });
        world.apiGatewayV2.createApiMapping({ DomainName: 'api.example.com', ApiId, Stage: 'prod' });
      },
      event: sample('CreateApiMapping/http.json'),
      expect: { violations: [open] },
    },
    {
      name: 'the endpoint is disabled, and a domain name has routing rules',
      kind: 'violating',
      arrange: (world) => {
        withDisabledEndpoint(world);
        world.apiGatewayV2.createDomainName({ DomainName: 'api.example.com', RoutingMode: 'ROUTING_RULE_ONLY' });
      },
      event: sample('UpdateApiMapping/http.json'),
      expect: { violations: [open] },
    },
    {
      name: 'the authorizer of a route is not there',
      kind: 'violating',
      arrange: (world) => {
        withRoute(world, { AuthorizationType: 'CUSTOM', AuthorizerId: 'z1y2x3' });
        stage(world);
      },
      event: sample('DeleteAuthorizer/http.json'),
      expect: {
        violations: [
          {
            ...open,
            summary:
              'Whether anyone on the internet can call GET /orders of the HTTP API shop (a1b2c3d4e5), stage prod, is not known: it asks for an authorizer that the API does not have.',
            evidence: { ...open.evidence, authorizationType: 'CUSTOM', authorizer: 'missing' },
            plan: { steps: [], refused: 'Whether GET /orders lets everyone in is not known: give it an authorizer that its API has.' },
          },
        ],
      },
    },
    {
      name: 'a stage that serves the route as it was',
      kind: 'violating',
      arrange: (world) => {
        withManualStage(world);
        world.apiGatewayV2.updateRoute({ ApiId, RouteId, AuthorizationType: 'AWS_IAM' });
      },
      event: sample('UpdateStage/http.json'),
      expect: {
        violations: [
          {
            ...open,
            evidence: { ...open.evidence, authorizationType: 'AWS_IAM' },
            plan: {
              steps: [
                {
                  call: 'deployHttpApi',
                  input: { ApiId, StageName: 'prod', Description: mark },
                  undo: [{ call: 'updateHttpStage', input: { ApiId, StageName: 'prod', DeploymentId: 'c81e728' } }],
                },
              ],
            },
          },
        ],
      },
      calls: { aws: 5, ledger: 0 },
    },
    {
      name: 'a sweep, and a deployment that asks everyone: its routes need not be read',
      kind: 'compliant',
      arrange: (world) => {
        withRoute(world, { AuthorizationType: 'AWS_IAM' });
        manualStage(world);
      },
      listed,
      expect: { compliant: [api] },
      calls: { aws: 3, ledger: 0 },
    },
    {
      name: 'a sweep, and a stage that serves the API as it is',
      kind: 'compliant',
      arrange: (world) => {
        withRoute(world, { AuthorizationType: 'AWS_IAM' });
        stage(world);
      },
      listed,
      expect: { compliant: [orders, api] },
      calls: { aws: 3, ledger: 0 },
    },
    {
      name: 'a route that is gone, and is served all the same',
      kind: 'violating',
      arrange: (world) => {
        withManualStage(world);
        world.apiGatewayV2.deleteRoute({ ApiId, RouteId });
      },
      listed,
      expect: {
        violations: [
          {
            subject: api,
            severity: 'high',
            summary:
              'Anyone on the internet can call what the HTTP API shop (a1b2c3d4e5) no longer has and its stages still serve: GET /orders (prod).',
            evidence: { api: 'shop', served: ['GET /orders (prod)'] },
            tags: { team: 'shop' },
            plan: {
              steps: [],
              refused: 'What is served is no route of a1b2c3d4e5 any more: deploy the API anew, or take its stage away.',
            },
          },
        ],
      },
    },
    {
      name: 'a route is deleted, and nobody deploys that',
      kind: 'violating',
      arrange: (world) => {
        withManualStage(world);
        world.apiGatewayV2.deleteRoute({ ApiId, RouteId });
      },
      event: sample('DeleteRoute/http.json'),
      expect: {
        violations: [
          {
            subject: api,
            severity: 'high',
            summary:
              'Anyone on the internet can call what the HTTP API shop (a1b2c3d4e5) no longer has and its stages still serve: GET /orders (prod).',
            evidence: { api: 'shop', served: ['GET /orders (prod)'] },
            tags: { team: 'shop' },
            plan: {
              steps: [],
              refused: 'What is served is no route of a1b2c3d4e5 any more: deploy the API anew, or take its stage away.',
            },
          },
        ],
      },
    },
    {
      name: 'changes that nobody deployed are not shipped',
      kind: 'violating',
      arrange: (world) => {
        withManualStage(world);
        world.apiGatewayV2.createRoute({ ApiId, RouteId: 'draft', RouteKey: 'POST /orders', AuthorizationType: 'AWS_IAM' });
      },
      event: sample('UpdateStage/http.json'),
      expect: {
        violations: [
          {
            ...open,
            plan: {
              steps: [
                close,
                {
                  call: 'deployHttpApi',
                  input: { ApiId, StageName: 'prod', Description: mark },
                  undo: [{ call: 'updateHttpStage', input: { ApiId, StageName: 'prod', DeploymentId: 'c81e728' } }],
                },
              ],
              refused:
                'shop (a1b2c3d4e5) is not deployed: it has changes that its stage prod does not serve yet (paths /orders post), and they would be shipped.',
            },
          },
        ],
      },
    },
    {
      name: 'somebody deployed a minute ago',
      kind: 'violating',
      arrange: (world) => {
        withManualStage(world);
        world.apiGatewayV2.createDeployment({ ApiId, StageName: 'prod', Description: 'release 7' });
        world.advance(60);
      },
      event: sample('UpdateStage/http.json'),
      expect: {
        violations: [
          {
            ...open,
            plan: {
              steps: [
                close,
                {
                  call: 'deployHttpApi',
                  input: { ApiId, StageName: 'prod', Description: mark },
                  undo: [{ call: 'updateHttpStage', input: { ApiId, StageName: 'prod', DeploymentId: 'eccbc87' } }],
                },
              ],
              refused:
                'shop (a1b2c3d4e5) is not deployed: it was deployed at 2026-11-22T13:00:04.000Z, less than 15 minutes ago, and somebody may still be at work on it.',
            },
          },
        ],
      },
    },
    {
      name: 'an event of a REST API',
      kind: 'ignored',
      event: sample('CreateDeployment/http.json', {
        detail: {
          requestParameters: { apiId: undefined, stageName: undefined, restApiId: 'x1y2z3', createDeploymentInput: { stageName: 'prod' } },
          responseElements: { id: 'd1e2f3' },
        },
      }),
    },
    {
      name: 'a tag that the guard does not read',
      kind: 'ignored',
      event: sample('TagResource/http-api.json', {
        detail: { requestParameters: { tags: { 'compliance-guard:exempt': undefined, team: 'shop' } } },
      }),
    },
    {
      name: 'a call that failed',
      kind: 'ignored',
      event: sample('CreateRoute/none.json', { detail: { errorCode: 'ConflictException', responseElements: null } }),
    },
    {
      name: 'another account',
      kind: 'ignored',
      event: sample('CreateRoute/none.json', { account: '444455556666' }),
    },
    {
      name: 'the routes may not be read',
      kind: 'failing',
      arrange: withOpenRoute,
      event: sample('ReimportApi/http.json'),
      fail: { operation: 'GetRoutes', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'the integrations may not be read',
      kind: 'failing',
      arrange: withOpenRoute,
      event: sample('CreateRoute/none.json'),
      fail: { operation: 'GetIntegrations', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'too many requests',
      kind: 'failing',
      arrange: withOpenRoute,
      event: sample('CreateRoute/none.json'),
      fail: { operation: 'GetStages', error: 'TooManyRequestsException' },
      expect: { throws: 'passing' },
    },
    {
      name: 'what a stage serves may not be read',
      kind: 'failing',
      arrange: withManualStage,
      event: sample('CreateDeployment/http.json'),
      fail: { operation: 'ExportApi', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'the route is gone',
      kind: 'failing',
      arrange: (world) => void withApi(world),
      event: sample('DeleteRoute/http.json'),
    },
    {
      name: 'the API is gone',
      kind: 'failing',
      event: sample('DeleteApi/http.json'),
    },
  ],
  roundTrips: [
    {
      name: 'a stage that deploys itself',
      arrange: withOpenRoute,
      event: sample('CreateRoute/none.json'),
      steps: ['closeRoute'],
      fixed: ({ apiGatewayV2 }) => expect(apiGatewayV2.getRoute({ ApiId, RouteId })).toMatchObject({ AuthorizationType: 'AWS_IAM' }),
    },
    {
      name: 'two stages that are deployed by hand',
      arrange: (world) => {
        withManualStage(world);
        manualStage(world, 'test');
      },
      event: sample('CreateDeployment/http.json'),
      steps: ['closeRoute', 'deployHttpApi', 'wait', 'deployHttpApi'],
    },
    {
      name: 'what quick create made',
      arrange: ({ apiGatewayV2 }) => void apiGatewayV2.createApi({ ApiId, Target: orderFunction }),
      event: sample('CreateApi/quick-create.json'),
      steps: ['closeRoute'],
    },
  ],
});

test('a sweep comes to every API of the region, however many pages they fill', async () => {
  const { apiGatewayV2 } = createWorld(place);
  for (let index = 0; index < 501; index += 1) apiGatewayV2.createApi({ ApiId: `api${index}` });
  const { calls, subjects } = rule.list ?? { calls: [], subjects: async function* () {} };
  const arns: string[] = [];
  for await (const page of subjects(place, connect(calls, place))) arns.push(...page.map(({ arn }) => arn));
  expect(arns).toHaveLength(501);
  expect(arns[500]).toBe('arn:aws:apigateway:us-east-1::/apis/api500');
});
