import { matchesGlob, type Place, parseArn, partitionOf } from './arn.ts';
import { readPolicy } from './policy-document.ts';

/** Calls that decide which code functions run, by what they act on. The policy that denies them (template.yaml) names the same. */
export const onFunctions = [
  'lambda:CreateFunction',
  'lambda:UpdateAlias',
  'lambda:UpdateFunctionCode',
  'lambda:UpdateFunctionConfiguration',
] as const;
export const onLayers = ['lambda:PublishLayerVersion'] as const;
export const deploying: readonly string[] = [...onFunctions, ...onLayers];

/** Resource → the deploying actions that are allowed on it. `*` is every resource, and then no other is named. */
export type DeployRights = Readonly<Record<string, readonly string[]>>;

/** So many resources are asked for one by one; the widest patterns come first. */
const asked = 20;

/**
 * Functions and layers to ask a simulation for, besides `*`: for every pattern in a statement that may allow to deploy, a
 * resource that fits it. Only what to ask is read from the documents here, never what is allowed.
 */
export function resourcesNamed(documents: readonly string[], place: Place): readonly string[] {
  const patterns = documents
    .flatMap((document) => readPolicy(document))
    .flatMap(({ Effect, Action = [], NotAction, Resource = [] }) => {
      const named = NotAction !== undefined || Action.some((pattern) => deploying.some((action) => fits(action, pattern)));
      return Effect === 'Allow' && named ? Resource : [];
    });
  const wildness = (pattern: string) => pattern.replace(/[^*]/g, '').length;
  const resources = [...new Set(patterns)]
    .sort((a, b) => wildness(b) - wildness(a) || (a < b ? -1 : 1))
    .flatMap((pattern) => resourceFor(pattern, place) ?? []);
  return [...new Set(resources)].slice(0, asked);
}

function fits(action: string, pattern: string): boolean {
  return matchesGlob(action.toLowerCase(), pattern.toLowerCase());
}

/** A function or layer here that a pattern fits; undefined where there is none, or where a variable decides. */
function resourceFor(pattern: string, { account, region }: Place): string | undefined {
  const arn = parseArn(pattern);
  const elsewhere =
    arn === undefined ||
    pattern.includes('${') ||
    !matchesGlob('lambda', arn.service) ||
    !matchesGlob(region, arn.region) ||
    !matchesGlob(account, arn.account);
  if (elsewhere) return undefined;
  const [kind = '*', name = '*'] = arn.resource.split(':');
  const type = ['function', 'layer'].find((one) => matchesGlob(one, kind));
  return type === undefined ? undefined : `arn:${partitionOf(region)}:lambda:${region}:${account}:${type}:${name.replace(/[*?]/g, 'x')}`;
}

/** The actions that can be asked of a resource. */
export function actionsOn(resource: string): readonly string[] {
  if (resource === '*') return deploying;
  return resource.includes(':layer:') ? onLayers : onFunctions;
}

function isIn(rights: DeployRights, resource: string, action: string): boolean {
  return [rights['*'], rights[resource]].some((actions) => actions?.includes(action));
}

/** What is allowed now and was not before. */
export function addedTo(before: DeployRights, now: DeployRights): DeployRights {
  return compact(Object.entries(now).map(([resource, actions]) => [resource, actions.filter((action) => !isIn(before, resource, action))]));
}

/** What was allowed before and still is, whichever of the two names it by the wider resource. */
export function commonTo(before: DeployRights, now: DeployRights): DeployRights {
  const resources = [...new Set([...Object.keys(before), ...Object.keys(now)])];
  return compact(
    resources.map((resource) => {
      const actions = [...new Set([...(before[resource] ?? []), ...(now[resource] ?? [])])];
      return [resource, actions.filter((action) => isIn(before, resource, action) && isIn(now, resource, action))];
    }),
  );
}

/** Without resources on which nothing is allowed. */
export function compact(rights: readonly (readonly [resource: string, actions: readonly string[]])[]): DeployRights {
  return Object.fromEntries(rights.filter(([, actions]) => actions.length > 0));
}

export function isNone(rights: DeployRights): boolean {
  return Object.keys(rights).length === 0;
}
