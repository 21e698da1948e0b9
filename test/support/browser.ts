import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Browser } from 'playwright-core';

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const elsewhere = ['/Applications/Google Chrome.app/Contents/MacOS/Google Chrome', '/Applications/Chromium.app/Contents/MacOS/Chromium'];

/** Chromium on this machine: `npm run setup` installs Debian's where it can. */
function chromiumPath(): string | undefined {
  const onPath = (process.env['PATH'] ?? '').split(delimiter).flatMap((folder) => names.map((name) => join(folder, name)));
  return [process.env['CHROMIUM'] ?? '', ...onPath, ...elsewhere].find((path) => path !== '' && existsSync(path));
}

/** @throws where there is no Chromium: what a browser has to show is not shown without one */
export async function openBrowser(): Promise<Browser> {
  const executablePath = chromiumPath();
  if (executablePath === undefined)
    throw new Error(
      'There is no Chromium to test the report in: install it ("apt-get install chromium" on Debian), or name one in the variable CHROMIUM.',
    );
  const { chromium } = await import('playwright-core');
  return await chromium.launch({
    executablePath,
    // It shows this test's own pages alone, and asks nobody for anything.
    args: [
      ...['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-quic', '--no-first-run'],
      ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
    ],
  });
}
