import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { compress } from '../../../src/archive/index.ts';
import { TempDir } from '../../../src/base/index.ts';
import { createContentStore } from '../../../src/content/index.ts';
import { StoredBlocks } from '../../../src/image/known-blocks.ts';
import type { MemoDb } from '../../../src/ports/index.ts';
import { chunked, collect } from '../../conformance/tar-rig.ts';

const { signal } = new AbortController();

test('blocks are read out of the blob that has them, as long as it is there and whole', async () => {
  await using dir = await TempDir.create(tmpdir(), 'varve-blocks-');
  const content = createContentStore(dir.path);
  const rows = new Map<string, Uint8Array>();
  const memo: MemoDb = {
    get: (_namespace, key) => rows.get(key),
    set: (_namespace, key, value) => void rows.set(key, value),
    setAll: (_namespace, entries) => {
      for (const [key, value] of entries) rows.set(key, value);
    },
  };
  const lines = Array.from({ length: 60_000 }, (_, i) =>
    createHash('sha1').update(String(i)).digest('hex'),
  );
  const data = Buffer.from(lines.join('\n'));
  /** Compresses with what is known; which blocks were found and with what size. */
  const packed = async (): Promise<{ readonly bytes: Buffer; readonly found: number[] }> => {
    const stored = new StoredBlocks({ content, memo }, signal);
    const found: number[] = [];
    const known = {
      get: async (name: string): Promise<Uint8Array | undefined> => {
        const block = await stored.get(name);
        found.push(block?.length ?? 0);
        return block;
      },
      add: stored.add.bind(stored),
    };
    const bytes = await collect(
      compress(chunked(data, 100_003), { format: 'gzip', signal, known }),
    );
    stored.written(await content.put(bytes));
    return { bytes, found };
  };
  const first = await packed();
  assert.ok(first.found.length >= 3 && first.found.every((size) => size === 0), first.found.join());
  const again = await packed();
  assert.ok(again.bytes.equals(first.bytes));
  // All of the member but its header and end.
  assert.equal(
    again.found.reduce((sum, size) => sum + size),
    first.bytes.length - 20,
  );
  const digest = await content.put(first.bytes);
  truncateSync(content.path(digest), first.bytes.length - 1000);
  const cut = await packed();
  assert.deepEqual(
    [cut.found.filter((size) => size === 0).length, cut.bytes.equals(first.bytes)],
    [1, true],
  );
  await content.remove(digest);
  const gone = await packed();
  assert.deepEqual([gone.found, gone.bytes.equals(first.bytes)], [first.found, true]);
});
