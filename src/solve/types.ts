import type { Digest, Failure, Result } from '../base/index.ts';
import type { Decision, EventSink, Millis, RootCause } from '../events/index.ts';
import type { Definition, Vertex } from '../llb/index.ts';
import type {
  CacheDb,
  Clock,
  LayerChain,
  Lease,
  Leases,
  OpResolver,
  RecordId,
  TraceDb,
  WorkLocks,
} from '../ports/index.ts';
import type { BuildRun } from './build-run.ts';
import type { Edge } from './edge.ts';
import type { CacheSources } from './sources.ts';
import type { StepTexts } from './step-identity.ts';

/** What a solver works with. */
export interface SolverDeps {
  readonly cache: CacheDb;
  readonly traces: TraceDb;
  /** Brings executions of other stores before a miss is explained; what it cannot bring is no reason to fail. */
  readonly tracesFromElsewhere?: (signal: AbortSignal) => Promise<void>;
  readonly locks: WorkLocks;
  readonly leases: Leases;
  readonly clock: Clock;
  readonly resolver: OpResolver;
  /** Whether the layers of a result can still be had, here or at their origin. A result without them is a miss. */
  readonly available: (chain: LayerChain) => Promise<boolean>;
  /** The caches that the build was given; absent: none. */
  readonly sources?: CacheSources;
  /** Steps that execute at once. */
  readonly maxParallel: number;
}

/** One request. */
export interface SolveOptions {
  readonly signal: AbortSignal;
  readonly emit: EventSink;
  /** `cancel` (the default) stops the other steps at the first failure; `finish-running` lets those end that run. */
  readonly onFailure?: 'cancel' | 'finish-running';
  /** Holds the layers of every result the solve touches; without one they are held until it ends. */
  readonly lease?: Lease;
  /** What the ops were made from, to explain misses in the author's words. */
  readonly texts?: StepTexts;
}

/** What a definition's result is. */
export interface Solution {
  readonly chain: LayerChain;
  /** Records of the result in the key graph, for `exportRecords`; none for what no key can find again. */
  readonly records: readonly RecordId[];
  /** What each source turned out to be (`CacheMap.describes`), by vertex. */
  readonly sources: ReadonlyMap<Digest, string>;
}

/** Solves definitions; steps that several definitions need at the same time are executed once. */
export interface Solver {
  solve(definition: Definition, options: SolveOptions): Promise<Result<Solution>>;
  /** Looks everything up as `solve` does, executes nothing but the reading of local directories, and writes nothing. */
  plan(
    definition: Definition,
    options: Omit<SolveOptions, 'onFailure'>,
  ): Promise<Result<readonly PlannedStep[]>>;
}

/** What a solve would do with one step. */
export interface PlannedStep {
  readonly vertex: Vertex;
  readonly name: string;
  readonly state: 'cached' | 'run';
  /** False for a step that would run, but is found after all if a step below it makes the same files again. */
  readonly certain: boolean;
  readonly decision: Decision;
  /** How long its last execution took. */
  readonly lastMs?: Millis;
}

/** Brings the result of a step that no record answers for. */
export interface StepExecutor {
  /** The result of one output; `decided` is called when the step is really executed, before it starts. */
  execute(build: BuildRun, edge: Edge, decided: () => void): Promise<Result<LayerChain>>;
}

/** Why a step was executed: one sentence, and where the difference began. */
export interface Cause {
  readonly reason: string;
  readonly root: RootCause;
}

/** Outcome of one execution, shared by all who wait for it. */
export type Execution =
  | {
      readonly kind: 'done';
      readonly outputs: readonly (LayerChain | undefined)[];
      readonly records: readonly (readonly RecordId[])[];
    }
  | { readonly kind: 'found' }
  | { readonly kind: 'failed'; readonly failure: Failure };
