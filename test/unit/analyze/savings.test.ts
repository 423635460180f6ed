import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CommitPrediction, forecast, type ReplayStep } from '../../../src/analyze/index.ts';

const WEEK = 7 * 24 * 3600 * 1000;
const COPY: ReplayStep = { name: '0/1 COPY . .', kind: 'copy' };
const RUN: ReplayStep = { name: '0/2 RUN make', kind: 'run' };

const commit = (at: number, ...executed: readonly ReplayStep[]): CommitPrediction => ({
  ...{ commit: `c${at}`, at, executed, steps: 2 },
});

test('a forecast leaves out the commit that fills the cache, and counts time, bytes and money a week', () => {
  const predictions = [commit(0, COPY, RUN), commit(WEEK, COPY, RUN), commit(3 * WEEK, COPY)];
  const costs = {
    msOf: ({ kind }: ReplayStep) => (kind === 'run' ? 3_600_000 : 600_000),
    bytesOf: ({ kind }: ReplayStep) => (kind === 'run' ? 2e9 : 5e6),
  };
  const { moneyPerWeek, ...rest } = forecast(predictions, costs, {
    perHour: 6,
    perGigabyteMonth: 0.52,
  });
  assert.deepEqual(rest, {
    ...{ builds: 2, executed: 3, steps: 4, hitRate: 0.25, minutes: 80, minutesPerWeek: 40 },
    writtenBytes: 2_010_000_000,
    byKind: [
      { kind: 'copy', executed: 2, minutes: 20, bytes: 10e6 },
      { kind: 'run', executed: 1, minutes: 60, bytes: 2e9 },
      { kind: 'workdir', executed: 0, minutes: 0, bytes: 0 },
    ],
    bySize: [
      { below: 1e6, layers: 0, bytes: 0 },
      { below: 10e6, layers: 2, bytes: 10e6 },
      { below: 100e6, layers: 0, bytes: 0 },
      { below: 1e9, layers: 0, bytes: 0 },
      { layers: 1, bytes: 2e9 },
    ],
  });
  // Forty minutes of six an hour, and 1.005 GB of 0.12 a week.
  assert.equal(moneyPerWeek.toFixed(4), '4.1206');
});
