/** Amazon Resource Names. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html */
export interface Arn {
  readonly partition: string;
  readonly service: string;
  readonly region: string;
  readonly account: string;
  readonly resource: string;
}

/** The parts of an ARN, or undefined where the text is not one. */
export function parseArn(text: string): Arn | undefined {
  const match = /^arn:([^:]+):([^:]+):([^:]*):([^:]*):(.+)$/s.exec(text);
  if (match === null) return undefined;
  const [, partition = '', service = '', region = '', account = '', resource = ''] = match;
  return { partition, service, region, account, resource };
}

export function partitionOf(region: string): string {
  if (region.startsWith('cn-')) return 'aws-cn';
  return region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws';
}

/** Where something lives: what turns a name into an ARN. */
export interface Place {
  readonly account: string;
  readonly region: string;
}

/**
 * A function's ARN with no qualifier, from any form that CloudTrail shows: name, `name:qualifier`, partial ARN
 * (`123456789012:function:name`) or ARN. Undefined where the text is none of these.
 * https://docs.aws.amazon.com/lambda/latest/api/API_GetFunction.html (FunctionName)
 */
export function functionArn(text: string, place: Place): string | undefined {
  const match = /^(?:(?:arn:[^:]+:lambda:([^:]+):)?(\d{12}):function:)?([a-zA-Z0-9-_]+)(?::(?:\$LATEST|[a-zA-Z0-9-_]+))?$/.exec(text);
  if (match === null) return undefined;
  const [, region = place.region, account = place.account, name] = match;
  return `arn:${partitionOf(region)}:lambda:${region}:${account}:function:${name}`;
}

/** The qualifier in a function's name or ARN (`…:live`, `…:3`), if any. `$LATEST` counts as none. */
export function qualifierOf(text: string): string | undefined {
  const match = /^(?:(?:arn:[^:]+:lambda:[^:]+:)?\d{12}:function:)?[a-zA-Z0-9-_]+:(\$LATEST|[a-zA-Z0-9-_]+)$/.exec(text);
  return match?.[1] === '$LATEST' ? undefined : match?.[1];
}

/** `name` of `arn:…:function:name[:qualifier]`. */
export function functionName(arn: string): string {
  return parseArn(arn)?.resource.split(':')[1] ?? arn;
}

/** The last part of a role's ARN: its name without the path. */
export function roleName(arn: string): string {
  return arn.slice(arn.lastIndexOf('/') + 1);
}

/**
 * Whether `text` matches an ARN glob, in which `*` stands for anything and `?` for one character, as in IAM. No regular
 * expression: with a dozen stars one takes for ever, and globs come from policies that anybody may write.
 */
export function matchesGlob(text: string, glob: string): boolean {
  let at = 0;
  let star = -1;
  let after = 0;
  let position = 0;
  while (position < text.length) {
    if (glob[at] === '*') {
      star = at;
      at += 1;
      after = position;
    } else if (at < glob.length && (glob[at] === '?' || glob[at] === text[position])) {
      at += 1;
      position += 1;
    } else if (star >= 0) {
      // The last star takes one character more.
      at = star + 1;
      after += 1;
      position = after;
    } else return false;
  }
  while (glob[at] === '*') at += 1;
  return at === glob.length;
}

/** A function, version or alias as Lambda's calls name it. */
export function qualifiedName(arn: string): { readonly FunctionName: string; readonly Qualifier?: string } {
  const Qualifier = qualifierOf(arn);
  return Qualifier === undefined ? { FunctionName: arn } : { FunctionName: arn.slice(0, -Qualifier.length - 1), Qualifier };
}
