import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ok, sha256 } from '../../src/base/index.ts';
import { createContentStore } from '../../src/content/index.ts';
import type { CacheRemote, ContentStore } from '../../src/ports/index.ts';
import { createRegistry } from '../../src/registry/index.ts';
import {
  CACHE_CONFIG_MEDIA_TYPE,
  cacheConfigText,
  createRegistryRemote,
  encodeCacheConfig,
  encodeCacheManifest,
  readCache,
} from '../../src/remotes/index.ts';
import { type Fault, startFaultyProxy, startRegistry } from '../rig/registry.ts';

type OpenRegistry = ReturnType<typeof createRegistry>;

const { signal } = new AbortController();

const FAULTS: Readonly<Record<string, Fault>> = {
  '401': { kind: 'status', status: 401 },
  '403': { kind: 'status', status: 403 },
  '404': { kind: 'status', status: 404 },
  '429': { kind: 'status', status: 429, headers: { 'retry-after': '0' } },
  '500': { kind: 'status', status: 500 },
  '503': { kind: 'status', status: 503 },
  reset: { kind: 'reset' },
  stall: { kind: 'stall' },
  truncated: { kind: 'truncate', after: 3 },
};

test('no answer of a registry breaks an import or an export of a cache: each is a failure with a code', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'varve-faults-'));
  const state: { fault?: Fault; of?: 'manifests' | 'blobs' } = {};
  try {
    await using real = await startRegistry();
    await using proxy = await startFaultyProxy(real.url, ({ path }) =>
      state.of !== undefined && path.includes(`/${state.of}/`) ? state.fault : undefined,
    );
    const open = (name: string): { content: ContentStore; registry: OpenRegistry } => {
      const content = createContentStore(join(dir, name));
      const registry = createRegistry({
        ...{ content, clock: { now: () => Date.now() }, stallMs: 300 },
        retry: { tries: 2, firstPauseMs: 1, maxPauseMs: 2 },
      });
      return { content, registry };
    };
    const remoteOf = (deps: ReturnType<typeof open>, tag: string): CacheRemote => {
      const remote = createRegistryRemote(deps, `${proxy.host}/team/cache:${tag}`);
      assert.ok(remote.ok);
      return remote.value;
    };
    const writer = open('writer');
    await using _writing = writer.registry;
    const records = [{ digest: sha256('base'), inputs: [], results: [] }];
    const write = async (tag: string): Promise<string> => {
      const remote = remoteOf(writer, tag);
      const { config, layers } = encodeCacheConfig({ records });
      const bytes = Buffer.from(`${cacheConfigText(config)}${' '.repeat(tag.length)}`);
      const named = { digest: await writer.content.put(bytes), size: bytes.length };
      const blob = { mediaType: CACHE_CONFIG_MEDIA_TYPE, ...named };
      const sent = await remote.write(blob, {
        signal,
        obtain: () => Promise.resolve(ok(undefined)),
      });
      if (!sent.ok) return sent.error.code;
      const manifest = encodeCacheManifest(named, layers);
      const done = await remote.publish(manifest.bytes, manifest.mediaType, { signal });
      return done.ok ? 'written' : done.error.code;
    };
    let readers = 0;
    /** Reads into an empty store. */
    const read = async (): Promise<string> => {
      const reader = open(`reader-${readers++}`);
      await using _reading = reader.registry;
      const done = await readCache(remoteOf(reader, 'good'), { signal });
      return done.ok ? 'read' : done.error.code;
    };
    assert.deepEqual([await write('good'), await read()], ['written', 'read']);
    const wrong: string[] = [];
    for (const [name, fault] of Object.entries(FAULTS)) {
      for (const kind of ['manifests', 'blobs'] as const) {
        Object.assign(state, { fault, of: kind });
        const exported = await write(`new-${name}-${kind}`);
        const imported = await read();
        if (name !== 'truncated' && !/^RG/.test(exported))
          wrong.push(`${name} ${kind} export: ${exported}`);
        if (!/^RG/.test(imported)) wrong.push(`${name} ${kind} import: ${imported}`);
      }
    }
    delete state.of;
    assert.deepEqual(wrong, []);
    assert.deepEqual([await write('good'), await read()], ['written', 'read']);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
