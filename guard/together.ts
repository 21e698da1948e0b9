/**
 * What several pieces of work yield that wait for AWS side by side. Where one fails the others are waited for all the same: nothing goes on behind
 * the back of whoever asked.
 * @throws what the first of them that failed threw, in the order in which they are given
 */
export async function together<const Work extends readonly Promise<unknown>[]>(
  ...work: Work
): Promise<{ -readonly [Index in keyof Work]: Awaited<Work[Index]> }> {
  await Promise.allSettled(work);
  return await Promise.all(work);
}
