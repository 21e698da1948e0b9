const permissive = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'ISC',
  'MIT',
  'MIT-0',
  'Python-2.0',
  'Unlicense',
]);

interface LockedPackage {
  version?: string;
  license?: string;
  dev?: boolean;
}

/** The packages of a lockfile that are not for development alone and whose licence is not known to be permissive. */
export function unlicensed(lockfile: string): string[] {
  const packages: Record<string, LockedPackage> = JSON.parse(lockfile).packages;
  return Object.entries(packages)
    .filter(([path, { dev, license }]) => path !== '' && !dev && !isPermissive(license))
    .map(([path, { version, license }]) => `${path.replace(/^.*node_modules\//, '')} ${version}: ${license ?? 'no licence named'}`);
}

// SPDX expressions of npm packages are names joined by OR or AND, at most in one pair of brackets.
function isPermissive(expression = ''): boolean {
  const bare = expression.replace(/^\((.*)\)$/, '$1');
  if (bare.includes(' OR ')) return bare.split(' OR ').some((part) => isPermissive(part));
  if (bare.includes(' AND ')) return bare.split(' AND ').every((part) => isPermissive(part));
  return permissive.has(bare);
}
