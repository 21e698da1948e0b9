import { ResourceNotFoundException } from '@aws-sdk/client-lambda';
import { matchesGlob, roleName } from '../guard/arn.ts';
import type { AnyCall, Call, Connection, Handle } from '../guard/call.ts';
import { errorKind, isAnswer } from '../guard/errors.ts';
import { readPolicy } from '../guard/policy-document.ts';
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
import { connect, type Watch } from './handle.ts';
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
  listFunctions,
  listFunctionUrlConfigs,
  listTags,
  signedFunctions,
} from './lambda.ts';
import { taggedFunctions } from './tags.ts';

/** Who looks at a whole region reads lists first: what they tell of every resource is asked for none of them alone. */
export interface WholeRegion {
  readonly connect: Ports['connect'];
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
 */
export function wholeRegion(connection: Connection, watch: Watch, asking: readonly AnyCall[] = []): WholeRegion {
  const functions = new Map<string, FunctionConfiguration>();
  const answerOf = async (call: AnyCall, input: never): Promise<unknown> => {
    const listed = asking.includes(call) ? undefined : await answers.get(call.run)?.answer(input, known).catch(unlessUnread);
    if (listed !== undefined) return listed;
    const handle = connect([call], connection, watch) as Readonly<Record<string, (input: never) => Promise<unknown>>>;
    return await handle[call.name]?.(input);
  };
  const once = asksOnce((error) => errorKind(error) === 'passing');
  const answered = (call: AnyCall, input: never) => once(call, input, () => answerOf(call, input));
  // A list that failed once is not asked for again.
  const lists = asksOnce(() => false);
  const known: Known = {
    functions,
    ask: async (call, input) => (await lists(call, input, () => answered(call, input as never))) as Awaited<ReturnType<typeof call.run>>,
  };
  return {
    connect: <const Calls extends readonly AnyCall[]>(calls: Calls) =>
      Object.fromEntries(calls.map((call) => [call.name, (input: never) => answered(call, input)])) as Handle<Calls>,
    functions: async function* () {
      for await (const page of functionPages(connection)) {
        await watch(listFunctions, {});
        for (const configuration of page) functions.set(configuration.FunctionArn ?? '', configuration);
        yield page;
      }
    },
  };
}

/** What has been read of the region. */
interface Known {
  readonly functions: ReadonlyMap<string, FunctionConfiguration>;
  readonly ask: <Input, Output>(call: Call<string, Input, Output>, input: Input) => Promise<Output>;
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

const indexes = new WeakMap<readonly unknown[], ReadonlyMap<unknown, unknown>>();

/** The item of a list that goes by this name; a list is gone through once, and always by the same kind of name. */
function named<Item>(list: readonly Item[], nameOf: (item: Item) => string | undefined, name: string | undefined): Item | undefined {
  const index = indexes.get(list) ?? new Map(list.map((item) => [nameOf(item), item]));
  indexes.set(list, index);
  return index.get(name) as Item | undefined;
}

async function roleNamed(name: string | undefined, { ask }: Known) {
  return named((await ask(accountDetails, {})).roles, ({ RoleName }) => RoleName, name);
}

async function ownPolicy(arn: string | undefined, { ask }: Known) {
  return named((await ask(accountDetails, {})).policies, ({ Arn }) => Arn, arn);
}

/** Every document by which a role gets rights; undefined where one is not known. */
async function documentsOf(arn: string, known: Known): Promise<readonly string[] | undefined> {
  const role = await roleNamed(roleName(arn), known);
  if (role?.Arn !== arn) return undefined;
  const attached = (role.AttachedManagedPolicies ?? []).map(async ({ PolicyArn }) => {
    const { Policy } = await known.ask(getManagedPolicy, { PolicyArn });
    const { PolicyVersion } = await known.ask(getPolicyVersion, { PolicyArn, VersionId: Policy?.DefaultVersionId });
    return PolicyVersion?.Document;
  });
  const documents = [...(role.RolePolicyList ?? []).map(({ PolicyDocument }) => PolicyDocument), ...(await Promise.all(attached))];
  return documents.every((document) => document !== undefined) ? documents : undefined;
}

/** Whether a document says anything of an action, on whatever resource and condition. */
function speaksOf(document: string, action: string): boolean {
  const names = (patterns: readonly string[]) => patterns.some((pattern) => matchesGlob(action.toLowerCase(), pattern.toLowerCase()));
  return readPolicy(document).some(({ Action, NotAction = [] }) => (Action === undefined ? !names(NotAction) : names(Action)));
}

/** What an item goes by, as a filter of EC2 sees it. */
type Fields<Item> = Readonly<Record<string, (item: Item) => readonly (string | undefined)[]>>;

/** Answers what is wanted of everything that there is of a kind in the region. */
function among<Item>(call: Call<string, Everything, readonly Item[]>, fields: Fields<Item>): readonly [AnyCall['run'], Answer] {
  return from(call, [], async (input, { ask }) => {
    const wanted = Object.entries<string | readonly string[]>(input).filter(([name]) => name in fields);
    if (wanted.length === 0) return undefined;
    const all = await ask(call, {});
    return all.filter((item) =>
      wanted.every(([name, values]) => fields[name]?.(item).some((value) => [values].flat().includes(value ?? ''))),
    );
  });
}

const answers: ReadonlyMap<AnyCall['run'], Answer> = new Map([
  // A list leaves out the state of a function, and of a published version everything.
  from(getFunctionConfiguration, [], async ({ FunctionName = '', Qualifier }, { functions }) => {
    const configuration = Qualifier === undefined ? functions.get(FunctionName) : undefined;
    return configuration === undefined || configuration.Environment?.Error !== undefined ? undefined : { ...configuration, $metadata };
  }),
  from(getFunctionUrlConfig, [listFunctionUrlConfigs], async ({ FunctionName = '', Qualifier }, { ask }) => {
    const arn = Qualifier === undefined ? FunctionName : `${FunctionName}:${Qualifier}`;
    const url = named(await ask(listFunctionUrlConfigs, { FunctionName }), ({ FunctionArn }) => FunctionArn, arn);
    if (url === undefined) throw new ResourceNotFoundException({ message: `${arn} has no URL`, $metadata });
    return { ...url, $metadata };
  }),
  from(listTags, [taggedFunctions], async ({ Resource = '' }, { ask }) => {
    if (!/:function:[^:]+$/.test(Resource)) return undefined;
    return { Tags: { ...named(await ask(taggedFunctions, {}), ({ arn }) => arn, Resource)?.tags }, $metadata };
  }),
  from(getFunctionCodeSigningConfig, [signedFunctions], async ({ FunctionName = '' }, { ask }) => {
    const signed = named(await ask(signedFunctions, {}), (one) => one.function, FunctionName);
    return signed === undefined ? undefined : { FunctionName, CodeSigningConfigArn: signed.config, $metadata };
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
    async ({ PolicySourceArn = '', ActionNames = [], PolicyInputList, ResourcePolicy }, known) => {
      if (PolicyInputList !== undefined || ResourcePolicy !== undefined) return undefined;
      const documents = await documentsOf(PolicySourceArn, known);
      if (documents === undefined || ActionNames.some((action) => documents.some((document) => speaksOf(document, action))))
        return undefined;
      const EvaluationResults = ActionNames.map((EvalActionName) => ({ EvalActionName, EvalDecision: 'implicitDeny' as const }));
      return { EvaluationResults, IsTruncated: false, $metadata };
    },
  ),

  from(getApi, [getApis], async ({ ApiId }, { ask }) => {
    const api = named(await ask(getApis, {}), (one) => one.ApiId, ApiId);
    return api === undefined ? undefined : { ...api, $metadata };
  }),
  from(getRestApi, [getRestApis], async ({ restApiId }, { ask }) => {
    const api = named(await ask(getRestApis, {}), ({ id }) => id, restApiId);
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
    const { by, ids } = wanted;
    const fields: Fields<NetworkAcl> = {
      'network-acl-id': ({ NetworkAclId }) => [NetworkAclId],
      'association.subnet-id': ({ Associations = [] }) => Associations.map(({ SubnetId }) => SubnetId),
      'vpc-id': ({ VpcId }) => [VpcId],
    };
    return (await ask(describeNetworkAcls, {})).filter((acl) => fields[by]?.(acl).some((name) => ids.includes(name ?? '')));
  }),
  from(describeSecurityGroups, [], async ({ Filters = [], ...more }, { ask }) => {
    const fields: Fields<SecurityGroup> = { 'group-id': ({ GroupId }) => [GroupId], 'vpc-id': ({ VpcId }) => [VpcId] };
    const isKnown = Filters.length > 0 && Filters.every(({ Name = '' }) => Name in fields) && Object.keys(more).length === 0;
    if (!isKnown) return undefined;
    const groups: SecurityGroup[] = [];
    let NextToken: string | undefined;
    do {
      const page = await ask(describeSecurityGroups, { MaxResults: 1000, ...(NextToken === undefined ? {} : { NextToken }) });
      groups.push(...(page.SecurityGroups ?? []));
      ({ NextToken } = page);
    } while (NextToken !== undefined);
    const wanted = (group: SecurityGroup) =>
      Filters.every(({ Name = '', Values = [] }) => fields[Name]?.(group).some((name) => Values.includes(name ?? '')));
    return { SecurityGroups: groups.filter(wanted), $metadata };
  }),
]);
