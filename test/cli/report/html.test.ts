import { escaped, html } from '../../../cli/report/html.ts';
import { markdown } from '../../../cli/report/markdown.ts';
import { median, reportOfLedger } from '../../../cli/report/model.ts';
import { duration, momentOf, nameOf } from '../../../cli/report/words.ts';
import { sampleFindings, sampleReport } from '../../../scripts/generate/sample.ts';

describe('a template', () => {
  test.each([
    ['text', html`<p>${'<b>&"\'</b>'}</p>`, '<p>&lt;b&gt;&amp;&quot;&#39;&lt;/b&gt;</p>'],
    ['another template', html`<p>${html`<b>${'<'}</b>`}</p>`, '<p><b>&lt;</b></p>'],
    ['a list', html`${['<', html`<br>`, 1]}`, '&lt;<br>1'],
    ['nothing', html`<p>${undefined}</p>`, '<p></p>'],
  ])('takes in %s', (_, made, text) => {
    expect(made.text).toBe(text);
  });

  test.each([
    ['a name that turns around', 'a\u202eb', 'a\\u{202e}b'],
    ['what cannot be seen', 'a\u200bb\u0000', 'a\\u{200b}b\\u{0}'],
    ['a line that is none', 'a\u2028b', 'a\\u{2028}b'],
    ['letters of any language, and lines', 'Zürich\n東京\t🙂', 'Zürich\n東京\t🙂'],
  ])('shows %s', (_, text, shown) => {
    expect(escaped(text)).toBe(shown);
  });
});

test.each([
  ['a paragraph\nof two lines', '<p>a paragraph of two lines</p>'],
  ['`<b>` and **bold**', '<p><code>&lt;b&gt;</code> and <strong>bold</strong></p>'],
  ['Then:\n- one\n  goes on\n- two', '<p>Then:</p><ul><li>one goes on</li><li>two</li></ul>'],
  ['1. one\n2. two\n\nend', '<ol><li>one</li><li>two</li></ol><p>end</p>'],
  ['', ''],
])('Markdown %j', (text, made) => {
  expect(
    markdown(text)
      .map((one) => one.text)
      .join(''),
  ).toBe(made);
});

test.each([
  [19_400, '19 s'],
  [1_500, '1.5 s'],
  [300_000, '5 min'],
  [3.5 * 3_600_000, '3.5 h'],
  [12 * 86_400_000, '12 days'],
])('%d milliseconds are %s', (time, text) => {
  expect(duration(time)).toBe(text);
});

test.each([
  ['arn:aws:lambda:us-east-1:111122223333:function:orders:live', 'orders:live'],
  ['arn:aws:iam::111122223333:role/path/etl', 'path/etl'],
  ['arn:aws:apigateway:us-east-1::/restapis/a1/resources/b2', '/restapis/a1/resources/b2'],
  ['something', 'something'],
])('%s is called %s', (arn, name) => {
  expect(nameOf(arn)).toBe(name);
});

test('a time that is none is shown as it is', () => {
  expect([momentOf('2026-11-22T18:00:59Z'), momentOf('soon')]).toEqual(['2026-11-22 18:00 UTC', 'soon']);
});

test('half of them are not longer than the median', () => {
  expect([median([]), median([3]), median([4, 1, 9, 2]), median([5, 1, 9])]).toEqual([undefined, 3, 2, 5]);
});

describe('what the ledger knows', () => {
  const frame = { account: '1', regions: ['r'], at: sampleReport.at, rules: [], changes: [], exemptions: [] };
  const [base] = sampleFindings;
  if (base === undefined) throw new Error('the sample is empty');
  const event = { id: 'e', name: 'X', time: '2026-11-22T09:59:30.000Z' };
  const finding = { ...base, event, openedAt: '2026-11-22T10:00:00.000Z', asOf: Date.parse('2026-11-22T10:30:00.000Z') };

  test.each([
    ['open', [], 1, 0],
    ['partial', [], 1, 0],
    ['failed', [], 1, 0],
    ['reverted', [], 1, 0],
    ['unknown', [], 0, 1],
    ['exempt', [], 0, 0],
    ['resolved', [1_800_000], 0, 0],
    ['remediated', [1_800_000], 0, 0],
  ] as const)('of a finding that is %s', (status, toFix, open, unknown) => {
    const report = reportOfLedger([{ ...finding, status }], frame);
    expect(report).toMatchObject({ history: { toDetect: [30_000], toFix } });
    expect([report.findings.length, report.unknown.length]).toEqual([open, unknown]);
  });

  test('what the guard fixed took until the last step of its change', () => {
    const fixed = { ...finding, status: 'remediated' as const, change: 'c' };
    const change = { ...sampleReport.history?.changes[0], id: 'c', fixedAt: Date.parse('2026-11-22T10:00:12.000Z') } as never;
    expect(reportOfLedger([fixed], { ...frame, changes: [change] }).history?.toFix).toEqual([12_000]);
  });

  test('a finding of a sweep says nothing of how soon it was found', () => {
    const { event: _event, ...swept } = finding;
    expect(reportOfLedger([swept], frame).history?.toDetect).toEqual([]);
  });

  test('the gravest come first, then what is open the longest', () => {
    const order = sampleReport.findings.map(({ severity, since }) => [severity, since]);
    const grave = ['critical', 'high', 'medium', 'low'];
    expect(order).toEqual(
      order.toSorted(([a = '', x = ''], [b = '', y = '']) => grave.indexOf(a) - grave.indexOf(b) || x.localeCompare(y)),
    );
  });
});
