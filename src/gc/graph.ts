import type { Entry } from './entry.ts';
import { Heap } from './heap.ts';

/** Entries with what stands on what, as long as a plan removes from them. */
export class Stock {
  readonly entries: readonly Entry[];
  readonly #byId: ReadonlyMap<string, Entry>;
  /** How many entries that are still there need this one. */
  readonly #needed = new Map<string, number>();
  readonly #gone = new Set<string>();
  used: number;

  constructor(entries: readonly Entry[]) {
    this.entries = entries;
    this.#byId = new Map(entries.map((entry) => [entry.id, entry]));
    // A record goes with the layers it leads to: it keeps none.
    for (const { kind, parents } of entries)
      for (const id of kind === 'record' ? [] : parents)
        if (this.#byId.has(id)) this.#needed.set(id, (this.#needed.get(id) ?? 0) + 1);
    this.used = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  }

  has(id: string): boolean {
    return !this.#gone.has(id) && this.#byId.has(id);
  }

  get(id: string): Entry | undefined {
    return this.#byId.get(id);
  }

  /** Whether nothing that is still there stands on it, and nothing holds it. */
  isFree(entry: Entry): boolean {
    return entry.holds.length === 0 && (this.#needed.get(entry.id) ?? 0) === 0;
  }

  /** Takes an entry away; returns those whose state changed by it: what it stood on, and its other forms. */
  remove(entry: Entry): readonly Entry[] {
    this.#gone.add(entry.id);
    this.used -= entry.bytes;
    for (const id of entry.parents) {
      const needed = this.#needed.get(id);
      if (needed !== undefined) this.#needed.set(id, needed - 1);
    }
    return [...entry.parents, ...entry.twins].flatMap((id) => {
      const other = this.has(id) ? this.#byId.get(id) : undefined;
      return other === undefined ? [] : [other];
    });
  }

  /** Seconds that a megabyte of it saves, over all the times that it was of use and once more. */
  value(entry: Entry): number {
    const last = entry.twins.every((id) => !this.has(id));
    const { ms } = last ? entry.lastCost : entry.cost;
    return ((ms / 1000) * (1 + entry.uses)) / (Math.max(entry.bytes, 512) / 1e6);
  }

  /**
   * Removes entries that `wanted` takes, the lowest `rank` first, never one that something kept stands on, until `enough`.
   * Of equal ones the least recently used goes first.
   */
  sweep(options: {
    readonly wanted: (entry: Entry) => boolean;
    readonly rank: (entry: Entry) => number;
    readonly enough: () => boolean;
    readonly take: (entry: Entry, rank: number) => void;
  }): void {
    const { wanted, rank, enough, take } = options;
    const heap = new Heap<{ readonly entry: Entry; readonly rank: number }>(
      (a, b) =>
        a.rank < b.rank ||
        (a.rank === b.rank &&
          (a.entry.usedAt < b.entry.usedAt ||
            (a.entry.usedAt === b.entry.usedAt && a.entry.id < b.entry.id))),
    );
    const offer = (entry: Entry): void => {
      if (this.has(entry.id) && this.isFree(entry) && wanted(entry))
        heap.push({ entry, rank: rank(entry) });
    };
    for (const entry of this.entries) offer(entry);
    while (!enough()) {
      const next = heap.pop();
      if (next === undefined) return;
      // Removed before, or worth more since another form of it is gone: then it is in the heap a second time.
      if (!this.has(next.entry.id) || next.rank !== rank(next.entry)) continue;
      const changed = this.remove(next.entry);
      take(next.entry, next.rank);
      for (const entry of changed) offer(entry);
    }
  }
}
