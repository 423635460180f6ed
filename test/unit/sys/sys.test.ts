import assert from 'node:assert/strict';
import {
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isErrno, nameOfBytes, TempDir } from '../../../src/base/index.ts';
import {
  bindMount,
  copyRange,
  deviceNumber,
  deviceParts,
  getXattr,
  listXattrs,
  makeNode,
  mountOverlay,
  mountTmpfs,
  readXattrs,
  removeXattr,
  renameWith,
  setTimes,
  setXattr,
  tryLock,
  unlock,
  unmount,
} from '../../../src/sys/index.ts';

const needsRoot = userInfo().uid === 0 ? {} : { skip: 'mounts and device nodes need root' };

async function inTemp(body: (dir: string) => void): Promise<void> {
  await using dir = await TempDir.create(tmpdir(), 'varve-sys-');
  body(dir.path);
}

test('extended attributes are set, listed, read and removed, also with names and values of any bytes', () =>
  inTemp((dir) => {
    const file = join(dir, nameOfBytes(Buffer.from([0x66, 0xff])));
    writeFileSync(Buffer.from(`${dir}/f\xff`, 'latin1'), '');
    const value = Buffer.from([0, 255, 10]);
    setXattr(file, 'user.b', value);
    setXattr(file, 'user.a', Buffer.alloc(3000, 1));
    assert.deepEqual(listXattrs(file).sort(), ['user.a', 'user.b']);
    assert.deepEqual([...readXattrs(file).keys()], ['user.a', 'user.b']);
    assert.deepEqual(Buffer.from(getXattr(file, 'user.b') ?? ''), value);
    assert.equal(getXattr(file, 'user.a')?.length, 3000);
    removeXattr(file, 'user.a');
    removeXattr(file, 'user.a');
    assert.deepEqual([getXattr(file, 'user.a'), listXattrs(file)], [undefined, ['user.b']]);
  }));

test('a failing call throws an error like those of node:fs', () =>
  inTemp((dir) => {
    const path = join(dir, 'absent');
    assert.throws(
      () => getXattr(path, 'user.a'),
      (e: unknown) =>
        isErrno(e, 'ENOENT') && e.path === path && e.syscall === 'lgetxattr' && e.errno === -2,
    );
    assert.throws(
      () => listXattrs(`${dir}\0x`),
      (e: unknown) => isErrno(e, 'EINVAL'),
    );
  }));

test('times of a link are set on the link, to the nanosecond, also before 1970', () =>
  inTemp((dir) => {
    const link = join(dir, 'l');
    symlinkSync('nowhere', link);
    setTimes(link, { atimeNs: -1n, mtimeNs: 1_234_567_890_123_456_789n });
    const { atimeNs, mtimeNs } = lstatSync(link, { bigint: true });
    assert.deepEqual([atimeNs, mtimeNs], [-1n, 1_234_567_890_123_456_789n]);
  }));

test('a lock excludes other open files until it is released or its file closed', () =>
  inTemp((dir) => {
    const open = (): number => openSync(join(dir, 'lock'), 'a');
    const [a, b, c] = [open(), open(), open()];
    assert.deepEqual(
      [tryLock(a, 'shared'), tryLock(b, 'shared'), tryLock(c, 'exclusive')],
      [true, true, false],
    );
    unlock(a);
    closeSync(b);
    assert.deepEqual([tryLock(c, 'exclusive'), tryLock(a, 'shared')], [true, false]);
    closeSync(a);
    closeSync(c);
  }));

test('renaming without replacing keeps what is there, exchanging swaps', () =>
  inTemp((dir) => {
    const [a, b] = [join(dir, 'a'), join(dir, 'b')];
    writeFileSync(a, 'a');
    writeFileSync(b, 'b');
    assert.throws(
      () => renameWith(a, b, 'noreplace'),
      (e: unknown) => isErrno(e, 'EEXIST'),
    );
    renameWith(a, b, 'exchange');
    assert.deepEqual([readFileSync(a, 'utf8'), readFileSync(b, 'utf8')], ['b', 'a']);
  }));

test('device numbers keep all their bits', () => {
  for (const [major, minor] of [
    [0, 0],
    [1, 3],
    [4095, 1_048_575],
    [259, 70_000],
  ] as const)
    assert.deepEqual(deviceParts(deviceNumber(major, minor)), { major, minor });
});

test('device nodes and pipes have the type and numbers asked for', needsRoot, () =>
  inTemp((dir) => {
    makeNode(join(dir, 'c'), { type: 'char', mode: 0o600, major: 300, minor: 70_000 });
    makeNode(join(dir, 'p'), { type: 'fifo', mode: 0o600 });
    const stat = lstatSync(join(dir, 'c'), { bigint: true });
    assert.deepEqual(
      [stat.isCharacterDevice(), deviceParts(stat.rdev), lstatSync(join(dir, 'p')).isFIFO()],
      [true, { major: 300, minor: 70_000 }, true],
    );
  }),
);

test('bytes are copied inside the kernel up to the end of the source', () =>
  inTemp((dir) => {
    writeFileSync(join(dir, 'a'), 'hello');
    const [from, to] = [openSync(join(dir, 'a'), 'r'), openSync(join(dir, 'b'), 'w')];
    assert.deepEqual(
      [copyRange(from, to, 3), copyRange(from, to, 100), copyRange(from, to, 1)],
      [3, 2, 0],
    );
    closeSync(from);
    closeSync(to);
    assert.equal(readFileSync(join(dir, 'b'), 'utf8'), 'hello');
  }));

test(
  'an overlay of 300 layers with long and odd names mounts, and writes go to its upper directory',
  needsRoot,
  () =>
    inTemp((dir) => {
      const lower = Array.from({ length: 300 }, (_, i) =>
        join(dir, i % 2 === 0 ? 'x'.repeat(250) : 'a:b,c\\d', String(i)),
      );
      for (const [i, path] of lower.entries()) {
        mkdirSync(path, { recursive: true });
        writeFileSync(join(path, `f${i}`), '');
      }
      const [upper, work, target] = ['u', 'w', 'm'].map((name) => join(dir, name)) as [
        string,
        string,
        string,
      ];
      for (const path of [upper, work, target]) mkdirSync(path);
      mountOverlay({ lower, upper: { dir: upper, work }, target });
      try {
        writeFileSync(join(target, 'new'), 'n');
        assert.equal(readdirSync(target).length, 301);
      } finally {
        unmount(target);
      }
      assert.deepEqual(readdirSync(upper), ['new']);
    }),
);

test('an overlay over a missing directory names it', needsRoot, () =>
  inTemp((dir) => {
    mkdirSync(join(dir, 'm'));
    const missing = join(dir, 'absent');
    assert.throws(
      () => mountOverlay({ lower: [missing, dir], target: join(dir, 'm') }),
      (e: unknown) => isErrno(e, 'ENOENT') && e.path === missing,
    );
  }),
);

test('a read-only bind mount refuses writes, a file system in memory takes them', needsRoot, () =>
  inTemp((dir) => {
    for (const name of ['src', 'bind', 'tmp']) mkdirSync(join(dir, name));
    bindMount(join(dir, 'src'), join(dir, 'bind'), { readonly: true });
    mountTmpfs(join(dir, 'tmp'), { sizeBytes: 65_536, mode: 0o700 });
    try {
      assert.throws(
        () => writeFileSync(join(dir, 'bind/x'), ''),
        (e: unknown) => isErrno(e, 'EROFS'),
      );
      writeFileSync(join(dir, 'tmp/x'), '');
      assert.equal(lstatSync(join(dir, 'tmp')).mode & 0o777, 0o700);
    } finally {
      unmount(join(dir, 'bind'));
      unmount(join(dir, 'tmp'));
    }
  }),
);
