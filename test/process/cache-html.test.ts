import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SERVER_TYPES, startCacheServers } from '../rig/cache-places.ts';
import { rowBuild, rowWorld } from '../rig/cache-rows.ts';
import type { Fault } from '../rig/registry.ts';

/** What a proxy shows that wants somebody to sign in. */
const PAGE: Fault = {
  kind: 'status',
  status: 200,
  headers: { 'content-type': 'text/html' },
  body: '<!doctype html><title>Sign in</title>',
};

test('a page of text in the place of a cache is reported by an import and fails an export, whatever the service', async () => {
  await using rig = rowWorld();
  await using servers = await startCacheServers();
  const came: Record<string, unknown> = {};
  for (const type of SERVER_TYPES) {
    await using place = await servers.open(type, () => PAGE, { empty: 'pages' });
    const { env } = place;
    const read = await rowBuild(rig, ['--cache-from', place.from], { env });
    const written = await rowBuild(rig, ['--cache-to', place.to], { env });
    came[type] = [
      `${read.status} ${read.steps} ${/^CacheImport: the cache \S+.* is not used/.test(read.said) ? 'reported' : read.said}`,
      `${written.status} ${written.steps} ${/^error\[R[GC]\d+\]/.test(written.said) ? 'refused' : written.said}`,
    ];
  }
  const want = ['0 DONE DONE reported', '3 DONE DONE refused'];
  assert.deepEqual(came, Object.fromEntries(SERVER_TYPES.map((type) => [type, want])));
});

test('a bucket keeps a cache under a prefix with characters that addresses give a meaning', async () => {
  await using rig = rowWorld();
  await using servers = await startCacheServers();
  const { env, to, from } = servers.good.s3;
  const odd = (spec: string): string =>
    spec.replace('prefix=good/', 'prefix=a b/ü+%2F&?#/,name=x y+z');
  const made = await rowBuild(rig, ['--cache-to', `${odd(to)},mode=max`], { env });
  assert.deepEqual(made, { status: 0, steps: 'DONE DONE', said: '' });
  const read = await rowBuild(rig, ['--cache-from', odd(from)], { env, output: true });
  assert.deepEqual(read, { status: 0, steps: 'CACHED CACHED', said: '', files: 'a\nb\n' });
});
