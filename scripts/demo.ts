/**
 * The guard at work, on real input: an emulated account with IAM enforced, a real `sam deploy`, real API calls.
 * Ends with a table, and with exit code 1 if any step did not happen.
 *   --log FILE   what the emulator and the functions in it print
 */
import { parseArgs } from 'node:util';
import { DynamoDBClient, QueryCommand } from '@aws-sdk/client-dynamodb';
import { ListFunctionsCommand } from '@aws-sdk/client-lambda';
import { startEmulator } from '../test/emulator/start.ts';
import { environmentOf, eventually, Inbox, rootUser, run, samBuild, samDeploy } from '../test/support/stack.ts';
import { bareMedian } from './demo/bare-way.ts';
import { buildEstate, type Estate } from './demo/estate.ts';
import { Report } from './demo/report.ts';
import { type Scene, scenes } from './demo/scenes.ts';
import { median } from './median.ts';

const { values } = parseArgs({ options: { log: { type: 'string', default: '' } } });
const report = new Report();
const emulator = await report.step('an account of AWS, emulated, IAM enforced', () => startEmulator(values));

try {
  const estate = await report.step('administrator, pipeline and operator roles, six functions and a VPC', () =>
    buildEstate(rootUser(emulator)),
  );
  await act(estate);
} catch (error) {
  report.failed(error);
}
await emulator.stop().catch(() => undefined);
process.exit(report.print() ? 0 : 1);

async function act(estate: Estate): Promise<void> {
  const { administrator } = estate;
  // The emulator has no quota that the guard would have to leave to others.
  const calls = { LambdaCallsPerSecond: '1000' };
  // Each alert by itself, however many come within a minute.
  const alerts = { DigestOver: '1000' };
  const parameters = {
    Deployers: estate.pipelineRole,
    RoleSharedSplitRoles: estate.sharedRole,
    RoleSharedSettle: '2',
    ...calls,
    ...alerts,
  };
  await report.step('sam build', () => samBuild(estate.pipeline));
  const outputs = await report.step('sam deploy, every rule in alert', () => samDeploy(estate.pipeline, parameters));
  const inbox = await Inbox.subscribe(administrator, outputs['AlertTopicArn'] ?? '', 'demo-alerts');
  try {
    await play(estate, inbox, outputs, parameters);
  } finally {
    await inbox.close();
  }
}

async function play(
  estate: Estate,
  inbox: Inbox,
  { ArchiveBucketName: archive = '', LedgerTableName: table = '' }: Readonly<Record<string, string>>,
  parameters: Readonly<Record<string, string>>,
): Promise<void> {
  await report.step('the pipeline deploys: its packages become the approved ones', () => estate.deployAll(archive));
  await report.step('the first sweep, a minute after the deployment, has seen every function', () => swept(estate, table));
  // Nothing else goes on now.
  await latency(estate, inbox);

  report.heading('Five wrong things, one a practice: the guard alerts');
  for (const scene of scenes) await report.row(scene.rule, 'alert', () => alerted(scene, estate, inbox));
  for (const scene of scenes) await putRightByHand(scene, estate, inbox);

  report.heading('The same again, with the five rules in remediate and no delay');
  const remediate = Object.fromEntries(
    scenes.flatMap(({ parameter }) => [
      [`${parameter}Mode`, 'remediate'],
      [`${parameter}Delay`, '0'],
    ]),
  );
  await report.step('sam deploy, five rules in remediate', () => samDeploy(estate.pipeline, { ...parameters, ...remediate }));
  await calm(inbox);
  const changes = new Map<string, string>();
  // The role is split first and proven last: its new role settles while the others are put right.
  const begun = [];
  for (const scene of scenes) begun.push({ scene, state: await report.row(scene.rule, 'violate', () => violated(scene, estate, inbox)) });
  for (const { scene, state } of [...begun.slice(1), ...begun.slice(0, 1)]) {
    await report.row(scene.rule, 'remediated', async () => {
      const { alert } = await inbox.waitFor(
        `${scene.rule} remediated`,
        ({ rule, status, resource }) => rule === scene.rule && status === 'remediated' && resource.arn.includes(scene.resource),
        { since: state.since, seconds: 150 },
      );
      changes.set(scene.rule, alert.change?.id ?? '');
      return `${alert.change?.calls.join(', ')}; ${await scene.prove(estate)}`;
    });
  }

  report.heading('What must raise nothing, and what can be taken back');
  await report.row('code-changed-by-hand', 'pipeline', () => pipelineRaisesNothing(estate, inbox, archive));
  for (const scene of scenes.filter(({ undone }) => undone !== undefined)) {
    await report.row(scene.rule, 'undo', async () => {
      const id = changes.get(scene.rule) ?? '';
      const { code, output } = await run(
        'npm',
        ['run', '--silent', 'guard', '--', 'undo', id, '--for', '7d', '--reason', 'the demo takes it back'],
        environmentOf(estate.operator),
      );
      if (code !== 0) throw new Error(`npm run guard -- undo ${id} ended with ${code}: ${output}`);
      return `npm run guard -- undo ${id}: ${await eventually('the state is what it was', () => scene.undone?.(estate) ?? Promise.resolve(undefined))}`;
    });
  }
}

/** The indexes of roles and of security groups are complete: from now on an event is judged against the whole estate. */
async function swept({ administrator, lambda, securityGroup }: Estate, TableName: string): Promise<void> {
  const client = new DynamoDBClient(administrator);
  const { Functions = [] } = await lambda.send(new ListFunctionsCommand({}));
  const items = async (pk: string) => {
    const values = { ':pk': { S: pk } };
    const { Count = 0 } = await client.send(
      new QueryCommand({ TableName, Select: 'COUNT', KeyConditionExpression: 'pk = :pk', ExpressionAttributeValues: values }),
    );
    return Count;
  };
  await eventually(
    'the first sweep',
    async () => (await items('ROLES')) >= Functions.length && (await items(`IN#${securityGroup}`)) > 0,
    180,
  );
}

async function alerted(scene: Scene, estate: Estate, inbox: Inbox): Promise<string> {
  const since = inbox.received.length;
  const started = Date.now();
  await scene.violate(estate);
  const { alert, at } = await inbox.waitFor(
    `${scene.rule} open`,
    ({ rule, status, resource }) => rule === scene.rule && status === 'open' && resource.arn.includes(scene.resource),
    { since },
  );
  return `${((at - started) / 1000).toFixed(2)} s  ${alert.summary}`;
}

async function violated(scene: Scene, estate: Estate, inbox: Inbox): Promise<{ since: number; toString(): string }> {
  const before = await scene.before?.(estate);
  const since = inbox.received.length;
  await scene.violate(estate);
  const exposed = await scene.exposed?.(estate);
  return { since, toString: () => [before, scene.what, exposed].filter((text) => text !== undefined).join('; ') };
}

async function putRightByHand(scene: Scene, estate: Estate, inbox: Inbox): Promise<void> {
  const since = inbox.received.length;
  await scene.putRight(estate);
  await report.row(scene.rule, 'by hand', async () => {
    await inbox.waitFor(
      `${scene.rule} resolved`,
      ({ rule, status, resource }) => rule === scene.rule && status === 'resolved' && resource.arn.includes(scene.resource),
      { since },
    );
    return 'put right by the administrator: the finding ended by itself';
  });
}

async function latency(estate: Estate, inbox: Inbox): Promise<void> {
  await report.row('function-url-open', 'latency', async () => {
    const rule = 'function-url-open';
    const times: number[] = [];
    // The first two rounds start the functions and do not count.
    for (let round = 0; round < 6; round += 1) {
      for (const [change, status] of [
        [estate.openUrl, 'open'],
        [estate.closeUrl, 'resolved'],
      ] as const) {
        const since = inbox.received.length;
        const started = Date.now();
        await change();
        const { at } = await inbox.waitFor(`the URL is ${status}`, (alert) => alert.rule === rule && alert.status === status, { since });
        if (round > 1) times.push(at - started);
      }
    }
    const guard = median(times);
    const bare = await bareMedian(estate.administrator);
    if (guard > 10 * bare)
      throw new Error(`From call to alert took ${guard} ms, more than ten times the emulator's own bare way (${bare} ms).`);
    return `median from API call to alert ${guard} ms; the emulator's bare way (EventBridge, queue, function, SNS, queue) ${bare} ms: ${(guard / bare).toFixed(1)} times`;
  });
}

/** More than twenty alerts within a minute would come as one digest: what comes next wants room for a dozen. */
async function calm({ received }: Inbox): Promise<void> {
  const minute = 60_000;
  const sameMinute = received.filter(({ at }) => Math.floor(at / minute) === Math.floor(Date.now() / minute));
  if (sameMinute.length > 8) await new Promise((resolve) => setTimeout(resolve, minute - (Date.now() % minute) + 500));
}

async function pipelineRaisesNothing(estate: Estate, inbox: Inbox, archive: string): Promise<string> {
  const since = inbox.received.length;
  await estate.deployAgain(archive);
  // The new package lies in the archive: the checker has judged the deployment. An alert would be here within a second.
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  const raised = inbox.received.slice(since).filter(({ alert }) => alert.rule === 'code-changed-by-hand');
  if (raised.length > 0) throw new Error(`The pipeline's deployment raised ${raised.map(({ alert }) => alert.summary).join('; ')}`);
  return 'the pipeline deployed version 3: archived as approved, no alert';
}
