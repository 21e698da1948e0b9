import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../../test/support/stack.ts';
import type { Report } from './judge.ts';

/** Prowler's checks that ask what rules of the guard ask of an account as it is. */
const checks: Readonly<Record<string, readonly string[]>> = {
  apigateway_restapi_authorizers_enabled: ['rest-method-open'],
  apigatewayv2_api_authorizers_enabled: ['http-route-open'],
  awslambda_function_env_vars_not_encrypted_with_cmk: ['environment-without-cmk'],
  awslambda_function_inside_vpc: ['function-outside-vpc'],
  awslambda_function_no_secrets_in_variables: ['secret-in-environment'],
  awslambda_function_not_publicly_accessible: ['function-policy-open', 'function-url-open'],
  awslambda_function_url_public: ['function-url-open'],
  awslambda_function_using_cross_account_layers: ['layer-foreign'],
  awslambda_function_vpc_multi_az: ['subnet-single-az'],
  ec2_securitygroup_allow_ingress_from_internet_to_all_ports: ['security-group-open-ingress'],
  ec2_securitygroup_allow_ingress_from_internet_to_any_port: ['security-group-open-ingress'],
  ec2_securitygroup_allow_wide_open_public_ipv4: ['security-group-open-ingress', 'security-group-open-egress'],
  ec2_securitygroup_default_restrict_traffic: ['security-group-shared'],
  iam_aws_attached_policy_no_administrative_privileges: ['role-too-broad'],
  iam_customer_attached_policy_no_administrative_privileges: ['role-too-broad'],
  iam_inline_policy_allows_privilege_escalation: ['role-too-broad'],
  iam_inline_policy_no_administrative_privileges: ['role-too-broad'],
  iam_no_custom_policy_permissive_role_assumption: ['role-too-broad'],
  iam_policy_allows_privilege_escalation: ['role-too-broad'],
  iam_role_service_trust_restricts_source_to_account: ['role-trust-open'],
  secretsmanager_automatic_rotation_enabled: ['secret-not-rotated'],
};

/** Those that read packages. */
const checksOfPackages: Readonly<Record<string, readonly string[]>> = {
  awslambda_function_no_secrets_in_code: ['secret-in-code'],
  awslambda_layer_no_secrets_in_content: ['secret-in-code'],
};

/** A finding as the Open Cybersecurity Schema Framework has it. */
interface Found {
  readonly status_code: string;
  /** `Suppressed`, if it is muted. */
  readonly status: string;
  readonly metadata: { readonly event_code: string };
  readonly resources: readonly { readonly uid: string }[];
}

/**
 * A run of Prowler with the checks that correspond.
 * @param packages whether it reads packages as well
 * @throws where it fails
 */
export async function prowler(environment: Record<string, string>, packages: boolean): Promise<readonly Report[]> {
  const asked = { ...checks, ...(packages ? checksOfPackages : {}) };
  const directory = await mkdtemp(join(tmpdir(), 'prowler-'));
  try {
    const python = join(import.meta.dirname, '..', '..', '..', '.venv', 'prowler', 'bin', 'prowler');
    const output = ['--output-formats', 'json-ocsf', '--output-directory', directory, '--output-filename', 'found', '--status', 'FAIL'];
    const quiet = [
      '--no-banner',
      '--no-color',
      '--ignore-exit-code-3',
      '--mutelist-file',
      join(import.meta.dirname, 'prowler-mutelist.yml'),
    ];
    const args = ['aws', '--region', environment['AWS_REGION'] ?? '', '--check', ...Object.keys(asked), ...output, ...quiet];
    const { code, output: said } = await run(python, args, environment);
    if (code !== 0) throw new Error(`Prowler ended with ${code}: ${said.slice(-2000)}`);
    return reportsOf(JSON.parse(await readFile(join(directory, 'found.ocsf.json'), 'utf8')) as readonly Found[]);
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** What Prowler's findings say is wrong by which rules, but for what is muted. */
export function reportsOf(found: readonly Found[]): readonly Report[] {
  return found.flatMap(({ status_code, status, metadata, resources }) => {
    const rules = { ...checks, ...checksOfPackages }[metadata.event_code] ?? [];
    if (status_code !== 'FAIL' || status === 'Suppressed') return [];
    return resources
      .map(({ uid }) => ({ rules, arn: subjectOf(uid) }))
      .filter(({ arn }) => !rules.includes('role-too-broad') || isRole(arn));
  });
}

/** Users and groups have policies as well, which these rules are not about. */
function isRole(arn: string): boolean {
  return arn.includes(':role/');
}

/**
 * The ARN of what a rule of the guard would name: Prowler's own spelling of APIs put right, and in favour of it a policy
 * stands for the role, and a layer for the function, after which the estate calls it.
 */
function subjectOf(uid: string): string {
  return uid
    .replace('::apis/', '::/apis/')
    .replace(/(:iam::\d+:)policy\//, '$1role/')
    .replace(/:layer:([^:]+):\d+$/, ':function:$1');
}
