import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rowBuild, rowWorld } from '../rig/cache-rows.ts';
import { note } from '../rig/golden.ts';
import { type Fault, type SeenRequest, startFaultyProxy, startRegistry } from '../rig/registry.ts';

const PUSHED = /\/manifests\/sha256:/;
const TAG = /\/manifests\/sha256-[0-9a-f]{64}$/;

/** What the file indexes of an inline cache can meet where they are written, and what is said of it. */
const WRITING: Readonly<
  Record<string, readonly [(request: SeenRequest) => boolean, Fault, RegExp]>
> = {
  'a registry that takes no such manifest': [
    ({ method, path }) => method === 'PUT' && PUSHED.test(path),
    { kind: 'status', status: 400 },
    /^CacheExport: the file indexes of the inline cache were not stored in .*: PUT .* answers 400/,
  ],
  'one that lets nobody write the tag': [
    ({ method, path }) => method === 'PUT' && TAG.test(path),
    { kind: 'status', status: 403 },
    /^CacheExport: the file indexes of the inline cache were not stored in .*: PUT .* answers 403/,
  ],
};

/** And where they are read: layers are fetched then. */
const READING: typeof WRITING = {
  'a list that fails': [
    ({ path }) => path.includes('/referrers/'),
    { kind: 'status', status: 500 },
    /^CacheIndex: no file index of image sha256:\S+ can be had, layers are fetched: GET .* answers 500/,
  ],
  'a tag with a page of text': [
    ({ path }) => TAG.test(path),
    { kind: 'alter', change: () => Buffer.from('<html>') },
    /^CacheIndex: no file index of image .* the manifest has digest/,
  ],
  'a manifest that is gone': [
    ({ path }) => PUSHED.test(path),
    { kind: 'status', status: 404 },
    /^CacheIndex: no file index of image .* answers 404/,
  ],
  'no list and no tag': [
    ({ path }) => path.includes('/referrers/') || TAG.test(path),
    { kind: 'status', status: 404 },
    /^$/,
  ],
};

test('file indexes of an inline cache that cannot be stored or read cost layers, and no build', async () => {
  await using rig = rowWorld();
  await using registry = await startRegistry();
  const good = `${registry.host}/team/app:1`;
  const inline = ['--push', '--cache-to', 'type=inline'];
  const wrong: string[] = [];
  const through = async (
    [name, [meets, fault, said]]: (typeof rows)[number],
    flags: (host: string) => readonly string[],
    steps: string,
  ): Promise<void> => {
    await using proxy = await startFaultyProxy(registry.url, (request) =>
      meets(request) ? fault : undefined,
    );
    const got = await rowBuild(rig, flags(proxy.host));
    if (got.status !== 0 || got.steps !== steps || !said.test(got.said))
      wrong.push(`${name}: ${JSON.stringify(got)}`);
    if (!proxy.seen.some(meets)) wrong.push(`${name}: it was never asked`);
  };
  const rows = Object.entries({ ...WRITING, ...READING });
  for (const row of Object.entries(WRITING))
    await through(row, (host) => ['-t', `${host}/other/app:1`, ...inline], 'DONE DONE');
  const made = await rowBuild(rig, ['-t', good, ...inline]);
  assert.deepEqual(made, { status: 0, steps: 'DONE DONE', said: '' });
  rig.write('app/b.txt', 'changed\n');
  for (const row of Object.entries(READING))
    await through(row, (host) => ['--cache-from', `${host}/team/app:1`, '-t', 'x'], 'CACHED DONE');
  assert.deepEqual(wrong, []);
  note(`file indexes of inline caches: ${rows.length} rows of faults`);
});
