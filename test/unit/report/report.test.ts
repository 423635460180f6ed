import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Digest, sha256 } from '../../../src/base/index.ts';
import type { Change, RootCause } from '../../../src/events/index.ts';
import type { StepRow } from '../../../src/ports/index.ts';
import { THEMES } from '../../../src/report/charts.ts';
import {
  adviceOf,
  type BuildSteps,
  type ReportInput,
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
    build: {
      id: `b${at}`,
      name: 'app',
      request: at > 1500 ? '{"branch":"main"}' : '{}',
      startedAt: from,
      finishedAt: from + tookMs,
    },
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

const INPUT: ReportInput = {
  at: START,
  builds: [build(3000, [100, 900]), build(2000, undefined), build(1000, [200, 1800])],
  layers: [
    {
      madeBy: 'COPY . /app',
      size: 5_000_000,
      wasted: 4_000_000,
      files: [
        { path: 'app/models/deep/m', size: 4_000_000, wasted: true },
        { path: 'app/<x>', size: 900_000 },
      ],
      more: { files: 12, size: 100_000 },
    },
    { madeBy: 'RUN chown', size: 4_000_000, wasted: 0, files: [], more: { files: 0, size: 0 } },
  ],
  store: [{ kind: 'layer', bytes: 9_000_000 }],
};

describe('a report', () => {
  test('counts builds, steps and causes, and finds the critical path', () => {
    const { last, trend, steps, causes, branches } = reportData(INPUT);
    const over = {
      ...{ hits: 1, runs: 2, states: ['ran', 'found', 'ran'] },
      branches: { '': { hits: 0, of: 1 }, main: { hits: 1, of: 2 } },
    };
    assert.deepEqual(
      {
        branches,
        steps: last?.steps.map((s) => [s.name, s.from, s.tookMs, s.critical]),
        trend,
        times: steps,
        causes,
      },
      {
        branches: [
          { name: 'main', builds: 2, hits: 2, runs: 2, savedMs: 2000 },
          { name: '', builds: 1, hits: 0, runs: 2, savedMs: 0 },
        ],
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
            branch: '',
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
            branch: 'main',
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
            branch: 'main',
          },
        ],
        times: [
          { name: 'RUN make <all>', totalMs: 2700, ...over },
          { name: 'COPY . /app', totalMs: 300, ...over },
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

## Branches

| branch | builds | hit rate | saved |
| --- | --- | --- | --- |
| main | 2 | 50 % | 2.00 s |

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
      'varve_branch_hit_ratio{branch="main"} 0.5',
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
          ...['Causes of misses', 'Steps over time', 'Branches', 'The store', 'Advice'],
        ],
        charts: 12,
        // Names of XML vocabularies.
        addresses: ['http://www.w3.org/2000/svg', 'http://www.w3.org/1999/xlink'],
        active: null,
        markup: true,
        raw: false,
      },
    );
  });

  test('has the files of layers as a tree that opens by keyboard, with what is wasted', () => {
    const page = reportPage(reportData(INPUT));
    const tree = page.slice(
      page.indexOf('<ul class="tree"'),
      page.indexOf('</section>', page.indexOf('<ul class="tree"')),
    );
    assert.equal(
      tree.replaceAll(/<span class="size">([^<]*)<\/span>/g, '($1)'),
      '<ul class="tree" aria-label="Files of each layer"><li><details><summary>1 COPY . /app (5.0 MB) <strong class="wasted">4.0 MB of it written again or removed later</strong></summary><ul><li><details><summary>app/ (4.9 MB) <strong class="wasted">4.0 MB of it written again or removed later</strong></summary><ul><li><details><summary>models/deep/ (4.0 MB) <strong class="wasted">written again or removed later</strong></summary><ul><li>m (4.0 MB) <strong class="wasted">written again or removed later</strong></li></ul></details></li><li>&lt;x&gt; (900.0 kB)</li></ul></details></li><li>and 12 smaller files, 100.0 kB</li></ul></details></li><li>2 RUN chown (4.0 MB)</li></ul>',
    );
  });

  test('colours of charts have the contrast that WCAG 2.2 asks for, against the page and for text on marks', () => {
    const light = (colour: string): number => {
      const [r = 0, g = 0, b = 0] = [1, 3, 5]
        .map((at) => Number.parseInt(colour.slice(at, at + 2), 16) / 255)
        .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (a: string, b: string): number => {
      const [dark = 0, bright = 0] = [light(a), light(b)].sort((x, y) => x - y);
      return (bright + 0.05) / (dark + 0.05);
    };
    const cards = { light: '#f4f6f8', dark: '#1b232c' };
    const tooLow = (['light', 'dark'] as const).flatMap((name) => {
      const { text, cached, ran, critical, failed, wasted, onMark } = THEMES[name];
      return [
        [`${name} text`, contrast(text, cards[name]), 4.5] as const,
        ...Object.entries({ cached, ran, critical, failed, wasted }).map(
          ([mark, colour]) => [`${name} ${mark}`, contrast(colour, cards[name]), 3] as const,
        ),
        [`${name} text on a layer`, contrast(onMark, ran), 4.5] as const,
        [`${name} text on waste`, contrast(onMark, wasted), 4.5] as const,
      ].filter(([, ratio, least]) => ratio < least);
    });
    assert.deepEqual(tooLow, []);
  });

  test('of a history without builds says so', () => {
    const nothing = reportData({ at: START, builds: [], layers: [], store: [] });
    assert.equal(reportMarkdown(nothing), '# Varve report\n\nNo build was made here yet.\n');
    assert.match(reportPage(nothing), /<p>No build was made here yet\.<\/p>/);
  });
});
