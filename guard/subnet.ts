import { type ApiEvent, textsUnder } from './cloudtrail.ts';
import type { Estate } from './estate.ts';
import { type Placement, placementOf } from './placement.ts';
import type { Evaluation, Violation } from './rule.ts';
import { networkSubject, type Subject } from './subject.ts';

/** Every subnet that an event names, in the request or in the answer. */
export function subnetsNamed({ request, response, ...place }: ApiEvent): readonly Subject[] {
  return textsUnder({ request, response }, 'subnetId').flatMap((id) => (id.startsWith('subnet-') ? [subnetSubject(id, place)] : []));
}

export function subnetSubject(id: string, place: Parameters<typeof networkSubject>[2]): Subject {
  return networkSubject('AWS::EC2::Subnet', id, place);
}

export function subnetOf({ arn }: Subject): string {
  return arn.slice(arn.lastIndexOf('subnet/') + 'subnet/'.length);
}

/**
 * Comes from a function, or from a subnet, to the subnets that are to be judged: those that functions are in, and those that
 * the function left to others. A subnet that no function is in breaks no rule of functions.
 * @param judge the violations among some subnets
 * @param subnetsOf the subnets that a subject of another kind concerns
 */
export async function evaluateSubnets(
  subject: Subject,
  { aws, estate, now }: { readonly aws: Parameters<typeof placementOf>[0]; readonly estate: Estate; readonly now: number },
  judge: (subnets: ReadonlyMap<string, readonly string[]>) => Promise<readonly Violation[]>,
  subnetsOf: (subject: Subject) => Promise<readonly string[]> = async () => [],
): Promise<Evaluation> {
  let ids: readonly string[];
  if (subject.type === 'AWS::Lambda::Function') {
    const { subnets, left }: Placement<object> = await placementOf(aws, subject, { estate, now });
    ids = [...subnets, ...left.filter((id) => id.startsWith('subnet-'))];
  } else ids = subject.type === 'AWS::EC2::Subnet' ? [subnetOf(subject)] : await subnetsOf(subject);
  const used = new Map<string, readonly string[]>();
  for (const id of ids) {
    const functions = await estate.functionsIn(id);
    if (functions.length > 0) used.set(id, functions);
  }
  const violations = used.size === 0 ? [] : await judge(used);
  // What leads to subnets is no subject of a finding, unless it could not be looked up before.
  const leading = ['AWS::Lambda::Function', 'AWS::EC2::Subnet'].includes(subject.type) ? [] : [subject];
  const compliant = [...ids.map((id) => subnetSubject(id, subject)), ...leading];
  return { violations, compliant: compliant.filter(({ arn }) => !violations.some((violation) => violation.subject.arn === arn)) };
}
