import type { Alert } from '../../guard/alert.ts';
import type { Change } from '../../guard/change.ts';
import { check } from '../../guard/check.ts';
import type { Actor, ApiEvent } from '../../guard/cloudtrail.ts';
import { findingId } from '../../guard/finding.ts';
import { ownRole, unexplainedCall } from '../../guard/own-calls.ts';
import { remediate } from '../../guard/remediate.ts';
import { functionSubject, secretSubject, securityGroupSubject } from '../../guard/subject.ts';
import { admin, type Bench, bench, event, found, minute, orders, place, timeoutLong } from './bench.ts';

const hour = 60 * minute;
const role = (name: string) => `arn:aws:iam::111122223333:role/${name}`;
const subject = functionSubject('orders', place);
if (subject === undefined) throw new Error('orders is a function');

/** A call by a role of the guard, at a time of the world. */
function call(
  { world }: Bench,
  {
    name = 'guard-remediate-timeout-long',
    id = 'own-1',
    at = world.now,
    ...more
  }: { name?: string; id?: string; at?: number } & Partial<ApiEvent> = {},
): ApiEvent {
  const actor: Actor = {
    ...event().actor,
    arn: `arn:aws:sts::111122223333:assumed-role/${name}/session`,
    issuer: role(name),
    issuerId: 'AROAGUARD',
  };
  return { ...event(id), actor, time: new Date(Math.floor(at / 1000) * 1000).toISOString(), ...more };
}

async function told(on: Bench, made: ApiEvent, subjects = [subject].filter((one) => one !== undefined)): Promise<readonly Alert[]> {
  return await unexplainedCall(made, subjects, on.ports);
}

function change(on: Bench, more: Partial<Change> = {}): Change {
  return {
    id: 'c0ffee123456',
    finding: findingId('timeout-long', orders),
    rule: 'timeout-long',
    resource: orders,
    ...place,
    steps: [],
    calls: [],
    remains: [],
    done: 0,
    status: 'done',
    startedAt: new Date(on.world.now).toISOString(),
    ...more,
  };
}

describe('roles of the guard', () => {
  test.each([
    ['guard-check-roles', 'check-roles'],
    ['guard-remediate-function-url-open', 'remediate-function-url-open'],
    ['guard-tick', 'tick'],
    ['guard-operate', 'operate'],
  ])('%s', (name, part) => expect(ownRole(role(name), bench().config)).toBe(part));

  test.each([
    ['of another stack', role('guard-eu-remediate-function-url-open')],
    ['whose name begins like it', role('guardian-check-roles')],
    ['that is no function of it', role('guard-of-the-gate')],
    ['in another account', role('guard-tick').replace('111122223333', '444455556666')],
    ['under a path', role('x/guard-tick')],
    ['a user', 'arn:aws:iam::111122223333:user/guard-tick'],
    ['a session', 'arn:aws:sts::111122223333:assumed-role/guard-tick/x'],
    ['nobody', ''],
  ])('not one %s', (_, issuer) => expect(ownRole(issuer, bench().config)).toBeUndefined());
});

describe('a call that a change explains', () => {
  test('is an event like any other, at one call to the ledger', async () => {
    const on = bench();
    const id = await found(on);
    await remediate(id, timeoutLong, on.ports);
    on.ledger.calls.length = 0;
    expect(await told(on, call(on))).toEqual([]);
    expect(on.ledger.calls).toEqual(['latestChanges']);
  });

  test('during the whole life of a fix: under way, waiting, made, and an hour later', async () => {
    const on = bench();
    const id = await found(on);
    await remediate(id, timeoutLong, on.ports);
    expect(await told(on, call(on))).toEqual([]);
    on.advance(2 * minute);
    await remediate(id, timeoutLong, on.ports);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'remediated' });
    const made = on.world.now;
    for (const later of [0, 30 * minute, 59 * minute]) expect(await told(on, call(on, { at: made + later }))).toEqual([]);
    expect(await told(on, call(on, { at: made + 62 * minute }))).toHaveLength(1);
  });

  test.each([
    ['of an alias of the same function', `${orders}:live`],
    ['of the function, by an alias', orders],
  ])('%s', async (_, arn) => {
    const on = bench();
    await on.ledger.begin(change(on, { resource: arn === orders ? `${orders}:live` : orders }));
    expect(await told(on, call(on), [{ ...(subject as NonNullable<typeof subject>), arn }])).toEqual([]);
  });

  test('that names the resource in one of its steps, or in an undo', async () => {
    const group = securityGroupSubject('sg-1', place);
    const step = { call: 'x', input: { GroupId: 'sg-2' }, undo: [{ call: 'y', input: { Group: ['sg-1'] } }] };
    const on = bench();
    await on.ledger.begin(change(on, { steps: [step] }));
    expect(await told(on, call(on), [group])).toEqual([]);
    expect(await told(on, call(on), [securityGroupSubject('sg-2', place)])).toEqual([]);
    expect(await told(on, call(on), [securityGroupSubject('sg-3', place)])).toHaveLength(1);
  });

  test.each([
    ['by its name', { functionName: 'orders', qualifier: 'live' }],
    ['by its ARN', { resourceArn: `${orders}:live` }],
  ])('on a function %s, of which the practice judges nothing', async (_, request) => {
    const on = bench();
    await on.ledger.begin(change(on, { resource: `${orders}:live` }));
    expect(await told(on, call(on, { request }), [])).toEqual([]);
    expect(await told(on, call(on, { request: { functionName: 'others' } }), [])).toHaveLength(1);
    expect(await told(on, call(on, { request: {}, id: 'own-2' }), [])).toHaveLength(1);
  });

  test('that makes a secret by its name, to which AWS adds six characters', async () => {
    const step = { call: 'createSecret', input: { Name: 'compliance-guard/orders/DB_PASSWORD-c0ffee123456' }, undo: [] };
    const on = bench();
    await on.ledger.begin(change(on, { steps: [step] }));
    const made = (name: string) => [secretSubject(name, place)];
    expect(await told(on, call(on), made('compliance-guard/orders/DB_PASSWORD-c0ffee123456-AbC123'))).toEqual([]);
    expect(await told(on, call(on), made('compliance-guard/orders/DB_PASSWORD-c0ffee123456'))).toEqual([]);
    expect(await told(on, call(on), made('compliance-guard/orders/DB_PASSWORD-c0ffee654321-AbC123'))).toHaveLength(1);
  });

  test('that is on probation for days, or waits since long ago: its finding names it', async () => {
    const on = bench();
    const id = await found(on);
    await on.ledger.begin(change(on, { status: 'waiting' }));
    await on.ledger.setStatus(id, { status: 'open', cause: 'change', fixing: 'c0ffee123456' });
    on.advance(9 * 24 * hour);
    expect(await told(on, call(on))).toEqual([]);
    await on.ledger.progress('c0ffee123456', { status: 'done' });
    expect(await told(on, call(on))).toHaveLength(1);
  });

  test('that is not in the list of changes yet', async () => {
    const on = bench();
    const id = await found(on);
    await remediate(id, timeoutLong, on.ports);
    on.ledger.latestChanges = async function* () {};
    expect(await told(on, call(on))).toEqual([]);
  });

  test('that was taken back after a long pause', async () => {
    const on = bench();
    await on.ledger.begin(change(on, { status: 'reverted', watchUntil: on.world.now }));
    expect(await told(on, call(on, { at: on.world.now + 5 * hour }))).toEqual([]);
  });

  test('whatever the time of the event is called', async () => {
    const on = bench();
    await on.ledger.begin(change(on));
    expect(await told(on, call(on, { time: 'noon' }))).toEqual([]);
  });

  test('late, after another fix of the same finding', async () => {
    const on = bench();
    const id = await found(on);
    const first = on.world.now;
    await on.ledger.begin(change(on));
    on.advance(10 * minute);
    await on.ledger.begin(change(on, { id: 'second' }));
    await on.ledger.setStatus(id, { status: 'open', cause: 'change', fixing: 'second', change: 'second' });
    expect(await told(on, call(on, { at: first }))).toEqual([]);
  });
});

describe('a call that no change explains', () => {
  test('is told as critical, with the role, the call and who made it; and kept as a finding of the role', async () => {
    const on = bench();
    const made = call(on);
    expect(await told(on, made)).toMatchObject([
      {
        kind: 'failure',
        status: 'open',
        rule: 'guard-tampered',
        practice: 'guard',
        severity: 'critical',
        summary: `The guard's role guard-remediate-timeout-long called lambda:UpdateFunctionConfiguration on orders at ${made.time}, and no change of the guard explains it: somebody else uses the role.`,
        resource: { arn: role('guard-remediate-timeout-long'), type: 'AWS::IAM::Role' },
        actor: { arn: expect.stringContaining('session') },
        evidence: { resources: [orders], event: 'own-1' },
        docs: 'docs/rules/guard-tampered.md',
      },
    ]);
    expect(await on.ledger.finding(findingId('guard-tampered', role('guard-remediate-timeout-long')))).toMatchObject({
      status: 'open',
      severity: 'critical',
    });
  });

  test.each([
    ['none was made', {}, undefined],
    ['one of another rule', {}, { rule: 'role-shared' }],
    ['one of another resource', {}, { resource: `${orders}-2` }],
    ['one that began later', { at: new Date('2026-11-22T11:00:00Z').getTime() }, {}],
    ['by a checker', { name: 'guard-check-apis' }, {}],
    ['by the clock', { name: 'guard-tick' }, {}],
  ])('%s', async (_, how, made) => {
    const on = bench();
    if (made !== undefined) await on.ledger.begin(change(on, { startedAt: '2026-11-22T12:00:00.000Z', ...made }));
    expect(await told(on, call(on, { at: Date.parse('2026-11-22T12:00:00Z'), ...how }))).toHaveLength(1);
    // Only remediators make changes: for others nobody looks.
    expect(on.ledger.calls.includes('latestChanges')).toBe(!('name' in how));
  });

  test('is told once for each event, whichever checkers hear of it and in which order, and again for the next', async () => {
    const on = bench();
    const key = ({ findingId: id, opened, status, summary }: Alert) => [id, opened, status, summary].join(' ');
    const alias = [{ ...(subject as NonNullable<typeof subject>), arn: `${orders}:live` }];
    const second = () => call(on, { id: 'own-2', at: on.world.now + 5_000 });
    const alerts = [
      ...(await told(on, call(on))),
      ...(await told(on, second())),
      ...(await told(on, call(on), alias)),
      ...(await told(on, second(), alias)),
    ];
    expect(alerts).toHaveLength(4);
    expect(new Set(alerts.map(key)).size).toBe(2);
  });

  test('is not told where an operator exempted the role', async () => {
    const on = bench();
    await on.ledger.addExemption({
      id: 'x1',
      rule: 'guard-tampered',
      resource: role('*'),
      reason: 'a drill',
      owner: 'ops',
      expires: on.world.now + hour,
      by: admin,
    });
    expect(await told(on, call(on))).toEqual([]);
  });

  test('is judged as well: what it broke is found', async () => {
    const on = bench();
    const alerts = await check({ event: call(on) }, [timeoutLong], on.ports);
    expect(alerts.map(({ rule, status }) => `${rule} ${status}`)).toEqual(['guard-tampered open', 'timeout-long open']);
    expect(on.published).toEqual(alerts);
  });

  test('is told whatever the rules say, and even where they are off', async () => {
    const on = bench(timeoutLong, { TimeoutLongMode: 'off' });
    const alerts = await check({ event: call(on) }, [timeoutLong], on.ports);
    expect(alerts).toMatchObject([{ rule: 'guard-tampered', evidence: { resources: [orders] } }]);
  });
});

test('calls of anybody else cost the ledger nothing', async () => {
  const on = bench();
  expect(await told(on, event())).toEqual([]);
  expect(on.ledger.calls).toEqual([]);
});
