import { randomBytes } from 'node:crypto';
import { strToU8, zipSync } from 'fflate';
import { bytes } from '../boto.ts';
import { createFunction, settled } from '../functions.ts';
import { alerted, functionRole, mark, quiet, stage } from '../stage.ts';

const rule = 'secret-in-code';
/** Of this run alone, in the shape of a real one; it opens nothing. */
export const tokenInCode = `ghp_${randomBytes(27).toString('base64url').replace(/[-_]/g, 'a')}`;

const zip = (files: Readonly<Record<string, string>>) =>
  bytes(zipSync(Object.fromEntries(Object.entries(files).map(([name, text]) => [name, strToU8(text)]))));

export function secretInCode(): void {
  describe('secret-in-code', () => {
    it('tells file, line and kind of a credential in a package and in a layer, and when there is none any more', async () => {
      const handler = 'exports.handler = async () => ({});\n';
      const { LayerVersionArn } = await stage.botoPipeline.call('lambda', 'publish_layer_version', {
        LayerName: 'secret-in-code-tools',
        Content: { ZipFile: zip({ 'tools/run.sh': `#!/bin/sh\necho ${tokenInCode}\n` }) },
      });
      await quiet();
      const since = mark();
      await createFunction('secret-in-code', await functionRole('secret-in-code'), {
        Layers: [LayerVersionArn],
        Code: { ZipFile: zip({ 'index.js': handler, 'lib/key.js': `\n\nexports.key = '${tokenInCode}';\n` }) },
      });
      const opened = await alerted({ rule, status: 'open', resource: 'function:secret-in-code' }, since);
      expect(opened.evidence['found']).toEqual([
        { in: 'package', file: 'lib/key.js', line: 3, kind: 'GitHub token', versions: ['$LATEST'] },
        { in: LayerVersionArn, file: 'tools/run.sh', line: 2, kind: 'GitHub token', versions: ['$LATEST'] },
      ]);
      await quiet();
      const named = { FunctionName: 'secret-in-code' };
      await stage.botoPipeline.call('lambda', 'update_function_code', { ...named, ZipFile: zip({ 'index.js': handler }) });
      await settled('secret-in-code');
      await stage.botoPipeline.call('lambda', 'update_function_configuration', { ...named, Layers: [] });
      await alerted({ rule, status: 'resolved', resource: 'function:secret-in-code' }, since);
    });
  });
}
