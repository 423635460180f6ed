import type { Entry } from './entry.ts';
import { RankHeap } from './heap.ts';

/** Which entries a sweep removes, and in which order. Entries are given with their place in the stock. */
export interface Sweep {
  readonly wanted: (entry: Entry) => boolean;
  /** The lowest goes first. */
  readonly rank: (entry: Entry, at: number) => number;
  readonly enough: () => boolean;
  readonly take: (entry: Entry, rank: number) => void;
}

/**
 * Entries with what stands on what, as long as a plan removes from them. Places in an array stand for ids: a store has a
 * hundred thousand entries, and each is looked at several times.
 */
export class Stock {
  readonly entries: readonly Entry[];
  readonly #places: ReadonlyMap<string, number>;
  readonly #parents: readonly (readonly number[])[];
  readonly #twins: readonly (readonly number[])[];
  /** Which entries have this one as a twin: two layers of one content share a blob, which names one of them. */
  readonly #twinOf: readonly (readonly number[])[];
  /** How many entries that are still there need this one. */
  readonly #needed: Int32Array;
  readonly #gone: Uint8Array;
  used: number;

  constructor(entries: readonly Entry[]) {
    this.entries = entries;
    this.#places = new Map(entries.map((entry, at) => [entry.id, at]));
    const placesOf = (ids: readonly string[]): readonly number[] =>
      ids.length === 0 ? NONE : ids.flatMap((id) => this.#places.get(id) ?? []);
    // A record goes with the layers it leads to: it keeps none.
    this.#parents = entries.map((e) => (e.kind === 'record' ? NONE : placesOf(e.parents)));
    this.#twins = entries.map((entry) => placesOf(entry.twins));
    const twinOf = entries.map((): number[] => []);
    for (const [at, twins] of this.#twins.entries())
      for (const twin of twins) twinOf[twin]?.push(at);
    this.#twinOf = twinOf;
    this.#needed = new Int32Array(entries.length);
    this.#gone = new Uint8Array(entries.length);
    for (const parents of this.#parents)
      for (const parent of parents) this.#needed[parent] = (this.#needed[parent] ?? 0) + 1;
    this.used = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  }

  /** Whether an entry is still there. */
  has(id: string): boolean {
    const at = this.#places.get(id);
    return at !== undefined && this.#gone[at] === 0;
  }

  /** Seconds that a megabyte of it saves, over all the times that it was of use and once more. */
  value(entry: Entry, at: number): number {
    const last = this.#twins[at]?.every((twin) => this.#gone[twin] === 1) ?? true;
    const { ms } = last ? entry.lastCost : entry.cost;
    return ((ms / 1000) * (1 + entry.uses)) / (Math.max(entry.bytes, 512) / 1e6);
  }

  /**
   * Removes what is wanted, never an entry that something kept stands on or that is held, until there is enough. Of equal
   * ones the least recently used goes first.
   */
  sweep({ wanted, rank, enough, take }: Sweep): void {
    if (enough()) return;
    const heap = new RankHeap((a, b) => this.#isBefore(a, b));
    const offer = (at: number): void => {
      const entry = this.entries[at];
      if (entry === undefined || this.#gone[at] === 1 || this.#needed[at] !== 0) return;
      if (entry.holds.length === 0 && wanted(entry)) heap.push(at, rank(entry, at));
    };
    for (let at = 0; at < this.entries.length; at++) offer(at);
    while (!enough()) {
      const next = heap.pop();
      if (next === undefined) return;
      const { place: at } = next;
      const entry = this.entries[at];
      if (entry === undefined) throw new Error('a place without an entry');
      // Removed before, or worth more since another form of it is gone: then it is in the heap a second time.
      if (this.#gone[at] === 1 || next.rank !== rank(entry, at)) continue;
      this.#gone[at] = 1;
      this.used -= entry.bytes;
      take(entry, next.rank);
      for (const parent of this.#parents[at] ?? NONE) {
        this.#needed[parent] = (this.#needed[parent] ?? 1) - 1;
        offer(parent);
      }
      for (const other of this.#twinOf[at] ?? NONE) offer(other);
    }
  }

  /** Ids of all that is not held and that nothing held stands on; nothing is removed. */
  removable(): ReadonlySet<string> {
    const needed = this.#needed.slice();
    const ids = new Set<string>();
    const todo: number[] = [];
    const offer = (at: number): void => {
      if (needed[at] === 0 && this.#gone[at] === 0) todo.push(at);
    };
    for (let at = 0; at < this.entries.length; at++) offer(at);
    for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
      const entry = this.entries[at];
      if (entry === undefined || entry.holds.length > 0) continue;
      ids.add(entry.id);
      for (const parent of this.#parents[at] ?? NONE) {
        needed[parent] = (needed[parent] ?? 1) - 1;
        offer(parent);
      }
    }
    return ids;
  }

  #isBefore(a: number, b: number): boolean {
    const [x, y] = [this.entries[a], this.entries[b]];
    if (x === undefined || y === undefined) return false;
    return x.usedAt !== y.usedAt ? x.usedAt < y.usedAt : x.id < y.id;
  }
}

const NONE: readonly number[] = [];
