import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Digest, isRecord, sha256 } from '../../../src/base/index.ts';
import { PlainProgress } from '../../../src/cli/progress/plain.ts';
import { goTime, RawJsonProgress } from '../../../src/cli/progress/raw-json.ts';
import { cut, formatBytes, formatStamp, neutralise } from '../../../src/cli/progress/text.ts';
import { TtyProgress } from '../../../src/cli/progress/tty.ts';
import type { Event } from '../../../src/events/index.ts';
import { goldenLines, goldenNames, needsGolden, note } from '../../rig/golden.ts';

const [a, b] = [sha256('a'), sha256('b')];
const say = (vertex: Digest, at: number, text: string): Event => ({
  type: 'log',
  vertex,
  at,
  stream: 1,
  data: Buffer.from(text),
});
const declare = (vertex: Digest, name: string): Event => ({
  type: 'vertex',
  vertex,
  name,
  inputs: [],
});
const start = (vertex: Digest, at: number): Event => ({ type: 'vertex-started', vertex, at });
const end = (
  vertex: Digest,
  at: number,
  extra: { cached?: boolean; error?: string } = {},
): Event => ({
  type: 'vertex-completed',
  vertex,
  at,
  cached: false,
  ...extra,
});
const status = (vertex: Digest, at: number, current: number, completed = false): Event => ({
  type: 'status',
  vertex,
  id: 'sha256:x',
  at,
  current,
  total: 2_000_000,
  completed,
});

function plain(events: readonly Event[]): string {
  const view = new PlainProgress();
  return events.map((event) => view.accept(event)).join('');
}

describe('plain progress', () => {
  test('one step is shown with its output, times and end', () => {
    const text = plain([
      declare(a, '[1/2] RUN x'),
      start(a, 1000),
      say(a, 1123, 'one\ntwo'),
      say(a, 12_500, ' and more\nthree'),
      end(a, 13_050),
    ]);
    assert.equal(
      text,
      '#1 [1/2] RUN x\n#1 0.123 one\n#1 11.50 two and more\n#1 12.05 three\n#1 DONE 12.1s\n',
    );
  });

  test('cached, failed and cancelled steps end in their own words', () => {
    const text = plain([
      declare(a, 'A'),
      start(a, 0),
      end(a, 0, { cached: true }),
      declare(b, 'B'),
      start(b, 0),
      end(b, 5, { error: 'it broke' }),
      start(b, 6),
      end(b, 7, { error: 'solving: context canceled' }),
    ]);
    assert.equal(text, '#1 A\n#1 CACHED\n\n#2 B\n#2 ERROR: it broke\n\n#2 B\n#2 CANCELED\n');
  });

  test('what a second step says waits until the first one ends', () => {
    const text = plain([
      declare(a, 'A'),
      declare(b, 'B'),
      start(a, 0),
      start(b, 10),
      say(b, 20, 'from b\n'),
      say(a, 30, 'from a\n'),
      end(a, 100),
      end(b, 200),
    ]);
    assert.equal(
      text,
      '#1 A\n#1 0.030 from a\n#1 DONE 0.1s\n\n#2 B\n#2 0.010 from b\n#2 DONE 0.2s\n',
    );
  });

  test('a step that talks for more than its turn is interrupted', () => {
    const text = plain([
      declare(a, 'A'),
      declare(b, 'B'),
      start(a, 0),
      start(b, 10),
      say(b, 20, 'b\n'),
      say(b, 6000, 'b again\n'),
    ]);
    assert.equal(text, '#1 A\n#1 ...\n\n#2 B\n#2 0.010 b\n#2 5.990 b again\n');
  });

  test('a transfer is repeated only when it got on', () => {
    const text = plain([
      declare(a, 'A'),
      start(a, 0),
      status(a, 0, 0),
      status(a, 10, 50_000),
      status(a, 20, 1_000_000),
      status(a, 500, 2_000_000, true),
      end(a, 600),
    ]);
    assert.equal(
      text,
      '#1 A\n#1 sha256:x 0B / 2.00MB\n#1 sha256:x 1.00MB / 2.00MB 0.0s\n#1 sha256:x 2.00MB / 2.00MB 0.5s done\n#1 DONE 0.6s\n',
    );
  });
});

describe('the live view', () => {
  const palette = {
    title: (t: string): string => t,
    done: (t: string): string => t,
    error: (t: string): string => t,
    warning: (t: string): string => t,
    dim: (t: string): string => t,
  };
  const screen = { columns: 40, rows: 24, palette };

  test('running steps show their last lines and transfers, ended ones a line', () => {
    const view = new TtyProgress();
    for (const event of [
      declare(a, '[1/2] FROM base'),
      declare(b, '[2/2] RUN make'),
      start(a, 0),
      end(a, 1000, { cached: true }),
      start(b, 1000),
      status(b, 1500, 500_000),
      say(b, 2000, 'compiling \x1b[31mred\x1b[0m\n'),
    ])
      view.accept(event);
    assert.deepEqual(view.frame(3200, screen, false), [
      '[+] Building 3.2s (1/2)',
      ' => CACHED [1/2] FROM base         1.0s',
      ' => [2/2] RUN make                 2.2s',
      ' => => sha256:x [=====              1.7s'.replace(
        '[=====             ',
        '[=====           …',
      ),
      ' => => # compiling red',
    ]);
  });

  test('a small screen shows running steps first', () => {
    const view = new TtyProgress();
    const many = Array.from({ length: 30 }, (_, i) => sha256(String(i)));
    many.forEach((vertex, i) => {
      view.accept(declare(vertex, `step ${i}`));
      view.accept(start(vertex, 0));
      if (i !== 3) view.accept(end(vertex, 10));
    });
    const lines = view.frame(100, { ...screen, rows: 6 }, false);
    assert.deepEqual(
      lines.map((line) => line.trim().split(/ {2,}/)[0]),
      ['[+] Building 0.1s (29/30)', '=> step 3', '=> step 27', '=> step 28', '=> step 29'],
    );
  });
});

describe('raw JSON progress', () => {
  test('messages have the members of BuildKit’s, and no others', needsGolden, () => {
    const shapes = (kind: string, values: readonly unknown[]): string[] =>
      values.filter(isRecord).map((v) => `${kind}: ${Object.keys(v).sort().join(' ')}`);
    const wanted = new Set<string>();
    let lines = 0;
    for (const name of goldenNames('progress').filter((n) => n.endsWith('.jsonl')))
      for (const line of goldenLines<Record<string, unknown[]>>(`progress/${name}`)) {
        lines++;
        for (const [kind, values] of Object.entries(line))
          for (const shape of shapes(kind, values)) wanted.add(shape);
      }
    const view = new RawJsonProgress();
    const made = [
      declare(a, 'A'),
      start(a, 1),
      status(a, 3, 10, true),
      say(a, 4, 'x'),
      end(a, 5),
    ].map((event) => JSON.parse(view.accept(event)) as Record<string, unknown[]>);
    const unknown = made
      .flatMap((line) => Object.entries(line).flatMap(([kind, values]) => shapes(kind, values)))
      .filter((shape) => !wanted.has(shape));
    assert.deepEqual(unknown, []);
    note(`progress: shapes of ${lines} golden messages compared`);
  });

  test('times are written as Go writes them', () => {
    assert.deepEqual([0, 1500, 1_763_695_171_689.5873].map(goTime), [
      '1970-01-01T00:00:00Z',
      '1970-01-01T00:00:01.5Z',
      '2025-11-21T03:19:31.689587402Z',
    ]);
  });
});

describe('text on terminals', () => {
  test('escape sequences and control characters have no effect', () => {
    assert.deepEqual(
      [
        '\x1b[31mred\x1b[0m',
        '10%\r50%\r100%\r',
        'bell\x07 back\x08',
        '\x1b]0;title\x07text',
        '\x1b[2Jgone',
        'a\u202eb',
        '\x9b31mx',
        'tab\tstays',
      ].map(neutralise),
      ['red', '100%', 'bell\ufffd back\ufffd', 'text', 'gone', 'a\ufffdb', 'x', 'tab\tstays'],
    );
  });

  test('sizes and stamps are those of BuildKit', () => {
    assert.deepEqual([0, 999, 1000, 2071, 1_028_686].map(formatBytes), [
      '0B',
      '999B',
      '1.00kB',
      '2.07kB',
      '1.03MB',
    ]);
    assert.deepEqual([1, 9999, 10_000, 100_000].map(formatStamp), [
      '0.001',
      '9.999',
      '10.00',
      '100.0',
    ]);
  });

  test('wide characters are cut by the columns they take', () => {
    assert.deepEqual(
      [cut('한국어', 6), cut('한국어', 5), cut('abcdef', 4)],
      ['한국어', '한국…', 'abc…'],
    );
  });
});
