import { callerAccount } from '../aws/account.ts';
import type { Place } from '../guard/arn.ts';
import { type Config, withModes } from '../guard/config.ts';
import type { Ledger } from '../guard/ledger.ts';
import type { Mode } from '../guard/mode.ts';
import type { Ports } from '../guard/ports.ts';
import { heardBy, type RecordedEvent, wantedBy } from '../guard/records.ts';
import { type Home, replay } from '../guard/replay.ts';
import type { AnyRule } from '../guard/rule.ts';
import { DynamoLedger } from '../ledger/ledger.ts';
import { MemoryLedger } from '../ledger/memory.ts';
import { Table } from '../ledger/table.ts';
import { rules } from '../rules/index.ts';
import { whatOf } from './formats/fix.ts';
import { formats, gravestFirst, type Replay, type Result } from './formats.ts';
import { ruleOf } from './plan.ts';
import type { Asked, Read } from './replay.ts';
import { chosenRules, parametersOf, ReadsOnly, readingOnly, sideBySide } from './scan.ts';
import { shippedWith } from './session.ts';
import type { Spool } from './spool.ts';
import { many, minuteOf, progressBar, table } from './terminal.ts';
import { type Options, WrongUse } from './use.ts';

/** So many rows of what is not known, or would be fixed, are shown in the table. */
const shownRows = 20;

/** How much was called. */
interface Cost {
  calls: number;
  ledgerCalls: number;
}

/** The rules by which it is replayed. */
type Chosen = ReturnType<typeof chosenRules>;

/** Puts the events that were read to the rules, in order of time, and prints what came of it. */
export async function judge(spool: Spool, read: Read, asked: Asked, began: number): Promise<'fine' | 'findings' | 'unreadable'> {
  const chosen = chosenRules(asked.options);
  for (const [id, mode] of asked.modes)
    if (mode === 'remediate' && ruleOf(id).fix.length === 0) throw new WrongUse(`${id} has no fix: it only alerts.`);
  const cost: Cost = { calls: 0, ledgerCalls: 0 };
  const homes: Home[] = [];
  for (const place of read.places) homes.push(await homeAt(place, chosen, asked, cost));
  const on = rules.filter(({ id }) => homes.some(({ config }) => config.rule(id).mode !== 'off'));
  if (homes.length > 0 && on.length === 0) throw new WrongUse('No rule is left to judge by: all that were asked for are off.');
  const wanted = wantedBy(heardBy(on));
  const handled = { count: 0, first: '', last: '' };
  const bar = progressBar('replay');
  const events = function* (): Generator<RecordedEvent> {
    for (const text of spool.inOrder()) {
      const event = JSON.parse(text) as RecordedEvent;
      if (!wanted.is(event)) continue;
      handled.count += 1;
      handled.first ||= event.time;
      handled.last = event.time;
      yield event;
      bar?.show(handled.count, spool.size);
    }
  };
  const outcome = await replay(events(), homes, on, { concurrency: sideBySide, since: read.first }).finally(() => bar?.end());
  // What the guard's own roles called is judged by whatever rule is on.
  const isAsked = ({ rule }: { readonly rule: string }) => rule === '*' || on.some(({ id }) => id === rule);
  const [findings, unknown] = [outcome.findings.filter(isAsked), outcome.unknown.filter(isAsked)];
  const replayed: Replay = {
    fixes: outcome.fixes,
    rules: outcome.tallies,
    ...(handled.count === 0 ? {} : { period: { from: handled.first, to: handled.last } }),
    files: read.files,
    ledgerCalls: cost.ledgerCalls,
  };
  const result: Result = {
    account: [...new Set(read.places.map(({ account }) => account))].join(','),
    regions: [...new Set(read.places.map(({ region }) => region))],
    at: new Date(began).toISOString(),
    rules: on,
    findings,
    unknown,
    stats: {
      events: read.records,
      subscribed: handled.count,
      skipped: Math.max(0, read.records - handled.count - read.brokenRecords),
      failed: read.failed,
      resources: outcome.resources,
      calls: cost.calls,
      seconds: (Date.now() - began) / 1_000,
    },
    replay: replayed,
  };
  console.log(asked.format === 'table' ? inTables(result, replayed) : formats[asked.format]?.(result));
  if (read.failed > 0 || (unknown.length > 0 && asked.options['allowUnknown'] !== true)) return 'unreadable';
  return findings.length > 0 ? 'findings' : 'fine';
}

/** Where a guard would have been: by its stack's parameters where it is deployed, by those that ship elsewhere. */
async function homeAt(place: Place, chosen: Chosen, asked: Asked, cost: Cost): Promise<Home> {
  const { options } = asked;
  const ledger = counted(new MemoryLedger(), cost);
  const unasked = await unaskedAt(place, options);
  const where = `Account ${place.account}, ${place.region}`;
  if (unasked !== undefined) {
    const config = modesOf(shippedWith(place, String(options['stack']), asked.parameters), chosen, asked, true);
    console.error(`${where}: ${onIn(config)} rules by the parameters that the guard ships with; ${unasked}`);
    return { config, ledger, connect: nothing, unasked };
  }
  const { config: base, deployed, by } = await parametersOf(place.region, options, asked.parameters);
  const config = modesOf(base, chosen, asked, deployed !== undefined);
  console.error(`${where}: ${onIn(config)} rules by ${by}. AWS answers how things are now, not how they were then.`);
  const table = deployed?.outputs['LedgerTableName'];
  const { connect, functions } = readingOnly(place, config, () => {
    cost.calls += 1;
  });
  return {
    config,
    ledger,
    connect,
    ...(options['sweep'] === false ? {} : { functions: functions() }),
    ...(table === undefined ? {} : { deployed: counted(new DynamoLedger(new Table(table, place)), cost) }),
  };
}

/** Credentials are those of one account: nothing is known of others. */
async function unaskedAt({ account, region }: Place, { offline }: Options): Promise<string | undefined> {
  if (offline === true) return 'only the account knows, and it was not asked (--offline).';
  const own = await callerAccount(region);
  return own === account ? undefined : `only the account ${account} knows, and these credentials are of ${own}.`;
}

/** The modes that were asked for, over those that are deployed or ship. */
function modesOf(base: Config, chosen: Chosen, { modes }: Asked, withGuard: boolean): Config {
  const modeOf = (rule: AnyRule): Mode => {
    const given = modes.get(rule.id);
    if (chosen !== undefined && !chosen.includes(rule) && given === undefined) return 'off';
    if (given !== undefined) return given;
    // What the guard's own stack needs can be judged only where there is one.
    if (rule.practice === 'guard' && !withGuard) return 'off';
    const { mode } = base.rule(rule.id);
    return mode === 'off' && chosen !== undefined ? 'alert' : mode;
  };
  const decided = new Map(rules.map((rule) => [rule.id, modeOf(rule)]));
  return withModes(base, (id) => decided.get(id) ?? 'off');
}

function onIn(config: Config): number {
  return rules.filter(({ id }) => config.rule(id).mode !== 'off').length;
}

const nothing: Ports['connect'] = () => {
  throw new ReadsOnly('nobody is asked');
};

/** Counts what the ledger is asked, which the one in memory writes down one by one. */
function counted<L extends Ledger>(ledger: L, cost: Cost): L {
  return new Proxy(ledger, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return (...input: unknown[]) => {
        cost.ledgerCalls += 1;
        if (target instanceof MemoryLedger) target.calls.length = 0;
        return Reflect.apply(member, target, input);
      };
    },
  });
}

function inTables({ findings, unknown, stats }: Result, { rules: tallies, fixes, period, files, ledgerCalls }: Replay): string {
  const minute = (time: string) => (time === '' ? '' : minuteOf(time));
  const sorted = gravestFirst(findings);
  const part = (title: string, heads: readonly string[], rows: readonly (readonly string[])[]) => {
    const more = rows.length - shownRows;
    if (rows.length === 0) return [];
    return ['', title, table(heads, rows.slice(0, shownRows)), ...(more > 0 ? [`… and ${more} more: --format json has them all.`] : [])];
  };
  const over = period === undefined ? '' : `, ${minute(period.from)} to ${minute(period.to)}`;
  return [
    tallies.length === 0
      ? 'Nothing would have been found.'
      : table(
          ['rule', 'mode', 'findings', 'fixes', 'refused', 'unknown', 'first', 'last'],
          tallies.map(({ rule, mode, first, last, ...figures }) => [
            rule,
            mode,
            ...[figures.findings, figures.fixes, figures.refused, figures.unknown].map(String),
            minute(first),
            minute(last),
          ]),
        ),
    ...(sorted.length === 0
      ? []
      : [
          '',
          'Found:',
          table(
            ['severity', 'status', 'rule', 'resource', 'by', 'what is wrong'],
            sorted.map(({ severity, status, rule, resource, event, actor, summary }) => [
              severity,
              status,
              rule,
              resource.arn,
              event === undefined ? '' : `${actor?.arn ?? ''} ${event.name} ${minute(event.time)}`.trim(),
              summary,
            ]),
          ),
        ]),
    ...part(
      'Would have been fixed, or not:',
      ['at', 'rule', 'resource', 'what'],
      fixes.map((fix) => [minute(fix.at), fix.rule, fix.resource, whatOf(fix)]),
    ),
    ...part(
      'Not known:',
      ['rule', 'resource', 'why'],
      unknown.map(({ rule, resource, why }) => [rule, resource, why]),
    ),
    '',
    `${many(stats.events, 'record')} in ${many(files, 'file')}${over}: ${stats.subscribed} to judge, ${stats.skipped} skipped, ${stats.failed} not readable; ${many(findings.length, 'finding')}, ${many(unknown.length, 'unknown')} on ${many(stats.resources, 'resource')}; ${many(stats.calls, 'call')} of AWS, ${ledgerCalls} of the ledger, in ${stats.seconds.toFixed(1)} s.`,
  ].join('\n');
}
