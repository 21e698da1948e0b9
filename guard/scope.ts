import { functionName, matchesGlob, parseArn, qualifierOf } from './arn.ts';
import type { Config } from './config.ts';
import type { Finding } from './finding.ts';
import { tamperedRule } from './tampering.ts';

/**
 * Why no fix may touch a finding's subject, as a sentence, or undefined where one may.
 * Asked before the plan is made; the IAM policy of each remediator says the same where IAM can express it.
 */
export function untouchable({ subject, tags, rule }: Pick<Finding, 'subject' | 'tags' | 'rule'>, config: Config): string | undefined {
  // One rule alone looks after the guard itself, and may only switch on again.
  if (rule !== tamperedRule && (tags['aws:cloudformation:stack-name'] === config.stack || isNamedAfter(config.stack, subject.arn))) {
    return 'It belongs to the guard itself, which never changes itself.';
  }
  const never = config.neverTouch.find((glob) => names(glob, subject.arn));
  if (never !== undefined) return `NeverTouch names it (${never}).`;
  const { scope } = config.rule(rule);
  return scope.some((part) => inScope(part, subject.arn, tags)) ? undefined : 'It lies outside the scope in which this rule may remediate.';
}

/** The stack's functions, roles, queues and log groups begin with its name; aliases and versions are their function's. */
function isNamedAfter(stack: string, arn: string): boolean {
  const { service, resource = '' } = parseArn(arn) ?? {};
  const names = service === 'lambda' ? [functionName(arn)] : resource.split(/[/:]/);
  return names.some((name) => name.startsWith(`${stack}-`));
}

/** `tag:key=value`, or an ARN glob; `*` is everything. */
function inScope(part: string, arn: string, tags: Readonly<Record<string, string>>): boolean {
  const tag = /^tag:([^=]+)=(.*)$/s.exec(part);
  if (tag === null) return names(part, arn);
  const [, key = '', value = ''] = tag;
  return tags[key] === value;
}

/** Whoever names a function means its aliases and versions too. */
function names(glob: string, arn: string): boolean {
  const qualifier = qualifierOf(arn);
  return matchesGlob(arn, glob) || (qualifier !== undefined && matchesGlob(arn.slice(0, -qualifier.length - 1), glob));
}
