import { dirname, join } from 'node:path';
import { type Digest, err, FailureError, ok, type Result } from '../base/index.ts';
import type {
  CacheDb,
  Clock,
  HistoryDb,
  ImageDb,
  LayerDb,
  LayerId,
  Leases,
  MemoDb,
  TraceDb,
  UpkeepDb,
  WorkLocks,
} from '../ports/index.ts';
import { Layers } from './chains.ts';
import type { Connection } from './connection.ts';
import { History } from './history.ts';
import { Images, type NamesMirror } from './images.ts';
import { LeaseTable } from './leases.ts';
import { openDatabase } from './open-database.ts';
import { Records } from './records.ts';
import { Memos, Traces } from './traces.ts';
import { Upkeep } from './upkeep.ts';
import { createWorkLocks } from './work-locks.ts';

/** What openStateDb needs. */
export interface StateDbOptions {
  /** The database file, `state.db` of the store; lock files lie in `locks/` beside it. */
  readonly path: string;
  readonly clock: Clock;
  /** The second copy of the image names (`content/index.json`). */
  readonly names?: NamesMirror;
  /** Layers found on disk; asked only when the database had to be made anew. */
  readonly layersOnDisk?: () => Iterable<FoundLayer>;
}

/** A layer that the snapshotter finds on disk. */
export interface FoundLayer {
  readonly id: LayerId;
  readonly diffId?: Digest;
  readonly size: number;
}

/** What was saved when a lost or damaged database was made anew; cache records cannot be. */
export interface Recovery {
  /** Where the damaged database lies now; absent when it was simply gone. */
  readonly movedTo?: string;
  readonly images: number;
  readonly layers: number;
}

/** The state database: every interface of ports/cache-db.ts on one SQLite file. */
export interface StateDb extends Disposable {
  readonly cache: CacheDb;
  readonly layers: LayerDb;
  readonly images: ImageDb;
  readonly leases: Leases;
  readonly locks: WorkLocks;
  readonly history: HistoryDb;
  readonly memo: MemoDb;
  readonly traces: TraceDb;
  /** What looking after the store asks. */
  readonly upkeep: UpkeepDb;
  /** Set when the database was lost or damaged; to be said to the user. */
  readonly recovery?: Recovery;
  /** Leases of dead processes that were dropped: such a process may have left unfinished files. */
  readonly abandoned: number;
  /** Statements executed so far. */
  statements(): number;
  close(): void;
}

/**
 * Opens or makes the state database (WAL, `synchronous=NORMAL`: a power cut can take the last moments, never the whole).
 * Any number of processes may have it open.
 */
export function openStateDb(options: StateDbOptions): Result<StateDb> {
  const opened = openDatabase(options.path, options.clock.now());
  if (!opened.ok) return opened;
  const { db, state, movedTo } = opened.value;
  const images = new Images(db, options.names);
  try {
    const saved = state === 'new' ? rebuild(db, images, options) : { images: 0, layers: 0 };
    const lost = movedTo !== undefined || saved.images + saved.layers > 0;
    const recovery: Recovery | undefined = lost
      ? { ...saved, ...(movedTo === undefined ? {} : { movedTo }) }
      : undefined;
    return ok(assemble(db, images, options, recovery));
  } catch (e) {
    db.close();
    if (e instanceof FailureError) return err(e.failure);
    throw e;
  }
}

function assemble(
  db: Connection,
  images: Images,
  { path, clock }: StateDbOptions,
  recovery: Recovery | undefined,
): StateDb {
  const layers = new Layers(db, clock);
  const leases = new LeaseTable(db, clock);
  const abandoned = leases.sweepIfPossible();
  return {
    cache: new Records(db, layers, clock),
    layers,
    images,
    leases,
    locks: createWorkLocks(join(dirname(path), 'locks')),
    history: new History(db),
    memo: new Memos(db, clock),
    traces: new Traces(db),
    upkeep: new Upkeep(db, leases, clock),
    ...(recovery === undefined ? {} : { recovery }),
    abandoned,
    statements: () => db.executed,
    close: () => db.close(),
    [Symbol.dispose]: () => db.close(),
  };
}

function rebuild(
  db: Connection,
  images: Images,
  options: StateDbOptions,
): { readonly images: number; readonly layers: number } {
  const names = options.names?.load() ?? [];
  const layers = [...(options.layersOnDisk?.() ?? [])];
  if (names.length + layers.length === 0) return { images: 0, layers: 0 };
  const now = options.clock.now();
  db.write(() => {
    for (const row of names) images.insert(row);
    for (const { id, diffId, size } of layers) {
      db.run(
        'INSERT INTO layer (id, diff_id, size, created_at, used_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
        ...[id, diffId ?? null, size, now, now],
      );
    }
  });
  return { images: names.length, layers: layers.length };
}
