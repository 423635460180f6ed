import type { EntryKind } from './entry.ts';

/** A number of bytes, or a share of the disk. */
export type Amount = { readonly bytes: number } | { readonly percent: number };

/** What may stay in a store. Every rule that is given holds. */
export interface GcPolicy {
  /** The store is not larger than this: what is worth least for its size goes until that is true. */
  readonly maxUsedSpace?: Amount;
  /** Age and free space take nothing from a store that is not larger than this. */
  readonly reservedSpace?: Amount;
  /** At least this much of the disk stays free. */
  readonly minFreeSpace?: Amount;
  /** What was not used for longer than this goes, in milliseconds. */
  readonly keepDuration?: number;
  /** Budgets of kinds, beside those of the whole. */
  readonly kinds?: Readonly<Partial<Record<EntryKind, KindBudget>>>;
}

/** What may stay of one kind. */
export interface KindBudget {
  readonly maxUsedSpace?: Amount;
  readonly keepDuration?: number;
}

/** The disk that the store is on. */
export interface Disk {
  readonly size: number;
  /** Bytes that this user may still write. */
  readonly free: number;
}

const DAY = 24 * 3600_000;
const GB = 1e9;

/**
 * Policies with a name. `default` holds where nobody names another one: a store never fills its disk. What it reserves keeps a
 * cache of use on a disk that others have filled, and is more than a store of a few builds.
 */
export const PRESETS: Readonly<Record<string, GcPolicy>> = {
  default: {
    maxUsedSpace: { percent: 50 },
    minFreeSpace: { percent: 10 },
    reservedSpace: { bytes: 5 * GB },
  },
  none: {},
  /** For machines that build one project after another: a week, ten gigabytes. */
  ci: { keepDuration: 7 * DAY, maxUsedSpace: { bytes: 10 * GB }, minFreeSpace: { percent: 5 } },
  /** For a machine that somebody works at. */
  workstation: {
    keepDuration: 60 * DAY,
    maxUsedSpace: { percent: 20 },
    minFreeSpace: { percent: 10 },
    reservedSpace: { bytes: 5 * GB },
    kinds: {
      log: { keepDuration: 30 * DAY, maxUsedSpace: { bytes: GB } },
      quarantine: { keepDuration: 14 * DAY },
    },
  },
};

/** An amount in bytes. */
export function bytesOf(amount: Amount, disk: Disk): number {
  return 'bytes' in amount ? amount.bytes : Math.floor((disk.size * amount.percent) / 100);
}

/** A policy over another: each rule of `over` replaces the one below it. */
export function merged(below: GcPolicy, over: GcPolicy): GcPolicy {
  const kinds = { ...below.kinds };
  // The keys are those of `kinds`.
  for (const [kind, budget] of Object.entries(over.kinds ?? {}))
    kinds[kind as EntryKind] = { ...kinds[kind as EntryKind], ...budget };
  return { ...below, ...over, ...(Object.keys(kinds).length === 0 ? {} : { kinds }) };
}

/** What holds on a machine where nobody named a policy. */
export const DEFAULT_PRESET = 'default';

/** Whether a policy says anything. */
export function isEmptyPolicy(policy: GcPolicy): boolean {
  const { kinds = {}, ...rest } = policy;
  return Object.keys(rest).length === 0 && Object.keys(kinds).length === 0;
}
