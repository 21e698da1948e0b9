import { iamName } from '../../guard/call.ts';
import { type AnyRule, pascalCase } from '../../guard/rule.ts';

/** The head of a rule's page: what the rule's file says of it. */
export function docHead(rule: AnyRule): string {
  const name = pascalCase(rule.id);
  const parameters = [
    ...(rule.fix.length > 0
      ? [
          `\`${name}Mode\` (off, alert, remediate; default ${rule.mode ?? 'alert'})`,
          `\`${name}Delay\` (minutes; default ${rule.delay})`,
          `\`${name}Scope\``,
        ]
      : [`\`${name}Mode\` (off, alert; default ${rule.mode ?? 'alert'})`]),
    ...Object.keys(rule.params.shape).map((param) => `\`${name}${param.charAt(0).toUpperCase()}${param.slice(1)}\``),
  ];
  return [
    `# ${rule.id}`,
    '',
    `**${rule.title}.**`,
    '',
    '| | |',
    '|---|---|',
    `| Practice | ${rule.practice} |`,
    `| Severity | ${rule.severity} |`,
    `| Looks after | ${rule.on.flatMap(({ service, operations }: AnyRule['on'][number]) => operations.map((operation: string) => `\`${service}:${operation}\``)).join(', ')} |`,
    `| Reads | ${rule.check.map((call: AnyRule['check'][number]) => `\`${iamName(call)}\``).join(', ')} |`,
    `| Fix | ${rule.fix.length === 0 ? 'none' : rule.fix.map((call: AnyRule['fix'][number]) => `\`${iamName(call)}\``).join(', ')} |`,
    `| Parameters | ${parameters.join(', ')} |`,
  ].join('\n');
}

/** README's table of all rules. */
export function ruleTable(rules: readonly AnyRule[]): string {
  return [
    '| Rule | Practice | Severity | Broken when | Can remediate |',
    '|---|---|---|---|---|',
    ...rules.map(
      (rule) =>
        `| [${rule.id}](docs/rules/${rule.id}.md) | ${rule.practice} | ${rule.severity} | ${rule.title} | ${rule.fix.length > 0 ? 'yes' : 'no'} |`,
    ),
  ].join('\n');
}
