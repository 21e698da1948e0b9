import { APIGatewayClient } from '@aws-sdk/client-api-gateway';
import { ApiGatewayV2Client } from '@aws-sdk/client-apigatewayv2';
import { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import { CloudTrailClient } from '@aws-sdk/client-cloudtrail';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { EC2Client } from '@aws-sdk/client-ec2';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { IAMClient } from '@aws-sdk/client-iam';
import { KMSClient } from '@aws-sdk/client-kms';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { ResourceGroupsTaggingAPIClient } from '@aws-sdk/client-resource-groups-tagging-api';
import { S3Client } from '@aws-sdk/client-s3';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SNSClient } from '@aws-sdk/client-sns';
import { SQSClient } from '@aws-sdk/client-sqs';
import { mockClient } from 'aws-sdk-client-mock';
import type { Place } from '../../../guard/arn.ts';
import { ApiGatewayService } from './api-gateway.ts';
import { ApiGatewayV2Service } from './api-gateway-v2.ts';
import { withoutAssigned } from './assigned-by-aws.ts';
import { Ec2Service } from './ec2.ts';
import { CloudFormationService, CloudTrailService, EventBridgeService, KmsService, SnsService, TaggingService } from './guard-services.ts';
import { IamService } from './iam.ts';
import { LambdaService } from './lambda.ts';
import { ResourcePolicies } from './resource-policies.ts';
import { S3Service } from './s3.ts';
import { SecretsManagerService } from './secrets-manager.ts';
import { awsError, copy, type Service, Surroundings } from './service.ts';

export { assignedByAws } from './assigned-by-aws.ts';

/** A call that reached the SDK. */
export interface SdkCall {
  readonly service: ServiceName;
  readonly operation: string;
  readonly input: Readonly<Record<string, unknown>>;
}

type ServiceName = 'apiGateway' | 'apiGatewayV2' | 'lambda' | 'ec2' | 'iam' | 'secretsManager' | 's3' | GuardServices | OnlyPolicies;
/** What a guard is made of. */
type GuardServices = 'eventBridge' | 'kms' | 'sns' | 'cloudFormation' | 'cloudTrail' | 'tagging';
/** Services of which the world has nothing but the policies on their resources. */
type OnlyPolicies = 'sqs' | 'dynamoDb';

/** What every call of the SDK passes on its way to the world, which it may delay, lose, repeat or refuse. */
export type Wire = (call: SdkCall, make: () => unknown) => Promise<unknown>;

interface Failure {
  readonly error: string;
  /** How many calls still succeed. */
  left: number;
}

/** Errors for which AWS answers with another HTTP status than 400. */
const statuses: Readonly<Record<string, number>> = {
  AccessDeniedException: 403,
  AccessDenied: 403,
  UnauthorizedOperation: 403,
  ResourceNotFoundException: 404,
  ServiceException: 500,
  InternalError: 500,
  ServiceUnavailable: 503,
  TooManyRequestsException: 429,
  RequestLimitExceeded: 503,
};

/**
 * AWS in memory, behind the clients of the SDK: what is tested runs the code of aws/, and only the wire is missing.
 * The world that was made last is the one that clients reach.
 */
export class World extends Surroundings {
  readonly apiGateway = new ApiGatewayService(this);
  readonly apiGatewayV2 = new ApiGatewayV2Service(this);
  readonly s3 = new S3Service(this);
  readonly secretsManager = new SecretsManagerService(this);
  readonly iam = new IamService(this);
  readonly ec2 = new Ec2Service(this);
  readonly lambda = new LambdaService(this, this.s3);
  readonly eventBridge = new EventBridgeService();
  readonly kms = new KmsService(() => this.resourcePolicies);
  readonly sns = new SnsService();
  readonly tagging = new TaggingService(() => this.lambda.tagged());
  readonly cloudFormation = new CloudFormationService(this);
  readonly cloudTrail = new CloudTrailService();
  readonly resourcePolicies = new ResourcePolicies(this);
  /** Every call that the SDK was asked for, in order; a test's own preparations are not among them. */
  readonly calls: SdkCall[] = [];
  wire: Wire = async (_, make) => make();
  readonly #failures = new Map<string, Failure>();

  /** Lets an operation fail from now on. @param after calls of it that still succeed */
  fail(operation: string, error: string, { after = 0 }: { readonly after?: number } = {}): void {
    this.#failures.set(operation, { error, left: after });
  }

  /** All that is there, as plain data without what AWS assigns: two of them are equal where nothing changed. */
  snapshot(): unknown {
    const services = { ...this.#services(), resourcePolicies: this.resourcePolicies };
    return copy(withoutAssigned(Object.fromEntries(Object.entries(services).map(([name, service]) => [name, service.snapshot()]))));
  }

  /** The SDK's end of the wire. */
  answer(service: ServiceName, operation: string, input: Readonly<Record<string, unknown>>): unknown {
    this.calls.push({ service, operation, input: copy(input) });
    const failure = this.#failures.get(operation);
    if (failure !== undefined && failure.left-- <= 0)
      throw awsError(failure.error, `${operation} fails in this test`, statuses[failure.error]);
    const name = `${operation.charAt(0).toLowerCase()}${operation.slice(1)}`;
    const services: Partial<Record<ServiceName, Service>> = this.#services();
    const own = services[service] as unknown as Readonly<Record<string, unknown>> | undefined;
    const target = typeof own?.[name] === 'function' ? own : (this.resourcePolicies as unknown as Readonly<Record<string, unknown>>);
    const method = target[name];
    // No $metadata: an operation that the world lacks is a defect of the test, never an answer of AWS.
    if (typeof method !== 'function') throw new Error(`test/support/world has no ${operation} in ${service}`);
    return { $metadata: {}, ...(copy(method.call(target, copy(input))) as object) };
  }

  #services(): Record<Exclude<ServiceName, OnlyPolicies>, Service> {
    const { apiGateway, apiGatewayV2, lambda, ec2, iam, secretsManager, s3, eventBridge, kms, sns, cloudFormation, cloudTrail, tagging } =
      this;
    return { apiGateway, apiGatewayV2, lambda, ec2, iam, secretsManager, s3, eventBridge, kms, sns, cloudFormation, cloudTrail, tagging };
  }
}

/** The SDK's clients that reach a world, by the world's name for their service. */
export const clients = {
  apiGateway: APIGatewayClient,
  apiGatewayV2: ApiGatewayV2Client,
  lambda: LambdaClient,
  ec2: EC2Client,
  iam: IAMClient,
  secretsManager: SecretsManagerClient,
  s3: S3Client,
  sqs: SQSClient,
  sns: SNSClient,
  kms: KMSClient,
  dynamoDb: DynamoDBClient,
  eventBridge: EventBridgeClient,
  cloudFormation: CloudFormationClient,
  cloudTrail: CloudTrailClient,
  tagging: ResourceGroupsTaggingAPIClient,
};

/** The world that was made last, and the stubs that lead to it: to make them again for every world takes longer than most tests. */
let last: World;
const stubs = new Map<string, { resetHistory(): unknown }>();

export function createWorld(place: Place = { account: '111122223333', region: 'us-east-1' }): World {
  const world = new World(place);
  last = world;
  for (const [service, Client] of Object.entries(clients)) {
    const stub = stubs.get(service);
    if (stub !== undefined && stub === (Client.prototype.send as unknown)) {
      stub.resetHistory();
      continue;
    }
    // Every client has a type of its own; what is stubbed is the one method that they share.
    const { send } = mockClient(Client as unknown as typeof LambdaClient);
    stubs.set(service, send);
    send.callsFake(async (command) => {
      const world = last;
      const call: SdkCall = { service: service as ServiceName, operation: operationOf(command), input: { ...command.input } };
      return (await world.wire(call, () => world.answer(call.service, call.operation, call.input))) as never;
    });
  }
  globalThis.fetch = async (url) => {
    const bytes = world.lambda.download(String(url));
    return bytes === undefined ? new Response(null, { status: 404 }) : new Response(new Uint8Array(bytes));
  };
  return world;
}

function operationOf(command: object): string {
  return command.constructor.name.replace(/Command$/, '');
}
