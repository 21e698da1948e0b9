import type { RecordedCall } from '../../../guard/call.ts';
import { codeSigningSubject } from '../../../guard/subject.ts';
import { rule } from '../../../rules/deployments/code-signing-off.ts';
import { sample } from '../../support/events.ts';
import { place, ruleTest } from '../../support/rule-test.ts';
import type { World } from '../../support/world/index.ts';

const orders = 'arn:aws:lambda:us-east-1:111122223333:function:orders';
const required = 'arn:aws:lambda:us-east-1:111122223333:code-signing-config:csc-00000000000000000';
const other = 'arn:aws:lambda:us-east-1:111122223333:code-signing-config:csc-00000000000000001';
const params = { configArn: required };
const removed = sample('DeleteFunctionCodeSigningConfig/removed.json');
const attached = sample('PutFunctionCodeSigningConfig/attached.json');
const onlyWarns = sample('UpdateCodeSigningConfig/only-warns.json');

/** The configuration that functions must have, and another. */
function withConfigurations({ lambda }: World, UntrustedArtifactOnDeployment: 'Enforce' | 'Warn' = 'Enforce'): void {
  lambda.createCodeSigningConfig({ CodeSigningPolicies: { UntrustedArtifactOnDeployment }, Tags: { team: 'release' } });
  lambda.createCodeSigningConfig({ CodeSigningPolicies: { UntrustedArtifactOnDeployment: 'Enforce' } });
}

function withFunction({ lambda }: World, more: object = {}): void {
  lambda.createFunction({ FunctionName: 'orders', Tags: { team: 'shop' }, ...more });
}

const unsigned = {
  subject: orders,
  severity: 'medium' as const,
  summary: 'orders has no code signing configuration: whoever may update its code may put there what nobody signed.',
  evidence: { required },
  tags: { team: 'shop' },
};
const put = (undo: RecordedCall) => ({
  call: 'putFunctionCodeSigningConfig',
  input: { FunctionName: orders, CodeSigningConfigArn: required },
  undo: [undo],
});
const putOnUnsigned = put({ call: 'deleteFunctionCodeSigningConfig', input: { FunctionName: orders } });
const enforce = (untrusted: string) => ({
  call: 'enforceCodeSigning',
  input: { CodeSigningConfigArn: required, CodeSigningPolicies: { UntrustedArtifactOnDeployment: untrusted } },
});
const warning = {
  subject: required,
  severity: 'medium' as const,
  summary: `The code signing configuration that functions must have only warns (${required}): every function that has it takes code that nobody signed.`,
  evidence: { untrusted: 'Warn' },
  tags: { team: 'release' },
};

ruleTest(rule, {
  rows: [
    {
      name: 'no configuration is required',
      kind: 'compliant',
      arrange: (world) => withFunction(world),
      event: removed,
      expect: { compliant: [orders] },
      calls: { aws: 0, ledger: 0 },
    },
    {
      name: 'a function by whose name none is required',
      kind: 'compliant',
      arrange: (world) => withFunction(world),
      params: { ...params, functions: 'payments-*, billing' },
      event: removed,
      expect: { compliant: [orders] },
      calls: { aws: 0, ledger: 0 },
    },
    {
      name: 'a function with the configuration',
      kind: 'compliant',
      arrange: (world) => {
        withConfigurations(world);
        withFunction(world, { CodeSigningConfigArn: required });
      },
      params,
      event: attached,
      expect: { compliant: [orders] },
      calls: { aws: 2, ledger: 1 },
    },
    {
      name: 'an image, for which there is no code signing',
      kind: 'compliant',
      arrange: (world) => {
        withConfigurations(world);
        withFunction(world, { PackageType: 'Image', Code: { ImageUri: '111122223333.dkr.ecr.us-east-1.amazonaws.com/orders:1' } });
      },
      params,
      event: sample('CreateFunction20150331/role-shared.json'),
      expect: { compliant: [orders] },
      calls: { aws: 2, ledger: 0 },
    },
    {
      name: 'the configuration refuses what nobody signed',
      kind: 'compliant',
      arrange: (world) => withConfigurations(world),
      params,
      event: onlyWarns,
      expect: { compliant: [required] },
      calls: { aws: 1, ledger: 1 },
    },
    {
      name: 'another configuration only warns',
      kind: 'compliant',
      arrange: (world) => withConfigurations(world, 'Warn'),
      params: { configArn: other },
      event: onlyWarns,
      expect: { compliant: [required] },
      calls: { aws: 0, ledger: 0 },
    },
    {
      name: 'the configuration is deleted',
      kind: 'compliant',
      params,
      event: sample('DeleteCodeSigningConfig/deleted.json'),
      expect: { compliant: [required] },
    },
    {
      name: 'somebody took the configuration from a function',
      kind: 'violating',
      arrange: (world) => {
        withConfigurations(world);
        withFunction(world);
      },
      params,
      event: removed,
      expect: { violations: [{ ...unsigned, plan: { steps: [putOnUnsigned] } }] },
      calls: { aws: 3, ledger: 0 },
    },
    {
      name: 'a sweep that finds a function without it',
      kind: 'violating',
      arrange: (world) => {
        withConfigurations(world);
        withFunction(world);
      },
      params: { ...params, functions: 'payments-*, ord*' },
      sweep: orders,
      expect: { violations: [unsigned] },
    },
    {
      name: 'a function with another configuration',
      kind: 'violating',
      arrange: (world) => {
        withConfigurations(world);
        withFunction(world, { CodeSigningConfigArn: other });
      },
      params,
      event: attached,
      expect: {
        violations: [
          {
            ...unsigned,
            summary: `orders has another code signing configuration (${other}) than the one that functions must have: what others signed may be put there.`,
            evidence: { required, configuration: other },
            plan: { steps: [put({ call: 'putCodeSigningBack', input: { FunctionName: orders, CodeSigningConfigArn: other } })] },
          },
        ],
      },
    },
    {
      name: 'a required configuration that does not exist',
      kind: 'violating',
      arrange: (world) => withFunction(world),
      params,
      event: removed,
      expect: { violations: [{ ...unsigned, plan: { steps: [putOnUnsigned], refused: `${required} does not exist.` } }] },
    },
    {
      name: 'a required configuration of another region',
      kind: 'violating',
      arrange: (world) => withFunction(world),
      params: { configArn: required.replace('us-east-1', 'eu-west-1') },
      event: removed,
      expect: {
        violations: [
          {
            ...unsigned,
            evidence: { required: required.replace('us-east-1', 'eu-west-1') },
            plan: expect.objectContaining({ refused: `${required.replace('us-east-1', 'eu-west-1')} is not in this account and region.` }),
          },
        ],
      },
    },
    {
      name: 'a configuration that only warns, and was never seen to enforce',
      kind: 'violating',
      arrange: (world) => withConfigurations(world, 'Warn'),
      params,
      listed: codeSigningSubject(required, place),
      expect: {
        violations: [
          {
            ...warning,
            plan: {
              steps: [{ ...enforce('Enforce'), undo: [enforce('Warn')] }],
              refused: 'The guard never saw it enforce anything: whoever made it may still be trying it out, and deployments would fail.',
            },
          },
        ],
      },
      calls: { aws: 2, ledger: 0 },
    },
    {
      name: 'a function whose configuration only warns',
      kind: 'violating',
      arrange: async (world, ledger) => {
        withConfigurations(world, 'Warn');
        withFunction(world, { CodeSigningConfigArn: required });
        await ledger.recordKept('code-signing-off', required, { state: { untrusted: 'Enforce' }, asOf: 1 });
      },
      params,
      sweep: orders,
      expect: {
        violations: [{ ...warning, plan: { steps: [{ ...enforce('Enforce'), undo: [enforce('Warn')] }] } }],
        compliant: [orders],
      },
    },
    {
      name: 'a call that failed',
      kind: 'ignored',
      event: sample('DeleteFunctionCodeSigningConfig/removed.json', { detail: { errorCode: 'AccessDeniedException' } }),
    },
    {
      name: 'a function of another account',
      kind: 'ignored',
      event: sample('DeleteFunctionCodeSigningConfig/removed.json', {
        detail: { requestParameters: { functionName: orders.replace('111122223333', '444455556666') } },
      }),
    },
    {
      name: 'the configuration of a function may not be read',
      kind: 'failing',
      arrange: (world) => withFunction(world),
      params,
      event: removed,
      fail: { operation: 'GetFunctionCodeSigningConfig', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'a configuration that may not be read',
      kind: 'failing',
      arrange: (world) => {
        withConfigurations(world);
        withFunction(world, { CodeSigningConfigArn: required });
      },
      params,
      event: attached,
      fail: { operation: 'GetCodeSigningConfig', error: 'AccessDeniedException' },
      expect: { throws: 'lasting' },
    },
    {
      name: 'Lambda throttles',
      kind: 'failing',
      arrange: (world) => withFunction(world),
      params,
      event: removed,
      fail: { operation: 'GetFunctionConfiguration', error: 'TooManyRequestsException' },
      expect: { throws: 'passing' },
    },
    { name: 'the function is gone', kind: 'failing', params, event: sample('DeleteFunction20150331/code-function-gone.json') },
  ],
  roundTrips: [
    {
      name: 'a function gets it, and is without it again',
      arrange: (world) => {
        withConfigurations(world);
        withFunction(world);
      },
      params,
      event: removed,
      steps: ['putFunctionCodeSigningConfig'],
      fixed: ({ lambda }) =>
        expect(lambda.getFunctionCodeSigningConfig({ FunctionName: 'orders' })).toMatchObject({ CodeSigningConfigArn: required }),
    },
    {
      name: 'a function gets it, and has its own again',
      arrange: (world) => {
        withConfigurations(world);
        withFunction(world, { CodeSigningConfigArn: other });
      },
      params,
      event: attached,
      steps: ['putFunctionCodeSigningConfig'],
    },
    {
      name: 'the configuration enforces again, and only warns again',
      arrange: async (world, ledger) => {
        withConfigurations(world, 'Warn');
        await ledger.recordKept('code-signing-off', required, { state: { untrusted: 'Enforce' }, asOf: 1 });
      },
      params,
      event: onlyWarns,
      steps: ['enforceCodeSigning'],
    },
  ],
});
