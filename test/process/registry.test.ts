import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { sha256 } from '../../src/base/index.ts';
import { createContentStore } from '../../src/content/index.ts';
import { type Descriptor, encodeImageConfig, encodeManifest, MEDIA } from '../../src/oci/index.ts';
import type { ContentStore } from '../../src/ports/index.ts';
import { createRegistry, dockerCredentials, type RegistryDeps } from '../../src/registry/index.ts';
import { startFaultyProxy, startRegistry } from '../rig/registry.ts';

const run = promisify(execFile);
const { signal } = new AbortController();
const platform = { architecture: 'amd64', os: 'linux' };

interface World extends AsyncDisposable {
  readonly dir: string;
  store(name: string): ContentStore;
  registry(store: ContentStore, extra?: Partial<RegistryDeps>): ReturnType<typeof createRegistry>;
}

async function world(): Promise<World> {
  const dir = await mkdtemp(join(tmpdir(), 'varve-test-'));
  const open: AsyncDisposable[] = [];
  return {
    dir,
    store: (name) => createContentStore(join(dir, name)),
    registry: (content, extra = {}) => {
      const made = createRegistry({
        content,
        clock: { now: () => Date.now() },
        retry: { tries: 3, firstPauseMs: 1, maxPauseMs: 5 },
        stallMs: 400,
        ...extra,
      });
      open.push(made);
      return made;
    },
    [Symbol.asyncDispose]: async () => {
      for (const made of open) await made[Symbol.asyncDispose]();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** An image of one layer of random bytes, in the store; returns what to push. */
async function image(
  store: ContentStore,
  size: number,
): Promise<{ layer: Descriptor; config: Descriptor; manifest: Uint8Array }> {
  const bytes = randomBytes(size);
  const layer = { mediaType: MEDIA.ociLayer, digest: await store.put(bytes), size };
  const json = encodeImageConfig({
    ...platform,
    rootfs: { type: 'layers', diff_ids: [layer.digest] },
  });
  const config = { mediaType: MEDIA.ociConfig, digest: await store.put(json), size: json.length };
  const manifest = encodeManifest({ mediaType: MEDIA.ociManifest, config, layers: [layer] });
  return { layer, config, manifest };
}

async function push(
  registry: ReturnType<typeof createRegistry>,
  ref: string,
  made: Awaited<ReturnType<typeof image>>,
): Promise<unknown[]> {
  return [
    await registry.pushBlob(ref, made.layer, { signal }),
    await registry.pushBlob(ref, made.config, { signal }),
    await registry.pushManifest(ref, made.manifest, MEDIA.ociManifest, { signal }),
  ];
}

describe('registry', () => {
  test('what is pushed to a registry is pulled back from it, and skopeo reads it', async () => {
    await using w = await world();
    await using server = await startRegistry();
    const [from, to] = [w.store('from'), w.store('to')];
    const made = await image(from, 300_000);
    const ref = `${server.host}/team/app:1`;
    const registry = w.registry(from);
    assert.deepEqual(await push(registry, ref, made), [
      { ok: true, value: 'uploaded' },
      { ok: true, value: 'uploaded' },
      { ok: true, value: sha256(made.manifest) },
    ]);
    assert.deepEqual(await registry.pushBlob(ref, made.layer, { signal }), {
      ok: true,
      value: 'exists',
    });
    assert.deepEqual(
      await registry.pushBlob(`${server.host}/team/other:1`, made.layer, {
        signal,
        from: [`${server.host}/team/app`],
      }),
      { ok: true, value: 'mounted' },
    );
    const pull = w.registry(to);
    const resolved = await pull.resolve(ref, { platform, signal });
    assert.ok(resolved.ok);
    assert.deepEqual(resolved.value.layers, [made.layer]);
    assert.deepEqual(resolved.value.top.digest, sha256(made.manifest));
    assert.deepEqual(await pull.pullBlob(ref, made.layer, { signal }), {
      ok: true,
      value: undefined,
    });
    assert.equal(await to.size(made.layer.digest), made.layer.size);
    const { stdout } = await run('skopeo', [
      'inspect',
      '--raw',
      '--tls-verify=false',
      `docker://${ref}`,
    ]);
    assert.equal(stdout, Buffer.from(made.manifest).toString());
  });

  test('a large blob is uploaded in parts, and goes on after a broken one', async () => {
    await using w = await world();
    await using server = await startRegistry();
    let patches = 0;
    await using proxy = await startFaultyProxy(server.url, (r) =>
      r.method === 'PATCH' && ++patches === 3 ? { kind: 'reset' } : undefined,
    );
    const from = w.store('from');
    const made = await image(from, 250_000);
    const registry = w.registry(from, { partBytes: 64 * 1024 });
    assert.deepEqual(await registry.pushBlob(`${proxy.host}/big:1`, made.layer, { signal }), {
      ok: true,
      value: 'uploaded',
    });
    assert.equal(patches, 5);
    const to = w.store('to');
    assert.deepEqual(
      await w.registry(to).pullBlob(`${server.host}/big:1`, made.layer, { signal }),
      { ok: true, value: undefined },
    );
  });

  test('a download that breaks off is asked for from where it stopped', async () => {
    await using w = await world();
    await using server = await startRegistry();
    const [from, to] = [w.store('from'), w.store('to')];
    const made = await image(from, 8_000_000);
    await push(w.registry(from), `${server.host}/app:1`, made);
    let gets = 0;
    await using proxy = await startFaultyProxy(server.url, (r) =>
      r.path.includes('/blobs/') && ++gets === 1
        ? { kind: 'truncate', after: 6_000_000 }
        : undefined,
    );
    const pulled = await w.registry(to).pullBlob(`${proxy.host}/app:1`, made.layer, { signal });
    assert.deepEqual(pulled, { ok: true, value: undefined });
    const ranges = proxy.seen.map((r) => r.headers['range']);
    assert.equal(ranges.length, 2);
    assert.equal(ranges[0], undefined);
    assert.match(String(ranges[1]), /^bytes=[1-9][0-9]*-$/);
  });

  for (const fault of [
    { name: '429', what: { kind: 'status', status: 429, headers: { 'retry-after': '0' } } },
    { name: '503', what: { kind: 'status', status: 503 } },
    { name: 'reset', what: { kind: 'reset' } },
    { name: 'stall', what: { kind: 'stall' } },
  ] as const) {
    test(`a manifest is asked for again after ${fault.name}`, async () => {
      await using w = await world();
      await using server = await startRegistry();
      const store = w.store('from');
      const made = await image(store, 100);
      await push(w.registry(store), `${server.host}/app:1`, made);
      await using proxy = await startFaultyProxy(server.url, (_r, n) =>
        n === 1 ? fault.what : undefined,
      );
      const got = await w.registry(store).manifest(`${proxy.host}/app:1`, { signal });
      assert.ok(got.ok);
      assert.deepEqual(got.value.descriptor.digest, sha256(made.manifest));
      assert.equal(proxy.seen.length, 2);
    });
  }

  for (const status of [401, 403, 404]) {
    test(`a manifest is asked for once when the answer is ${status}`, async () => {
      await using w = await world();
      await using proxy = await startFaultyProxy(undefined, () => ({ kind: 'status', status }));
      const got = await w.registry(w.store('s')).manifest(`${proxy.host}/app:1`, { signal });
      assert.ok(!got.ok);
      assert.equal(got.error.code, status === 404 ? 'RG003' : 'RG002');
      assert.equal(
        got.error.message,
        `GET http://${proxy.host}/v2/app/manifests/1: the registry answers ${status}`,
      );
      assert.equal(proxy.seen.length, 1);
    });
  }

  test('a password reaches the registry that asks for it, and not the host it redirects to', async () => {
    await using w = await world();
    const file = join(w.dir, 'htpasswd');
    await run('htpasswd', ['-Bbc', '-C', '4', file, 'me', 'hunter2-secret']);
    await using server = await startRegistry({ htpasswd: file });
    const store = w.store('s');
    const made = await image(store, 1000);
    await using elsewhere = await startFaultyProxy(undefined, () => undefined);
    await using proxy = await startFaultyProxy(server.url, (r) =>
      r.method === 'GET' && r.path.includes('/blobs/') && r.headers['authorization'] !== undefined
        ? { kind: 'redirect', to: `http://${elsewhere.host}/stolen` }
        : undefined,
    );
    const auth = Buffer.from('me:hunter2-secret').toString('base64');
    await writeFile(
      join(w.dir, 'config.json'),
      JSON.stringify({ auths: { [proxy.host]: { auth }, [server.host]: { auth } } }),
    );
    const credentials = dockerCredentials(w.dir);
    await push(w.registry(store, { credentials }), `${server.host}/app:1`, made);
    const got = await w
      .registry(w.store('t'), { credentials })
      .pullBlob(`${proxy.host}/app:1`, made.layer, { signal });
    assert.ok(!got.ok);
    assert.equal(JSON.stringify(got.error).includes('hunter2'), false);
    assert.deepEqual(
      elsewhere.seen.map((r) => [r.path, r.headers['authorization']]),
      [['/stolen', undefined]],
    );
    const anonymous = await w.registry(w.store('u')).manifest(`${server.host}/app:1`, { signal });
    assert.ok(!anonymous.ok);
    assert.equal(anonymous.error.code, 'RG002');
  });

  test('a blob with other bytes than its digest is refused', async () => {
    await using w = await world();
    await using proxy = await startFaultyProxy(undefined, () => ({
      kind: 'status',
      status: 200,
      body: 'evil',
    }));
    const store = w.store('s');
    const blob = { mediaType: MEDIA.ociLayer, digest: sha256('good'), size: 4 };
    const got = await w.registry(store).pullBlob(`${proxy.host}/app:1`, blob, { signal });
    assert.ok(!got.ok);
    assert.equal(got.error.code, 'RG006');
    assert.equal(await store.size(blob.digest), undefined);
  });
});
