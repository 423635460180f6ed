import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { err, type Failure, FailureError, failure, type Result } from '../base/index.ts';
import { TransientError } from './transient-error.ts';

/** How often and after which pauses something is tried again. */
export interface RetryPolicy {
  readonly tries: number;
  /** Pause before the second attempt; doubled each time, with jitter of half of it. */
  readonly firstPauseMs: number;
  /** No pause is longer, also if a server asks for it. */
  readonly maxPauseMs: number;
  /** An address where nobody answers is given up after this, however many attempts are left. Default 8 s. */
  readonly unreachableMs?: number;
}

const UNREACHABLE_MS = 8000;

/**
 * Runs `attempt` until it gives a result; a `TransientError` is tried again after a pause. `progressed` tells that the last
 * attempt got further, so that it does not count: a download over a poor line ends as long as it moves.
 */
export async function withRetries<T>(
  policy: RetryPolicy,
  signal: AbortSignal,
  attempt: () => Promise<Result<T>>,
  options: {
    readonly progressed?: () => Promise<boolean>;
    /** The failure after the last attempt. */
    readonly gaveUp?: (last: TransientError, tries: number) => Failure;
  } = {},
): Promise<Result<T>> {
  for (let failed = 1; ; failed++) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (e) {
      signal.throwIfAborted();
      if (e instanceof FailureError) return err(e.failure);
      if (!(e instanceof TransientError)) throw e;
      if ((await options.progressed?.()) === true) failed = 1;
      const silentMs = e.unreachableMs;
      const patienceMs = policy.unreachableMs ?? UNREACHABLE_MS;
      if (failed >= policy.tries || (silentMs ?? 0) >= patienceMs) {
        if (options.gaveUp !== undefined) return err(options.gaveUp(e, failed));
        return err(
          failure('RG001', 3, e.message, {
            help: `tried ${failed} ${failed === 1 ? 'time' : 'times'}; check the network and the registry`,
            cause: e.cause,
          }),
        );
      }
      const pause = pauseMs(policy, failed, e.retryAfterMs);
      // Asked again until just behind the limit, not long after it.
      const left = patienceMs - (silentMs ?? 0);
      await delay(silentMs === undefined ? pause : Math.min(pause, left), undefined, { signal });
    }
  }
}

function pauseMs(policy: RetryPolicy, failed: number, asked: number | undefined): number {
  const base = policy.firstPauseMs * 2 ** (failed - 1);
  const jittered = base / 2 + randomInt(Math.max(1, Math.ceil(base / 2)));
  return Math.min(policy.maxPauseMs, Math.max(jittered, asked ?? 0));
}

/** `Retry-After` in milliseconds: seconds or a date (RFC 9110, section 10.2.3). */
export function retryAfterMs(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^[0-9]{1,9}$/.test(header)) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}
