import * as z from 'zod';
import { addPermission, getFunctionUrlConfig, getPolicy, listFunctionUrlConfigs, listTags, removePermission, updateFunctionUrlConfig } from '../../aws/lambda.ts';
import { functionArn, qualifierOf } from '../../guard/arn.ts';
import type { ApiEvent } from '../../guard/cloudtrail.ts';
import { text } from '../../guard/cloudtrail.ts';
import { ifPresent } from '../../guard/errors.ts';
import { publicUrlStatements } from '../../guard/policy-document.ts';
import { cloudTrail, defineRule } from '../../guard/rule.ts';
import { functionSubject } from '../../guard/subject.ts';

/** The function or alias that an event names: URLs and policies exist for each qualifier by itself. */
function qualifiedFunction({ request, ...place }: ApiEvent) {
  const subject = functionSubject(text(request, 'functionName') ?? '', place, text(request, 'qualifier'));
  return subject === undefined ? [] : [subject];
}

export const rule = defineRule({
  id: 'function-url-open',
  practice: 'apis',
  severity: 'high',
  title: 'A function URL lets anyone on the internet invoke the function',
  on: [
    cloudTrail(
      'lambda',
      ['CreateFunctionUrlConfig', 'UpdateFunctionUrlConfig', 'DeleteFunctionUrlConfig', 'AddPermission', 'RemovePermission', 'DeleteFunction'],
      qualifiedFunction,
    ),
  ],
  check: [getFunctionUrlConfig, getPolicy, listTags, listFunctionUrlConfigs],
  fix: [updateFunctionUrlConfig, removePermission],
  undo: [updateFunctionUrlConfig, addPermission],
  delay: 0,
  probation: false,
  params: z.object({}),

  async sweep(subject, { aws }) {
    const urls = await aws.listFunctionUrlConfigs({ FunctionName: subject.arn });
    return [subject, ...urls.flatMap(({ FunctionArn = '' }) => (qualifierOf(FunctionArn) === undefined ? [] : [{ ...subject, arn: FunctionArn }]))];
  },

  // Since October 2025 a public URL takes two statements, and they outlive it: either may come first, and closing the
  // URL alone leaves grants to everyone behind. https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
  async evaluate(subject, { aws }) {
    const url = await ifPresent(aws.getFunctionUrlConfig(named(subject.arn)));
    const policy = await ifPresent(aws.getPolicy(named(subject.arn)));
    const statements = publicUrlStatements(policy?.Policy);
    const open = url?.AuthType === 'NONE';
    if (!open && statements.length === 0) return { violations: [], compliant: [subject] };
    const { Tags = {} } = (await ifPresent(aws.listTags({ Resource: functionArn(subject.arn, subject) ?? subject.arn }))) ?? {};
    const summary = open
      ? `Anyone on the internet can invoke ${subject.arn} through its function URL, which asks for no authorization.`
      : `The policy of ${subject.arn} still lets anyone invoke it through a function URL: the grants outlived the URL or came before it.`;
    const evidence = { url: url?.FunctionUrl, authType: url?.AuthType, statements: statements.map(({ sid }) => sid) };
    return { violations: [{ subject, summary, evidence, tags: Tags, ...(open ? {} : { severity: 'medium' as const }) }], compliant: [] };
  },

  async plan({ subject }, { aws }) {
    const target = named(subject.arn);
    const url = await ifPresent(aws.getFunctionUrlConfig(target));
    const policy = await ifPresent(aws.getPolicy(target));
    const statements = publicUrlStatements(policy?.Policy);
    const unexpressible = statements.find(({ addPermission: input }) => input === undefined);
    const close =
      url?.AuthType === 'NONE'
        ? [
            {
              call: 'updateFunctionUrlConfig',
              input: { ...target, AuthType: 'AWS_IAM' },
              undo: [{ call: 'updateFunctionUrlConfig', input: { ...target, AuthType: 'NONE' } }],
            },
          ]
        : [];
    const steps = [
      ...close,
      ...statements.flatMap(({ sid, addPermission: input }) =>
        input === undefined
          ? []
          : [
              {
                call: 'removePermission',
                input: { ...target, StatementId: sid },
                undo: [{ call: 'addPermission', input: { ...target, StatementId: sid, ...input } }],
              },
            ],
      ),
    ];
    if (unexpressible === undefined) return { steps };
    return { steps, refused: `The public statement ${unexpressible.sid} could not be added back as it is: it carries conditions that AddPermission does not know.` };
  },
});

function named(arn: string): { FunctionName: string; Qualifier?: string } {
  const Qualifier = qualifierOf(arn);
  return Qualifier === undefined ? { FunctionName: arn } : { FunctionName: arn.slice(0, -Qualifier.length - 1), Qualifier };
}
