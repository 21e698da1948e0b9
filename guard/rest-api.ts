import { isRecord } from './api-deployment.ts';
import { policyOf } from './api-policy.ts';
import { DefinitionUnreadable } from './http-api.ts';

// One form for a REST API as it is now, which API Gateway tells in pieces, and for what a stage serves, which it exports.
// Whatever is not understood stays as it is, so that it counts as a difference: a deployment would ship it.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions.html

type Fields = Readonly<Record<string, unknown>>;

/** What the calls of API Gateway tell of an API. */
export interface RestApiParts {
  readonly api: {
    readonly id?: string | undefined;
    readonly policy?: string | undefined;
    readonly binaryMediaTypes?: readonly string[] | undefined;
    readonly minimumCompressionSize?: number | undefined;
    readonly apiKeySource?: string | undefined;
    readonly disableExecuteApiEndpoint?: boolean | undefined;
    readonly securityPolicy?: string | undefined;
    readonly endpointAccessMode?: string | undefined;
  };
  readonly resources: readonly {
    readonly id?: string | undefined;
    readonly path?: string | undefined;
    readonly resourceMethods?: Readonly<Record<string, object>> | undefined;
  }[];
  readonly authorizers: readonly object[];
  readonly validators: readonly object[];
  readonly models: readonly object[];
  readonly gatewayResponses: readonly object[];
}

/** How methods are named here, and in the sentence of a refusal. */
function methodKey(verb: string, path: string): string {
  return `${verb} ${path}`;
}

/** An API as it is now. */
export function currentForm({ api, resources, authorizers, validators, models, gatewayResponses }: RestApiParts): Fields {
  const byId = (items: readonly object[]) => new Map(items.map((item) => [(item as Fields)['id'], item as Fields]));
  const [knownAuthorizers, knownValidators] = [byId(authorizers), byId(validators)];
  const methods = resources.flatMap(({ id, path = '/', resourceMethods = {} }) =>
    Object.entries(resourceMethods).map(([verb, method]): [string, Fields] => [
      methodKey(verb, path),
      currentMethod(method as Fields, id, knownAuthorizers, knownValidators),
    ]),
  );
  return whole({
    policy: policyForm(policyOf(api.policy), api.id ?? ''),
    binaryMediaTypes: api.binaryMediaTypes,
    minimumCompressionSize: api.minimumCompressionSize,
    apiKeySource: api.apiKeySource,
    disableExecuteApiEndpoint: api.disableExecuteApiEndpoint,
    securityPolicy: api.securityPolicy,
    endpointAccessMode: api.endpointAccessMode,
    methods: Object.fromEntries(methods),
    schemas: Object.fromEntries(models.map((model) => [String((model as Fields)['name']), schemaOf((model as Fields)['schema'])])),
    gatewayResponses: Object.fromEntries(
      gatewayResponses.flatMap((response) => {
        const { responseType, defaultResponse, ...rest } = response as Fields;
        return defaultResponse === true ? [] : [[String(responseType), rest]];
      }),
    ),
  });
}

/**
 * What a stage serves, from its export (`oas30`, with the extensions of API Gateway).
 * @throws DefinitionUnreadable where the text is no definition
 */
export function exportedForm(definition: unknown, apiId: string): Fields {
  if (!isRecord(definition) || !isRecord(definition['paths'])) throw new DefinitionUnreadable('the export of an API has no paths');
  const components = fields(definition['components']);
  const schemes = fields(components['securitySchemes']);
  const validators = fields(definition['x-amazon-apigateway-request-validators']);
  const everywhere = definition['x-amazon-apigateway-request-validator'];
  const servers = Array.isArray(definition['servers']) ? definition['servers'] : [];
  const endpoints = servers.map((server) => fields(fields(server)['x-amazon-apigateway-endpoint-configuration']));
  const methods = Object.entries(definition['paths']).flatMap(([path, item]) =>
    Object.entries(fields(item)).map(([verb, operation]): [string, Fields] => [
      methodKey(verb === anyMethod ? 'ANY' : verb.toUpperCase(), path),
      exportedMethod(fields(operation), schemes, validators, everywhere),
    ]),
  );
  return whole({
    policy: policyForm(definition['x-amazon-apigateway-policy'], apiId),
    binaryMediaTypes: definition['x-amazon-apigateway-binary-media-types'],
    minimumCompressionSize: definition['x-amazon-apigateway-minimum-compression-size'],
    apiKeySource: definition['x-amazon-apigateway-api-key-source'],
    disableExecuteApiEndpoint: endpoints.some(({ disableExecuteApiEndpoint }) => disableExecuteApiEndpoint === true),
    securityPolicy: definition['x-amazon-apigateway-security-policy'],
    endpointAccessMode: definition['x-amazon-apigateway-endpoint-access-mode'],
    methods: Object.fromEntries(methods),
    schemas: Object.fromEntries(Object.entries(fields(components['schemas'])).map(([name, schema]) => [name, schemaOf(schema)])),
    gatewayResponses: fields(definition['x-amazon-apigateway-gateway-responses']),
  });
}

/** Both forms without what authorizes one method: where that differs, the fix is what makes the difference. */
export function withoutAuthorization(form: Fields, verb: string, path: string): Fields {
  const methods = fields(form['methods']);
  const key = methodKey(verb, path);
  const { authorization: _, ...rest } = fields(methods[key]);
  return { ...form, methods: { ...methods, [key]: rest } };
}

const anyMethod = 'x-amazon-apigateway-any-method';

interface Parts {
  readonly policy: unknown;
  readonly binaryMediaTypes: unknown;
  readonly minimumCompressionSize: unknown;
  readonly apiKeySource: unknown;
  readonly disableExecuteApiEndpoint: unknown;
  readonly securityPolicy: unknown;
  readonly endpointAccessMode: unknown;
  readonly methods: Readonly<Record<string, Fields>>;
  readonly schemas: Fields;
  readonly gatewayResponses: Fields;
}

/** What an API is told to have, and an export need not say. */
const defaultSettings: Fields = {
  apiKeySource: 'HEADER',
  disableExecuteApiEndpoint: false,
  securityPolicy: 'TLS_1_0',
  endpointAccessMode: 'BASIC',
};

/** Without defaults, and of the models those that methods name: an export has no others. */
function whole({ policy, binaryMediaTypes, methods, schemas, gatewayResponses, ...settings }: Parts): Fields {
  const named = new Set(JSON.stringify(methods).match(/(?<="model:)[^"]+/g));
  // A set goes on with what is added to it meanwhile: models may name others.
  for (const name of named) for (const other of JSON.stringify(schemas[name] ?? '').match(/(?<="\$ref":")[^"]+/g) ?? []) named.add(other);
  const models = Object.entries(schemas).filter(([name]) => named.has(name));
  const responses = Object.entries(gatewayResponses).map(([type, response]) => {
    const { statusCode, ...rest } = fields(response);
    return [type, withoutEmpty({ ...rest, ...(statusCode === undefined ? {} : { statusCode: String(statusCode) }) })];
  });
  return withoutEmpty({
    policy,
    binaryMediaTypes: Array.isArray(binaryMediaTypes) ? [...binaryMediaTypes].sort() : undefined,
    ...Object.fromEntries(Object.entries(settings).filter(([name, value]) => value !== defaultSettings[name])),
    methods,
    models: Object.fromEntries(models),
    gatewayResponses: Object.fromEntries(responses),
  });
}

// --- methods

function currentMethod(
  method: Fields,
  resourceId: string | undefined,
  authorizers: ReadonlyMap<unknown, Fields>,
  validators: ReadonlyMap<unknown, Fields>,
): Fields {
  const { httpMethod: _, authorizationType, authorizerId, authorizationScopes, requestValidatorId, ...rest } = method;
  const { apiKeyRequired, requestParameters, requestModels, methodResponses, methodIntegration, ...others } = rest;
  const asked = typeof authorizerId === 'string' ? (authorizers.get(authorizerId) ?? { id: authorizerId }) : undefined;
  const validator = typeof requestValidatorId === 'string' ? (validators.get(requestValidatorId) ?? { id: requestValidatorId }) : undefined;
  const parameters = Object.entries(fields(requestParameters)).map(([name, required]) => [name.replace('method.request.', ''), required]);
  const responses = Object.entries(fields(methodResponses)).map(([status, response]) => {
    const { responseParameters, responseModels } = fields(response);
    const headers = Object.keys(fields(responseParameters)).map((name) => name.replace('method.response.header.', ''));
    return [status, { headers: headers.sort(), models: modelNames(fields(responseModels)) }];
  });
  return withoutEmpty({
    ...others,
    authorization: withoutEmpty({
      type: authorizationType ?? 'NONE',
      authorizer: asked && authorizerForm(asked),
      scopes: authorizationScopes,
    }),
    apiKey: apiKeyRequired === true ? true : undefined,
    validator: validator && validatorForm(validator),
    parameters: parametersForm(parameters as [string, unknown][]),
    body: modelNames(fields(requestModels)),
    responses: Object.fromEntries(responses),
    integration: isRecord(methodIntegration) ? currentIntegration(methodIntegration, resourceId) : undefined,
  });
}

function exportedMethod(operation: Fields, schemes: Fields, validators: Fields, everywhere: unknown): Fields {
  const { security, parameters, requestBody, responses, operationId: operationName, ...rest } = operation;
  const {
    'x-amazon-apigateway-integration': integration,
    'x-amazon-apigateway-request-validator': validator = everywhere,
    'x-amazon-apigateway-auth': auth,
    ...others
  } = rest;
  const { authorization, apiKey } = exportedSecurity(security, auth, schemes);
  const given = (Array.isArray(parameters) ? parameters : []).map((one): [string, unknown] => {
    const { name, in: place, required } = fields(one);
    return [`${place === 'query' ? 'querystring' : String(place)}.${String(name)}`, required === true];
  });
  const answers = Object.entries(fields(responses)).map(([status, response]) => {
    const { headers, content } = fields(response);
    return [status, { headers: Object.keys(fields(headers)).sort(), models: contentModels(content) }];
  });
  const { summary: _, description: _description, tags: _tags, ...unknown } = others;
  return withoutEmpty({
    ...unknown,
    operationName,
    authorization,
    apiKey,
    validator: typeof validator === 'string' ? validatorForm({ name: validator, ...fields(validators[validator]) }) : undefined,
    parameters: parametersForm(given),
    body: contentModels(fields(requestBody)['content']),
    responses: Object.fromEntries(answers),
    integration: isRecord(integration) ? exportedIntegration(integration) : undefined,
  });
}

/** What a method asks of its callers, by the names of security schemes. */
function exportedSecurity(
  security: unknown,
  auth: unknown,
  schemes: Fields,
): { readonly authorization: Fields; readonly apiKey: true | undefined } {
  const asked = (Array.isArray(security) ? security : []).flatMap((one) => Object.entries(fields(one)));
  let authorization: Fields = { type: typeof fields(auth)['type'] === 'string' ? String(fields(auth)['type']).toUpperCase() : 'NONE' };
  let apiKey: true | undefined;
  for (const [name, scopes] of asked) {
    const scheme = fields(schemes[name]);
    const kind = String(scheme['x-amazon-apigateway-authtype'] ?? '').toLowerCase();
    const extension = scheme['x-amazon-apigateway-authorizer'];
    if (kind === 'awssigv4') authorization = { type: 'AWS_IAM' };
    else if (kind === '' && extension === undefined && scheme['name'] === 'x-api-key') apiKey = true;
    else {
      const type = String(fields(extension)['type'] ?? kind).toUpperCase();
      const location = scheme['in'] === 'query' ? 'querystring' : 'header';
      const authorizer = authorizerForm({
        identitySource: `method.request.${location}.${String(scheme['name'])}`,
        ...fields(extension),
        name,
        type,
      });
      authorization = withoutEmpty({ type: type === 'COGNITO_USER_POOLS' ? type : 'CUSTOM', authorizer, scopes });
    }
  }
  return { authorization, apiKey };
}

function authorizerForm({ id: _, authType: _authType, authorizerResultTtlInSeconds: ttl, type, ...rest }: Fields): Fields {
  const kind = String(type ?? '').toUpperCase();
  return withoutEmpty({ ...rest, type: kind, ...(ttl === 300 ? {} : { authorizerResultTtlInSeconds: ttl }) });
}

function validatorForm({ name, validateRequestBody = false, validateRequestParameters = false }: Fields): Fields {
  return { name, validateRequestBody, validateRequestParameters };
}

/** Path parameters are what the path says, and always required. */
function parametersForm(parameters: readonly (readonly [string, unknown])[]): Fields {
  return Object.fromEntries(parameters.filter(([name]) => !name.startsWith('path.')));
}

function modelNames(models: Fields): Fields {
  return Object.fromEntries(Object.entries(models).map(([type, name]) => [type, `model:${String(name)}`]));
}

function contentModels(content: unknown): Fields {
  return Object.fromEntries(
    Object.entries(fields(content)).map(([type, media]) => [type, `model:${lastPart(String(fields(fields(media)['schema'])['$ref']))}`]),
  );
}

// --- integrations

function currentIntegration({ integrationResponses, ...integration }: Fields, resourceId: string | undefined): Fields {
  const responses = Object.values(fields(integrationResponses)).map((response) => {
    const { selectionPattern, ...rest } = fields(response);
    return [typeof selectionPattern === 'string' && selectionPattern !== '' ? selectionPattern : 'default', withoutEmpty(rest)];
  });
  return integrationForm(integration, Object.fromEntries(responses), resourceId);
}

function exportedIntegration({ responses, ...integration }: Fields): Fields {
  const plain = Object.entries(fields(responses)).map(([pattern, response]) => [pattern, withoutEmpty(fields(response))]);
  return integrationForm(integration, Object.fromEntries(plain), undefined);
}

/** Exports write some values in small letters, and leave some defaults out. */
function integrationForm(integration: Fields, responses: Fields, resourceId: string | undefined): Fields {
  const { type, passthroughBehavior, connectionType, timeoutInMillis, responseTransferMode, cacheNamespace, ...rest } = integration;
  const cached = Array.isArray(rest['cacheKeyParameters']) && rest['cacheKeyParameters'].length > 0;
  const defaults: Fields = {
    passthroughBehavior: 'when_no_match',
    connectionType: 'internet',
    timeoutInMillis: '29000',
    responseTransferMode: 'buffered',
  };
  const kept = Object.entries({ passthroughBehavior, connectionType, timeoutInMillis, responseTransferMode }).filter(
    ([name, value]) => value !== undefined && String(value).toLowerCase() !== defaults[name],
  );
  return withoutEmpty({
    ...rest,
    ...Object.fromEntries(kept.map(([name, value]) => [name, String(value).toLowerCase()])),
    type: String(type).toLowerCase(),
    // Without keys nothing is kept in it, and by itself it is the id of the resource.
    cacheNamespace: cached ? (cacheNamespace ?? resourceId) : undefined,
    responses,
  });
}

// --- values

function policyForm(policy: unknown, apiId: string): unknown {
  if (!isRecord(policy)) return undefined;
  const short = (value: unknown): unknown => {
    if (typeof value === 'string') return value.replace(new RegExp(`^arn:[^:]+:execute-api:[^:]*:[^:]*:${apiId}/`), 'execute-api:/');
    if (Array.isArray(value)) return value.length === 1 ? short(value[0]) : value.map(short);
    return isRecord(value) ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, short(inner)])) : value;
  };
  return short(policy);
}

/** References are written in one way by the API, in another by an export. */
function schemaOf(schema: unknown): unknown {
  let value: unknown = schema;
  if (typeof schema === 'string') {
    try {
      value = JSON.parse(schema);
    } catch {
      return schema;
    }
  }
  if (Array.isArray(value)) return value.map(schemaOf);
  if (!isRecord(value)) return value;
  const { $schema: _, ...rest } = value;
  return Object.fromEntries(
    Object.entries(rest).map(([key, inner]) => [
      key,
      key === '$ref' ? lastPart(String(inner)) : typeof inner === 'string' ? inner : schemaOf(inner),
    ]),
  );
}

function lastPart(reference: string): string {
  return reference.slice(reference.lastIndexOf('/') + 1);
}

function fields(value: unknown): Fields {
  return isRecord(value) ? value : {};
}

/** Without what says nothing: undefined, null, empty texts, lists and records. */
function withoutEmpty(record: Fields): Fields {
  return Object.fromEntries(
    Object.entries(record).filter(
      ([, value]) =>
        value !== undefined &&
        value !== null &&
        value !== '' &&
        !(Array.isArray(value) && value.length === 0) &&
        !(isRecord(value) && Object.keys(value).length === 0),
    ),
  );
}
