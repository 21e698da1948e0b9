import { formats } from '../../../cli/formats.ts';
import { sampleScan } from '../../../scripts/generate/sample.ts';

test('nothing found is not called right where something could not be read', () => {
  const none = { ...sampleScan, findings: [] };
  expect(formats['table']?.({ ...none, unknown: [] })).toMatch(/^Nothing is wrong\.\n/);
  expect(formats['table']?.(none)).toMatch(/^Nothing that could be read is wrong\.\n\nNot known, because it could not be read:\n/);
});
