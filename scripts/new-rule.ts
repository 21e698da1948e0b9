/**
 * Begins a rule: its file, its table, its page and an event. They compile, and the table fails until it has rows.
 *   npm run new-rule <practice>/<id>
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { practices } from '../guard/finding.ts';

const root = join(import.meta.dirname, '..');
const usage = 'npm run new-rule <practice>/<id>, for example npm run new-rule apis/function-policy-open';

/** A remediator and its role are called `<stack>-remediate-<id>`, in 64 characters; the stack's own name takes 23. */
const longestId = 30;

const eventFolder = 'UpdateFunctionConfiguration20150331v2';

const [name = '', ...more] = process.argv.slice(2);
const [practice = '', id = '', ...deeper] = name.split('/');
const files: Readonly<Record<string, string>> = {
  [`rules/${practice}/${id}.ts`]: ruleFile(),
  [`test/rules/${practice}/${id}.test.ts`]: tableFile(),
  [`docs/rules/${id}.md`]: pageFile(),
  [`events/${eventFolder}/${id}.json`]: eventFile(),
};

const refused = refusal();
if (refused !== undefined) {
  console.error(refused);
  process.exit(2);
}
for (const [path, text] of Object.entries(files)) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
  console.log(`wrote ${path}`);
}
console.log('Now run `npm run generate`, write the rows of the table, and then the rule.');

function refusal(): string | undefined {
  if (id === '' || deeper.length > 0 || more.length > 0) return `Say which rule: ${usage}.`;
  if (!practices.some((known) => known === practice)) return `There is no practice "${practice}": it is one of ${practices.join(', ')}.`;
  if (!/^[a-z]+(-[a-z]+)+$/.test(id))
    return `The id "${id}" is malformed: it is two or more words in small letters, with hyphens between them.`;
  if (id.length > longestId) return `The id "${id}" is longer than ${longestId} characters: functions and roles are named after it.`;
  const there = Object.keys(files).find((path) => existsSync(join(root, path)));
  return there === undefined ? undefined : `${there} is there already: nothing was written.`;
}

function ruleFile(): string {
  return `import * as z from 'zod';
import { getFunctionConfiguration } from '../../aws/lambda.ts';
import { type ApiEvent, text } from '../../guard/cloudtrail.ts';
import { ifPresent } from '../../guard/errors.ts';
import { cloudTrail, defineRule } from '../../guard/rule.ts';
import { functionSubject, type Subject } from '../../guard/subject.ts';

/** The function that an event names. */
function namedFunction({ request, ...place }: ApiEvent): readonly Subject[] {
  const subject = functionSubject(text(request, 'functionName') ?? '', place);
  return subject === undefined ? [] : [subject];
}

export const rule = defineRule({
  id: '${id}',
  practice: '${practice}',
  severity: 'medium',
  title: 'One sentence that says what is wrong where this rule is broken',
  on: [cloudTrail('lambda', ['UpdateFunctionConfiguration'], namedFunction)],
  check: [getFunctionConfiguration],
  fix: [],
  undo: [],
  delay: 15,
  probation: false,
  params: z.object({}),

  async evaluate(subject, { aws }) {
    const configuration = await ifPresent(aws.getFunctionConfiguration({ FunctionName: subject.arn }));
    if (configuration === undefined) return { violations: [], compliant: [subject] };
    throw new Error('What breaks this rule is not written yet.');
  },

  plan: async () => ({ steps: [] }),
  state: async () => undefined,
});
`;
}

function tableFile(): string {
  return `import { rule } from '../../../rules/${practice}/${id}.ts';
import { sample } from '../../support/events.ts';
import { ruleTest } from '../../support/rule-test.ts';

const failed = { detail: { errorCode: 'AccessDeniedException' } };

ruleTest(rule, {
  rows: [
    {
      name: 'a call that failed',
      kind: 'ignored',
      event: sample('${eventFolder}/${id}.json', failed),
    },
  ],
});
`;
}

/** Each heading asks its question; the house tests take no page that leaves it at that. */
function pageFile(): string {
  const questions = {
    'What it finds': 'By which rows of the table? Name them in backticks.',
    'What the fix does': 'Step by step. Where is it refused?',
    'What can break': 'Who notices the fix?',
    'When not to use it': 'Where is it noise, or wrong?',
    Limits: 'What does it not see?',
    Undo: 'What comes back, and what does not?',
  };
  const sections = Object.entries(questions).map(([heading, question]) => `## ${heading}\n\n${question}\n`);
  return ['<!-- generated: head -->\n<!-- /generated -->\n', ...sections].join('\n');
}

function eventFile(): string {
  const lambda = 'https://docs.aws.amazon.com/lambda/latest';
  const role = 'arn:aws:iam::111122223333:role/Developer';
  const event = {
    version: '0',
    id: '00000000-0000-4000-8000-000000000000',
    'detail-type': 'AWS API Call via CloudTrail',
    source: 'aws.lambda',
    account: '111122223333',
    time: '2026-01-01T12:00:00Z',
    region: 'us-east-1',
    resources: [],
    detail: {
      eventVersion: '1.11',
      userIdentity: {
        type: 'AssumedRole',
        principalId: 'AROAEXAMPLEDEVELOPER1:ana',
        arn: 'arn:aws:sts::111122223333:assumed-role/Developer/ana',
        accountId: '111122223333',
        sessionContext: {
          sessionIssuer: {
            type: 'Role',
            principalId: 'AROAEXAMPLEDEVELOPER1',
            arn: role,
            accountId: '111122223333',
            userName: 'Developer',
          },
        },
      },
      eventTime: '2026-01-01T12:00:00Z',
      eventSource: 'lambda.amazonaws.com',
      eventName: eventFolder,
      awsRegion: 'us-east-1',
      sourceIPAddress: '198.51.100.7',
      userAgent: 'aws-cli/2.31.0',
      requestParameters: { functionName: 'orders' },
      responseElements: { functionName: 'orders', functionArn: 'arn:aws:lambda:us-east-1:111122223333:function:orders' },
      requestID: '00000000-0000-4000-8000-000000000001',
      eventID: '00000000-0000-4000-8000-000000000002',
      readOnly: false,
      eventType: 'AwsApiCall',
      managementEvent: true,
      recipientAccountId: '111122223333',
      eventCategory: 'Management',
    },
  };
  const source = `synthetic — shape from ${lambda}/dg/logging-using-cloudtrail.html, parameters from ${lambda}/api/API_UpdateFunctionConfiguration.html`;
  return `${JSON.stringify({ source, event }, null, 2)}\n`;
}
