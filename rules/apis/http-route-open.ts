import * as z from 'zod';
import {
  closeRoute,
  deployHttpApi,
  exportApi,
  getApi,
  getApiMappings,
  getApis,
  getDomainNames,
  getHttpAuthorizers,
  getHttpDeployments,
  getHttpStages,
  getIntegrations,
  getRoute,
  getRoutes,
  type HttpApi,
  type HttpRoute,
  type Stage,
  updateHttpStage,
  updateRoute,
} from '../../aws/apigatewayv2.ts';
import { deploymentMark, differences, latelyWritten, type Quiet } from '../../guard/api-deployment.ts';
import { functionIn, isOnOpenDomain, leadsToFunction } from '../../guard/api-exposure.ts';
import type { Handle } from '../../guard/call.ts';
import { type ApiEvent, text } from '../../guard/cloudtrail.ts';
import { ifPresent } from '../../guard/errors.ts';
import { comparable, routesIn } from '../../guard/http-api.ts';
import { cloudTrail, defineRule, listing, type Plan, type Step, type Violation } from '../../guard/rule.ts';
import { apiSubject, type Subject } from '../../guard/subject.ts';
import { together } from '../../guard/together.ts';

/**
 * The route that an event names, or its API: quick create and imports say nothing of the routes that they make. Events of
 * REST APIs come from the same source under the same names; they name a restApiId instead of an apiId.
 */
function changedRoutes({ operation, request, response, ...place }: ApiEvent): readonly Subject[] {
  // Of all tags, those that the guard reads may exempt what it found.
  const tagged = JSON.stringify(request).includes('compliance-guard:') ? text(request, 'resourceArn') : undefined;
  const api = text(request, 'apiId') ?? text(response, 'apiId') ?? /:\/apis\/(\w+)$/.exec(tagged ?? '')?.[1];
  if (api === undefined) return [];
  const route = text(request, 'routeId') ?? text(response, 'routeId');
  const whole = apiSubject('AWS::ApiGatewayV2::Api', `/apis/${api}`, place);
  if (!operation.endsWith('Route') || route === undefined) return [whole];
  // What is no route any more may be served all the same.
  return [routeSubject(api, route, place), ...(operation === 'DeleteRoute' ? [whole] : [])];
}

const flag = (description: string) =>
  z
    .string()
    .regex(/^(true|false)$/, 'it is true or false')
    .default('false')
    .describe(description);

const reads = [
  getApi,
  getRoute,
  getRoutes,
  getHttpStages,
  getHttpAuthorizers,
  getIntegrations,
  exportApi,
  getDomainNames,
  getApiMappings,
  getHttpDeployments,
] as const;
type Reader = Handle<typeof reads>;

export const rule = defineRule({
  id: 'http-route-open',
  practice: 'apis',
  severity: 'high',
  title: 'A route of an HTTP or WebSocket API lets anyone on the internet in',
  on: [
    cloudTrail(
      'apigateway',
      [
        'CreateApi',
        'ImportApi',
        'ReimportApi',
        'UpdateApi',
        'DeleteApi',
        'CreateRoute',
        'UpdateRoute',
        'DeleteRoute',
        'DeleteAuthorizer',
        'UpdateIntegration',
        'CreateStage',
        'UpdateStage',
        'DeleteStage',
        'CreateDeployment',
        'CreateApiMapping',
        'UpdateApiMapping',
        'TagResource',
        'UntagResource',
      ],
      changedRoutes,
    ),
  ],
  check: reads,
  fix: [closeRoute, deployHttpApi],
  undo: [updateRoute, updateHttpStage],
  delay: 0,
  probation: false,
  params: z.object({
    allApis: flag('Whether APIs count that reach no Lambda function: true or false.'),
    apiKeys: flag('Whether an API key that $connect of a WebSocket API asks for counts as authorization: true or false.'),
    quiet: z
      .string()
      .regex(/^\d{1,3}$/, 'it is a number of minutes')
      .default('15')
      .transform(Number)
      .describe('Minutes without another write to the stages of an API than the one that opened it, before a fix deploys it.'),
  }),

  // No function leads to its APIs.
  sweep: async () => [],
  list: listing([getApis], async function* (place, aws) {
    yield (await aws.getApis({})).map(({ ApiId }) => apiSubject('AWS::ApiGatewayV2::Api', `/apis/${ApiId}`, place));
  }),

  holds: ({ arn }) => arn.replace(/\/routes\/.*$/, ''),

  async evaluate(subject, { aws, params, event }) {
    const fine = { violations: [], compliant: [subject] };
    const seen = event === undefined && isWhole(subject) ? await lookIfOpen(subject, aws) : await look(subject, aws);
    if (seen === undefined) return fine;
    const { api, routes, stages, served } = seen;
    const missing = await withoutAuthorizer(seen, aws);
    const isOpen = (route: HttpRoute) =>
      (route.AuthorizationType ?? 'NONE') === 'NONE'
        ? !(isWebSocket(api) && params.apiKeys === 'true' && route.ApiKeyRequired === true)
        : missing.has(route.RouteId ?? '');
    const found = routes.flatMap((route) => {
      const on = asksWhoCalls(route, api) ? openStages(route, stages, served, isOpen(route)) : [];
      return on.length === 0 ? [] : [{ route, on }];
    });
    const left = seen.whole ? leftOver(routes, served) : [];
    const open =
      found.length + left.length > 0 && (await isReachable(api, aws)) ? await targetsOf(seen, params.allApis === 'true', aws) : undefined;
    const violations =
      open === undefined
        ? []
        : [
            ...found.map(({ route, on }) => violationOf(route, on, seen, open, missing.has(route.RouteId ?? ''), subject)),
            ...(left.length === 0 ? [] : [violationOfApi(left, seen, subject)]),
          ];
    const wrong = new Set(violations.map(({ subject: { arn } }) => arn));
    const looked = [
      ...routes.map(({ RouteId = '' }) => routeSubject(idsOf(subject).ApiId, RouteId, subject)),
      ...(seen.whole ? [subject] : []),
    ];
    return { violations, compliant: looked.filter(({ arn }) => !wrong.has(arn)) };
  },

  async plan({ subject, event }, { aws, params, changeId, now }) {
    const { ApiId, RouteId } = idsOf(subject);
    if (RouteId === undefined)
      return { steps: [], refused: `What is served is no route of ${ApiId} any more: deploy the API anew, or take its stage away.` };
    const seen = await look(subject, aws);
    const [route] = seen?.routes ?? [];
    if (seen === undefined || route === undefined) return { steps: [] };
    const { RouteKey = '', AuthorizationType = 'NONE' } = route;
    const none = { ApiId, RouteId, AuthorizationType: 'NONE' };
    const close = {
      call: 'closeRoute',
      input: { ApiId, RouteId, AuthorizationType: 'AWS_IAM' },
      undo: [{ call: 'updateRoute', input: none }],
    };
    if (AuthorizationType !== 'NONE' && AuthorizationType !== 'AWS_IAM')
      return { steps: [], refused: `Whether ${RouteKey} lets everyone in is not known: give it an authorizer that its API has.` };
    const manual = seen.stages.filter(
      (stage) => !deploysItself(stage) && (isWebSocket(seen.api) || seen.served.get(stage.StageName ?? '')?.get(RouteKey) === false),
    );
    const deployments = manual.flatMap(({ StageName = '', DeploymentId = '' }, index): Step[] => [
      ...(index === 0 ? [] : [{ waitSeconds: 6, why: 'API Gateway takes one deployment in five seconds' }]),
      {
        call: 'deployHttpApi',
        input: { ApiId, StageName, Description: deploymentMark(changeId, StageName) },
        undo: [{ call: 'updateHttpStage', input: { ApiId, StageName, DeploymentId } }],
      },
    ]);
    const plan: Plan = { steps: [...(AuthorizationType === 'NONE' ? [close] : []), ...deployments] };
    if (manual.length === 0) return plan;
    const why = await whyNotDeploy(seen, route, manual, { minutes: params.quiet, now, event: event?.time }, aws);
    return why === undefined ? plan : { ...plan, refused: why };
  },

  async state(subject, { aws }) {
    const [stages, routes] = await together(stagesOf(subject, aws), routesOf(subject, aws));
    if (stages === undefined || routes === undefined) return undefined;
    return {
      authorization: routes.map(({ AuthorizationType = 'NONE' }) => AuthorizationType),
      // Of a stage that deploys itself the deployment is whatever was written last.
      stages: stages.flatMap((stage) => (deploysItself(stage) ? [] : [{ stage: stage.StageName, deployment: stage.DeploymentId }])),
    };
  },
});

/** An API, and its stages that serve something. */
interface Serving {
  readonly api: HttpApi;
  readonly stages: readonly Stage[];
  readonly served: Served;
}

interface Seen extends Serving {
  /** Whether these are all of the API's routes. */
  readonly whole: boolean;
  /** Those that are looked at. */
  readonly routes: readonly HttpRoute[];
}

async function look(subject: Subject, aws: Reader): Promise<Seen | undefined> {
  const [serving, routes] = await together(servingOf(subject, aws), routesOf(subject, aws));
  return serving && routes && { ...serving, whole: isWhole(subject), routes };
}

/** A sweep comes to what was found on routes by itself: of an API it asks for them where one of them may be open. */
async function lookIfOpen(subject: Subject, aws: Reader): Promise<Seen | undefined> {
  const serving = await servingOf(subject, aws);
  const routes = serving && mayBeOpen(serving) ? await routesOf(subject, aws) : undefined;
  return serving && routes && { ...serving, whole: true, routes };
}

async function servingOf(subject: Subject, aws: Reader): Promise<Serving | undefined> {
  const { ApiId } = idsOf(subject);
  const [api, stages] = await together(ifPresent(aws.getApi({ ApiId })), stagesOf(subject, aws));
  return api && stages && { api, stages, served: await whatIsServed(api, stages, aws) };
}

/** Those that serve something. */
async function stagesOf(subject: Subject, aws: Reader): Promise<readonly Stage[] | undefined> {
  const stages = await ifPresent(aws.getHttpStages({ ApiId: idsOf(subject).ApiId }));
  return stages?.filter((stage) => deploysItself(stage) || stage.DeploymentId !== undefined);
}

async function routesOf(subject: Subject, aws: Reader): Promise<readonly HttpRoute[] | undefined> {
  const { ApiId, RouteId } = idsOf(subject);
  return await ifPresent(RouteId === undefined ? aws.getRoutes({ ApiId }) : aws.getRoute({ ApiId, RouteId }).then((one) => [one]));
}

function isWhole(subject: Subject): boolean {
  return idsOf(subject).RouteId === undefined;
}

/** Whether it takes the routes to tell: where a stage serves the API as it is now, or lets somebody in. */
function mayBeOpen({ stages, served }: Serving): boolean {
  return stages.some(({ StageName = '' }) => {
    const routes = served.get(StageName);
    return routes === undefined || [...routes].some(([key, authorized]) => !authorized && !isPreflight(key));
  });
}

/** A stage serves the API as it is now, or the one deployment that it was given. */
function deploysItself({ AutoDeploy }: Stage): boolean {
  return AutoDeploy === true;
}

/** A WebSocket API asks who calls when the connection is made, and at no other route. */
function asksWhoCalls({ RouteKey = '' }: HttpRoute, api: HttpApi): boolean {
  return isWebSocket(api) ? RouteKey === '$connect' : !isPreflight(RouteKey);
}

/** Browsers sign no preflight requests. https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html */
function isPreflight(routeKey: string): boolean {
  return routeKey.startsWith('OPTIONS ');
}

function isWebSocket({ ProtocolType }: HttpApi): boolean {
  return ProtocolType === 'WEBSOCKET';
}

type Served = ReadonlyMap<string, ReadonlyMap<string, boolean>>;

/** Stage → what it serves, of the stages that do not serve the API as it is now. No WebSocket API can be exported. */
async function whatIsServed(api: HttpApi, stages: readonly Stage[], aws: Pick<Reader, 'exportApi'>): Promise<Served> {
  const exported = isWebSocket(api) ? [] : stages.filter((stage) => !deploysItself(stage));
  const served = await together(
    ...exported.map(async ({ StageName = '' }): Promise<[string, ReadonlyMap<string, boolean>]> => {
      const definition = await ifPresent(aws.exportApi({ ApiId: api.ApiId ?? '', StageName }));
      return [StageName, definition === undefined ? new Map() : routesIn(definition)];
    }),
  );
  return new Map(served);
}

function openStages({ RouteKey = '' }: HttpRoute, stages: readonly Stage[], served: Served, openNow: boolean): readonly string[] {
  return stages.flatMap(({ StageName = '' }) => {
    const deployed = served.get(StageName);
    const open = deployed === undefined ? openNow : deployed.get(RouteKey) === false;
    return open ? [StageName] : [];
  });
}

/** What stages serve to everyone and the API no longer has: `GET /orders (prod)`. */
function leftOver(routes: readonly HttpRoute[], served: Served): readonly string[] {
  const known = new Set(routes.map(({ RouteKey }) => RouteKey));
  return [...served].flatMap(([stage, keys]) =>
    [...keys].flatMap(([key, authorized]) => (authorized || known.has(key) || isPreflight(key) ? [] : [`${key} (${stage})`])),
  );
}

/** Ids of routes whose authorizer is not there: AWS deletes none that a route names, and says nothing of how one would get in. */
async function withoutAuthorizer({ api, routes }: Seen, aws: Pick<Reader, 'getHttpAuthorizers'>): Promise<ReadonlySet<string>> {
  const asking = routes.filter(({ AuthorizationType }) => AuthorizationType === 'JWT' || AuthorizationType === 'CUSTOM');
  if (asking.length === 0) return new Set();
  const known = new Set(
    ((await ifPresent(aws.getHttpAuthorizers({ ApiId: api.ApiId ?? '' }))) ?? []).map(({ AuthorizerId }) => AuthorizerId),
  );
  return new Set(asking.flatMap(({ RouteId = '', AuthorizerId }) => (known.has(AuthorizerId) ? [] : [RouteId])));
}

async function isReachable(
  { ApiId = '', DisableExecuteApiEndpoint }: HttpApi,
  aws: Pick<Reader, 'getDomainNames' | 'getApiMappings'>,
): Promise<boolean> {
  return DisableExecuteApiEndpoint !== true || (await isOnOpenDomain(ApiId, aws));
}

/** Target of a route → URI of its integration; undefined where the API reaches no function and need not be looked at. */
async function targetsOf(
  { api }: Seen,
  allApis: boolean,
  aws: Pick<Reader, 'getIntegrations'>,
): Promise<ReadonlyMap<string, string> | undefined> {
  const integrations = (await ifPresent(aws.getIntegrations({ ApiId: api.ApiId ?? '' }))) ?? [];
  if (!allApis && !integrations.some(({ IntegrationUri }) => leadsToFunction(IntegrationUri))) return undefined;
  return new Map(integrations.map(({ IntegrationId, IntegrationUri = '' }) => [`integrations/${IntegrationId}`, IntegrationUri]));
}

function violationOf(
  { RouteId = '', RouteKey = '', Target = '', AuthorizationType = 'NONE' }: HttpRoute,
  stages: readonly string[],
  { api }: Seen,
  targets: ReadonlyMap<string, string>,
  missing: boolean,
  place: Subject,
): Violation {
  const { ApiId = '', Name = '', ApiEndpoint, Tags = {} } = api;
  const kind = isWebSocket(api) ? 'WebSocket' : 'HTTP';
  const what = `${RouteKey} of the ${kind} API ${Name} (${ApiId}), stage ${stages.join(', ')}`;
  const called = functionIn(targets.get(Target));
  return {
    subject: routeSubject(ApiId, RouteId, place),
    summary: missing
      ? `Whether anyone on the internet can call ${what}, is not known: it asks for an authorizer that the API does not have.`
      : `Anyone on the internet can call ${what}, which asks for no authorization.`,
    evidence: {
      api: Name,
      route: RouteKey,
      stages,
      authorizationType: AuthorizationType,
      ...(missing ? { authorizer: 'missing' } : {}),
      ...(ApiEndpoint === undefined ? {} : { endpoint: ApiEndpoint }),
      ...(called === undefined ? {} : { function: called }),
    },
    tags: Tags,
  };
}

function violationOfApi(left: readonly string[], { api }: Seen, place: Subject): Violation {
  const { ApiId = '', Name = '', Tags = {} } = api;
  return {
    subject: apiSubject('AWS::ApiGatewayV2::Api', `/apis/${ApiId}`, place),
    summary: `Anyone on the internet can call what the HTTP API ${Name} (${ApiId}) no longer has and its stages still serve: ${left.slice(0, 3).join(', ')}${left.length > 3 ? ` and ${left.length - 3} more` : ''}.`,
    evidence: { api: Name, served: left.slice(0, 50) },
    tags: Tags,
  };
}

/** Why a deployment to these stages might ship more than the fix, as a sentence; undefined where it ships that alone. */
async function whyNotDeploy(
  { api }: Seen,
  { RouteKey = '' }: HttpRoute,
  manual: readonly Stage[],
  wanted: Quiet,
  aws: Reader,
): Promise<string | undefined> {
  const { ApiId = '', Name = '' } = api;
  const stay = `${Name} (${ApiId}) is not deployed`;
  if (isWebSocket(api))
    return `${stay}: API Gateway exports no WebSocket API, so nobody can tell what a deployment would ship beside the fix.`;
  const [current, served] = await together(
    aws.exportApi({ ApiId }),
    together(...manual.map(async ({ StageName = '' }) => ({ StageName, definition: await aws.exportApi({ ApiId, StageName }) }))),
  );
  for (const { StageName, definition } of served) {
    const different = differences(comparable(current, RouteKey), comparable(definition, RouteKey));
    if (different.length > 0)
      return `${stay}: it has changes that its stage ${StageName} does not serve yet (${different.join('; ')}), and they would be shipped.`;
  }
  const deployments = (await aws.getHttpDeployments({ ApiId })).flatMap(({ CreatedDate, Description, AutoDeployed }) =>
    AutoDeployed === true ? [] : [{ at: CreatedDate, description: Description }],
  );
  const stages = manual.map(({ StageName = '', LastUpdatedDate }) => ({ name: StageName, at: LastUpdatedDate }));
  const late = latelyWritten({ deployments, stages }, wanted);
  return late === undefined ? undefined : `${stay}: ${late}, and somebody may still be at work on it.`;
}

function routeSubject(api: string, route: string, place: { readonly account: string; readonly region: string }): Subject {
  return apiSubject('AWS::ApiGatewayV2::Route', `/apis/${api}/routes/${route}`, place);
}

function idsOf({ arn }: Subject): { readonly ApiId: string; readonly RouteId: string | undefined } {
  const [, ApiId = '', RouteId] = /::\/apis\/([^/]+)(?:\/routes\/([^/]+))?$/.exec(arn) ?? [];
  return { ApiId, RouteId };
}
