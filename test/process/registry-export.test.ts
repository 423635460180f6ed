import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { TAR_END, tarHeader, tarPadding } from '../../src/archive/index.ts';
import { type Digest, digestOfHex, ok, sha256 } from '../../src/base/index.ts';
import { createContentStore } from '../../src/content/index.ts';
import { makeImage, pushImage, writeArchive } from '../../src/export/index.ts';
import type { ImageDeps } from '../../src/image/index.ts';
import { graphNode } from '../../src/llb/index.ts';
import { type Descriptor, MEDIA } from '../../src/oci/index.ts';
import {
  createBlobFetcher,
  createImageResolver,
  createMaterializer,
  imageChain,
} from '../../src/ops/index.ts';
import type {
  ContentStore,
  ImageDb,
  LayerChain,
  LayerDb,
  LayerId,
  LayerRef,
  Snapshotter,
} from '../../src/ports/index.ts';
import { createRegistry } from '../../src/registry/index.ts';
import { startRegistry } from '../rig/registry.ts';

const run = promisify(execFile);
const { signal } = new AbortController();
const platform = { architecture: 'amd64', os: 'linux' };
const clock = { now: (): number => 1000 };
const { vertex } = graphNode(
  { inputs: [], body: { kind: 'source', source: { identifier: 'docker-image://x', attrs: {} } } },
  [],
);
const context = { signal, emit: (): void => undefined, vertex };

function tarOf(name: string, data: Uint8Array): Buffer {
  const header = tarHeader({
    name,
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: data.length,
    mtimeNs: 0n,
    xattrs: new Map(),
  });
  return Buffer.concat([header, data, tarPadding(data.length), TAR_END]);
}

/** A snapshotter that keeps tars, and applies only what has the promised diffID. */
class TarSnapshotter implements Pick<Snapshotter, 'has' | 'apply' | 'applyAhead' | 'tar'> {
  readonly tars = new Map<LayerId, Uint8Array>();
  readonly applied: LayerId[] = [];
  has(chain: LayerChain): Promise<boolean> {
    const top = chain.at(-1);
    return Promise.resolve(top === undefined || this.tars.has(top.id));
  }
  async apply(chain: LayerChain, tar: AsyncIterable<Uint8Array>): ReturnType<Snapshotter['apply']> {
    const hash = createHash('sha256');
    const parts: Uint8Array[] = [];
    for await (const chunk of tar) {
      hash.update(chunk);
      parts.push(chunk);
    }
    const top = chain.at(-1);
    assert.ok(top);
    assert.equal(digestOfHex(hash.digest('hex')), top.diffId);
    this.tars.set(top.id, Buffer.concat(parts));
    this.applied.push(top.id);
    return ok(undefined);
  }
  async applyAhead(
    chain: LayerChain,
    tar: AsyncIterable<Uint8Array>,
  ): ReturnType<Snapshotter['applyAhead']> {
    await this.apply(chain, tar);
    return ok(true);
  }
  async *tar(chain: LayerChain): AsyncGenerator<Uint8Array> {
    const top = chain.at(-1);
    const tar = top === undefined ? undefined : this.tars.get(top.id);
    assert.ok(tar);
    yield await Promise.resolve(tar);
  }
}

function layerDb(): LayerDb {
  const rows = new Map<LayerId, { diffId?: Digest; blobs: Descriptor[] }>();
  const row = (id: LayerId): { diffId?: Digest; blobs: Descriptor[] } => {
    const known = rows.get(id) ?? { blobs: [] };
    rows.set(id, known);
    return known;
  };
  return {
    layer: (id) => rows.get(id),
    setDiffId: (id, diffId) => {
      row(id).diffId = diffId;
    },
    addBlob: (id, blob) => {
      row(id).blobs.push(blob);
    },
  };
}

const noImages: ImageDb = {
  get: () => undefined,
  set: () => undefined,
  remove: () => false,
  list: () => [],
};

function machine(content: ContentStore): ImageDeps & {
  readonly registry: ReturnType<typeof createRegistry>;
  readonly tars: TarSnapshotter;
} {
  const tars = new TarSnapshotter();
  // The members that images and materialising use.
  const snapshotter = tars as unknown as Snapshotter;
  const registry = createRegistry({ content, clock, retry: { firstPauseMs: 1 } });
  const layers = layerDb();
  const locks = {
    lock: () => Promise.resolve({ waited: false, [Symbol.asyncDispose]: () => Promise.resolve() }),
    tryLock: () => Promise.resolve(undefined),
  };
  const openLayout = createContentStore;
  const shared = { content, registry, snapshotter, layers, locks, clock, openLayout };
  return {
    content,
    registry,
    tars,
    snapshotter,
    layers,
    clock,
    memo: { get: () => undefined, set: () => undefined, setAll: () => undefined },
    fetchBlob: createBlobFetcher(shared),
    materialise: createMaterializer(shared),
  };
}

for (const mediaTypes of ['oci', 'docker'] as const) {
  test(`an image with ${mediaTypes} media types goes to a registry, archives and back`, async (t) => {
    const dir = await mkdtemp(join(tmpdir(), 'varve-test-'));
    t.after(() => rm(dir, { recursive: true, force: true }));
    await using server = await startRegistry();
    const here = machine(createContentStore(join(dir, 'here')));
    t.after(() => here.registry[Symbol.asyncDispose]());
    // One layer of a base that is only a blob, one made here.
    const base = tarOf('base', randomBytes(50_000));
    const zipped = gzipSync(base);
    const baseId = sha256(base);
    const blob = {
      mediaType: MEDIA.ociLayerGzip,
      digest: await here.content.put(zipped),
      size: zipped.length,
    };
    const own = tarOf('own', randomBytes(70_000));
    // Brand constructors of layer ids.
    const below: LayerRef = { id: baseId as string as LayerId, diffId: baseId, blob, createdAt: 0 };
    const above: LayerRef = { id: 'new:1' as LayerId, createdAt: 5000 };
    here.tars.tars.set(above.id, own);
    here.tars.tars.set(below.id, base);
    const name = `${server.host}/app:1`;
    const made = await makeImage(
      here,
      [
        {
          chain: [below, above],
          config: { ...platform, config: { Env: ['A=b'] } },
          history: [],
          platform,
        },
      ],
      { names: [name], mediaTypes, compression: 'gzip', force: false },
      context,
    );
    assert.ok(made.ok);
    assert.deepEqual(
      made.value.images[0]?.layers.map((l) => l.diffId),
      [baseId, sha256(own)],
    );
    assert.deepEqual(await pushImage(here, made.value, context), ok(undefined));
    for (const format of ['oci', 'docker'] as const) {
      const path = join(dir, `${format}.tar`);
      assert.deepEqual(
        await writeArchive(here, made.value, { format, to: { kind: 'file', path } }, context),
        ok(undefined),
      );
      const { stdout } = await run('skopeo', ['inspect', '--config', `${format}-archive:${path}`]);
      assert.match(stdout, new RegExp(sha256(own)));
    }
    const layout = join(dir, 'layout');
    await writeArchive(
      here,
      made.value,
      { format: 'oci', to: { kind: 'directory', path: layout } },
      context,
    );
    if (mediaTypes === 'oci')
      await run('umoci', ['unpack', '--rootless', '--image', `${layout}:1`, join(dir, 'bundle')]);

    const there = machine(createContentStore(join(dir, 'there')));
    t.after(() => there.registry[Symbol.asyncDispose]());
    const resolver = createImageResolver({
      content: there.content,
      registry: there.registry,
      images: noImages,
      openLayout: createContentStore,
    });
    for (const found of [
      await resolver.image(name, { platform, signal, mode: 'registry' }),
      await resolver.layout(layout, 'x:1', { platform, signal, mode: 'registry' }),
    ]) {
      assert.ok(found.ok);
      const chain = imageChain(found.value, 0);
      assert.deepEqual(
        chain.map((l) => l.diffId),
        [baseId, sha256(own)],
      );
      assert.deepEqual(await there.materialise(chain, context), ok(undefined));
    }
    // Side by side, each once.
    assert.deepEqual(there.tars.applied.toSorted(), [baseId, sha256(own)].toSorted());
  });
}

test('a blob that was damaged on disk goes to the quarantine and is fetched again', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'varve-test-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  await using server = await startRegistry();
  const here = machine(createContentStore(join(dir, 'here')));
  t.after(() => here.registry[Symbol.asyncDispose]());
  const tar = tarOf('f', randomBytes(10_000));
  const zipped = gzipSync(tar);
  const blob = {
    mediaType: MEDIA.ociLayerGzip,
    digest: await here.content.put(zipped),
    size: zipped.length,
  };
  assert.deepEqual(
    await here.registry.pushBlob(`${server.host}/app:1`, blob, { signal }),
    ok('uploaded'),
  );
  const { writeFile } = await import('node:fs/promises');
  const broken = Buffer.from(zipped);
  broken.fill(0, 0, 64);
  await writeFile(here.content.path(blob.digest), broken);
  const diffId = sha256(tar);
  const chain: LayerChain = [
    {
      id: diffId as string as LayerId,
      diffId,
      blob,
      origin: `docker-image://${server.host}/app`,
      createdAt: 0,
    },
  ];
  here.tars.apply = async (c: LayerChain, data: AsyncIterable<Uint8Array>) => {
    const parts: Uint8Array[] = [];
    for await (const chunk of data) parts.push(chunk);
    if (sha256(Buffer.concat(parts)) !== diffId)
      return { ok: false, error: { code: 'X', exit: 3, message: 'wrong diffID' } };
    here.tars.applied.push(...c.map((l) => l.id));
    return ok(undefined);
  };
  assert.deepEqual(await here.materialise(chain, context), ok(undefined));
  assert.deepEqual(here.tars.applied, [chain[0]?.id]);
  const again = await here.content.read(blob.digest, { maxBytes: 1 << 20 });
  assert.ok(again.ok);
});
