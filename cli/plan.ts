import { connect } from '../aws/handle.ts';
import { type Finding, isWrong } from '../guard/finding.ts';
import { lower } from '../guard/mode.ts';
import { nameOf, planFor } from '../guard/plan.ts';
import { type AnyRule, isWait, type Plan } from '../guard/rule.ts';
import { stateOf } from '../guard/run.ts';
import { untouchable } from '../guard/scope.ts';
import { rules } from '../rules/index.ts';
import { plain } from './plain.ts';
import { asOperator, readsAmong } from './policy.ts';
import { type Options, openSession, type Session, WrongUse } from './session.ts';
import { confirmed, minuteOf } from './terminal.ts';

/** As many findings as one request to operate takes. */
const atOnce = 100;

/** What a fix of a finding would do, read with the operator's own credentials. Nothing is changed. */
export async function plan(options: Options, [id = '']: readonly string[]): Promise<'fine'> {
  const session = await openSession(options);
  const looked = await look(await findingOf(id, session), session);
  console.log(shown(looked));
  return 'fine';
}

/** Has findings fixed that were opened before their rule was set to remediate, or that the guard gave up. */
export async function fix(options: Options, [id]: readonly string[]): Promise<'fine'> {
  const { rule } = options;
  if ((id === undefined) === (typeof rule !== 'string')) throw new WrongUse('Give one finding, or --rule for all that are open of a rule.');
  const session = await openSession(options);
  const findings = id === undefined ? await openOf(String(rule), session) : [await findingOf(id, session)];
  const fixable: string[] = [];
  for (const finding of findings) {
    const looked = await look(finding, session);
    if (looked.refused !== undefined && id !== undefined) throw new Error(`Finding ${id} is not fixed: ${looked.refused}`);
    console.log(`${shown(looked)}\n`);
    if (looked.refused === undefined) fixable.push(finding.id);
  }
  if (fixable.length === 0) {
    console.log(`There is nothing of ${rule} that could be fixed.`);
    return 'fine';
  }
  if (!(await confirmed(`Fix ${fixable.length === 1 ? `finding ${fixable[0]}` : `these ${fixable.length} findings`}?`, options))) {
    console.log('Nothing was changed.');
    return 'fine';
  }
  for (let first = 0; first < fixable.length; first += atOnce)
    await session.operate({ action: 'fix', findings: fixable.slice(first, first + atOnce) });
  const { paused } = await session.ledger.switches();
  const when = paused ? 'It begins after `npm run guard -- resume`: every fix is paused' : 'It begins at once';
  console.log(`${fixable.length === 1 ? 'The fix is ordered.' : `${fixable.length} fixes are ordered.`} ${when}, and is told as an alert.`);
  return 'fine';
}

async function findingOf(id: string, { ledger }: Session): Promise<Finding> {
  const finding = await ledger.finding(id);
  if (finding === undefined) throw new WrongUse(`There is no finding ${id}: \`npm run guard -- findings\` lists them.`);
  return finding;
}

/** What is open of a rule and could be fixed. */
async function openOf(rule: string, { ledger }: Session): Promise<readonly Finding[]> {
  ruleOf(rule);
  const found = await Array.fromAsync(ledger.findings({ rule }));
  return found.filter((finding) => isWrong(finding) && finding.status !== 'unknown' && finding.fixing === undefined);
}

/** @throws WrongUse where this version of the guard has no such rule */
export function ruleOf(id: string): AnyRule {
  const rule = rules.find((candidate) => candidate.id === id);
  if (rule === undefined) throw new WrongUse(`There is no rule ${id}; there are ${rules.map((one) => one.id).join(', ')}.`);
  return rule;
}

/** A finding, its subject as it is now, and what a fix would do. */
interface Looked {
  readonly finding: Finding;
  readonly rule: AnyRule;
  readonly state: unknown;
  readonly plan: Plan;
  /** Why the guard would not run the plan now, as a sentence. */
  readonly refused: string | undefined;
}

async function look(finding: Finding, session: Session): Promise<Looked> {
  const { connection, ledger, config } = session;
  const rule = ruleOf(finding.rule);
  const reads = readsAmong(rule.check);
  return await asOperator(`A plan of ${rule.id}`, reads, session, async (watch) => {
    const ports = {
      ledger,
      config,
      now: Date.now,
      connect: (<const Calls extends readonly (typeof reads)[number][]>(calls: Calls) =>
        connect(readsAmong(calls), connection, watch)) as Parameters<typeof stateOf>[2]['connect'],
    };
    const state = await stateOf(finding.subject, rule, ports);
    const planned = await planFor(finding, 'change', rule, ports, true);
    return { finding, rule, state, plan: planned, refused: await refusalOf(finding, planned, session) };
  });
}

async function refusalOf(finding: Finding, { steps, refused }: Plan, { ledger, config }: Session): Promise<string | undefined> {
  const { status, rule, fixing } = finding;
  if (!isWrong(finding) || status === 'unknown') return `It is ${status}: only what is open, partial, failed or reverted can be fixed.`;
  if (fixing !== undefined) return `Its change ${fixing} is under way.`;
  const deployed = config.rule(rule).mode;
  const mode = lower(deployed, (await ledger.switches()).modes[rule] ?? deployed);
  if (mode !== 'remediate') return `${rule} is in ${mode}: only a rule in remediate fixes anything.`;
  const nothing = steps.length === 0 ? 'There is nothing to do: it was put right, or is gone.' : undefined;
  return untouchable(finding, config) ?? refused ?? nothing;
}

/** The whole as a person reads it. */
function shown({ finding, rule, state, plan: { steps, remains = [] }, refused }: Looked): string {
  const { id, status, severity, summary, subject, actor, event, firstSeen } = finding;
  const who = actor === undefined ? [] : [`By        ${actor.arn}${event === undefined ? '' : ` with ${event.name} at ${event.time}`}`];
  return [
    `Finding   ${id}, ${severity}, ${status}, first seen ${minuteOf(firstSeen)}`,
    `Rule      ${rule.id}: ${rule.title}`,
    `Resource  ${subject.arn}`,
    `Summary   ${summary}`,
    ...who,
    `Now       ${JSON.stringify(state) ?? 'gone'}`,
    'Plan',
    ...steps.flatMap((step, index) =>
      isWait(step)
        ? [`  ${index + 1}. wait ${step.waitSeconds} s: ${step.why}`]
        : [
            `  ${index + 1}. ${nameOf(step.call, rule.fix)} ${JSON.stringify(step.input)}`,
            ...step.undo.map(({ call, input }) => `     undo: ${nameOf(call, rule.undo)} ${JSON.stringify(input)}`),
          ],
    ),
    ...(steps.length === 0 ? ['  nothing'] : []),
    ...remains.map((what) => `Remains   ${what}`),
    ...(refused === undefined ? [] : [`Not run   ${refused}`]),
  ]
    .map(plain)
    .join('\n');
}
