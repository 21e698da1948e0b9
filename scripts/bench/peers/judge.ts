import { type Expected, finding } from '../../../test/e2e/estate.ts';

/** What a tool says is wrong, and the rules of the guard that ask the same: by which of them is not always told. */
export interface Report {
  readonly rules: readonly string[];
  readonly arn: string;
}

/** Shares of 1. */
export interface Judgement {
  /** How much of what is wrong was found: the mean over all kinds of violation, and over all violations. */
  readonly recall: { readonly kinds: number; readonly violations: number };
  /** How much of what was reported is wrong: the mean over the rules by which anything was, and over all reports. */
  readonly precision: { readonly rules: number; readonly reports: number };
  /** Of how many kinds, how many were found at least once. */
  readonly kinds: { readonly all: number; readonly found: number };
  /** By kind, what was not found of how many. */
  readonly missed: Readonly<Record<string, string>>;
  /** Reports of what is not wrong, as `rule ARN`. */
  readonly wrong: readonly string[];
}

/**
 * Judges what a tool reported by what an estate is known to have. Whoever names the function has found what is wrong with
 * one of its versions or aliases, whoever names an API has found its routes and methods.
 * @param expected what is to be found
 * @param known all that is wrong, what no look at the account could tell included
 */
export function judge(reports: readonly Report[], expected: readonly Expected[], known: readonly Expected[] = expected): Judgement {
  const byRule = (all: readonly Expected[]) => Map.groupBy(all, ({ kind }) => kind.rule);
  const reported = new Map<string, Set<string>>();
  for (const { rules, arn } of reports)
    for (const rule of rules) reported.set(rule, (reported.get(rule) ?? new Set()).add(subject(finding(rule, arn))));

  const kinds = Map.groupBy(expected, ({ kind }) => `${kind.rule} ${kind.how}`);
  const found = ({ kind, finding: one }: Expected) => [...(reported.get(kind.rule) ?? [])].some((arn) => names(arn, subject(one)));
  const shares = [...kinds].map(([kind, all]) => ({ kind, all: all.length, found: all.filter(found).length }));

  const violations = byRule(known);
  const distinct = new Map(reports.map((report) => [`${report.rules[0]} ${report.arn}`, report]));
  const isRight = ({ rules, arn }: Report) =>
    rules.some((rule) => violations.get(rule)?.some((one) => names(subject(finding(rule, arn)), subject(one.finding))) === true);
  const judged = [...distinct].map(([what, report]) => ({ what, rule: report.rules[0] ?? '', right: isRight(report) }));

  return {
    recall: {
      kinds: mean(shares.map((one) => one.found / one.all)),
      violations: expected.filter(found).length / expected.length,
    },
    precision: {
      rules: mean([...Map.groupBy(judged, ({ rule }) => rule).values()].map((all) => all.filter(({ right }) => right).length / all.length)),
      reports: judged.filter(({ right }) => right).length / judged.length,
    },
    kinds: { all: shares.length, found: shares.filter((one) => one.found > 0).length },
    missed: Object.fromEntries(
      shares.filter((one) => one.found < one.all).map((one) => [one.kind, `${one.all - one.found} of ${one.all}`]),
    ),
    wrong: judged.filter(({ right }) => !right).map(({ what }) => what),
  };
}

/** The ARN of a finding. */
function subject(one: string): string {
  return one.slice(one.indexOf(' ') + 1);
}

function names(reported: string, wrong: string): boolean {
  return wrong === reported || wrong.startsWith(`${reported}:`) || wrong.startsWith(`${reported}/`);
}

function mean(shares: readonly number[]): number {
  return shares.reduce((sum, share) => sum + share, 0) / shares.length;
}
