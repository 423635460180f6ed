import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStateDb } from '../../src/cachedb/index.ts';
import { runCacheDbTests } from './cache-db.ts';

runCacheDbTests('sqlite', () => {
  const dir = mkdtempSync(join(tmpdir(), 'varve-db-'));
  let now = 1;
  const opened = openStateDb({ path: join(dir, 'state.db'), clock: { now: () => now++ } });
  if (!opened.ok) throw new Error(opened.error.message);
  return {
    ...opened.value,
    [Symbol.dispose]: () => {
      opened.value.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
});
