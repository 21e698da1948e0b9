// Makes this clone ready to run: npm packages by lockfile, and Python tools in virtual environments under .venv/.
// Plain JavaScript without dependencies, because it runs before anything is installed, on Node 20 or later.
//
//   node scripts/setup.mjs                      everything; as root of a Debian also its Chromium, for the tests of the report
//   node scripts/setup.mjs --without-emulator   all but the emulator
//   node scripts/setup.mjs --without-browser    all but Chromium
//   node scripts/setup.mjs --with-peers         Cloud Custodian and Prowler as well, each in an environment of its own
//   node scripts/setup.mjs --node-only          npm packages alone

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const nodeModules = join(root, 'node_modules');
const venvs = join(root, '.venv');
const lockFile = join(venvs, '.setup-lock');
const nodeMajor = 24;

class Missing extends Error {}
class Failed extends Error {}

const options = process.argv.slice(2);
const known = ['--without-emulator', '--without-browser', '--with-peers', '--node-only'];
const unknown = options.find((option) => !known.includes(option));

// Under `npm run`, node_modules/.bin comes first on the path, and `npm ci` is about to replace it.
const environment = {
  ...process.env,
  PATH: (process.env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => !folder.endsWith(join('node_modules', '.bin')))
    .join(delimiter),
};

const readIfThere = (file) => (existsSync(file) ? readFileSync(file, 'utf8') : undefined);
const say = (text) => console.error(`setup  ${text}`); // what a command prints may be piped on

function answers(command, args) {
  const { status, stdout } = spawnSync(command, args, { env: environment, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}

function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    child.on('error', reject);
    child.on('close', (status) => {
      if (status === 0) resolve(output);
      else reject(new Failed(`${output.trim().split('\n').slice(-30).join('\n')}\n\n"${command} ${args.join(' ')}" failed.`));
    });
  });
}

const npmPackages = {
  name: 'npm packages',
  // npm writes down what it installed, also when somebody runs it by hand.
  isCurrent() {
    const installed = readIfThere(join(nodeModules, '.package-lock.json'));
    if (installed === undefined || !existsSync(join(nodeModules, '.bin', 'node'))) return false;
    const there = JSON.parse(installed).packages;
    const wanted = Object.entries(JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages);
    return wanted.every(
      ([path, { version, integrity, optional, devOptional }]) =>
        path === '' || optional || devOptional || (there[path]?.version === version && there[path].integrity === integrity),
    );
  },
  prepare() {
    if (answers('npm', ['--version']) === undefined) throw new Missing('npm is missing: install it, it comes with Node.js.');
    if (lstatSync(nodeModules, { throwIfNoEntry: false })?.isSymbolicLink())
      throw new Missing('node_modules is a link, and npm would empty what it leads to: remove the link.');
  },
  async install() {
    // NODE_ENV=production or an `omit` in a user's settings would leave out what the tests need.
    await run('npm', ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error']);
    useNode24();
  },
};

// The package `node` brings Node 24 where it has a build for the platform; elsewhere a Node 24 that is installed will do.
function useNode24() {
  const bin = join(nodeModules, '.bin', 'node');
  const isRight = (version) => version?.startsWith(`v${nodeMajor}.`);
  if (isRight(answers(bin, ['--version']))) return;
  const installed = answers('node', ['--print', 'process.version + " " + process.execPath'])?.split(/ (.*)/s);
  if (!isRight(installed?.[0])) {
    throw new Missing(
      `Node.js ${nodeMajor} did not come with the npm package "node" (${process.platform} ${process.arch}): install Node.js ${nodeMajor} and run this again.`,
    );
  }
  rmSync(bin, { force: true });
  symlinkSync(installed[1], bin);
}

function virtualEnvironment(name) {
  const folder = join(venvs, name);
  const requirements = join(root, 'requirements', `${name}.txt`);
  const stampFile = join(folder, '.setup-stamp');
  // Scripts of a venv name its folder: after the clone was moved it has to be made again.
  const stamp = () =>
    createHash('sha256')
      .update(`${readFileSync(requirements, 'utf8')}\n${folder}`)
      .digest('hex');
  const isThere = () => existsSync(join(folder, 'bin', 'python'));
  return {
    name: `Python venv ${name}`,
    isCurrent: () => isThere() && readIfThere(stampFile) === stamp(),
    prepare: () => findPython(),
    async install(python) {
      const moved = readIfThere(join(folder, 'pyvenv.cfg')) && !readIfThere(join(folder, 'bin', 'pip'))?.includes(folder);
      rmSync(stampFile, { force: true });
      if (!isThere() || moved) await run(python, ['-m', 'venv', '--clear', folder]);
      await run(join(folder, 'bin', 'python'), [
        ...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input'],
        ...['--no-deps', '--require-hashes', '--requirement', requirements],
      ]);
      writeFileSync(stampFile, stamp());
    },
  };
}

let foundPython;
function findPython() {
  const test = 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))';
  foundPython ??= [process.env.PYTHON, 'python3', 'python3.13', 'python3.12', 'python3.11', 'python3.10', 'python']
    .filter(Boolean)
    .find((candidate) => answers(candidate, ['-c', test]) !== undefined);
  if (foundPython) return foundPython;
  throw new Missing(
    'Python 3.10 or later with its venv module is missing: install it (Debian and Ubuntu: "apt install python3 python3-venv"; others: python.org).',
  );
}

/** Debian's installer, for root. It takes one command at a time. */
let installing = Promise.resolve();
function apt(...args) {
  const turn = () => run('env', ['DEBIAN_FRONTEND=noninteractive', 'apt-get', '-qq', '-o', 'DPkg::Lock::Timeout=300', ...args]);
  const done = installing.then(turn);
  installing = done.then(
    () => {},
    () => {},
  );
  return done;
}
const mayInstall = () => process.getuid?.() === 0 && answers('apt-get', ['--version']) !== undefined;

// `sam build` calls it.
const make = {
  name: "Debian's package make",
  isCurrent: () => answers('make', ['--version']) !== undefined,
  prepare() {
    if (!mayInstall())
      throw new Missing('make is missing: install it (Debian and Ubuntu: "apt install make"; macOS: "xcode-select --install").');
  },
  async install() {
    await apt('update');
    await apt('install', '--yes', '--no-install-recommends', 'make');
  },
};

// The report is tested in a browser. Where Debian's cannot be installed, the test says what is missing: nothing else needs one.
const chromium = {
  name: "Debian's package chromium",
  isCurrent() {
    const folders = (environment.PATH ?? '').split(delimiter);
    const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
    if (process.env.CHROMIUM || folders.some((folder) => names.some((name) => existsSync(join(folder, name))))) return true;
    return !mayInstall();
  },
  prepare() {},
  async install() {
    try {
      await apt('update');
      await apt('install', '--yes', '--no-install-recommends', 'chromium');
    } catch (error) {
      say(`chromium could not be installed, and the test of the report will fail without it: ${error.message.split('\n').at(-1)}`);
    }
  },
};

async function install(parts) {
  const inputs = new Map(parts.map((part) => [part, part.prepare()]));
  const waiting = new Set(parts.map(({ name }) => name));
  say(`installing ${[...waiting].join(', ')} (once; a few minutes)`);
  const start = Date.now();
  const seconds = () => `${Math.round((Date.now() - start) / 1000)} s`;
  const heartbeat = setInterval(() => say(`… ${seconds()}, still installing ${[...waiting].join(', ')}`), 20_000);
  const results = await Promise.allSettled(
    parts.map(async (part) => {
      await part.install(inputs.get(part));
      waiting.delete(part.name);
      say(`${part.name} ready (${seconds()})`);
    }),
  );
  clearInterval(heartbeat);
  for (const { reason } of results) if (reason) throw reason;
}

// Two commands started side by side in a fresh clone must not install into the same folders.
async function withLock(work) {
  mkdirSync(venvs, { recursive: true });
  for (let told = false; ; ) {
    try {
      writeFileSync(lockFile, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (!isAlive(Number(readIfThere(lockFile)))) rmSync(lockFile, { force: true });
    else {
      if (!told) say('waiting for another setup of this clone');
      told = true;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
  const unlock = () => rmSync(lockFile, { force: true });
  process.on('exit', unlock);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(130));
  await work();
}

function isAlive(pid) {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
}

try {
  if (unknown) throw new Missing(`Unknown option ${unknown}: setup knows ${known.join(', ')}.`);
  if (process.platform === 'win32') throw new Missing('Windows is not supported: run this in WSL (Windows Subsystem for Linux).');
  if (Number(process.versions.node.split('.')[0]) < 20) {
    throw new Missing(`Node.js ${process.versions.node} is too old: install Node.js 20 or later.`);
  }
  const names = options.includes('--node-only')
    ? []
    : options.includes('--without-emulator')
      ? ['sam', 'lint']
      : ['emulator', 'sam', 'lint'];
  if (options.includes('--with-peers')) names.push('custodian', 'prowler');
  const browser = options.some((option) => option === '--without-browser' || option === '--node-only') ? [] : [chromium];
  const parts = [npmPackages, ...(names.includes('sam') ? [make] : []), ...names.map(virtualEnvironment), ...browser];
  if (!parts.every((part) => part.isCurrent())) {
    await withLock(async () => {
      const stale = parts.filter((part) => !part.isCurrent());
      if (stale.length > 0) await install(stale);
    });
  }
} catch (error) {
  if (!(error instanceof Missing || error instanceof Failed)) throw error;
  console.error(error.message);
  process.exitCode = error instanceof Missing ? 2 : 1;
}
