import assert from 'node:assert/strict';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ok } from '../../../src/base/index.ts';
import type { FileEntry } from '../../../src/cachekey/index.ts';
import { writeTreeLocal, writeTreeTar } from '../../../src/export/index.ts';
import { MemoryTree } from '../../rig/memory-tree.ts';
import { listLayer } from '../../rig/tar-listing.ts';

const { signal } = new AbortController();

/** A memory tree with times, and hard links between entries of equal content. */
class TimedTree extends MemoryTree {
  override lstat(path: string): FileEntry | undefined {
    const entry = super.lstat(path);
    if (entry === undefined) return undefined;
    const linked = path.startsWith('/d/same') ? { inode: '1:7' } : {};
    return { ...entry, ...linked, mtimeNs: path === '/old' ? 100n * SECOND : 5000n * SECOND };
  }
}

const SECOND = 1_000_000_000n;

const tree = (): TimedTree =>
  new TimedTree([
    { path: '/d', type: 'dir', mode: 0o500 },
    { path: '/d/same-a', type: 'file', content: 'equal', mode: 0o4755, uid: 7, gid: 8 },
    { path: '/d/same-b', type: 'hardlink', target: '/d/same-a' },
    { path: '/device', type: 'char', device: { major: 1, minor: 3 } },
    { path: '/link', type: 'symlink', target: '/etc/passwd' },
    { path: '/old', type: 'file', content: '' },
    { path: '/pipe', type: 'fifo' },
    { path: '/socket', type: 'socket' },
    {
      path: '/tagged',
      type: 'file',
      content: 'x',
      xattrs: new Map([['user.a', Buffer.from('b')]]),
    },
  ]);

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'varve-test-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

test('a tar of a tree has every entry but sockets, links to the first name, and times up to the epoch', async (t) => {
  const path = join(folder(t), 'out.tar');
  assert.deepEqual(
    await writeTreeTar([{ tree: tree() }], { kind: 'file', path }, { signal, epoch: 1000 }),
    ok(undefined),
  );
  const lines = listLayer(readFileSync(path)).map((e) =>
    [
      e.name,
      e.type,
      e.mode,
      `${e.uid}:${e.gid}`,
      e.mtime,
      e.linkname ?? e.dev?.join(',') ?? e.size ?? '',
      ...Object.entries(e.pax ?? {}).flat(),
    ].join(' '),
  );
  assert.deepEqual(lines, [
    'd/ dir 0500 0:0 1000 ',
    'd/same-a file 4755 7:8 1000 5',
    'd/same-b hardlink 4755 7:8 1000 d/same-a',
    'device char 0644 0:0 1000 1,3',
    'link symlink 0644 0:0 1000 /etc/passwd',
    'old file 0644 0:0 100 0',
    'pipe fifo 0644 0:0 1000 ',
    'tagged file 0644 0:0 1000 1 SCHILY.xattr.user.a b',
  ]);
});

test('trees of several platforms lie below a directory each', async (t) => {
  const dir = folder(t);
  const path = join(dir, 'out.tar');
  const small = (): MemoryTree => new MemoryTree([{ path: '/f', type: 'file', content: 'x' }]);
  const trees = [
    { tree: small(), prefix: 'linux_amd64' },
    { tree: small(), prefix: 'linux_arm64' },
  ];
  await writeTreeTar(trees, { kind: 'file', path }, { signal });
  assert.deepEqual(
    listLayer(readFileSync(path)).map((e) => e.name),
    ['linux_amd64/', 'linux_amd64/f', 'linux_arm64/', 'linux_arm64/f'],
  );
  await writeTreeLocal(trees, join(dir, 'out'), { signal });
  assert.deepEqual(readdirSync(join(dir, 'out'), { recursive: true }).sort(), [
    'linux_amd64',
    'linux_amd64/f',
    'linux_arm64',
    'linux_arm64/f',
  ]);
});

test('a directory receives files and links over what is there, follows no link, and keeps other files', async (t) => {
  const dir = folder(t);
  const [out, outside] = [join(dir, 'out'), join(dir, 'outside')];
  for (const path of [out, outside, join(out, 'old'), join(out, 'link')]) mkdirSync(path);
  writeFileSync(join(out, 'mine'), 'kept');
  writeFileSync(join(outside, 'same-a'), 'not to be touched');
  // What was to be a directory leads elsewhere.
  symlinkSync(outside, join(out, 'd'));
  const options = { signal, epoch: 1000 };
  assert.deepEqual(await writeTreeLocal([{ tree: tree() }], out, options), ok(undefined));
  // Once more: its own read-only directory is in the way.
  assert.deepEqual(await writeTreeLocal([{ tree: tree() }], out, options), ok(undefined));
  const lines = readdirSync(out, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const stat = lstatSync(join(out, name));
      if (stat.isSymbolicLink()) return `${name} -> ${readlinkSync(join(out, name))}`;
      if (name === 'mine') return name;
      const text = stat.isDirectory() ? 'dir' : readFileSync(join(out, name), 'utf8');
      return [name, (stat.mode & 0o7777).toString(8), stat.mtimeMs / 1000, text].join(' ');
    });
  assert.deepEqual(lines, [
    'd 500 1000 dir',
    'd/same-a 4755 1000 equal',
    'd/same-b 4755 1000 equal',
    'link -> /etc/passwd',
    'mine',
    'old 644 100 ',
    'tagged 644 1000 x',
  ]);
  assert.equal(readFileSync(join(outside, 'same-a'), 'utf8'), 'not to be touched');
  assert.deepEqual(readdirSync(outside), ['same-a']);
});

test('an output that cannot be written is a failure with its path', async (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'file'), '');
  const path = join(dir, 'file/out.tar');
  const tar = await writeTreeTar([{ tree: tree() }], { kind: 'file', path }, { signal });
  const local = await writeTreeLocal([{ tree: tree() }], join(dir, 'file'), { signal });
  assert.deepEqual(
    [tar, local].map((r) => (r.ok ? '' : `${r.error.code} ${r.error.exit} ${r.error.message}`)),
    [`EX001 3 writing ${path}: EEXIST`, `EX001 3 writing ${join(dir, 'file')}: EEXIST`],
  );
});
