import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
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
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { TAR_END, type TarEntry, tarHeader, tarPadding } from '../../../src/archive/index.ts';
import { readDeb } from '../../../src/packages/deb.ts';
import { extractDeb } from '../../../src/packages/extract.ts';
import { arOf } from '../../rig/ar.ts';

const needsRoot: { readonly skip?: string } = userInfo().uid === 0 ? {} : { skip: 'not root' };
const signal = new AbortController().signal;

interface Member {
  readonly entry: Partial<TarEntry> & { readonly name: string };
  readonly data?: string;
}

function tar(members: readonly Member[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const { entry, data = '' } of members) {
    const bytes = Buffer.from(data);
    const whole: TarEntry = {
      type: 'file',
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtimeNs: 1_000_000_000n,
      xattrs: new Map(),
      ...entry,
      size: bytes.length,
    };
    parts.push(tarHeader(whole), bytes, tarPadding(bytes.length));
  }
  return Buffer.concat([...parts, TAR_END]);
}

class Scratch implements Disposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'varve-deb-'));
  readonly root = join(this.dir, 'root');
  readonly deb = join(this.dir, 'x.deb');

  constructor() {
    mkdirSync(this.root);
  }

  async extract(members: readonly Member[], name = 'data.tar.gz'): Promise<string> {
    const data = tar(members);
    const packed = name.endsWith('.gz')
      ? gzipSync(data)
      : name.endsWith('.zst')
        ? zstdCompressSync(data)
        : data;
    writeFileSync(
      this.deb,
      arOf([
        ['debian-binary', Buffer.from('2.0\n')],
        ['control.tar', tar([])],
        [name, packed],
      ]),
    );
    const deb = await readDeb(this.deb);
    if (!deb.ok) return `${deb.error.code} ${deb.error.message.replaceAll(this.deb, 'DEB')}`;
    const result = await extractDeb(deb.value, this.root, signal);
    return result.ok
      ? 'ok'
      : `${result.error.code} ${result.error.message.replaceAll(this.deb, 'DEB')}`;
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

test(
  'files, links and directories are written with their metadata, in every compression',
  needsRoot,
  async () => {
    for (const name of ['data.tar', 'data.tar.gz', 'data.tar.zst']) {
      using scratch = new Scratch();
      const said = await scratch.extract(
        [
          { entry: { name: './', type: 'dir', mode: 0o755 } },
          { entry: { name: './usr/bin/', type: 'dir', mode: 0o755 } },
          { entry: { name: './usr/bin/a', mode: 0o4755, uid: 5, gid: 6 }, data: 'hello' },
          { entry: { name: './usr/bin/b', type: 'hardlink', link: './usr/bin/a' } },
          { entry: { name: './usr/bin/c', type: 'symlink', link: 'a' } },
        ],
        name,
      );
      const at = (path: string) => join(scratch.root, path);
      const a = lstatSync(at('usr/bin/a'));
      assert.deepEqual(
        [
          said,
          a.mode & 0o7777,
          a.uid,
          a.gid,
          a.mtimeMs,
          a.nlink,
          readlinkSync(at('usr/bin/c')),
          readFileSync(at('usr/bin/b'), 'utf8'),
          lstatSync(at('usr/bin')).mtimeMs,
        ],
        ['ok', 0o4755, 5, 6, 1000, 2, 'a', 'hello', 1000],
      );
    }
  },
);

test('a link in the way is followed inside the root, wherever it points', needsRoot, async () => {
  using scratch = new Scratch();
  mkdirSync(join(scratch.root, 'usr/bin'), { recursive: true });
  symlinkSync('usr/bin', join(scratch.root, 'bin'));
  symlinkSync('/../../../etc', join(scratch.root, 'out'));
  const said = await scratch.extract([
    { entry: { name: './bin/', type: 'dir' } },
    { entry: { name: './bin/a' }, data: 'a' },
    { entry: { name: './out/varve-test' }, data: 'b' },
  ]);
  assert.deepEqual(
    [
      said,
      lstatSync(join(scratch.root, 'bin')).isSymbolicLink(),
      readFileSync(join(scratch.root, 'usr/bin/a'), 'utf8'),
      readFileSync(join(scratch.root, 'etc/varve-test'), 'utf8'),
      existsSync('/etc/varve-test'),
    ],
    ['ok', true, 'a', 'b', false],
  );
});

test(
  'a package that links out of the root and then writes through the link stays inside',
  needsRoot,
  async () => {
    using scratch = new Scratch();
    const said = await scratch.extract([
      { entry: { name: './x', type: 'symlink', link: '/tmp' } },
      { entry: { name: './x/varve-escape' }, data: 'e' },
      { entry: { name: './h', type: 'hardlink', link: '/etc/passwd' } },
    ]);
    assert.deepEqual(
      [
        said,
        readFileSync(join(scratch.root, 'tmp/varve-escape'), 'utf8'),
        existsSync('/tmp/varve-escape'),
      ],
      ['PK042 DEB: entry "./h" cannot be written (ENOENT)', 'e', false],
    );
  },
);

const HOSTILE: readonly (readonly [why: string, members: readonly Member[], said: string])[] = [
  [
    'a path with ".."',
    [{ entry: { name: './a/../../b' }, data: 'x' }],
    'PK042 DEB: entry "./a/../../b" leaves the root',
  ],
  [
    'a file in place of a directory',
    [{ entry: { name: './a/', type: 'dir' } }, { entry: { name: './a' }, data: 'x' }],
    'PK042 DEB: entry "/a" replaces a directory',
  ],
  [
    'a file below a file',
    [
      { entry: { name: './a' }, data: 'x' },
      { entry: { name: './a/b' }, data: 'x' },
    ],
    'PK042 DEB: entry "./a/b" cannot be written (EEXIST)',
  ],
  [
    'a loop of links',
    [
      { entry: { name: './a', type: 'symlink', link: 'b' } },
      { entry: { name: './b', type: 'symlink', link: 'a' } },
      { entry: { name: './a/x' }, data: 'x' },
    ],
    'PK042 DEB: entry "/a/x" leads through a loop of links',
  ],
];
for (const [why, members, said] of HOSTILE)
  test(`a package with ${why} is refused`, needsRoot, async () => {
    using scratch = new Scratch();
    assert.equal(await scratch.extract(members), said);
    assert.deepEqual(readdirSync(scratch.dir).sort(), ['root', 'x.deb']);
  });

const good = (): Buffer =>
  arOf([
    ['debian-binary', Buffer.from('2.0\n')],
    ['control.tar', tar([])],
    ['data.tar.gz', gzipSync(tar([]))],
  ]);
const BROKEN: readonly (readonly [why: string, bytes: Buffer, said: RegExp])[] = [
  ['no ar archive', Buffer.from('PK\x03\x04'), /is not a Debian package: it is no ar archive/],
  ['cut off', good().subarray(0, 200), /its archive is damaged at byte 72/],
  [
    'of another format',
    arOf([
      ['debian-binary', Buffer.from('3.0\n')],
      ['control.tar', tar([])],
      ['data.tar', tar([])],
    ]),
    /it is not of format 2/,
  ],
  [
    'without data',
    arOf([
      ['debian-binary', Buffer.from('2.0\n')],
      ['control.tar', tar([])],
    ]),
    /it lacks control or data/,
  ],
];
for (const [why, bytes, said] of BROKEN)
  test(`a package that is ${why} is refused`, async () => {
    using scratch = new Scratch();
    writeFileSync(scratch.deb, bytes);
    const deb = await readDeb(scratch.deb);
    assert.match(
      deb.ok ? 'read' : `${deb.error.code} ${deb.error.message}`,
      new RegExp(`PK041 .*${said.source}`),
    );
  });

test('damaged compressed data is a failure, not a crash', needsRoot, async () => {
  for (const name of ['data.tar.gz', 'data.tar.xz', 'data.tar.zst', 'data.tar.lz9']) {
    using scratch = new Scratch();
    writeFileSync(
      scratch.deb,
      arOf([
        ['debian-binary', Buffer.from('2.0\n')],
        ['control.tar', tar([])],
        [name, Buffer.alloc(4000, 7)],
      ]),
    );
    const deb = await readDeb(scratch.deb);
    assert.ok(deb.ok);
    const result = await extractDeb(deb.value, scratch.root, signal);
    assert.equal(result.ok ? 'extracted' : result.error.code, 'PK041', name);
  }
});

test('what dpkg-deb builds with xz is extracted as dpkg-deb extracts it', needsRoot, async () => {
  if (!existsSync('/usr/bin/dpkg-deb')) return;
  using scratch = new Scratch();
  const tree = join(scratch.dir, 'tree');
  mkdirSync(join(tree, 'DEBIAN'), { recursive: true });
  writeFileSync(
    join(tree, 'DEBIAN/control'),
    'Package: x\nVersion: 1\nArchitecture: all\nMaintainer: n <n@repo.example>\nDescription: x\n',
  );
  mkdirSync(join(tree, 'usr/share/x'), { recursive: true });
  writeFileSync(join(tree, 'usr/share/x/file'), 'content'.repeat(10_000));
  symlinkSync('file', join(tree, 'usr/share/x/link'));
  execFileSync('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', tree, scratch.deb], {
    stdio: 'ignore',
  });
  const deb = await readDeb(scratch.deb);
  assert.ok(deb.ok);
  assert.ok((await extractDeb(deb.value, scratch.root, signal)).ok);
  const other = join(scratch.dir, 'other');
  execFileSync('dpkg-deb', ['--extract', scratch.deb, other]);
  const listing = (dir: string): string =>
    execFileSync('find', ['.', '-printf', '%p %y %m %U %G %T@ %l\n'], {
      cwd: dir,
      encoding: 'utf8',
    })
      .split('\n')
      .filter((line) => !line.startsWith('. '))
      .sort()
      .join('\n');
  assert.equal(listing(scratch.root), listing(other));
});
