import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What STS was asked. */
interface Asked {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** STS on this machine: it knows access keys, and takes every signature for good. */
export interface FakeSts {
  readonly endpoint: string;
  /** The ARN behind an access key. */
  readonly known: Map<string, string>;
  readonly asked: Asked[];
  /** What it answers instead, to everybody. */
  answer: { readonly status: number; readonly body: string } | undefined;
  readonly close: () => void;
}

export async function startSts(): Promise<FakeSts> {
  const known = new Map<string, string>();
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk;
    });
    request.on('end', () => {
      asked.push({ method: request.method, url: request.url, headers: request.headers, body });
      const arn = known.get(/Credential=(\w+)\//.exec(request.headers.authorization ?? '')?.[1] ?? '');
      const { status, body: text } = sts.answer ?? answerFor(arn);
      response.writeHead(status).end(text);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const sts: FakeSts = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    known,
    asked,
    answer: undefined,
    close: () => void server.close(),
  };
  return sts;
}

function answerFor(arn: string | undefined): { readonly status: number; readonly body: string } {
  return arn === undefined
    ? { status: 403, body: '<ErrorResponse><Error><Code>InvalidClientTokenId</Code></Error></ErrorResponse>' }
    : {
        status: 200,
        body: `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>${arn}</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`,
      };
}
