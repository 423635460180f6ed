import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ok, sha256 } from '../../../src/base/index.ts';
import { createWorkLocks } from '../../../src/cachedb/index.ts';
import { createContentStore } from '../../../src/content/index.ts';
import { type BlobFetcher, createBlobFetcher } from '../../../src/ops/index.ts';
import type { ContentStore, LayerId, LayerRef } from '../../../src/ports/index.ts';

const { signal } = new AbortController();
const bytes = Buffer.alloc(100_000, 'layer');
const blob = {
  mediaType: 'application/vnd.oci.image.layer.v1.tar',
  digest: sha256(bytes),
  size: bytes.length,
};

test('a layer that several processes want is copied into the store once', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'varve-fetch-'));
  try {
    let read = 0;
    const asked = Promise.withResolvers<undefined>();
    const layout = {
      stream: async function* () {
        read++;
        // Every one has seen by now that the layer is not there.
        await asked.promise;
        yield await Promise.resolve(bytes);
      },
    };
    let looked = 0;
    const one = (): BlobFetcher => {
      const content = createContentStore(join(dir, 'content'));
      const size: ContentStore['size'] = async (digest) => {
        const found = await content.size(digest);
        if (++looked === 3) asked.resolve(undefined);
        return found;
      };
      return createBlobFetcher({
        content: { ...content, ingest: content.ingest.bind(content), size },
        locks: createWorkLocks(join(dir, 'locks')),
        clock: { now: () => 0 },
        layers: { layer: () => undefined, addBlob: () => undefined },
        openLayout: () => layout,
      } as unknown as Parameters<typeof createBlobFetcher>[0]);
    };
    // Brand: layers from outside are known by their diffID.
    const layer: LayerRef = {
      id: blob.digest as string as LayerId,
      blob,
      origin: 'oci-layout:///elsewhere',
      createdAt: 0,
    };
    const context = {
      signal,
      emit: () => undefined,
      vertex: { digest: sha256('vertex') },
    } as unknown as Parameters<BlobFetcher>[1];
    const fetched = await Promise.all([one(), one(), one()].map((fetch) => fetch(layer, context)));
    assert.deepEqual(fetched, [ok(blob), ok(blob), ok(blob)]);
    assert.equal(read, 1);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
