import { patience } from '../../aws/clients.ts';
import { pascalCase } from '../../guard/rule.ts';
import { rules } from '../../rules/index.ts';
import { longestChain } from '../support/patience.ts';
import { committed, read } from './repository.ts';
import { deploy, functions, roleStatements } from './template.ts';

const everything = deploy(Object.fromEntries(rules.map(({ id }) => [`${pascalCase(id)}Mode`, 'remediate'])));

/** A function whose role may do these moves packages, or waits while Lambda does. */
const movesPackages = ['s3:PutObject', 'lambda:UpdateFunctionCode'];

describe('no call is still being tried when Lambda ends the function', () => {
  test.each(functions(everything).map((lambda) => [lambda.id, lambda] as const))('%s', (id, { properties }) => {
    const role = everything.resources[`${id}Role`]?.Properties ?? {};
    const allowed = roleStatements(role).flatMap(({ effect, actions }) => (effect === 'Allow' ? actions : []));
    const attempt = movesPackages.some((action) => allowed.includes(action)) ? patience.packages : patience.calls;
    expect(1_000 * Number(properties['Timeout'])).toBeGreaterThan(longestChain(attempt));
  });

  test('packages are moved by those that archive and restore code', () => {
    const movers = functions(everything).filter(({ id }) =>
      roleStatements(everything.resources[`${id}Role`]?.Properties ?? {}).some(({ actions }) =>
        movesPackages.some((action) => actions.includes(action)),
      ),
    );
    expect(movers.map(({ id }) => id).sort()).toEqual(['CheckDeployments', 'RemediateCodeChangedByHand', 'RemediateCodeDrifted']);
  });
});

test('every client is patient in the same way', () => {
  const sources = committed().filter((path) => /^(aws|ledger|handlers|cli)\/.*\.ts$/.test(path));
  const made = sources.flatMap((path) => [...read(path).matchAll(/new \w+Client\([^)]*\)(\.config\.\w+)?/g)].map(([text]) => text));
  const others = made.filter((text) => !/^new \w+Client\((settings|\{ \.\.\.settings, [^}]*\})\)$/.test(text));
  // These make no call: they know how to find a region and credentials.
  expect(others).toEqual(['new STSClient({}).config.region', 'new LambdaClient({ region }).config.credentials']);
  expect(made.length).toBeGreaterThan(10);
});
