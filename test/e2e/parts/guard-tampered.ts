import { eventually, Inbox } from '../../support/stack.ts';
import { alerted, alertsAbout, due, guardLogs, mark, quiet, stack, stage, undo } from '../stage.ts';

const rule = 'guard-tampered';
const FunctionName = `${stack}-sweep`;

/** What the rule may switch on again: nothing that another part of the suite switches off. */
export const guardTamperedScope = `arn:aws:events:*:*:rule/${stack}-CheckVpcOnEc2*,arn:aws:lambda:*:*:function:${FunctionName}`;

export function guardTampered(): void {
  describe('guard-tampered', () => {
    it('switches on again what somebody switches off, tells of the rest, and undo switches it off again', async () => {
      const { Rules } = await stage.boto.call('events', 'list_rules', { NamePrefix: `${stack}-CheckVpcOnEc2` });
      const [{ Name }] = Rules;
      const { State } = await stage.boto.call('events', 'describe_rule', { Name });
      expect(State).toBe('ENABLED');
      await quiet();
      const since = mark();
      await stage.boto.call('events', 'disable_rule', { Name });
      await stage.boto.call('lambda', 'put_function_concurrency', { FunctionName, ReservedConcurrentExecutions: 0 });
      const TopicArn = stage.outputs['AlarmTopicArn'] ?? '';
      await stage.boto.call('sns', 'set_topic_attributes', { TopicArn, AttributeName: 'DisplayName', AttributeValue: 'nothing to see' });

      const opened = await alerted({ rule, status: 'open', resource: Name }, since);
      expect(opened).toMatchObject({ severity: 'critical', actor: { arn: 'arn:aws:iam::111122223333:user/administrator' } });
      const fixed = await alerted({ rule, status: 'remediated', resource: Name }, since);
      await alerted({ rule, status: 'remediated', resource: FunctionName }, since);
      await alerted({ rule, status: 'open', resource: TopicArn, says: 'called sns:SetTopicAttributes' }, since);
      expect(await stage.boto.call('events', 'describe_rule', { Name })).toMatchObject({ State: 'ENABLED' });
      const { ReservedConcurrentExecutions } = await stage.boto.call('lambda', 'get_function_concurrency', { FunctionName });
      expect(ReservedConcurrentExecutions).toBeUndefined();

      await quiet();
      await undo(fixed);
      expect(await stage.boto.call('events', 'describe_rule', { Name })).toMatchObject({ State: 'DISABLED' });
      await stage.botoPipeline.call('events', 'enable_rule', { Name });
      await stage.botoPipeline.call('sns', 'set_topic_attributes', { TopicArn, AttributeName: 'DisplayName', AttributeValue: 'alarms' });
      await alerted({ rule, status: 'resolved', resource: TopicArn }, since);
      expect(alertsAbout(TopicArn, since)).toEqual([`${rule} open`, `${rule} resolved`]);
    });

    it('tells, also by the topic of alarms, that no trail takes in what is called, until one does', async () => {
      const [TrailName, trails] = ['management-events', 'trail/*'];
      const select = async (ReadWriteType: string) =>
        await stage.boto.call('cloudtrail', 'put_event_selectors', {
          TrailName,
          EventSelectors: [{ ReadWriteType, IncludeManagementEvents: true }],
        });
      const alarms = await Inbox.subscribe(stage.administrator, stage.outputs['AlarmTopicArn'] ?? '', 'guard-tampered-alarms');
      await quiet();
      const since = mark();
      await select('ReadOnly');
      const opened = await alerted({ rule, status: 'open', resource: trails, says: `trail/${TrailName} takes in no calls` }, since);
      expect(opened).toMatchObject({ severity: 'critical', plan: [] });
      const aside = await alarms.waitFor('the same aside', ({ findingId }) => findingId === opened.findingId, { seconds: 20 });
      expect(aside.alert).toEqual(opened);
      await alarms.close();
      await select('All');
      await alerted({ rule, status: 'resolved', resource: trails }, since);
      expect(alertsAbout(trails, since)).toEqual([`${rule} open`, `${rule} resolved`]);
    });

    it('sends a heartbeat the way of an alert', async () => {
      const counted = async () => ((await guardLogs())[`${stack}-notify`] ?? []).filter((line) => line.includes('"Heartbeats":1')).length;
      const before = await counted();
      await due('Heartbeat');
      await eventually('the heartbeat of the notifier', async () => (await counted()) > before);
    });
  });
}
