import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Digest, sha256 } from '../../../src/base/index.ts';
import { entryHeader, type FileEntry, type FileTree } from '../../../src/cachekey/index.ts';
import {
  decodeFileIndexes,
  encodeFileIndexes,
  IndexTree,
  inTarForm,
} from '../../../src/fileindex/index.ts';
import type { LayerEntry } from '../../../src/ports/index.ts';

const { signal } = new AbortController();
const SECOND = 1_000_000_000n;

function entry(type: FileEntry['type'], more: Partial<FileEntry> = {}): FileEntry {
  return {
    ...{ type, mode: type === 'dir' ? 0o755 : 0o644, uid: 0, gid: 0, size: 0 },
    ...{ mtimeNs: 5n * SECOND, xattrs: new Map() },
    ...more,
  };
}

const set = (path: string, type: FileEntry['type'], more: Partial<FileEntry> = {}): LayerEntry => ({
  path,
  kind: 'set',
  entry: entry(type, more),
});

const EVERYTHING: readonly LayerEntry[] = [
  set('/dev', 'dir'),
  set('/dev/null', 'char', { device: { major: 1, minor: 3 } }),
  set('/etc', 'dir', { mode: 0o1777, mtimeNs: -3n }),
  {
    path: '/etc/passwd',
    kind: 'set',
    entry: entry('file', { size: 2 }),
    data: Buffer.from('x\n'),
  },
  set('/etc/tool', 'file', {
    ...{ size: 7, inode: '0', uid: 1, gid: 2 },
    xattrs: new Map([['security.capability', Buffer.from([1, 2])]]),
  }),
  set('/etc/tool2', 'file', { size: 7, inode: '0' }),
  { path: '/gone', kind: 'gone' },
  set('/l\udcff', 'symlink', { link: '../\udcfe' }),
  { path: '/var', kind: 'set', entry: entry('dir'), opaque: true },
];

test('an index is read as it was written, names that are no UTF-8 included', () => {
  const diffId = sha256('a');
  const text = encodeFileIndexes([{ diffId, entries: EVERYTHING }]);
  assert.deepEqual(decodeFileIndexes(Buffer.from(text).toString('utf8')), {
    ok: true,
    value: new Map([[diffId, EVERYTHING]]),
  });
});

test('a layer made here is indexed as its tar will be', () => {
  const made = set('/a', 'file', {
    mtimeNs: 7n * SECOND + 5n,
    xattrs: new Map([
      ['user.note', Buffer.from('n')],
      ['security.capability', Buffer.from('c')],
    ]),
  });
  assert.deepEqual(
    [...inTarForm([made])],
    [
      set('/a', 'file', {
        mtimeNs: 7n * SECOND,
        xattrs: new Map([['security.capability', Buffer.from('c')]]),
      }),
    ],
  );
});

test('layers merge as overlayfs merges them', () => {
  const tree = new IndexTree(
    [
      [set('/a', 'dir'), set('/a/x', 'file'), set('/a/y', 'file'), set('/f', 'file')],
      [set('/a', 'dir', { mode: 0o700 }), { path: '/a/x', kind: 'gone' }, set('/f', 'dir')],
      [set('/b', 'dir'), set('/b/z', 'symlink', { link: '/a' })],
      [{ path: '/b', kind: 'set', entry: entry('dir'), opaque: true }, set('/b/w', 'file')],
    ],
    () => Promise.reject(new Error('nothing is read')),
  );
  assert.deepEqual(
    ['/', '/a', '/b', '/f', '/none'].map((path) => [path, tree.list(path)]),
    [
      ['/', ['a', 'b', 'f']],
      ['/a', ['y']],
      ['/b', ['w']],
      ['/f', []],
      ['/none', []],
    ],
  );
  assert.equal(tree.lstat('/a')?.mode, 0o700);
  assert.equal(tree.lstat('/a/x'), undefined);
});

test('data is asked of the lowest layers that have it, once, and carried data of none', async () => {
  const asked: number[] = [];
  const real: Pick<FileTree, 'digest' | 'read' | 'diskPath'> = {
    digest: () => Promise.resolve(sha256('real')),
    async *read() {
      yield await Promise.resolve(Buffer.from('data'));
    },
    diskPath: (path) => `/disk${path}`,
  };
  const low = set('/low', 'file', { size: 4 });
  const tree = new IndexTree([EVERYTHING, [low], [set('/top', 'file')]], (layers) => {
    asked.push(layers);
    // Only these are asked for.
    return Promise.resolve(real as FileTree);
  });
  const carried = sha256(
    Buffer.concat([entryHeader(entry('file', { size: 2 })), Buffer.from('x\n')]),
  );
  assert.equal(await tree.digest('/etc/passwd', signal), carried);
  assert.deepEqual([tree.diskPath('/low'), asked], [undefined, []]);
  assert.equal(await tree.digest('/low', signal), sha256('real'));
  const read: Uint8Array[] = [];
  for await (const part of tree.read('/low', signal)) read.push(part);
  assert.deepEqual(
    [Buffer.concat(read).toString(), tree.diskPath('/low'), tree.diskPath('/top'), asked],
    ['data', '/disk/low', undefined, [2]],
  );
});

test('what could lead out of a tree, or contradicts itself, is no index', () => {
  const diffID: Digest = sha256('a');
  const file = (path: string): readonly unknown[] => [path, 'f', 0o644, 0, 0, 1, 0];
  const cases: Readonly<Record<string, readonly unknown[]>> = {
    'a path that climbs': [file('/../x')],
    'a relative path': [file('x')],
    'an empty component': [['/a', 'd', 0o755, 0, 0, 0, 0], file('/a//x')],
    'the root': [file('/')],
    'a NUL': [file('/a\0b')],
    'no parent': [file('/a/b')],
    'a parent that is a file': [file('/a'), file('/a/b')],
    'a parent that is a link': [['/a', 'l', 0o777, 0, 0, 0, 0, { link: '/etc' }], file('/a/b')],
    'a path twice': [file('/a'), file('/a')],
    'an unknown type': [['/a', 's', 0, 0, 0, 0, 0]],
    'a mode with more bits': [['/a', 'f', 0o100644, 0, 0, 0, 0]],
    'a negative owner': [['/a', 'f', 0o644, -1, 0, 0, 0]],
    'data of another size': [['/a', 'f', 0o644, 0, 0, 1, 0, { data: '' }]],
    'a link without target': [['/a', 'l', 0o777, 0, 0, 0, 0]],
    'a device without numbers': [['/a', 'c', 0o600, 0, 0, 0, 0]],
    'a time that is none': [['/a', 'f', 0o644, 0, 0, 0, 'now']],
    'no list': [{}],
  };
  const taken = Object.entries(cases)
    .filter(([, entries]) => {
      const text = JSON.stringify({ version: 1, layers: [{ diffID, entries }] });
      return decodeFileIndexes(text).ok;
    })
    .map(([name]) => name);
  assert.deepEqual(taken, []);
  const overlay = { xattrs: { 'trusted.overlay.opaque': 'eQ==' } };
  const row = ['/a', 'd', 0o755, 0, 0, 0, 0, overlay];
  const text = JSON.stringify({ version: 1, layers: [{ diffID, entries: [row] }] });
  assert.deepEqual(decodeFileIndexes(text), {
    ok: true,
    value: new Map([[diffID, [set('/a', 'dir', { mtimeNs: 0n })]]]),
  });
  assert.equal(decodeFileIndexes('{"version":2,"layers":[]}').ok, false);
});
