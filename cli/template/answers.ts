import { functionArn, partitionOf, qualifierOf, roleName } from '../../guard/arn.ts';
import { OnlyTheAccountKnows } from '../../guard/errors.ts';
import { layerOwner } from '../../guard/layer-owners.ts';
import type { Doubt, Resource, Template } from './resources.ts';
import { routesOfDefinition, type SamRoute } from './sam.ts';
import { decide, isOfAws, managedByAws } from './simulation.ts';
import { isList, isRecord, type Properties, readable, textOf, Unsaid, unsaidIn, type Value } from './values.ts';

/** A function's ARN, and the qualifier that has a policy or URL. */
interface Target {
  readonly arn: string;
  readonly qualifier: string;
}

/** What a rule's calls are answered, by their names. */
type Answers = Readonly<Record<string, (input: Properties) => unknown>>;

/**
 * A template as an account would be, once it is deployed to nothing: it answers the reads that rules declare. What the template does not
 * say is thrown as OnlyTheAccountKnows.
 *
 * Two worlds are made of a template. In the first, whatever is not said keeps a rule from any verdict. In the second
 * (`atLeast`), what counts by itself and is not said is left out: a variable, a layer, a rule of a security group, a statement
 * that allows, a method. What is wrong there is wrong whatever the rest says; that nothing is wrong there means nothing.
 */
export class TemplateWorld {
  readonly template: Template;
  /** What concerns a rule and cannot be ascribed to any subject. */
  readonly doubts: readonly Doubt[];
  readonly atLeast: boolean;
  readonly #places = new Map<string, string>();
  readonly #functions = new Map<string, Resource>();
  readonly #answers: Answers;

  constructor(template: Template, atLeast: boolean) {
    this.template = template;
    this.atLeast = atLeast;
    const twice: Doubt[] = [];
    for (const resource of template.of('AWS::Lambda::Function')) {
      const arn = template.id(resource.key, 'Arn');
      if (this.#functions.has(arn)) twice.push({ rule: '*', logicalId: resource.logicalId, why: 'another function has the same name' });
      else this.#functions.set(arn, resource);
      if (!this.#places.has(arn)) this.#at(arn, resource);
    }
    this.doubts = [...template.doubts, ...twice, ...this.#strays()];
    this.#answers = { ...this.#ofLambda(), ...this.#ofIam(), ...this.#ofNetwork(), ...this.#ofHttpApis(), ...this.#ofRestApis() };
  }

  get functions(): readonly { readonly FunctionArn: string }[] {
    return [...this.#functions.keys()].map((FunctionArn) => ({ FunctionArn }));
  }

  /** The logical id of the resource that a subject is. */
  logicalIdOf(arn: string): string | undefined {
    return this.#places.get(arn) ?? this.#places.get(functionArn(arn, this.template.deployment) ?? '');
  }

  async answer(call: string, input: unknown): Promise<unknown> {
    const known = this.#answers[call];
    if (known === undefined) throw new OnlyTheAccountKnows(`only the account tells what ${call} answers`);
    return readable(known(isRecord(input as Value) ? (input as Properties) : {}));
  }

  /** Whether a role is made by the template: then nobody uses it yet. */
  makesRole(arn: string): boolean {
    return this.template.of('AWS::IAM::Role').some(({ key }) => this.template.id(key, 'Arn') === arn);
  }

  #isExported(value: string): boolean {
    return this.template.exported.some((one) => one === value);
  }

  #at(arn: string, { logicalId }: Resource): void {
    this.#places.set(arn, logicalId);
  }

  /** A value by its reference, also where it is SAM's own. */
  #arnOf(value: Value | undefined): Value | undefined {
    if (isRecord(value) && typeof value['made by SAM'] === 'string') return this.template.id(value['made by SAM'], 'Arn');
    return value;
  }

  /** Parts of which each counts by itself. */
  #each(values: Value | undefined): Value {
    if (values instanceof Unsaid) return this.atLeast ? [] : values;
    const list = isList(values) ? values : values === undefined ? [] : [values];
    return this.atLeast ? list.filter((one) => unsaidIn(one) === undefined) : list;
  }

  /** A number of an account stands for the own one, or for another: nobody knows unless the own one is given. */
  #foreign(value: Value | undefined): Unsaid | undefined {
    const { account, accountGiven } = this.template.deployment;
    if (accountGiven || value === undefined) return undefined;
    const number = /(?<!\d)\d{12}(?!\d)/g;
    const other = (JSON.stringify(value) ?? '').match(number)?.find((one) => one !== account);
    return other === undefined
      ? undefined
      : new Unsaid(`whether ${other} is the account that it is deployed to is not said: give --account`);
  }

  /** A policy's statements, with whatever is not said of them. */
  #statements(document: Value | undefined): Value {
    if (document instanceof Unsaid) return document;
    const given = typeof document === 'string' ? parsed(document) : document;
    if (!isRecord(given)) return new Unsaid('a policy is no document');
    const listed = given['Statement'];
    if (listed instanceof Unsaid) return listed;
    const all = (isList(listed) ? listed : [listed ?? null]).map((one) => unsaidIn(one) ?? this.#foreign(one) ?? one);
    const unsaid = all.find((one): one is Unsaid => one instanceof Unsaid);
    if (unsaid === undefined) return all;
    const isDenial = (one: Value) => !isRecord(one) || one['Effect'] !== 'Allow';
    const lost = (isList(listed) ? listed : [listed ?? null]).some((one, index) => all[index] instanceof Unsaid && isDenial(one));
    return this.atLeast && !lost ? all.filter((one) => !(one instanceof Unsaid)) : unsaid;
  }

  #policyText(document: Value | undefined): string | Unsaid {
    const statements = this.#statements(document);
    return statements instanceof Unsaid ? statements : JSON.stringify({ Version: '2012-10-17', Statement: statements });
  }

  // --- Lambda

  /** The function that a property names, and the qualifier. */
  #target(name: Value | undefined, qualifier: Value | undefined): Target | Unsaid {
    const unsaid = unsaidIn(name) ?? unsaidIn(qualifier);
    if (unsaid !== undefined) return unsaid;
    const named = this.template.functionArnOf(this.#arnOf(name));
    const own = qualifierOf(named) ?? (qualifier === undefined ? '$LATEST' : String(qualifier));
    return { arn: functionArn(named, this.template.deployment) ?? named, qualifier: own };
  }

  /** What says something of a function that nobody can name. */
  #strays(): readonly Doubt[] {
    const doubts: Doubt[] = [];
    const stray = (type: string, rules: readonly string[], properties: readonly string[]) => {
      for (const { logicalId, properties: given } of this.template.of(type)) {
        const unsaid = properties.map((name) => unsaidIn(given[name])).find((one) => one !== undefined);
        for (const rule of unsaid === undefined ? [] : rules) doubts.push({ rule, logicalId, why: unsaid?.why ?? '' });
      }
    };
    const policies = ['function-policy-open', 'function-url-open'];
    stray('AWS::Lambda::Permission', policies, ['FunctionName', 'Qualifier']);
    stray('AWS::Lambda::ResourcePolicy', policies, ['ResourceArn']);
    stray('AWS::Lambda::Url', ['function-url-open'], ['TargetFunctionArn', 'Qualifier']);
    stray('AWS::Lambda::Alias', ['*'], ['FunctionName', 'Name']);
    stray('AWS::EC2::SecurityGroupIngress', ['security-group-open-ingress'], ['GroupId']);
    stray('AWS::EC2::SecurityGroupEgress', ['security-group-open-egress'], ['GroupId']);
    stray('AWS::EC2::Route', ['subnet-public'], ['RouteTableId']);
    stray('AWS::EC2::SubnetRouteTableAssociation', ['subnet-public'], ['RouteTableId', 'SubnetId']);
    stray('AWS::ApiGateway::Method', ['rest-method-open'], ['RestApiId', 'ResourceId', 'HttpMethod']);
    stray('AWS::ApiGatewayV2::Route', ['http-route-open'], ['ApiId', 'RouteKey']);
    stray('AWS::ApiGateway::Stage', ['rest-method-open'], ['RestApiId']);
    stray('AWS::ApiGateway::Deployment', ['rest-method-open'], ['RestApiId']);
    stray('AWS::ApiGatewayV2::Stage', ['http-route-open'], ['ApiId']);
    stray('AWS::ApiGatewayV2::Integration', ['http-route-open'], ['ApiId']);
    for (const { key, logicalId } of this.template.of('AWS::IAM::Role'))
      if (this.#isExported(this.template.id(key, 'Arn')) || this.#isExported(this.template.id(key)))
        doubts.push({ rule: 'role-shared', logicalId, why: 'it is exported, and functions of other stacks may use it' });
    for (const [type, rule] of [
      ['AWS::ApiGateway::RestApi', 'rest-method-open'],
      ['AWS::ApiGatewayV2::Api', 'http-route-open'],
    ] as const)
      for (const { key, logicalId, properties } of this.template.of(type)) {
        const served = ['Stage', 'Deployment'].some((part) => this.#partsOf(type.replace(/\w+$/, part), key).length > 0);
        if (!served && properties['made by SAM'] === undefined && properties['Target'] === undefined)
          doubts.push({ rule, logicalId, why: 'no stage of it is in the template' });
      }
    for (const { logicalId, properties } of this.template.of('AWS::ApiGatewayV2::Route'))
      if (
        typeof properties['ApiId'] === 'string' &&
        !this.template.of('AWS::ApiGatewayV2::Api').some(({ key }) => key === properties['ApiId'])
      )
        doubts.push({ rule: 'http-route-open', logicalId, why: 'its API is not made by this template' });
    for (const { logicalId, properties } of this.template.of('AWS::ApiGateway::Method'))
      if (typeof properties['RestApiId'] === 'string' && !this.#makesRestApi(properties['RestApiId']))
        doubts.push({ rule: 'rest-method-open', logicalId, why: 'its API is not made by this template' });
    return doubts;
  }

  #function(name: Value | undefined): { readonly arn: string; readonly resource: Resource } {
    const arn = functionArn(String(name ?? ''), this.template.deployment) ?? '';
    const resource = this.#functions.get(arn);
    if (resource === undefined) throw new OnlyTheAccountKnows(`${String(name)} is not made by this template`);
    return { arn, resource };
  }

  #aliases(arn: string): readonly { readonly name: Value; readonly version: Value; readonly weights: Value | undefined }[] {
    return this.template
      .of('AWS::Lambda::Alias')
      .flatMap(({ properties: { FunctionName, Name = null, FunctionVersion = null, RoutingConfig } }) => {
        const target = this.#target(FunctionName, undefined);
        return target instanceof Unsaid || target.arn !== arn ? [] : [{ name: Name, version: FunctionVersion, weights: RoutingConfig }];
      });
  }

  #configuration({ FunctionName, Qualifier }: Properties): Properties {
    const { arn, resource } = this.#function(FunctionName);
    const asked = qualifierOf(String(FunctionName ?? '')) ?? (Qualifier === undefined ? '$LATEST' : String(Qualifier));
    const published = this.template.of('AWS::Lambda::Version').some(({ key }) => this.template.id(key) === `${arn}:${asked}`);
    if (asked !== '$LATEST' && !published && !this.#aliases(arn).some(({ name }) => name === asked))
      throw new OnlyTheAccountKnows(`version ${asked} was published before`);
    const { Role, Environment, VpcConfig, Layers, KmsKeyArn, PackageType, Code, Handler, Runtime } = resource.properties;
    const variables = isRecord(Environment) ? Environment['Variables'] : Environment;
    const network =
      VpcConfig instanceof Unsaid
        ? VpcConfig
        : isRecord(VpcConfig) && VpcConfig['SubnetIds'] !== undefined
          ? { ...VpcConfig, SecurityGroupIds: this.#each(VpcConfig['SecurityGroupIds']) }
          : undefined;
    const isImage = PackageType === 'Image' || (isRecord(Code) && Code['ImageUri'] !== undefined);
    return without({
      FunctionName: arn.slice(arn.lastIndexOf(':') + 1),
      FunctionArn: asked === '$LATEST' ? arn : `${arn}:${asked}`,
      Version: '$LATEST',
      Role: this.#arnOf(Role) ?? new Unsaid('it has no Role'),
      ...(variables === undefined ? {} : { Environment: { Variables: this.#variables(variables) } }),
      VpcConfig: network,
      ...(Layers === undefined ? {} : { Layers: this.#layers(Layers) }),
      KMSKeyArn: KmsKeyArn,
      PackageType: PackageType ?? (isImage ? 'Image' : 'Zip'),
      Handler,
      Runtime,
    });
  }

  #variables(variables: Value): Value {
    if (!isRecord(variables)) return this.atLeast && variables instanceof Unsaid ? {} : variables;
    const entries = Object.entries(variables).flatMap(([name, value]): (readonly [string, Value])[] =>
      this.atLeast && unsaidIn(value) !== undefined
        ? []
        : [[name, value instanceof Unsaid ? value : typeof value === 'object' ? '' : String(value)]],
    );
    return Object.fromEntries(entries);
  }

  #layers(layers: Value): Value {
    const each = (Arn: Value): Value => {
      const known = typeof Arn === 'string' && layerOwner(Arn.split(':')[4] ?? '', this.template.deployment.region) !== undefined;
      return { Arn: known ? Arn : (this.#foreign(Arn) ?? Arn) };
    };
    return this.#each(isList(layers) ? layers.map(each) : layers);
  }

  #policyOf({ FunctionName, Qualifier, ResourceArn }: Properties): Properties {
    const name = FunctionName ?? ResourceArn;
    const { arn } = this.#function(name);
    const qualifier = qualifierOf(String(name)) ?? (Qualifier === undefined ? '$LATEST' : String(Qualifier));
    const here = (target: Target | Unsaid) => !(target instanceof Unsaid) && target.arn === arn && target.qualifier === qualifier;
    const granted = this.template
      .of('AWS::Lambda::Permission')
      .filter(({ properties }) => here(this.#target(properties['FunctionName'], properties['Qualifier'])))
      .map(({ key, properties }) => statementOf(key, properties, qualifier === '$LATEST' ? arn : `${arn}:${qualifier}`));
    const written = this.template
      .of('AWS::Lambda::ResourcePolicy')
      .filter(({ properties }) => here(this.#target(properties['ResourceArn'], undefined)))
      .map(({ properties: { Policy, PolicyDocument } }) => Policy ?? PolicyDocument ?? new Unsaid('its document is not given'));
    if (granted.length + written.length === 0) throw notFound('ResourceNotFoundException');
    const documents = [...(granted.length === 0 ? [] : [{ Statement: granted }]), ...written].map((one) => this.#statements(one));
    const unsaid = documents.find((one) => one instanceof Unsaid);
    return { Policy: unsaid ?? JSON.stringify({ Version: '2012-10-17', Statement: documents.flat() }) };
  }

  #tagsOf(name: Value | undefined): Value {
    const tags = tagsIn(this.#function(name).resource.properties['Tags']);
    return this.atLeast && unsaidIn(tags) !== undefined ? {} : tags;
  }

  #urls(): readonly (Target & { readonly resource: Resource })[] {
    return this.template.of('AWS::Lambda::Url').flatMap((resource) => {
      const target = this.#target(resource.properties['TargetFunctionArn'], resource.properties['Qualifier']);
      return target instanceof Unsaid ? [] : [{ ...target, resource }];
    });
  }

  #ofLambda(): Answers {
    return {
      getFunctionConfiguration: (input) => this.#configuration(input),
      getDecryptedConfiguration: (input) => this.#configuration(input),
      listAliases: ({ FunctionName }) => {
        const { arn } = this.#function(FunctionName);
        return this.#aliases(arn).map(({ name, version, weights }) =>
          without({
            Name: name,
            AliasArn: name instanceof Unsaid ? name : `${arn}:${String(name)}`,
            FunctionVersion: version,
            RoutingConfig: weights,
          }),
        );
      },
      listTags: ({ Resource }) => ({ Tags: this.#tagsOf(Resource) }),
      getTaggedFunction: ({ FunctionName }) => ({ Tags: this.#tagsOf(FunctionName) }),
      getFunctionUrlConfig: ({ FunctionName, Qualifier }) => {
        const { arn } = this.#function(FunctionName);
        const asked = qualifierOf(String(FunctionName)) ?? (Qualifier === undefined ? '$LATEST' : String(Qualifier));
        const url = this.#urls().find((one) => one.arn === arn && one.qualifier === asked);
        if (url === undefined) throw notFound('ResourceNotFoundException');
        return { FunctionArn: arn, AuthType: url.resource.properties['AuthType'] ?? new Unsaid('its AuthType is not given') };
      },
      listFunctionUrlConfigs: ({ FunctionName }) => {
        const { arn } = this.#function(FunctionName);
        return this.#urls().flatMap((url) =>
          url.arn === arn ? [{ FunctionArn: url.qualifier === '$LATEST' ? arn : `${arn}:${url.qualifier}` }] : [],
        );
      },
      getPolicy: (input) => this.#policyOf(input),
      getResourcePolicy: (input) => this.#policyOf(input),
      versionsPage: () => ({ arns: this.template.of('AWS::Lambda::Version').flatMap(({ key }) => versionOf(this.template.id(key))) }),
      getFunctionCodeSigningConfig: ({ FunctionName }) =>
        without({ CodeSigningConfigArn: this.#function(FunctionName).resource.properties['CodeSigningConfigArn'] }),
      describeCustomerKey: ({ KeyId }) => {
        const own = this.template.of('AWS::KMS::Key').some(({ key }) => [key, this.template.id(key, 'Arn')].includes(String(KeyId)));
        if (!own) throw new OnlyTheAccountKnows(`the key ${String(KeyId)} is not made by this template`);
        return { KeyMetadata: { KeyManager: 'CUSTOMER' } };
      },
    };
  }

  // --- IAM

  #role(name: Value | undefined): Resource {
    const role = this.template.of('AWS::IAM::Role').find(({ key }) => this.template.id(key) === name);
    if (role === undefined) throw new OnlyTheAccountKnows(`the role ${String(name)} is not made by this template`);
    this.#at(this.template.id(role.key, 'Arn'), role);
    return role;
  }

  /** Policies that name the role, besides its own. */
  #attached(name: string, type: string): readonly Resource[] {
    return this.template.of(type).filter(({ properties: { Roles, RoleName } }) => {
      const listed = isList(Roles) ? Roles : [RoleName ?? Roles ?? null];
      return listed.some((one) => one === name || roleName(String(one)) === name);
    });
  }

  #policiesOf(role: Resource) {
    const name = this.template.id(role.key);
    const { Policies = [], ManagedPolicyArns = [] } = role.properties;
    const more = [...this.#attached(name, 'AWS::IAM::Policy'), ...this.#attached(name, 'AWS::IAM::RolePolicy')];
    const inline = [...(isList(Policies) ? Policies : [Policies]), ...more.map(({ properties }): Value => properties)].map((one, index) =>
      isRecord(one)
        ? { name: one['PolicyName'] ?? `policy${index}`, document: one['PolicyDocument'] ?? new Unsaid('an inline policy has no document') }
        : { name: `policy${index}`, document: one instanceof Unsaid ? one : new Unsaid('an inline policy is none') },
    );
    const managed = [
      ...(isList(ManagedPolicyArns) ? ManagedPolicyArns : [ManagedPolicyArns]),
      ...this.#attached(name, 'AWS::IAM::ManagedPolicy').map(({ key }): Value => this.template.id(key)),
    ];
    return { inline, managed };
  }

  #documentOf(arn: Value): Value {
    if (typeof arn !== 'string') return unsaidIn(arn) ?? new Unsaid('a managed policy is not named');
    const own = this.template.of('AWS::IAM::ManagedPolicy').find(({ key }) => this.template.id(key) === arn);
    if (own !== undefined) return own.properties['PolicyDocument'] ?? new Unsaid(`${own.logicalId} has no document`);
    return managedByAws(arn) ?? new Unsaid(`what the managed policy ${arn} allows is not in the template`);
  }

  #simulate({ PolicySourceArn, ActionNames, ResourceArns = ['*'] }: Properties): Properties {
    const role = this.#role(roleName(String(PolicySourceArn ?? '')));
    const { inline, managed } = this.#policiesOf(role);
    const strays = this.template
      .of('AWS::IAM::Policy', 'AWS::IAM::RolePolicy', 'AWS::IAM::ManagedPolicy')
      .flatMap(({ properties: { Roles, RoleName } }) => unsaidIn(Roles) ?? unsaidIn(RoleName) ?? []);
    const documents = managed.map((arn) => ({ arn, document: this.#documentOf(arn) }));
    const denier = documents.find(({ arn, document }) => document instanceof Unsaid && !(typeof arn === 'string' && isOfAws(arn)));
    const limit = role.properties['PermissionsBoundary'];
    const decideOn = (action: Value, resource: Value) =>
      decide(
        String(action),
        String(resource),
        [...inline.map(({ document }) => document), ...documents.map(({ document }) => document), ...strays],
        limit === undefined ? undefined : [this.#documentOf(limit)],
        strays[0] ?? unsaidIn(denier?.document),
      );
    const EvaluationResults = (isList(ActionNames) ? ActionNames : []).flatMap((action): Value[] => {
      const decisions = (isList(ResourceArns) ? ResourceArns : []).map((resource) => [resource, decideOn(action, resource)] as const);
      const unsaid = unsaidIn(decisions.map(([, decision]) => decision));
      if (unsaid !== undefined && !this.atLeast) return [{ EvalActionName: unsaid, EvalDecision: unsaid }];
      const ResourceSpecificResults = decisions.map(([EvalResourceName, decision]) => ({
        EvalResourceName,
        EvalResourceDecision: decision instanceof Unsaid ? ('implicitDeny' as const) : decision,
      }));
      const [worst = 'allowed'] = ResourceSpecificResults.flatMap(({ EvalResourceDecision: one }) => (one === 'allowed' ? [] : [one]));
      return [{ EvalActionName: action, EvalDecision: worst, ResourceSpecificResults }];
    });
    return { EvaluationResults };
  }

  #ofIam(): Answers {
    return {
      getRole: ({ RoleName }) => {
        const role = this.#role(RoleName);
        const { AssumeRolePolicyDocument, PermissionsBoundary, Tags } = role.properties;
        return {
          Role: without({
            RoleName,
            Arn: this.template.id(role.key, 'Arn'),
            AssumeRolePolicyDocument: this.#policyText(AssumeRolePolicyDocument),
            ...(PermissionsBoundary === undefined ? {} : { PermissionsBoundary: { PermissionsBoundaryArn: PermissionsBoundary } }),
            Tags: isList(Tags) ? Tags : undefined,
          }),
        };
      },
      simulatePrincipalPolicy: (input) => this.#simulate(input),
      listRolePolicies: ({ RoleName }) => this.#policiesOf(this.#role(RoleName)).inline.map(({ name }) => name),
      getRolePolicy: ({ RoleName, PolicyName }) => ({
        PolicyDocument: textOf(this.#policiesOf(this.#role(RoleName)).inline.find(({ name }) => name === PolicyName)?.document),
      }),
      listAttachedRolePolicies: ({ RoleName }) => this.#each(this.#policiesOf(this.#role(RoleName)).managed),
      getManagedPolicy: ({ PolicyArn }) => ({ Policy: { Arn: PolicyArn, DefaultVersionId: 'v1' } }),
    };
  }

  // --- networks

  #group(id: string): Value | undefined {
    const group = this.template.of('AWS::EC2::SecurityGroup').find(({ key }) => this.template.id(key) === id);
    if (group === undefined) return undefined;
    this.#at(this.#networkArn('security-group', id), group);
    const { GroupName, VpcId, SecurityGroupIngress, SecurityGroupEgress, Tags } = group.properties;
    const more = (type: string) =>
      this.template.of(type).flatMap(({ properties }) => (properties['GroupId'] === id ? [properties as Value] : []));
    const rules = (own: Value | undefined, others: readonly Value[]): Value => {
      const inline = this.#each(own);
      if (inline instanceof Unsaid) return inline;
      const all = this.#each([...(isList(inline) ? inline : []), ...others]);
      return isList(all) ? all.map(ruleOf) : all;
    };
    // What lets out everything is there until a rule of the group itself takes its place.
    const everything = [{ IpProtocol: '-1', CidrIp: '0.0.0.0/0' }];
    const out =
      SecurityGroupEgress === undefined || (isList(SecurityGroupEgress) && SecurityGroupEgress.length === 0)
        ? everything
        : SecurityGroupEgress;
    return without({
      GroupId: id,
      GroupName: typeof GroupName === 'string' ? GroupName : group.key,
      VpcId: VpcId instanceof Unsaid ? 'a VPC that the template does not name' : VpcId,
      Tags: isList(Tags) && unsaidIn(Tags) === undefined ? Tags : undefined,
      IpPermissions: rules(SecurityGroupIngress, more('AWS::EC2::SecurityGroupIngress')),
      IpPermissionsEgress: rules(out, more('AWS::EC2::SecurityGroupEgress')),
    });
  }

  #networkArn(kind: string, id: string): string {
    const { account, region } = this.template.deployment;
    return `arn:${partitionOf(region)}:ec2:${region}:${account}:${kind}/${id}`;
  }

  /** Those that the template makes; in the world of what is wrong at least, the others are left out. */
  #known(ids: readonly string[], what: string, find: (id: string) => Value | undefined): readonly Value[] {
    return ids.flatMap((id) => {
      const found = find(id);
      if (found === undefined && !this.atLeast) throw new OnlyTheAccountKnows(`the ${what} ${id} is not made by this template`);
      return found ?? [];
    });
  }

  /** What else than functions is put into a group: any resource that names it. */
  #othersIn(group: string): readonly Value[] {
    if (this.#isExported(group) && !this.atLeast) throw new OnlyTheAccountKnows(`${group} is exported to other stacks`);
    return this.template.resources.flatMap(({ key, type, properties }) =>
      !/^AWS::(Lambda::Function|EC2::SecurityGroup(Ingress|Egress)?)$/.test(type) && names(properties, group)
        ? [{ NetworkInterfaceId: key, InterfaceType: type, Groups: [{ GroupId: group }] }]
        : [],
    );
  }

  #subnet(id: string): Value | undefined {
    const subnet = this.template.of('AWS::EC2::Subnet').find(({ key }) => this.template.id(key) === id);
    if (subnet === undefined) return undefined;
    this.#at(this.#networkArn('subnet', id), subnet);
    const { VpcId, AvailabilityZone, Tags } = subnet.properties;
    return without({
      SubnetId: id,
      VpcId,
      AvailabilityZone: AvailabilityZone ?? new Unsaid(`which availability zone ${subnet.logicalId} gets is not said`),
      Tags: isList(Tags) && unsaidIn(Tags) === undefined ? Tags : undefined,
    });
  }

  #routeTables(vpc: Value | undefined): readonly Value[] {
    const associations = this.template.of('AWS::EC2::SubnetRouteTableAssociation');
    const routes = this.template.of('AWS::EC2::Route');
    const local = { DestinationCidrBlock: '10.0.0.0/16', GatewayId: 'local', State: 'active' };
    const tables = this.template.of('AWS::EC2::RouteTable').flatMap(({ key, properties }) => {
      if (properties['VpcId'] !== vpc) return [];
      const id = this.template.id(key);
      return [
        {
          RouteTableId: id,
          VpcId: vpc,
          Routes: [
            local,
            ...routes.flatMap((route) => (route.properties['RouteTableId'] === id ? [{ ...route.properties, State: 'active' }] : [])),
          ],
          Associations: associations.flatMap(({ properties: { RouteTableId, SubnetId } }) =>
            RouteTableId === id ? [without({ SubnetId, Main: false, AssociationState: { State: 'associated' } })] : [],
          ),
        },
      ];
    });
    // The main table of a VPC that the template makes leads nowhere else.
    const own = this.template.of('AWS::EC2::VPC').some(({ key }) => this.template.id(key) === vpc);
    const main = { RouteTableId: `rtb-main-${String(vpc)}`, VpcId: vpc, Routes: [local], Associations: [{ Main: true }] };
    return (own ? [...tables, main] : tables) as readonly Value[];
  }

  #ofNetwork(): Answers {
    return {
      describeSecurityGroups: ({ Filters }) => {
        const [filter] = isList(Filters) ? Filters : [];
        const { Name, Values } = isRecord(filter) ? filter : { Name: '', Values: [] };
        if (Name !== 'group-id') throw new OnlyTheAccountKnows('a security group is named, not given by its id');
        return { SecurityGroups: this.#known(textsIn(Values), 'security group', (id) => this.#group(id)) };
      },
      describeNetworkInterfaces: ({ groups, subnets }) => {
        if (subnets !== undefined) throw new OnlyTheAccountKnows('what else lives in a subnet is not in the template');
        return textsIn(groups).flatMap((group) => this.#othersIn(group));
      },
      getManagedPrefixListEntries: ({ prefixList }) => {
        const list = this.template.of('AWS::EC2::PrefixList').find(({ key }) => this.template.id(key) === prefixList);
        if (list === undefined) {
          if (this.atLeast) return [];
          throw new OnlyTheAccountKnows(`the prefix list ${String(prefixList)} is not made by this template`);
        }
        const entries = this.#each(list.properties['Entries']);
        return isList(entries) ? entries.map((entry) => (isRecord(entry) ? (entry['Cidr'] ?? null) : entry)) : entries;
      },
      describeSubnets: ({ subnets }) => {
        if (subnets === undefined) throw new OnlyTheAccountKnows('the subnets of a VPC are not all in the template');
        return textsIn(subnets).map((id) => {
          const subnet = this.#subnet(id);
          if (subnet === undefined) throw new OnlyTheAccountKnows(`the subnet ${id} is not made by this template`);
          return subnet;
        });
      },
      describeRouteTables: ({ vpc }) => {
        if (vpc === undefined) throw new OnlyTheAccountKnows('a route table is not in the template');
        return this.#routeTables(vpc);
      },
    };
  }

  // --- HTTP and WebSocket APIs

  #httpApi(id: Value | undefined): Resource {
    const api = this.template.of('AWS::ApiGatewayV2::Api').find(({ key }) => key === id);
    if (api === undefined) throw notFound('NotFoundException');
    return api;
  }

  #partsOf(type: string, api: string): readonly Resource[] {
    return this.template.of(type).filter(({ properties }) => properties['ApiId'] === api || properties['RestApiId'] === api);
  }

  #routes({ key, properties, logicalId }: Resource): Value {
    const own = samRoutes(properties, logicalId);
    if (own instanceof Unsaid) return own;
    const quick = properties['Target'] === undefined ? [] : [{ RouteId: 'default', RouteKey: '$default', AuthorizationType: 'NONE' }];
    const defined = (own ?? []).map(({ logicalId: by, verb, path, authorization, apiKey }) => {
      const RouteKey = path === '$default' ? path : `${verb} ${path}`;
      return {
        by,
        RouteId: idOf(RouteKey),
        RouteKey,
        AuthorizationType: authorization,
        ApiKeyRequired: apiKey,
        AuthorizerId: 'made by SAM',
      };
    });
    const listed = this.#partsOf('AWS::ApiGatewayV2::Route', key).map((route) => {
      const { RouteKey = null, AuthorizationType = 'NONE', AuthorizerId, ApiKeyRequired, Target } = route.properties;
      return { ...without({ RouteKey, AuthorizationType, AuthorizerId, ApiKeyRequired, Target }), by: route.logicalId, RouteId: route.key };
    });
    const all: readonly Value[] = [...quick, ...defined, ...listed].map(({ by = logicalId, ...route }: Properties) => {
      this.#places.set(this.#apiArn(`/apis/${key}/routes/${String(route['RouteId'])}`), String(by));
      return route as Value;
    });
    return this.#each(all);
  }

  #apiArn(path: string): string {
    const { region } = this.template.deployment;
    return `arn:${partitionOf(region)}:apigateway:${region}::${path}`;
  }

  #ofHttpApis(): Answers {
    return {
      getApis: () =>
        this.template.of('AWS::ApiGatewayV2::Api').map((api) => {
          this.#at(this.#apiArn(`/apis/${api.key}`), api);
          return { ApiId: api.key };
        }),
      getApi: ({ ApiId }) => {
        const { key, properties } = this.#httpApi(ApiId);
        const { Name, ProtocolType, DisableExecuteApiEndpoint, Tags } = properties;
        return without({
          ApiId: key,
          Name: typeof Name === 'string' ? Name : key,
          ProtocolType: ProtocolType ?? 'HTTP',
          DisableExecuteApiEndpoint: truthOf(DisableExecuteApiEndpoint),
          Tags: isRecord(Tags) && unsaidIn(Tags) === undefined ? Tags : undefined,
        });
      },
      getRoutes: ({ ApiId }) => this.#routes(this.#httpApi(ApiId)),
      getHttpStages: ({ ApiId }) => {
        const api = this.#httpApi(ApiId);
        const listed = this.#partsOf('AWS::ApiGatewayV2::Stage', api.key).map(({ key, properties: { StageName } }) => StageName ?? key);
        const own = api.properties['made by SAM'] !== undefined || api.properties['Target'] !== undefined ? ['$default'] : [];
        // Whatever the stage is deployed by, it serves what stands in the template, once that is deployed.
        return [...own, ...listed].map((StageName) => ({
          StageName: StageName instanceof Unsaid ? 'a stage' : StageName,
          AutoDeploy: true,
        }));
      },
      getHttpAuthorizers: ({ ApiId }) => [
        { AuthorizerId: 'made by SAM' },
        ...this.#partsOf('AWS::ApiGatewayV2::Authorizer', String(ApiId)).map(({ key }) => ({ AuthorizerId: key })),
        ...this.#authorizersElsewhere(String(ApiId)),
      ],
      getIntegrations: ({ ApiId }) => {
        const api = this.#httpApi(ApiId);
        const { Target } = api.properties;
        const listed = this.#partsOf('AWS::ApiGatewayV2::Integration', api.key).map(({ key, properties: { IntegrationUri } }) =>
          without({ IntegrationId: key, IntegrationUri }),
        );
        const defined =
          api.properties['made by SAM'] !== undefined || api.properties['Body'] !== undefined ? [{ IntegrationUri: someFunction }] : [];
        return this.#each([...defined, ...(Target === undefined ? [] : [{ IntegrationUri: Target }]), ...listed]);
      },
    };
  }

  /** An authorizer that the template does not make is one of the API all the same: it would not deploy otherwise. */
  #authorizersElsewhere(api: string): readonly Value[] {
    return this.#partsOf('AWS::ApiGatewayV2::Route', api).flatMap(({ properties: { AuthorizerId } }) =>
      AuthorizerId === undefined ? [] : [{ AuthorizerId }],
    );
  }

  // --- REST APIs

  #makesRestApi(id: string): boolean {
    return this.template.of('AWS::ApiGateway::RestApi').some(({ key }) => key === id);
  }

  #restApi(id: Value | undefined): Resource {
    const api = this.template.of('AWS::ApiGateway::RestApi').find(({ key }) => key === id);
    if (api === undefined) throw notFound('NotFoundException');
    return api;
  }

  #pathOf(resourceId: Value | undefined, depth = 0): string {
    const resource = this.template.of('AWS::ApiGateway::Resource').find(({ key }) => key === resourceId);
    if (resource === undefined || depth > 50) return '';
    const { ParentId, PathPart } = resource.properties;
    return `${this.#pathOf(ParentId, depth + 1)}/${PathPart instanceof Unsaid ? resource.key : String(PathPart)}`;
  }

  /** Path → verb → method. */
  #methods({ key: api, logicalId, properties }: Resource): ReadonlyMap<string, Readonly<Record<string, Properties>>> | Unsaid {
    const own = samRoutes(properties, logicalId);
    if (own instanceof Unsaid) return own;
    const found = new Map<string, Record<string, Properties>>();
    const put = (path: string, verb: string, by: string, method: Properties) => {
      if (this.atLeast && unsaidIn(method) !== undefined) return;
      found.set(path, { ...found.get(path), [verb]: method });
      this.#places.set(this.#apiArn(`/restapis/${api}/resources/${idOf(path)}/methods/${verb}`), by);
    };
    for (const { logicalId: by, verb, path, authorization, apiKey } of own ?? [])
      put(path, verb, by, {
        authorizationType: authorization,
        apiKeyRequired: truthOf(apiKey) ?? false,
        methodIntegration: { uri: someFunction },
      });
    for (const { logicalId: by, properties: method } of this.#partsOf('AWS::ApiGateway::Method', api)) {
      const { ResourceId, HttpMethod, AuthorizationType = 'NONE', ApiKeyRequired = false, Integration } = method;
      if (unsaidIn(ResourceId) !== undefined || unsaidIn(HttpMethod) !== undefined) continue;
      const uri = isRecord(Integration) ? Integration['Uri'] : Integration;
      const methodIntegration: Properties = uri === undefined ? {} : { methodIntegration: { uri } };
      put(this.#pathOf(ResourceId) || '/', String(HttpMethod).toUpperCase(), by, {
        authorizationType: AuthorizationType,
        apiKeyRequired: truthOf(ApiKeyRequired) ?? false,
        ...methodIntegration,
      });
    }
    return found;
  }

  #ofRestApis(): Answers {
    return {
      getRestApis: () =>
        this.template.of('AWS::ApiGateway::RestApi').map((api) => {
          this.#at(this.#apiArn(`/restapis/${api.key}`), api);
          return { id: api.key };
        }),
      getRestApi: ({ restApiId }) => {
        const { key, properties } = this.#restApi(restApiId);
        const { Name, EndpointConfiguration, Policy, DisableExecuteApiEndpoint } = properties;
        const types = isRecord(EndpointConfiguration)
          ? (EndpointConfiguration['Types'] ?? EndpointConfiguration['Type'])
          : EndpointConfiguration;
        return without({
          id: key,
          name: typeof Name === 'string' ? Name : key,
          ...(types === undefined ? {} : { endpointConfiguration: { types: types instanceof Unsaid || isList(types) ? types : [types] } }),
          policy: textOf(Policy),
          disableExecuteApiEndpoint: truthOf(DisableExecuteApiEndpoint),
        });
      },
      getRestExport: ({ restApiId }) => ({
        'x-amazon-apigateway-policy': this.#restApi(restApiId).properties['Policy'] ?? null,
      }),
      getRestStages: ({ restApiId }) => {
        const api = this.#restApi(restApiId);
        const named = [
          ...this.#partsOf('AWS::ApiGateway::Stage', api.key),
          ...this.#partsOf('AWS::ApiGateway::Deployment', api.key).filter(({ properties }) => properties['StageName'] !== undefined),
        ].map(({ key, properties: { StageName } }) => StageName ?? key);
        const own = api.properties['made by SAM'] === undefined ? [] : [api.properties['StageName'] ?? 'Prod'];
        return [...own, ...named].map((name) => ({
          stageName: name instanceof Unsaid ? 'a stage' : name,
          deploymentId: 'as the template says',
        }));
      },
      getRestResources: ({ restApiId }) => {
        const methods = this.#methods(this.#restApi(restApiId));
        if (methods instanceof Unsaid) throw new OnlyTheAccountKnows(methods.why);
        return [...methods].map(([path, resourceMethods]) => ({ id: idOf(path), path, resourceMethods }));
      },
      getRestDeployment: ({ restApiId }) => {
        const methods = this.#methods(this.#restApi(restApiId));
        return methods instanceof Unsaid ? { apiSummary: methods } : { apiSummary: Object.fromEntries(methods) };
      },
    };
  }
}

/** SAM's routes, or those of a definition; undefined where an API has resources of its own instead. */
function samRoutes(properties: Properties, logicalId: string): readonly SamRoute[] | Unsaid | undefined {
  const { routes, Body, BodyS3Location } = properties;
  if (routes instanceof Unsaid) return routes;
  if (isList(routes)) return routes as unknown as readonly SamRoute[];
  if (BodyS3Location !== undefined) return new Unsaid('its definition stands in a file of its own (BodyS3Location)');
  return Body === undefined ? undefined : routesOfDefinition(Body, logicalId);
}

/** What a definition leads to is taken for a function. */
const someFunction = 'arn:aws:lambda:us-east-1:000000000000:function:a-function';

function notFound(name: string): Error {
  return Object.assign(new Error('not in the template'), { name, $metadata: {} });
}

function without(values: Readonly<Record<string, Value | undefined>>): Properties {
  return Object.fromEntries(Object.entries(values).filter((entry): entry is [string, Value] => entry[1] !== undefined));
}

function textsIn(value: Value | undefined): readonly string[] {
  return isList(value) ? value.filter((one): one is string => typeof one === 'string') : [];
}

function truthOf(value: Value | undefined): Value | undefined {
  return typeof value === 'string' ? value.toLowerCase() === 'true' : value;
}

function idOf(path: string): string {
  return path.replace(/[^\w-]+/g, (part) => [...part].map((letter) => `_${letter.codePointAt(0)?.toString(16)}`).join(''));
}

function versionOf(arn: string): readonly string[] {
  return /:\d+$/.test(arn) ? [arn] : [];
}

function parsed(text: string): Value {
  try {
    return JSON.parse(text) as Value;
  } catch {
    return null;
  }
}

/** Tags of Lambda, which CloudFormation lists. */
function tagsIn(tags: Value | undefined): Value {
  if (!isList(tags)) return tags instanceof Unsaid ? tags : {};
  return Object.fromEntries(tags.flatMap((tag) => (isRecord(tag) ? [[String(tag['Key']), tag['Value'] ?? '']] : [])));
}

function names(value: Value | undefined, text: string): boolean {
  if (value === text) return true;
  if (typeof value !== 'object' || value === null || value instanceof Unsaid) return false;
  return Object.values(value).some((part) => names(part, text));
}

/** What AWS::Lambda::Permission adds to the policy, as AddPermission does. */
function statementOf(Sid: string, properties: Properties, Resource: string): Value {
  const { Action = null, Principal = null, SourceArn, SourceAccount, PrincipalOrgID, EventSourceToken, FunctionUrlAuthType } = properties;
  const { InvokedViaFunctionUrl } = properties;
  const principal =
    typeof Principal !== 'string' && typeof Principal !== 'number'
      ? Principal
      : Principal === '*'
        ? '*'
        : /^\d{12}$/.test(String(Principal))
          ? { AWS: `arn:aws:iam::${Principal}:root` }
          : String(Principal).startsWith('arn:')
            ? { AWS: Principal }
            : { Service: Principal };
  const asText = (value: Value) => (typeof value === 'number' ? String(value) : value);
  const keys: readonly (readonly [string, string, Value | undefined])[] = [
    ['ArnLike', 'AWS:SourceArn', SourceArn],
    ['StringEquals', 'AWS:SourceAccount', SourceAccount],
    ['StringEquals', 'aws:PrincipalOrgID', PrincipalOrgID],
    ['StringEquals', 'lambda:EventSourceToken', EventSourceToken],
    ['StringEquals', 'lambda:FunctionUrlAuthType', FunctionUrlAuthType],
    ['Bool', 'lambda:InvokedViaFunctionUrl', String(InvokedViaFunctionUrl) === 'true' ? 'true' : undefined],
  ];
  const condition: Record<string, Properties> = {};
  for (const [operator, key, value] of keys)
    if (value !== undefined) condition[operator] = { ...condition[operator], [key]: asText(value) };
  return {
    Sid,
    Effect: 'Allow',
    Principal: principal,
    Action,
    Resource,
    ...(Object.keys(condition).length === 0 ? {} : { Condition: condition }),
  };
}

/** A rule of a group in CloudFormation's words, as EC2 answers it. */
function ruleOf(rule: Value): Value {
  if (!isRecord(rule)) return rule;
  const { IpProtocol = '-1', FromPort, ToPort, CidrIp, CidrIpv6, SourcePrefixListId, DestinationPrefixListId, Description } = rule;
  const described: Properties = typeof Description === 'string' ? { Description } : {};
  const list = SourcePrefixListId ?? DestinationPrefixListId;
  const port = (value: Value | undefined) => (typeof value === 'string' ? Number(value) : value);
  return without({
    IpProtocol: typeof IpProtocol === 'number' ? String(IpProtocol) : IpProtocol,
    FromPort: port(FromPort),
    ToPort: port(ToPort),
    ...(CidrIp === undefined ? {} : { IpRanges: [{ CidrIp, ...described }] }),
    ...(CidrIpv6 === undefined ? {} : { Ipv6Ranges: [{ CidrIpv6, ...described }] }),
    ...(list === undefined ? {} : { PrefixListIds: [{ PrefixListId: list, ...described }] }),
  });
}
