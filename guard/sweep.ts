import type { Ports } from './ports.ts';
import { functionSubject, type Subject } from './subject.ts';

/** A message on a checker's sweep queue: one function to look at. */
export interface SweepMessage {
  readonly sweep: string;
  readonly subject: Subject;
}

/**
 * Lists the estate and sends one message a function to every checker; functions that the ledger still knows and the
 * account no longer has are sent too, so that their indexes and findings end.
 * @returns how many functions were sent
 */
export async function sweep(
  id: string,
  pages: AsyncIterable<readonly { readonly FunctionArn?: string | undefined }[]>,
  send: (messages: readonly SweepMessage[]) => Promise<void>,
  { ledger, config, now }: Pick<Ports, 'ledger' | 'config' | 'now'>,
): Promise<number> {
  await ledger.recordSweep(id, now());
  const seen = new Set<string>();
  const sendAll = async (arns: readonly string[]) => {
    const fresh = arns.filter((arn) => !seen.has(arn));
    for (const arn of fresh) seen.add(arn);
    const messages = fresh.flatMap((arn) => {
      const subject = functionSubject(arn, config.home);
      return subject === undefined ? [] : [{ sweep: id, subject }];
    });
    if (messages.length > 0) await send(messages);
  };
  for await (const page of pages) await sendAll(page.flatMap(({ FunctionArn }) => (FunctionArn === undefined ? [] : [FunctionArn])));
  for await (const arn of ledger.functionsRecorded()) await sendAll([arn]);
  return seen.size;
}
