import { isDeepStrictEqual } from 'node:util';
import { matchesGlob } from '../guard/arn.ts';
import type { Change, Progress } from '../guard/change.ts';
import { RetryLater } from '../guard/errors.ts';
import type { Baseline, FunctionRecord, Kept, Needs, RoleUse } from '../guard/estate.ts';
import { explains, type Finding, isUnended, rankOf, type Status } from '../guard/finding.ts';
import type { Due, Ended, Exemption, Ledger, Reading, StatusChange, Switches, Written } from '../guard/ledger.ts';
import type { Mode } from '../guard/mode.ts';
import { withoutSuffix } from '../guard/subject.ts';

/** The ledger in memory, held to the same contract as the one in DynamoDB. */
export class MemoryLedger implements Ledger {
  /** The names of the methods that were called, in order. */
  readonly calls: string[] = [];
  readonly #findings = new Map<string, Finding>();
  readonly #changes = new Map<string, Change>();
  readonly #locks = new Map<string, { readonly holder: string; readonly until: number }>();
  readonly #switches = new Map<string, string>();
  readonly #exemptions = new Map<string, { readonly exemption: Exemption; dueAt: number | undefined }>();
  readonly #alerts = new Map<
    string,
    { readonly sent: boolean; readonly beganAt: number; readonly bucket?: string; readonly count?: number }
  >();
  readonly #buckets = new Map<string, { count: number; readonly held: Map<string, unknown>; dueAt: number | undefined }>();
  readonly #roles = new Index<{ readonly asOf: number; readonly uses: ReadonlyMap<string, number> }>(({ uses }) => uses);
  readonly #networks = new Index<{ readonly asOf: number; readonly places: readonly string[] }>(({ places }) => unordered(places));
  readonly #secrets = new Index<{ readonly asOf: number; readonly secrets: readonly string[] }>(({ secrets }) => unordered(secrets));
  /** As text: a scan keeps one of each package, and reads few of them again. */
  readonly #kept = new Map<string, string>();
  readonly #needs = new Index<{ readonly asOf: number } & Needs>(({ places }) => unordered(places));
  readonly #baselines = new Map<string, Baseline>();
  readonly #gone = new Set<string>();
  readonly #quotas = new Map<string, number>();
  readonly #budgets = new Map<string, readonly (readonly [string, number])[]>();
  #sweep: { readonly id: string; readonly startedAt: number } | undefined;

  async open(finding: Finding): Promise<{ written: Written; finding: Finding }> {
    this.calls.push('open');
    const present = this.#findings.get(finding.id);
    if (present === undefined) return { written: 'changed', finding: this.#keep({ ...finding, opened: 1, attempts: 0 }) };
    const ended: readonly Status[] = ['remediated', 'resolved', 'unknown'];
    const byTags = present.exemptUntil !== undefined;
    const reopens =
      finding.status === 'exempt'
        ? present.status !== 'exempt' || (byTags && present.exemptUntil !== finding.exemptUntil)
        : (present.status !== finding.status && ended.includes(present.status)) || (finding.status === 'open' && byTags);
    const another = rankOf(present.severity) < rankOf(finding.severity) || present.fingerprint !== finding.fingerprint;
    const graver =
      finding.status === 'open' &&
      ['open', 'partial', 'failed', 'reverted'].includes(present.status) &&
      present.fixing === undefined &&
      another;
    if (present.asOf <= finding.asOf && (reopens || graver)) {
      const { opened, attempts, firstSeen, change, fixes } = present;
      const kept = defined({ change, fixes });
      const again = { ...finding, opened: opened + 1, attempts, firstSeen, ...kept };
      return { written: 'changed', finding: this.#keep(again) };
    }
    if (present.cause === finding.cause && present.status === finding.status) return { written: 'again', finding: copy(present) };
    if (!isUnended(present)) return { written: 'stale', finding: copy(present) };
    const newer = present.asOf < finding.asOf ? { asOf: finding.asOf, lastSeen: finding.lastSeen } : {};
    if (explains(finding, present)) {
      const { sweep: _, ...found } = present;
      const { cause, event, actor } = finding;
      return { written: 'changed', finding: this.#keep({ ...found, ...newer, cause, ...defined({ event, actor }) }) };
    }
    return { written: 'unchanged', finding: this.#keep({ ...present, ...newer }) };
  }

  async resolve(id: string, reading: Reading): Promise<Ended> {
    this.calls.push('resolve');
    return this.#end(id, reading);
  }

  async resolveAll(ids: readonly string[], reading: Reading): Promise<readonly Ended[]> {
    this.calls.push('resolveAll');
    return ids.map((id) => this.#end(id, reading));
  }

  #end(id: string, { asOf, cause }: Reading): Ended {
    const present = this.#findings.get(id);
    if (present === undefined) return { written: 'unchanged', finding: undefined };
    if (isUnended(present) && present.fixing === undefined && present.asOf <= asOf) {
      const { dueAt: _, exemptUntil: _until, ...rest } = present;
      return { written: 'changed', finding: this.#keep({ ...rest, status: 'resolved', cause, asOf }) };
    }
    if (isUnended(present) && present.fixing === undefined) return { written: 'stale', finding: copy(present) };
    return { written: present.cause === cause && present.status === 'resolved' ? 'again' : 'unchanged', finding: copy(present) };
  }

  async finding(id: string): Promise<Finding | undefined> {
    this.calls.push('finding');
    return copy(this.#findings.get(id));
  }

  async *findings({ rule, status }: { rule?: string; status?: Status }): AsyncGenerator<Finding> {
    this.calls.push('findings');
    for (const finding of [...this.#findings.values()]) {
      if ((rule === undefined || finding.rule === rule) && (status === undefined || finding.status === status)) yield copy(finding);
    }
  }

  async remind(id: string, dueAt: number | undefined): Promise<void> {
    this.calls.push('remind');
    const present = this.#findings.get(id);
    if (present?.status !== 'open') return;
    const { dueAt: _due, ...rest } = present;
    this.#keep({ ...rest, ...defined({ dueAt }) });
  }

  async setStatus(id: string, { was, unreadSince, ...to }: StatusChange): Promise<Finding | undefined> {
    this.calls.push('setStatus');
    const present = this.#findings.get(id);
    if (present === undefined || (unreadSince ?? present.asOf) < present.asOf) return undefined;
    if (was !== undefined && (was.status !== present.status || was.opened !== present.opened)) return undefined;
    const { dueAt: _due, fixing: _fixing, exemptUntil: _until, ...rest } = present;
    return this.#keep({ ...rest, ...defined(to) });
  }

  async begin(change: Change): Promise<Change> {
    this.calls.push('begin');
    const present = this.#changes.get(change.id);
    if (present !== undefined) return copy(present);
    this.#changes.set(change.id, copy(change));
    return copy(change);
  }

  async progress(id: string, to: Progress, from?: readonly Change['status'][]): Promise<boolean> {
    this.calls.push('progress');
    const present = this.#changes.get(id);
    if (present === undefined) return false;
    const isLate = from !== undefined && (!from.includes(present.status) || (to.done ?? present.done) < present.done);
    if (isLate) return false;
    const { dueAt: _over, ...rest } = present;
    this.#changes.set(id, { ...rest, ...defined(to) });
    return true;
  }

  async change(id: string): Promise<Change | undefined> {
    this.calls.push('change');
    return copy(this.#changes.get(id));
  }

  async *changes(): AsyncGenerator<Change> {
    this.calls.push('changes');
    for (const change of [...this.#changes.values()]) yield copy(change);
  }

  async *latestChanges(since: number): AsyncGenerator<Change> {
    this.calls.push('latestChanges');
    const begun = ({ startedAt }: Change) => Date.parse(startedAt);
    const all = [...this.#changes.values()].filter((change) => begun(change) >= since);
    for (const change of all.toSorted((a, b) => begun(b) - begun(a))) yield copy(change);
  }

  async lock(resource: string, holder: string, now: number, milliseconds: number): Promise<boolean> {
    this.calls.push('lock');
    const held = this.#locks.get(resource);
    if (held !== undefined && held.holder !== holder && held.until >= now) return false;
    this.#locks.set(resource, { holder, until: now + milliseconds });
    return true;
  }

  async unlock(resource: string, holder: string): Promise<void> {
    this.calls.push('unlock');
    if (this.#locks.get(resource)?.holder === holder) this.#locks.delete(resource);
  }

  async switches(): Promise<Switches> {
    this.calls.push('switches');
    const modes = [...this.#switches]
      .filter(([name]) => name.startsWith('mode:'))
      .map(([name, mode]) => [name.slice('mode:'.length), mode as Mode]);
    return { paused: this.#switches.has('paused'), modes: Object.fromEntries(modes) };
  }

  async setSwitch(name: 'paused' | `mode:${string}`, value: string | undefined, _by: string): Promise<void> {
    this.calls.push('setSwitch');
    if (value === undefined) this.#switches.delete(name);
    else this.#switches.set(name, value);
  }

  async exemption(rule: string, resourceArn: string, now: number): Promise<Exemption | undefined> {
    this.calls.push('exemption');
    const all = [...this.#exemptions.values()].map(({ exemption }) => exemption);
    return copy(
      all.find((exemption) => exemption.rule === rule && exemption.expires > now && matchesGlob(resourceArn, exemption.resource)),
    );
  }

  async addExemption(exemption: Exemption): Promise<void> {
    this.calls.push('addExemption');
    this.#exemptions.set(exemption.id, { exemption: copy(exemption), dueAt: exemption.expires });
  }

  async *exemptions(): AsyncGenerator<Exemption> {
    this.calls.push('exemptions');
    for (const { exemption } of [...this.#exemptions.values()]) yield copy(exemption);
  }

  async removeExemption(id: string): Promise<void> {
    this.calls.push('removeExemption');
    this.#exemptions.delete(id);
  }

  async due(now: number): Promise<readonly Due[]> {
    this.calls.push('due');
    const items: readonly (Omit<Due, 'dueAt'> & { readonly dueAt: number | undefined })[] = [
      ...[...this.#findings.values()].map(({ id, rule, dueAt }) => ({ kind: 'finding' as const, id, rule, dueAt })),
      ...[...this.#changes.values()].map(({ id, rule, dueAt }) => ({ kind: 'change' as const, id, rule, dueAt })),
      ...[...this.#exemptions.values()].map(({ exemption: { id, rule }, dueAt }) => ({ kind: 'exemption' as const, id, rule, dueAt })),
      ...[...this.#buckets].map(([id, { dueAt }]) => ({ kind: 'digest' as const, id, rule: '', dueAt })),
    ];
    return items
      .flatMap(({ dueAt, ...item }) => (dueAt === undefined || dueAt > now ? [] : [{ ...item, dueAt }]))
      .toSorted((a, b) => a.dueAt - b.dueAt);
  }

  async postpone({ kind, id, dueAt }: Due, until: number | undefined): Promise<boolean> {
    this.calls.push('postpone');
    const holders = { finding: this.#findings, change: this.#changes, exemption: this.#exemptions, digest: this.#buckets };
    const holder: Map<string, { readonly dueAt?: number | undefined }> = holders[kind];
    const item = holder.get(id);
    if (item === undefined || item.dueAt !== dueAt) return false;
    const { dueAt: _, ...rest } = item;
    holder.set(id, until === undefined ? rest : { ...rest, dueAt: until });
    return true;
  }

  async announce(key: string, to: string, now: number): Promise<{ bucket: string; count: number; sent: boolean }> {
    this.calls.push('announce');
    const present = this.#alerts.get(key);
    if (present?.sent === true) return { bucket: present.bucket ?? to, count: 0, sent: true };
    if (present !== undefined && present.beganAt > now - 60_000) throw new RetryLater(`the alert ${key} is being sent`);
    const { bucket = to } = present ?? {};
    const counted = this.#bucket(bucket);
    if (present?.count === undefined) counted.count += 1;
    const count = present?.count ?? counted.count;
    this.#alerts.set(key, { sent: false, beganAt: now, bucket, count });
    return { bucket, count, sent: false };
  }

  async markSent(key: string): Promise<void> {
    this.calls.push('markSent');
    this.#alerts.set(key, { ...this.#alerts.get(key), sent: true, beganAt: 0 });
  }

  async hold(bucket: string, key: string, alert: unknown, dueAt: number): Promise<void> {
    this.calls.push('hold');
    const item = this.#bucket(bucket);
    item.held.set(key, copy(alert));
    item.dueAt = dueAt;
  }

  async isHeld(bucket: string, key: string): Promise<boolean> {
    this.calls.push('isHeld');
    return this.#bucket(bucket).held.has(key);
  }

  async *held(bucket: string): AsyncGenerator<{ key: string; alert: unknown }> {
    this.calls.push('held');
    for (const [key, alert] of [...this.#bucket(bucket).held]) yield { key, alert: copy(alert) };
  }

  async release(bucket: string, keys: readonly string[]): Promise<void> {
    this.calls.push('release');
    const item = this.#bucket(bucket);
    for (const key of keys) {
      await this.markSent(key);
      item.held.delete(key);
    }
    if (item.held.size === 0) item.dueAt = undefined;
  }

  async recordRoles(
    record: FunctionRecord & { role: string; liveRoles: readonly string[] },
  ): Promise<{ left: readonly string[]; stale: boolean }> {
    this.calls.push('recordRoles');
    const present = this.#roles.get(record.function);
    if (present !== undefined && present.asOf > record.asOf) return { left: [], stale: true };
    const roles = new Set([record.role, ...record.liveRoles]);
    const uses = new Map([...roles].map((role) => [role, present?.uses.get(role) ?? record.asOf]));
    this.#roles.set(record.function, { asOf: record.asOf, uses });
    return { left: [...(present?.uses.keys() ?? [])].filter((role) => !roles.has(role)), stale: false };
  }

  async longestUsers(role: string): Promise<readonly RoleUse[]> {
    this.calls.push('longestUsers');
    const users = this.#roles.first(role, 2);
    return users.map(([name, { uses }]) => ({ function: name, role, since: uses.get(role) ?? 0, only: uses.size === 1 }));
  }

  async forgetRoles(functionArn: string, asOf: number): Promise<{ left: readonly string[] }> {
    this.calls.push('forgetRoles');
    const present = this.#roles.get(functionArn);
    if (present !== undefined && present.asOf > asOf) return { left: [] };
    this.#roles.set(functionArn, { asOf, uses: new Map() });
    return { left: [...(present?.uses.keys() ?? [])] };
  }

  async recordNetwork(
    record: FunctionRecord & { groups: readonly string[]; subnets: readonly string[] },
  ): Promise<{ left: readonly string[]; stale: boolean }> {
    this.calls.push('recordNetwork');
    const present = this.#networks.get(record.function);
    if (present !== undefined && present.asOf > record.asOf) return { left: [], stale: true };
    const places = [...new Set([...record.groups, ...record.subnets])].sort();
    this.#networks.set(record.function, { asOf: record.asOf, places });
    return { left: (present?.places ?? []).filter((place) => !places.includes(place)), stale: false };
  }

  async forgetNetwork(functionArn: string, asOf: number): Promise<{ left: readonly string[] }> {
    this.calls.push('forgetNetwork');
    const present = this.#networks.get(functionArn);
    if (present === undefined || present.asOf > asOf) return { left: [] };
    this.#networks.delete(functionArn);
    return { left: present.places };
  }

  async functionsIn(groupOrSubnet: string): Promise<readonly string[]> {
    this.calls.push('functionsIn');
    return this.#networks.first(groupOrSubnet, 10).map(([name]) => name);
  }

  async recordSecrets(record: FunctionRecord & { secrets: readonly string[] }): Promise<{ left: readonly string[]; stale: boolean }> {
    this.calls.push('recordSecrets');
    const present = this.#secrets.get(record.function);
    if (present !== undefined && present.asOf > record.asOf) return { left: [], stale: true };
    this.#secrets.set(record.function, { asOf: record.asOf, secrets: record.secrets });
    return { left: (present?.secrets ?? []).filter((secret) => !record.secrets.includes(secret)), stale: false };
  }

  async forgetSecrets(functionArn: string, asOf: number): Promise<{ left: readonly string[] }> {
    this.calls.push('forgetSecrets');
    const present = this.#secrets.get(functionArn);
    if (present === undefined || present.asOf > asOf) return { left: [] };
    this.#secrets.delete(functionArn);
    return { left: present.secrets };
  }

  async functionsReading(secretArn: string): Promise<readonly string[]> {
    this.calls.push('functionsReading');
    const all = [secretArn, withoutSuffix(secretArn)].flatMap((secret) => this.#secrets.first(secret, 10).map(([name]) => name));
    return [...new Set(all)].sort().slice(0, 10);
  }

  async recordNeeds({ function: name, asOf, places, needs }: FunctionRecord & Needs): Promise<void> {
    this.calls.push('recordNeeds');
    const present = this.#needs.get(name);
    if (present === undefined ? places.length > 0 : present.asOf <= asOf) this.#needs.set(name, copy({ asOf, places, needs }));
  }

  async needing(place: string): Promise<readonly { function: string; needs: unknown }[]> {
    this.calls.push('needing');
    return copy(this.#needs.first(place, 100).map(([name, { needs }]) => ({ function: name, needs })));
  }

  async recordKept(rule: string, subjectArn: string, kept: Kept): Promise<void> {
    this.calls.push('recordKept');
    const key = `${rule} ${subjectArn}`;
    const present = parsed(this.#kept.get(key));
    if (present !== undefined && (present.asOf >= kept.asOf || isDeepStrictEqual(present.state, kept.state))) return;
    this.#kept.set(key, JSON.stringify(kept));
  }

  async kept(rule: string, subjectArn: string): Promise<Kept | undefined> {
    this.calls.push('kept');
    return parsed(this.#kept.get(`${rule} ${subjectArn}`));
  }

  async baseline(functionArn: string): Promise<Baseline | undefined> {
    this.calls.push('baseline');
    return copy(this.#baselines.get(functionArn));
  }

  async recordBaseline(baseline: Baseline): Promise<boolean> {
    this.calls.push('recordBaseline');
    const present = this.#baselines.get(baseline.function);
    const { revision } = baseline;
    if (present !== undefined && present.asOf > baseline.asOf) return false;
    if (revision !== undefined && present?.revision !== undefined && present.revision >= revision) return false;
    this.#baselines.set(baseline.function, copy(baseline));
    this.#gone.delete(baseline.function);
    return true;
  }

  async forgetBaseline(functionArn: string, _now: number): Promise<void> {
    this.calls.push('forgetBaseline');
    if (this.#baselines.has(functionArn)) this.#gone.add(functionArn);
  }

  async *functionsRecorded(): AsyncGenerator<string> {
    this.calls.push('functionsRecorded');
    const recorded = [...this.#roles.entries()].flatMap(([name, { uses }]) => (uses.size === 0 ? [] : [name]));
    const baselines = [...this.#baselines.keys()].filter((name) => !this.#gone.has(name));
    yield* new Set([...recorded, ...this.#networks.keys(), ...this.#secrets.keys(), ...baselines]);
  }

  async lastSweep(): Promise<{ id: string; startedAt: number } | undefined> {
    this.calls.push('lastSweep');
    return this.#sweep;
  }

  async recordSweep(id: string, startedAt: number): Promise<boolean> {
    this.calls.push('recordSweep');
    if (this.#sweep !== undefined && this.#sweep.startedAt >= startedAt) return false;
    this.#sweep = { id, startedAt };
    return true;
  }

  async lease(quota: string, calls: number, perSecond: number, now: number, ahead: number): Promise<number | undefined> {
    this.calls.push('lease');
    const until = Math.max(this.#quotas.get(quota) ?? 0, now);
    if (until > now + ahead) return undefined;
    this.#quotas.set(quota, until + Math.ceil((calls / perSecond) * 1000));
    return until;
  }

  async spend(budget: string, what: string, limit: number, window: number, now: number): Promise<boolean> {
    this.calls.push('spend');
    const spent = (this.#budgets.get(budget) ?? []).filter(([, at]) => at > now - window);
    if (spent.some(([known]) => known === what)) return true;
    if (spent.length >= limit) return false;
    this.#budgets.set(budget, [...spent, [what, now]]);
    return true;
  }

  #keep(finding: Finding): Finding {
    this.#findings.set(finding.id, copy(finding));
    return copy(finding);
  }

  #bucket(id: string) {
    const item = this.#buckets.get(id) ?? { count: 0, held: new Map<string, unknown>(), dueAt: undefined };
    this.#buckets.set(id, item);
    return item;
  }
}

/** What is recorded of functions, found by what of it somebody asks for: a question takes no longer where there are more functions. */
class Index<Kept> {
  readonly #kept = new Map<string, Kept>();
  /** By what they are found, the functions in order. */
  readonly #found = new Map<string, { readonly name: string; readonly place: number }[]>();
  readonly #placesOf: (kept: Kept) => ReadonlyMap<string, number>;

  /** @param placesOf by what a function is found, and its place in order there; those of one place follow by name */
  constructor(placesOf: (kept: Kept) => ReadonlyMap<string, number>) {
    this.#placesOf = placesOf;
  }

  get(name: string): Kept | undefined {
    return this.#kept.get(name);
  }

  set(name: string, kept: Kept): void {
    this.#forget(name);
    this.#kept.set(name, kept);
    for (const [what, place] of this.#placesOf(kept)) {
      const found = this.#found.get(what) ?? [];
      this.#found.set(what, found);
      // From the end: most come in order.
      const before = found.findLastIndex((other) => other.place < place || (other.place === place && other.name < name));
      found.splice(before + 1, 0, { name, place });
    }
  }

  delete(name: string): void {
    this.#forget(name);
    this.#kept.delete(name);
  }

  /** The first so many. */
  first(what: string, most: number): readonly (readonly [name: string, kept: Kept])[] {
    const found = this.#found.get(what)?.slice(0, most) ?? [];
    return found.map(({ name }) => [name, this.#kept.get(name) as Kept]);
  }

  keys(): Iterable<string> {
    return this.#kept.keys();
  }

  entries(): Iterable<readonly [name: string, kept: Kept]> {
    return this.#kept.entries();
  }

  #forget(name: string): void {
    const kept = this.#kept.get(name);
    if (kept === undefined) return;
    for (const what of this.#placesOf(kept).keys()) {
      const found = this.#found.get(what)?.filter((other) => other.name !== name) ?? [];
      this.#found.set(what, found);
    }
  }
}

/** In order of the functions' names alone. */
function unordered(keys: readonly string[]): ReadonlyMap<string, number> {
  return new Map(keys.map((key) => [key, 0]));
}

/** Data of its own, without the members that hold nothing: a table keeps none either. */
function copy<T>(value: T): T {
  return value === undefined ? value : JSON.parse(JSON.stringify(value));
}

function parsed(kept: string | undefined): Kept | undefined {
  return kept === undefined ? undefined : JSON.parse(kept);
}

function defined<T extends object>(values: T): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as T;
}
