import { assumeRole } from '../../support/stack.ts';
import { Boto } from '../boto.ts';
import { createFunction } from '../functions.ts';
import { alerted, functionRole, guard, mark, quiet, stack, stage } from '../stage.ts';

const rule = 'function-url-open';
const FunctionName = 'contested';

async function authType(): Promise<string> {
  return (await stage.boto.call('lambda', 'get_function_url_config', { FunctionName })).AuthType;
}

/** Somebody who does not give in, for a minute. */
export function fight(): void {
  it('gives up a fight after three fixes, and says once who brings it back', async () => {
    await createFunction(FunctionName, await functionRole(FunctionName));
    await stage.botoPipeline.call('lambda', 'create_function_url_config', { FunctionName, AuthType: 'AWS_IAM' });
    const AssumeRolePolicyDocument = JSON.stringify({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Principal: { AWS: 'arn:aws:iam::111122223333:root' }, Action: 'sts:AssumeRole' }],
    });
    const RoleName = 'infrastructure-as-code';
    const { Role } = await stage.botoRoot.call('iam', 'create_role', { RoleName, AssumeRolePolicyDocument });
    await stage.botoRoot.call('iam', 'attach_role_policy', { RoleName, PolicyArn: 'arn:aws:iam::aws:policy/AdministratorAccess' });
    const client = new Boto(await assumeRole(stage.administrator, Role.Arn, 'apply'));
    await quiet();

    const [since, before] = [mark(), await stage.bench.now()];
    for (const end = Date.now() + 60_000; Date.now() < end; ) {
      await client.call('lambda', 'update_function_url_config', { FunctionName, AuthType: 'NONE' });
      await new Promise((resolve) => setTimeout(resolve, 2_000));
    }
    client.end();
    await quiet();

    const { calls } = await stage.bench.calls(before);
    const made = calls.filter(
      ({ operation, resources }) => operation === 'UpdateFunctionUrlConfig' && resources[0]?.includes(FunctionName),
    );
    const by = (name: string) => made.filter(({ principalArn }) => principalArn.includes(`:assumed-role/${name}/`)).length;
    expect(by(RoleName)).toBeGreaterThan(20);
    expect(by(`${stack}-remediate-function-url-open`)).toBeLessThanOrEqual(3);
    expect(by(`${stack}-remediate-function-url-open`)).toBeGreaterThan(0);
    const said = stage.inbox.received.slice(since).filter(({ alert }) => alert.summary.startsWith('Stopped'));
    expect(said).toHaveLength(1);
    const [{ alert } = { alert: undefined }] = said;
    expect(alert).toMatchObject({
      rule,
      kind: 'failure',
      status: 'failed',
      summary: expect.stringContaining(
        `${RoleName} (arn:aws:sts::111122223333:assumed-role/${RoleName}/apply) with UpdateFunctionUrlConfig`,
      ),
    });
    expect(await authType()).toBe('NONE');

    const ordered = mark();
    expect(await guard('fix', alert?.findingId ?? '', '--yes')).toMatchObject({ code: 0 });
    await alerted({ rule, status: 'remediated', resource: `function:${FunctionName}` }, ordered);
    expect(await authType()).toBe('AWS_IAM');
  });
}
