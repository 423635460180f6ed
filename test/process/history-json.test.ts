import { deepEqual } from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const varve = join(import.meta.dirname, '../../bin/varve');

test('the times of a build in JSON are ISO 8601 in UTC', () => {
  const dir = mkdtempSync(join(tmpdir(), 'history-'));
  try {
    const env = { ...process.env, VARVE_ROOT: join(dir, 'store'), TZ: 'Asia/Tokyo' };
    writeFileSync(join(dir, 'Dockerfile'), 'FROM scratch\nCOPY Dockerfile /\n');
    execFileSync(varve, ['build', '--quiet', dir], { env, stdio: 'ignore' });
    const text = execFileSync(varve, ['history', 'ls', '--json'], { env, encoding: 'utf8' });
    const times = [...text.matchAll(/"(\w+At)":"([^"]*)"/g)].map(([, key, time = '']) => [
      key,
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(time),
    ]);
    deepEqual(times.sort(), [
      ['finishedAt', true],
      ['startedAt', true],
    ]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
