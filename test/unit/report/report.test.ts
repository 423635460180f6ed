import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Digest, sha256 } from '../../../src/base/index.ts';
import type { Change, RootCause } from '../../../src/events/index.ts';
import type { StepRow } from '../../../src/ports/index.ts';
import {
  adviceOf,
  type BuildSteps,
  reportData,
  reportMarkdown,
  reportPage,
  reportPrometheus,
} from '../../../src/report/index.ts';

const START = Date.UTC(2026, 0, 2, 3, 4, 5);
const [COPY, RUN] = [sha256('copy'), sha256('run')];
const README: Change = { kind: 'file', name: 'README.md', before: 'a', after: 'b' };

const root = (changes: readonly Change[]): RootCause => ({
  ...{ kind: changes[0]?.kind ?? 'file', step: '[1/2] COPY . /app', via: [] },
  ...{ changes, more: 0, same: [] },
});

interface Made {
  readonly from: number;
  readonly tookMs?: number;
  readonly cause?: RootCause;
  readonly inputs?: readonly Digest[];
}

function step(vertex: Digest, name: string, { from, tookMs, cause, inputs }: Made): StepRow {
  const ran = tookMs !== undefined;
  return {
    ...{ vertex, name, state: ran ? 'done' : 'cached', startedAt: from },
    completedAt: from + (tookMs ?? 0),
    ...(inputs === undefined ? {} : { inputs }),
    decision: {
      ...{ outcome: ran ? 'miss' : 'hit', by: 'content', key: vertex, source: 'local' },
      reason: ran ? 'README.md changed in the build context' : 'unchanged',
      ...(cause === undefined ? {} : { cause }),
    },
  };
}

function build(at: number, costs: readonly [number, number] | undefined): BuildSteps {
  const from = START + at;
  const tookMs = costs === undefined ? 100 : costs[0] + costs[1] + 100;
  return {
    build: { id: `b${at}`, name: 'app', request: '{}', startedAt: from, finishedAt: from + tookMs },
    steps: [
      step(COPY, '[1/2] COPY . /app', {
        from: from + 50,
        ...(costs === undefined ? {} : { tookMs: costs[0], cause: root([README]) }),
      }),
      step(RUN, '[2/2] RUN make <all>', {
        from: from + 50 + (costs?.[0] ?? 0),
        inputs: [COPY],
        ...(costs === undefined ? {} : { tookMs: costs[1], cause: root([]) }),
      }),
    ],
  };
}

const INPUT = {
  at: START,
  builds: [build(3000, [100, 900]), build(2000, undefined), build(1000, [200, 1800])],
  layers: [
    {
      madeBy: 'COPY . /app',
      size: 5_000_000,
      wasted: 4_000_000,
      files: [{ path: 'app/m', size: 4_000_000 }],
    },
    { madeBy: 'RUN chown', size: 4_000_000, wasted: 0, files: [] },
  ],
  store: [{ kind: 'layer', bytes: 9_000_000 }],
};

describe('a report', () => {
  test('counts builds, steps and causes, and finds the critical path', () => {
    const { last, trend, steps, causes } = reportData(INPUT);
    assert.deepEqual(
      {
        steps: last?.steps.map((s) => [s.name, s.from, s.tookMs, s.critical]),
        trend,
        times: steps,
        causes,
      },
      {
        steps: [
          ['[1/2] COPY . /app', 50, 100, true],
          ['[2/2] RUN make <all>', 150, 900, true],
        ],
        trend: [
          {
            id: 'b1000',
            name: 'app',
            at: START + 1000,
            tookMs: 2100,
            hits: 0,
            runs: 2,
            savedMs: 0,
            failed: false,
          },
          {
            id: 'b2000',
            name: 'app',
            at: START + 2000,
            tookMs: 100,
            hits: 2,
            runs: 0,
            savedMs: 2000,
            failed: false,
          },
          {
            id: 'b3000',
            name: 'app',
            at: START + 3000,
            tookMs: 1100,
            hits: 0,
            runs: 2,
            savedMs: 0,
            failed: false,
          },
        ],
        times: [
          { name: 'RUN make <all>', hits: 1, runs: 2, totalMs: 2700 },
          { name: 'COPY . /app', hits: 1, runs: 2, totalMs: 300 },
        ],
        causes: [{ kind: 'file', name: 'README.md', builds: 2, costMs: 3000 }],
      },
    );
  });

  test('advises by what causes cost and by bytes that are written twice', () => {
    assert.deepEqual(adviceOf(reportData(INPUT)), [
      {
        text: 'Copy README.md later, or keep it out with the ignore file if the image does not need it.',
        gain: 'It made steps run 2 times: 3.00 s in 3 builds.',
      },
      {
        text: 'A later layer writes again or removes files of "COPY . /app": do both in one step, or use COPY --chown or --chmod.',
        gain: '4.0 MB of the image.',
      },
    ]);
  });

  test('is Markdown in which no text of a build is markup', () => {
    assert.equal(
      reportMarkdown(reportData(INPUT)),
      `# Varve report: app

2026-01-02 03:04 UTC; last build b3000: 0 steps found, 2 ran, 1.10 s, 0.00 s saved.

## Steps that ran

| step | took | why |
| --- | --- | --- |
| \\[1/2\\] COPY . /app | 0.10 s | README.md changed in the build context |
| \\[2/2\\] RUN make \\<all\\> | 0.90 s | README.md changed in the build context |

## Causes of misses

| what changed | kind | builds | cost |
| --- | --- | --- | --- |
| README.md | file | 2 | 3.00 s |

## Steps over time

| step | hit rate | time in all |
| --- | --- | --- |
| RUN make \\<all\\> | 33 % | 2.70 s |
| COPY . /app | 33 % | 0.30 s |

## Layers

| layer | size | wasted |
| --- | --- | --- |
| COPY . /app | 5.0 MB | 4.0 MB |
| RUN chown | 4.0 MB | 0 B |

## Advice

| what | gain |
| --- | --- |
| Copy README.md later, or keep it out with the ignore file if the image does not need it. | It made steps run 2 times: 3.00 s in 3 builds. |
| A later layer writes again or removes files of "COPY . /app": do both in one step, or use COPY --chown or --chmod. | 4.0 MB of the image. |
`,
    );
  });

  test('is Prometheus text', () => {
    const samples = reportPrometheus(reportData(INPUT))
      .split('\n')
      .filter((line) => !line.startsWith('#'));
    assert.deepEqual(samples, [
      'varve_builds 3',
      'varve_builds_failed 0',
      'varve_steps_found 2',
      'varve_steps_run 4',
      'varve_build_seconds 3.3',
      'varve_saved_seconds 2',
      'varve_last_build_seconds 1.1',
      'varve_miss_seconds{kind="file",name="README.md"} 3',
      'varve_store_bytes{kind="layer"} 9000000',
      '',
    ]);
  });

  test('is one page that asks for nothing from elsewhere and runs no script', () => {
    const page = reportPage(reportData(INPUT));
    const addresses = [...page.matchAll(/https?:\/\/[^"'\s<]+/g)].map(([address]) => address);
    assert.deepEqual(
      {
        headings: [...page.matchAll(/<h2 [^>]*>([^<]*)<\/h2>/g)].map(([, text]) => text),
        charts: page.match(/<svg /g)?.length,
        addresses: [...new Set(addresses)],
        active: page.match(/<script|<link|<img|javascript:|\son[a-z]+=/g),
        markup: page.includes('RUN make &lt;all&gt;'),
        raw: page.includes('<all>'),
      },
      {
        headings: [
          ...['Summary', 'Time line of the last build', 'Graph', 'Layers', 'Builds over time'],
          ...['Causes of misses', 'Steps over time', 'The store', 'Advice'],
        ],
        charts: 8,
        // Names of XML vocabularies.
        addresses: ['http://www.w3.org/2000/svg', 'http://www.w3.org/1999/xlink'],
        active: null,
        markup: true,
        raw: false,
      },
    );
  });

  test('of a history without builds says so', () => {
    const nothing = reportData({ at: START, builds: [], layers: [], store: [] });
    assert.equal(reportMarkdown(nothing), '# Varve report\n\nNo build was made here yet.\n');
    assert.match(reportPage(nothing), /<p>No build was made here yet\.<\/p>/);
  });
});
