/** How long the event loop may be held. */
const SLICE_MS = 15;

/** Lets a long loop of synchronous calls give way now and then, and notice that it was cancelled. */
export class Pause {
  readonly signal: AbortSignal;
  #until = performance.now() + SLICE_MS;
  #calls = 0;

  constructor(signal: AbortSignal) {
    this.signal = signal;
  }

  /** Whether `wait` should be called; cheap enough to ask for every file. */
  get due(): boolean {
    return (++this.#calls & 7) === 0 && performance.now() >= this.#until;
  }

  async wait(): Promise<void> {
    this.signal.throwIfAborted();
    await new Promise(setImmediate);
    this.signal.throwIfAborted();
    this.#until = performance.now() + SLICE_MS;
  }
}
