import type { Digest } from '../base/index.ts';
import type { Millis } from '../events/index.ts';
import type { Descriptor } from '../oci/index.ts';
import type { RecordId } from './cache-db.ts';
import type { LayerId } from './snapshotter.ts';

/** What looking after a store asks of its database: everything that names something on disk, pins, and evictions. */
export interface UpkeepDb {
  layers(): readonly LayerRow[];
  chains(): readonly ChainRow[];
  results(): readonly ResultRow[];
  /** Steps that were executed, with the digest of the record each made. */
  executedSteps(): readonly ExecutedStep[];
  builds(): readonly BuildFact[];
  /** Memos of a namespace, as they were stored. */
  memos(namespace: string): readonly { readonly key: string; readonly value: Uint8Array }[];

  pins(): readonly Pin[];
  pin(pin: Pin): void;
  /** True when there was one. */
  unpin(resource: string): boolean;

  /** Disk space as measured last, while its stamp still holds. */
  measured(): ReadonlyMap<string, Measured>;
  remember(sizes: ReadonlyMap<string, Measured>): void;

  /**
   * Runs `work` while no other process can write the database, so that no lease can be taken meanwhile; returns what it
   * returns. `held` is what living leases hold at that moment.
   */
  exclusively<T>(work: (held: HeldNow) => T): T;
  /** What living leases hold now. */
  held(): HeldNow;
  /**
   * Forgets the results that need one of these layers, and the compressed forms that were removed, and notes why. Rows of
   * layers, chains and records stay: a running process may know them by number.
   */
  evict(evictions: readonly Eviction[]): void;
  /** Removes rows that nothing leads to any more; nothing is done while another process holds a lease. */
  compact(options: { readonly now: Millis; readonly keepEvictionsMs: number }): number;

  /** What SQLite's own checks and those of the rows' connections find; empty when the database is sound. */
  check(): readonly DatabaseProblem[];
  /** Removes results whose chain is not whole; returns how many. */
  removeBrokenResults(): number;
}

/** A layer as the database knows it. */
export interface LayerRow {
  readonly id: LayerId;
  readonly diffId?: Digest;
  readonly origin?: string;
  readonly createdAt: Millis;
  readonly usedAt: Millis;
  /** Compressed forms, here or elsewhere. */
  readonly blobs: readonly Descriptor[];
}

/** A node of the tree of chains. */
export interface ChainRow {
  readonly id: number;
  /** 0 is scratch. */
  readonly parent: number;
  readonly layer: LayerId;
}

/** What a record led to. */
export interface ResultRow {
  readonly record: RecordId;
  /** Digest of the record. */
  readonly digest: Digest;
  readonly chain: number;
  readonly createdAt: Millis;
  readonly costMs: Millis;
  readonly usedAt: Millis;
  readonly uses: number;
}

/** A step that ran. */
export interface ExecutedStep {
  readonly build: string;
  readonly name: string;
  readonly record: Digest;
  readonly startedAt: Millis;
  readonly completedAt: Millis;
}

/** A build as far as upkeep is concerned. */
export interface BuildFact {
  readonly id: string;
  readonly name: string;
  readonly startedAt: Millis;
  readonly finishedAt?: Millis;
  readonly image?: Digest;
}

/** Something that is not removed until its pin is gone or has expired. */
export interface Pin {
  /** Id of an entry, or `image:<name>`, `build:<id>`. */
  readonly resource: string;
  readonly reason: string;
  readonly createdAt: Millis;
  readonly expiresAt?: Millis;
}

/** A size, and what tells that it still holds. */
export interface Measured {
  readonly stamp: string;
  readonly bytes: number;
}

/** What the processes that are at work hold. */
export interface HeldNow {
  /** Resources of leases, with the purpose of a lease that holds each. */
  readonly resources: ReadonlyMap<string, string>;
  readonly purposes: readonly string[];
  /** When the oldest living lease was opened: what was written since then may be about to be used. */
  readonly since?: Millis;
}

/** What was removed, and by which rule. */
export interface Eviction {
  /** Id of the entry. */
  readonly resource: string;
  /** The rule in words: `older than 7 days`. */
  readonly rule: string;
  readonly at: Millis;
  /** Layers of which no other form is left: their results are lost with it. */
  readonly layers: readonly LayerId[];
  /** The blob whose rows go with it. */
  readonly blob?: Digest;
}

/** A fault of the database. */
export interface DatabaseProblem {
  readonly what: 'damaged' | 'broken-result' | 'dangling';
  readonly text: string;
}
