import { attempts, patience } from '../../aws/clients.ts';
import { pascalCase } from '../../guard/rule.ts';
import { abandonedMilliseconds, busyMilliseconds, lockMilliseconds, patienceMilliseconds } from '../../guard/run.ts';
import { rules } from '../../rules/index.ts';
import { expectOnPage } from '../support/page.ts';
import { longestChain } from '../support/patience.ts';
import { deploy, functions, ofType, type Properties, type Value } from './template.ts';

// The times on the page on reliability are those of the code and of the template.

const stack = deploy({
  ...Object.fromEntries(rules.map(({ id }) => [`${pascalCase(id)}Mode`, 'remediate'])),
  Deployers: 'arn:aws:iam::111122223333:role/pipeline',
});
const queues = new Map(ofType(stack, 'AWS::SQS::Queue').map(([id, properties]) => [`\${${id}.Arn}`, properties]));
const minutes = (milliseconds: number) => `${milliseconds / 60_000} minutes`;
const seconds = (milliseconds: number) => `${milliseconds / 1_000} s`;

test('how long things may take', () => {
  expectOnPage(
    'times',
    ['What', 'How long'],
    [
      ['one attempt of a call; of one that moves a package', `${seconds(patience.calls)}; ${seconds(patience.packages)}`],
      ['attempts of a call', `${attempts}`],
      [
        'all attempts and the waits between them, at most; with a package',
        `${seconds(longestChain(patience.calls))}; ${seconds(longestChain(patience.packages))}`,
      ],
      ['a fix holds its resource', minutes(lockMilliseconds)],
      ['a resource that is busy is tried again', `after ${seconds(busyMilliseconds)}, for ${minutes(patienceMilliseconds)}`],
      ['a change that nobody goes on with is sent to its remediator again', `after ${minutes(abandonedMilliseconds)}`],
    ],
  );
});

test('how long functions run, and when their messages come back', () => {
  const rows = new Map<string, string[]>();
  for (const { id, properties } of functions(stack)) {
    const sources = ofType(stack, 'AWS::Lambda::EventSourceMapping').flatMap(([, { FunctionName, EventSourceArn }]) =>
      String(FunctionName) === `\${${id}}` ? [queues.get(String(EventSourceArn)) ?? {}] : [],
    );
    const times = sources.map(({ VisibilityTimeout, RedrivePolicy }: Properties) => [
      VisibilityTimeout,
      (RedrivePolicy as { readonly maxReceiveCount: Value }).maxReceiveCount,
    ]);
    const key = JSON.stringify([properties['Timeout'], ...new Set(times.map((one) => JSON.stringify(one)))]);
    rows.set(key, [...(rows.get(key) ?? []), `\`${id}\``]);
  }
  const table = [...rows].map(([key, ids]) => {
    const [timeout, queue] = JSON.parse(key) as [number, string | undefined];
    const [visibility, received] = queue === undefined ? ['', ''] : (JSON.parse(queue) as [number, number]);
    return [ids.join(', '), `${timeout} s`, visibility === '' ? '' : `${visibility} s`, String(received)];
  });
  expectOnPage('functions', ['Function', 'may run for', 'a message comes back after', 'deliveries'], table);
});
