import { type AnyCall, iamName } from './call.ts';
import { errorSummary, isAnswer } from './errors.ts';
import type { Finding } from './finding.ts';
import type { Ports } from './ports.ts';
import { type AnyRule, isWait, type Plan, type Step } from './rule.ts';

/** An alert shows so many steps, and so much of each: a message of SNS holds 256 KB. */
const shownSteps = 30;
const shownCharacters = 1_000;

/** The rule's plan for a finding: the steps that a fix runs, and that alerts, `guard plan` and undo show. */
export async function planFor(
  finding: Finding,
  changeId: string,
  rule: AnyRule,
  { connect, ledger, config, now }: Omit<Ports, 'publish'>,
  toShow = false,
): Promise<Plan> {
  const { params } = config.rule(rule.id);
  const context = { aws: connect(rule.check), estate: ledger, params, settings: config.settings, now: now(), changeId, toShow };
  return await rule.plan(finding, context);
}

/** The plan as an alert carries it. A plan that cannot be made now is no reason to keep the alert back. */
export async function planToShow(finding: Finding, rule: AnyRule, ports: Omit<Ports, 'publish'>): Promise<readonly string[]> {
  try {
    const { steps, refused } = await planFor(finding, 'change', rule, ports, true);
    const lines = describe(steps, rule).map((line) => (line.length > shownCharacters ? `${line.slice(0, shownCharacters)} …` : line));
    const shown = lines.length > shownSteps ? [...lines.slice(0, shownSteps), `and ${lines.length - shownSteps} more steps`] : lines;
    return refused === undefined ? shown : [...shown, `Not run: ${refused}`];
  } catch (error) {
    if (!isAnswer(error)) throw error;
    return [`No plan could be made now (${errorSummary(error)}): npm run guard -- plan ${finding.id} makes it.`];
  }
}

/** Steps as a person reads them, call by call. */
export function describe(steps: readonly Step[], rule: AnyRule): readonly string[] {
  return steps.map((step) =>
    isWait(step) ? `wait ${step.waitSeconds} s: ${step.why}` : `${nameOf(step.call, rule.fix)} ${JSON.stringify(step.input)}`,
  );
}

/** A declared call as IAM spells it. */
export function nameOf(call: string, calls: readonly AnyCall[]): string {
  const declared = calls.find(({ name }) => name === call);
  return declared === undefined ? call : iamName(declared);
}
