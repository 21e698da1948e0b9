import { ResourceNotFoundException } from '@aws-sdk/client-lambda';
import type { SecretListEntry } from '@aws-sdk/client-secrets-manager';
import { matchesGlob, roleName } from '../guard/arn.ts';
import type { AnyCall, Call, Connection, Handle } from '../guard/call.ts';
import { errorKind, isAnswer } from '../guard/errors.ts';
import { readPolicy, type Statement } from '../guard/policy-document.ts';
import type { Ports } from '../guard/ports.ts';
import { asksOnce } from '../guard/reads.ts';
import { getRestApi, getRestApis } from './apigateway.ts';
import { getApi, getApis } from './apigatewayv2.ts';
import {
  describeInternetGateways,
  describeNatGateways,
  describeNetworkAcls,
  describeNetworkInterfaces,
  describeRouteTables,
  describeSecurityGroupRules,
  describeSecurityGroups,
  describeSubnets,
  describeVpcEndpoints,
  type Everything,
  type NetworkAcl,
  type SecurityGroup,
} from './ec2.ts';
import type { Watch } from './handle.ts';
import {
  accountDetails,
  getManagedPolicy,
  getPolicyVersion,
  getRole,
  getRolePolicy,
  listAttachedRolePolicies,
  listRolePolicies,
  simulatePrincipalPolicy,
} from './iam.ts';
import {
  type FunctionConfiguration,
  functionPages,
  getFunctionCodeSigningConfig,
  getFunctionConfiguration,
  getFunctionUrlConfig,
  getTaggedFunction,
  listFunctions,
  listFunctionUrlConfigs,
  listTags,
  signedFunctions,
  versionsPage,
} from './lambda.ts';
import { ahead, allPages } from './pages.ts';
import { describeSecret, listSecrets } from './secretsmanager.ts';
import { taggedFunctions } from './tags.ts';

/** Who looks at a whole region reads lists first: what they tell of every resource is asked for none of them alone. */
export interface WholeRegion {
  readonly connect: Ports['connect'];
  /** The same for a look at one resource: what is asked about one function alone is known no longer than whoever looks holds these calls. */
  readonly forOneLook: () => Ports['connect'];
  /** The functions of the region, page by page; what they tell is known from then on. */
  readonly functions: () => AsyncGenerator<readonly FunctionConfiguration[]>;
}

/** What besides these calls is read in their stead, for whoever has to be allowed to. */
export function listsFor(calls: readonly AnyCall[]): readonly AnyCall[] {
  return [listFunctions, ...calls.flatMap(({ run }) => answers.get(run)?.lists ?? [])];
}

/**
 * The calls of rules, each answered once, and from lists where lists tell the same. Where a list cannot be read, its
 * resources are asked for one by one. How the region was when the list was read is what is answered from then on.
 * @param asking calls that no list is to answer
 * @param versions whether the versions of all functions are listed as well: then one list tells both
 * @param lists what is read in place of the calls that are to be made (`listsFor`): of these, what is asked first is begun with the first function
 */
export function wholeRegion(
  connection: Connection,
  watch: Watch,
  {
    asking = [],
    versions = false,
    lists = [],
  }: { readonly asking?: readonly AnyCall[]; readonly versions?: boolean; readonly lists?: readonly AnyCall[] } = {},
): WholeRegion {
  const functions = new Map<string, FunctionConfiguration>();
  const policies = new Map<string, readonly Statement[]>();
  const read = (document: string) => {
    const statements = policies.get(document) ?? readPolicy(document);
    policies.set(document, statements);
    return statements;
  };
  const make = async (call: AnyCall, input: never): Promise<unknown> => {
    await watch(call, input);
    return await call.run(connection, input);
  };
  const forAll = new Remembered();
  const forOneLook = (): Ports['connect'] => {
    const own = new Remembered();
    const answerOf = async (call: AnyCall, input: never): Promise<unknown> => {
      const listed = asking.includes(call) ? undefined : await answers.get(call.run)?.answer(input, known).catch(unlessUnread);
      if (listed !== undefined) return listed;
      return isOfOneFunction(input) ? await make(call, input) : await forAll.calls(call, input, () => make(call, input));
    };
    const answered = (call: AnyCall, input: never) => own.calls(call, input, () => answerOf(call, input));
    const known: Known = {
      functions,
      read,
      async ask(call, input) {
        const { lists } = isOfOneFunction(input) ? own : forAll;
        return (await lists(call, input, () => answered(call, input as never))) as Awaited<ReturnType<typeof call.run>>;
      },
      everyPage: async <Item>(call: AnyCall, read: Parameters<typeof allPages<Item>>[0]) =>
        (await forAll.lists(call, 'every page', () => allPages(read))) as readonly Item[],
    };
    return <const Calls extends readonly AnyCall[]>(calls: Calls) =>
      Object.fromEntries(calls.map((call) => [call.name, (input: never) => answered(call, input)])) as Handle<Calls>;
  };
  const whole = forOneLook();
  // Whoever needs a list gets what came of it, an error too.
  const begin = () => {
    for (const list of askedFirst.filter((one) => lists.includes(one)))
      forAll.lists(list, {}, () => forAll.calls(list, {}, () => make(list, {} as never))).catch(() => undefined);
  };
  const withVersions = async function* () {
    const aws = whole([versionsPage]);
    let Marker: string | undefined;
    do {
      const { functions: page, next } = await aws.versionsPage({ Marker });
      yield page;
      Marker = next;
    } while (Marker !== undefined && Marker !== '');
  };
  return {
    connect: whole,
    forOneLook,
    functions: async function* () {
      for await (const page of ahead(versions ? withVersions() : functionPages(connection))) {
        if (!versions) await watch(listFunctions, {});
        if (functions.size === 0 && page.length > 0) begin();
        for (const configuration of page) functions.set(configuration.FunctionArn ?? '', configuration);
        yield page;
      }
    },
  };
}

/** What is asked of a function's role, and of whatever is wrong: nobody waits for one of these lists after the other. */
const askedFirst: readonly AnyCall[] = [accountDetails, taggedFunctions];

/** Answers that are known to whoever holds this. */
class Remembered {
  readonly calls = asksOnce((error) => errorKind(error) === 'passing');
  /** A list that failed once is not asked for again. */
  readonly lists = asksOnce(() => false);
}

/** Whether something is asked about one function, which nobody asks who looks at another. */
function isOfOneFunction(input: object): boolean {
  return 'FunctionName' in input || ('Resource' in input && /:function:/.test(String(input.Resource))) || 'location' in input;
}

/** What has been read of the region. */
interface Known {
  readonly functions: ReadonlyMap<string, FunctionConfiguration>;
  /** The statements of a policy; many roles have the same. */
  readonly read: (document: string) => readonly Statement[];
  readonly ask: <Input extends object, Output>(call: Call<string, Input, Output>, input: Input) => Promise<Output>;
  /** A list that a call tells page by page, put together once. */
  readonly everyPage: <Item>(call: AnyCall, read: Parameters<typeof allPages<Item>>[0]) => Promise<readonly Item[]>;
}

/** What a call would answer, as lists tell it; undefined where they do not. */
interface Answer {
  readonly lists: readonly AnyCall[];
  readonly answer: (input: never, known: Known) => Promise<unknown>;
}

function from<Input, Output>(
  { run }: Call<string, Input, Output>,
  lists: readonly AnyCall[],
  answer: (input: Input, known: Known) => Promise<Output | undefined>,
): readonly [AnyCall['run'], Answer] {
  return [run, { lists, answer }];
}

/** Whatever kept a list from being read, the resource itself may answer. That it is not there is an answer. */
function unlessUnread(error: unknown): undefined {
  const kind = errorKind(error);
  if (kind === 'absent' || (kind === 'lasting' && !isAnswer(error))) throw error;
}

const $metadata = {};

/** What one field of an item holds, by which it is found. One function for each: it is what the index goes by. */
type Field<Item> = (item: Item) => readonly (string | undefined)[];

/** What an item goes by, as a filter of EC2 sees it. */
type Fields<Item> = Readonly<Record<string, Field<Item>>>;

const positions = new WeakMap<readonly unknown[], Map<unknown, ReadonlyMap<string | undefined, readonly number[]>>>();

/** Where the items of a list are, by what one field of theirs holds; a list is gone through once for each field. */
function positionsBy<Item>(list: readonly Item[], field: Field<Item>): ReadonlyMap<string | undefined, readonly number[]> {
  const byField = positions.get(list) ?? new Map();
  positions.set(list, byField);
  const known = byField.get(field);
  if (known !== undefined) return known;
  const found = new Map<string | undefined, number[]>();
  for (const [at, item] of list.entries())
    for (const value of new Set(field(item))) {
      const same = found.get(value);
      if (same === undefined) found.set(value, [at]);
      else same.push(at);
    }
  byField.set(field, found);
  return found;
}

/** The item of a list of which a field holds this name. */
function named<Item>(list: readonly Item[], field: Field<Item>, name: string | undefined): Item | undefined {
  const [at] = positionsBy(list, field).get(name) ?? [];
  return at === undefined ? undefined : list[at];
}

const itsArn = ({ arn }: { readonly arn?: string }) => [arn];
const itsRoleName = ({ RoleName }: { readonly RoleName?: string | undefined }) => [RoleName];
const itsPolicyArn = ({ Arn }: { readonly Arn?: string | undefined }) => [Arn];
const itsFunctionArn = ({ FunctionArn }: { readonly FunctionArn?: string | undefined }) => [FunctionArn];
const itsFunction = (one: { readonly function?: string }) => [one.function];
const itsApiId = ({ ApiId }: { readonly ApiId?: string | undefined }) => [ApiId];
const itsId = ({ id }: { readonly id?: string | undefined }) => [id];

/** Undefined where the list could not tell its variables. */
function listedFunction(arn: string, { functions }: Known): FunctionConfiguration | undefined {
  const configuration = functions.get(arn);
  return configuration?.Environment?.Error === undefined ? configuration : undefined;
}

/** A function's tags; undefined of what is no function. */
async function tagsOf(arn: string | undefined, { ask }: Known): Promise<Record<string, string> | undefined> {
  if (arn === undefined || !/:function:[^:]+$/.test(arn)) return undefined;
  return { ...named(await ask(taggedFunctions, {}), itsArn, arn)?.tags };
}

async function roleNamed(name: string | undefined, { ask }: Known) {
  return named((await ask(accountDetails, {})).roles, itsRoleName, name);
}

async function ownPolicy(arn: string | undefined, { ask }: Known) {
  return named((await ask(accountDetails, {})).policies, itsPolicyArn, arn);
}

/** The statements of every document by which a role gets rights; undefined where one is not known. */
async function statementsOf(arn: string, known: Known): Promise<readonly Statement[] | undefined> {
  const role = await roleNamed(roleName(arn), known);
  if (role?.Arn !== arn) return undefined;
  const attached = (role.AttachedManagedPolicies ?? []).map(async ({ PolicyArn }) => {
    const { Policy } = await known.ask(getManagedPolicy, { PolicyArn });
    const { PolicyVersion } = await known.ask(getPolicyVersion, { PolicyArn, VersionId: Policy?.DefaultVersionId });
    return PolicyVersion?.Document;
  });
  const documents = [...(role.RolePolicyList ?? []).map(({ PolicyDocument }) => PolicyDocument), ...(await Promise.all(attached))];
  return documents.every((document) => document !== undefined) ? documents.flatMap((document) => known.read(document)) : undefined;
}

/**
 * Whether a statement says anything of an action, on whatever condition.
 * @param everywhere whether it is asked about `*`, of which a statement about resources that it names whole says nothing
 */
function speaksOf({ Action, NotAction = [], Resource }: Statement, action: string, everywhere: boolean): boolean {
  if (everywhere && Resource?.every((resource) => !/[*?$]/.test(resource))) return false;
  const names = (patterns: readonly string[]) => patterns.some((pattern) => matchesGlob(action.toLowerCase(), pattern.toLowerCase()));
  return Action === undefined ? !names(NotAction) : names(Action);
}

/** Answers what is wanted of everything that there is of a kind in the region. */
function among<Item>(call: Call<string, Everything, readonly Item[]>, fields: Fields<Item>): readonly [AnyCall['run'], Answer] {
  return from(call, [], async (input, { ask }) => {
    const wanted = Object.entries<string | readonly string[]>(input).filter(([name]) => name in fields);
    if (wanted.length === 0) return undefined;
    const all = await ask(call, {});
    return withFields(all, fields, wanted);
  });
}

/** The items of a list whose every wanted field holds one of the values that are wanted of it, in the order of the list. */
function withFields<Item>(
  list: readonly Item[],
  fields: Fields<Item>,
  wanted: readonly (readonly [name: string, values: string | readonly string[]])[],
): readonly Item[] {
  const places = wanted.map(([name, values]) => {
    const field = fields[name];
    return field === undefined ? new Set<number>() : new Set([values].flat().flatMap((value) => positionsBy(list, field).get(value) ?? []));
  });
  const [first = new Set<number>(), ...others] = places;
  const inAll = [...first].filter((at) => others.every((place) => place.has(at)));
  return inAll.toSorted((a, b) => a - b).flatMap((at) => list[at] ?? []);
}

const fieldsOfAcl: Fields<NetworkAcl> = {
  'network-acl-id': ({ NetworkAclId }) => [NetworkAclId],
  'association.subnet-id': ({ Associations = [] }) => Associations.map(({ SubnetId }) => SubnetId),
  'vpc-id': ({ VpcId }) => [VpcId],
};
const fieldsOfGroup: Fields<SecurityGroup> = { 'group-id': ({ GroupId }) => [GroupId], 'vpc-id': ({ VpcId }) => [VpcId] };
const byArn = ({ ARN }: SecretListEntry) => [ARN];
const byArnWithoutEnd = ({ ARN }: SecretListEntry) => [ARN?.slice(0, -7)];

const answers: ReadonlyMap<AnyCall['run'], Answer> = new Map([
  // A list leaves out the state of a function, and of a published version everything.
  from(getFunctionConfiguration, [], async ({ FunctionName = '', Qualifier }, known) => {
    const configuration = Qualifier === undefined ? listedFunction(FunctionName, known) : undefined;
    return configuration && { ...configuration, $metadata };
  }),
  from(getFunctionUrlConfig, [listFunctionUrlConfigs], async ({ FunctionName = '', Qualifier }, { ask }) => {
    const arn = Qualifier === undefined ? FunctionName : `${FunctionName}:${Qualifier}`;
    const url = named(await ask(listFunctionUrlConfigs, { FunctionName }), itsFunctionArn, arn);
    if (url === undefined) throw new ResourceNotFoundException({ message: `${arn} has no URL`, $metadata });
    return { ...url, $metadata };
  }),
  from(listTags, [taggedFunctions], async ({ Resource }, known) => {
    const Tags = await tagsOf(Resource, known);
    return Tags && { Tags, $metadata };
  }),
  from(getTaggedFunction, [taggedFunctions], async ({ FunctionName = '', Qualifier }, known) => {
    const Configuration = Qualifier === undefined ? listedFunction(FunctionName, known) : undefined;
    const Tags = Configuration && (await tagsOf(FunctionName, known));
    return Tags && { Configuration, Tags, $metadata };
  }),
  from(getFunctionCodeSigningConfig, [signedFunctions], async ({ FunctionName = '' }, { ask }) => {
    const signed = named(await ask(signedFunctions, {}), itsFunction, FunctionName);
    return { FunctionName, CodeSigningConfigArn: signed?.config, $metadata };
  }),

  // No list tells a role's description and its longest session: whoever makes another like it reads it whole (getWholeRole).
  from(getRole, [accountDetails], async ({ RoleName }, known) => {
    const role = await roleNamed(RoleName, known);
    if (role === undefined) return undefined;
    const { Path, RoleId, Arn, CreateDate, AssumeRolePolicyDocument, PermissionsBoundary, Tags, RoleLastUsed } = role;
    const Role = { Path, RoleName, RoleId, Arn, CreateDate, AssumeRolePolicyDocument, PermissionsBoundary, Tags, RoleLastUsed };
    return { Role, $metadata };
  }),
  from(listRolePolicies, [accountDetails], async ({ RoleName }, known) =>
    (await roleNamed(RoleName, known))?.RolePolicyList?.flatMap(({ PolicyName }) => PolicyName ?? []),
  ),
  from(listAttachedRolePolicies, [accountDetails], async ({ RoleName }, known) =>
    (await roleNamed(RoleName, known))?.AttachedManagedPolicies?.flatMap(({ PolicyArn }) => PolicyArn ?? []),
  ),
  from(getRolePolicy, [accountDetails], async ({ RoleName, PolicyName }, known) => {
    const policy = (await roleNamed(RoleName, known))?.RolePolicyList?.find((one) => one.PolicyName === PolicyName);
    return policy === undefined ? undefined : { RoleName, PolicyName, PolicyDocument: policy.PolicyDocument, $metadata };
  }),
  from(getManagedPolicy, [accountDetails], async ({ PolicyArn }, known) => {
    const Policy = await ownPolicy(PolicyArn, known);
    return Policy === undefined ? undefined : { Policy, $metadata };
  }),
  from(getPolicyVersion, [accountDetails], async ({ PolicyArn, VersionId }, known) => {
    const PolicyVersion = (await ownPolicy(PolicyArn, known))?.PolicyVersionList?.find((one) => one.VersionId === VersionId);
    return PolicyVersion === undefined ? undefined : { PolicyVersion, $metadata };
  }),
  // What no document of a role speaks of needs no simulation: a boundary and the organization only take away.
  from(
    simulatePrincipalPolicy,
    [accountDetails, getManagedPolicy, getPolicyVersion],
    async ({ PolicySourceArn = '', ActionNames = [], ResourceArns, PolicyInputList, ResourcePolicy }, known) => {
      if (PolicyInputList !== undefined || ResourcePolicy !== undefined) return undefined;
      const statements = await statementsOf(PolicySourceArn, known);
      const speaks = (action: string) => statements?.some((statement) => speaksOf(statement, action, ResourceArns === undefined));
      if (statements === undefined || ActionNames.some(speaks)) return undefined;
      const EvaluationResults = ActionNames.map((EvalActionName) => ({ EvalActionName, EvalDecision: 'implicitDeny' as const }));
      return { EvaluationResults, IsTruncated: false, $metadata };
    },
  ),

  // A name may end like the six characters that AWS adds: the whole ARN comes first.
  from(describeSecret, [listSecrets], async ({ SecretId = '' }, { ask, everyPage }) => {
    const secrets = await everyPage(listSecrets, async (NextToken) => {
      const page = await ask(listSecrets, { NextToken, MaxResults: 100 });
      return { items: page.SecretList, next: page.NextToken };
    });
    const secret = named(secrets, byArn, SecretId) ?? named(secrets, byArnWithoutEnd, SecretId);
    if (secret === undefined) return undefined;
    const { SecretVersionsToStages: _, ...rest } = secret;
    return { ...rest, $metadata };
  }),

  from(getApi, [getApis], async ({ ApiId }, { ask }) => {
    const api = named(await ask(getApis, {}), itsApiId, ApiId);
    return api === undefined ? undefined : { ...api, $metadata };
  }),
  from(getRestApi, [getRestApis], async ({ restApiId }, { ask }) => {
    const api = named(await ask(getRestApis, {}), itsId, restApiId);
    return api === undefined ? undefined : { ...api, $metadata };
  }),

  among(describeSubnets, { vpc: ({ VpcId }) => [VpcId], subnets: ({ SubnetId }) => [SubnetId] }),
  among(describeNetworkInterfaces, {
    subnets: ({ SubnetId }) => [SubnetId],
    groups: ({ Groups = [] }) => Groups.map(({ GroupId }) => GroupId),
  }),
  among(describeSecurityGroupRules, { groups: ({ GroupId }) => [GroupId] }),
  among(describeRouteTables, { vpc: ({ VpcId }) => [VpcId], tables: ({ RouteTableId }) => [RouteTableId] }),
  among(describeVpcEndpoints, { vpc: ({ VpcId }) => [VpcId] }),
  among(describeNatGateways, { vpc: ({ VpcId }) => [VpcId] }),
  among(describeInternetGateways, { vpc: ({ Attachments = [] }) => Attachments.map(({ VpcId }) => VpcId) }),
  from(describeNetworkAcls, [], async (wanted, { ask }) => {
    if (!('by' in wanted)) return undefined;
    return withFields(await ask(describeNetworkAcls, {}), fieldsOfAcl, [[wanted.by, wanted.ids]]);
  }),
  from(describeSecurityGroups, [], async ({ Filters = [], ...more }, { ask, everyPage }) => {
    const isKnown = Filters.length > 0 && Filters.every(({ Name = '' }) => Name in fieldsOfGroup) && Object.keys(more).length === 0;
    if (!isKnown) return undefined;
    const groups = await everyPage(describeSecurityGroups, async (NextToken) => {
      const page = await ask(describeSecurityGroups, { MaxResults: 1000, NextToken });
      return { items: page.SecurityGroups, next: page.NextToken };
    });
    const wanted = Filters.map(({ Name = '', Values = [] }) => [Name, Values] as const);
    return { SecurityGroups: [...withFields(groups, fieldsOfGroup, wanted)], $metadata };
  }),
]);
