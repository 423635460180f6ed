import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PatternMatcher } from '../../../src/dockerfile/index.ts';
import { compilePattern } from '../../../src/dockerfile/path-pattern.ts';

/** The paths of `candidates` that a list of patterns matches, by each of the ways that are in use. */
function matched(patterns: readonly string[], candidates: readonly string[]): string[] {
  const matcher = PatternMatcher.create(patterns);
  assert.ok(matcher.ok);
  return candidates.filter((path) => matcher.value.matchesOrParentMatches(path));
}

test('the last pattern that matches a path or a parent decides', () => {
  const paths = ['a', 'a/b', 'a/b/c', 'docs/x.md', 'docs/keep.md', 'other'];
  assert.deepEqual(matched(['a', '!a/b', 'a/b/c'], paths), ['a', 'a/b/c']);
  assert.deepEqual(matched(['*', '!docs', 'docs/*.md', '!docs/keep.md'], paths), [
    ...['a', 'a/b', 'a/b/c', 'docs/x.md', 'other'],
  ]);
});

test('two stars match any number of directories, also none', () => {
  const paths = ['x.go', 'a/x.go', 'a/b/x.go', 'a/x.gox', 'x.god/y'];
  assert.deepEqual(matched(['**/*.go'], paths), ['x.go', 'a/x.go', 'a/b/x.go']);
  assert.deepEqual(matched(['a/**'], paths), ['a/x.go', 'a/b/x.go', 'a/x.gox']);
  assert.deepEqual(matched(['a/**/x.go'], paths), ['a/x.go', 'a/b/x.go']);
});

test('one star and ? stop at a slash, classes and escapes are read', () => {
  const paths = ['ab', 'a/b', 'axb', 'a*b', 'a.b', 'a5b', 'a-b'];
  assert.deepEqual(matched(['a*b'], paths), ['ab', 'axb', 'a*b', 'a.b', 'a5b', 'a-b']);
  assert.deepEqual(matched(['a?b'], paths), ['axb', 'a*b', 'a.b', 'a5b', 'a-b']);
  assert.deepEqual(matched(['a\\*b'], paths), ['a*b']);
  assert.deepEqual(matched(['a[x0-9]b'], paths), ['axb', 'a5b']);
  assert.deepEqual(matched(['a[^x0-9]b'], paths), ['a/b', 'a*b', 'a.b', 'a-b']);
});

test('malformed patterns are refused with the text of the library', () => {
  const errors = ['!', '[', 'a\\', '[b-a]', '\\y'].map((pattern) => {
    const matcher = PatternMatcher.create([pattern]);
    return matcher.ok ? 'ok' : matcher.error;
  });
  const syntax = 'syntax error in pattern';
  assert.deepEqual(errors, ['illegal exclusion pattern: "!"', syntax, syntax, syntax, syntax]);
});

test('a pattern matches the same paths whether it is simulated or given to the regular-expression engine', () => {
  const part = fc.constantFrom(
    '*',
    '**',
    '**/',
    '/',
    '?',
    '[ab]',
    '[^a]',
    'a',
    'b',
    '.',
    '^',
    '\\*',
  );
  const pattern = fc.array(part, { minLength: 1, maxLength: 8 }).map((parts) => parts.join(''));
  const path = fc
    .array(fc.constantFrom('a', 'b', '/', '.', '*', 'é', '\n'), { maxLength: 12 })
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(pattern, path, (text, name) => {
      const [simulated, compiled] = [compilePattern(text, -1), compilePattern(text, 100)];
      assert.equal(simulated.ok, compiled.ok);
      if (simulated.ok && compiled.ok) assert.equal(simulated.value(name), compiled.value(name));
    }),
    { numRuns: 5_000 },
  );
});
