import { bytes } from '../boto.ts';
import { createFunction, packageOf, settled } from '../functions.ts';
import { functionRole, stack, stage } from '../stage.ts';
import {
  account,
  administrator,
  aliased,
  allowing,
  functionArn,
  home,
  type Kind,
  type NearMiss,
  pipeline,
  roleArn,
  sound,
} from './kind.ts';

const codeOf = (name: string, text: string) => ({ FunctionName: name, ZipFile: bytes(packageOf(`${name} ${text}`)) });

/** A function with two versions and an alias that routes to the first. */
async function twoVersions(name: string): Promise<string> {
  const arn = await sound(name, { Publish: true });
  await aliased(name);
  await pipeline('update_function_code', { ...codeOf(name, '2'), Publish: true });
  await settled(name);
  return arn;
}

const rerouted = (name: string) => administrator('lambda', 'update_alias', { FunctionName: name, Name: 'live', FunctionVersion: '2' });

/** Somebody who is no deployer decides how the function runs. */
function setUp(how: string, change: object): Kind {
  return {
    rule: 'code-changed-by-hand',
    how,
    onlyHeard: heard,
    async make(name, { key }) {
      const found = [await sound(name, { KMSKeyArn: key })];
      return { found, later: () => administrator('lambda', 'update_function_configuration', { FunctionName: name, ...change }) };
    },
  };
}

const heard = 'what runs when the guard comes is what it observes; who put it there is not known';
const swept = 'nobody told of it: it differs from what was deployed';
const accepted = 'whoever may deploy when the guard comes is accepted; only later it is new';

/** Somebody who gets the right to deploy. */
function deploying(
  how: string,
  make: (name: string, developers: string) => Promise<{ found: string; later?: () => Promise<unknown> }>,
): Kind {
  return {
    rule: 'direct-deploy-permission',
    how,
    onlyHeard: accepted,
    async make(name, { developers }) {
      await sound(name);
      const { found, ...more } = await make(name, developers);
      return { found: [found], ...more };
    },
  };
}

const iam = async (operation: string, input: object) => await administrator('iam', operation, input);
const userArn = (name: string) => `arn:aws:iam::${account}:user/${name}`;
const updating = (name: string) => allowing('lambda:UpdateFunctionCode', functionArn(name));

export const kinds: readonly Kind[] = [
  {
    rule: 'code-changed-by-hand',
    how: 'code-by-hand',
    onlyHeard: heard,
    async make(name) {
      const arn = await sound(name);
      await administrator('lambda', 'update_function_code', codeOf(name, 'by hand'));
      return arn;
    },
  },
  {
    rule: 'code-changed-by-hand',
    how: 'made-by-hand',
    onlyHeard: heard,
    async make(name) {
      await createFunction(name, await functionRole(name), {}, stage.boto);
      return functionArn(name);
    },
  },
  {
    rule: 'code-changed-by-hand',
    how: 'code-in-the-console',
    onlyHeard: heard,
    async make(name) {
      const found = [await sound(name)];
      const upload = () => stage.botoPipeline.call('lambda', 'update_function_code', codeOf(name, 'typed'), { console: true });
      return { found, later: upload };
    },
  },
  {
    rule: 'code-changed-by-hand',
    how: 'alias-by-hand',
    onlyHeard: heard,
    async make(name) {
      const found = [await twoVersions(name)];
      return { found, later: () => rerouted(name) };
    },
  },
  setUp('handler-by-hand', { Handler: 'other.handler' }),
  setUp('options-by-hand', { Environment: { Variables: { NODE_OPTIONS: '--require /tmp/agent.js' } } }),
  {
    rule: 'code-changed-by-hand',
    how: 'layer-by-hand',
    onlyHeard: heard,
    async make(name) {
      const found = [await sound(name)];
      const Content = { ZipFile: bytes(packageOf('by hand')) };
      const { LayerVersionArn } = await administrator('lambda', 'publish_layer_version', { LayerName: name, Content });
      const give = () => administrator('lambda', 'update_function_configuration', { FunctionName: name, Layers: [LayerVersionArn] });
      return { found, later: give };
    },
  },
  {
    rule: 'code-changed-by-hand',
    how: 'event-source-by-hand',
    onlyHeard: heard,
    async make(name) {
      const { QueueUrl } = await administrator('sqs', 'create_queue', { QueueName: name });
      const { Attributes } = await administrator('sqs', 'get_queue_attributes', { QueueUrl, AttributeNames: ['QueueArn'] });
      const Action = ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'];
      const found = [await sound(name, {}, { allow: [{ Action, Resource: Attributes.QueueArn }] })];
      const mapping = { FunctionName: name, EventSourceArn: Attributes.QueueArn };
      return { found, later: () => administrator('lambda', 'create_event_source_mapping', mapping) };
    },
  },
  {
    rule: 'code-drifted',
    how: 'code-unheard',
    onlySwept: swept,
    async make(name) {
      const found = [await sound(name)];
      return { found, later: () => administrator('lambda', 'update_function_code', codeOf(name, 'unheard')) };
    },
  },
  {
    rule: 'code-drifted',
    how: 'alias-unheard',
    onlySwept: swept,
    async make(name) {
      const found = [await twoVersions(name)];
      return { found, later: () => rerouted(name) };
    },
  },
  // CodeSigningOffFunctions names functions whose names hold `-signed`: packages of all the others would have to be signed.
  { rule: 'code-signing-off', how: 'signed-by-nobody', make: async (name) => await sound(name) },
  {
    rule: 'code-signing-off',
    how: 'signed-by-others',
    make: async (name, { otherSigning }) => await sound(name, { CodeSigningConfigArn: otherSigning }),
  },
  {
    rule: 'code-signing-off',
    how: 'signed-until-now',
    async make(name, { signing }) {
      const found = [await sound(name, { CodeSigningConfigArn: signing })];
      return { found, later: () => administrator('lambda', 'delete_function_code_signing_config', { FunctionName: name }) };
    },
  },
  { rule: 'layer-foreign', how: 'foreign-layer', make: async (name, { foreignLayer }) => await sound(name, { Layers: [foreignLayer] }) },
  {
    rule: 'layer-foreign',
    how: 'foreign-layer-later',
    async make(name, { foreignLayer }) {
      const found = [await sound(name)];
      return { found, later: () => pipeline('update_function_configuration', { FunctionName: name, Layers: [foreignLayer] }) };
    },
  },
  {
    rule: 'layer-foreign',
    how: 'foreign-layer-of-a-version',
    async make(name, { foreignLayer }) {
      const arn = await sound(name, { Layers: [foreignLayer], Publish: true });
      await aliased(name);
      await pipeline('update_function_configuration', { FunctionName: name, Layers: [] });
      return arn;
    },
  },
  deploying('user-by-inline-policy', async (name) => {
    await iam('create_user', { UserName: name });
    await iam('put_user_policy', { UserName: name, PolicyName: 'hotfix', PolicyDocument: updating(name) });
    return { found: userArn(name) };
  }),
  deploying('user-by-managed-policy', async (name) => {
    await iam('create_user', { UserName: name });
    await iam('attach_user_policy', { UserName: name, PolicyArn: 'arn:aws:iam::aws:policy/PowerUserAccess' });
    return { found: userArn(name) };
  }),
  deploying('user-joins-a-group', async (UserName, GroupName) => {
    await iam('create_user', { UserName });
    return { found: userArn(UserName), later: () => iam('add_user_to_group', { UserName, GroupName }) };
  }),
  deploying('group', async (GroupName) => {
    await iam('create_group', { GroupName });
    await iam('create_user', { UserName: GroupName });
    await iam('add_user_to_group', { GroupName, UserName: GroupName });
    const policy = { GroupName, PolicyName: 'hotfix', PolicyDocument: allowing(['lambda:Update*', 'iam:PassRole'], '*') };
    return { found: `arn:aws:iam::${account}:group/${GroupName}`, later: () => iam('put_group_policy', policy) };
  }),
  deploying('role-by-a-version', async (name) => {
    const role = await functionRole(`${name}-clerk`);
    const { Policy } = await iam('create_policy', { PolicyName: name, PolicyDocument: allowing('lambda:Get*') });
    await iam('attach_role_policy', { RoleName: `${name}-clerk`, PolicyArn: Policy.Arn });
    const version = { PolicyArn: Policy.Arn, PolicyDocument: allowing('lambda:*'), SetAsDefault: true };
    return { found: role, later: () => iam('create_policy_version', version) };
  }),
  deploying('policy-of-the-function', async (name) => {
    const clerk = await functionRole(`${name}-clerk`);
    const permission = { FunctionName: name, StatementId: 'clerk', Action: 'lambda:UpdateFunctionCode', Principal: clerk };
    return { found: functionArn(name), later: () => administrator('lambda', 'add_permission', permission) };
  }),
  deploying('function-that-deploys', async (name) => {
    const policy = {
      RoleName: name,
      PolicyName: 'deploys',
      PolicyDocument: allowing('lambda:Update*', `arn:aws:lambda:${home}:function:*`),
    };
    return { found: roleArn(name), later: () => iam('put_role_policy', policy) };
  }),
];

/** What is wrong once in the account: no function is its subject. */
export const once: readonly Kind[] = [
  {
    rule: 'guard-tampered',
    how: 'guard-switched-off',
    async make() {
      // Nobody of the test operates the guard: nothing misses it meanwhile.
      const FunctionName = `${stack}-operate`;
      await administrator('lambda', 'put_function_concurrency', { FunctionName, ReservedConcurrentExecutions: 0 });
      return functionArn(FunctionName);
    },
  },
  {
    rule: 'guard-tampered',
    how: 'guard-changed',
    onlyHeard: 'what it was before, and who changed it, only the event tells',
    async make() {
      const TopicArn = stage.outputs['AlarmTopicArn'] ?? '';
      await administrator('sns', 'set_topic_attributes', { TopicArn, AttributeName: 'DisplayName', AttributeValue: 'nothing to see' });
      return TopicArn;
    },
  },
];

export const nearMisses: readonly NearMiss[] = [
  {
    how: 'deployed-again',
    async make(name) {
      await twoVersions(name);
      await pipeline('update_alias', { FunctionName: name, Name: 'live', FunctionVersion: '2' });
    },
  },
  { how: 'signed', make: async (name, { signing }) => await sound(name, { CodeSigningConfigArn: signing }) },
  {
    how: 'layers-of-our-own-and-vendors',
    async make(name) {
      const Content = { ZipFile: bytes(packageOf('our own')) };
      const { LayerVersionArn } = await administrator('lambda', 'publish_layer_version', { LayerName: name, Content });
      await sound(name, { Layers: [LayerVersionArn] });
    },
  },
  {
    how: 'user-who-reads',
    async make(name) {
      await sound(name);
      await iam('create_user', { UserName: name });
      await iam('put_user_policy', {
        UserName: name,
        PolicyName: 'reads',
        PolicyDocument: allowing(['lambda:Get*', 'lambda:InvokeFunction']),
      });
    },
  },
  {
    how: 'configured-by-hand',
    async make(name) {
      await sound(name);
      await administrator('lambda', 'update_function_configuration', { FunctionName: name, Description: 'of the shop', Timeout: 10 });
    },
  },
];
