import { UpdateFunctionCodeCommand } from '@aws-sdk/client-lambda';
import { bytes } from '../boto.ts';
import { answerOf, configuration, createFunction, packageOf, settled } from '../functions.ts';
import { alerted, alertsAbout, functionRole, held, mark, quiet, stage, undo } from '../stage.ts';

const rule = 'code-changed-by-hand';

async function upload(
  FunctionName: string,
  text: string,
  { as = stage.boto, console = false, ...more }: { as?: typeof stage.boto; console?: boolean; [more: string]: unknown } = {},
) {
  const answer = await as.call('lambda', 'update_function_code', { FunctionName, ZipFile: bytes(packageOf(text)), ...more }, { console });
  await settled(FunctionName);
  return answer;
}

async function archived(name: string): Promise<readonly string[]> {
  const { Contents = [] } = await stage.boto.call('s3', 'list_objects_v2', { Bucket: stage.outputs['ArchiveBucketName'], Prefix: name });
  return Contents.map(({ Key }: { Key: string }) => Key);
}

export function codeChangedByHand(): void {
  describe('code-changed-by-hand', () => {
    it('archives what the pipeline deploys, and says nothing', async () => {
      const since = mark();
      await createFunction('checkout', await functionRole('checkout'));
      await quiet();
      await upload('checkout', 'checkout 2', { as: stage.botoPipeline });
      await quiet();
      expect(await archived('checkout/')).toHaveLength(2);
      expect(alertsAbout('function:checkout', since)).toEqual([]);
    });

    it('puts the approved code back where an administrator uploads another, and undo brings the other back', async () => {
      const approved = (await configuration('checkout')).CodeSha256;
      const since = mark();
      const foreign = await held('deployments', async () => {
        await upload('checkout', 'a laptop was here');
        return await configuration('checkout');
      });
      const opened = await alerted({ rule, status: 'open', resource: 'function:checkout' }, since);
      expect(opened).toMatchObject({ severity: 'critical', evidence: { sha256: foreign.CodeSha256, approved } });
      const fixed = await alerted({ rule, status: 'remediated', resource: 'function:checkout' }, since);
      await settled('checkout');
      expect((await configuration('checkout')).CodeSha256).toBe(approved);
      expect(await answerOf('checkout')).toBe('checkout 2');
      expect(await archived('evidence/checkout/')).toHaveLength(1);

      await quiet();
      const afterwards = mark();
      await undo(fixed);
      await settled('checkout');
      await quiet();
      const { CodeSha256, CodeSize, Handler, Role } = foreign;
      expect(await configuration('checkout')).toMatchObject({ CodeSha256, CodeSize, Handler, Role });
      expect(await answerOf('checkout')).toBe('a laptop was here');
      expect(alertsAbout('function:checkout', afterwards)).toEqual([`${rule} exempt`]);
    });

    it('takes a console session for a person, also one of the pipeline role', async () => {
      await createFunction('tickets', await functionRole('tickets'));
      await quiet();
      const since = mark();
      await held('deployments', () => upload('tickets', 'typed into the editor', { as: stage.botoPipeline, console: true }));
      const { actor } = await alerted({ rule, status: 'open', resource: 'function:tickets' }, since);
      expect(actor).toMatchObject({ console: true, issuer: stage.pipelineRole });
      await alerted({ rule, status: 'remediated', resource: 'function:tickets' }, since);
      await settled('tickets');
      expect(await answerOf('tickets')).toBe('tickets 1');
    });

    it('routes an alias back from a version that no deployer made', async () => {
      await createFunction('billing', await functionRole('billing'), { Publish: true });
      await stage.botoPipeline.call('lambda', 'create_alias', { FunctionName: 'billing', Name: 'live', FunctionVersion: '1' });
      await quiet();
      const since = mark();
      const { Version } = await held('deployments', () => upload('billing', 'not from the pipeline', { Publish: true }));
      await alerted({ rule, status: 'remediated', resource: 'function:billing' }, since);
      await quiet();
      const again = mark();
      await held('deployments', async () => {
        await stage.boto.call('lambda', 'update_alias', { FunctionName: 'billing', Name: 'live', FunctionVersion: Version });
        expect(await answerOf('billing', 'live')).toBe('not from the pipeline');
      });
      await alerted({ rule, status: 'remediated', resource: 'function:billing' }, again);
      expect(await stage.boto.call('lambda', 'get_alias', { FunctionName: 'billing', Name: 'live' })).toMatchObject({
        FunctionVersion: '1',
      });
      expect(await answerOf('billing', 'live')).toBe('billing 1');
    });

    it('puts the approved handler and layers back, and tells of a variable and of an event source, but not the value', async () => {
      const Content = { ZipFile: bytes(packageOf('hooks')) };
      const own = (await stage.botoPipeline.call('lambda', 'publish_layer_version', { LayerName: 'changed-by-hand', Content }))
        .LayerVersionArn;
      const { QueueUrl } = await stage.boto.call('sqs', 'create_queue', { QueueName: 'changed-by-hand' });
      const QueueArn = { QueueUrl, AttributeNames: ['QueueArn'] };
      const EventSourceArn = (await stage.boto.call('sqs', 'get_queue_attributes', QueueArn)).Attributes.QueueArn;
      const reads = ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'];
      await createFunction('gateway', await functionRole('gateway'), { Layers: [own] });
      await createFunction('loader', await functionRole('loader'));
      await createFunction('listener', await functionRole('listener', { allow: [{ Action: reads, Resource: EventSourceArn }] }));
      await quiet();
      const since = mark();
      await held('deployments', async () => {
        const change = { FunctionName: 'gateway', Handler: 'hook.handler', Layers: [] };
        await stage.boto.call('lambda', 'update_function_configuration', change);
        await stage.boto.call('lambda', 'create_event_source_mapping', { FunctionName: 'listener', EventSourceArn });
        const Environment = { Variables: { NODE_OPTIONS: '--enable-source-maps' } };
        await stage.boto.call('lambda', 'update_function_configuration', { FunctionName: 'loader', Environment });
        await Promise.all(['gateway', 'loader'].map(settled));
      });
      const opened = await alerted({ rule, status: 'open', resource: 'function:gateway' }, since);
      expect(opened.evidence).toMatchObject({
        setup: [
          { what: 'handler', now: 'hook.handler', approved: 'index.handler' },
          { what: 'layers', now: '', approved: own },
        ],
      });
      const loads = await alerted({ rule, status: 'open', resource: 'function:loader' }, since);
      expect(loads.evidence).toMatchObject({ setup: [{ what: 'NODE_OPTIONS', now: 'set' }] });
      expect(JSON.stringify(loads)).not.toContain('source-maps');
      const listens = await alerted({ rule, status: 'open', resource: 'function:listener' }, since);
      expect(listens.evidence).toMatchObject({ sources: [{ source: EventSourceArn }] });
      const fixed = await alerted({ rule, status: 'remediated', resource: 'function:gateway' }, since);
      await settled('gateway');
      const layers = ({ Layers = [] }: { Layers?: { Arn: string }[] }) => Layers.map(({ Arn }) => Arn);
      const mended = await configuration('gateway');
      expect([mended.Handler, layers(mended)]).toEqual(['index.handler', [own]]);
      expect(await answerOf('gateway')).toBe('gateway 1');

      await quiet();
      const afterwards = mark();
      await undo(fixed);
      await settled('gateway');
      await quiet();
      const undone = await configuration('gateway');
      expect([undone.Handler, layers(undone)]).toEqual(['hook.handler', []]);
      expect(alertsAbout('function:gateway', afterwards)).toEqual([`${rule} exempt`]);
    });

    it('says nothing about a dry run', async () => {
      await createFunction('search', await functionRole('search'));
      await quiet();
      const since = mark();
      await upload('search', 'only trying', { DryRun: true });
      await quiet();
      expect(alertsAbout('function:search', since)).toEqual([]);
      expect(await answerOf('search')).toBe('search 1');
    });

    it('alerts, and touches nothing, where no package was ever approved', async () => {
      const since = mark();
      await createFunction('by-hand', await functionRole('by-hand'), {}, stage.boto);
      await alerted({ rule, status: 'open', resource: 'function:by-hand' }, since);
      await quiet();
      await stage.lambda.send(new UpdateFunctionCodeCommand({ FunctionName: 'by-hand', ZipFile: packageOf('by-hand 2') }));
      await settled('by-hand');
      await quiet();
      expect(await answerOf('by-hand')).toBe('by-hand 2');
      const statuses = alertsAbout('function:by-hand', since);
      expect(new Set(statuses)).toEqual(new Set([`${rule} open`]));
    });
  });
}
