// What may be known of an API before the guard deploys it: no API of AWS lists undeployed changes.

const mark = 'compliance-guard ';

/** The description of the deployment that a change of the guard makes to a stage: a repeated step knows by it what was made. */
export function deploymentMark(changeId: string, stage: string): string {
  return `${mark}${changeId} ${stage}`;
}

/** A deployment, and a stage's last write, as both kinds of APIs have them. */
interface History {
  readonly deployments: readonly { readonly at: Date | undefined; readonly description: string | undefined }[];
  readonly stages: readonly { readonly name: string; readonly at: Date | undefined }[];
}

/** How long nobody else may have written to an API. */
export interface Quiet {
  readonly minutes: number;
  readonly now: number;
  /** When the event was that opened it: that write is no other. */
  readonly event: string | undefined;
}

/** A stage is written to in the moment of its deployment: milliseconds. */
const sameMoment = 60_000;

/**
 * Whether somebody may still be at work on an API: a sentence about a write to it within these minutes, or undefined. The
 * guard's own deployments are no reason to wait.
 */
export function latelyWritten({ deployments, stages }: History, { minutes, now, event = '' }: Quiet): string | undefined {
  const isLate = (at: Date | undefined) =>
    at !== undefined && at.getTime() > now - minutes * 60_000 && !(Math.abs(at.getTime() - Date.parse(event)) < sameMoment);
  const own = deployments.flatMap(({ at, description }) => (description?.startsWith(mark) === true && at !== undefined ? [at] : []));
  const deployed = deployments.find(({ at, description }) => isLate(at) && description?.startsWith(mark) !== true);
  if (deployed !== undefined) return `it was deployed at ${deployed.at?.toISOString()}, less than ${minutes} minutes ago`;
  const written = stages.find(({ at }) => isLate(at) && !own.some((made) => Math.abs(made.getTime() - (at?.getTime() ?? 0)) < sameMoment));
  return written === undefined
    ? undefined
    : `its stage ${written.name} was written to at ${written.at?.toISOString()}, less than ${minutes} minutes ago`;
}

/** Where two definitions differ, as paths, at most three of them; empty where they say the same. The order of keys says nothing. */
export function differences(one: unknown, other: unknown, path = ''): readonly string[] {
  if (one === other) return [];
  if (Array.isArray(one) && Array.isArray(other)) {
    const same = one.length === other.length && one.every((item, index) => differences(item, other[index]).length === 0);
    return same ? [] : [path];
  }
  if (!isRecord(one) || !isRecord(other)) return [path];
  const keys = [...new Set([...Object.keys(one), ...Object.keys(other)])].sort();
  return keys.flatMap((key) => differences(one[key], other[key], path === '' ? key : `${path} ${key}`)).slice(0, 3);
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
