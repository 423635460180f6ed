import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256 } from '../../../src/base/index.ts';
import { createContentStore, createNamesFile, sweepContent } from '../../../src/content/index.ts';
import type { ContentStore } from '../../../src/ports/index.ts';

const { signal } = new AbortController();

class Dir implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'varve-content-'));
  readonly store: ContentStore = createContentStore(this.path);
  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield await Promise.resolve(bytes);
}

test('the store is an OCI image layout', async () => {
  using dir = new Dir();
  const digest = await dir.store.put(Buffer.from('x'));
  assert.deepEqual(readdirSync(dir.path).sort(), ['blobs', 'index.json', 'ingest', 'oci-layout']);
  assert.equal(
    readFileSync(join(dir.path, 'oci-layout'), 'utf8'),
    '{"imageLayoutVersion":"1.0.0"}',
  );
  assert.equal(dir.store.path(digest), join(dir.path, 'blobs/sha256', digest.slice(7)));
  assert.deepEqual(readdirSync(join(dir.path, 'ingest')), []);
});

test('nothing is made before the first write', async () => {
  using dir = new Dir();
  assert.equal(await dir.store.size(sha256('x')), undefined);
  assert.equal(await dir.store.partial('x'), 0);
  for await (const blob of dir.store.list()) assert.fail(blob.digest);
  assert.deepEqual(readdirSync(dir.path), []);
});

test('a flipped bit is found when the blob is read, and the blob leaves for the quarantine', async () => {
  using dir = new Dir();
  const digest = await dir.store.put(Buffer.from('good'));
  writeFileSync(dir.store.path(digest), 'gooe');
  const result = await dir.store.read(digest, { maxBytes: 100 });
  assert.equal(
    result.ok ? '' : result.error.message,
    `blob ${digest} is damaged on disk; it was moved to the quarantine`,
  );
  assert.equal(await dir.store.size(digest), undefined);
  assert.deepEqual(readdirSync(join(dir.path, 'quarantine')), [
    digest.slice(7),
    `${digest.slice(7)}.why`,
  ]);
});

test('the partial file of a killed process is taken over', async () => {
  using dir = new Dir();
  await dir.store.put(Buffer.from('make the layout'));
  const script = `
    import { createContentStore } from ${JSON.stringify(join(import.meta.dirname, '../../../src/content/index.ts'))};
    async function* data() { yield Buffer.from('first '); setImmediate(() => process.kill(process.pid, 'SIGKILL')); await new Promise(() => setInterval(() => {}, 1000)); }
    await createContentStore(${JSON.stringify(dir.path)}).ingest(data(), { signal: new AbortController().signal, partialKey: 'k' });`;
  const ended = spawnSync(process.execPath, ['--input-type=module', '-e', script]);
  assert.equal(ended.signal, 'SIGKILL', ended.stderr.toString());
  assert.equal(await dir.store.partial('k'), 6);
  const result = await dir.store.ingest(once(Buffer.from('second')), {
    signal,
    digest: sha256('first second'),
    partialKey: 'k',
  });
  assert.deepEqual(result, { ok: true, value: { digest: sha256('first second'), size: 12 } });
  assert.deepEqual(readdirSync(join(dir.path, 'ingest')), []);
});

test('files of downloads that nobody resumed are swept', async () => {
  using dir = new Dir();
  mkdirSync(join(dir.path, 'ingest'));
  writeFileSync(join(dir.path, 'ingest', 'abc.part'), 'x');
  const now = Date.now();
  assert.equal(await sweepContent(dir.path, { olderThanMs: 60_000, now }), 0);
  assert.equal(await sweepContent(dir.path, { olderThanMs: 60_000, now: now + 120_000 }), 1);
});

test('what a killed process left under a temporary name is swept, and nothing else', async () => {
  using dir = new Dir();
  const kept = await dir.store.put(Buffer.from('kept'));
  const hex = kept.slice('sha256:'.length);
  for (const path of ['.tmp-index.json-ab', 'blobs/sha256/.tmp-cd-ef', 'ingest/tmp-01'])
    writeFileSync(join(dir.path, path), 'half');
  const now = Date.now();
  assert.equal(await sweepContent(dir.path, { olderThanMs: 60_000, now }), 0);
  assert.equal(await sweepContent(dir.path, { olderThanMs: 60_000, now: now + 120_000 }), 3);
  assert.deepEqual(readdirSync(dir.path, { recursive: true }).sort(), [
    ...['blobs', 'blobs/sha256', `blobs/sha256/${hex}`, 'index.json', 'ingest', 'oci-layout'],
  ]);
});

const canMount = spawnSync('id', ['-u']).stdout.toString().trim() === '0';

test(
  'a full disk is a clear failure and leaves no torn blob',
  canMount ? {} : { skip: 'needs root to mount a small tmpfs' },
  async () => {
    using dir = new Dir();
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', dir.path]);
    assert.equal(mounted.status, 0, mounted.stderr.toString());
    try {
      const kept = await dir.store.put(Buffer.from('kept'));
      const result = await dir.store.ingest(once(Buffer.alloc(1 << 20)), { signal });
      assert.deepEqual(
        result.ok
          ? {}
          : { code: result.error.code, exit: result.error.exit, message: result.error.message },
        {
          code: 'ST001',
          exit: 3,
          message: 'writing blob (new): no space left on the disk',
        },
      );
      await assert.rejects(dir.store.put(Buffer.alloc(1 << 20)), { name: 'FailureError' });
      assert.deepEqual(readdirSync(join(dir.path, 'blobs/sha256')), [kept.slice(7)]);
      assert.deepEqual(readdirSync(join(dir.path, 'ingest')), []);
      assert.equal((await dir.store.read(kept, { maxBytes: 9 })).ok, true);
    } finally {
      spawnSync('umount', [dir.path]);
    }
  },
);

test('image names survive in index.json, with what other tools read', () => {
  using dir = new Dir();
  const names = createNamesFile(dir.path);
  assert.deepEqual(names.load(), []);
  const row = {
    name: 'docker.io/library/app:latest',
    target: {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: sha256('m'),
      size: 5,
    },
    createdAt: 12.5,
  };
  names.save([row]);
  assert.deepEqual(names.load(), [row]);
  assert.deepEqual(readdirSync(dir.path), ['index.json']);
  assert.equal(
    readFileSync(join(dir.path, 'index.json'), 'utf8'),
    `{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"${sha256('m')}","size":5,"annotations":{"dev.varve.image.created":"12.5","io.containerd.image.name":"docker.io/library/app:latest","org.opencontainers.image.ref.name":"latest"}}]}`,
  );
  writeFileSync(join(dir.path, 'index.json'), '{"manifests":[{"annotations":7},3');
  assert.deepEqual(names.load(), []);
});
