import { severities } from '../../guard/finding.ts';
import { minuteOf } from '../terminal.ts';

/** Severities as the report lists them, the gravest first. */
export const gravest = severities.toReversed();

/** `19 s`, `5 min`, `3.5 h`, `12 days`. */
export function duration(milliseconds: number): string {
  const seconds = milliseconds / 1_000;
  if (seconds < 100) return `${round(seconds)} s`;
  if (seconds < 6_000) return `${round(seconds / 60)} min`;
  return seconds < 172_800 ? `${round(seconds / 3_600)} h` : `${round(seconds / 86_400)} days`;
}

function round(value: number): string {
  return value >= 10 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(1);
}

/** What a resource is called in its account. */
export function nameOf(arn: string): string {
  const resource = arn.split(':').slice(5).join(':');
  return (
    resource.replace(/^(function|secret):/, '').replace(/^(role|user|group|policy|security-group|subnet|network-acl|route-table)\//, '') ||
    arn
  );
}

/** `2026-11-22 18:00 UTC`; a time that is none as it is written. */
export function momentOf(time: string): string {
  return Number.isNaN(Date.parse(time)) ? time : `${minuteOf(time)} UTC`;
}
