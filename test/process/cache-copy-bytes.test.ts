import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type CacheServers, type ServerType, startCacheServers } from '../rig/cache-places.ts';
import { note } from '../rig/golden.ts';
import { varveHere } from '../rig/in-process.ts';
import { Rig, statesOf } from '../rig/rig.ts';

const LARGE = 3_000_000;
/** Large files lie below, and one beside, a small file that changes; its owner and its directory are of layers below. */
const DOCKERFILE = `FROM scratch AS assets
COPY large2 /assets/large
FROM scratch
COPY etc /etc
COPY large1 /large
COPY --from=assets /assets /assets
WORKDIR /code
COPY --chown=app code /code/src
`;
const COPY_CODE = '[stage-1 5/5] COPY --chown=app code /code/src';

function world(): Rig {
  const rig = new Rig();
  rig.context('app', {
    Dockerfile: DOCKERFILE,
    'etc/passwd': 'root:x:0:0::/:/bin/sh\napp:x:1234:2345::/:/bin/sh\n',
    'etc/group': 'root:x:0:\n',
    'code/main.py': 'print(1)\n',
  });
  for (const name of ['large1', 'large2']) rig.write(`app/${name}`, randomBytes(LARGE));
  return rig;
}

interface Built {
  readonly done: readonly string[];
  readonly warnings: number;
}

async function build(
  rig: Rig,
  store: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Built> {
  const root = { ...env, VARVE_ROOT: join(rig.root, store) };
  const run = await varveHere(rig, rig.work, ['build', '--progress=rawjson', ...args, 'app'], root);
  assert.equal(run.status, 0, run.stderr);
  const steps = Object.entries(statesOf(run.stderr)).filter(([name]) => name.startsWith('['));
  return {
    done: steps.flatMap(([name, state]) => (state === 'CACHED' ? [] : [name])),
    warnings: [...run.stderr.matchAll(/"short":/g)].length,
  };
}

const only = { done: [COPY_CODE], warnings: 0 };

test('one changed file on a new machine reads no layer of a directory below its COPY', async () => {
  await using rig = world();
  for (const [type, key] of Object.entries({ local: ['src', 'dest'], dir: ['path', 'path'] })) {
    const dir = join(rig.root, `cache-${type}`);
    const [from, to] = key.map((name) => `type=${type},${name}=${dir}`);
    await build(rig, `one-${type}`, ['--cache-to', `${to},mode=max`]);
    // Who reads one of them finds other bytes, and says so.
    let hollow = 0;
    for (const name of readdirSync(join(dir, 'blobs/sha256'))) {
      const path = join(dir, 'blobs/sha256', name);
      const { size } = statSync(path);
      if (size < LARGE) continue;
      truncateSync(path, 0);
      truncateSync(path, size);
      hollow++;
    }
    assert.equal(hollow, 2);
    rig.write('app/code/main.py', `print("${type}")\n`);
    assert.deepEqual(
      await build(rig, `two-${type}`, ['--cache-from', from ?? '', '-t', 'x']),
      only,
    );
  }
});

test('one changed file on a new machine downloads no layer of a service below its COPY', async () => {
  await using rig = world();
  await using servers = await startCacheServers();
  const counted: Record<string, unknown> = {};
  for (const type of ['registry', 's3', 'gha'] as const)
    counted[type] = await downloaded(rig, servers, type);
  note(`one changed file on a new machine: bytes downloaded ${JSON.stringify(counted)}`);
});

async function downloaded(rig: Rig, servers: CacheServers, type: ServerType): Promise<number> {
  const good = servers.good[type];
  await build(rig, `one-${type}`, ['--cache-to', `${good.to},mode=max`], good.env);
  rig.write('app/code/main.py', `print("${type}")\n`);
  await using place = await servers.open(type, () => undefined);
  const flags = ['--cache-from', place.from, '-t', 'x'];
  assert.deepEqual(await build(rig, `two-${type}`, flags, place.env), only, type);
  const bytes = place.seen
    .filter((request) => request.method === 'GET')
    .reduce((sum, { answered }) => sum + answered, 0);
  assert.ok(bytes > 500 && bytes < 20_000, `${type}: ${bytes} bytes`);
  return bytes;
}

/** Requests of a build all of whose steps a cache has: nothing but what leads to its records. */
const REQUESTS: Readonly<Record<ServerType, readonly string[]>> = {
  registry: ['GET manifest', 'GET blob'],
  s3: ['GET manifest'],
  // Two indexes are asked after, at the same time; one is there.
  gha: ['POST', 'POST', 'GET blob'],
};

test('a build all of whose steps a cache has asks for what leads to its records, and for nothing else', async () => {
  await using rig = world();
  await using servers = await startCacheServers();
  const asked: Record<string, readonly string[]> = {};
  for (const type of ['registry', 's3', 'gha'] as const) {
    const good = servers.good[type];
    await build(rig, `one-${type}`, ['--cache-to', `${good.to},mode=max`], good.env);
    await using place = await servers.open(type, () => undefined);
    const flags = ['--cache-from', place.from, '-t', 'x'];
    assert.deepEqual(await build(rig, `two-${type}`, flags, place.env), { done: [], warnings: 0 });
    asked[type] = place.seen.map(({ method, path }) =>
      `${method} ${/manifest|blob/.exec(path)?.[0] ?? ''}`.trim(),
    );
  }
  assert.deepEqual(asked, REQUESTS);
});
