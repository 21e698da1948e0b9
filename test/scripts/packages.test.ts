import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const { dependencies, devDependencies, optionalDependencies } = JSON.parse(read('package.json'));
const versions: Record<string, string> = { ...dependencies, ...devDependencies, ...optionalDependencies };

test('npm packages have exact versions', () => {
  expect(Object.entries(versions).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
});

test('all clients of the AWS SDK have one version', () => {
  // These clients are published more seldom than the others: CONTRIBUTING.md.
  const seldom = ['api-gateway', 'cloudtrail', 'resource-groups-tagging-api'].map((name) => `@aws-sdk/client-${name}`);
  const clients = Object.entries(versions).filter(([name]) => /^@aws-sdk\/(client|lib)-/.test(name) && !seldom.includes(name));
  expect([...new Set(clients.map(([, version]) => version))]).toHaveLength(1);
});

test('Node.js is the version of .nvmrc', () => {
  expect(versions['node']).toBe(read('.nvmrc').trim());
});

test('Python packages have exact versions and hashes', () => {
  for (const file of readdirSync(join(root, 'requirements')).filter((name) => name.endsWith('.txt'))) {
    const requirements = read(`requirements/${file}`)
      .split(/\n(?=\w)/)
      .slice(1);
    expect(requirements.length).toBeGreaterThan(10);
    expect(requirements.filter((text) => !/^[\w.-]+==\S+.*--hash=sha256:/s.test(text))).toEqual([]);
  }
});
