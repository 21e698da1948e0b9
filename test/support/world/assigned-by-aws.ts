/**
 * Fields that AWS alone assigns: they differ after an undo, and nothing depends on their values. A round trip ends
 * "equal to before" but for these. Names that people choose (ARNs, statement ids, group ids) are never among them.
 */
export const assignedByAws: readonly string[] = [
  // Lambda
  'RevisionId',
  'LastModified',
  'LastModifiedTime',
  'CreationTime',
  // EC2
  'SecurityGroupRuleId',
  'SecurityGroupRuleArn',
  'NetworkAclAssociationId',
  // IAM
  'CreateDate',
  'RoleId',
];

/** The same data without those fields, at any depth. */
export function withoutAssigned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutAssigned);
  if (typeof value !== 'object' || value === null || value instanceof Date || value instanceof Uint8Array) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]) =>
      assignedByAws.includes(key) || inner === undefined ? [] : [[key, withoutAssigned(inner)]],
    ),
  );
}
