import { type Alert, alertAbout, detailType, digestOf, emailSubject, emailText, filterAttributes } from '../../guard/alert.ts';
import { alertSchema } from '../../guard/alert-schema.ts';
import type { Finding } from '../../guard/finding.ts';
import { expectValid } from '../support/alert-schema.ts';

const arn = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const place = { account: '111122223333', region: 'us-east-1' };
const finding: Finding = {
  id: '0123456789abcdef0123',
  rule: 'function-url-open',
  practice: 'apis',
  severity: 'high',
  title: 'A function URL lets anyone on the internet invoke the function',
  summary: 'Anyone can invoke it.',
  subject: { arn, type: 'AWS::Lambda::Function', ...place },
  evidence: { authType: 'NONE' },
  tags: {},
  status: 'open',
  opened: 2,
  firstSeen: '2026-11-22T12:00:00.000Z',
  lastSeen: '2026-11-22T12:00:00.000Z',
  openedAt: '2026-11-22T12:00:03.000Z',
  asOf: Date.parse('2026-11-22T12:00:03.000Z'),
  cause: 'event e1',
  attempts: 0,
};
const actor = {
  arn: 'arn:aws:sts::111122223333:assumed-role/Admin/ana',
  issuer: 'arn:aws:iam::111122223333:role/Admin',
  issuerId: 'AROAADMIN',
  console: true,
  sourceIp: '198.51.100.7',
  invokedBy: '',
};
const event = { id: 'e1', name: 'CreateFunctionUrlConfig', time: '2026-11-22T12:00:00Z' };
const change = { id: 'c0ffee123456', calls: ['lambda:UpdateFunctionUrlConfig', 'lambda:RemovePermission'] };

describe('an alert', () => {
  test('is what its schema says, and whole', () => {
    const alert = alertAbout(
      { ...finding, actor, event, tags: { 'aws:cloudformation:stack-name': 'shop', 'aws:cloudformation:logical-id': 'Orders' } },
      { status: 'remediated', change },
    );
    expectValid(alert);
    expect(alert).toEqual({
      version: '1',
      kind: 'change',
      status: 'remediated',
      rule: 'function-url-open',
      practice: 'apis',
      severity: 'high',
      title: finding.title,
      summary: 'Anyone can invoke it.',
      resource: { arn, type: 'AWS::Lambda::Function', ...place },
      actor: { arn: actor.arn, issuer: actor.issuer, console: true, sourceIp: '198.51.100.7' },
      event,
      evidence: { authType: 'NONE' },
      plan: [],
      change: { ...change, undo: 'npm run guard -- undo c0ffee123456 --for 7d --reason "<why>"' },
      managedBy: { stack: 'shop', logicalId: 'Orders' },
      docs: 'docs/rules/function-url-open.md',
      findingId: finding.id,
      opened: 2,
      detectedAfterMs: 3000,
    });
  });

  test.each([
    ['open', undefined, 'finding', 'Compliance Finding'],
    ['resolved', undefined, 'finding', 'Compliance Finding'],
    ['exempt', undefined, 'finding', 'Compliance Finding'],
    ['unknown', undefined, 'failure', 'Compliance Failure'],
    ['failed', undefined, 'failure', 'Compliance Failure'],
    ['failed', change, 'change', 'Compliance Change'],
    ['partial', change, 'change', 'Compliance Change'],
  ] as const)('that is %s with change %j is a %s', (status, made, kind, type) => {
    const alert = alertAbout(finding, { status, ...(made === undefined ? {} : { change: made }) });
    expectValid(alert);
    expect(alert.kind).toBe(kind);
    expect(detailType(alert)).toBe(type);
  });

  test('of a sweep has a sweep and no actor', () => {
    const alert = alertAbout({ ...finding, sweep: 's1' }, { status: 'open' });
    expectValid(alert);
    expect(Object.keys(alert)).not.toEqual(expect.arrayContaining(['actor']));
    expect(alert).toMatchObject({ sweep: 's1' });
    expect(alert.detectedAfterMs).toBeUndefined();
  });

  test.each([['yesterday'], [''], ['2026-13-45']])('about an event whose time is "%s" is a valid one all the same', (time) => {
    const alert = alertAbout({ ...finding, event: { ...event, time } }, { status: 'open' });
    expectValid(alert);
    expect(alertSchema.safeParse(JSON.parse(JSON.stringify(alert))).success).toBe(true);
    expect(alert.detectedAfterMs).toBeUndefined();
  });

  test('never says that it was found before it happened', () => {
    expect(alertAbout({ ...finding, event: { ...event, time: '2026-11-22T12:00:09Z' } }, { status: 'open' }).detectedAfterMs).toBe(0);
  });

  test('that lacks something breaks the schema', () => {
    const { findingId: _, ...rest } = alertAbout(finding, { status: 'open' });
    expect(() => expectValid(rest)).toThrow('findingId');
    expect(() => expectValid({ ...rest, findingId: 'x', status: 'fine' })).toThrow('status');
  });
});

describe('who manages a resource', () => {
  const managed = (tags: Record<string, string>) => alertAbout({ ...finding, tags }, { status: 'open' }).managedBy;

  test.each([
    [{ 'aws:cloudformation:stack-name': 'shop' }, { stack: 'shop', logicalId: '' }],
    [{ Terraform: 'true' }, { stack: 'Terraform (Terraform=true)', logicalId: '' }],
    [{ 'tf:workspace': 'prod' }, { stack: 'Terraform (tf:workspace=prod)', logicalId: '' }],
    [{ ManagedBy: 'OpenTofu' }, { stack: 'Terraform (ManagedBy=OpenTofu)', logicalId: '' }],
    [{ 'managed-by': 'ana' }, undefined],
    [{ platform: 'tf' }, undefined],
    [{}, undefined],
  ])('%j', (tags, expected) => expect(managed(tags as Record<string, string>)).toEqual(expected));
});

describe('the subject of an email', () => {
  const about = (resource: string, more: Partial<Alert> = {}) =>
    emailSubject({ ...alertAbout(finding, { status: 'open' }), ...more, resource: { arn: resource, type: 'x', ...place } });

  test('says how grave it is, which rule, and what', () => {
    expect(about(arn)).toBe('[high] function-url-open open: orders');
    expect(about('arn:aws:ec2:us-east-1:111122223333:security-group/sg-1')).toBe('[high] function-url-open open: security-group/sg-1');
  });

  // https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
  test.each([
    ['a long name', `${arn}${'x'.repeat(300)}`],
    ['a line break', `${arn}\r\nBcc: everybody@example.com`],
    ['a tab and an escape', `${arn}\t\u001b[2J`],
    ['letters beyond ASCII', `${arn}-größe-注文-\u{1f525}`],
    ['a separator of lines', `${arn}\u2028x\u0085y`],
    ['nothing', ''],
  ])('is one line of ASCII, 100 characters at most: %s', (_, resource) => {
    const subject = about(resource);
    expect(subject).toMatch(/^\[[\x20-\x7e]{0,99}$/);
    expect(about(resource, { rule: 'x\ny' as never })).toMatch(/^[\x20-\x7e]{1,100}$/);
  });
});

describe('the text of an email', () => {
  test('tells what happened, who did it, what was done and how to take it back', () => {
    const alert = alertAbout(
      { ...finding, actor, event, tags: { terraform: 'yes' } },
      { status: 'remediated', change, plan: ['lambda:X {}'] },
    );
    expect(emailText(alert).split('\n')).toEqual([
      'Anyone can invoke it.',
      '',
      'Rule      function-url-open (high): A function URL lets anyone on the internet invoke the function',
      'Status    remediated',
      `Resource  ${arn}`,
      'By        arn:aws:sts::111122223333:assumed-role/Admin/ana (console) from 198.51.100.7',
      'With      CreateFunctionUrlConfig at 2026-11-22T12:00:00Z (event e1)',
      'Managed   Terraform (terraform=yes) : put it right there too, or the next deployment may bring it back',
      '',
      'Done      lambda:UpdateFunctionUrlConfig, lambda:RemovePermission',
      'Undo      npm run guard -- undo c0ffee123456 --for 7d --reason "<why>"',
      '',
      'Planned',
      '  lambda:X {}',
      '',
      'Evidence  {"authType":"NONE"}',
      'Finding   0123456789abcdef0123',
      'About     docs/rules/function-url-open.md',
    ]);
  });

  test.each(['\n', '\r\n', '\u2028', '\u0085', '\u0000'])('has no line that a name or a tag put there (%j)', (separator) => {
    const hostile = `x${separator}Status    resolved${separator}`;
    const plain = emailText(alertAbout({ ...finding, actor, event, tags: { terraform: 'x' } }, { status: 'open', plan: ['a'] }));
    const text = emailText(
      alertAbout(
        {
          ...finding,
          summary: hostile,
          subject: { ...finding.subject, arn: `${arn}${hostile}` },
          actor: { ...actor, arn: hostile, sourceIp: hostile },
          event: { ...event, name: hostile },
          tags: { terraform: hostile },
          evidence: { name: hostile },
        },
        { status: 'open', plan: [hostile] },
      ),
    );
    expect(text.split('\n')).toHaveLength(plain.split('\n').length);
    expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u);
    expect(text.split('\n').filter((line) => line.startsWith('Status'))).toEqual(['Status    open']);
  });

  test('cannot be turned round by signs that nobody sees', () => {
    expect(emailText(alertAbout({ ...finding, summary: 'a\u202egnp.exe' }, { status: 'open' }))).not.toContain('\u202e');
  });
});

test('filter policies find what they need in the attributes', () => {
  expect(filterAttributes(alertAbout(finding, { status: 'open' }))).toEqual({
    kind: 'finding',
    status: 'open',
    rule: 'function-url-open',
    practice: 'apis',
    severity: 'high',
    ...place,
  });
});

describe('a digest', () => {
  const one = (index: number, severity: Finding['severity'], by = false) =>
    alertAbout(
      { ...finding, id: `f${index}`, severity, subject: { ...finding.subject, arn: `${arn}-${index}` }, ...(by ? { actor } : {}) },
      { status: 'open' },
    );

  test('names every critical and high one, and counts the rest', () => {
    const digest = digestOf([one(1, 'low'), one(2, 'high'), one(3, 'critical', true), one(4, 'low'), one(5, 'medium')], 'A sweep', place);
    expectValid(digest);
    expect(digest).toMatchObject({
      kind: 'digest',
      severity: 'critical',
      title: '5 alerts in one',
      summary: 'A sweep: 5 alerts, 2 of them critical or high.',
    });
    expect(digest.evidence).toEqual({
      counts: {
        'function-url-open (low)': 2,
        'function-url-open (high)': 1,
        'function-url-open (critical)': 1,
        'function-url-open (medium)': 1,
      },
      criticalAndHigh: [
        { rule: 'function-url-open', severity: 'high', status: 'open', resource: `${arn}-2`, findingId: 'f2' },
        { rule: 'function-url-open', severity: 'critical', status: 'open', resource: `${arn}-3`, findingId: 'f3', actor: 'ana' },
      ],
    });
    expect(emailSubject(digest)).toMatch(/^\[critical\] \* open: /);
  });

  test('of nothing grave is as grave as the gravest', () => {
    expect(digestOf([one(1, 'low'), one(2, 'medium')], 'why', place).severity).toBe('medium');
    expect(digestOf([one(1, 'low')], 'why', place).severity).toBe('low');
  });
});
