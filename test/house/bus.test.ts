import { type Alert, alertAbout, busSource, detailType, digestOf, dueDetailType } from '../../guard/alert.ts';
import { type Finding, findingId } from '../../guard/finding.ts';
import { type AnyRule, pascalCase } from '../../guard/rule.ts';
import type { Task } from '../../guard/tick.ts';
import { rules } from '../../rules/index.ts';
import { matches } from './pattern.ts';
import { deploy, ofType } from './template.ts';

// Who hears what on the guard's own bus. An alert that a remediator both hears and sends would go round for ever.

const all: readonly AnyRule[] = rules;
const fixable = all.filter(({ fix }) => fix.length > 0);
const stack = deploy({
  ...Object.fromEntries(fixable.map(({ id }) => [`${pascalCase(id)}Mode`, 'remediate'])),
  Deployers: 'arn:aws:iam::111122223333:role/pipeline',
});
const patterns = ofType(stack, 'AWS::Events::Rule').flatMap(([id, { EventPattern, EventBusName }]) =>
  EventBusName === '${GuardBus}' ? [[id, EventPattern] as const] : [],
);

function hearing(detailType: string, detail: Alert | Task): readonly string[] {
  const event = JSON.parse(JSON.stringify({ source: busSource, 'detail-type': detailType, detail }));
  return patterns.flatMap(([id, pattern]) => (matches(pattern, event) ? [id] : [])).sort();
}

function heard(alert: Alert): readonly string[] {
  return hearing(detailType(alert), alert);
}

const arn = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const change = { id: 'c0ffee123456', calls: ['lambda:UpdateFunctionUrlConfig'] };

function finding({ id, practice, severity, title }: AnyRule): Finding {
  return {
    id: findingId(id, arn),
    rule: id,
    practice,
    severity,
    title,
    summary: 'It is wrong.',
    subject: { arn, type: 'AWS::Lambda::Function', account: '111122223333', region: 'us-east-1' },
    evidence: { seen: true },
    tags: {},
    status: 'open',
    opened: 1,
    firstSeen: '2026-11-22T12:00:00.000Z',
    lastSeen: '2026-11-22T12:00:00.000Z',
    openedAt: '2026-11-22T12:00:00.000Z',
    asOf: 0,
    cause: 'event 1',
    attempts: 0,
  };
}

describe.each(fixable.map((rule) => [rule.id, rule] as const))('%s', (id, rule) => {
  const remediator = `Remediate${pascalCase(id)}OnFinding`;
  const about = finding(rule);

  test('an open finding goes to its remediator and to the notifier', () => {
    expect(heard(alertAbout(about, { status: 'open' }))).toEqual(['NotifyOnAlert', remediator].sort());
  });

  test('a fix that is due goes to its remediator alone', () => {
    expect(hearing(dueDetailType, { task: 'fix', rule: id, findingId: about.id })).toEqual([remediator]);
  });

  test.each(['resolved', 'unknown', 'failed', 'exempt'] as const)('a finding that is %s is told, and not fixed', (status) => {
    expect(heard(alertAbout(about, { status }))).toEqual(['NotifyOnAlert']);
  });

  test('an open finding whose fix is refused is told, and does not come back to its remediator', () => {
    expect(heard({ ...alertAbout(about, { status: 'open', plan: ['lambda:UpdateFunctionUrlConfig {}'] }), kind: 'failure' })).toEqual([
      'NotifyOnAlert',
    ]);
  });

  test.each(['remediated', 'partial', 'failed', 'reverted'] as const)('a change that is %s is told, and not fixed again', (status) => {
    expect(heard(alertAbout(about, { status, change }))).toEqual(['NotifyOnAlert']);
  });
});

test('a digest that is due goes to the notifier, a sweep to the sweep', () => {
  expect(hearing(dueDetailType, { task: 'digest', bucket: 'minute-1' })).toEqual(['NotifyOnDigest']);
  expect(hearing(dueDetailType, { task: 'sweep' })).toEqual(['SweepOnDue']);
});

test('a digest is sent to the topic, never to the bus', () => {
  expect(heard(digestOf([], 'why', { account: '111122223333', region: 'us-east-1' }))).toEqual([]);
});

test('nobody hears what another source puts there', () => {
  const event = {
    source: 'somebody',
    'detail-type': 'Compliance Finding',
    detail: alertAbout(finding(fixable[0] as AnyRule), { status: 'open' }),
  };
  expect(patterns.filter(([, pattern]) => matches(pattern, event))).toEqual([]);
});
