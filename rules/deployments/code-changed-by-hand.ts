import * as z from 'zod';
import { archivePackage, findPackage } from '../../aws/archive.ts';
import {
  getDecryptedFunction,
  getEventSourceMapping,
  getFunctionConfiguration,
  listAliases,
  putSetup,
  updateAlias,
  updateFunctionCode,
} from '../../aws/lambda.ts';
import { functionName } from '../../guard/arn.ts';
import { codeEvents, isDifferent, setupEvents, wholeFunction } from '../../guard/baseline.ts';
import { text } from '../../guard/cloudtrail.ts';
import { putBack } from '../../guard/code-back.ts';
import { differing, isByHand, learn, refuseUnreadable, violating } from '../../guard/code-judgement.ts';
import { RetryLater } from '../../guard/errors.ts';
import { sourcesByHand } from '../../guard/event-sources.ts';
import { ownRole } from '../../guard/own-calls.ts';
import { cloudTrail, defineRule } from '../../guard/rule.ts';
import { latest, runningFunction } from '../../guard/running-code.ts';

export const rule = defineRule({
  id: 'code-changed-by-hand',
  practice: 'deployments',
  severity: 'critical',
  title: 'The code that runs was not put there by a deployer',
  on: [cloudTrail('lambda', [...codeEvents, ...setupEvents], wholeFunction)],
  check: [getDecryptedFunction, listAliases, getFunctionConfiguration, getEventSourceMapping, archivePackage, findPackage],
  fix: [updateFunctionCode, updateAlias, putSetup],
  undo: [updateFunctionCode, updateAlias, putSetup],
  delay: 15,
  probation: false,
  inTurn: true,
  accepts: true,
  // A package is held in memory whole: at most 250 MB, and once more while it is hashed and sent.
  memory: 1536,
  params: z.object({}),
  distinguishes: ({ sha256, aliases, setup, sources }) => ({ sha256, aliases, setup, sources }),

  // Only what an event told of is this rule's: what nobody told of is code-drifted's, so that one wrong thing is one finding.
  async evaluate(subject, { aws, estate, settings, event, now }) {
    const running = await runningFunction(aws, subject.arn);
    if (running === undefined) {
      await estate.forgetBaseline(subject.arn, now);
      return { violations: [], compliant: [subject] };
    }
    const look = { subject, running, baseline: await estate.baseline(subject.arn), aws, estate, settings, event, now };
    const baseline = await learn(look);
    if (baseline === undefined) return { violations: [], compliant: [] };
    const { byHand, silent } = differing(baseline, running);
    const sources = await sourcesByHand(baseline.sources, subject, aws);
    if (isDifferent(byHand) || sources.length > 0) return await violating({ ...look, baseline }, byHand, sources);
    refuseUnreadable(look);
    // Events come in any order: between those of one deployment, what runs may be ahead of what is approved so far. What
    // no event told of opens nothing here, and ends nothing where it may be this rule's: an event that was not read yet, or
    // somebody's second change. What a sweep finds of a function that nobody is known to have changed is code-drifted's alone.
    const mayBeByHand = event !== undefined || (baseline.byHand ?? []).length > 0;
    const isUndecided = baseline.state === 'approved' && mayBeByHand && isDifferent(silent);
    return { violations: [], compliant: isUndecided ? [] : [subject] };
  },

  tells(event, { settings }) {
    const { operation, actor, time, response, account, region } = event;
    const isOwn = ownRole(actor.issuer, { stack: settings.stack, home: { account, region } }) !== undefined;
    if (operation !== 'UpdateFunctionCode' || isOwn || !isByHand(event, settings)) return [];
    const evidence = { sha256: text(response, 'codeSha256') ?? '' };
    return wholeFunction(event).map((subject) => {
      const why = actor.console ? 'in the console' : 'and is no deployer';
      const summary = `${actor.arn} put code into ${functionName(subject.arn)} by hand at ${time}, ${why}.`;
      return { subject, summary, evidence, tags: {} };
    });
  },

  async plan({ subject }, { aws, estate, settings, toShow }) {
    const running = await runningFunction(aws, subject.arn);
    if (running === undefined) return { steps: [] };
    if (running.updating && !toShow) throw new RetryLater(`${subject.arn} is being updated`);
    const baseline = await estate.baseline(subject.arn);
    if (baseline?.state !== 'approved') {
      const refused = `No approved package of ${functionName(subject.arn)} is known: what one of the Deployers deploys becomes it.`;
      return { steps: [], refused };
    }
    const sources = await sourcesByHand(baseline.sources, subject, aws);
    return await putBack(differing(baseline, running).byHand, { subject, running, baseline, aws, settings }, sources);
  },

  async state(subject, { aws }) {
    const { hashes, aliases, setup } = (await runningFunction(aws, subject.arn)) ?? {};
    const { switches: _read, ...parts } = setup ?? {};
    return { sha256: hashes?.[latest], aliases, ...parts };
  },
});
