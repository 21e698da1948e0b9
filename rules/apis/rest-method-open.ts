import * as z from 'zod';
import {
  type Deployment,
  deployRestApi,
  getGatewayResponses,
  getRestApi,
  getRestApis,
  getRestAuthorizers,
  getRestDeployment,
  getRestDeployments,
  getRestExport,
  getRestModels,
  getRestResources,
  getRestStages,
  getRestValidators,
  type Method,
  type Resource,
  type RestApi,
  type Stage,
  updateMethod,
  updateRestStage,
} from '../../aws/apigateway.ts';
import { getApiMappings, getDomainNames } from '../../aws/apigatewayv2.ts';
import { deploymentMark, differences, isRecord, latelyWritten, type Quiet } from '../../guard/api-deployment.ts';
import { functionIn, isOnOpenDomain, leadsToFunction } from '../../guard/api-exposure.ts';
import { judgeAnonymous, policyOf } from '../../guard/api-policy.ts';
import type { Handle } from '../../guard/call.ts';
import { type ApiEvent, text } from '../../guard/cloudtrail.ts';
import { ifPresent } from '../../guard/errors.ts';
import { PolicyUnreadable } from '../../guard/policy-document.ts';
import { currentForm, exportedForm, withoutAuthorization } from '../../guard/rest-api.ts';
import { cloudTrail, defineRule, listing, type Plan, type Step, type Violation } from '../../guard/rule.ts';
import { apiSubject, type Subject } from '../../guard/subject.ts';
import { together } from '../../guard/together.ts';

/**
 * The API that an event names: its methods have to be listed, because a deployment and an import say nothing of them. Events of
 * HTTP APIs come from the same source under the same names; they name an apiId instead of a restApiId.
 */
function changedApi({ operation, request, response, ...place }: ApiEvent): readonly Subject[] {
  // Of all tags, those that the guard reads may exempt what it found.
  const tagged = JSON.stringify(request).includes('compliance-guard:') ? text(request, 'resourceArn') : undefined;
  const made = operation === 'ImportRestApi' ? text(response, 'id') : undefined;
  const named = text(request, 'restApiId') ?? text(request, 'createBasePathMappingInput', 'restApiId') ?? made;
  const api = named ?? /:\/restapis\/(\w+)$/.exec(tagged ?? '')?.[1];
  return api === undefined ? [] : [apiOf(api, place)];
}

/** A method that is no more, and its API: what it was may be served all the same. */
function deletedMethod({ request, ...place }: ApiEvent): readonly Subject[] {
  const [api, resource, verb] = ['restApiId', 'resourceId', 'httpMethod'].map((key) => text(request, key));
  if (api === undefined || resource === undefined || verb === undefined) return [];
  return [methodOf(`/restapis/${api}/resources/${resource}/methods/${verb}`, place), apiOf(api, place)];
}

const flag = (description: string) =>
  z
    .string()
    .regex(/^(true|false)$/, 'it is true or false')
    .default('false')
    .describe(description);

const reads = [
  getRestStages,
  getRestResources,
  getRestDeployment,
  getRestApi,
  getRestExport,
  getDomainNames,
  getApiMappings,
  getRestDeployments,
  getRestAuthorizers,
  getRestValidators,
  getRestModels,
  getGatewayResponses,
] as const;
type Reader = Handle<typeof reads>;

const id = 'rest-method-open';

export const rule = defineRule({
  id,
  practice: 'apis',
  severity: 'high',
  title: 'A method of a REST API lets anyone on the internet in',
  on: [
    // PutMethod and UpdateMethod change nothing that is served: that is what a deployment is for.
    cloudTrail(
      'apigateway',
      [
        'ImportRestApi',
        'PutRestApi',
        'UpdateRestApi',
        'DeleteRestApi',
        'CreateDeployment',
        'CreateStage',
        'UpdateStage',
        'DeleteStage',
        'CreateBasePathMapping',
        'TagResource',
        'UntagResource',
      ],
      changedApi,
    ),
    cloudTrail('apigateway', ['DeleteMethod'], deletedMethod),
  ],
  check: reads,
  fix: [updateMethod, deployRestApi],
  undo: [updateMethod, updateRestStage],
  delay: 0,
  probation: false,
  params: z.object({
    allApis: flag('Whether APIs count that reach no Lambda function: true or false.'),
    apiKeys: flag('Whether an API key that a method asks for counts as authorization: true or false.'),
    quiet: z
      .string()
      .regex(/^\d{1,3}$/, 'it is a number of minutes')
      .default('15')
      .transform(Number)
      .describe('Minutes without another write to the stages of an API than the one that opened it, before a fix deploys it.'),
  }),

  // No function leads to its APIs.
  sweep: async () => [],
  list: listing([getRestApis], async function* (place, aws) {
    yield (await aws.getRestApis({})).map(({ id = '' }) => apiOf(id, place));
  }),

  holds: ({ arn }) => arn.replace(/\/resources\/.*$/, ''),

  async evaluate(subject, { aws, estate, params, event }) {
    if (event !== undefined && changesSettings(event))
      await estate.recordKept(id, subject.arn, { state: { settings: event.time }, asOf: Date.parse(event.time) });
    const fine = { violations: [], compliant: [subject] };
    const { restApiId, methodArn } = idsOf(subject);
    // A sweep comes to what was found on methods by itself: of an API it asks no more than it takes.
    const swept = event === undefined && methodArn === undefined;
    if (swept && (await reachOf(restApiId, subject, aws)) === undefined) return fine;
    const isOpen = ({ authorizationType = 'NONE', apiKeyRequired = false }: Served) =>
      authorizationType === 'NONE' && !(params.apiKeys === 'true' && apiKeyRequired);
    const seen = swept ? await lookIfOpen(subject, isOpen, aws) : await look(subject, aws);
    if (seen === undefined) return fine;
    const everywhere = openIn(seen, isOpen);
    const methods = methodsOf(seen).filter(({ arn }) => methodArn === undefined || arn === methodArn);
    const found = methods.flatMap((method) => {
      const stages = everywhere.get(`${method.verb} ${method.path}`);
      return stages === undefined ? [] : [{ ...method, stages }];
    });
    const known = new Set(methodsOf(seen).map(({ verb, path }) => `${verb} ${path}`));
    const left = methodArn !== undefined ? [] : [...everywhere].filter(([key]) => !known.has(key));
    const counts = found.length + left.length > 0 && (params.allApis === 'true' || reachesFunction(seen));
    const reach = counts ? await reachOf(restApiId, subject, aws) : undefined;
    const violations: Violation[] = [];
    const served: string[] = [];
    if (reach !== undefined) {
      for (const method of found) {
        const stages = await reach.open(method.verb, method.path, method.stages);
        if (stages.length > 0) violations.push(violationOf({ ...method, stages }, reach.api, subject));
      }
      for (const [key, stages] of left) {
        const { verb, path } = parsed(key);
        for (const stage of await reach.open(verb, path, stages)) served.push(`${key} (${stage})`);
      }
      if (served.length > 0) violations.push(violationOfApi(served, reach.api, subject));
    }
    const wrong = new Set(violations.map(({ subject: { arn } }) => arn));
    const looked = [subject, ...methods.map(({ arn }) => methodOf(arn, subject))].filter(({ arn }) => !wrong.has(arn));
    return { violations, compliant: [...new Map(looked.map((each) => [each.arn, each])).values()] };
  },

  async plan({ subject, event }, { aws, estate, params, changeId, now }) {
    const { restApiId, methodArn } = idsOf(subject);
    if (methodArn === undefined)
      return { steps: [], refused: `What is served is no method of ${restApiId} any more: deploy the API anew, or take its stage away.` };
    const seen = await look(subject, aws);
    const method = seen && methodsOf(seen).find(({ arn }) => arn === methodArn);
    if (seen === undefined || method === undefined) return { steps: [] };
    const { verb: httpMethod, path, resourceId } = method;
    const { authorizationType = 'NONE' } = method.method;
    const to = (value: string) => ({
      restApiId,
      resourceId,
      httpMethod,
      patchOperations: [{ op: 'replace', path: '/authorizationType', value }],
    });
    const close = { call: 'updateMethod', input: to('AWS_IAM'), undo: [{ call: 'updateMethod', input: to('NONE') }] };
    const open = seen.stages.filter((stage) =>
      deploymentsOf(stage).some((id) => seen.deployments.get(id)?.apiSummary?.[path]?.[httpMethod]?.authorizationType === 'NONE'),
    );
    const deployments = open.flatMap(({ stageName = '', deploymentId = '' }, index): Step[] => [
      ...(index === 0 ? [] : [{ waitSeconds: 6, why: 'API Gateway takes one deployment in five seconds' }]),
      {
        call: 'deployRestApi',
        input: { restApiId, stageName, description: deploymentMark(changeId, stageName) },
        undo: [
          {
            call: 'updateRestStage',
            input: { restApiId, stageName, patchOperations: [{ op: 'replace', path: '/deploymentId', value: deploymentId }] },
          },
        ],
      },
    ]);
    const plan: Plan = { steps: [...(authorizationType === 'NONE' ? [close] : []), ...deployments] };
    const kept = (await estate.kept(id, apiOf(restApiId, subject).arn))?.state as { readonly settings: string } | undefined;
    const quiet = { minutes: params.quiet, now, event: event?.time };
    const why =
      authorizationType === 'NONE' || authorizationType === 'AWS_IAM'
        ? await whyNotDeploy(seen, method, open, { ...quiet, settings: kept?.settings }, aws)
        : `${httpMethod} ${path} asks for ${authorizationType} by now, and its stage does not serve that yet: deploy the API.`;
    return why === undefined ? plan : { ...plan, refused: why };
  },

  async state(subject, { aws }) {
    const seen = await look(subject, aws);
    if (seen === undefined) return undefined;
    const { methodArn } = idsOf(subject);
    return {
      authorization: methodsOf(seen).flatMap(({ arn, method }) => (arn === methodArn ? [method.authorizationType] : [])),
      stages: seen.stages.map(({ stageName, deploymentId }) => ({ stage: stageName, deployment: deploymentId })),
    };
  },
});

/** A method as a deployment's summary has it. */
type Served = NonNullable<NonNullable<Deployment['apiSummary']>[string]>[string];

interface Serving {
  readonly restApiId: string;
  readonly stages: readonly Stage[];
  /** By id, those that stages serve. */
  readonly deployments: ReadonlyMap<string, Deployment>;
}

interface Seen extends Serving {
  readonly resources: readonly Resource[];
}

async function look(subject: Subject, aws: Reader): Promise<Seen | undefined> {
  const [serving, resources] = await together(servingOf(subject, aws), resourcesOf(subject, aws));
  return serving && resources && { ...serving, resources };
}

/** For a sweep of an API: its methods only where a stage lets somebody in. */
async function lookIfOpen(subject: Subject, isOpen: (served: Served) => boolean, aws: Reader): Promise<Seen | undefined> {
  const serving = await servingOf(subject, aws);
  const resources = serving && openIn(serving, isOpen).size > 0 ? await resourcesOf(subject, aws) : undefined;
  return serving && resources && { ...serving, resources };
}

async function servingOf(subject: Subject, aws: Reader): Promise<Serving | undefined> {
  const { restApiId } = idsOf(subject);
  const stages = await ifPresent(aws.getRestStages({ restApiId }));
  if (stages === undefined) return undefined;
  const deployments = await together(
    ...[...new Set(stages.flatMap(deploymentsOf))].map(async (deploymentId) => {
      const deployment = await ifPresent(aws.getRestDeployment({ restApiId, deploymentId }));
      return deployment === undefined ? [] : [[deploymentId, deployment] as const];
    }),
  );
  return { restApiId, stages, deployments: new Map(deployments.flat()) };
}

async function resourcesOf(subject: Subject, aws: Reader): Promise<readonly Resource[] | undefined> {
  return await ifPresent(aws.getRestResources({ restApiId: idsOf(subject).restApiId }));
}

/** What a stage serves, and what a canary serves a part of its callers. */
function deploymentsOf({ deploymentId, canarySettings }: Stage): readonly string[] {
  return [deploymentId, canarySettings?.deploymentId].filter((id) => id !== undefined);
}

interface LiveMethod {
  readonly arn: string;
  readonly verb: string;
  readonly path: string;
  readonly resourceId: string;
  readonly method: Method;
}

/** The methods that an API has now, whatever its stages serve. */
function methodsOf({ restApiId, resources }: Seen): readonly LiveMethod[] {
  return resources.flatMap(({ id: resourceId = '', path = '', resourceMethods = {} }) =>
    Object.entries(resourceMethods).map(([verb, method]) => ({
      arn: `/restapis/${restApiId}/resources/${resourceId}/methods/${verb}`,
      verb,
      path,
      resourceId,
      method,
    })),
  );
}

/** `GET /orders` → the stages that serve it to everyone. Preflight requests of browsers are never authorized. */
function openIn({ stages, deployments }: Serving, isOpen: (served: Served) => boolean): ReadonlyMap<string, readonly string[]> {
  const open = new Map<string, Set<string>>();
  for (const stage of stages) {
    for (const id of deploymentsOf(stage)) {
      for (const [path, methods] of Object.entries(deployments.get(id)?.apiSummary ?? {})) {
        for (const [verb, served] of Object.entries(methods)) {
          if (verb === 'OPTIONS' || !isOpen(served)) continue;
          open.set(`${verb} ${path}`, (open.get(`${verb} ${path}`) ?? new Set()).add(stage.stageName ?? ''));
        }
      }
    }
  }
  return new Map([...open].map(([key, names]) => [key, [...names]]));
}

function parsed(key: string): { readonly verb: string; readonly path: string } {
  const space = key.indexOf(' ');
  return { verb: key.slice(0, space), path: key.slice(space + 1) };
}

function reachesFunction({ resources }: Seen): boolean {
  return resources.some(({ resourceMethods = {} }) =>
    Object.values(resourceMethods).some(({ methodIntegration }) => leadsToFunction(methodIntegration?.uri)),
  );
}

/** Who gets to an API from the internet. */
interface Reach {
  readonly api: RestApi;
  /** Of these stages, those on which the resource policy lets everyone call a method. */
  open(verb: string, path: string, stages: readonly string[]): Promise<readonly string[]>;
}

/** Undefined where nobody gets there: a private API, or one without an endpoint or a domain name that is open. */
async function reachOf(restApiId: string, { account, region }: Subject, aws: Reader): Promise<Reach | undefined> {
  const api = await ifPresent(aws.getRestApi({ restApiId }));
  if (api === undefined || api.endpointConfiguration?.types?.includes('PRIVATE') === true) return undefined;
  if (api.disableExecuteApiEndpoint === true && !(await isOnOpenDomain(restApiId, aws))) return undefined;
  if (policyOf(api.policy) === undefined) return { api, open: async (_, _path, stages) => stages };
  const policies = new Map<string, unknown>();
  // A policy counts once it is deployed. https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-resource-policies-create-attach.html
  const policyOn = async (stage: string) => {
    if (!policies.has(stage)) {
      const definition = await aws.getRestExport({ restApiId, stageName: stage });
      policies.set(stage, isRecord(definition) ? definition['x-amazon-apigateway-policy'] : undefined);
    }
    return policies.get(stage);
  };
  return {
    api,
    async open(verb, path, stages) {
      const open: string[] = [];
      for (const stage of stages) {
        const policy = await policyOn(stage);
        const judgement = policy === undefined ? 'open' : judgeAnonymous(policy, { account, region, api: restApiId, stage, verb, path });
        if (judgement === 'unknown') throw new PolicyUnreadable(`the resource policy of ${restApiId} is not understood`);
        if (judgement === 'open') open.push(stage);
      }
      return open;
    },
  };
}

function violationOf(
  { arn, verb, path, method, stages }: LiveMethod & { readonly stages: readonly string[] },
  api: RestApi,
  place: Subject,
): Violation {
  const { id = '', name = '', tags = {} } = api;
  const called = functionIn(method.methodIntegration?.uri);
  return {
    subject: methodOf(arn, place),
    summary: `Anyone on the internet can call ${verb} ${path} of the REST API ${name} (${id}), stage ${stages.join(', ')}, which asks for no authorization.`,
    evidence: {
      api: name,
      method: `${verb} ${path}`,
      stages,
      authorizationType: method.authorizationType ?? 'NONE',
      apiKeyRequired: method.apiKeyRequired ?? false,
      ...(called === undefined ? {} : { function: called }),
    },
    tags,
  };
}

function violationOfApi(served: readonly string[], { id = '', name = '', tags = {} }: RestApi, place: Subject): Violation {
  return {
    subject: apiOf(id, place),
    summary: `Anyone on the internet can call what the REST API ${name} (${id}) no longer has and its stages still serve: ${served.slice(0, 3).join(', ')}${served.length > 3 ? ` and ${served.length - 3} more` : ''}.`,
    evidence: { api: name, served: served.slice(0, 50) },
    tags,
  };
}

/**
 * Settings of an API that no deployment holds: they take effect when any stage is written to. What an export tells of them is the
 * API's word, and not what a stage does; so the event says when they were changed. The body of PutRestApi may change them too.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/updating-api.html
 */
function changesSettings({ operation, request }: ApiEvent): boolean {
  const settings = /"\/(disableExecuteApiEndpoint|securityPolicy|endpointAccessMode)"/;
  return operation === 'PutRestApi' || (operation === 'UpdateRestApi' && settings.test(JSON.stringify(request)));
}

/** Why a deployment to these stages might ship more than the fix, as a sentence; undefined where it ships that alone. */
async function whyNotDeploy(
  { restApiId, resources, stages: all }: Seen,
  { verb, path }: LiveMethod,
  open: readonly Stage[],
  { settings, ...wanted }: Quiet & { readonly settings: string | undefined },
  aws: Reader,
): Promise<string | undefined> {
  const api = await aws.getRestApi({ restApiId });
  const stay = `${api.name} (${restApiId}) is not deployed`;
  const canary = open.find(({ canarySettings }) => canarySettings !== undefined);
  if (canary !== undefined)
    return `${stay}: its stage ${canary.stageName} has a canary, and what is deployed would go to the canary alone.`;
  const named = { restApiId };
  const [authorizers, validators, models, gatewayResponses, served] = await together(
    aws.getRestAuthorizers(named),
    aws.getRestValidators(named),
    aws.getRestModels(named),
    aws.getGatewayResponses(named),
    together(...open.map(async ({ stageName = '' }) => ({ stageName, definition: await aws.getRestExport({ restApiId, stageName }) }))),
  );
  const current = currentForm({ api, resources, authorizers, validators, models, gatewayResponses });
  for (const { stageName, definition } of served) {
    const deployed = exportedForm(definition, restApiId);
    const different = differences(withoutAuthorization(current, verb, path), withoutAuthorization(deployed, verb, path));
    if (different.length > 0)
      return `${stay}: it has changes that its stage ${stageName} does not serve yet (${different.join('; ')}), and they would be shipped.`;
  }
  const written = Math.max(...all.map(({ lastUpdatedDate }) => lastUpdatedDate?.getTime() ?? 0));
  if (settings !== undefined && Date.parse(settings) > written)
    return `${stay}: its settings were changed at ${settings}, no stage was written to since, and what is deployed would put them in force.`;
  const deployments = (await aws.getRestDeployments(named)).map(({ createdDate, description }) => ({ at: createdDate, description }));
  const stages = open.map(({ stageName = '', lastUpdatedDate }) => ({ name: stageName, at: lastUpdatedDate }));
  const late = latelyWritten({ deployments, stages }, wanted);
  return late === undefined ? undefined : `${stay}: ${late}, and somebody may still be at work on it.`;
}

function apiOf(id: string, place: { readonly account: string; readonly region: string }): Subject {
  return apiSubject('AWS::ApiGateway::RestApi', `/restapis/${id}`, place);
}

function methodOf(path: string, place: { readonly account: string; readonly region: string }): Subject {
  return apiSubject('AWS::ApiGateway::Method', path, place);
}

/** The API of a subject, and the method where it is one: `/restapis/a1b2c3d4e5/resources/r1s2t3/methods/GET`. */
function idsOf({ arn }: Subject): { readonly restApiId: string; readonly methodArn: string | undefined } {
  const path = arn.slice(arn.indexOf('::/') + 2);
  const [, , restApiId = '', ...rest] = path.split('/');
  return { restApiId, methodArn: rest.length === 0 ? undefined : path };
}
