import { setFlagsFromString } from 'node:v8';
import type { Place } from '../guard/arn.ts';
import { isGlobal, readEvent } from '../guard/cloudtrail.ts';
import type { Mode } from '../guard/mode.ts';
import type { Unread } from '../guard/record-stream.ts';
import { eventsIn, parsed, type RecordedEvent, Unreadable, wantedBy } from '../guard/records.ts';
import { heard, ids } from '../rules/heard.ts';
import { plain } from './plain.ts';
import { readRecords } from './records.ts';
import { Spool } from './spool.ts';
import { listed, type Options, parametersIn, WrongUse } from './use.ts';

// What reads the files loads neither the rules nor the SDK: memory is theirs only after the files have been read.

/** So many broken records are named one by one. */
const named = 50;

export const formatNames: readonly string[] = ['table', 'json', 'sarif', 'ocsf', 'html'];

/** What is asked for, read from the options. */
export interface Asked {
  readonly options: Options;
  readonly modes: ReadonlyMap<string, Mode>;
  readonly parameters: Readonly<Record<string, string>>;
  readonly format: string;
  /** Milliseconds. */
  readonly from: number;
  readonly to: number;
  readonly regions: readonly string[] | undefined;
  readonly account: string | undefined;
}

/** Puts the records in files to the rules as if they had come live, and says what would have been found and fixed. Changes nothing. */
export async function replay(options: Options, paths: readonly string[]): Promise<'fine' | 'findings' | 'unreadable'> {
  // Memory before speed: the clients of the SDK are made of many small things.
  for (const flag of ['--optimize-for-size', '--semi-space-growth-factor=1']) setFlagsFromString(flag);
  const began = Date.now();
  const asked = askedBy(options);
  const spool = new Spool();
  try {
    const read = await readInto(spool, paths, asked);
    const { judge } = await import('./replaying.ts');
    return await judge(spool, read, asked, began);
  } finally {
    spool.close();
  }
}

function askedBy(options: Options): Asked {
  const { region, account, from, to, format = 'table', rule } = options;
  if (account !== undefined && !/^\d{12}$/.test(String(account)))
    throw new WrongUse(`--account takes twelve digits; "${account}" is none.`);
  if (!formatNames.includes(String(format))) throw new WrongUse(`--format takes ${formatNames.join(', ')}; "${format}" is none of them.`);
  for (const id of listed(rule)) known(id);
  return {
    options,
    format: String(format),
    modes: modesIn(options),
    parameters: parametersIn(options),
    from: timeOf('from', from) ?? Number.NEGATIVE_INFINITY,
    to: timeOf('to', to) ?? Number.POSITIVE_INFINITY,
    regions: typeof region === 'string' && region !== 'all' ? listed(region) : undefined,
    account: account === undefined ? undefined : String(account),
  };
}

function known(id: string): string {
  if (!ids.includes(id)) throw new WrongUse(`There is no rule ${id}; there are ${ids.join(', ')}.`);
  return id;
}

/** `--mode role-shared=remediate,layer-foreign=off`, and `--remediate role-shared`, which says the same of the first. */
function modesIn({ mode, remediate }: Options): ReadonlyMap<string, Mode> {
  const given = [...listed(mode), ...listed(remediate).map((id) => `${id}=remediate`)];
  return new Map(
    given.map((one) => {
      const [id = '', to = ''] = one.split('=');
      if (to !== 'off' && to !== 'alert' && to !== 'remediate')
        throw new WrongUse(`--mode takes <rule>=off, alert or remediate; "${one}" is none of them.`);
      return [known(id), to];
    }),
  );
}

function timeOf(option: string, value: Options[string]): number | undefined {
  if (value === undefined) return undefined;
  const time = Date.parse(String(value));
  if (Number.isNaN(time)) throw new WrongUse(`--${option} takes a time such as 2026-11-01 or 2026-11-01T12:00:00Z; "${value}" is none.`);
  return time;
}

export interface Read {
  readonly files: number;
  readonly records: number;
  /** What could not be read, records and files; and the records alone. */
  readonly failed: number;
  readonly brokenRecords: number;
  readonly places: readonly Place[];
  /** When the first event was, in milliseconds. */
  readonly first: number;
}

/** Keeps the events that rules listen to, and that changed something. */
async function readInto(spool: Spool, paths: readonly string[], asked: Asked): Promise<Read> {
  const { options, from, to, regions, account } = asked;
  const wanted = wantedBy(heard);
  const homes = new Map<string, Set<string>>();
  /** Where events of global services are told. */
  const elsewhere = new Map<string, string>();
  let first = Number.POSITIVE_INFINITY;
  let [failed, brokenRecords] = [0, 0];
  const isOf = ({ account: owner, time }: RecordedEvent) => {
    const at = Date.parse(time);
    return at >= from && at < to && (account === undefined || owner === account);
  };
  const isIn = ({ region }: RecordedEvent) => regions === undefined || regions.includes(region);
  // Who mistyped an account or a region would take it for one in which nothing happened: until one record is of what was asked for, all are looked at.
  let [met, leftOut] = [false, false];
  const compare = (event: RecordedEvent) => {
    if (isOf(event) && isIn(event)) met = true;
    // What is told in one region is heard in all.
    else if (!isOf(event) || !isGlobal(event.detail.eventSource)) leftOut = true;
  };
  const keep = (event: RecordedEvent): string | undefined => {
    if (!met) compare(event);
    if (!wanted.is(event)) return undefined;
    const { account: owner, region, time, detail } = event;
    const anywhere = isGlobal(detail.eventSource);
    if (!isOf(event) || !(anywhere || isIn(event))) return undefined;
    const at = Date.parse(time);
    const read = readEvent(event, event);
    if ('ignored' in read) return read.ignored === 'malformed' ? 'is not formed like a record of CloudTrail' : undefined;
    const known = homes.get(owner) ?? new Set();
    homes.set(owner, anywhere ? known : known.add(region));
    if (anywhere) elsewhere.set(owner, region);
    first = Math.min(first, at);
    spool.add(JSON.stringify(event), at, read.event.id);
    return undefined;
  };
  const take = (record: Buffer) => {
    const isWanted = wanted.mayBeIn(record);
    if (met && !isWanted) return undefined;
    try {
      let why: string | undefined;
      for (const event of eventsIn(parsed(record.toString()))) why = keep(event) ?? why;
      return why;
    } catch (error) {
      if (error instanceof Unreadable) return isWanted ? error.message : undefined;
      throw error;
    }
  };
  const unread = (file: string, why: Unread | string) => {
    failed += 1;
    if (typeof why !== 'string') brokenRecords += 1;
    if (failed > named) return;
    console.error(plain(typeof why === 'string' ? `${file} ${why}` : `${file}: record ${why.record}, at byte ${why.offset}, ${why.why}`));
  };
  const { files, records } = await readRecords(paths, regions?.[0] ?? regionOfSurroundings(), take, unread);
  // What could not be read may be of it, and is told anyway.
  if (!met && leftOut && failed === 0)
    throw new WrongUse('No record in these files is of what --account, --region, --from and --to ask for.');
  if (failed > named) console.error(`… and ${failed - named} more.`);
  if (options['offline'] === true) console.error('Offline: nobody is asked, and what only the account knows is unknown.');
  const places = [...homes].flatMap(([owner, seen]) => {
    const here = regions ?? (seen.size === 0 ? [elsewhere.get(owner) ?? ''] : [...seen].sort());
    return here.map((region) => ({ account: owner, region }));
  });
  return { files, records, failed, brokenRecords, places, first };
}

function regionOfSurroundings(): string {
  return process.env['AWS_REGION'] ?? process.env['AWS_DEFAULT_REGION'] ?? 'us-east-1';
}
