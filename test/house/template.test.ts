import { matchesGlob } from '../../guard/arn.ts';
import { deploying } from '../../guard/deploy-rights.ts';
import { type AnyRule, pascalCase } from '../../guard/rule.ts';
import { rules } from '../../rules/index.ts';
import { handlerOf } from '../../scripts/bundle.ts';
import { read } from './repository.ts';
import {
  deploy,
  functions,
  ofType,
  type Properties,
  pseudo,
  roleStatements,
  type Stack,
  statements,
  template,
  type Value,
} from './template.ts';

const all: readonly AnyRule[] = rules;
const fixable = all.filter(({ fix }) => fix.length > 0);
const asShipped = deploy();
const arn = (name: string) => `arn:aws:iam::111122223333:role/${name}`;
/** Every rule in remediate, every condition met: all that the template can make. */
const everything = deploy({
  ...Object.fromEntries(fixable.map(({ id }) => [`${pascalCase(id)}Mode`, 'remediate'])),
  AlertEmail: 'ops@example.com',
  Deployers: arn('pipeline'),
  Operators: arn('operator'),
  RoleSharedSplitRoles: arn('shared'),
  EnvironmentWithoutCmkArn: 'arn:aws:kms:us-east-1:111122223333:key/0a1b2c3d',
});

describe('limits of CloudFormation', () => {
  // https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
  test('resources, parameters, outputs, size', () => {
    expect(Object.keys(template.Resources).length).toBeLessThan(500);
    expect(Object.keys(template.Parameters).length).toBeLessThan(200);
    expect(Object.keys(template.Outputs).length).toBeLessThan(200);
    expect(read('template.yaml').length).toBeLessThan(1_000_000);
  });

  test('names of roles and functions, with the name that samconfig.toml gives the stack', () => {
    const [, name = ''] = /stack_name = "([^"]+)"/.exec(read('samconfig.toml')) ?? [];
    const { resources } = deploy({ ...remediating(), 'AWS::StackName': name });
    const longest = Object.values(resources).flatMap(({ Properties: { RoleName, FunctionName } }) => [RoleName ?? '', FunctionName ?? '']);
    expect(longest.map(String).filter((text) => text.length > 64)).toEqual([]);
  });

  // https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
  test('environment variables of every function, with lists of a dozen ARNs', () => {
    const dozen = Array.from({ length: 12 }, (_, index) => arn(`deployment/pipeline-of-team-${index}`)).join(',');
    const lists = { Deployers: dozen, Operators: dozen, NeverTouch: dozen };
    for (const { id, variables } of functions(deploy({ ...remediating(), ...lists }))) {
      const size = Object.entries(variables).reduce((sum, [name, value]) => sum + name.length + String(value).length, 0);
      expect([id, size < 4_096]).toEqual([id, true]);
    }
  });
});

describe('modes', () => {
  test.each(all.map((rule) => [rule.id, rule] as const))('%s does not remediate unless somebody says so', (id, { fix }) => {
    const mode = template.Parameters[`${pascalCase(id)}Mode`];
    expect(['off', 'alert']).toContain(mode?.Default);
    expect(mode?.AllowedValues).toEqual(fix.length > 0 ? ['off', 'alert', 'remediate'] : ['off', 'alert']);
  });

  test('as shipped, nothing of a remediator is deployed', () => {
    expect(Object.keys(asShipped.resources).filter((id) => id.startsWith('Remediate'))).toEqual([]);
  });

  test.each(fixable.map(({ id }) => [id, pascalCase(id)] as const))('%s in remediate brings its own remediator and no other', (_, name) => {
    const { resources } = deploy({ [`${name}Mode`]: 'remediate', Deployers: arn('pipeline') });
    const added = Object.keys(resources).filter((id) => !(id in asShipped.resources));
    expect(added.filter((id) => !id.startsWith(`Remediate${name}`))).toEqual([]);
    expect(added.map((id) => resources[id]?.Type)).toEqual(
      expect.arrayContaining([
        'AWS::Serverless::Function',
        'AWS::IAM::Role',
        'AWS::Events::Rule',
        'AWS::SQS::Queue',
        'AWS::Lambda::EventSourceMapping',
      ]),
    );
  });

  test('as shipped, no role may write to anything but what the guard keeps for itself', () => {
    expect(writes(asShipped)).toEqual([
      'dynamodb:DeleteItem on ${Ledger.Arn}',
      'dynamodb:DeleteItem on ${Ledger.Arn}/index/*',
      'dynamodb:PutItem on ${Ledger.Arn}',
      'dynamodb:PutItem on ${Ledger.Arn}/index/*',
      'dynamodb:UpdateItem on ${Ledger.Arn}',
      'dynamodb:UpdateItem on ${Ledger.Arn}/index/*',
      'events:PutEvents on ${GuardBus.Arn}',
      'kms:GenerateDataKey on ${Key.Arn}',
      's3:PutObject on ${Archive.Arn}/*',
      'sns:Publish on ${AlarmTopic}',
      'sns:Publish on ${AlertTopic}',
      'sqs: own queues',
    ]);
  });

  test('as shipped, only the checker of deployments puts packages into the archive', () => {
    const putters = ofType(asShipped, 'AWS::IAM::Role').filter(([, role]) =>
      roleStatements(role).some(({ effect, actions }) => effect === 'Allow' && actions.includes('s3:PutObject')),
    );
    expect(putters.map(([id]) => id)).toEqual(['CheckDeploymentsRole']);
  });

  test('the remediator that looks after the guard only switches on what is its own', () => {
    const own = roleStatements(everything.resources['RemediateGuardTamperedRole']?.Properties ?? {});
    const written = own.flatMap(({ effect, actions, resources, condition }) =>
      effect === 'Allow'
        ? actions.flatMap((action) =>
            /^(events|kms|lambda|cloudtrail|iam):/.test(action) && isWrite(action) ? [{ action, resources, condition }] : [],
          )
        : [],
    );
    const functions = 'arn:aws:lambda:us-east-1:111122223333:function:guard-*';
    expect(written.filter(({ action }) => !['events:PutEvents', 'kms:Decrypt', 'kms:GenerateDataKey'].includes(action))).toEqual([
      {
        action: 'events:EnableRule',
        resources: ['arn:aws:events:us-east-1:111122223333:rule/guard-*', 'arn:aws:events:us-east-1:111122223333:rule/guard/guard-*'],
        condition: {},
      },
      { action: 'lambda:DeleteFunctionConcurrency', resources: [functions], condition: {} },
      { action: 'kms:EnableKey', resources: ['${Key.Arn}'], condition: {} },
      {
        action: 'lambda:UpdateEventSourceMapping',
        resources: ['arn:aws:lambda:us-east-1:111122223333:event-source-mapping:*'],
        condition: { ArnLike: { 'lambda:FunctionArn': functions } },
      },
    ]);
  });

  test('no remediator may write to the guard itself, or do more to a role outside the path of its clones than take from it or change whom it trusts', () => {
    for (const { id } of fixable) {
      const own = roleStatements(everything.resources[`Remediate${pascalCase(id)}Role`]?.Properties ?? {});
      const written = own.flatMap(({ effect, actions, resources }) =>
        effect === 'Allow' ? actions.flatMap((action) => resources.map((resource) => [action, resource] as const)) : [],
      );
      const denied = own
        .filter(({ effect, resources }) => effect === 'Deny' && resources.includes('arn:aws:lambda:*:*:function:guard-*'))
        .flatMap(({ actions }) => actions);
      const lambdaWrites = written.flatMap(([action]) => (isWrite(action) && action.startsWith('lambda:') ? [action] : []));
      // One switches the guard's own functions on again, and may do so to no others.
      if (id !== 'guard-tampered') expect([...new Set(lambdaWrites)].sort()).toEqual([...new Set(denied)].sort());
      const iamWrites = written.filter(([action]) => isWrite(action) && action.startsWith('iam:') && action !== 'iam:PassRole');
      const elsewhere = iamWrites.filter(([, resource]) => resource !== 'arn:aws:iam::111122223333:role/compliance-guard/*');
      // IAM has no condition on what a trust policy says: the role of role-trust-open may write any.
      const taking = ['iam:DeleteRolePolicy', 'iam:DetachRolePolicy', 'iam:SetDefaultPolicyVersion', 'iam:UpdateAssumeRolePolicy'];
      // What that attaches allows nothing.
      if (id === 'direct-deploy-permission') taking.push('iam:AttachRolePolicy', 'iam:AttachUserPolicy');
      expect(elsewhere.flatMap(([action]) => (taking.includes(action) ? [] : [action]))).toEqual([]);
      const protects = (kind: string) =>
        own.flatMap(({ effect, actions, resources }) =>
          effect === 'Deny' && resources.includes(`arn:aws:iam::*:${kind}/guard-*`) ? actions : [],
        );
      expect([...protects('role'), ...protects('policy')]).toEqual(
        expect.arrayContaining(elsewhere.flatMap(([action]) => (action === 'iam:AttachUserPolicy' ? [] : [action]))),
      );
    }
  });

  test('a role can be made, and given rights, only with the boundary on it', () => {
    const granting = ['iam:AttachRolePolicy', 'iam:CreateRole', 'iam:PutRolePolicy'];
    const found = ofType(everything, 'AWS::IAM::Role').flatMap(([, role]) =>
      roleStatements(role).filter(({ effect, actions }) => effect === 'Allow' && actions.some((action) => granting.includes(action))),
    );
    expect([...new Set(found.flatMap(({ actions }) => actions))]).toEqual(expect.arrayContaining(granting));
    const bounded = { StringEquals: { 'iam:PermissionsBoundary': '${RoleBoundary}' } };
    // A policy that allows nothing needs none.
    const denying = { ArnEquals: { 'iam:PolicyARN': '${DirectDeployDenial}' } };
    const [attaching, others] = [true, false].map((is) =>
      found.filter(({ actions }) => (actions.join() === 'iam:AttachRolePolicy') === is),
    );
    for (const { condition } of others ?? []) expect(condition).toEqual(bounded);
    expect(attaching?.map(({ condition }) => condition)).toEqual([denying]);
    const boundary = statements(everything.resources['RoleBoundary']?.Properties['PolicyDocument']);
    const denied = boundary.filter(({ effect }) => effect === 'Deny').flatMap(({ actions }) => actions);
    expect(denied).toEqual(expect.arrayContaining(['iam:*', 'organizations:*', 'sts:AssumeRole']));
  });
});

function remediating(): Readonly<Record<string, string>> {
  return Object.fromEntries(fixable.map(({ id }) => [`${pascalCase(id)}Mode`, 'remediate']));
}

function isWrite(action: string): boolean {
  return !/^\w+:(GET$|BatchGet|Get|List|Describe|Query|Search|Simulate)/.test(action);
}

/** What the roles of a stack may do beyond reading; decrypting what one reads is reading, and a log is a function's voice. */
function writes(stack: Stack): readonly string[] {
  const queues = ofType(stack, 'AWS::SQS::Queue').map(([id]) => `\${${id}.Arn}`);
  const logs = ofType(stack, 'AWS::Logs::LogGroup').map(([id]) => `\${${id}.Arn}`);
  const granted = ofType(stack, 'AWS::IAM::Role').flatMap(([, role]) =>
    roleStatements(role).flatMap(({ effect, actions, resources }) =>
      effect === 'Deny' ? [] : actions.flatMap((action) => resources.map((resource) => ({ action, resource }))),
    ),
  );
  const beyond = granted.flatMap(({ action, resource }) => {
    if (!isWrite(action) || action === 'kms:Decrypt') return [];
    if (/^logs:(CreateLogStream|PutLogEvents)$/.test(action) && logs.includes(resource)) return [];
    if (/^sqs:(DeleteMessage|ReceiveMessage|SendMessage|ChangeMessageVisibility)$/.test(action) && queues.includes(resource))
      return ['sqs: own queues'];
    return [`${action} on ${resource}`];
  });
  return [...new Set(beyond)].sort();
}

describe('functions', () => {
  const made = functions(everything);

  test.each(made.map((lambda) => [lambda.id, lambda.properties] as const))(
    '%s runs as Lambda should run it',
    (id, { Runtime, Architectures, Role, LoggingConfig, Policies, Timeout }) => {
      expect({ Runtime, Architectures, Policies }).toEqual({ Runtime: 'nodejs24.x', Architectures: ['arm64'], Policies: undefined });
      expect(Role).toBe(`\${${id}Role.Arn}`);
      expect(LoggingConfig).toEqual({ LogGroup: `\${${id}Logs}` });
      expect(Timeout).toEqual(expect.any(Number));
    },
  );

  test('what is started without a queue leaves its dead letters in one', () => {
    const started = ofType(everything, 'AWS::Lambda::Permission').map(([, { FunctionName }]) => String(FunctionName));
    expect([...new Set(started)].sort()).toEqual(['${Sweep}', '${Tick}']);
    for (const { id, properties } of made.filter((lambda) => started.includes(`\${${lambda.id}}`))) {
      expect(properties['DeadLetterQueue']).toEqual({ Type: 'SQS', TargetArn: `\${${id}DeadLetters.Arn}` });
    }
  });

  test('their environments are encrypted with the key of the stack', () => {
    for (const { id, properties } of made) expect([id, properties['KmsKeyArn']]).toEqual([id, '${Key.Arn}']);
  });

  test('each has a role and a log group that no other has', () => {
    expect(
      ofType(everything, 'AWS::IAM::Role')
        .map(([id]) => id)
        .sort(),
    ).toEqual(made.map(({ id }) => `${id}Role`).sort());
    expect(
      ofType(everything, 'AWS::Logs::LogGroup')
        .map(([id]) => id)
        .sort(),
    ).toEqual(made.map(({ id }) => `${id}Logs`).sort());
  });

  test.each(ofType(everything, 'AWS::Logs::LogGroup'))('%s ends, and is encrypted', (_, { RetentionInDays, KmsKeyId }) => {
    expect(Number(RetentionInDays)).toBeGreaterThanOrEqual(30);
    expect(KmsKeyId).toBe('${Key.Arn}');
  });

  test.each(made.map((lambda) => [lambda.id, lambda] as const))(
    '%s has a handler that is bundled, and a source',
    (_, { properties, id }) => {
      const [module = ''] = String(properties['Handler']).split('.');
      expect(everything.resources[id]?.['Metadata']).toMatchObject({ BuildMethod: 'makefile' });
      expect(handlerOf(id)).toBe(module);
      expect(read(`handlers/${module}.ts`)).toMatch(/export (const handler|async function handler)/);
    },
  );
});

describe('queues', () => {
  const queues = ofType(everything, 'AWS::SQS::Queue');
  const work = queues.filter(([, { RedrivePolicy }]) => RedrivePolicy !== undefined);
  const policies = new Map(
    ofType(everything, 'AWS::SQS::QueuePolicy').map(([, { Queues, PolicyDocument }]) => [String(Queues), statements(PolicyDocument)]),
  );
  const mappings = ofType(everything, 'AWS::Lambda::EventSourceMapping');

  test.each(queues)('%s is encrypted with the key of the stack', (_, { KmsMasterKeyId }) => {
    expect(KmsMasterKeyId).toMatch(/^\$\{Key(\.Arn)?\}$/);
  });

  test.each(work)('%s gives its function time, and up after a few times', (id, { VisibilityTimeout, RedrivePolicy }) => {
    const { deadLetterTargetArn, maxReceiveCount } = RedrivePolicy as { deadLetterTargetArn: string; maxReceiveCount: number };
    expect(maxReceiveCount).toBeGreaterThanOrEqual(5);
    expect(queues.map(([name]) => `\${${name}.Arn}`)).toContain(deadLetterTargetArn);
    const readers = mappings.filter(([, { EventSourceArn }]) => EventSourceArn === `\${${id}.Arn}`);
    expect(readers).toHaveLength(1);
    const reader = functions(everything).find((lambda) => `\${${lambda.id}}` === readers[0]?.[1]['FunctionName']);
    // https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
    expect(Number(VisibilityTimeout)).toBeGreaterThanOrEqual(6 * Number(reader?.properties['Timeout']));
  });

  test.each(mappings)(
    '%s returns only what failed, and keeps to a few at a time',
    (_, { FunctionResponseTypes, ScalingConfig, EventSourceArn }) => {
      expect(FunctionResponseTypes).toEqual(['ReportBatchItemFailures']);
      expect((ScalingConfig as { MaximumConcurrency: number }).MaximumConcurrency).toBeLessThanOrEqual(10);
      expect(work.map(([id]) => `\${${id}.Arn}`)).toContain(EventSourceArn);
    },
  );

  test.each(queues)('%s takes messages from its own rules alone', (id) => {
    const policy = policies.get(`\${${id}}`) ?? [];
    const own = `\${${id}.Arn}`;
    expect(policy.filter(({ resources }) => String(resources) !== own)).toEqual([]);
    expect(
      policy.filter(({ effect, condition }) => effect === 'Deny' && condition['Bool']?.['aws:SecureTransport'] === 'false'),
    ).toHaveLength(1);
    for (const { actions, principals, condition } of policy.filter(({ effect }) => effect === 'Allow')) {
      expect({ actions, principals }).toEqual({ actions: ['sqs:SendMessage'], principals: ['events.amazonaws.com'] });
      expect(condition['ArnEquals']?.['aws:SourceArn']).toEqual(senders(own));
    }
    expect(policy.filter(({ effect }) => effect === 'Allow')).toHaveLength(senders(own).length > 0 ? 1 : 0);
  });

  test.each(work)('%s refuses everybody else, whatever their own policies say', (id) => {
    const denials = (policies.get(`\${${id}}`) ?? []).filter(({ sid }) => sid === 'NobodyElse');
    expect(denials).toMatchObject([{ effect: 'Deny', actions: ['sqs:SendMessage'], principals: ['*'] }]);
  });

  /** The rules of EventBridge that deliver to a queue, or leave there what they could not deliver. */
  function senders(queue: string): readonly string[] {
    return ofType(everything, 'AWS::Events::Rule').flatMap(([id, { Targets }]) => {
      const targets = Targets as readonly { Arn: string; DeadLetterConfig?: { Arn: string } }[];
      return targets.some(({ Arn, DeadLetterConfig }) => Arn === queue || DeadLetterConfig?.Arn === queue) ? [`\${${id}.Arn}`] : [];
    });
  }

  test.each(ofType(everything, 'AWS::Events::Rule'))('%s loses nothing that it cannot deliver', (_, { Targets, State }) => {
    expect(State).toBe('ENABLED');
    for (const { DeadLetterConfig } of Targets as readonly { DeadLetterConfig?: { Arn: string } }[]) {
      expect(queues.map(([id]) => `\${${id}.Arn}`)).toContain(DeadLetterConfig?.Arn);
    }
  });

  test('a rule that invokes a function may do so, and nothing else may but operators by its URL', () => {
    const permissions = ofType(everything, 'AWS::Lambda::Permission').map(
      ([, { FunctionName, Principal, SourceArn }]) => `${Principal} ${SourceArn} ${FunctionName}`,
    );
    const invoking = ofType(everything, 'AWS::Events::Rule').flatMap(([id, { Targets }]) =>
      (Targets as readonly { Arn: string }[]).flatMap(({ Arn }) =>
        work.some(([queue]) => Arn === `\${${queue}.Arn}`) ? [] : [`events.amazonaws.com \${${id}.Arn} ${Arn.replace('.Arn', '')}`],
      ),
    );
    expect(permissions.sort()).toEqual(invoking.sort());
    expect(ofType(everything, 'AWS::Lambda::Url')).toMatchObject([['OperateUrl', { AuthType: 'AWS_IAM' }]]);
  });
});

describe('alarms', () => {
  const alarms = ofType(everything, 'AWS::CloudWatch::Alarm');

  test.each(alarms)('%s tells the alarm topic', (_, { AlarmActions, Namespace, TreatMissingData }) => {
    expect(AlarmActions).toEqual(['${AlarmTopic}']);
    expect(['AWS/SQS', 'AWS/Lambda', 'ComplianceGuard', 'AWS/Events']).toContain(Namespace);
    expect(TreatMissingData).toBeDefined();
  });

  /** Alarms on a metric, by what they look at. */
  function watched(metric: string): readonly string[] {
    return alarms.flatMap(([, { MetricName, Dimensions }]) =>
      MetricName === metric ? (Dimensions as readonly { Value: string }[]).map(({ Value: value }) => value) : [],
    );
  }

  test('every function that fails is heard of', () => {
    expect([...watched('Errors')].sort()).toEqual(
      functions(everything)
        .map(({ id }) => `\${${id}}`)
        .sort(),
    );
  });

  test('a heartbeat goes the way of an alert, and where it does not arrive CloudWatch alone tells', () => {
    const beats = ofType(asShipped, 'AWS::Events::Rule').filter(([, { Targets }]) => JSON.stringify(Targets).includes('heartbeat'));
    expect(beats).toMatchObject([
      ['Heartbeat', { ScheduleExpression: 'rate(5 minutes)', State: 'ENABLED', Targets: [{ Arn: '${CheckGuardEvents.Arn}' }] }],
    ]);
    expect(asShipped.resources['NotifySilent']?.Properties).toMatchObject({
      Namespace: 'ComplianceGuard',
      MetricName: 'Heartbeats',
      Dimensions: [
        { Name: 'service', Value: 'compliance-guard' },
        { Name: 'stack', Value: 'guard' },
      ],
      ComparisonOperator: 'LessThanThreshold',
      Threshold: 1,
      TreatMissingData: 'breaching',
    });
  });

  test('every dead letter is heard of', () => {
    const dead = ofType(everything, 'AWS::SQS::Queue').filter(([, { RedrivePolicy }]) => RedrivePolicy === undefined);
    expect(dead.length).toBeGreaterThan(0);
    expect([...watched('ApproximateNumberOfMessagesVisible')].sort()).toEqual(dead.map(([id]) => `\${${id}.QueueName}`).sort());
  });

  test('every message that waits for long is heard of', () => {
    const work = ofType(everything, 'AWS::SQS::Queue').filter(([, { RedrivePolicy }]) => RedrivePolicy !== undefined);
    expect([...watched('ApproximateAgeOfOldestMessage')].sort()).toEqual(work.map(([id]) => `\${${id}.QueueName}`).sort());
  });
});

describe('topics', () => {
  test.each(ofType(everything, 'AWS::SNS::Topic'))(
    '%s is encrypted with the key of the stack, and has a policy',
    (id, { KmsMasterKeyId }) => {
      expect(KmsMasterKeyId).toMatch(/^\$\{Key(\.Arn)?\}$/);
      expect(everything.resources[`${id}Policy`]?.Properties['Topics']).toEqual([`\${${id}}`]);
    },
  );

  test('only the notifier publishes alerts, and only CloudWatch alarms', () => {
    const publishers = (id: string) =>
      statements(everything.resources[id]?.Properties['PolicyDocument'])
        .filter(({ actions }) => actions.includes('sns:Publish'))
        .map(({ effect, principals, condition }) => ({ effect, principals, condition }));
    expect(publishers('AlertTopicPolicy')).toEqual([
      { effect: 'Allow', principals: ['${NotifyRole.Arn}'], condition: {} },
      { effect: 'Deny', principals: ['*'], condition: { ArnNotEquals: { 'aws:PrincipalArn': '${NotifyRole.Arn}' } } },
    ]);
    expect(publishers('AlarmTopicPolicy')).toEqual([
      { effect: 'Allow', principals: ['cloudwatch.amazonaws.com'], condition: { StringEquals: { 'aws:SourceAccount': '111122223333' } } },
    ]);
  });

  test('an email address is subscribed to both, and none where none is given', () => {
    expect(ofType(everything, 'AWS::SNS::Subscription').map(([, { TopicArn, Endpoint }]) => [TopicArn, Endpoint])).toEqual([
      ['${AlertTopic}', 'ops@example.com'],
      ['${AlarmTopic}', 'ops@example.com'],
    ]);
    expect(ofType(asShipped, 'AWS::SNS::Subscription')).toEqual([]);
  });
});

describe('what is kept', () => {
  test('the ledger is encrypted, can be restored, and forgets what has expired', () => {
    expect(everything.resources['Ledger']?.Properties).toMatchObject({
      SSESpecification: { SSEEnabled: true, SSEType: 'KMS', KMSMasterKeyId: '${Key}' },
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
      TimeToLiveSpecification: { AttributeName: 'expires', Enabled: true },
      BillingMode: 'PAY_PER_REQUEST',
    });
  });

  test('nobody writes to the ledger but the roles of the guard, whatever their own policies say', () => {
    const { PolicyDocument } = (everything.resources['Ledger']?.Properties['ResourcePolicy'] ?? {}) as { PolicyDocument?: Value };
    const [denial, ...others] = statements(PolicyDocument);
    expect(others).toEqual([]);
    expect(denial).toMatchObject({ effect: 'Deny', principals: ['*'] });
    expect(denial?.actions).toEqual(
      expect.arrayContaining(['dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem', 'dynamodb:BatchWriteItem']),
    );
    const globs = [denial?.condition['ArnNotLike']?.['aws:PrincipalArn']].flat().map(String);
    const writers = ofType(everything, 'AWS::IAM::Role').filter(([, role]) =>
      roleStatements(role).some(({ actions }) => actions.includes('dynamodb:PutItem')),
    );
    expect(writers.length).toBeGreaterThan(5);
    for (const [, { RoleName }] of writers) expect(globs.filter((glob) => matchesGlob(arn(String(RoleName)), glob))).toHaveLength(1);
    for (const foreign of ['Admin', 'guard', 'guard-other', 'check-roles'])
      expect(globs.filter((glob) => matchesGlob(arn(foreign), glob))).toEqual([]);
  });

  test.each(['Ledger', 'Archive', 'Key'])('%s outlives the stack: what takes changes back needs it', (id) => {
    expect(everything.resources[id]).toMatchObject({ DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' });
  });

  test('the archive is encrypted, versioned and closed', () => {
    expect(everything.resources['Archive']?.Properties).toMatchObject({
      VersioningConfiguration: { Status: 'Enabled' },
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: '${Key.Arn}' } }],
      },
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
      OwnershipControls: { Rules: [{ ObjectOwnership: 'BucketOwnerEnforced' }] },
    });
    const policy = statements(everything.resources['ArchivePolicy']?.Properties['PolicyDocument']);
    expect(policy).toMatchObject([
      { effect: 'Deny', principals: ['*'], actions: ['s3:*'], condition: { Bool: { 'aws:SecureTransport': 'false' } } },
      {
        effect: 'Deny',
        principals: ['*'],
        actions: ['s3:PutObject'],
        condition: {
          ArnNotEquals: {
            'aws:PrincipalArn': [
              '${CheckDeploymentsRole.Arn}',
              'arn:aws:iam::111122223333:role/guard-remediate-code-changed-by-hand',
              'arn:aws:iam::111122223333:role/guard-remediate-code-drifted',
            ],
          },
        },
      },
    ]);
    const putters = ofType(everything, 'AWS::IAM::Role').filter(([, role]) =>
      roleStatements(role).some(({ effect, actions }) => effect === 'Allow' && actions.includes('s3:PutObject')),
    );
    expect(putters.map(([id]) => id)).toEqual(['CheckDeploymentsRole', 'RemediateCodeChangedByHandRole', 'RemediateCodeDriftedRole']);
  });

  test('the bus is encrypted, and takes events from the guard alone', () => {
    expect(everything.resources['GuardBus']?.Properties['KmsKeyIdentifier']).toBe('${Key.Arn}');
    const [[, { Statement }] = ['', {} as Properties]] = ofType(everything, 'AWS::Events::EventBusPolicy');
    const [denial] = statements({ Statement: Statement as Value });
    expect(denial).toMatchObject({ effect: 'Deny', principals: ['*'], actions: ['events:PutEvents'], resources: ['${GuardBus.Arn}'] });
    const putters = ofType(everything, 'AWS::IAM::Role').filter(([, role]) =>
      roleStatements(role).some(({ actions }) => actions.includes('events:PutEvents')),
    );
    expect([denial?.condition['ArnNotEquals']?.['aws:PrincipalArn']].flat().sort()).toEqual(
      putters.map(([, { RoleName }]) => arn(String(RoleName))).sort(),
    );
  });

  test('the key turns every year, and lets in the services that need it, for this account', () => {
    const { EnableKeyRotation, KeyPolicy } = everything.resources['Key']?.Properties ?? {};
    expect(EnableKeyRotation).toBe(true);
    const letIn = statements(KeyPolicy);
    const services = letIn.filter(({ principals }) => principals.some((principal) => principal.endsWith('amazonaws.com')));
    // EventBridge looks at a bus's key before it uses it; that call names no account.
    const [looking, using] = [
      services.filter(({ actions }) => actions.join() === 'kms:DescribeKey'),
      services.filter(({ actions }) => actions.length > 1),
    ];
    expect(looking.flatMap(({ principals }) => principals)).toEqual(['events.amazonaws.com']);
    expect(using.flatMap(({ principals }) => principals).sort()).toEqual([
      'cloudwatch.amazonaws.com',
      'events.amazonaws.com',
      'logs.us-east-1.amazonaws.com',
      'sns.amazonaws.com',
    ]);
    for (const { condition } of using) expect(JSON.stringify(condition)).toContain(pseudo['AWS::AccountId']);
    for (const { principals, condition } of letIn.filter((statement) => !services.includes(statement))) {
      if (principals.includes('*')) expect(condition['StringEquals']?.['kms:CallerAccount']).toBe('111122223333');
      else expect(principals).toEqual(['arn:aws:iam::111122223333:root']);
    }
  });

  test('the roles that the guard makes have a boundary to carry', () => {
    expect(everything.resources['RoleBoundary']?.Type).toBe('AWS::IAM::ManagedPolicy');
    for (const { variables } of functions(everything)) expect(variables['BoundaryArn']).toBe('${RoleBoundary}');
  });

  test('whoever is no deployer can be denied to deploy, by a policy that allows nothing and spares the deployers', () => {
    const denials = (stack: Stack) => statements(stack.resources['DirectDeployDenial']?.Properties['PolicyDocument']);
    const deployers = { ArnNotEquals: { 'aws:PrincipalArn': [arn('pipeline')] } };
    expect(denials(everything)).toMatchObject([{ effect: 'Deny', resources: ['*'], condition: deployers }]);
    expect(denials(asShipped)).toMatchObject([{ effect: 'Deny', resources: ['*'], condition: {} }]);
    expect([...(denials(asShipped)[0]?.actions ?? [])].sort()).toEqual([...deploying].sort());
    for (const { variables } of functions(everything)) expect(variables['DenialArn']).toBe('${DirectDeployDenial}');
  });
});

describe('what the outside sees', () => {
  test('outputs', () => {
    const { AlertTopicArn, AlarmTopicArn, GuardBusName, LedgerTableName, OperateUrl } = template.Outputs;
    expect({ AlertTopicArn, AlarmTopicArn, GuardBusName, LedgerTableName, OperateUrl }).toMatchObject({
      AlertTopicArn: { Value: { Ref: 'AlertTopic' } },
      AlarmTopicArn: { Value: { Ref: 'AlarmTopic' } },
      GuardBusName: { Value: { Ref: 'GuardBus' } },
      LedgerTableName: { Value: { Ref: 'Ledger' } },
      OperateUrl: { Value: { 'Fn::GetAtt': ['OperateUrl', 'FunctionUrl'] } },
    });
    expect(Object.keys(template.Outputs)).toContain('DashboardUrl');
  });

  test('parameters', () => {
    const names = Object.keys(template.Parameters);
    expect(names).toEqual(
      expect.arrayContaining([
        'AlertEmail',
        'Deployers',
        'Operators',
        'NeverTouch',
        'RemediateScope',
        'SweepSchedule',
        'DigestOver',
        'LambdaCallsPerSecond',
        'ApiGatewayCallsPerSecond',
      ]),
    );
    for (const { id } of fixable) for (const suffix of ['Mode', 'Delay', 'Scope']) expect(names).toContain(`${pascalCase(id)}${suffix}`);
  });
});
