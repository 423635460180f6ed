interface Waiter {
  readonly wake: () => void;
  readonly reject: (reason: unknown) => void;
  gone: boolean;
}

/** Those who wait with one signal. */
interface Group {
  readonly waiters: Set<Waiter>;
  readonly leave: (waiter: Waiter) => void;
}

/** A bounded number of slots, handed to the oldest waiter (fair: a slot is never counted free while someone waits). */
export class Semaphore {
  #free: number;
  /** Oldest first from `#head` on; those that gave up are marked and skipped. */
  #waiting: Waiter[] = [];
  #head = 0;
  /** One listener a signal, however many wait with it: adding a listener takes time in the number of listeners. */
  readonly #bySignal = new Map<AbortSignal, Group>();

  constructor(slots: number) {
    this.#free = slots;
  }

  /** Waits for a slot; dispose the returned handle to give it back. Rejects with the signal's reason when aborted. */
  async acquire(signal?: AbortSignal): Promise<Disposable> {
    signal?.throwIfAborted();
    if (this.#free > 0) {
      this.#free--;
      return this.#slot();
    }
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const waiter: Waiter = { wake: () => resolve(undefined), reject, gone: false };
    this.#waiting.push(waiter);
    if (signal === undefined) await promise;
    else {
      const group = this.#groupOf(signal);
      group.waiters.add(waiter);
      try {
        await promise;
      } finally {
        group.leave(waiter);
      }
    }
    return this.#slot();
  }

  /** Runs `work` while holding a slot. */
  async run<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    using _slot = await this.acquire(signal);
    return await work();
  }

  #groupOf(signal: AbortSignal): Group {
    const known = this.#bySignal.get(signal);
    if (known !== undefined) return known;
    const waiters = new Set<Waiter>();
    const onAbort = (): void => {
      this.#bySignal.delete(signal);
      for (const waiter of waiters) {
        waiter.gone = true;
        waiter.reject(signal.reason);
      }
    };
    signal.addEventListener('abort', onAbort, { once: true });
    const group: Group = {
      waiters,
      leave: (waiter) => {
        waiters.delete(waiter);
        if (waiters.size > 0) return;
        signal.removeEventListener('abort', onAbort);
        if (this.#bySignal.get(signal) === group) this.#bySignal.delete(signal);
      },
    };
    this.#bySignal.set(signal, group);
    return group;
  }

  #next(): Waiter | undefined {
    while (this.#head < this.#waiting.length) {
      const waiter = this.#waiting[this.#head++];
      if (waiter?.gone === false) return waiter;
    }
    this.#waiting = [];
    this.#head = 0;
    return undefined;
  }

  #slot(): Disposable {
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        const next = this.#next();
        if (next) next.wake();
        else this.#free++;
      },
    };
  }
}
