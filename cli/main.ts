import { Command, CommanderError } from 'commander';
import { errorName } from '../guard/errors.ts';
import { explained } from './failures.ts';
import { version } from './pages.ts';
import { defaultStack, type Options } from './use.ts';

/** 0 done, or nothing open; 1 findings; 2 wrong use; 3 something could not be read, or was refused. */
const exitCodes = { fine: 0, findings: 1, wrongUse: 2, unreadable: 3 } as const;

type Action = (options: Options, args: readonly string[]) => Promise<keyof typeof exitCodes>;

/** A command is loaded when it is called: the rules and the SDK are large. */
function of<Name extends string>(load: () => Promise<Readonly<Record<Name, Action>>>, name: Name): Action {
  return async (...given) => await (await load())[name](...given);
}

const program = new Command('guard')
  .description('The Lambda compliance guard, from the command line, with your own AWS credentials')
  .version(version)
  .configureHelp({ showGlobalOptions: true })
  .addHelpText(
    'after',
    `
To begin with, with nothing deployed and read-only rights (\`guard policy\` prints them):
  guard scan
  guard rules function-url-open
  guard replay <CloudTrail's log files> --remediate function-url-open

"guard" is \`npm run guard --\`, or what \`guard completion\` makes of it.
Exit codes: 0 done, or nothing open; 1 findings; 2 wrong use; 3 something could not be read, or was refused.`,
  )
  .option('--stack <name>', 'the name of the deployed stack', defaultStack)
  .option(
    '--region <region>',
    'the region of the stack (default: AWS_REGION, or that of the profile); for a scan or a replay several, or all',
  )
  .option('--profile <profile>', 'of your AWS configuration (default: AWS_PROFILE)')
  .option('--endpoint-url <url>', 'where AWS is, if it is elsewhere (default: AWS_ENDPOINT_URL)')
  .hook('preAction', async (_, command) => {
    const { profile, endpointUrl, region = 'all' } = command.optsWithGlobals<{ profile?: string; endpointUrl?: string; region?: string }>();
    const { env } = process;
    if (profile !== undefined) {
      env['AWS_PROFILE'] = profile;
      // What is named counts, not keys that happen to be there.
      for (const key of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN']) delete env[key];
    }
    if (endpointUrl !== undefined) env['AWS_ENDPOINT_URL'] = endpointUrl;
    if (region !== 'all' || env['AWS_REGION'] !== undefined || env['AWS_DEFAULT_REGION'] !== undefined) return;
    const own = await (await import('../aws/account.ts')).regionOfProfile();
    if (own !== undefined) env['AWS_REGION'] = own;
  })
  .exitOverride();

program
  .command('scan')
  .description('every rule on the account, with read-only rights, whether or not the guard is deployed')
  .option('--rule <ids>', 'these rules alone, separated by commas')
  .option('--practice <name>', 'the rules of one practice')
  .option('--all', 'also the rules that ship switched off, because they are noisy')
  .option('--function <name>', 'what concerns this function, by its name or ARN')
  .option('--severity <lowest>', 'what is as grave as that: low, medium, high, critical')
  .option('--fail-on <lowest>', 'exit code 1 only where something as grave as that is found')
  .option('--format <format>', 'table, json, sarif (code scanning), ocsf (one event a line) or html (a report)', 'table')
  .option('--template <path>', 'instead of an account: a template of SAM or CloudFormation, or a folder of them, before it is deployed')
  .option('--parameter <Name=value>', 'a parameter of the stack, such as Deployers, or of the template; once or several times', oneMore)
  .option('--account <id>', 'the account that the template is for')
  .option('--allow-unknown', 'exit code 3 only where a template could not be read, not for what only the account knows')
  .addHelpText(
    'after',
    examples(
      'scan --region us-east-1,eu-west-1 --fail-on high',
      'scan --practice apis --format sarif > scan.sarif',
      'scan --template template.yaml --parameter Stage=prod --allow-unknown',
    ),
  )
  .action(run(of(() => import('./scan.ts'), 'scan')));
program
  .command('replay <files...>')
  .description('CloudTrail log files, folders or s3://bucket/prefix through the rules, as if they had come live; changes nothing')
  .option('--offline', 'without asking the account: what only it knows is unknown')
  .option('--from <time>', 'events from then on: 2026-11-01, or 2026-11-01T12:00:00Z')
  .option('--to <time>', 'events before then')
  .option('--rule <ids>', 'these rules alone, separated by commas')
  .option('--practice <name>', 'the rules of one practice')
  .option('--all', 'also the rules that ship switched off, because they are noisy')
  .option('--remediate <ids>', 'as if these rules had been in remediate: what would they have fixed?')
  .option('--mode <rule=mode>', 'as if rules had been in off, alert or remediate, separated by commas')
  .option('--parameter <Name=value>', 'a parameter of the stack, such as Deployers; once or several times', oneMore)
  .option('--account <id>', 'what happened in this account alone')
  .option('--allow-unknown', 'exit code 3 only where a record or file is broken, not for what is unknown')
  .option('--no-sweep', 'without looking at every function first, which rules need that compare functions')
  .option('--format <format>', 'table, json, sarif, ocsf or html', 'table')
  .addHelpText(
    'after',
    examples(
      'replay logs/ --offline',
      'replay logs/ --from 2026-10-01 --to 2026-11-01 --remediate role-shared',
      'replay s3://bucket/AWSLogs/111122223333/CloudTrail/eu-west-1/2026/10/ --format html > october.html',
    ),
  )
  .action(run(of(() => import('./replay.ts'), 'replay')));
program
  .command('policy')
  .description('the read-only IAM policy that a scan needs; or service control policies that prevent what rules find')
  .option('--preventive', 'service control policies, for those who would rather prevent')
  .option('--rule <ids>', 'for these rules alone')
  .option('--practice <name>', 'for the rules of one practice')
  .option('--account <id>', 'the account that they are for')
  .option('--deployers <arns>', 'roles that deploy, whom the preventive policies spare')
  .option('--vpcs <ids>', 'the VPCs where functions belong')
  .addHelpText(
    'after',
    examples('policy --account 111122223333 > scan.json', 'policy --preventive --deployers arn:aws:iam::111122223333:role/pipeline'),
  )
  .action(run(of(() => import('./rights.ts'), 'policy')));
program
  .command('rules [id]')
  .description('all rules; or what one finds, what its fix does, and when not to use it')
  .action(run(of(() => import('./rules.ts'), 'rules')));
program
  .command('report')
  .description(
    "one HTML file for whoever answers for the account: what is open, what was changed, what is exempt; from the deployed guard's ledger",
  )
  .option('--from-scan <file>', 'from what `scan --format json` wrote, with nothing deployed')
  .option('--output <file>', 'where to write it (default: standard output)')
  .action(run(of(() => import('./report.ts'), 'report')));
program
  .command('findings')
  .description('what breaks a rule now, the gravest first')
  .option('--rule <id>')
  .option('--all', 'ended ones too')
  .option('--json', 'as the ledger keeps them')
  .action(run(of(() => import('./lists.ts'), 'findings')));
program
  .command('plan <finding>')
  .description('what a fix would do, call by call, with its undo; reads with your credentials, and changes nothing')
  .action(run(of(() => import('./plan.ts'), 'plan')));
program
  .command('fix [finding]')
  .description('has a finding fixed that is older than its rule in remediate, or that the guard gave up; shows the plan first')
  .option('--rule <id>', 'all that are open of a rule, instead of one')
  .option('--yes', 'without asking')
  .action(run(of(() => import('./plan.ts'), 'fix')));
program
  .command('changes')
  .description('what the guard changed')
  .option('--json', 'as the ledger keeps them')
  .action(run(of(() => import('./lists.ts'), 'changes')));
program
  .command('undo <change>')
  .description('takes a change back, with your credentials; the rule leaves the resource alone for that time')
  .requiredOption('--for <time>', 'how long the guard leaves the resource alone: 12h, 7d')
  .requiredOption('--reason <text>', 'why')
  .option('--force', 'even if somebody changed the resource since')
  .action(run(of(() => import('./undo.ts'), 'undoChange')));
program
  .command('approve <function>')
  .description('what runs now of a function becomes its approved code, whoever put it there')
  .option('--yes', 'without asking')
  .action(run(of(() => import('./approve.ts'), 'approve')));
program
  .command('exempt <rule> <resource>')
  .description('leaves a resource (an ARN, or a glob of ARNs) alone for a time')
  .requiredOption('--for <time>', '12h, 7d; at most a year')
  .requiredOption('--reason <text>', 'why')
  .requiredOption('--owner <name>', 'who answers for it')
  .action(run(of(() => import('./commands.ts'), 'exempt')));
program
  .command('exemptions')
  .description('what is exempt, and until when')
  .option('--json', 'as the ledger keeps them')
  .action(run(of(() => import('./lists.ts'), 'exemptions')));
program
  .command('unexempt <exemption>')
  .description('ends an exemption at once')
  .action(run(of(() => import('./commands.ts'), 'unexempt')));
program
  .command('pause')
  .description('stops every fix before its next write, without a deployment')
  .requiredOption('--reason <text>', 'why')
  .action(run(of(() => import('./commands.ts'), 'pause')));
program
  .command('resume')
  .description('ends the pause')
  .action(run(of(() => import('./commands.ts'), 'resume')));
program
  .command('mode <rule> <mode>')
  .description('lowers a rule at once: off, alert; deployed takes that back')
  .action(run(of(() => import('./commands.ts'), 'mode')));

program
  .command('uninstall')
  .description('before the stack goes: what the guard changed, and offers to take each change back')
  .option('--yes', 'takes every change back without asking')
  .option('--keep', 'only tells, and keeps every change')
  .action(run(of(() => import('./uninstall.ts'), 'uninstall')));

program
  .command('completion <shell>')
  .description(
    'a script for bash, zsh or fish that makes `guard` a command and completes it: source <(npm run --silent guard -- completion bash)',
  )
  .action(async (shell: string) => console.log((await import('./completion.ts')).completion(shell, program)));

function examples(...lines: readonly string[]): string {
  return ['', 'Examples:', ...lines.map((line) => `  guard ${line}`)].join('\n');
}

/** An option that may be given again: a line each. */
function oneMore(one: string, before?: string): string {
  return before === undefined ? one : `${before}\n${one}`;
}

function run(action: Action) {
  return async (...given: unknown[]) => {
    const command = given.at(-1) as Command;
    process.exitCode = exitCodes[await action(command.optsWithGlobals(), command.args)];
  };
}

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? exitCodes.fine : exitCodes.wrongUse;
  else {
    console.error(explained(error));
    process.exitCode = /^(WrongUse|ConfigError)$/.test(errorName(error)) ? exitCodes.wrongUse : exitCodes.unreadable;
  }
}
