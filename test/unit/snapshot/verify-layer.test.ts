import assert from 'node:assert/strict';
import { appendFileSync, chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { hashFiles } from '../../../src/context/index.ts';
import { createSnapshotter, verifyLayer } from '../../../src/snapshot/index.ts';

const { signal } = new AbortController();

/** A committed layer with two files. */
async function layer(root: string) {
  const snapshotter = createSnapshotter({ root });
  await using active = await snapshotter.begin([]);
  writeFileSync(join(active.upper, 'one'), 'first');
  writeFileSync(join(active.upper, 'two'), 'second');
  const ref = await active.commit({ createdAt: 1 });
  for await (const { dir, id } of snapshotter.directories())
    if (id === ref.id) return { dir, chain: [ref] };
  throw new Error('the layer is not there');
}

const how = {
  signal,
  hash: async (files: Parameters<typeof hashFiles>[0]): Promise<void> =>
    await hashFiles(files, { signal }),
};

test('what a verification remembers is what content keys are made of', async () => {
  const root = mkdtempSync(join(tmpdir(), 'varve-verify-'));
  try {
    const { dir, chain } = await layer(root);
    const before = await (await createSnapshotter({ root }).tree(chain)).digest('/one', signal);
    rmSync(join(dir, 'digests'));
    assert.deepEqual(await verifyLayer(dir, how), {
      faults: [],
      files: 2,
      bytes: 11,
      recorded: 2,
      unchecked: 0,
    });
    const tree = await createSnapshotter({ root }).tree(chain);
    assert.equal(await tree.digest('/one', signal), before);
    assert.equal((await verifyLayer(dir, how)).recorded, 0);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('changed data, changed metadata and a torn memo are found', async () => {
  const root = mkdtempSync(join(tmpdir(), 'varve-verify-'));
  try {
    const { dir } = await layer(root);
    await verifyLayer(dir, how);
    const found = async (): Promise<string[]> =>
      (await verifyLayer(dir, how)).faults.map((f) => `${f.what} ${f.text.split(' ')[0] ?? ''}`);
    chmodSync(join(dir, 'fs/one'), 0o600);
    assert.deepEqual(await found(), ['file /one']);
    writeFileSync(join(dir, 'fs/two'), 'SECOND');
    assert.deepEqual(await found(), ['file /one', 'file /two']);
    appendFileSync(join(dir, 'digests'), 'torn');
    assert.deepEqual(await found(), ['memo digests', 'file /one', 'file /two']);
  } finally {
    rmSync(root, { recursive: true });
  }
});
