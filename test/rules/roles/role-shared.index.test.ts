import fc from 'fast-check';
import { connect } from '../../../aws/handle.ts';
import { switchRole, switchRoleBack } from '../../../aws/lambda.ts';
import { triggered } from '../../../guard/check.ts';
import { readEvent } from '../../../guard/cloudtrail.ts';
import type { Finding } from '../../../guard/finding.ts';
import { readRole } from '../../../guard/role-source.ts';
import type { Evaluation } from '../../../guard/rule.ts';
import { functionSubject, type Subject } from '../../../guard/subject.ts';
import { MemoryLedger } from '../../../ledger/memory.ts';
import { rule } from '../../../rules/roles/role-shared.ts';
import { sample } from '../../support/events.ts';
import { changeId, place } from '../../support/rule-test.ts';
import { createWorld, type World } from '../../support/world/index.ts';
import { awsError } from '../../support/world/service.ts';

const settings = {
  ...{ stack: 'guard', deployers: [], operators: [], archiveBucket: '', keyArn: '', alertTopicArn: '', denialArn: '' },
  boundaryArn: `arn:aws:iam::${place.account}:policy/boundary`,
};
const roleArn = (name: string) => `arn:aws:iam::${place.account}:role/${name}`;
const subjectOf = (name: string) => functionSubject(name, place) as Subject;
const read = readEvent(sample('CreateFunction20150331/role-shared.json'), place);
const event = 'event' in read ? read.event : undefined;

async function evaluate(name: string, world: World, ledger: MemoryLedger): Promise<Evaluation> {
  const aws = connect(rule.check, place);
  return await rule.evaluate(subjectOf(name), { aws, estate: ledger, params: rule.params.parse({}), settings, event, now: world.now });
}

async function plan(name: string, world: World, ledger: MemoryLedger, params: Record<string, string> = {}) {
  const aws = connect(rule.check, place);
  const finding = { subject: subjectOf(name) } as Finding;
  return await rule.plan(finding, {
    aws,
    estate: ledger,
    params: rule.params.parse(params),
    settings,
    now: world.now,
    changeId,
    toShow: false,
  });
}

describe('the cost of an event', () => {
  it.each([
    { functions: 10, sharing: false, reads: 2 },
    { functions: 100, sharing: false, reads: 2 },
    { functions: 1000, sharing: false, reads: 2 },
    { functions: 10, sharing: true, reads: 3 },
    { functions: 100, sharing: true, reads: 3 },
    { functions: 1000, sharing: true, reads: 3 },
  ])('$functions functions, sharing: $sharing: $reads reads of AWS, 2 calls of the ledger', async ({ functions, sharing, reads }) => {
    const world = createWorld(place);
    const ledger = new MemoryLedger();
    for (let index = 0; index < functions; index += 1) {
      const name = `function-${index}`;
      const role = roleArn(sharing ? 'shared-app' : name);
      world.lambda.createFunction({ FunctionName: name, Role: role });
      await ledger.recordRoles({ function: subjectOf(name).arn, asOf: world.now, role, liveRoles: [] });
    }
    world.lambda.createFunction({ FunctionName: 'orders', Role: roleArn(sharing ? 'shared-app' : 'orders') });
    ledger.calls.length = 0;
    const { violations } = await evaluate('orders', world, ledger);
    expect(violations).toHaveLength(sharing ? 1 : 0);
    expect(world.calls).toHaveLength(reads);
    expect(ledger.calls).toHaveLength(2);
  });

  it('is one ledger call more where the function left a role, and one read more for each version that an alias routes to', async () => {
    const world = createWorld(place);
    const ledger = new MemoryLedger();
    await ledger.recordRoles({ function: subjectOf('orders').arn, asOf: 0, role: roleArn('left'), liveRoles: [] });
    world.lambda.createFunction({ FunctionName: 'orders', Role: roleArn('orders'), Publish: true });
    world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
    ledger.calls.length = 0;
    await evaluate('orders', world, ledger);
    expect(world.calls.map(({ operation }) => operation)).toEqual(['GetFunctionConfiguration', 'ListAliases', 'GetFunctionConfiguration']);
    expect(ledger.calls).toEqual(['recordRoles', 'longestUsers', 'longestUsers']);
  });
});

const names = ['alpha', 'beta', 'gamma', 'delta'] as const;
const roles = ['red', 'green', 'blue'].map(roleArn);
const name = fc.constantFrom(...names);
const role = fc.constantFrom(...roles);

describe('the index', () => {
  it('is equal to the truth after any order of observations, each any number of times', async () => {
    const observation = fc.record({ name, role: fc.option(role, { nil: undefined }), live: fc.uniqueArray(role, { maxLength: 2 }) });
    const deliveries = fc
      .array(observation, { minLength: 1, maxLength: 12 })
      .chain((history) =>
        fc.tuple(fc.constant(history), fc.array(fc.nat(history.length - 1), { maxLength: 12 }), fc.infiniteStream(fc.nat())),
      );
    await fc.assert(
      fc.asyncProperty(deliveries, async ([history, again, order]) => {
        const ledger = new MemoryLedger();
        const timed = history.map((seen, index) => ({ ...seen, asOf: index + 1 }));
        const shuffled = [...timed, ...again.map((index) => timed[index] as (typeof timed)[number])]
          .map((seen) => ({ seen, rank: order.next().value as number }))
          .toSorted((a, b) => a.rank - b.rank);
        for (const { seen } of shuffled) {
          const record = { function: subjectOf(seen.name).arn, asOf: seen.asOf };
          if (seen.role === undefined) await ledger.forgetRoles(record.function, seen.asOf);
          else await ledger.recordRoles({ ...record, role: seen.role, liveRoles: seen.live });
        }
        for (const each of roles) {
          const users = names.filter((candidate) => {
            const last = timed.findLast((seen) => seen.name === candidate);
            return last?.role !== undefined && (last.role === each || last.live.includes(each));
          });
          const found = (await ledger.longestUsers(each)).map(({ function: arn }) => arn);
          expect(found).toHaveLength(Math.min(2, users.length));
          expect(users.map((user) => subjectOf(user).arn)).toEqual(expect.arrayContaining(found));
        }
      }),
    );
  });
});

type Step =
  | { readonly do: 'create' | 'change'; readonly name: string; readonly role: string }
  | { readonly do: 'delete' | 'route' | 'unroute'; readonly name: string }
  | { readonly do: 'deliver'; readonly which: number; readonly keep: boolean };

/** Makes changes and delivers their events late, twice and in any order; in the end every event has been delivered. */
async function live(steps: readonly Step[]): Promise<{ world: World; ledger: MemoryLedger; open: Set<string> }> {
  const world = createWorld(place);
  const ledger = new MemoryLedger();
  const open = new Set<string>();
  const events: string[] = [];
  const deliver = async (which: number, keep: boolean) => {
    const index = which % events.length;
    const { violations, compliant } = await evaluate(events[index] as string, world, ledger);
    for (const { subject } of violations) open.add(subject.arn);
    for (const { arn } of compliant) open.delete(arn);
    if (!keep) events.splice(index, 1);
  };
  for (const step of steps) {
    if (step.do === 'deliver') {
      if (events.length > 0) await deliver(step.which, step.keep);
      continue;
    }
    const there = world.lambda.listFunctions() as { Functions: { FunctionName: string }[] };
    const exists = there.Functions.some(({ FunctionName }) => FunctionName === step.name);
    if (exists === (step.do === 'create')) continue;
    const FunctionName = step.name;
    if (step.do === 'create') world.lambda.createFunction({ FunctionName, Role: step.role });
    if (step.do === 'change') world.lambda.updateFunctionConfiguration({ FunctionName, Role: step.role });
    if (step.do === 'delete') world.lambda.deleteFunction({ FunctionName });
    if (step.do === 'unroute') world.lambda.deleteAlias({ FunctionName, Name: 'live' });
    if (step.do === 'route') {
      const { Version } = world.lambda.publishVersion({ FunctionName });
      world.lambda.deleteAlias({ FunctionName, Name: 'live' });
      world.lambda.createAlias({ FunctionName, Name: 'live', FunctionVersion: Version });
    }
    events.push(step.name);
  }
  for (let which = steps.length; events.length > 0; which += 7) await deliver(which, false);
  return { world, ledger, open };
}

/** Functions that are not the longest user of a role that they run with. */
async function sharers(world: World, ledger: MemoryLedger): Promise<Set<string>> {
  const there = world.lambda.listFunctions({ FunctionVersion: 'ALL' }) as {
    Functions: { FunctionName: string; Role: string; Version: string }[];
  };
  const found = new Set<string>();
  for (const { FunctionName, Role, Version } of there.Functions) {
    const { Aliases } = world.lambda.listAliases({ FunctionName }) as { Aliases: { FunctionVersion: string }[] };
    if (Version !== '$LATEST' && !Aliases.some(({ FunctionVersion }) => FunctionVersion === Version)) continue;
    const [longest] = await ledger.longestUsers(Role);
    const { arn } = subjectOf(FunctionName);
    if (longest?.function !== arn) found.add(arn);
  }
  return found;
}

describe('findings', () => {
  const change: fc.Arbitrary<Step> = fc.record({ do: fc.constantFrom('create', 'change'), name, role });
  const removal: fc.Arbitrary<Step> = fc.record({ do: fc.constant('delete'), name });
  const routing: fc.Arbitrary<Step> = fc.record({ do: fc.constantFrom('route', 'unroute'), name });
  const delivery: fc.Arbitrary<Step> = fc.record({ do: fc.constant('deliver'), which: fc.nat(20), keep: fc.boolean() });

  it('are open for all users of a role but one, after any order of events', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(change, change, removal, delivery), { maxLength: 25 }), async (steps) => {
        const { world, ledger, open } = await live(steps);
        expect([...open].sort()).toEqual([...(await sharers(world, ledger))].sort());
      }),
    );
  });

  it('miss nobody where aliases route to versions with other roles', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(change, change, removal, routing, delivery), { maxLength: 25 }), async (steps) => {
        const { world, ledger, open } = await live(steps);
        expect([...open]).toEqual(expect.arrayContaining([...(await sharers(world, ledger))]));
      }),
    );
  });

  it('end for a second user that is gone though no event told', async () => {
    const world = createWorld(place);
    const ledger = new MemoryLedger();
    world.lambda.createFunction({ FunctionName: 'payments', Role: roleArn('shared-app') });
    for (const [asOf, user] of ['payments', 'orders'].entries()) {
      await ledger.recordRoles({ function: subjectOf(user).arn, asOf, role: roleArn('shared-app'), liveRoles: [] });
    }
    const { violations, compliant } = await evaluate('payments', world, ledger);
    expect(violations).toEqual([]);
    expect(compliant.map(({ arn }) => arn)).toEqual([subjectOf('payments').arn, subjectOf('orders').arn]);
    expect(await ledger.longestUsers(roleArn('shared-app'))).toMatchObject([{ function: subjectOf('payments').arn }]);
  });
});

describe('splitting', () => {
  async function sharedRole(): Promise<{ world: World; ledger: MemoryLedger }> {
    const world = createWorld(place);
    const ledger = new MemoryLedger();
    world.iam.createRole({ RoleName: 'shared-app' });
    for (const FunctionName of ['payments', 'orders']) world.lambda.createFunction({ FunctionName, Role: roleArn('shared-app') });
    for (const each of ['payments', 'orders']) await evaluate(each, world, ledger);
    return { world, ledger };
  }

  it('waits until a new function is active', async () => {
    const { world, ledger } = await sharedRole();
    world.lambda.settleSeconds = 60;
    world.lambda.createFunction({ FunctionName: 'young', Role: roleArn('shared-app') });
    await evaluate('young', world, ledger);
    await expect(plan('young', world, ledger)).rejects.toMatchObject({ name: 'RetryLater' });
  });

  it('waits until an update of the function is over', async () => {
    const { world, ledger } = await sharedRole();
    world.lambda.settleSeconds = 60;
    world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', MemorySize: 256 });
    await expect(plan('orders', world, ledger)).rejects.toMatchObject({ name: 'RetryLater' });
    world.advance(60);
    expect(await plan('orders', world, ledger)).toMatchObject({ remains: [] });
  });

  it('is tried again where a policy is read under throttling', async () => {
    const { world, ledger } = await sharedRole();
    const Statement = [{ Effect: 'Allow', Action: 'sns:Publish', Resource: `arn:aws:sns:us-east-1:${place.account}:orders` }];
    world.iam.putRolePolicy({ RoleName: 'shared-app', PolicyName: 'work', PolicyDocument: JSON.stringify({ Statement }) });
    world.fail('GetTopicAttributes', 'ThrottlingException');
    await expect(plan('orders', world, ledger, { splitRoles: roleArn('shared-app') })).rejects.toMatchObject({
      name: 'ThrottlingException',
    });
  });

  it('is not planned for a function that is gone', async () => {
    const { world, ledger } = await sharedRole();
    world.lambda.deleteFunction({ FunctionName: 'orders' });
    expect(await plan('orders', world, ledger)).toEqual({ steps: [], refused: `${subjectOf('orders').arn} is gone.` });
  });

  it('is not planned for a function that shares no role', async () => {
    const { world, ledger } = await sharedRole();
    const refused = `${subjectOf('payments').arn} shares no role any more.`;
    expect(await plan('payments', world, ledger)).toEqual({ steps: [], refused, remains: [] });
  });

  it('names the role within 64 characters, whatever the name of the function', async () => {
    const { world, ledger } = await sharedRole();
    const long = 'a-function-whose-name-is-as-long-as-lambda-allows-it-to-be-64-ch';
    world.lambda.createFunction({ FunctionName: long, Role: roleArn('shared-app') });
    await evaluate(long, world, ledger);
    const { steps } = await plan(long, world, ledger, { splitRoles: roleArn('*') });
    expect(steps[0]).toMatchObject({ input: { RoleName: 'a-function-whose-name-is-as-long-as-lambda-allows-i-c0ffee123456' } });
  });

  it('reads every page of the policies', async () => {
    const { world } = await sharedRole();
    const inline = Array.from({ length: 120 }, (_, index) => `policy-${String(index).padStart(3, '0')}`);
    for (const PolicyName of inline) world.iam.putRolePolicy({ RoleName: 'shared-app', PolicyName, PolicyDocument: '{"Statement":[]}' });
    const source = await readRole(connect(rule.check, place), roleArn('shared-app'));
    expect(source?.inline.map(({ name: policy }) => policy)).toEqual(inline);
  });
});

describe('the switch to another role', () => {
  const arn = subjectOf('orders').arn;
  const made = roleArn('compliance-guard/orders-c0ffee123456');
  const roleNow = (world: World) => world.lambda.getFunctionConfiguration({ FunctionName: 'orders' }).Role;
  const worldWith = (Role: string) => {
    const world = createWorld(place);
    return { world, RevisionId: world.lambda.createFunction({ FunctionName: 'orders', Role }).RevisionId ?? '' };
  };

  it('can be made again with the revision that it used up', async () => {
    const { world, RevisionId } = worldWith(roleArn('shared-app'));
    await switchRole.run(place, { FunctionName: arn, Role: made, RevisionId });
    await switchRole.run(place, { FunctionName: arn, Role: made, RevisionId });
    expect(roleNow(world)).toBe(made);
  });

  it('is refused where the function was changed since it was read', async () => {
    const { world, RevisionId } = worldWith(roleArn('shared-app'));
    world.lambda.updateFunctionConfiguration({ FunctionName: 'orders', MemorySize: 256 });
    const attempt = switchRole.run(place, { FunctionName: arn, Role: made, RevisionId });
    await expect(attempt).rejects.toMatchObject({ name: 'PreconditionFailedException' });
    expect(roleNow(world)).toBe(roleArn('shared-app'));
  });

  it.each([
    'The role defined for the function cannot be assumed by Lambda.',
    'The provided execution role does not have permissions to call CreateNetworkInterface on EC2',
  ])('is tried again while the role is too young: %s', async (message) => {
    const { world, RevisionId } = worldWith(roleArn('shared-app'));
    world.lambda.updateFunctionConfiguration = () => {
      throw awsError('InvalidParameterValueException', message);
    };
    await expect(switchRole.run(place, { FunctionName: arn, Role: made, RevisionId })).rejects.toMatchObject({ name: 'RetryLater' });
  });

  it('back leaves a role alone that somebody chose since', async () => {
    const { world } = worldWith(roleArn('third'));
    await switchRoleBack.run(place, { FunctionName: arn, Role: roleArn('shared-app'), from: made });
    expect(roleNow(world)).toBe(roleArn('third'));
  });

  it('back is refused while an alias routes to a version with the role', async () => {
    const { world } = worldWith(made);
    world.lambda.publishVersion({ FunctionName: 'orders' });
    world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
    const attempt = switchRoleBack.run(place, { FunctionName: arn, Role: roleArn('shared-app'), from: made });
    await expect(attempt).rejects.toMatchObject({ name: 'RoleInUse' });
    expect(roleNow(world)).toBe(made);
  });

  it('back has nothing to do where the function is gone', async () => {
    createWorld(place);
    await switchRoleBack.run(place, { FunctionName: arn, Role: roleArn('shared-app'), from: made });
  });
});

describe('parameters', () => {
  it.each([
    'role/app',
    roleArn('a b'),
    `${roleArn('a')}, ${roleArn('b')}`,
    'arn:aws:iam::*:role/app',
    'arn:aws:lambda:us-east-1:111122223333:function:f',
  ])('refuse %s as roles that may be split', (splitRoles) => {
    expect(rule.params.safeParse({ splitRoles }).success).toBe(false);
  });

  it.each(['-1', '901', '1000', '2m', ''])('refuse "%s" as the time to settle', (settle) => {
    expect(rule.params.safeParse({ settle }).success).toBe(false);
  });

  it('have defaults, and are read as lists and numbers', () => {
    expect(rule.params.parse({})).toEqual({ splitRoles: [], settle: 120 });
    const splitRoles = [roleArn('a'), roleArn('team/b-*')];
    expect(rule.params.parse({ splitRoles: splitRoles.join(','), settle: '900' })).toEqual({ splitRoles, settle: 900 });
  });

  it('see to it that the first and the second name of a function are one subject', () => {
    const subjects = ['orders', 'orders:live', '111122223333:function:orders', subjectOf('orders').arn].map((functionName) =>
      event === undefined ? [] : triggered(rule, { ...event, request: { functionName } }),
    );
    expect(new Set(subjects.map((each) => JSON.stringify(each)))).toEqual(new Set([JSON.stringify([subjectOf('orders')])]));
  });
});
