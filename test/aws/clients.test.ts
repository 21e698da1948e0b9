import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { findPackage } from '../../aws/archive.ts';
import { patience } from '../../aws/clients.ts';
import { getFunctionConfiguration, updateFunctionCode } from '../../aws/lambda.ts';
import type { Connection } from '../../guard/call.ts';
import { errorKind } from '../../guard/errors.ts';
import { longestChain } from '../support/patience.ts';

// Sockets are real, the clock is not.
const real = ['hrtime', 'nextTick', 'performance', 'queueMicrotask', 'setImmediate', 'clearImmediate'] as const;

const before = { ...process.env };
afterEach(() => {
  process.env = { ...before };
});

interface Outcome {
  readonly error: unknown;
  readonly attempts: number;
  /** Milliseconds of the clock that is not real. */
  readonly took: number;
}

/** A service, which every client takes for AWS. */
async function served(answer: RequestListener): Promise<Server> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  Object.assign(process.env, { AWS_ENDPOINT_URL: endpoint, AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'y' });
  return server;
}

function stop(server: Server): void {
  server.closeAllConnections();
  server.close();
}

let regions = 0;

/** What becomes of a call to a service that answers so. */
async function asked(call: (connection: Connection) => Promise<unknown>, answer: (response: ServerResponse) => void): Promise<Outcome> {
  let attempts = 0;
  const server = await served((_, response) => {
    attempts += 1;
    answer(response);
  });
  jest.useFakeTimers({ doNotFake: [...real] });
  try {
    const failed = { error: undefined as unknown, done: false };
    // A client is made once a region.
    regions += 1;
    void call({ account: '111122223333', region: `us-test-${regions}` })
      .catch((error: unknown) => {
        failed.error = error;
      })
      .finally(() => {
        failed.done = true;
      });
    // What happens before the first attempt, such as looking for credentials, takes real time alone; then sockets get some for each step.
    while (attempts === 0 && !failed.done) await turn();
    const start = Date.now();
    while (!failed.done && Date.now() - start < 600_000) {
      await jest.advanceTimersByTimeAsync(50);
      const rested = performance.now() + 2;
      while (performance.now() < rested) await turn();
    }
    return { error: failed.error, attempts, took: Date.now() - start };
  } finally {
    jest.useRealTimers();
    stop(server);
  }
}

const orders = { FunctionName: 'orders' };
const archived = { bucket: 'archive', key: 'orders', sha256: 'x' };

test.each([
  ['a call', patience.calls, (to: Connection) => getFunctionConfiguration.run(to, orders)],
  ['a call of the archive', patience.packages, (to: Connection) => findPackage.run(to, archived)],
  ['a change of code', patience.packages, (to: Connection) => updateFunctionCode.run(to, { ...orders, sha256: 'x' })],
] as const)('%s that nobody answers is given up, and may be made again later', async (_, attempt, call) => {
  const { error, attempts, took } = await asked(call, () => undefined);
  expect({ attempts, kind: errorKind(error) }).toEqual({ attempts: 4, kind: 'passing' });
  expect(took).toBeGreaterThanOrEqual(4 * attempt);
  expect(took).toBeLessThan(4 * attempt + 2_000);
});

test('who is throttled and told to wait for minutes waits no longer than the longest chain', async () => {
  const { error, attempts, took } = await asked(
    (to) => getFunctionConfiguration.run(to, orders),
    (response) => {
      response.writeHead(429, { 'content-type': 'application/json', 'x-amzn-errortype': 'TooManyRequestsException', 'retry-after': '600' });
      response.end('{}');
    },
  );
  expect({ attempts, kind: errorKind(error) }).toEqual({ attempts: 4, kind: 'passing' });
  expect(took).toBeGreaterThan(3 * 5_000);
  expect(took).toBeLessThan(longestChain(patience.calls) - 4 * patience.calls + 1_000);
});

test('calls of one kind side by side keep their answers, errors and attempts apart', async () => {
  const attempts: Record<string, number> = {};
  const server = await served((request, response) => {
    const name = /functions\/([^/]+)\//.exec(request.url ?? '')?.[1] ?? '';
    attempts[name] = (attempts[name] ?? 0) + 1;
    const [status, body] =
      name === 'gone'
        ? [404, { Type: 'User', Message: 'gone' }]
        : name === 'slow' && attempts[name] === 1
          ? [500, {}]
          : [200, { FunctionName: name, Environment: { Variables: { OF: name } } }];
    const headers = status === 404 ? { 'x-amzn-errortype': 'ResourceNotFoundException' } : {};
    setTimeout(() => response.writeHead(status, headers).end(JSON.stringify(body)), name === 'slow' ? 50 : 5);
  });
  try {
    const to = { account: '111122223333', region: 'us-test-0' };
    const outcomes = await Promise.all(
      ['slow', 'gone', 'orders', 'invoices', 'orders'].map((FunctionName) =>
        getFunctionConfiguration.run(to, { FunctionName }).then(
          ({ Environment, $metadata }) => [Environment?.Variables?.['OF'], $metadata.attempts],
          (error: unknown) => [errorKind(error), (error as { $metadata?: { attempts?: number } }).$metadata?.attempts],
        ),
      ),
    );
    expect(outcomes).toEqual([
      ['slow', 2],
      ['absent', 1],
      ['orders', 1],
      ['invoices', 1],
      ['orders', 1],
    ]);
  } finally {
    stop(server);
  }
});
