import { matchesGlob, type Place, parseArn, partitionOf } from './arn.ts';
import { readPolicy, type Statement } from './policy-document.ts';

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
  const patterns = grantsIn(documents).flatMap(({ Resource = [] }) => Resource);
  const wildness = (pattern: string) => pattern.replace(/[^*]/g, '').length;
  const resources = [...new Set(patterns)]
    .sort((a, b) => wildness(b) - wildness(a) || (a < b ? -1 : 1))
    .flatMap((pattern) => resourceFor(pattern, place) ?? []);
  return [...new Set(resources)].slice(0, asked);
}

/** The statements that may allow to deploy. */
function grantsIn(documents: readonly string[]): readonly Statement[] {
  return documents
    .flatMap((document) => readPolicy(document))
    .filter((statement) => statement.Effect === 'Allow' && deploying.some((action) => covers(statement, action)));
}

/**
 * Whether documents may allow to deploy where the simulations do not show it: under a condition, in other regions and accounts, by a
 * variable, or on resources that were not asked for.
 */
export function hasUnseenGrants(documents: readonly string[], seen: readonly string[], place: Place): boolean {
  const isSeen = (pattern: string) => {
    const { service = '*', resource = '*' } = parseArn(pattern) ?? {};
    const [kind = '*'] = resource.split(':');
    const isOther = !matchesGlob('lambda', service) || !['function', 'layer'].some((one) => matchesGlob(one, kind));
    return pattern === '*' || isOther || seen.includes(resourceFor(pattern, place) ?? '');
  };
  return grantsIn(documents).some(({ Condition, Resource }) => Condition !== undefined || !(Resource?.every(isSeen) ?? false));
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

/** Nobody makes a function that is there. */
const onItself = onFunctions.filter((action) => action !== 'lambda:CreateFunction');

/** Somebody of this account whom a function's own policy lets deploy to it: that alone is enough, whatever their own policies say. */
export interface OwnGrant {
  readonly principal: string;
  readonly actions: readonly string[];
}

/**
 * What a function's policy grants to users and roles of its account, and under a condition to everybody. The account itself
 * (`…:root`) leaves it to IAM; who is outside, and everybody without a condition, is another rule's.
 */
export function grantedBy(policy: string | undefined, { account }: Place): readonly OwnGrant[] {
  const statements = readPolicy(policy);
  const granted = new Map<string, Set<string>>();
  for (const statement of statements) {
    if (statement.Effect !== 'Allow') continue;
    for (const principal of insiders(statement, account)) {
      const actions = onItself.filter(
        (action) => covers(statement, action) && !statements.some((other) => denies(other, principal, action)),
      );
      if (actions.length > 0) granted.set(principal, new Set([...(granted.get(principal) ?? []), ...actions]));
    }
  }
  return [...granted].map(([principal, actions]) => ({ principal, actions: [...actions].toSorted() }));
}

function insiders({ Principal, NotPrincipal, Condition }: Statement, account: string): readonly string[] {
  const named =
    NotPrincipal === undefined
      ? Object.entries(Principal ?? {}).flatMap(([kind, values]) => (kind === 'AWS' || kind === '*' ? values : []))
      : ['*'];
  return named.filter((principal) => {
    if (principal === '*') return Condition !== undefined;
    const arn = parseArn(principal);
    return arn?.account === account && arn.resource !== 'root';
  });
}

function covers({ Action, NotAction = [] }: Statement, action: string): boolean {
  return Action === undefined ? !NotAction.some((pattern) => fits(action, pattern)) : Action.some((pattern) => fits(action, pattern));
}

/** Only a Deny without a condition counts. */
function denies(statement: Statement, principal: string, action: string): boolean {
  if (statement.Effect !== 'Deny' || statement.Condition !== undefined || !covers(statement, action)) return false;
  return Object.values(statement.Principal ?? {}).some((values) => values.includes('*') || values.includes(principal));
}

/** What is granted now and was not before. */
export function grantsAdded(before: readonly OwnGrant[], now: readonly OwnGrant[]): readonly OwnGrant[] {
  return now.flatMap(({ principal, actions }) => {
    const known = before.find((grant) => grant.principal === principal)?.actions ?? [];
    const added = actions.filter((action) => !known.includes(action));
    return added.length === 0 ? [] : [{ principal, actions: added }];
  });
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
