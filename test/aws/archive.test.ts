import { createHash } from 'node:crypto';
import { GetFunctionCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { archivePackage, findPackage } from '../../aws/archive.ts';
import { connect } from '../../aws/handle.ts';
import { updateAlias, updateFunctionCode } from '../../aws/lambda.ts';
import { createWorld, type World } from '../support/world/index.ts';

const sha256 = createHash('sha256').update('package').digest('base64');
const place = { bucket: 'archive', key: 'orders/package.zip', sha256 };
const {
  archivePackage: archive,
  findPackage: find,
  updateFunctionCode: update,
  updateAlias: route,
} = connect([archivePackage, findPackage, updateFunctionCode, updateAlias], { account: '111122223333', region: 'us-east-1' });

const lambda = new LambdaClient({ region: 'us-east-1' });

let world: World;
beforeEach(() => {
  world = createWorld();
  world.lambda.createFunction({ FunctionName: 'orders', Code: { ZipFile: Buffer.from('package') } });
});

test('archives the package of a function, once', async () => {
  const first = await archive({ functionName: 'orders', ...place });
  expect(first).toEqual({ bucket: 'archive', key: 'orders/package.zip', version: expect.any(String) });
  expect(await archive({ functionName: 'orders', ...place })).toEqual(first);
  expect(await find(place)).toEqual(first);
});

test('writes over nothing that lies there with other content', async () => {
  world.s3.putObject({ Bucket: 'archive', Key: place.key, Body: 'something else' });
  await expect(archive({ functionName: 'orders', ...place })).rejects.toMatchObject({ name: 'PackageUnreadable' });
  expect(Buffer.from(world.s3.object('archive', place.key) ?? []).toString()).toBe('something else');
});

test('writes nothing where the code was replaced before it was read', async () => {
  world.lambda.updateFunctionCode({ FunctionName: 'orders', ZipFile: Buffer.from('foreign') });
  expect(await archive({ functionName: 'orders', ...place })).toBeUndefined();
  expect(world.calls.map(({ operation }) => operation)).toEqual(['GetFunction']);
});

test('is told where the package lies, and asks nobody then; what lies there must be what was asked for', async () => {
  const { Code } = await lambda.send(new GetFunctionCommand({ FunctionName: 'orders' }));
  world.calls.length = 0;
  expect(await archive({ functionName: 'orders', location: Code?.Location, ...place })).toMatchObject({ key: place.key });
  expect(world.calls.map(({ operation }) => operation)).toEqual(['PutObject']);
  world.lambda.updateFunctionCode({ FunctionName: 'orders', ZipFile: Buffer.from('foreign') });
  const other = { ...place, key: 'other.zip' };
  expect(await archive({ functionName: 'orders', location: Code?.Location, ...other })).toMatchObject({ key: 'other.zip' });
  const { Code: later } = await lambda.send(new GetFunctionCommand({ FunctionName: 'orders' }));
  const foreign = { ...place, key: 'foreign.zip' };
  expect(await archive({ functionName: 'orders', location: later?.Location, ...foreign })).toBeUndefined();
  expect(await find(foreign)).toBeUndefined();
});

test('writes nothing where the bytes do not have the hash that Lambda named', async () => {
  globalThis.fetch = async () => new Response('foreign');
  expect(await archive({ functionName: 'orders', ...place })).toBeUndefined();
  expect(world.calls.map(({ operation }) => operation)).toEqual(['GetFunction']);
});

test('lets S3 hold the bytes against the hash once more, and writes over nothing', async () => {
  await archive({ functionName: 'orders', ...place });
  expect(world.calls.find(({ operation }) => operation === 'PutObject')?.input).toMatchObject({ ChecksumSHA256: sha256, IfNoneMatch: '*' });
});

test('tries again later when two archive the same at once', async () => {
  world.fail('PutObject', 'ConditionalRequestConflict');
  await expect(archive({ functionName: 'orders', ...place })).rejects.toMatchObject({ name: 'RetryLater' });
});

test.each([
  ['broke off', () => Promise.reject(new TypeError('fetch failed for https://signed.example/?X-Amz-Signature=abc'))],
  ['could not be downloaded (HTTP 403)', () => Promise.resolve(new Response('denied', { status: 403 }))],
])('says that the download %s, but not from where', async (what, answer) => {
  globalThis.fetch = answer;
  const failure: Error = await archive({ functionName: 'orders', ...place }).catch((error) => error);
  expect({ name: failure.name, told: failure.message.includes(what) }).toEqual({ name: 'RetryLater', told: true });
  expect(`${failure.stack}${String(failure.cause)}`).not.toMatch(/https|Signature/);
});

test('finds nothing where nothing lies, another version or another content', async () => {
  expect(await find(place)).toBeUndefined();
  world.s3.putObject({ Bucket: 'archive', Key: place.key, Body: 'something else' });
  expect(await find(place)).toBeUndefined();
  const { version } = (await archive({ functionName: 'orders', ...place, key: 'other.zip' })) ?? {};
  expect(await find({ ...place, key: 'other.zip', version: 'v0' })).toBeUndefined();
  expect(await find({ ...place, key: 'other.zip', version })).toMatchObject({ version });
});

test('what cannot be read is not "nothing there"', async () => {
  world.fail('HeadObject', 'AccessDenied');
  await expect(find(place)).rejects.toMatchObject({ name: 'AccessDenied' });
});

test('code that is not what it should be is told', async () => {
  await expect(update({ FunctionName: 'orders', ZipFile: Buffer.from('foreign'), sha256 })).rejects.toMatchObject({ name: 'CodeMismatch' });
});

test('an alias that somebody else has routed since is not taken for done', async () => {
  world.lambda.publishVersion({ FunctionName: 'orders' });
  world.lambda.createAlias({ FunctionName: 'orders', Name: 'live', FunctionVersion: '1' });
  const stale = { FunctionName: 'orders', Name: 'live', FunctionVersion: '2', RevisionId: 'used-up' };
  await expect(route(stale)).rejects.toMatchObject({ name: 'PreconditionFailedException' });
  await expect(route({ ...stale, FunctionVersion: '1' })).resolves.toBeUndefined();
});
