import { createHash } from 'node:crypto';
import type {
  AddPermissionCommandInput,
  AliasConfiguration,
  CodeSigningConfig,
  CreateAliasCommandInput,
  CreateCodeSigningConfigCommandInput,
  CreateFunctionCommandInput,
  CreateFunctionUrlConfigCommandInput,
  DeleteResourcePolicyCommandInput,
  FunctionConfiguration,
  FunctionUrlConfig,
  PutResourcePolicyCommandInput,
  RemovePermissionCommandInput,
  UpdateAliasCommandInput,
  UpdateCodeSigningConfigCommandInput,
  UpdateFunctionCodeCommandInput,
  UpdateFunctionConfigurationCommandInput,
  UpdateFunctionUrlConfigCommandInput,
} from '@aws-sdk/client-lambda';
import { functionArn, functionName } from '../../../guard/arn.ts';
import type { S3Service } from './s3.ts';
import { awsError, page, type Service, type Surroundings } from './service.ts';

interface Named {
  readonly FunctionName: string | undefined;
  readonly Qualifier?: string | undefined;
}

/** Code of a function: a package by its bytes, or an image by its name. */
interface Code {
  readonly sha256: string;
  readonly size: number;
  readonly imageUri?: string;
}

interface Policy {
  readonly document: { readonly Version: string; readonly Id?: string; readonly Statement: PolicyStatement[] };
  revision: string;
}

type PolicyStatement = Record<string, unknown> & { Sid?: string };

interface LambdaFunction {
  readonly name: string;
  readonly arn: string;
  latest: FunctionConfiguration;
  code: Code;
  readonly versions: Map<string, { readonly configuration: FunctionConfiguration; readonly code: Code }>;
  /** What $LATEST was when it was last published: publishing again without a change makes no new version. */
  published?: { readonly version: string; readonly revision: string | undefined };
  readonly aliases: Map<string, AliasConfiguration>;
  readonly tags: Map<string, string>;
  readonly policies: Map<string, Policy>;
  readonly urls: Map<string, FunctionUrlConfig>;
  concurrency?: number;
  codeSigning?: string;
  /** Event source mappings by their ids, and whether they are enabled. */
  readonly mappings: Map<string, boolean>;
  /** When State and LastUpdateStatus settle. */
  settledAt: number;
  nextVersion: number;
}

type Preset<Input, Keys extends keyof Input> = Partial<Omit<Input, Keys>> & Required<Pick<Input, Keys>>;

/** Lambda, as far as the guard and its tests use it. https://docs.aws.amazon.com/lambda/latest/api/API_Operations.html */
export class LambdaService implements Service {
  /** How long a new or changed function stays Pending or InProgress. */
  settleSeconds = 0;
  readonly #world: Surroundings;
  readonly #s3: Pick<S3Service, 'object'>;
  readonly #functions = new Map<string, LambdaFunction>();
  readonly #packages = new Map<string, Uint8Array>();
  readonly #deletedLayers = new Set<string>();
  readonly #codeSigning = new Map<string, CodeSigningConfig & { tags?: Record<string, string> | undefined }>();
  readonly #layers = new Map<string, string>();

  constructor(world: Surroundings, s3: Pick<S3Service, 'object'>) {
    this.#world = world;
    this.#s3 = s3;
  }

  createFunction(input: Preset<CreateFunctionCommandInput, 'FunctionName'>): FunctionConfiguration {
    const {
      FunctionName: name = '',
      Code: given,
      Tags = {},
      Publish,
      VpcConfig,
      Environment,
      Layers,
      CodeSigningConfigArn,
      ...settings
    } = input;
    if (this.#functions.has(name)) throw awsError('ResourceConflictException', `Function already exist: ${name}`, 409);
    const code = this.#codeFrom(given ?? { ZipFile: Buffer.from(`package of ${name}`) });
    const arn = functionArn(name, this.#world) ?? '';
    const zip = { Runtime: 'nodejs24.x' as const, Handler: 'index.handler' };
    const latest: FunctionConfiguration = {
      FunctionName: name,
      FunctionArn: arn,
      Role: `arn:aws:iam::${this.#world.account}:role/${name}`,
      ...(code.imageUri === undefined ? zip : {}),
      Timeout: 3,
      MemorySize: 128,
      PackageType: code.imageUri === undefined ? 'Zip' : 'Image',
      Architectures: ['arm64'],
      ...(settings as FunctionConfiguration),
      CodeSize: code.size,
      CodeSha256: code.sha256,
      Version: '$LATEST',
    };
    if (VpcConfig !== undefined) latest.VpcConfig = networkOf(VpcConfig);
    if (Environment !== undefined) latest.Environment = { Variables: { ...Environment.Variables } };
    if (Layers !== undefined) latest.Layers = Layers.map((Arn) => ({ Arn, CodeSize: 1024 }));
    const made: LambdaFunction = {
      name,
      arn,
      latest,
      code,
      versions: new Map(),
      aliases: new Map(),
      tags: new Map(Object.entries(Tags)),
      policies: new Map(),
      urls: new Map(),
      mappings: new Map(),
      settledAt: 0,
      nextVersion: 1,
    };
    if (CodeSigningConfigArn !== undefined) made.codeSigning = CodeSigningConfigArn;
    this.#functions.set(name, made);
    this.#changed(made);
    if (Publish === true) return this.publishVersion({ FunctionName: name });
    return this.#shown(made);
  }

  deleteFunction({ FunctionName, Qualifier }: Named): object {
    const found = this.#find(FunctionName);
    const qualifier = Qualifier ?? qualifierIn(FunctionName);
    if (qualifier === undefined) this.#functions.delete(found.name);
    else {
      this.#configuration(found, qualifier);
      if ([...found.aliases.values()].some((alias) => routes(alias, qualifier))) {
        throw awsError('ResourceConflictException', `Unable to delete version because the following aliases reference it`, 409);
      }
      found.versions.delete(qualifier);
    }
    return {};
  }

  getFunctionConfiguration({ FunctionName, Qualifier }: Named): FunctionConfiguration {
    const found = this.#find(FunctionName);
    return this.#configuration(found, Qualifier ?? qualifierIn(FunctionName));
  }

  getFunction({ FunctionName, Qualifier }: Named): object {
    const found = this.#find(FunctionName);
    const qualifier = Qualifier ?? qualifierIn(FunctionName);
    const Configuration = this.#configuration(found, qualifier);
    const code = Configuration.Version === '$LATEST' ? found.code : found.versions.get(Configuration.Version ?? '')?.code;
    const Code =
      code?.imageUri === undefined
        ? { RepositoryType: 'S3', Location: `${downloads}${encodeURIComponent(code?.sha256 ?? '')}` }
        : {
            RepositoryType: 'ECR',
            ImageUri: code.imageUri,
            ResolvedImageUri: `${code.imageUri.replace(/[:@][^/]*$/, '')}@sha256:${code.sha256}`,
          };
    return {
      Configuration,
      Code,
      ...(found.tags.size === 0 ? {} : { Tags: Object.fromEntries(found.tags) }),
      ...(found.concurrency === undefined ? {} : { Concurrency: { ReservedConcurrentExecutions: found.concurrency } }),
    };
  }

  updateFunctionConfiguration(input: UpdateFunctionConfigurationCommandInput): FunctionConfiguration {
    const { FunctionName, RevisionId, VpcConfig, Environment, Layers, KMSKeyArn, ImageConfig, SnapStart, ...settings } = input;
    const found = this.#find(FunctionName);
    this.#refuseWhileUpdating(found);
    refuseStale(RevisionId, found.latest.RevisionId);
    Object.assign(found.latest, definedOf(settings));
    if (VpcConfig !== undefined) found.latest.VpcConfig = networkOf(VpcConfig);
    if (Environment !== undefined) found.latest.Environment = { Variables: { ...Environment.Variables } };
    for (const Arn of Layers ?? [])
      if (this.#deletedLayers.has(Arn) && !found.latest.Layers?.some((layer) => layer.Arn === Arn))
        throw notFound(`Layer version ${Arn} does not exist.`);
    if (Layers !== undefined) found.latest.Layers = Layers.map((Arn) => ({ Arn, CodeSize: 1024 }));
    if (found.latest.Layers?.length === 0) delete found.latest.Layers;
    if (KMSKeyArn !== undefined) found.latest.KMSKeyArn = KMSKeyArn;
    if (found.latest.KMSKeyArn === '') delete found.latest.KMSKeyArn;
    // What is empty is taken out.
    if (ImageConfig !== undefined) {
      const set = Object.fromEntries(Object.entries(ImageConfig).filter(([, value]) => (value?.length ?? 0) > 0));
      delete found.latest.ImageConfigResponse;
      if (Object.keys(set).length > 0) found.latest.ImageConfigResponse = { ImageConfig: set };
    }
    if (SnapStart !== undefined) found.latest.SnapStart = { ApplyOn: SnapStart.ApplyOn, OptimizationStatus: 'Off' };
    this.#changed(found);
    return this.#shown(found);
  }

  updateFunctionCode(input: UpdateFunctionCodeCommandInput): FunctionConfiguration {
    const { FunctionName, RevisionId, DryRun, Publish, Architectures } = input;
    const found = this.#find(FunctionName);
    this.#refuseWhileUpdating(found);
    refuseStale(RevisionId, found.latest.RevisionId);
    const code = this.#codeFrom(input);
    if ((code.imageUri === undefined) !== (found.latest.PackageType === 'Zip')) {
      throw awsError('InvalidParameterValueException', `Please provide the code of a function of package type ${found.latest.PackageType}`);
    }
    if (DryRun === true) return { ...this.#shown(found), CodeSha256: code.sha256, CodeSize: code.size };
    found.code = code;
    Object.assign(found.latest, { CodeSha256: code.sha256, CodeSize: code.size }, definedOf({ Architectures }));
    this.#changed(found);
    return Publish === true ? this.publishVersion({ FunctionName }) : this.#shown(found);
  }

  /** Where it is attached it runs on; nothing can be given it any more. */
  deleteLayerVersion(arn: string): void {
    this.#deletedLayers.add(arn);
  }

  publishVersion(input: {
    FunctionName: string | undefined;
    CodeSha256?: string | undefined;
    RevisionId?: string | undefined;
    Description?: string | undefined;
  }): FunctionConfiguration {
    const found = this.#find(input.FunctionName);
    refuseStale(input.RevisionId, found.latest.RevisionId);
    refuseStale(input.CodeSha256, found.latest.CodeSha256);
    if (found.published !== undefined && found.published.revision === found.latest.RevisionId) {
      return this.#configuration(found, found.published.version);
    }
    const version = String(found.nextVersion++);
    const configuration: FunctionConfiguration = {
      ...structuredClone(found.latest),
      ...definedOf({ Description: input.Description }),
      FunctionArn: `${found.arn}:${version}`,
      Version: version,
      RevisionId: this.#world.uuid(),
      LastModified: lambdaTime(this.#world.tick()),
    };
    found.versions.set(version, { configuration, code: found.code });
    found.published = { version, revision: found.latest.RevisionId };
    return this.#configuration(found, version);
  }

  listVersionsByFunction({ FunctionName, Marker, MaxItems = 50 }: Named & Paged): object {
    const found = this.#find(FunctionName);
    const all = [
      this.#configuration(found, '$LATEST'),
      ...[...found.versions.keys()].map((version) => this.#configuration(found, version)),
    ];
    const { items, next } = page(all, Marker, MaxItems);
    return { Versions: items, NextMarker: next };
  }

  listFunctions({ Marker, MaxItems = 50, FunctionVersion }: Paged & { readonly FunctionVersion?: string | undefined } = {}): object {
    const all = [...this.#functions.values()].flatMap((found) => [
      FunctionVersion === 'ALL' ? this.#configuration(found, '$LATEST') : this.#shown(found),
      ...(FunctionVersion === 'ALL' ? [...found.versions.keys()].map((version) => this.#configuration(found, version)) : []),
    ]);
    const { items, next } = page(all, Marker, MaxItems);
    return { Functions: items, NextMarker: next };
  }

  createAlias({ FunctionName, Name = '', FunctionVersion = '', Description, RoutingConfig }: CreateAliasCommandInput): AliasConfiguration {
    const found = this.#find(FunctionName);
    if (found.aliases.has(Name)) throw awsError('ResourceConflictException', `Alias already exists: ${found.arn}:${Name}`, 409);
    this.#configuration(found, FunctionVersion);
    found.aliases.set(Name, {
      AliasArn: `${found.arn}:${Name}`,
      Name,
      FunctionVersion,
      Description: Description ?? '',
      ...definedOf({ RoutingConfig }),
      RevisionId: this.#world.uuid(),
    });
    this.#world.tick();
    return this.getAlias({ FunctionName, Name });
  }

  updateAlias({
    FunctionName,
    Name = '',
    RevisionId,
    FunctionVersion,
    Description,
    RoutingConfig,
  }: UpdateAliasCommandInput): AliasConfiguration {
    const alias = this.#alias(this.#find(FunctionName), Name);
    refuseStale(RevisionId, alias.RevisionId);
    if (FunctionVersion !== undefined) this.#configuration(this.#find(FunctionName), FunctionVersion);
    Object.assign(alias, definedOf({ FunctionVersion, Description, RoutingConfig }), { RevisionId: this.#world.uuid() });
    if (Object.keys(alias.RoutingConfig?.AdditionalVersionWeights ?? {}).length === 0) delete alias.RoutingConfig;
    this.#world.tick();
    return this.getAlias({ FunctionName, Name });
  }

  getAlias({ FunctionName, Name }: { FunctionName: string | undefined; Name: string | undefined }): AliasConfiguration {
    return this.#alias(this.#find(FunctionName), Name ?? '');
  }

  deleteAlias({ FunctionName, Name }: { FunctionName: string | undefined; Name: string | undefined }): object {
    const found = this.#find(FunctionName);
    for (const belongings of [found.aliases, found.policies, found.urls]) belongings.delete(Name ?? '');
    return {};
  }

  listAliases({ FunctionName, Marker, MaxItems = 50 }: Named & Paged): object {
    const { items, next } = page([...this.#find(FunctionName).aliases.values()], Marker, MaxItems);
    return { Aliases: items, NextMarker: next };
  }

  listTags({ Resource }: { Resource: string | undefined }): object {
    const configuration = this.#codeSigning.get(Resource ?? '');
    if (configuration !== undefined) return { Tags: configuration.tags ?? {} };
    return { Tags: Object.fromEntries(this.#find(Resource).tags) };
  }

  tagResource({ Resource, Tags = {} }: { Resource: string | undefined; Tags: Record<string, string> | undefined }): object {
    const { tags } = this.#find(Resource);
    for (const [key, value] of Object.entries(Tags)) tags.set(key, value);
    return {};
  }

  untagResource({ Resource, TagKeys = [] }: { Resource: string | undefined; TagKeys: string[] | undefined }): object {
    const { tags } = this.#find(Resource);
    for (const key of TagKeys) tags.delete(key);
    return {};
  }

  /** https://docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html */
  addPermission(input: AddPermissionCommandInput): object {
    const { Qualifier, StatementId = '', Action, Principal = '', RevisionId } = input;
    const found = this.#find(input.FunctionName);
    const qualifier = this.#existing(found, Qualifier ?? qualifierIn(input.FunctionName));
    const policy = found.policies.get(qualifier) ?? {
      document: { Version: '2012-10-17', Id: 'default', Statement: [] },
      revision: this.#world.uuid(),
    };
    refuseStale(RevisionId, policy.revision);
    if (policy.document.Statement.some(({ Sid }) => Sid === StatementId)) {
      throw awsError(
        'ResourceConflictException',
        `The statement id (${StatementId}) provided already exists. Please provide a new statement id, or remove the existing statement.`,
        409,
      );
    }
    const condition = conditionOf(input);
    const statement: PolicyStatement = {
      Sid: StatementId,
      Effect: 'Allow',
      Principal: principalOf(Principal),
      Action,
      Resource: qualifier === '$LATEST' ? found.arn : `${found.arn}:${qualifier}`,
      ...(Object.keys(condition).length === 0 ? {} : { Condition: condition }),
    };
    policy.document.Statement.push(statement);
    this.#wrote(found, qualifier, policy);
    return { Statement: JSON.stringify(statement) };
  }

  removePermission(input: RemovePermissionCommandInput): object {
    const found = this.#find(input.FunctionName);
    const qualifier = this.#existing(found, input.Qualifier ?? qualifierIn(input.FunctionName));
    const policy = this.#policy(found, qualifier);
    refuseStale(input.RevisionId, policy.revision);
    const index = policy.document.Statement.findIndex(({ Sid }) => Sid === input.StatementId);
    if (index < 0) throw awsError('ResourceNotFoundException', `Statement ${input.StatementId} is not found in resource policy.`, 404);
    policy.document.Statement.splice(index, 1);
    this.#wrote(found, qualifier, policy);
    if (policy.document.Statement.length === 0) found.policies.delete(qualifier);
    return {};
  }

  getPolicy({ FunctionName, Qualifier }: Named): object {
    const found = this.#find(FunctionName);
    const { document, revision } = this.#policy(found, this.#existing(found, Qualifier ?? qualifierIn(FunctionName)));
    return { Policy: JSON.stringify(document), RevisionId: revision };
  }

  /** Replaces the whole policy. https://docs.aws.amazon.com/lambda/latest/api/API_PutResourcePolicy.html */
  putResourcePolicy({ ResourceArn = '', Policy = '', RevisionId }: PutResourcePolicyCommandInput): object {
    const found = this.#find(ResourceArn);
    const qualifier = this.#existing(found, qualifierIn(ResourceArn));
    refuseStale(RevisionId, found.policies.get(qualifier)?.revision);
    if (/"A(IDA|ROA)[A-Z0-9]{12,}"/.test(Policy)) throw awsError('InvalidParameterValueException', 'The provided principal was invalid.');
    const document = JSON.parse(Policy);
    const policy = { document: { ...document, Statement: [document.Statement].flat() }, revision: '' };
    this.#wrote(found, qualifier, policy);
    return { Policy, RevisionId: policy.revision };
  }

  getResourcePolicy({ ResourceArn }: { ResourceArn: string | undefined }): object {
    return this.getPolicy({ FunctionName: ResourceArn });
  }

  deleteResourcePolicy({ ResourceArn, RevisionId }: DeleteResourcePolicyCommandInput): object {
    const found = this.#find(ResourceArn);
    const qualifier = this.#existing(found, qualifierIn(ResourceArn));
    refuseStale(RevisionId, this.#policy(found, qualifier).revision);
    found.policies.delete(qualifier);
    return {};
  }

  /** In policies that name a principal only its unique id is left. */
  deletePrincipal(arn: string, uniqueId: string): void {
    for (const { policies } of this.#functions.values()) {
      for (const [qualifier, policy] of policies)
        policies.set(qualifier, {
          ...policy,
          document: JSON.parse(JSON.stringify(policy.document).replaceAll(`"${arn}"`, `"${uniqueId}"`)),
        });
    }
  }

  createFunctionUrlConfig(input: CreateFunctionUrlConfigCommandInput): FunctionUrlConfig {
    const { FunctionName, Qualifier, AuthType, Cors, InvokeMode = 'BUFFERED' } = input;
    const found = this.#find(FunctionName);
    const qualifier = this.#existing(found, Qualifier ?? qualifierIn(FunctionName));
    if (found.urls.has(qualifier)) throw awsError('ResourceConflictException', `FunctionUrlConfig exists for this Lambda function`, 409);
    const time = lambdaTime(this.#world.tick());
    const host = qualifier === '$LATEST' ? found.name : `${found.name}-${qualifier}`;
    found.urls.set(qualifier, {
      FunctionUrl: `https://${host}.lambda-url.${this.#world.region}.on.aws/`,
      FunctionArn: qualifier === '$LATEST' ? found.arn : `${found.arn}:${qualifier}`,
      AuthType,
      ...definedOf({ Cors }),
      InvokeMode,
      CreationTime: time,
      LastModifiedTime: time,
    });
    return this.getFunctionUrlConfig(input);
  }

  updateFunctionUrlConfig(input: UpdateFunctionUrlConfigCommandInput): FunctionUrlConfig {
    const { FunctionName, Qualifier, AuthType, Cors, InvokeMode } = input;
    const url = this.#url({ FunctionName, Qualifier });
    Object.assign(url, definedOf({ AuthType, Cors, InvokeMode }), { LastModifiedTime: lambdaTime(this.#world.tick()) });
    return url;
  }

  getFunctionUrlConfig({ FunctionName, Qualifier }: Named): FunctionUrlConfig {
    return this.#url({ FunctionName, Qualifier });
  }

  deleteFunctionUrlConfig({ FunctionName, Qualifier }: Named): object {
    this.#url({ FunctionName, Qualifier });
    this.#find(FunctionName).urls.delete(Qualifier ?? qualifierIn(FunctionName) ?? '$LATEST');
    return {};
  }

  listFunctionUrlConfigs({ FunctionName, Marker, MaxItems = 50 }: Named & Paged): object {
    const { items, next } = page([...this.#find(FunctionName).urls.values()], Marker, MaxItems);
    return { FunctionUrlConfigs: items, NextMarker: next };
  }

  putFunctionConcurrency(input: { FunctionName: string | undefined; ReservedConcurrentExecutions: number | undefined }): object {
    this.#find(input.FunctionName).concurrency = input.ReservedConcurrentExecutions ?? 0;
    return { ReservedConcurrentExecutions: input.ReservedConcurrentExecutions };
  }

  getFunctionConcurrency({ FunctionName }: Named): object {
    const { concurrency } = this.#find(FunctionName);
    return concurrency === undefined ? {} : { ReservedConcurrentExecutions: concurrency };
  }

  deleteFunctionConcurrency({ FunctionName }: Named): object {
    delete this.#find(FunctionName).concurrency;
    return {};
  }

  /** https://docs.aws.amazon.com/lambda/latest/api/API_CreateCodeSigningConfig.html */
  createCodeSigningConfig({ AllowedPublishers, CodeSigningPolicies, Tags }: Partial<CreateCodeSigningConfigCommandInput>): string {
    const CodeSigningConfigId = `csc-${String(this.#codeSigning.size).padStart(17, '0')}`;
    const arn = `arn:aws:lambda:${this.#world.region}:${this.#world.account}:code-signing-config:${CodeSigningConfigId}`;
    this.#codeSigning.set(arn, {
      CodeSigningConfigId,
      CodeSigningConfigArn: arn,
      AllowedPublishers: AllowedPublishers ?? { SigningProfileVersionArns: [] },
      CodeSigningPolicies: CodeSigningPolicies ?? { UntrustedArtifactOnDeployment: 'Warn' },
      LastModified: lambdaTime(this.#world.tick()),
      tags: Tags,
    });
    return arn;
  }

  getCodeSigningConfig({ CodeSigningConfigArn = '' }: { CodeSigningConfigArn: string | undefined }): object {
    const found = this.#codeSigning.get(CodeSigningConfigArn);
    if (found === undefined) throw notFound(`The code signing configuration cannot be found: ${CodeSigningConfigArn}`);
    return { CodeSigningConfig: found };
  }

  updateCodeSigningConfig({ CodeSigningConfigArn = '', CodeSigningPolicies }: UpdateCodeSigningConfigCommandInput): object {
    this.getCodeSigningConfig({ CodeSigningConfigArn });
    Object.assign(this.#codeSigning.get(CodeSigningConfigArn) ?? {}, {
      ...definedOf({ CodeSigningPolicies }),
      LastModified: lambdaTime(this.#world.tick()),
    });
    return this.getCodeSigningConfig({ CodeSigningConfigArn });
  }

  deleteCodeSigningConfig({ CodeSigningConfigArn = '' }: { CodeSigningConfigArn: string | undefined }): object {
    this.#codeSigning.delete(CodeSigningConfigArn);
    return {};
  }

  putFunctionCodeSigningConfig(input: { FunctionName: string | undefined; CodeSigningConfigArn: string | undefined }): object {
    const found = this.#find(input.FunctionName);
    if (!this.#codeSigning.has(input.CodeSigningConfigArn ?? ''))
      throw awsError(
        'CodeSigningConfigNotFoundException',
        `The code signing configuration cannot be found: ${input.CodeSigningConfigArn}`,
        404,
      );
    found.codeSigning = input.CodeSigningConfigArn ?? '';
    return this.getFunctionCodeSigningConfig(input);
  }

  getFunctionCodeSigningConfig({ FunctionName }: Named): object {
    const { name, codeSigning } = this.#find(FunctionName);
    return { FunctionName: name, ...definedOf({ CodeSigningConfigArn: codeSigning }) };
  }

  listCodeSigningConfigs({ Marker, MaxItems = 50 }: Paged): object {
    const { items, next } = page([...this.#codeSigning.keys()], Marker, MaxItems);
    return { CodeSigningConfigs: items.map((CodeSigningConfigArn) => ({ CodeSigningConfigArn })), NextMarker: next };
  }

  listFunctionsByCodeSigningConfig(input: Paged & { readonly CodeSigningConfigArn: string | undefined }): object {
    const signed = [...this.#functions.values()].filter(({ codeSigning }) => codeSigning === input.CodeSigningConfigArn);
    const { items, next } = page(signed, input.Marker, input.MaxItems ?? 50);
    return { FunctionArns: items.map(({ arn }) => arn), NextMarker: next };
  }

  /** What the tagging API tells of functions: of those alone that have tags. */
  tagged(): readonly object[] {
    return [...this.#functions.values()]
      .filter(({ tags }) => tags.size > 0)
      .map(({ arn, tags }) => ({ ResourceARN: arn, Tags: [...tags].map(([Key, Value]) => ({ Key, Value })) }));
  }

  deleteFunctionCodeSigningConfig({ FunctionName }: Named): object {
    delete this.#find(FunctionName).codeSigning;
    return {};
  }

  createEventSourceMapping({ FunctionName, UUID }: Named & { readonly UUID: string }): object {
    this.#find(FunctionName).mappings.set(UUID, true);
    return { UUID };
  }

  getEventSourceMapping({ UUID }: { readonly UUID: string }): object {
    const found = [...this.#functions.values()].find(({ mappings }) => mappings.has(UUID));
    if (found === undefined) throw awsError('ResourceNotFoundException', 'The resource you requested does not exist.', 404);
    const EventSourceArn = `arn:aws:sqs:${this.#world.region}:${this.#world.account}:stranger`;
    return { UUID, FunctionArn: found.arn, EventSourceArn, State: found.mappings.get(UUID) === true ? 'Enabled' : 'Disabled' };
  }

  updateEventSourceMapping({ UUID, Enabled }: { readonly UUID: string; readonly Enabled: boolean }): object {
    const found = [...this.#functions.values()].find(({ mappings }) => mappings.has(UUID));
    if (found === undefined) throw awsError('ResourceNotFoundException', 'The resource you requested does not exist.', 404);
    found.mappings.set(UUID, Enabled);
    return { UUID, FunctionArn: found.arn };
  }

  deleteEventSourceMapping({ UUID }: { readonly UUID: string }): object {
    for (const { mappings } of this.#functions.values()) mappings.delete(UUID);
    return { UUID };
  }

  listEventSourceMappings({ FunctionName }: Named): object {
    // A function that is not there is no error here: it has none.
    const mappings = this.#functions.get(functionName(FunctionName ?? ''))?.mappings ?? new Map<string, boolean>();
    return { EventSourceMappings: [...mappings].map(([UUID, enabled]) => ({ UUID, State: enabled ? 'Enabled' : 'Disabled' })) };
  }

  /** Sets what no operation sets, e.g. an Environment that Lambda could not decrypt. */
  edit(name: string, configuration: Partial<FunctionConfiguration>): void {
    Object.assign(this.#find(name).latest, configuration);
  }

  /** A layer version with this package, by its ARN. */
  publishLayer(arn: string, bytes: Uint8Array): void {
    this.#layers.set(arn, this.#codeFrom({ ZipFile: bytes }).sha256);
  }

  getLayerVersionByArn({ Arn = '' }: { readonly Arn?: string }): object {
    const sha256 = this.#deletedLayers.has(Arn) ? undefined : this.#layers.get(Arn);
    if (sha256 === undefined) throw notFound(`Layer version ${Arn} does not exist.`);
    return { LayerVersionArn: Arn, Content: { Location: `${downloads}${encodeURIComponent(sha256)}`, CodeSha256: sha256 } };
  }

  /** What lies at a Code.Location by now, whatever the hash says. */
  tamper(sha256: string, bytes: Uint8Array): void {
    this.#packages.set(sha256, bytes);
  }

  /** The bytes behind a Code.Location. */
  download(url: string): Uint8Array | undefined {
    return url.startsWith(downloads) ? this.#packages.get(decodeURIComponent(url.slice(downloads.length))) : undefined;
  }

  snapshot(): unknown {
    return Object.fromEntries(
      [...this.#functions.values()]
        .map((found): [string, unknown] => [
          found.name,
          {
            latest: this.#shown(found),
            code: found.code,
            versions: Object.fromEntries(found.versions),
            aliases: Object.fromEntries(found.aliases),
            tags: Object.fromEntries(found.tags),
            // The order of statements means nothing, and one that is added again comes last.
            policies: Object.fromEntries(
              [...found.policies].map(([qualifier, { document }]) => [
                qualifier,
                { ...document, Statement: document.Statement.toSorted((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b))) },
              ]),
            ),
            urls: Object.fromEntries(found.urls),
            concurrency: found.concurrency,
            mappings: Object.fromEntries(found.mappings),
            codeSigning: found.codeSigning,
          },
        ])
        .concat([...this.#codeSigning]),
    );
  }

  #find(name: string | undefined): LambdaFunction {
    const arn = functionArn(name ?? '', this.#world);
    const found = arn === undefined ? undefined : this.#functions.get(functionName(arn));
    if (found === undefined || found.arn !== arn) throw notFound(`Function not found: ${arn ?? name}`);
    return found;
  }

  #configuration(found: LambdaFunction, qualifier: string | undefined): FunctionConfiguration {
    if (qualifier === undefined) return this.#shown(found);
    if (qualifier === '$LATEST') return { ...this.#shown(found), FunctionArn: `${found.arn}:$LATEST` };
    const alias = found.aliases.get(qualifier);
    const version = found.versions.get(qualifier);
    if (version !== undefined) return version.configuration;
    if (alias !== undefined) return { ...this.#configuration(found, alias.FunctionVersion), FunctionArn: `${found.arn}:${qualifier}` };
    throw notFound(`Function not found: ${found.arn}:${qualifier}`);
  }

  /** $LATEST as it is at this time: an update that has settled is no longer in progress. */
  #shown(found: LambdaFunction): FunctionConfiguration {
    const settled = found.settledAt <= this.#world.now;
    const fresh = found.nextVersion === 1 && found.latest.LastUpdateStatus === undefined;
    return {
      ...found.latest,
      State: settled || !fresh ? 'Active' : 'Pending',
      LastUpdateStatus: settled || fresh ? 'Successful' : 'InProgress',
    };
  }

  #changed(found: LambdaFunction): void {
    const first = found.latest.RevisionId === undefined;
    found.latest.RevisionId = this.#world.uuid();
    found.latest.LastModified = lambdaTime(this.#world.tick());
    if (!first) found.latest.LastUpdateStatus = 'InProgress';
    found.settledAt = this.#world.now + this.settleSeconds * 1000;
  }

  #refuseWhileUpdating(found: LambdaFunction): void {
    if (found.settledAt <= this.#world.now) return;
    throw awsError(
      'ResourceConflictException',
      `The operation cannot be performed at this time. An update is in progress for resource: ${found.arn}`,
      409,
    );
  }

  #alias(found: LambdaFunction, name: string): AliasConfiguration {
    const alias = found.aliases.get(name);
    if (alias === undefined) throw notFound(`Cannot find alias arn: ${found.arn}:${name}`);
    return alias;
  }

  /** The qualifier, if the function has it; no qualifier is $LATEST. */
  #existing(found: LambdaFunction, qualifier = '$LATEST'): string {
    this.#configuration(found, qualifier);
    return qualifier;
  }

  #policy(found: LambdaFunction, qualifier: string): Policy {
    const policy = found.policies.get(qualifier);
    if (policy === undefined) throw notFound('The resource you requested does not exist.');
    return policy;
  }

  #wrote(found: LambdaFunction, qualifier: string, policy: Policy): void {
    policy.revision = this.#world.uuid();
    this.#world.tick();
    found.policies.set(qualifier, policy);
  }

  #url({ FunctionName, Qualifier }: Named): FunctionUrlConfig {
    const url = this.#find(FunctionName).urls.get(Qualifier ?? qualifierIn(FunctionName) ?? '$LATEST');
    if (url === undefined) throw notFound('The resource you requested does not exist.');
    return url;
  }

  #codeFrom(given: Pick<UpdateFunctionCodeCommandInput, 'ZipFile' | 'S3Bucket' | 'S3Key' | 'S3ObjectVersion' | 'ImageUri'>): Code {
    if (given.ImageUri !== undefined) {
      const digest = /@sha256:([0-9a-f]{64})$/.exec(given.ImageUri)?.[1];
      return { imageUri: given.ImageUri, size: 0, sha256: digest ?? createHash('sha256').update(given.ImageUri).digest('hex') };
    }
    const bytes = given.ZipFile ?? this.#s3.object(given.S3Bucket ?? '', given.S3Key ?? '', given.S3ObjectVersion);
    if (bytes === undefined) {
      throw awsError(
        'InvalidParameterValueException',
        'Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.',
      );
    }
    const sha256 = createHash('sha256').update(bytes).digest('base64');
    this.#packages.set(sha256, bytes);
    return { sha256, size: bytes.byteLength };
  }
}

interface Paged {
  readonly Marker?: string | undefined;
  readonly MaxItems?: number | undefined;
}

const downloads = 'https://packages.world.test/';

function notFound(message: string): Error {
  return awsError('ResourceNotFoundException', message, 404);
}

function refuseStale(expected: string | undefined, actual: string | undefined): void {
  if (expected === undefined || expected === actual) return;
  throw awsError(
    'PreconditionFailedException',
    'The RevisionId provided does not match the latest RevisionId. Call the GetFunction or the GetAlias API to retrieve the latest RevisionId.',
    412,
  );
}

/** The qualifier at the end of a name or ARN; unlike the guard's own reading, `$LATEST` is one. */
function qualifierIn(name = ''): string | undefined {
  return /^(?:(?:arn:[^:]+:lambda:[^:]+:)?\d{12}:function:)?[a-zA-Z0-9-_]+:(\$LATEST|[a-zA-Z0-9-_]+)$/.exec(name)?.[1];
}

function routes({ FunctionVersion, RoutingConfig }: AliasConfiguration, version: string): boolean {
  return FunctionVersion === version || version in (RoutingConfig?.AdditionalVersionWeights ?? {});
}

function networkOf({
  SubnetIds = [],
  SecurityGroupIds = [],
  Ipv6AllowedForDualStack,
}: {
  SubnetIds?: string[] | undefined;
  SecurityGroupIds?: string[] | undefined;
  Ipv6AllowedForDualStack?: boolean | undefined;
}): FunctionConfiguration['VpcConfig'] {
  return {
    ...(Ipv6AllowedForDualStack === undefined ? {} : { Ipv6AllowedForDualStack }),
    SubnetIds: [...SubnetIds],
    SecurityGroupIds: [...SecurityGroupIds],
    VpcId: SubnetIds.length === 0 ? '' : 'vpc-0a1b2c3d4e5f60718',
  };
}

/** Principals as AWS stores them: an account becomes its root, `*` stays a plain text. */
function principalOf(principal: string): unknown {
  if (principal === '*') return '*';
  if (/^\d{12}$/.test(principal)) return { AWS: `arn:aws:iam::${principal}:root` };
  return principal.startsWith('arn:') ? { AWS: principal } : { Service: principal };
}

function conditionOf(input: AddPermissionCommandInput): Record<string, Record<string, string>> {
  const keys: readonly (readonly [string, string, string | undefined])[] = [
    ['ArnLike', 'AWS:SourceArn', input.SourceArn],
    ['StringEquals', 'AWS:SourceAccount', input.SourceAccount],
    ['StringEquals', 'aws:PrincipalOrgID', input.PrincipalOrgID],
    ['StringEquals', 'lambda:EventSourceToken', input.EventSourceToken],
    ['StringEquals', 'lambda:FunctionUrlAuthType', input.FunctionUrlAuthType],
    ['Bool', 'lambda:InvokedViaFunctionUrl', input.InvokedViaFunctionUrl === true ? 'true' : undefined],
  ];
  const condition: Record<string, Record<string, string>> = {};
  for (const [operator, key, value] of keys) if (value !== undefined) condition[operator] = { ...condition[operator], [key]: value };
  return condition;
}

function definedOf<T extends object>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
}

/** `2026-11-22T12:00:00.000+0000`: how Lambda writes a time. */
function lambdaTime(time: Date): string {
  return time.toISOString().replace('Z', '+0000');
}
