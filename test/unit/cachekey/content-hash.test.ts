import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '../../../src/base/index.ts';
import { contentDigest, contentHasher, entryHeader } from '../../../src/cachekey/index.ts';
import { MemoryTree } from '../../rig/memory-tree.ts';

const signal = new AbortController().signal;

test('the bytes hashed for a file name its mode, owner, size and type, and not its time', () => {
  const entry = { type: 'file', mode: 0o4755, uid: 1, gid: 2, size: 3, mtimeNs: 9n } as const;
  const xattrs = new Map([
    ['user.b', Buffer.from('2')],
    ['security.selinux', Buffer.from('no')],
    ['security.capability', Buffer.from('c')],
    ['user.a', Buffer.from('1')],
  ]);
  assert.equal(
    Buffer.from(entryHeader({ ...entry, xattrs })).toString(),
    'namemode2541uid1gid2size3typeflag0linknameunamegnamedevmajor0devminor0' +
      'security.capabilitycuser.a1user.b2',
  );
});

test('device numbers count in a context and not in a snapshot', () => {
  const device = { major: 1, minor: 3 };
  const entry = { mode: 0o600, uid: 0, gid: 0, size: 0, mtimeNs: 0n, xattrs: new Map() };
  const text = (devices: 'numbered' | 'unnumbered'): string =>
    Buffer.from(entryHeader({ ...entry, type: 'char', device }, devices))
      .toString()
      .slice(-20);
  assert.deepEqual(
    [text('numbered'), text('unnumbered')],
    ['devmajor1devminor3'.padStart(20, 'me'), 'devmajor0devminor0'.padStart(20, 'me')],
  );
});

test('a directory is the digest of its header and of its entries by name', async () => {
  const tree = new MemoryTree([
    { path: 'd', type: 'dir' },
    { path: 'd/b', type: 'file', content: 'b' },
    { path: 'd/a', type: 'file', content: 'a' },
  ]);
  const [header, a, b] = await Promise.all(
    ['/d', '/d/a', '/d/b'].map(async (p) => await tree.digest(p, signal)),
  );
  assert.deepEqual(await contentHasher(tree).checksum({ path: '/d' }, signal), {
    ok: true,
    value: sha256(`\0${header}\0a${a}\0b${b}`),
  });
});

test('a selector reads the data of the files it selects and of no other', async () => {
  const tree = new MemoryTree([
    { path: 'keep', type: 'dir' },
    { path: 'keep/a.txt', type: 'file', content: 'a' },
    { path: 'keep/b.md', type: 'file', content: 'b' },
    { path: 'other', type: 'file', content: 'o' },
  ]);
  await contentHasher(tree).checksum({ path: '/keep/*.txt', wildcard: true }, signal);
  assert.deepEqual(tree.asked, ['/keep/a.txt']);
});

test('a link cannot lead out of the tree and a loop is an error', async () => {
  const tree = new MemoryTree([
    { path: 'etc', type: 'dir' },
    { path: 'etc/passwd', type: 'file', content: 'inside' },
    { path: 'up', type: 'symlink', target: '../../../../etc/passwd' },
    { path: 'abs', type: 'symlink', target: '/etc' },
    { path: 'loop', type: 'symlink', target: 'loop' },
  ]);
  const hasher = contentHasher(tree);
  const ask = async (path: string): Promise<unknown> =>
    await hasher.checksum({ path, followLinks: true }, signal);
  const inside = { ok: true, value: await tree.digest('/etc/passwd', signal) };
  assert.deepEqual(
    [await ask('/up'), await ask('/abs/passwd'), await ask('/loop'), await ask('/none')],
    [
      inside,
      inside,
      { ok: false, error: 'too many links' },
      { ok: false, error: '"/none": not found' },
    ],
  );
});

test('the checksums of several selectors are joined with NUL', async () => {
  const tree = new MemoryTree([
    { path: 'a', type: 'file', content: 'a' },
    { path: 'b', type: 'file', content: 'b' },
  ]);
  const [a, b] = [await tree.digest('/a', signal), await tree.digest('/b', signal)];
  assert.deepEqual(await contentDigest([{ path: '/a' }, { path: '/b' }], tree, signal), {
    ok: true,
    value: sha256(`${a}\0${b}`),
  });
});

test('a cancelled checksum fails with the reason of its signal and leaves the hasher usable', async () => {
  const tree = new MemoryTree([{ path: 'd', type: 'dir' }]);
  const hasher = contentHasher(tree);
  const reason = new Error('stopped');
  await assert.rejects(hasher.checksum({ path: '/d' }, AbortSignal.abort(reason)), reason);
  assert.equal((await hasher.checksum({ path: '/d' }, signal)).ok, true);
});
