/** Calls of one kind group that run at once (dispatcher §8.4). */
export const APPLY_CONCURRENCY = 8;

/**
 * Calls `work` for every item, at most `limit` at a time, and resolves when all have ended. The first rejection stops new calls; it is
 * thrown after the running ones have ended.
 */
export async function concurrently<T>(
  items: readonly T[],
  work: (item: T) => Promise<void>,
  limit = APPLY_CONCURRENCY,
): Promise<void> {
  let next = 0;
  let failure: { readonly error: unknown } | undefined;
  const lane = async (): Promise<void> => {
    while (failure === undefined && next < items.length) {
      const item = items[next++] as T;
      try {
        await work(item);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
  if (failure !== undefined) throw failure.error;
}
