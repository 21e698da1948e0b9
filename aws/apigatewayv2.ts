import {
  type Api,
  ApiGatewayV2Client,
  type ApiMapping,
  type Authorizer,
  CreateDeploymentCommand,
  type CreateDeploymentCommandInput,
  type Deployment,
  type DomainName,
  ExportApiCommand,
  GetApiCommand,
  GetApiMappingsCommand,
  GetApisCommand,
  GetAuthorizersCommand,
  GetDeploymentsCommand,
  GetDomainNamesCommand,
  GetIntegrationsCommand,
  GetRouteCommand,
  GetRoutesCommand,
  GetStageCommand,
  GetStagesCommand,
  type Integration,
  type Route,
  type Stage,
  UpdateRouteCommand,
  UpdateStageCommand,
  type UpdateStageCommandInput,
} from '@aws-sdk/client-apigatewayv2';
import type { Call, Connection } from '../guard/call.ts';
import { errorName, ifPresent } from '../guard/errors.ts';
import { callsOf } from './call.ts';
import { clientPerRegion, oneEndpoint } from './clients.ts';
import { allPages } from './pages.ts';

export type { Stage } from '@aws-sdk/client-apigatewayv2';

// HTTP and WebSocket APIs, and the domain names of all APIs. IAM knows the verbs of HTTP alone, on ARNs without an account:
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonapigatewaymanagementv2.html
const at = (path: string) => `arn:\${AWS::Partition}:apigateway:*::${path}`;
const get = { action: 'apigateway:GET', resource: at('/apis/*') };

const client = clientPerRegion((settings) => new ApiGatewayV2Client({ ...settings, ...oneEndpoint }));
const call = callsOf('apigateway', (connection, command) => client(connection).send(command));

/** The most that these lists take: texts, not numbers. */
const MaxResults = '500';

/** As GetApi and GetRoute answer, and their lists. */
export type HttpApi = Partial<Api>;
export type HttpRoute = Partial<Route>;

interface OfApi {
  readonly ApiId: string;
}

interface Page<Item> {
  readonly Items?: Item[] | undefined;
  readonly NextToken?: string | undefined;
}

/** A list of something that an API has, all pages. */
function listOf<Name extends string, Item>(
  name: Name,
  operation: string,
  read: (connection: Connection, input: OfApi & { readonly NextToken: string | undefined }) => Promise<Page<Item>>,
): Call<Name, OfApi, readonly Item[]> {
  return {
    name,
    service: 'apigateway',
    operation,
    permissions: [get],
    alreadyDone: [],
    run: (connection, input) =>
      allPages(async (NextToken) => {
        const page = await read(connection, { ...input, NextToken });
        return { items: page.Items, next: page.NextToken };
      }),
  };
}

/** Every HTTP and WebSocket API of the region, all pages. */
export const getApis: Call<'getApis', object, readonly Api[]> = {
  name: 'getApis',
  service: 'apigateway',
  permissions: [{ action: 'apigateway:GET', resource: at('/apis') }],
  alreadyDone: [],
  run: (connection) =>
    allPages(async (NextToken) => {
      const page = await client(connection).send(new GetApisCommand({ NextToken, MaxResults }));
      return { items: page.Items, next: page.NextToken };
    }),
};

export const getApi = call('GetApi', GetApiCommand, get);
export const getRoute = call('GetRoute', GetRouteCommand, get);
export const getRoutes = listOf<'getRoutes', HttpRoute>('getRoutes', 'GetRoutes', (connection, input) =>
  client(connection).send(new GetRoutesCommand({ ...input, MaxResults })),
);
export const getIntegrations = listOf<'getIntegrations', Integration>('getIntegrations', 'GetIntegrations', (connection, input) =>
  client(connection).send(new GetIntegrationsCommand({ ...input, MaxResults })),
);
// REST APIs have lists of the same names.
export const getHttpStages = listOf<'getHttpStages', Stage>('getHttpStages', 'GetStages', (connection, input) =>
  client(connection).send(new GetStagesCommand({ ...input, MaxResults })),
);
export const getHttpAuthorizers = listOf<'getHttpAuthorizers', Authorizer>('getHttpAuthorizers', 'GetAuthorizers', (connection, input) =>
  client(connection).send(new GetAuthorizersCommand({ ...input, MaxResults })),
);
export const getHttpDeployments = listOf<'getHttpDeployments', Deployment>('getHttpDeployments', 'GetDeployments', (connection, input) =>
  client(connection).send(new GetDeploymentsCommand({ ...input, MaxResults })),
);

/**
 * The OpenAPI definition of an HTTP API: what a stage serves, or without a stage, what the API is now. WebSocket APIs have none.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-export.html
 */
export const exportApi: Call<'exportApi', OfApi & { readonly StageName?: string }, unknown> = {
  name: 'exportApi',
  service: 'apigateway',
  permissions: [get],
  alreadyDone: [],
  run: async (connection, input) => {
    const { body } = await client(connection).send(new ExportApiCommand({ ...input, Specification: 'OAS30', OutputType: 'JSON' }));
    return JSON.parse(new TextDecoder().decode(body));
  },
};

/** Every custom domain name of the region, those of REST APIs too, all pages. */
export const getDomainNames: Call<'getDomainNames', object, readonly DomainName[]> = {
  name: 'getDomainNames',
  service: 'apigateway',
  permissions: [{ action: 'apigateway:GET', resource: at('/domainnames') }],
  alreadyDone: [],
  run: (connection) =>
    allPages(async (NextToken) => {
      const page = await client(connection).send(new GetDomainNamesCommand({ NextToken, MaxResults }));
      return { items: page.Items, next: page.NextToken };
    }),
};

/** The APIs that a custom domain name leads to, all pages. */
export const getApiMappings: Call<'getApiMappings', { readonly DomainName: string }, readonly ApiMapping[]> = {
  name: 'getApiMappings',
  service: 'apigateway',
  permissions: [{ action: 'apigateway:GET', resource: at('/domainnames/*/apimappings') }],
  alreadyDone: [],
  run: (connection, input) =>
    allPages(async (NextToken) => {
      const page = await client(connection).send(new GetApiMappingsCommand({ ...input, NextToken, MaxResults }));
      return { items: page.Items, next: page.NextToken };
    }),
};

// What is gone asks for nothing more: neither a fix nor an undo.
const gone = ['NotFoundException'];

export const updateRoute = call('UpdateRoute', UpdateRouteCommand, {
  action: 'apigateway:PATCH',
  resource: at('/apis/*/routes/*'),
  alreadyDone: gone,
});

/** Sets a route's authorization to AWS_IAM: IAM lets it set no other. */
export const closeRoute = {
  ...updateRoute,
  name: 'closeRoute' as const,
  permissions: updateRoute.permissions.map((permission) => ({
    ...permission,
    condition: { 'ForAnyValue:StringEquals': { 'apigateway:Request/RouteAuthorizationType': 'AWS_IAM' } },
  })),
};

const deployment = call('CreateDeployment', CreateDeploymentCommand, {
  action: 'apigateway:POST',
  resource: at('/apis/*/deployments'),
  alreadyDone: gone,
});

/** Deploys an HTTP API to a stage, once: a deployment of the same description is this one, made before a kill. */
export const deployHttpApi = {
  ...deployment,
  name: 'deployHttpApi' as const,
  permissions: [...deployment.permissions, get],
  run: async (connection: Connection, input: CreateDeploymentCommandInput & OfApi): Promise<void> => {
    const made = (await ifPresent(getHttpDeployments.run(connection, { ApiId: input.ApiId }))) ?? [];
    if (!made.some(({ Description }) => Description === input.Description)) await deployment.run(connection, input);
  },
};

const stageUpdate = call('UpdateStage', UpdateStageCommand, { action: 'apigateway:PATCH', resource: at('/apis/*/stages/*') });

/** Puts a stage back to a deployment. A stage that is gone is left so; a deployment that is gone is an error. */
export const updateHttpStage = {
  ...stageUpdate,
  name: 'updateHttpStage' as const,
  permissions: [...stageUpdate.permissions, get],
  run: async (connection: Connection, input: UpdateStageCommandInput): Promise<void> => {
    try {
      await stageUpdate.run(connection, input);
    } catch (error) {
      if (errorName(error) !== 'NotFoundException') throw error;
      const stage = client(connection).send(new GetStageCommand({ ApiId: input.ApiId, StageName: input.StageName }));
      if ((await ifPresent(stage)) !== undefined) throw error;
    }
  },
};
