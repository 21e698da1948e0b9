import { formats } from '../../cli/formats.ts';
import { sampleScan } from './sample.ts';

/** What `guard scan` prints of the sample, format by format. */
export function samples(): Readonly<Record<string, string>> {
  const scanned = (format: string) => `${formats[format]?.(sampleScan)}\n`;
  return {
    'docs/samples/scan.txt': scanned('table'),
    'docs/samples/scan.json': scanned('json'),
    'docs/samples/scan.sarif': scanned('sarif'),
    'docs/samples/scan.ocsf.ndjson': scanned('ocsf'),
  };
}
