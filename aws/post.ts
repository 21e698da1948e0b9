import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';

/** A signed request as it goes out. */
export interface Post {
  readonly path: string;
  /** `host` among them: what was signed, wherever the request is sent. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface PostAnswer {
  readonly status: number;
  readonly answer: string;
}

/**
 * Sends a request that was signed by hand.
 * @param base `https://host`, or where AWS_ENDPOINT_URL sends calls instead
 * @throws Error where no answer comes within so many seconds
 */
export async function post(base: string, { path, headers, body }: Post, seconds: number): Promise<PostAnswer> {
  const { protocol, hostname, port } = new URL(base);
  const request = protocol === 'http:' ? httpRequest : httpsRequest;
  return await new Promise((resolve, reject) => {
    const outgoing = request({ hostname, port, path, method: 'POST', headers, timeout: seconds * 1_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, answer: Buffer.concat(chunks).toString('utf8') }));
      response.on('error', reject);
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`${hostname} did not answer`)));
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
