import { formats } from '../../cli/formats.ts';
import { page } from '../../cli/report/page.ts';
import { sampleReport, sampleScan } from './sample.ts';

/** What `guard scan` prints of the sample, format by format, and what `guard report` makes of its ledger. */
export function samples(): Readonly<Record<string, string>> {
  const scanned = (format: string) => `${formats[format]?.(sampleScan)}\n`;
  return {
    'docs/samples/scan.txt': scanned('table'),
    'docs/samples/scan.json': scanned('json'),
    'docs/samples/scan.sarif': scanned('sarif'),
    'docs/samples/scan.ocsf.ndjson': scanned('ocsf'),
    'docs/samples/report.html': page(sampleReport),
  };
}
