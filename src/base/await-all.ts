/**
 * The values of all, or the first rejection, as `Promise.all`; but only when every one has settled: what is cancelled has
 * removed its temporary files and let go of its locks before the caller goes on.
 */
export async function awaitAll<T>(work: Iterable<T | PromiseLike<T>>): Promise<T[]> {
  const all = [...work].map(async (each) => await each);
  const first = Promise.all(all);
  // Taken note of here, thrown below.
  first.catch(() => undefined);
  await Promise.allSettled(all);
  return await first;
}
