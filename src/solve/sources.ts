import type { SourceAnswer } from '../events/index.ts';
import type { CachedResult, RecordId } from '../ports/index.ts';

/** Name of what this store made itself, in decisions. */
export const LOCAL_SOURCE = 'local';

/** The caches that a build was given. */
export interface CacheSources {
  /** Whether there are any. */
  readonly given: boolean;
  /**
   * Place of a result in the order of preference: the store itself comes first, then the caches as they were given,
   * then those that were imported by earlier builds. Undefined: the result is not used in this build.
   */
  rank(candidate: Candidate): number | undefined;
  /** What each given cache knows of a step that these records stand for. */
  answers(records: Iterable<RecordId>): readonly SourceAnswer[];
}

/** A record and one of its results. */
export interface Candidate {
  readonly record: RecordId;
  readonly result: CachedResult;
}

/** Results that may be used, the preferred one first: by source, then the newest. */
export function byPreference(
  candidates: readonly Candidate[],
  sources: CacheSources | undefined,
): Candidate[] {
  return candidates
    .flatMap((candidate) => {
      const imported = candidate.result.source !== undefined;
      const rank = sources === undefined ? Number(imported) : sources.rank(candidate);
      return rank === undefined ? [] : [{ candidate, rank }];
    })
    .sort((a, b) => a.rank - b.rank || b.candidate.result.createdAt - a.candidate.result.createdAt)
    .map(({ candidate }) => candidate);
}
