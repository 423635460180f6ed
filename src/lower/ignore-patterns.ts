import { readIgnoreFile } from '../dockerfile/index.ts';
import { stop } from './stop.ts';

/** The patterns of an ignore file; a context without one excludes nothing. */
export function ignorePatterns(text: string | undefined): readonly string[] {
  if (text === undefined) return [];
  const patterns = readIgnoreFile(text);
  return patterns.ok ? patterns.value : stop(patterns.error, 'DF034');
}
