import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ok, readIfThere, sha256, TempDir } from '../../../src/base/index.ts';
import { createWorkLocks } from '../../../src/cachedb/index.ts';
import { BlobPool } from '../../../src/packages/blob-pool.ts';

test('a file whose place something else takes is used by one process at a time, and no other finds it gone', async () => {
  await using dir = await TempDir.create(tmpdir(), 'varve-replace-');
  const bytes = Buffer.from('an index');
  const wanted = { sha256: sha256(bytes), size: bytes.length, name: 'index', urls: [] };
  const kept = join(dir.path, 'kept');
  /** As a process of its own has it; nothing can be fetched. */
  const pool = (): BlobPool =>
    new BlobPool({
      root: join(dir.path, 'pool'),
      locks: createWorkLocks(join(dir.path, 'locks')),
      onDamage: () => undefined,
    } as unknown as ConstructorParameters<typeof BlobPool>[0]);
  const path = pool().path(wanted.sha256);
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, bytes);
  let made = 0;
  const { signal } = new AbortController();
  const one = () =>
    pool().replace(
      wanted,
      { signal },
      async () => (await readIfThere(kept))?.toString(),
      async (from) => {
        made++;
        const text = `made of ${await readFile(from, 'utf8')}`;
        await writeFile(kept, text);
        return ok(text);
      },
    );
  const all = await Promise.all(Array.from({ length: 6 }, one));
  assert.deepEqual(
    all,
    Array.from({ length: 6 }, () => ok('made of an index')),
  );
  assert.deepEqual([made, existsSync(path)], [1, false]);
});
