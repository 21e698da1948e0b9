import { rules } from '../../rules/index.ts';
import { checkerBundles } from '../../scripts/bench/bundles.ts';

// What is loaded at a cold start: a client of the SDK that only one call needs is soon 100 KB.

test('the bundle of every checker has at most 600 KB, zipped', async () => {
  const bundles = await checkerBundles();
  expect(bundles.filter(({ zippedBytes }) => zippedBytes > 600_000)).toEqual([]);
  // A bundle without its largest inputs would be none.
  expect(bundles.filter(({ zippedBytes }) => zippedBytes < 50_000)).toEqual([]);
});

// EC2's client has 1,300 KB of schemas, of which the rules' calls need few. Once the SDK writes them in another way, this tells.
test('of a client only the shapes are bundled that the calls need', async () => {
  const bundles = await checkerBundles();
  const ofClients = bundles.flatMap(({ practice, inputs }) =>
    inputs.filter(([name]) => name.startsWith('@aws-sdk/client-')).map(([name, bytes]) => ({ practice, name, bytes })),
  );
  expect(ofClients.filter(({ name }) => name === '@aws-sdk/client-ec2')).toHaveLength(1);
  expect(ofClients.filter(({ bytes }) => bytes > 80_000)).toEqual([]);
});

/** Where a client's name says something else than its calls' service. */
const services: Readonly<Record<string, string>> = { eventbridge: 'events', apigatewayv2: 'apigateway' };
/** The ledger, the queues and the bus. */
const own = ['dynamodb', 'sqs', 'events'];

test('of the SDK only the clients are bundled that the calls of the practice need', async () => {
  for (const { practice, inputs } of await checkerBundles()) {
    const calls = rules
      .filter((rule) => rule.practice === practice)
      .flatMap(({ check, fix, list }) => [...check, ...fix, ...(list?.calls ?? [])]);
    const clients = inputs.flatMap(([name]) => /^@aws-sdk\/client-(.+)$/.exec(name)?.[1]?.replaceAll('-', '') ?? []);
    const unused = clients.filter((name) => ![...own, ...calls.map(({ service }) => service)].includes(services[name] ?? name));
    expect({ practice, unused }).toEqual({ practice, unused: [] });
    expect(clients).toContain('lambda');
  }
});
