import { AddLayerVersionPermissionCommand, LambdaClient, PublishLayerVersionCommand } from '@aws-sdk/client-lambda';
import { bytes } from '../boto.ts';
import { answerOf, configuration, createFunction, packageOf, settled } from '../functions.ts';
import { alerted, alertsAbout, functionRole, held, mark, quiet, stage, undo } from '../stage.ts';

const rule = 'layer-foreign';

const layersOf = async (name: string) => ((await configuration(name)).Layers ?? []).map(({ Arn }: { Arn: string }) => Arn);

/** A layer that another account lets everybody use. */
async function strangersLayer(): Promise<string> {
  const { secretAccessKey } = stage.root.credentials;
  const stranger = new LambdaClient({ ...stage.root, credentials: { accessKeyId: '444455556666', secretAccessKey } });
  const published = await stranger.send(new PublishLayerVersionCommand({ LayerName: 'helper', Content: { ZipFile: packageOf('helper') } }));
  const named = { LayerName: 'helper', VersionNumber: published.Version, StatementId: 'everybody' };
  await stranger.send(new AddLayerVersionPermissionCommand({ ...named, Action: 'lambda:GetLayerVersion', Principal: '*' }));
  return published.LayerVersionArn ?? '';
}

export function layerForeign(): void {
  describe('layer-foreign', () => {
    it("takes a stranger's layer out again, also where the pipeline brought it, and undo puts it back", async () => {
      const Content = { ZipFile: bytes(packageOf('our own')) };
      const own = (await stage.boto.call('lambda', 'publish_layer_version', { LayerName: 'layer-foreign-own', Content })).LayerVersionArn;
      const [foreign] = await Promise.all([
        strangersLayer(),
        createFunction('layer-foreign-orders', await functionRole('layer-foreign-orders'), { Layers: [own] }),
      ]);
      await quiet();
      const since = mark();
      await held('deployments', async () => {
        const change = { FunctionName: 'layer-foreign-orders', Layers: [own, foreign] };
        await stage.botoPipeline.call('lambda', 'update_function_configuration', change);
        await settled('layer-foreign-orders');
      });
      const { evidence } = await alerted({ rule, status: 'open', resource: 'function:layer-foreign-orders' }, since);
      expect(evidence).toEqual({ layers: [{ layer: foreign, account: '444455556666', versions: ['$LATEST'] }] });
      const fixed = await alerted({ rule, status: 'remediated', resource: 'function:layer-foreign-orders' }, since);
      await settled('layer-foreign-orders');
      expect(await layersOf('layer-foreign-orders')).toEqual([own]);
      expect(await answerOf('layer-foreign-orders')).toBe('layer-foreign-orders 1');

      await quiet();
      const afterwards = mark();
      await undo(fixed);
      await settled('layer-foreign-orders');
      await quiet();
      expect(await layersOf('layer-foreign-orders')).toEqual([own, foreign]);
      expect(alertsAbout('function:layer-foreign-orders', afterwards)).toEqual([`${rule} exempt`]);
    });
  });
}
