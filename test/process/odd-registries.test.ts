import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type Digest, sha256 } from '../../src/base/index.ts';
import { createContentStore } from '../../src/content/index.ts';
import { type Descriptor, encodeImageConfig, encodeManifest, MEDIA } from '../../src/oci/index.ts';
import type { ContentStore, Referrer } from '../../src/ports/index.ts';
import { createRegistry } from '../../src/registry/index.ts';
import { note } from '../rig/golden.ts';
import {
  type OddAnswer,
  type Oddity,
  type OddRequest,
  startOddRegistry,
} from '../rig/odd-registry.ts';

const { signal } = new AbortController();
const platform = { architecture: 'amd64', os: 'linux' };

class World implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  readonly #dir = mkdtempSync(join(tmpdir(), 'varve-odd-'));

  store(name: string): ContentStore {
    return createContentStore(join(this.#dir, name));
  }

  client(content: ContentStore): ReturnType<typeof createRegistry> {
    return this.#stack.use(
      createRegistry({
        content,
        clock: { now: () => performance.timeOrigin + performance.now() },
        retry: { tries: 2, firstPauseMs: 1, maxPauseMs: 2 },
        stallMs: 2000,
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
    rmSync(this.#dir, { recursive: true });
  }
}

const isManifest = ({ path }: OddRequest): boolean => path.includes('/manifests/');
const given = (status: number, body = '', headers = {}): OddAnswer => ({
  ...{ status, headers },
  body: Buffer.from(body),
});
const without = (answer: OddAnswer, name: string): OddAnswer => {
  const { [name]: _gone, ...headers } = answer.headers;
  return { ...answer, headers };
};
const HTML = given(200, '<!doctype html><title>Sign in</title>', { 'content-type': 'text/html' });

/** What a push and a pull come to where something is unusual; what is harmless ends well. */
const ODD: Readonly<Record<string, readonly [Oddity, push: RegExp, pull: RegExp]>> = {
  'nothing unusual': [{}, /^ok$/, /^ok$/],
  'no HEAD': [
    { instead: ({ method }) => (method === 'HEAD' ? given(405) : undefined) },
    /^ok$/,
    /^ok$/,
  ],
  'locations relative to the address': [
    {
      change: ({ method }, answer) =>
        method === 'POST' ? { ...answer, headers: { location: 'u1?state=x%2Fy' } } : answer,
    },
    /^ok$/,
    /^ok$/,
  ],
  'no location behind 201': [
    { change: ({ method }, answer) => (method === 'PUT' ? without(answer, 'location') : answer) },
    /^ok$/,
    /^ok$/,
  ],
  'no location behind 202': [
    { change: ({ method }, answer) => (method === 'POST' ? without(answer, 'location') : answer) },
    /without a usable location/,
    /answers 404/,
  ],
  '202 for a manifest': [
    {
      change: ({ method, path }, answer) =>
        method === 'PUT' && path.includes('/manifests/') ? { ...answer, status: 202 } : answer,
    },
    /answers 202/,
    /^ok$/,
  ],
  'bodies in chunks without a length': [
    {
      send: (res, { status, headers, body }) => {
        res.writeHead(status, headers);
        res.end(body);
      },
    },
    /^ok$/,
    /^ok$/,
  ],
  'a byte at a time': [
    {
      send: async (res, { status, headers, body }) => {
        res.writeHead(status, headers);
        for (const byte of body.subarray(0, 2000)) {
          res.write(Buffer.from([byte]));
          await new Promise((resolve) => setImmediate(resolve));
        }
        res.end(body.subarray(2000));
      },
    },
    /^ok$/,
    /^ok$/,
  ],
  'compressed on the way though nobody asked for it': [
    {
      change: ({ method }, answer) =>
        method === 'GET'
          ? {
              ...answer,
              headers: { ...answer.headers, 'content-encoding': 'gzip' },
              body: gzipSync(answer.body),
            }
          : answer,
    },
    /^ok$/,
    /^ok$/,
  ],
  'another digest of a manifest in the header': [
    {
      change: (request, answer) =>
        isManifest(request)
          ? {
              ...answer,
              headers: { ...answer.headers, 'docker-content-digest': sha256('other') },
            }
          : answer,
    },
    /stored the manifest as sha256/,
    /has digest sha256:[0-9a-f]+, not sha256/,
  ],
  'no digest in the header': [
    { change: (_, answer) => without(answer, 'docker-content-digest') },
    /^ok$/,
    /^ok$/,
  ],
  'another media type in the header': [
    {
      change: (request, answer) =>
        isManifest(request)
          ? { ...answer, headers: { ...answer.headers, 'content-type': 'text/plain; charset=x' } }
          : answer,
    },
    /^ok$/,
    /^ok$/,
  ],
  'a page of text under every address': [
    { instead: () => HTML },
    /answers 200 where it must not/,
    /is no image manifest/,
  ],
  'a HEAD that says yes to everything': [
    { instead: ({ method }) => (method === 'HEAD' ? given(200) : undefined) },
    /^ok$/,
    /^ok$/,
  ],
  'an empty body behind 200': [
    {
      change: ({ method }, answer) =>
        method === 'GET' ? { ...answer, body: Buffer.alloc(0) } : answer,
    },
    /^ok$/,
    /is no image manifest|has digest/,
  ],
};

async function image(store: ContentStore): Promise<{
  readonly layer: Descriptor;
  readonly config: Descriptor;
  readonly manifest: Buffer;
}> {
  const bytes = randomBytes(70_000);
  const layer = {
    ...{ mediaType: MEDIA.ociLayer, size: bytes.length },
    digest: await store.put(bytes),
  };
  const json = encodeImageConfig({
    ...platform,
    rootfs: { type: 'layers', diff_ids: [layer.digest] },
  });
  const config = { mediaType: MEDIA.ociConfig, digest: await store.put(json), size: json.length };
  const manifest = encodeManifest({ mediaType: MEDIA.ociManifest, config, layers: [layer] });
  return { layer, config, manifest: Buffer.from(manifest) };
}

type Said = { readonly ok: true } | { readonly ok: false; readonly error: { message: string } };
const said = (all: readonly Said[]): string => {
  const failed = all.find((each) => !each.ok);
  return failed?.ok === false ? failed.error.message : 'ok';
};

test('unusual registries are pushed to and pulled from, or named for what they do', async () => {
  await using world = new World();
  const wrong: string[] = [];
  for (const [name, [oddity, wantPush, wantPull]] of Object.entries(ODD)) {
    await using server = await startOddRegistry(oddity);
    const [from, to] = [world.store(`${name}-a`), world.store(`${name}-b`)];
    const { layer, config, manifest } = await image(from);
    const ref = `${server.host}/team/app:1`;
    const push = world.client(from);
    const pushed = said([
      await push.pushBlob(ref, layer, { signal }),
      await push.pushBlob(ref, config, { signal }),
      await push.pushManifest(ref, manifest, MEDIA.ociManifest, { signal }),
    ]);
    const pull = world.client(to);
    const resolved = await pull.resolve(ref, { platform, signal });
    const blob = resolved.ok ? await pull.pullBlob(ref, layer, { signal }) : resolved;
    const pulled = said([resolved, blob]);
    if (!wantPush.test(pushed)) wrong.push(`${name}: push: ${pushed}`);
    if (!wantPull.test(pulled)) wrong.push(`${name}: pull: ${pulled}`);
    if (pulled === 'ok' && (await to.size(layer.digest)) !== layer.size)
      wrong.push(`${name}: the layer is not there`);
  }
  assert.deepEqual(wrong, []);
  note(`unusual registries: ${Object.keys(ODD).length} kinds`);
});

test('an upload that the registry gave up is not gone on with: the next attempt begins a new one', async () => {
  await using world = new World();
  let uploads = 0;
  await using server = await startOddRegistry({
    // A failed upload is forgotten, as Docker's registry does it.
    instead: ({ method, path }) =>
      method === 'PUT' && path.endsWith('/uploads/1')
        ? given(uploads === 1 ? 500 : 404)
        : undefined,
    change: ({ method, path }, answer) =>
      method === 'POST' ? { ...answer, headers: { location: `${path}${++uploads}` } } : answer,
  });
  const store = world.store('a');
  const { layer } = await image(store);
  const client = world.client(store);
  assert.deepEqual(await client.pushBlob(`${server.host}/team/app:1`, layer, { signal }), {
    ...{ ok: true, value: 'uploaded' },
  });
  assert.deepEqual(server.seen, [
    ...['HEAD blobs', 'POST uploads', 'PUT uploads', 'POST uploads', 'PUT uploads'],
  ]);
});

const TYPE = 'application/vnd.example.notes';

/** A manifest that refers to another one. */
function referrer(subject: Descriptor, config: Descriptor, note: string, type = TYPE): Referrer {
  const bytes = encodeManifest({
    ...{ mediaType: MEDIA.ociManifest, artifactType: type, config, layers: [], subject },
    annotations: { note },
  });
  return { bytes, mediaType: MEDIA.ociManifest, artifactType: type, subject: subject.digest };
}

/** What registries do with referrers. */
const REFERRING: Readonly<Record<string, readonly [Oddity, requests: readonly string[]]>> = {
  'with a list of them, one a page': [
    { referrers: 1 },
    ['GET referrers', 'GET referrers', 'GET referrers'],
  ],
  'without a list': [{}, ['GET referrers', 'GET manifests']],
  'with a page of text in its place': [
    { instead: ({ path }) => (path.includes('/referrers/') ? HTML : undefined) },
    ['GET referrers', 'GET manifests'],
  ],
};

test('what refers to a manifest is found, whether the registry lists it or not, and other types are left alone', async () => {
  await using world = new World();
  const found: Record<string, unknown> = {};
  const want: Record<string, unknown> = {};
  for (const [name, [oddity, requests]] of Object.entries(REFERRING)) {
    await using server = await startOddRegistry(oddity);
    const store = world.store(name);
    const { config, manifest } = await image(store);
    const ref = `${server.host}/team/app:1`;
    const client = world.client(store);
    const digest: Digest = sha256(manifest);
    const subject = { mediaType: MEDIA.ociManifest, digest, size: manifest.length };
    const [one, two] = [referrer(subject, config, '1'), referrer(subject, config, '2')];
    const other = referrer(subject, config, '3', 'application/vnd.example.other');
    for (const each of [one, other, two, one])
      assert.deepEqual(await client.pushReferrer(ref, each, { signal }), {
        ok: true,
        value: undefined,
      });
    server.seen.length = 0;
    const listed = await client.referrers(ref, digest, { signal, artifactType: TYPE });
    const none = await client.referrers(ref, config.digest, { signal, artifactType: TYPE });
    found[name] = {
      digests: listed.ok ? listed.value.map((each) => each.digest) : listed.error.message,
      none,
      requests: server.seen.slice(0, requests.length),
    };
    want[name] = {
      digests: [sha256(one.bytes), sha256(two.bytes)],
      none: { ok: true, value: [] },
      requests,
    };
  }
  assert.deepEqual(found, want);
});
