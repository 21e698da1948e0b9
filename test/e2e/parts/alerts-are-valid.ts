import { expectValid } from '../../support/alert-schema.ts';
import { stage } from '../stage.ts';

export function alertsAreValid(): void {
  test('every alert keeps to its schema', () => {
    for (const { alert } of stage.inbox.received) expectValid(alert);
    expect(stage.inbox.received.length).toBeGreaterThan(20);
  });

  test('no alert came twice', () => {
    const keys = stage.inbox.received.map(({ alert }) =>
      [alert.kind, alert.findingId, alert.opened, alert.status, alert.change?.id, alert.plan.length > 0, alert.summary].join(' '),
    );
    expect(keys.filter((key, index) => keys.indexOf(key) !== index)).toEqual([]);
  });

  test('EventBridge could deliver every event', async () => {
    // While the stack is made, a rule is there a moment before the policy of its queue, which names it: the first sweep comes after.
    const lost = (await stage.bench.undelivered()).filter(({ time }) => Date.parse(time) > stage.deployedAt);
    expect(lost).toEqual([]);
  });
}
