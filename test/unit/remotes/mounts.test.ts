import assert from 'node:assert/strict';
import {
  chmodSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256 } from '../../../src/base/index.ts';
import { findMount } from '../../../src/remotes/index.ts';
import { makeNode } from '../../../src/sys/index.ts';
import { listDisk } from '../../rig/disk-listing.ts';
import { note } from '../../rig/golden.ts';
import { bytes, KEY, MountWorld, writePackages } from './mount-world.ts';

const NAMES = Array.from({ length: 20 }, (_, i) => `package-${i}`);

/** Every blob of the remote with its size. */
function blobs(world: MountWorld): Map<string, number> {
  const dir = join(world.place, 'blobs/sha256');
  return new Map(readdirSync(dir).map((name) => [name, statSync(join(dir, name)).size]));
}

function times(dir: string): Readonly<Record<string, bigint>> {
  const paths = readdirSync(dir, { recursive: true, encoding: 'utf8' });
  return Object.fromEntries(
    ['', ...paths].map((p) => [p, statSync(join(dir, p), { bigint: true }).mtimeNs]),
  );
}

test('what is restored is what was stored: bytes, names, modes, owners, links and times', async () => {
  using world = new MountWorld();
  world.write('large', bytes('large', 900_000));
  world.write('same', bytes('large', 900_000));
  world.write('dir/small', 'small\n');
  world.write('dir/empty', '');
  world.write('ünïcödé', 'name');
  linkSync(join(world.data, 'large'), join(world.data, 'dir/link'));
  symlinkSync('../large', join(world.data, 'dir/symlink'));
  symlinkSync('/etc/passwd', join(world.data, 'outside'));
  mkdirSync(join(world.data, 'nothing'), { mode: 0o700 });
  chmodSync(join(world.data, 'dir/small'), 0o640);
  utimesSync(join(world.data, 'dir/small'), 1_000_000_000, 1_234_567_890.5);
  lutimesSync(join(world.data, 'dir/symlink'), 1, 2);
  utimesSync(join(world.data, 'dir'), 5, 6);
  const stored = await world.store();
  assert.ok('sent' in Object(stored), JSON.stringify(stored));
  const { dir, got } = await world.restore();
  assert.deepEqual(listDisk(dir), listDisk(world.data));
  assert.deepEqual(times(dir), times(world.data));
  assert.deepEqual(readFileSync(join(dir, 'large')), bytes('large', 900_000));
  assert.ok(got !== undefined && 'files' in got);
  assert.deepEqual([got.files, got.bytes], [5, 1_800_010]);
});

test('devices, pipes and set-user-ID bits do not leave the machine', async () => {
  using world = new MountWorld();
  world.write('tool', '#!/bin/sh\n');
  chmodSync(join(world.data, 'tool'), 0o6755);
  makeNode(join(world.data, 'pipe'), { type: 'fifo', mode: 0o644 });
  makeNode(join(world.data, 'null'), { type: 'char', mode: 0o666, major: 1, minor: 3 });
  await world.store();
  const { dir } = await world.restore();
  assert.deepEqual(
    Object.entries(listDisk(dir)).map(([path, what]) => `${path} ${what.slice(0, 9)}`),
    ['/tool file 755 '],
  );
});

test('one more package of twenty sends little more than that package', async () => {
  using world = new MountWorld();
  writePackages(world, NAMES);
  const first = await world.store();
  const before = blobs(world);
  writePackages(world, ['package-new']);
  world.now += 1000;
  const second = await world.store();
  assert.ok(typeof first === 'object' && 'sent' in first);
  assert.ok(typeof second === 'object' && 'sent' in second);
  const added = [...blobs(world)].filter(([name]) => !before.has(name));
  const sent = added.reduce((sum, [, size]) => sum + size, 0);
  assert.equal(second.sent, sent);
  note(
    `cache mounts: ${first.bytes} bytes first ${first.sent} sent, one package more (730000 bytes): ${sent} sent`,
  );
  // The package itself, the two chunks of small files around it, and the index.
  assert.ok(sent < 730_000 * 1.35, `${sent} bytes sent`);
  assert.ok(added.length <= 3, `${added.length} blobs`);
  const { dir } = await world.restore();
  assert.deepEqual(listDisk(dir), listDisk(world.data));
});

test('a change of a few bytes in a cache of many files sends less than two percent', async () => {
  using world = new MountWorld();
  writePackages(world, NAMES);
  await world.store();
  const before = blobs(world);
  world.write('wheels/package-7/3.json', 'changed');
  await world.store();
  const added = [...blobs(world)].filter(([name]) => !before.has(name));
  const sent = added.reduce((sum, [, size]) => sum + size, 0);
  const all = [...before.values()].reduce((sum, size) => sum + size, 0);
  assert.ok(sent < all * 0.02, `${sent} of ${all}`);
});

test('a directory that did not change sends nothing and stays the same blobs', async () => {
  using world = new MountWorld();
  writePackages(world, NAMES.slice(0, 3));
  await world.store();
  const before = blobs(world);
  world.now += 60_000;
  const again = await world.store();
  assert.ok(typeof again === 'object' && 'sent' in again);
  assert.deepEqual([again.sent, blobs(world)], [0, before]);
});

test('the same directory gives the same blobs on another machine', async () => {
  using one = new MountWorld();
  using two = new MountWorld();
  for (const world of [one, two]) {
    writePackages(world, NAMES.slice(0, 3));
    for (const path of ['', ...readdirSync(world.data, { recursive: true, encoding: 'utf8' })])
      utimesSync(join(world.data, path), 10, 10);
    await world.store();
  }
  assert.deepEqual(blobs(one), blobs(two));
});

test('the directory that is here gives what is the same, and only the rest is fetched', async () => {
  using world = new MountWorld();
  writePackages(world, NAMES.slice(0, 5));
  await world.store();
  const { dir: have } = await world.restore();
  writePackages(world, ['package-new']);
  rmSync(join(world.data, 'http/package-1.body'));
  await world.store();
  const { dir, got } = await world.restore({ have });
  assert.deepEqual(listDisk(dir), { ...listDisk(world.data), ...linked(dir, have) });
  assert.ok(got !== undefined && 'fetched' in got);
  assert.ok(got.fetched < 1_000_000, `${got.fetched} of ${got.bytes} bytes fetched`);
});

/** Files that two directories share have a second name. */
function linked(dir: string, other: string): Readonly<Record<string, string>> {
  const there = listDisk(other);
  return Object.fromEntries(Object.entries(listDisk(dir)).filter(([path]) => path in there));
}

test('packs of which little is needed any more, and many small ones, are written anew', async () => {
  using world = new MountWorld();
  for (let i = 0; i < 30; i++) {
    world.write(`f${i}`, bytes(`f${i}`, 50_000));
    await world.store();
  }
  const { dir } = await world.restore();
  assert.deepEqual(listDisk(dir), listDisk(world.data));
  const packs = (): number => readIndexPacks(world);
  assert.ok(packs() <= 18, `${packs()} packs`);
  for (let i = 1; i < 30; i++) rmSync(join(world.data, `f${i}`));
  await world.store();
  assert.equal(packs(), 1);
  assert.deepEqual(listDisk((await world.restore()).dir), listDisk(world.data));
});

/** Packs that the manifest of the mount names. */
function readIndexPacks(world: MountWorld): number {
  const index = readFileSync(join(world.place, 'index.json'), 'utf8');
  const digest = /"digest": ?"sha256:([0-9a-f]{64})"/.exec(index)?.[1] ?? '';
  const manifest = readFileSync(join(world.place, 'blobs/sha256', digest), 'utf8');
  return manifest.split('cache-mount.pack').length - 1;
}

const DAMAGES: Readonly<Record<string, (path: string, size: number) => void>> = {
  removed: (path) => rmSync(path),
  'cut off': (path, size) => truncateSync(path, size - 1),
  'far too large': (path) => truncateSync(path, 2 ** 33),
  overwritten: (path, size) => writeFileSync(path, Buffer.alloc(size, 7)),
};

test('damaged blobs give a reason and no directory, and the next export mends them', async () => {
  const results: string[] = [];
  for (const [name, damage] of Object.entries(DAMAGES)) {
    // Manifest, index and pack, by their size.
    for (const which of [0, 1, 2]) {
      using world = new MountWorld();
      writePackages(world, ['a']);
      const stored = await world.store();
      assert.ok(typeof stored === 'object' && 'index' in stored);
      const [blob, size] = [...blobs(world)].sort(([, a], [, b]) => a - b)[which] ?? ['', 0];
      damage(join(world.place, 'blobs/sha256', blob), size);
      const { got } = await world.restore();
      world.now += 1000;
      await world.store({ damaged: stored.index });
      const mended = await world.restore();
      assert.deepEqual(listDisk(mended.dir), listDisk(world.data), name);
      results.push(`${name}: ${got === undefined ? 'absent' : 'code' in got ? got.code : 'used'}`);
    }
  }
  assert.deepEqual(results, EXPECTED);
});

const EXPECTED = [
  'removed: absent',
  'removed: RC005',
  'removed: RC005',
  'cut off: absent',
  'cut off: RC005',
  'cut off: RC005',
  'far too large: RC004',
  'far too large: RC004',
  'far too large: RC004',
  'overwritten: absent',
  'overwritten: RC005',
  'overwritten: RC005',
];

test('a name that is not UTF-8 comes back as it was', async () => {
  using world = new MountWorld();
  const name = (dir: string): Buffer => Buffer.concat([Buffer.from(`${dir}/a-`), Buffer.of(0xff)]);
  writeFileSync(name(world.data), 'x');
  await world.store();
  const { dir } = await world.restore();
  assert.equal(readFileSync(name(dir), 'utf8'), 'x');
});

test('a mount of another id, base or platform is not found', async () => {
  using world = new MountWorld();
  world.write('f', 'x');
  await world.store();
  const base = sha256('base');
  const found: boolean[] = [];
  for (const key of [
    KEY,
    { ...KEY, id: '/npm' },
    { ...KEY, base },
    { ...KEY, platform: 'linux/arm64' },
  ]) {
    const at = await findMount(world.remote(world.cache(), key), key, {
      signal: new AbortController().signal,
    });
    assert.ok(at.ok);
    found.push(at.value !== undefined);
  }
  assert.deepEqual(found, [true, false, false, false]);
});

test('an empty directory is not stored', async () => {
  using world = new MountWorld();
  assert.equal(await world.store(), 'empty');
});

test('a file that changes while it is read is left out and named', async () => {
  using world = new MountWorld();
  world.write('quiet', 'x');
  world.write('busy', bytes('busy', 300_000));
  let n = 0;
  const timer = setInterval(() => world.write('busy', bytes(`busy ${n++}`, 300_000)), 0);
  try {
    const stored = await world.store();
    assert.ok(typeof stored === 'object' && 'restless' in stored);
    const { dir } = await world.restore();
    const whole = stored.restless.length === 1 ? ['quiet'] : ['busy', 'quiet'];
    assert.deepEqual(readdirSync(dir), whole);
  } finally {
    clearInterval(timer);
  }
});
