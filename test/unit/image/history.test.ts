import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { clampHistory, completeHistory, goTime } from '../../../src/image/index.ts';

const at = (second: number): { createdAt: number } => ({ createdAt: second * 1000 });

describe('history', () => {
  test('metadata before the first new layer has its time, later metadata the time before it', () => {
    const got = completeHistory(
      [
        { created: '2000-01-01T00:00:00Z', created_by: 'base' },
        { created_by: 'ENV', empty_layer: true },
        { created_by: 'RUN' },
        { created_by: 'CMD', empty_layer: true },
      ],
      [at(1), at(10)],
    );
    assert.deepEqual(got, [
      { created: '2000-01-01T00:00:00Z', created_by: 'base' },
      { created: '1970-01-01T00:00:10Z', created_by: 'ENV', empty_layer: true },
      { created: '1970-01-01T00:00:10Z', created_by: 'RUN' },
      { created: '1970-01-01T00:00:10Z', created_by: 'CMD', empty_layer: true },
    ]);
  });

  test('layers without history get items, history without layers becomes empty', () => {
    assert.deepEqual(completeHistory([], [at(5)]), [
      {
        created: '1970-01-01T00:00:05Z',
        created_by: 'created by buildkit',
        comment: 'buildkit.exporter.image.v0',
      },
    ]);
    assert.deepEqual(completeHistory([{ created_by: 'a' }, { created_by: 'b' }], [at(5)]), [
      { created: '1970-01-01T00:00:05Z', created_by: 'a' },
      { created: '1970-01-01T00:00:05Z', created_by: 'b', empty_layer: true },
    ]);
  });

  test('an epoch clamps new items and leaves those of the base', () => {
    const base = [{ created: '2024-01-01T00:00:00Z', created_by: 'base' }];
    const got = clampHistory(
      [...base, { created: '2024-01-01T00:00:00Z', created_by: 'new' }],
      base,
      1,
    );
    assert.deepEqual(got, [...base, { created: '1970-01-01T00:00:01Z', created_by: 'new' }]);
  });

  test('times have as many digits as they need', () => {
    assert.deepEqual(
      [goTime(0), goTime(1500), goTime(1.25)],
      ['1970-01-01T00:00:00Z', '1970-01-01T00:00:01.5Z', '1970-01-01T00:00:00.00125Z'],
    );
  });
});
