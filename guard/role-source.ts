import { roleName } from './arn.ts';
import { ifPresent } from './errors.ts';

/** An execution role as it was read: everything that a clone repeats. Documents are plain JSON, not URL-encoded. */
export interface SourceRole {
  readonly arn: string;
  /** The unique id (AROA…). */
  readonly id: string;
  readonly trust: string;
  readonly maxSessionDuration: number | undefined;
  readonly boundary: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
  readonly inline: readonly NamedDocument[];
  /** Managed policies, by ARN, with the documents of their default versions. */
  readonly managed: readonly NamedDocument[];
}

export interface NamedDocument {
  readonly name: string;
  readonly document: string;
}

/** The reads of IAM that it takes, as aws/iam.ts declares them. */
interface Reader {
  getWholeRole(input: Named): Promise<{ readonly Role?: Role | undefined }>;
  listRolePolicies(input: Named): Promise<readonly string[]>;
  getRolePolicy(input: Named & { PolicyName: string }): Promise<{ readonly PolicyDocument?: string | undefined }>;
  listAttachedRolePolicies(input: Named): Promise<readonly string[]>;
  getManagedPolicy(input: {
    PolicyArn: string;
  }): Promise<{ readonly Policy?: { readonly DefaultVersionId?: string | undefined } | undefined }>;
  getPolicyVersion(input: {
    PolicyArn: string;
    VersionId: string | undefined;
  }): Promise<{ readonly PolicyVersion?: { readonly Document?: string | undefined } | undefined }>;
}

interface Named {
  readonly RoleName: string;
}

interface Role {
  readonly Arn?: string | undefined;
  readonly RoleId?: string | undefined;
  readonly AssumeRolePolicyDocument?: string | undefined;
  readonly MaxSessionDuration?: number | undefined;
  readonly PermissionsBoundary?: { readonly PermissionsBoundaryArn?: string | undefined } | undefined;
  readonly Tags?: readonly { readonly Key: string | undefined; readonly Value: string | undefined }[] | undefined;
}

/** The role whole; undefined where it is gone, or another took its name under another path. */
export async function readRole(aws: Reader, arn: string): Promise<SourceRole | undefined> {
  const RoleName = roleName(arn);
  const { Role } = (await ifPresent(aws.getWholeRole({ RoleName }))) ?? {};
  if (Role?.Arn !== arn) return undefined;
  const inline: SourceRole['inline'][number][] = [];
  for (const PolicyName of await aws.listRolePolicies({ RoleName })) {
    const { PolicyDocument = '' } = await aws.getRolePolicy({ RoleName, PolicyName });
    inline.push({ name: PolicyName, document: plainDocument(PolicyDocument) });
  }
  const managed: SourceRole['managed'][number][] = [];
  for (const PolicyArn of await aws.listAttachedRolePolicies({ RoleName })) {
    const { Policy } = await aws.getManagedPolicy({ PolicyArn });
    const { PolicyVersion } = await aws.getPolicyVersion({ PolicyArn, VersionId: Policy?.DefaultVersionId });
    managed.push({ name: PolicyArn, document: plainDocument(PolicyVersion?.Document ?? '') });
  }
  return {
    arn,
    id: Role.RoleId ?? '',
    trust: plainDocument(Role.AssumeRolePolicyDocument ?? ''),
    maxSessionDuration: Role.MaxSessionDuration,
    boundary: Role.PermissionsBoundary?.PermissionsBoundaryArn,
    tags: Object.fromEntries((Role.Tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value])),
    inline,
    managed,
  };
}

/** IAM's documents come URL-encoded. https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html */
export function plainDocument(document: string): string {
  return document.trimStart().startsWith('{') ? document : decodeURIComponent(document);
}
