import { functionArn } from './arn.ts';
import { type ApiEvent, text } from './cloudtrail.ts';
import type { Estate } from './estate.ts';
import { type LiveConfiguration, lastModified, liveConfigurations } from './live.ts';
import { cloudTrail, type Trigger } from './rule.ts';
import { functionSubject, type Subject } from './subject.ts';

/** The events after which a function, or a version of it that runs, may be elsewhere in the network. */
export function placed(): Trigger {
  return cloudTrail(
    'lambda',
    ['CreateFunction', 'UpdateFunctionConfiguration', 'DeleteFunction', 'CreateAlias', 'UpdateAlias', 'DeleteAlias'],
    placedFunction,
  );
}

/** The function itself, whatever version or alias an event is about. */
function placedFunction({ request, ...place }: ApiEvent): readonly Subject[] {
  const subject = functionSubject(functionArn(text(request, 'functionName') ?? '', place) ?? '', place);
  return subject === undefined ? [] : [subject];
}

/** What a function's configuration tells of its network. */
interface Configuration {
  readonly LastModified?: string | undefined;
  readonly VpcConfig?:
    | { readonly SubnetIds?: readonly string[] | undefined; readonly SecurityGroupIds?: readonly string[] | undefined }
    | undefined;
}

/** Where a function is in the network, $LATEST and every version that an alias routes to taken together. */
export interface Placement<C extends Configuration> {
  /** Everything of the function that runs; undefined where the function is gone. */
  readonly live: readonly LiveConfiguration<C>[] | undefined;
  readonly groups: readonly string[];
  readonly subnets: readonly string[];
  /** Groups and subnets that it was in until now. */
  readonly left: readonly string[];
  /** A newer observation of it is in the index already. */
  readonly stale: boolean;
}

/**
 * Reads where a function is, and keeps the index of groups and subnets true. Every rule that asks by functions does it, so
 * that the index is there whichever of them are switched on; for one message it is read and recorded once.
 */
export async function placementOf<C extends Configuration>(
  aws: Parameters<typeof liveConfigurations<C>>[0],
  { arn }: Subject,
  { estate, now }: { readonly estate: Estate; readonly now: number },
): Promise<Placement<C>> {
  const live = await liveConfigurations(aws, arn);
  if (live === undefined) return { live, groups: [], subnets: [], stale: false, ...(await estate.forgetNetwork(arn, now)) };
  const used = (ids: 'SecurityGroupIds' | 'SubnetIds') => [
    ...new Set(live.flatMap(({ configuration }) => configuration.VpcConfig?.[ids] ?? [])),
  ];
  const [groups, subnets] = [used('SecurityGroupIds'), used('SubnetIds')];
  const asOf = lastModified(live[0]?.configuration ?? {});
  return { live, groups, subnets, ...(await estate.recordNetwork({ function: arn, asOf, groups, subnets })) };
}

/** Those of some groups or subnets (by their ids) that no function is in. */
export async function withoutFunctions(places: readonly string[], estate: Estate): Promise<readonly string[]> {
  const free: string[] = [];
  for (const place of places) if ((await estate.functionsIn(place)).length === 0) free.push(place);
  return free;
}
