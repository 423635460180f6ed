import { type Failure, failure, type SourceFile, type Span } from '../base/index.ts';
import type { DockerfileFailure, LineRange } from '../dockerfile/index.ts';

/** A place that a failure is about. */
export interface At {
  readonly span: Span;
  readonly lines: LineRange;
}

/**
 * Ends the lowering under way: an internal signal that `lower` alone catches, since instructions are dispatched many calls
 * deep and each can fail. What leaves `lower` is a value.
 */
export class Stop extends Error {
  readonly code: string;
  /** Innermost first; undefined for an image that a mount names, which has no place of its own in BuildKit. */
  readonly places: (At | undefined)[] = [];
  readonly failure: Failure | undefined;

  constructor(
    message: string,
    options: { readonly code?: string; readonly failure?: Failure } = {},
  ) {
    super(message);
    this.code = options.code ?? 'DF020';
    this.failure = options.failure;
  }

  /** The failure as handed to the user. */
  toFailure(file: SourceFile): DockerfileFailure {
    const places = this.places.flatMap((at) => (at === undefined ? [] : [{ file, span: at.span }]));
    const base =
      this.failure === undefined
        ? failure(this.code, 2, this.message, places.length === 0 ? {} : { places })
        : { ...this.failure, places: [...places, ...(this.failure.places ?? [])] };
    return {
      ...base,
      locations: this.places.map((at) => (at === undefined ? [] : eachLine(at.lines))),
    };
  }
}

/** Fails the lowering. */
export function stop(message: string, code?: string): never {
  throw new Stop(message, code === undefined ? {} : { code });
}

/** Runs `work`; a failure inside is located at `at`. */
export function locate<T>(at: At | undefined, work: () => T): T {
  try {
    return work();
  } catch (e) {
    if (e instanceof Stop) e.places.push(at);
    throw e;
  }
}

function eachLine([first, last]: LineRange): LineRange[] {
  const ranges: LineRange[] = [];
  for (let line = first; line <= Math.max(first, last); line++) ranges.push([line, line]);
  return ranges;
}
