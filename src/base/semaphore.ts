/** A bounded number of slots, handed to the oldest waiter (fair: a slot is never counted free while someone waits). */
export class Semaphore {
  #free: number;
  readonly #waiting: (() => void)[] = [];

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
    const wake = (): void => {
      signal?.removeEventListener('abort', abort);
      resolve(undefined);
    };
    const abort = (): void => {
      const at = this.#waiting.indexOf(wake);
      if (at === -1) return;
      this.#waiting.splice(at, 1);
      reject(signal?.reason as Error);
    };
    signal?.addEventListener('abort', abort, { once: true });
    this.#waiting.push(wake);
    await promise;
    return this.#slot();
  }

  /** Runs `work` while holding a slot. */
  async run<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    using _slot = await this.acquire(signal);
    return await work();
  }

  #slot(): Disposable {
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        const next = this.#waiting.shift();
        if (next) next();
        else this.#free++;
      },
    };
  }
}
