import { AsyncLocalStorage } from 'node:async_hooks';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { mockClient } from 'aws-sdk-client-mock';
import { connect } from '../../aws/handle.ts';
import type { Alert } from '../../guard/alert.ts';
import { check, evaluate, triggered } from '../../guard/check.ts';
import type { ApiEvent } from '../../guard/cloudtrail.ts';
import { type Config, readConfig } from '../../guard/config.ts';
import { errorKind } from '../../guard/errors.ts';
import { type Finding, findingId } from '../../guard/finding.ts';
import type { Ledger, Written } from '../../guard/ledger.ts';
import { flush, notify } from '../../guard/notify.ts';
import { operate } from '../../guard/operate.ts';
import type { FixPorts } from '../../guard/ports.ts';
import { remediate } from '../../guard/remediate.ts';
import { type AnyRule, pascalCase } from '../../guard/rule.ts';
import { functionSubject, type Subject } from '../../guard/subject.ts';
import { type SweepMessage, sweep } from '../../guard/sweep.ts';
import { tick } from '../../guard/tick.ts';
import { DynamoLedger } from '../../ledger/ledger.ts';
import { MemoryLedger } from '../../ledger/memory.ts';
import { Table } from '../../ledger/table.ts';
import { rule as functionUrlOpen } from '../../rules/apis/function-url-open.ts';
import { rule as roleShared } from '../../rules/roles/role-shared.ts';
import { rule as secretInEnvironment } from '../../rules/secrets/secret-in-environment.ts';
import { MemoryTable } from '../support/memory-table.ts';
import { createWorld, type World } from '../support/world/index.ts';
import { admin, fine, place } from './bench.ts';

/** Rules that listen to the same calls, fix in one step or in many, at once or after a wait, with and without probation. */
export const rules: readonly AnyRule[] = [functionUrlOpen, roleShared, secretInEnvironment];
export const names = ['orders', 'stock'] as const;
type Name = (typeof names)[number];

const operator = `arn:aws:sts::${place.account}:assumed-role/Operator/olga`;
const roleArn = (name: string) => `arn:aws:iam::${place.account}:role/${name}`;
export const subjectOf = (name: string) => functionSubject(name, place) as Subject;

// Joined from parts, so that the secret scanners of code hosts find nothing here.
const password = ['Tr0ub4dor', '&3', 'Zebra'].join('');
const token = ['ghp', '_aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5'].join('');
const variables = { none: {}, one: { DB_PASSWORD: password }, two: { DB_PASSWORD: password, CI_TOKEN: token } };

/** What somebody changes in AWS; what it would refuse at that moment does nothing. */
type Change =
  | { readonly do: 'create'; readonly name: Name; readonly shared: boolean }
  | { readonly do: 'role'; readonly name: Name; readonly shared: boolean }
  | { readonly do: 'delete' | 'describe'; readonly name: Name }
  | { readonly do: 'url'; readonly name: Name; readonly to: 'NONE' | 'AWS_IAM' | 'gone' }
  | { readonly do: 'grant'; readonly name: Name; readonly to: boolean }
  | { readonly do: 'secret'; readonly name: Name; readonly to: keyof typeof variables };

/** What somebody does, or what becomes of time. */
export type Act =
  | Change
  | { readonly do: 'exempt'; readonly name: Name; readonly rule: string; readonly minutes: number }
  | { readonly do: 'fix' | 'pause' | 'resume' | 'tick' }
  | { readonly do: 'wait'; readonly minutes: number };

/** A function's URL and the public grant for it, its role and its variables; nothing of one that is not there. */
function shapeOf(world: World, FunctionName: string) {
  const { lambda } = world;
  if (!existing(world).includes(FunctionName)) return { granted: false, variables: [] };
  const { FunctionUrlConfigs: urls } = lambda.listFunctionUrlConfigs({ FunctionName }) as { FunctionUrlConfigs: { AuthType: string }[] };
  let granted = true;
  try {
    lambda.getPolicy({ FunctionName });
  } catch {
    granted = false;
  }
  const { Role, Environment } = lambda.getFunctionConfiguration({ FunctionName });
  return { url: urls[0]?.AuthType, granted, role: Role, variables: Object.keys(Environment?.Variables ?? {}).sort() };
}

function existing({ lambda }: World): readonly string[] {
  return (lambda.listFunctions() as { Functions: { FunctionName: string }[] }).Functions.map(({ FunctionName }) => FunctionName);
}

/** Everything that the rules of these tests look at, by function. */
export function shapes(world: World): Record<string, ReturnType<typeof shapeOf>> {
  return Object.fromEntries(
    existing(world)
      .toSorted()
      .map((name) => [name, shapeOf(world, name)]),
  );
}

/** Makes a change in the world. @returns the operation that CloudTrail tells of; undefined where AWS refuses it */
function happens(world: World, act: Change): string | undefined {
  const { lambda } = world;
  const FunctionName = act.name;
  if (existing(world).includes(FunctionName) === (act.do === 'create')) return undefined;
  const changed = (configuration: object) => {
    lambda.updateFunctionConfiguration({ FunctionName, ...configuration });
    return 'UpdateFunctionConfiguration';
  };
  const { url, granted } = shapeOf(world, FunctionName);
  switch (act.do) {
    case 'create':
      lambda.createFunction({ FunctionName, Role: roleArn(act.shared ? 'shared' : FunctionName), Tags: reader });
      return 'CreateFunction';
    case 'delete':
      lambda.deleteFunction({ FunctionName });
      return 'DeleteFunction';
    case 'role':
      return changed({ Role: roleArn(act.shared ? 'shared' : FunctionName) });
    case 'secret':
      return changed({ Environment: { Variables: variables[act.to] } });
    case 'describe':
      return changed({ Description: 'changed' });
    case 'url': {
      if (act.to === 'gone' && url === undefined) return undefined;
      if (act.to === 'gone') lambda.deleteFunctionUrlConfig({ FunctionName });
      else if (url === undefined) lambda.createFunctionUrlConfig({ FunctionName, AuthType: act.to });
      else lambda.updateFunctionUrlConfig({ FunctionName, AuthType: act.to });
      return `${act.to === 'gone' ? 'Delete' : url === undefined ? 'Create' : 'Update'}FunctionUrlConfig`;
    }
    case 'grant': {
      if (granted === act.to) return undefined;
      const StatementId = 'everyone';
      const Action = 'lambda:InvokeFunctionUrl';
      if (act.to) lambda.addPermission({ FunctionName, StatementId, Action, Principal: '*', FunctionUrlAuthType: 'NONE' });
      else lambda.removePermission({ FunctionName, StatementId });
      return act.to ? 'AddPermission' : 'RemovePermission';
    }
  }
}

const reader = { 'compliance-guard:secret-reader': 'true' };

type Message =
  | { readonly to: 'checker'; readonly practice: string; readonly event: ApiEvent }
  | { readonly to: 'sweep'; readonly practice: string; readonly message: SweepMessage }
  | { readonly to: 'remediator'; readonly rule: AnyRule; readonly id: string }
  | { readonly to: 'notifier'; readonly alert: Alert }
  | { readonly to: 'digest'; readonly bucket: string };

function titleOf(message: Message): string {
  if (message.to === 'checker') return `check ${message.practice} ${message.event.id} ${message.event.operation}`;
  if (message.to === 'sweep') return `sweep ${message.practice} ${message.message.subject.arn.split(':').at(-1)}`;
  if (message.to === 'remediator') return `remediate ${message.rule.id} ${message.id.slice(0, 4)}`;
  return message.to === 'notifier' ? `notify ${message.alert.findingId.slice(0, 4)} ${message.alert.status}` : `digest ${message.bucket}`;
}

/** How things go on. */
export interface Pace {
  /** Awaited before whatever reaches the outer world: who goes on is decided here. */
  readonly step: (what: string) => Promise<void>;
  /** Whether a message is delivered twice. */
  readonly twice: () => boolean;
}

/** So many at a time; the clock moves on only when nobody is at work. */
class Workers {
  #free: number;
  readonly #all: number;
  readonly #waiting: { readonly size: number; readonly enter: () => void }[] = [];

  constructor(all: number) {
    this.#free = all;
    this.#all = all;
  }

  async work<T>(task: () => T | Promise<T>, alone = false): Promise<T> {
    const size = alone ? this.#all : 1;
    await new Promise<void>((enter) => {
      this.#waiting.push({ size, enter });
      this.#next();
    });
    try {
      return await task();
    } finally {
      this.#free += size;
      this.#next();
    }
  }

  #next(): void {
    for (let [first] = this.#waiting; first !== undefined && first.size <= this.#free; [first] = this.#waiting) {
      this.#waiting.shift();
      this.#free -= first.size;
      first.enter();
    }
  }
}

/** Who is at work, for the words of a failure. */
const atWork = new AsyncLocalStorage<string>();
export const whoIsAtWork = () => atWork.getStore() ?? 'people';

/** The whole guard on a world: events, queues, workers, the clock, and people who break things and put them right. */
export class WholeGuard {
  readonly world: World;
  readonly ledger: Ledger;
  readonly config: Config;
  /** What the topic's subscribers got, in order. */
  readonly received: Alert[] = [];
  readonly #pace: Pace;
  readonly #ports: FixPorts;
  readonly #workers: Workers;
  readonly #underWay = new Set<Promise<void>>();
  readonly #on: readonly AnyRule[];
  #events = 0;

  constructor(parameters: Readonly<Record<string, string>>, ledger: MakeLedger, pace: Pace, workers: number) {
    this.#pace = pace;
    this.#workers = new Workers(workers);
    this.world = createWorld(place);
    this.world.wire = async (call, make) => {
      await pace.step(call.operation);
      return make();
    };
    this.ledger = ledger(pace, () => this.world.now);
    const deployment = { GUARD_ACCOUNT: place.account, AWS_REGION: place.region, StackName: 'guard', DigestOver: '1000' };
    this.config = readConfig({ ...deployment, ...parameters }, rules);
    this.#on = rules.filter(({ id }) => this.config.rule(id).mode !== 'off');
    this.#ports = {
      ledger: this.ledger,
      config: this.config,
      connect: (calls) => this.#watched(connect(calls, place)) as never,
      publish: async (alerts) => {
        await pace.step('publish');
        for (const alert of alerts) this.#route(alert);
      },
      now: () => this.world.now,
      metrics: async () => fine,
    };
  }

  /** Everything keeps the rules, and the first sweep has seen it. */
  async begin(): Promise<void> {
    const { iam, lambda, now } = this.world;
    iam.createRole({ RoleName: 'shared' });
    await this.ledger.recordSweep('s1', now);
    for (const name of names) {
      iam.createRole({ RoleName: name });
      const Resource = `arn:aws:secretsmanager:${place.region}:${place.account}:secret:compliance-guard/${name}/*`;
      const Statement = [{ Effect: 'Allow', Action: 'secretsmanager:GetSecretValue', Resource }];
      iam.putRolePolicy({ RoleName: name, PolicyName: 'read', PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement }) });
      lambda.createFunction({ FunctionName: name, Role: roleArn(name), Tags: reader });
      await check({ sweep: 's1', subject: subjectOf(name) }, rules, this.#ports);
    }
  }

  /** Somebody does something; what follows from it is under way. */
  async does(act: Act): Promise<void> {
    switch (act.do) {
      case 'wait':
        return await this.passes(act.minutes);
      case 'tick':
        return this.#go('tick', () => this.#workers.work(() => this.#tick()));
      case 'pause':
        return void (await this.#operate({ action: 'pause', reason: 'incident' }));
      case 'resume':
        return void (await this.#operate({ action: 'resume' }));
      case 'fix':
        return await this.#fixFailed();
      case 'exempt': {
        const resource = subjectOf(act.name).arn;
        const expires = this.world.now + act.minutes * 60_000;
        return void (await this.#operate({ action: 'exempt', rule: act.rule, resource, reason: 'migration', owner: 'shop', expires }));
      }
      default: {
        const operation = happens(this.world, act);
        if (operation !== undefined) this.#happened(operation, act.name, admin);
      }
    }
  }

  async passes(minutes: number): Promise<void> {
    await this.#workers.work(() => this.world.advance(minutes * 60), true);
  }

  /** Until nothing is under way. */
  async quiet(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  /** Until nothing is under way, and nothing will ever be due any more. */
  async runsOut(): Promise<void> {
    await this.quiet();
    await this.does({ do: 'resume' });
    for (let rounds = 0; rounds < 60; rounds += 1) {
      await this.quiet();
      if ((await this.ledger.due(Number.MAX_SAFE_INTEGER)).length === 0) return;
      await this.passes(5);
      await this.#tick();
    }
    throw new Error(`the clock never runs out: ${JSON.stringify(await this.ledger.due(Number.MAX_SAFE_INTEGER))}`);
  }

  /** A sweep looks at everything, and it runs out once more. */
  async sweeps(): Promise<void> {
    const { lambda } = this.world;
    const { Functions } = lambda.listFunctions() as { Functions: { FunctionArn: string }[] };
    const pages = (async function* () {
      yield Functions;
    })();
    const practices = [...new Set(rules.map(({ practice }) => practice))];
    const send = async (practice: string, messages: readonly SweepMessage[]) => {
      for (const message of messages) this.#send({ to: 'sweep', practice, message });
    };
    await sweep('s2', pages, practices, rules, send, this.#ports);
    await this.runsOut();
  }

  async findings(): Promise<readonly Finding[]> {
    const all: Finding[] = [];
    for await (const finding of this.ledger.findings({})) all.push(finding);
    return all;
  }

  /** The ids of findings that there should be, as AWS answers now. */
  async broken(): Promise<ReadonlySet<string>> {
    const ids: string[] = [];
    for (const rule of this.#on) {
      for (const name of names) {
        const { violations } = await evaluate(rule, subjectOf(name), undefined, this.#ports);
        ids.push(...violations.map(({ subject }) => findingId(rule.id, subject.arn)));
      }
    }
    return new Set(ids);
  }

  async #operate(request: object): Promise<void> {
    await operate(request, operator, this.#ports);
  }

  /** An operator orders fixes of everything that was given up. */
  async #fixFailed(): Promise<void> {
    const failed = (await this.findings()).filter(({ status, rule }) => status === 'failed' && this.#remediates(rule)).map(({ id }) => id);
    if (failed.length > 0) await this.#operate({ action: 'fix', findings: failed });
  }

  #remediates(rule: string): boolean {
    return rules.some(({ id }) => id === rule) && this.config.rule(rule).mode === 'remediate';
  }

  async #tick(): Promise<void> {
    const { tasks } = await tick(this.#ports);
    for (const task of tasks) {
      if (task.task === 'fix') this.#toRemediator(task.rule, task.findingId);
      if (task.task === 'digest') this.#send({ to: 'digest', bucket: task.bucket });
    }
  }

  /** What the rules of the guard's bus do. */
  #route(alert: Alert): void {
    this.#send({ to: 'notifier', alert });
    if (alert.kind === 'finding' && alert.status === 'open') this.#toRemediator(alert.rule, alert.findingId);
  }

  #toRemediator(id: string, finding: string): void {
    const rule = rules.find((one) => one.id === id);
    if (rule !== undefined && this.#remediates(id)) this.#send({ to: 'remediator', rule, id: finding });
  }

  #send(message: Message): void {
    for (const _ of this.#pace.twice() ? [1, 2] : [1]) this.#go(titleOf(message), () => this.#deliver(message));
  }

  #go(title: string, work: () => Promise<void>): void {
    const going = atWork.run(title, () => this.#pace.step('begins').then(work)).finally(() => this.#underWay.delete(going));
    this.#underWay.add(going);
  }

  /** A message that fails for now comes back after a while, and goes to the dead letters after the eighth time. */
  async #deliver(message: Message): Promise<void> {
    for (let times = 1; ; times += 1) {
      const error = await this.#workers.work(() => this.#handle(message).catch((thrown: unknown) => thrown));
      if (error === undefined) return;
      if (errorKind(error) !== 'passing' || times >= 8) throw error;
      await this.passes(1);
    }
  }

  async #handle(message: Message): Promise<void> {
    const send = async (alert: Alert) => void this.received.push(alert);
    if (message.to === 'notifier') await notify(message.alert, send, this.#ports);
    if (message.to === 'digest') await flush(message.bucket, send, this.#ports);
    if (message.to === 'remediator') await remediate(message.id, message.rule, this.#ports);
    if (message.to === 'checker' || message.to === 'sweep') {
      const occasion = message.to === 'sweep' ? message.message : { event: message.event };
      const own = rules.filter(({ practice }) => practice === message.practice);
      await check(occasion, own, this.#ports);
    }
  }

  /** CloudTrail tells every checker whose rules listen. */
  #happened(operation: string, functionName: string, by: string): void {
    this.#events += 1;
    // Whoever looks from now on looks later than whoever did before.
    this.world.tick();
    const actor = { arn: by, issuer: by, issuerId: 'AROA1', console: false, sourceIp: '192.0.2.1', invokedBy: '' };
    const time = new Date(this.world.now).toISOString();
    const id = `e${this.#events}`;
    const event: ApiEvent = { ...place, id, service: 'lambda', operation, time, actor, request: { functionName }, response: {} };
    for (const rule of this.#on) if (triggered(rule, event).length > 0) this.#send({ to: 'checker', practice: rule.practice, event });
  }

  /** What the guard changes is told by CloudTrail as well. */
  #watched(handle: object): object {
    const told: Readonly<Record<string, string>> = {
      switchRole: 'UpdateFunctionConfiguration',
      switchRoleBack: 'UpdateFunctionConfiguration',
      pointVariablesAtSecrets: 'UpdateFunctionConfiguration',
      restoreVariablesFromSecrets: 'UpdateFunctionConfiguration',
      updateFunctionUrlConfig: 'UpdateFunctionUrlConfig',
      removePermission: 'RemovePermission',
      addPermission: 'AddPermission',
    };
    type Input = { readonly FunctionName?: string; readonly functionName?: string };
    const methods = Object.entries(handle as Record<string, (input: Input) => Promise<unknown>>).map(([name, call]) => [
      name,
      async (input: Input) => {
        const answer = await call(input);
        const [, rule = ''] = whoIsAtWork().split(' ');
        const operation = told[name];
        if (operation !== undefined)
          this.#happened(operation, input.FunctionName ?? input.functionName ?? '', roleArn(`guard-remediate-${rule}`));
        return answer;
      },
    ]);
    return Object.fromEntries(methods);
  }
}

/** Stack parameters by rule: its mode, and the minutes of its delay. */
export function parametersOf(modes: Readonly<Record<string, { readonly mode: string; readonly delay: string }>>): Record<string, string> {
  const own = Object.entries(modes).flatMap(([id, { mode, delay }]) => [
    [`${pascalCase(id)}Mode`, mode],
    [`${pascalCase(id)}Delay`, delay],
  ]);
  return {
    ...Object.fromEntries(own),
    RoleSharedSplitRoles: roleArn('shared'),
    BoundaryArn: `arn:aws:iam::${place.account}:policy/boundary`,
    // Fights have tests of their own.
    FixesPerFinding: '100',
    ChangesPerTenMinutes: '10000',
    ProbationMinutes: '10',
  };
}

/** What came of a reading of one subject, in the order in which readings reached the ledger. */
export interface Reading {
  readonly id: string;
  readonly says: 'wrong' | 'right';
  /** When it began. */
  readonly asOf: number;
  /** When it was written down. */
  readonly at: number;
  readonly written: Written;
}

/** Hears of every reading. */
type Told = (reading: Reading) => void;

/** A ledger around which something happens at every call. */
function around(ledger: Ledger, before: (method: string) => Promise<void>, now: () => number, told: Told): Ledger {
  return new Proxy(ledger, {
    get: (target, name) => {
      if (name === 'open')
        return async (candidate: Finding) => {
          await before(name);
          const answer = await target.open(candidate);
          told({ id: candidate.id, says: 'wrong', asOf: candidate.asOf, at: now(), written: answer.written });
          return answer;
        };
      if (name === 'resolve')
        return async (id: string, reading: { asOf: number; cause: string }) => {
          await before(name);
          const answer = await target.resolve(id, reading);
          told({ id, says: 'right', asOf: reading.asOf, at: now(), written: answer.written });
          return answer;
        };
      if (name === 'resolveAll')
        return async (ids: readonly string[], reading: { asOf: number; cause: string }) => {
          await before(name);
          const answers = await target.resolveAll(ids, reading);
          for (const [index, id] of ids.entries())
            told({ id, says: 'right', asOf: reading.asOf, at: now(), written: answers[index]?.written ?? 'unchanged' });
          return answers;
        };
      const member = Reflect.get(target, name) as unknown;
      if (typeof member !== 'function') return member;
      if (member.constructor.name === 'AsyncGeneratorFunction') return member.bind(target);
      return async (...given: unknown[]) => {
        await before(String(name));
        return await (member as (...all: unknown[]) => Promise<unknown>).apply(target, given);
      };
    },
  });
}

export type MakeLedger = (pace: Pace, now: () => number) => Ledger;

/** Every call of the ledger is a step. */
export function inMemory(told: Told = () => undefined): MakeLedger {
  return ({ step }, now) => around(new MemoryLedger(), step, now, told);
}

/** The ledger's own code for DynamoDB: every call of the table is a step. */
export function inTable(told: Told): MakeLedger {
  return ({ step }, now) => {
    const table = new MemoryTable();
    const { send } = mockClient(DynamoDBDocumentClient);
    send.callsFake(async (command) => {
      const operation = command.constructor.name.replace(/Command$/, '');
      await step(operation);
      return table.answer(operation, command.input as never) as never;
    });
    return around(new DynamoLedger(new Table('ledger', place)), async () => undefined, now, told);
  };
}
