import { connect } from '../../../aws/handle.ts';
import { rule } from '../../../rules/apis/rest-method-open.ts';
import { sample } from '../../support/events.ts';
import { place, ruleTest } from '../../support/rule-test.ts';
import { createWorld, type World } from '../../support/world/index.ts';

const restApiId = 'a1b2c3d4e5';
const api = 'arn:aws:apigateway:us-east-1::/restapis/a1b2c3d4e5';
const orders = `${api}/resources/orders/methods/GET`;
const orderFunction = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const named = { restApiId, resourceId: 'orders', httpMethod: 'GET' };

const allow = { Effect: 'Allow', Principal: '*', Action: 'execute-api:Invoke', Resource: 'execute-api:/*' };
const policyOf = (...Statement: readonly object[]) => JSON.stringify({ Version: '2012-10-17', Statement });

/** An API with `GET /orders`, which leads to a function. */
function withApi({ apiGateway }: World, method: Record<string, unknown> = {}, settings: Record<string, unknown> = {}): void {
  apiGateway.createRestApi({ id: restApiId, tags: { team: 'shop' }, ...settings });
  apiGateway.createMethod({ restApiId, path: '/orders', httpMethod: 'GET', ...method });
}

/** Deployed an hour ago. */
function deployed(world: World, stageName = 'prod'): string {
  const { id } = world.apiGateway.createDeployment({ restApiId, stageName });
  world.advance(3600);
  return id;
}

function withOpenMethod(world: World): void {
  withApi(world);
  deployed(world);
}

function withPolicy(world: World, ...statements: readonly object[]): void {
  withApi(world, {}, { policy: policyOf(...statements) });
  deployed(world);
}

function withDisabledEndpoint(world: World): void {
  withApi(world, {}, { disableExecuteApiEndpoint: true });
  deployed(world);
}

/** Everything that an API can have, each in a form that exports write in another way. */
function withEverything(world: World): void {
  const { apiGateway } = world;
  withApi(world, {}, { policy: policyOf(allow), binaryMediaTypes: ['image/png'], apiKeySource: 'HEADER' });
  const schema = { $schema: 'http://json-schema.org/draft-04/schema#', title: 'Order', type: 'object' };
  const line = { $ref: `https://apigateway.amazonaws.com/restapis/${restApiId}/models/Line` };
  apiGateway.createModel({ restApiId, name: 'Order', schema: JSON.stringify({ ...schema, properties: { line } }) });
  apiGateway.createModel({ restApiId, name: 'Line', schema: JSON.stringify({ type: 'string' }) });
  apiGateway.createModel({ restApiId, name: 'Unused', schema: JSON.stringify(schema) });
  const users = apiGateway.createAuthorizer({
    restApiId,
    name: 'users',
    authorizerUri: 'arn:aws:apigateway:us-east-1:lambda:path/users',
    authorizerResultTtlInSeconds: 300,
  });
  const pool = apiGateway.createAuthorizer({
    restApiId,
    name: 'pool',
    type: 'COGNITO_USER_POOLS',
    providerARNs: ['arn:aws:cognito-idp:us-east-1:111122223333:userpool/p'],
  });
  const validator = apiGateway.createRequestValidator({
    restApiId,
    name: 'body',
    validateRequestBody: true,
    validateRequestParameters: false,
  });
  apiGateway.putGatewayResponse({
    restApiId,
    responseType: 'DEFAULT_4XX',
    statusCode: '400',
    responseTemplates: { 'application/json': '{}' },
  });
  apiGateway.createMethod({
    restApiId,
    path: '/orders/{id}',
    httpMethod: 'POST',
    authorizationType: 'CUSTOM',
    authorizerId: users.id,
    apiKeyRequired: true,
    operationName: 'order',
    requestValidatorId: validator.id,
    requestParameters: { 'method.request.path.id': true, 'method.request.header.Trace': false, 'method.request.querystring.page': true },
    requestModels: { 'application/json': 'Order' },
    methodResponses: {
      '200': {
        statusCode: '200',
        responseParameters: { 'method.response.header.Trace': true },
        responseModels: { 'application/json': 'Order' },
      },
      '404': { statusCode: '404' },
    },
    methodIntegration: {
      type: 'AWS',
      httpMethod: 'POST',
      uri: `arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/${orderFunction}/invocations`,
      passthroughBehavior: 'NEVER',
      timeoutInMillis: 5000,
      requestTemplates: { 'application/json': '{}' },
      cacheNamespace: 'ordersid',
      cacheKeyParameters: ['method.request.path.id'],
      integrationResponses: {
        '200': { statusCode: '200' },
        '404': { statusCode: '404', selectionPattern: '4\\d{2}', responseTemplates: { 'application/json': '{}' } },
      },
    },
  });
  apiGateway.createMethod({
    restApiId,
    path: '/orders/{id}',
    httpMethod: 'DELETE',
    authorizationType: 'COGNITO_USER_POOLS',
    authorizerId: pool.id,
    authorizationScopes: ['orders/write'],
  });
  apiGateway.createMethod({ restApiId, path: '/{proxy+}', httpMethod: 'ANY', authorizationType: 'AWS_IAM' });
  deployed(world);
}

const to = (value: string) => ({ ...named, patchOperations: [{ op: 'replace' as const, path: '/authorizationType', value }] });
const close = { call: 'updateMethod', input: to('AWS_IAM'), undo: [{ call: 'updateMethod', input: to('NONE') }] };
const deploy = (stageName: string, deployment: string) => ({
  call: 'deployRestApi',
  input: { restApiId, stageName, description: `compliance-guard c0ffee123456 ${stageName}` },
  undo: [
    {
      call: 'updateRestStage',
      input: { restApiId, stageName, patchOperations: [{ op: 'replace', path: '/deploymentId', value: deployment }] },
    },
  ],
});
const open = {
  subject: orders,
  severity: 'high',
  summary: 'Anyone on the internet can call GET /orders of the REST API shop (a1b2c3d4e5), stage prod, which asks for no authorization.',
  evidence: {
    api: 'shop',
    method: 'GET /orders',
    stages: ['prod'],
    authorizationType: 'NONE',
    apiKeyRequired: false,
    function: orderFunction,
  },
  tags: { team: 'shop' },
} as const;
const unserved = (what: string) =>
  `shop (a1b2c3d4e5) is not deployed: it has changes that its stage prod does not serve yet (${what}), and they would be shipped.`;
const notShipped = (settings: string) => ({
  ...open,
  plan: { steps: [close, deploy('prod', 'c4ca42')], refused: unserved(settings) },
});
const listed = { arn: api, type: 'AWS::ApiGateway::RestApi', account: '111122223333', region: 'us-east-1' } as const;

ruleTest(rule, {
  rows: [
    {
      name: 'a method with AWS_IAM',
      kind: 'compliant',
      arrange: (world) => {
        withApi(world, { authorizationType: 'AWS_IAM' });
        deployed(world);
      },
      event: sample('CreateDeployment/rest.json'),
      expect: { compliant: [api, orders] },
      calls: { aws: 3, ledger: 0 },
    },
    {
      name: 'a method that is open, and not deployed',
      kind: 'compliant',
      arrange: (world) => {
        withApi(world, { authorizationType: 'AWS_IAM' });
        deployed(world);
        world.apiGateway.updateMethod(to('NONE'));
      },
      event: sample('PutRestApi/rest.json'),
      expect: { compliant: [api, orders] },
    },
    {
      name: 'a sweep, and a deployment that asks everyone: its methods need not be read',
      kind: 'compliant',
      arrange: (world) => {
        withApi(world, { authorizationType: 'AWS_IAM' });
        deployed(world);
      },
      listed,
      expect: { compliant: [api] },
      calls: { aws: 3, ledger: 0 },
    },
    {
      name: 'a sweep, and a private API: nothing but the API is read',
      kind: 'compliant',
      arrange: (world) => {
        withApi(world, {}, { endpointConfiguration: { types: ['PRIVATE'] } });
        deployed(world);
      },
      listed,
      expect: { compliant: [api] },
      calls: { aws: 1, ledger: 0 },
    },
    {
      name: 'an import that no stage serves',
      kind: 'compliant',
      arrange: (world) => withApi(world),
      event: sample('ImportRestApi/rest.json'),
      expect: { compliant: [api, orders] },
      calls: { aws: 2, ledger: 0 },
    },
    {
      name: 'preflight requests of browsers',
      kind: 'compliant',
      arrange: (world) => {
        withApi(world, { httpMethod: 'OPTIONS' });
        deployed(world);
      },
      event: sample('CreateDeployment/rest.json'),
      expect: { compliant: [api, `${api}/resources/orders/methods/OPTIONS`] },
    },
    {
      name: 'a private API',
      kind: 'compliant',
      arrange: (world) => {
        withApi(world, {}, { endpointConfiguration: { types: ['PRIVATE'] } });
        deployed(world);
      },
      event: sample('UpdateRestApi/policy.json'),
      expect: { compliant: [api, orders] },
      calls: { aws: 4, ledger: 0 },
    },
    {
      name: 'an API that reaches no function',
      kind: 'compliant',
      arrange: (world) => {
        withApi(world, { uri: 'https://shop.example.com/orders' });
        deployed(world);
      },
      event: sample('CreateStage/rest.json'),
      expect: { compliant: [api, orders] },
      calls: { aws: 3, ledger: 0 },
    },
    {
      name: 'an API key, where the parameter lets it count',
      kind: 'compliant',
      arrange: (world) => {
        withApi(world, { apiKeyRequired: true });
        deployed(world);
      },
      params: { apiKeys: 'true' },
      event: sample('CreateDeployment/rest.json'),
      expect: { compliant: [api, orders] },
    },
    {
      name: 'a policy that lets in some addresses',
      kind: 'compliant',
      arrange: (world) => withPolicy(world, { ...allow, Condition: { IpAddress: { 'aws:SourceIp': ['192.0.2.0/24'] } } }),
      event: sample('UpdateRestApi/policy.json'),
      expect: { compliant: [api, orders] },
      calls: { aws: 5, ledger: 0 },
    },
    {
      name: 'a policy that denies all but one network',
      kind: 'compliant',
      arrange: (world) =>
        withPolicy(world, allow, {
          ...allow,
          Effect: 'Deny',
          Condition: { StringNotEquals: { 'aws:SourceVpc': 'vpc-0a1b2c3d4e5f60718' } },
        }),
      event: sample('UpdateRestApi/policy.json'),
      expect: { compliant: [api, orders] },
    },
    {
      name: 'a policy that opens another path',
      kind: 'compliant',
      arrange: (world) =>
        withPolicy(
          world,
          { ...allow, Resource: ['execute-api:/*/GET/health', 'arn:aws:execute-api:us-east-1:111122223333:a1b2c3d4e5/test/*'] },
          { ...allow, Principal: { AWS: '444455556666' } },
        ),
      event: sample('UpdateRestApi/policy.json'),
      expect: { compliant: [api, orders] },
    },
    {
      name: 'a policy for callers of an organization',
      kind: 'compliant',
      arrange: (world) => withPolicy(world, { ...allow, Condition: { StringEquals: { 'aws:PrincipalOrgID': 'o-a1b2c3d4e5' } } }),
      event: sample('UpdateRestApi/policy.json'),
      expect: { compliant: [api, orders] },
    },
    {
      name: 'the endpoint is disabled, and no domain name leads to the API',
      kind: 'compliant',
      arrange: (world) => {
        withDisabledEndpoint(world);
        world.apiGatewayV2.createDomainName({ DomainName: 'api.example.com', TruststoreUri: 's3://certificates/trust.pem' });
        world.apiGatewayV2.createApiMapping({ DomainName: 'api.example.com', ApiId: restApiId, Stage: 'prod' });
        world.apiGatewayV2.createDomainName({ DomainName: 'other.example.com' });
      },
      event: sample('UpdateStage/rest.json'),
      expect: { compliant: [api, orders] },
      calls: { aws: 6, ledger: 0 },
    },
    {
      name: 'a method without authorization',
      kind: 'violating',
      arrange: withOpenMethod,
      event: sample('CreateDeployment/rest.json'),
      expect: { violations: [{ ...open, plan: { steps: [close, deploy('prod', 'c4ca42')] } }], compliant: [api] },
      calls: { aws: 4, ledger: 0 },
    },
    {
      name: 'an import that opens one of many methods',
      kind: 'violating',
      arrange: (world) => {
        for (let index = 0; index < 520; index += 1) {
          if (index === 0) withApi(world, { authorizationType: 'AWS_IAM' });
          world.apiGateway.createMethod({ restApiId, path: `/safe${index}`, httpMethod: 'GET', authorizationType: 'AWS_IAM' });
        }
        world.apiGateway.createMethod({ restApiId, path: '/late', httpMethod: 'ANY' });
        deployed(world);
      },
      event: sample('UpdateStage/rest.json'),
      expect: {
        violations: [
          {
            ...open,
            subject: `${api}/resources/late/methods/ANY`,
            summary:
              'Anyone on the internet can call ANY /late of the REST API shop (a1b2c3d4e5), stage prod, which asks for no authorization.',
            evidence: { ...open.evidence, method: 'ANY /late' },
          },
        ],
      },
      calls: { aws: 5, ledger: 0 },
    },
    {
      name: 'a method that is closed, and not deployed',
      kind: 'violating',
      arrange: (world) => {
        withOpenMethod(world);
        world.apiGateway.updateMethod(to('AWS_IAM'));
      },
      event: sample('UpdateStage/rest.json'),
      expect: {
        violations: [
          { ...open, evidence: { ...open.evidence, authorizationType: 'AWS_IAM' }, plan: { steps: [deploy('prod', 'c4ca42')] } },
        ],
      },
    },
    {
      name: 'a method that somebody gave an authorizer, and did not deploy',
      kind: 'violating',
      arrange: (world) => {
        withOpenMethod(world);
        world.apiGateway.updateMethod(to('CUSTOM'));
      },
      event: sample('UpdateStage/rest.json'),
      expect: {
        violations: [
          {
            ...open,
            evidence: { ...open.evidence, authorizationType: 'CUSTOM' },
            plan: {
              steps: [deploy('prod', 'c4ca42')],
              refused: 'GET /orders asks for CUSTOM by now, and its stage does not serve that yet: deploy the API.',
            },
          },
        ],
      },
    },
    {
      name: 'a canary that is open',
      kind: 'violating',
      arrange: (world) => {
        withApi(world, { authorizationType: 'AWS_IAM' });
        deployed(world);
        world.apiGateway.updateMethod(to('NONE'));
        const { id } = world.apiGateway.createDeployment({ restApiId });
        Object.assign(world.apiGateway.getStage({ restApiId, stageName: 'prod' }), {
          canarySettings: { percentTraffic: 10, deploymentId: id },
        });
      },
      event: sample('CreateDeployment/rest.json'),
      expect: {
        violations: [
          {
            ...open,
            plan: {
              steps: [close, deploy('prod', 'c4ca42')],
              refused: 'shop (a1b2c3d4e5) is not deployed: its stage prod has a canary, and what is deployed would go to the canary alone.',
            },
          },
        ],
      },
      calls: { aws: 5, ledger: 0 },
    },
    {
      name: 'a canary is not promoted',
      kind: 'violating',
      arrange: (world) => {
        withOpenMethod(world);
        const { id } = world.apiGateway.createDeployment({ restApiId });
        Object.assign(world.apiGateway.getStage({ restApiId, stageName: 'prod' }), {
          canarySettings: { percentTraffic: 10, deploymentId: id },
        });
      },
      event: sample('CreateDeployment/rest.json'),
      expect: {
        violations: [
          {
            ...open,
            plan: {
              steps: [close, deploy('prod', 'c4ca42')],
              refused: 'shop (a1b2c3d4e5) is not deployed: its stage prod has a canary, and what is deployed would go to the canary alone.',
            },
          },
        ],
      },
    },
    {
      name: 'a method that is gone, and is served all the same',
      kind: 'violating',
      arrange: (world) => {
        withOpenMethod(world);
        world.apiGateway.createMethod({ restApiId, path: '/payments', httpMethod: 'GET', authorizationType: 'AWS_IAM' });
        world.apiGateway.deleteMethod(named);
      },
      listed,
      expect: {
        violations: [
          {
            subject: api,
            severity: 'high',
            summary:
              'Anyone on the internet can call what the REST API shop (a1b2c3d4e5) no longer has and its stages still serve: GET /orders (prod).',
            evidence: { api: 'shop', served: ['GET /orders (prod)'] },
            tags: { team: 'shop' },
            plan: {
              steps: [],
              refused: 'What is served is no method of a1b2c3d4e5 any more: deploy the API anew, or take its stage away.',
            },
          },
        ],
      },
    },
    {
      name: 'a method is deleted, and nobody deploys that',
      kind: 'violating',
      arrange: (world) => {
        withOpenMethod(world);
        world.apiGateway.createMethod({ restApiId, path: '/payments', httpMethod: 'GET', authorizationType: 'AWS_IAM' });
        world.apiGateway.deleteMethod(named);
      },
      event: sample('DeleteMethod/rest.json'),
      expect: {
        violations: [
          {
            subject: api,
            severity: 'high',
            summary:
              'Anyone on the internet can call what the REST API shop (a1b2c3d4e5) no longer has and its stages still serve: GET /orders (prod).',
            evidence: { api: 'shop', served: ['GET /orders (prod)'] },
            tags: { team: 'shop' },
            plan: {
              steps: [],
              refused: 'What is served is no method of a1b2c3d4e5 any more: deploy the API anew, or take its stage away.',
            },
          },
        ],
      },
    },
    {
      name: 'an API key, which identifies nobody by itself',
      kind: 'violating',
      arrange: (world) => {
        withApi(world, { apiKeyRequired: true });
        deployed(world);
      },
      event: sample('CreateDeployment/rest.json'),
      expect: { violations: [{ ...open, evidence: { ...open.evidence, apiKeyRequired: true } }] },
    },
    {
      name: 'an API that reaches no function, where the parameter says all',
      kind: 'violating',
      arrange: (world) => {
        withApi(world, { uri: 'https://shop.example.com/orders' });
        deployed(world);
      },
      params: { allApis: 'true' },
      event: sample('CreateStage/rest.json'),
      expect: {
        violations: [
          { ...open, evidence: { api: 'shop', method: 'GET /orders', stages: ['prod'], authorizationType: 'NONE', apiKeyRequired: false } },
        ],
      },
    },
    {
      name: 'a policy that lets everyone in',
      kind: 'violating',
      arrange: (world) => withPolicy(world, allow),
      event: sample('UpdateRestApi/policy.json'),
      expect: { violations: [open] },
      calls: { aws: 5, ledger: 0 },
    },
    {
      name: 'a policy that denies only some addresses',
      kind: 'violating',
      arrange: (world) =>
        withPolicy(world, allow, { ...allow, Effect: 'Deny', Condition: { IpAddress: { 'aws:SourceIp': ['192.0.2.0/24'] } } }),
      event: sample('UpdateRestApi/policy.json'),
      expect: { violations: [open] },
    },
    {
      name: 'a policy that opens paths of this form',
      kind: 'violating',
      arrange: (world) => {
        withPolicy(world, { ...allow, Resource: 'execute-api:/prod/GET/*/7' });
        world.apiGateway.createMethod({ restApiId, path: '/orders/{id}', id: 'order', httpMethod: 'GET' });
        deployed(world);
      },
      event: sample('CreateDeployment/rest.json'),
      expect: {
        violations: [
          {
            ...open,
            subject: `${api}/resources/order/methods/GET`,
            summary:
              'Anyone on the internet can call GET /orders/{id} of the REST API shop (a1b2c3d4e5), stage prod, which asks for no authorization.',
            evidence: { ...open.evidence, method: 'GET /orders/{id}' },
          },
        ],
      },
    },
    {
      name: 'a resource policy that nobody deployed',
      kind: 'violating',
      arrange: (world) => {
        withOpenMethod(world);
        world.apiGateway.changeRestApi({
          restApiId,
          policy: policyOf({ ...allow, Condition: { IpAddress: { 'aws:SourceIp': ['192.0.2.0/24'] } } }),
        });
      },
      event: sample('UpdateRestApi/policy.json'),
      expect: {
        violations: [
          {
            ...open,
            plan: {
              steps: [close, deploy('prod', 'c4ca42')],
              refused:
                'shop (a1b2c3d4e5) is not deployed: it has changes that its stage prod does not serve yet (policy), and they would be shipped.',
            },
          },
        ],
      },
    },
    {
      name: 'the endpoint is disabled, and a domain name leads to the API',
      kind: 'violating',
      arrange: (world) => {
        withDisabledEndpoint(world);
        world.apiGatewayV2.createDomainName({ DomainName: 'api.example.com' });
        world.apiGatewayV2.createApiMapping({ DomainName: 'api.example.com', ApiId: restApiId, Stage: 'prod' });
      },
      event: sample('CreateBasePathMapping/rest.json'),
      expect: { violations: [open] },
    },
    {
      name: 'the endpoint was disabled, and no stage has that yet',
      kind: 'violating',
      arrange: (world) => {
        withOpenMethod(world);
        world.apiGatewayV2.createDomainName({ DomainName: 'api.example.com' });
        world.apiGatewayV2.createApiMapping({ DomainName: 'api.example.com', ApiId: restApiId, Stage: 'prod' });
        world.apiGateway.changeRestApi({ restApiId, disableExecuteApiEndpoint: true });
      },
      listed,
      expect: {
        violations: [notShipped('disableExecuteApiEndpoint')],
        compliant: [api],
      },
    },
    {
      name: 'the endpoint was opened again, and no stage has that yet',
      kind: 'violating',
      arrange: (world) => {
        withDisabledEndpoint(world);
        world.apiGateway.changeRestApi({ restApiId, disableExecuteApiEndpoint: false });
      },
      listed,
      expect: {
        violations: [notShipped('disableExecuteApiEndpoint')],
        compliant: [api],
      },
    },
    {
      name: 'another security policy, and no stage has that yet',
      kind: 'violating',
      arrange: (world) => {
        withApi(world, {}, { securityPolicy: 'TLS_1_0' });
        deployed(world);
        const securityPolicy = 'SecurityPolicy_TLS13_1_3_2025_09';
        world.apiGateway.changeRestApi({ restApiId, securityPolicy, endpointAccessMode: 'STRICT' });
      },
      listed,
      expect: {
        violations: [notShipped('endpointAccessMode; securityPolicy')],
        compliant: [api],
      },
    },
    {
      name: 'settings were changed after the last write to a stage, whatever the export tells',
      kind: 'violating',
      arrange: withOpenMethod,
      event: sample('UpdateRestApi/endpoint.json'),
      expect: {
        violations: [
          {
            ...open,
            plan: {
              steps: [close, deploy('prod', 'c4ca42')],
              refused:
                'shop (a1b2c3d4e5) is not deployed: its settings were changed at 2026-11-22T12:30:00Z, no stage was written to since, and what is deployed would put them in force.',
            },
          },
        ],
      },
      calls: { aws: 4, ledger: 1 },
    },
    {
      name: 'settings were changed before the last write to a stage',
      kind: 'violating',
      arrange: (world) => {
        withOpenMethod(world);
        world.apiGateway.updateStage({ restApiId, stageName: 'prod' });
        world.advance(3600);
      },
      event: sample('UpdateRestApi/endpoint.json'),
      expect: { violations: [{ ...open, plan: { steps: [close, deploy('prod', 'c4ca42')] } }] },
    },
    {
      name: 'changes that nobody deployed are not shipped',
      kind: 'violating',
      arrange: (world) => {
        withOpenMethod(world);
        world.apiGateway.createMethod({ restApiId, path: '/draft', httpMethod: 'POST', authorizationType: 'AWS_IAM' });
        Object.assign(world.apiGateway.getMethod(named).methodIntegration ?? {}, { timeoutInMillis: 3000 });
      },
      event: sample('UpdateStage/rest.json'),
      expect: {
        violations: [
          {
            ...open,
            plan: {
              steps: [close, deploy('prod', 'c4ca42')],
              refused:
                'shop (a1b2c3d4e5) is not deployed: it has changes that its stage prod does not serve yet (methods GET /orders integration timeoutInMillis; methods POST /draft), and they would be shipped.',
            },
          },
        ],
      },
    },
    {
      name: 'a model that another one names, and that nobody deployed, is not shipped',
      kind: 'violating',
      arrange: (world) => {
        withEverything(world);
        world.apiGateway.createModel({ restApiId, name: 'Line', schema: JSON.stringify({ type: 'number' }) });
      },
      event: sample('UpdateStage/rest.json'),
      expect: {
        violations: [
          {
            ...open,
            plan: {
              steps: [close, deploy('prod', '8f14e4')],
              refused:
                'shop (a1b2c3d4e5) is not deployed: it has changes that its stage prod does not serve yet (models Line type), and they would be shipped.',
            },
          },
        ],
      },
    },
    {
      name: 'somebody deployed a minute ago',
      kind: 'violating',
      arrange: (world) => {
        withOpenMethod(world);
        world.apiGateway.createDeployment({ restApiId, stageName: 'prod', description: 'release 7' });
        world.advance(60);
      },
      event: sample('UpdateStage/rest.json'),
      expect: {
        violations: [
          {
            ...open,
            plan: {
              steps: [close, deploy('prod', 'c81e72')],
              refused:
                'shop (a1b2c3d4e5) is not deployed: it was deployed at 2026-11-22T13:00:05.000Z, less than 15 minutes ago, and somebody may still be at work on it.',
            },
          },
        ],
      },
    },
    {
      name: 'a deployment of the guard is no reason to wait',
      kind: 'violating',
      arrange: (world) => {
        withOpenMethod(world);
        world.apiGateway.createDeployment({ restApiId, stageName: 'prod', description: 'compliance-guard 0123456789ab prod' });
        world.advance(60);
      },
      event: sample('CreateDeployment/rest.json'),
      expect: { violations: [{ ...open, plan: { steps: [close, deploy('prod', 'c81e72')] } }] },
    },
    {
      name: 'an event of an HTTP API',
      kind: 'ignored',
      event: sample('CreateDeployment/http.json'),
    },
    {
      name: 'a tag that the guard does not read',
      kind: 'ignored',
      event: sample('TagResource/rest-api.json', {
        detail: { requestParameters: { tagResourceInput: { tags: { 'compliance-guard:exempt': undefined, team: 'shop' } } } },
      }),
    },
    {
      name: 'a call that failed',
      kind: 'ignored',
      event: sample('CreateDeployment/rest.json', { detail: { errorCode: 'TooManyRequestsException', responseElements: null } }),
    },
    {
      name: 'another region',
      kind: 'ignored',
      event: sample('CreateDeployment/rest.json', { region: 'eu-west-1' }),
    },
    {
      name: 'the resources may not be read',
      kind: 'failing',
      arrange: withOpenMethod,
      event: sample('CreateDeployment/rest.json'),
      fail: { operation: 'GetResources', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'what a stage serves may not be read',
      kind: 'failing',
      arrange: withOpenMethod,
      event: sample('CreateDeployment/rest.json'),
      fail: { operation: 'GetDeployment', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'the policy that a stage has may not be read',
      kind: 'failing',
      arrange: (world) => withPolicy(world, allow),
      event: sample('UpdateRestApi/policy.json'),
      fail: { operation: 'GetExport', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'too many requests',
      kind: 'failing',
      arrange: withOpenMethod,
      event: sample('CreateDeployment/rest.json'),
      fail: { operation: 'GetStages', error: 'TooManyRequestsException' },
      expect: { throws: 'passing' },
    },
    {
      name: 'a policy with a condition that is not understood',
      kind: 'failing',
      arrange: (world) => withPolicy(world, { ...allow, Condition: { StringEquals: { 'aws:SourceTomorrow': 'yes' } } }),
      event: sample('UpdateRestApi/policy.json'),
      expect: { throws: 'lasting', error: 'PolicyUnreadable' },
    },
    {
      name: 'the method is gone',
      kind: 'failing',
      arrange: (world) => {
        withApi(world);
        world.apiGateway.deleteMethod(named);
      },
      event: sample('DeleteMethod/rest.json'),
    },
    {
      name: 'the stage is gone',
      kind: 'failing',
      arrange: (world) => withApi(world),
      event: sample('DeleteStage/rest.json'),
    },
    {
      name: 'the API is gone',
      kind: 'failing',
      event: sample('DeleteRestApi/rest.json'),
    },
  ],
  roundTrips: [
    {
      name: 'one stage',
      arrange: withOpenMethod,
      event: sample('CreateDeployment/rest.json'),
      steps: ['updateMethod', 'deployRestApi'],
      fixed: ({ apiGateway }) => expect(apiGateway.getMethod(named)).toMatchObject({ authorizationType: 'AWS_IAM' }),
    },
    {
      name: 'two stages, one of them opened by the other',
      arrange: (world) => {
        withOpenMethod(world);
        deployed(world, 'test');
      },
      event: sample('CreateStage/rest.json'),
      steps: ['updateMethod', 'deployRestApi', 'wait', 'deployRestApi'],
    },
    {
      name: 'an API whose endpoint is disabled, and to which a domain name leads',
      arrange: (world) => {
        withDisabledEndpoint(world);
        world.apiGatewayV2.createDomainName({ DomainName: 'api.example.com' });
        world.apiGatewayV2.createApiMapping({ DomainName: 'api.example.com', ApiId: restApiId, Stage: 'prod' });
      },
      event: sample('CreateBasePathMapping/rest.json'),
      steps: ['updateMethod', 'deployRestApi'],
    },
    {
      name: 'an API with everything that an export writes in another way',
      arrange: withEverything,
      event: sample('CreateDeployment/rest.json'),
      steps: ['updateMethod', 'deployRestApi'],
    },
  ],
});

test('a sweep comes to every API of the region, however many pages they fill', async () => {
  const { apiGateway } = createWorld(place);
  for (let index = 0; index < 501; index += 1) apiGateway.createRestApi({ id: `api${index}` });
  const { calls, subjects } = rule.list ?? { calls: [], subjects: async function* () {} };
  const arns: string[] = [];
  for await (const page of subjects(place, connect(calls, place))) arns.push(...page.map(({ arn }) => arn));
  expect(arns).toHaveLength(501);
  expect(arns[500]).toBe('arn:aws:apigateway:us-east-1::/restapis/api500');
});
