import type {
  Api,
  Authorizer,
  CreateApiCommandInput,
  CreateRouteCommandInput,
  Deployment,
  Integration,
  Route,
  Stage,
} from '@aws-sdk/client-apigatewayv2';
import { awsError, copy, page, type Service, type Surroundings } from './service.ts';

/** What a deployment holds of an API. */
interface Content {
  readonly routes: Route[];
  readonly integrations: Integration[];
  readonly authorizers: Authorizer[];
}

interface HttpApi extends Content {
  readonly api: Api & { ApiId: string };
  readonly stages: Map<string, Stage>;
  readonly deployments: Map<string, Deployment & { readonly content: Content }>;
}

interface OfApi {
  readonly ApiId?: string | undefined;
}

interface Listed {
  readonly NextToken?: string | undefined;
  readonly MaxResults?: string | undefined;
}

interface Domain {
  readonly DomainName: string;
  readonly DomainNameConfigurations: readonly { readonly EndpointType: string }[];
  readonly MutualTlsAuthentication?: { readonly TruststoreUri: string };
  readonly RoutingMode: string;
}

/** HTTP and WebSocket APIs, as far as the guard and its tests use them. https://docs.aws.amazon.com/apigatewayv2/latest/api-reference/ */
export class ApiGatewayV2Service implements Service {
  readonly #world: Surroundings;
  readonly #apis = new Map<string, HttpApi>();
  readonly #domains = new Map<string, { readonly domain: Domain; readonly mappings: { ApiId: string; Stage: string }[] }>();

  constructor(world: Surroundings) {
    this.#world = world;
  }

  /** `ApiId` may be given, so that a table can name it. With `Target`: a route, an integration and a stage (quick create). */
  createApi(input: Partial<CreateApiCommandInput> & { ApiId?: string; DisableExecuteApiEndpoint?: boolean }): Api & { ApiId: string } {
    const { Target, RouteKey = '$default', Name = 'shop', ProtocolType = 'HTTP', ApiId = this.#id(), ...settings } = input;
    const ApiEndpoint = `${ProtocolType === 'HTTP' ? 'https' : 'wss'}://${ApiId}.execute-api.${this.#world.region}.amazonaws.com`;
    const api = {
      ApiId,
      Name,
      ProtocolType,
      ApiEndpoint,
      RouteSelectionExpression: '$request.method $request.path',
      ...settings,
    } as Api & { ApiId: string };
    this.#apis.set(ApiId, { api, routes: [], integrations: [], authorizers: [], stages: new Map(), deployments: new Map() });
    if (Target !== undefined) {
      const { IntegrationId } = this.createIntegration({ ApiId, IntegrationUri: Target });
      this.createStage({ ApiId, StageName: '$default', AutoDeploy: true });
      this.createRoute({ ApiId, RouteKey, Target: `integrations/${IntegrationId}` });
    }
    return api;
  }

  getApis({ NextToken, MaxResults }: Listed): object {
    return listed(
      [...this.#apis.values()].map(({ api }) => api),
      NextToken,
      MaxResults,
    );
  }

  getApi({ ApiId }: OfApi): object {
    return this.#api(ApiId).api;
  }

  updateApi({ ApiId, ...changes }: OfApi & Partial<Api>): object {
    this.#written(ApiId);
    return Object.assign(this.#api(ApiId).api, changes);
  }

  deleteApi({ ApiId }: OfApi): object {
    this.#api(ApiId);
    this.#apis.delete(ApiId ?? '');
    return {};
  }

  createRoute({ ApiId, ...input }: Partial<CreateRouteCommandInput> & { RouteId?: string }): Route & { RouteId: string } {
    const { routes } = this.#api(ApiId);
    const { RouteKey = '$default', RouteId = this.#id(), AuthorizationType = 'NONE', ...settings } = input;
    if (routes.some((route) => route.RouteKey === RouteKey)) throw conflict(`Route with key ${RouteKey} already exists for this API`);
    const route = { RouteId, RouteKey, AuthorizationType, ApiKeyRequired: false, ...settings };
    routes.push(route);
    this.#written(ApiId);
    return route;
  }

  getRoutes({ ApiId, NextToken, MaxResults }: OfApi & Listed): object {
    return listed(this.#api(ApiId).routes, NextToken, MaxResults);
  }

  getRoute({ ApiId, RouteId }: OfApi & { RouteId?: string }): Route {
    return found(
      this.#api(ApiId).routes.find((route) => route.RouteId === RouteId),
      `Unable to find Route by key ${RouteId} within the provided RouteId`,
    );
  }

  updateRoute({ ApiId, RouteId, ...changes }: OfApi & Partial<Route>): object {
    const route = Object.assign(this.getRoute({ ApiId, ...(RouteId === undefined ? {} : { RouteId }) }), changes);
    this.#written(ApiId);
    return route;
  }

  deleteRoute({ ApiId, RouteId }: OfApi & { RouteId: string }): object {
    const { routes } = this.#api(ApiId);
    routes.splice(routes.indexOf(this.getRoute({ ApiId, RouteId })), 1);
    this.#written(ApiId);
    return {};
  }

  createIntegration({ ApiId, ...input }: OfApi & Partial<Integration>): Integration & { IntegrationId: string } {
    const integration = { IntegrationId: this.#id(), IntegrationType: 'AWS_PROXY' as const, PayloadFormatVersion: '2.0', ...input };
    this.#api(ApiId).integrations.push(integration);
    this.#written(ApiId);
    return integration;
  }

  updateIntegration({ ApiId, IntegrationId, ...changes }: OfApi & Partial<Integration>): object {
    const { integrations } = this.#api(ApiId);
    const integration = found(
      integrations.find((one) => one.IntegrationId === IntegrationId),
      'Invalid Integration identifier specified',
    );
    this.#written(ApiId);
    return Object.assign(integration, changes);
  }

  getIntegrations({ ApiId, NextToken, MaxResults }: OfApi & Listed): object {
    return listed(this.#api(ApiId).integrations, NextToken, MaxResults);
  }

  createAuthorizer({ ApiId, ...input }: OfApi & Partial<Authorizer>): Authorizer & { AuthorizerId: string } {
    const authorizer = { AuthorizerId: this.#id(), Name: 'users', AuthorizerType: 'JWT' as const, ...input };
    this.#api(ApiId).authorizers.push(authorizer);
    return authorizer;
  }

  getAuthorizers({ ApiId, NextToken, MaxResults }: OfApi & Listed): object {
    return listed(this.#api(ApiId).authorizers, NextToken, MaxResults);
  }

  /** Without a `DeploymentId` it serves nothing, unless it deploys itself. */
  createStage({ ApiId, ...input }: OfApi & Partial<Stage> & { StageName: string }): Stage {
    const stage: Stage = { AutoDeploy: false, ...input, CreatedDate: this.#world.tick(), LastUpdatedDate: this.#world.tick() };
    this.#api(ApiId).stages.set(input.StageName, stage);
    if (stage.AutoDeploy === true) this.#written(ApiId);
    return stage;
  }

  getStages({ ApiId, NextToken, MaxResults }: OfApi & Listed): object {
    return listed([...this.#api(ApiId).stages.values()], NextToken, MaxResults);
  }

  getStage({ ApiId, StageName = '' }: OfApi & { StageName?: string }): Stage {
    return found(this.#api(ApiId).stages.get(StageName), `Unable to find Stage by name ${StageName}`);
  }

  updateStage({ ApiId, StageName = '', ...changes }: OfApi & Partial<Stage>): Stage {
    const stage = this.getStage({ ApiId, StageName });
    const { DeploymentId } = changes;
    if (DeploymentId !== undefined) {
      if (stage.AutoDeploy === true) throw badRequest('Deployment ID cannot be set on a stage with auto deploy enabled');
      if (!this.#api(ApiId).deployments.has(DeploymentId)) throw badRequest('Deployment id does not exist');
    }
    return Object.assign(stage, changes, { LastUpdatedDate: this.#world.tick() });
  }

  deleteStage({ ApiId, StageName }: OfApi & { StageName: string }): object {
    this.getStage({ ApiId, StageName });
    this.#api(ApiId).stages.delete(StageName);
    return {};
  }

  createDeployment({ ApiId, StageName, Description }: OfApi & { StageName?: string; Description?: string }): Deployment {
    const stage = StageName === undefined ? undefined : this.getStage({ ApiId, StageName });
    const deployment = this.#deployment(ApiId, Description === undefined ? {} : { Description });
    if (stage !== undefined) Object.assign(stage, { DeploymentId: deployment.DeploymentId, LastUpdatedDate: this.#world.tick() });
    return deployment;
  }

  getDeployments({ ApiId, NextToken, MaxResults }: OfApi & Listed): object {
    const deployments = [...this.#api(ApiId).deployments.values()].map(({ content: _, ...deployment }) => deployment);
    return listed(deployments, NextToken, MaxResults);
  }

  exportApi({ ApiId, StageName }: OfApi & { StageName?: string }): object {
    const { api, deployments, ...live } = this.#api(ApiId);
    if (api.ProtocolType !== 'HTTP') throw badRequest('Only HTTP APIs can be exported');
    const { DeploymentId = '' } = StageName === undefined ? {} : this.getStage({ ApiId, StageName });
    const content = StageName === undefined ? live : found(deployments.get(DeploymentId), 'The stage has no deployment').content;
    return { body: new TextEncoder().encode(JSON.stringify(definitionOf(api, content, StageName))) };
  }

  createDomainName(input: { DomainName: string; EndpointType?: string; TruststoreUri?: string; RoutingMode?: string }): object {
    const { DomainName, EndpointType = 'REGIONAL', TruststoreUri, RoutingMode = 'API_MAPPING_ONLY' } = input;
    const mutual = TruststoreUri === undefined ? {} : { MutualTlsAuthentication: { TruststoreUri } };
    const domain = { DomainName, DomainNameConfigurations: [{ EndpointType }], ...mutual, RoutingMode };
    this.#domains.set(DomainName, { domain, mappings: [] });
    return domain;
  }

  getDomainNames({ NextToken, MaxResults }: Listed): object {
    return listed(
      [...this.#domains.values()].map(({ domain }) => domain),
      NextToken,
      MaxResults,
    );
  }

  createApiMapping({ DomainName, ApiId, Stage }: { DomainName: string; ApiId: string; Stage: string }): object {
    this.#domains.get(DomainName)?.mappings.push({ ApiId, Stage });
    return { ApiId, Stage };
  }

  getApiMappings({ DomainName, NextToken, MaxResults }: Listed & { DomainName: string }): object {
    return listed(found(this.#domains.get(DomainName), 'Invalid domain name identifier specified').mappings, NextToken, MaxResults);
  }

  /** What a stage serves, not the id of its deployment; deployments that no stage serves any more are AWS's affair. */
  snapshot(): unknown {
    const apis = [...this.#apis].map(([id, { api, routes, integrations, authorizers, stages, deployments }]) => {
      const plain = [...stages.values()].map(({ LastUpdatedDate: _, CreatedDate: _created, DeploymentId = '', ...stage }) =>
        stage.AutoDeploy === true ? stage : { ...stage, serves: deployments.get(DeploymentId)?.content },
      );
      return [id, { api, routes, integrations, authorizers, stages: plain }];
    });
    return { apis: Object.fromEntries(apis), domains: Object.fromEntries(this.#domains) };
  }

  #api(ApiId = ''): HttpApi {
    return found(this.#apis.get(ApiId), `Invalid API identifier specified ${this.#world.account}:${ApiId}`);
  }

  /** Ids have seven to ten letters and digits. */
  #id(): string {
    return this.#world.uuid().replaceAll('-', '').slice(0, 7);
  }

  #deployment(ApiId: string | undefined, settings: Partial<Deployment>): Deployment {
    const { routes, integrations, authorizers, deployments } = this.#api(ApiId);
    const DeploymentId = this.#id();
    const deployment = { DeploymentId, CreatedDate: this.#world.tick(), DeploymentStatus: 'DEPLOYED' as const, ...settings };
    deployments.set(DeploymentId, { ...deployment, content: copy({ routes, integrations, authorizers }) });
    return deployment;
  }

  /** Stages that deploy themselves do so at every write. */
  #written(ApiId: string | undefined): void {
    for (const stage of this.#api(ApiId).stages.values()) {
      if (stage.AutoDeploy !== true) continue;
      const Description = 'Automatic deployment triggered by changes to the Api configuration';
      const { DeploymentId } = this.#deployment(ApiId, { AutoDeployed: true, Description });
      Object.assign(stage, { DeploymentId, LastUpdatedDate: this.#world.tick() });
    }
  }
}

/** As ExportApi writes it. https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-export.html */
function definitionOf(api: Api, { routes, integrations, authorizers }: Content, StageName: string | undefined): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const { RouteKey = '', Target, AuthorizationType, AuthorizerId } of routes) {
    const [verb = '', path = ''] = RouteKey === '$default' ? ['ANY', '/$default'] : RouteKey.split(' ');
    const { Name = '' } = authorizers.find((one) => one.AuthorizerId === AuthorizerId) ?? {};
    const scheme = AuthorizationType === 'AWS_IAM' ? 'sigv4' : Name;
    const { IntegrationId: _, ...integration } = integrations.find(({ IntegrationId }) => Target === `integrations/${IntegrationId}`) ?? {};
    paths[path] = {
      ...paths[path],
      [verb === 'ANY' ? 'x-amazon-apigateway-any-method' : verb.toLowerCase()]: {
        responses: { default: { description: `Default response for ${RouteKey}` } },
        ...(RouteKey === '$default' ? { isDefaultRoute: true } : {}),
        ...(AuthorizationType === 'NONE' ? {} : { security: [{ [scheme]: [] }] }),
        'x-amazon-apigateway-integration': integration,
      },
    };
  }
  const iam = routes.some(({ AuthorizationType }) => AuthorizationType === 'AWS_IAM');
  const sigv4 = { type: 'apiKey', name: 'Authorization', in: 'header', 'x-amazon-apigateway-authtype': 'awsSigv4' };
  const securitySchemes = { ...Object.fromEntries(authorizers.map((one) => [one.Name, one])), ...(iam ? { sigv4 } : {}) };
  return {
    openapi: '3.0.1',
    info: { title: api.Name, version: StageName === undefined ? '2026-11-22 12:00:00UTC' : '2026-11-21 09:00:00UTC' },
    servers: [{ url: `${api.ApiEndpoint}/{basePath}`, variables: { basePath: { default: StageName ?? '' } } }],
    ...(api.Tags === undefined ? {} : { tags: Object.keys(api.Tags).map((name) => ({ name })) }),
    paths,
    ...(Object.keys(securitySchemes).length === 0 ? {} : { components: { securitySchemes } }),
    'x-amazon-apigateway-importexport-version': '1.0',
  };
}

function listed<T>(items: readonly T[], NextToken: string | undefined, MaxResults = '100'): object {
  const { items: Items, next } = page(items, NextToken, Number(MaxResults));
  return { Items, NextToken: next };
}

function found<T>(value: T | undefined, message: string): T {
  if (value === undefined) throw awsError('NotFoundException', message, 404);
  return value;
}

function badRequest(message: string): Error {
  return awsError('BadRequestException', message);
}

function conflict(message: string): Error {
  return awsError('ConflictException', message, 409);
}
