import { functionPages } from '../aws/lambda.ts';
import { sendMessages } from '../aws/sqs.ts';
import { sweep } from '../guard/sweep.ts';
import { logger, variable, wire } from './wire.ts';

const ports = wire([]);

/** Lists the estate: one message a function to each checker's sweep queue. */
export async function handler(): Promise<void> {
  const id = new Date(ports.now()).toISOString();
  const queues = variable('SweepQueues').split(',');
  const functions = await sweep(
    id,
    functionPages(ports.config.home),
    async (messages) => {
      for (const queue of queues) await sendMessages(ports.config.home, queue, messages);
    },
    ports,
  );
  logger.info('sweep sent', { sweep: id, functions });
}
