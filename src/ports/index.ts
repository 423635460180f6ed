export type {
  BuildRow,
  CacheDb,
  CachedResult,
  HistoryDb,
  ImageDb,
  ImageRow,
  LayerDb,
  Lease,
  Leases,
  MemoDb,
  RecordId,
  RecordInput,
  RecordLink,
  StepRow,
  StepTrace,
  StepTraceInput,
  TraceDb,
  WorkLocks,
} from './cache-db.ts';
export type { CacheRemote } from './cache-remote.ts';
export type { Clock } from './clock.ts';
export type { Blob, ContentStore, IngestOptions } from './content-store.ts';
export type { LayerOrigins } from './layer-origins.ts';
export type { LocalSource, LocalTreeOptions } from './local-source.ts';
export type { CacheDep, CacheMap, OpContext, OpDriver, OpResolver, OpResult } from './op-driver.ts';
export type { Packages } from './packages.ts';
export type {
  FetchedManifest,
  Referrer,
  Registry,
  ResolvedImage,
  TransferProgress,
} from './registry.ts';
export type {
  GitCheckout,
  GitCommit,
  GitRemote,
  GitRepositories,
  HttpDownload,
  HttpFiles,
  HttpValidators,
} from './remote-source.ts';
export type {
  Sandbox,
  SandboxExit,
  SandboxGroup,
  SandboxLimits,
  SandboxMount,
  SandboxSpec,
} from './sandbox.ts';
export type {
  ActiveLayer,
  LayerChain,
  LayerEntry,
  LayerId,
  LayerRef,
  MountedTree,
  PackedData,
  PackedEntry,
  PackedLayer,
  PackOptions,
  Snapshotter,
  TarOptions,
} from './snapshotter.ts';
export {
  isLocalLayer,
  type LayerBase,
  type LayerFetcher,
  type LayerIndexes,
  localLayer,
  type TreeContext,
  type TreeProvider,
} from './tree-provider.ts';
export type {
  BuildFact,
  ChainRow,
  DatabaseProblem,
  Eviction,
  ExecutedStep,
  HeldNow,
  LayerRow,
  Measured,
  Pin,
  ResultRow,
  UpkeepDb,
} from './upkeep-db.ts';
