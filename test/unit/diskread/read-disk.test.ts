import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sha256 } from '../../../src/base/index.ts';
import { findFs, partOf, readDisk, readPartitions } from '../../../src/diskread/index.ts';
import { note } from '../../rig/golden.ts';

const PROGRAMS = [
  '/usr/sbin/mke2fs',
  '/usr/sbin/mkfs.vfat',
  '/usr/bin/mcopy',
  '/usr/sbin/sfdisk',
  '/usr/bin/qemu-img',
];
const missing = PROGRAMS.find((p) => !existsSync(p));
const skip = { skip: missing === undefined ? false : `not installed: ${missing}` };
const MIB = 1024 * 1024;
let dir = '';
let tree = '';

before(() => {
  dir = mkdtempSync(join(tmpdir(), 'varve-diskread-'));
  tree = join(dir, 'tree');
  mkdirSync(join(tree, 'many/deep/deeper'), { recursive: true });
  // More names than a block of a directory holds.
  for (let i = 0; i < 300; i++)
    writeFileSync(join(tree, `many/a-name-of-some-length-${i}`), `file ${i}\n`);
  writeFileSync(join(tree, 'many/deep/deeper/empty'), '');
  const big = Buffer.alloc(3 * MIB);
  for (let i = 0; i < big.length; i++) big[i] = (i * 2_654_435_761) >>> 24;
  big.fill(0, MIB, 2 * MIB);
  writeFileSync(join(tree, 'big with a hole.bin'), big);
  chmodSync(join(tree, 'big with a hole.bin'), 0o4755);
  symlinkSync('many/deep', join(tree, 'short'));
  symlinkSync(`many/${'x'.repeat(120)}`, join(tree, 'long'));
  if (missing === undefined) makeDisk();
});
after(() => rmSync(dir, { recursive: true, force: true }));

function makeDisk(): void {
  const at = (name: string): string => join(dir, name);
  const run = (program: string, ...args: readonly string[]): void =>
    void execFileSync(program, args, { stdio: ['pipe', 'ignore', 'ignore'] });
  const uuid = '11111111-2222-8333-8444-555555555555';
  run('mke2fs', '-q', '-F', '-t', 'ext4', '-L', 'root', '-U', uuid, '-d', tree, at('ext4'), '16M');
  writeFileSync(at('fat'), '');
  truncateSync(at('fat'), 8 * MIB);
  run('mkfs.vfat', '--invariant', '-i', '1234ABCD', '-n', 'ESP', at('fat'));
  run('mmd', '-i', at('fat'), '::/EFI', '::/EFI/BOOT');
  run('mcopy', '-i', at('fat'), join(tree, 'big with a hole.bin'), '::/EFI/BOOT/');
  run('mcopy', '-i', at('fat'), join(tree, 'many/a-name-of-some-length-7'), '::/SHORT.TXT');
  writeFileSync(at('disk'), '');
  truncateSync(at('disk'), 32 * MIB);
  execFileSync('sfdisk', ['-q', at('disk')], {
    input: `label: gpt\nlabel-id: ${uuid}\n1 : start=2048, size=16384, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=${uuid}, name="boot"\n2 : start=20480, size=32768, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, uuid=${uuid.replace('1', '2')}, name="rootfs"\n`,
  });
  run('dd', `if=${at('fat')}`, `of=${at('disk')}`, 'bs=1M', 'seek=1', 'conv=notrunc');
  run('dd', `if=${at('ext4')}`, `of=${at('disk')}`, 'bs=1M', 'seek=10', 'conv=notrunc');
  run('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', at('disk'), at('disk.qcow2'));
  run('qemu-img', 'convert', '-c', '-f', 'raw', '-O', 'qcow2', at('disk'), at('packed.qcow2'));
  run(
    'qemu-img',
    'convert',
    '-f',
    'raw',
    '-O',
    'vpc',
    '-o',
    'subformat=fixed,force_size=on',
    at('disk'),
    at('disk.vhd'),
  );
  run('qemu-img', 'convert', '-f', 'raw', '-O', 'vmdk', at('disk'), at('disk.vmdk'));
}

/** Every name of every file system, with what is in it. */
const listing = (path: string) =>
  readDisk(path, ({ bytes }) =>
    readPartitions(bytes)?.partitions.map(({ index, name, uuid, start, size }) => {
      const fs = findFs(partOf(bytes, start, size));
      const entries = [...(fs?.volume?.entries() ?? [])].map((e) => [
        ...[e.path, e.type, e.mode?.toString(8)],
        e.type === 'file' ? sha256(e.read()) : e.link,
      ]);
      return { index, name, uuid, start, size, fs: [fs?.kind, fs?.label, fs?.uuid], entries };
    }),
  );

test('what tools put on a disk is read back, in each format', skip, () => {
  const file = (name: string): string => sha256(readFileSync(join(tree, name)));
  const big = file('big with a hole.bin');
  const mode = (name: string): string => (statSync(join(tree, name)).mode & 0o7777).toString(8);
  const many = Array.from({ length: 300 }, (_, i) => `a-name-of-some-length-${i}`).sort();
  const expected = [
    {
      ...{ index: 1, name: 'boot', uuid: '11111111-2222-8333-8444-555555555555' },
      ...{ start: MIB, size: 8 * MIB, fs: ['fat', 'ESP', '1234-ABCD'] },
      entries: [
        ['/EFI', 'dir', undefined, undefined],
        ['/EFI/BOOT', 'dir', undefined, undefined],
        ['/EFI/BOOT/big with a hole.bin', 'file', undefined, big],
        ['/SHORT.TXT', 'file', undefined, file('many/a-name-of-some-length-7')],
      ],
    },
    {
      ...{ index: 2, name: 'rootfs', uuid: '21111111-2222-8333-8444-555555555555' },
      ...{ start: 10 * MIB, size: 16 * MIB },
      fs: ['ext4', 'root', '11111111-2222-8333-8444-555555555555'],
      entries: [
        ['/big with a hole.bin', 'file', '4755', big],
        ['/long', 'symlink', '777', `many/${'x'.repeat(120)}`],
        ['/lost+found', 'dir', '700', undefined],
        ['/many', 'dir', mode('many'), undefined],
        ...many.map((name) => [
          `/many/${name}`,
          'file',
          mode(`many/${name}`),
          file(`many/${name}`),
        ]),
        ['/many/deep', 'dir', mode('many/deep'), undefined],
        ['/many/deep/deeper', 'dir', mode('many/deep/deeper'), undefined],
        [
          '/many/deep/deeper/empty',
          'file',
          mode('many/deep/deeper/empty'),
          file('many/deep/deeper/empty'),
        ],
        ['/short', 'symlink', '777', 'many/deep'],
      ],
    },
  ];
  for (const name of ['disk', 'disk.qcow2', 'packed.qcow2', 'disk.vhd'])
    assert.deepEqual(listing(join(dir, name)), { ok: true, value: expected }, name);
});

test('a disk that cannot be read is said to be one, and why', skip, () => {
  const said = (name: string): unknown => {
    const read = listing(join(dir, name));
    return read.ok ? read : [read.error.code, read.error.message.replaceAll(dir, '')];
  };
  const gpt = readFileSync(join(dir, 'disk'));
  gpt[536] = 9;
  writeFileSync(join(dir, 'bad-gpt'), gpt);
  writeFileSync(join(dir, 'short'), readFileSync(join(dir, 'disk')).subarray(0, 12 * MIB));
  assert.deepEqual(['none', 'disk.vmdk', 'bad-gpt', 'short'].map(said), [
    ['TP012', '/none cannot be read: ENOENT'],
    ['TP012', '/disk.vmdk cannot be read as a disk: it is a VMDK file'],
    [
      'TP012',
      '/bad-gpt cannot be read as a disk: the header of its GPT does not have its checksum',
    ],
    [
      'TP012',
      `/short cannot be read as a disk: a part from ${10 * MIB} to ${26 * MIB} is behind the end, ${12 * MIB}`,
    ],
  ]);
});

test('damaged structures end in an answer, never in another failure', skip, () => {
  let seed = 42;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) & 0x7fff_ffff;
    return seed % below;
  };
  const counts = { read: 0, refused: 0 };
  for (let i = 0; i < 60; i++) {
    // Where the structures are: tables and superblocks, then inodes and directories.
    const path = join(dir, i % 3 === 0 ? 'packed.qcow2' : 'disk');
    const [from, length] =
      i % 3 === 0 ? [0, 300_000] : i % 3 === 1 ? [MIB, 40_000] : [10 * MIB, 400_000];
    const fd = openSync(path, 'r+');
    const before = Buffer.alloc(length);
    readSync(fd, before, 0, length, from);
    const damaged = Buffer.from(before);
    for (let n = 0; n < length / 500; n++) damaged[random(length)] = random(256);
    writeSync(fd, damaged, 0, length, from);
    const read = listing(path);
    writeSync(fd, before, 0, length, from);
    closeSync(fd);
    counts[read.ok ? 'read' : 'refused']++;
    if (!read.ok) assert.equal(read.error.code, 'TP012');
  }
  note(`diskread: 60 damaged disks, ${counts.refused} refused, ${counts.read} read`);
});
