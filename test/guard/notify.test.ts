import { type Alert, alertAbout, emailText } from '../../guard/alert.ts';
import { RetryLater } from '../../guard/errors.ts';
import type { Finding } from '../../guard/finding.ts';
import { flush, notify } from '../../guard/notify.ts';
import { tick } from '../../guard/tick.ts';
import { expectValid } from '../support/alert-schema.ts';
import { type Bench, bench, minute, timeoutLong } from './bench.ts';

const arn = 'arn:aws:lambda:us-east-1:111122223333:function:orders';

function about(index: number, more: Partial<Finding> = {}): Alert {
  const finding: Finding = {
    id: String(index).padStart(20, '0'),
    rule: 'timeout-long',
    practice: 'deployments',
    severity: 'high',
    title: 'A function may run for longer than a minute',
    summary: 'It may run for 300 s.',
    subject: { arn: `${arn}-${index}`, type: 'AWS::Lambda::Function', account: '111122223333', region: 'us-east-1' },
    evidence: { timeout: 300 },
    tags: {},
    status: 'open',
    opened: 1,
    firstSeen: '2026-11-22T12:00:00.000Z',
    lastSeen: '2026-11-22T12:00:00.000Z',
    openedAt: '2026-11-22T12:00:00.000Z',
    asOf: 0,
    cause: 'event e1',
    attempts: 0,
    ...more,
  };
  return alertAbout(finding, { status: finding.status });
}

interface Notifier extends Bench {
  readonly sent: Alert[];
  readonly send: (alert: Alert) => Promise<void>;
}

function notifier(variables: Record<string, string> = {}): Notifier {
  const sent: Alert[] = [];
  const send = async (alert: Alert) => {
    expectValid(alert);
    sent.push(alert);
  };
  return { ...bench(timeoutLong, { DigestOver: '3', ...variables }), sent, send };
}

/** What tick says is due of digests, sent. */
async function flushDue(on: Notifier): Promise<readonly string[]> {
  const { tasks } = await tick(on.ports);
  const buckets = tasks.flatMap((task) => (task.task === 'digest' ? [task.bucket] : []));
  for (const bucket of buckets) await flush(bucket, on.send, on.ports);
  return buckets;
}

describe('an alert', () => {
  test('is sent once, however often it is delivered', async () => {
    const on = notifier();
    expect(await notify(about(1), on.send, on.ports)).toBe('sent');
    for (let time = 0; time < 3; time += 1) expect(await notify(about(1), on.send, on.ports)).toBe('known');
    on.advance(30 * minute);
    expect(await notify(about(1), on.send, on.ports)).toBe('known');
    expect(on.sent).toEqual([about(1)]);
  });

  test('is another one when the finding opens again, ends, is fixed, or is told with another reason', async () => {
    const on = notifier({ DigestOver: '100' });
    const change = { id: 'c1', calls: [] };
    const finding = { ...about(1) };
    for (const alert of [
      finding,
      about(1, { opened: 2 }),
      about(1, { status: 'resolved' }),
      { ...finding, kind: 'change', status: 'remediated', change: { ...change, undo: '' } } as Alert,
      { ...finding, kind: 'change', status: 'remediated', change: { ...change, id: 'c2', undo: '' } } as Alert,
      { ...finding, summary: `${finding.summary} Not put right: it is not listed.` },
      { ...finding, summary: `${finding.summary} Its exemption (migration) has expired.` },
    ]) {
      expect(await notify(alert, on.send, on.ports)).toBe('sent');
      expect(await notify(alert, on.send, on.ports)).toBe('known');
    }
  });

  test('is sent again where SNS did not take it', async () => {
    const on = notifier();
    const failing = async () => Promise.reject(new Error('Throttling'));
    await expect(notify(about(1), failing, on.ports)).rejects.toThrow('Throttling');
    on.advance(minute);
    expect(await notify(about(1), on.send, on.ports)).toBe('sent');
    expect(on.sent).toHaveLength(1);
  });

  test('is sent once where two deliveries meet: the second comes back, and knows then', async () => {
    const on = notifier();
    const slow = async (alert: Alert) => {
      await expect(notify(about(1), on.send, on.ports)).rejects.toThrow(RetryLater);
      await on.send(alert);
    };
    expect(await notify(about(1), slow, on.ports)).toBe('sent');
    expect(await notify(about(1), on.send, on.ports)).toBe('known');
    expect(on.sent).toHaveLength(1);
  });

  test('of a rule that is off at run time is not sent', async () => {
    const on = notifier();
    await on.ledger.setSwitch('mode:timeout-long', 'off', 'operator');
    expect(await notify(about(1), on.send, on.ports)).toBe('silenced');
    await on.ledger.setSwitch('mode:timeout-long', 'alert', 'operator');
    expect(await notify(about(1), on.send, on.ports)).toBe('sent');
  });
});

describe('more alerts in a minute than DigestOver', () => {
  async function flood(on: Notifier, count: number): Promise<readonly string[]> {
    const outcomes = [];
    for (let index = 1; index <= count; index += 1) outcomes.push(await notify(about(index), on.send, on.ports));
    return outcomes;
  }

  test('come as one digest when the minute is over', async () => {
    const on = notifier();
    expect(await flood(on, 6)).toEqual(['sent', 'sent', 'sent', 'held', 'held', 'held']);
    expect(await flushDue(on)).toEqual([]);
    on.advance(minute);
    expect(await flushDue(on)).toHaveLength(1);
    expect(on.sent).toHaveLength(4);
    expect(on.sent[3]).toMatchObject({
      kind: 'digest',
      title: '3 alerts in one',
      summary: 'More than the limit within a minute: 3 alerts, 3 of them critical or high.',
    });
    on.advance(60 * minute);
    expect(await flushDue(on)).toEqual([]);
    expect(on.sent).toHaveLength(4);
  });

  test('are told once, whenever they are delivered again', async () => {
    const on = notifier();
    await flood(on, 6);
    on.advance(minute);
    expect(await flood(on, 6)).toEqual(Array.from({ length: 6 }, () => 'known'));
    await flushDue(on);
    expect(await flood(on, 6)).toEqual(Array.from({ length: 6 }, () => 'known'));
    expect(on.sent).toHaveLength(4);
  });

  test('make the next minute no shorter', async () => {
    const on = notifier();
    await flood(on, 6);
    on.advance(minute);
    expect(await notify(about(7), on.send, on.ports)).toBe('sent');
  });
});

describe('a sweep', () => {
  const swept = (index: number, more: Partial<Finding> = {}) => about(index, { sweep: 's1', ...more });

  test('is told when it has been quiet for a while, each alert by itself while they are few', async () => {
    const on = notifier();
    for (const index of [1, 2, 3]) expect(await notify(swept(index), on.send, on.ports)).toBe('held');
    on.advance(59_000);
    expect(await flushDue(on)).toEqual([]);
    await notify(swept(3), on.send, on.ports);
    on.advance(2_000);
    expect(await flushDue(on)).toEqual(['sweep-s1']);
    expect(on.sent).toEqual([swept(1), swept(2), swept(3)]);
  });

  test('that finds more than DigestOver is one digest', async () => {
    const on = notifier();
    for (const index of [1, 2, 3]) await notify(swept(index), on.send, on.ports);
    await notify(swept(4, { severity: 'low' }), on.send, on.ports);
    on.advance(2 * minute);
    await flushDue(on);
    expect(on.sent).toMatchObject([{ kind: 'digest', summary: 'A sweep of the whole estate: 4 alerts, 3 of them critical or high.' }]);
    expect(on.sent[0]?.evidence['criticalAndHigh']).toHaveLength(3);
  });

  test('goes on being told by events at once', async () => {
    const on = notifier();
    await notify(swept(1), on.send, on.ports);
    expect(await notify(about(2), on.send, on.ports)).toBe('sent');
  });

  test('keeps nothing back that an event tells as well, and does not tell it again', async () => {
    const on = notifier();
    for (const index of [1, 2]) expect(await notify(swept(index), on.send, on.ports)).toBe('held');
    expect(await notify(about(1), on.send, on.ports)).toBe('sent');
    for (const delivery of [about(1), swept(1)]) expect(await notify(delivery, on.send, on.ports)).toBe('known');
    on.advance(2 * minute);
    expect(await flushDue(on)).toEqual(['sweep-s1']);
    expect(on.sent).toEqual([about(1), swept(2)]);
    expect(await notify(about(2), on.send, on.ports)).toBe('known');
  });

  test('still keeps it where SNS did not take it from the event', async () => {
    const on = notifier();
    await notify(swept(1), on.send, on.ports);
    const failing = async () => Promise.reject(new Error('Throttling'));
    await expect(notify(about(1), failing, on.ports)).rejects.toThrow('Throttling');
    on.advance(2 * minute);
    await flushDue(on);
    expect(on.sent).toEqual([swept(1)]);
  });

  test('says at once what was changed', async () => {
    const on = notifier();
    const alert = { ...swept(1), kind: 'change', status: 'remediated', change: { id: 'c1', calls: [], undo: '' } } as Alert;
    expect(await notify(alert, on.send, on.ports)).toBe('sent');
  });

  test('of an estate of thousands fits into what SNS takes, and forgets none', async () => {
    const on = notifier();
    const name = 'x'.repeat(40);
    for (let index = 0; index < 1_000; index += 1) {
      const subject = {
        arn: `${arn}-${name}-${index}`,
        type: 'AWS::Lambda::Function' as const,
        account: '111122223333',
        region: 'us-east-1',
      };
      await notify(swept(index, { subject }), on.send, on.ports);
    }
    await notify(swept(2_000, { severity: 'low' }), on.send, on.ports);
    on.advance(2 * minute);
    await flushDue(on);
    const named = on.sent.flatMap(({ evidence }) => evidence['criticalAndHigh'] as { findingId: string }[]);
    expect(new Set(named.map(({ findingId }) => findingId)).size).toBe(1_000);
    for (const alert of on.sent) {
      // https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
      const message = JSON.stringify({ default: JSON.stringify(alert), email: emailText(alert) });
      expect(Buffer.byteLength(message)).toBeLessThan(256 * 1024);
    }
    expect(on.sent.length).toBeLessThan(6);
    expect(on.sent[0]?.summary).toMatch(/part \d of/);
    expect(on.sent[0]?.evidence['counts']).toMatchObject({ 'timeout-long (low)': 1 });
  });
});

describe('a digest that is sent while something happens', () => {
  test('does not swallow an alert that is held back in the meantime', async () => {
    const on = notifier();
    for (const index of [1, 2]) await notify(about(index, { sweep: 's1' }), on.send, on.ports);
    on.advance(2 * minute);
    let late = false;
    await flush(
      'sweep-s1',
      async (alert) => {
        await on.send(alert);
        if (!late) await notify(about(9, { sweep: 's1' }), on.send, on.ports);
        late = true;
      },
      on.ports,
    );
    on.advance(10 * minute);
    await flushDue(on);
    expect(on.sent.map(({ findingId }) => Number(findingId))).toEqual([1, 2, 9]);
  });

  test('goes on where it stopped when SNS failed', async () => {
    const on = notifier();
    for (const index of [1, 2, 3]) await notify(about(index, { sweep: 's1' }), on.send, on.ports);
    on.advance(2 * minute);
    const failing = async (alert: Alert) => {
      if (Number(alert.findingId) === 2) throw new Error('Throttling');
      await on.send(alert);
    };
    await expect(flush('sweep-s1', failing, on.ports)).rejects.toThrow('Throttling');
    await flush('sweep-s1', on.send, on.ports);
    expect(on.sent.map(({ findingId }) => Number(findingId))).toEqual([1, 2, 3]);
  });

  test('of nothing sends nothing', async () => {
    const on = notifier();
    await flush('sweep-nobody', on.send, on.ports);
    expect(on.sent).toEqual([]);
  });
});
