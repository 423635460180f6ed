import type { Failure, Result } from '../base/index.ts';
import type { EventSink } from '../events/index.ts';
import type { Definition } from '../llb/index.ts';
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

/** What a solver works with. */
export interface SolverDeps {
  readonly cache: CacheDb;
  readonly traces: TraceDb;
  readonly locks: WorkLocks;
  readonly leases: Leases;
  readonly clock: Clock;
  readonly resolver: OpResolver;
  /** Whether the layers of a result can still be had, here or at their origin. A result without them is a miss. */
  readonly available: (chain: LayerChain) => Promise<boolean>;
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
}

/** What a definition's result is. */
export interface Solution {
  readonly chain: LayerChain;
  /** Records of the result in the key graph, for `exportRecords`; none for what no key can find again. */
  readonly records: readonly RecordId[];
}

/** Solves definitions; steps that several definitions need at the same time are executed once. */
export interface Solver {
  solve(definition: Definition, options: SolveOptions): Promise<Result<Solution>>;
}

/** Why a step was executed: one sentence, and the step where the difference began. */
export interface Cause {
  readonly reason: string;
  readonly root: string;
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
