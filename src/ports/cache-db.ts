import type { Digest, Failure } from '../base/index.ts';
import type { Decision, Millis } from '../events/index.ts';
import type { Descriptor } from '../oci/index.ts';
import type { LayerChain, LayerId } from './snapshotter.ts';

/** Local identity of a cache record (a node of the key graph). */
export type RecordId = number & { readonly __brand: 'RecordId' };

/**
 * The graph of cache keys (BuildKit's CacheKeyStorage): a record has a digest (SHA-256 of `<cache map digest>@<output>`),
 * links from the records of its inputs, and results. A record without inputs is a root (a source, or a content key).
 */
export interface CacheDb {
  /** The root record with this digest, if known. */
  root(digest: Digest): RecordId | undefined;
  /** The root record with this digest, made when absent. */
  ensureRoot(digest: Digest): RecordId;
  /** Records reached from any of `parents` through input `input` with this digest and selector. */
  children(parents: readonly RecordId[], link: RecordLink): readonly RecordId[];
  /** Whether there is a record with this digest that has inputs. */
  knows(digest: Digest): boolean;
  /** Makes or finds the record below these inputs: for input i each of `inputs[i]` is an alternative parent. */
  ensureRecord(digest: Digest, inputs: readonly (readonly RecordInput[])[]): RecordId;
  /** Adds alternatives for one input of a record: the record is found below these parents as well from now on. */
  addInputs(record: RecordId, input: number, alternatives: readonly RecordInput[]): void;
  /** Results of a record, newest first. */
  results(record: RecordId): readonly CachedResult[];
  addResult(record: RecordId, result: CachedResult): void;
  removeResult(record: RecordId, result: CachedResult): void;
  /** Notes that a result served a build; what trimming goes by. */
  used(record: RecordId, result: CachedResult): void;
  /** When and by which rule trimming removed what a record led to. */
  eviction?(record: RecordId): { readonly at: Millis; readonly rule: string } | undefined;
  digestOf(record: RecordId): Digest;
  /** Input links of a record: for each input its alternatives. */
  inputsOf(record: RecordId): readonly (readonly RecordInput[])[];
}

export interface RecordLink {
  readonly input: number;
  readonly digest: Digest;
  readonly selector?: Digest;
}

export interface RecordInput {
  readonly record: RecordId;
  readonly selector?: Digest;
}

export interface CachedResult {
  readonly chain: LayerChain;
  readonly createdAt: Millis;
  /** How long the execution took; what a hit saves. */
  readonly costMs: Millis;
  /** Name of the cache that it was imported from; absent for what this store made itself. */
  readonly source?: string;
}

/**
 * What earlier executions of steps looked like, so that a miss can be explained. A step is recognised over builds by its
 * name without its counter.
 */
export interface TraceDb {
  /** Keeps an execution; `listings` packs the files behind content digests of its inputs that are not kept yet. */
  remember(trace: StepTrace, listings?: ReadonlyMap<Digest, () => Uint8Array>): void;
  /**
   * The last executions of a step, newest first: those of the project, or, where it has none, those of projects whose
   * address ends alike (the same one checked out elsewhere). Without a project: of all.
   */
  traces(step: string, limit: number, project?: string): readonly StepTrace[];
  /** The same for steps that stood directly on `step`. */
  tracesAbove(step: string, limit: number, project?: string): readonly StepTrace[];
  /** The packed files behind the content digest of an input of a kept execution. */
  listing(content: Digest): Uint8Array | undefined;
  /** The last execution that made each of these records, where it is kept. */
  madeBy(records: readonly RecordId[]): readonly StepTrace[];
  /** Adds executions of other stores, oldest first; those that are kept already are passed over. */
  merge(traces: readonly StepTrace[], listings: ReadonlyMap<Digest, () => Uint8Array>): void;
}

/** One execution of a step. */
export interface StepTrace {
  readonly step: string;
  /** What tells builds of one project from those of others: the context's address; empty where there is none. */
  readonly project: string;
  /** The step it stood on. */
  readonly below: string;
  /** The record of the first output, where one was kept. */
  readonly record?: number;
  /** Digest of the op together with the identity of all its inputs. */
  readonly key: Digest;
  /** Digest of the op alone (`CacheMap.digest`). */
  readonly op: Digest;
  /** `CacheMap.describes`. */
  readonly describes?: string;
  /** The op as protobuf, to tell later what in it differs. */
  readonly pb: Uint8Array;
  readonly inputs: readonly StepTraceInput[];
  readonly at: Millis;
  readonly costMs: Millis;
}

export interface StepTraceInput {
  /** Name of the step the input comes from. */
  readonly step: string;
  /** Set for the input that the step stands on, not only copies from. */
  readonly main?: boolean;
  /** `CacheMap.describes` of that step. */
  readonly describes?: string;
  /** Ignore patterns that a local directory was read with, as JSON. */
  readonly ignored?: string;
  /** Content digest of what the op selects, where the op has one. */
  readonly content?: Digest;
  /** Identity of the input as a whole: its record. */
  readonly record?: number;
  /** All its records, where it has several. */
  readonly records?: readonly number[];
}

/** Which compressed forms of a layer exist, so that nothing is compressed or hashed twice. */
export interface LayerDb {
  layer(
    id: LayerId,
  ): { readonly diffId?: Digest; readonly blobs: readonly Descriptor[] } | undefined;
  setDiffId(id: LayerId, diffId: Digest, size: number): void;
  addBlob(id: LayerId, blob: Descriptor): void;
}

/** Names of images: `docker.io/library/app:latest` to the manifest or index digest. */
export interface ImageDb {
  get(name: string): ImageRow | undefined;
  set(row: ImageRow): void;
  remove(name: string): boolean;
  list(): readonly ImageRow[];
}

export interface ImageRow {
  readonly name: string;
  readonly target: Descriptor;
  readonly createdAt: Millis;
}

/** What keeps things from being removed while a process works with them. */
export interface Leases {
  /** Holds everything added to it until disposed; a dead process's leases are dropped by the next command. */
  open(purpose: string): Lease;
  /** What living processes hold; nothing of it may be removed. */
  held(): readonly {
    readonly id: string;
    readonly purpose: string;
    readonly resources: readonly string[];
  }[];
}

export interface Lease extends AsyncDisposable {
  readonly id: string;
  /** Protects blobs, layers or packages, all at once: `blob:sha256:...`, `layer:...`, `mount:...`. */
  add(...resources: readonly string[]): void;
}

/** Single flight between processes. */
export interface WorkLocks {
  /**
   * Waits until this process may do the work named `key`; a dead owner's lock is taken over. `waited` tells that another
   * process held it meanwhile, so that the caller looks for its result first.
   */
  lock(key: string, signal: AbortSignal): Promise<AsyncDisposable & { readonly waited: boolean }>;
  /** As `lock`, or undefined at once when the work is in other hands. */
  tryLock(key: string): Promise<AsyncDisposable | undefined>;
}

/** Builds and their steps. */
export interface HistoryDb {
  startBuild(build: BuildRow): void;
  finishBuild(
    id: string,
    end: { readonly at: Millis; readonly failure?: Failure; readonly image?: Digest },
  ): void;
  /** Stores steps in their order, all at once; a step known already is replaced where it stands. */
  saveStep(build: string, ...steps: readonly StepRow[]): void;
  builds(limit: number): readonly (BuildRow & {
    readonly finishedAt?: Millis;
    readonly error?: string;
    readonly image?: Digest;
  })[];
  steps(build: string): readonly StepRow[];
  removeBuild(id: string): boolean;
}

export interface BuildRow {
  readonly id: string;
  readonly startedAt: Millis;
  readonly name: string;
  /** The request as JSON without secrets: context, file, target, arguments. */
  readonly request: string;
}

export interface StepRow {
  readonly vertex: Digest;
  readonly name: string;
  /** Vertices it stands on and copies from. */
  readonly inputs?: readonly Digest[];
  readonly startedAt?: Millis;
  readonly completedAt?: Millis;
  readonly state: 'cached' | 'done' | 'error' | 'canceled';
  readonly error?: string;
  readonly decision?: Decision;
  /** Path of the step's log file. */
  readonly log?: string;
}

/** Small memo of facts that are expensive to find out, by namespace and key (stat index, resolved tags). */
export interface MemoDb {
  get(namespace: string, key: string): Uint8Array | undefined;
  set(namespace: string, key: string, value: Uint8Array): void;
  /** Sets several keys at once. */
  setAll(namespace: string, entries: Iterable<readonly [key: string, value: Uint8Array]>): void;
}
