import { TAR_END, type TarEntry, tarHeader, tarPadding } from '../../src/archive/index.ts';
import { type Member, tarOf } from '../conformance/tar-rig.ts';

/** An archive that means harm, named after the danger. */
export interface HostileTar {
  readonly danger: string;
  readonly bytes: Uint8Array;
  /** No importer of file trees may take it; others may be tamed (`/etc/x` becomes a file below the root). */
  readonly refusedByAll?: true;
}

const x = (name: string, value: string | Uint8Array): Pick<TarEntry, 'xattrs'> => ({
  xattrs: new Map([[name, Buffer.from(value)]]),
});
const link = (name: string, to: string): Member => ({ name, type: 'symlink', link: to });
const hard = (name: string, to: string): Member => ({ name, type: 'hardlink', link: to });

/** Archives of well-formed members; `OUT` stands for an absolute directory outside every root. */
const MEMBERS: readonly (readonly [danger: string, members: readonly Member[]])[] = [
  ['a name with ..', [{ name: '../../OUTSIDE', data: 'x' }]],
  ['a name with .. in the middle', [{ name: 'a/../../../OUTSIDE', data: 'x' }]],
  ['an absolute name', [{ name: 'OUT/OUTSIDE', data: 'x' }]],
  ['a name of .. alone', [{ name: '..', type: 'dir', mode: 0o777 }]],
  ['the root as a file', [{ name: './', type: 'file', data: 'x' }]],
  ['the root as a symbolic link', [link('.', 'OUT')]],
  ['a file through an absolute link', [link('d', 'OUT'), { name: 'd/OUTSIDE', data: 'x' }]],
  [
    'a file through a climbing link',
    [link('d', '../../../../../..OUT'), { name: 'd/OUTSIDE', data: 'x' }],
  ],
  [
    'a file through two links',
    [link('a', '..'), link('b', 'a/..OUT'), { name: 'b/OUTSIDE', data: 'x' }],
  ],
  ['a file over a link of its name', [link('f', 'OUT/secret'), { name: 'f', data: 'overwritten' }]],
  [
    'a directory over a link of its name',
    [link('d', 'OUT'), { name: 'd/', mode: 0o777, uid: 7 }, { name: 'd/OUTSIDE', data: 'x' }],
  ],
  ['a link through /proc', [link('d', '/proc/self/cwd'), { name: 'd/OUTSIDE', data: 'x' }]],
  ['a hard link with ..', [hard('h', '../../../../../../..OUT/secret')]],
  ['a hard link to an absolute path', [hard('h', 'OUT/secret')]],
  ['a hard link through a link', [link('d', 'OUT'), hard('h', 'd/secret')]],
  [
    'a hard link to a link, then a file over it',
    [link('l', 'OUT/secret'), hard('h', 'l'), { name: 'h', data: 'overwritten' }],
  ],
  ['a hard link to a directory', [{ name: 'd/' }, hard('h', 'd')]],
  ['a hard link to itself', [hard('h', 'h')]],
  ['hard links in a circle', [hard('a', 'b'), hard('b', 'a')]],
  ['a hard link to nothing', [hard('h', '')]],
  ['a whiteout of ..', [{ name: 'd/' }, { name: 'd/.wh...' }]],
  ['a whiteout of nothing', [{ name: '.wh.' }]],
  ['a whiteout through a link', [link('d', 'OUT'), { name: 'd/.wh.secret' }]],
  ['an opaque mark through a link', [link('d', 'OUT'), { name: 'd/.wh..wh..opq' }]],
  ['an opaque mark at the root', [{ name: '.wh..wh..opq' }]],
  [
    'a whiteout of the aufs directory',
    [{ name: '.wh..wh.plnk/' }, { name: '.wh..wh.plnk/x', data: 'x' }],
  ],
  ['a whiteout that is a directory', [{ name: '.wh.d/' }, { name: '.wh.d/x', data: 'x' }]],
  ['a character device 0:0', [{ name: 'w', type: 'char', device: { major: 0, minor: 0 } }]],
  [
    'a device of memory',
    [{ name: 'mem', type: 'char', device: { major: 1, minor: 1 }, mode: 0o666 }],
  ],
  [
    'a device of a disk',
    [{ name: 'sda', type: 'block', device: { major: 8, minor: 0 }, mode: 0o666 }],
  ],
  [
    'a pipe, then a file of its name',
    [
      { name: 'p', type: 'fifo' },
      { name: 'p', data: 'x' },
    ],
  ],
  ['an opaque attribute', [{ name: 'd/', ...x('trusted.overlay.opaque', 'y') }]],
  ['an opaque attribute of users', [{ name: 'd/', ...x('user.overlay.opaque', 'y') }]],
  ['a redirect attribute', [{ name: 'd/', ...x('trusted.overlay.redirect', '/etc') }]],
  ['a redirect attribute of users', [{ name: 'd/', ...x('user.overlay.redirect', '/etc') }]],
  ['a metacopy attribute', [{ name: 'f', data: 'x', ...x('trusted.overlay.metacopy', '') }]],
  [
    'an attribute that makes files whiteouts',
    [
      { name: 'd/', ...x('user.overlay.opaque', 'x') },
      { name: 'd/f', ...x('user.overlay.whiteout', '') },
    ],
  ],
  ['an escaped overlay attribute', [{ name: 'd/', ...x('trusted.overlay.overlay.opaque', 'y') }]],
  [
    'capabilities on a program',
    [
      {
        name: 'f',
        mode: 0o755,
        data: 'x',
        ...x('security.capability', Buffer.from('0100000200000400000000000000000000000000', 'hex')),
      },
    ],
  ],
  ['an attribute of no namespace', [{ name: 'f', data: 'x', ...x('nonsense', 'y') }]],
  ['an attribute of 100 kB', [{ name: 'f', data: 'x', ...x('user.big', 'y'.repeat(100_000)) }]],
  ['an attribute on a link', [{ ...link('l', 'f'), ...x('user.x', 'y') }]],
  ['setuid for another user', [{ name: 'su', mode: 0o6755, uid: 0, data: 'x' }]],
  ['a user id at the limit', [{ name: 'f', uid: 4294967294, gid: 4294967294, data: 'x' }]],
  ['a name with a newline', [{ name: 'a\nerror[ST001]: forged', data: 'x' }]],
  ['a name with escape sequences', [{ name: '\x1b]0;owned\x07\x1b[2J../..', data: 'x' }]],
  ['a name of 300 bytes', [{ name: 'n'.repeat(300), data: 'x' }]],
  ['a path of 6000 bytes', [{ name: Array(30).fill('d'.repeat(200)).join('/'), data: 'x' }]],
  ['3000 directories deep', [{ name: `${Array(3000).fill('d').join('/')}/f`, data: 'x' }]],
  ['links in a circle', [link('a', 'b'), link('b', 'a'), { name: 'a/f', data: 'x' }]],
  ['a link to an endless name', [link('l', 'x'.repeat(5000))]],
  ['an empty link', [link('l', '')]],
  [
    'a file, then below it',
    [
      { name: 'f', data: 'x' },
      { name: 'f/g', data: 'x' },
    ],
  ],
  [
    'a directory, then a file of its name',
    [{ name: 'd/' }, { name: 'd/f', data: 'x' }, { name: 'd', data: 'x' }],
  ],
  [
    'the same file a hundred times',
    Array.from({ length: 100 }, (_, i) => ({ name: 'f', data: String(i) })),
  ],
  ['a time far ahead', [{ name: 'f', data: 'x', mtimeNs: 10n ** 24n }]],
  ['a time before the epoch', [{ name: 'f', data: 'x', mtimeNs: -(10n ** 18n) }]],
];

/** A header of a file whose fields were changed after the checksum was known; the checksum is made right again. */
function bent(change: (block: Buffer) => void, data = 'x'): Buffer {
  const entry: TarEntry = {
    name: 'f',
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: data.length,
    mtimeNs: 0n,
    xattrs: new Map(),
  };
  const block = Buffer.from(tarHeader(entry));
  change(block);
  block.fill(0x20, 148, 156);
  const sum = block.subarray(0, 512).reduce((a, b) => a + b, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return Buffer.concat([block, Buffer.from(data), tarPadding(data.length), TAR_END]);
}

/** An extended header with these records before a file. */
function pax(records: string, type = 'x'): Buffer {
  const head = bent((b) => b.write(type, 156, 'latin1'), records);
  return Buffer.concat([
    head.subarray(0, head.length - TAR_END.length),
    tarOf([{ name: 'f', data: 'x' }]),
  ]);
}

const record = (key: string, value: string): string => {
  const body = ` ${key}=${value}\n`;
  let length = body.length + 1;
  while (String(length).length + body.length !== length)
    length = String(length).length + body.length;
  return `${length}${body}`;
};

const RAW: readonly (readonly [danger: string, bytes: Uint8Array, refused: boolean])[] = [
  [
    'a size of 8 EiB',
    bent((b) => Buffer.from('80000000 7fffffff ffffffff'.replaceAll(' ', ''), 'hex').copy(b, 124)),
    true,
  ],
  [
    'a negative size',
    bent((b) => Buffer.from('ffffffffffffffffffffffff', 'hex').copy(b, 124)),
    true,
  ],
  [
    'a size of 8 GiB in an archive of 2 kB',
    bent((b) => b.write('77777777777\0', 124, 'latin1')),
    true,
  ],
  ['a size in letters', bent((b) => b.write('abcdefghijk\0', 124, 'latin1')), true],
  ['an unknown type', bent((b) => b.write('Z', 156, 'latin1')), true],
  ['a sparse file', bent((b) => b.write('S', 156, 'latin1')), true],
  [
    'a sparse file of an exabyte in an extended header',
    pax(record('GNU.sparse.major', '1') + record('GNU.sparse.realsize', String(2 ** 60))),
    true,
  ],
  ['an extended path with a NUL', pax(record('path', 'a\0b')), true],
  ['an extended path that climbs', pax(record('path', '../../OUTSIDE')), false],
  ['an extended path that is empty', pax(record('path', '')), false],
  ['an extended size of text', pax(record('size', 'many')), true],
  ['an extended size below zero', pax(record('size', '-1')), true],
  ['an extended size of infinity', pax(record('size', 'Infinity')), true],
  ['an extended user beyond 32 bits', pax(record('uid', '4294967295')), true],
  ['an extended time of letters', pax(record('mtime', 'now')), true],
  ['an extended header whose length lies', pax('999 path=x\n'), true],
  ['an extended header without an end', pax('11 path=xyz'), true],
  ['a global header that renames everything', pax(record('path', '../../OUTSIDE'), 'g'), false],
  ['an attribute with a NUL in its name', pax(record('SCHILY.xattr.user.a\0b', 'v')), false],
  [
    'an extended header of 4 GiB',
    bent((b) => {
      b.write('x', 156, 'latin1');
      b.write('37777777777\0', 124, 'latin1');
    }),
    true,
  ],
  [
    'a long name of 4 GiB',
    bent((b) => {
      b.write('L', 156, 'latin1');
      b.write('37777777777\0', 124, 'latin1');
    }),
    true,
  ],
  [
    'a wrong checksum',
    (() => {
      const b = tarOf([{ name: 'f', data: 'x' }]);
      b[0] = 0x67;
      return b;
    })(),
    true,
  ],
  [
    'the end in the middle of a file',
    tarOf([{ name: 'f', data: 'x'.repeat(5000) }]).subarray(0, 2000),
    true,
  ],
];

/** All of them; `outside` is an absolute path without symbolic links that no import may change. */
export function hostileTars(outside: string): readonly HostileTar[] {
  const place = (text: string): string =>
    text
      .replaceAll('OUT/', `${outside}/`)
      .replace(/OUT$/, outside)
      .replaceAll('..OUT', `..${outside}`);
  const put = (member: Member): Member => ({
    ...member,
    name: place(member.name).replaceAll('OUTSIDE', 'escaped'),
    ...(member.link === undefined ? {} : { link: place(member.link) }),
  });
  return [
    ...MEMBERS.map(([danger, members]) => ({ danger, bytes: tarOf(members.map(put)) })),
    ...RAW.map(([danger, bytes, refused]) => ({
      danger,
      bytes,
      ...(refused ? { refusedByAll: true as const } : {}),
    })),
  ];
}
