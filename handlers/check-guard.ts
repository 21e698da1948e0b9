import './interpreted.ts';
import type { Alert } from '../guard/alert.ts';
import type { Place } from '../guard/arn.ts';
import { guard } from '../rules/index.ts';
import { checker } from './check.ts';
import { sendTo, variable } from './wire.ts';

export const handler = checker(guard, tellAside);

/** Whoever cut the way to the topic of alerts, from the bus to the last subscription, has not cut this one with it. */
async function tellAside(alerts: readonly Alert[], home: Place): Promise<void> {
  for (const alert of alerts) if (alert.severity === 'critical') await sendTo(variable('AlarmTopic'), alert, home);
}
