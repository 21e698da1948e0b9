import { isDeepStrictEqual } from 'node:util';
import {
  AddPermissionCommand,
  type AddPermissionCommandInput,
  type AliasConfiguration,
  DeleteFunctionCodeSigningConfigCommand,
  DeleteFunctionConcurrencyCommand,
  DeleteResourcePolicyCommand,
  type EventSourceMappingConfiguration,
  type FunctionConfiguration,
  type FunctionUrlConfig,
  GetCodeSigningConfigCommand,
  GetEventSourceMappingCommand,
  GetFunctionCodeSigningConfigCommand,
  GetFunctionCommand,
  type GetFunctionCommandInput,
  type GetFunctionCommandOutput,
  GetFunctionConcurrencyCommand,
  GetFunctionConfigurationCommand,
  GetFunctionUrlConfigCommand,
  GetLayerVersionByArnCommand,
  GetPolicyCommand,
  GetResourcePolicyCommand,
  LambdaClient,
  ListAliasesCommand,
  ListCodeSigningConfigsCommand,
  ListEventSourceMappingsCommand,
  ListFunctionsByCodeSigningConfigCommand,
  ListFunctionsCommand,
  ListFunctionUrlConfigsCommand,
  ListTagsCommand,
  type ListTagsCommandInput,
  PutFunctionCodeSigningConfigCommand,
  PutFunctionConcurrencyCommand,
  PutResourcePolicyCommand,
  RemovePermissionCommand,
  UpdateAliasCommand,
  type UpdateAliasCommandInput,
  UpdateCodeSigningConfigCommand,
  UpdateEventSourceMappingCommand,
  UpdateFunctionCodeCommand,
  type UpdateFunctionCodeCommandInput,
  UpdateFunctionConfigurationCommand,
  type UpdateFunctionConfigurationCommandInput,
  UpdateFunctionUrlConfigCommand,
} from '@aws-sdk/client-lambda';
import type { Call, Connection, Permission, Within } from '../guard/call.ts';
import { errorName, ifPresent, RetryLater } from '../guard/errors.ts';
import { liveConfigurations } from '../guard/live.ts';
import { setupOf } from '../guard/run-setup.ts';
import { callsOf } from './call.ts';
import { clientPerRegion, oneEndpoint, patience } from './clients.ts';
import { allPages } from './pages.ts';

export type {
  AliasConfiguration,
  FunctionConfiguration,
  GetFunctionCommandOutput,
  GetFunctionUrlConfigCommandOutput,
} from '@aws-sdk/client-lambda';

// Actions, resources and condition keys:
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html
const functions = 'arn:${AWS::Partition}:lambda:*:${AWS::AccountId}:function:*';

const client = clientPerRegion((settings) => new LambdaClient({ ...settings, ...oneEndpoint }));
const call = callsOf('lambda', (connection, command) => client(connection).send(command));

/** With the function's tags, which Lambda leaves out where the caller may not list them. */
export const getFunction = call('GetFunction', GetFunctionCommand, {
  resource: functions,
  also: [{ action: 'lambda:ListTags', resource: functions }],
});
/** The same for whoever wants no more than configuration and tags, which lists tell as well; an error where the tags may not be read. */
export const getTaggedFunction = {
  ...getFunction,
  name: 'getTaggedFunction' as const,
  run: async (
    connection: Connection,
    input: GetFunctionCommandInput,
  ): Promise<Pick<GetFunctionCommandOutput, 'Configuration' | 'Tags' | '$metadata'>> => {
    const { Configuration, Tags, TagsError, $metadata } = await getFunction.run(connection, input);
    if (TagsError === undefined) return { Configuration, Tags, $metadata };
    const { ErrorCode = 'AccessDeniedException', Message = '' } = TagsError;
    throw Object.assign(new Error(Message), { name: ErrorCode, $metadata });
  },
};

const inFunction = <Input>(
  input: (input: Input) => GetFunctionCommandInput,
  answer: (answer: GetFunctionCommandOutput) => unknown,
): readonly Within[] => [getTaggedFunction, getFunction].map((call) => ({ call, input, answer }));

export const getFunctionConfiguration = {
  ...call('GetFunctionConfiguration', GetFunctionConfigurationCommand, { resource: functions }),
  within: inFunction(
    (input: GetFunctionCommandInput) => input,
    ({ Configuration }) => Configuration,
  ),
};

/**
 * Use of customer-managed keys through Lambda, and only so: whoever reads or writes variables or packages that are
 * encrypted with one needs it. https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars-encryption.html
 */
export const keysThroughLambda = (...actions: readonly string[]): readonly Permission[] =>
  actions.map((action) => ({
    action,
    resource: 'arn:${AWS::Partition}:kms:*:${AWS::AccountId}:key/*',
    condition: { StringLike: { 'kms:ViaService': 'lambda.*.amazonaws.com*' } },
  }));

/** A configuration together with its variables, for the rules that have to read those. */
export const getDecryptedConfiguration = {
  ...getFunctionConfiguration,
  name: 'getDecryptedConfiguration' as const,
  permissions: [...getFunctionConfiguration.permissions, ...keysThroughLambda('kms:Decrypt')],
};
/** The same of GetFunction, for the rules that have to know what a function runs with. */
export const getDecryptedFunction = {
  ...getFunction,
  name: 'getDecryptedFunction' as const,
  permissions: [...getFunction.permissions, ...keysThroughLambda('kms:Decrypt')],
};
export const getFunctionUrlConfig = call('GetFunctionUrlConfig', GetFunctionUrlConfigCommand, { resource: functions });
export const getPolicy = call('GetPolicy', GetPolicyCommand, { resource: functions });
/** The same document, with the revision that the calls below are bound to. https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html */
export const getResourcePolicy = call('GetResourcePolicy', GetResourcePolicyCommand, {
  resource: functions,
  also: [{ action: 'lambda:GetPolicy', resource: functions }],
});
export const listTags = {
  ...call('ListTags', ListTagsCommand, { resource: functions }),
  within: inFunction(
    ({ Resource }: ListTagsCommandInput) => ({ FunctionName: Resource }),
    ({ Tags = {}, TagsError }) => (TagsError === undefined ? { Tags } : undefined),
  ),
};

/** Every alias of a function, all pages. */
export const listAliases: Call<'listAliases', { readonly FunctionName: string }, readonly AliasConfiguration[]> = {
  name: 'listAliases',
  service: 'lambda',
  permissions: [{ action: 'lambda:ListAliases', resource: functions }],
  alreadyDone: [],
  run: (connection, input) =>
    allPages(async (Marker) => {
      const page = await client(connection).send(new ListAliasesCommand({ ...input, Marker, MaxItems: 50 }));
      return { items: page.Aliases, next: page.NextMarker };
    }),
};

/** Every qualifier of a function that has a URL, all pages. */
export const listFunctionUrlConfigs: Call<'listFunctionUrlConfigs', { readonly FunctionName: string }, readonly FunctionUrlConfig[]> = {
  name: 'listFunctionUrlConfigs',
  service: 'lambda',
  permissions: [{ action: 'lambda:ListFunctionUrlConfigs', resource: functions }],
  alreadyDone: [],
  run: (connection, input) =>
    allPages(async (Marker) => {
      const page = await client(connection).send(new ListFunctionUrlConfigsCommand({ ...input, Marker, MaxItems: 50 }));
      return { items: page.FunctionUrlConfigs, next: page.NextMarker };
    }),
};

/** The functions of a region, page by page (50 a page): what a sweep walks through. */
export async function* functionPages(connection: Connection): AsyncGenerator<readonly FunctionConfiguration[]> {
  let Marker: string | undefined;
  do {
    const page = await client(connection).send(new ListFunctionsCommand({ Marker, MaxItems: 50 }));
    yield page.Functions ?? [];
    Marker = page.NextMarker;
  } while (Marker !== undefined && Marker !== '');
}

/** A page of the functions of a region and of all their published versions, which come by their ARNs alone; 50 a page, both together. */
export const versionsPage: Call<
  'versionsPage',
  { readonly Marker?: string | undefined },
  { readonly functions: readonly FunctionConfiguration[]; readonly arns: readonly string[]; readonly next: string | undefined }
> = {
  name: 'versionsPage',
  service: 'lambda',
  operation: 'ListFunctions',
  permissions: [{ action: 'lambda:ListFunctions', resource: '*' }],
  alreadyDone: [],
  run: async (connection, { Marker }) => {
    const page = await client(connection).send(new ListFunctionsCommand({ FunctionVersion: 'ALL', Marker, MaxItems: 50 }));
    const [functions, arns]: [FunctionConfiguration[], string[]] = [[], []];
    for (const configuration of page.Functions ?? []) {
      const { FunctionArn = '', Version } = configuration;
      if (Version === '$LATEST') functions.push({ ...configuration, FunctionArn: FunctionArn.replace(/:\$LATEST$/, '') });
      else arns.push(FunctionArn);
    }
    return { functions, arns, next: page.NextMarker };
  },
};

/** For the sweep's own role: what functionPages() needs. */
export const listFunctions: Call<'listFunctions', object, readonly FunctionConfiguration[]> = {
  name: 'listFunctions',
  service: 'lambda',
  permissions: [{ action: 'lambda:ListFunctions', resource: '*' }],
  alreadyDone: [],
  run: async (connection) => {
    const all: FunctionConfiguration[] = [];
    for await (const page of functionPages(connection)) all.push(...page);
    return all;
  },
};

// What is gone asks for nothing more: neither a fix nor an undo.
const gone = ['ResourceNotFoundException'];

export const updateFunctionUrlConfig = call('UpdateFunctionUrlConfig', UpdateFunctionUrlConfigCommand, {
  resource: functions,
  alreadyDone: gone,
});
const grant = call('AddPermission', AddPermissionCommand, { resource: functions, alreadyDone: gone });
/** A conflict is a statement that is there already, or an update of the function under way: only the message tells. */
export const addPermission = {
  ...grant,
  run: async (connection: Connection, input: AddPermissionCommandInput): Promise<void> => {
    try {
      await grant.run(connection, input);
    } catch (error) {
      if (errorName(error) !== 'ResourceConflictException' || !/already exists/.test(String(error))) throw error;
    }
  },
};
export const removePermission = call('RemovePermission', RemovePermissionCommand, {
  resource: functions,
  alreadyDone: ['ResourceNotFoundException'],
});
// Each needs the older actions as well: https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html
const putsPolicy = ['lambda:AddPermission', 'lambda:RemovePermission'].map((action) => ({ action, resource: functions }));
export const putResourcePolicy = call('PutResourcePolicy', PutResourcePolicyCommand, {
  resource: functions,
  also: putsPolicy,
  alreadyDone: gone,
});
export const deleteResourcePolicy = call('DeleteResourcePolicy', DeleteResourcePolicyCommand, {
  resource: functions,
  also: [{ action: 'lambda:RemovePermission', resource: functions }],
  alreadyDone: gone,
});

/**
 * Puts a policy back as it was, over the one that is there at the time and no other. Where it is back already, or the
 * function, version or alias is gone, nothing is written.
 */
export const restoreResourcePolicy: Call<'restoreResourcePolicy', { readonly ResourceArn: string; readonly Policy: string }, void> = {
  name: 'restoreResourcePolicy',
  service: 'lambda',
  operation: 'PutResourcePolicy',
  permissions: [...putResourcePolicy.permissions, ...getResourcePolicy.permissions],
  alreadyDone: gone,
  run: async (connection, { ResourceArn, Policy }) => {
    const now = await ifPresent(getResourcePolicy.run(connection, { ResourceArn }));
    if (now?.Policy !== undefined && isDeepStrictEqual(JSON.parse(now.Policy), JSON.parse(Policy))) return;
    await putResourcePolicy.run(connection, { ResourceArn, Policy, RevisionId: now?.RevisionId });
  },
};

/**
 * A write of a function's configuration that brings no code into it: the key is there where a request names layers, and a
 * layer is code. A call that is to put layers back declares a permission of its own.
 * https://docs.aws.amazon.com/lambda/latest/dg/permissions-user-layer.html
 */
export const configurationWithoutLayers: Permission = {
  action: 'lambda:UpdateFunctionConfiguration',
  resource: functions,
  condition: { Null: { 'lambda:Layer': 'true' } },
};
const updateConfiguration = {
  ...call('UpdateFunctionConfiguration', UpdateFunctionConfigurationCommand, { resource: functions }),
  permissions: [configurationWithoutLayers],
};
const passedToLambda = { StringEquals: { 'iam:PassedToService': 'lambda.amazonaws.com' } };

/**
 * Gives a function another role. Whoever calls must be allowed to pass it to Lambda, and may pass only roles that the
 * guard made. RevisionId refuses where the function was changed since it was read; when the step is repeated after a
 * kill that revision is used up, and the role itself tells that it was done.
 */
export const switchRole = {
  ...updateConfiguration,
  name: 'switchRole' as const,
  permissions: [
    ...updateConfiguration.permissions,
    ...getFunctionConfiguration.permissions,
    { action: 'iam:PassRole', resource: 'arn:${AWS::Partition}:iam::${AWS::AccountId}:role/compliance-guard/*', condition: passedToLambda },
  ],
  run: async (connection: Connection, input: RoleSwitch & { readonly RevisionId: string }): Promise<void> => {
    try {
      await updateConfiguration.run(connection, input);
    } catch (error) {
      // What Lambda says of a role that is too young for it. https://github.com/aws/aws-sdk-js/issues/4408
      const young = error instanceof Error && /cannot be assumed by Lambda|execution role does not have permissions/.test(error.message);
      if (young) throw new RetryLater(`${input.Role} is not known to Lambda yet`);
      if (errorName(error) !== 'PreconditionFailedException') throw error;
      const { Role } = await getFunctionConfiguration.run(connection, { FunctionName: input.FunctionName });
      if (Role !== input.Role) throw error;
    }
  },
};

interface RoleSwitch {
  readonly FunctionName: string;
  readonly Role: string;
}

/**
 * The undo of switchRole, and only that: a role that somebody chose since stays, and a role that a live version took
 * over when it was published is not taken from under it. Only roles that the operator listed can be passed.
 */
export const switchRoleBack = {
  ...updateConfiguration,
  name: 'switchRoleBack' as const,
  permissions: [
    ...updateConfiguration.permissions,
    ...getFunctionConfiguration.permissions,
    ...listAliases.permissions,
    { action: 'iam:PassRole', resource: '${RoleSharedSplitRoles}', condition: passedToLambda },
  ],
  run: async (connection: Connection, { from, ...input }: RoleSwitch & { readonly from: string }): Promise<void> => {
    const live = await liveConfigurations(
      {
        getFunctionConfiguration: (named) => getFunctionConfiguration.run(connection, named),
        listAliases: (named) => listAliases.run(connection, named),
      },
      input.FunctionName,
    );
    const held = live?.find(({ version, configuration }) => version !== '$LATEST' && configuration.Role === from);
    if (held !== undefined)
      throw new RoleInUse(
        `version ${held.version} of ${input.FunctionName}, which ${held.aliases.join(', ')} routes to, runs with ${from}`,
      );
    const latest = live?.[0]?.configuration;
    if (latest?.Role === from) await updateConfiguration.run(connection, { ...input, RevisionId: latest.RevisionId });
  },
};

/**
 * Encrypts a function's variables with another key; an empty KMSKeyArn stands for the one that Lambda itself has. Lambda reads
 * and writes them, and makes a grant for the execution role, with the caller's rights on the customer's key.
 * https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars-encryption.html
 */
export const encryptVariables = {
  ...updateConfiguration,
  name: 'encryptVariables' as const,
  permissions: [
    ...updateConfiguration.permissions,
    ...getFunctionConfiguration.permissions,
    ...['kms:CreateGrant', 'kms:Decrypt', 'kms:Encrypt'].map((action) => ({
      action,
      resource: '${EnvironmentWithoutCmkArn}',
      condition: { StringLike: { 'kms:ViaService': 'lambda.*.amazonaws.com*' } },
    })),
  ],
  run: async (
    connection: Connection,
    input: { readonly FunctionName: string; readonly KMSKeyArn: string; readonly RevisionId?: string },
  ): Promise<void> => {
    try {
      await updateConfiguration.run(connection, input);
    } catch (error) {
      if (errorName(error) === 'ResourceNotFoundException') return;
      if (errorName(error) !== 'PreconditionFailedException') throw error;
      const { KMSKeyArn = '' } = await getFunctionConfiguration.run(connection, { FunctionName: input.FunctionName });
      if (KMSKeyArn !== input.KMSKeyArn) throw error;
    }
  },
};

/** Layers belong to their publishers, in any account; whoever gives a function one must be allowed to read it. */
const layers = 'arn:${AWS::Partition}:lambda:*:*:layer:*';
export const getLayerVersionByArn = call('GetLayerVersionByArn', GetLayerVersionByArnCommand, {
  action: 'lambda:GetLayerVersion',
  resource: layers,
});

/**
 * Makes an update that may name layers. When the step is repeated after a kill its RevisionId is used up, and the
 * configuration itself tells that it was done. A layer that is gone is an error: nothing can give the function that one again.
 */
async function updateWithLayers(
  connection: Connection,
  input: UpdateFunctionConfigurationCommandInput,
  isSet: (now: FunctionConfiguration | undefined) => boolean,
): Promise<void> {
  try {
    await updateConfiguration.run(connection, input);
  } catch (error) {
    const missing = errorName(error) === 'ResourceNotFoundException';
    if (!missing && errorName(error) !== 'PreconditionFailedException') throw error;
    const now = await ifPresent(getFunctionConfiguration.run(connection, { FunctionName: input.FunctionName }));
    if (missing && now === undefined) return;
    if (!isSet(now)) throw error;
  }
}

/** Gives a function these layers, in this order, and no others. */
export const putLayers = {
  ...updateConfiguration,
  name: 'putLayers' as const,
  permissions: [
    { action: 'lambda:UpdateFunctionConfiguration', resource: functions },
    ...getFunctionConfiguration.permissions,
    ...getLayerVersionByArn.permissions,
  ],
  run: async (
    connection: Connection,
    input: { readonly FunctionName: string; readonly Layers: string[]; readonly RevisionId?: string },
  ): Promise<void> =>
    await updateWithLayers(
      connection,
      input,
      (now) => JSON.stringify((now?.Layers ?? []).map(({ Arn }) => Arn)) === JSON.stringify(input.Layers),
    ),
};

/** Puts parts of what a function runs back, and no others. */
export const putSetup = {
  ...updateConfiguration,
  name: 'putSetup' as const,
  permissions: putLayers.permissions,
  run: async (
    connection: Connection,
    input: Pick<UpdateFunctionConfigurationCommandInput, 'FunctionName' | 'Handler' | 'Runtime' | 'Layers' | 'ImageConfig' | 'RevisionId'>,
  ): Promise<void> => await updateWithLayers(connection, input, (now) => now !== undefined && isSetUp(now, input)),
};

function isSetUp(
  now: FunctionConfiguration,
  { FunctionName = '', Handler, Runtime, Layers, ImageConfig }: UpdateFunctionConfigurationCommandInput,
) {
  const wanted = setupOf({ Handler, Runtime, Layers: Layers?.map((Arn) => ({ Arn })), ImageConfigResponse: { ImageConfig } }, FunctionName);
  const is = setupOf(now, FunctionName);
  return (
    (Handler === undefined || is.handler === wanted.handler) &&
    (Runtime === undefined || is.runtime === wanted.runtime) &&
    (Layers === undefined || is.layers === wanted.layers) &&
    (ImageConfig === undefined || is.command === wanted.command)
  );
}

const codeSigningConfigs = 'arn:${AWS::Partition}:lambda:*:${AWS::AccountId}:code-signing-config:*';
export const getCodeSigningConfig = call('GetCodeSigningConfig', GetCodeSigningConfigCommand, { resource: codeSigningConfigs });
export const listCodeSigningTags = {
  ...call('ListTags', ListTagsCommand, { resource: codeSigningConfigs }),
  name: 'listCodeSigningTags' as const,
};
export const getFunctionCodeSigningConfig = call('GetFunctionCodeSigningConfig', GetFunctionCodeSigningConfigCommand, {
  resource: functions,
});
/** The functions of a region that have a code signing configuration, and which: a call for each configuration. */
export const signedFunctions: Call<'signedFunctions', object, readonly { readonly function: string; readonly config: string }[]> = {
  name: 'signedFunctions',
  service: 'lambda',
  operation: 'ListFunctionsByCodeSigningConfig',
  permissions: [
    { action: 'lambda:ListCodeSigningConfigs', resource: '*' },
    { action: 'lambda:ListFunctionsByCodeSigningConfig', resource: codeSigningConfigs },
  ],
  alreadyDone: [],
  async run(connection) {
    const configs = await allPages(async (Marker) => {
      const page = await client(connection).send(new ListCodeSigningConfigsCommand({ Marker }));
      return { items: page.CodeSigningConfigs, next: page.NextMarker };
    });
    const signed = configs.map(({ CodeSigningConfigArn }) =>
      allPages(async (Marker) => {
        const page = await client(connection).send(new ListFunctionsByCodeSigningConfigCommand({ CodeSigningConfigArn, Marker }));
        const items = page.FunctionArns?.map((arn) => ({ function: arn, config: CodeSigningConfigArn ?? '' }));
        return { items, next: page.NextMarker };
      }),
    );
    return (await Promise.all(signed)).flat();
  },
};

const putCodeSigning = (condition?: Permission['condition']) =>
  call('PutFunctionCodeSigningConfig', PutFunctionCodeSigningConfigCommand, {
    resource: [functions, codeSigningConfigs],
    ...(condition === undefined ? {} : { condition }),
    alreadyDone: gone,
  });
/** Only the configuration that functions must have. */
export const putFunctionCodeSigningConfig = putCodeSigning({
  StringEquals: { 'lambda:CodeSigningConfigArn': '${CodeSigningOffConfigArn}' },
});
/** The undo of that, where the function had another configuration. */
export const putCodeSigningBack = { ...putCodeSigning(), name: 'putCodeSigningBack' as const };
export const deleteFunctionCodeSigningConfig = call('DeleteFunctionCodeSigningConfig', DeleteFunctionCodeSigningConfigCommand, {
  resource: functions,
  alreadyDone: gone,
});
/** What becomes of code that nobody signed, in every function that has the configuration. */
export const enforceCodeSigning = {
  ...call('UpdateCodeSigningConfig', UpdateCodeSigningConfigCommand, { resource: codeSigningConfigs, alreadyDone: gone }),
  name: 'enforceCodeSigning' as const,
};

/** What Lambda reads with the caller's rights. https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions */
const networkReads: readonly Permission[] = [
  { action: 'ec2:DescribeSecurityGroups', resource: '*' },
  { action: 'ec2:DescribeSubnets', resource: '*' },
  { action: 'ec2:DescribeVpcs', resource: '*' },
  { action: 'ec2:GetSecurityGroupsForVpc', resource: 'arn:${AWS::Partition}:ec2:*:*:vpc/*' },
];

/**
 * Puts a function into a VPC, or with no subnets and groups, out of it. When the step is repeated after a kill its RevisionId is
 * used up, and the network itself tells that it was done. What is gone is left so.
 */
export const moveNetwork = {
  ...updateConfiguration,
  name: 'moveNetwork' as const,
  permissions: [...updateConfiguration.permissions, ...getFunctionConfiguration.permissions, ...networkReads],
  alreadyDone: gone,
  run: async (
    connection: Connection,
    input: Pick<UpdateFunctionConfigurationCommandInput, 'FunctionName' | 'VpcConfig' | 'RevisionId'>,
  ): Promise<void> => {
    try {
      await updateConfiguration.run(connection, input);
    } catch (error) {
      if (errorName(error) !== 'PreconditionFailedException') throw error;
      const { VpcConfig } = await getFunctionConfiguration.run(connection, { FunctionName: input.FunctionName });
      if (networkText(VpcConfig) !== networkText(input.VpcConfig)) throw error;
    }
  },
};

function networkText(network: UpdateFunctionConfigurationCommandInput['VpcConfig']): string {
  return JSON.stringify([network?.SubnetIds ?? [], network?.SecurityGroupIds ?? []].map((ids) => ids.toSorted()));
}

class RoleInUse extends Error {
  override readonly name = 'RoleInUse';
}

const packageCall = callsOf('lambda', (connection, command) => client(connection).send(command, { requestTimeout: patience.packages }));
const updateCode = packageCall('UpdateFunctionCode', UpdateFunctionCodeCommand, {
  resource: functions,
  also: [
    { action: 's3:GetObject', resource: '${Archive.Arn}/*' },
    { action: 's3:GetObjectVersion', resource: '${Archive.Arn}/*' },
    { action: 'kms:Decrypt', resource: '${Key.Arn}' },
    // https://docs.aws.amazon.com/lambda/latest/dg/encrypt-zip-package.html
    ...keysThroughLambda('kms:GenerateDataKey', 'kms:Decrypt'),
  ],
  alreadyDone: gone,
});

/**
 * Replaces a function's code by an archived package or an image; Lambda reads the package with the caller's rights.
 * When the step is repeated after a kill its RevisionId is used up, and the hash tells that it was done.
 * @throws CodeMismatch where the code that Lambda then has is not the one with this hash
 */
export const updateFunctionCode = {
  ...updateCode,
  permissions: [...updateCode.permissions, ...getFunctionConfiguration.permissions],
  run: async (
    connection: Connection,
    { sha256, ...input }: UpdateFunctionCodeCommandInput & { readonly sha256: string },
  ): Promise<void> => {
    let now: string | undefined;
    try {
      now = (await updateCode.run(connection, input)).CodeSha256;
    } catch (error) {
      if (errorName(error) !== 'PreconditionFailedException') throw error;
      now = (await getFunctionConfiguration.run(connection, { FunctionName: input.FunctionName })).CodeSha256;
      if (now !== sha256) throw error;
    }
    if (now !== undefined && now !== '' && now !== sha256) {
      throw new CodeMismatch(`${input.FunctionName} now has the code ${now} instead of ${sha256}`);
    }
  },
};

class CodeMismatch extends Error {
  override readonly name = 'CodeMismatch';
}

const routeAlias = call('UpdateAlias', UpdateAliasCommand, { resource: functions });

/**
 * Routes an alias; when the step is repeated after a kill its RevisionId is used up, and the routing tells that it was done.
 * An alias that is gone is left so. A version that is gone is an error: nothing can route to it again.
 */
export const updateAlias = {
  ...routeAlias,
  permissions: [...routeAlias.permissions, ...listAliases.permissions],
  run: async (connection: Connection, input: UpdateAliasCommandInput): Promise<void> => {
    try {
      await routeAlias.run(connection, input);
    } catch (error) {
      const missing = errorName(error) === 'ResourceNotFoundException';
      if (!missing && errorName(error) !== 'PreconditionFailedException') throw error;
      const aliases = (await ifPresent(listAliases.run(connection, { FunctionName: input.FunctionName ?? '' }))) ?? [];
      const current = aliases.find(({ Name }) => Name === input.Name);
      if (missing && current === undefined) return;
      if (current === undefined || current.FunctionVersion !== input.FunctionVersion || weightsOf(current) !== weightsOf(input))
        throw error;
    }
  },
};

function weightsOf({ RoutingConfig }: Pick<UpdateAliasCommandInput, 'RoutingConfig'>): string {
  return JSON.stringify(Object.entries(RoutingConfig?.AdditionalVersionWeights ?? {}).sort());
}

// The guard's own functions, and no others: what keeps them running, for the rule that looks after the guard itself.
const ownFunctions = 'arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${AWS::StackName}-*';

export const getFunctionConcurrency = call('GetFunctionConcurrency', GetFunctionConcurrencyCommand, { resource: ownFunctions });
export const deleteFunctionConcurrency = call('DeleteFunctionConcurrency', DeleteFunctionConcurrencyCommand, {
  resource: ownFunctions,
  alreadyDone: gone,
});
export const putFunctionConcurrency = call('PutFunctionConcurrency', PutFunctionConcurrencyCommand, {
  resource: ownFunctions,
  alreadyDone: gone,
});
/** The condition key names the function of the mapping, and a new one that a request names. */
export const updateEventSourceMapping = call('UpdateEventSourceMapping', UpdateEventSourceMappingCommand, {
  resource: 'arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:event-source-mapping:*',
  condition: { ArnLike: { 'lambda:FunctionArn': ownFunctions } },
  alreadyDone: gone,
});

/** One mapping, of whatever function. */
export const getEventSourceMapping = call('GetEventSourceMapping', GetEventSourceMappingCommand, {
  resource: 'arn:${AWS::Partition}:lambda:*:${AWS::AccountId}:event-source-mapping:*',
});

/** The event source mappings of a function, all pages: Lambda takes no narrower resource for it. */
export const listEventSourceMappings: Call<
  'listEventSourceMappings',
  { readonly FunctionName: string },
  readonly EventSourceMappingConfiguration[]
> = {
  name: 'listEventSourceMappings',
  service: 'lambda',
  permissions: [{ action: 'lambda:ListEventSourceMappings', resource: '*' }],
  alreadyDone: [],
  run: (connection, input) =>
    allPages(async (Marker) => {
      const page = await client(connection).send(new ListEventSourceMappingsCommand({ ...input, Marker }));
      return { items: page.EventSourceMappings, next: page.NextMarker };
    }),
};

/** For the calls of this folder that carry something from one service to another. */
export { client as lambdaClient };
