import { setFlagsFromString } from 'node:v8';
import { callerAccount } from '../aws/account.ts';
import { describeStack, type StackDescription } from '../aws/cloudformation.ts';
import { describeRegions } from '../aws/ec2.ts';
import { connect, type Watch } from '../aws/handle.ts';
import { getTaggedFunction, listTags, versionsPage } from '../aws/lambda.ts';
import { listsFor, type WholeRegion, wholeRegion } from '../aws/lists.ts';
import type { Alert } from '../guard/alert.ts';
import { functionArn, functionName, parseArn, partitionOf } from '../guard/arn.ts';
import { type AnyCall, type Connection, isReading } from '../guard/call.ts';
import { type Config, withModes } from '../guard/config.ts';
import { errorName, errorSummary } from '../guard/errors.ts';
import { practices, rankOf, type Severity, severities } from '../guard/finding.ts';
import type { AnyRule } from '../guard/rule.ts';
import { type ScanSettings, scan as scanRegion, type Unknown } from '../guard/scan.ts';
import { DynamoLedger } from '../ledger/ledger.ts';
import { MemoryLedger } from '../ledger/memory.ts';
import { Table } from '../ledger/table.ts';
import { rules } from '../rules/index.ts';
import { explained } from './failures.ts';
import { type Format, formats, type Result } from './formats.ts';
import { ruleOf } from './plan.ts';
import { scanTemplates } from './scan-template.ts';
import { deployedWith, type Options, regionsOf, shippedWith, WrongUse } from './session.ts';
import { progressBar } from './terminal.ts';
import { defaultStack, listed, parametersIn } from './use.ts';

/** A rule wanted to write down something beside the ledger: what it judges by that is then unknown. */
export class ReadsOnly extends Error {
  override readonly name = 'ReadsOnly';
}

/** So many resources are looked at side by side; where AWS throttles, the SDK slows all of them down. */
export const sideBySide = 12;

/**
 * Looks at the account with read-only rights, whether or not the guard is deployed: by the parameters of the stack where it
 * is, by those that the guard ships with where it is not.
 */
export async function scan(options: Options): Promise<'fine' | 'findings' | 'unreadable'> {
  const began = Date.now();
  const format = formatOf(options);
  const atLeast = severityOf(options, 'severity');
  const failOn = severityOf(options, 'failOn');
  const chosen = chosenRules(options);
  const forgetful = options['rule'] === undefined ? undefined : chosen?.find(({ accepts }) => accepts === true);
  if (forgetful !== undefined)
    throw new WrongUse(`${forgetful.id} judges what changes from the day on that a guard is there: a scan cannot.`);
  const isIt = functionAsked(options);
  const seconds = () => (Date.now() - began) / 1_000;
  const whole = typeof options['template'] === 'string' ? undefined : merged(await regionByRegion(chosen, options), seconds());
  const { result, unreadable } =
    whole === undefined
      ? await ofTemplates(String(options['template']), chosen, options, seconds)
      : { result: whole, unreadable: whole.unknown.length > 0 };
  const seen = isIt === undefined || isSeen(isIt, options['function'], result);
  const shown = { ...result, findings: result.findings.filter((finding) => isAsked(finding, isIt, atLeast)) };
  console.log(format(shown));
  if (!seen) console.error(`Whether there is a function ${options['function']} is not known.`);
  if (unreadable || !seen) return 'unreadable';
  return shown.findings.some(({ severity }) => failOn === undefined || rankOf(severity) >= rankOf(failOn)) ? 'findings' : 'fine';
}

async function regionByRegion(chosen: readonly AnyRule[] | undefined, options: Options): Promise<readonly Result[]> {
  const results: Result[] = [];
  const regions = await regionsToScan(options);
  for (const region of regions)
    try {
      results.push(await scanOf(region, chosen, options));
    } catch (error) {
      // What is wrong with one of several regions says nothing of the others.
      if (regions.length === 1 || error instanceof WrongUse || errorName(error) === 'ConfigError') throw error;
      results.push(unreadRegion(region, explained(error)));
    }
  return results;
}

function unreadRegion(region: string, why: string): Result {
  const unknown = [{ rule: '*', resource: region, why }];
  const stats = { events: 0, subscribed: 0, skipped: 0, failed: 1, resources: 0, calls: 0, seconds: 0 };
  return { account: '', regions: [region], at: new Date().toISOString(), rules: [], findings: [], unknown, stats };
}

/** The same of templates. That an account alone knows something is no failure to read, where it is said to be expected. */
async function ofTemplates(path: string, chosen: readonly AnyRule[] | undefined, options: Options, seconds: () => number) {
  const { result, unreadable } = await scanTemplates(path, chosen, options);
  const { resources, ...rest } = result;
  const stats = { events: 0, subscribed: 0, skipped: 0, failed: rest.unknown.length, resources, calls: 0, seconds: seconds() };
  return { result: { ...rest, stats }, unreadable: unreadable || (rest.unknown.length > 0 && options['allowUnknown'] !== true) };
}

function formatOf({ format = 'table' }: Options): Format {
  const known = formats[String(format)];
  if (known === undefined) throw new WrongUse(`--format takes ${Object.keys(formats).join(', ')}; "${format}" is none of them.`);
  return known;
}

function severityOf(options: Options, option: 'severity' | 'failOn'): Severity | undefined {
  const given = options[option];
  if (given === undefined) return undefined;
  const known = severities.find((severity) => severity === given);
  if (known === undefined)
    throw new WrongUse(`--${option === 'failOn' ? 'fail-on' : option} takes ${severities.join(', ')}; "${given}" is none of them.`);
  return known;
}

/** The rules that were asked for: named by --rule or --practice. Undefined: whatever is not off. */
export function chosenRules({ rule, practice, all }: Options): readonly AnyRule[] | undefined {
  const named = typeof rule === 'string' ? listed(rule).map(ruleOf) : undefined;
  if (practice === undefined) return named ?? (all === true ? rules : undefined);
  if (!practices.some((one) => one === practice))
    throw new WrongUse(`--practice takes ${practices.join(', ')}; "${practice}" is none of them.`);
  const chosen = (named ?? rules).filter((one) => one.practice === practice && (named !== undefined || all === true || one.mode !== 'off'));
  if (chosen.length === 0) throw new WrongUse(`No rule that --rule names is of the practice ${practice}.`);
  return chosen;
}

async function regionsToScan(options: Options): Promise<readonly string[]> {
  if (options['region'] !== 'all') return regionsOf(options);
  const [home = ''] = regionsOf({});
  return await connect([describeRegions], { account: '', region: home }).describeRegions({});
}

async function scanOf(region: string, chosen: readonly AnyRule[] | undefined, options: Options): Promise<Result> {
  const { config, deployed, unread, said } = await configOf(region, chosen, options);
  console.error(said);
  const account = config.home.account;
  const connection: Connection = { account, region };
  let calls = 0;
  const whole = readingOnly(connection, config, () => {
    calls += 1;
  });
  const ledger = new MemoryLedger();
  await takeOverExemptions(ledger, deployed, connection);
  const showsPlans = options['format'] !== undefined && options['format'] !== 'table';
  const ports = { ledger, config, now: Date.now, connect: whole.connect, forOneLook: whole.forOneLook, showsPlans };
  const bar = progressBar(region);
  const settings: ScanSettings = { concurrency: sideBySide, ...(bar === undefined ? {} : { progress: bar.show }) };
  try {
    const scanned = await scanRegion(thrifty(whole.functions()), rules, ports, settings);
    const { findings, resources, functions } = scanned;
    const unknown = [...unread, ...scanned.unknown];
    return {
      account,
      regions: [region],
      at: new Date().toISOString(),
      rules: rules.filter(({ id }) => config.rule(id).mode !== 'off'),
      findings,
      unknown,
      stats: { events: 0, subscribed: 0, skipped: 0, failed: unknown.length, resources, calls, seconds: 0 },
      functions,
    };
  } finally {
    bar?.end();
  }
}

/** With so many functions a scan holds some 200 MB, however V8 clears up after it. */
const few = 1_000;

/**
 * The same pages. Where functions are few, what V8 keeps may grow to twice what was needed last before it looks again what of it is needed,
 * which takes time; to 1.3 times from then on.
 */
async function* thrifty<Page extends readonly unknown[]>(pages: AsyncIterable<Page>): AsyncGenerator<Page> {
  setFlagsFromString('--heap-growing-percent=100');
  let seen = 0;
  for await (const page of pages) {
    seen += page.length;
    if (seen > few) setFlagsFromString('--heap-growing-percent=30');
    yield page;
  }
}

/**
 * A region as somebody reads it who may only read. Where tags exempt, they are asked of Lambda: an index may be behind.
 * @param called after each call
 */
export function readingOnly(
  connection: Connection,
  { allowTagExemptions, rule }: Pick<Config, 'allowTagExemptions' | 'rule'>,
  called: () => void,
): WholeRegion {
  const watch: Watch = (call) => {
    if (!isReading(call)) throw new ReadsOnly(`nothing but reads: ${call.name} is not called`);
    // A download is no call of AWS.
    if (call.service !== 'https') called();
  };
  const judged = rules.filter(({ id }) => rule(id).mode !== 'off');
  const versions = judged.some(({ list }) => list?.calls.includes(versionsPage) === true);
  const asking: readonly AnyCall[] = allowTagExemptions ? [listTags, getTaggedFunction] : [];
  const lists = listsFor(judged.flatMap(({ check }): readonly AnyCall[] => check).filter((call) => !asking.includes(call)));
  return wholeRegion(connection, watch, { asking, versions, lists });
}

/** What the deployed guard exempts is exempt here as well. Without them more is found, never less. */
async function takeOverExemptions(ledger: MemoryLedger, deployed: StackDescription | undefined, connection: Connection): Promise<void> {
  const table = deployed?.outputs['LedgerTableName'];
  if (table === undefined) return;
  try {
    for await (const exemption of new DynamoLedger(new Table(table, connection)).exemptions()) await ledger.addExemption(exemption);
  } catch (error) {
    console.error(`What the deployed guard exempts is found as well: its ledger could not be read. ${explained(error)}`);
  }
}

/** By what a region is judged: the stack's parameters, or those that ship. What is not off alerts here; nothing is ever changed. */
async function configOf(
  region: string,
  chosen: readonly AnyRule[] | undefined,
  options: Options,
): Promise<{
  readonly config: Config;
  readonly deployed: StackDescription | undefined;
  readonly unread: readonly Unknown[];
  readonly said: string;
}> {
  const { config: base, deployed, unread, by } = await parametersOf(region, options, parametersIn(options));
  const { account } = base.home;
  // What the guard's own stack needs can be judged only where there is one.
  const judged = (rule: AnyRule) =>
    rule.accepts !== true &&
    (chosen === undefined ? base.rule(rule.id).mode !== 'off' : chosen.includes(rule)) &&
    (rule.practice !== 'guard' || deployed !== undefined);
  const on = new Set(rules.filter(judged).map(({ id }) => id));
  const config = withModes(base, (id) => (on.has(id) ? 'alert' : 'off'));
  if (on.size === 0 && chosen !== undefined)
    throw new WrongUse(`Without a deployed guard in ${region}, ${chosen.map(({ id }) => id).join(', ')} judges nothing.`);
  const left = (chosen ?? rules.filter(({ id }) => base.rule(id).mode !== 'off')).filter((rule) => !judged(rule));
  const without = left.length === 0 ? '' : ` Left out, because it takes a deployed guard: ${left.map(({ id }) => id).join(', ')}.`;
  return { config, deployed, unread, said: `Account ${account}, ${region}: ${on.size} rules by ${by}.${without}` };
}

/**
 * The configuration of the stack in a region, or that which ships.
 * @param given parameters that stand in for either's
 * @throws WrongUse where a stack was asked for by a name of its own, and is not there
 */
export async function parametersOf(
  region: string,
  { stack, region: asked }: Options,
  given: Readonly<Record<string, string>> = {},
): Promise<{
  readonly config: Config;
  readonly deployed: StackDescription | undefined;
  /** That the stack could not be looked for, if so: what it says is then not known. */
  readonly unread: readonly Unknown[];
  readonly by: string;
}> {
  let denied: unknown;
  const described = await describeStack.run({ account: '', region }, { StackName: String(stack) }).catch((error: unknown) => {
    if (/AccessDenied/.test(errorName(error))) denied = error;
    else if (errorName(error) !== 'ValidationError') throw error;
    return undefined;
  });
  const deployed = described?.outputs['LedgerTableName'] === undefined ? undefined : described;
  if (deployed === undefined) {
    const several = asked === 'all' || listed(asked).length > 1;
    if (stack !== defaultStack && !several && denied === undefined)
      throw new WrongUse(`There is no guard ${stack} in ${region}: give the name of the stack, or no --stack where there is none.`);
    const account = described?.account ?? (await callerAccount(region));
    const config = shippedWith({ account, region }, String(stack), given);
    const resource = `arn:${partitionOf(region)}:cloudformation:${region}:${account}:stack/${stack}`;
    const unread = denied === undefined ? [] : [{ rule: '*', resource, why: errorSummary(denied) }];
    return { config, deployed, unread, by: 'the parameters that the guard ships with' };
  }
  const { config } = deployedWith({ ...deployed, parameters: { ...deployed.parameters, ...given } }, region);
  return { config, deployed, unread: [], by: `the parameters of the stack ${stack}` };
}

function merged(results: readonly Result[], seconds: number): Result {
  const sum = (figure: 'failed' | 'resources' | 'calls') => results.reduce((total, { stats }) => total + stats[figure], 0);
  return {
    account: results.find(({ account }) => account !== '')?.account ?? '',
    regions: results.flatMap(({ regions }) => regions),
    at: results[0]?.at ?? '',
    rules: rules.filter((rule) => results.some((result) => result.rules.includes(rule))),
    findings: results.flatMap(({ findings }) => findings),
    unknown: results.flatMap(({ unknown }) => unknown),
    stats: { events: 0, subscribed: 0, skipped: 0, failed: sum('failed'), resources: sum('resources'), calls: sum('calls'), seconds },
    functions: results.flatMap(({ functions = [] }) => functions),
  };
}

/** Whether a finding is among those that the options ask for; of a function, also what another resource's evidence says of it. */
function isAsked({ severity, resource, evidence }: Alert, isIt: Asks | undefined, atLeast: Severity | undefined): boolean {
  if (atLeast !== undefined && rankOf(severity) < rankOf(atLeast)) return false;
  return isIt === undefined || isIt(resource.arn) || JSON.stringify(evidence).split('"').some(isIt);
}

/** Whether a text is the function that is asked for: its name, or the ARN of it, of a version or of an alias. */
type Asks = (text: string) => boolean;

/** @throws WrongUse where --function names none */
function functionAsked({ function: asked }: Options): Asks | undefined {
  if (typeof asked !== 'string') return undefined;
  const nowhere = { account: '', region: '' };
  const partsOf = (text: string) => parseArn(functionArn(text, nowhere) ?? '');
  const wanted = partsOf(asked);
  if (wanted === undefined) throw new WrongUse(`--function takes a function's name or ARN; "${asked}" is neither.`);
  const { account, region, resource } = wanted;
  return (text) => {
    if (!text.includes(':function:')) return `function:${text}` === resource;
    const is = partsOf(text);
    return is?.resource === resource && (account === '' || is.account === account) && (region === '' || is.region === region);
  };
}

/** Whether it may have been seen. @throws WrongUse where it is not there for sure */
function isSeen(isIt: Asks, asked: Options['function'], { functions = [], regions, unknown }: Result): boolean {
  if (functions.some(isIt)) return true;
  if (unknown.some(({ rule }) => rule === '*')) return false;
  const names = functions.length > 10 ? '' : `; there is ${functions.map(functionName).join(', ') || 'none'}`;
  throw new WrongUse(`There is no function ${asked} in what was scanned (${regions.join(', ')})${names}.`);
}
