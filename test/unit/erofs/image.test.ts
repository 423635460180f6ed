import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { TempDir } from '../../../src/base/index.ts';
import { type ErofsNode, type ErofsTree, writeErofs } from '../../../src/erofs/index.ts';

interface Given extends Partial<ErofsNode> {
  readonly name: string;
  readonly parent?: number;
  readonly group?: number;
}

function treeOf(rows: readonly Given[], devices: readonly number[]): ErofsTree {
  const at = (row: number): Given => rows[row] ?? { name: '' };
  return {
    rows: rows.length,
    devices,
    type: (row) => at(row).type ?? 'file',
    parent: (row) => at(row).parent ?? 0,
    name: (row) => Buffer.from(at(row).name),
    group: (row) => at(row).group ?? 0,
    node: (row) => ({
      type: 'file',
      mode: 0o644,
      uid: 3,
      gid: 70_000,
      mtimeNs: 1_234_567_890_000_000_009n,
      xattrs: new Map(),
      size: 0,
      device: 0,
      offset: 0,
      ...at(row),
    }),
  };
}

const uuid = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
const dir = { type: 'dir', mode: 0o755 } as const;
const image = (
  rows: readonly Given[],
  devices: readonly number[],
  blockBits = 9,
): Buffer | undefined => {
  const bytes = writeErofs(treeOf(rows, devices), { blockBits, uuid });
  return bytes === undefined ? undefined : Buffer.from(bytes);
};

test('the image of one file has the bytes that the format describes', () => {
  const bytes = image(
    [
      { ...dir, name: '' },
      { name: 'f', size: 5, offset: 512 },
    ],
    [1024],
  );
  assert.ok(bytes);
  const hex = (from: number, length: number): string =>
    bytes.subarray(from, from + length).toString('hex');
  const found = {
    length: bytes.length,
    magic: hex(1024, 4),
    blockBits: hex(1036, 1),
    root: hex(1038, 2),
    inodes: hex(1040, 8),
    blocks: hex(1060, 4),
    meta: hex(1064, 4),
    uuid: hex(1072, 16),
    features: hex(1104, 4),
    devices: hex(1110, 4),
    device: hex(1152 + 64, 8),
    // Root: format, attributes, mode, size, place, number, owner, time, links.
    rootInode: hex(1536 + 64, 48),
    dirents: hex(1536 + 128, 40),
    file: hex(1536 + 192, 48),
  };
  assert.deepEqual(found, {
    length: 2048,
    magic: 'e2e1f5e0',
    blockBits: '09',
    root: '0200',
    inodes: '0200000000000000',
    blocks: '04000000',
    meta: '03000000',
    uuid: uuid.toString('hex'),
    features: '08000000',
    devices: '01000900',
    device: '0200000004000000',
    rootInode:
      '05000000ed4100002800000000000000' +
      '00000000010000000300000070110100' +
      'd202964900000000' +
      '0900000002000000',
    dirents:
      '0200000000000000' +
      '240002' +
      '00' +
      '0200000000000000' +
      '250002' +
      '00' +
      '0600000000000000' +
      '270001' +
      '00' +
      '2e2e2e66',
    file:
      '01000000a48100000500000000000000' +
      '05000000020000000300000070110100' +
      'd202964900000000' +
      '0900000001000000',
  });
});

test('what the format has no place for gives no image', () => {
  const root: Given = { ...dir, name: '' };
  const withXattr = (name: string, length: number): Given => ({
    name: 'f',
    xattrs: new Map([[name, Buffer.alloc(length)]]),
  });
  const cases: readonly (readonly [string, Given, number])[] = [
    ['data in the middle of a block', { name: 'f', size: 1, offset: 100 }, 512],
    ['an attribute of another kind', withXattr('system.posix_acl_access', 4), 0],
    ['a value that is too long', withXattr('user.a', 65_536), 0],
    ['a name without an end', withXattr('user.', 1), 0],
    ['more blocks than can be counted', { name: 'f' }, 2 ** 42],
    ['nothing out of order', withXattr('user.a', 100), 512],
  ];
  assert.deepEqual(
    cases.map(([what, given, device]) => [what, image([root, given], [device]) !== undefined]),
    cases.map(([what]) => [what, what === 'nothing out of order']),
  );
});

const tools = existsSync('/usr/bin/fsck.erofs') ? {} : { skip: 'needs erofs-utils' };

test(
  'fsck.erofs finds no fault in a tree of every kind of inode, and dump.erofs what was put in',
  tools,
  async () => {
    await using tmp = await TempDir.create(tmpdir(), 'varve-erofs-');
    const block = 4096;
    const data = Buffer.alloc(3 * block, 'x');
    const rows: Given[] = [
      { ...dir, name: '' },
      { name: '+before-dots', size: 9, group: 1 },
      { name: 'b', type: 'block', rdev: { major: 8, minor: 300 } },
      { name: 'c', type: 'char', rdev: { major: 0, minor: 0 }, mode: 0 },
      { ...dir, name: 'd', xattrs: new Map([['trusted.overlay.opaque', Buffer.from('y')]]) },
      { name: 'empty', parent: 4 },
      { name: `n${'9'.repeat(254)}`, parent: 4, size: block + 1, offset: block },
      { name: 'p', type: 'fifo' },
      { name: 's', type: 'symlink', link: 'target' },
      { name: 'sl', type: 'symlink', link: 'x'.repeat(4000) },
      { name: 'z', size: 9, group: 1 },
      { ...dir, name: 'zz' },
      ...Array.from({ length: 500 }, (_, i) => ({ name: `f${1000 + i}`, parent: 11, size: 4 })),
    ];
    const [file, device] = [join(tmp.path, 'image'), join(tmp.path, 'data')];
    writeFileSync(file, image(rows, [data.length], 12) ?? '');
    writeFileSync(device, data);
    const fsck = spawnSync('fsck.erofs', [`--device=${device}`, file], { encoding: 'utf8' });
    assert.deepEqual([fsck.status, fsck.stderr.includes('<E>')], [0, false], fsck.stderr);
    const dump = (path: string): string =>
      execFileSync('dump.erofs', [`--device=${device}`, `--path=${path}`, file], {
        encoding: 'utf8',
      })
        .split('\n')
        .filter((line) => /^(Size|NID|Uid|Access)/.test(line))
        .join('; ')
        .replace(/\s+/g, ' ');
    assert.match(dump('/+before-dots'), /Size: 9 .*Links: 2 .*Access: 0644\/rw-r--r-- ?/);
    assert.equal(
      createHash('sha1').update(dump('/+before-dots')).digest('hex'),
      createHash('sha1').update(dump('/z')).digest('hex'),
    );
  },
);
