import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readCacheDirectory } from '../rig/cache-graph.ts';
import { build, CACHED, cacheWorld } from '../rig/cache-world.ts';
import { type FaultyProxy, startFaultyProxy, startRegistry } from '../rig/registry.ts';
import { needsSteps } from '../rig/rig.ts';

const STEPS = { cached: CACHED };

/** Blobs that were downloaded, by digest. */
function fetched(proxy: FaultyProxy): string[] {
  return proxy.seen
    .filter((r) => r.method === 'GET' && r.path.includes('/blobs/sha256:'))
    .map((r) => r.path.split('/blobs/')[1] ?? '');
}

const skip = needsSteps;

test('a cache in a registry answers in an empty store without a layer being fetched', {
  skip,
}, async () => {
  await using rig = cacheWorld();
  await using registry = await startRegistry();
  await using proxy = await startFaultyProxy(registry.url, () => undefined);
  const ref = `${proxy.host}/team/cache:main`;
  await build(rig, 'one', ['--cache-to', `type=registry,ref=${ref},mode=max`]);
  proxy.seen.length = 0;
  const from = ['--cache-from', `type=registry,ref=${ref}`, '-t', 'x'];
  const { steps } = await build(rig, 'two', from);
  assert.deepEqual(steps, STEPS.cached);
  // The config is the only blob.
  assert.equal(fetched(proxy).length, 1);

  rig.write('app/b.txt', 'changed\n');
  proxy.seen.length = 0;
  const changed = await build(rig, 'two', from);
  assert.deepEqual(changed.steps, { ...STEPS.cached, '[stage-1 2/2] COPY b.txt /b': 'DONE' });
  // The index of files below the step and what earlier steps were made of; no layer.
  assert.equal(fetched(proxy).length, 2);
});

test('a cache is exported again without fetching what its registry has', { skip }, async () => {
  await using rig = cacheWorld();
  await using registry = await startRegistry();
  await using proxy = await startFaultyProxy(registry.url, () => undefined);
  const ref = `${proxy.host}/team/cache:main`;
  await build(rig, 'one', ['--cache-to', `type=registry,ref=${ref},mode=max`]);
  proxy.seen.length = 0;
  await build(rig, 'two', [
    ...['--cache-from', ref, '--cache-to', `type=registry,ref=${ref}-2,mode=max`],
    ...['--cache-to', `type=registry,ref=${proxy.host}/other/cache:main,mode=max`],
  ]);
  // The config and the file index of a layer; no layer.
  assert.equal(fetched(proxy).length, 2);
  const { steps } = await build(rig, 'three', ['--cache-from', `${proxy.host}/other/cache:main`]);
  assert.deepEqual(steps, STEPS.cached);
});

test('an image with its cache inside answers in an empty store by its name', { skip }, async () => {
  await using rig = cacheWorld();
  await using registry = await startRegistry();
  const ref = `${registry.host}/team/app:1`;
  await build(rig, 'one', ['--cache-to', 'type=inline', '-t', ref, '--push']);
  const { steps } = await build(rig, 'two', ['--cache-from', ref, '-t', 'x']);
  assert.deepEqual(steps, STEPS.cached);
});

test('a cache of mode min holds results of the image only', { skip }, async () => {
  await using rig = cacheWorld();
  await build(rig, 'one', [
    '--cache-to',
    'type=local,dest=min',
    '--cache-to',
    'type=local,dest=max,mode=max',
  ]);
  const lengths = (dir: string): number[] =>
    readCacheDirectory(join(rig.work, dir))
      .flatMap((r) => r.results.map((chain) => chain.length))
      .sort();
  assert.deepEqual(
    [lengths('min'), lengths('max')],
    [
      [1, 2],
      [1, 1, 2, 2, 3],
    ],
  );
});

const FAULTS: Readonly<Record<string, (dir: string) => void>> = {
  'is not there': (dir) => rmSync(dir, { recursive: true }),
  'has an index that is no JSON': (dir) => writeFileSync(join(dir, 'index.json'), 'x'),
  'has lost its blobs': (dir) => rmSync(join(dir, 'blobs'), { recursive: true }),
  'has torn blobs': (dir) => {
    for (const [path, size] of blobs(dir)) truncateSync(path, size - 1);
  },
  'has blobs far too large': (dir) => {
    for (const [path] of blobs(dir)) truncateSync(path, 2 ** 33);
  },
};

function blobs(dir: string): (readonly [string, number])[] {
  const folder = join(dir, 'blobs/sha256');
  return readdirSync(folder).map((name) => [join(folder, name), statSync(join(folder, name)).size]);
}

test('a cache that cannot be read is said, and the steps run', { skip }, async () => {
  await using rig = cacheWorld();
  for (const [i, [fault, damage]] of Object.entries(FAULTS).entries()) {
    const dir = `cache-${i}`;
    await build(rig, 'one', ['--cache-to', `type=local,dest=${dir},mode=max`]);
    damage(join(rig.work, dir));
    const { steps, said } = await build(rig, `empty-${i}`, [
      '--cache-from',
      `type=local,src=${dir}`,
    ]);
    assert.deepEqual(new Set(Object.values(steps)), new Set(['DONE']), fault);
    assert.match(said, /^CacheImport: the cache local:\S+ is not used: /, fault);
  }
});

test('a layer that is not what its cache says makes its steps run', { skip }, async () => {
  await using rig = cacheWorld();
  await build(rig, 'one', ['--cache-to', 'type=local,dest=cache,mode=max']);
  const layers = new Set(
    readCacheDirectory(join(rig.work, 'cache')).flatMap((r) => r.results.flat()),
  );
  assert.equal(layers.size, 5);
  // Configs are JSON, layers are not.
  for (const [path, size] of blobs(join(rig.work, 'cache')))
    if (!isJson(path)) writeFileSync(path, Buffer.alloc(size, 7));
  rig.write('app/b.txt', 'changed\n');
  const { steps, said } = await build(rig, 'two', [
    ...['--cache-from', 'type=local,src=cache', '-o', 'type=oci,dest=out.tar'],
  ]);
  assert.equal(steps['[stage-1 1/2] COPY --from=tool /made /made'], 'DONE');
  assert.match(
    said,
    /^CacheLayerLost: layer sha256:\S+ of the cache in \S+ cannot be used, so its steps are run: /m,
  );
  const again = await build(rig, 'two', ['-o', 'type=oci,dest=out2.tar']);
  assert.deepEqual(again.steps, STEPS.cached);
});

function isJson(path: string): boolean {
  return readFileSync(path).at(0) === 0x7b;
}

test('flags of caches that mean nothing are refused', async () => {
  await using rig = cacheWorld();
  const refusals: string[] = [];
  for (const flag of [
    '--cache-to=type=azblob,name=n',
    '--cache-to=type=local',
    '--cache-to=type=local,dest=d,mode=most',
    '--cache-to=type=registry,ref=r,image-manifest=true,oci-mediatypes=false',
    '--cache-from=type=registry',
    '--cache-from=type=local,src=d,digest=1',
  ]) {
    const run = await rig.varve(['build', '--progress=plain', flag, 'app']);
    refusals.push(`${run.status} ${run.stderr.split('\n')[0]}`);
  }
  assert.deepEqual(refusals, [
    '2 error[CL002]: --cache-to "type=azblob,name=n": unknown type "azblob"',
    '2 error[CL002]: --cache-to "type=local": type=local needs dest',
    '2 error[CL002]: --cache-to "type=local,dest=d,mode=most": unknown mode "most"',
    '2 error[CL002]: --cache-to "type=registry,ref=r,image-manifest=true,oci-mediatypes=false": image-manifest=true needs oci-mediatypes=true',
    '2 error[CL002]: --cache-from "type=registry": type=registry needs ref',
    '2 error[CL002]: --cache-from "type=local,src=d,digest=1": "1" is no sha256 digest',
  ]);
});
