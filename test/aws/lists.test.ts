import { describeSubnets } from '../../aws/ec2.ts';
import { getRole, getWholeRole, listAttachedRolePolicies, simulatePrincipalPolicy } from '../../aws/iam.ts';
import {
  getFunctionCodeSigningConfig,
  getFunctionConfiguration,
  getFunctionUrlConfig,
  getTaggedFunction,
  listAliases,
  listFunctionUrlConfigs,
  listTags,
  versionsPage,
} from '../../aws/lambda.ts';
import { listsFor, type WholeRegion, wholeRegion } from '../../aws/lists.ts';
import { describeSecret } from '../../aws/secretsmanager.ts';
import { createWorld } from '../support/world/index.ts';

const place = { account: '111122223333', region: 'us-east-1' };
const arn = (name: string) => `arn:aws:lambda:us-east-1:111122223333:function:${name}`;

/** Two functions with a role each, whose calls are counted from then on. */
async function region() {
  const world = createWorld(place);
  for (const name of ['orders', 'bills']) {
    world.iam.createRole({ RoleName: name });
    world.iam.attachRolePolicy({ RoleName: name, PolicyArn: 'arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole' });
    world.lambda.createFunction({ FunctionName: name, Role: `arn:aws:iam::111122223333:role/${name}` });
    world.lambda.tagResource({ Resource: arn(name), Tags: { team: name } });
  }
  const whole: WholeRegion = wholeRegion(place, () => undefined);
  for await (const _ of whole.functions());
  const made = () => world.calls.map(({ operation }) => operation);
  return { world, whole, made };
}

test('one list answers for every function and every role', async () => {
  const { whole, made } = await region();
  const aws = whole.connect([getFunctionConfiguration, listTags, getRole, listAttachedRolePolicies]);
  for (const name of ['orders', 'bills', 'orders']) {
    expect(await aws.getFunctionConfiguration({ FunctionName: arn(name) })).toMatchObject({ FunctionName: name });
    expect(await aws.listTags({ Resource: arn(name) })).toMatchObject({ Tags: { team: name } });
    expect(await aws.getRole({ RoleName: name })).toMatchObject({ Role: { Arn: `arn:aws:iam::111122223333:role/${name}` } });
    expect(await aws.listAttachedRolePolicies({ RoleName: name })).toHaveLength(1);
  }
  expect(made()).toEqual(['ListFunctions', 'GetResources', 'GetAccountAuthorizationDetails']);
});

test('what no list told is asked for', async () => {
  const { world, whole, made } = await region();
  world.lambda.createFunction({ FunctionName: 'later' });
  world.lambda.publishVersion({ FunctionName: 'orders' });
  const aws = whole.connect([getFunctionConfiguration]);
  expect(await aws.getFunctionConfiguration({ FunctionName: arn('later') })).toMatchObject({ FunctionName: 'later' });
  expect(await aws.getFunctionConfiguration({ FunctionName: arn('orders'), Qualifier: '1' })).toMatchObject({ Version: '1' });
  expect(made()).toEqual(['ListFunctions', 'GetFunctionConfiguration', 'GetFunctionConfiguration']);
});

test('variables that the list could not decrypt are asked for', async () => {
  const { world, made } = await region();
  world.lambda.edit('orders', { Environment: { Error: { ErrorCode: 'AccessDeniedException', Message: 'no key' } } });
  const whole = wholeRegion(place, () => undefined);
  for await (const _ of whole.functions());
  await whole.connect([getFunctionConfiguration]).getFunctionConfiguration({ FunctionName: arn('orders') });
  expect(made().at(-1)).toBe('GetFunctionConfiguration');
});

test.each(['AccessDenied', 'Throttling', 'ServiceFailure', 'ValidationError'])(
  'where a list fails (%s), its resources are asked for one by one, and the list no more',
  async (error) => {
    const { world, whole, made } = await region();
    world.fail('GetAccountAuthorizationDetails', error);
    const aws = whole.connect([getRole]);
    for (const RoleName of ['orders', 'bills', 'orders']) expect(await aws.getRole({ RoleName })).toMatchObject({ Role: { RoleName } });
    expect(made()).toEqual(['ListFunctions', 'GetAccountAuthorizationDetails', 'GetRole', 'GetRole']);
  },
);

test('what one look asked about a function is forgotten with it; lists, and what several functions share, are asked for once', async () => {
  const { whole, made } = await region();
  const look = () => whole.forOneLook()([getFunctionUrlConfig, listFunctionUrlConfigs, listAliases, getRole, simulatePrincipalPolicy]);
  for (const aws of [look(), look()])
    for (const _ of [1, 2]) {
      const named = { FunctionName: arn('orders') };
      expect(await aws.listAliases(named)).toEqual([]);
      await expect(aws.getFunctionUrlConfig(named)).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
      expect(await aws.listFunctionUrlConfigs(named)).toEqual([]);
      expect(await aws.getRole({ RoleName: 'orders' })).toMatchObject({ Role: { RoleName: 'orders' } });
      await aws.simulatePrincipalPolicy(simulated('orders', 'logs:PutLogEvents'));
    }
  const ofTheFunction = ['ListAliases', 'ListFunctionUrlConfigs'];
  const shared = ['GetAccountAuthorizationDetails', 'GetPolicy', 'GetPolicyVersion', 'SimulatePrincipalPolicy'];
  expect(made()).toEqual(['ListFunctions', ...ofTheFunction, ...shared, ...ofTheFunction]);
});

test('what fails itself for a passing reason is asked for again', async () => {
  const { world, whole, made } = await region();
  world.fail('GetAccountAuthorizationDetails', 'AccessDenied');
  world.fail('GetRole', 'Throttling');
  const aws = whole.connect([getRole]);
  for (const _ of [1, 2]) await expect(aws.getRole({ RoleName: 'orders' })).rejects.toThrow('fails in this test');
  expect(made()).toEqual(['ListFunctions', 'GetAccountAuthorizationDetails', 'GetRole', 'GetRole']);
});

test('whoever makes another role like it reads it whole, and tags are asked of Lambda where somebody wants it so', async () => {
  const { world, made } = await region();
  const { connect } = wholeRegion(place, () => undefined, { asking: [listTags] });
  world.iam.createRole({ RoleName: 'long', MaxSessionDuration: 43_200 });
  const aws = connect([getWholeRole, getRole, listTags]);
  expect(await aws.getWholeRole({ RoleName: 'long' })).toMatchObject({ Role: { MaxSessionDuration: 43_200 } });
  expect(await aws.getRole({ RoleName: 'long' })).not.toHaveProperty('Role.MaxSessionDuration');
  expect(await aws.listTags({ Resource: arn('orders') })).toMatchObject({ Tags: { team: 'orders' } });
  expect(made()).toEqual(['ListFunctions', 'GetRole', 'GetAccountAuthorizationDetails', 'ListTags']);
});

test('a function without a URL has none, by one list of all its qualifiers', async () => {
  const { world, whole, made } = await region();
  world.lambda.publishVersion({ FunctionName: 'orders' });
  world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
  world.lambda.createFunctionUrlConfig({ FunctionName: 'orders', Qualifier: 'live', AuthType: 'NONE' });
  const aws = whole.connect([getFunctionUrlConfig, listFunctionUrlConfigs]);
  await aws.listFunctionUrlConfigs({ FunctionName: arn('orders') });
  await expect(aws.getFunctionUrlConfig({ FunctionName: arn('orders') })).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  expect(await aws.getFunctionUrlConfig({ FunctionName: arn('orders'), Qualifier: 'live' })).toMatchObject({ AuthType: 'NONE' });
  expect(made()).toEqual(['ListFunctions', 'ListFunctionUrlConfigs']);
});

const simulated = (role: string, ...ActionNames: string[]) => ({ PolicySourceArn: `arn:aws:iam::111122223333:role/${role}`, ActionNames });

test('a role whose policies name no such action is not simulated; one whose policies may is', async () => {
  const { world, whole, made } = await region();
  const aws = whole.connect([simulatePrincipalPolicy]);
  const simulate = async (...of: Parameters<typeof simulated>) => (await aws.simulatePrincipalPolicy(simulated(...of))).EvaluationResults;
  expect(await simulate('orders', 'iam:PassRole', 'sts:AssumeRole')).toEqual([
    { EvalActionName: 'iam:PassRole', EvalDecision: 'implicitDeny' },
    { EvalActionName: 'sts:AssumeRole', EvalDecision: 'implicitDeny' },
  ]);
  expect(made()).not.toContain('SimulatePrincipalPolicy');
  expect(await simulate('orders', 'LOGS:putlogevents')).toMatchObject([{ EvalDecision: 'allowed' }]);
  expect(made().filter((operation) => operation === 'SimulatePrincipalPolicy')).toHaveLength(1);
  // What everything but something allows may allow this.
  world.iam.putRolePolicy({
    RoleName: 'bills',
    PolicyName: 'most',
    PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', NotAction: 'iam:*', Resource: '*' }] }),
  });
  const later = wholeRegion(place, () => undefined).connect([simulatePrincipalPolicy]);
  expect((await later.simulatePrincipalPolicy(simulated('bills', 'sts:AssumeRole'))).EvaluationResults).toMatchObject([
    { EvalDecision: 'allowed' },
  ]);
  expect((await later.simulatePrincipalPolicy(simulated('bills', 'iam:PassRole'))).EvaluationResults).toMatchObject([
    { EvalDecision: 'implicitDeny' },
  ]);
  expect(made().filter((operation) => operation === 'SimulatePrincipalPolicy')).toHaveLength(2);
});

test('subnets are described once, and everybody gets theirs', async () => {
  const { world, whole, made } = await region();
  for (const each of ['1', '2']) world.ec2.createSubnet({ SubnetId: `subnet-${each}`, VpcId: `vpc-${each}` });
  const aws = whole.connect([describeSubnets]);
  const ids = async (input: Parameters<typeof aws.describeSubnets>[0]) =>
    (await aws.describeSubnets(input)).map(({ SubnetId }) => SubnetId);
  expect(await ids({ vpc: 'vpc-1' })).toEqual(['subnet-1']);
  expect(await ids({ subnets: ['subnet-2'] })).toEqual(['subnet-2']);
  expect(await ids({ subnets: ['subnet-gone'] })).toEqual([]);
  expect(made().filter((operation) => operation === 'DescribeSubnets')).toHaveLength(1);
});

test('the versions of a region come with its functions, by one list', async () => {
  const { world, made } = await region();
  world.lambda.publishVersion({ FunctionName: 'orders' });
  world.calls.length = 0;
  const whole = wholeRegion(place, () => undefined, { versions: true });
  const names: (string | undefined)[] = [];
  for await (const page of whole.functions()) names.push(...page.map(({ FunctionArn }) => FunctionArn));
  expect(names).toEqual([arn('orders'), arn('bills')]);
  const aws = whole.connect([versionsPage, getFunctionConfiguration]);
  expect((await aws.versionsPage({})).arns).toEqual([`${arn('orders')}:1`]);
  const { $metadata: _, ...configuration } = await aws.getFunctionConfiguration({ FunctionName: arn('orders') });
  expect(made()).toEqual(['ListFunctions']);
  // A list leaves out how far a function is. https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctions.html
  expect(await getFunctionConfiguration.run(place, { FunctionName: arn('orders') })).toMatchObject(configuration);
});

test('configuration and tags of a function come from two lists', async () => {
  const { whole, made } = await region();
  const aws = whole.connect([getTaggedFunction]);
  for (const name of ['orders', 'bills'])
    expect(await aws.getTaggedFunction({ FunctionName: arn(name) })).toMatchObject({
      Configuration: { FunctionName: name },
      Tags: { team: name },
    });
  expect(made()).toEqual(['ListFunctions', 'GetResources']);
});

test('a function that no list of signed ones names is signed by nobody', async () => {
  const { whole, made } = await region();
  const aws = whole.connect([getFunctionCodeSigningConfig]);
  expect((await aws.getFunctionCodeSigningConfig({ FunctionName: arn('orders') })).CodeSigningConfigArn).toBeUndefined();
  expect(made()).toEqual(['ListFunctions', 'ListCodeSigningConfigs']);
});

test('secrets are listed once, and known by their ARNs with and without the last characters', async () => {
  const { world, whole, made } = await region();
  const Tags = [{ Key: 'team', Value: 'shop' }];
  const { ARN = '' } = world.secretsManager.createSecret({ Name: 'prod/db', SecretString: 'x', Tags }) as { ARN?: string };
  world.secretsManager.createSecret({ Name: 'prod/mail', SecretString: 'y' });
  world.calls.length = 0;
  const aws = whole.connect([describeSecret]);
  const { VersionIdsToStages: _, $metadata: _metadata, ...asked } = await describeSecret.run(place, { SecretId: ARN });
  for (const SecretId of [ARN, ARN.slice(0, -7)]) {
    const { $metadata: _none, ...listed } = await aws.describeSecret({ SecretId });
    expect(listed).toEqual(asked);
  }
  expect(made()).toEqual(['DescribeSecret', 'ListSecrets', 'ListSecrets']);
  await expect(aws.describeSecret({ SecretId: `${ARN.slice(0, -7)}-gone` })).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
});

test('a statement about one resource says nothing of all', async () => {
  const { world, whole, made } = await region();
  const passing = (Resource: string) =>
    world.iam.putRolePolicy({
      RoleName: 'orders',
      PolicyName: 'passes',
      PolicyDocument: JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'iam:PassRole', Resource }] }),
    });
  passing('arn:aws:iam::111122223333:role/bills');
  const aws = whole.connect([simulatePrincipalPolicy]);
  const decision = async (ResourceArns?: string[]) =>
    (await aws.simulatePrincipalPolicy({ ...simulated('orders', 'iam:PassRole'), ...(ResourceArns && { ResourceArns }) }))
      .EvaluationResults?.[0]?.EvalDecision;
  expect(await decision()).toBe('implicitDeny');
  expect(made()).not.toContain('SimulatePrincipalPolicy');
  expect(await decision(['arn:aws:iam::111122223333:role/bills'])).toBe('allowed');
  passing('arn:aws:iam::111122223333:role/*');
  const later = wholeRegion(place, () => undefined).connect([simulatePrincipalPolicy]);
  await later.simulatePrincipalPolicy(simulated('orders', 'iam:PassRole'));
  expect(made().filter((operation) => operation === 'SimulatePrincipalPolicy')).toHaveLength(2);
});

test('what is asked first is begun with the first function, and is asked for once', async () => {
  const { made } = await region();
  const lists = listsFor([getRole, listTags]);
  const whole = wholeRegion(place, () => undefined, { lists });
  for await (const _ of whole.functions()) break;
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(made().toSorted()).toEqual(['GetAccountAuthorizationDetails', 'GetResources', 'ListFunctions', 'ListFunctions']);
  await whole.connect([getRole]).getRole({ RoleName: 'orders' });
  await whole.connect([listTags]).listTags({ Resource: arn('orders') });
  expect(made()).toHaveLength(4);
});

test('where there are no functions, nothing else is read', async () => {
  const world = createWorld(place);
  const whole = wholeRegion(place, () => undefined, { lists: listsFor([getRole, listTags]) });
  for await (const _ of whole.functions());
  expect(world.calls.map(({ operation }) => operation)).toEqual(['ListFunctions']);
});
