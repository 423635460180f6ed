import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { build, cacheWorld, DOCKERFILE } from '../rig/cache-world.ts';
import { DockerPeer } from '../rig/docker-peer.ts';
import { note } from '../rig/golden.ts';
import { startRegistry } from '../rig/registry.ts';
import { needsSteps } from '../rig/rig.ts';

const NETWORK = ['--network', 'none'];
const COPIES = DOCKERFILE.replace(/RUN .*\n/, '').replace('/made /made', '/bin/sh /made');

/** How many steps are in each state. */
function counted(states: Readonly<Record<string, string>>): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const state of Object.values(states).sort()) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}

test("the engine's own BuildKit finds steps in caches of varve, and varve in those of BuildKit", {
  skip: needsSteps,
}, async (t) => {
  await using rig = cacheWorld();
  await using registry = await startRegistry();
  const started = await DockerPeer.start(join(rig.root, 'docker'));
  if (typeof started === 'string') {
    t.skip(`needs docker.io: ${started}`);
    return;
  }
  await using docker = started;
  const app = join(rig.work, 'app');
  const found: Record<string, unknown> = {};
  for (const [kind, dockerfile] of Object.entries({ copies: COPIES, run: DOCKERFILE })) {
    const at = (name: string): string => `${registry.host}/${kind}/${name}:1`;
    rig.write('app/Dockerfile', dockerfile);
    rig.write('app/b.txt', 'b\n');
    // Before it knew image manifests and zstd, BuildKit read an index with gzip layers.
    const form = 'mode=max,image-manifest=false,compression=gzip';
    await build(rig, 'one', [
      ...[...NETWORK, '--cache-to', `type=registry,ref=${at('cache')},${form}`],
      ...['--cache-to', 'type=inline', '-o', `type=registry,name=${at('inline')}`],
    ]);
    const theirs = async (name: string): Promise<unknown> => {
      const states = await docker.buildCached(app, 'x', ['--cache-from', at(name)]);
      await docker.forget('x');
      return counted(states);
    };
    found[`${kind} of a cache`] = await theirs('cache');
    found[`${kind} of an image`] = await theirs('inline');
    rig.write('app/b.txt', 'changed\n');
    found[`${kind} of a cache, one file changed`] = await theirs('cache');
    const made = await docker.buildCached(app, at('theirs'));
    assert.deepEqual(new Set(Object.values(made)), new Set(['DONE']));
    await docker.push(at('theirs'));
    await docker.forget(at('theirs'));
    const from = [...NETWORK, '--cache-from', at('theirs')];
    found[`${kind} of their image`] = counted((await build(rig, `two-${kind}`, from)).steps);
  }
  assert.deepEqual(found, FOUND);
  note(`BuildKit of docker.io ${docker.version} and varve found each other's steps`);
});

/**
 * RUN has another key there, so that it is not found; what stands on it is found by its content. An image has the results of
 * its own stage only.
 */
const FOUND = {
  'copies of a cache': { CACHED: 4 },
  'copies of an image': { CACHED: 4 },
  'copies of a cache, one file changed': { CACHED: 3, DONE: 1 },
  'copies of their image': { CACHED: 4 },
  'run of a cache': { CACHED: 4, DONE: 1 },
  'run of an image': { CACHED: 2, DONE: 3 },
  'run of a cache, one file changed': { CACHED: 3, DONE: 2 },
  'run of their image': { CACHED: 2, DONE: 3 },
};
