import { GetFunctionConfigurationCommand, InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { assignedByAws, createWorld, type World } from './index.ts';

let world: World;
beforeEach(() => {
  world = createWorld();
  world.lambda.createFunction({ FunctionName: 'orders' });
});

const orders = { FunctionName: 'orders' };
const named = (name: string) => expect.objectContaining({ name });

describe('behind the SDK', () => {
  const client = new LambdaClient({ region: 'us-east-1' });

  it('counts what the SDK is asked for, and nothing that a test prepares', async () => {
    await client.send(new GetFunctionConfigurationCommand(orders));
    expect(world.calls).toEqual([{ service: 'lambda', operation: 'GetFunctionConfiguration', input: orders }]);
  });

  it('fails as it is told', async () => {
    world.fail('GetFunctionConfiguration', 'TooManyRequestsException', { after: 1 });
    await client.send(new GetFunctionConfigurationCommand(orders));
    await expect(client.send(new GetFunctionConfigurationCommand(orders))).rejects.toEqual(named('TooManyRequestsException'));
  });

  it('says which operation it lacks', async () => {
    await expect(client.send(new InvokeCommand(orders))).rejects.toThrow('test/support/world has no Invoke in lambda');
  });

  it('serves packages by their locations', async () => {
    world.lambda.updateFunctionCode({ ...orders, ZipFile: Buffer.from('package') });
    const { Code } = world.lambda.getFunction(orders) as { Code: { Location: string } };
    expect(await (await fetch(Code.Location)).text()).toBe('package');
    expect((await fetch(`${Code.Location}x`)).status).toBe(404);
  });
});

describe('Lambda', () => {
  it('refuses a revision that is used up', () => {
    const { RevisionId } = world.lambda.getFunctionConfiguration(orders);
    world.lambda.updateFunctionConfiguration({ ...orders, RevisionId, Timeout: 5 });
    expect(() => world.lambda.updateFunctionConfiguration({ ...orders, RevisionId, Timeout: 6 })).toThrow(
      named('PreconditionFailedException'),
    );
  });

  it('refuses a change while another is in progress', () => {
    world.lambda.settleSeconds = 10;
    world.lambda.updateFunctionConfiguration({ ...orders, Timeout: 5 });
    expect(world.lambda.getFunctionConfiguration(orders)).toMatchObject({ State: 'Active', LastUpdateStatus: 'InProgress' });
    expect(() => world.lambda.updateFunctionCode({ ...orders, ZipFile: Buffer.from('new') })).toThrow(named('ResourceConflictException'));
    world.advance(10);
    expect(world.lambda.getFunctionConfiguration(orders)).toMatchObject({ LastUpdateStatus: 'Successful', Timeout: 5 });
  });

  it('makes a new function pending', () => {
    world.lambda.settleSeconds = 10;
    expect(world.lambda.createFunction({ FunctionName: 'stock' })).toMatchObject({ State: 'Pending', LastUpdateStatus: 'Successful' });
  });

  it('freezes what it publishes, and publishes nothing twice', () => {
    world.lambda.publishVersion(orders);
    expect(world.lambda.publishVersion(orders)).toMatchObject({ Version: '1' });
    world.lambda.updateFunctionConfiguration({ ...orders, Role: 'arn:aws:iam::111122223333:role/new' });
    world.lambda.createAlias({ ...orders, Name: 'live', FunctionVersion: '1' });
    expect(world.lambda.getFunctionConfiguration({ ...orders, Qualifier: 'live' })).toMatchObject({
      Version: '1',
      FunctionArn: 'arn:aws:lambda:us-east-1:111122223333:function:orders:live',
      Role: 'arn:aws:iam::111122223333:role/orders',
    });
    expect(world.lambda.publishVersion(orders)).toMatchObject({ Version: '2' });
  });

  it('changes nothing in a dry run', () => {
    const before = world.snapshot();
    world.lambda.updateFunctionCode({ ...orders, ZipFile: Buffer.from('new'), DryRun: true });
    expect(world.snapshot()).toEqual(before);
  });

  it('knows an image by its digest', () => {
    const digest = 'ab'.repeat(32);
    const ImageUri = `111122223333.dkr.ecr.us-east-1.amazonaws.com/stock@sha256:${digest}`;
    world.lambda.createFunction({ FunctionName: 'stock', PackageType: 'Image', Code: { ImageUri } });
    expect(world.lambda.getFunction({ FunctionName: 'stock' })).toMatchObject({
      Configuration: { PackageType: 'Image', CodeSha256: digest },
      Code: { ImageUri, ResolvedImageUri: ImageUri },
    });
  });

  it('has no policy where no statement is left', () => {
    const statement = { ...orders, StatementId: 'all', Action: 'lambda:InvokeFunction', Principal: '444455556666' };
    world.lambda.addPermission(statement);
    expect(world.lambda.getPolicy(orders)).toMatchObject({ Policy: expect.stringContaining('"AWS":"arn:aws:iam::444455556666:root"') });
    expect(() => world.lambda.addPermission(statement)).toThrow(named('ResourceConflictException'));
    world.lambda.removePermission(statement);
    expect(() => world.lambda.getPolicy(orders)).toThrow(named('ResourceNotFoundException'));
  });
});

describe('EC2', () => {
  const web = { IpProtocol: 'tcp', FromPort: 443, ToPort: 443, IpRanges: [{ CidrIp: '0.0.0.0/0' }, { CidrIp: '10.0.0.0/8' }] };

  it('keeps one rule a range, and revokes one by its id', () => {
    const { GroupId } = world.ec2.createSecurityGroup({ GroupName: 'orders' });
    world.ec2.authorizeSecurityGroupIngress({ GroupId, IpPermissions: [web] });
    expect(() => world.ec2.authorizeSecurityGroupIngress({ GroupId, IpPermissions: [web] })).toThrow(named('InvalidPermission.Duplicate'));
    world.ec2.revokeSecurityGroupIngress({ GroupId, SecurityGroupRuleIds: ['sgr-00000000000000002'] });
    expect(world.ec2.describeSecurityGroups({ GroupIds: [GroupId] })).toMatchObject({
      SecurityGroups: [{ IpPermissions: [{ IpRanges: [{ CidrIp: '10.0.0.0/8' }] }] }],
    });
    expect(() => world.ec2.revokeSecurityGroupIngress({ GroupId, SecurityGroupRuleIds: ['sgr-00000000000000002'] })).toThrow(
      named('InvalidSecurityGroupRuleId.NotFound'),
    );
    expect(() => world.ec2.revokeSecurityGroupIngress({ GroupId: 'sg-0', IpPermissions: [web] })).toThrow(named('InvalidGroup.NotFound'));
  });
});

it('takes a snapshot without what AWS assigns', () => {
  world.ec2.createSecurityGroup({ GroupName: 'orders' });
  const text = JSON.stringify(world.snapshot());
  for (const field of assignedByAws) expect(text).not.toContain(`"${field}"`);
  expect(text).toContain('"GroupId"');
});
