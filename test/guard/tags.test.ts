import { readEvent } from '../../guard/cloudtrail.ts';
import type { Severity } from '../../guard/finding.ts';
import { causeByTags, exemptionByTags, retagged } from '../../guard/tags.ts';
import { sample } from '../support/events.ts';
import { orders, place } from './bench.ts';

const now = Date.parse('2026-11-22T12:00:00.000Z');
const tags = {
  'compliance-guard:exempt': 'function-url-open',
  'compliance-guard:exempt-until': '2027-01-31',
  'compliance-guard:exempt-reason': 'public by design',
};

function judged(
  changed: Readonly<Record<string, string>>,
  { severity = 'high', allowTagExemptions = true }: { severity?: Severity; allowTagExemptions?: boolean } = {},
) {
  return exemptionByTags({ rule: 'function-url-open', severity, tags: { ...tags, ...changed } }, { allowTagExemptions }, now);
}

describe('tags exempt', () => {
  test.each([
    ['one rule', {}],
    ['one of several, apart by commas', { 'compliance-guard:exempt': 'role-shared,function-url-open' }],
    ['one of several, apart by spaces', { 'compliance-guard:exempt': ' role-shared  function-url-open ' }],
  ])('%s', (_, changed) => {
    expect(judged(changed)).toEqual({ until: Date.parse('2027-01-31T00:00:00Z'), reason: 'public by design' });
  });

  test('until a moment, if they say one, and for a year at most', () => {
    expect(judged({ 'compliance-guard:exempt-until': '2026-11-22T13:30:00Z' })).toMatchObject({ until: now + 90 * 60_000 });
    expect(judged({ 'compliance-guard:exempt-until': '2027-11-23' })).toHaveProperty('until');
    expect(judged({ 'compliance-guard:exempt-until': '2027-11-24' })).toHaveProperty('refused');
  });

  test.each([
    ['of another rule', { 'compliance-guard:exempt': 'role-shared' }],
    ['whose name only begins so', { 'compliance-guard:exempt': 'function-url-opened' }],
    ['of every rule at once', { 'compliance-guard:exempt': '*' }],
    ['of none', { 'compliance-guard:exempt': '' }],
  ])('nothing by a list %s', (_, changed) => {
    expect(judged(changed)).toBeUndefined();
  });

  test('nothing where there are none', () => {
    expect(exemptionByTags({ rule: 'constructor', severity: 'low', tags: {} }, { allowTagExemptions: true }, now)).toBeUndefined();
  });
});

describe('tags do not count, and a sentence says why', () => {
  test.each([
    ['no date', { 'compliance-guard:exempt-until': '' }, 'has to hold a date such as 2027-01-31'],
    ['words', { 'compliance-guard:exempt-until': 'next spring' }, 'has to hold a date'],
    ['a day that there is not', { 'compliance-guard:exempt-until': '2027-02-30' }, 'has to hold a date'],
    ['a date as Americans write it', { 'compliance-guard:exempt-until': '01/31/2027' }, 'has to hold a date'],
    ['a date that is over', { 'compliance-guard:exempt-until': '2026-11-22' }, 'compliance-guard:exempt-until is over'],
    ['a date far ahead', { 'compliance-guard:exempt-until': '2036-01-01' }, 'lies more than a year ahead'],
    ['no reason', { 'compliance-guard:exempt-reason': '' }, 'compliance-guard:exempt-reason has to say why'],
    ['hardly a reason', { 'compliance-guard:exempt-reason': ' x ' }, 'has to say why'],
  ])('%s', (_, changed, why) => {
    const verdict = judged(changed) as { refused: string };
    expect(verdict.refused).toMatch(/^Its tag compliance-guard:exempt does not count: .*\.$/);
    expect(verdict.refused).toContain(why);
  });

  test('a critical finding, and a stack that does not allow it', () => {
    expect(judged({}, { severity: 'critical' })).toMatchObject({
      refused: expect.stringContaining('only an operator exempts from a critical finding'),
    });
    expect(judged({}, { allowTagExemptions: false })).toMatchObject({ refused: expect.stringContaining('AllowTagExemptions') });
  });
});

test('the cause names the tag and the message', () => {
  expect(causeByTags('event e1')).toBe('tag compliance-guard:exempt, event e1');
});

describe('whose tags an event changed', () => {
  const of = (path: string, detail: object = {}) => {
    const read = readEvent(sample(path, { detail }), place);
    if ('ignored' in read) throw new Error(read.ignored);
    return retagged(read.event).map(({ arn }) => arn);
  };
  const group = 'arn:aws:ec2:us-east-1:111122223333:security-group/sg-0a1b2c3d4e5f60718';

  test.each([
    ['TagResource20170331v2/exempt.json', orders],
    ['UntagResource20170331v2/exempt.json', orders],
    ['CreateTags/security-group.json', group],
    ['DeleteTags/security-group.json', group],
  ])('%s', (path, arn) => {
    expect(of(path)).toEqual([arn]);
  });

  test('nobody of whom the guard reads no tag that was changed', () => {
    expect(of('TagResource20170331v2/exempt.json', { requestParameters: { tags: undefined } })).toEqual([orders]);
    expect(of('UntagResource20170331v2/exempt.json', { requestParameters: { tagKeys: ['team'] } })).toEqual([]);
    expect(of('UntagResource20170331v2/exempt.json', { requestParameters: { tagKeys: ['team', 'compliance-guard:exempt'] } })).toEqual([
      orders,
    ]);
    expect(of('DeleteTags/security-group.json', { requestParameters: { tagSet: { items: [{ key: 'team' }] } } })).toEqual([]);
  });

  test('every group, where all its tags are taken away at once, and nothing else of EC2', () => {
    const resourcesSet = { items: [{ resourceId: 'i-1' }, { resourceId: 'sg-1' }, { resourceId: 'sg-2' }] };
    expect(of('DeleteTags/security-group.json', { requestParameters: { resourcesSet, tagSet: undefined } })).toEqual([
      group.replace(/sg-.*/, 'sg-1'),
      group.replace(/sg-.*/, 'sg-2'),
    ]);
    expect(of('DeleteTags/security-group.json', { requestParameters: { resourcesSet: {}, tagSet: {} } })).toHaveLength(1);
  });

  test('no other resource of Lambda, no other operation, nothing that cannot be read', () => {
    const resource = 'arn:aws:lambda:us-east-1:111122223333:code-signing-config:csc-1';
    expect(of('TagResource20170331v2/exempt.json', { requestParameters: { resource } })).toEqual([]);
    expect(of('TagResource20170331v2/exempt.json', { requestParameters: { resource: 7 } })).toEqual([]);
    expect(of('TagResource20170331v2/exempt.json', { eventName: 'UpdateAlias20150331' })).toEqual([]);
    expect(of('CreateTags/security-group.json', { eventName: 'CreateTagsOfSomething' })).toEqual([]);
    expect(of('DeleteTags/security-group.json', { requestParameters: { tagSet: { items: 'all' } } })).toEqual([]);
  });
});
