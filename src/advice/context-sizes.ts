import { PatternMatcher } from '../dockerfile/index.ts';
import type { ContextFacts, ContextFile } from './finding.ts';

/** The files of the context that a COPY of these sources takes: paths, directories and shell patterns. */
export function filesOfSources(
  { files }: ContextFacts,
  sources: readonly string[],
): readonly ContextFile[] {
  const patterns = sources.map((source) => source.replace(/^(?:\.?\/)+/, '').replace(/\/+$/, ''));
  if (patterns.some((pattern) => pattern === '' || pattern === '.' || pattern === '*'))
    return files;
  const matcher = PatternMatcher.create(patterns);
  if (!matcher.ok) return [];
  return files.filter(({ path }) => matcher.value.matchesOrParentMatches(path));
}

/** Bytes of what a COPY of these sources takes. */
export function sizeOfSources(facts: ContextFacts, sources: readonly string[]): number {
  return filesOfSources(facts, sources).reduce((sum, { bytes }) => sum + bytes, 0);
}
