import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../../ports/index.ts';

/** A rest that one request was told to take and all take: asking again at once would make it longer. */
export class Pause {
  #until = 0;

  extend(clock: Clock, ms: number): void {
    this.#until = Math.max(this.#until, clock.now() + ms);
  }

  async wait(clock: Clock, signal: AbortSignal): Promise<void> {
    const left = this.#until - clock.now();
    if (left > 0) await delay(left, undefined, { signal });
  }
}
