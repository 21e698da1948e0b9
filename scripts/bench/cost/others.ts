import type { EventMode } from './model.ts';

/** A managed rule of AWS Config that looks for the same, and what of it: https://docs.aws.amazon.com/config/latest/developerguide/managed-rules-by-aws-config.html */
export interface ManagedRule {
  readonly name: string;
  /** What it leaves out; nothing, where it is much the same. */
  readonly without?: string;
}

/** By rule of the guard. Each of the others takes a custom rule, with a Lambda function of one's own. */
export const managedRules: Readonly<Record<string, ManagedRule>> = {
  'role-too-broad': { name: 'iam-policy-no-statements-with-admin-access', without: 'inline policies and policies of AWS' },
  'secret-not-rotated': { name: 'secretsmanager-rotation-enabled-check', without: 'which secrets functions read' },
  'function-policy-open': { name: 'lambda-function-public-access-prohibited', without: 'other accounts, versions and aliases' },
  'http-route-open': { name: 'api-gwv2-authorization-type-configured' },
  'function-outside-vpc': { name: 'lambda-inside-vpc' },
  'network-acl-open': { name: 'nacl-no-unrestricted-ssh-rdp', without: 'every port but 22 and 3389' },
  'security-group-open-ingress': { name: 'vpc-sg-open-only-to-authorized-ports', without: 'whether a function uses the group' },
  'security-group-shared': { name: 'vpc-default-security-group-closed', without: 'sharing of other groups' },
  'subnet-public': { name: 'no-unrestricted-route-to-igw', without: 'whether functions are in the subnet' },
  'subnet-single-az': { name: 'lambda-vpc-multi-az-check' },
};

/** Cloud Custodian, as it was measured with c7n 0.9.53: one CreateFunction event, and the start of a policy's function. */
export const eventMode: EventMode = {
  policies: 19,
  policiesPerFunctionEvent: 8,
  policiesPerOtherEvent: 1,
  millisecondsPerPolicy: 439 / 8,
  callsPerPolicy: 17.6 / 8,
  coldStart: 277 + 214,
  // What it deploys with, where a policy names nothing else: https://cloudcustodian.io/docs/aws/resources/aws-modes.html
  megabytes: 512,
};
