import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diskFailure } from '../../../src/base/index.ts';

const full = Object.assign(new Error('x'), { code: 'ENOSPC', path: '/a', dest: '/b' });

test('a full disk is found under causes and suppressed errors, and in what SQLite says', () => {
  const sqlite = Object.assign(new Error('x'), { code: 'ERR_SQLITE_ERROR', errcode: 13 });
  const found = [
    full,
    new Error('copying', { cause: full }),
    new SuppressedError(new Error('other'), full, ''),
    new SuppressedError(full, new Error('other'), ''),
    sqlite,
    Object.assign(new Error('x'), { code: 'EIO' }),
    Object.assign(new Error('x'), { errcode: 10 | (3 << 8) }),
    new Error('x'),
    'text',
  ].map((e) => diskFailure(e));
  const copying = 'ST001 writing /b: no space left on the disk';
  assert.deepEqual(
    found.map((f) => (f === undefined ? undefined : `${f.code} ${f.message}`)),
    [
      copying,
      copying,
      copying,
      copying,
      'ST001 writing: no space left on the disk',
      'ST003 writing: the disk reports an input/output error',
      'ST003 writing: the disk reports an input/output error',
      undefined,
      undefined,
    ],
  );
});
