import { routesIn } from '../../guard/http-api.ts';
import type { Doubt, Resource } from './resources.ts';
import { isList, isRecord, type Properties, Unsaid, unsaidIn, type Value } from './values.ts';

// What SAM makes of its own resources, as far as rules look at it.
// https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-generated-resources.html

const lambdaTrust = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Principal: { Service: ['lambda.amazonaws.com'] }, Action: ['sts:AssumeRole'] }],
};

/** What only SAM's functions know of, and Lambda's do not. */
const basicRole = 'arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole';

/** Globals below what the resource says itself: maps are merged, lists are put together. */
function merged(global: Value | undefined, own: Value | undefined): Value {
  if (own === undefined) return global ?? {};
  if (global === undefined || own instanceof Unsaid) return own;
  if (global instanceof Unsaid && typeof own === 'object') return global;
  if (isRecord(global) && isRecord(own)) {
    const keys = new Set([...Object.keys(global), ...Object.keys(own)]);
    return Object.fromEntries(
      [...keys].map((key) => [key, own[key] === undefined ? (global[key] as Value) : merged(global[key], own[key])]),
    );
  }
  if (isList(global) && isList(own)) return [...global, ...own];
  return own;
}

export function samFunction(resource: Resource, globals: Properties): readonly Resource[] {
  const { key, logicalId, properties } = resource;
  const all = merged(globals['Function'], properties);
  const has: Properties = isRecord(all) ? all : properties;
  const made = (suffix: string, type: string, of: Properties): Resource => ({ key: `${key}${suffix}`, logicalId, type, properties: of });
  const { KmsKeyArn, Tags, Role, FunctionUrlConfig, AutoPublishAlias, ...rest } = has;
  const lambda: Properties = {
    ...rest,
    ...(KmsKeyArn === undefined ? {} : { KmsKeyArn }),
    ...(Tags === undefined ? {} : { Tags: isRecord(Tags) ? Object.entries(Tags).map(([Key, Value]) => ({ Key, Value })) : Tags }),
    Role: Role ?? { 'made by SAM': `${key}Role` },
  };
  const alias = typeof AutoPublishAlias === 'string' || AutoPublishAlias instanceof Unsaid ? AutoPublishAlias : undefined;
  const more: Resource[] = [];
  if (Role === undefined) more.push(made('Role', 'AWS::IAM::Role', roleOf(has)));
  if (alias !== undefined)
    more.push(made('.Alias', 'AWS::Lambda::Alias', { Name: alias, FunctionName: { 'made by SAM': key }, FunctionVersion: '$LATEST' }));
  if (FunctionUrlConfig !== undefined) {
    const { AuthType } = isRecord(FunctionUrlConfig) ? FunctionUrlConfig : { AuthType: FunctionUrlConfig };
    const target = { TargetFunctionArn: { 'made by SAM': key }, ...(alias === undefined ? {} : { Qualifier: alias }) };
    more.push(made('Url', 'AWS::Lambda::Url', { ...target, AuthType: AuthType ?? new Unsaid('its function URL has no AuthType') }));
    const grant = { FunctionName: { 'made by SAM': key }, ...(alias === undefined ? {} : { Qualifier: alias }), Principal: '*' };
    if (AuthType === 'NONE')
      more.push(
        made('UrlPublicPermissions', 'AWS::Lambda::Permission', {
          ...grant,
          Action: 'lambda:InvokeFunctionUrl',
          FunctionUrlAuthType: 'NONE',
        }),
      );
  }
  // Every other event's permission names its source.
  for (const [name, event] of Object.entries(isRecord(has['Events']) ? has['Events'] : {})) {
    if (!isRecord(event) || event['Type'] !== 'AlexaSkill') continue;
    const skill = isRecord(event['Properties']) ? event['Properties']['SkillId'] : undefined;
    more.push(
      made(`${name}Permission`, 'AWS::Lambda::Permission', {
        FunctionName: { 'made by SAM': key },
        ...(alias === undefined ? {} : { Qualifier: alias }),
        Action: 'lambda:InvokeFunction',
        Principal: 'alexa-appkit.amazon.com',
        ...(skill === undefined ? {} : { EventSourceToken: skill }),
      }),
    );
  }
  return [{ ...resource, type: 'AWS::Lambda::Function', properties: lambda }, ...more];
}

function roleOf({ AssumeRolePolicyDocument, Policies, PermissionsBoundary, RolePath, Tags }: Properties): Properties {
  const listed = Policies === undefined ? [] : isList(Policies) ? Policies : [Policies];
  const inline: Value[] = [];
  const managed: Value[] = [basicRole];
  for (const [index, policy] of listed.entries()) {
    const PolicyName = `Policy${index}`;
    if (policy instanceof Unsaid) managed.push(policy);
    else if (typeof policy === 'string') managed.push(policy.startsWith('arn:') ? policy : `arn:aws:iam::aws:policy/${policy}`);
    else if (isRecord(policy) && policy['Statement'] !== undefined) inline.push({ PolicyName, PolicyDocument: policy });
    // SAM's own policy templates name one resource, or read only: none gives what rules look for.
    else inline.push({ PolicyName, PolicyDocument: { Statement: [] } });
  }
  return {
    AssumeRolePolicyDocument: AssumeRolePolicyDocument ?? lambdaTrust,
    ManagedPolicyArns: managed,
    Policies: inline,
    ...(PermissionsBoundary === undefined ? {} : { PermissionsBoundary }),
    ...(RolePath === undefined ? {} : { Path: RolePath }),
    ...(isRecord(Tags) ? { Tags: Object.entries(Tags).map(([Key, Value]) => ({ Key, Value })) } : {}),
  };
}

const kinds = {
  Api: {
    of: 'AWS::Serverless::Api',
    given: 'RestApiId',
    implicit: 'ServerlessRestApi',
    rule: 'rest-method-open',
    made: 'AWS::ApiGateway::RestApi',
  },
  HttpApi: {
    of: 'AWS::Serverless::HttpApi',
    given: 'ApiId',
    implicit: 'ServerlessHttpApi',
    rule: 'http-route-open',
    made: 'AWS::ApiGatewayV2::Api',
  },
} as const;

/** One method or route of an API that SAM makes. */
export interface SamRoute {
  readonly logicalId: string;
  readonly verb: string;
  readonly path: string;
  readonly authorization: Value;
  readonly apiKey: Value;
}

/** APIs of SAM, those among them that events of functions alone make. They hold their routes, ready to be answered. */
export function samEvents(
  resources: readonly Resource[],
  globals: Properties,
): { readonly resources: readonly Resource[]; readonly doubts: readonly Doubt[] } {
  const doubts: Doubt[] = [];
  const apis = new Map<string, { resource: Resource; kind: keyof typeof kinds; routes: Map<string, SamRoute>; policy: boolean }>();
  const apiOf = (kind: keyof typeof kinds, key: string, logicalId: string, own: Properties) => {
    const all = merged(globals[kind], own);
    const known = apis.get(key) ?? {
      resource: { key, logicalId, type: kinds[kind].made, properties: isRecord(all) ? all : own },
      kind,
      routes: new Map<string, SamRoute>(),
      policy: false,
    };
    apis.set(key, known);
    return known;
  };
  for (const { key, logicalId, type, properties } of resources)
    for (const kind of ['Api', 'HttpApi'] as const) if (type === kinds[kind].of) apiOf(kind, key, logicalId, properties);
  for (const { logicalId, type, properties } of resources) {
    if (type !== 'AWS::Serverless::Function') continue;
    const { Events } = properties;
    if (Events instanceof Unsaid) doubts.push({ rule: '*', logicalId, why: `its events are not said: ${Events.why}` });
    for (const event of Object.values(isRecord(Events) ? Events : {})) {
      const hidden =
        event instanceof Unsaid ? event : isRecord(event) ? unsaidIn([event['Type'] ?? null, whole(event['Properties'])]) : undefined;
      if (hidden !== undefined) doubts.push({ rule: '*', logicalId, why: `an event is not said: ${hidden.why}` });
      const kind = isRecord(event) ? event['Type'] : undefined;
      if (kind !== 'Api' && kind !== 'HttpApi') continue;
      const given = isRecord(event) && isRecord(event['Properties']) ? event['Properties'] : {};
      const id = given[kinds[kind].given];
      const doubt = (why: string) => doubts.push({ rule: kinds[kind].rule, logicalId, why });
      if (id !== undefined && (typeof id !== 'string' || !apis.has(id))) {
        doubt(id instanceof Unsaid ? id.why : 'the API of an event is not made by this template as one of SAM');
        continue;
      }
      const api = apiOf(kind, typeof id === 'string' ? id : kinds[kind].implicit, logicalId, {});
      const { Path, Method } = given;
      const unsaid = unsaidIn(Path) ?? unsaidIn(Method);
      if (unsaid !== undefined) {
        doubt(unsaid.why);
        continue;
      }
      const auth = given['Auth'] ?? {};
      if (isRecord(auth) && auth['ResourcePolicy'] !== undefined) api.policy = true;
      const verb = String(Method ?? 'any').toUpperCase();
      const path = String(Path ?? '$default');
      api.routes.set(`${verb} ${path}`, {
        logicalId,
        verb: verb === 'ANY' || verb === 'X-AMAZON-APIGATEWAY-ANY-METHOD' ? 'ANY' : verb,
        path,
        ...authorizationOf(auth, api.resource.properties['Auth']),
      });
    }
  }
  return { resources: [...apis.values()].map((api) => withRoutes(api)), doubts };
}

/** Whether there is anything at all to be read. */
function whole(value: Value | undefined): Value {
  return value instanceof Unsaid ? value : null;
}

function authorizationOf(auth: Value, all: Value | undefined): Pick<SamRoute, 'authorization' | 'apiKey'> {
  const unsaid = auth instanceof Unsaid ? auth : all instanceof Unsaid ? all : undefined;
  if (unsaid !== undefined) return { authorization: unsaid, apiKey: unsaid };
  const [own, general] = [isRecord(auth) ? auth : {}, isRecord(all) ? all : {}];
  const named = own['Authorizer'] ?? general['DefaultAuthorizer'] ?? 'NONE';
  const apiKey = own['ApiKeyRequired'] ?? general['ApiKeyRequired'] ?? false;
  return { authorization: named === 'NONE' || named === 'AWS_IAM' || named instanceof Unsaid ? named : 'CUSTOM', apiKey };
}

function withRoutes({
  resource,
  kind,
  routes,
  policy,
}: {
  readonly resource: Resource;
  readonly kind: keyof typeof kinds;
  readonly routes: ReadonlyMap<string, SamRoute>;
  readonly policy: boolean;
}): Resource {
  const { properties, logicalId } = resource;
  const { DefinitionBody, DefinitionUri, Auth, ...rest } = properties;
  const settings = isRecord(Auth) ? Auth : {};
  const uri = DefinitionUri === undefined ? undefined : new Unsaid('its paths stand in a file of their own (DefinitionUri)');
  const found: Value = uri ?? (DefinitionBody === undefined ? [...routes.values()].map((route) => ({ ...route })) : []);
  const defined = DefinitionBody === undefined ? undefined : routesOfDefinition(DefinitionBody, logicalId);
  const closed = settings['DefaultAuthorizer'];
  const whole =
    defined === undefined
      ? found
      : defined instanceof Unsaid
        ? defined
        : defined.map((route) => {
            const event = routes.get(`${route.verb} ${route.path}`);
            if (route.authorization !== 'NONE') return { ...route };
            if (event !== undefined) return { ...event };
            return { ...route, authorization: closed === undefined ? 'NONE' : closed instanceof Unsaid ? closed : 'CUSTOM' };
          });
  const hasPolicy = policy || settings['ResourcePolicy'] !== undefined;
  return {
    ...resource,
    properties: {
      ...rest,
      'made by SAM': true,
      routes: whole,
      ...(kind === 'Api' && hasPolicy ? { Policy: new Unsaid('SAM makes its resource policy at deployment') } : {}),
    },
  };
}

/** The routes of an OpenAPI definition that stands in the template. */
export function routesOfDefinition(definition: Value, logicalId: string): readonly SamRoute[] | Unsaid {
  const unsaid = unsaidIn(definition);
  if (unsaid !== undefined) return unsaid;
  try {
    return [...routesIn(definition)].map(([route, authorized]) => {
      const space = route.indexOf(' ');
      const [verb, path] = space < 0 ? ['ANY', route] : [route.slice(0, space), route.slice(space + 1)];
      return { logicalId, verb, path, authorization: authorized ? 'CUSTOM' : 'NONE', apiKey: false };
    });
  } catch {
    return new Unsaid('its definition is not understood');
  }
}
