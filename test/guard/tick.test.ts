import { remediate } from '../../guard/remediate.ts';
import { tick } from '../../guard/tick.ts';
import { admin, bench, found, Killed, killedAfter, minute, orders, timeoutLong } from './bench.ts';

const exemption = { id: 'x1', rule: 'timeout-long', resource: orders, reason: 'migration', owner: 'shop', by: admin };

test('the first tick of a stack asks for a sweep, until one has begun', async () => {
  const { ports, ledger, world } = bench();
  expect((await tick(ports)).tasks).toEqual([{ task: 'sweep' }]);
  expect((await tick(ports)).tasks).toEqual([{ task: 'sweep' }]);
  await ledger.recordSweep('s1', world.now);
  expect((await tick(ports)).tasks).toEqual([]);
});

test('what is due is sent once by two ticks at once, and again where nobody acted on it', async () => {
  const on = bench(timeoutLong, { TimeoutLongDelay: '1' });
  const id = await found(on);
  on.advance(2 * minute);
  const both = await Promise.all([tick(on.ports), tick(on.ports)]);
  const fixes = () => both.flatMap(({ tasks }) => tasks.filter(({ task }) => task === 'fix'));
  expect(fixes()).toEqual([{ task: 'fix', rule: 'timeout-long', findingId: id }]);
  expect((await tick(on.ports)).tasks.filter(({ task }) => task === 'fix')).toEqual([]);
  on.advance(6 * minute);
  expect((await tick(on.ports)).tasks.filter(({ task }) => task === 'fix')).toHaveLength(1);
});

test('a change that waits, or whose process died, is sent as a fix of its finding', async () => {
  const on = bench();
  const id = await found(on);
  await expect(remediate(id, timeoutLong, killedAfter(12, on.ports).ports)).rejects.toThrow(Killed);
  on.advance(20 * minute);
  expect((await tick(on.ports)).tasks).toContainEqual({ task: 'fix', rule: 'timeout-long', findingId: id });
});

test('a digest is sent on when its time has come, and put off by every further alert', async () => {
  const { ports, ledger, world, advance } = bench();
  await ledger.recordSweep('s1', world.now);
  await ledger.hold('sweep-s1', 'a', {}, world.now + minute);
  advance(30_000);
  await ledger.hold('sweep-s1', 'b', {}, world.now + minute);
  advance(45_000);
  expect((await tick(ports)).tasks).toEqual([]);
  advance(30_000);
  expect((await tick(ports)).tasks).toEqual([{ task: 'digest', bucket: 'sweep-s1' }]);
});

describe('an exemption that is over', () => {
  test('opens again what it covered, and tells so', async () => {
    const on = bench();
    const id = await found(on);
    await on.ledger.addExemption({ ...exemption, expires: on.world.now + minute });
    await on.ledger.setStatus(id, { status: 'exempt', cause: 'exemption x1' });
    expect((await tick(on.ports)).alerts).toEqual([]);
    on.advance(2 * minute);
    const { alerts } = await tick(on.ports);
    expect(alerts).toMatchObject([
      { kind: 'finding', status: 'open', summary: `${orders} may run for 300 s. Its exemption (migration) has expired.` },
    ]);
    expect(on.published.at(-1)).toEqual(alerts[0]);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'open' });
    on.advance(60 * minute);
    expect((await tick(on.ports)).alerts).toEqual([]);
    const left = [];
    for await (const one of on.ledger.exemptions()) left.push(one);
    expect(left).toEqual([]);
  });

  test('leaves alone what it did not cover, and what is not exempt', async () => {
    const on = bench();
    const id = await found(on);
    await on.ledger.addExemption({ ...exemption, resource: `${orders}-other`, expires: on.world.now + minute });
    await on.ledger.setStatus(id, { status: 'exempt', cause: 'exemption x2' });
    on.advance(2 * minute);
    expect((await tick(on.ports)).alerts).toEqual([]);
    expect(await on.ledger.finding(id)).toMatchObject({ status: 'exempt' });
  });

  test('is told, whenever the process is killed', async () => {
    for (let k = 1; ; k += 1) {
      const on = bench();
      const id = await found(on);
      await on.ledger.addExemption({ ...exemption, expires: on.world.now + minute });
      await on.ledger.setStatus(id, { status: 'exempt', cause: 'exemption x1' });
      on.published.length = 0;
      on.advance(2 * minute);
      const mortal = killedAfter(k, on.ports);
      const finished = await tick(mortal.ports).then(
        () => true,
        () => false,
      );
      on.advance(6 * minute);
      await tick(on.ports);
      expect({ k, told: on.published.length > 0, status: (await on.ledger.finding(id))?.status }).toEqual({
        k,
        told: true,
        status: 'open',
      });
      if (finished) break;
      expect(k).toBeLessThan(30);
    }
  });
});
