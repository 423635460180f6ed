import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseJson } from '../../src/base/index.ts';
import { readJson } from '../rig/cache-graph.ts';
import { build, CACHED, cacheWorld, LAST, sourceLines, tryBuild } from '../rig/cache-world.ts';
import { startFaultyProxy, startRegistry } from '../rig/registry.ts';
import { needsSteps, type Rig } from '../rig/rig.ts';

const skip = needsSteps;

interface Metadata {
  readonly 'varve.cache': {
    readonly sources: readonly { readonly source: string; readonly bytes: number }[];
    readonly steps: Readonly<Record<string, string>>;
  };
}

function metadata(rig: Rig): Metadata['varve.cache'] {
  return readJson<Metadata>(join(rig.work, 'meta.json'))['varve.cache'];
}

/** Source of each step of the last build of a store, as the history has it. */
async function history(rig: Rig, store: string): Promise<Readonly<Record<string, unknown>>> {
  const env = { VARVE_ROOT: join(rig.root, store) };
  const [id] = (await rig.varve(['history', 'ls', '--limit=1', '--json'], { env })).stdout
    .split('"')
    .filter((text) => /^[0-9a-f]{24}$/.test(text));
  const shown = parseJson(
    (await rig.varve(['history', 'show', id ?? '', '--json'], { env })).stdout,
  );
  assert.ok(shown.ok);
  // The shape of `history show --json`.
  const { steps } = shown.value as {
    readonly steps: readonly {
      readonly name: string;
      readonly decision?: { readonly source: string; readonly asked?: unknown };
    }[];
  };
  return Object.fromEntries(
    steps.flatMap(({ name, decision }) =>
      decision === undefined ? [] : [[name, [decision.source, decision.asked]]],
    ),
  );
}

test('each step says which of several caches served it, and each cache what it was good for', {
  skip,
}, async () => {
  await using rig = cacheWorld();
  await using registry = await startRegistry();
  const main = `${registry.host}/team/cache:main`;
  await build(rig, 'one', ['--cache-to', `type=registry,ref=${main},mode=max`]);
  rig.write('app/b.txt', 'of the branch\n');
  await build(rig, 'one', ['--cache-to', 'type=local,dest=branch']);
  const sources = [`local:${join(rig.work, 'branch')}`, `registry:${main}`];
  const flags = ['--cache-from', 'type=local,src=branch', '--cache-from', main];
  const first = await build(rig, 'two', [...flags, '--metadata-file=meta.json']);
  assert.deepEqual(first.steps, CACHED);
  const asked = (branch: string, of: string): unknown => [
    { source: sources[0], answer: branch },
    { source: sources[1], answer: of },
  ];
  // The directory was exported with mode=min: it knows the keys of the other stage, the registry has the results.
  const keys = [sources[1], asked('key', 'result')];
  assert.deepEqual(await history(rig, 'two'), {
    '[stage-1 1/2] COPY --from=tool /made /made': [sources[0], asked('result', 'result')],
    [LAST]: [sources[0], asked('result', 'nothing')],
    '[tool 1/3] COPY busybox /bin/sh': keys,
    '[tool 2/3] COPY busybox /bin/busybox': keys,
    '[tool 3/3] RUN echo made > /made': keys,
  });
  assert.deepEqual(sourceLines(first.stderr).sort(), [
    `${sources[0]}: asked for 5 steps, answered 2, used 2, pulled`,
    `${sources[1]}: asked for 5 steps, answered 4, used 3, pulled`,
  ]);
  assert.deepEqual(
    metadata(rig).sources.map(({ source }) => source),
    sources,
  );
  // In another order the one that comes first serves what both have.
  const turned = ['--cache-from', main, '--cache-from', 'type=local,src=branch'];
  await build(rig, 'three', [...turned, '--metadata-file=meta.json']);
  const of = Object.values(metadata(rig).steps);
  assert.deepEqual(
    sources.map((source) => of.filter((each) => each === source).length),
    [1, 4],
  );
  const again = await build(rig, 'one', [...flags, '--metadata-file=meta.json']);
  assert.deepEqual(again.steps, CACHED);
  assert.deepEqual(new Set(Object.values(metadata(rig).steps)), new Set(['local']));
});

test('plain progress names the cache of a step that was found, and sums up the caches', {
  skip,
}, async () => {
  await using rig = cacheWorld();
  await build(rig, 'one', ['--cache-to', 'type=dir,path=share,mode=max']);
  const run = await rig.varve(
    ['build', '--progress=plain', '--cache-from=type=dir,path=share', 'app'],
    { env: { VARVE_ROOT: join(rig.root, 'two') } },
  );
  assert.equal(run.status, 0, run.stderr);
  const share = `dir:${join(rig.work, 'share')}@main`;
  assert.match(run.stderr, new RegExp(`^#\\d+ from ${share} done\n#\\d+ CACHED$`, 'm'));
  assert.match(
    run.stderr,
    new RegExp(
      `^#\\d+ ${share}: asked for 5 steps, answered 5, used 5, pulled [\\d.]+kB done$`,
      'm',
    ),
  );
});

test('a layer that the first cache lost is had from the second', { skip }, async () => {
  await using rig = cacheWorld();
  await using registry = await startRegistry();
  const state = { broken: false };
  await using proxy = await startFaultyProxy(registry.url, ({ method, path }) =>
    state.broken && method === 'GET' && path.includes('/first/') && path.includes('/blobs/')
      ? { kind: 'status', status: 404 }
      : undefined,
  );
  const refs = [`${proxy.host}/first/cache`, `${proxy.host}/second/cache`];
  await build(
    rig,
    'one',
    refs.flatMap((ref) => ['--cache-to', `type=registry,ref=${ref},mode=max`]),
  );
  const from = refs.flatMap((ref) => ['--cache-from', ref]);
  await build(rig, 'two', from);
  state.broken = true;
  rig.write('app/b.txt', 'changed\n');
  // The configs are here; the layer below the changed step is not.
  const done = await build(rig, 'two', [...from, '-o', 'type=oci,dest=out.tar']);
  assert.deepEqual(done.steps, { ...CACHED, [LAST]: 'DONE' });
  assert.equal(done.said.includes('CacheLayerLost'), false, done.said);
  assert.ok(readFileSync(join(rig.work, 'out.tar')).length > 0);
});

test('each form of the manifest is exported and read', { skip }, async () => {
  await using rig = cacheWorld();
  await using registry = await startRegistry();
  const forms = [
    '',
    ',image-manifest=false',
    ',oci-mediatypes=false',
    ',image-manifest=false,oci-mediatypes=false,compression=gzip,force-compression=true',
  ];
  const types: unknown[] = [];
  for (const [i, form] of forms.entries()) {
    const ref = `${registry.host}/team/cache:${i}`;
    const to = ['--cache-to', `type=registry,ref=${ref},mode=max${form}`];
    await build(rig, 'one', [...to, '--cache-to', `type=local,dest=dir-${i},mode=max${form}`]);
    assert.deepEqual((await build(rig, `r${i}`, ['--cache-from', ref])).steps, CACHED, form);
    const local = ['--cache-from', `type=local,src=dir-${i}`];
    assert.deepEqual((await build(rig, `d${i}`, local)).steps, CACHED, form);
    const answer = await fetch(`${registry.url}/v2/team/cache/manifests/${i}`, {
      headers: {
        accept: [
          'application/vnd.oci.image.manifest.v1+json',
          'application/vnd.oci.image.index.v1+json',
          'application/vnd.docker.distribution.manifest.list.v2+json',
        ].join(', '),
      },
    });
    const manifest = (await answer.json()) as {
      readonly mediaType: string;
      readonly manifests?: readonly { readonly mediaType: string }[];
      readonly layers?: readonly { readonly mediaType: string }[];
    };
    const parts = [...(manifest.manifests ?? []), ...(manifest.layers ?? [])];
    types.push([
      manifest.mediaType,
      [...new Set(parts.map((each) => each.mediaType))].filter(
        (type) => !type.startsWith('application/vnd.varve.'),
      ),
    ]);
  }
  const config = 'application/vnd.buildkit.cacheconfig.v0';
  const oci = 'application/vnd.oci.image';
  const docker = 'application/vnd.docker';
  assert.deepEqual(types, [
    [`${oci}.manifest.v1+json`, [`${oci}.layer.v1.tar+zstd`]],
    [`${oci}.index.v1+json`, [`${oci}.layer.v1.tar+zstd`, config]],
    [
      `${docker}.distribution.manifest.list.v2+json`,
      [`${docker}.image.rootfs.diff.tar.zstd`, config],
    ],
    [
      `${docker}.distribution.manifest.list.v2+json`,
      [`${docker}.image.rootfs.diff.tar.gzip`, config],
    ],
  ]);
});

test('a branch reads its base and main behind itself, and each is reported', { skip }, async () => {
  await using rig = cacheWorld();
  await using registry = await startRegistry();
  const cache = `type=registry,ref=${registry.host}/team/cache`;
  const at = (tag: string): string => `registry:${registry.host}/team/cache:${tag}`;
  const main = { GITHUB_REF: 'refs/heads/main' };
  await build(rig, 'one', ['--cache-to', `${cache},scope=auto,mode=max`], main);
  rig.write('app/b.txt', 'of the pull request\n');
  const pull = {
    GITHUB_REF: 'refs/pull/7/merge',
    GITHUB_HEAD_REF: 'main',
    GITHUB_BASE_REF: 'release/1.2',
  };
  const flags = ['--cache-from', `${cache},scope=auto`, '--cache-to', `${cache},scope=auto`];
  const first = await build(rig, 'two', flags, pull);
  assert.deepEqual(first.steps, { ...CACHED, [LAST]: 'DONE' });
  const lines = sourceLines(first.stderr).map((line) => line.replace(/pull-7-\w{32}/, 'PULL'));
  assert.deepEqual(
    lines.map((line) => line.replace(/release-1-2-\w{32}/, 'RELEASE')),
    [
      `${at('PULL')}: not read, pulled`,
      `${at('main')}: asked for 5 steps, answered 4, used 4, pulled`,
      `${at('RELEASE')}: not read, pulled`,
    ],
  );
  const second = await build(rig, 'three', flags, pull);
  assert.deepEqual(second.steps, CACHED);
  const refused = await tryBuild(rig, 'two', ['--cache-to', `${cache},scope=main`], pull);
  assert.equal(refused.status, 2);
  assert.match(
    refused.stderr,
    /^error\[RC032\]: --cache-to: the scope "main" may not be written: this build may write "pull\/7"$/m,
  );
});
