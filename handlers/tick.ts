import { putEvents } from '../aws/eventbridge.ts';
import { busSource, dueDetailType } from '../guard/alert.ts';
import { tick } from '../guard/tick.ts';
import { logger, variable, wire } from './wire.ts';

const ports = wire([]);

/** Every minute: whatever the ledger says is due goes onto the guard's bus. */
export async function handler(): Promise<void> {
  const { tasks, alerts } = await tick(ports);
  await putEvents(
    ports.config.home,
    variable('GuardBus'),
    tasks.map((detail) => ({ source: busSource, detailType: dueDetailType, detail })),
  );
  if (tasks.length + alerts.length > 0) logger.info('due', { tasks: tasks.length, alerts: alerts.length });
}
