import { describeStack, type StackDescription } from '../aws/cloudformation.ts';
import { callOperate } from '../aws/operate.ts';
import { partitionOf } from '../guard/arn.ts';
import type { Connection } from '../guard/call.ts';
import { type Config, readConfig } from '../guard/config.ts';
import { errorName } from '../guard/errors.ts';
import type { Ledger } from '../guard/ledger.ts';
import type { OperateRequest } from '../guard/operate.ts';
import { pascalCase } from '../guard/rule.ts';
import { DynamoLedger } from '../ledger/ledger.ts';
import { Table } from '../ledger/table.ts';
import { rules } from '../rules/index.ts';
import { listed, type Options, WrongUse } from './use.ts';

export { type Options, WrongUse } from './use.ts';

/** The deployed guard, as this operator reaches it: the ledger to read, the operate function to write. */
export interface Session {
  readonly connection: Connection;
  readonly ledger: Ledger;
  /** What the stack was deployed with. */
  readonly config: Config;
  /** What the variables in the permissions of calls (`${Archive.Arn}`) stand for in this stack. */
  readonly names: Readonly<Record<string, string>>;
  readonly operate: (request: OperateRequest) => Promise<Readonly<Record<string, unknown>>>;
}

export async function openSession(options: Options): Promise<Session> {
  const { stack } = options;
  const [region = '', ...more] = regionsOf(options);
  if (more.length > 0 || region === 'all') throw new WrongUse('A stack is in one region: give --region one of them.');
  const described = await describeStack.run({ account: '', region }, { StackName: String(stack) }).catch((error: unknown) => {
    if (errorName(error) !== 'ValidationError') throw error;
    throw new WrongUse(`There is no stack ${stack} in ${region}: give --stack and --region of the deployed guard.`);
  });
  const { LedgerTableName, OperateUrl, GuardBusName } = described.outputs;
  if (LedgerTableName === undefined || OperateUrl === undefined || GuardBusName === undefined)
    throw new WrongUse(`The stack ${stack} is not a compliance guard: it has no LedgerTableName.`);
  const connection = { account: described.account, region };
  return {
    connection,
    ...deployedWith(described, region),
    ledger: new DynamoLedger(new Table(LedgerTableName, connection)),
    // The bus has the stack's name, also where --stack is its ARN.
    operate: (request) => callOperate(connection, { url: OperateUrl, stack: GuardBusName }, request, process.env['AWS_ENDPOINT_URL']),
  };
}

/** The configuration of a deployed stack, and what the variables in permissions stand for there. */
export function deployedWith({ outputs, parameters, account }: StackDescription, region: string): Pick<Session, 'config' | 'names'> {
  const {
    GuardBusName = '',
    LedgerTableName = '',
    ArchiveBucketName = '',
    RoleBoundaryArn = '',
    DirectDeployDenialArn = '',
    KeyArn = '',
    AlertTopicArn = '',
  } = outputs;
  const partition = partitionOf(region);
  const own = { GUARD_ACCOUNT: account, AWS_REGION: region, StackName: GuardBusName };
  return {
    config: readConfig(
      {
        ...parameters,
        ...own,
        ArchiveBucket: ArchiveBucketName,
        BoundaryArn: RoleBoundaryArn,
        DenialArn: DirectDeployDenialArn,
        KeyArn,
        AlertTopic: AlertTopicArn,
      },
      rules,
    ),
    names: {
      ...parameters,
      'AWS::Partition': partition,
      'AWS::AccountId': account,
      'AWS::Region': region,
      'AWS::StackName': GuardBusName,
      Ledger: LedgerTableName,
      'Archive.Arn': `arn:${partition}:s3:::${ArchiveBucketName}`,
      'Key.Arn': KeyArn,
      RoleBoundary: RoleBoundaryArn,
      AlertTopic: AlertTopicArn,
      DirectDeployDenial: DirectDeployDenialArn,
    },
  };
}

/**
 * The configuration that the guard ships with: every rule in the mode that it ships in, and no fixes.
 * @param given parameters of the stack that are others
 */
export function shippedWith({ account, region }: Connection, stack: string, given: Readonly<Record<string, string>> = {}): Config {
  const modes = Object.fromEntries(rules.map(({ id, mode }) => [`${pascalCase(id)}Mode`, mode ?? 'alert']));
  return readConfig({ ...modes, ...given, GUARD_ACCOUNT: account, AWS_REGION: region, StackName: stack }, rules);
}

/** `--region a,b`, or the region of the environment. @throws WrongUse where there is none */
export function regionsOf({ region = process.env['AWS_REGION'] ?? process.env['AWS_DEFAULT_REGION'] }: Options): readonly string[] {
  const named = listed(region).filter((one) => one !== '');
  if (named.length === 0) throw new WrongUse('Which region? Give --region, or set AWS_REGION.');
  return named;
}

/** `7d`, `12h`, `30m` → the moment that lies so far ahead, in milliseconds. */
export function ahead(time: string | boolean | undefined, now = Date.now()): number {
  const match = /^(\d+)([mhd])$/.exec(String(time));
  if (match === null) throw new WrongUse(`--for takes a number and m, h or d, such as 12h or 7d; "${time}" is neither.`);
  const unit = { m: 60_000, h: 3_600_000, d: 86_400_000 }[match[2] as 'm' | 'h' | 'd'];
  return now + Number(match[1]) * unit;
}
