import { sarif } from '../../../cli/formats/sarif.ts';
import { sampleScan } from '../../../scripts/generate/sample.ts';
import { complaints } from './published.ts';

const log = JSON.parse(sarif(sampleScan));
const [run] = log.runs;
const headings = ['What it finds', 'What the fix does', 'What can break', 'When not to use it', 'Limits', 'Undo'];

test('follows the published schema', () => {
  expect(complaints('sarif', log)).toEqual([]);
  expect(complaints('sarif', JSON.parse(sarif({ ...sampleScan, findings: [], unknown: [], rules: [] })))).toEqual([]);
});

test.each([
  ['a result without a message', { ...run, results: [{ ruleId: 'x' }] }],
  ['a level that there is not', { ...run, results: [{ ...run.results[0], level: 'high' }] }],
  ['a field that there is not', { ...run, more: true }],
  ['a time that is none', { ...run, invocations: [{ executionSuccessful: true, startTimeUtc: 'yesterday' }] }],
])('the schema refuses %s', (_, broken) => {
  expect(complaints('sarif', { ...log, runs: [broken] })).not.toEqual([]);
});

test('names each rule with the whole page of it, and how grave it is for code scanning', () => {
  const { rules } = run.tool.driver;
  expect(rules.map(({ id }: { id: string }) => id)).toEqual(sampleScan.rules.map(({ id }) => id));
  const rule = rules.find(({ id }: { id: string }) => id === 'function-url-open');
  expect(rule).toMatchObject({
    name: 'FunctionUrlOpen',
    shortDescription: { text: 'A function URL lets anyone on the internet invoke the function' },
    defaultConfiguration: { level: 'error' },
    properties: { 'security-severity': '8.0', tags: ['security', 'aws', 'lambda', 'apis'] },
  });
  expect(rule.help.markdown).toContain("It sets the URL's AuthType to `AWS_IAM`");
  expect(rule.help.text).toContain("It sets the URL's AuthType to AWS_IAM");
  for (const { help } of rules) {
    for (const heading of headings) expect(help.markdown).toContain(`\n\n## ${heading}\n\n`);
    for (const heading of headings) expect(help.text).toContain(`\n\n${heading}\n\n`);
    expect(help.markdown).not.toMatch(/\]\(|generated/);
  }
});

test.each([
  ['critical', 'error', 9, 10],
  ['high', 'error', 7, 8.9],
  ['medium', 'warning', 4, 6.9],
  ['low', 'note', 0.1, 3.9],
])('%s is %s, and a number that code scanning reads so', (severity, level, from, to) => {
  const findings = sampleScan.findings.filter((finding) => finding.severity === severity);
  const [{ results }] = JSON.parse(sarif({ ...sampleScan, findings })).runs;
  expect(results.length).toBeGreaterThan(0);
  expect(new Set(results.map((result: { level: string }) => result.level))).toEqual(new Set([level]));
  for (const rule of sampleScan.rules.filter((one) => one.severity === severity)) {
    const { properties } = run.tool.driver.rules.find(({ id }: { id: string }) => id === rule.id);
    expect(Number(properties['security-severity'])).toBeGreaterThanOrEqual(from);
    expect(Number(properties['security-severity'])).toBeLessThanOrEqual(to);
  }
});

test('a resource has its ARN as its logical place, and a path that stays the same as its physical one', () => {
  const result = run.results.find(({ ruleId }: { ruleId: string }) => ruleId === 'function-url-open');
  const [{ physicalLocation, logicalLocations }] = result.locations;
  const arn = 'arn:aws:lambda:eu-central-1:111122223333:function:status-page';
  expect(physicalLocation).toEqual({
    artifactLocation: { uri: 'aws/111122223333/eu-central-1/lambda/function/status-page' },
    region: { startLine: 1 },
  });
  expect(logicalLocations).toEqual([{ name: 'function:status-page', fullyQualifiedName: arn, kind: 'resource' }]);
  expect(run.tool.driver.rules[result.ruleIndex].id).toBe('function-url-open');
});

test.each([
  ['arn:aws:iam::111122223333:role/a/../../b c#?', 'aws/111122223333/global/iam/role/a/%2E%2E/%2E%2E/b%20c%23%3F'],
  ['arn:aws:lambda:us-east-1:111122223333:function:*', 'aws/111122223333/us-east-1/lambda/function/*'],
])('%s is at %s', (arn, path) => {
  const [finding] = sampleScan.findings;
  if (finding === undefined) throw new Error('the sample is empty');
  const whole = JSON.parse(sarif({ ...sampleScan, findings: [{ ...finding, resource: { ...finding.resource, arn } }] }));
  expect(complaints('sarif', whole)).toEqual([]);
  expect(whole.runs[0].results[0].locations[0].physicalLocation.artifactLocation.uri).toBe(path);
});

test('the same finding has the same fingerprint in every scan', () => {
  const later = JSON.parse(sarif({ ...sampleScan, at: '2027-01-01T00:00:00.000Z', findings: [...sampleScan.findings].reverse() }));
  const prints = (results: readonly { partialFingerprints: object }[]) =>
    results.map(({ partialFingerprints }) => JSON.stringify(partialFingerprints)).sort();
  expect(prints(later.runs[0].results)).toEqual(prints(run.results));
  expect(new Set(prints(run.results)).size).toBe(sampleScan.findings.length);
});

test('what could not be read is told as an error of the run, with its rule', () => {
  const [invocation] = run.invocations;
  expect(invocation.executionSuccessful).toBe(false);
  const [told] = invocation.toolExecutionNotifications;
  expect(told).toMatchObject({ level: 'error', associatedRule: { id: 'secret-in-code' } });
  expect(told.message.text).toContain('AccessDeniedException');
  expect(run.tool.driver.rules[told.associatedRule.index].id).toBe('secret-in-code');
  const nothing = { rule: '*', resource: 'arn:aws:lambda:us-east-1:111122223333:function:*', why: 'ThrottlingException' };
  const whole = JSON.parse(sarif({ ...sampleScan, unknown: [nothing] }));
  expect(complaints('sarif', whole)).toEqual([]);
  expect(whole.runs[0].invocations[0].toolExecutionNotifications[0]).not.toHaveProperty('associatedRule');
  const fine = JSON.parse(sarif({ ...sampleScan, unknown: [] }));
  expect(fine.runs[0].invocations[0]).toMatchObject({ executionSuccessful: true, toolExecutionNotifications: [] });
});
