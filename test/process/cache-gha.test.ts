import assert from 'node:assert/strict';
import { test } from 'node:test';
import { actionsToken, startActionsCache } from '../rig/actions-cache.ts';
import { needsSteps } from '../rig/rig.ts';
import {
  ALL_CACHED,
  ALL_RUN,
  assertNowhere,
  serviceBuild,
  serviceWorld,
} from '../rig/service-cache.ts';

const skip = needsSteps;
const MAIN = 'refs/heads/main';
const PR = 'refs/pull/7/merge';

const env = (url: string, rights: Readonly<Record<string, number>> = { [MAIN]: 3 }) => ({
  ACTIONS_RESULTS_URL: url,
  ACTIONS_RUNTIME_TOKEN: actionsToken(rights),
  ACTIONS_CACHE_SERVICE_V2: 'True',
});
const TO = ['--cache-to', 'type=gha,mode=max'];
const FROM = ['--cache-from', 'type=gha', '-t', 'x'];

test('a cache in GitHub Actions answers in an empty store without a layer being fetched', {
  skip,
}, async () => {
  await using rig = serviceWorld();
  await using cache = await startActionsCache();
  await serviceBuild(rig, 'one', TO, { env: env(cache.url) });
  assert.deepEqual(
    cache.entries.map(({ key, scope }) => [key.replace(/sha256:.*/, 'D'), scope]).sort(),
    [
      // Five layers, their file indexes, and what their steps were made of.
      ...Array.from({ length: 7 }, () => ['buildkit-blob-1-D', MAIN]),
      // The first eight digits of sha256("refs/heads/main").
      ['index-buildkit-1-f921bd05#1', MAIN],
    ].sort(),
  );
  cache.seen.length = 0;
  const built = await serviceBuild(rig, 'two', FROM, { env: env(cache.url) });
  assert.deepEqual(built.steps, ALL_CACHED);
  // The index is all that is downloaded.
  assert.equal(cache.count('GET /blob/'), 1);
  rig.write('app/b.txt', 'changed\n');
  const changed = await serviceBuild(rig, 'two', [...FROM, ...TO], { env: env(cache.url) });
  assert.deepEqual(changed.steps, { ...ALL_CACHED, '[stage-1 2/2] COPY b.txt /b': 'DONE' });
  // Only the layer that is new, what is told of it, and the next index were sent.
  assert.equal(cache.entries.filter((e) => e.key.startsWith('buildkit-blob')).length, 10);
  assert.equal(cache.entries.filter((e) => e.key.endsWith('#2')).length, 1);
});

test('small blobs in packs take few requests and answer as well', { skip }, async () => {
  await using rig = serviceWorld();
  await using cache = await startActionsCache();
  await serviceBuild(rig, 'one', ['--cache-to', 'type=gha,mode=max,pack=true'], {
    env: env(cache.url),
  });
  const names = cache.entries.map(({ key }) => key.replace(/(?:sha256:|-1-)[0-9a-f]{8}.*/, ''));
  // The two layers with a busybox are no small ones.
  assert.deepEqual(names.sort(), [
    'buildkit-blob-1-',
    'buildkit-blob-1-',
    'varve-index-buildkit',
    'varve-pack-1-',
  ]);
  const built = await serviceBuild(rig, 'two', FROM, { env: env(cache.url) });
  assert.deepEqual(built.steps, ALL_CACHED);
  rig.write('app/b.txt', 'changed\n');
  const changed = await serviceBuild(
    rig,
    'two',
    [...FROM, '--cache-to', 'type=gha,mode=max,pack=true', '-o', 'type=oci,dest=x.tar'],
    { env: env(cache.url) },
  );
  assert.deepEqual(changed.steps, { ...ALL_CACHED, '[stage-1 2/2] COPY b.txt /b': 'DONE' });
  assert.equal(cache.entries.filter((e) => e.key.startsWith('varve-pack')).length, 2);
});

test('a pull request reads the cache of main and writes its own', { skip }, async () => {
  await using rig = serviceWorld();
  await using cache = await startActionsCache();
  await serviceBuild(rig, 'one', TO, { env: env(cache.url) });
  const pr = env(cache.url, { [PR]: 3, [MAIN]: 1 });
  rig.write('app/b.txt', 'changed\n');
  const built = await serviceBuild(rig, 'two', [...FROM, ...TO], { env: pr });
  assert.deepEqual(built.steps, { ...ALL_CACHED, '[stage-1 2/2] COPY b.txt /b': 'DONE' });
  assert.deepEqual(
    cache.entries.filter((e) => e.key.startsWith('index-')).map((e) => e.scope),
    [MAIN, PR],
  );
  const readOnly = await serviceBuild(rig, 'two', TO, {
    env: env(cache.url, { [MAIN]: 1 }),
    status: 3,
  });
  assert.match(readOnly.output, /gives no right/);
});

test('entries that were removed are said, and their steps run', { skip }, async () => {
  await using rig = serviceWorld();
  await using cache = await startActionsCache();
  await serviceBuild(rig, 'one', TO, { env: env(cache.url) });
  const index = cache.entries.find((e) => e.key.startsWith('index-'));
  assert.ok(index !== undefined);
  // All blobs are gone, the index is not.
  cache.entries.splice(0, cache.entries.length, index);
  const out = ['-o', 'type=oci,dest=x.tar'];
  const lost = await serviceBuild(rig, 'two', [...FROM, ...out], { env: env(cache.url) });
  assert.match(lost.said, /layer .* cannot be used/);
  assert.ok(
    Object.values(lost.steps).every((state) => state === 'DONE'),
    lost.said,
  );
  cache.advance(7);
  assert.deepEqual(cache.entries, []);
  const gone = await serviceBuild(rig, 'three', [...FROM, ...TO], { env: env(cache.url) });
  assert.match(gone.said, /no cache has the name buildkit for refs\/heads\/main yet/);
  assert.deepEqual(gone.steps, ALL_RUN);
});

test('no token reaches a file, a log or a message', { skip }, async () => {
  await using rig = serviceWorld();
  const secret = 'c2VjcmV0LXNpZ25hdHVyZQ';
  const token = actionsToken({ [MAIN]: 3 }, secret);
  await using cache = await startActionsCache({
    fault: (r) =>
      r.path.includes('FinalizeCacheEntryUpload')
        ? { kind: 'status', status: 403, body: JSON.stringify({ code: 'x', msg: `no ${token}` }) }
        : undefined,
  });
  const spec = `type=gha,url_v2=${cache.url},token=${token}`;
  const one = await serviceBuild(rig, 'one', ['--cache-to', spec, '--cache-from', spec], {
    status: 3,
  });
  const two = await serviceBuild(rig, 'one', ['--cache-to', `${spec},nonsense=1`], { status: 2 });
  assertNowhere(rig, secret, [one.output, two.output]);
});
