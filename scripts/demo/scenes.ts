import { request } from 'node:http';
import {
  AuthorizeSecurityGroupIngressCommand,
  DescribeSecurityGroupRulesCommand,
  RevokeSecurityGroupIngressCommand,
} from '@aws-sdk/client-ec2';
import {
  AddPermissionCommand,
  GetFunctionConfigurationCommand,
  GetFunctionUrlConfigCommand,
  GetPolicyCommand,
  RemovePermissionCommand,
  UpdateFunctionCodeCommand,
  UpdateFunctionConfigurationCommand,
  UpdateFunctionUrlConfigCommand,
} from '@aws-sdk/client-lambda';
import { type Estate, names, packageOf, password } from './estate.ts';

/** One wrong thing, and how it is seen from outside that it came, went and came back. */
export interface Scene {
  readonly rule: string;
  /** The rule as stack parameters spell it. */
  readonly parameter: string;
  /** What the finding's ARN contains. */
  readonly resource: string;
  readonly what: string;
  readonly violate: (estate: Estate) => Promise<void>;
  readonly putRight: (estate: Estate) => Promise<void>;
  readonly before?: (estate: Estate) => Promise<string>;
  /** Seen from outside while it is wrong. */
  readonly exposed?: (estate: Estate) => Promise<string>;
  /** Seen from outside after the fix. @throws where it is not right */
  readonly prove: (estate: Estate) => Promise<string>;
  /** Seen from outside after the undo; undefined while it is not what it was. */
  readonly undone?: (estate: Estate) => Promise<string | undefined>;
}

const statements = [
  { StatementId: 'FunctionURLAllowPublicAccess', Action: 'lambda:InvokeFunctionUrl', Principal: '*', FunctionUrlAuthType: 'NONE' },
  { StatementId: 'FunctionURLInvokeAllowPublicAccess', Action: 'lambda:InvokeFunction', Principal: '*', InvokedViaFunctionUrl: true },
] as const;

const configuration = ({ lambda }: Estate, FunctionName: string) => lambda.send(new GetFunctionConfigurationCommand({ FunctionName }));

function insist(holds: boolean, what: string): void {
  if (!holds) throw new Error(`Not so: ${what}.`);
}

/** The status that somebody without credentials gets from the function's URL. */
async function urlStatus({ url, administrator }: Estate): Promise<number> {
  const { hostname, pathname } = new URL(url);
  const { port, hostname: address } = new URL(administrator.endpoint);
  return await new Promise((resolve, reject) => {
    request({ hostname: address, port, path: pathname, headers: { host: hostname } }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });
}

async function ingress({ ec2, securityGroup }: Estate): Promise<readonly string[]> {
  const { SecurityGroupRules = [] } = await ec2.send(
    new DescribeSecurityGroupRulesCommand({ Filters: [{ Name: 'group-id', Values: [securityGroup] }] }),
  );
  return SecurityGroupRules.filter(({ IsEgress }) => IsEgress !== true).map(
    ({ CidrIpv4, CidrIpv6, FromPort, Description }) =>
      `${CidrIpv4 ?? CidrIpv6} on ${FromPort}${Description === undefined ? '' : ` (${Description})`}`,
  );
}

export const scenes: readonly Scene[] = [
  {
    rule: 'role-shared',
    parameter: 'RoleShared',
    resource: `function:${names.invoices}`,
    what: `the administrator gives ${names.invoices} the role of ${names.orders}`,
    async violate({ lambda, sharedRole, settled }) {
      await lambda.send(new UpdateFunctionConfigurationCommand({ FunctionName: names.invoices, Role: sharedRole }));
      await settled(names.invoices);
    },
    async putRight({ lambda, ownRole, settled }) {
      await lambda.send(new UpdateFunctionConfigurationCommand({ FunctionName: names.invoices, Role: ownRole }));
      await settled(names.invoices);
    },
    async prove(estate) {
      const roles = await Promise.all([names.orders, names.invoices].map(async (name) => (await configuration(estate, name)).Role));
      insist(roles[0] === estate.sharedRole && roles[1] !== roles[0], 'the two functions have two roles');
      const answers = await Promise.all([names.orders, names.invoices].map(estate.invoke));
      return `two roles (${roles.map((role) => role?.split('role/')[1]).join(', ')}); both functions answer: ${answers.join(', ')}`;
    },
  },
  {
    rule: 'secret-in-environment',
    parameter: 'SecretInEnvironment',
    resource: `function:${names.payments}`,
    what: `the administrator pastes a password into ${names.payments}`,
    async violate({ lambda, settled }) {
      await lambda.send(
        new UpdateFunctionConfigurationCommand({
          FunctionName: names.payments,
          Environment: { Variables: { DB_HOST: 'db.internal', DB_PASSWORD: password } },
        }),
      );
      await settled(names.payments);
    },
    async putRight({ lambda, settled }) {
      await lambda.send(
        new UpdateFunctionConfigurationCommand({ FunctionName: names.payments, Environment: { Variables: { DB_HOST: 'db.internal' } } }),
      );
      await settled(names.payments);
    },
    exposed: async (estate) => `${names.payments} answers: ${await estate.invoke(names.payments)}`,
    async prove(estate) {
      const variables = (await configuration(estate, names.payments)).Environment?.Variables ?? {};
      insist(!Object.values(variables).includes(password), 'the password is out of the environment');
      insist(variables['DB_HOST'] === 'db.internal', 'the other variable is as it was');
      const answer = await estate.invoke(names.payments);
      insist(answer.includes(`${password.length} letters`), `the function still finds its password (it answers: ${answer})`);
      return `DB_PASSWORD is ${variables['DB_PASSWORD']?.split(':secret:')[1]}; it still answers: ${answer}`;
    },
  },
  {
    rule: 'function-url-open',
    parameter: 'FunctionUrlOpen',
    resource: `function:${names.storefront}`,
    what: `the administrator opens the URL of ${names.storefront}`,
    before: async (estate) => `the URL answers ${await urlStatus(estate)}`,
    async violate(estate) {
      // At once: the guard would take back the grants before there is a URL to open.
      const grants = statements.map((statement) =>
        estate.lambda.send(new AddPermissionCommand({ FunctionName: names.storefront, ...statement })),
      );
      await Promise.all([...grants, estate.openUrl()]);
    },
    async exposed(estate) {
      return `the URL answers ${await urlStatus(estate)}`;
    },
    async putRight({ lambda }) {
      await lambda.send(new UpdateFunctionUrlConfigCommand({ FunctionName: names.storefront, AuthType: 'AWS_IAM' }));
      for (const { StatementId } of statements)
        await lambda.send(new RemovePermissionCommand({ FunctionName: names.storefront, StatementId }));
    },
    async prove(estate) {
      const status = await urlStatus(estate);
      insist(status === 403, `the URL answers 403 to a stranger (it answers ${status})`);
      return `the URL answers ${status}`;
    },
    async undone(estate) {
      const { AuthType } = await estate.lambda.send(new GetFunctionUrlConfigCommand({ FunctionName: names.storefront }));
      const { Policy = '{}' } = await estate.lambda.send(new GetPolicyCommand({ FunctionName: names.storefront }));
      const sids = (JSON.parse(Policy) as { Statement?: { Sid: string }[] }).Statement?.map(({ Sid }) => Sid).sort() ?? [];
      const status = await urlStatus(estate);
      return AuthType === 'NONE' && sids.join() === 'FunctionURLAllowPublicAccess,FunctionURLInvokeAllowPublicAccess' && status === 200
        ? `auth type ${AuthType}, both statements are back, the URL answers ${status}`
        : undefined;
    },
  },
  {
    rule: 'security-group-open-ingress',
    parameter: 'SecurityGroupOpenIngress',
    resource: 'security-group/',
    what: 'the administrator lets the internet into the security group of reports',
    before: async (estate) => `ingress: ${(await ingress(estate)).join(', ')}`,
    async violate({ ec2, securityGroup }) {
      await ec2.send(
        new AuthorizeSecurityGroupIngressCommand({
          GroupId: securityGroup,
          IpPermissions: [
            {
              IpProtocol: 'tcp',
              FromPort: 22,
              ToPort: 22,
              IpRanges: [{ CidrIp: '0.0.0.0/0', Description: 'just for a moment' }],
              Ipv6Ranges: [{ CidrIpv6: '::/0' }],
            },
          ],
        }),
      );
    },
    async putRight({ ec2, securityGroup }) {
      await ec2.send(
        new RevokeSecurityGroupIngressCommand({
          GroupId: securityGroup,
          IpPermissions: [
            { IpProtocol: 'tcp', FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: '0.0.0.0/0' }], Ipv6Ranges: [{ CidrIpv6: '::/0' }] },
          ],
        }),
      );
    },
    async prove(estate) {
      const rules = await ingress(estate);
      insist(rules.length === 1 && rules[0] === '10.0.0.0/16 on 443 (own network)', `only the own network is let in (${rules.join(', ')})`);
      return `ingress: ${rules.join(', ')}`;
    },
  },
  {
    rule: 'code-changed-by-hand',
    parameter: 'CodeChangedByHand',
    resource: `function:${names.checkout}`,
    what: `the administrator uploads code of their own to ${names.checkout}`,
    before: async (estate) => `${names.checkout} answers: ${await estate.invoke(names.checkout)}`,
    async violate({ lambda, settled }) {
      await lambda.send(new UpdateFunctionCodeCommand({ FunctionName: names.checkout, ZipFile: packageOf('a laptop was here') }));
      await settled(names.checkout);
    },
    async putRight({ lambda, settled }) {
      await lambda.send(new UpdateFunctionCodeCommand({ FunctionName: names.checkout, ZipFile: packageOf(`${names.checkout} 2`) }));
      await settled(names.checkout);
    },
    async prove(estate) {
      await estate.settled(names.checkout);
      const answer = await estate.invoke(names.checkout);
      insist(answer === `${names.checkout} 2`, `the pipeline's code answers again (it answers: ${answer})`);
      return `it answers: ${answer}`;
    },
  },
];
