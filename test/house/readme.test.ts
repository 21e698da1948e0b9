import { outliving } from '../../cli/uninstall.ts';
import { type AnyRule, pascalCase } from '../../guard/rule.ts';
import { rules } from '../../rules/index.ts';
import { read } from './repository.ts';
import { deploy, ofType, type Stack, template } from './template.ts';

// What README and the page on operations say of the stack is what the template deploys.

const readme = read('README.md');
const pages = `${readme}\n${read('docs/operations.md')}`;
const all: readonly AnyRule[] = rules;
const shipped = deploy();

const count = (stack: Stack, type: string) => ofType(stack, type).length;
const alarms = (stack: Stack) => count(stack, 'AWS::CloudWatch::Alarm');
const polled = (stack: Stack) => count(stack, 'AWS::Lambda::EventSourceMapping');

test('the costs count the alarms, and the queues that are asked', () => {
  expect(readme).toContain(`CloudWatch: ${alarms(shipped)} alarms`);
  expect(readme).toContain(`each of ${polled(shipped)} queues`);
  // Five pollers a queue, each asking every 20 seconds, for 30 days.
  expect(readme).toContain(`${((polled(shipped) * 5 * 30 * 86_400) / 20 / 1e6).toFixed(1)} million requests`);
});

test.each(all.filter(({ fix }) => fix.length > 0).map(({ id }) => id))('%s in remediate adds what the costs say', (id) => {
  const stack = deploy({ [`${pascalCase(id)}Mode`]: 'remediate', Deployers: 'arn:aws:iam::111122223333:role/pipeline' });
  expect(readme).toContain(`(${alarms(stack) - alarms(shipped)} alarms and ${polled(stack) - polled(shipped)} queue that is asked)`);
});

test('whoever removes the stack is told what outlives it', () => {
  const retained = Object.entries(template.Resources).flatMap(([id, resource]) => (resource['DeletionPolicy'] === 'Retain' ? [id] : []));
  expect(outliving.map((name) => name.replace('.Arn', '')).sort()).toEqual(retained.sort());
});

test("a stack's name may be as long as they say", () => {
  const everything = deploy({
    ...Object.fromEntries(all.filter(({ fix }) => fix.length > 0).map(({ id }) => [`${pascalCase(id)}Mode`, 'remediate'])),
    Deployers: 'arn:aws:iam::111122223333:role/pipeline',
  });
  const names = [
    ...ofType(everything, 'AWS::IAM::Role').map(([, { RoleName }]) => String(RoleName)),
    ...ofType(everything, 'AWS::Serverless::Function').map(([, { FunctionName }]) => String(FunctionName)),
  ];
  const longest = 64 - Math.max(...names.map((name) => name.replace(/^guard/, '').length));
  expect([...pages.matchAll(/at most\s+(\d+)\s+characters/g)].map(([, characters]) => Number(characters))).toEqual([longest, longest]);
});

test('every parameter, output and resource that they name is there', () => {
  const there = new Set([template.Parameters, template.Outputs, template.Resources].flatMap((section) => Object.keys(section)));
  const others = new Set(['RetryLater', 'ComplianceGuard', 'MessagesFailed', 'Heartbeats', 'SecondWayFailed', 'WaitsForQuota']);
  const named = [...pages.matchAll(/`([A-Z][A-Za-z]*[a-z][A-Z][A-Za-z]*|[A-Z][a-z]+s)`/g)].map(([, name = '']) => name);
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter((name) => !there.has(name) && !others.has(name))).toEqual([]);
});

test('every command of the command line that they name is there', () => {
  const there = [...read('cli/main.ts').matchAll(/\.command\('([a-z-]+)/g)].map(([, name]) => name);
  const named = [...pages.matchAll(/npm run guard -- (?:--\w+ \S+ )*([a-z]+)/g)].map(([, name]) => name);
  expect(named.length).toBeGreaterThan(5);
  expect([...new Set(named)].filter((name) => !there.includes(name))).toEqual([]);
  expect(there.filter((name) => !named.includes(name))).toEqual([]);
});
