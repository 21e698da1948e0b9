import { eventually } from '../../support/stack.ts';
import type { Fault } from '../bench.ts';
import { Boto } from '../boto.ts';
import { createFunction } from '../functions.ts';
import { alerted, alertsAbout, functionRole, held, mark, quiet, stack, stage, undo } from '../stage.ts';

// One of each kind of fault that test/faults tries at every call. Each has a function of its own, whose URL anybody may call:
// closing it takes UpdateFunctionUrlConfig, then RemovePermission twice.

const rule = 'function-url-open';
const remediator = `${stack}-remediate-${rule}`;
/** The SDK makes a call so many times. */
const times = 4;
/** Whoever begins to send an alert has so many milliseconds before another worker may. */
const sending = 60_000;

const close = { service: 'lambda', operation: 'UpdateFunctionUrlConfig', function: remediator } as const;
const remove = { service: 'lambda', operation: 'RemovePermission', function: remediator } as const;

/** What may pass, and how many calls the remediator makes of the one that suffers it, if nothing else makes the same. */
const passing: Readonly<Record<string, Omit<Fault, 'resource'> & { readonly calls?: number }>> = {
  'faults-throttling': { ...close, kind: 'throttling', times, calls: times + 1 },
  'faults-5xx': { ...close, kind: 'unavailable', times, calls: times + 1 },
  'faults-conflict': { ...remove, kind: 'conflict', calls: 3 },
  // Made, made again by the SDK, and the other statement.
  'faults-lost': { ...remove, kind: 'reset', after: true, calls: 3 },
  'faults-ledger': { service: 'dynamodb', operation: 'PutItem', function: remediator, kind: 'unavailable', times },
};

const functionOf = (name: string) => `function:${name}`;

async function suffers(name: string, fault: Omit<Fault, 'resource'>): Promise<void> {
  await stage.bench.fault({ ...fault, resource: functionOf(name) });
}

/** How many calls matched the fault of this function, and how many suffered it. */
async function counted(name: string): Promise<{ readonly seen: number; readonly used: number }> {
  const fault = (await stage.bench.faults()).find(({ resource }) => resource === functionOf(name));
  return { seen: fault?.seen ?? 0, used: fault?.used ?? 0 };
}

/** Anybody may call its URL. The checker hears of it when all of that is done. */
async function open(FunctionName: string) {
  const everyone = { FunctionName, Principal: '*' };
  const url = { StatementId: 'everyone-url', Action: 'lambda:InvokeFunctionUrl', FunctionUrlAuthType: 'NONE' };
  const invoke = { StatementId: 'everyone-function', Action: 'lambda:InvokeFunction', InvokedViaFunctionUrl: true };
  return await held('apis', async () => {
    await stage.boto.call('lambda', 'add_permission', { ...everyone, ...url });
    await stage.boto.call('lambda', 'add_permission', { ...everyone, ...invoke });
    await stage.boto.call('lambda', 'create_function_url_config', { FunctionName, AuthType: 'NONE' });
    return await state(FunctionName);
  });
}

/** URL and policy. */
async function state(FunctionName: string) {
  const { AuthType } = await stage.boto.call('lambda', 'get_function_url_config', { FunctionName });
  const { Policy } = await stage.boto.call('lambda', 'get_policy', { FunctionName }).catch((error: Error) => {
    if (error.name !== 'ResourceNotFoundException') throw error;
    return { Policy: '{"Statement":[]}' };
  });
  return { authType: AuthType, statements: JSON.parse(Policy).Statement };
}

const closed = { authType: 'AWS_IAM', statements: [] };

/** What the journal says of a function's changes, as `status done`. */
async function changesOf(name: string): Promise<readonly string[]> {
  const changes = await stage.botoRoot.call('dynamodb', 'query', {
    TableName: stage.outputs['LedgerTableName'],
    IndexName: 'kind',
    KeyConditionExpression: 'kind = :kind',
    ExpressionAttributeValues: { ':kind': { S: 'change' } },
    ScanIndexForward: false,
  });
  return changes.Items.flatMap(({ resource, status, done }: Readonly<Record<string, { readonly S: string; readonly N: string }>>) =>
    resource?.S.endsWith(functionOf(name)) ? [`${status?.S} ${done?.N}`] : [],
  );
}

/** It is put right, and everything says so once: the function, the journal, and the alerts, which may come in any order. */
async function isFixedOnce(name: string, since: number): Promise<void> {
  expect({ name, ...(await state(name)) }).toEqual({ name, ...closed });
  expect(await changesOf(name)).toEqual(['done 3']);
  expect(alertsAbout(functionOf(name), since).toSorted()).toEqual([`${rule} open`, `${rule} remediated`]);
}

async function queueOf(LogicalResourceId: string) {
  const { StackResourceDetail } = await stage.botoRoot.call('cloudformation', 'describe_stack_resource', {
    StackName: stack,
    LogicalResourceId,
  });
  const QueueUrl = StackResourceDetail.PhysicalResourceId;
  const { Attributes } = await stage.botoRoot.call('sqs', 'get_queue_attributes', { QueueUrl, AttributeNames: ['All'] });
  const messages = Number(Attributes.ApproximateNumberOfMessages) + Number(Attributes.ApproximateNumberOfMessagesNotVisible);
  return { arn: Attributes.QueueArn, messages };
}

/** Whatever a queue has given out comes again now, and not minutes later. */
async function redelivered(logicalId: string): Promise<void> {
  const { arn } = await queueOf(logicalId);
  await stage.bench.redeliver(arn.split(':').at(-1));
}

/** Security groups that the internet may enter, as soon as a function uses them. */
async function openGroups(names: readonly string[]) {
  const { VpcId } = (await stage.boto.call('ec2', 'create_vpc', { CidrBlock: '10.3.0.0/16' })).Vpc;
  const { SubnetId } = (await stage.boto.call('ec2', 'create_subnet', { VpcId, CidrBlock: '10.3.1.0/24' })).Subnet;
  const SecurityGroupIds: string[] = [];
  for (const GroupName of names) {
    const { GroupId } = await stage.boto.call('ec2', 'create_security_group', { VpcId, GroupName, Description: GroupName });
    const IpPermissions = [{ IpProtocol: 'tcp', FromPort: 22, ToPort: 22, IpRanges: [{ CidrIp: '0.0.0.0/0' }] }];
    await stage.boto.call('ec2', 'authorize_security_group_ingress', { GroupId, IpPermissions });
    // Nothing of it breaks another rule, which would have an alert of its own.
    const everything = [{ IpProtocol: '-1', IpRanges: [{ CidrIp: '0.0.0.0/0' }] }];
    await stage.boto.call('ec2', 'revoke_security_group_egress', { GroupId, IpPermissions: everything });
    SecurityGroupIds.push(GroupId);
  }
  return { SubnetIds: [SubnetId], SecurityGroupIds };
}

async function ingress(GroupId: string) {
  return (await stage.boto.call('ec2', 'describe_security_groups', { GroupIds: [GroupId] })).SecurityGroups[0].IpPermissions;
}

export function faults(): void {
  describe('calls that fail', () => {
    const others = ['faults-topic', 'faults-denied', 'faults-killed', 'faults-poison'];
    let since = 0;
    let freeAt = 0;
    let groups: readonly string[] = [];
    let openedUp: Awaited<ReturnType<typeof state>>;

    beforeAll(async () => {
      await Promise.all([...Object.keys(passing), ...others].map(async (name) => await createFunction(name, await functionRole(name))));
      const Role = await functionRole('faults-bus', { attached: ['AWSLambdaVPCAccessExecutionRole'] });
      const VpcConfig = await openGroups(['faults-bus-1', 'faults-bus-2']);
      groups = VpcConfig.SecurityGroupIds;
      await quiet();
      since = mark();
      // What fails comes again after 15 seconds: all of them wait for it at the same time.
      await suffers('faults-topic', { service: 'sns', operation: 'Publish', function: `${stack}-notify`, kind: 'unavailable', times });
      await open('faults-topic');
      const refused = { service: 'events', operation: 'PutEvents', function: `${stack}-check-vpc`, kind: 'partial', entries: [1] } as const;
      await suffers('faults-bus', refused);
      await createFunction('faults-bus', Role, { VpcConfig });
      for (const [name, { calls: _calls, ...fault }] of Object.entries(passing)) {
        await suffers(name, fault);
        await open(name);
      }
      await suffers('faults-denied', { ...remove, kind: 'denied' });
      openedUp = await open('faults-denied');
      await eventually('the topic is down', async () => (await counted('faults-topic')).used === times);
      freeAt = Date.now() + sending;
    });
    afterAll(async () => await stage.bench.noFaults());

    it.each(Object.entries(passing))('and may pass are made again, and the fix is made, and told once: %s', async (name, fault) => {
      await alerted({ rule, status: 'remediated', resource: functionOf(name) }, since);
      const { seen, used } = await counted(name);
      expect({ name, used, seen }).toEqual({ name, used: fault.times ?? 1, seen: fault.calls ?? expect.any(Number) });
      await isFixedOnce(name, since);
    });

    it('where the bus takes one alert of two are made again: each group is put right, and told once', async () => {
      const told = async (status: 'open' | 'remediated') => {
        for (const resource of groups) await alerted({ rule: 'security-group-open-ingress', status, resource }, since);
        return stage.inbox.received.slice(since).filter(({ alert }) => alert.status === status && alert.resource.arn.includes('/sg-'));
      };
      const [first, second] = await told('open');
      // The other one comes when the message does.
      expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThan(10_000);
      await told('remediated');
      await quiet();
      expect(await counted('faults-bus')).toMatchObject({ used: 1 });
      for (const group of groups) {
        expect(alertsAbout(group, since)).toEqual(['open', 'remediated'].map((status) => `security-group-open-ingress ${status}`));
        expect(await ingress(group)).toEqual([]);
      }
    });

    it('where IAM denies them end the fix, and the alert says so: the undo that it names restores the function exactly', async () => {
      const name = 'faults-denied';
      const failed = await alerted({ rule, status: 'failed', resource: functionOf(name) }, since);
      expect(failed.summary).toContain('lambda:RemovePermission failed with AccessDeniedException; the steps before it are in place');
      expect(await counted(name)).toEqual({ seen: 1, used: 1 });
      expect(await state(name)).toEqual({ ...openedUp, authType: 'AWS_IAM' });
      expect(await changesOf(name)).toEqual(['failed 1']);
      await undo(failed);
      expect(await state(name)).toEqual(openedUp);
      expect(openedUp).toMatchObject({ authType: 'NONE', statements: [{ Sid: 'everyone-url' }, { Sid: 'everyone-function' }] });
      await alerted({ rule, status: 'exempt', resource: functionOf(name) }, since);
      await quiet();
      expect(await changesOf(name)).toEqual(['undone 1']);
      expect(alertsAbout(functionOf(name), since).toSorted()).toEqual(['exempt', 'failed', 'open'].map((status) => `${rule} ${status}`));
    });

    it('where their function is killed leave half a fix, and whoever gets the message next makes the rest', async () => {
      const name = 'faults-killed';
      await suffers(name, { ...close, kind: 'kill' });
      const before = await open(name);
      await eventually('it is killed', async () => (await counted(name)).used === 1);
      await quiet();
      expect(await state(name)).toEqual({ ...before, authType: 'AWS_IAM' });
      expect(await changesOf(name)).toEqual(['running 0']);
      expect(alertsAbout(functionOf(name), since)).toEqual([`${rule} open`]);
      await redelivered('RemediateFunctionUrlOpenFindings');
      await alerted({ rule, status: 'remediated', resource: functionOf(name) }, since);
      expect(await counted(name)).toEqual({ seen: 2, used: 1 });
      await isFixedOnce(name, since);
    });

    it('eight times leave the message among the dead letters, and it is handled when an operator moves it back', async () => {
      const name = 'faults-poison';
      const { messages: before } = await queueOf('CheckApisDeadLetters');
      const ledger = { service: 'dynamodb', operation: 'UpdateItem', function: `${stack}-check-apis` };
      await suffers(name, { ...ledger, kind: 'denied', times: 100 });
      await stage.boto.call('lambda', 'create_function_url_config', { FunctionName: name, AuthType: 'NONE' });
      const dead = await eventually('SQS gives up', async () => {
        await redelivered('CheckApisEvents');
        await new Promise((resolve) => setTimeout(resolve, 500));
        const queue = await queueOf('CheckApisDeadLetters');
        return queue.messages > before && queue;
      });
      expect(dead.messages).toBe(before + 1);
      // One that comes while another is still under way is left to that.
      const { seen, used } = await counted(name);
      expect({ used, eight: [7, 8].includes(seen) }).toEqual({ used: seen, eight: true });
      expect(alertsAbout(functionOf(name), since)).toEqual([]);
      // By now its cause is gone.
      await stage.bench.noFaults(functionOf(name));
      const operator = new Boto(stage.operator);
      await operator.call('sqs', 'start_message_move_task', { SourceArn: dead.arn }).finally(() => operator.end());
      await alerted({ rule, status: 'remediated', resource: functionOf(name) }, since);
      await quiet();
      expect((await queueOf('CheckApisDeadLetters')).messages).toBe(0);
      expect(await state(name)).toEqual(closed);
      expect(alertsAbout(functionOf(name), since).toSorted()).toEqual([`${rule} open`, `${rule} remediated`]);
    });

    it('where the topic is down hold an alert back: it is told once, later than that it was put right', async () => {
      const name = 'faults-topic';
      await alerted({ rule, status: 'remediated', resource: functionOf(name) }, since);
      await eventually('another worker may send it', async () => Date.now() > freeAt);
      await redelivered('NotifyAlerts');
      await alerted({ rule, status: 'open', resource: functionOf(name) }, since);
      await quiet();
      expect(await counted(name)).toMatchObject({ used: times });
      await isFixedOnce(name, since);
      expect(alertsAbout(functionOf(name), since)).toEqual([`${rule} remediated`, `${rule} open`]);
    });
  });
}
