import { connect } from '../aws/handle.ts';
import { getDecryptedFunction, getFunctionConfiguration, listAliases } from '../aws/lambda.ts';
import { functionArn, parseArn } from '../guard/arn.ts';
import { byHandIn, differencesFrom, isDifferent, marksOfRunning } from '../guard/baseline.ts';
import { findingId, isWrong } from '../guard/finding.ts';
import { partsDiffering, toldOf } from '../guard/run-setup.ts';
import { latest, runningFunction } from '../guard/running-code.ts';
import { rule as changedByHand } from '../rules/deployments/code-changed-by-hand.ts';
import { rule as drifted } from '../rules/deployments/code-drifted.ts';
import { plain } from './plain.ts';
import { asOperator } from './policy.ts';
import { type Options, openSession, WrongUse } from './session.ts';
import { confirmed, minuteOf, table } from './terminal.ts';

const reads = [getDecryptedFunction, listAliases, getFunctionConfiguration] as const;

/** What runs now of a function becomes its approved code, when a checker has seen that it still runs. */
export async function approve(options: Options, [name = '']: readonly string[]): Promise<'fine'> {
  const session = await openSession(options);
  const { connection, ledger, operate } = session;
  const arn = functionArn(name, connection);
  const { account, region } = parseArn(arn ?? '') ?? {};
  if (arn === undefined || account !== connection.account || region !== connection.region)
    throw new WrongUse(`${name} is no function of ${connection.account} in ${connection.region}: give its name, or its ARN.`);
  const running = await asOperator('To see what runs', reads, session, (watch) => runningFunction(connect(reads, connection, watch), arn));
  if (running === undefined) throw new WrongUse(`There is no function ${arn}.`);
  if (running.updating) throw new Error(`${arn} is being updated: run the command again when that is over.`);
  if (running.setup.switches === undefined)
    throw new Error(`The variables of ${arn} cannot be decrypted with your rights: nobody can approve what they make run.`);
  const baseline = await ledger.baseline(arn);
  if (baseline === undefined) throw new Error(`The guard knows no code of ${arn} yet: it does after the next sweep.`);
  if (baseline.state === 'approved' && !isDifferent(differencesFrom(baseline, running))) {
    console.log(plain(`What ${arn} runs is approved: ${baseline.package.sha256} of ${baseline.by}, since ${baseline.at}.`));
    return 'fine';
  }
  const byHand = byHandIn(baseline, running);
  const rows = Object.entries(running.hashes).map(([version, hash]) => {
    const known = baseline.state === 'approved' && baseline.approvedHashes.includes(hash) ? 'approved' : 'not approved';
    const aliases = Object.entries(running.aliases).filter(([, { version: to, weights }]) => to === version || version in weights);
    return [version, hash, byHand.includes(hash) ? 'put there by hand' : known, aliases.map(([alias]) => alias).join(', ') || '-'];
  });
  const setup = partsDiffering(differencesFrom(baseline, running).setup, baseline.setup, running.setup).map(toldOf);
  const findings = await Promise.all([changedByHand, drifted].map(({ id }) => ledger.finding(findingId(id, arn))));
  console.log(`${arn} runs\n${table(['version', 'CodeSha256', '', 'aliases'], rows)}`);
  console.log(`${baseline.state === 'approved' ? 'Approved' : 'Observed'} until now: ${baseline.package.sha256}, ${minuteOf(baseline.at)}`);
  for (const part of setup) console.log(plain(`Also, ${part}.`));
  for (const finding of findings)
    if (finding !== undefined && isWrong(finding))
      console.log(plain(`Finding ${finding.id}: ${finding.summary} By ${finding.actor?.arn ?? 'nobody known'}.`));
  if (!(await confirmed('Approve what runs now?', options))) {
    console.log('Nothing was approved.');
    return 'fine';
  }
  await operate({ action: 'approve', function: arn, sha256: running.hashes[latest] ?? '', runs: [...marksOfRunning(running)] });
  console.log(
    `Approved. It counts from when the guard looks at ${arn} the next time (at an event of it, or a sweep), if it still runs then.`,
  );
  return 'fine';
}
