import { createServer, type ServerResponse } from 'node:http';
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

let regions = 0;

/** What becomes of a call to a service that answers so. */
async function asked(call: (connection: Connection) => Promise<unknown>, answer: (response: ServerResponse) => void): Promise<Outcome> {
  let attempts = 0;
  const server = createServer((_, response) => {
    attempts += 1;
    answer(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  Object.assign(process.env, { AWS_ENDPOINT_URL: endpoint, AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'y' });
  jest.useFakeTimers({ doNotFake: [...real] });
  try {
    const start = Date.now();
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
    while (!failed.done && Date.now() - start < 600_000) {
      await jest.advanceTimersByTimeAsync(50);
      for (let rest = 0; rest < 20; rest += 1) await turn();
    }
    return { error: failed.error, attempts, took: Date.now() - start };
  } finally {
    jest.useRealTimers();
    server.closeAllConnections();
    server.close();
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
