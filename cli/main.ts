import { Command, CommanderError } from 'commander';
import { approve } from './approve.ts';
import { exempt, mode, pause, resume, unexempt } from './commands.ts';
import { completion } from './completion.ts';
import { explained } from './failures.ts';
import { changes, exemptions, findings } from './lists.ts';
import { fix, plan } from './plan.ts';
import { report } from './report.ts';
import { policy } from './rights.ts';
import { rules } from './rules.ts';
import { scan } from './scan.ts';
import { WrongUse } from './session.ts';
import { undoChange } from './undo.ts';
import { uninstall } from './uninstall.ts';

/** 0 done, or nothing open; 1 findings; 2 wrong use; 3 something could not be read, or was refused. */
const exitCodes = { fine: 0, findings: 1, wrongUse: 2, unreadable: 3 } as const;

const program = new Command('guard')
  .description('The Lambda compliance guard, from the command line, with your own AWS credentials')
  .option('--stack <name>', 'the name of the deployed stack', 'lambda-compliance-guard')
  .option('--region <region>', 'the region of the stack (default: AWS_REGION); for a scan several, or all')
  .option('--profile <profile>', 'of your AWS configuration (default: AWS_PROFILE)')
  .option('--endpoint-url <url>', 'where AWS is, if it is elsewhere (default: AWS_ENDPOINT_URL)')
  .hook('preAction', (_, command) => {
    const { profile, endpointUrl } = command.optsWithGlobals<{ profile?: string; endpointUrl?: string }>();
    if (profile !== undefined) process.env['AWS_PROFILE'] = profile;
    if (endpointUrl !== undefined) process.env['AWS_ENDPOINT_URL'] = endpointUrl;
  })
  .exitOverride();

program
  .command('scan')
  .description('every rule on the account, with read-only rights, whether or not the guard is deployed')
  .option('--rule <ids>', 'these rules alone, separated by commas')
  .option('--practice <name>', 'the rules of one practice')
  .option('--all', 'also the rules that ship switched off, because they are noisy')
  .option('--function <name>', 'what concerns this function')
  .option('--severity <lowest>', 'what is as grave as that: low, medium, high, critical')
  .option('--fail-on <lowest>', 'exit code 1 only where something as grave as that is found')
  .option('--format <format>', 'table, json, sarif (code scanning), ocsf (one event a line) or html (a report)', 'table')
  .option('--template <path>', 'instead of an account: a template of SAM or CloudFormation, or a folder of them, before it is deployed')
  .option('--parameter <name=value>', 'a parameter of the template; may be given again', (one, before?: string) =>
    before === undefined ? one : `${before}\n${one}`,
  )
  .option('--account <id>', 'the account that the template is for')
  .option('--allow-unknown', 'exit code 3 only where a template could not be read, not for what only the account knows')
  .action(run(scan));
program
  .command('policy')
  .description('the read-only IAM policy that a scan needs; or service control policies that prevent what rules find')
  .option('--preventive', 'service control policies, for those who would rather prevent')
  .option('--rule <ids>', 'for these rules alone')
  .option('--practice <name>', 'for the rules of one practice')
  .option('--account <id>', 'the account that they are for')
  .option('--deployers <arns>', 'roles that deploy, whom the preventive policies spare')
  .option('--vpcs <ids>', 'the VPCs where functions belong')
  .action(run(policy));
program.command('rules [id]').description('all rules; or what one finds, what its fix does, and when not to use it').action(run(rules));
program
  .command('report')
  .description(
    "one HTML file for whoever answers for the account: what is open, what was changed, what is exempt; from the deployed guard's ledger",
  )
  .option('--from-scan <file>', 'from what `scan --format json` wrote, with nothing deployed')
  .option('--output <file>', 'where to write it (default: standard output)')
  .action(run(report));
program
  .command('findings')
  .description('what breaks a rule now, the gravest first')
  .option('--rule <id>')
  .option('--all', 'ended ones too')
  .option('--json', 'as the ledger keeps them')
  .action(run(findings));
program
  .command('plan <finding>')
  .description('what a fix would do, call by call, with its undo; reads with your credentials, and changes nothing')
  .action(run(plan));
program
  .command('fix [finding]')
  .description('has a finding fixed that is older than its rule in remediate, or that the guard gave up; shows the plan first')
  .option('--rule <id>', 'all that are open of a rule, instead of one')
  .option('--yes', 'without asking')
  .action(run(fix));
program.command('changes').description('what the guard changed').option('--json', 'as the ledger keeps them').action(run(changes));
program
  .command('undo <change>')
  .description('takes a change back, with your credentials; the rule leaves the resource alone for that time')
  .requiredOption('--for <time>', 'how long the guard leaves the resource alone: 12h, 7d')
  .requiredOption('--reason <text>', 'why')
  .option('--force', 'even if somebody changed the resource since')
  .action(run(undoChange));
program
  .command('approve <function>')
  .description('what runs now of a function becomes its approved code, whoever put it there')
  .option('--yes', 'without asking')
  .action(run(approve));
program
  .command('exempt <rule> <resource>')
  .description('leaves a resource (an ARN, or a glob of ARNs) alone for a time')
  .requiredOption('--for <time>', '12h, 7d; at most a year')
  .requiredOption('--reason <text>', 'why')
  .requiredOption('--owner <name>', 'who answers for it')
  .action(run(exempt));
program
  .command('exemptions')
  .description('what is exempt, and until when')
  .option('--json', 'as the ledger keeps them')
  .action(run(exemptions));
program.command('unexempt <exemption>').description('ends an exemption at once').action(run(unexempt));
program
  .command('pause')
  .description('stops every fix before its next write, without a deployment')
  .requiredOption('--reason <text>', 'why')
  .action(run(pause));
program.command('resume').description('ends the pause').action(run(resume));
program.command('mode <rule> <mode>').description('lowers a rule at once: off, alert; deployed takes that back').action(run(mode));

program
  .command('uninstall')
  .description('before the stack goes: what the guard changed, and offers to take each change back')
  .option('--yes', 'takes every change back without asking')
  .option('--keep', 'only tells, and keeps every change')
  .action(run(uninstall));

program
  .command('completion <shell>')
  .description(
    'a script for bash, zsh or fish that makes `guard` a command and completes it: source <(npm run --silent guard -- completion bash)',
  )
  .action((shell: string) => console.log(completion(shell, program)));

type Action = (options: Readonly<Record<string, string | boolean | undefined>>, args: readonly string[]) => Promise<keyof typeof exitCodes>;

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
    process.exitCode = error instanceof WrongUse ? exitCodes.wrongUse : exitCodes.unreadable;
  }
}
