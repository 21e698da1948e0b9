import * as z from 'zod';
import {
  type FunctionConfiguration,
  getFunctionConfiguration,
  getLayerVersionByArn,
  listAliases,
  listTags,
  putLayers,
} from '../../aws/lambda.ts';
import { functionName, parseArn } from '../../guard/arn.ts';
import type { Handle } from '../../guard/call.ts';
import { type ApiEvent, text } from '../../guard/cloudtrail.ts';
import { errorKind, errorSummary, ifPresent, RetryLater } from '../../guard/errors.ts';
import { layerOwner } from '../../guard/layer-owners.ts';
import { type LiveConfiguration, lastModified, liveConfigurations } from '../../guard/live.ts';
import { cloudTrail, defineRule } from '../../guard/rule.ts';
import { functionSubject, type Subject } from '../../guard/subject.ts';

/** The function itself, whatever version or alias an event is about: the layers of all that run are one finding. */
function wholeFunction({ request, ...place }: ApiEvent): readonly Subject[] {
  const subject = functionSubject(text(request, 'functionName') ?? '', place, '$LATEST');
  return subject === undefined ? [] : [subject];
}

const check = [getFunctionConfiguration, listAliases, listTags, getLayerVersionByArn] as const;

const id = 'layer-foreign';

export const rule = defineRule({
  id,
  practice: 'deployments',
  severity: 'high',
  title: 'A function runs a layer of an account that nobody listed',
  on: [
    cloudTrail(
      'lambda',
      ['CreateFunction', 'UpdateFunctionConfiguration', 'DeleteFunction', 'CreateAlias', 'UpdateAlias', 'DeleteAlias'],
      wholeFunction,
    ),
  ],
  check,
  fix: [putLayers],
  undo: [putLayers],
  delay: 15,
  probation: true,
  params: z.object({
    accounts: z
      .string()
      .regex(/^$|^\d{12}(,\d{12})*$/, 'it takes account numbers, comma-separated and without spaces')
      .default('')
      .transform((list) => list.split(',').filter((account) => account !== ''))
      .describe('Accounts besides your own whose layers your functions may run: comma-separated numbers.'),
  }),

  async evaluate(subject, { aws, estate, params, now }) {
    const live = await liveConfigurations(aws, subject.arn);
    const [latest] = live ?? [];
    if (live === undefined || latest === undefined) {
      // Whoever is made under the same name later gets none of its layers.
      await estate.recordKept(id, subject.arn, { state: null, asOf: now });
      return { violations: [], compliant: [subject] };
    }
    const found = foreignIn(live, subject, params.accounts);
    if (!found.some(({ versions }) => versions.includes(latest.version)))
      await estate.recordKept(id, subject.arn, { state: layersOf(latest.configuration), asOf: lastModified(latest.configuration) });
    if (found.length === 0) return { violations: [], compliant: [subject] };
    const { Tags = {} } = (await ifPresent(aws.listTags({ Resource: subject.arn }))) ?? {};
    return { violations: [{ subject, summary: summaryOf(subject, found), evidence: { layers: found }, tags: Tags }], compliant: [] };
  },

  // The layers that a function has from then on are in the request, unless they stay as they are.
  tells({ operation, request, ...event }, { params }) {
    const { layers } = request;
    if (!/^(CreateFunction|UpdateFunctionConfiguration)$/.test(operation) || !Array.isArray(layers)) return [];
    const Layers = layers.filter((layer) => typeof layer === 'string').map((Arn) => ({ Arn }));
    return wholeFunction({ operation, request, ...event }).flatMap((subject) => {
      const found = foreignIn([{ version: '$LATEST', aliases: [], configuration: { Layers } }], subject, params.accounts);
      return found.length === 0 ? [] : [{ subject, summary: summaryOf(subject, found), evidence: { layers: found }, tags: {} }];
    });
  },

  distinguishes: ({ layers }) => layers,

  async plan({ subject }, { aws, estate, params, toShow }) {
    const live = (await liveConfigurations(aws, subject.arn)) ?? [];
    const found = foreignIn(live, subject, params.accounts);
    const remains = live.slice(1).flatMap(({ version, aliases }) => {
      const here = found.filter(({ versions }) => versions.includes(version));
      return here.length === 0
        ? []
        : [`version ${version}, which ${aliases.join(', ')} routes to (${here.map(({ layer }) => layer).join(', ')})`];
    });
    const latest = live[0]?.configuration;
    if (latest === undefined || !found.some(({ versions }) => versions.includes('$LATEST'))) {
      if (remains.length === 0) return { steps: [] };
      const refused = 'Only published versions run it, and a version cannot be changed: publish a new one and move its aliases.';
      return { steps: [], remains, refused };
    }
    if (!toShow && (latest.State === 'Pending' || latest.LastUpdateStatus === 'InProgress'))
      throw new RetryLater(`${subject.arn} is being updated`);
    const before = (await estate.kept(id, subject.arn))?.state as readonly string[] | null | undefined;
    if (before === undefined || before === null) {
      const refused = `Which layers ${functionName(subject.arn)} had before is not known: the guard never saw it without a foreign one.`;
      return { steps: [], remains, refused };
    }
    const { RevisionId } = latest;
    const step = {
      call: 'putLayers',
      input: { FunctionName: subject.arn, Layers: [...before], ...(RevisionId === undefined ? {} : { RevisionId }) },
      undo: [{ call: 'putLayers', input: { FunctionName: subject.arn, Layers: [...layersOf(latest)] } }],
    };
    const refused = await whyNotBack(before, layersOf(latest), subject, params.accounts, aws);
    return { steps: [step], remains, ...(refused === undefined ? {} : { refused }) };
  },

  async state(subject, { aws }) {
    const configuration = await ifPresent(aws.getFunctionConfiguration({ FunctionName: subject.arn }));
    return configuration === undefined ? undefined : { layers: layersOf(configuration) };
  },
});

function layersOf({ Layers = [] }: FunctionConfiguration): readonly string[] {
  return Layers.flatMap(({ Arn }) => Arn ?? []);
}

/** A layer whose owner is on no list, and what runs it. */
interface ForeignLayer {
  readonly layer: string;
  readonly account: string;
  readonly versions: readonly string[];
}

function foreignIn(
  live: readonly LiveConfiguration<FunctionConfiguration>[],
  place: Subject,
  accounts: readonly string[],
): readonly ForeignLayer[] {
  const found = new Map<string, ForeignLayer>();
  for (const { version, configuration } of live) {
    for (const layer of layersOf(configuration)) {
      if (!isForeign(layer, place, accounts)) continue;
      const { account = '' } = parseArn(layer) ?? {};
      found.set(layer, { layer, account, versions: [...(found.get(layer)?.versions ?? []), version] });
    }
  }
  return [...found.values()];
}

function isForeign(layer: string, place: Subject, accounts: readonly string[]): boolean {
  const { account = '', region = '' } = parseArn(layer) ?? {};
  return account !== place.account && !accounts.includes(account) && layerOwner(account, region) === undefined;
}

function summaryOf({ arn }: Subject, found: readonly ForeignLayer[]): string {
  const owners = [...new Set(found.map(({ account }) => account))];
  const layers = found.map(({ layer, versions }) => `${layer} in ${versions.join(', ')}`);
  const [whose, them] =
    owners.length === 1 ? [`account ${owners[0]}`, 'that account'] : [`the accounts ${owners.join(', ')}`, 'these accounts'];
  return `${functionName(arn)} runs code of ${whose} from a layer (${layers.join('; ')}), with its own role and variables, and nobody listed ${them}.`;
}

/** Why the layers of before cannot come back: one is foreign by now, or cannot be attached any more. */
async function whyNotBack(
  before: readonly string[],
  current: readonly string[],
  place: Subject,
  accounts: readonly string[],
  aws: Pick<Handle<typeof check>, 'getLayerVersionByArn'>,
): Promise<string | undefined> {
  for (const layer of before) {
    if (isForeign(layer, place, accounts)) return `${layer}, which it had before, is foreign as well.`;
    if (current.includes(layer)) continue;
    try {
      if ((await ifPresent(aws.getLayerVersionByArn({ Arn: layer }))) === undefined) return `${layer}, which it had before, is gone.`;
    } catch (error) {
      if (errorKind(error) === 'passing') throw error;
      return `${layer}, which it had before, may not be read any more (${errorSummary(error)}).`;
    }
  }
  return undefined;
}
