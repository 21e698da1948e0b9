import * as z from 'zod';
import {
  deleteResourcePolicy,
  getPolicy,
  getResourcePolicy,
  listAliases,
  listTags,
  putResourcePolicy,
  removePermission,
  restoreResourcePolicy,
  versionsPage,
} from '../../aws/lambda.ts';
import { functionArn, matchesGlob, qualifiedName } from '../../guard/arn.ts';
import { type ApiEvent, text } from '../../guard/cloudtrail.ts';
import { ifPresent } from '../../guard/errors.ts';
import { type Caller, isOfPublicUrl, PolicyUnreadable, type PublicGrant, publicGrants, type Trust } from '../../guard/policy-document.ts';
import { policyFix } from '../../guard/policy-edit.ts';
import { cloudTrail, defineRule, listing, type Violation } from '../../guard/rule.ts';
import { functionSubject, type Subject } from '../../guard/subject.ts';

/** The function, version or alias that an event names: each has a policy of its own. */
function qualifiedFunction({ request, ...place }: ApiEvent): readonly Subject[] {
  const name = text(request, 'functionName') ?? text(request, 'resourceArn') ?? '';
  const subject = functionSubject(name, place, text(request, 'qualifier') ?? text(request, 'name'));
  return subject === undefined ? [] : [subject];
}

export const rule = defineRule({
  id: 'function-policy-open',
  practice: 'apis',
  severity: 'critical',
  title: "A function's policy lets somebody outside use it",
  on: [
    cloudTrail(
      'lambda',
      ['AddPermission', 'RemovePermission', 'PutResourcePolicy', 'DeleteResourcePolicy', 'DeleteAlias', 'DeleteFunction'],
      qualifiedFunction,
    ),
  ],
  check: [getPolicy, listTags, getResourcePolicy, listAliases],
  fix: [removePermission, putResourcePolicy, deleteResourcePolicy],
  undo: [restoreResourcePolicy],
  delay: 0,
  probation: false,
  params: z.object({
    trustedAccounts: z
      .string()
      .regex(/^(\d{12}(,\d{12})*)?$/)
      .default('')
      .describe('Ids of accounts, comma-separated, that may be let in besides the own one.'),
    organization: z
      .string()
      .regex(/^(o-[a-z0-9]{10,32})?$/)
      .default('')
      .describe('The id of the organization (o-…) whose members may be let in; empty, a policy that names one is not understood.'),
  }),

  // No call lists policies. A version's is looked at by itself: every one that was ever published may be invoked by its number.
  async sweep(subject, { aws }) {
    const aliases = (await ifPresent(aws.listAliases({ FunctionName: subject.arn }))) ?? [];
    return [subject, ...aliases.flatMap(({ AliasArn }) => (AliasArn === undefined ? [] : [{ ...subject, arn: AliasArn }]))];
  },
  list: listing([versionsPage], async function* (place, aws) {
    let Marker: string | undefined;
    do {
      const { arns, next } = await aws.versionsPage({ Marker });
      yield arns.flatMap((arn) => functionSubject(arn, place) ?? []);
      Marker = next;
    } while (Marker !== undefined && Marker !== '');
  }),

  distinguishes: ({ statements }) => statements,

  async evaluate(subject, { aws, params }) {
    const policy = await ifPresent(aws.getPolicy(qualifiedName(subject.arn)));
    const { grants, doubts } = publicGrants(policy?.Policy, trustOf(subject, params));
    const open = grants.filter((grant) => !isOfPublicUrl(grant));
    if (open.length === 0 && doubts.length > 0) throw new PolicyUnreadable(`not understood: ${doubts.join(', ')}`);
    if (open.length === 0) return { violations: [], compliant: [subject] };
    const { Tags = {} } = (await ifPresent(aws.listTags({ Resource: functionArn(subject.arn, subject) ?? subject.arn }))) ?? {};
    return { violations: [violationOf(subject, open, doubts, Tags)], compliant: [] };
  },

  // AddPermission tells of the statement that it made.
  tells(event, { params }) {
    const statement = text(event.response, 'statement');
    if (event.operation !== 'AddPermission' || statement === undefined) return [];
    return qualifiedFunction(event).flatMap((subject) => {
      const { grants, doubts } = publicGrants(`{"Version":"2012-10-17","Statement":[${statement}]}`, trustOf(subject, params));
      const open = grants.filter((grant) => !isOfPublicUrl(grant));
      return open.length === 0 ? [] : [violationOf(subject, open, doubts, {})];
    });
  },

  async plan({ subject }, { aws, params }) {
    const policy = await ifPresent(aws.getResourcePolicy({ ResourceArn: subject.arn }));
    if (policy === undefined) return { steps: [] };
    const trust = trustOf(subject, params);
    const { grants } = publicGrants(policy.Policy, trust);
    const open = grants.filter((grant) => !isOfPublicUrl(grant));
    return policyFix(subject, policy, open, trust);
  },

  async state(subject, { aws }) {
    const policy = await ifPresent(aws.getPolicy(qualifiedName(subject.arn)));
    return policy?.Policy === undefined ? undefined : JSON.parse(policy.Policy);
  },
});

function trustOf({ account }: Subject, params: { readonly trustedAccounts: string; readonly organization: string }): Trust {
  const { trustedAccounts, organization } = params;
  return {
    account,
    trustedAccounts: trustedAccounts.split(',').filter((id) => id !== ''),
    organization: organization === '' ? undefined : organization,
  };
}

function violationOf(
  subject: Subject,
  open: readonly PublicGrant[],
  unclear: readonly string[],
  tags: Readonly<Record<string, string>>,
): Violation {
  const statements = open.map((grant) => ({ statement: grant.sid, outsiders: grant.outsiders.map(nameOf), may: rightsOf(grant) }));
  const violation = { subject, summary: summaryOf(subject, open), evidence: { statements, unclear }, tags };
  return open.every(isTrigger) ? { ...violation, severity: 'high' } : violation;
}

/** A service that may invoke, on behalf of whoever tells it to. */
function isTrigger(grant: PublicGrant): boolean {
  return grant.outsiders.every(({ kind }) => kind === 'Service') && rightsOf(grant).join() === 'invoke it';
}

/**
 * What the actions of a policy are good for. Lambda takes more of them in a policy than these.
 * https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html (Supported API actions)
 */
const rights = [
  ['change what runs', ['UpdateFunctionCode', 'PublishVersion', 'CreateAlias', 'UpdateAlias', 'DeleteAlias', 'DeleteFunction']],
  // All of these show the environment variables, GetFunction the code as well.
  ['read its code or its variables', ['GetFunction', 'GetFunctionConfiguration', 'ListVersionsByFunction']],
  ['invoke it', ['InvokeFunction', 'InvokeAsync', 'InvokeFunctionUrl']],
] as const;

function rightsOf({ statement: { Action, NotAction = [] } }: PublicGrant): readonly string[] {
  const among = (action: string, patterns: readonly string[]) =>
    patterns.some((pattern) => matchesGlob(`lambda:${action}`.toLowerCase(), pattern.toLowerCase()));
  const granted = (action: string) => (Action === undefined ? !among(action, NotAction) : among(action, Action));
  const found = rights.flatMap(([what, actions]) => (actions.some(granted) ? [what] : []));
  const known = rights.flatMap(([, actions]) => actions.map((action) => `lambda:${action}`.toLowerCase()));
  const more = (Action ?? []).filter((pattern) => !known.some((action) => matchesGlob(action, pattern.toLowerCase())));
  return [...found, ...more];
}

function nameOf({ kind, value }: Caller): string {
  if (value === '*' && kind !== 'Service') return 'everyone';
  return kind === 'AWS' ? value : `${kind} ${value}`;
}

function summaryOf({ arn }: Subject, grants: readonly PublicGrant[]): string {
  const sentences = grants.map((grant) => {
    const who = [...new Set(grant.outsiders.map(spoken))].join(', ');
    return `${who} ${rightsOf(grant).join(', ')}`;
  });
  const [first, ...more] = [...new Set(sentences)];
  return `The policy of ${arn} lets ${first}${more.length === 0 ? '' : `, and ${more.length} more of the kind`}.`;
}

function spoken(caller: Caller): string {
  return caller.kind === 'Service' ? `${caller.value}, on behalf of any account,` : nameOf(caller);
}
