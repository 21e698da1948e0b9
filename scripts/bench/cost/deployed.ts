import { pascalCase } from '../../../guard/rule.ts';
import { rules } from '../../../rules/index.ts';
import { deploy, functions, ofType } from '../../../test/house/template.ts';
import type { Deployed } from './model.ts';

const fixable = rules.filter(({ fix }) => fix.length > 0);

/** How many rules can remediate. */
export const remediators = fixable.length;

/**
 * What of template.yaml costs something, as it is deployed with its defaults.
 * @param remediate with every rule that can in `remediate`
 */
export function deployed({ remediate = false }: { readonly remediate?: boolean } = {}): Deployed {
  const stack = deploy(remediate ? Object.fromEntries(fixable.map(({ id }) => [`${pascalCase(id)}Mode`, 'remediate'])) : {});
  const mappings = ofType(stack, 'AWS::Lambda::EventSourceMapping');
  const alarms = ofType(stack, 'AWS::CloudWatch::Alarm');
  const variable = (name: string) => Number(stack.globals.Environment.Variables[name]);
  const [[, first]] = mappings.filter(([id]) => id.endsWith('SweepsMapping')) as [readonly [string, { ScalingConfig?: unknown }]];
  const [[, logs]] = ofType(stack, 'AWS::Logs::LogGroup') as [readonly [string, { RetentionInDays?: unknown }]];
  return {
    mappings: mappings.length,
    alarms: alarms.length,
    dashboards: ofType(stack, 'AWS::CloudWatch::Dashboard').length,
    // What an alarm watches is there all the time; the others are written where something went wrong.
    metrics: alarms.filter(([, { Namespace }]) => Namespace === 'ComplianceGuard').length,
    keys: ofType(stack, 'AWS::KMS::Key').length,
    memory: Object.fromEntries(functions(stack).map(({ id, properties }) => [id, Number(properties['MemorySize'])])),
    sweepConcurrency: (first.ScalingConfig as { readonly MaximumConcurrency: number }).MaximumConcurrency,
    logDays: Number(logs.RetentionInDays),
    lambdaCallsPerSecond: variable('LambdaCallsPerSecond'),
    apiGatewayCallsPerSecond: variable('ApiGatewayCallsPerSecond'),
  };
}
