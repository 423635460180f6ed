/** One who waits for a slot. */
interface Waiter {
  readonly weight: () => number;
  readonly grant: () => void;
}

/**
 * A bounded number of slots. Who becomes ready in the same turn of the event loop is weighed before a slot is given: the
 * heaviest first (the longest way to the result), the oldest among equals. A slot in use is never taken away.
 */
export class Slots {
  #free: number;
  readonly #waiting: Waiter[] = [];
  #scheduled = false;

  constructor(slots: number) {
    this.#free = slots;
  }

  /** Waits for a slot; dispose the handle to give it back. `weight` is asked only when there are more waiters than slots. */
  async acquire(signal: AbortSignal, weight: () => number): Promise<Disposable> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const waiter: Waiter = { weight, grant: () => resolve(undefined) };
    const onAbort = (): void => {
      const at = this.#waiting.indexOf(waiter);
      // Granted already: the holder sees the signal itself.
      if (at === -1) return;
      this.#waiting.splice(at, 1);
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    this.#waiting.push(waiter);
    this.#schedule();
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
    return this.#slot();
  }

  #schedule(): void {
    if (this.#scheduled || this.#free === 0 || this.#waiting.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      while (this.#free > 0) {
        const next = this.#take();
        if (next === undefined) return;
        this.#free--;
        next.grant();
      }
    });
  }

  #take(): Waiter | undefined {
    if (this.#waiting.length <= this.#free) return this.#waiting.shift();
    let best = 0;
    let heaviest = -Infinity;
    this.#waiting.forEach((waiter, i) => {
      const weight = waiter.weight();
      if (weight > heaviest) [best, heaviest] = [i, weight];
    });
    return this.#waiting.splice(best, 1)[0];
  }

  #slot(): Disposable {
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        this.#free++;
        this.#schedule();
      },
    };
  }
}
