import { err, type Failure, failure, ok, type Result } from '../base/index.ts';
import { parseDuration } from '../dockerfile/index.ts';
import type { Io } from './io.ts';

/** Limits of talking to registries, caches in services, mirrors and addresses; what is absent has the default of its client. */
export interface NetworkLimits {
  /** No answer, or no further byte, for so long is a stall. */
  readonly stallMs?: number;
  readonly retry?: {
    /** How often a request is made. */
    readonly tries?: number;
    /** An address where nobody answers at all is given up after this. */
    readonly unreachableMs?: number;
  };
}

const TIMEOUT = 'VARVE_NETWORK_TIMEOUT';
const TRIES = 'VARVE_NETWORK_TRIES';
/** An address where nobody answers is not asked for longer than this, however patient requests are. */
const UNREACHABLE_MS = 8000;

/** Reads `VARVE_NETWORK_TIMEOUT` and `VARVE_NETWORK_TRIES`. */
export function networkLimits(env: Io['env']): Result<NetworkLimits> {
  const [timeout, tries] = [env[TIMEOUT] ?? '', env[TRIES] ?? ''];
  const duration = timeout === '' ? undefined : parseDuration(timeout);
  const stallMs = duration?.ok === true ? Number(duration.value / 1_000_000n) : 0;
  if (duration !== undefined && stallMs < 1)
    return err(wrong(TIMEOUT, timeout, 'is no duration', 'write a time such as 45s or 500ms'));
  if (tries !== '' && !/^[1-9]\d?$/.test(tries))
    return err(wrong(TRIES, tries, 'is no number from 1 to 99', 'write a number such as 3'));
  return ok({
    ...(duration === undefined ? {} : { stallMs }),
    retry: {
      ...(duration === undefined ? {} : { unreachableMs: Math.min(UNREACHABLE_MS, stallMs) }),
      ...(tries === '' ? {} : { tries: Number(tries) }),
    },
  });
}

/** What `runProgram` has found to be limits. */
export function givenLimits(env: Io['env']): NetworkLimits {
  const limits = networkLimits(env);
  return limits.ok ? limits.value : {};
}

function wrong(name: string, value: string, why: string, help: string): Failure {
  return failure('CL009', 2, `${name} "${value}" ${why}`, { help });
}
