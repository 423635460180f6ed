import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ok } from '../../../src/base/index.ts';
import {
  type AstNode,
  expandWord,
  expandWords,
  Linter,
  lintLines,
  lintStages,
  PatternMatcher,
  parseDockerfile,
  parseDuration,
  parseInstructions,
  parseMount,
  pathMatch,
  readIgnoreFile,
} from '../../../src/dockerfile/index.ts';

/** fast-check prints the seed and the smallest counterexample of a failure. */
const RUNS = { numRuns: 400 };

const pieces = (...parts: readonly string[]): fc.Arbitrary<string> =>
  fc
    .array(fc.oneof(fc.constantFrom(...parts), fc.string({ maxLength: 4, unit: 'binary' })), {
      maxLength: 40,
    })
    .map((list) => list.join(''));

const KEYWORDS = ['FROM', 'RUN', 'copy', 'ADD', 'ENV', 'LABEL', 'ARG', 'ONBUILD', 'HEALTHCHECK'];
const SYNTAX = [
  '\n',
  ' \\\n',
  '`\n',
  ' ',
  '\t',
  '#',
  '<<EOF',
  "<<-'E'",
  'EOF\n',
  'E\n',
  '--from=a ',
];
const MORE = [
  '["a", "b"]',
  '[',
  ']',
  '"',
  "'",
  '=',
  '\\',
  '$x',
  '${x',
  ':-',
  '}',
  '\r\n',
  'CMD ',
  'a',
];

const dockerfile = pieces(
  ...KEYWORDS.map((keyword) => `\n${keyword} `),
  ...SYNTAX,
  ...MORE,
  '\n# escape=`\n',
  '\n# check=skip=all\n',
  'VOLUME ',
  'EXPOSE ',
  ' AS b\n',
);

const word = pieces(
  '$',
  '${',
  '}',
  'A',
  ':-',
  ':+',
  '#',
  '%',
  '/',
  '\\',
  '"',
  "'",
  '<<',
  '*',
  '?',
  ' ',
);
const pattern = pieces(
  '*',
  '**',
  '/',
  '?',
  '[a-z]',
  '[',
  ']',
  '^',
  '!',
  '\\',
  'a',
  'b',
  '.',
  '{',
  '-',
);

const ENV = new Map([
  ['A', 'apple/pie'],
  ['E', ''],
]);

/** Every span of a tree lies in the text, and a word written plainly is what its span says. */
function checkSpans(text: string, node: AstNode): void {
  const spans = [
    node.span,
    node.keyword,
    ...[...node.args, ...node.flags, ...node.heredocs].map(({ span }) => span),
  ];
  for (const { offset, length } of spans)
    assert.ok(offset >= 0 && length >= 0 && offset + length <= text.length);
  for (const { value, span } of node.args) {
    const written = text.slice(span.offset, span.offset + span.length);
    const plain = !node.json && !/[\n\\`]/.test(written);
    if (plain && value !== '') assert.equal(written, value);
  }
  for (const { content, span } of node.heredocs)
    assert.equal(text.slice(span.offset, span.offset + span.length), content);
  if (node.child !== undefined) checkSpans(text, node.child);
}

test('no text makes the parser crash, hang or point outside the file', () => {
  fc.assert(
    fc.property(dockerfile, (text) => {
      const file = { path: 'Dockerfile', text };
      const parsed = parseDockerfile(file);
      if (!parsed.ok) {
        assert.notEqual(parsed.error.message, '');
        assert.equal(parsed.error.exit, 2);
        return;
      }
      for (const node of parsed.value.ast.children) checkSpans(text, node);
      const linter = new Linter({ experimentalAll: true });
      lintLines(parsed.value, linter);
      const instructions = parseInstructions(parsed.value, { linter });
      if (instructions.ok) lintStages(instructions.value, linter);
      else assert.ok((instructions.error.places?.[0]?.span.offset ?? -1) >= 0);
      for (const { span } of linter.warnings)
        assert.ok(span.offset >= 0 && span.offset + span.length <= text.length);
    }),
    RUNS,
  );
});

test('parsing the same text twice gives the same tree', () => {
  fc.assert(
    fc.property(dockerfile, (text) => {
      const file = { path: 'Dockerfile', text };
      assert.deepEqual(parseDockerfile(file), parseDockerfile(file));
    }),
    { numRuns: 100 },
  );
});

test('line ends in CRLF change no instruction outside here-documents', () => {
  const simple = pieces('\nFROM a', '\nRUN b c', ' \\\n', '\n# x', '\nENV a=b', ' c=d', '\n').map(
    (text) => text.replace(/[\r<]/g, ''),
  );
  const shape = (text: string): unknown => {
    const parsed = parseDockerfile({ path: 'Dockerfile', text });
    if (!parsed.ok) return parsed.error.message;
    return parsed.value.ast.children.map(({ value, args, lines, original }) => ({
      value,
      args: args.map((arg) => arg.value),
      lines,
      original,
    }));
  };
  fc.assert(
    fc.property(simple, (text) => {
      assert.deepEqual(shape(text.replaceAll('\n', '\r\n')), shape(text));
    }),
    RUNS,
  );
});

test('no word makes expansion crash, and words are never longer than the text they came from', () => {
  const flags = fc.record({
    escapeToken: fc.constantFrom('\\' as const, '`' as const),
    rawQuotes: fc.boolean(),
    rawEscapes: fc.boolean(),
    skipUnsetEnv: fc.boolean(),
    skipProcessQuotes: fc.boolean(),
  });
  fc.assert(
    fc.property(word, flags, (text, options) => {
      const one = expandWord(text, ENV, options);
      const many = expandWords(text, ENV, options);
      assert.equal(one.ok, many.ok);
      if (one.ok && many.ok) assert.ok(many.value.join('').length <= one.value.value.length);
      if (!one.ok && !many.ok) assert.equal(one.error, many.error);
    }),
    { numRuns: 2_000 },
  );
});

test('a text in single quotes expands to itself', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const plain = text.replaceAll("'", '');
      const result = expandWord(`'${plain}'`, ENV);
      assert.equal(result.ok && result.value.value, plain);
    }),
    RUNS,
  );
});

test('an ignore pattern decides the same for a path alone and on a walk from the root', () => {
  const path = fc
    .array(fc.constantFrom('a', 'b', 'c.d', 'ab'), { minLength: 1, maxLength: 5 })
    .map((parts) => parts.join('/'));
  fc.assert(
    fc.property(fc.array(pattern, { maxLength: 5 }), path, (patterns, name) => {
      const matcher = PatternMatcher.create(patterns);
      if (!matcher.ok) return;
      const m = matcher.value;
      const parts = name.split('/');
      let walked = m.matchesUsingParent(parts[0] ?? '', []);
      for (let depth = 2; depth <= parts.length; depth++)
        walked = m.matchesUsingParent(parts.slice(0, depth).join('/'), walked.state);
      m.matches(name);
      // Without `!` both ways are the same by construction; with it the walk is the reference.
      if (!m.exclusions) assert.equal(walked.matched, m.matchesOrParentMatches(name));
      assert.equal(m.matchesUsingParent(name, []).matched, m.matchesOrParentMatches(name));
    }),
    { numRuns: 2_000 },
  );
});

test('what an ignore file is read into compiles or says why it does not', () => {
  fc.assert(
    fc.property(pieces('\n', '#', '!', '/', '*', '..', '.', ' ', 'a'), (text) => {
      const patterns = readIgnoreFile(text);
      assert.ok(patterns.ok);
      for (const line of patterns.value) assert.equal(line.includes('\n'), false);
      const matcher = PatternMatcher.create(patterns.value);
      if (!matcher.ok)
        assert.match(matcher.error, /^syntax error in pattern$|^illegal exclusion pattern: "!"$/);
    }),
    RUNS,
  );
});

test('whether a path pattern is malformed does not depend on the name', () => {
  fc.assert(
    fc.property(pattern, fc.string(), (glob, name) => {
      assert.equal(pathMatch(glob, name).ok, pathMatch(glob, '').ok);
    }),
    { numRuns: 2_000 },
  );
});

test('no mount and no duration makes its parser crash', () => {
  const csv = pieces(
    'type=',
    'bind',
    'cache',
    ',',
    '"',
    'from=',
    'size=',
    '1g',
    'ro',
    '=',
    'mode=0',
  );
  fc.assert(
    fc.property(csv, (text) => {
      const mount = parseMount(text, ok);
      if (!mount.ok) assert.notEqual(mount.error, '');
    }),
    RUNS,
  );
  fc.assert(
    fc.property(pieces('1', '.', 'h', 'm', 's', 'ns', '-', '+', '9'.repeat(30)), (text) => {
      const duration = parseDuration(text);
      if (!duration.ok) assert.match(duration.error, /^time: /);
    }),
    RUNS,
  );
});
