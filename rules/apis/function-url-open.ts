import * as z from 'zod';
import {
  addPermission,
  deleteResourcePolicy,
  getFunctionUrlConfig,
  getPolicy,
  getResourcePolicy,
  listFunctionUrlConfigs,
  listTags,
  putResourcePolicy,
  removePermission,
  restoreResourcePolicy,
  updateFunctionUrlConfig,
} from '../../aws/lambda.ts';
import { functionArn, qualifiedName, qualifierOf } from '../../guard/arn.ts';
import type { Handle } from '../../guard/call.ts';
import { type ApiEvent, text } from '../../guard/cloudtrail.ts';
import { ifPresent } from '../../guard/errors.ts';
import { publicUrlStatements, type Trust } from '../../guard/policy-document.ts';
import { policyFix, type ReadPolicy } from '../../guard/policy-edit.ts';
import { type CallStep, cloudTrail, defineRule } from '../../guard/rule.ts';
import { functionSubject, type Subject } from '../../guard/subject.ts';

/**
 * The function or alias that an event names: URLs and policies exist for each qualifier by itself. A version has no URL, and
 * Lambda takes no question about one. https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionUrlConfig.html (Qualifier)
 */
function qualifiedFunction({ request, ...place }: ApiEvent): readonly Subject[] {
  const name = text(request, 'functionName') ?? text(request, 'resourceArn') ?? '';
  const subject = functionSubject(name, place, text(request, 'qualifier') ?? text(request, 'name'));
  return subject === undefined || /^\d+$/.test(qualifierOf(subject.arn) ?? '') ? [] : [subject];
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
  check: [getFunctionUrlConfig, getPolicy, listTags, listFunctionUrlConfigs, getResourcePolicy],
  fix: [updateFunctionUrlConfig, removePermission, putResourcePolicy, deleteResourcePolicy],
  undo: [updateFunctionUrlConfig, addPermission, restoreResourcePolicy],
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

  tells(event) {
    const authType = text(event.response, 'authType') ?? text(event.request, 'authType');
    if (!/^(Create|Update)FunctionUrlConfig$/.test(event.operation) || authType !== 'NONE') return [];
    const evidence = { url: text(event.response, 'functionUrl') ?? '', authType };
    return qualifiedFunction(event).map((subject) => ({ subject, summary: summaryOf(subject, true, false), evidence, tags: {} }));
  },

  async plan({ subject }, { aws }) {
    const target = qualifiedName(subject.arn);
    const { url, statements } = await look(subject, aws);
    const close: CallStep = {
      call: 'updateFunctionUrlConfig',
      input: { ...target, AuthType: 'AWS_IAM' },
      undo: [{ call: 'updateFunctionUrlConfig', input: { ...target, AuthType: 'NONE' } }],
    };
    const closing = url?.AuthType === 'NONE' ? [close] : [];
    // Last first, so that undo, which goes backwards, puts them back in their old order.
    const removals = statements.toReversed().flatMap(({ sid, addPermission: parameters }) => {
      const named = { ...target, StatementId: sid };
      const back = { call: 'addPermission', input: { ...named, ...parameters } };
      return parameters === undefined ? [] : [{ call: 'removePermission', input: named, undo: [back] }];
    });
    if (removals.length === statements.length) return { steps: [...closing, ...removals] };
    // AddPermission could not put one of them back as it was: the document is edited.
    const policy: ReadPolicy = (await ifPresent(aws.getResourcePolicy({ ResourceArn: subject.arn }))) ?? {};
    const { steps, ...refused } = policyFix(subject, policy, publicUrlStatements(policy.Policy, trustOf(subject)), trustOf(subject));
    return { steps: [...closing, ...steps], ...refused };
  },

  async state(subject, { aws }) {
    const { url, statements } = await look(subject, aws);
    return { authType: url?.AuthType, statements: statements.map(({ sid }) => sid) };
  },
});

/** URL and public URL grants of one qualifier as they are now. */
async function look(subject: Subject, aws: Reader) {
  const url = await ifPresent(aws.getFunctionUrlConfig(qualifiedName(subject.arn)));
  const policy = await ifPresent(aws.getPolicy(qualifiedName(subject.arn)));
  return { url, statements: publicUrlStatements(policy?.Policy, trustOf(subject)) };
}

/** What names an account or an organization is not open to everyone; whether it is open is a matter of function-policy-open. */
function trustOf({ account }: Subject): Trust {
  return { account, trustedAccounts: [] };
}

type Reader = Handle<[typeof getFunctionUrlConfig, typeof getPolicy]>;

function summaryOf({ arn }: Subject, open: boolean, granted: boolean): string {
  if (!open)
    return `The policy of ${arn} lets anyone invoke it through a public function URL, which it does not have (any more): the next one would be open at once.`;
  if (granted) return `Anyone on the internet can invoke ${arn} through its function URL, which asks for no authorization.`;
  return `The function URL of ${arn} asks for no authorization: anyone on the internet can invoke it as soon as its policy lets everyone through.`;
}
