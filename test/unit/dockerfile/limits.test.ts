import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  expandWord,
  PatternMatcher,
  parseDockerfile,
  parseInstructions,
  parseTrigger,
  pathMatch,
  readIgnoreFile,
} from '../../../src/dockerfile/index.ts';
import { GOLDEN, goldenNames, needsGolden, note } from '../../rig/golden.ts';

const TOO_LONG = 'dockerfile line greater than max allowed size of 65535';

const outcome = (text: string): string => {
  const parsed = parseDockerfile({ path: 'Dockerfile', text });
  if (!parsed.ok) return parsed.error.message;
  const instructions = parseInstructions(parsed.value);
  return instructions.ok ? 'ok' : instructions.error.message;
};

/** Runs `work` and fails when it took longer than anything but exponential behaviour would. */
function within<T>(seconds: number, work: () => T): T {
  const start = performance.now();
  const result = work();
  assert.ok(performance.now() - start < seconds * 1000, `took longer than ${seconds} s`);
  return result;
}

test('a line of 65535 bytes is accepted and one byte more is not, in bytes and not in characters', () => {
  const ascii = (bytes: number): string => `RUN ${'x'.repeat(bytes - 4)}`;
  assert.deepEqual(
    {
      longest: outcome(`FROM a\n${ascii(65_535)}\n`),
      tooLong: outcome(`FROM a\n${ascii(65_536)}\n`),
      carriageReturnCounts: outcome(`FROM a\n${ascii(65_535)}\r\n`),
      threeByteCharacters: outcome(`FROM a\nRUN ${'한'.repeat(21_844)}\n`),
      lastWithoutNewline: outcome(`FROM a\n${ascii(65_536)}`),
      megabyte: outcome(`FROM a\n${ascii(1 << 20)}\nRUN b\n`),
      first: outcome(ascii(70_000)),
    },
    {
      longest: 'ok',
      tooLong: TOO_LONG,
      carriageReturnCounts: TOO_LONG,
      threeByteCharacters: TOO_LONG,
      lastWithoutNewline: TOO_LONG,
      megabyte: TOO_LONG,
      first: 'file with no instructions',
    },
  );
});

test('a line that is too long ends a continued instruction and leaves a here-document open', () => {
  const long = 'x'.repeat(70_000);
  assert.equal(outcome(`FROM a\nRUN b \\\n${long}\n`), TOO_LONG);
  assert.equal(outcome(`FROM a\nRUN <<E\n${long}\nE\n`), 'unterminated heredoc');
});

test('an instruction continued over a megabyte parses', () => {
  const text = `FROM a\nRUN ${'some words \\\n'.repeat(90_000)} end\n`;
  assert.equal(
    within(10, () => outcome(text)),
    'ok',
  );
});

test('ten thousand stages parse', () => {
  const text = Array.from({ length: 10_000 }, (_, i) => `FROM s${i} AS s${i + 1}\n`).join('');
  const parsed = parseDockerfile({ path: 'Dockerfile', text });
  assert.ok(parsed.ok);
  const instructions = within(10, () => parseInstructions(parsed.value));
  assert.ok(instructions.ok);
  assert.equal(instructions.value.stages.length, 10_000);
});

test('ONBUILD nested thousands of times is refused, not a stack overflow', () => {
  const nested = 'ONBUILD '.repeat(8_000);
  const refusal =
    "dockerfile parse error on line 2: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed";
  assert.equal(outcome(`FROM a\n${nested}RUN b\n`), refusal);
  assert.equal(outcome(`FROM a\n${`${nested}\\\n`.repeat(20)}RUN b\n`), refusal);
});

test('JSON nested thousands of times is no list of strings, not a stack overflow', () => {
  const message = 'when using JSON array syntax, arrays must be comprised of strings only';
  const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
  assert.equal(outcome(`FROM a\nRUN ${nested(10_000)}\n`), message);
  // Go reads no JSON that is nested deeper: it is a command for the shell.
  assert.equal(outcome(`FROM a\nRUN ${nested(30_000)}\n`), 'ok');
});

test('substitutions nested too deeply fail with a message', () => {
  const nested = (depth: number): string => `${'${x:-'.repeat(depth)}end${'}'.repeat(depth)}`;
  const fine = expandWord(nested(400), new Map());
  assert.equal(fine.ok && fine.value.value, 'end');
  const deep = expandWord(nested(20_000), new Map());
  assert.match(deep.ok ? '' : deep.error, /substitutions nested deeper than 500$/);
  const open = within(10, () => expandWord('${x:-'.repeat(400), new Map()));
  assert.match(open.ok ? '' : open.error, /: syntax error: missing '}'$/);
});

test('patterns that ruin backtracking engines take no noticeable time', () => {
  const stars = '*a'.repeat(30);
  const long = 'a'.repeat(4_000);
  const env = new Map([['v', long]]);
  within(20, () => {
    assert.deepEqual(pathMatch(`${stars}b`, long), { ok: true, value: false });
    for (const pattern of [`${stars}b`, `${'**/a'.repeat(12)}b`, `${'a*'.repeat(25)}**/b`]) {
      const matcher = PatternMatcher.create([pattern]);
      assert.ok(matcher.ok);
      assert.equal(matcher.value.matchesOrParentMatches(long), false, pattern);
      assert.equal(matcher.value.matches('a/'.repeat(500) + 'c'), false, pattern);
    }
    for (const word of [`\${v#${stars}b}`, `\${v%%b${stars}}`, `\${v//${stars}b/x}`]) {
      const result = expandWord(word, env);
      assert.equal(result.ok && result.value.value, long);
    }
  });
});

test('a directive with a line full of blanks takes no noticeable time', () => {
  const text = `# check = a${' '.repeat(60_000)}b\nFROM a\n`;
  assert.equal(
    within(5, () => outcome(text)),
    'ok',
  );
});

test('an ignore file with a line that is too long is refused', () => {
  assert.deepEqual(readIgnoreFile(`a\n${'b'.repeat(70_000)}\n`), {
    ok: false,
    error: 'line 2 is longer than 65535 bytes',
  });
});

test('a trigger is one instruction, with the default escape character and its here-document', () => {
  const run = parseTrigger('RUN <<E cat\nbody\nE', 'ONBUILD');
  assert.deepEqual(run.ok && run.value.kind === 'run' && run.value.line, {
    args: ['<<E cat'],
    prependShell: true,
    files: [{ name: 'E', data: 'body\n', chomp: false }],
  });
  const at = {
    lines: [7, 8] as const,
    span: { offset: 1, length: 2 },
    keyword: { offset: 1, length: 1 },
  };
  const fired = parseTrigger('USER a', 'ONBUILD', at);
  assert.deepEqual(fired.ok && { ...fired.value }, {
    ...at,
    kind: 'user',
    name: 'USER',
    code: 'USER a',
    comments: [],
    flags: [],
    user: { value: 'a', span: { offset: 5, length: 1 } },
  });
  const message = (text: string): string => {
    const trigger = parseTrigger(text, 'ONBUILD');
    return trigger.ok ? 'ok' : trigger.error.message;
  };
  assert.deepEqual(['RUN a\nRUN b', 'RUN a \\\n b', 'COPY a', 'FROM a', ''].map(message), [
    'onbuild trigger should be a single expression',
    'ok',
    'COPY requires at least two arguments, but only one was provided. Destination could not be determined',
    '*instructions.Stage is not a command type',
    'file with no instructions',
  ]);
});

test('the largest Dockerfile of the corpus parses in less than 15 ms', needsGolden, () => {
  const texts = goldenNames('corpus')
    .filter((name) => !name.endsWith('.json'))
    .map((name) => readFileSync(join(GOLDEN ?? '', 'corpus', name, 'Dockerfile'), 'utf8'));
  const instructionsOf = (text: string): number => {
    const parsed = parseDockerfile({ path: 'Dockerfile', text });
    return parsed.ok ? parsed.value.ast.children.length : 0;
  };
  const largest = texts.toSorted((a, b) => instructionsOf(b) - instructionsOf(a))[0] ?? '';
  const times = Array.from({ length: 21 }, () => {
    const start = performance.now();
    outcome(largest);
    return performance.now() - start;
  }).toSorted((a, b) => a - b);
  const median = times[10] ?? Number.POSITIVE_INFINITY;
  note(`${instructionsOf(largest)} instructions parse in ${median.toFixed(2)} ms (median of 21)`);
  assert.ok(median < 15, `${median} ms`);
});
