import { pascalCase } from '../../guard/rule.ts';
import { rules } from '../../rules/index.ts';
import { place } from '../support/rule-test.ts';
import { setUps } from './set-ups.ts';

// What the functions of the guard find in their environment. Imported before them: some read it as they are loaded.

const queues = ['check', 'remediate', 'notify'] as const;
export type QueueName = (typeof queues)[number];

export function urlOf(queue: QueueName): string {
  return `https://sqs.${place.region}.amazonaws.com/${place.account}/guard-${queue}`;
}

Object.assign(process.env, {
  GUARD_ACCOUNT: place.account,
  AWS_REGION: place.region,
  StackName: 'guard',
  LedgerTable: 'ledger',
  GuardBus: 'guard',
  AlertTopic: `arn:aws:sns:${place.region}:${place.account}:alerts`,
  ArchiveBucket: 'guard-archive',
  BoundaryArn: `arn:aws:iam::${place.account}:policy/compliance-guard/boundary`,
  DenialArn: `arn:aws:iam::${place.account}:policy/guard-denial`,
  Queues: queues.map(urlOf).join(','),
  LambdaCallsPerSecond: '15',
  ApiGatewayCallsPerSecond: '10',
  DigestOver: '4',
  ProbationMinutes: '1',
  ProbationInvocations: '10',
  POWERTOOLS_LOG_LEVEL: 'SILENT',
  POWERTOOLS_METRICS_DISABLED: 'true',
  ...Object.fromEntries(rules.map(({ id }) => [`${pascalCase(id)}Mode`, 'remediate'])),
  Modes: rules.map(({ id, delay }) => `${id}=remediate:${delay}`).join(','),
  ...Object.assign({}, ...Object.values(setUps).map(({ parameters = {} }) => parameters)),
});
