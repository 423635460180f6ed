import { TransientError } from './transient-error.ts';

/** Nobody was there: what a connection ends with that was never made. */
const NO_CONNECTION =
  /^(?:ECONNREFUSED|ENOTFOUND|EAI_|ENET|EHOST|EADDR|ETIMEDOUT$|UND_ERR_CONNECT_TIMEOUT)/;
/** After so long without a request the address may have changed its mind. */
const FORGET_MS = 60_000;

/** Which addresses do not answer, and for how long: shared by all requests, so that each need not find out by itself. */
export class Reach {
  readonly #silent = new Map<string, { readonly since: number; last: number }>();
  readonly #answered = new Set<string>();

  /** An address answered. */
  answered(origin: string): void {
    this.#silent.delete(origin);
    this.#answered.add(origin);
  }

  /**
   * A request that began at `began` (`performance.now`) failed; the same failure, saying for how long the address is silent
   * when no connection could be made or nothing was ever answered there.
   */
  silent(origin: string, failed: TransientError, began: number): TransientError {
    const { cause } = failed;
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    const never = code === 'UND_ERR_HEADERS_TIMEOUT' && !this.#answered.has(origin);
    if (!never && !NO_CONNECTION.test(code)) return failed;
    const now = performance.now();
    const known = this.#silent.get(origin);
    const state = known === undefined || began - known.last > FORGET_MS ? { since: began } : known;
    this.#silent.set(origin, { since: state.since, last: now });
    return new TransientError(failed.message, { cause, unreachableMs: now - state.since });
  }
}
