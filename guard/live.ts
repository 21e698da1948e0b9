import { ifPresent } from './errors.ts';

/** What an alias routes to, as Lambda answers. */
interface Alias {
  readonly Name?: string | undefined;
  readonly FunctionVersion?: string | undefined;
  readonly RoutingConfig?: { readonly AdditionalVersionWeights?: Readonly<Record<string, number>> | undefined } | undefined;
}

interface Reader<Configuration> {
  getFunctionConfiguration(input: { FunctionName: string; Qualifier?: string }): Promise<Configuration>;
  listAliases(input: { FunctionName: string }): Promise<readonly Alias[]>;
}

/** A configuration that runs: $LATEST, or a published version that an alias routes to. */
export interface LiveConfiguration<Configuration> {
  readonly version: '$LATEST' | (string & {});
  /** The aliases that route to it. */
  readonly aliases: readonly string[];
  readonly configuration: Configuration;
}

/**
 * Everything of a function that runs: $LATEST first, then every version that an alias routes to (role, environment
 * and network are frozen in a version when it is published). Two reads, and one more for each routed version.
 * Undefined where the function is gone.
 */
export async function liveConfigurations<Configuration>(
  aws: Reader<Configuration>,
  functionArn: string,
): Promise<readonly LiveConfiguration<Configuration>[] | undefined> {
  const latest = await ifPresent(aws.getFunctionConfiguration({ FunctionName: functionArn }));
  if (latest === undefined) return undefined;
  const aliases = (await ifPresent(aws.listAliases({ FunctionName: functionArn }))) ?? [];
  const live: LiveConfiguration<Configuration>[] = [{ version: '$LATEST', aliases: [], configuration: latest }];
  for (const [version, names] of routedVersions(aliases)) {
    const configuration = await ifPresent(aws.getFunctionConfiguration({ FunctionName: functionArn, Qualifier: version }));
    if (configuration !== undefined) live.push({ version, aliases: names, configuration });
  }
  return live;
}

/** Version → names of the aliases that route to it, the weighted ones too; $LATEST is left out. */
export function routedVersions(aliases: readonly Alias[]): ReadonlyMap<string, readonly string[]> {
  const routed = new Map<string, string[]>();
  for (const { Name = '', FunctionVersion, RoutingConfig } of aliases) {
    for (const version of [FunctionVersion, ...Object.keys(RoutingConfig?.AdditionalVersionWeights ?? {})]) {
      if (version === undefined || version === '$LATEST') continue;
      routed.set(version, [...(routed.get(version) ?? []), Name]);
    }
  }
  return routed;
}

/** Lambda's LastModified (`2026-11-22T18:00:00.000+0000`) in milliseconds. */
export function lastModified(configuration: { readonly LastModified?: string | undefined }): number {
  return Date.parse((configuration.LastModified ?? '').replace(/([+-]\d{2})(\d{2})$/, '$1:$2')) || 0;
}
