import { err, failure, type Result } from '../../base/index.ts';

/** Gives work a time limit of its own: one that runs out is a failure, the caller's signal a cancellation as ever. */
export async function within<T>(
  limit: { readonly signal: AbortSignal; readonly timeoutMs: number; readonly what: string },
  work: (signal: AbortSignal) => Promise<Result<T>>,
): Promise<Result<T>> {
  const clock = AbortSignal.timeout(limit.timeoutMs);
  try {
    return await work(AbortSignal.any([limit.signal, clock]));
  } catch (e) {
    limit.signal.throwIfAborted();
    if (!clock.aborted) throw e;
    return err(
      failure('RC012', 3, `${limit.what} took longer than ${limit.timeoutMs / 1000} seconds`, {
        help: 'set timeout=DURATION to wait longer',
      }),
    );
  }
}
