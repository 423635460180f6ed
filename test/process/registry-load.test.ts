import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { TAR_END } from '../../src/archive/index.ts';
import { sha256 } from '../../src/base/index.ts';
import { createContentStore } from '../../src/content/index.ts';
import { layoutParts, layoutTar } from '../../src/export/index.ts';
import { loadImages } from '../../src/image/index.ts';
import { encodeImageConfig, encodeManifest, MEDIA } from '../../src/oci/index.ts';
import type { ImageDb, ImageRow } from '../../src/ports/index.ts';

const run = promisify(execFile);
const { signal } = new AbortController();

function imageDb(): ImageDb & { readonly rows: Map<string, ImageRow> } {
  const rows = new Map<string, ImageRow>();
  return {
    rows,
    get: (name) => rows.get(name),
    set: (row) => void rows.set(row.name, row),
    remove: (name) => rows.delete(name),
    list: () => [...rows.values()],
  };
}

test('an archive that was saved is loaded again under its name, also when skopeo rewrote it', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'varve-test-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const content = createContentStore(join(dir, 'a'));
  const layer = {
    mediaType: MEDIA.ociLayer,
    digest: await content.put(TAR_END),
    size: TAR_END.length,
  };
  const json = encodeImageConfig({
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: [layer.digest] },
  });
  const config = { mediaType: MEDIA.ociConfig, digest: await content.put(json), size: json.length };
  const bytes = encodeManifest({ mediaType: MEDIA.ociManifest, config, layers: [layer] });
  const target = {
    mediaType: MEDIA.ociManifest,
    digest: await content.put(bytes),
    size: bytes.length,
  };
  const name = 'docker.io/team/app:1';
  const parts = await layoutParts(content, [{ target, names: [name] }], { docker: false });
  assert.ok(parts.ok);
  const images = imageDb();
  const deps = { content: createContentStore(join(dir, 'b')), images, clock: { now: () => 7 } };
  const loaded = await loadImages(deps, layoutTar(content, parts.value, signal), { signal });
  assert.deepEqual(loaded, { ok: true, value: [{ target, names: [name] }] });
  assert.deepEqual(images.rows.get(name), { name, target, createdAt: 7 });

  const { writeAtomically } = await import('../../src/base/index.ts');
  await writeAtomically(join(dir, 'oci.tar'), layoutTar(content, parts.value, signal));
  await run('skopeo', [
    'copy',
    '-q',
    `oci-archive:${join(dir, 'oci.tar')}`,
    `docker-archive:${join(dir, 'd.tar')}:team/app:2`,
  ]);
  const again = await loadImages(deps, createReadStream(join(dir, 'd.tar')), { signal });
  assert.ok(again.ok);
  assert.deepEqual(
    again.value.map((i) => i.names),
    [['docker.io/team/app:2']],
  );
});

test('an archive without an image is refused', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'varve-test-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const deps = { content: createContentStore(dir), images: imageDb(), clock: { now: () => 7 } };
  const empty = async function* (): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(TAR_END);
  };
  const got = await loadImages(deps, empty(), { signal });
  assert.ok(!got.ok);
  assert.equal(got.error.code, 'EX030');
  assert.equal(await deps.content.size(sha256(TAR_END)), undefined);
});
