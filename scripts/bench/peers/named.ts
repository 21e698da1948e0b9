/** What Cloud Custodian says of a resource: AWS's description of it, and notes of its own. */
// biome-ignore lint/suspicious/noExplicitAny: resources of any type
export type Resource = Readonly<Record<string, any>>;

const region = 'us-east-1';
const home = `${region}:111122223333`;

/**
 * The ARNs of what a policy of Cloud Custodian found wrong.
 * @param instead what is wrong is not the function that it matched, but its role, or the groups or subnets for which it matched; an API has no ARN of its own
 */
export function named(resource: Resource, instead?: 'role' | 'group' | 'subnet' | 'api'): readonly string[] {
  const {
    FunctionArn,
    Role,
    Arn,
    ARN,
    GroupId,
    NetworkAclId,
    SubnetId,
    RouteId,
    restApiId,
    ApiId,
    id,
    'c7n:parent-id': api,
    'c7n:matched-security-groups': groups = [],
    'c7n:matched-subnets': subnets = [],
    'c7n:matched-resource-methods': methods = [],
  } = resource;
  if (instead === 'role') return [Role];
  if (instead === 'group') return groups.map((id: string) => `arn:aws:ec2:${home}:security-group/${id}`);
  if (instead === 'subnet') return subnets.map((id: string) => `arn:aws:ec2:${home}:subnet/${id}`);
  if (instead === 'api') return [`arn:aws:apigateway:${region}::/${ApiId === undefined ? `restapis/${id}` : `apis/${ApiId}`}`];
  // A group of IAM has a GroupId too.
  if (Arn?.startsWith('arn:aws:iam:') === true) return [Arn];
  if (restApiId !== undefined)
    return methods.map(
      ({ resourceId, httpMethod }: Resource) =>
        `arn:aws:apigateway:${region}::/restapis/${restApiId}/resources/${resourceId}/methods/${httpMethod}`,
    );
  if (RouteId !== undefined) return [`arn:aws:apigateway:${region}::/apis/${api}/routes/${RouteId}`];
  if (GroupId !== undefined) return [`arn:aws:ec2:${home}:security-group/${GroupId}`];
  if (NetworkAclId !== undefined) return [`arn:aws:ec2:${home}:network-acl/${NetworkAclId}`];
  if (SubnetId !== undefined) return [`arn:aws:ec2:${home}:subnet/${SubnetId}`];
  // A version or an alias that an event named is asked after as such.
  if (FunctionArn !== undefined) return [FunctionArn.split(':').slice(0, 7).join(':')];
  return [Arn ?? ARN];
}
