import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type EscapeToken,
  type ExpandOptions,
  expandWord,
  expandWords,
  PatternMatcher,
  pathMatch,
  readIgnoreFile,
} from '../../../src/dockerfile/index.ts';
import { goldenJson, goldenNames, needsGolden, note } from '../../rig/golden.ts';

interface ShellFile {
  readonly about: {
    readonly env: readonly string[];
    readonly escapeToken: EscapeToken;
  } & Pick<ExpandOptions, 'rawQuotes' | 'rawEscapes' | 'skipUnsetEnv' | 'skipProcessQuotes'>;
  readonly cases: readonly ShellCase[];
}

interface ShellCase {
  readonly in: string;
  readonly word?: string;
  readonly matched?: readonly string[];
  readonly unmatched?: readonly string[];
  readonly error?: string;
  readonly words?: readonly string[];
  readonly wordsError?: string;
}

/** Fails with every case that differs, and prints how many are equal. */
function compare(what: string, cases: readonly { name: string; got: unknown; want: unknown }[]) {
  const different = cases.filter(({ got, want }) => !isEqual(got, want));
  note(`${what}: ${cases.length - different.length} of ${cases.length} equal`);
  assert.deepEqual(different, []);
}

function isEqual(a: unknown, b: unknown): boolean {
  try {
    assert.deepStrictEqual(a, b);
    return true;
  } catch {
    return false;
  }
}

function shellResult(input: string, env: ReadonlyMap<string, string>, options: ExpandOptions) {
  const word = expandWord(input, env, options);
  const words = expandWords(input, env, options);
  return {
    in: input,
    ...(word.ok
      ? {
          word: word.value.value,
          matched: [...word.value.matched].sort(),
          unmatched: [...word.value.unmatched].sort(),
        }
      : { error: word.error }),
    ...(words.ok ? { words: words.value } : { wordsError: words.error }),
  };
}

for (const name of goldenNames('lexer').filter((file) => file.startsWith('shell-'))) {
  test(`words of ${name} expand as BuildKit expands them`, needsGolden, () => {
    const { about, cases } = goldenJson<ShellFile>(`lexer/${name}`);
    const env = new Map(
      about.env.map((pair) => {
        const equals = pair.indexOf('=');
        return [pair.slice(0, equals), pair.slice(equals + 1)] as const;
      }),
    );
    compare(
      name,
      cases.map((want) => ({
        name: want.in,
        got: shellResult(want.in, env, about),
        want,
      })),
    );
  });
}

test('path patterns match the names that Go matches', needsGolden, () => {
  const { about, cases } = goldenJson<{
    readonly about: { readonly names: readonly string[] };
    readonly cases: readonly {
      readonly pattern: string;
      readonly matches: readonly string[];
      readonly errors?: Readonly<Record<string, readonly string[]>>;
    }[];
  }>('lexer/path-match.json');
  compare(
    'path-match.json',
    cases.map((want) => {
      const matches: string[] = [];
      const errors: Record<string, string[]> = {};
      for (const name of about.names) {
        const result = pathMatch(want.pattern, name);
        if (!result.ok) (errors[result.error] ??= []).push(name);
        else if (result.value) matches.push(name);
      }
      const got = { pattern: want.pattern, matches };
      return {
        name: want.pattern,
        got: Object.keys(errors).length === 0 ? got : { ...got, errors },
        want,
      };
    }),
  );
});

test('ignore files are read into the patterns that the library reads', needsGolden, () => {
  const { cases } = goldenJson<{
    readonly cases: readonly { readonly in: string; readonly patterns: readonly string[] }[];
  }>('lexer/ignorefile.json');
  compare(
    'ignorefile.json',
    cases.map((want) => ({
      name: want.in,
      got: readIgnoreFile(want.in),
      want: { ok: true, value: want.patterns },
    })),
  );
});

interface MatcherCase {
  readonly patterns: readonly string[];
  readonly newError?: string;
  readonly cleaned?: readonly string[];
  readonly exclusions?: boolean;
  readonly matches?: readonly string[];
  readonly matchesOrParentMatches?: readonly string[];
  readonly matchesUsingParentResults?: readonly string[];
}

test('ignore patterns match the paths that the library matches', needsGolden, () => {
  const { about, cases } = goldenJson<{
    readonly about: { readonly paths: readonly string[] };
    readonly cases: readonly MatcherCase[];
  }>('lexer/patternmatcher.json');
  compare(
    'patternmatcher.json',
    cases.map((want) => ({
      name: want.patterns.join(' '),
      got: matcherResult(want.patterns, about.paths),
      want,
    })),
  );
});

function matcherResult(patterns: readonly string[], paths: readonly string[]): MatcherCase {
  const matcher = PatternMatcher.create(patterns);
  if (!matcher.ok) return { patterns, newError: matcher.error };
  const m = matcher.value;
  return {
    patterns,
    cleaned: m.patterns.map(({ text, exclusion }) => (exclusion ? `!${text}` : text)),
    exclusions: m.exclusions,
    matches: paths.filter((path) => m.matches(path)),
    matchesOrParentMatches: paths.filter((path) => m.matchesOrParentMatches(path)),
    matchesUsingParentResults: paths.filter((path) => {
      const parts = path.split('/');
      let result = m.matchesUsingParent(parts[0] ?? '', []);
      for (let depth = 2; depth <= parts.length; depth++)
        result = m.matchesUsingParent(parts.slice(0, depth).join('/'), result.state);
      return result.matched;
    }),
  };
}
