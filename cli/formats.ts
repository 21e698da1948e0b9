import type { Alert } from '../guard/alert.ts';
import { rankOf } from '../guard/finding.ts';
import type { PlannedFix, Tally } from '../guard/replay.ts';
import type { AnyRule } from '../guard/rule.ts';
import type { Unknown } from '../guard/scan.ts';
import { htmlReport } from './formats/html.ts';
import { ocsf } from './formats/ocsf.ts';
import { sarif } from './formats/sarif.ts';
import { many, table } from './terminal.ts';

/** What a scan or a replay found. */
export interface Result {
  readonly account: string;
  readonly regions: readonly string[];
  /** When it began, ISO 8601. */
  readonly at: string;
  /** By which rules. */
  readonly rules: readonly AnyRule[];
  readonly findings: readonly Alert[];
  readonly unknown: readonly Unknown[];
  readonly stats: Stats;
  /** The functions that a scan saw, by their ARNs. */
  readonly functions?: readonly string[];
  readonly replay?: Replay;
}

/** What a replay knows beside that. */
export interface Replay {
  readonly fixes: readonly PlannedFix[];
  /** What each rule came to. */
  readonly rules: readonly Tally[];
  /** From the first event to the last; not there where no rule listened to any. */
  readonly period?: { readonly from: string; readonly to: string };
  readonly files: number;
  readonly ledgerCalls: number;
}

export interface Stats {
  /** Records read, of which a rule listens to `subscribed`; the others are skipped. */
  readonly events: number;
  readonly subscribed: number;
  readonly skipped: number;
  /** What could not be read. */
  readonly failed: number;
  readonly resources: number;
  readonly calls: number;
  readonly seconds: number;
}

export type Format = (result: Result) => string;

const json: Format = ({ account, regions, at, rules, findings, unknown, stats, replay }) =>
  JSON.stringify({ version: '1', account, regions, at, rules: rules.map(({ id }) => id), findings, unknown, stats, ...replay }, null, 2);

/** The gravest first, and those of a rule together. */
export function gravestFirst(findings: readonly Alert[]): readonly Alert[] {
  return [...findings].sort((a, b) => rankOf(b.severity) - rankOf(a.severity) || a.rule.localeCompare(b.rule));
}

const inATable: Format = ({ findings, unknown, stats: { resources, calls, seconds } }) => {
  return [
    findings.length === 0
      ? `Nothing ${unknown.length === 0 ? '' : 'that could be read '}is wrong.`
      : table(
          ['severity', 'rule', 'resource', 'what is wrong'],
          gravestFirst(findings).map(({ severity, rule, resource, evidence, summary }) => [
            severity,
            rule,
            placeIn(evidence) ?? resource.arn,
            summary,
          ]),
        ),
    ...(unknown.length === 0
      ? []
      : [
          '',
          'Not known, because it could not be read:',
          table(
            ['rule', 'resource', 'why'],
            unknown.map(({ rule, resource, why, template }) => [rule, placeIn({ template }) ?? resource, why]),
          ),
        ]),
    '',
    `${many(findings.length, 'finding')} on ${many(resources, 'resource')}, ${many(unknown.length, 'unknown')}; ${many(calls, 'call')} in ${seconds.toFixed(1)} s.`,
  ].join('\n');
};

/** Where something stands in a template, as `template.yaml:12 Orders`. */
function placeIn({ template }: { readonly template?: unknown }): string | undefined {
  if (typeof template !== 'object' || template === null) return undefined;
  const { file, line, logicalId = '' } = template as NonNullable<Unknown['template']>;
  return `${file}:${line} ${logicalId}`.trim();
}

export const formats: Readonly<Record<string, Format>> = { table: inATable, json, sarif, ocsf, html: htmlReport };
