import { type AnyRule, pascalCase } from '../../guard/rule.ts';
import { rules } from '../../rules/index.ts';
import { deploy, functions, ofType, type Properties, roleStatements, type Statement, statements, template } from './template.ts';

// What the template itself refuses, whoever asks: docs/threat-model.md names these tests.

const all: readonly AnyRule[] = rules;
const fixable = all.filter(({ fix }) => fix.length > 0);
const account = '111122223333';
const role = (name: string) => `arn:aws:iam::${account}:role/${name}`;
const remediate = Object.fromEntries(fixable.map(({ id }) => [`${pascalCase(id)}Mode`, 'remediate']));
const never = [`arn:aws:lambda:*:${account}:function:pay-*`, 'arn:aws:ec2:us-east-1:111122223333:security-group/sg-1'];
const given = { Deployers: role('pipeline'), RoleSharedSplitRoles: role('shared-*'), NeverTouch: never.join(',') };
const closed = deploy({ ...remediate, ...given });
const stack = deploy({ ...remediate, ...given, Operators: `${role('ops/operator')},arn:aws:iam::${account}:user/olga` });

const queues = ofType(stack, 'AWS::SQS::Queue').map(([id]) => id);
const work = queues.filter((id) => !id.endsWith('DeadLetters'));
const roles = ofType(stack, 'AWS::IAM::Role');
const remediators = fixable.map(({ id }) => `Remediate${pascalCase(id)}`);
const roleOf = (id: string): Properties => stack.resources[`${id}Role`]?.Properties ?? {};
const kebab = (id: string) => id.replace(/(?!^)([A-Z])/g, '-$1').toLowerCase();

function policyOf(queue: string, of = stack): readonly Statement[] {
  const found = ofType(of, 'AWS::SQS::QueuePolicy').find(([, { Queues }]) => String(Queues) === `\${${queue}}`);
  return statements(found?.[1]['PolicyDocument']);
}

/** The function behind a queue, or behind what it could not handle. */
function functionOf(queue: string): string {
  return queue.replace(/(Events|Sweeps|Findings|Alerts|DeadLetters)$/, '');
}

/** Whom a queue's policy leaves out of a refusal. */
function except(queue: string, sid: string, of = stack): readonly string[] {
  const found = policyOf(queue, of).filter((statement) => statement.sid === sid);
  expect(found).toHaveLength(1);
  const [{ effect, principals, resources, condition }] = found as [Statement];
  expect({ effect, principals, resources }).toEqual({ effect: 'Deny', principals: ['*'], resources: [`\${${queue}.Arn}`] });
  expect(Object.keys(condition).sort()).toEqual(['ArnNotLike', 'Bool']);
  expect(condition['Bool']).toEqual({ 'aws:PrincipalIsAWSService': 'false' });
  return [condition['ArnNotLike']?.['aws:PrincipalArn']].flat().map(String);
}

describe('queues', () => {
  test.each(work)('nobody takes messages out of %s, or empties it, but its function', (queue) => {
    expect(except(queue, 'NobodyElseReads')).toEqual([role(`guard-${kebab(functionOf(queue))}`)]);
    const [denial] = policyOf(queue).filter(({ sid }) => sid === 'NobodyElseReads');
    expect(denial?.actions).toEqual(['sqs:ChangeMessageVisibility', 'sqs:DeleteMessage', 'sqs:PurgeQueue', 'sqs:ReceiveMessage']);
    const reader = ofType(stack, 'AWS::Lambda::EventSourceMapping').find(([, { EventSourceArn }]) => EventSourceArn === `\${${queue}.Arn}`);
    expect(roleOf(String(reader?.[1]['FunctionName']).slice(2, -1))['RoleName']).toBe(`guard-${kebab(functionOf(queue))}`);
  });

  // A checker puts back what waits for a quota, and nothing else of the guard waits so.
  const own = (queue: string) => (/^Check/.test(queue) ? [role(`guard-${kebab(functionOf(queue))}`)] : []);

  test.each(work.filter((queue) => queue.endsWith('Sweeps')))('only the sweep puts messages into %s, and its function back', (queue) => {
    expect(except(queue, 'NobodyElse')).toEqual([role('guard-sweep'), ...own(queue)]);
  });

  test.each(work.filter((queue) => !queue.endsWith('Sweeps')))('only operators move messages back into %s, and its function', (queue) => {
    expect(except(queue, 'NobodyElse')).toEqual([role('ops/operator'), `arn:aws:iam::${account}:user/olga`, ...own(queue)]);
  });

  test.each(work.filter((queue) => !queue.endsWith('Sweeps')))('without operators nobody else moves messages back into %s', (queue) => {
    // Where no function does, this role is not allowed to either: somebody has to stand there.
    expect(except(queue, 'NobodyElse', closed)).toEqual(own(queue).length > 0 ? own(queue) : [role('guard-sweep')]);
    const sends = roleStatements(roleOf('Sweep')).filter(({ actions }) => actions.includes('sqs:SendMessage'));
    expect(sends.flatMap(({ resources }) => resources)).not.toContain(`\${${queue}.Arn}`);
  });

  test.each(queues.filter((queue) => queue.endsWith('DeadLetters')))(
    'only its function leaves messages in %s, as EventBridge does',
    (queue) => {
      expect(except(queue, 'NobodyElse')).toEqual([role(`guard-${kebab(functionOf(queue))}`)]);
    },
  );

  test.each(functions(stack).map((lambda) => [lambda.id, lambda.variables] as const))('%s knows its own queues', (id, { Queues }) => {
    const read = ofType(stack, 'AWS::Lambda::EventSourceMapping').flatMap(([, { FunctionName, EventSourceArn }]) =>
      FunctionName === `\${${id}}` ? [String(EventSourceArn).replace('.Arn', '')] : [],
    );
    expect(
      String(Queues ?? '')
        .split(',')
        .filter(Boolean)
        .sort(),
    ).toEqual(read.sort());
  });
});

describe('roles', () => {
  test('no role of the stack may do anything to IAM that is not named here', () => {
    const found = roles.flatMap(([id, properties]) =>
      roleStatements(properties).flatMap(({ effect, actions }) =>
        effect === 'Allow' ? actions.filter((action) => /^iam:(?!Get|List|Simulate)/.test(action)).map((action) => `${id} ${action}`) : [],
      ),
    );
    const named: Readonly<Record<string, readonly string[]>> = {
      RemediateDirectDeployPermissionRole: ['iam:AttachRolePolicy', 'iam:AttachUserPolicy'],
      RemediateRoleSharedRole: [
        'iam:AttachRolePolicy',
        'iam:CreateRole',
        'iam:DeleteRole',
        'iam:DeleteRolePolicy',
        'iam:DetachRolePolicy',
        'iam:PassRole',
        'iam:PutRolePolicy',
        'iam:TagRole',
      ],
      RemediateRoleTooBroadRole: ['iam:DeleteRolePolicy', 'iam:DetachRolePolicy', 'iam:SetDefaultPolicyVersion'],
      RemediateRoleTrustOpenRole: ['iam:UpdateAssumeRolePolicy'],
    };
    expect([...new Set(found)].sort()).toEqual(
      Object.entries(named).flatMap(([id, actions]) => actions.map((action) => `${id} ${action}`)),
    );
  });

  test('none takes a boundary off, writes a policy, or assumes another role', () => {
    const actions = roles.flatMap(([, properties]) => roleStatements(properties).flatMap((statement) => statement.actions));
    expect(actions.filter((action) => /:AssumeRole|PermissionsBoundary|CreatePolicy|\*/.test(action))).toEqual([]);
  });

  test('a role is passed to Lambda alone, and only one that the guard made or that is listed', () => {
    const passes = roles.flatMap(([id, properties]) =>
      roleStatements(properties).flatMap(({ actions, resources, condition }) =>
        actions.includes('iam:PassRole') ? resources.map((resource) => ({ id, resource, condition })) : [],
      ),
    );
    const condition = { StringEquals: { 'iam:PassedToService': 'lambda.amazonaws.com' } };
    expect(passes).toEqual(
      expect.arrayContaining(
        [role('compliance-guard/*'), role('shared-*')].map((resource) => ({ id: 'RemediateRoleSharedRole', resource, condition })),
      ),
    );
    expect(passes).toHaveLength(2);
  });

  test('a configuration is changed without layers, unless a rule is there to put them back', () => {
    const writers = roles.flatMap(([id, properties]) =>
      roleStatements(properties).flatMap(({ effect, actions, condition }) =>
        effect === 'Allow' && actions.some((action) => /^lambda:(Create|Update)Function(Configuration)?$/.test(action))
          ? [{ id, condition }]
          : [],
      ),
    );
    expect(writers.length).toBeGreaterThan(0);
    for (const { condition } of writers.filter(({ id }) => !['RemediateLayerForeignRole', 'RemediateCodeChangedByHandRole'].includes(id)))
      expect(condition).toEqual({ Null: { 'lambda:Layer': 'true' } });
    const layers = roles.flatMap(([, properties]) => roleStatements(properties).flatMap(({ actions }) => actions));
    expect(layers.filter((action) => action.includes('LayerVersion') && !reads.test(action))).toEqual([]);
  });

  const reads = /:(GET$|Get|List|Describe|Simulate|Query|Receive|Decrypt|Encrypt|GenerateDataKey|PassRole)/;
  const plumbing = /^(dynamodb|logs|sqs):|^events:PutEvents$/;

  test.each(remediators)('%s is denied every write to what NeverTouch names', (id) => {
    const own = roleStatements(roleOf(id));
    const written = own.flatMap(({ effect, actions }) =>
      effect === 'Allow' ? actions.filter((action) => !reads.test(action) && !plumbing.test(action)) : [],
    );
    const denials = own.filter(({ effect, resources }) => effect === 'Deny' && resources.includes(never[0] ?? ''));
    expect(denials).toHaveLength(1);
    expect(denials[0]?.actions).toEqual([...new Set(written)].sort());
    expect(denials[0]?.resources).toEqual([...never, ...never.map((arn) => `${arn}:*`)]);
    expect(denials[0]?.condition).toEqual({});
  });

  test.each(remediators)('%s has no such statement where nothing is named', (id) => {
    const { resources } = deploy(remediate);
    const denials = roleStatements(resources[`${id}Role`]?.Properties ?? {}).filter(({ effect }) => effect === 'Deny');
    const itself = ['arn:aws:lambda:*:*:function:guard-*', 'arn:aws:iam::*:role/guard-*', 'arn:aws:iam::*:policy/guard-*'];
    const ofAws = ['arn:aws:iam::*:role/aws-service-role/*', 'arn:aws:iam::*:role/aws-reserved/*'];
    expect(denials.flatMap((denial) => denial.resources).filter((resource) => ![...itself, ...ofAws].includes(resource))).toEqual([]);
  });

  test.each(remediators)('%s has room for the longest list of NeverTouch', (id) => {
    const { MaxLength } = template.Parameters['NeverTouch'] as { readonly MaxLength?: number };
    const arn = 'arn:aws:lambda:*:*:function:x';
    const longest = Array.from({ length: Math.floor((MaxLength ?? 4_096) / (arn.length + 1)) }, () => arn).join(',');
    const { resources } = deploy({ ...remediate, ...given, NeverTouch: longest, 'AWS::StackName': 'g'.repeat(26) });
    // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    expect(JSON.stringify(resources[`${id}Role`]?.Properties['Policies']).length).toBeLessThanOrEqual(10_240);
  });

  test.each([
    ['pay-*', false],
    ['*', false],
    ['arn:aws:lambda:*:*:function:a, arn:aws:lambda:*:*:function:b', false],
    ['arn:aws:lambda', false],
    ['arn:aws:lambda:*:*:function:a,arn:aws:ec2:us-east-1:111122223333:security-group/sg-?', true],
    ['', true],
  ])('NeverTouch takes what a policy can name: "%s"', (value, taken) => {
    expect(new RegExp(`^(?:${template.Parameters['NeverTouch']?.AllowedPattern})$`).test(value)).toBe(taken);
  });
});

describe('what comes in', () => {
  test('every rule of the default bus listens to AWS itself', () => {
    for (const [, { EventPattern, EventBusName }] of ofType(stack, 'AWS::Events::Rule')) {
      if (EventPattern === undefined || EventBusName !== undefined) continue;
      const { source } = EventPattern as { readonly source: readonly string[] };
      // AWS lets nobody else put events with such a source: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
      for (const one of source) expect(one).toMatch(/^aws\.[a-z0-9]+$/);
    }
  });

  test('everything on the bus of the guard was put there by its own functions', () => {
    const policies = ofType(stack, 'AWS::Events::EventBusPolicy').map(([, { Statement }]) => Statement as Properties);
    expect(policies).toMatchObject([{ Effect: 'Deny', Principal: '*', Action: 'events:PutEvents' }]);
    const writers = roles.flatMap(([id, properties]) =>
      roleStatements(properties).some(({ actions }) => actions.includes('events:PutEvents'))
        ? [role(`guard-${kebab(id.replace(/Role$/, ''))}`)]
        : [],
    );
    const { ArnNotEquals } = (policies[0]?.['Condition'] ?? {}) as { readonly ArnNotEquals?: Readonly<Record<string, readonly string[]>> };
    expect([...(ArnNotEquals?.['aws:PrincipalArn'] ?? [])].sort()).toEqual(writers.sort());
  });
});
