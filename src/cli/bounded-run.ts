import { ok } from '../base/index.ts';
import type { Options } from './build-request.ts';
import { withTimeout } from './build-timeout.ts';
import { positive } from './flags/limits.ts';
import { fail, type Io, withMembers } from './io.ts';

/** `--runtime` goes over the variable of the environment. */
export function withRuntime(io: Io, runtime: string | undefined): Io {
  return runtime === undefined
    ? io
    : withMembers(io, { env: { ...io.env, VARVE_RUNTIME: runtime } });
}

/** Runs a command that makes several builds with `--runtime`, and stops it after `--timeout`; its exit code. */
export async function boundedRun(
  given: Io,
  options: Options,
  command: (io: Io, options: Options) => Promise<number>,
): Promise<number> {
  const io = withRuntime(given, options.text('runtime'));
  const seconds = positive('--timeout', options.text('timeout'));
  if (!seconds.ok) return fail(io, seconds.error);
  // The time is for all builds together, not for each of them.
  const own = options.with({ timeout: undefined });
  const done = await withTimeout(
    async (signal) => ok(await command(withMembers(io, { signal }), own)),
    { seconds: seconds.value, signal: io.signal, late: () => io.stopped() },
  );
  return done.ok ? done.value : fail(io, done.error);
}
