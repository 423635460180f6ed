import { awaitAll, ok, type Result } from '../base/index.ts';

/** Waits for all; the values, or the first failure in order. */
export async function allOk<T>(work: readonly Promise<Result<T>>[]): Promise<Result<T[]>> {
  const values: T[] = [];
  for (const result of await awaitAll(work)) {
    if (!result.ok) return result;
    values.push(result.value);
  }
  return ok(values);
}
