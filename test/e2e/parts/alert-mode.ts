import type { Alert } from '../../../guard/alert.ts';
import { samDeploy } from '../../support/stack.ts';
import { type Answer, bytes } from '../boto.ts';
import { answerOf, createFunction, packageOf } from '../functions.ts';
import { alerted, buildDirectory, due, functionRole, mark, quiet, stack, stage } from '../stage.ts';

const legacy = Array.from({ length: 8 }, (_, index) => `legacy-${index + 1}`);
/** Looks like a password, opens nothing. */
const password = ['Winter', 'Sale', '2026!', 'x9Qz'].join('');

/** Functions from before the guard, all of them wrong in three ways. */
export async function seedEstate(): Promise<void> {
  const Role = await functionRole('legacy');
  for (const FunctionName of legacy) {
    await stage.botoRoot.call('lambda', 'create_function', {
      FunctionName,
      Runtime: 'nodejs24.x',
      Handler: 'index.handler',
      Role,
      Code: { ZipFile: bytes(packageOf(FunctionName)) },
      Environment: { Variables: { DB_PASSWORD: password } },
    });
    await stage.botoRoot.call('lambda', 'create_function_url_config', { FunctionName, AuthType: 'NONE' });
  }
}
const violations = legacy.length * 3 - 1;
/** Its URL is opened for everyone while the rule is in alert. */
export const openedInAlert = 'window-shop';

interface GuardStatement {
  readonly role: string;
  readonly actions: readonly string[];
  readonly resources: readonly string[];
}

/** What the roles of the stack are allowed, statement by statement. @throws where a role has policies that are not its own */
export async function allowedToTheGuard(): Promise<readonly GuardStatement[]> {
  const { RoleDetailList } = await stage.botoRoot.call('iam', 'get_account_authorization_details', { Filter: ['Role'] });
  const list = (value: Answer): readonly string[] => (Array.isArray(value) ? value : [value]);
  return RoleDetailList.filter(({ RoleName }: Answer) => RoleName.startsWith(`${stack}-`)).flatMap(
    ({ RoleName, RolePolicyList, AttachedManagedPolicies }: Answer) => {
      if (AttachedManagedPolicies.length > 0) throw new Error(`${RoleName} has managed policies, which nobody has looked at.`);
      return RolePolicyList.flatMap(({ PolicyDocument }: Answer) =>
        PolicyDocument.Statement.filter(({ Effect }: Answer) => Effect === 'Allow').map((statement: Answer) => ({
          role: RoleName,
          actions: list(statement.Action),
          resources: list(statement.Resource),
        })),
      );
    },
  );
}

const reads = /^[a-z0-9-]+:(Get|List|Describe|Search|Simulate|Receive|Query|Decrypt)|^apigateway:GET$/;

export function alertMode(parameters: () => Readonly<Record<string, string>>): void {
  describe('as it is first deployed, every rule in alert', () => {
    it('has no role that may write to anything but the stack itself', async () => {
      const statements = await allowedToTheGuard();
      expect(new Set(statements.map(({ role }) => role)).size).toBeGreaterThan(5);
      const { Keys } = await stage.botoRoot.call('kms', 'list_keys');
      const own = (arn: string) => arn.includes(`${stack}`) || Keys.some(({ KeyArn }: Answer) => KeyArn === arn);
      const writes = statements.flatMap(({ role, actions, resources }) =>
        actions
          .filter((action) => !reads.test(action))
          .flatMap((action) => resources.filter((arn) => !own(arn)).map((arn) => `${role}: ${action} on ${arn}`)),
      );
      expect(writes).toEqual([]);
    });

    it('has no remediator, and no rule on the bus that could start one', async () => {
      const { Functions } = await stage.botoRoot.call('lambda', 'list_functions');
      const own = Functions.map(({ FunctionName }: Answer) => FunctionName).filter((name: string) => name.startsWith(`${stack}-`));
      expect(own).toEqual(expect.arrayContaining([`${stack}-check-roles`, `${stack}-notify`]));
      expect(own.filter((name: string) => name.includes('remediate'))).toEqual([]);
      const { Rules } = await stage.botoRoot.call('events', 'list_rules', { EventBusName: stage.outputs['GuardBusName'] });
      expect(Rules.filter(({ Name }: Answer) => /Remediate/.test(Name))).toEqual([]);
    });

    it('sweeps the estate without being told', async () => {
      await due('TickEveryMinute');
      await quiet(1_500);
    });

    describe('refuses parameters that are out of range, in a sentence that names them', () => {
      it.each([
        ['Deployers', { Deployers: 'arn:aws:iam::111122223333:role/*' }],
        ['Deployers', { Deployers: '', CodeChangedByHandMode: 'remediate' }],
        ['RoleSharedDelay', { RoleSharedDelay: '-1' }],
        ['RoleSharedSettle', { RoleSharedSettle: '1000' }],
      ])('%s in %j', async (name, wrong) => {
        const refused = samDeploy(stage.pipeline, { ...parameters(), ...wrong }, buildDirectory);
        await expect(refused).rejects.toThrow(new RegExp(`\\b${name}\\b[^\\n]* (must|takes|0 to 900|from)`));
      });
    });

    it('tells what the first sweep found in one digest, which names every critical and high', async () => {
      const digests = (): readonly Alert[] => stage.inbox.received.map(({ alert }) => alert).filter(({ kind }) => kind === 'digest');
      const clock = setInterval(() => void due('TickEveryMinute').catch(() => undefined), 3_000);
      try {
        await stage.inbox.waitFor('a digest', ({ kind }) => kind === 'digest', { seconds: 120 });
      } finally {
        clearInterval(clock);
      }
      await quiet();
      const [digest, ...more] = digests();
      expect(more).toEqual([]);
      const named = digest?.evidence['criticalAndHigh'] as readonly { rule: string; severity: string; resource: string }[];
      const seeded = named
        .filter(({ resource }) => resource.includes(':legacy-'))
        .map(({ rule, resource }) => `${rule} ${resource.split(':').at(-1)}`);
      expect(seeded.sort()).toEqual(
        legacy
          .flatMap((name, index) => [
            `function-url-open ${name}`,
            `secret-in-environment ${name}`,
            ...(index === 0 ? [] : [`role-shared ${name}`]),
          ])
          .sort(),
      );
      expect(named.filter(({ resource }) => !resource.includes(':legacy-')).map(({ rule, resource }) => `${rule} ${resource}`)).toEqual([]);
      expect(named).toHaveLength(violations);
      expect(stage.inbox.received.filter(({ alert }) => alert.sweep !== undefined && alert.kind !== 'digest')).toEqual([]);
      expect(JSON.stringify(digest)).not.toContain(password);
      expect(await answerOf('legacy-1')).toBe('legacy-1');
    });

    it('tells with each alert what a fix would do', async () => {
      await createFunction(openedInAlert, await functionRole(openedInAlert));
      await quiet();
      const since = mark();
      await stage.boto.call('lambda', 'create_function_url_config', { FunctionName: openedInAlert, AuthType: 'NONE' });
      const { plan } = await alerted({ rule: 'function-url-open', status: 'open', resource: `function:${openedInAlert}` }, since);
      const arn = `arn:aws:lambda:us-east-1:111122223333:function:${openedInAlert}`;
      expect(plan).toEqual([`lambda:UpdateFunctionUrlConfig {"FunctionName":"${arn}","AuthType":"AWS_IAM"}`]);
    });
  });
}
