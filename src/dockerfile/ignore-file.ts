import { err, ok, type Result } from '../base/index.ts';
import { cleanPath } from './clean-path.ts';
import { trimSpace } from './go-text.ts';
import { MAX_LINE_BYTES, SourceLines } from './source-lines.ts';

/**
 * The patterns of a `.dockerignore` (moby/patternmatcher `ignorefile.ReadAll`): lines that start with `#` are comments,
 * paths are cleaned and lose one leading slash, `!` in front stays. The error is about a line that is too long.
 */
export function readIgnoreFile(text: string): Result<readonly string[], string> {
  const lines = new SourceLines(text);
  const patterns: string[] = [];
  for (let line = lines.next(); line !== undefined; line = lines.next()) {
    const written = text.slice(line.start, line.end);
    const trimmed = trimSpace(written);
    if (written.startsWith('#') || trimmed === '') continue;
    const inverted = trimmed.startsWith('!');
    const path = inverted ? trimSpace(trimmed.slice(1)) : trimmed;
    patterns.push((inverted ? '!' : '') + (path === '' ? '' : relative(cleanPath(path))));
  }
  if (lines.tooLongAt === undefined) return ok(patterns);
  return err(`line ${lines.count + 1} is longer than ${MAX_LINE_BYTES} bytes`);
}

const relative = (path: string): string => (path.length > 1 ? path.replace(/^\//, '') : path);
