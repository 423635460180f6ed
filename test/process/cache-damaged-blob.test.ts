import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cpSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256 } from '../../src/base/index.ts';
import { startCacheServers } from '../rig/cache-places.ts';
import { rowWorld } from '../rig/cache-rows.ts';
import { note } from '../rig/golden.ts';
import { varveHere } from '../rig/in-process.ts';
import { flip } from '../torture/scenarios.ts';

/** Blobs of a store, the largest first. */
function blobsOf(store: string): readonly string[] {
  const dir = join(store, 'content/blobs/sha256');
  const size = (name: string): number => statSync(join(dir, name)).size;
  return readdirSync(dir).sort((a, b) => size(b) - size(a));
}

test('a layer that was damaged in the store reaches no cache under its name, and the next export makes it again', async () => {
  await using rig = rowWorld();
  rig.write('app/a.txt', randomBytes(100_000).toString('base64'));
  await using servers = await startCacheServers();
  const good = join(rig.root, 'good');
  const run = async (store: string, flags: readonly string[], env = {}): Promise<string> => {
    const args = ['build', '--progress=quiet', ...flags, 'app'];
    const done = await varveHere(rig, rig.work, args, { ...env, VARVE_ROOT: store });
    return `${done.status} ${/^error.*$/m.exec(done.stderr)?.[0] ?? ''}`.trim();
  };
  assert.equal(await run(good, ['--cache-to', `type=local,dest=${rig.root}/first`]), '0');
  const [layer = ''] = blobsOf(good);
  const places = {
    local: { to: `type=local,dest=${rig.root}/local`, from: `type=local,src=${rig.root}/local` },
    dir: { to: `type=dir,path=${rig.root}/dir`, from: `type=dir,path=${rig.root}/dir` },
    ...servers.good,
  };
  const came: Record<string, readonly string[]> = {};
  for (const [type, place] of Object.entries(places)) {
    const { from, to } = place;
    const env = 'env' in place ? place.env : {};
    const store = join(rig.root, `store-${type}`);
    cpSync(good, store, { recursive: true });
    const path = join(store, 'content/blobs/sha256', layer);
    flip(path, statSync(path).size >> 1);
    const flags = ['--cache-to', `${to},mode=max`];
    const first = await run(store, flags, env);
    const kept = existsSync(path) ? 'still there' : 'set aside';
    const second = await run(store, flags, env);
    const out = join(rig.root, `out-${type}`);
    const read = ['--cache-from', from, '-o', `type=local,dest=${out}`];
    const third = await run(join(rig.root, `reader-${type}`), read, env);
    const whole =
      readFileSync(join(out, 'a'), 'utf8') === readFileSync(join(rig.work, 'app/a.txt'), 'utf8');
    came[type] = [
      first.replace(layer, 'LAYER'),
      kept,
      second,
      third,
      whole ? 'whole' : 'other bytes',
    ];
  }
  const want = [
    '3 error[ST014]: blob sha256:LAYER is damaged on disk; it was moved to the quarantine',
    ...['set aside', '0', '0', 'whole'],
  ];
  assert.deepEqual(came, Object.fromEntries(Object.keys(places).map((type) => [type, want])));
  for (const dir of ['local', 'dir'])
    for (const name of readdirSync(join(rig.root, dir, 'blobs/sha256')))
      assert.equal(
        sha256(readFileSync(join(rig.root, dir, 'blobs/sha256', name))),
        `sha256:${name}`,
      );
  note(`a damaged layer on its way to ${Object.keys(came).length} types of caches`);
});
