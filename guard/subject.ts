import { functionArn, type Place, parseArn, partitionOf, qualifierOf } from './arn.ts';

/** CloudFormation's names for what a finding may be about. */
export const subjectTypes = ['AWS::Lambda::Function', 'AWS::EC2::SecurityGroup', 'AWS::IAM::Role'] as const;

/** What a rule judges and what a finding names: the thing that is wrong and would be changed. */
export interface Subject extends Place {
  readonly arn: string;
  readonly type: (typeof subjectTypes)[number];
}

/** A function, or one of its versions or aliases, from the name in an event. */
export function functionSubject(name: string, place: Place, qualifier?: string): Subject | undefined {
  const arn = functionArn(name, place);
  if (arn === undefined) return undefined;
  const { account, region } = parseArn(arn) as Place;
  const suffix = qualifier ?? qualifierOf(name);
  return { arn: suffix === undefined || suffix === '$LATEST' ? arn : `${arn}:${suffix}`, type: 'AWS::Lambda::Function', account, region };
}

export function securityGroupSubject(id: string, place: Place): Subject {
  const { account, region } = place;
  return {
    arn: `arn:${partitionOf(region)}:ec2:${region}:${account}:security-group/${id}`,
    type: 'AWS::EC2::SecurityGroup',
    account,
    region,
  };
}
