import * as z from 'zod';
import { getRole, type Role, updateAssumeRolePolicy } from '../../aws/iam.ts';
import { getFunctionConfiguration, listAliases } from '../../aws/lambda.ts';
import { functionName, roleName } from '../../guard/arn.ts';
import { ifPresent } from '../../guard/errors.ts';
import { functionWithRole, namedRole, roleChanges, type UsedRole, usedRoles, whyNotOurs } from '../../guard/function-roles.ts';
import { PolicyUnreadable } from '../../guard/policy-document.ts';
import { plainDocument } from '../../guard/role-source.ts';
import { type Allowed, deletedPrincipals, type Opening, openingsOf, withoutOpenings } from '../../guard/role-trust.ts';
import { cloudTrail, defineRule, type Violation } from '../../guard/rule.ts';
import type { Subject } from '../../guard/subject.ts';

/** A parameter that lists things, as text with commas. */
const list = (each: string, what: string, asShipped: string) =>
  z
    .string()
    .regex(new RegExp(`^$|^${each}(,${each})*$`), `it takes ${what}, comma-separated and without spaces`)
    .default(asShipped)
    .transform((text) => text.split(',').filter((one) => one !== ''));

export const rule = defineRule({
  id: 'role-trust-open',
  practice: 'roles',
  severity: 'high',
  title: "A function's role may be assumed by somebody who has no business with it",
  on: [
    cloudTrail('lambda', roleChanges, functionWithRole),
    cloudTrail('iam', ['CreateRole', 'UpdateAssumeRolePolicy', 'DeleteRole'], namedRole),
  ],
  check: [getFunctionConfiguration, listAliases, getRole],
  fix: [updateAssumeRolePolicy],
  undo: [updateAssumeRolePolicy],
  delay: 0,
  probation: false,
  params: z.object({
    services: list(
      '[a-z0-9.-]+',
      'service principals',
      'lambda.amazonaws.com,edgelambda.amazonaws.com,scheduler.amazonaws.com,states.amazonaws.com',
    ).describe('Services that may assume roles of functions: service principals without a region, comma-separated.'),
    accounts: list('[0-9]{12}', 'ids of accounts', '').describe(
      'Other accounts that may assume roles of functions: their ids, comma-separated.',
    ),
    organization: z
      .string()
      .regex(/^$|^o-[a-z0-9]{10,32}$/, 'it takes the id of an organization, or nothing')
      .default('')
      .describe(
        'The id of the organization whose accounts count as inside where a trust policy asks for it (aws:PrincipalOrgID); empty: none.',
      ),
  }),
  distinguishes: ({ principals }) => principals,

  async evaluate(subject, { aws, estate, event, now, params }) {
    const { used, others } = await usedRoles(subject, aws, { estate, event, now });
    const violations: Violation[] = [];
    const compliant = [...others];
    let doubt: PolicyUnreadable | undefined;
    for (const one of used) {
      const { openings, unclear } = openingsOf(trustOf(one.role), allowedBy(params, one.subject));
      if (openings.length > 0) violations.push(violationOf(one, openings));
      else if (unclear.length === 0) compliant.push(one.subject);
      else doubt = new PolicyUnreadable(`it is not clear whom the trust policy of ${one.subject.arn} lets in: ${unclear.join(', ')}`);
    }
    if (doubt !== undefined && violations.length === 0) throw doubt;
    return { violations, compliant };
  },

  async plan({ subject }, { aws, params }) {
    const RoleName = roleName(subject.arn);
    const { Role: role } = (await ifPresent(aws.getRole({ RoleName }))) ?? {};
    if (role?.Arn !== subject.arn) return { steps: [], refused: `The role ${subject.arn} is gone.` };
    const document = trustOf(role);
    const { openings } = openingsOf(document, allowedBy(params, subject));
    if (openings.length === 0) return { steps: [] };
    // Nobody gets in by a service without iam:PassRole, and other workloads may run with the role: a person decides over that.
    const ours = openings.filter(({ kind }) => kind !== 'Service');
    const services = openings.flatMap(({ kind, principal }) => (kind === 'Service' ? [principal] : []));
    const left = withoutOpenings(document, ours.length > 0 ? ours : openings);
    const remains =
      ours.length > 0 && services.length > 0 ? [`${services.join(', ')} may assume ${RoleName}: other workloads may run with it`] : [];
    const steps = [
      {
        call: 'updateAssumeRolePolicy',
        input: { RoleName, PolicyDocument: JSON.stringify(left) },
        undo: [{ call: 'updateAssumeRolePolicy', input: { RoleName, PolicyDocument: document } }],
      },
    ];
    const [deleted] = deletedPrincipals(document);
    const refused =
      whyNotOurs(subject.arn) ??
      (openings.some(({ kind }) => kind === 'NotPrincipal')
        ? `The trust policy of ${RoleName} says whom it does not let in (NotPrincipal): write down by hand whom it does.`
        : undefined) ??
      (ours.length > 0
        ? undefined
        : `Other workloads may run with ${RoleName} by ${services.join(', ')}: take that out by hand, or list it in RoleTrustOpenServices.`) ??
      (deleted === undefined
        ? undefined
        : `The trust policy of ${RoleName} names ${deleted}, which was deleted: IAM takes no document with it, so an undo could not bring this one back.`) ??
      (left.Statement.some(({ Effect }) => Effect === 'Allow') ? undefined : `Nobody could assume ${RoleName} any more, not even Lambda.`);
    return { steps, ...(remains.length === 0 ? {} : { remains }), ...(refused === undefined ? {} : { refused }) };
  },

  async state(subject, { aws }) {
    const { Role: role } = (await ifPresent(aws.getRole({ RoleName: roleName(subject.arn) }))) ?? {};
    return role?.Arn === subject.arn ? JSON.parse(trustOf(role)) : undefined;
  },
});

function trustOf({ AssumeRolePolicyDocument = '' }: Role): string {
  return plainDocument(AssumeRolePolicyDocument);
}

interface Params {
  readonly services: readonly string[];
  readonly accounts: readonly string[];
  readonly organization: string;
}

function allowedBy({ services, accounts, organization }: Params, { account }: Subject): Allowed {
  return { account, trustedAccounts: accounts, services, organization: organization === '' ? undefined : organization };
}

function violationOf({ subject, role, functions }: UsedRole<Role>, openings: readonly Opening[]): Violation {
  const [first, ...more] = [...new Set(openings.map(({ who }) => who))];
  const who = more.length === 0 ? first : `${first}, and ${more.length} more`;
  return {
    subject,
    summary: `The role ${roleName(subject.arn)} of ${functions.map(functionName).join(' and ')} may be assumed by ${who}.`,
    evidence: { functions, principals: openings.map(({ kind, principal, who: is }) => ({ kind, principal, who: is })) },
    tags: Object.fromEntries((role.Tags ?? []).map(({ Key = '', Value = '' }) => [Key, Value])),
  };
}
