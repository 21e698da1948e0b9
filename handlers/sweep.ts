import { functionPages } from '../aws/lambda.ts';
import { sendMessages } from '../aws/sqs.ts';
import type { Practice } from '../guard/finding.ts';
import { sweep } from '../guard/sweep.ts';
import { rules } from '../rules/index.ts';
import { logger, variable, wire } from './wire.ts';

const ports = wire([]);

const listing = rules.filter(({ list }) => list !== undefined);

/** Lists the estate: messages to the checkers' sweep queues, which stand in `SweepQueues` as `practice=url`. */
export async function handler(): Promise<void> {
  const id = new Date(ports.now()).toISOString();
  const { home } = ports.config;
  const queues = new Map(
    variable('SweepQueues')
      .split(',')
      .map((part) => part.split('=', 2) as [Practice, string]),
  );
  const sent = await sweep(
    id,
    functionPages(home),
    [...queues.keys()],
    listing,
    async (practice, messages) => await sendMessages(home, queues.get(practice) ?? '', messages),
    ports,
  );
  logger.info('sweep sent', { sweep: id, ...sent });
}
