import type { CacheMounts } from '../ops/index.ts';
import type {
  Clock,
  ContentStore,
  HistoryDb,
  ImageDb,
  ImageRow,
  UpkeepDb,
  WorkLocks,
} from '../ports/index.ts';
import type { LayerStore } from '../snapshot/index.ts';
import type { PackageDir } from './package-dirs.ts';

/** What looking after a store needs. */
export interface UpkeepDeps {
  readonly clock: Clock;
  readonly content: ContentStore;
  readonly layers: LayerStore;
  readonly mounts: CacheMounts;
  readonly images: ImageDb;
  /** The names of images as they are kept outside the database. */
  readonly names: {
    load(): readonly ImageRow[];
    save(rows: readonly ImageRow[]): void;
  };
  readonly history: HistoryDb;
  readonly db: UpkeepDb;
  readonly locks: WorkLocks;
  readonly paths: UpkeepPaths;
  /** What git sees of the environment. */
  readonly gitEnv: Readonly<Record<string, string>>;
}

/** Where things lie. */
export interface UpkeepPaths {
  readonly root: string;
  readonly content: string;
  readonly snapshots: string;
  readonly mounts: string;
  readonly packages: string;
  /** Directories of packages beside the store's own, which were named. */
  readonly packageDirs?: readonly PackageDir[];
  readonly git: string;
  readonly contexts: string;
  readonly logs: string;
  readonly tmp: string;
  readonly db: string;
}
