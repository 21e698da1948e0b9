import { errorKind, RetryLater } from './errors.ts';
import { type LiveConfiguration, liveConfigurations } from './live.ts';

/** What a function's configuration tells of its variables. */
interface Configuration {
  readonly Environment?:
    | {
        readonly Variables?: Readonly<Record<string, string>> | undefined;
        readonly Error?: { readonly ErrorCode?: string | undefined } | undefined;
      }
    | undefined;
}

/**
 * What runs of a function, with its variables in the clear; undefined where the function is gone.
 * @throws EnvironmentUnreadable where the variables of any of it cannot be decrypted: what they hold is then unknown
 */
export async function liveWithVariables<C extends Configuration>(
  aws: Parameters<typeof liveConfigurations<C>>[0],
  arn: string,
): Promise<readonly LiveConfiguration<C>[] | undefined> {
  const configurations = await liveConfigurations(aws, arn);
  for (const { configuration, version } of configurations ?? []) {
    const code = configuration.Environment?.Error?.ErrorCode;
    if (configuration.Environment?.Error === undefined) continue;
    if (code !== undefined && errorKind({ name: code }) === 'passing')
      throw new RetryLater(`the variables of ${arn} could not be decrypted now (${code})`);
    throw new EnvironmentUnreadable(`the variables of ${arn}, version ${version}, cannot be decrypted (${code ?? 'no reason given'})`);
  }
  return configurations;
}

class EnvironmentUnreadable extends Error {
  override readonly name = 'EnvironmentUnreadable';
}
