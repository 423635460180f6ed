import assert from 'node:assert/strict';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { decodeMountIndex } from '../../../src/remotes/index.ts';

const HEX = 'ab'.repeat(32);
const ROOT = ['d', '', 0, 0, '0', 0o755];
const file = (path: unknown, more: readonly unknown[] = [0, 0, '0', 0o644, 10, 0]): unknown[] => [
  'f',
  path,
  ...more,
];

/** An index with one chunk of ten bytes; what is given takes the place of its members. */
const index = (change: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> => ({
  version: 1,
  generation: 0,
  packs: [[HEX, 100]],
  chunks: [[HEX, 10, 0, 0, 20]],
  small: [0],
  entries: [ROOT],
  ...change,
});
const entries = (...given: readonly unknown[]): Readonly<Record<string, unknown>> =>
  index({ entries: [ROOT, ...given] });

const HOSTILE: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'a path above the directory': entries(file('../x')),
  'an absolute path': entries(file('/etc/passwd')),
  'a path with a dot': entries(file('./x')),
  'a path with an empty part': entries(['d', 'a', 0, 0, '0', 0o755], file('a//x')),
  'a path with a NUL': entries(file('a\0b')),
  'a name that is too long': entries(file('x'.repeat(256))),
  'a path through a symbolic link': entries(['l', 'a', 0, 0, '0', '/etc'], file('a/passwd')),
  'a path through a file': entries(file('a'), file('a/b')),
  'a path whose directory is missing': entries(file('a/b')),
  'a directory behind what is in it': entries(file('a/b'), ['d', 'a', 0, 0, '0', 0o755]),
  'two entries of one name': entries(file('a'), file('a')),
  'a second root': entries(['d', '', 0, 0, '0', 0o755]),
  'no root': index({ entries: [file('a')] }),
  'a hard link to a symbolic link': entries(['l', 'a', 0, 0, '0', '/etc/shadow'], ['h', 'b', 'a']),
  'a hard link to what is outside': entries(['h', 'b', '/etc/shadow']),
  'a hard link to what comes later': entries(['h', 'b', 'a'], file('a')),
  'a device': entries(['c', 'null', 0, 0, '0', 0o666, 1, 3]),
  'an owner that is no number': entries(file('a', ['root', 0, '0', 0o644, 10, 0])),
  'the owner that means "unchanged"': entries(file('a', [2 ** 32 - 1, 0, '0', 0o644, 10, 0])),
  'a negative size': entries(file('a', [0, 0, '0', 0o644, -1, 0])),
  'a size of no chunk': entries(file('a', [0, 0, '0', 0o644, 11, 0])),
  'a size that is not that of the chunks': entries(file('a', [0, 0, '0', 0o644, 2 ** 40, [0]])),
  'a chunk that is not there': entries(file('a', [0, 0, '0', 0o644, 10, [1]])),
  'files of more bytes than any disk': index({
    entries: [
      ROOT,
      ...Array.from({ length: 9 }, (_, i) => file(`f${i}`, [0, 0, '0', 0, 2 ** 45, [0]])),
    ],
  }),
  'a chunk larger than chunks are': index({ chunks: [[HEX, 2 ** 30, 0, 0, 20]] }),
  'a chunk outside its pack': index({ chunks: [[HEX, 10, 0, 90, 20]] }),
  'a chunk of a pack that is not there': index({ chunks: [[HEX, 10, 7, 0, 20]] }),
  'a pack that is far too large': index({ packs: [[HEX, 2 ** 40]] }),
  'a digest that is a path': index({ packs: [['../../../etc/passwd', 100]] }),
  'a link target with a NUL': entries(['l', 'a', 0, 0, '0', 'x\0y']),
  'a time that is no number': entries(file('a', [0, 0, 'now', 0o644, 10, 0])),
  'another version': index({ version: 2 }),
  'no list of entries': index({ entries: {} }),
};

test('a hostile index is refused with a reason', async () => {
  const accepted: string[] = [];
  const wordless: string[] = [];
  for (const [what, json] of Object.entries(HOSTILE)) {
    const decoded = await decodeMountIndex(zstdCompressSync(JSON.stringify(json)));
    if (decoded.ok) accepted.push(what);
    else if (decoded.error.code !== 'RC020') wordless.push(`${what}: ${decoded.error.message}`);
  }
  assert.deepEqual([accepted, wordless], [[], []]);
});

test('what is no index at all, or a bomb, is refused', async () => {
  const codes: string[] = [];
  const bomb = zstdCompressSync(Buffer.alloc(300 << 20));
  for (const bytes of [Buffer.from('x'), zstdCompressSync('x'), zstdCompressSync('[]'), bomb]) {
    const decoded = await decodeMountIndex(bytes);
    codes.push(decoded.ok ? 'accepted' : decoded.error.code);
  }
  assert.deepEqual(codes, ['RC020', 'RC020', 'RC020', 'RC020']);
});

test('modes lose their set-user-ID bits, and nothing is written while an index is read', async () => {
  const decoded = await decodeMountIndex(
    zstdCompressSync(
      JSON.stringify(
        entries(['d', 'd', 0, 0, '0', 0o7777], file('d/f', [1, 2, '-5', 0o7777, 10, 0])),
      ),
    ),
  );
  assert.ok(decoded.ok);
  assert.deepEqual(decoded.value.entries.slice(1), [
    { type: 'dir', path: 'd', uid: 0, gid: 0, mtimeNs: 0n, mode: 0o3777 },
    { type: 'file', path: 'd/f', uid: 1, gid: 2, mtimeNs: -5n, mode: 0o1777, size: 10, data: 0 },
  ]);
});
