import { Inbox, samBuild, samDeploy } from '../support/stack.ts';
import { codeChangedByHand } from './parts/code-changed-by-hand.ts';
import { roleShared } from './parts/role-shared.ts';
import { secretInEnvironment, valuesAreNowhere } from './parts/secret-in-environment.ts';
import { securityGroupOpenIngress } from './parts/security-group-open-ingress.ts';
import { functionUrlOpen } from './parts/function-url-open.ts';
import { buildDirectory, closeStage, openStage, quiet, stage } from './stage.ts';

beforeAll(async () => {
  await openStage();
  await samBuild(stage.pipeline, buildDirectory);
});
afterAll(closeStage);

const common = () => ({
  Deployers: stage.pipelineRole,
  Operators: stage.operatorRole,
  LambdaCallsPerSecond: '15',
});
const remediate = {
  ...Object.fromEntries(
    ['RoleShared', 'SecretInEnvironment', 'FunctionUrlOpen', 'SecurityGroupOpenIngress', 'CodeChangedByHand'].flatMap((rule) => [
      [`${rule}Mode`, 'remediate'],
      [`${rule}Delay`, '0'],
    ]),
  ),
  RoleSharedSplitRoles: 'arn:aws:iam::111122223333:role/shared-*',
  RoleSharedSettle: '1',
  DigestOver: '1000',
};

describe('every rule in remediate', () => {
  beforeAll(async () => {
    stage.outputs = await samDeploy(stage.pipeline, { ...common(), ...remediate }, buildDirectory);
    stage.inbox = await Inbox.subscribe(stage.administrator, stage.outputs['AlertTopicArn'] ?? '', 'suite-alerts');
    await quiet();
  });
  functionUrlOpen();
  roleShared();
  secretInEnvironment();
  securityGroupOpenIngress();
  codeChangedByHand();
  valuesAreNowhere();
});
