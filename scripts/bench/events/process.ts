import { createRequire } from 'node:module';
import type { Context, SQSBatchResponse, SQSEvent } from 'aws-lambda';
import type { Answer, Order } from './checker.ts';

// Lambda's place: loads the bundle that it is told, and hands it one event after another.
// https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html

const [bundle = ''] = process.argv.slice(2);
const lines: string[] = [];
// Lambda takes the function's log from its standard output.
process.stdout.write = ((text: string | Uint8Array) => lines.push(String(text)) > 0) as typeof process.stdout.write;

const began = performance.now();
const { handler } = createRequire(bundle)(bundle) as { handler: (event: SQSEvent, context: Context) => Promise<SQSBatchResponse> };
answer({ milliseconds: performance.now() - began, lines: [], failed: false, memory: 0, endedAt: 0 });

process.on('message', async ({ event, seconds }: Order) => {
  lines.length = 0;
  const start = performance.now();
  const end = start + 1000 * seconds;
  const context = {
    functionName: process.env['AWS_LAMBDA_FUNCTION_NAME'],
    functionVersion: '$LATEST',
    invokedFunctionArn: '',
    memoryLimitInMB: process.env['AWS_LAMBDA_FUNCTION_MEMORY_SIZE'],
    awsRequestId: crypto.randomUUID(),
    getRemainingTimeInMillis: () => end - performance.now(),
  } as Context;
  const { batchItemFailures } = await handler(event, context);
  const milliseconds = performance.now() - start;
  const endedAt = Number(process.hrtime.bigint() / 1000n);
  const failed = batchItemFailures.length > 0;
  answer({ milliseconds, lines: lines.flatMap((text) => text.trim().split('\n')), failed, memory: process.memoryUsage.rss(), endedAt });
});
// Its end is that of whoever started it.
process.once('disconnect', () => process.exit());

function answer(what: Answer): void {
  process.send?.(what);
}
