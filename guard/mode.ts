/** What a rule does about a violation: nothing, tell, or put it right. */
export type Mode = 'off' | 'alert' | 'remediate';

const order: readonly Mode[] = ['off', 'alert', 'remediate'];

/** The milder of two modes: a switch at run time can lower what was deployed, never raise it. */
export function lower(a: Mode, b: Mode): Mode {
  return order[Math.min(order.indexOf(a), order.indexOf(b))] ?? 'off';
}
