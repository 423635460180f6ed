import { err, ok, type Result } from '../base/index.ts';
import { Glob } from './shell-glob.ts';

/**
 * `${name#word}`, `${name##word}`, `${name%word}`, `${name%%word}`: removes what a pattern matches at the start or the end,
 * the shortest or (word starts with the modifier again) the longest. The error is BuildKit's text.
 */
export function trimPattern(
  value: string,
  word: string,
  modifier: '#' | '%',
): Result<string, string> {
  const longest = word.startsWith(modifier);
  const written = longest ? word.slice(1) : word;
  // The shortest match at the end is the shortest at the start of the mirror image.
  const pattern = modifier === '#' ? written : reversePattern(written);
  const glob = parseGlob(pattern);
  if (!glob.ok) return glob;
  if (modifier === '#') return ok(glob.value.trimPrefix(value, { longest }));
  return ok(reverse(glob.value.trimPrefix(reverse(value), { longest })));
}

/** `${name/pattern/replacement}` and `${name//pattern/replacement}`. */
export function replacePattern(
  value: string,
  by: { readonly pattern: string; readonly replacement: string; readonly all: boolean },
): Result<string, string> {
  const glob = parseGlob(by.pattern);
  if (!glob.ok) return glob;
  return ok(
    by.all
      ? glob.value.replaceAll(value, by.replacement)
      : glob.value.replaceFirst(value, by.replacement),
  );
}

function parseGlob(pattern: string): Result<Glob, string> {
  const glob = Glob.parse(pattern);
  return glob.ok ? glob : err(`invalid pattern (${pattern}) in substitution: ${glob.error}`);
}

const reverse = (text: string): string => Array.from(text).reverse().join('');

/** Reversed, but escape characters stay in front of what they escape. */
function reversePattern(pattern: string): string {
  const chars = Array.from(pattern);
  const groups: string[] = [];
  for (let i = 0; i < chars.length; i++) {
    const char = chars[i] ?? '';
    const escaped = char === '\\' ? chars[i + 1] : undefined;
    groups.push(char + (escaped ?? ''));
    if (escaped !== undefined) i++;
  }
  return groups.reverse().join('');
}
