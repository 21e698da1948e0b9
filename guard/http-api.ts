import { isRecord } from './api-deployment.ts';

// Definitions of HTTP APIs as API Gateway exports them.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-export.html

const anyMethod = 'x-amazon-apigateway-any-method';
const verbs: ReadonlySet<string> = new Set(['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace', anyMethod]);

/**
 * Route key (`GET /orders`, `ANY /{proxy+}`, `$default`) → whether the route asks for authorization.
 * @throws DefinitionUnreadable where the text is no definition
 */
export function routesIn(definition: unknown): ReadonlyMap<string, boolean> {
  if (!isRecord(definition) || !isRecord(definition['paths'])) throw new DefinitionUnreadable('the export of an API has no paths');
  const routes = new Map<string, boolean>();
  for (const [path, item] of Object.entries(definition['paths'])) {
    if (!isRecord(item)) continue;
    for (const [verb, operation] of Object.entries(item)) {
      if (!verbs.has(verb) || !isRecord(operation)) continue;
      routes.set(routeKey(path, verb), isAuthorized(operation, definition['security']));
    }
  }
  return routes;
}

/** What API Gateway exported cannot be read: what is served is then unknown. */
export class DefinitionUnreadable extends Error {
  override readonly name = 'DefinitionUnreadable';
}

function routeKey(path: string, verb: string): string {
  if (path === '/$default') return '$default';
  return `${verb === anyMethod ? 'ANY' : verb.toUpperCase()} ${path}`;
}

/** By a security scheme, or by `x-amazon-apigateway-auth`. */
function isAuthorized(operation: Readonly<Record<string, unknown>>, everywhere: unknown): boolean {
  const auth = operation['x-amazon-apigateway-auth'];
  if (isRecord(auth) && typeof auth['type'] === 'string') return auth['type'].toUpperCase() !== 'NONE';
  const security = operation['security'] ?? everywhere;
  return Array.isArray(security) && security.length > 0 && security.every((one) => isRecord(one) && Object.keys(one).length > 0);
}

/**
 * The definition without what differs between an API and its stage though both say the same (where it is served, which
 * version of the export this is), and without what authorizes one route.
 */
export function comparable(definition: unknown, route: string): unknown {
  if (!isRecord(definition)) return definition;
  const { servers: _, info, components, paths, ...rest } = definition;
  const { version: _version, ...named } = isRecord(info) ? info : {};
  const { securitySchemes, ...parts } = isRecord(components) ? components : {};
  const { sigv4: _sigv4, ...schemes } = isRecord(securitySchemes) ? securitySchemes : {};
  const items = Object.entries(isRecord(paths) ? paths : {}).map(([path, item]) => {
    const operations = Object.entries(isRecord(item) ? item : {}).map(([verb, operation]) => {
      if (!isRecord(operation) || !verbs.has(verb) || routeKey(path, verb) !== route) return [verb, operation];
      const { security: _security, 'x-amazon-apigateway-auth': _auth, ...others } = operation;
      return [verb, others];
    });
    return [path, Object.fromEntries(operations)];
  });
  return { ...rest, info: named, components: { ...parts, securitySchemes: schemes }, paths: Object.fromEntries(items) };
}
