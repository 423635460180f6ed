import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { expandWord, PatternMatcher, parseDockerfile } from '../../../src/dockerfile/index.ts';

/** Whether a pattern matches a path as a whole: every way is tried, one character at a time. */
function slowMatch(pattern: string, path: string): boolean {
  if (pattern === '') return path === '';
  const tails = Array.from({ length: path.length + 1 }, (_, at) => at);
  if (pattern.startsWith('**/'))
    return tails.some(
      (at) => (at === 0 || path[at - 1] === '/') && slowMatch(pattern.slice(3), path.slice(at)),
    );
  if (pattern.startsWith('**'))
    return tails.some((at) => slowMatch(pattern.slice(2), path.slice(at)));
  if (pattern.startsWith('*')) {
    const slash = path.indexOf('/');
    const most = slash === -1 ? path.length : slash;
    return tails.some((at) => at <= most && slowMatch(pattern.slice(1), path.slice(at)));
  }
  if (path === '') return false;
  const fits = pattern[0] === '?' ? path[0] !== '/' : pattern[0] === path[0];
  return fits && slowMatch(pattern.slice(1), path.slice(1));
}

/** The last pattern that matches a path or a directory above it decides. */
function slowDecision(patterns: readonly string[], path: string): boolean {
  const parts = path.split('/');
  const above = parts.map((_, i) => parts.slice(0, i + 1).join('/'));
  let ignored = false;
  for (const line of patterns) {
    const excepts = line.startsWith('!');
    const pattern = excepts ? line.slice(1) : line;
    if (above.some((at) => slowMatch(pattern, at))) ignored = !excepts;
  }
  return ignored;
}

test('ignore patterns decide about paths as a matcher that tries every way does', () => {
  const segment = fc.constantFrom('a', 'b', 'ab', '*', '?', 'a*', '*b', '?b', '**', '*a*');
  const pattern = fc
    .tuple(fc.constantFrom('', '', '', '!'), fc.array(segment, { minLength: 1, maxLength: 4 }))
    .map(([sign, parts]) => sign + parts.join('/'));
  const path = fc
    .array(fc.constantFrom('a', 'b', 'ab', 'ba', 'aab'), { minLength: 1, maxLength: 4 })
    .map((parts) => parts.join('/'));
  fc.assert(
    fc.property(fc.array(pattern, { minLength: 1, maxLength: 5 }), path, (patterns, name) => {
      const matcher = PatternMatcher.create(patterns);
      assert.ok(matcher.ok);
      assert.equal(matcher.value.matchesOrParentMatches(name), slowDecision(patterns, name));
    }),
    { numRuns: 5_000 },
  );
});

interface Written {
  readonly name: string;
  readonly quote: '' | '"' | "'";
  readonly chomp: boolean;
  readonly lines: readonly string[];
}

test('here-documents have the lines that were written, and the instruction behind them stands', () => {
  const line = fc
    .array(fc.constantFrom('EOF', 'A', ' ', '\t', '$x', '\\', '"', "'", '#', '<<A', 'RUN', 'ü'))
    .map((parts) => parts.join(''));
  const document: fc.Arbitrary<Written> = fc.record({
    name: fc.constantFrom('EOF', 'A', 'end'),
    quote: fc.constantFrom('' as const, '"' as const, "'" as const),
    chomp: fc.boolean(),
    lines: fc.array(line, { maxLength: 5 }),
  });
  const ends = ({ name, chomp }: Written, text: string): boolean =>
    (chomp ? text.replace(/^\t+/, '') : text) === name;
  fc.assert(
    fc.property(fc.array(document, { minLength: 1, maxLength: 3 }), (documents) => {
      fc.pre(documents.every((one) => !one.lines.some((text) => ends(one, text))));
      const words = documents.map(
        ({ name, quote, chomp }) => `<<${chomp ? '-' : ''}${quote}${name}${quote}`,
      );
      const bodies = documents.flatMap(({ name, lines }) => [...lines, name]);
      const text = ['FROM a', `RUN ${words.join(' ')}`, ...bodies, 'CMD b', ''].join('\n');
      const parsed = parseDockerfile({ path: 'Dockerfile', text });
      assert.ok(parsed.ok);
      assert.deepEqual(
        parsed.value.ast.children.map(({ value, heredocs }) => ({
          value,
          heredocs: heredocs.map(({ name, content, chomp, expand }) => ({
            ...{ name, content, chomp, expand },
          })),
        })),
        [
          { value: 'FROM', heredocs: [] },
          {
            value: 'RUN',
            heredocs: documents.map(({ name, quote, chomp, lines }) => ({
              ...{ name, chomp, expand: quote === '' },
              content: lines.map((one) => `${one}\n`).join(''),
            })),
          },
          { value: 'CMD', heredocs: [] },
        ],
      );
    }),
    { numRuns: 1_000 },
  );
});

/** A text in which substitutions stand in substitutions, and what it stands for. */
interface Expression {
  readonly text: string;
  readonly value: string;
}

const VARIABLES: Readonly<Record<string, string | undefined>> = { SET: 'x', EMPTY: '' };

function substitute(name: string, operator: string, word: Expression): Expression {
  const value = VARIABLES[name];
  const counts = operator.startsWith(':') ? (value ?? '') !== '' : value !== undefined;
  const ifSet = operator.endsWith('+');
  return {
    text: `\${${name}${operator}${word.text}}`,
    value: ifSet ? (counts ? word.value : '') : counts ? (value ?? '') : word.value,
  };
}

test('substitutions nested in each other stand for what a model of them says', () => {
  const name = fc.constantFrom('SET', 'EMPTY', 'UNSET');
  const operator = fc.constantFrom(':-', ':+', '-', '+');
  const { expression } = fc.letrec<{ expression: Expression; part: Expression }>((tie) => ({
    part: fc.oneof(
      { maxDepth: 12, depthSize: 'large' },
      fc.constantFrom('', 'a', 'b.c', 'd e').map((text) => ({ text, value: text })),
      name.map((text) => ({ text: `\${${text}}`, value: VARIABLES[text] ?? '' })),
      fc.tuple(name, operator, tie('expression')).map((parts) => substitute(...parts)),
    ),
    expression: fc.array(tie('part'), { minLength: 1, maxLength: 3 }).map((parts) => ({
      text: parts.map(({ text }) => text).join(''),
      value: parts.map(({ value }) => value).join(''),
    })),
  }));
  const env = new Map([
    ['SET', 'x'],
    ['EMPTY', ''],
  ]);
  fc.assert(
    fc.property(expression, ({ text, value }) => {
      const result = expandWord(text, env);
      assert.deepEqual(result.ok ? result.value.value : result.error, value);
    }),
    { numRuns: 3_000 },
  );
});
