import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { cutBlocks, memoryOf } from '../../../src/archive/block-cuts.ts';
import { chunked } from '../../conformance/tar-rig.ts';

const KIB = 1024;

/** Bytes of a counter's digests: a cut comes where it comes. */
function noise(length: number): Uint8Array {
  const parts = Array.from({ length: Math.ceil(length / 32) }, (_, i) =>
    createHash('sha256').update(String(i)).digest(),
  );
  return Buffer.concat(parts).subarray(0, length);
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

for (const bounds of [
  { shortest: 8 * KIB, longest: 64 * KIB },
  { shortest: 64 * KIB, longest: 64 * KIB },
])
  test(`blocks of ${bounds.shortest} to ${bounds.longest} bytes are the same in memory that is used again`, async () => {
    const data = noise(3_000_001);
    const fresh: string[] = [];
    for await (const block of cutBlocks(chunked(data, 10_000), bounds)) fresh.push(digest(block));
    const spare: Uint8Array<ArrayBuffer>[] = [];
    const memories = new Set<ArrayBuffer>();
    const again: string[] = [];
    let before: Uint8Array<ArrayBuffer> | undefined;
    for await (const block of cutBlocks(chunked(data, 777_777), bounds, spare)) {
      again.push(digest(block));
      memories.add(block.buffer);
      // The block before it was worked on meanwhile.
      if (before !== undefined) {
        before.fill(0xff);
        spare.push(memoryOf(before));
      }
      before = block;
    }
    assert.deepEqual(again, fresh);
    assert.ok(fresh.length > 40, `${fresh.length} blocks`);
    assert.equal(memories.size, 2);
  });
