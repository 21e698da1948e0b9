import { ocsf } from '../../../cli/formats/ocsf.ts';
import { alertAbout } from '../../../guard/alert.ts';
import { sampleFindings, sampleScan } from '../../../scripts/generate/sample.ts';
import { complaints } from './published.ts';

type Event = Record<string, unknown>;
const eventsOf = (text: string): Event[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
const events = eventsOf(ocsf(sampleScan));
const [first = {}] = events;

test('each line is an event that follows the published definition', () => {
  expect(events).toHaveLength(sampleScan.findings.length + sampleScan.unknown.length);
  for (const event of events) expect(complaints('ocsf', event)).toEqual([]);
});

test('who did it and with which call follows it too, where an event tells', () => {
  const findings = sampleFindings.map((finding) => alertAbout(finding, { status: 'open' }));
  const told = eventsOf(ocsf({ ...sampleScan, findings }));
  for (const event of told) expect(complaints('ocsf', event)).toEqual([]);
  expect(told[0]).toMatchObject({
    evidences: [
      {
        actor: { user: { uid: 'arn:aws:sts::111122223333:assumed-role/Developers/ana', type: 'console session' } },
        src_endpoint: { ip: '203.0.113.7' },
        api: { operation: 'UpdateFunctionConfiguration' },
      },
    ],
  });
  const [finding] = findings;
  if (finding?.actor === undefined) throw new Error('the sample has no actor');
  const [byService = {}] = eventsOf(
    ocsf({ ...sampleScan, findings: [{ ...finding, actor: { ...finding.actor, sourceIp: 'cloudformation.amazonaws.com' } }] }),
  );
  expect(complaints('ocsf', byService)).toEqual([]);
  expect(JSON.stringify(byService)).not.toContain('src_endpoint');
});

test.each([
  ['a field that the class has not', { ...first, more: 1 }],
  ['another class', { ...first, class_uid: 2001 }],
  ['no account', { ...first, cloud: undefined }],
  ['a time as text', { ...first, time: '2026-11-22' }],
  ['a severity that there is not', { ...first, severity_id: 7 }],
])('the definition refuses %s', (_, broken) => {
  expect(complaints('ocsf', JSON.parse(JSON.stringify(broken)))).not.toEqual([]);
});

test('a finding is a failed check of its rule', () => {
  const event = events.find(({ metadata }) => (metadata as Event)['event_code'] === 'function-url-open');
  expect(event).toMatchObject({
    class_uid: 2003,
    type_uid: 200301,
    severity_id: 4,
    severity: 'High',
    metadata: { version: '1.8.0', profiles: ['cloud'] },
    cloud: { provider: 'AWS', region: 'eu-central-1', account: { uid: '111122223333' } },
    compliance: { control: 'function-url-open', status: 'Fail', status_id: 3, requirements: ['apis'] },
    resources: [{ uid: 'arn:aws:lambda:eu-central-1:111122223333:function:status-page', type: 'AWS::Lambda::Function' }],
  });
});

test.each([
  ['low', 2],
  ['medium', 3],
  ['high', 4],
  ['critical', 5],
])('%s is %s', (severity, id) => {
  const findings = sampleScan.findings.filter((finding) => finding.severity === severity);
  expect(new Set(eventsOf(ocsf({ ...sampleScan, findings, unknown: [] })).map((event) => event['severity_id']))).toEqual(new Set([id]));
});

test('what could not be read is neither passed nor failed', () => {
  expect(events.at(-1)).toMatchObject({
    severity_id: 0,
    compliance: { control: 'secret-in-code', status: 'Unknown', status_id: 0, status_detail: expect.stringContaining('AccessDenied') },
    cloud: { account: { uid: '111122223333' }, region: 'eu-central-1' },
  });
  const everything = { rule: '*', resource: 'arn:aws:iam::111122223333:role/x', why: 'no time' };
  const [event = {}] = eventsOf(ocsf({ ...sampleScan, findings: [], unknown: [everything] }));
  expect(complaints('ocsf', event)).toEqual([]);
  expect(event).toMatchObject({ cloud: { region: 'eu-central-1' } });
});

test('nothing wrong is no line', () => {
  expect(ocsf({ ...sampleScan, findings: [], unknown: [] })).toBe('');
});
