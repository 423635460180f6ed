import type { Digest, Failure } from '../base/index.ts';
import type { RootCause } from './cause.ts';

/** Milliseconds since the Unix epoch, with fractions. */
export type Millis = number;

/**
 * Everything a build tells the outside, in the shape of BuildKit's status stream (client.SolveStatus): the terminal, the
 * log, the history database and the report are readers of this union. A vertex is announced before anything else is said
 * of it, `started` comes before `completed`.
 */
export type Event =
  | VertexDeclared
  | VertexStarted
  | VertexCompleted
  | VertexStatus
  | VertexLog
  | VertexWarning
  | DecisionMade
  | BuildStarted
  | BuildFinished;

export interface BuildStarted {
  readonly type: 'build-started';
  readonly build: string;
  readonly at: Millis;
}

export interface BuildFinished {
  readonly type: 'build-finished';
  readonly build: string;
  readonly at: Millis;
  readonly failure?: Failure;
}

export interface VertexDeclared {
  readonly type: 'vertex';
  readonly vertex: Digest;
  readonly name: string;
  readonly inputs: readonly Digest[];
  readonly progressGroup?: { readonly id: string; readonly name: string; readonly weak: boolean };
}

export interface VertexStarted {
  readonly type: 'vertex-started';
  readonly vertex: Digest;
  readonly at: Millis;
}

export interface VertexCompleted {
  readonly type: 'vertex-completed';
  readonly vertex: Digest;
  readonly at: Millis;
  readonly cached: boolean;
  /** The text behind `ERROR:`; `context canceled` for cancelled steps. */
  readonly error?: string;
}

/** A line below a vertex (a transfer, an extraction); the same `id` updates in place. Bytes where `total` is set. */
export interface VertexStatus {
  readonly type: 'status';
  readonly vertex: Digest;
  readonly id: string;
  readonly at: Millis;
  readonly current?: number;
  readonly total?: number;
  readonly completed: boolean;
}

/** Output of a step; `stream` 1 is standard output, 2 standard error. */
export interface VertexLog {
  readonly type: 'log';
  readonly vertex: Digest;
  readonly at: Millis;
  readonly stream: 1 | 2;
  readonly data: Uint8Array;
}

/** A lint or other warning; `lines` are 1-based, inclusive. */
export interface VertexWarning {
  readonly type: 'warning';
  readonly vertex: Digest;
  readonly rule: string;
  readonly message: string;
  readonly url?: string;
  readonly detail?: readonly string[];
  readonly file?: string;
  readonly lines?: readonly (readonly [first: number, last: number])[];
}

/** Why a step was or was not executed: what was looked up, where, and what answered. */
export interface DecisionMade {
  readonly type: 'decision';
  readonly vertex: Digest;
  readonly decision: Decision;
}

export interface Decision {
  /** `hit`: a record was used; `miss`: none was found; `forced`: caching was off for the step. */
  readonly outcome: 'hit' | 'miss' | 'forced';
  /** How the hit was found, or the last way that was tried. */
  readonly by: 'definition' | 'content' | 'none';
  /** Digest of the cache record used (hit), or computed (miss). */
  readonly key: Digest;
  /** Where the hit came from: `local`, or the name of a cache (`registry:NAME`, `dir:PATH@SCOPE`, …). */
  readonly source: string;
  /** One sentence for people. */
  readonly reason: string;
  /** On a miss: the nearest earlier execution of the same step, and the first input that differs. */
  readonly nearest?: { readonly key: Digest; readonly differs: string };
  /** What each given cache knew of the step, in the order of preference; absent when none was given. */
  readonly asked?: readonly SourceAnswer[];
  /** On a miss: where the difference began. */
  readonly cause?: RootCause;
}

/** What one cache knew of a step: a result, its key only, nothing, or it could not be read or trusted. */
export interface SourceAnswer {
  readonly source: string;
  readonly answer: 'result' | 'key' | 'nothing' | 'unread' | 'refused';
}

/** Receives events in order; must not throw. */
export type EventSink = (event: Event) => void;
