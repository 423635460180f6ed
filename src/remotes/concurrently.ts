import { ok, type Result, Semaphore } from '../base/index.ts';

/** Transfers at once. */
const PARALLEL = 4;

/** Does the same for each item, several at once; the first failure stops those that have not begun. */
export async function concurrently<T, R>(
  items: readonly T[],
  signal: AbortSignal,
  work: (item: T, signal: AbortSignal) => Promise<Result<R>>,
  parallel = PARALLEL,
): Promise<Result<readonly R[]>> {
  const slots = new Semaphore(parallel);
  const stop = new AbortController();
  const bounded = AbortSignal.any([signal, stop.signal]);
  let failed: Result<never> | undefined;
  const done = await Promise.allSettled(
    items.map((item) =>
      slots.run(bounded, async () => {
        const result = await work(item, bounded);
        if (!result.ok) {
          failed ??= result;
          stop.abort(new DOMException('another transfer failed', 'AbortError'));
        }
        return result;
      }),
    ),
  );
  signal.throwIfAborted();
  if (failed !== undefined) return failed;
  const values: R[] = [];
  for (const each of done) {
    if (each.status === 'rejected') throw each.reason;
    if (each.value.ok) values.push(each.value.value);
  }
  return ok(values);
}
