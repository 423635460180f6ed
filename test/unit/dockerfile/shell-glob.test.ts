import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Glob } from '../../../src/dockerfile/shell-glob.ts';

const globOf = (pattern: string): Glob => {
  const glob = Glob.parse(pattern);
  assert.ok(glob.ok, pattern);
  return glob.value;
};

const piece = fc.constantFrom('a', 'b', '*', '?', '\\*');
const pattern = fc.array(piece, { maxLength: 6 }).map((parts) => parts.join(''));
const text = fc
  .array(fc.constantFrom('a', 'b', 'c', '*'), { maxLength: 10 })
  .map((c) => c.join(''));

/** The same pattern as a regular expression; short texts do not make it slow. */
const regexOf = (glob: string, star: string): string =>
  glob.replace(/\\\*|\*|\?/g, (part) => (part === '*' ? star : part === '?' ? '.' : part));

test('the shortest and the longest prefix are those of a regular expression', () => {
  fc.assert(
    fc.property(pattern, text, (glob, value) => {
      const [lazy, greedy] = ['.*?', '.*'].map((star) => new RegExp(`^${regexOf(glob, star)}`));
      assert.equal(globOf(glob).trimPrefix(value, { longest: false }), value.replace(lazy!, ''));
      assert.equal(globOf(glob).trimPrefix(value, { longest: true }), value.replace(greedy!, ''));
    }),
    { numRuns: 3_000 },
  );
});

test('the first match is replaced as a regular expression replaces it', () => {
  fc.assert(
    fc.property(pattern, text, (glob, value) => {
      const regex = new RegExp(regexOf(glob, '.*'));
      assert.equal(globOf(glob).replaceFirst(value, '<>'), value.replace(regex, '<>'));
    }),
    { numRuns: 3_000 },
  );
});

test('an empty match directly behind a match is not replaced', () => {
  assert.equal(globOf('*').replaceAll('abc', 'x'), 'x');
  assert.equal(globOf('').replaceAll('abc', '-'), '-a-b-c-');
  assert.equal(globOf('b').replaceAll('abcb', 'x'), 'axcx');
});

test('dollars in the text for all matches mean what they mean to Go', () => {
  assert.equal(globOf('b').replaceAll('abc', '[$0]'), 'a[b]c');
  assert.equal(globOf('b').replaceAll('abc', '[${0}$$$name$]'), 'a[b$$]c');
  assert.equal(globOf('b').replaceFirst('abc', '[$0]'), 'a[$0]c');
});

test('a star stops at a line feed', () => {
  assert.equal(globOf('*').trimPrefix('a\nb', { longest: true }), '\nb');
});

test('only star, question mark and backslash can be escaped', () => {
  assert.deepEqual(Glob.parse('a\\x'), { ok: false, error: "invalid escape '\\x'" });
  assert.deepEqual(Glob.parse('a\\'), { ok: false, error: "invalid escape '\\\ufffd'" });
});
