/** A price of AWS: so many dollars for so many units, in us-east-1, without discounts. */
export interface Price {
  readonly unit: string;
  readonly dollars: number;
  readonly per: number;
  /** Units a month that every account has for nothing, for as long as it exists. */
  readonly free: number;
  readonly page: string;
  /** Where the figure itself was read; without one it is the public list as commonly known, and AWS's page counts. */
  readonly read?: string;
}

/** When the list was put together. */
export const pricesAsOf = '2026-11-23';

const cloudwatch = 'https://aws.amazon.com/cloudwatch/pricing/';
const cloudwatchRead = 'https://signoz.io/guides/cloudwatch-pricing';
const config = 'https://aws.amazon.com/config/pricing/';
const configRead = 'https://www.vantage.sh/blog/aws-config-pricing';
const dynamodb = 'https://aws.amazon.com/dynamodb/pricing/on-demand/';
const lambda = 'https://aws.amazon.com/lambda/pricing/';
const sns = 'https://aws.amazon.com/sns/pricing/';

/** Public list prices of us-east-1. AWS draws no line between what the guard uses of a free allowance and what others do. */
export const prices = {
  sqsRequest: {
    unit: 'requests of SQS',
    dollars: 0.4,
    per: 1e6,
    free: 1e6,
    page: 'https://aws.amazon.com/sqs/pricing/',
    read: 'https://cloudburn.io/blog/amazon-sqs-pricing',
  },
  lambdaRequest: { unit: 'invocations', dollars: 0.2, per: 1e6, free: 1e6, page: lambda },
  /** On arm64, the first 7.5 billion GB-seconds. */
  lambdaGigabyteSecond: { unit: 'GB-seconds (arm64)', dollars: 0.0000133334, per: 1, free: 400_000, page: lambda },
  lambdaGigabyteSecondX86: { unit: 'GB-seconds (x86)', dollars: 0.0000166667, per: 1, free: 400_000, page: lambda },
  customEvent: {
    unit: 'events on a bus of your own',
    dollars: 1,
    per: 1e6,
    free: 0,
    page: 'https://aws.amazon.com/eventbridge/pricing/',
    read: 'https://cloudburn.io/blog/amazon-eventbridge-pricing',
  },
  dynamoRead: {
    unit: 'read request units',
    dollars: 0.125,
    per: 1e6,
    free: 0,
    page: dynamodb,
    read: 'https://airbyte.com/data-engineering-resources/dynamodb-pricing',
  },
  dynamoWrite: {
    unit: 'write request units',
    dollars: 0.625,
    per: 1e6,
    free: 0,
    page: dynamodb,
    read: 'https://airbyte.com/data-engineering-resources/dynamodb-pricing',
  },
  dynamoStored: { unit: 'GB in the table', dollars: 0.25, per: 1, free: 25, page: dynamodb },
  dynamoBackup: { unit: 'GB of point-in-time recovery', dollars: 0.2, per: 1, free: 0, page: dynamodb },
  alarm: { unit: 'alarms', dollars: 0.1, per: 1, free: 10, page: cloudwatch },
  metric: { unit: 'metrics of your own', dollars: 0.3, per: 1, free: 10, page: cloudwatch, read: cloudwatchRead },
  dashboard: { unit: 'dashboards', dollars: 3, per: 1, free: 3, page: cloudwatch },
  logged: { unit: 'GB of logs taken in', dollars: 0.5, per: 1, free: 5, page: cloudwatch },
  logStored: { unit: 'GB-months of logs', dollars: 0.03, per: 1, free: 0, page: cloudwatch },
  key: {
    unit: 'keys of KMS',
    dollars: 1,
    per: 1,
    free: 0,
    page: 'https://aws.amazon.com/kms/pricing/',
    read: 'https://aws.amazon.com/kms/pricing/',
  },
  keyRequest: {
    unit: 'requests of KMS',
    dollars: 0.03,
    per: 10_000,
    free: 20_000,
    page: 'https://aws.amazon.com/kms/pricing/',
    read: 'https://cloudburn.io/blog/aws-kms-pricing',
  },
  published: { unit: 'messages to a topic', dollars: 0.5, per: 1e6, free: 1e6, page: sns },
  email: { unit: 'emails', dollars: 2, per: 100_000, free: 1_000, page: sns },
  stored: { unit: 'GB-months in S3', dollars: 0.023, per: 1, free: 0, page: 'https://aws.amazon.com/s3/pricing/' },
  put: { unit: 'PUT requests of S3', dollars: 0.005, per: 1_000, free: 0, page: 'https://aws.amazon.com/s3/pricing/' },
  secondTrail: {
    unit: 'management events on a second trail',
    dollars: 2,
    per: 100_000,
    free: 0,
    page: 'https://aws.amazon.com/cloudtrail/pricing/',
    read: 'https://aws.amazon.com/cloudtrail/pricing/',
  },
  configurationItem: { unit: 'configuration items', dollars: 0.003, per: 1, free: 0, page: config, read: configRead },
} as const satisfies Readonly<Record<string, Price>>;

export type Meter = keyof typeof prices;

/** Evaluations of AWS Config's rules: so much for each up to a number a month. */
export const evaluationTiers: readonly { readonly upTo: number; readonly dollars: number }[] = [
  { upTo: 100_000, dollars: 0.001 },
  { upTo: 500_000, dollars: 0.0008 },
  { upTo: Number.POSITIVE_INFINITY, dollars: 0.0005 },
];

/** What so many units cost, in dollars. */
export function costOfUnits(meter: Meter, units: number): number {
  const { dollars, per } = prices[meter];
  return (units / per) * dollars;
}
