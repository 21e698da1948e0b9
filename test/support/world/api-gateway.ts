import type {
  Authorizer,
  Deployment,
  GatewayResponse,
  Method,
  Model,
  PatchOperation,
  RequestValidator,
  Resource,
  RestApi,
  Stage,
} from '@aws-sdk/client-api-gateway';
import { awsError, copy, page, type Service, type Surroundings } from './service.ts';

/** What a deployment holds of an API. */
interface Content {
  readonly api: RestApi;
  readonly resources: Resource[];
  readonly authorizers: Authorizer[];
  readonly validators: RequestValidator[];
  readonly models: Model[];
  readonly responses: GatewayResponse[];
}

interface Rest extends Content {
  readonly stages: Map<string, Stage>;
  readonly deployments: Map<string, Deployment & { readonly content: Content }>;
}

interface OfApi {
  readonly restApiId?: string | undefined;
}

interface Listed {
  readonly position?: string | undefined;
  readonly limit?: number | undefined;
}

interface MethodName extends OfApi {
  readonly resourceId?: string | undefined;
  readonly httpMethod?: string | undefined;
}

const types = ['NONE', 'AWS_IAM', 'CUSTOM', 'COGNITO_USER_POOLS'];

/** REST APIs, as far as the guard and its tests use them. https://docs.aws.amazon.com/apigateway/latest/api/API_Operations.html */
export class ApiGatewayService implements Service {
  readonly #world: Surroundings;
  readonly #apis = new Map<string, Rest>();

  constructor(world: Surroundings) {
    this.#world = world;
  }

  /** `id` may be given, so that a table can name it. */
  createRestApi({ policy, id = this.#id(), ...input }: Partial<RestApi> & { policy?: string } = {}): RestApi & { id: string } {
    const defaults = { name: 'shop', apiKeySource: 'HEADER' as const, endpointConfiguration: { types: ['REGIONAL' as const] } };
    // GetRestApi answers with a policy whose quotes are escaped once more.
    const escaped = policy === undefined ? {} : { policy: JSON.stringify(policy).slice(1, -1) };
    const api = { id, ...defaults, ...input, ...escaped };
    const root: Resource = { id: 'root', path: '/' };
    const content = { api, resources: [root], authorizers: [], validators: [], models: [], responses: [] };
    this.#apis.set(id, { ...content, stages: new Map(), deployments: new Map() });
    return api;
  }

  getRestApis({ position, limit }: Listed): object {
    return listed(
      [...this.#apis.values()].map(({ api }) => api),
      position,
      limit,
    );
  }

  getRestApi({ restApiId }: OfApi): RestApi {
    return this.#api(restApiId).api;
  }

  /** Changes settings as UpdateRestApi would: a policy is given as its text. */
  changeRestApi({ restApiId, policy, ...changes }: OfApi & Partial<RestApi>): void {
    Object.assign(this.#api(restApiId).api, changes, policy === undefined ? {} : { policy: JSON.stringify(policy).slice(1, -1) });
  }

  deleteRestApi({ restApiId }: OfApi): object {
    this.#api(restApiId);
    this.#apis.delete(restApiId ?? '');
    return {};
  }

  /** A resource at a path, and a method of it whose integration leads to a function; `id` may be given. */
  createMethod(input: OfApi & { id?: string; path: string; httpMethod: string; uri?: string } & Partial<Method>): Method {
    const { restApiId, path, uri = functionUri, id = path.replace(/\W/g, '') || 'root', ...settings } = input;
    const { resources } = this.#api(restApiId);
    const present = resources.find((resource) => resource.path === path);
    const resource = present ?? { id, path };
    if (present === undefined) resources.push(resource);
    const method: Method = {
      authorizationType: 'NONE',
      apiKeyRequired: false,
      methodIntegration: {
        type: 'AWS_PROXY',
        httpMethod: 'POST',
        uri,
        passthroughBehavior: 'WHEN_NO_MATCH',
        timeoutInMillis: 29000,
        cacheNamespace: resource.id,
        cacheKeyParameters: [],
      },
      ...settings,
    };
    resource.resourceMethods = { ...resource.resourceMethods, [input.httpMethod]: method };
    return method;
  }

  deleteMethod({ restApiId, resourceId, httpMethod = '' }: MethodName): object {
    const resource = this.#api(restApiId).resources.find(({ id }) => id === resourceId);
    delete resource?.resourceMethods?.[httpMethod];
    return {};
  }

  getResources({ restApiId, embed = [], position, limit }: OfApi & Listed & { embed?: string[] }): object {
    const resources = this.#api(restApiId).resources;
    const shown = embed.includes('methods')
      ? resources
      : resources.map(({ resourceMethods = {}, ...rest }) => ({
          ...rest,
          resourceMethods: Object.fromEntries(Object.keys(resourceMethods).map((verb) => [verb, {}])),
        }));
    return listed(shown, position, limit);
  }

  getMethod({ restApiId, resourceId, httpMethod = '' }: MethodName): Method {
    const resource = this.#api(restApiId).resources.find(({ id }) => id === resourceId);
    return found(resource?.resourceMethods?.[httpMethod], 'Invalid Method identifier specified');
  }

  updateMethod({ patchOperations = [], ...named }: MethodName & { patchOperations?: PatchOperation[] }): Method {
    const method = this.getMethod(named);
    for (const { path = '', value } of patchOperations) {
      if (path === '/authorizationType' && !types.includes(value ?? '')) throw badRequest('Invalid authorization type specified');
      Object.assign(method, { [path.slice(1)]: value });
    }
    return method;
  }

  createAuthorizer({ restApiId, ...input }: OfApi & Authorizer): Authorizer & { id: string } {
    const authorizer = { id: this.#id(), type: 'TOKEN' as const, identitySource: 'method.request.header.Authorization', ...input };
    this.#api(restApiId).authorizers.push(authorizer);
    return authorizer;
  }

  getAuthorizers({ restApiId, position, limit }: OfApi & Listed): object {
    return listed(this.#api(restApiId).authorizers, position, limit);
  }

  createRequestValidator({ restApiId, ...input }: OfApi & RequestValidator): RequestValidator & { id: string } {
    const validator = { id: this.#id(), ...input };
    this.#api(restApiId).validators.push(validator);
    return validator;
  }

  getRequestValidators({ restApiId, position, limit }: OfApi & Listed): object {
    return listed(this.#api(restApiId).validators, position, limit);
  }

  createModel({ restApiId, ...input }: OfApi & Model): Model {
    const model = { id: this.#id(), contentType: 'application/json', ...input };
    const { models } = this.#api(restApiId);
    const index = models.findIndex(({ name }) => name === input.name);
    if (index < 0) models.push(model);
    else models[index] = model;
    return model;
  }

  getModels({ restApiId, position, limit }: OfApi & Listed): object {
    return listed(this.#api(restApiId).models, position, limit);
  }

  putGatewayResponse({ restApiId, ...input }: OfApi & GatewayResponse): object {
    this.#api(restApiId).responses.push({ ...input, defaultResponse: false });
    return {};
  }

  /** With the default ones, which AWS makes up where there are none. */
  getGatewayResponses({ restApiId, position, limit }: OfApi & Listed): object {
    const { responses } = this.#api(restApiId);
    const standard: GatewayResponse = { responseType: 'THROTTLED', statusCode: '429', responseParameters: {}, defaultResponse: true };
    return listed([...responses, standard], position, limit);
  }

  createStage({ restApiId, stageName = 'prod', ...input }: OfApi & Stage): Stage {
    const stage = { stageName, ...input, createdDate: this.#world.tick(), lastUpdatedDate: this.#world.tick() };
    this.#api(restApiId).stages.set(stageName, stage);
    return stage;
  }

  getStages({ restApiId }: OfApi): object {
    return { item: [...this.#api(restApiId).stages.values()] };
  }

  getStage({ restApiId, stageName = '' }: OfApi & { stageName?: string }): Stage {
    return found(this.#api(restApiId).stages.get(stageName), 'Invalid stage identifier specified');
  }

  updateStage({
    restApiId,
    stageName = '',
    patchOperations = [],
  }: OfApi & { stageName?: string; patchOperations?: PatchOperation[] }): Stage {
    const stage = this.getStage({ restApiId, stageName });
    for (const { path = '', value } of patchOperations) {
      if (path === '/deploymentId' && !this.#api(restApiId).deployments.has(value ?? '')) throw badRequest('Deployment id does not exist');
      Object.assign(stage, { [path.slice(1)]: value });
    }
    return Object.assign(stage, { lastUpdatedDate: this.#world.tick() });
  }

  createDeployment({
    restApiId,
    stageName,
    description,
  }: OfApi & { stageName?: string; description?: string }): Deployment & { id: string } {
    const { stages, deployments, ...content } = this.#api(restApiId);
    const id = this.#id();
    const apiSummary = Object.fromEntries(
      content.resources.flatMap(({ path = '', resourceMethods = {} }) => {
        const methods = Object.entries(resourceMethods).map(([verb, { authorizationType = 'NONE', apiKeyRequired = false }]) => [
          verb,
          { authorizationType, apiKeyRequired },
        ]);
        return methods.length === 0 ? [] : [[path, Object.fromEntries(methods)]];
      }),
    );
    const deployment = { id, createdDate: this.#world.tick(), ...(description === undefined ? {} : { description }), apiSummary };
    deployments.set(id, { ...deployment, content: copy(content) });
    if (stageName !== undefined) {
      const stage = stages.get(stageName) ?? this.createStage({ restApiId, stageName });
      Object.assign(stage, { deploymentId: id, lastUpdatedDate: this.#world.tick() });
    }
    return deployment;
  }

  getDeployments({ restApiId, position, limit }: OfApi & Listed): object {
    const deployments = [...this.#api(restApiId).deployments.values()].map(({ content: _, apiSummary: _summary, ...rest }) => rest);
    return listed(deployments, position, limit);
  }

  getDeployment({ restApiId, deploymentId = '', embed = [] }: OfApi & { deploymentId?: string; embed?: string[] }): Deployment {
    const known = found(this.#api(restApiId).deployments.get(deploymentId), 'Invalid Deployment identifier specified');
    const { content: _, apiSummary, ...deployment } = known;
    return embed.includes('apisummary') ? { ...deployment, ...(apiSummary === undefined ? {} : { apiSummary }) } : deployment;
  }

  getExport({ restApiId, stageName = '' }: OfApi & { stageName?: string }): object {
    const { deploymentId = '' } = this.getStage({ restApiId, stageName });
    const { content, createdDate } = found(this.#api(restApiId).deployments.get(deploymentId), 'Invalid Deployment identifier specified');
    const definition = { ...definitionOf(content), info: { title: content.api.name, version: createdDate?.toISOString() } };
    return { contentType: 'application/json', body: new TextEncoder().encode(JSON.stringify(definition)) };
  }

  /** What a stage serves, not the id of its deployment; deployments that no stage serves any more are AWS's affair. */
  snapshot(): unknown {
    const apis = [...this.#apis].map(([id, { stages, deployments, ...content }]) => {
      const plain = [...stages.values()].map(({ createdDate: _, lastUpdatedDate: _updated, deploymentId = '', ...stage }) => ({
        ...stage,
        serves: deployments.get(deploymentId)?.content,
      }));
      return [id, { ...content, stages: plain }];
    });
    return Object.fromEntries(apis);
  }

  #api(id = ''): Rest {
    return found(this.#apis.get(id), 'Invalid API identifier specified');
  }

  #id(): string {
    return this.#world.uuid().replaceAll('-', '').slice(0, 6);
  }
}

const functionUri =
  'arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:111122223333:function:orders/invocations';

/** As GetExport writes it (oas30, extensions of API Gateway), where exports differ from what the other calls tell. */
function definitionOf({ api, resources, authorizers, validators, models, responses }: Content): object {
  const used = new Set<string>();
  const ref = (name: string) => {
    used.add(name);
    return { schema: { $ref: `#/components/schemas/${name}` } };
  };
  const schemes: Record<string, object> = {};
  const operation = (method: Method) => {
    const authorizer = authorizers.find(({ id }) => id === method.authorizerId);
    const { name = '', id: _, type = 'TOKEN', identitySource = '', ...details } = authorizer ?? {};
    const security: Record<string, string[]>[] = [];
    if (method.authorizationType === 'AWS_IAM') {
      schemes['sigv4'] = { type: 'apiKey', name: 'Authorization', in: 'header', 'x-amazon-apigateway-authtype': 'awsSigv4' };
      security.push({ sigv4: [] });
    } else if (authorizer !== undefined) {
      schemes[name] = {
        type: 'apiKey',
        name: identitySource.split('.').at(-1),
        in: 'header',
        'x-amazon-apigateway-authtype': type === 'COGNITO_USER_POOLS' ? 'cognito_user_pools' : 'custom',
        'x-amazon-apigateway-authorizer': { ...details, type: type.toLowerCase() },
      };
      security.push({ [name]: method.authorizationScopes ?? [] });
    }
    if (method.apiKeyRequired === true) {
      schemes['api_key'] = { type: 'apiKey', name: 'x-api-key', in: 'header' };
      security.push({ api_key: [] });
    }
    const parameters = Object.entries(method.requestParameters ?? {}).map(([key, required]) => {
      const [, , place = '', name = ''] = key.split('.');
      return { name, in: place === 'querystring' ? 'query' : place, required, schema: { type: 'string' } };
    });
    const bodies = Object.entries(method.requestModels ?? {}).map(([type, model]) => [type, ref(model)]);
    const answers = Object.entries(method.methodResponses ?? {}).map(([status, { responseModels = {}, responseParameters = {} }]) => {
      const headers = Object.keys(responseParameters).map((key) => [key.split('.').at(-1), { schema: { type: 'string' } }]);
      const content = Object.fromEntries(Object.entries(responseModels).map(([type, model]) => [type, ref(model)]));
      return [
        status,
        { description: `${status} response`, ...(headers.length === 0 ? {} : { headers: Object.fromEntries(headers) }), content },
      ];
    });
    const validator = validators.find(({ id }) => id === method.requestValidatorId)?.name;
    return {
      ...(method.operationName === undefined ? {} : { operationId: method.operationName }),
      ...(parameters.length === 0 ? {} : { parameters }),
      ...(bodies.length === 0 ? {} : { requestBody: { content: Object.fromEntries(bodies), required: true } }),
      responses: Object.fromEntries(answers),
      ...(security.length === 0 ? {} : { security }),
      ...(validator === undefined ? {} : { 'x-amazon-apigateway-request-validator': validator }),
      'x-amazon-apigateway-integration': integrationOf(method),
    };
  };
  const paths = resources.flatMap(({ path = '', resourceMethods = {} }) => {
    const item = Object.entries(resourceMethods).map(([verb, method]) => [
      verb === 'ANY' ? 'x-amazon-apigateway-any-method' : verb.toLowerCase(),
      operation(method),
    ]);
    return item.length === 0 ? [] : [[path, Object.fromEntries(item)]];
  });
  const schemas = models.flatMap(({ name = '', schema = '{}' }) => {
    const { $schema: _, ...rest } = JSON.parse(schema.replace(/https:\/\/[^"]*\/models\//g, '#/components/schemas/'));
    return used.has(name) || JSON.stringify(models).includes(`/models/${name}`) ? [[name, rest]] : [];
  });
  const known = validators.map(({ name = '', validateRequestBody, validateRequestParameters }) => [
    name,
    { validateRequestBody: validateRequestBody ?? false, validateRequestParameters: validateRequestParameters ?? false },
  ]);
  const custom = responses.map(({ responseType = '', statusCode, responseParameters, responseTemplates }) => [
    responseType,
    { ...(statusCode === undefined ? {} : { statusCode: Number(statusCode) }), responseParameters, responseTemplates },
  ]);
  return {
    openapi: '3.0.1',
    servers: [
      {
        url: `https://${api.id}.execute-api.us-east-1.amazonaws.com/{basePath}`,
        ...(api.disableExecuteApiEndpoint === true
          ? { 'x-amazon-apigateway-endpoint-configuration': { disableExecuteApiEndpoint: true } }
          : {}),
      },
    ],
    paths: Object.fromEntries(paths),
    components: { schemas: Object.fromEntries(schemas), securitySchemes: schemes },
    ...(known.length === 0 ? {} : { 'x-amazon-apigateway-request-validators': Object.fromEntries(known) }),
    ...(custom.length === 0 ? {} : { 'x-amazon-apigateway-gateway-responses': Object.fromEntries(custom) }),
    ...(api.policy === undefined ? {} : { 'x-amazon-apigateway-policy': JSON.parse(JSON.parse(`"${api.policy}"`)) }),
    ...(api.securityPolicy === undefined ? {} : { 'x-amazon-apigateway-security-policy': api.securityPolicy }),
    ...(api.endpointAccessMode === undefined ? {} : { 'x-amazon-apigateway-endpoint-access-mode': api.endpointAccessMode }),
    ...(api.binaryMediaTypes === undefined ? {} : { 'x-amazon-apigateway-binary-media-types': api.binaryMediaTypes }),
  };
}

/** Without defaults, and in small letters. */
function integrationOf({ methodIntegration = {} }: Method): object {
  const {
    type = '',
    passthroughBehavior = '',
    timeoutInMillis,
    cacheNamespace,
    cacheKeyParameters = [],
    integrationResponses,
    ...rest
  } = methodIntegration;
  const responses = Object.values(integrationResponses ?? {}).map(({ selectionPattern, ...response }) => [
    selectionPattern ?? 'default',
    response,
  ]);
  return {
    ...rest,
    type: type.toLowerCase(),
    ...(passthroughBehavior === '' ? {} : { passthroughBehavior: passthroughBehavior.toLowerCase() }),
    ...(timeoutInMillis === 29000 ? {} : { timeoutInMillis }),
    ...(cacheKeyParameters.length === 0 ? {} : { cacheNamespace, cacheKeyParameters }),
    ...(responses.length === 0 ? {} : { responses: Object.fromEntries(responses) }),
  };
}

function listed<T>(items: readonly T[], position: string | undefined, limit = 25): object {
  const { items: shown, next } = page(items, position, limit);
  return { items: shown, position: next };
}

function found<T>(value: T | undefined, message: string): T {
  if (value === undefined) throw awsError('NotFoundException', message, 404);
  return value;
}

function badRequest(message: string): Error {
  return awsError('BadRequestException', message);
}
