import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { sha256 } from '../../../src/base/index.ts';
import { openStateDb, type StateDb, type StateDbOptions } from '../../../src/cachedb/index.ts';
import type { ImageRow, LayerId } from '../../../src/ports/index.ts';

class Dir implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'varve-db-'));
  readonly file = join(this.path, 'state.db');
  now = 1;
  open(extra: Partial<StateDbOptions> = {}): StateDb {
    const opened = openStateDb({ path: this.file, clock: { now: () => this.now++ }, ...extra });
    if (!opened.ok) throw new Error(`${opened.error.code}: ${opened.error.message}`);
    return opened.value;
  }
  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

const image = (name: string): ImageRow => ({
  name,
  target: { mediaType: 'm', digest: sha256(name), size: 1 },
  createdAt: 7,
});

test('an existing database opens without writing', () => {
  using dir = new Dir();
  dir.open().close();
  const before = statSync(dir.file).mtimeMs;
  dir.open().close();
  assert.equal(statSync(dir.file).mtimeMs, before);
});

test('a file that is no database is moved aside and the names come back', () => {
  using dir = new Dir();
  writeFileSync(dir.file, 'this is certainly not a database file, whatever its name says');
  const names = { load: () => [image('a:1'), image('b:1')], save: () => undefined };
  const layersOnDisk = () => [{ id: 'new:1' as LayerId, diffId: sha256('d'), size: 10 }];
  using db = dir.open({ names, layersOnDisk });
  const moved = readdirSync(dir.path).filter((f) => f.startsWith('state.db.damaged-'));
  assert.equal(moved.length, 1);
  assert.deepEqual(db.recovery, { movedTo: join(dir.path, moved[0] ?? ''), images: 2, layers: 1 });
  assert.deepEqual(db.images.list(), [image('a:1'), image('b:1')]);
  assert.deepEqual(db.layers.layer('new:1' as LayerId), { diffId: sha256('d'), blobs: [] });
});

test('a lost database is made anew from the names', () => {
  using dir = new Dir();
  using db = dir.open({ names: { load: () => [image('a:1')], save: () => undefined } });
  assert.deepEqual([db.recovery, db.images.get('a:1')], [{ images: 1, layers: 0 }, image('a:1')]);
});

test('damage met while working is a failure, and the next command starts anew', () => {
  using dir = new Dir();
  {
    using db = dir.open();
    for (let i = 0; i < 500; i++) db.memo.set('n', `key ${i}`, Buffer.alloc(400, i));
  }
  const { size } = statSync(dir.file);
  const fd = openSync(dir.file, 'r+');
  for (let at = 4096 * 60; at + 4096 <= size; at += 4096)
    writeSync(fd, Buffer.alloc(4096, 0xa5), 0, 4096, at);
  closeSync(fd);
  {
    using db = dir.open();
    assert.throws(
      () => {
        for (let i = 0; i < 500; i++) db.memo.get('n', `key ${i}`);
      },
      { name: 'FailureError', message: `state database ${dir.file}: is damaged` },
    );
  }
  using db = dir.open();
  assert.equal(typeof db.recovery?.movedTo, 'string');
  assert.equal(db.memo.get('n', 'key 1'), undefined);
  db.close();
  dir.open().close();
  assert.equal(readdirSync(dir.path).filter((f) => f.startsWith('state.db.damaged')).length, 1);
});

test('a truncated database is moved aside', () => {
  using dir = new Dir();
  dir.open().close();
  truncateSync(dir.file, 1000);
  using db = dir.open();
  assert.equal(typeof db.recovery?.movedTo, 'string');
});

test('a database of a newer program is left alone', () => {
  using dir = new Dir();
  dir.open().close();
  const raw = new DatabaseSync(dir.file);
  raw.exec('PRAGMA user_version = 99');
  raw.close();
  const opened = openStateDb({ path: dir.file, clock: { now: () => 1 } });
  assert.deepEqual(opened.ok ? '' : [opened.error.code, opened.error.exit], ['ST022', 3]);
});

test('a directory that cannot be made is a failure', () => {
  using dir = new Dir();
  writeFileSync(join(dir.path, 'file'), '');
  const opened = openStateDb({ path: join(dir.path, 'file', 'state.db'), clock: { now: () => 1 } });
  assert.deepEqual(opened.ok ? '' : [opened.error.code, opened.error.exit], ['ST002', 3]);
});

test('setting and removing a name writes the mirror each time', () => {
  using dir = new Dir();
  const saved: string[][] = [];
  using db = dir.open({
    names: { load: () => [], save: (rows) => saved.push(rows.map((r) => r.name)) },
  });
  db.images.set(image('b'));
  db.images.set(image('a'));
  assert.deepEqual([db.images.remove('b'), db.images.remove('b')], [true, false]);
  assert.deepEqual(saved, [['b'], ['a', 'b'], ['a']]);
});

test('a full disk is a failure and what was written before stays', {
  skip:
    spawnSync('id', ['-u']).stdout.toString().trim() === '0'
      ? false
      : 'needs root to mount a small tmpfs',
}, () => {
  using dir = new Dir();
  assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', dir.path]).status, 0);
  try {
    using db = dir.open();
    db.memo.set('n', 'kept', Buffer.from('1'));
    assert.throws(
      () => {
        for (let i = 0; i < 100; i++) db.memo.set('n', `${i}`, Buffer.alloc(40_000));
      },
      { name: 'FailureError', message: `state database ${dir.file}: no space left on the disk` },
    );
    assert.deepEqual(db.memo.get('n', 'kept'), new Uint8Array(Buffer.from('1')));
    db.close();
    using again = dir.open();
    assert.deepEqual(
      [again.recovery, again.memo.get('n', 'kept')],
      [undefined, new Uint8Array(Buffer.from('1'))],
    );
  } finally {
    spawnSync('umount', [dir.path]);
  }
});

test('a lease is held until it is disposed', async () => {
  using dir = new Dir();
  using db = dir.open();
  const lease = db.leases.open('build');
  lease.add('layer:a');
  lease.add('layer:a');
  lease.add('blob:b');
  using other = dir.open();
  assert.deepEqual(other.leases.held(), [
    { id: lease.id, purpose: 'build', resources: ['blob:b', 'layer:a'] },
  ]);
  await lease[Symbol.asyncDispose]();
  assert.deepEqual(other.leases.held(), []);
});

test('a lock excludes other holders until it is released, and tells who waited', async () => {
  using dir = new Dir();
  using one = dir.open();
  using two = dir.open();
  const { signal } = new AbortController();
  const held = await one.locks.lock('k', signal);
  assert.deepEqual([held.waited, await two.locks.tryLock('k')], [false, undefined]);
  const waiting = two.locks.lock('k', signal);
  const controller = new AbortController();
  const given = two.locks.lock('k', controller.signal);
  controller.abort(new Error('no longer'));
  await assert.rejects(given, { message: 'no longer' });
  await held[Symbol.asyncDispose]();
  const next = await waiting;
  assert.equal(next.waited, true);
  await next[Symbol.asyncDispose]();
  assert.deepEqual(readdirSync(join(dir.path, 'locks')), []);
});
