import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { source as axe } from 'axe-core';
import type { Browser, Locator, Page } from 'playwright-core';
import { type Report, reportOfScan } from '../../../cli/report/model.ts';
import { page as written } from '../../../cli/report/page.ts';
import type { Severity } from '../../../guard/finding.ts';
import { sampleReport, sampleScan } from '../../../scripts/generate/sample.ts';
import { openBrowser } from '../../support/browser.ts';

// The report as its readers have it: in a real browser, without a network.

const root = join(import.meta.dirname, '../../..');

// Two workers and a browser share the cores of a small machine.
jest.setTimeout(90_000);

let browser: Browser;
beforeAll(async () => {
  browser = await openBrowser();
});
afterAll(async () => await browser?.close());

/** A link has led there, give or take a line: what is above is laid out when it is seen, and may move it a little. */
async function atTheTop(part: Locator): Promise<void> {
  let y: number | undefined;
  for (let tries = 0; tries < 50; tries += 1) {
    y = (await part.boundingBox())?.y;
    if (y !== undefined && Math.abs(y - 16) < 24) return;
    await setTimeout(100);
  }
  throw new Error(`It is at ${y}, and not at the top.`);
}

interface Opened {
  readonly page: Page;
  /** Whatever the browser complained of, and every request that left the page. */
  readonly complaints: string[];
}

async function opened(report: Report, options: Parameters<Browser['newContext']>[0] = {}): Promise<Opened> {
  const context = await browser.newContext({ viewport: { width: 1180, height: 900 }, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('dialog', (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    dialog.dismiss().catch(() => undefined);
  });
  await context.route('**/*', async (route) => {
    if (route.request().url() === 'https://report.example/') await route.fulfill({ contentType: 'text/html', body: written(report) });
    else {
      complaints.push(`request: ${route.request().url()}`);
      await route.abort();
    }
  });
  await page.goto('https://report.example/');
  return { page, complaints };
}

const shown = async (page: Page) => await page.locator('article.finding:visible h3').allTextContents();
const count = async (page: Page) => await page.locator('#count').textContent();

const fix = { rule: 'function-url-open', resource: 'arn:aws:lambda:eu-central-1:111122223333:function:status-page', plan: [] };
const [{ findingId } = { findingId: '' }] = sampleScan.findings.filter(({ rule }) => rule === fix.rule);
const replayed = reportOfScan({
  ...sampleScan,
  replay: {
    fixes: [{ ...fix, findingId, at: '2026-11-20T12:00:00.000Z', refused: 'It is in NeverTouch.' }],
    rules: [],
    period: { from: '2026-11-01T00:00:00Z', to: '2026-11-21T09:00:00Z' },
    files: 30,
    ledgerCalls: 0,
  },
});

const cases: readonly (readonly [string, Report])[] = [
  ["of the ledger's", sampleReport],
  ['of a scan', reportOfScan(sampleScan)],
  ['of a replay', replayed],
  ['of nothing', reportOfScan({ ...sampleScan, findings: [], unknown: [] })],
];

describe.each(cases)('the report %s', (_, report) => {
  test.each(['light', 'dark'] as const)(
    'has nothing that axe complains of (%s)',
    async (colorScheme) => {
      // High enough for all of it: what is not on the screen is not laid out, and axe would pass it over.
      const { page, complaints } = await opened(report, { colorScheme, viewport: { width: 1180, height: 20_000 } });
      // The page's own policy allows no foreign script: axe comes by the debugger.
      const session = await page.context().newCDPSession(page);
      await session.send('Runtime.evaluate', { expression: axe });
      const { result } = await session.send('Runtime.evaluate', {
        expression:
          "axe.run({ resultTypes: ['violations'] }).then(({ violations, passes }) => JSON.stringify({ passed: passes.length, violations: violations.map(({ id, nodes }) => [id, ...nodes.slice(0, 3).map(({ html }) => html)]) }))",
        awaitPromise: true,
        returnByValue: true,
      });
      const { passed, violations } = JSON.parse(String(result.value));
      expect(violations).toEqual([]);
      expect(passed).toBeGreaterThan(10);
      expect(complaints).toEqual([]);
      await page.context().close();
    },
    60_000,
  );
});

test('says what is open, by practice, with pictures that say the same in words', async () => {
  const { page, complaints } = await opened(sampleReport);
  expect(await page.locator('h1').textContent()).toBe('13 findings are open, 3 of them critical');
  expect(await page.locator('.figures li').allInnerTexts()).toEqual(
    ['3 critical', '6 high', '2 medium', '2 low', '1 could not be read'].map((text) => expect.stringMatching(text.replace(' ', '\\s+'))),
  );
  const secrets = page.getByRole('row', { name: /^Secrets/ });
  expect(await secrets.locator('th, td').allInnerTexts()).toEqual(['Secrets', '0 of 3 (1 not known)', '', '1', '0', '1', '0']);
  await expect(
    page.getByRole('img', { name: /^Open findings by age\. under a day: 2 \(1 critical, 1 high\); .*over 90 days: 5/ }).count(),
  ).resolves.toBe(1);
  await expect(
    page.getByRole('img', { name: /^Times .*to detect: half within 47 s, .*; to fix: half within 17 min/ }).count(),
  ).resolves.toBe(1);
  expect(await page.locator('#changes ~ div tbody tr').count()).toBe(4);
  expect(await page.locator('#exemptions ~ div tbody tr').allInnerTexts()).toEqual([
    expect.stringMatching(/in 9 days/),
    expect.stringMatching(/in 64 days/),
  ]);
  // Every picture has something in it.
  for (const box of await page.locator('svg.chart rect, svg.chart circle').all())
    expect((await box.boundingBox())?.height).toBeGreaterThan(0);
  expect(complaints).toEqual([]);
  await page.context().close();
});

test('each finding has its evidence, its plan, and the way to put it right by hand', async () => {
  const { page } = await opened(reportOfScan(sampleScan));
  const finding = page.getByRole('article', { name: 'status-page' });
  expect(await finding.textContent()).toMatch(/authType\s*NONE/);
  expect(await finding.locator('ol.plan li').allTextContents()).toEqual([
    expect.stringMatching(/^lambda:UpdateFunctionUrlConfig/),
    expect.stringMatching(/^lambda:RemovePermission/),
  ]);
  await finding.getByRole('link', { name: 'How to put it right by hand' }).click();
  const about = page.getByRole('region', { name: 'function-url-open' });
  expect(await about.textContent()).toContain("It sets the URL's AuthType to AWS_IAM");
  await atTheTop(about);
  await page.context().close();
});

test('a replay says what would have been fixed, and why not', async () => {
  const { page } = await opened(replayed);
  expect(await page.locator('h1').textContent()).toContain('findings in what is replayed');
  expect(await page.locator('.lead').textContent()).toContain(
    'From a replay of 30 log files, 2026-11-01 00:00 UTC to 2026-11-21 09:00 UTC',
  );
  const row = page.getByRole('region', { name: 'What would have been fixed' }).getByRole('row', { name: /Not made: It is in NeverTouch/ });
  await row.getByRole('link', { name: 'status-page' }).click();
  await atTheTop(page.getByRole('article', { name: 'status-page' }));
  await page.context().close();
});

describe('the filters', () => {
  test('by severity, practice, rule and text, together and back', async () => {
    const { page, complaints } = await opened(sampleReport);
    const all = await shown(page);
    expect(all).toHaveLength(13);
    await page.getByRole('checkbox', { name: 'low' }).uncheck();
    await page.getByRole('checkbox', { name: 'medium' }).uncheck();
    await page.getByRole('checkbox', { name: 'high' }).uncheck();
    expect(await shown(page)).toEqual(['billing-export', 'checkout', 'partner-callback']);
    expect(await count(page)).toBe('3 of 13 findings are shown.');
    await page.getByRole('combobox', { name: /^Practice/ }).selectOption('apis');
    expect(await shown(page)).toEqual(['partner-callback']);
    await page.getByRole('button', { name: 'Show all' }).click();
    expect(await shown(page)).toEqual(all);
    await page.getByRole('combobox', { name: /^Rule/ }).selectOption('role-shared');
    expect(await shown(page)).toEqual(['orders', 'orders-archive', 'orders-report']);
    await page.getByRole('searchbox').fill('Archive used by NOBODY');
    expect(await shown(page)).toEqual([]);
    expect(await count(page)).toBe('0 of 13 findings are shown.');
    await page.getByRole('searchbox').fill('ORDERS report');
    expect((await shown(page)).length).toBe(3);
    // Enter sends nothing anywhere.
    await page.getByRole('searchbox').press('Enter');
    expect(page.url()).toBe('https://report.example/');
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  test('with the keyboard alone', async () => {
    const { page } = await opened(sampleReport);
    await page.keyboard.press('Tab');
    expect(await page.locator(':focus').textContent()).toBe('To the findings');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    await page.keyboard.type('checkout');
    expect(await shown(page)).toEqual(['checkout']);
    for (let times = 0; times < 7; times += 1) await page.keyboard.press('Tab');
    expect(await page.locator(':focus').textContent()).toBe('Show all');
    await page.keyboard.press('Space');
    expect(await shown(page)).toHaveLength(13);
    expect(await page.locator(':focus').getAttribute('name')).toBe('text');
    await page.context().close();
  });

  test('without scripts everything is there, and no filter', async () => {
    const { page } = await opened(sampleReport, { javaScriptEnabled: false });
    expect(await page.locator('article.finding:visible').count()).toBe(13);
    expect(await page.locator('#filters').isVisible()).toBe(false);
    await page.context().close();
  });
});

test('printed, it has no filters, and dark readers get black on white', async () => {
  const { page } = await opened(sampleReport, { colorScheme: 'dark' });
  await page.emulateMedia({ media: 'print' });
  expect(await page.locator('#filters').isVisible()).toBe(false);
  expect(await page.evaluate('getComputedStyle(document.documentElement).backgroundColor')).toBe('rgb(255, 255, 255)');
  expect((await page.pdf({ format: 'A4' })).length).toBeGreaterThan(50_000);
  await page.context().close();
});

test.each([320, 768, 1180])('is not wider than a screen of %s pixels', async (width) => {
  const { page } = await opened(sampleReport, { viewport: { width, height: 800 } });
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
  await page.context().close();
});

test('names, tags and evidence stay text, whatever they hold', async () => {
  const attack = `</script></style><img src=x onerror="alert(1)"><svg onload=alert(2)>'"><a href="javascript:alert(3)">x</a>\u202e{{7*7}}\${alert(4)}<!--`;
  const [finding] = sampleScan.findings;
  if (finding === undefined) throw new Error('the sample is empty');
  const evil = {
    ...finding,
    summary: attack,
    title: attack,
    rule: attack,
    practice: attack,
    severity: 'high' as Severity,
    resource: { ...finding.resource, arn: `arn:aws:lambda:eu-central-1:111122223333:function:${attack}` },
    actor: { arn: attack, issuer: attack, console: true, sourceIp: attack },
    event: { id: attack, name: attack, time: attack },
    evidence: { [attack]: { [attack]: [attack, { deep: { deeper: attack } }] }, __proto__: attack },
    plan: [attack],
    managedBy: { stack: attack, logicalId: attack },
    findingId: attack,
    since: '2026-11-20T00:00:00.000Z',
  };
  const change = {
    ...sampleReport.history?.changes[0],
    id: attack,
    resource: attack,
    calls: [attack],
    undoneBy: attack,
    startedAt: attack,
  };
  const exemption = { ...sampleReport.history?.exemptions[0], rule: attack, resource: attack, reason: attack, owner: attack, by: attack };
  const { page, complaints } = await opened({
    ...sampleReport,
    account: attack,
    regions: [attack],
    findings: [evil],
    unknown: [{ rule: attack, resource: attack, why: attack }],
    history: { toDetect: [1], toFix: [1], changes: [change], exemptions: [exemption] } as unknown as NonNullable<Report['history']>,
  });
  expect(await page.locator('img, script:not(:last-of-type), a[href^=javascript], svg[onload], [onerror]').count()).toBe(0);
  expect(await page.getByRole('article').first().textContent()).toContain('<img src=x onerror="alert(1)">');
  // What would turn the direction of the text is shown as its code.
  expect(await page.locator('body').textContent()).not.toContain('\u202e');
  expect(await page.getByRole('article').first().textContent()).toContain('\\u{202e}');
  await page.getByRole('combobox', { name: /^Rule/ }).selectOption({ index: 1 });
  expect(await page.locator('article.finding:visible').count()).toBe(1);
  expect(complaints).toEqual([]);
  await page.context().close();
});

test('its policy refuses what a slip would let through', async () => {
  const { page, complaints } = await opened(sampleReport);
  await page.evaluate(`
    const script = document.createElement('script');
    script.textContent = 'document.title = "taken"';
    const image = document.createElement('img');
    image.src = 'https://elsewhere.example/x.png';
    document.body.append(script, image);
    document.body.setAttribute('style', 'display: none');
  `);
  expect(await page.title()).not.toBe('taken');
  expect(await page.locator('h1').isVisible()).toBe(true);
  expect(complaints.filter((one) => one.startsWith('request'))).toEqual([]);
  expect(complaints.filter((one) => one.includes('Content Security Policy')).length).toBeGreaterThanOrEqual(3);
  await page.context().close();
});

// The picture in README: fonts differ from machine to machine, so that it is made anew only when asked for.
if (process.env['UPDATE'] === '1')
  test('the picture of the sample', async () => {
    const { page } = await opened(sampleReport, { viewport: { width: 1180, height: 1080 }, colorScheme: 'light' });
    writeFileSync(join(root, 'docs/samples/report.png'), await page.screenshot());
    await page.context().close();
  });
