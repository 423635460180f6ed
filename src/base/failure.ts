import type { SourceFile, Span } from './source.ts';

/**
 * Exit code a failure leads to: 1 a build step failed, 2 usage, configuration or diagnostics,
 * 3 environment (network, registry, disk, permission).
 */
export type FailureExit = 1 | 2 | 3;

/** A place in a source file that a failure points at. */
export interface FailurePlace {
  readonly file: SourceFile;
  readonly span: Span;
  /** Printed behind the carets. */
  readonly note?: string;
}

/**
 * A failure that a user or the outside world caused. `code` is stable and documented
 * (`DF` Dockerfile, `GR` graph, `RG` registry, `PK` packages, `ST` store, `SB` sandbox, `CX` context,
 * `CL` command line, `EX` export, `TP` template, `RC` caches elsewhere, `SR` remote
 * sources). `message` is lower-case, has no full stop and names the thing.
 */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly exit: FailureExit;
  /** What to do next. */
  readonly help?: string;
  /** The first is where it went wrong; others are shown as further excerpts. */
  readonly places?: readonly FailurePlace[];
  /** Extra lines printed below the excerpt as they are (last lines of a step's output, a log path). */
  readonly details?: readonly string[];
  /** Further failures reported together with this one. */
  readonly also?: readonly Failure[];
  readonly cause?: unknown;
}

/** Carries a `Failure` through code whose interface can only throw (streams); unwrapped at the next boundary. */
export class FailureError extends Error {
  readonly failure: Failure;
  constructor(failure: Failure) {
    super(failure.message, { cause: failure.cause });
    this.name = 'FailureError';
    this.failure = failure;
  }
}

/** Builds a failure. */
export function failure(
  code: string,
  exit: FailureExit,
  message: string,
  extra: Omit<Failure, 'code' | 'exit' | 'message'> = {},
): Failure {
  return { code, exit, message, ...extra };
}
