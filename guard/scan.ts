import { type Alert, alertAbout } from './alert.ts';
import { partitionOf } from './arn.ts';
import { look } from './check.ts';
import { errorKind, errorSummary } from './errors.ts';
import { isWrong } from './finding.ts';
import type { Ports } from './ports.ts';
import type { AnyRule } from './rule.ts';
import { functionSubject, type Subject } from './subject.ts';

/** What a rule could not judge, and why. */
export interface Unknown {
  readonly rule: string;
  readonly resource: string;
  readonly why: string;
  /** Where that stands in a template, where one was scanned. */
  readonly template?: { readonly file: string; readonly line: number; readonly logicalId?: string };
}

export interface Scanned {
  /** As the deployed guard would tell them. */
  readonly findings: readonly Alert[];
  readonly unknown: readonly Unknown[];
  /** Functions, and what rules list besides them. */
  readonly resources: number;
  /** The ARNs of the functions. */
  readonly functions: readonly string[];
}

/** What a scan needs; its ledger starts empty, and holds what it finds. */
export interface ScanPorts extends Omit<Ports, 'publish'> {
  /** Calls for a look at one resource, where what they keep is to be kept no longer than that. */
  readonly forOneLook?: () => Ports['connect'];
}

export interface ScanSettings {
  /** So many resources are looked at side by side. */
  readonly concurrency: number;
  /** Told after each resource. */
  readonly progress?: (done: number, known: number) => void;
}

/** One resource to look at: by every rule where none is named, by the rule that listed it, or by one that failed before. */
interface Look {
  readonly subject: Subject;
  readonly listedBy?: string;
  readonly only?: string;
}

/**
 * Looks at a whole account and region once, as the first sweep of a deployment does: every function by every rule that is
 * not off, then whatever rules list besides functions, then once more at what could not be read for a passing reason.
 * Reads only.
 */
export async function scan(
  pages: AsyncIterable<readonly { readonly FunctionArn?: string | undefined }[]>,
  rules: readonly AnyRule[],
  ports: ScanPorts,
  { concurrency, progress }: ScanSettings,
): Promise<Scanned> {
  const { account, region } = ports.config.home;
  const id = new Date(ports.now()).toISOString();
  const everything = `arn:${partitionOf(region)}:lambda:${region}:${account}:function:*`;
  const shown = new Map<string, Alert>();
  const failed: { readonly look: Look | undefined; readonly unknown: Unknown; readonly passing: boolean }[] = [];
  let [done, known] = [0, 0];
  const lookAt = async (one: Look) => {
    const by = rules.filter((rule) => one.only === undefined || rule.id === one.only);
    const { alerts, failures } = await look({ sweep: id, subject: one.subject, rule: one.listedBy }, by, {
      ...ports,
      connect: ports.forOneLook?.() ?? ports.connect,
    });
    for (const alert of alerts) shown.set(alert.findingId, alert);
    for (const { rule, subject, error } of failures) {
      const unknown = { rule, resource: (subject ?? one.subject).arn, why: errorSummary(error) };
      failed.push({ look: { ...one, only: rule }, unknown, passing: errorKind(error) === 'passing' });
    }
    done += 1;
    progress?.(done, known);
  };
  const attempt = async (rule: string, looks: AsyncIterable<readonly Look[]>) => {
    const counted = async function* () {
      for await (const page of looks) {
        known += page.length;
        yield page;
      }
    };
    try {
      await sideBySide(counted(), concurrency, lookAt);
    } catch (error) {
      failed.push({ look: undefined, unknown: { rule, resource: everything, why: errorSummary(error) }, passing: false });
    }
  };
  const functions: string[] = [];
  await attempt('*', functionsOn(pages, ports, functions));
  for (const rule of rules)
    if (rule.list !== undefined && ports.config.rule(rule.id).mode !== 'off') await attempt(rule.id, listed(rule, ports));
  const resources = known;
  const again = failed.filter(({ passing }) => passing);
  const lasting = failed.filter(({ passing }) => !passing);
  failed.length = 0;
  await attempt(
    '*',
    (async function* () {
      yield again.flatMap((one) => one.look ?? []);
    })(),
  );
  return {
    ...(await inTheEnd(
      shown,
      [...lasting, ...failed].map(({ unknown }) => unknown),
      ports,
    )),
    resources,
    functions,
  };
}

/** @param seen takes the ARNs */
async function* functionsOn(
  pages: AsyncIterable<readonly { readonly FunctionArn?: string | undefined }[]>,
  { config }: ScanPorts,
  seen: string[],
): AsyncGenerator<readonly Look[]> {
  for await (const page of pages)
    yield page.flatMap(({ FunctionArn = '' }) => {
      const subject = functionSubject(FunctionArn, config.home);
      if (subject === undefined) return [];
      seen.push(subject.arn);
      return [{ subject }];
    });
}

async function* listed({ id, list }: AnyRule, { config, connect }: ScanPorts): AsyncGenerator<readonly Look[]> {
  if (list === undefined) return;
  for await (const subjects of list.subjects(config.home, connect(list.calls), config.settings))
    yield subjects.map((subject) => ({ subject, listedBy: id }));
}

/** At most so many at a time, page after page. */
async function sideBySide<T>(pages: AsyncIterable<readonly T[]>, concurrency: number, work: (item: T) => Promise<void>): Promise<void> {
  const running = new Set<Promise<void>>();
  try {
    for await (const page of pages) {
      for (const item of page) {
        if (running.size >= concurrency) await Promise.race(running);
        const one: Promise<void> = work(item).finally(() => running.delete(one));
        running.add(one);
      }
    }
  } finally {
    await Promise.all(running);
  }
}

/** What is wrong in the end, as alerts, and what nothing is known of. */
async function inTheEnd(
  shown: ReadonlyMap<string, Alert>,
  failed: readonly Unknown[],
  { ledger }: ScanPorts,
): Promise<Pick<Scanned, 'findings' | 'unknown'>> {
  const findings: Alert[] = [];
  const unknown = new Map(failed.map((one) => [`${one.rule} ${one.resource}`, one]));
  for await (const finding of ledger.findings({})) {
    const { id, rule, subject, status, summary } = finding;
    if (status === 'unknown') unknown.set(`${rule} ${subject.arn}`, { rule, resource: subject.arn, why: summary });
    else if (isWrong(finding)) findings.push(alertAbout(finding, { status, plan: shown.get(id)?.plan ?? [] }));
  }
  const byResource = (a: Alert, b: Alert) => a.resource.arn.localeCompare(b.resource.arn) || a.rule.localeCompare(b.rule);
  return { findings: findings.sort(byResource), unknown: [...unknown.values()] };
}
