import type { Estate } from './estate.ts';
import { type LiveConfiguration, lastModified, liveConfigurations } from './live.ts';
import type { Subject } from './subject.ts';

/** What a function's configuration tells of its role. */
interface Configuration {
  readonly LastModified?: string | undefined;
  readonly Role?: string | undefined;
}

/** Which roles a function runs with, $LATEST and every version that an alias routes to taken together. */
export interface RolesUsed<C extends Configuration> {
  /** Everything of the function that runs; undefined where the function is gone. */
  readonly live: readonly LiveConfiguration<C>[] | undefined;
  /** Roles that it ran with until now. */
  readonly left: readonly string[];
  /** A newer observation of it is in the index already. */
  readonly stale: boolean;
}

/**
 * Reads which roles a function runs with, and keeps the index of roles true. Every rule that asks by functions does it, so
 * that the index is there whichever of them are switched on; for one message it is read and recorded once.
 */
export async function rolesUsed<C extends Configuration>(
  aws: Parameters<typeof liveConfigurations<C>>[0],
  { arn }: Subject,
  { estate, now }: { readonly estate: Estate; readonly now: number },
): Promise<RolesUsed<C>> {
  const live = await liveConfigurations(aws, arn);
  const [current, ...versions] = live ?? [];
  if (current === undefined) return { live, stale: false, ...(await estate.forgetRoles(arn, now)) };
  const liveRoles = versions.flatMap(({ configuration: { Role } }) => Role ?? []);
  const { Role: role = '' } = current.configuration;
  return { live, ...(await estate.recordRoles({ function: arn, asOf: lastModified(current.configuration), role, liveRoles })) };
}
