import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { TempDir } from '../../../src/base/index.ts';
import { findFs, readDisk } from '../../../src/diskread/index.ts';
import { type Ext4Node, type Ext4Source, writeExt4 } from '../../../src/ext4/index.ts';
import { deviceParts, readXattrs } from '../../../src/sys/index.ts';

const EPOCH = 1_700_000_000;
const NANO = 1_000_000_000n;

interface Given extends Partial<Ext4Node> {
  readonly data?: Buffer;
}

/** A tree of entries by path; directories on the way are made. */
class Tree implements Ext4Source {
  readonly entries = new Map<string, Given & Ext4Node>();

  constructor(given: Readonly<Record<string, Given>>) {
    this.#add('/', { type: 'dir', mode: 0o755 });
    for (const [path, entry] of Object.entries(given)) {
      for (let at = path.indexOf('/', 1); at > 0; at = path.indexOf('/', at + 1))
        if (!this.entries.has(path.slice(0, at)))
          this.#add(path.slice(0, at), { type: 'dir', mode: 0o755 });
      this.#add(path, entry);
    }
  }

  #add(path: string, entry: Given): void {
    this.entries.set(path, {
      ...{ type: 'file', mode: 0o644, uid: 0, gid: 0, mtimeNs: 1_600_000_000n * NANO },
      ...{ size: entry.data?.length ?? 0, xattrs: new Map() },
      ...entry,
    });
  }

  lstat(path: string): Ext4Node | undefined {
    return this.entries.get(path);
  }

  list(path: string): readonly string[] {
    const above = path === '/' ? '/' : `${path}/`;
    return [...this.entries.keys()]
      .filter((p) => p !== '/' && p.startsWith(above) && !p.slice(above.length).includes('/'))
      .map((p) => p.slice(above.length))
      .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }

  open(path: string): ReturnType<Ext4Source['open']> {
    const data = this.entries.get(path)?.data ?? Buffer.alloc(0);
    let done = 0;
    return {
      // Pieces that end anywhere, every second of them later.
      read: (into, at, length) => {
        const n = data.copy(into, at, done, done + Math.min(length, 70_001));
        done += n;
        return done % 2 === 0 ? n : Promise.resolve(n);
      },
      [Symbol.dispose]: () => undefined,
    };
  }
}

async function write(source: Ext4Source, file: string, size?: number): Promise<unknown> {
  const fd = openSync(file, 'w');
  try {
    const made = await writeExt4(
      source,
      { write: (bytes, at) => void writeSync(fd, bytes, 0, bytes.length, at) },
      {
        ...(size === undefined ? {} : { size }),
        uuid: Buffer.from('00112233445546778899aabbccddeeff', 'hex'),
        label: 'rootfs',
        epoch: EPOCH,
        signal: new AbortController().signal,
      },
    );
    if (made.ok) ftruncateSync(fd, made.value);
    return made.ok ? made.value : made.error;
  } finally {
    closeSync(fd);
  }
}

const noise = (length: number, seed: number): Buffer => {
  const data = Buffer.alloc(length);
  let x = seed | 1;
  for (let at = 0; at + 4 <= length; at += 4) {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) | 0;
    data.writeInt32LE(x, at);
  }
  return data;
};

/** Every second block is a hole: as many extents as blocks that are none. */
const scattered = (extents: number): Buffer => {
  const data = Buffer.alloc(extents * 8192);
  for (let i = 0; i < extents; i++) data.writeUInt32LE(i + 1, i * 8192);
  return data;
};

const text = (words: string): Buffer => Buffer.from(words);
const USER_ACL = Buffer.from(
  '0200000001000600ffffffff02000400e803000004000400ffffffff10000600ffffffff20000400ffffffff',
  'hex',
);
const CAPABILITY = Buffer.from('0100000200040000000000000000000000000000', 'hex');

/** All that a tree can have, in a size that is still written at once. */
function everything(): Tree {
  const many = Object.fromEntries(
    Array.from({ length: 2500 }, (_, i) => [
      `/many/${String(i).padStart(5, '0')}-${'n'.repeat(i % 200)}`,
      { data: text(`file ${i}\n`) },
    ]),
  );
  return new Tree({
    '/empty': {},
    '/one': { data: text('1') },
    '/block': { data: noise(4096, 3) },
    '/more': { data: noise(4097, 4), mode: 0o4755, uid: 70_000, gid: 4_000_000_000 },
    '/large': { data: noise(5_000_000, 5) },
    '/zeros': { data: Buffer.alloc(1_000_000) },
    '/holes/inode': { data: scattered(4) },
    '/holes/leaf': { data: scattered(5) },
    '/holes/leaves': { data: scattered(341) },
    '/holes/deep': { data: scattered(1400) },
    '/holes/end': { data: Buffer.concat([noise(4096, 6), Buffer.alloc(9000)]) },
    '/links/short': { type: 'symlink', mode: 0o777, link: 'x'.repeat(59) },
    '/links/long': { type: 'symlink', mode: 0o777, link: 'y'.repeat(60) },
    '/links/longest': { type: 'symlink', mode: 0o777, link: 'z'.repeat(4000), uid: 5 },
    '/names/a': { data: text('same'), inode: 'i' },
    '/names/b': { data: text('same'), inode: 'i' },
    '/names/c/a': { data: text('same'), inode: 'i' },
    '/names/alone': { data: text('alone'), inode: 'j' },
    [`/names/${'é'.repeat(127)}`]: { data: text('long') },
    '/dev/null': { type: 'char', mode: 0o666, device: { major: 1, minor: 3 } },
    '/dev/disk': { type: 'block', mode: 0o660, device: { major: 259, minor: 1_000_000 } },
    '/dev/pipe': { type: 'fifo', mode: 0o600 },
    '/dev/socket': { type: 'socket', mode: 0o700 },
    '/times/before': { data: text('b'), mtimeNs: -5n * NANO + 7n },
    '/times/exact': { data: text('e'), mtimeNs: 1_500_000_000n * NANO + 123_456_789n },
    '/times/after': { data: text('a'), mtimeNs: 9_000_000_000n * NANO },
    '/xattrs/short': { data: text('s'), xattrs: new Map([['user.k', text('v')]]) },
    '/xattrs/long': {
      data: text('l'),
      xattrs: new Map([
        ['user.long', noise(900, 9)],
        ['user.b', text('')],
        ['user.a', text('abc')],
        ['trusted.t', text('12345')],
        ['security.capability', CAPABILITY],
      ]),
    },
    '/xattrs/capable': { mode: 0o755, xattrs: new Map([['security.capability', CAPABILITY]]) },
    '/xattrs/listed': { xattrs: new Map([['system.posix_acl_access', USER_ACL]]), mode: 0o664 },
    '/xattrs/dir/empty': { type: 'dir', mode: 0o1777 },
    '/xattrs/link': { type: 'symlink', mode: 0o777, link: 'short' },
    ...many,
  });
}

/** An entry as a person compares it. */
interface Shown {
  readonly what: string;
  readonly time?: string;
  readonly xattrs?: Readonly<Record<string, string>>;
  readonly data?: string;
  readonly links?: number;
}

const digest = (data: Buffer): string => createHash('sha256').update(data).digest('hex');

function expected(tree: Tree): Map<string, Shown> {
  const shown = new Map<string, Shown>();
  const entries = [...tree.entries];
  for (const [path, e] of entries) {
    const last = BigInt(EPOCH) * NANO;
    const links =
      e.type === 'dir'
        ? 2 +
          (path === '/' ? 1 : 0) +
          tree.list(path).filter((n) => tree.lstat(join(path, n))?.type === 'dir').length
        : entries.filter(([, o]) => e.inode !== undefined && o.inode === e.inode).length || 1;
    shown.set(path, {
      what: `${e.type} ${e.mode.toString(8)} ${e.uid}:${e.gid} ${e.link ?? ''}${e.device === undefined ? '' : `${e.device.major}:${e.device.minor}`}`,
      time: String(e.mtimeNs < last ? e.mtimeNs : last),
      xattrs: Object.fromEntries(
        [...e.xattrs].map(([k, v]) => [k, Buffer.from(v).toString('hex')] as const).sort(),
      ),
      ...(e.type === 'file' ? { data: digest(e.data ?? Buffer.alloc(0)) } : {}),
      links,
    });
  }
  return shown;
}

const KINDS: Readonly<Record<number, string>> = {
  0o100000: 'file',
  0o040000: 'dir',
  0o120000: 'symlink',
  0o020000: 'char',
  0o060000: 'block',
  0o010000: 'fifo',
  0o140000: 'socket',
};

function onDisk(root: string): Map<string, Shown> {
  const shown = new Map<string, Shown>();
  const look = (path: string): void => {
    const at = join(root, path);
    const stat = lstatSync(at, { bigint: true });
    const type = KINDS[Number(stat.mode) & 0o170000] ?? '';
    const isDevice = type === 'char' || type === 'block';
    const { major, minor } = deviceParts(stat.rdev);
    shown.set(path, {
      what: `${type} ${(Number(stat.mode) & 0o7777).toString(8)} ${stat.uid}:${stat.gid} ${type === 'symlink' ? readlinkSync(at) : ''}${isDevice ? `${major}:${minor}` : ''}`,
      time: String(stat.mtimeNs),
      xattrs: Object.fromEntries(
        [...readXattrs(at)].map(([k, v]) => [k, Buffer.from(v).toString('hex')] as const).sort(),
      ),
      ...(type === 'file' ? { data: digest(readFileSync(at)) } : {}),
      links: Number(stat.nlink),
    });
    if (type === 'dir' && path !== '/lost+found')
      for (const name of readdirSync(at)) look(join(path, name));
  };
  look('/');
  shown.delete('/lost+found');
  return shown;
}

const sorted = (shown: Map<string, Shown>): readonly unknown[] =>
  [...shown].sort(([a], [b]) => (a < b ? -1 : 1));

/** What our own reader finds, `lost+found` left out. */
function read(file: string): readonly (readonly unknown[])[] {
  const found = readDisk(file, ({ bytes }) =>
    [...(findFs(bytes)?.volume?.entries() ?? [])]
      .filter(({ path }) => path !== '/lost+found')
      .map((e) => [
        ...[e.path, e.type, e.mode, e.uid, e.gid],
        e.type === 'file' ? digest(e.read()) : (e.link ?? ''),
      ])
      .sort(([a = ''], [b = '']) => (a < b ? -1 : 1)),
  );
  if (!found.ok) throw new Error(found.error.message);
  return found.value;
}

const has = (program: string): boolean =>
  ['/sbin/', '/usr/sbin/', '/usr/bin/'].some((dir) => existsSync(dir + program));
const needsFsck = has('e2fsck') ? {} : { skip: 'not installed: e2fsck' };
const needsMount =
  process.getuid?.() === 0 ? needsFsck : { skip: 'needs root (mounts a file system)' };

const check = (file: string): string => {
  const run = spawnSync('e2fsck', ['-fn', file], { encoding: 'utf8' });
  return run.status === 0 ? 'clean' : `${run.stdout}${run.stderr}`;
};

function mounted<T>(file: string, options: string, use: (dir: string) => T): T {
  const dir = `${file}.mount`;
  mkdirSync(dir, { recursive: true });
  execFileSync('mount', ['-t', 'ext4', '-o', `loop,${options}`, file, dir]);
  try {
    return use(dir);
  } finally {
    execFileSync('umount', [dir]);
  }
}

test('the kernel reads every entry of a file system as it was given', needsMount, async () => {
  await using dir = await TempDir.create(tmpdir(), 'ext4-');
  const [file, tree] = [join(dir.path, 'all.img'), everything()];
  const size = await write(tree, file);
  assert.equal(typeof size, 'number', String(size));
  assert.equal(check(file), 'clean');
  assert.deepEqual(
    mounted(file, 'ro', (root) => sorted(onDisk(root))),
    sorted(expected(tree)),
  );
  // Holes are not stored.
  assert.ok(lstatSync(file).blocks * 512 < 45e6, String(lstatSync(file).blocks * 512));
});

test('our own reader agrees with what was given', async () => {
  await using dir = await TempDir.create(tmpdir(), 'ext4-');
  const [file, tree] = [join(dir.path, 'all.img'), everything()];
  await write(tree, file);
  const known = new Set(['file', 'dir', 'symlink']);
  const wanted = [...tree.entries]
    .filter(([path]) => path !== '/')
    .map(([path, e]) => [
      path,
      known.has(e.type) ? e.type : 'other',
      ...[
        e.mode,
        e.uid,
        e.gid,
        e.type === 'file' ? digest(e.data ?? Buffer.alloc(0)) : (e.link ?? ''),
      ],
    ])
    .sort(([a = ''], [b = '']) => (a < b ? -1 : 1));
  assert.deepEqual(read(file), wanted);
});

test('a file system grows, and can be written to where it is mounted', needsMount, async () => {
  await using dir = await TempDir.create(tmpdir(), 'ext4-');
  const file = join(dir.path, 'grown.img');
  const tree = new Tree({
    '/etc/name': { data: text('one\n') },
    '/gone': { data: noise(9000, 1) },
  });
  await write(tree, file, 200 * 1024 * 1024);
  execFileSync('truncate', ['-s', '600M', file]);
  execFileSync('resize2fs', ['-f', file], { stdio: 'ignore' });
  mounted(file, 'rw', (root) => {
    execFileSync('rm', [join(root, 'gone')]);
    for (let i = 0; i < 300; i++)
      writeFileSync(join(root, `etc/${i}-${'x'.repeat(100)}`), String(i));
    writeFileSync(join(root, 'large'), noise(8_000_000, 2));
  });
  assert.equal(check(file), 'clean');
  const seen = mounted(file, 'ro', (root) => [
    readdirSync(join(root, 'etc')).length,
    digest(readFileSync(join(root, 'large'))),
    readFileSync(join(root, 'etc/name'), 'utf8'),
  ]);
  assert.deepEqual(seen, [301, digest(noise(8_000_000, 2)), 'one\n']);
});

test('files go around the copies of the superblock', needsFsck, async () => {
  await using dir = await TempDir.create(tmpdir(), 'ext4-');
  const file = join(dir.path, 'wide.img');
  const data = noise(150_000_000, 11);
  await write(new Tree({ '/a': { data }, '/b': { data: noise(100_000, 12) } }), file);
  assert.equal(check(file), 'clean');
  const all = read(file).map((row) => row.at(-1));
  assert.deepEqual(all, [digest(data), digest(noise(100_000, 12))]);
});

test('the same tree gives the same bytes, whatever the size of the disk', needsFsck, async () => {
  await using dir = await TempDir.create(tmpdir(), 'ext4-');
  const [a, b] = [join(dir.path, 'a'), join(dir.path, 'b')];
  const MIB = 1024 * 1024;
  const seen: unknown[] = [];
  for (const mib of [8, 128, 129, 1000, 9000]) {
    const sizes = [
      await write(everything(), a, mib * MIB),
      await write(everything(), b, mib * MIB),
    ];
    const isSame = spawnSync('cmp', [a, b]).status === 0;
    seen.push([...sizes, isSame, mib === 8 ? '' : check(a)]);
  }
  const full = 'the files do not fit in 8388608 bytes';
  assert.deepEqual(seen, [
    [full, full, true, ''],
    ...[128, 129, 1000, 9000].map((mib) => [mib * MIB, mib * MIB, true, 'clean']),
  ]);
});

test('what has no place in the format is refused by name', async () => {
  await using dir = await TempDir.create(tmpdir(), 'ext4-');
  const file = join(dir.path, 'refused.img');
  const refused = [
    new Tree({ '/f': { xattrs: new Map([['btrfs.compression', text('zstd')]]) } }),
    new Tree({ '/f': { xattrs: new Map([['user.huge', noise(5000, 1)]]) } }),
    new Tree({ [`/${'n'.repeat(256)}`]: {} }),
    new Tree({ '/f': { xattrs: new Map([['system.posix_acl_access', text('none')]]) } }),
  ];
  const said: unknown[] = [];
  for (const tree of refused) said.push(await write(tree, file));
  assert.deepEqual(said, [
    '/f: an attribute btrfs.compression',
    '/f: attributes of more than a block',
    `/${'n'.repeat(256)}: a name of 256 bytes`,
    '/f: an access list that is none',
  ]);
});
