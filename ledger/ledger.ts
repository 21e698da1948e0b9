import { matchesGlob } from '../guard/arn.ts';
import type { Change, Progress } from '../guard/change.ts';
import { RetryLater } from '../guard/errors.ts';
import type { Baseline, FunctionRecord, Kept, Needs, RoleUse } from '../guard/estate.ts';
import { explains, type Finding, isUnended, rankOf, type Status } from '../guard/finding.ts';
import type { Due, Ended, Exemption, Ledger, Reading, StatusChange, Switches, Written } from '../guard/ledger.ts';
import type { Mode } from '../guard/mode.ts';
import { withoutSuffix } from '../guard/subject.ts';
import type { Item, Key, Table } from './table.ts';

const day = 24 * 3600;

/** Where each kind of item lives. */
const keys = {
  finding: (id: string) => ({ pk: `FINDING#${id}`, sk: 'FINDING' }),
  change: (id: string) => ({ pk: `CHANGE#${id}`, sk: 'CHANGE' }),
  lock: (resource: string) => ({ pk: `LOCK#${resource}`, sk: 'LOCK' }),
  role: (functionArn: string) => ({ pk: 'ROLES', sk: functionArn }),
  liveRole: (functionArn: string, role: string) => ({ pk: 'ROLES', sk: `${functionArn}|${role}` }),
  network: (functionArn: string) => ({ pk: 'NETWORK', sk: functionArn }),
  secrets: (functionArn: string) => ({ pk: 'SECRETS', sk: functionArn }),
  member: (place: string, functionArn: string) => ({ pk: `IN#${place}`, sk: functionArn }),
  destinations: (functionArn: string) => ({ pk: 'DESTINATIONS', sk: functionArn }),
  dependent: (place: string, functionArn: string) => ({ pk: `TO#${place}`, sk: functionArn }),
  baseline: (functionArn: string) => ({ pk: 'BASELINE', sk: functionArn }),
  kept: (rule: string, subjectArn: string) => ({ pk: `KEPT#${rule}`, sk: subjectArn }),
  switch: (name: string) => ({ pk: 'SWITCHES', sk: name }),
  exemption: (id: string) => ({ pk: 'EXEMPTIONS', sk: id }),
  alert: (key: string) => ({ pk: `ALERT#${key}`, sk: 'ALERT' }),
  bucket: (bucket: string) => ({ pk: `BUCKET#${bucket}`, sk: 'BUCKET' }),
  held: (bucket: string, key: string) => ({ pk: `BUCKET#${bucket}`, sk: `HELD#${key}` }),
  sweep: { pk: 'SWEEP', sk: 'LAST' },
  quota: (quota: string) => ({ pk: `QUOTA#${quota}`, sk: 'QUOTA' }),
  budget: (budget: string) => ({ pk: `BUDGET#${budget}`, sk: 'BUDGET' }),
};

/** The ledger in DynamoDB: one table, and a call or two for every method. */
export class DynamoLedger implements Ledger {
  readonly #table: Table;
  #exemptions: { readonly readAt: number; readonly all: readonly Exemption[] } = { readAt: Number.NEGATIVE_INFINITY, all: [] };

  constructor(table: Table) {
    this.#table = table;
  }

  // --- findings

  async open(finding: Finding): Promise<{ written: Written; finding: Finding }> {
    const { id, opened: _opened, firstSeen, attempts: _attempts, status, lastSeen, ...rest } = finding;
    // What had ended may open again. What an operator exempted opens when that ends, and not before; tags tell at each reading.
    // DynamoDB refuses redundant parentheses.
    const changes =
      status === 'open'
        ? '(#status IN (:remediated, :resolved, :unknown) OR (#status = :exempt AND attribute_exists(#exemptUntil)) OR (#status IN (:open, :partial, :failed, :reverted) AND attribute_not_exists(#fixing) AND (#rank < :rank OR #fingerprint <> :fingerprint)))'
        : status === 'exempt'
          ? '(#status <> :exempt OR (attribute_exists(#exemptUntil) AND #exemptUntil <> :exemptUntil))'
          : '#status IN (:remediated, :resolved)';
    const answer = await this.#table.update(
      keys.finding(id),
      {
        set: {
          ...absent,
          ...rest,
          id,
          status,
          lastSeen,
          rank: rankOf(finding.severity),
          fingerprint: finding.fingerprint ?? '',
          kind: 'finding',
          madeAt: Date.parse(finding.openedAt),
          ...dueAttributes(finding.dueAt),
        },
        also: [
          '#opened = if_not_exists(#opened, :zero) + :one',
          '#attempts = if_not_exists(#attempts, :zero)',
          '#firstSeen = if_not_exists(#firstSeen, :firstSeen)',
        ],
        when: `attribute_not_exists(#pk) OR (#asOf <= :asOf AND ${changes})`,
        values: {
          zero: 0,
          one: 1,
          firstSeen,
          asOf: finding.asOf,
          exemptUntil: finding.exemptUntil ?? 0,
          open: 'open',
          partial: 'partial',
          failed: 'failed',
          rank: rankOf(finding.severity),
          fingerprint: finding.fingerprint ?? '',
          remediated: 'remediated',
          resolved: 'resolved',
          reverted: 'reverted',
          exempt: 'exempt',
          unknown: 'unknown',
        },
      },
      'new',
    );
    if (answer.done) return { written: 'changed', finding: toFinding(answer.before) };
    const kept = toFinding(answer.present);
    if (kept.cause === finding.cause && kept.status === status) return { written: 'again', finding: kept };
    if (!isUnended(kept)) return { written: 'stale', finding: kept };
    const explained = explains(finding, kept);
    const newer = kept.asOf < finding.asOf;
    if (!(explained || newer)) return { written: 'unchanged', finding: kept };
    const { cause, event, actor } = finding;
    const seen = await this.#table.update(
      keys.finding(id),
      {
        set: { ...(newer ? { asOf: finding.asOf, lastSeen } : {}), ...(explained ? { cause, event, actor, sweep: undefined } : {}) },
        when: '#status = :was AND #cause = :known AND #asOf = :read',
        values: { was: kept.status, known: kept.cause, read: kept.asOf },
      },
      'new',
    );
    // Somebody else wrote in between.
    return seen.done ? { written: explained ? 'changed' : 'unchanged', finding: toFinding(seen.before) } : await this.open(finding);
  }

  async resolve(id: string, { asOf, cause }: Reading): Promise<Ended> {
    const answer = await this.#table.update(
      keys.finding(id),
      {
        set: { status: 'resolved', cause, asOf, exemptUntil: undefined, ...dueAttributes(undefined) },
        when: '#status IN (:open, :partial, :failed, :reverted, :unknown, :exempt) AND attribute_not_exists(#fixing) AND #asOf <= :asOf',
        values: { open: 'open', partial: 'partial', failed: 'failed', reverted: 'reverted', unknown: 'unknown', exempt: 'exempt', asOf },
      },
      'new',
    );
    if (answer.done) return { written: 'changed', finding: toFinding(answer.before) };
    const kept = answer.present === undefined ? undefined : toFinding(answer.present);
    if (kept !== undefined && isUnended(kept) && kept.fixing === undefined) return { written: 'stale', finding: kept };
    return nothingToEnd(kept, cause);
  }

  async resolveAll(ids: readonly string[], reading: Reading): Promise<readonly Ended[]> {
    if (ids.length === 1) return [await this.resolve(ids[0] as string, reading)];
    const items = await this.#table.getAll(ids.map((id) => keys.finding(id)));
    const present = new Map(items.map(toFinding).map((finding) => [finding.id, finding]));
    const all: Ended[] = [];
    for (const id of ids) {
      const kept = present.get(id);
      all.push(kept !== undefined && isUnended(kept) ? await this.resolve(id, reading) : nothingToEnd(kept, reading.cause));
    }
    return all;
  }

  async finding(id: string): Promise<Finding | undefined> {
    const item = await this.#table.get(keys.finding(id));
    return item === undefined ? undefined : toFinding(item);
  }

  async *findings({ rule, status }: { rule?: string; status?: Status }): AsyncGenerator<Finding> {
    for await (const item of this.#table.list('kind', 'finding')) {
      const finding = toFinding(item);
      if ((rule === undefined || finding.rule === rule) && (status === undefined || finding.status === status)) yield finding;
    }
  }

  async remind(id: string, dueAt: number | undefined): Promise<void> {
    await this.#table.update(keys.finding(id), { set: dueAttributes(dueAt), when: '#status = :open', values: { open: 'open' } });
  }

  async setStatus(id: string, { status, was, unreadSince, cause, dueAt, fixing, ...optional }: StatusChange): Promise<Finding | undefined> {
    const conditions = ['attribute_exists(#pk)'];
    if (was !== undefined) conditions.push('#status = :was AND #opened = :life');
    if (unreadSince !== undefined) conditions.push('#asOf <= :unreadSince');
    const answer = await this.#table.update(
      keys.finding(id),
      {
        set: { status, cause, fixing, exemptUntil: undefined, ...defined({ ...optional }), ...dueAttributes(dueAt) },
        when: conditions.join(' AND '),
        values: { was: was?.status, life: was?.opened, unreadSince },
      },
      'new',
    );
    return answer.done ? toFinding(answer.before) : undefined;
  }

  // --- changes

  async begin(change: Change): Promise<Change> {
    const item = {
      ...keys.change(change.id),
      ...change,
      kind: 'change',
      madeAt: Date.parse(change.startedAt),
      ...defined(dueAttributes(change.dueAt)),
    };
    const answer = await this.#table.put(item, 'attribute_not_exists(#pk)');
    return answer.done ? change : toChange(answer.present);
  }

  async progress(id: string, to: Progress, from?: readonly Change['status'][]): Promise<boolean> {
    const statuses = Object.fromEntries((from ?? []).map((status) => [`from_${status}`, status]));
    const condition = [
      'attribute_exists(#pk)',
      ...(from === undefined ? [] : [`#status IN (${Object.keys(statuses).map((name) => `:${name}`)})`]),
      ...(from === undefined || to.done === undefined ? [] : ['#done <= :set_done']),
    ].join(' AND ');
    const set = { ...to, ...dueAttributes(to.dueAt) };
    return (await this.#table.update(keys.change(id), { set, when: condition, values: statuses })).done;
  }

  async change(id: string): Promise<Change | undefined> {
    const item = await this.#table.get(keys.change(id));
    return item === undefined ? undefined : toChange(item);
  }

  async *changes(): AsyncGenerator<Change> {
    for await (const item of this.#table.list('kind', 'change')) yield toChange(item);
  }

  async *latestChanges(since: number): AsyncGenerator<Change> {
    for await (const item of this.#table.latest('change', since)) yield toChange(item);
  }

  // --- locks, switches, exemptions

  async lock(resource: string, holder: string, now: number, milliseconds: number): Promise<boolean> {
    const item = { ...keys.lock(resource), holder, until: now + milliseconds, expires: Math.ceil((now + milliseconds) / 1000) + day };
    return (await this.#table.put(item, 'attribute_not_exists(#pk) OR #holder = :holder OR #until < :now', { holder, now })).done;
  }

  async unlock(resource: string, holder: string): Promise<void> {
    await this.#table.delete(keys.lock(resource), '#holder = :holder', { holder });
  }

  async switches(): Promise<Switches> {
    const modes: Record<string, Mode> = {};
    let paused = false;
    for await (const item of this.#table.query({ pk: 'SWITCHES' })) {
      const name = String(item['sk']);
      if (name === 'paused') paused = true;
      if (name.startsWith('mode:')) modes[name.slice('mode:'.length)] = item['value'] as Mode;
    }
    return { paused, modes };
  }

  async setSwitch(name: 'paused' | `mode:${string}`, value: string | undefined, by: string): Promise<void> {
    if (value === undefined) await this.#table.delete(keys.switch(name));
    else await this.#table.put({ ...keys.switch(name), value, by });
  }

  async exemption(rule: string, resourceArn: string, now: number, maxAge = 0): Promise<Exemption | undefined> {
    if (this.#exemptions.readAt + maxAge <= now) {
      const all: Exemption[] = [];
      for await (const exemption of this.exemptions()) all.push(exemption);
      this.#exemptions = { readAt: now, all };
    }
    return this.#exemptions.all.find(
      (exemption) => exemption.rule === rule && exemption.expires > now && matchesGlob(resourceArn, exemption.resource),
    );
  }

  async addExemption(exemption: Exemption): Promise<void> {
    await this.#table.put({ ...keys.exemption(exemption.id), ...exemption, ...defined(dueAttributes(exemption.expires)) });
  }

  async *exemptions(): AsyncGenerator<Exemption> {
    for await (const item of this.#table.query({ pk: 'EXEMPTIONS' })) yield bare<Exemption>(item);
  }

  async removeExemption(id: string): Promise<void> {
    await this.#table.delete(keys.exemption(id));
  }

  // --- what is due

  async due(now: number): Promise<readonly Due[]> {
    const all: Due[] = [];
    for await (const item of this.#table.list('due', 'due', now)) {
      const kind = dueKinds.find(([prefix]) => String(item['pk']).startsWith(prefix))?.[1];
      if (kind !== undefined) all.push({ kind, id: String(item['id']), rule: String(item['rule'] ?? ''), dueAt: Number(item['dueAt']) });
      if (all.length >= 200) break;
    }
    return all;
  }

  async postpone({ kind, id, dueAt }: Due, until: number | undefined): Promise<boolean> {
    const key: Key = { finding: keys.finding, change: keys.change, exemption: keys.exemption, digest: keys.bucket }[kind](id);
    return (await this.#table.update(key, { set: dueAttributes(until), when: '#dueAt = :was', values: { was: dueAt } })).done;
  }

  // --- alerts

  async announce(key: string, to: string, now: number): Promise<{ bucket: string; count: number; sent: boolean }> {
    const expires = Math.ceil(now / 1000) + day;
    const begun = await this.#table.update(keys.alert(key), {
      set: { sent: false, beganAt: now, expires },
      also: ['#bucket = if_not_exists(#bucket, :to)'],
      when: 'attribute_not_exists(#pk) OR (#sent = :not AND #beganAt <= :before)',
      values: { to, not: false, before: now - 60_000 },
    });
    if (!begun.done && begun.present?.['sent'] === true) return { bucket: String(begun.present['bucket'] ?? to), count: 0, sent: true };
    if (!begun.done) throw new RetryLater(`the alert ${key} is being sent by another worker`);
    const { bucket = to, count: known } = (begun.before ?? {}) as { readonly bucket?: string; readonly count?: number };
    if (known !== undefined) return { bucket, count: known, sent: false };
    const counted = await this.#table.update(
      keys.bucket(bucket),
      { set: { id: bucket, expires }, also: ['#count = if_not_exists(#count, :zero) + :one'], values: { zero: 0, one: 1 } },
      'new',
    );
    const count = counted.done ? Number(counted.before?.['count']) : 0;
    await this.#table.update(keys.alert(key), { set: { count } });
    return { bucket, count, sent: false };
  }

  async markSent(key: string): Promise<void> {
    await this.#table.update(keys.alert(key), { set: { sent: true } });
  }

  async hold(bucket: string, key: string, alert: unknown, dueAt: number): Promise<void> {
    await this.#table.put({ ...keys.held(bucket, key), key, alert, expires: Math.ceil(dueAt / 1000) + day });
    await this.#table.update(keys.bucket(bucket), { set: { id: bucket, ...dueAttributes(dueAt) } });
  }

  async isHeld(bucket: string, key: string): Promise<boolean> {
    return (await this.#table.get(keys.held(bucket, key))) !== undefined;
  }

  async *held(bucket: string): AsyncGenerator<{ key: string; alert: unknown }> {
    for await (const item of this.#table.query({ pk: `BUCKET#${bucket}`, prefix: 'HELD#' }))
      yield { key: String(item['key']), alert: item['alert'] };
  }

  async release(bucket: string, sent: readonly string[]): Promise<void> {
    for (const key of sent) {
      await this.markSent(key);
      await this.#table.delete(keys.held(bucket, key));
    }
    // Read in this order: whoever holds an alert back in between either is seen, or has given the bucket another time.
    const due = (await this.#table.get(keys.bucket(bucket)))?.['dueAt'];
    for await (const _ of this.held(bucket)) return;
    await this.#table.update(keys.bucket(bucket), { set: dueAttributes(undefined), when: '#dueAt = :was', values: { was: due ?? 0 } });
  }

  // --- the index of roles

  /**
   * A function's own item holds the role of $LATEST and stands in the local index by `role|since|function`, so that the
   * longest users of a role are the first items there. Roles that only live versions use have an item each.
   */
  async recordRoles({
    function: name,
    asOf,
    role,
    liveRoles,
  }: FunctionRecord & { role: string; liveRoles: readonly string[] }): Promise<{ left: readonly string[]; stale: boolean }> {
    const others = [...new Set(liveRoles)].filter((other) => other !== role).sort();
    if (others.length === 0) {
      const answer = await this.#table.update(keys.role(name), {
        set: { ...roleItem(name, role, asOf), gone: undefined, expires: undefined },
        when: 'attribute_not_exists(#pk) OR (#asOf <= :asOf AND attribute_not_exists(#liveRoles) AND (attribute_exists(#gone) OR #role <> :role))',
        values: { asOf, role },
      });
      if (answer.done) return { left: answer.before?.['role'] === undefined ? [] : [String(answer.before['role'])], stale: false };
      return await this.#recordLiveRoles(name, asOf, role, others, answer.present ?? {});
    }
    return await this.#recordLiveRoles(name, asOf, role, others, await this.#table.get(keys.role(name)));
  }

  async #recordLiveRoles(
    name: string,
    asOf: number,
    role: string,
    others: readonly string[],
    present: Item | undefined,
  ): Promise<{ left: readonly string[]; stale: boolean }> {
    if (present !== undefined && Number(present['asOf']) > asOf) return { left: [], stale: true };
    const before = (present?.['liveRoles'] as readonly string[] | undefined) ?? [];
    const same = present !== undefined && present['role'] === role;
    const recorded = new RetryLater(`the roles of ${name} are being recorded by another worker`);
    if (same && String(before) === String(others)) {
      const update = { set: { asOf }, when: '#asOf = :was', values: { was: present['asOf'] } };
      if (Number(present['asOf']) < asOf && !(await this.#table.update(keys.role(name), update)).done) throw recorded;
      return { left: [], stale: false };
    }
    const since = same ? Number(present['since']) : asOf;
    const used = [...before, ...(present?.['role'] === undefined ? [] : [String(present['role'])])];
    const left = used.filter((old) => old !== role && !others.includes(old));
    const written = await this.#table.transact([
      {
        put: { ...keys.role(name), ...roleItem(name, role, since), asOf, ...(others.length === 0 ? {} : { liveRoles: others }) },
        ...(present === undefined ? { when: 'attribute_not_exists(#pk)' } : { when: '#asOf = :was', values: { was: present['asOf'] } }),
      },
      ...others
        .filter((other) => !before.includes(other))
        .map((other) => ({ put: { ...keys.liveRole(name, other), ...roleItem(name, other, asOf) } })),
      ...before.filter((old) => !others.includes(old)).map((old) => ({ delete: keys.liveRole(name, old) })),
    ]);
    if (!written) throw recorded;
    return { left, stale: false };
  }

  async longestUsers(role: string): Promise<readonly RoleUse[]> {
    const uses: RoleUse[] = [];
    for await (const item of this.#table.query({ pk: 'ROLES', prefix: `${role}|`, limit: 2, index: 'role' })) {
      const only = item['sk'] === item['function'] && item['liveRoles'] === undefined;
      uses.push({ function: String(item['function']), role, since: Number(item['since']), only });
    }
    return uses;
  }

  /** Keeps for a day that the function is gone: who read it before and writes only now is then late, not right. */
  async forgetRoles(name: string, asOf: number): Promise<{ left: readonly string[] }> {
    const answer = await this.#table.update(keys.role(name), {
      set: {
        asOf,
        gone: true,
        expires: Math.ceil(asOf / 1000) + day,
        role: undefined,
        since: undefined,
        roleKey: undefined,
        liveRoles: undefined,
      },
      when: 'attribute_not_exists(#pk) OR #asOf <= :asOf',
      values: { asOf },
    });
    if (!answer.done || answer.before?.['role'] === undefined) return { left: [] };
    const others = (answer.before['liveRoles'] as readonly string[] | undefined) ?? [];
    for (const other of others) await this.#table.delete(keys.liveRole(name, other));
    return { left: [String(answer.before['role']), ...others] };
  }

  // --- the index of security groups and subnets

  async recordNetwork({
    function: name,
    asOf,
    groups,
    subnets,
  }: FunctionRecord & { groups: readonly string[]; subnets: readonly string[] }): Promise<{ left: readonly string[]; stale: boolean }> {
    return await this.#recordMember(keys.network(name), { name, asOf, of: [...groups, ...subnets] });
  }

  /** What a function belongs to: one item for the function, and one for it in each place, so that both ways are one query. */
  async #recordMember(
    key: Key,
    { name, asOf, of }: { name: string; asOf: number; of: readonly string[] },
  ): Promise<{ left: readonly string[]; stale: boolean }> {
    const places = [...new Set(of)].sort();
    // Nearly always it is where it was.
    const same = await this.#table.update(key, { set: { asOf }, when: '#places = :places AND #asOf < :asOf', values: { places, asOf } });
    if (same.done) return { left: [], stale: false };
    const { present } = same;
    if (present !== undefined && Number(present['asOf']) > asOf) return { left: [], stale: true };
    const before = (present?.['places'] as readonly string[] | undefined) ?? [];
    if (present !== undefined && String(before) === String(places)) return { left: [], stale: false };
    const left = before.filter((place) => !places.includes(place));
    const written = await this.#table.transact([
      {
        put: { ...key, places, asOf },
        ...(present === undefined ? { when: 'attribute_not_exists(#pk)' } : { when: '#asOf = :was', values: { was: present['asOf'] } }),
      },
      ...places.filter((place) => !before.includes(place)).map((place) => ({ put: { ...keys.member(place, name) } })),
      ...left.map((place) => ({ delete: keys.member(place, name) })),
    ]);
    if (!written) throw new RetryLater(`what ${name} uses is being recorded by another worker`);
    return { left, stale: false };
  }

  async forgetNetwork(name: string, asOf: number): Promise<{ left: readonly string[] }> {
    return await this.#forgetMember(keys.network(name), name, asOf);
  }

  async #forgetMember(key: Key, name: string, asOf: number): Promise<{ left: readonly string[] }> {
    const present = await this.#table.get(key);
    if (present === undefined || Number(present['asOf']) > asOf) return { left: [] };
    const left = (present['places'] as readonly string[] | undefined) ?? [];
    await this.#table.transact([...left.map((place) => ({ delete: keys.member(place, name) })), { delete: key }]);
    return { left };
  }

  async functionsIn(place: string): Promise<readonly string[]> {
    const functions: string[] = [];
    for await (const item of this.#table.query({ pk: `IN#${place}`, limit: 10 })) functions.push(String(item['sk']));
    return functions;
  }

  // --- the index of secrets

  async recordSecrets({
    function: name,
    asOf,
    secrets,
  }: FunctionRecord & { secrets: readonly string[] }): Promise<{ left: readonly string[]; stale: boolean }> {
    return await this.#recordMember(keys.secrets(name), { name, asOf, of: secrets });
  }

  async forgetSecrets(name: string, asOf: number): Promise<{ left: readonly string[] }> {
    return await this.#forgetMember(keys.secrets(name), name, asOf);
  }

  async functionsReading(secretArn: string): Promise<readonly string[]> {
    const found = await Promise.all([secretArn, withoutSuffix(secretArn)].map((name) => this.functionsIn(name)));
    return [...new Set(found.flat())].sort().slice(0, 10);
  }

  // --- the index of what functions need in order to reach their destinations

  async recordNeeds({ function: name, asOf, places: given, needs }: FunctionRecord & Needs): Promise<void> {
    // A transaction takes a hundred items: those that are left and those that come.
    const places = [...new Set(given)].sort().slice(0, 48);
    const text = JSON.stringify(needs);
    const present = await this.#table.get(keys.destinations(name));
    if (present === undefined ? places.length === 0 : Number(present['asOf']) > asOf) return;
    const before = (present?.['places'] as readonly string[] | undefined) ?? [];
    if (String(before) === String(places) && present?.['needs'] === text) return;
    const when = { when: '#asOf = :was', values: { was: present?.['asOf'] } };
    const written = await this.#table.transact([
      {
        put: { ...keys.destinations(name), places, needs: text, asOf },
        ...(present === undefined ? { when: 'attribute_not_exists(#pk)' } : when),
      },
      ...places.map((place) => ({ put: { ...keys.dependent(place, name), needs: text } })),
      ...before.filter((place) => !places.includes(place)).map((place) => ({ delete: keys.dependent(place, name) })),
    ]);
    if (!written) throw new RetryLater(`what ${name} needs is being recorded by another worker`);
  }

  async needing(place: string): Promise<readonly { function: string; needs: unknown }[]> {
    const found: { function: string; needs: unknown }[] = [];
    for await (const item of this.#table.query({ pk: `TO#${place}`, limit: 100 }))
      found.push({ function: String(item['sk']), needs: JSON.parse(String(item['needs'])) });
    return found;
  }

  // --- baselines

  async recordKept(rule: string, subjectArn: string, { state, asOf }: Kept): Promise<void> {
    const text = JSON.stringify(state);
    const when = 'attribute_not_exists(#pk) OR (#asOf < :asOf AND #state <> :state)';
    await this.#table.put({ ...keys.kept(rule, subjectArn), state: text, asOf }, when, { state: text, asOf });
  }

  async kept(rule: string, subjectArn: string): Promise<Kept | undefined> {
    const item = await this.#table.get(keys.kept(rule, subjectArn));
    return item === undefined ? undefined : { state: JSON.parse(String(item['state'])), asOf: Number(item['asOf']) };
  }

  async baseline(functionArn: string): Promise<Baseline | undefined> {
    const item = await this.#table.get(keys.baseline(functionArn));
    if (item === undefined) return undefined;
    const { gone: _gone, expires: _expires, ...baseline } = item;
    return bare<Baseline>(baseline);
  }

  async recordBaseline(baseline: Baseline): Promise<boolean> {
    const { asOf, revision } = baseline;
    const when = 'attribute_not_exists(#pk) OR (#asOf <= :asOf';
    const item = { ...keys.baseline(baseline.function), ...baseline };
    if (revision === undefined) return (await this.#table.put(item, `${when})`, { asOf })).done;
    return (await this.#table.put(item, `${when} AND (attribute_not_exists(#revision) OR #revision < :revision))`, { asOf, revision }))
      .done;
  }

  async forgetBaseline(functionArn: string, now: number): Promise<void> {
    await this.#table.update(keys.baseline(functionArn), {
      set: { gone: true, expires: Math.ceil(now / 1000) + 30 * day },
      when: 'attribute_exists(#pk)',
    });
  }

  // --- sweeps and quotas

  async *functionsRecorded(): AsyncGenerator<string> {
    const seen = new Set<string>();
    for (const pk of ['ROLES', 'NETWORK', 'SECRETS', 'BASELINE']) {
      for await (const item of this.#table.query({ pk })) {
        if (item['gone'] === true) continue;
        const [name = ''] = String(item['sk']).split('|');
        if (!seen.has(name)) yield name;
        seen.add(name);
      }
    }
  }

  async lastSweep(): Promise<{ id: string; startedAt: number } | undefined> {
    const item = await this.#table.get(keys.sweep);
    return item === undefined ? undefined : { id: String(item['sweep']), startedAt: Number(item['startedAt']) };
  }

  async recordSweep(id: string, startedAt: number): Promise<boolean> {
    return (
      await this.#table.put({ ...keys.sweep, sweep: id, startedAt }, 'attribute_not_exists(#pk) OR #startedAt < :startedAt', { startedAt })
    ).done;
  }

  /** A leaky bucket: `until` is the moment up to which the quota is promised away. */
  async lease(quota: string, calls: number, perSecond: number, now: number, ahead: number): Promise<number | undefined> {
    const cost = Math.ceil((calls / perSecond) * 1000);
    const idle = await this.#table.update(keys.quota(quota), {
      set: { until: now + cost },
      when: 'attribute_not_exists(#pk) OR #until <= :now',
      values: { now },
    });
    if (idle.done) return now;
    if (Number(idle.present?.['until']) > now + ahead) return undefined;
    const queued = await this.#table.update(keys.quota(quota), {
      also: ['#until = #until + :cost'],
      when: '#until > :now AND #until <= :latest',
      values: { cost, now, latest: now + ahead },
    });
    return queued.done ? Number(queued.before?.['until']) : undefined;
  }

  async spend(budget: string, what: string, limit: number, window: number, now: number): Promise<boolean> {
    const item = await this.#table.get(keys.budget(budget));
    const spent = ((item?.['spent'] as Spent | undefined) ?? []).filter(([, at]) => at > now - window);
    if (spent.some(([known]) => known === what)) return true;
    if (spent.length >= limit) return false;
    const revision = Number(item?.['revision'] ?? 0);
    const { done } = await this.#table.put(
      { ...keys.budget(budget), spent: [...spent, [what, now]], revision: revision + 1, expires: Math.ceil((now + window) / 1000) + day },
      'attribute_not_exists(#pk) OR #revision = :revision',
      { revision },
    );
    if (!done) throw new RetryLater(`the budget ${budget} is being spent by another worker`);
    return true;
  }
}

/** What there is to say of a finding that has ended, or of none. */
function nothingToEnd(kept: Finding | undefined, cause: string): Ended {
  return { written: kept?.cause === cause && kept.status === 'resolved' ? 'again' : 'unchanged', finding: kept };
}

/** What is spent of a budget, with its moment. */
type Spent = readonly (readonly [what: string, at: number])[];

const dueKinds: readonly (readonly [string, Due['kind']])[] = [
  ['FINDING#', 'finding'],
  ['CHANGE#', 'change'],
  ['BUCKET#', 'digest'],
  ['EXEMPTIONS', 'exemption'],
];

/** What an earlier life of a finding may have left, and a new one has only if it says so. */
const absent = {
  actor: undefined,
  event: undefined,
  sweep: undefined,
  fixing: undefined,
  fixAfter: undefined,
  exemptUntil: undefined,
  orderedBy: undefined,
};

function dueAttributes(dueAt: number | undefined): { dueAt: number | undefined; dueKey: string | undefined } {
  return { dueAt, dueKey: dueAt === undefined ? undefined : 'due' };
}

function defined(item: Item): Item {
  return Object.fromEntries(Object.entries(item).filter(([, value]) => value !== undefined));
}

function roleItem(name: string, role: string, since: number) {
  return { function: name, role, since, asOf: since, roleKey: `${role}|${String(since).padStart(15, '0')}|${name}` };
}

/** An item without the attributes that only the table needs. */
function bare<T>(item: Item | undefined): T {
  const { pk: _pk, sk: _sk, rank: _rank, kind: _kind, madeAt: _madeAt, dueKey: _dueKey, ...rest } = item ?? {};
  return rest as T;
}

function toFinding(item: Item | undefined): Finding {
  const { fingerprint, ...finding } = bare<Finding>(item);
  return fingerprint === undefined || fingerprint === '' ? finding : { ...finding, fingerprint };
}

function toChange(item: Item | undefined): Change {
  return bare<Change>(item);
}
