import * as z from 'zod';
import { archivePackage, findPackage } from '../../aws/archive.ts';
import { getDecryptedFunction, getFunctionConfiguration, listAliases, updateAlias, updateFunctionCode } from '../../aws/lambda.ts';
import { codeEvents, isDifferent, wholeFunction } from '../../guard/baseline.ts';
import { putBack } from '../../guard/code-back.ts';
import { differing, learn, violating } from '../../guard/code-judgement.ts';
import { RetryLater } from '../../guard/errors.ts';
import { cloudTrail, defineRule } from '../../guard/rule.ts';
import { latest, runningFunction } from '../../guard/running-code.ts';

export const rule = defineRule({
  id: 'code-drifted',
  practice: 'deployments',
  severity: 'critical',
  title: 'The code that runs is not the approved one, and no event told of it',
  // Events end its findings, and tell what is approved; none opens one.
  on: [cloudTrail('lambda', codeEvents, wholeFunction)],
  check: [getDecryptedFunction, listAliases, getFunctionConfiguration, archivePackage, findPackage],
  fix: [updateFunctionCode, updateAlias],
  undo: [updateFunctionCode, updateAlias],
  // A deployment whose event is still on its way looks the same.
  delay: 60,
  probation: false,
  inTurn: true,
  accepts: true,
  // A package is held in memory whole: at most 250 MB, and once more while it is hashed and sent.
  memory: 1536,
  params: z.object({}),
  distinguishes: ({ sha256, aliases }) => ({ sha256, aliases }),

  // What an event told of is code-changed-by-hand's. What is only observed is whatever the guard came upon, right or wrong.
  async evaluate(subject, { aws, estate, settings, event, now }) {
    const running = await runningFunction(aws, subject.arn);
    if (running === undefined) {
      await estate.forgetBaseline(subject.arn, now);
      return { violations: [], compliant: [subject] };
    }
    const look = { subject, running, baseline: await estate.baseline(subject.arn), aws, estate, settings, event, now };
    const baseline = await learn(look);
    const { silent } = baseline?.state === 'approved' ? differing(baseline, running) : {};
    if (silent === undefined || !isDifferent(silent)) return { violations: [], compliant: [subject] };
    return event === undefined ? await violating({ ...look, baseline }, silent) : { violations: [], compliant: [] };
  },

  async plan({ subject }, { aws, estate, settings, toShow }) {
    const running = await runningFunction(aws, subject.arn);
    if (running === undefined) return { steps: [] };
    if (running.updating && !toShow) throw new RetryLater(`${subject.arn} is being updated`);
    const baseline = await estate.baseline(subject.arn);
    if (baseline?.state !== 'approved') return { steps: [] };
    return await putBack(differing(baseline, running).silent, { subject, running, baseline, aws, settings });
  },

  async state(subject, { aws }) {
    const { hashes, aliases } = (await runningFunction(aws, subject.arn)) ?? {};
    return { sha256: hashes?.[latest], aliases };
  },
});
