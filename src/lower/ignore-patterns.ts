import { PatternMatcher, readIgnoreFile } from '../dockerfile/index.ts';
import { stop } from './stop.ts';

/** The patterns of an ignore file; a context without one excludes nothing. */
export function ignorePatterns(text: string | undefined): readonly string[] {
  if (text === undefined) return [];
  const patterns = readIgnoreFile(text);
  if (!patterns.ok) return stop(patterns.error, 'DF034');
  const matcher = PatternMatcher.create(patterns.value);
  return matcher.ok ? patterns.value : stop(matcher.error, 'DF034');
}
