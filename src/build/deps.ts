import type { Result } from '../base/index.ts';
import type { EventSink } from '../events/index.ts';
import type { Platform } from '../oci/index.ts';
import type { CacheMounts, SourceMemory } from '../ops/index.ts';
import type {
  CacheDb,
  Clock,
  ContentStore,
  GitRepositories,
  HistoryDb,
  HttpFiles,
  ImageDb,
  LayerDb,
  Leases,
  MemoDb,
  Packages,
  Registry,
  Sandbox,
  Snapshotter,
  TraceDb,
  WorkLocks,
} from '../ports/index.ts';
import type { CacheServices } from '../remotes/index.ts';

/** What leading a build needs. */
export interface BuildDeps {
  readonly clock: Clock;
  readonly emit: EventSink;
  /** Holds what is looked up in it and written to it as long as the command lasts. */
  readonly content: ContentStore;
  readonly snapshotter: Snapshotter;
  readonly registry: Registry;
  readonly http: HttpFiles;
  readonly git: GitRepositories;
  /** What was found out about addresses and repositories so far: each is asked once a command. */
  readonly remembered: SourceMemory;
  readonly sandbox: Sandbox;
  readonly cacheMounts: CacheMounts;
  readonly packages: TemplatePackages;
  readonly cache: CacheDb;
  readonly traces: TraceDb;
  readonly locks: WorkLocks;
  readonly leases: Leases;
  readonly layers: LayerDb;
  readonly images: ImageDb;
  readonly history: HistoryDb;
  readonly memo: MemoDb;
  /** Caches in services, and the layers that lie in them. */
  readonly origins: CacheServices;
  /** A content store over a foreign OCI layout, which is only read. */
  readonly openLayout: (dir: string) => ContentStore;
  readonly buildPlatform: Platform;
  readonly maxParallel: number;
  readonly paths: {
    /** Log files of steps. */
    readonly logs: string;
    /** Temporary files, on the file system of the snapshots. */
    readonly work: string;
  };
}

/** Packages, and the choice of those that a template wants. */
export interface TemplatePackages extends Packages {
  /** The lock of a template file for a platform: what the source op carries and the image configuration. */
  lockTemplate(
    file: string,
    platform: Platform,
    signal: AbortSignal,
  ): Promise<
    Result<{
      readonly identifier: string;
      readonly attrs: Readonly<Record<string, string>>;
      readonly config: unknown;
      /** It is made from nothing, whatever is cached. */
      readonly clean?: boolean;
    }>
  >;
}
