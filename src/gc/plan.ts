import { formatSize } from '../base/index.ts';
import type { Entry, EntryKind } from './entry.ts';
import { Stock } from './graph.ts';
import { bytesOf, type Disk, type GcPolicy } from './policy.ts';

/** Which rule an entry fell to. */
export type GcRule =
  | 'asked'
  | 'keep-duration'
  | 'kind-budget'
  | 'max-used-space'
  | 'min-free-space';

/** An entry that goes, and why. */
export interface Removal {
  readonly entry: Entry;
  readonly rule: GcRule;
  /** In words: `not used for 9 days, longer than 7 days`. */
  readonly why: string;
}

/** A rule that cannot be met, and what stands in its way. */
export interface Unmet {
  readonly rule: GcRule;
  readonly kind?: EntryKind;
  readonly wanted: number;
  readonly reached: number;
  /** What holds most of the rest, largest first. */
  readonly heldBy: readonly { readonly text: string; readonly bytes: number }[];
}

/** What a policy removes, in the order of removal: nothing before what stands on it, but for rings, which go as one. */
export interface GcPlan {
  readonly removals: readonly Removal[];
  readonly usedBefore: number;
  readonly usedAfter: number;
  readonly unmet: readonly Unmet[];
}

/** The state that a plan is made for. */
export interface GcState {
  readonly now: number;
  readonly disk: Disk;
}

/**
 * What a policy removes from a store. Nothing that is held goes, and nothing that something kept stands on. Age goes first,
 * then budgets of kinds, then the cap and the free space, both by value: what saves the fewest seconds for its size, times
 * how often it did, goes first. The same entries and policy give the same plan.
 */
export function planGc(entries: readonly Entry[], policy: GcPolicy, state: GcState): GcPlan {
  const stock = new Stock(entries);
  const plan = new Planner(stock, state);
  plan.byAge(policy);
  plan.byKind(policy);
  plan.byCap(policy);
  plan.byFreeSpace(policy);
  return plan.finish();
}

/** Which entries somebody asks to have removed. */
export interface Selection {
  readonly wanted: (entry: Entry) => boolean;
  /** Stops when the whole store is not larger than this. */
  readonly keepBytes?: number;
}

/** What is removed of a selection: all of it that nothing holds and nothing kept stands on, the least valuable first. */
export function planPrune(entries: readonly Entry[], selection: Selection, state: GcState): GcPlan {
  const stock = new Stock(entries);
  const plan = new Planner(stock, state);
  plan.asked(selection);
  return plan.finish();
}

/** Ids of all entries that `planPrune` removes when everything is wanted. */
export function removable(entries: readonly Entry[]): ReadonlySet<string> {
  return new Stock(entries).removable();
}

class Planner {
  readonly #stock: Stock;
  readonly #state: GcState;
  readonly #before: number;
  readonly #removals: Removal[] = [];
  readonly #unmet: Unmet[] = [];

  constructor(stock: Stock, state: GcState) {
    this.#stock = stock;
    this.#state = state;
    this.#before = stock.used;
  }

  asked({ wanted, keepBytes }: Selection): void {
    this.#byValue({
      rule: 'asked',
      wanted,
      enough: () => keepBytes !== undefined && this.#stock.used <= keepBytes,
      why: (entry, value) => `asked for; ${worth(entry, value)}`,
    });
  }

  byAge(policy: GcPolicy): void {
    const limits = policy.kinds ?? {};
    const reserved = this.#reserved(policy);
    const limitOf = (entry: Entry): number | undefined =>
      limits[entry.kind]?.keepDuration ?? policy.keepDuration;
    this.#stock.sweep({
      wanted: (entry) => {
        const limit = limitOf(entry);
        return limit !== undefined && this.#state.now - entry.usedAt > limit;
      },
      rank: (entry) => entry.usedAt,
      enough: () => this.#stock.used <= reserved,
      take: (entry) => {
        const unused = formatAge(this.#state.now - entry.usedAt);
        const why = `not used for ${unused}, longer than ${formatAge(limitOf(entry) ?? 0)}`;
        this.#removals.push({ entry, rule: 'keep-duration', why });
      },
    });
  }

  byKind({ kinds = {} }: GcPolicy): void {
    for (const [kind, budget] of Object.entries(kinds)) {
      if (budget.maxUsedSpace === undefined) continue;
      const limit = bytesOf(budget.maxUsedSpace, this.#state.disk);
      const mine = this.#stock.entries.filter((e) => e.kind === kind && this.#stock.has(e.id));
      let used = mine.reduce((sum, entry) => sum + entry.bytes, 0);
      this.#byValue({
        rule: 'kind-budget',
        wanted: (entry) => entry.kind === kind && entry.bytes > 0,
        enough: () => used <= limit,
        why: (entry, value) => {
          used -= entry.bytes;
          return `more than ${formatSize(limit)} of kind ${kind}; ${worth(entry, value)}`;
        },
      });
      if (used > limit)
        this.#fallsShort({ rule: 'kind-budget', wanted: limit, reached: used }, mine);
    }
  }

  byCap({ maxUsedSpace }: GcPolicy): void {
    if (maxUsedSpace === undefined) return;
    const limit = bytesOf(maxUsedSpace, this.#state.disk);
    this.#byValue({
      rule: 'max-used-space',
      wanted: (entry) => entry.bytes > 0,
      enough: () => this.#stock.used <= limit,
      why: (entry, value) => `the store is over ${formatSize(limit)}; ${worth(entry, value)}`,
    });
    const reached = this.#stock.used;
    if (reached > limit)
      this.#fallsShort({ rule: 'max-used-space', wanted: limit, reached }, this.#stock.entries);
  }

  byFreeSpace(policy: GcPolicy): void {
    if (policy.minFreeSpace === undefined) return;
    const { disk } = this.#state;
    const wanted = bytesOf(policy.minFreeSpace, disk);
    const reserved = this.#reserved(policy);
    const free = (): number => disk.free + this.#before - this.#stock.used;
    this.#byValue({
      rule: 'min-free-space',
      wanted: (entry) => entry.bytes > 0,
      enough: () => free() >= wanted || this.#stock.used <= reserved,
      why: (entry, value) =>
        `less than ${formatSize(wanted)} of the disk are free; ${worth(entry, value)}`,
    });
    if (free() < wanted)
      this.#fallsShort(
        { rule: 'min-free-space', wanted, reached: free() },
        this.#stock.used <= reserved ? [] : this.#stock.entries,
      );
  }

  finish(): GcPlan {
    return {
      removals: this.#removals,
      usedBefore: this.#before,
      usedAfter: this.#stock.used,
      unmet: this.#unmet,
    };
  }

  #byValue(options: {
    readonly rule: GcRule;
    readonly wanted: (entry: Entry) => boolean;
    readonly enough: () => boolean;
    readonly why: (entry: Entry, value: number) => string;
  }): void {
    const { rule, wanted, enough, why } = options;
    this.#stock.sweep({
      wanted,
      rank: (entry, at) => this.#stock.value(entry, at),
      enough,
      take: (entry, value) => this.#removals.push({ entry, rule, why: why(entry, value) }),
    });
  }

  #reserved({ reservedSpace }: GcPolicy): number {
    return reservedSpace === undefined ? 0 : bytesOf(reservedSpace, this.#state.disk);
  }

  #fallsShort(unmet: Omit<Unmet, 'heldBy'>, among: readonly Entry[]): void {
    const held = new Map<string, number>();
    for (const entry of among) {
      if (!this.#stock.has(entry.id) || entry.bytes === 0) continue;
      const text = entry.holds[0]?.text ?? 'something kept stands on it';
      held.set(text, (held.get(text) ?? 0) + entry.bytes);
    }
    const heldBy = [...held]
      .map(([text, bytes]) => ({ text, bytes }))
      .sort((a, b) => b.bytes - a.bytes || (a.text < b.text ? -1 : 1))
      .slice(0, HOLDERS);
    this.#unmet.push({ ...unmet, heldBy });
  }
}

/** Holders that are named when a rule cannot be met. */
const HOLDERS = 5;

function worth(entry: Entry, value: number): string {
  const uses = entry.uses === 1 ? 'used once' : `used ${entry.uses} times`;
  return `saves ${Number(value.toPrecision(2))} s per MB (${uses})`;
}

/** `9 days`, `3 hours`, `20 seconds`. */
export function formatAge(ms: number): string {
  const scales = [
    [24 * 3600_000, 'day'],
    [3600_000, 'hour'],
    [60_000, 'minute'],
  ] as const;
  const [scale, unit] = scales.find(([length]) => ms >= length) ?? [1000, 'second'];
  const count = Math.floor(ms / scale);
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}
