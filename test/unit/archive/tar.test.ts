import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { TAR_END, TarReader, tarHeader } from '../../../src/archive/index.ts';
import { TempDir } from '../../../src/base/index.ts';
import { chunked, digestOf, type Member, membersOf, tarOf } from '../../conformance/tar-rig.ts';
import { goldenJson, needsGolden, note } from '../../rig/golden.ts';

interface GoldenMember {
  readonly name: string;
  readonly type: 'file' | 'dir';
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly sha256?: string;
  readonly mtime: number;
}

for (const name of ['10-source-date-epoch', '13-scratch-reproducible']) {
  test(`equal entries give the diffIDs BuildKit computed in case ${name}`, needsGolden, () => {
    const layers = goldenJson<Record<string, GoldenMember[]>>(`cachekeys/${name}/layers.json`);
    const image = goldenJson<{ layers: { diffID: string }[] }>(`cachekeys/${name}/image.json`);
    const source = goldenJson<{ entries: { content?: string }[] }>(`cachekeys/${name}/case.json`);
    const texts = ['', 'final\n', ...source.entries.map((e) => e.content ?? '')];
    const bySum = new Map(texts.map((text) => [digestOf(Buffer.from(text)).slice(7), text]));
    const differences: string[] = [];
    for (const [index, members] of Object.entries(layers)) {
      const bytes = tarOf(
        members.map((m) => ({
          ...{ name: m.name, type: m.type, uid: m.uid, gid: m.gid },
          mode: Number.parseInt(m.mode, 8),
          mtimeNs: BigInt(m.mtime) * 1_000_000_000n,
          data: bySum.get(m.sha256 ?? '') ?? '',
        })),
      );
      const expected = image.layers[Number(index)]?.diffID;
      if (digestOf(bytes) !== expected)
        differences.push(`layer ${index}: ${digestOf(bytes)} != ${expected}`);
    }
    const count = Object.keys(layers).length;
    note(`${count - differences.length} of ${count} layer digests of case ${name} equal`);
    assert.deepEqual(differences, []);
  });
}

test('a short ASCII entry is one ustar block with these bytes', () => {
  const block = tarHeader({
    ...{ name: 'd/f', type: 'file', mode: 0o644, uid: 0, gid: 10, size: 5 },
    ...{ mtimeNs: 1_700_000_000_000_000_000n, xattrs: new Map() },
  });
  assert.equal(
    Buffer.from(block).toString('latin1').replaceAll('\0', '.').replace(/\.+$/, ''),
    `d/f${'.'.repeat(97)}0000644.0000000.0000012.00000000005.14524770400.007640. 0${'.'.repeat(100)}` +
      `ustar.00${'.'.repeat(64)}0000000.0000000`,
  );
  assert.equal(block.length, 512);
});

test('what ustar cannot say stands in a PAX header sorted by key, the rest in the ustar block', () => {
  const header = Buffer.from(
    tarHeader({
      ...{ name: 'é', type: 'file', mode: 0o644, uid: 3_000_000, gid: 0, size: 0 },
      ...{ mtimeNs: 1_500_000_000n, xattrs: new Map([['user.k', Buffer.from('v')]]) },
    }),
  );
  assert.equal(header.length, 3 * 512);
  assert.equal(
    header.subarray(512, 1024).toString().replace(/\0+$/, ''),
    '25 SCHILY.xattr.user.k=v\n13 mtime=1.5\n11 path=é\n15 uid=3000000\n',
  );
  assert.equal(header.subarray(0, 20).toString().replace(/\0+$/, ''), 'PaxHeaders.0');
});

test('names that ustar can split into prefix and name need no PAX header', () => {
  const name = `${'p'.repeat(90)}/${'n'.repeat(90)}`;
  assert.equal(tarHeader(plain(name)).length, 512);
  assert.equal(tarHeader(plain('p'.repeat(101))).length, 3 * 512);
});

test('GNU tar reads what is written here', async () => {
  await using dir = await TempDir.create(tmpdir(), 'varve-tar-');
  writeFileSync(join(dir.path, 'x.tar'), tarOf([...SAMPLE, { name: 'fifo', type: 'fifo' }]));
  const listing = execFileSync(
    'tar',
    ['--numeric-owner', '-tvf', 'x.tar', '--utc', '--full-time'],
    {
      cwd: dir.path,
      env: { ...process.env, LC_ALL: 'C.UTF-8' },
    },
  );
  assert.deepEqual(listing.toString().replaceAll(/ +/g, ' ').trim().split('\n'), [
    'drwxr-xr-x 0/0 0 1970-01-01 00:00:01 d/',
    '-rwsr-xr-x 3000000/5 4 1970-01-01 00:00:01 d/f',
    'hrw-r--r-- 0/0 0 1970-01-01 00:00:01 hard link to d/f',
    `lrwxrwxrwx 0/0 0 1970-01-01 00:00:01 sym -> ${'t'.repeat(150)}`,
    `-rw-r--r-- 0/0 2 2001-09-09 01:46:40.5 ${'n'.repeat(255)}`,
    'prw-r--r-- 0/0 0 1970-01-01 00:00:01 fifo',
  ]);
});

for (const format of ['v7', 'ustar', 'gnu', 'oldgnu', 'posix']) {
  test(`archives of GNU tar in the format ${format} are read`, async () => {
    await using dir = await TempDir.create(tmpdir(), 'varve-tar-');
    const long = format === 'v7' ? 'short' : `${'d'.repeat(90)}/${'f'.repeat(60)}`;
    mkdirSync(join(dir.path, 'in', long, '..'), { recursive: true });
    writeFileSync(join(dir.path, 'in', long), 'text');
    symlinkSync('target', join(dir.path, 'in/zlink'));
    const owner = format === 'v7' || format === 'ustar' ? '7:8' : '3000000:8';
    const bytes = execFileSync(
      'tar',
      [
        `--format=${format}`,
        '--mtime=@1700000000',
        `--owner=:${owner.split(':')[0]}`,
        '--group=:8',
        '--sort=name',
        '--mode=0600',
        '-c',
        `in/${long}`,
        'in/zlink',
      ],
      { cwd: dir.path },
    );
    const members = await membersOf(bytes, 100);
    assert.deepEqual(
      members.map((m) => [m.type, m.name, m.uid, m.gid, m.mtimeNs, m.data, m.link]),
      [
        [
          'file',
          `in/${long}`,
          Number(owner.split(':')[0]),
          8,
          1_700_000_000_000_000_000n,
          'text',
          undefined,
        ],
        [
          'symlink',
          'in/zlink',
          Number(owner.split(':')[0]),
          8,
          1_700_000_000_000_000_000n,
          undefined,
          'target',
        ],
      ],
    );
  });
}

test('entries come back as they were written, in chunks of any size', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          name: fc
            .string({ minLength: 1, maxLength: 300, unit: 'binary' })
            .filter((n) => !/[\0]|\/$/.test(n)),
          uid: fc.nat(4_000_000_000),
          gid: fc.nat(4_000_000_000),
          mode: fc.nat(0o7777),
          mtimeNs: fc.bigInt(-(10n ** 18n), 10n ** 19n),
          data: fc.string({ maxLength: 2000 }),
          xattrs: fc
            .array(
              fc.tuple(fc.stringMatching(/^user\.[a-z]{1,9}$/), fc.uint8Array({ maxLength: 50 })),
              { maxLength: 3 },
            )
            .map(
              (pairs) =>
                new Map(
                  pairs
                    .sort(([a], [b]) => (a < b ? -1 : 1))
                    .map(([k, v]) => [k, new Uint8Array(v)]),
                ),
            ),
        }),
        { maxLength: 5 },
      ),
      fc.integer({ min: 1, max: 3000 }),
      async (members, chunk) => {
        const read = await membersOf(tarOf(members), chunk);
        assert.deepEqual(
          read.map((m) => ({ ...m, data: m.data ?? '' })),
          members.map((m) => ({ ...m, type: 'file', size: Buffer.byteLength(m.data) })),
        );
      },
    ),
    { numRuns: 60 },
  );
});

test('a flipped byte anywhere in a header is noticed', async () => {
  const bytes = tarOf([{ name: 'f', data: 'x' }]);
  const messages = new Set<string>();
  // The last byte of the checksum field stands behind its NUL and says nothing.
  for (let at = 0; at < 512; at += at === 154 ? 2 : 1) {
    const bad = Buffer.from(bytes);
    bad[at] = (bad[at] ?? 0) ^ 0x11;
    const result = await new TarReader(chunked(bad)).next();
    messages.add(result.ok ? `byte ${at} accepted` : result.error.message);
  }
  assert.deepEqual([...messages], ['tar archive, at byte 512: the header checksum is wrong']);
});

const HOSTILE: readonly (readonly [what: string, bytes: Buffer, message: string])[] = [
  [
    'that ends in a header',
    tarOf(sample()).subarray(0, 300),
    'at byte 300: the archive ends inside a header',
  ],
  [
    'that ends in its data',
    tarOf(sample()).subarray(0, 600),
    'at or behind "f": the archive ends inside its data',
  ],
  [
    'with an extended header of a gigabyte',
    special('x', 2 ** 30),
    'at byte 512: an extended header is larger than 1 MiB',
  ],
  [
    'with a record of a wrong length',
    special('x', 512, '99 path=x\n'),
    'at byte 1024: a record of the extended header has a wrong length',
  ],
  [
    'with a negative size',
    special('0', 0, '', [124, '-0000000001']),
    'at byte 512: the field size holds no number',
  ],
  [
    'with a sparse member',
    special('S', 0),
    'at or behind "s": it is a sparse file, which is not supported in archives',
  ],
  ['with an unknown type', special('Q', 0), 'at or behind "s": its type "Q" is not known'],
];
for (const [what, bytes, message] of HOSTILE) {
  test(`an archive ${what} is a failure that says so`, async () => {
    const reader = new TarReader(chunked(bytes));
    let result = await reader.next();
    while (result.ok && result.value !== undefined) result = await reader.next();
    assert.equal(result.ok ? 'accepted' : result.error.message, `tar archive, ${message}`);
  });
}

test('no archive of random bytes makes the reader throw', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), fc.nat(600), async (noise, at) => {
      const bytes = tarOf(SAMPLE);
      bytes.set(noise.subarray(0, Math.max(0, bytes.length - at)), at);
      const reader = new TarReader(chunked(bytes));
      let result = await reader.next();
      for (let i = 0; i < 100 && result.ok && result.value !== undefined; i++)
        result = await reader.next();
      assert.equal(typeof result.ok, 'boolean');
    }),
    { numRuns: 100 },
  );
});

const SAMPLE: readonly Member[] = [
  { name: 'd/' },
  { name: 'd/f', data: 'data', uid: 3_000_000, gid: 5, mode: 0o4755 },
  { name: 'hard', type: 'hardlink', link: 'd/f' },
  { name: 'sym', type: 'symlink', link: 't'.repeat(150) },
  { name: 'n'.repeat(255), data: 'ns', mtimeNs: 1_000_000_000_500_000_000n },
];

function sample(): readonly Member[] {
  return [{ name: 'f', data: 'x'.repeat(1000) }];
}

function plain(name: string): Parameters<typeof tarHeader>[0] {
  return { name, type: 'file', mode: 0, uid: 0, gid: 0, size: 0, mtimeNs: 0n, xattrs: new Map() };
}

/** A header block of any type and declared size, with a correct checksum. */
function special(
  flag: string,
  size: number,
  body = '',
  patch?: readonly [at: number, text: string],
): Buffer {
  const block = Buffer.from(tarHeader({ ...plain('s'), size }));
  block.write(flag, 156);
  if (patch !== undefined) block.write(patch[1], patch[0]);
  block.fill(' ', 148, 156);
  const sum = block.reduce((a, b) => a + b, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([block, Buffer.from(body.padEnd(512, '\0')), TAR_END]);
}
