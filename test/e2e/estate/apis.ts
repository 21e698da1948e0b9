import { account, administrator, aliased, functionArn, type Kind, type NearMiss, sound } from './kind.ts';

async function http(operation: string, input: object) {
  return await administrator('apigatewayv2', operation, input);
}

async function rest(operation: string, input: object) {
  return await administrator('apigateway', operation, input);
}

const api = 'arn:aws:apigateway:us-east-1::';

/** A function and an HTTP or WebSocket API with one route to it, on a stage that is deployed by hand. */
async function withRoute(name: string, RouteKey: string, AuthorizationType: string) {
  const IntegrationUri = await sound(name);
  const webSocket = RouteKey.startsWith('$');
  const protocol = webSocket ? { ProtocolType: 'WEBSOCKET', RouteSelectionExpression: '$request.body.action' } : { ProtocolType: 'HTTP' };
  const { ApiId } = await http('create_api', { Name: name, ...protocol });
  const integration = { IntegrationType: 'AWS_PROXY', IntegrationUri, ...(webSocket ? {} : { PayloadFormatVersion: '2.0' }) };
  const { IntegrationId } = await http('create_integration', { ApiId, ...integration });
  const { RouteId } = await http('create_route', { ApiId, RouteKey, Target: `integrations/${IntegrationId}`, AuthorizationType });
  await http('create_stage', { ApiId, StageName: 'prod' });
  await http('create_deployment', { ApiId, StageName: 'prod' });
  return { ApiId, RouteId, arn: `${api}/apis/${ApiId}/routes/${RouteId}` };
}

/** A function and a REST API with one method that leads to it, on the stage prod. */
async function withMethod(name: string, httpMethod: string, authorizationType: string, more: object = {}) {
  const uri = `arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/${await sound(name)}/invocations`;
  const { id: restApiId } = await rest('create_rest_api', { name, ...more });
  const [{ id: parentId }] = (await rest('get_resources', { restApiId })).items;
  const { id: resourceId } = await rest('create_resource', { restApiId, parentId, pathPart: 'orders' });
  const named = { restApiId, resourceId, httpMethod };
  await rest('put_method', { ...named, authorizationType });
  await rest('put_integration', { ...named, type: 'AWS_PROXY', integrationHttpMethod: 'POST', uri });
  await rest('create_deployment', { restApiId, stageName: 'prod' });
  return { ...named, arn: `${api}/restapis/${restApiId}/resources/${resourceId}/methods/${httpMethod}` };
}

const invoke = (Resource: string, more: object) => ({ Effect: 'Allow', Action: 'lambda:InvokeFunction', Resource, ...more });

async function put(ResourceArn: string, ...Statement: readonly object[]): Promise<void> {
  await administrator('lambda', 'put_resource_policy', { ResourceArn, Policy: JSON.stringify({ Version: '2012-10-17', Statement }) });
}

/** A function whose policy gets a statement by AddPermission. */
function permitting(how: string, statement: object, qualifier = ''): Kind {
  return {
    rule: 'function-policy-open',
    how,
    async make(name) {
      const arn = await sound(name, qualifier === '' ? {} : { Publish: true });
      if (qualifier === 'live') await aliased(name);
      const qualified = qualifier === '' ? {} : { Qualifier: qualifier };
      const permission = { FunctionName: name, StatementId: 'opens', Action: 'lambda:InvokeFunction', ...qualified, ...statement };
      await administrator('lambda', 'add_permission', permission);
      return qualifier === '' ? arn : `${arn}:${qualifier}`;
    },
  };
}

const everyoneByUrl = { Action: 'lambda:InvokeFunctionUrl', Principal: '*', FunctionUrlAuthType: 'NONE' };

export const kinds: readonly Kind[] = [
  {
    rule: 'function-url-open',
    how: 'url',
    async make(name) {
      const arn = await sound(name);
      await administrator('lambda', 'create_function_url_config', { FunctionName: name, AuthType: 'NONE' });
      return arn;
    },
  },
  {
    rule: 'function-url-open',
    how: 'url-of-an-alias',
    async make(name) {
      const arn = await sound(name, { Publish: true });
      await aliased(name);
      await administrator('lambda', 'create_function_url_config', { FunctionName: name, Qualifier: 'live', AuthType: 'NONE' });
      return `${arn}:live`;
    },
  },
  {
    rule: 'function-url-open',
    how: 'url-opened-later',
    async make(name) {
      const arn = await sound(name);
      await administrator('lambda', 'create_function_url_config', { FunctionName: name, AuthType: 'AWS_IAM' });
      const open = () => administrator('lambda', 'update_function_url_config', { FunctionName: name, AuthType: 'NONE' });
      return { found: [arn], later: open };
    },
  },
  {
    rule: 'function-url-open',
    how: 'grant-without-url',
    async make(name) {
      const arn = await sound(name);
      await administrator('lambda', 'add_permission', { FunctionName: name, StatementId: 'url', ...everyoneByUrl });
      return arn;
    },
  },
  permitting('everyone', { Principal: '*' }),
  permitting('an-account', { Principal: '777788889999' }),
  permitting('a-service-without-source', { Principal: 'sns.amazonaws.com' }),
  permitting('everyone-on-an-alias', { Principal: '*' }, 'live'),
  permitting('everyone-on-a-version', { Principal: '*' }, '1'),
  {
    rule: 'function-policy-open',
    how: 'lets-code-be-changed',
    async make(name) {
      const arn = await sound(name);
      const statement = { Principal: { AWS: 'arn:aws:iam::777788889999:role/ci' }, Action: ['lambda:Update*', 'lambda:Get*'] };
      return { found: [arn], later: () => put(arn, invoke(arn, statement)) };
    },
  },
  {
    rule: 'function-policy-open',
    how: 'all-but-one',
    async make(name) {
      const arn = await sound(name);
      await put(arn, invoke(arn, { NotPrincipal: { AWS: `arn:aws:iam::${account}:root` } }));
      return arn;
    },
  },
  {
    rule: 'http-route-open',
    how: 'quick-create',
    async make(name) {
      const { ApiId } = await http('create_api', { Name: name, ProtocolType: 'HTTP', Target: await sound(name) });
      const [{ RouteId }] = (await http('get_routes', { ApiId })).Items;
      return `${api}/apis/${ApiId}/routes/${RouteId}`;
    },
  },
  { rule: 'http-route-open', how: 'http-route', make: async (name) => (await withRoute(name, 'GET /orders', 'NONE')).arn },
  { rule: 'http-route-open', how: 'websocket', make: async (name) => (await withRoute(name, '$connect', 'NONE')).arn },
  {
    rule: 'http-route-open',
    how: 'http-route-later',
    async make(name) {
      const { ApiId, RouteId, arn } = await withRoute(name, 'POST /orders', 'AWS_IAM');
      const open = async () => {
        await http('update_route', { ApiId, RouteId, AuthorizationType: 'NONE' });
        await http('create_deployment', { ApiId, StageName: 'prod' });
      };
      return { found: [arn], later: open };
    },
  },
  {
    rule: 'http-route-open',
    how: 'http-route-left-over',
    async make(name) {
      const { ApiId, RouteId } = await withRoute(name, 'GET /orders', 'NONE');
      return { found: [`${api}/apis/${ApiId}`], later: () => http('delete_route', { ApiId, RouteId }) };
    },
  },
  { rule: 'rest-method-open', how: 'rest-get', make: async (name) => (await withMethod(name, 'GET', 'NONE')).arn },
  { rule: 'rest-method-open', how: 'rest-any', make: async (name) => (await withMethod(name, 'ANY', 'NONE')).arn },
  {
    rule: 'rest-method-open',
    how: 'rest-later',
    async make(name) {
      const { arn, ...named } = await withMethod(name, 'POST', 'AWS_IAM');
      const patchOperations = [{ op: 'replace', path: '/authorizationType', value: 'NONE' }];
      const open = async () => {
        await rest('update_method', { ...named, patchOperations });
        await rest('create_deployment', { restApiId: named.restApiId, stageName: 'prod' });
      };
      return { found: [arn], later: open };
    },
  },
  {
    rule: 'rest-method-open',
    how: 'rest-left-over',
    async make(name) {
      const { arn: _, ...named } = await withMethod(name, 'GET', 'NONE');
      // It still leads to the function, by a method that nobody deployed.
      await rest('put_method', { ...named, httpMethod: 'PUT', authorizationType: 'AWS_IAM' });
      const uri = `arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/${functionArn(name)}/invocations`;
      await rest('put_integration', { ...named, httpMethod: 'PUT', type: 'AWS_PROXY', integrationHttpMethod: 'POST', uri });
      return { found: [`${api}/restapis/${named.restApiId}`], later: () => rest('delete_method', named) };
    },
  },
];

export const nearMisses: readonly NearMiss[] = [
  {
    how: 'url-that-asks',
    async make(name) {
      await sound(name);
      await administrator('lambda', 'create_function_url_config', { FunctionName: name, AuthType: 'AWS_IAM' });
    },
  },
  {
    how: 'lets-in-whom-it-may',
    async make(name) {
      const arn = await sound(name, { Publish: true });
      await aliased(name);
      const add = (StatementId: string, more: object) =>
        administrator('lambda', 'add_permission', { FunctionName: name, StatementId, Action: 'lambda:InvokeFunction', ...more });
      await add('own', { Principal: account });
      await add('partner', { Principal: '444455556666', Qualifier: 'live' });
      await add('topic', { Principal: 'sns.amazonaws.com', SourceArn: `arn:aws:sns:us-east-1:${account}:orders` });
      await add('bucket', { Principal: 's3.amazonaws.com', SourceArn: 'arn:aws:s3:::orders', SourceAccount: account, Qualifier: '1' });
      await put(`${arn}:live`, invoke(`${arn}:live`, { Principal: '*', Condition: { StringEquals: { 'aws:SourceAccount': account } } }));
    },
  },
  { how: 'http-route-that-asks', make: async (name) => await withRoute(name, 'GET /orders', 'AWS_IAM') },
  { how: 'websocket-that-asks', make: async (name) => await withRoute(name, '$connect', 'AWS_IAM') },
  { how: 'preflight', make: async (name) => await withRoute(name, 'OPTIONS /orders', 'NONE') },
  {
    how: 'rest-not-deployed',
    async make(name) {
      const { arn: _, ...named } = await withMethod(name, 'GET', 'AWS_IAM');
      await rest('put_method', { ...named, httpMethod: 'DELETE', authorizationType: 'NONE' });
    },
  },
  { how: 'rest-private', make: async (name) => await withMethod(name, 'GET', 'NONE', { endpointConfiguration: { types: ['PRIVATE'] } }) },
  {
    how: 'url-closed-again',
    async make(name) {
      await sound(name);
      await administrator('lambda', 'create_function_url_config', { FunctionName: name, AuthType: 'NONE' });
      return { later: () => administrator('lambda', 'delete_function_url_config', { FunctionName: name }) };
    },
  },
];
