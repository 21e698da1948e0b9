import * as z from 'zod';
import {
  addPermission,
  getFunctionUrlConfig,
  getPolicy,
  listFunctionUrlConfigs,
  listTags,
  removePermission,
  updateFunctionUrlConfig,
} from '../../aws/lambda.ts';
import { functionArn, qualifierOf } from '../../guard/arn.ts';
import type { Handle } from '../../guard/call.ts';
import { type ApiEvent, text } from '../../guard/cloudtrail.ts';
import { ifPresent } from '../../guard/errors.ts';
import { publicUrlStatements } from '../../guard/policy-document.ts';
import { cloudTrail, defineRule } from '../../guard/rule.ts';
import { functionSubject, type Subject } from '../../guard/subject.ts';

/** The function or alias that an event names: URLs and policies exist for each qualifier by itself. */
function qualifiedFunction({ request, ...place }: ApiEvent): readonly Subject[] {
  const name = text(request, 'functionName') ?? text(request, 'resourceArn') ?? '';
  const subject = functionSubject(name, place, text(request, 'qualifier') ?? text(request, 'name'));
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
      [
        'CreateFunctionUrlConfig',
        'UpdateFunctionUrlConfig',
        'DeleteFunctionUrlConfig',
        'AddPermission',
        'RemovePermission',
        'PutResourcePolicy',
        'DeleteResourcePolicy',
        'DeleteAlias',
        'DeleteFunction',
      ],
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
    const urls = (await ifPresent(aws.listFunctionUrlConfigs({ FunctionName: subject.arn }))) ?? [];
    const onAliases = urls.flatMap(({ FunctionArn = '' }) =>
      qualifierOf(FunctionArn) === undefined ? [] : [{ ...subject, arn: FunctionArn }],
    );
    return [subject, ...onAliases];
  },

  // Since October 2025 a public URL takes two statements, and they outlive it: either may come first, and closing the
  // URL alone leaves grants to everyone behind. https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
  async evaluate(subject, { aws }) {
    const { url, statements } = await look(subject, aws);
    const open = url?.AuthType === 'NONE';
    if (!open && statements.length === 0) return { violations: [], compliant: [subject] };
    const { Tags = {} } = (await ifPresent(aws.listTags({ Resource: functionArn(subject.arn, subject) ?? subject.arn }))) ?? {};
    const evidence = {
      ...(url === undefined ? {} : { url: url.FunctionUrl, authType: url.AuthType }),
      statements: statements.map(({ sid }) => sid),
    };
    const violation = { subject, summary: summaryOf(subject, open, statements.length > 0), evidence, tags: Tags };
    return { violations: [open ? violation : { ...violation, severity: 'medium' }], compliant: [] };
  },

  async plan({ subject }, { aws }) {
    const target = named(subject.arn);
    const { url, statements } = await look(subject, aws);
    const close = {
      call: 'updateFunctionUrlConfig',
      input: { ...target, AuthType: 'AWS_IAM' },
      undo: [{ call: 'updateFunctionUrlConfig', input: { ...target, AuthType: 'NONE' } }],
    };
    // Last first, so that undo, which goes backwards, puts them back in their old order.
    const removals = statements.toReversed().flatMap(({ sid, addPermission: parameters }) =>
      parameters === undefined
        ? []
        : [
            {
              call: 'removePermission',
              input: { ...target, StatementId: sid },
              undo: [{ call: 'addPermission', input: { ...target, StatementId: sid, ...parameters } }],
            },
          ],
    );
    const steps = [...(url?.AuthType === 'NONE' ? [close] : []), ...removals];
    const stranger = statements.find(({ addPermission: parameters }) => parameters === undefined);
    if (stranger === undefined) return { steps };
    const which = stranger.sid === '' ? 'a public statement that has no Sid' : `the public statement ${stranger.sid}`;
    return {
      steps,
      refused: `The policy of ${subject.arn} holds ${which} and that AddPermission could not put back as it was: edit the policy by hand.`,
    };
  },

  async state(subject, { aws }) {
    const { url, statements } = await look(subject, aws);
    return { authType: url?.AuthType, statements: statements.map(({ sid }) => sid) };
  },
});

/** URL and public URL grants of one qualifier as they are now. */
async function look(subject: Subject, aws: Reader) {
  const url = await ifPresent(aws.getFunctionUrlConfig(named(subject.arn)));
  const policy = await ifPresent(aws.getPolicy(named(subject.arn)));
  return { url, statements: publicUrlStatements(policy?.Policy) };
}

type Reader = Handle<[typeof getFunctionUrlConfig, typeof getPolicy]>;

function summaryOf({ arn }: Subject, open: boolean, granted: boolean): string {
  if (!open)
    return `The policy of ${arn} lets anyone invoke it through a public function URL, which it does not have (any more): the next one would be open at once.`;
  if (granted) return `Anyone on the internet can invoke ${arn} through its function URL, which asks for no authorization.`;
  return `The function URL of ${arn} asks for no authorization: anyone on the internet can invoke it as soon as its policy lets everyone through.`;
}

function named(arn: string): { FunctionName: string; Qualifier?: string } {
  const Qualifier = qualifierOf(arn);
  return Qualifier === undefined ? { FunctionName: arn } : { FunctionName: arn.slice(0, -Qualifier.length - 1), Qualifier };
}
