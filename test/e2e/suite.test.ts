import { pascalCase } from '../../guard/rule.ts';
import { rules } from '../../rules/index.ts';
import { Inbox, samBuild, samDeploy } from '../support/stack.ts';
import { alertMode, openedInAlert, seedEstate } from './parts/alert-mode.ts';
import { alertsAreValid } from './parts/alerts-are-valid.ts';
import { allAtOnce } from './parts/all-at-once.ts';
import { badInput } from './parts/bad-input.ts';
import { byHand } from './parts/by-hand.ts';
import { calls } from './parts/calls.ts';
import { codeChangedByHand } from './parts/code-changed-by-hand.ts';
import { codeSigningOff, requiredSigning } from './parts/code-signing-off.ts';
import { directDeployPermission } from './parts/direct-deploy-permission.ts';
import { customersKey, environmentWithoutCmk } from './parts/environment-without-cmk.ts';
import { faults } from './parts/faults.ts';
import { fight } from './parts/fight.ts';
import { egressScope, functionNetwork } from './parts/function-network.ts';
import { functionPolicyOpen } from './parts/function-policy-open.ts';
import { functionUrlOpen } from './parts/function-url-open.ts';
import { guardTampered, guardTamperedScope } from './parts/guard-tampered.ts';
import { httpRouteOpen } from './parts/http-route-open.ts';
import { layerForeign } from './parts/layer-foreign.ts';
import { leastPrivilege } from './parts/least-privilege.ts';
import { networkAclOpen } from './parts/network-acl-open.ts';
import { operators } from './parts/operators.ts';
import { ownCallsAreExplained, ownRoles } from './parts/own-roles.ts';
import { deployedBack, probation } from './parts/probation.ts';
import { restMethodOpen } from './parts/rest-method-open.ts';
import { roleShared } from './parts/role-shared.ts';
import { roleTooBroad } from './parts/role-too-broad.ts';
import { roleTrustOpen } from './parts/role-trust-open.ts';
import { routeUnreachable } from './parts/route-unreachable.ts';
import { secretInCode } from './parts/secret-in-code.ts';
import { secretInEnvironment, valuesAreNowhere } from './parts/secret-in-environment.ts';
import { secretNotRotated } from './parts/secret-not-rotated.ts';
import { security } from './parts/security.ts';
import { securityGroupOpenIngress } from './parts/security-group-open-ingress.ts';
import { idleExemptions, sweeps } from './parts/sweep.ts';
import { tags } from './parts/tags.ts';
import { uninstall } from './parts/uninstall.ts';
import { buildDirectory, closeStage, openStage, quiet, stage } from './stage.ts';

// The guard, built and deployed as a user deploys it, in one emulated account: each part goes on where the last one ended.

const fixable = rules.filter(({ fix }) => fix.length > 0).map(({ id }) => pascalCase(id));

/** Those that ship in `off` as well. */
const alert = Object.fromEntries(rules.map(({ id }) => [`${pascalCase(id)}Mode`, 'alert']));

const common = () => ({
  ...alert,
  Deployers: stage.pipelineRole,
  Operators: stage.operatorRole,
  LambdaCallsPerSecond: '100',
  ApiGatewayCallsPerSecond: '10',
});

const remediate = {
  ...Object.fromEntries(
    fixable.flatMap((rule) => [
      [`${rule}Mode`, 'remediate'],
      [`${rule}Delay`, '0'],
    ]),
  ),
  RoleSharedSplitRoles: 'arn:aws:iam::111122223333:role/shared-*',
  RoleSharedSettle: '1',
  HttpRouteOpenQuiet: '0',
  RestMethodOpenQuiet: '0',
  // The suite's own principals change functions as well.
  DirectDeployPermissionScope: 'arn:aws:iam::111122223333:*/direct-deploy-*',
  RoleTrustOpenScope: 'arn:aws:iam::111122223333:role/trust-open-*',
  RoleTooBroadScope: 'arn:aws:iam::111122223333:role/too-broad-*',
  FunctionPolicyOpenScope: 'arn:aws:lambda:*:*:function:function-policy-open-*',
  FunctionPolicyOpenTrustedAccounts: '444455556666',
  SecurityGroupOpenEgressAllow: 'tcp/443/0.0.0.0/0',
  SecurityGroupOpenEgressScope: egressScope,
  NeverTouch: 'arn:aws:lambda:us-east-1:111122223333:function:never-*,arn:aws:ec2:*:*:security-group/sg-0never',
  GuardTamperedScope: guardTamperedScope,
  DigestOver: '1000',
  AllowTagExemptions: 'true',
  ChangesPerTenMinutes: '1000',
  ProbationMinutes: '1',
  EnvironmentWithoutCmkScope: 'arn:aws:lambda:*:*:function:without-cmk-*',
  CodeDriftedScope: 'arn:aws:lambda:*:*:function:unheard',
  CodeSigningOffFunctions: 'code-signing-off-*',
};

beforeAll(async () => {
  await openStage('suite');
  await Promise.all([samBuild(stage.pipeline, buildDirectory), seedEstate()]);
  stage.outputs = await samDeploy(stage.pipeline, common(), buildDirectory);
  stage.deployedAt = Date.now();
  stage.inbox = await Inbox.subscribe(stage.administrator, stage.outputs['AlertTopicArn'] ?? '', 'suite-alerts');
});
afterAll(closeStage);

alertMode(common);
byHand();

describe('with every rule in remediate', () => {
  beforeAll(async () => {
    const own = { EnvironmentWithoutCmkArn: await customersKey(), CodeSigningOffConfigArn: await requiredSigning() };
    await samDeploy(stage.pipeline, { ...common(), ...remediate, ...own }, buildDirectory);
    await quiet();
  });

  sweeps();
  functionUrlOpen();
  httpRouteOpen();
  restMethodOpen();
  functionPolicyOpen();
  roleShared();
  roleTooBroad();
  roleTrustOpen();
  secretInEnvironment();
  environmentWithoutCmk();
  secretNotRotated();
  secretInCode();
  securityGroupOpenIngress();
  functionNetwork();
  networkAclOpen();
  routeUnreachable();
  codeChangedByHand();
  layerForeign();
  codeSigningOff();
  directDeployPermission();
  allAtOnce();
  tags();
  guardTampered();
  ownRoles();
  operators(openedInAlert);
  probation(fight);
  badInput();
  security();
  faults();
  calls();
});

describe('in the end', () => {
  valuesAreNowhere();
  idleExemptions();
  ownCallsAreExplained();
  alertsAreValid();
  leastPrivilege();
  deployedBack(common);
  uninstall();
});
