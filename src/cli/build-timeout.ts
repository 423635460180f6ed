import { err, failure, type Result } from '../base/index.ts';
import { Interrupted } from './signals.ts';

/** Runs a build that is stopped after so many seconds as if its user had stopped it; then it is a failure that says so. */
export async function withTimeout<T>(
  build: (signal: AbortSignal) => Promise<Result<T>>,
  limit: {
    readonly seconds: number | undefined;
    readonly signal: AbortSignal;
    /** Is told when the time is over. */
    readonly late: () => void;
  },
): Promise<Result<T>> {
  const { seconds, signal } = limit;
  if (seconds === undefined) return await build(signal);
  const late = new AbortController();
  const reason = new Interrupted(`longer than ${seconds} s`);
  const timer = setTimeout(() => {
    limit.late();
    late.abort(reason);
  }, seconds * 1000);
  try {
    return await build(AbortSignal.any([signal, late.signal]));
  } catch (e) {
    if (!late.signal.aborted || signal.aborted || !(e instanceof Error) || e.name !== 'AbortError')
      throw e;
    return err(
      failure('SB013', 1, `the build was stopped: it took longer than ${seconds} s`, {
        help: 'give it more time with --timeout; what was finished is cached',
      }),
    );
  } finally {
    clearTimeout(timer);
  }
}
