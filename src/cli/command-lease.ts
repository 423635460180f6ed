import { FailureError } from '../base/index.ts';
import type { Lease, Leases } from '../ports/index.ts';

/** Failures after which a store can be read, and nothing can be noted in it. */
const CANNOT_NOTE: readonly string[] = ['ST001', 'ST002'];

/**
 * What a command holds until it ends, in a lease that is opened with the first thing. Where the disk is full or read-only
 * nothing is held: whoever only reads goes on, and what writes fails at its own work.
 */
export class CommandLease implements AsyncDisposable {
  readonly #leases: Leases;
  readonly #purpose: string;
  #lease: Lease | undefined;

  constructor(leases: Leases, purpose: string) {
    this.#leases = leases;
    this.#purpose = purpose;
  }

  add(...resources: readonly string[]): void {
    try {
      this.#lease ??= this.#leases.open(this.#purpose);
      this.#lease.add(...resources);
    } catch (e) {
      if (!(e instanceof FailureError) || !CANNOT_NOTE.includes(e.failure.code)) throw e;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const lease = this.#lease;
    this.#lease = undefined;
    await lease?.[Symbol.asyncDispose]();
  }
}
