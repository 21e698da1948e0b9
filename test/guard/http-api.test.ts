import { comparable, routesIn } from '../../guard/http-api.ts';

const definition = (operation: object, more: object = {}) => ({ openapi: '3.0.1', paths: { '/orders': { get: operation } }, ...more });

test.each([
  ['no security', {}, {}, false],
  ['an empty list of schemes', { security: [] }, {}, false],
  ['one way without a scheme', { security: [{ users: [] }, {}] }, {}, false],
  ['a scheme', { security: [{ users: [] }] }, {}, true],
  ['a scheme for the whole API', {}, { security: [{ users: [] }] }, true],
  ['none, where the whole API has one', { security: [] }, { security: [{ users: [] }] }, false],
  ['AWS_IAM by the extension', { 'x-amazon-apigateway-auth': { type: 'AWS_IAM' } }, {}, true],
  ['NONE by the extension', { 'x-amazon-apigateway-auth': { type: 'none' }, security: [{ users: [] }] }, {}, false],
])('an operation with %s', (_, operation, more, authorized) => {
  expect(routesIn(definition(operation, more))).toEqual(new Map([['GET /orders', authorized]]));
});

test('what API Gateway exported and is no definition is unreadable', () => {
  expect(() => routesIn({ message: 'later' })).toThrow('has no paths');
});

test('definitions are compared without what authorizes the one route, and with what authorizes others', () => {
  const open = definition({ responses: {} });
  const closed = definition(
    { responses: {}, security: [{ sigv4: [] }] },
    { info: { version: '2' }, servers: [{}], components: { securitySchemes: { sigv4: {} } } },
  );
  expect(comparable(closed, 'GET /orders')).toEqual(comparable(open, 'GET /orders'));
  expect(comparable(closed, 'GET /payments')).not.toEqual(comparable(open, 'GET /payments'));
});
