interface Flight<T> {
  readonly promise: Promise<T>;
  readonly controller: AbortController;
  waiters: number;
}

/**
 * Shares work in flight by key: one waiter's cancellation does not cancel the others'; the last one's does, and it waits until
 * the work has stopped.
 */
export class Inflight<K, T> {
  readonly #flights = new Map<K, Flight<T>>();

  /** Joins the work under way for `key`, or starts it. */
  async do(key: K, signal: AbortSignal, work: (shared: AbortSignal) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const flight = this.#flights.get(key) ?? this.#start(key, work);
    flight.waiters++;
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([flight.promise, aborted]);
    } finally {
      signal.removeEventListener('abort', onAbort);
      if (--flight.waiters === 0 && signal.aborted) {
        // Who asks from now on starts anew.
        if (this.#flights.get(key) === flight) this.#flights.delete(key);
        flight.controller.abort(signal.reason);
        await flight.promise.catch(() => undefined);
      }
    }
  }

  #start(key: K, work: (shared: AbortSignal) => Promise<T>): Flight<T> {
    const controller = new AbortController();
    const promise = work(controller.signal).finally(() => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    });
    const flight: Flight<T> = { promise, controller, waiters: 0 };
    // Waiters observe the rejection through their race; a flight that lost all waiters must not be unhandled.
    promise.catch(() => undefined);
    this.#flights.set(key, flight);
    return flight;
  }
}
