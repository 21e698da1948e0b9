import { Command, CommanderError } from 'commander';
import { changes, exempt, findings, mode, pause, resume, undoChange } from './commands.ts';
import { WrongUse } from './session.ts';

/** 0 nothing open, 1 findings, 2 wrong use, 3 could not read everything. */
const exitCodes = { fine: 0, findings: 1, wrongUse: 2, unreadable: 3 } as const;

const program = new Command('guard')
  .description('The Lambda compliance guard, from the command line, with your own AWS credentials')
  .option('--stack <name>', 'the name of the deployed stack', 'lambda-compliance-guard')
  .option('--region <region>', 'the region of the stack (default: AWS_REGION)')
  .exitOverride();

program
  .command('findings')
  .description('what breaks a rule now')
  .option('--rule <id>')
  .option('--all', 'ended ones too')
  .action(run(findings));
program.command('changes').description('what the guard changed, with the command that takes it back').action(run(changes));
program
  .command('undo <change>')
  .description('takes a change back, with your credentials; the finding is exempt until you say so')
  .requiredOption('--for <time>', 'how long the guard leaves the resource alone: 12h, 7d')
  .requiredOption('--reason <text>', 'why')
  .action(run(undoChange));
program
  .command('exempt <rule> <resource>')
  .description('leaves a resource (an ARN, or a glob of ARNs) alone for a time')
  .requiredOption('--for <time>', '12h, 7d; at most a year')
  .requiredOption('--reason <text>', 'why')
  .requiredOption('--owner <name>', 'who answers for it')
  .action(run(exempt));
program
  .command('pause')
  .description('stops every fix before its next write, without a deployment')
  .requiredOption('--reason <text>', 'why')
  .action(run(pause));
program.command('resume').description('ends the pause').action(run(resume));
program.command('mode <rule> <mode>').description('lowers a rule at once: off, alert; deployed takes that back').action(run(mode));

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
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = error instanceof WrongUse ? exitCodes.wrongUse : exitCodes.unreadable;
  }
}
