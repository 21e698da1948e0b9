import type { Change } from '../../guard/change.ts';
import { RetryLater } from '../../guard/errors.ts';
import type { Baseline } from '../../guard/estate.ts';
import type { Finding } from '../../guard/finding.ts';
import type { Ledger } from '../../guard/ledger.ts';

const base = 1_790_000_000_000;
const minute = 60_000;
const fn = (name: string) => `arn:aws:lambda:us-east-1:111122223333:function:${name}`;
const roleArn = (name: string) => `arn:aws:iam::111122223333:role/${name}`;

const finding: Finding = {
  id: '0123456789abcdef0123',
  rule: 'function-url-open',
  practice: 'apis',
  severity: 'high',
  title: 'A function URL lets anyone on the internet invoke the function',
  summary: 'Anyone can invoke it.',
  subject: { arn: fn('orders'), type: 'AWS::Lambda::Function', account: '111122223333', region: 'us-east-1' },
  evidence: { authType: 'NONE' },
  tags: {},
  status: 'open',
  opened: 1,
  firstSeen: '2026-09-21T13:46:40.000Z',
  lastSeen: '2026-09-21T13:46:40.000Z',
  openedAt: '2026-09-21T13:46:40.000Z',
  asOf: base,
  cause: 'event 1',
  attempts: 0,
};

const change: Change = {
  id: 'c0ffee123456',
  finding: finding.id,
  rule: finding.rule,
  resource: fn('orders'),
  account: '111122223333',
  region: 'us-east-1',
  steps: [{ call: 'updateFunctionUrlConfig', input: { AuthType: 'AWS_IAM' }, undo: [] }],
  calls: ['lambda:UpdateFunctionUrlConfig'],
  remains: [],
  done: 0,
  status: 'running',
  startedAt: new Date(base).toISOString(),
};

const baseline: Baseline = {
  function: fn('orders'),
  state: 'approved',
  package: { type: 'Zip', sha256: 'aaaa', archive: { bucket: 'archive', key: 'aaaa', version: '1' } },
  approvedHashes: ['aaaa'],
  aliases: { live: { version: '1', weights: {} } },
  by: roleArn('pipeline'),
  at: new Date(base).toISOString(),
  asOf: base,
};

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

/** What every ledger keeps to, whatever it is made of. */
export function ledgerContract(name: string, makeLedger: () => Ledger | Promise<Ledger>): void {
  describe(`${name} keeps the ledger's contract`, () => {
    let ledger: Ledger;
    beforeEach(async () => {
      ledger = await makeLedger();
    });

    describe('findings', () => {
      it('opens a finding that it does not know', async () => {
        expect(await ledger.open(finding)).toEqual({ written: 'changed', finding });
        expect(await ledger.finding(finding.id)).toEqual(finding);
      });

      it('knows a second delivery of the same message', async () => {
        await ledger.open(finding);
        expect(await ledger.open(finding)).toMatchObject({ written: 'again', finding: { opened: 1 } });
      });

      it('leaves an open one as it is', async () => {
        await ledger.open(finding);
        const later = { ...finding, asOf: base + minute, cause: 'event 2', summary: 'seen again' };
        expect(await ledger.open(later)).toEqual({ written: 'unchanged', finding: { ...finding, asOf: later.asOf } });
      });

      it('opens one again that had ended, and counts it', async () => {
        await ledger.open(finding);
        await ledger.resolve(finding.id, { asOf: base + 1, cause: 'event 2' });
        const later = { ...finding, asOf: base + 2, cause: 'event 3', firstSeen: '2026-09-22T00:00:00.000Z' };
        expect(await ledger.open(later)).toMatchObject({
          written: 'changed',
          finding: {
            status: 'open',
            opened: 2,
            firstSeen: finding.firstSeen,
            lastSeen: finding.firstSeen,
            cause: 'event 3',
            asOf: base + 2,
          },
        });
      });

      it('does not believe a reading that is older than what it holds', async () => {
        await ledger.open(finding);
        await ledger.resolve(finding.id, { asOf: base + 10, cause: 'event 2' });
        expect(await ledger.open({ ...finding, asOf: base + 5, cause: 'event 3' })).toMatchObject({
          written: 'stale',
          finding: { status: 'resolved' },
        });
        expect(await ledger.open({ ...finding, status: 'exempt', asOf: base + 5, cause: 'event 3' })).toMatchObject({ written: 'stale' });
        expect(await ledger.resolve(finding.id, { asOf: base + 5, cause: 'event 4' })).toMatchObject({ written: 'unchanged' });
      });

      it('opens what was unknown, and not the other way round', async () => {
        await ledger.open({ ...finding, status: 'unknown' });
        expect(await ledger.open({ ...finding, asOf: base + 1, cause: 'event 2' })).toMatchObject({
          written: 'changed',
          finding: { status: 'open' },
        });
        expect(await ledger.open({ ...finding, status: 'unknown', asOf: base + 2, cause: 'event 3' })).toMatchObject({
          written: 'unchanged',
          finding: { status: 'open' },
        });
      });

      it('does not open a failed one again: somebody has to look', async () => {
        await ledger.open(finding);
        await ledger.setStatus(finding.id, { status: 'failed', cause: 'change 1' });
        expect(await ledger.open({ ...finding, asOf: base + 1, cause: 'event 2' })).toMatchObject({
          written: 'unchanged',
          finding: { status: 'failed' },
        });
      });

      it('exempts an open one, which stays so whatever a checker sees until its exemption ends', async () => {
        await ledger.open(finding);
        expect(await ledger.open({ ...finding, status: 'exempt', asOf: base + 1, cause: 'event 2' })).toMatchObject({
          written: 'changed',
          finding: { status: 'exempt' },
        });
        expect(await ledger.open({ ...finding, status: 'exempt', asOf: base + 2, cause: 'event 3' })).toMatchObject({
          written: 'unchanged',
        });
        expect(await ledger.open({ ...finding, asOf: base + 3, cause: 'event 4' })).toMatchObject({
          written: 'unchanged',
          finding: { status: 'exempt' },
        });
      });

      it('opens an open one again where it has become graver, and not where it has become milder or is being fixed', async () => {
        await ledger.open({ ...finding, severity: 'medium' });
        const graver = { ...finding, severity: 'high' as const, asOf: base + 1, cause: 'event 2' };
        expect(await ledger.open(graver)).toMatchObject({ written: 'changed', finding: { severity: 'high', opened: 2 } });
        expect(await ledger.open({ ...graver, severity: 'low', asOf: base + 2, cause: 'event 3' })).toMatchObject({ written: 'unchanged' });
        await ledger.setStatus(finding.id, { status: 'open', cause: 'change 1', fixing: 'change-1' });
        expect(await ledger.open({ ...graver, severity: 'critical', asOf: base + 3, cause: 'event 4' })).toMatchObject({
          written: 'unchanged',
        });
      });

      it('follows the tags of one that they exempt: another time, no exemption, or an operator instead', async () => {
        const exempt = { ...finding, status: 'exempt' as const, exemptUntil: base + 9 * minute, dueAt: base + 9 * minute };
        expect(await ledger.open(exempt)).toEqual({ written: 'changed', finding: exempt });
        expect(await ledger.open({ ...exempt, asOf: base + 1, cause: 'event 2' })).toMatchObject({ written: 'unchanged' });
        const longer = { ...exempt, exemptUntil: base + 20 * minute, dueAt: base + 20 * minute, asOf: base + 2, cause: 'event 3' };
        expect(await ledger.open(longer)).toMatchObject({ written: 'changed', finding: { exemptUntil: base + 20 * minute, opened: 2 } });
        expect(await ledger.due(base + 10 * minute)).toEqual([]);
        expect(await ledger.open({ ...finding, asOf: base + 1, cause: 'event 1b' })).toMatchObject({ written: 'unchanged' });
        const opened = await ledger.open({ ...finding, asOf: base + 3, cause: 'event 4' });
        expect(opened).toMatchObject({ written: 'changed', finding: { status: 'open', opened: 3 } });
        expect(opened.finding).not.toHaveProperty('exemptUntil');
        expect(opened.finding).not.toHaveProperty('dueAt');
        await ledger.open({ ...exempt, asOf: base + 4, cause: 'event 5' });
        const byOperator = { ...finding, status: 'exempt' as const, asOf: base + 5, cause: 'event 6' };
        expect(await ledger.open(byOperator)).toMatchObject({ written: 'changed' });
        expect(await ledger.open({ ...finding, asOf: base + 6, cause: 'event 7' })).toMatchObject({ written: 'unchanged' });
        expect(await ledger.open({ ...exempt, asOf: base + 7, cause: 'event 8' })).toMatchObject({ written: 'unchanged' });
      });

      it('forgets until when tags exempted it, whatever else becomes of it', async () => {
        const exempt = { ...finding, status: 'exempt' as const, exemptUntil: base + minute, dueAt: base + minute };
        await ledger.open(exempt);
        await ledger.setStatus(finding.id, { status: 'exempt', cause: 'exemption x1' });
        expect(await ledger.finding(finding.id)).not.toHaveProperty('exemptUntil');
        await ledger.open({ ...exempt, id: 'other' });
        const { finding: ended } = await ledger.resolve('other', { asOf: base + 1, cause: 'event 2' });
        expect(ended).toMatchObject({ status: 'resolved' });
        expect(ended).not.toHaveProperty('exemptUntil');
        expect(await ledger.due(base + minute)).toEqual([]);
      });

      it.each(['open', 'partial', 'failed', 'reverted', 'unknown', 'exempt'] as const)('resolves one that is %s', async (status) => {
        await ledger.open(finding);
        await ledger.setStatus(finding.id, { status, cause: 'change 1', dueAt: base });
        expect(await ledger.resolve(finding.id, { asOf: base + 1, cause: 'event 2' })).toMatchObject({
          written: 'changed',
          finding: { status: 'resolved', cause: 'event 2', asOf: base + 1 },
        });
        expect(await ledger.resolve(finding.id, { asOf: base + 1, cause: 'event 2' })).toMatchObject({ written: 'again' });
        expect(await ledger.resolve(finding.id, { asOf: base + 2, cause: 'event 3' })).toMatchObject({ written: 'unchanged' });
        expect(await ledger.due(base + minute)).toEqual([]);
      });

      it('resolves many of one reading, each as it would alone', async () => {
        const ids = ['open', 'ended', 'newer', 'fixing', 'remediated'];
        for (const id of ids) await ledger.open({ ...finding, id, asOf: id === 'newer' ? base + 5 : base });
        const reading = { asOf: base + 1, cause: 'event 2' };
        await ledger.resolve('ended', reading);
        await ledger.setStatus('fixing', { status: 'open', cause: 'change 1', fixing: change.id });
        await ledger.setStatus('remediated', { status: 'remediated', cause: 'change 1' });
        const outcomes = async (cause: string) => {
          const all = await ledger.resolveAll(['nobody', ...ids], { ...reading, cause });
          return all.map(({ written, finding: one }) => `${one?.id} ${one?.status} ${written}`);
        };
        expect(await outcomes('event 2')).toEqual([
          'undefined undefined unchanged',
          'open resolved changed',
          'ended resolved again',
          'newer open stale',
          'fixing open unchanged',
          'remediated remediated unchanged',
        ]);
        expect((await outcomes('event 3')).slice(1, 3)).toEqual(['open resolved unchanged', 'ended resolved unchanged']);
        expect(await ledger.finding('open')).toMatchObject({ cause: 'event 2', asOf: base + 1 });
        expect(await ledger.resolveAll(['remediated'], reading)).toMatchObject([{ written: 'unchanged' }]);
      });

      it('resolves more than DynamoDB reads in one call', async () => {
        const ids = Array.from({ length: 105 }, (_, index) => `f${index}`);
        for (const id of ['f0', 'f104']) await ledger.open({ ...finding, id });
        const all = await ledger.resolveAll(ids, { asOf: base + 1, cause: 'event 2' });
        expect(all.flatMap(({ written }, index) => (written === 'changed' ? [index] : []))).toEqual([0, 104]);
        expect(all).toHaveLength(105);
      });

      it('does not resolve one that is remediated', async () => {
        await ledger.open(finding);
        await ledger.setStatus(finding.id, { status: 'remediated', cause: 'change 1' });
        expect(await ledger.resolve(finding.id, { asOf: base + 1, cause: 'event 2' })).toMatchObject({
          written: 'unchanged',
          finding: { status: 'remediated' },
        });
      });

      it('does not resolve one whose change is under way', async () => {
        await ledger.open(finding);
        await ledger.setStatus(finding.id, { status: 'open', cause: 'change 1', fixing: change.id });
        expect(await ledger.resolve(finding.id, { asOf: base + 1, cause: 'event 2' })).toMatchObject({ written: 'unchanged' });
        await ledger.setStatus(finding.id, { status: 'open', cause: 'change 1' });
        expect(await ledger.resolve(finding.id, { asOf: base + 1, cause: 'event 2' })).toMatchObject({ written: 'changed' });
      });

      it('knows nothing of a finding that was never opened', async () => {
        expect(await ledger.finding('nobody')).toBeUndefined();
        expect(await ledger.resolve('nobody', { asOf: base, cause: 'event 1' })).toEqual({ written: 'unchanged', finding: undefined });
        expect(await ledger.setStatus('nobody', { status: 'failed', cause: 'change 1' })).toBeUndefined();
      });

      it('writes down when one that is wrong was seen again, and nothing else', async () => {
        await ledger.open(finding);
        const later = {
          ...finding,
          lastSeen: new Date(base + minute).toISOString(),
          asOf: base + minute,
          cause: 'event 2',
          summary: 'again',
        };
        const seen = { ...finding, asOf: later.asOf, lastSeen: later.lastSeen };
        expect(await ledger.open(later)).toEqual({ written: 'unchanged', finding: seen });
        expect(await ledger.open({ ...later, asOf: base + 1, lastSeen: finding.lastSeen, cause: 'event 3' })).toEqual({
          written: 'unchanged',
          finding: seen,
        });
        expect(await ledger.finding(finding.id)).toEqual(seen);
      });

      describe('of what a sweep came upon before the event arrived', () => {
        const { event: _, actor: _actor, ...nobody } = finding;
        const swept: Finding = { ...nobody, sweep: 's1', cause: 'sweep s1' };
        const actor = {
          arn: roleArn('admin'),
          issuer: roleArn('admin'),
          issuerId: 'AROAADMIN',
          console: true,
          sourceIp: '198.51.100.7',
          invokedBy: '',
        };
        const opened = Date.parse(finding.openedAt);
        const at = (milliseconds: number) => ({ id: 'e2', name: 'CreateFunctionUrlConfig', time: new Date(milliseconds).toISOString() });
        const byEvent: Finding = { ...nobody, cause: 'event e2', event: at(opened - minute), actor };

        it('says by whom it was, once, whichever of the two looked first', async () => {
          for (const [id, asOf] of [
            ['later', base + minute],
            ['earlier', base - 1],
          ] as const) {
            await ledger.open({ ...swept, id });
            const told = { ...nobody, id, cause: 'event e2', event: byEvent.event, actor, asOf: Math.max(asOf, base) };
            expect(await ledger.open({ ...byEvent, id, asOf })).toEqual({ written: 'changed', finding: told });
            expect(await ledger.open({ ...byEvent, id, asOf })).toEqual({ written: 'again', finding: told });
            expect(await ledger.open({ ...swept, id })).toEqual({ written: 'unchanged', finding: told });
            expect(await ledger.open({ ...byEvent, id, asOf, cause: 'event e3' })).toEqual({ written: 'unchanged', finding: told });
          }
        });

        it('blames nobody who came later, and leaves what is being fixed or was fixed to its fix', async () => {
          await ledger.open(swept);
          expect(await ledger.open({ ...byEvent, event: at(opened + 3 * minute) })).toEqual({ written: 'unchanged', finding: swept });
          await ledger.setStatus(finding.id, { status: 'open', cause: 'change 1', fixing: 'c1' });
          expect(await ledger.open(byEvent)).toMatchObject({ written: 'unchanged', finding: { sweep: 's1' } });
          await ledger.setStatus(finding.id, { status: 'failed', cause: 'change 1' });
          expect(await ledger.open(byEvent)).toMatchObject({ written: 'unchanged', finding: { sweep: 's1' } });
        });
      });

      it.each(['open', 'failed', 'exempt'] as const)(
        'believes no right reading of one that is %s and was seen wrong since',
        async (status) => {
          await ledger.open(finding);
          await ledger.setStatus(finding.id, { status, cause: 'change 1' });
          await ledger.open({ ...finding, asOf: base + 10, cause: 'event 2' });
          expect(await ledger.resolve(finding.id, { asOf: base + 5, cause: 'event 3' })).toMatchObject({
            written: 'stale',
            finding: { status },
          });
          expect(await ledger.resolve(finding.id, { asOf: base + 10, cause: 'event 4' })).toMatchObject({ written: 'changed' });
        },
      );

      it('forgets with a new life of it when it may be fixed and who ordered that, and not when it was', async () => {
        await ledger.open({ ...finding, fixAfter: base, dueAt: base });
        await ledger.setStatus(finding.id, {
          status: 'open',
          cause: 'ordered',
          orderedBy: 'olga',
          fixAfter: base + 1,
          fixes: [base, base + 1],
        });
        const ordered = { orderedBy: 'olga', fixAfter: base + 1, fixes: [base, base + 1] };
        expect(await ledger.finding(finding.id)).toMatchObject(ordered);
        await ledger.setStatus(finding.id, { status: 'remediated', cause: 'change 1', change: change.id, asOf: base + 2 });
        expect(await ledger.finding(finding.id)).toMatchObject({ ...ordered, asOf: base + 2 });
        const { finding: again } = await ledger.open({ ...finding, asOf: base + 3, cause: 'event 2' });
        expect(again).toMatchObject({ opened: 2, fixes: [base, base + 1], change: change.id });
        expect(again).not.toHaveProperty('fixAfter');
        expect(again).not.toHaveProperty('orderedBy');
        await ledger.resolve(finding.id, { asOf: base + 4, cause: 'event 3' });
        const { finding: delayed } = await ledger.open({ ...finding, fixAfter: base + minute, asOf: base + 5, cause: 'event 4' });
        expect(delayed).toMatchObject({ opened: 3, fixAfter: base + minute, fixes: [base, base + 1] });
      });

      it('sets a status only where it is still the one that was read, and nobody has read the subject since', async () => {
        await ledger.open(finding);
        expect(
          await ledger.setStatus(finding.id, { status: 'failed', was: { status: 'remediated', opened: 1 }, cause: 'c' }),
        ).toBeUndefined();
        expect(await ledger.setStatus(finding.id, { status: 'failed', was: { status: 'open', opened: 2 }, cause: 'c' })).toBeUndefined();
        expect(await ledger.setStatus('nobody', { status: 'failed', was: finding, cause: 'c' })).toBeUndefined();
        expect(await ledger.setStatus(finding.id, { status: 'remediated', unreadSince: base - 1, cause: 'change 1' })).toBeUndefined();
        expect(await ledger.finding(finding.id)).toEqual(finding);
        const ended = { status: 'remediated', was: finding, unreadSince: base, cause: 'change 1', opened: 4 } as const;
        expect(await ledger.setStatus(finding.id, ended)).toEqual({ ...finding, status: 'remediated', cause: 'change 1', opened: 4 });
      });

      it.each(['failed', 'reverted'] as const)('leaves one that is %s as it is, until it is another', async (status) => {
        await ledger.open(finding);
        await ledger.setStatus(finding.id, { status, cause: 'change 1' });
        expect(await ledger.open({ ...finding, asOf: base + 1, cause: 'event 2' })).toMatchObject({
          written: 'unchanged',
          finding: { status },
        });
        const another = { ...finding, asOf: base + 2, cause: 'event 3', fingerprint: 'another' };
        expect(await ledger.open(another)).toMatchObject({ written: 'changed', finding: { status: 'open', opened: 2 } });
      });

      it('lists findings by rule and status', async () => {
        await ledger.open(finding);
        await ledger.open({ ...finding, id: 'other', rule: 'role-shared', status: 'unknown' });
        expect((await all(ledger.findings({}))).map(({ id }) => id).sort()).toEqual([finding.id, 'other'].sort());
        expect(await all(ledger.findings({ rule: 'role-shared', status: 'open' }))).toEqual([]);
        expect(await all(ledger.findings({ status: 'open' }))).toEqual([finding]);
      });

      it('reminds of one that is open, and changes nothing else of it', async () => {
        await ledger.open(finding);
        await ledger.setStatus(finding.id, { status: 'open', cause: 'c', fixing: change.id });
        await ledger.remind(finding.id, base + minute);
        expect(await ledger.finding(finding.id)).toEqual({ ...finding, cause: 'c', fixing: change.id, dueAt: base + minute });
        expect(await ledger.due(base + minute)).toMatchObject([{ kind: 'finding', id: finding.id }]);
        await ledger.remind(finding.id, undefined);
        expect(await ledger.finding(finding.id)).toEqual({ ...finding, cause: 'c', fixing: change.id });
        expect(await ledger.due(base + minute)).toEqual([]);
      });

      it('does not remind of one that somebody else has ended meanwhile, or that it does not know', async () => {
        await ledger.remind(finding.id, base);
        expect(await ledger.finding(finding.id)).toBeUndefined();
        await ledger.open(finding);
        await ledger.setStatus(finding.id, { status: 'remediated', cause: 'c' });
        await ledger.remind(finding.id, base);
        expect(await ledger.due(base + minute)).toEqual([]);
      });

      it('keeps what a status change leaves out, but for the time that was due and the change under way', async () => {
        await ledger.open({ ...finding, dueAt: base + minute });
        await ledger.setStatus(finding.id, {
          status: 'open',
          cause: 'change 1',
          change: change.id,
          attempts: 1,
          fixing: change.id,
          dueAt: base,
        });
        expect(await ledger.finding(finding.id)).toMatchObject({ change: change.id, attempts: 1, fixing: change.id, dueAt: base });
        expect(await ledger.setStatus(finding.id, { status: 'remediated', cause: 'change 2' })).toEqual({
          ...finding,
          status: 'remediated',
          cause: 'change 2',
          change: change.id,
          attempts: 1,
        });
      });
    });

    describe('changes', () => {
      it('journals a change once', async () => {
        expect(await ledger.begin(change)).toMatchObject(change);
        expect(await ledger.begin({ ...change, startedAt: new Date(base + minute).toISOString() })).toMatchObject(change);
        expect(await all(ledger.changes())).toHaveLength(1);
        expect(await ledger.change('nobody')).toBeUndefined();
      });

      it('lists those that were begun since a moment, the latest first', async () => {
        for (const [id, at] of [
          ['a', 0],
          ['c', 2],
          ['b', 1],
        ] as const)
          await ledger.begin({ ...change, id, startedAt: new Date(base + at * minute).toISOString() });
        expect((await all(ledger.latestChanges(base + minute))).map(({ id }) => id)).toEqual(['c', 'b']);
        expect(await all(ledger.latestChanges(base + 3 * minute))).toEqual([]);
      });

      it('keeps how far it came', async () => {
        await ledger.begin(change);
        await ledger.progress(change.id, { done: 1, status: 'waiting', dueAt: base + minute });
        expect(await ledger.change(change.id)).toMatchObject({ done: 1, status: 'waiting', dueAt: base + minute });
        await ledger.progress(change.id, { status: 'done' });
        expect(await ledger.change(change.id)).toMatchObject({ done: 1, status: 'done' });
        expect(await ledger.due(base + 60 * minute)).toEqual([]);
      });

      it('does not let a worker who is late write over what another has done', async () => {
        await ledger.begin(change);
        expect(await ledger.progress(change.id, { done: 2, status: 'waiting', dueAt: base }, ['running', 'waiting'])).toBe(true);
        expect(await ledger.progress(change.id, { done: 1, status: 'running', dueAt: base }, ['running', 'waiting'])).toBe(false);
        expect(await ledger.progress(change.id, { done: 2, status: 'running', dueAt: base }, ['running', 'waiting'])).toBe(true);
        expect(await ledger.progress(change.id, { status: 'done' })).toBe(true);
        expect(await ledger.progress(change.id, { done: 3, status: 'waiting', dueAt: base }, ['running', 'waiting'])).toBe(false);
        expect(await ledger.progress('nothing', { status: 'done' })).toBe(false);
        expect(await ledger.change(change.id)).toMatchObject({ done: 2, status: 'done' });
        expect(await ledger.due(base + minute)).toEqual([]);
      });

      it('sends a change on again whose remediator was killed', async () => {
        await ledger.begin({ ...change, dueAt: base + 15 * minute });
        expect(await ledger.due(base + minute)).toEqual([]);
        expect(await ledger.due(base + 60 * minute)).toMatchObject([{ kind: 'change', id: change.id, rule: change.rule }]);
      });
    });

    it('gives a lock to one holder at a time', async () => {
      expect(await ledger.lock('arn', 'one', base, minute)).toBe(true);
      expect(await ledger.lock('arn', 'one', base, minute)).toBe(true);
      expect(await ledger.lock('arn', 'two', base, minute)).toBe(false);
      await ledger.unlock('arn', 'two');
      expect(await ledger.lock('arn', 'two', base, minute)).toBe(false);
      expect(await ledger.lock('arn', 'two', base + 2 * minute, minute)).toBe(true);
      await ledger.unlock('arn', 'two');
      expect(await ledger.lock('arn', 'one', base + 2 * minute, minute)).toBe(true);
    });

    it('keeps switches until they are taken back', async () => {
      expect(await ledger.switches()).toEqual({ paused: false, modes: {} });
      await ledger.setSwitch('paused', 'yes', 'operator');
      await ledger.setSwitch('mode:role-shared', 'alert', 'operator');
      expect(await ledger.switches()).toEqual({ paused: true, modes: { 'role-shared': 'alert' } });
      await ledger.setSwitch('paused', undefined, 'operator');
      expect(await ledger.switches()).toEqual({ paused: false, modes: { 'role-shared': 'alert' } });
    });

    it('finds an exemption by rule, ARN glob and time', async () => {
      const exemption = {
        id: 'e1',
        rule: 'role-shared',
        resource: fn('order*'),
        reason: 'migration',
        owner: 'shop',
        expires: base + minute,
        by: 'operator',
      };
      await ledger.addExemption(exemption);
      expect(await ledger.exemption('role-shared', fn('orders'), base)).toMatchObject(exemption);
      expect(await ledger.exemption('role-shared', fn('stock'), base)).toBeUndefined();
      expect(await ledger.exemption('function-url-open', fn('orders'), base)).toBeUndefined();
      expect(await ledger.exemption('role-shared', fn('orders'), base + minute)).toBeUndefined();
      expect(await ledger.due(base + minute)).toEqual([{ kind: 'exemption', id: 'e1', rule: 'role-shared', dueAt: base + minute }]);
      await ledger.removeExemption('e1');
      expect(await all(ledger.exemptions())).toEqual([]);
    });

    it('lets one tick send on what is due', async () => {
      await ledger.open({ ...finding, dueAt: base + minute });
      expect(await ledger.due(base)).toEqual([]);
      const [due] = await ledger.due(base + minute);
      if (due === undefined) throw new Error('nothing is due');
      expect(due).toEqual({ kind: 'finding', id: finding.id, rule: finding.rule, dueAt: base + minute });
      expect(await ledger.postpone(due, base + 2 * minute)).toBe(true);
      expect(await ledger.postpone(due, base + 2 * minute)).toBe(false);
      expect(await ledger.due(base + minute)).toEqual([]);
      expect(await ledger.postpone({ ...due, dueAt: base + 2 * minute }, undefined)).toBe(true);
      expect(await ledger.due(base + 9 * minute)).toEqual([]);
    });

    it('counts an alert once, and knows when it was sent', async () => {
      expect(await ledger.announce('a', 'minute', base)).toEqual({ bucket: 'minute', count: 1, sent: false });
      // Whoever began to send it may still do so; whoever has not within a minute is dead.
      await expect(ledger.announce('a', 'minute', base + minute - 1)).rejects.toThrow(RetryLater);
      expect(await ledger.announce('a', 'the next minute', base + minute)).toEqual({ bucket: 'minute', count: 1, sent: false });
      await expect(ledger.announce('a', 'minute', base + minute)).rejects.toThrow(RetryLater);
      expect(await ledger.announce('b', 'minute', base)).toEqual({ bucket: 'minute', count: 2, sent: false });
      expect(await ledger.announce('a', 'the next minute', base + 2 * minute)).toEqual({ bucket: 'minute', count: 1, sent: false });
      await ledger.markSent('a');
      expect(await ledger.announce('a', 'minute', base)).toMatchObject({ sent: true });
      expect(await ledger.announce('a', 'another', base + 2 * minute)).toMatchObject({ bucket: 'minute', sent: true });
      expect(await ledger.announce('c', 'another minute', base)).toEqual({ bucket: 'another minute', count: 1, sent: false });
    });

    it('holds alerts back for a digest', async () => {
      await ledger.hold('minute', 'a', { title: 'one' }, base + minute);
      await ledger.hold('minute', 'b', { title: 'two' }, base + 2 * minute);
      await ledger.hold('minute', 'b', { title: 'two' }, base + 2 * minute);
      expect(await ledger.due(base + minute)).toEqual([]);
      expect(await ledger.due(base + 2 * minute)).toMatchObject([{ kind: 'digest', id: 'minute', dueAt: base + 2 * minute }]);
      expect(await all(ledger.held('minute'))).toEqual([
        { key: 'a', alert: { title: 'one' } },
        { key: 'b', alert: { title: 'two' } },
      ]);
      expect(await ledger.isHeld('minute', 'a')).toBe(true);
      await ledger.release('minute', ['a']);
      expect([await ledger.isHeld('minute', 'a'), await ledger.isHeld('another', 'b')]).toEqual([false, false]);
      expect(await all(ledger.held('minute'))).toEqual([{ key: 'b', alert: { title: 'two' } }]);
      expect(await ledger.announce('a', 'another minute', base + 60 * minute)).toMatchObject({ sent: true });
      expect(await ledger.due(base + 2 * minute)).toMatchObject([{ kind: 'digest', id: 'minute' }]);
      await ledger.release('minute', ['b']);
      expect(await all(ledger.held('minute'))).toEqual([]);
      expect(await ledger.due(base + 9 * minute)).toEqual([]);
    });

    describe('roles', () => {
      const record = (name: string, asOf: number, role: string, ...liveRoles: string[]) =>
        ledger.recordRoles({ function: fn(name), asOf, role: roleArn(role), liveRoles: liveRoles.map(roleArn) });
      const users = async (role: string) => (await ledger.longestUsers(roleArn(role))).map(({ function: name }) => name.split(':').at(-1));

      it('knows the two functions that use a role longest', async () => {
        await record('c', base + 2, 'shared');
        await record('b', base + 1, 'shared');
        await record('a', base + 1, 'shared');
        expect(await users('shared')).toEqual(['a', 'b']);
        expect(await users('nobody')).toEqual([]);
      });

      it('keeps since when a role is used, whatever else changes', async () => {
        await record('a', base, 'shared');
        await record('b', base + 1, 'shared');
        expect(await record('a', base + 5, 'shared')).toEqual({ left: [], stale: false });
        expect(await users('shared')).toEqual(['a', 'b']);
        expect(await ledger.longestUsers(roleArn('shared'))).toMatchObject([{ since: base, only: true }, { since: base + 1 }]);
      });

      it('tells which roles a function has left', async () => {
        await record('a', base, 'old', 'older');
        expect(await record('a', base + 1, 'new', 'old')).toEqual({ left: [roleArn('older')], stale: false });
        expect(await users('old')).toEqual(['a']);
        expect(await users('older')).toEqual([]);
        expect(await record('a', base + 2, 'new')).toEqual({ left: [roleArn('old')], stale: false });
        expect(await users('old')).toEqual([]);
      });

      it('does not let an older observation overwrite a newer one', async () => {
        await record('a', base + 9, 'new');
        expect(await record('a', base, 'old')).toEqual({ left: [], stale: true });
        expect(await users('old')).toEqual([]);
        expect(await ledger.forgetRoles(fn('a'), base)).toEqual({ left: [] });
        expect(await users('new')).toEqual(['a']);
      });

      it('forgets a function', async () => {
        await record('a', base, 'new', 'old');
        expect((await ledger.forgetRoles(fn('a'), base + 1)).left.toSorted()).toEqual([roleArn('new'), roleArn('old')]);
        expect(await users('new')).toEqual([]);
        expect(await users('old')).toEqual([]);
        expect(await ledger.forgetRoles(fn('a'), base + 1)).toEqual({ left: [] });
      });
    });

    describe('network', () => {
      const record = (name: string, asOf: number, groups: string[], subnets: string[] = []) =>
        ledger.recordNetwork({ function: fn(name), asOf, groups, subnets });

      it('knows the functions in a group or subnet', async () => {
        await record('b', base, ['sg-1', 'sg-2'], ['subnet-1']);
        await record('a', base, ['sg-1']);
        expect(await ledger.functionsIn('sg-1')).toEqual([fn('a'), fn('b')]);
        expect(await ledger.functionsIn('subnet-1')).toEqual([fn('b')]);
        expect(await ledger.functionsIn('sg-3')).toEqual([]);
      });

      it('names at most ten functions', async () => {
        for (let index = 0; index < 12; index += 1) await record(`f${index}`, base, ['sg-1']);
        expect(await ledger.functionsIn('sg-1')).toHaveLength(10);
      });

      it('tells what a function has left', async () => {
        await record('a', base, ['sg-1'], ['subnet-1']);
        expect(await record('a', base + 1, ['sg-2'], ['subnet-1'])).toEqual({ left: ['sg-1'], stale: false });
        expect(await ledger.functionsIn('sg-1')).toEqual([]);
        expect(await record('a', base + 2, ['sg-2'], ['subnet-1'])).toEqual({ left: [], stale: false });
      });

      it('does not let an older observation overwrite a newer one', async () => {
        await record('a', base + 9, ['sg-2']);
        expect(await record('a', base, ['sg-1'])).toEqual({ left: [], stale: true });
        expect(await ledger.forgetNetwork(fn('a'), base)).toEqual({ left: [] });
        expect(await ledger.functionsIn('sg-2')).toEqual([fn('a')]);
      });

      it('forgets a function', async () => {
        await record('a', base, ['sg-1'], ['subnet-1']);
        expect((await ledger.forgetNetwork(fn('a'), base + 1)).left.toSorted()).toEqual(['sg-1', 'subnet-1']);
        expect(await ledger.functionsIn('sg-1')).toEqual([]);
        expect(await ledger.forgetNetwork(fn('a'), base + 1)).toEqual({ left: [] });
      });
    });

    describe('secrets', () => {
      const arn = (name: string) => `arn:aws:secretsmanager:us-east-1:111122223333:secret:${name}`;
      const record = (name: string, asOf: number, ...secrets: string[]) =>
        ledger.recordSecrets({ function: fn(name), asOf, secrets: secrets.map(arn) });

      it('knows who reads a secret, named whole or without the characters at its end', async () => {
        await record('b', base, 'prod/db-a1B2c3');
        await record('a', base, 'prod/db', 'prod/mail-d4E5f6');
        expect(await ledger.functionsReading(arn('prod/db-a1B2c3'))).toEqual([fn('a'), fn('b')]);
        expect(await ledger.functionsReading(arn('prod/mail-d4E5f6'))).toEqual([fn('a')]);
        expect(await ledger.functionsReading(arn('prod/db-x9Y8z7'))).toEqual([fn('a')]);
        expect(await ledger.functionsReading(arn('prod/other-a1B2c3'))).toEqual([]);
      });

      it('tells what a function reads no more, and keeps the newest', async () => {
        await record('a', base, 'one-a1B2c3', 'two-a1B2c3');
        expect(await record('a', base + 1, 'two-a1B2c3')).toEqual({ left: [arn('one-a1B2c3')], stale: false });
        expect(await record('a', base, 'one-a1B2c3')).toEqual({ left: [], stale: true });
        expect(await ledger.functionsReading(arn('one-a1B2c3'))).toEqual([]);
        expect(await all(ledger.functionsRecorded())).toEqual([fn('a')]);
        expect(await ledger.forgetSecrets(fn('a'), base + 2)).toEqual({ left: [arn('two-a1B2c3')] });
        expect(await ledger.functionsReading(arn('two-a1B2c3'))).toEqual([]);
        expect(await ledger.forgetSecrets(fn('a'), base + 2)).toEqual({ left: [] });
      });
    });

    describe('what functions need of the network', () => {
      const record = (name: string, asOf: number, places: string[], needs: unknown = [name]) =>
        ledger.recordNeeds({ function: fn(name), asOf, places, needs });

      it('is known by its parts', async () => {
        await record('b', base, ['rtb-1', 'nat-1']);
        await record('a', base, ['rtb-1'], { destinations: ['internet'] });
        expect(await ledger.needing('rtb-1')).toEqual([
          { function: fn('a'), needs: { destinations: ['internet'] } },
          { function: fn('b'), needs: ['b'] },
        ]);
        expect(await ledger.needing('nat-1')).toEqual([{ function: fn('b'), needs: ['b'] }]);
        expect(await ledger.needing('nat-2')).toEqual([]);
      });

      it('is what was seen last', async () => {
        await record('a', base, ['rtb-1', 'nat-1'], 1);
        await record('a', base + 1, ['rtb-1', 'rtb-2'], 2);
        await record('a', base, ['rtb-3'], 0);
        expect(await ledger.needing('rtb-1')).toEqual([{ function: fn('a'), needs: 2 }]);
        expect(await ledger.needing('nat-1')).toEqual([]);
        expect(await ledger.needing('rtb-3')).toEqual([]);
      });

      it('is nothing for a function that declares nothing any more', async () => {
        await record('never', base, []);
        await record('a', base, ['rtb-1']);
        await record('a', base + 1, []);
        expect(await ledger.needing('rtb-1')).toEqual([]);
      });
    });

    it('keeps how a subject was while it kept a rule, the newest, and writes the same only once', async () => {
      const state = { subnets: ['subnet-1'], groups: ['sg-1'] };
      expect(await ledger.kept('function-outside-vpc', fn('orders'))).toBeUndefined();
      await ledger.recordKept('function-outside-vpc', fn('orders'), { state, asOf: base });
      await ledger.recordKept('function-outside-vpc', fn('orders'), { state: { subnets: [], groups: [] }, asOf: base - 1 });
      await ledger.recordKept('layer-foreign', fn('orders'), { state: ['other rule'], asOf: base + 9 });
      expect(await ledger.kept('function-outside-vpc', fn('orders'))).toEqual({ state, asOf: base });
      await ledger.recordKept('function-outside-vpc', fn('orders'), { state, asOf: base + 1 });
      expect(await ledger.kept('function-outside-vpc', fn('orders'))).toEqual({ state, asOf: base });
      const moved = { state: { ...state, subnets: ['subnet-2'] }, asOf: base + 2 };
      await ledger.recordKept('function-outside-vpc', fn('orders'), moved);
      expect(await ledger.kept('function-outside-vpc', fn('orders'))).toEqual(moved);
    });

    it('keeps the newest baseline of a function', async () => {
      expect(await ledger.baseline(fn('orders'))).toBeUndefined();
      await ledger.recordBaseline(baseline);
      await ledger.recordBaseline({ ...baseline, state: 'observed', asOf: base - 1 });
      expect(await ledger.baseline(fn('orders'))).toEqual(baseline);
      await ledger.recordBaseline({ ...baseline, state: 'observed', asOf: base + 1 });
      expect(await ledger.baseline(fn('orders'))).toMatchObject({ state: 'observed' });
    });

    it('lets no worker write over a baseline that another wrote after both had read it', async () => {
      expect(await ledger.recordBaseline({ ...baseline, revision: 1 })).toBe(true);
      expect(await ledger.recordBaseline({ ...baseline, revision: 2, by: 'first' })).toBe(true);
      expect(await ledger.recordBaseline({ ...baseline, revision: 2, by: 'second' })).toBe(false);
      expect(await ledger.recordBaseline({ ...baseline, revision: 3, asOf: base - 1 })).toBe(false);
      expect(await ledger.baseline(fn('orders'))).toMatchObject({ revision: 2, by: 'first' });
    });

    it('keeps the baseline of a function that is gone, and lists it no longer until it is back', async () => {
      await ledger.forgetBaseline(fn('never'), base);
      await ledger.recordBaseline(baseline);
      await ledger.forgetBaseline(fn('orders'), base);
      expect(await ledger.baseline(fn('orders'))).toEqual(baseline);
      expect(await all(ledger.functionsRecorded())).toEqual([]);
      await ledger.recordBaseline({ ...baseline, state: 'observed' });
      expect(await all(ledger.functionsRecorded())).toEqual([fn('orders')]);
    });

    it('lists every function that it has recorded, once', async () => {
      await ledger.recordRoles({ function: fn('a'), asOf: base, role: roleArn('r'), liveRoles: [roleArn('s')] });
      await ledger.recordNetwork({ function: fn('a'), asOf: base, groups: ['sg-1'], subnets: [] });
      await ledger.recordNetwork({ function: fn('b'), asOf: base, groups: ['sg-1'], subnets: [] });
      await ledger.recordBaseline({ ...baseline, function: fn('c') });
      expect((await all(ledger.functionsRecorded())).toSorted()).toEqual([fn('a'), fn('b'), fn('c')]);
    });

    it('knows the latest sweep', async () => {
      expect(await ledger.lastSweep()).toBeUndefined();
      expect(await ledger.recordSweep('s1', base)).toBe(true);
      expect(await ledger.recordSweep('s0', base - 1)).toBe(false);
      expect(await ledger.lastSweep()).toEqual({ id: 's1', startedAt: base });
    });

    it('spends a budget within any window, the same thing once', async () => {
      const spend = (what: string, now: number) => ledger.spend('changes', what, 2, minute, now);
      expect([await spend('a', base), await spend('a', base + 1), await spend('b', base + 2), await spend('c', base + 3)]).toEqual([
        true,
        true,
        true,
        false,
      ]);
      expect(await spend('c', base + minute)).toBe(true);
      expect(await spend('d', base + minute + 1)).toBe(false);
      expect(await ledger.spend('others', 'c', 1, minute, base)).toBe(true);
    });

    it('spends no more of a budget than there is where two spend at once: one of them comes back', async () => {
      const spend = (what: string) => ledger.spend('changes', what, 3, minute, base).catch((error: unknown) => error);
      const spent = new Set<string>();
      for (let round = 0; round < 4; round += 1) {
        const things = ['a', 'b', 'c', 'd', 'e'].filter((thing) => !spent.has(thing));
        const answers = await Promise.all(things.map(spend));
        for (const [index, answer] of answers.entries()) {
          if (typeof answer !== 'boolean') expect(answer).toBeInstanceOf(RetryLater);
          if (answer === true) spent.add(things[index] ?? '');
        }
      }
      expect(spent.size).toBe(3);
      for (const thing of ['a', 'b', 'c', 'd', 'e']) expect(await spend(thing)).toBe(spent.has(thing));
    });

    it('leases a quota: whoever comes later has a later turn, and none beyond a limit', async () => {
      const lease = (now: number) => ledger.lease('lambda', 5, 5, now, 2_000);
      expect([await lease(base), await lease(base), await lease(base), await lease(base), await lease(base)]).toEqual([
        base,
        base + 1_000,
        base + 2_000,
        undefined,
        undefined,
      ]);
      // What was refused was not promised away either.
      expect([await lease(base + 1_000), await lease(base + 1_000)]).toEqual([base + 3_000, undefined]);
      expect(await lease(base + 60_000)).toBe(base + 60_000);
      const last = (now: number) => ledger.lease('apigateway', 3, 3, now, 0);
      expect([await last(base), await last(base), await last(base + 1_000)]).toEqual([base, undefined, base + 1_000]);
    });
  });
}
