import { connect } from '../../aws/handle.ts';
import { functionPages } from '../../aws/lambda.ts';
import type { Change } from '../../guard/change.ts';
import { eventsIn, type RecordedEvent } from '../../guard/records.ts';
import { type Home, type Replayed, replay } from '../../guard/replay.ts';
import type { AnyRule } from '../../guard/rule.ts';
import { MemoryLedger } from '../../ledger/memory.ts';
import { rule as functionUrlOpen } from '../../rules/apis/function-url-open.ts';
import { rule as guardTampered } from '../../rules/guard/guard-tampered.ts';
import { rule as roleShared } from '../../rules/roles/role-shared.ts';
import { rule as roleTrustOpen } from '../../rules/roles/role-trust-open.ts';
import { rule as securityGroupOpenIngress } from '../../rules/vpc/security-group-open-ingress.ts';
import { expectValid } from '../support/alert-schema.ts';
import { sample } from '../support/events.ts';
import { createWorld, type World } from '../support/world/index.ts';
import { type Bench, bench, configFor, orders, place, timeoutLong } from './bench.ts';

/** An event of a minute of an hour. */
function at(minute: number, path: string, overrides: object = {}): RecordedEvent {
  const time = `2026-10-01T12:${String(minute).padStart(2, '0')}:00Z`;
  const { detail = {}, ...outer } = overrides as { detail?: object };
  const body = sample(path, { ...outer, id: `e${minute}`, time, detail: { ...detail, eventID: `e${minute}`, eventTime: time } });
  return eventsIn(body)[0] as RecordedEvent;
}

const updated = (minute: number, functionName = 'orders') =>
  at(minute, 'UpdateFunctionConfiguration20150331v2/role-changed.json', { detail: { requestParameters: { functionName } } });

function home(on: Bench, more: Partial<Home> = {}): Home {
  return { config: on.config, ledger: new MemoryLedger(), connect: (calls) => connect(calls, place), ...more };
}

async function replayed(
  events: readonly RecordedEvent[],
  homes: readonly Home[],
  rules: readonly AnyRule[] = [timeoutLong],
): Promise<Replayed> {
  const outcome = await replay(events, homes, rules, { concurrency: 2, since: Date.parse('2026-10-01T12:00:00Z') });
  for (const finding of outcome.findings) expectValid(finding);
  return outcome;
}

const offline = { unasked: 'nobody was asked' };

test('what would have been found, by the event that would have told of it; nothing is changed, and nothing asked twice', async () => {
  const on = bench(timeoutLong, { TimeoutLongMode: 'alert' });
  const before = on.world.calls.length;
  const outcome = await replayed([updated(1), ...Array.from({ length: 50 }, (_, index) => updated(index + 2))], [home(on)]);
  expect(outcome.findings).toMatchObject([
    { rule: 'timeout-long', status: 'open', resource: { arn: orders }, event: { id: 'e1', time: '2026-10-01T12:01:00Z' } },
  ]);
  expect(outcome.tallies).toEqual([
    {
      rule: 'timeout-long',
      mode: 'alert',
      findings: 1,
      fixes: 0,
      refused: 0,
      unknown: 0,
      first: '2026-10-01T12:01:00Z',
      last: '2026-10-01T12:01:00Z',
    },
  ]);
  expect(outcome).toMatchObject({ fixes: [], unknown: [], resources: 1 });
  const calls = on.world.calls.slice(before).map(({ operation }) => operation);
  expect(calls.filter((operation) => !/^(Get|List)/.test(operation))).toEqual([]);
  expect(calls.length).toBeLessThanOrEqual(3);
});

describe('a rule in remediate', () => {
  test('would have begun its fix when its delay was over, and nothing is made', async () => {
    const on = bench(timeoutLong, { TimeoutLongDelay: '15' });
    const { fixes, tallies } = await replayed([updated(1)], [home(on)]);
    expect(fixes).toEqual([
      {
        rule: 'timeout-long',
        resource: orders,
        findingId: expect.any(String),
        at: '2026-10-01T12:16:00.000Z',
        plan: [
          expect.stringMatching(/^lambda:TagResource/),
          expect.stringMatching(/^lambda:AddPermission/),
          'wait 60 s: somebody may object',
          expect.stringMatching(/^lambda:UpdateFunctionConfiguration/),
        ],
      },
    ]);
    expect(tallies).toMatchObject([{ mode: 'remediate', findings: 1, fixes: 1, refused: 0 }]);
    expect(on.world.lambda.getFunctionConfiguration({ FunctionName: 'orders' })).toMatchObject({ Timeout: 300 });
  });

  test.each([
    ['NeverTouch names it', { NeverTouch: orders }, `NeverTouch names it (${orders}).`],
    ['it lies outside of the scope', { RemediateScope: 'tag:team=other' }, 'It lies outside the scope in which this rule may remediate.'],
  ])('would not have touched what it may not touch: %s', async (_, variables, refused) => {
    const { fixes, tallies } = await replayed([updated(1)], [home(bench(timeoutLong, variables))]);
    expect(fixes).toMatchObject([{ refused, plan: [] }]);
    expect(tallies).toMatchObject([{ fixes: 0, refused: 1 }]);
  });

  test('shows a plan that it would have refused, with the reason', async () => {
    const refusing: AnyRule = { ...timeoutLong, plan: async () => ({ steps: [], refused: 'Not today.' }) };
    const { fixes } = await replayed([updated(1)], [home(bench())], [refusing]);
    expect(fixes).toMatchObject([{ refused: 'Not today.' }]);
  });

  test('would have paused itself after so many changes', async () => {
    const on = bench(timeoutLong, { ChangesPerTenMinutes: '1' });
    on.world.lambda.createFunction({ FunctionName: 'stock', Timeout: 300 });
    const { fixes } = await replayed([updated(1), updated(2, 'stock')], [home(on)]);
    expect(fixes.map(({ refused }) => refused)).toEqual([undefined, expect.stringContaining('paused itself')]);
  });

  test('what AWS does not let read is no plan', async () => {
    const on = bench();
    on.world.fail('GetFunctionConcurrency', 'AccessDeniedException');
    const { fixes } = await replayed([updated(1)], [home(on)]);
    expect(fixes).toMatchObject([{ plan: [], unknown: 'AccessDeniedException' }]);
  });
});

test('what AWS does not let read is unknown, once for each rule and resource, and asked once', async () => {
  const on = bench();
  on.world.fail('GetFunctionConfiguration', 'AccessDeniedException');
  const { findings, unknown, tallies } = await replayed([updated(1), updated(2), updated(3)], [home(on)]);
  expect(findings).toEqual([]);
  expect(unknown).toEqual([{ rule: 'timeout-long', resource: orders, why: expect.stringContaining('AccessDeniedException') }]);
  expect(tallies).toMatchObject([{ findings: 0, unknown: 1 }]);
  expect(on.world.calls.filter(({ operation }) => operation === 'GetFunctionConfiguration')).toHaveLength(1);
});

describe('without the account', () => {
  const config = configFor([functionUrlOpen, securityGroupOpenIngress, guardTampered], {
    FunctionUrlOpenMode: 'remediate',
    SecurityGroupOpenIngressMode: 'alert',
    GuardTamperedMode: 'alert',
  });
  const nobody: Home['connect'] = () => {
    throw new Error('nobody is asked');
  };
  const nowhere = (): Home => ({ config, ledger: new MemoryLedger(), connect: nobody, ...offline });

  test('what only it knows is unknown, once for each rule and resource', async () => {
    const deleted = (minute: number) => at(minute, 'DeleteFunctionUrlConfig/plain.json');
    const { findings, unknown, fixes } = await replayed([deleted(1), deleted(2)], [nowhere()], [functionUrlOpen]);
    expect({ findings, fixes }).toEqual({ findings: [], fixes: [] });
    expect(unknown).toHaveLength(1);
    expect(unknown).toMatchObject([{ rule: 'function-url-open', why: 'nobody was asked' }]);
  });

  test('an index that nobody built says nothing either', async () => {
    const opened = at(1, 'AuthorizeSecurityGroupIngress/nested.json');
    const { findings, unknown } = await replayed([opened], [nowhere()], [securityGroupOpenIngress]);
    expect(findings).toEqual([]);
    expect(unknown).toMatchObject([{ rule: 'security-group-open-ingress' }]);
  });

  test('what the event proves by itself is found, and its fix is not known', async () => {
    const { findings, unknown, fixes, tallies } = await replayed(
      [at(1, 'CreateFunctionUrlConfig/none.json')],
      [nowhere()],
      [functionUrlOpen],
    );
    expect(findings).toMatchObject([{ rule: 'function-url-open', status: 'open', evidence: { authType: 'NONE' } }]);
    expect(unknown).toEqual([]);
    expect(fixes).toMatchObject([{ plan: [], unknown: 'nobody was asked' }]);
    expect(tallies).toMatchObject([{ findings: 1, fixes: 0, refused: 0 }]);
  });

  test('whether a change explains a call of the guard itself is not known', async () => {
    const arn = `arn:aws:iam::${place.account}:role/guard-remediate-function-url-open`;
    const byGuard = { detail: { userIdentity: { sessionContext: { sessionIssuer: { arn } } } } };
    const { findings, unknown } = await replayed(
      [at(1, 'DeleteFunctionUrlConfig/plain.json', byGuard)],
      [nowhere()],
      [functionUrlOpen, guardTampered],
    );
    expect(findings).toEqual([]);
    expect(unknown).toContainEqual({ rule: 'guard-tampered', resource: arn, why: 'nobody was asked' });
  });
});

test('what the deployed guard did is explained by what it wrote down', async () => {
  const on = bench();
  const arn = `arn:aws:iam::${place.account}:role/guard-remediate-timeout-long`;
  const byGuard = at(1, 'UpdateFunctionConfiguration20150331v2/role-changed.json', {
    detail: { requestParameters: { functionName: 'orders' }, userIdentity: { sessionContext: { sessionIssuer: { arn } } } },
  });
  const change = {
    rule: 'timeout-long',
    resource: orders,
    ...place,
    status: 'done',
    startedAt: '2026-10-01T12:00:30Z',
    steps: [],
  } as unknown as Change;
  const deployed = (changes: readonly Change[]) => ({
    latestChanges: async function* () {
      yield* changes;
    },
    change: async () => undefined,
    exemption: async () => undefined,
  });
  const tampered = async (changes: readonly Change[]) =>
    (await replayed([byGuard], [home(on, { deployed: deployed(changes) })])).findings.filter(({ rule }) => rule === 'guard-tampered')
      .length;
  expect([await tampered([change]), await tampered([])]).toEqual([0, 1]);
});

test('what compares functions knows them all from the beginning, unless nobody looked', async () => {
  const world: World = createWorld(place);
  world.iam.createRole({ RoleName: 'shared' });
  const Role = `arn:aws:iam::${place.account}:role/shared`;
  for (const FunctionName of ['orders', 'stock']) world.lambda.createFunction({ FunctionName, Role });
  const config = configFor([roleShared], { RoleSharedMode: 'alert' });
  const at1 = updated(1, 'stock');
  const found = async (more: Partial<Home>) => {
    const here: Home = { config, ledger: new MemoryLedger(), connect: (calls) => connect(calls, place), ...more };
    return (await replayed([at1], [here], [roleShared])).findings.length;
  };
  expect([await found({}), await found({ functions: functionPages(place) })]).toEqual([0, 1]);
});

test('what a first look could not read is unknown', async () => {
  const on = bench();
  on.world.fail('GetFunctionConfiguration', 'AccessDeniedException');
  const { unknown, findings } = await replayed([], [home(on, { functions: functionPages(place) })]);
  expect({ findings, unknown }).toMatchObject({ findings: [], unknown: [{ rule: 'timeout-long', resource: orders }] });
});

test('events go to the guard of their account and region, those of IAM to every one of the account', async () => {
  const away = { account: place.account, region: 'eu-west-1' };
  const foreign = { account: '444455556666', region: 'us-east-1' };
  const homeIn = (where: typeof place): Home => ({
    config: { ...configFor([roleTrustOpen, functionUrlOpen], { RoleTrustOpenMode: 'alert', FunctionUrlOpenMode: 'alert' }), home: where },
    ledger: new MemoryLedger(),
    connect: () => {
      throw new Error('nobody is asked');
    },
    unasked: `${where.account} ${where.region}`,
  });
  const events = [at(1, 'UpdateAssumeRolePolicy/everyone.json'), at(2, 'DeleteFunctionUrlConfig/plain.json')];
  const heard = async (where: typeof place) =>
    (await replayed(events, [homeIn(where)], [roleTrustOpen, functionUrlOpen])).unknown.map(({ rule }) => rule).sort();
  expect(await heard(place)).toEqual(['function-url-open', 'role-trust-open']);
  expect(await heard(away)).toEqual(['role-trust-open']);
  expect(await heard(foreign)).toEqual([]);
});
