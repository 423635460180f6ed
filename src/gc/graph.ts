import type { Entry } from './entry.ts';
import { RankHeap } from './heap.ts';
import { ringsOf } from './rings.ts';

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
  /** The twins of each entry, by what it is a form of: a blob may be that of several layers. */
  readonly #twins: readonly (readonly (readonly number[])[])[];
  /** Which entries have this one as a twin. */
  readonly #twinOf: readonly (readonly number[])[];
  /** Entries that stand on each other in a ring go together: the ring by the place that stands for it, and that by each place. */
  readonly #rings: ReadonlyMap<number, readonly number[]>;
  readonly #first: Int32Array;
  /** How many entries that are still there need this one, or its ring. */
  readonly #needed: Int32Array;
  readonly #gone: Uint8Array;
  used: number;

  constructor(entries: readonly Entry[]) {
    this.entries = entries;
    this.#places = new Map(entries.map((entry, at) => [entry.id, at]));
    const placesOf = (ids: readonly string[]): readonly number[] =>
      ids.length === 0 ? NONE : ids.flatMap((id) => this.#places.get(id) ?? []);
    // A record goes with the layers it leads to: it keeps none.
    const parents = entries.map((e) => (e.kind === 'record' ? NONE : placesOf(e.parents)));
    this.#rings = new Map(ringsOf(parents).map((ring) => [ring[0] ?? 0, ring]));
    this.#first = Int32Array.from(entries, (_, at) => at);
    for (const [first, ring] of this.#rings) for (const at of ring) this.#first[at] = first;
    this.#parents = parents.map((own, at) => this.#outside(own, at));
    this.#twins = entries.map(
      ({ formsOf, twins }) => formsOf?.map((form) => placesOf(form.twins)) ?? [placesOf(twins)],
    );
    const twinOf = entries.map((): number[] => []);
    for (const [at, { twins }] of entries.entries())
      for (const twin of placesOf(twins)) twinOf[twin]?.push(at);
    this.#twinOf = twinOf;
    this.#needed = new Int32Array(entries.length);
    this.#gone = new Uint8Array(entries.length);
    for (const some of this.#parents)
      for (const parent of some) this.#needed[parent] = (this.#needed[parent] ?? 0) + 1;
    this.used = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  }

  /** What a place stands on beside its own ring. */
  #outside(parents: readonly number[], at: number): readonly number[] {
    if (this.#rings.size === 0) return parents;
    return parents.map((p) => this.#first[p] ?? p).filter((p) => p !== this.#first[at]);
  }

  /** Whether an entry is still there. */
  has(id: string): boolean {
    const at = this.#places.get(id);
    return at !== undefined && this.#gone[at] === 0;
  }

  /** Seconds that a megabyte of it saves, over all the times that it was of use and once more. */
  value(entry: Entry, at: number): number {
    const isGone = (twin: number): boolean => this.#gone[twin] === 1;
    const last = this.#twins[at]?.some((twins) => twins.every(isGone)) ?? true;
    const { ms } = last ? entry.lastCost : entry.cost;
    return ((ms / 1000) * (1 + entry.uses)) / (Math.max(entry.bytes, 512) / 1e6);
  }

  /**
   * Removes what is wanted, never an entry that something kept stands on or that is held, until there is enough. Of equal
   * ones the least recently used goes first. A ring is worth what the dearest of it is.
   */
  sweep({ wanted, rank, enough, take }: Sweep): void {
    if (enough()) return;
    const heap = new RankHeap((a, b) => this.#isBefore(a, b));
    const rankOf = (at: number): number => rank(this.#entry(at), at);
    const worth = (at: number): number =>
      this.#rings.get(at)?.map(rankOf).reduce(larger) ?? rankOf(at);
    const mayGo = (at: number): boolean => {
      const entry = this.#entry(at);
      return entry.holds.length === 0 && wanted(entry);
    };
    const offer = (place: number): void => {
      const at = this.#first[place] ?? place;
      if (this.#gone[at] === 1 || this.#needed[at] !== 0) return;
      if (this.#rings.get(at)?.every(mayGo) ?? mayGo(at)) heap.push(at, worth(at));
    };
    const remove = (at: number): void => {
      const entry = this.#entry(at);
      this.#gone[at] = 1;
      this.used -= entry.bytes;
      take(entry, rankOf(at));
    };
    for (let at = 0; at < this.entries.length; at++) if (this.#first[at] === at) offer(at);
    while (!enough()) {
      const next = heap.pop();
      if (next === undefined) return;
      // Removed before, or worth more since another form of it is gone: then it is in the heap a second time.
      if (this.#gone[next.place] === 1 || next.rank !== worth(next.place)) continue;
      const going = this.#together(next.place);
      going.forEach(remove);
      for (const at of going) {
        for (const parent of this.#parents[at] ?? NONE) {
          this.#needed[parent] = (this.#needed[parent] ?? 1) - 1;
          offer(parent);
        }
        for (const other of this.#twinOf[at] ?? NONE) offer(other);
      }
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
    for (let at = 0; at < this.entries.length; at++) if (this.#first[at] === at) offer(at);
    for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
      const going = this.#together(at);
      if (going.some((each) => this.#entry(each).holds.length > 0)) continue;
      for (const each of going) {
        ids.add(this.#entry(each).id);
        for (const parent of this.#parents[each] ?? NONE) {
          needed[parent] = (needed[parent] ?? 1) - 1;
          offer(parent);
        }
      }
    }
    return ids;
  }

  /** The entries that go with the one at a place, itself first. */
  #together(at: number): readonly number[] {
    return this.#rings.get(at) ?? [at];
  }

  #entry(at: number): Entry {
    const entry = this.entries[at];
    if (entry === undefined) throw new Error('a place without an entry');
    return entry;
  }

  #isBefore(a: number, b: number): boolean {
    const [x, y] = [this.entries[a], this.entries[b]];
    if (x === undefined || y === undefined) return false;
    return x.usedAt !== y.usedAt ? x.usedAt < y.usedAt : x.id < y.id;
  }
}

const NONE: readonly number[] = [];

const larger = (a: number, b: number): number => Math.max(a, b);
