import { partitionOf } from '../../guard/arn.ts';
import { isRaw, type Raw, recordOf, type TemplateDocument } from './document.ts';
import { samEvents, samFunction } from './sam.ts';
import { type Deployment, isRecord, type Properties, Unsaid, unsaidIn, type Value, Values } from './values.ts';

/** Something that a template makes. */
export interface Resource {
  /** What SAM makes beside a function has a key of its own, and the function's logical id. */
  readonly key: string;
  readonly logicalId: string;
  readonly type: string;
  readonly properties: Properties;
}

/** Part of a template that no rule can be asked about. */
export interface Doubt {
  /** `*` where it may concern any rule. */
  readonly rule: string;
  readonly logicalId: string | undefined;
  readonly why: string;
}

/** Macros that change nothing that rules look at, or that are read here. */
const knownMacros = /^AWS::(Serverless-2016-10-31|LanguageExtensions|CodeDeployBlueGreen|SecretsManager-.*)$/;

/** What rules look at: only where one of these may or may not be made is anything doubtful. */
const judged = /^AWS::(Lambda|Serverless|ApiGateway|ApiGatewayV2|IAM|EC2)::/;

/** What ends in one of these names a thing, or says where it is; anything else may be a value that somebody chose. */
const namesThings = /(Arn|Id|Name|Url|URL|Endpoint|Address|Port|Host|Domain|DomainName|Alias|Version|Status)$/;

/** What a template makes, with every value as far as the template decides it. */
export class Template {
  readonly deployment: Deployment;
  readonly lines: ReadonlyMap<string, number>;
  readonly resources: readonly Resource[];
  readonly doubts: readonly Doubt[];
  /** Values of outputs that other stacks may import. */
  readonly exported: readonly Value[];
  readonly #raw: { readonly [key: string]: Raw };
  readonly #values: Values;
  #globals: Properties = {};

  constructor({ content, lines }: TemplateDocument, deployment: Deployment) {
    this.deployment = deployment;
    this.lines = lines;
    this.#raw = isRaw(content['Resources']) ? content['Resources'] : {};
    this.#values = new Values(content, deployment, (logicalId, attribute) => this.#reference(logicalId, attribute));
    const globals = this.#values.resolve(this.#withReferences(content['Globals'], 'Function'));
    this.#globals = isRecord(globals) ? globals : {};
    const resources: Resource[] = [];
    const doubts: Doubt[] = [...macros(content['Transform'])];
    for (const unsaid of [globals, ...Object.values(this.#globals)])
      if (unsaid instanceof Unsaid) doubts.push({ rule: '*', logicalId: undefined, why: `its Globals are not said: ${unsaid.why}` });
    for (const [logicalId, raw] of Object.entries(this.#raw)) {
      if (logicalId.startsWith('Fn::')) doubts.push({ rule: '*', logicalId, why: `${logicalId} makes resources at deployment` });
      const { type, condition, properties } = this.#declared(raw);
      if (type === undefined && !logicalId.startsWith('Fn::')) doubts.push({ rule: '*', logicalId, why: 'it has no type' });
      if (type === undefined) continue;
      const there = condition === undefined ? true : this.#values.condition(condition);
      if (there === false) continue;
      if (there instanceof Unsaid && judged.test(type))
        doubts.push({ rule: '*', logicalId, why: `whether it is made is not said: ${there.why}` });
      if (there instanceof Unsaid) continue;
      if (/^AWS::(CloudFormation::Stack|Serverless::Application|CloudFormation::Macro)$/.test(type))
        doubts.push({ rule: '*', logicalId, why: 'what it makes stands in another template' });
      const resolved = this.#values.resolve(this.#withReferences(properties) ?? {});
      if (isRecord(resolved)) resources.push({ key: logicalId, logicalId, type, properties: resolved });
      else if (judged.test(type))
        doubts.push({ rule: '*', logicalId, why: (unsaidIn(resolved) ?? new Unsaid('its properties are no map')).why });
    }
    const whole = resources.flatMap((one) => (one.type === 'AWS::Serverless::Function' ? samFunction(one, this.#globals) : [one]));
    const { resources: apis, doubts: lost } = samEvents(resources, this.#globals);
    this.resources = [...whole, ...apis];
    this.doubts = [...doubts, ...lost];
    const outputs = this.#values.resolve(content['Outputs']);
    this.exported = Object.values(isRecord(outputs) ? outputs : {}).flatMap((output) =>
      isRecord(output) && output['Export'] !== undefined ? [output['Value'] ?? null] : [],
    );
  }

  of(...types: readonly string[]): readonly Resource[] {
    return this.resources.filter(({ type }) => types.includes(type));
  }

  /** What a Ref of it gives, or an attribute. */
  id(key: string, attribute?: string): string {
    const value = this.#reference(key, attribute);
    return typeof value === 'string' ? value : key;
  }

  #declared(raw: Raw | undefined) {
    if (!isRaw(raw) || typeof raw['Type'] !== 'string') return { type: undefined, condition: undefined, properties: undefined };
    return { type: raw['Type'], condition: raw['Condition'], properties: raw['Properties'] };
  }

  /** Variables that hold what CloudFormation calls a resource: an ARN in its place, for the logical id may look like anything. */
  #withReferences(raw: Raw | undefined, ...path: readonly string[]): Raw | undefined {
    const [next, ...rest] = path;
    if (!isRaw(raw)) return raw;
    if (next !== undefined) return { ...raw, [next]: this.#withReferences(raw[next], ...rest) ?? null };
    const { Environment } = raw;
    const variables = isRaw(Environment) ? Environment['Variables'] : undefined;
    if (!isRaw(Environment) || !isRaw(variables)) return raw;
    const named = Object.entries(variables).map(([name, value]): readonly [string, Raw] => {
      const of = isRaw(value) ? (value['Ref'] ?? value['Fn::GetAtt']) : undefined;
      const logicalId = Array.isArray(of) ? of[0] : of;
      if (typeof logicalId !== 'string' || this.#raw[logicalId] === undefined) return [name, value];
      if (typeof this.#values.resolve(value) !== 'string') return [name, value];
      return [name, `arn:aws:cloudformation:us-east-1:${this.deployment.account}:resource/${logicalId}`];
    });
    return { ...raw, Environment: { ...Environment, Variables: recordOf(named) } };
  }

  #property(logicalId: string, name: string): Value | undefined {
    const { properties } = this.#declared(this.#raw[logicalId]);
    return isRaw(properties) ? this.#values.resolve(properties[name]) : undefined;
  }

  /** A name that the template gives; else the logical id, of which CloudFormation makes one. */
  #name(logicalId: string, property: string): string {
    const given = this.#property(logicalId, property);
    return typeof given === 'string' && /^[\w.+=@,-]{1,128}$/.test(given) ? given : logicalId;
  }

  #typeOf(key: string): { readonly type: string; readonly logicalId: string } | undefined {
    const { type } = this.#declared(this.#raw[key]);
    if (type !== undefined) return { type, logicalId: key };
    // What SAM makes: https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-generated-resources.html
    const made = (suffix: string, of: string, as: string) => {
      const logicalId = key.endsWith(suffix) ? key.slice(0, -suffix.length) : '';
      return this.#declared(this.#raw[logicalId]).type === `AWS::Serverless::${of}` ? { type: as, logicalId } : undefined;
    };
    if (key === 'ServerlessRestApi') return { type: 'AWS::ApiGateway::RestApi', logicalId: key };
    if (key === 'ServerlessHttpApi') return { type: 'AWS::ApiGatewayV2::Api', logicalId: key };
    return (
      made('Role', 'Function', 'AWS::IAM::Role') ??
      made('.Alias', 'Function', 'AWS::Lambda::Alias') ??
      made('.Version', 'Function', 'AWS::Lambda::Version') ??
      made('Url', 'Function', 'AWS::Lambda::Url')
    );
  }

  #reference(key: string, attribute: string | undefined): Value | undefined {
    const known = this.#typeOf(key);
    if (known === undefined) return undefined;
    const { type, logicalId } = known;
    const { account, region } = this.deployment;
    const partition = partitionOf(region);
    const arn = (service: string, resource: string) => `arn:${partition}:${service}:${region}:${account}:${resource}`;
    const either = (id: string, byArn: string, idAttribute: string) =>
      attribute === 'Arn' ? byArn : attribute === undefined || attribute === idAttribute ? id : undefined;
    switch (type) {
      case 'AWS::Lambda::Function':
      case 'AWS::Serverless::Function': {
        const name = this.#name(logicalId, 'FunctionName').replace(/[^\w-]/g, '-');
        return either(name, arn('lambda', `function:${name}`), 'FunctionName');
      }
      case 'AWS::Lambda::Alias': {
        const everywhere = isRecord(this.#globals['Function']) ? this.#globals['Function']['AutoPublishAlias'] : undefined;
        const name = key === logicalId ? this.#property(logicalId, 'Name') : (this.#property(logicalId, 'AutoPublishAlias') ?? everywhere);
        const of = key === logicalId ? this.#property(logicalId, 'FunctionName') : this.#reference(logicalId, 'Arn');
        const unsaid = unsaidIn(name) ?? unsaidIn(of);
        return (
          unsaid ??
          (attribute === undefined || attribute === 'AliasArn' ? `${this.functionArnOf(of)}:${String(name ?? 'live')}` : undefined)
        );
      }
      case 'AWS::Lambda::Version': {
        // The version is published from what stands in the template.
        if (attribute === 'Version') return '$LATEST';
        const of = key === logicalId ? this.#property(logicalId, 'FunctionName') : this.#reference(logicalId, 'Arn');
        return unsaidIn(of) ?? `${this.functionArnOf(of)}:1`;
      }
      case 'AWS::IAM::Role': {
        const name = key === logicalId ? this.#name(logicalId, 'RoleName') : key;
        const path = this.#property(logicalId, key === logicalId ? 'Path' : 'RolePath');
        return either(name, `arn:${partition}:iam::${account}:role${typeof path === 'string' ? path : '/'}${name}`, 'RoleName');
      }
      case 'AWS::IAM::ManagedPolicy':
        return `arn:${partition}:iam::${account}:policy/${this.#name(logicalId, 'ManagedPolicyName')}`;
      case 'AWS::EC2::SecurityGroup':
        return attribute === 'VpcId' ? this.#property(logicalId, 'VpcId') : `sg-${logicalId}`;
      case 'AWS::EC2::VPC':
        return attribute === undefined || attribute === 'VpcId' ? `vpc-${logicalId}` : undefined;
      case 'AWS::EC2::Subnet':
        if (attribute === 'AvailabilityZone' || attribute === 'VpcId') return this.#property(logicalId, attribute);
        return attribute === undefined || attribute === 'SubnetId' ? `subnet-${logicalId}` : undefined;
      case 'AWS::EC2::RouteTable':
        return `rtb-${logicalId}`;
      case 'AWS::EC2::InternetGateway':
        return `igw-${logicalId}`;
      case 'AWS::EC2::NatGateway':
        return `nat-${logicalId}`;
      case 'AWS::EC2::PrefixList':
        return attribute === 'Arn' ? undefined : `pl-${logicalId}`;
      case 'AWS::Lambda::LayerVersion':
      case 'AWS::Serverless::LayerVersion':
        return arn('lambda', `layer:${this.#name(logicalId, 'LayerName')}:1`);
      case 'AWS::SecretsManager::Secret':
        return attribute === undefined || attribute === 'Id' ? arn('secretsmanager', `secret:${logicalId}`) : undefined;
      case 'AWS::S3::Bucket': {
        const name = this.#name(logicalId, 'BucketName');
        return either(name, `arn:${partition}:s3:::${name}`, 'BucketName') ?? this.#other(key, attribute);
      }
      case 'AWS::SNS::Topic':
        return attribute === undefined || attribute === 'TopicArn' ? arn('sns', this.#name(logicalId, 'TopicName')) : logicalId;
      case 'AWS::KMS::Key':
        return either(logicalId, arn('kms', `key/${logicalId}`), 'KeyId');
      case 'AWS::Lambda::CodeSigningConfig':
        return arn('lambda', `code-signing-config:${logicalId}`);
      case 'AWS::ApiGateway::RestApi':
      case 'AWS::Serverless::Api':
        return attribute === 'RootResourceId' ? `${key}Root` : key;
      case 'AWS::CloudFormation::Stack':
      case 'AWS::Serverless::Application':
      case 'AWS::CloudFormation::CustomResource':
        return new Unsaid(`${key} says it once it is there`);
      default:
        if (type.startsWith('Custom::')) return new Unsaid(`${key} says it once it is there`);
        if (attribute === 'Arn') return arn(type.split('::')[1]?.toLowerCase() ?? 'aws', logicalId);
        return this.#other(key, attribute);
    }
  }

  #other(key: string, attribute: string | undefined): Value | undefined {
    if (attribute === undefined) return key;
    return namesThings.test(attribute) ? `${key}.${attribute}` : undefined;
  }

  /** A function's ARN from whatever a property names it by: name, ARN, with or without a qualifier. */
  functionArnOf(name: Value | undefined): string {
    const text = String(name ?? '');
    const { account, region } = this.deployment;
    return text.startsWith('arn:')
      ? text
      : `arn:${partitionOf(region)}:lambda:${region}:${account}:function:${text.replace(/^\d{12}:function:/, '')}`;
  }
}

function macros(transform: Raw | undefined): readonly Doubt[] {
  const named = transform === undefined ? [] : Array.isArray(transform) ? (transform as readonly Raw[]) : [transform];
  return named.flatMap((macro) => {
    const name = isRaw(macro) ? String(macro['Name']) : String(macro);
    return knownMacros.test(name) ? [] : [{ rule: '*', logicalId: undefined, why: `the macro ${name} may change anything in it` }];
  });
}
