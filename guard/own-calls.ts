import { type Alert, alertAbout } from './alert.ts';
import { functionArn, parseArn, roleName } from './arn.ts';
import type { Change } from './change.ts';
import { type ApiEvent, text } from './cloudtrail.ts';
import { type Finding, findingId, fingerprintOf } from './finding.ts';
import type { Ports } from './ports.ts';
import { functionSubject, type Subject, withoutSuffix } from './subject.ts';
import { recordTampering, tamperedRule } from './tampering.ts';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** CloudTrail's times are whole seconds, and clocks differ. */
const tolerance = minute;
/** How long after a change's last known moment a call may still belong to it. */
const lately = hour;
/** How far back changes are looked through; one that began earlier is found by its finding. */
const lookedThrough = 7 * day;

/** What the guard's own functions are called behind the stack's name; their roles are called the same. */
const parts = /^((check|remediate)-[a-z0-9-]+|notify|operate|sweep|tick)$/;

/** Which function of the guard a role belongs to (`remediate-role-shared`), if it is one of the stack's own. */
export function ownRole(issuer: string, { stack, home }: Pick<Ports['config'], 'stack' | 'home'>): string | undefined {
  const arn = parseArn(issuer);
  const prefix = `role/${stack}-`;
  if (arn?.service !== 'iam' || arn.account !== home.account || !arn.resource.startsWith(prefix)) return undefined;
  const part = arn.resource.slice(prefix.length);
  return parts.test(part) ? part : undefined;
}

/**
 * A call by a role of the guard that none of its changes explains: somebody else uses the role. One that a change explains
 * is an event like any other, and the state of what it touched decides. Told once for each event, and kept as one finding for
 * each role. One call to the ledger where a change explains it, a few where none does, and none for anybody else's calls.
 */
export async function unexplainedCall(
  event: ApiEvent,
  subjects: readonly Subject[],
  ports: Pick<Ports, 'ledger' | 'config' | 'now'>,
): Promise<readonly Alert[]> {
  const part = ownRole(event.actor.issuer, ports.config);
  if (part === undefined || (await isExplained(part, event, subjects.length > 0 ? subjects : functionIn(event), ports))) return [];
  const finding = findingOf(event, subjects, ports.now());
  // What guard-tampered knows of the role from now on, so that it holds on to the finding until somebody has seen to it.
  await recordTampering(ports.ledger, finding.subject.arn, event, ports.now());
  const exempt = await ports.ledger.exemption(finding.rule, finding.subject.arn, ports.now());
  const { finding: kept } = await ports.ledger.open(exempt === undefined ? finding : { ...finding, status: 'exempt' });
  if (kept.status === 'exempt') return [];
  // Not as the ledger holds it, which counts its openings: several checkers hear of one event, and it is told once.
  return [{ ...alertAbout(finding, { status: 'open' }), kind: 'failure' }];
}

async function isExplained(
  part: string,
  { time }: ApiEvent,
  subjects: readonly Subject[],
  { ledger, now }: Pick<Ports, 'ledger' | 'now'>,
): Promise<boolean> {
  // Whatever else the guard's functions do, only remediators change anything that rules listen to.
  if (!part.startsWith('remediate-')) return false;
  const rule = part.slice('remediate-'.length);
  const at = Date.parse(time) || now();
  const explains = (change: Change) => change.rule === rule && isInTime(change, at) && subjects.some(({ arn }) => isAbout(change, arn));
  for await (const change of ledger.latestChanges(at - lookedThrough)) if (explains(change)) return true;
  // The list may lack a change of this very moment, and leaves out what began long ago and waits: their findings name them.
  for (const arn of subjects.flatMap((subject) => [...new Set([subject.arn, functionArn(subject.arn, subject) ?? subject.arn])])) {
    const { fixing, change = fixing } = (await ledger.finding(findingId(rule, arn))) ?? {};
    const present = change === undefined ? undefined : await ledger.change(change);
    if (present !== undefined && explains(present)) return true;
  }
  return false;
}

/** The function that an event is about, where a practice listens to it and none of its rules judges what it names. */
function functionIn({ request, ...place }: ApiEvent): readonly Subject[] {
  const subject = functionSubject(text(request, 'functionName') ?? text(request, 'resourceArn') ?? '', place);
  return subject === undefined ? [] : [subject];
}

function isInTime({ status, startedAt, fixedAt = 0, resumeAt = 0, watchUntil = 0 }: Change, at: number): boolean {
  const begun = Date.parse(startedAt);
  if (at < begun - tolerance) return false;
  // When a change was taken back is not written down.
  if (['running', 'waiting', 'probation', 'reverting', 'reverted'].includes(status)) return true;
  return at <= Math.max(begun, fixedAt, resumeAt, watchUntil) + lately;
}

/** Whether a change is of this resource, or names it in one of its calls. */
function isAbout({ resource, steps, account, region }: Change, arn: string): boolean {
  const place = { account, region };
  const whole = functionArn(arn, place);
  if (resource === arn || (whole !== undefined && functionArn(resource, place) === whole)) return true;
  const id = whole ?? arn;
  // A secret is made by its name, and AWS adds six characters to its ARN.
  const secrets = [arn, withoutSuffix(arn)].flatMap((one) => /:secret:(.+)$/.exec(one)?.[1] ?? []);
  const named = textsIn(steps);
  return [arn, id, id.slice(Math.max(id.lastIndexOf('/'), id.lastIndexOf(':')) + 1), ...secrets].some((name) => named.has(name));
}

function textsIn(value: unknown, found = new Set<string>()): ReadonlySet<string> {
  if (typeof value === 'string') found.add(value);
  else if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) textsIn(inner, found);
  return found;
}

/** Where requests name what they are about: every checker that hears of an event has to say the same of it. */
const names = ['functionName', 'resource', 'resourceArn', 'groupId', 'roleName', 'policyArn', 'secretId'];

function findingOf(event: ApiEvent, subjects: readonly Subject[], now: number): Finding {
  const { actor, id, service, operation, time, account, region, request } = event;
  const role = actor.issuer;
  const seen = new Date(now).toISOString();
  const [name] = names.flatMap((key) => text(request, key) ?? []);
  const on = name === undefined ? '' : ` on ${name}`;
  const rule = tamperedRule;
  return {
    id: findingId(rule, role),
    rule,
    practice: 'guard',
    severity: 'critical',
    title: 'Somebody else uses a role of the guard',
    summary: `The guard's role ${roleName(role)} called ${service}:${operation}${on} at ${time}, and no change of the guard explains it: somebody else uses the role.`,
    subject: { arn: role, type: 'AWS::IAM::Role', account, region },
    evidence: {
      call: `${service}:${operation}`,
      event: id,
      time,
      session: actor.arn,
      sourceIp: actor.sourceIp,
      resources: subjects.map(({ arn }) => arn),
    },
    tags: {},
    status: 'open',
    opened: 1,
    firstSeen: seen,
    openedAt: seen,
    lastSeen: seen,
    asOf: now,
    cause: `event ${id}`,
    attempts: 0,
    actor,
    event: { id, name: operation, time },
    fingerprint: fingerprintOf(id),
  };
}
