import { randomBytes } from 'node:crypto';
import { bytes } from '../boto.ts';
import { answerOf, configuration, createFunction, secretReader, settled } from '../functions.ts';
import { alerted, functionRole, guard, mark, quiet, stage } from '../stage.ts';

// Named as environment-without-cmk may put right.
const name = 'without-cmk-and-all';
/** Of this run alone; it opens nothing. */
export const passwordOfAll = `Qm4-${randomBytes(12).toString('base64url')}`;

interface Found {
  readonly rule: string;
  readonly status: string;
  readonly opened: number;
  readonly subject: { readonly arn: string };
}

export function allAtOnce(): void {
  it('a function that is wrong in every way from its first moment has one finding of each rule, and their fixes do not fight', async () => {
    const { boto } = stage;
    const Resource = `arn:aws:secretsmanager:us-east-1:111122223333:secret:compliance-guard/${name}/*`;
    const role = await functionRole('shared-everything', {
      attached: ['AWSLambdaVPCAccessExecutionRole'],
      allow: [
        { Action: 'secretsmanager:GetSecretValue', Resource },
        { Action: 'kms:Decrypt', Resource: '*' },
      ],
    });
    await createFunction('right-in-everything', role);
    const { VpcId } = (await boto.call('ec2', 'create_vpc', { CidrBlock: '10.9.0.0/16' })).Vpc;
    const { SubnetId } = (await boto.call('ec2', 'create_subnet', { VpcId, CidrBlock: '10.9.1.0/24' })).Subnet;
    const { GroupId } = await boto.call('ec2', 'create_security_group', { VpcId, GroupName: name, Description: name });
    const IpPermissions = [{ IpProtocol: 'tcp', FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: '0.0.0.0/0' }] }];
    await boto.call('ec2', 'authorize_security_group_ingress', { GroupId, IpPermissions });
    await quiet();

    const since = mark();
    const all = {
      Code: { ZipFile: bytes(secretReader()) },
      Tags: { 'compliance-guard:secret-reader': 'yes' },
      Environment: { Variables: { DB_PASSWORD: passwordOfAll } },
      VpcConfig: { SubnetIds: [SubnetId], SecurityGroupIds: [GroupId] },
    };
    await createFunction(name, role, all, boto);
    // Both change the function's configuration, at the same time.
    for (const rule of ['environment-without-cmk', 'secret-in-environment'])
      await alerted({ rule, status: 'remediated', resource: `function:${name}` }, since);
    // A role that reads secrets by a wildcard is told and left, for a secret's own policy may name it.
    await alerted({ rule: 'role-shared', status: 'open', resource: `function:${name}`, says: 'Not put right' }, since);
    await alerted({ rule: 'security-group-open-ingress', status: 'remediated', resource: GroupId }, since);
    await settled(name);
    await quiet();

    const { Role, KMSKeyArn, Environment } = await configuration(name);
    expect({ Role, KMSKeyArn }).toEqual({ Role: role, KMSKeyArn: expect.stringMatching(/^arn:aws:kms:/) });
    expect(Environment.Variables).toEqual({ DB_PASSWORD: expect.stringMatching(/^arn:aws:secretsmanager:/) });
    const { SecurityGroups } = await boto.call('ec2', 'describe_security_groups', { GroupIds: [GroupId] });
    expect(SecurityGroups[0].IpPermissions).toEqual([]);
    expect(await answerOf(name)).toBe(String(passwordOfAll.length));

    const { output } = await guard('findings', '--all', '--json');
    const own = (JSON.parse(output) as readonly Found[]).filter(({ subject }) => subject.arn.endsWith(`:${name}`));
    const rules = own.map(({ rule }) => rule);
    const both = ['environment-without-cmk', 'secret-in-environment'];
    expect(rules).toEqual(expect.arrayContaining([...both, 'role-shared', 'code-changed-by-hand', 'subnet-single-az']));
    // None came back, none was given up.
    expect(own.filter(({ status, opened }) => opened !== 1 || status === 'failed' || status === 'reverted')).toEqual([]);
  });
}
