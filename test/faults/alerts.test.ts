import type { Alert } from '../../guard/alert.ts';
import { alertAbout, busSource, detailType } from '../../guard/alert.ts';
import { functionArn } from '../../guard/arn.ts';
import { type Finding, findingId } from '../../guard/finding.ts';
import { place } from '../support/rule-test.ts';
import type { Call } from './account.ts';
import { campaign, fixable, nameOf, setUpOf, suffer } from './campaign.ts';
import { faults } from './faults.ts';
import { Guard } from './guard.ts';

// More alerts in a minute than DigestOver: some go out by themselves, the others in one digest. With every fault at every
// call of the notifier and the clock, everybody hears of each of them, and of none in two ways.

jest.mock('node:timers/promises', () => jest.requireActual<typeof import('./account.ts')>('./account.ts').timers);
jest.setTimeout(600_000);

const [
  rule = (() => {
    throw new Error('no rule fixes anything');
  })(),
] = fixable;
const names = ['a', 'b', 'c', 'd', 'e', 'f'];

function alertOn(name: string): Alert {
  const arn = functionArn(name, place) ?? '';
  const seen = '2026-11-22T12:00:00.000Z';
  const finding: Finding = {
    id: findingId(rule.id, arn),
    rule: rule.id,
    practice: rule.practice,
    severity: 'high',
    title: rule.title,
    summary: `${name} is wrong.`,
    subject: { arn, type: 'AWS::Lambda::Function', ...place },
    evidence: { seen: true },
    tags: {},
    status: 'open',
    opened: 1,
    firstSeen: seen,
    openedAt: seen,
    lastSeen: seen,
    asOf: 0,
    cause: 'event e1',
    attempts: 0,
  };
  return alertAbout(finding, { status: 'open' });
}

async function busy(): Promise<Guard> {
  const guard = await Guard.deploy(rule, setUpOf(rule));
  for (const queue of Object.values(guard.account.queues)) queue.messages = [];
  for (const name of names) {
    const detail = alertOn(name);
    guard.account.queues.notify.send({ source: busSource, 'detail-type': detailType(detail), detail });
  }
  return guard;
}

/** How each is told: by itself, or in a digest. Word for word the same is told once. */
function told({ account }: Guard): Readonly<Record<string, readonly string[]>> {
  const messages = [...new Set(account.sent.map((alert) => JSON.stringify(alert)))].map((text) => JSON.parse(text) as Alert);
  const of = (name: string) => findingId(rule.id, functionArn(name, place) ?? '');
  return Object.fromEntries(
    names.map((name) => [name, messages.filter((message) => JSON.stringify(message).includes(of(name))).map(({ kind }) => kind)]),
  );
}

let calls: readonly Call[];

beforeAll(async () => {
  const guard = await busy();
  await suffer(guard, async (_, make) => make());
  ({ calls } = guard.account);
  const [alone, digest] = [['finding'], ['digest']];
  expect(told(guard)).toEqual({ a: alone, b: alone, c: alone, d: alone, e: digest, f: digest });
});

const lastOf = (operation: string) => calls.findLast((call) => call.operation === operation)?.number ?? 0;

test.each(faults.map((fault) => [fault.name, fault] as const))('%s', async (_, { strikes, at }) => {
  await campaign(
    calls.filter(strikes).map((struck) => ({
      name: nameOf(struck),
      run: async () => {
        const guard = await busy();
        const redriven = await suffer(guard, at(struck, guard));
        // What was left of a digest that was sent, and not forgotten whole, comes again.
        const again = struck.number > lastOf('Publish') ? ['digest,digest'] : [];
        for (const ways of Object.values(told(guard))) expect(['finding', 'digest', ...again]).toContain(ways.join());
        return { outcome: 'told', redriven };
      },
    })),
  );
});
