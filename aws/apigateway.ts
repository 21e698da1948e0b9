import {
  APIGatewayClient,
  type Authorizer,
  CreateDeploymentCommand,
  type CreateDeploymentCommandInput,
  type Deployment,
  type GatewayResponse,
  GetAuthorizersCommand,
  GetDeploymentCommand,
  GetDeploymentsCommand,
  GetExportCommand,
  GetGatewayResponsesCommand,
  GetModelsCommand,
  GetRequestValidatorsCommand,
  GetResourcesCommand,
  GetRestApiCommand,
  GetRestApisCommand,
  GetStageCommand,
  GetStagesCommand,
  type Model,
  type RequestValidator,
  type Resource,
  type RestApi,
  type Stage,
  UpdateMethodCommand,
  UpdateStageCommand,
  type UpdateStageCommandInput,
} from '@aws-sdk/client-api-gateway';
import type { Call, Connection } from '../guard/call.ts';
import { errorName, ifPresent } from '../guard/errors.ts';
import { callsOf } from './call.ts';
import { clientPerRegion, oneEndpoint } from './clients.ts';
import { allPages } from './pages.ts';

export type { Deployment, Method, Resource, RestApi, Stage } from '@aws-sdk/client-api-gateway';

// REST APIs. IAM knows the verbs of HTTP alone, on ARNs without an account:
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonapigatewaymanagement.html
const at = (path: string) => `arn:\${AWS::Partition}:apigateway:*::${path}`;
const get = { action: 'apigateway:GET', resource: at('/restapis/*') };

const client = clientPerRegion((settings) => new APIGatewayClient({ ...settings, ...oneEndpoint }));
const call = callsOf('apigateway', (connection, command) => client(connection).send(command));

/** The most that a page holds. */
const limit = 500;

interface OfApi {
  readonly restApiId: string;
}

interface Page<Item> {
  readonly items?: Item[] | undefined;
  readonly position?: string | undefined;
}

/** A list of something that an API has, all pages. HTTP APIs have lists of the same names. */
function listOf<Name extends string, Item>(
  name: Name,
  operation: string,
  read: (connection: Connection, input: OfApi & { readonly position: string | undefined; readonly limit: number }) => Promise<Page<Item>>,
): Call<Name, OfApi, readonly Item[]> {
  return {
    name,
    service: 'apigateway',
    operation,
    permissions: [get],
    alreadyDone: [],
    run: (connection, input) =>
      allPages(async (position) => {
        const page = await read(connection, { ...input, position, limit });
        return { items: page.items, next: page.position };
      }),
  };
}

/** Every REST API of the region, all pages. */
export const getRestApis: Call<'getRestApis', object, readonly RestApi[]> = {
  name: 'getRestApis',
  service: 'apigateway',
  permissions: [{ action: 'apigateway:GET', resource: at('/restapis') }],
  alreadyDone: [],
  run: (connection) =>
    allPages(async (position) => {
      const page = await client(connection).send(new GetRestApisCommand({ position, limit }));
      return { items: page.items, next: page.position };
    }),
};

export const getRestApi = call('GetRestApi', GetRestApiCommand, get);
/** With their methods, and the integrations of those. */
export const getRestResources = listOf<'getRestResources', Resource>('getRestResources', 'GetResources', (connection, input) =>
  client(connection).send(new GetResourcesCommand({ ...input, embed: ['methods'] })),
);
export const getRestDeployments = listOf<'getRestDeployments', Deployment>('getRestDeployments', 'GetDeployments', (connection, input) =>
  client(connection).send(new GetDeploymentsCommand(input)),
);
export const getRestAuthorizers = listOf<'getRestAuthorizers', Authorizer>('getRestAuthorizers', 'GetAuthorizers', (connection, input) =>
  client(connection).send(new GetAuthorizersCommand(input)),
);
export const getRestModels = listOf<'getRestModels', Model>('getRestModels', 'GetModels', (connection, input) =>
  client(connection).send(new GetModelsCommand(input)),
);
export const getRestValidators = listOf<'getRestValidators', RequestValidator>(
  'getRestValidators',
  'GetRequestValidators',
  (connection, input) => client(connection).send(new GetRequestValidatorsCommand(input)),
);
export const getGatewayResponses = listOf<'getGatewayResponses', GatewayResponse>(
  'getGatewayResponses',
  'GetGatewayResponses',
  (connection, input) => client(connection).send(new GetGatewayResponsesCommand(input)),
);

/** All stages of an API; AWS has no pages of them. */
export const getRestStages: Call<'getRestStages', OfApi, readonly Stage[]> = {
  name: 'getRestStages',
  service: 'apigateway',
  operation: 'GetStages',
  permissions: [get],
  alreadyDone: [],
  run: async (connection, input) => (await client(connection).send(new GetStagesCommand(input))).item ?? [],
};

/** A deployment with its summary: path → verb → authorization type and whether an API key is asked for. */
export const getRestDeployment: Call<'getRestDeployment', OfApi & { readonly deploymentId: string }, Deployment> = {
  name: 'getRestDeployment',
  service: 'apigateway',
  operation: 'GetDeployment',
  permissions: [get],
  alreadyDone: [],
  run: (connection, input) => client(connection).send(new GetDeploymentCommand({ ...input, embed: ['apisummary'] })),
};

/**
 * The OpenAPI definition of what a stage serves, with every extension of API Gateway.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-export-api.html
 */
export const getRestExport: Call<'getRestExport', OfApi & { readonly stageName: string }, unknown> = {
  name: 'getRestExport',
  service: 'apigateway',
  operation: 'GetExport',
  permissions: [get],
  alreadyDone: [],
  run: async (connection, input) => {
    const wanted = { exportType: 'oas30', accepts: 'application/json', parameters: { extensions: 'apigateway' } };
    const { body } = await client(connection).send(new GetExportCommand({ ...input, ...wanted }));
    return JSON.parse(new TextDecoder().decode(body));
  },
};

// What is gone asks for nothing more: neither a fix nor an undo.
const gone = ['NotFoundException'];

export const updateMethod = call('UpdateMethod', UpdateMethodCommand, {
  action: 'apigateway:PATCH',
  resource: at('/restapis/*/resources/*/methods/*'),
  alreadyDone: gone,
});

const deployment = call('CreateDeployment', CreateDeploymentCommand, {
  action: 'apigateway:POST',
  resource: at('/restapis/*/deployments'),
  alreadyDone: gone,
});

/** Deploys a REST API to a stage, once: a deployment of the same description is this one, made before a kill. */
export const deployRestApi = {
  ...deployment,
  name: 'deployRestApi' as const,
  permissions: [...deployment.permissions, get],
  run: async (connection: Connection, input: CreateDeploymentCommandInput & OfApi): Promise<void> => {
    const made = (await ifPresent(getRestDeployments.run(connection, { restApiId: input.restApiId }))) ?? [];
    if (!made.some(({ description }) => description === input.description)) await deployment.run(connection, input);
  },
};

const stageUpdate = call('UpdateStage', UpdateStageCommand, { action: 'apigateway:PATCH', resource: at('/restapis/*/stages/*') });

/** Puts a stage back to a deployment. A stage that is gone is left so; a deployment that is gone is an error. */
export const updateRestStage = {
  ...stageUpdate,
  name: 'updateRestStage' as const,
  permissions: [...stageUpdate.permissions, get],
  run: async (connection: Connection, input: UpdateStageCommandInput): Promise<void> => {
    try {
      await stageUpdate.run(connection, input);
    } catch (error) {
      if (errorName(error) !== 'NotFoundException') throw error;
      const stage = client(connection).send(new GetStageCommand({ restApiId: input.restApiId, stageName: input.stageName }));
      if ((await ifPresent(stage)) !== undefined) throw error;
    }
  },
};
