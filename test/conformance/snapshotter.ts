import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Digest, fsPath, nameOfBytes } from '../../src/base/index.ts';
import type { FileTree } from '../../src/cachekey/index.ts';
import type { LayerChain, LayerId, LayerRef, Snapshotter } from '../../src/ports/index.ts';
import { readXattrs } from '../../src/sys/index.ts';
import { chunked, collect, digestOf, type Member, membersOf, tarOf } from './tar-rig.ts';

const signal = new AbortController().signal;

/** A snapshotter on a directory of its own; `root` is looked at for leftovers. */
export interface SnapshotterWorld extends AsyncDisposable {
  readonly snapshotter: Snapshotter;
  readonly root: string;
}

/** What every `Snapshotter` must do. `options` says why the tests that need root are skipped. */
export function runSnapshotterTests(
  make: () => Promise<SnapshotterWorld>,
  options: { readonly skip?: string; readonly named?: string } = {},
): void {
  const { named = '', ...rest } = options;
  const check = (name: string, body: (s: Snapshotter, root: string) => Promise<void>): void => {
    test(`${named}${name}`, rest, async () => {
      await using world = await make();
      await body(world.snapshotter, world.root);
    });
  };

  check('a tar of every kind of entry comes out of a layer byte for byte', async (s) => {
    const bytes = tarOf(EVERY_KIND);
    const chain = await applied(s, [], bytes);
    const again = await collect(s.tar(chain, { signal }));
    assert.deepEqual(await membersOf(again), await membersOf(bytes));
    assert.equal(digestOf(again), digestOf(bytes));
  });

  check(
    'a tar that describes its directories is applied ahead of the layers below it',
    async (s) => {
      const [below, above] = [STACK[0] ?? [], [{ name: 'own/' }, { name: 'own/f', data: '1' }]];
      const bytes = tarOf(above);
      const lower = chainOf([], digestOf(tarOf(below)));
      const chain = chainOf(lower, digestOf(bytes));
      assert.deepEqual(await s.applyAhead(chain, chunked(bytes), { signal }), {
        ok: true,
        value: true,
      });
      assert.deepEqual([await s.has(chain), await s.has(lower)], [true, false]);
      assert.ok((await s.apply(lower, chunked(tarOf(below)), { signal })).ok);
      await collectable(await s.tree(chain), '/own/f', '1');
    },
  );

  check(
    'a directory that a step made hides nothing of other layers that it is put on',
    async (s) => {
      const base = await applied(s, [], tarOf([{ name: 'etc/' }, { name: 'etc/f', data: '1' }]));
      const made: LayerRef[] = [];
      for (const name of ['a', 'b']) {
        await using active = await s.begin(base);
        {
          await using tree = await active.mount();
          mkdirSync(join(tree.path, 'opt/site', name), { recursive: true });
          writeFileSync(join(tree.path, 'opt/site', name, 'f'), name);
        }
        made.push(await active.commit({ createdAt: 1 }));
      }
      const chain = [...base, ...made];
      await using tree = await s.mount(chain);
      assert.deepEqual(readdirSync(join(tree.path, 'opt/site')).sort(), ['a', 'b']);
      assert.deepEqual((await s.tree(chain)).list('/opt/site'), ['a', 'b']);
    },
  );

  check(
    'a tar that takes something from the layers below it waits for them, and leaves nothing',
    async (s, root) => {
      const below = tarOf([
        { name: 'd/', mode: 0o700 },
        { name: 'd/f', data: '1' },
      ]);
      for (const above of [
        [{ name: 'd/g', data: '2' }],
        [{ name: 'e/' }, { name: 'e/link', type: 'hardlink' as const, link: 'd/f' }],
      ]) {
        const bytes = tarOf(above);
        const chain = chainOf(chainOf([], digestOf(below)), digestOf(bytes));
        assert.deepEqual(await s.applyAhead(chain, chunked(bytes), { signal }), {
          ok: true,
          value: false,
        });
        assert.equal(await s.has(chain), false);
      }
      const left = readdirSync(root, { recursive: true, withFileTypes: true });
      assert.deepEqual(
        left.filter((entry) => !entry.isDirectory()).map(({ name }) => name),
        [],
      );
    },
  );

  check('the merged tree and a mount of the same chain show the same', async (s) => {
    const chain = await stacked(s, STACK);
    const tree = await s.tree(chain);
    await using mounted = await s.mount(chain);
    assert.deepEqual(walkTree(tree), walkDisk(mounted.path));
    assert.deepEqual(Object.keys(walkTree(tree)), STACK_PATHS);
    await collectable(tree, '/new/f', '2');
    assert.throws(() => tree.read('/gone', signal));
  });

  check(
    'forty layers with whiteouts in many of them merge as the kernel merges them',
    async (s) => {
      const layers = Array.from({ length: 40 }, (_, i): Member[] => [
        { name: 'd/', mtimeNs: BigInt(i) * 1_000_000_000n },
        { name: `d/f${i}`, data: `${i}` },
        { name: 'd/same', data: `${i}` },
        ...(i % 3 === 2 ? [{ name: `d/.wh.f${i - 1}` }] : []),
        ...(i === 20
          ? [{ name: 'e/' }, { name: 'e/.wh..wh..opq' }]
          : [{ name: 'e/' }, { name: `e/${i}` }]),
      ]);
      const chain = await stacked(s, layers);
      const tree = await s.tree(chain);
      await using mounted = await s.mount(chain);
      assert.deepEqual(walkTree(tree), walkDisk(mounted.path));
      assert.deepEqual(
        tree.list('/e'),
        Array.from({ length: 19 }, (_, i) => `${i + 21}`),
      );
      await collectable(tree, '/d/same', '39');
    },
  );

  check('a written layer gives the tar of its changes only', async (s) => {
    const base = await applied(s, [], tarOf(BASE));
    await using layer = await s.begin(base);
    {
      await using mounted = await layer.mount();
      execFileSync('sh', ['-ec', CHANGES], { cwd: mounted.path });
    }
    const chain = [...base, await layer.commit({ createdAt: 5 })];
    const members = await membersOf(await collect(s.tar(chain, { signal, epoch: 7 })));
    assert.deepEqual(
      members.map(
        (m) => `${m.type} ${m.name}${m.link === undefined ? '' : ` -> ${m.link}`} ${m.mtimeNs}`,
      ),
      [
        'dir a/ 7000000000',
        'file a/.wh.deep 0',
        'file a/new 7000000000',
        'dir again/ 7000000000',
        'file again/.wh.old 0',
        'file again/young 7000000000',
        'file .wh.gone 0',
        'file h1 7000000000',
        'hardlink h2 -> h1 7000000000',
      ],
    );
    assert.deepEqual(await s.has(chain), true);
    assert.deepEqual(chain.at(-1), { id: layer.id, createdAt: 5 });
  });

  check('a layer that was not committed leaves nothing', async (s, root) => {
    const before = allPaths(root);
    {
      await using layer = await s.begin([]);
      const mounted = await layer.mount();
      execFileSync('sh', ['-c', 'echo x > x'], { cwd: mounted.path });
    }
    assert.deepEqual(allPaths(root), before);
  });

  check('a tar with another digest is refused and leaves nothing', async (s, root) => {
    const before = allPaths(root);
    const chain = chainOf([], digestOf(Buffer.from('other')));
    const result = await s.apply(chain, chunked(tarOf(BASE)), { signal });
    assert.deepEqual(
      [result.ok, result.ok ? '' : result.error.code, await s.has(chain), allPaths(root)],
      [false, 'ST303', false, before],
    );
  });

  check('a tar that ends or breaks in the middle leaves nothing', async (s, root) => {
    const before = allPaths(root);
    const bytes = tarOf([{ name: 'f', data: 'x'.repeat(10_000) }]);
    const chain = chainOf([], digestOf(bytes));
    const cut = await s.apply(chain, chunked(bytes.subarray(0, 5000)), { signal });
    assert.equal(cut.ok, false);
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield* chunked(bytes.subarray(0, 3000));
      throw new Error('connection lost');
    }
    await assert.rejects(s.apply(chain, broken(), { signal }), /connection lost/);
    assert.deepEqual([await s.has(chain), allPaths(root)], [false, before]);
  });

  for (const [what, members, message] of HOSTILE) {
    check(`a layer with ${what} is refused and touches nothing outside`, async (s, root) => {
      const before = allPaths(root);
      const bytes = tarOf(members);
      const result = await s.apply(chainOf([], digestOf(bytes)), chunked(bytes), { signal });
      assert.deepEqual(
        [result.ok ? 'accepted' : result.error.message, allPaths(root)],
        [message, before],
      );
    });
  }

  check('links in the way are followed inside the layer only', async (s) => {
    const chain = await stacked(s, [
      [
        { name: 'usr/' },
        { name: 'usr/lib/' },
        { name: 'lib', type: 'symlink', link: '/usr/lib' },
        { name: 'lib/x', data: 'in usr' },
      ],
    ]);
    await collectable(await s.tree(chain), '/usr/lib/x', 'in usr');
  });

  check('a hard link to a file of a lower layer brings that file along', async (s) => {
    const chain = await stacked(s, [
      [{ name: 'low', data: 'lower', mode: 0o4711, uid: 7 }],
      [{ name: 'link', type: 'hardlink', link: 'low' }],
    ]);
    const tree = await s.tree(chain);
    const [low, link] = [tree.lstat('/low'), tree.lstat('/link')];
    assert.deepEqual([link?.mode, link?.uid, link?.inode], [0o4711, 7, low?.inode]);
    await collectable(tree, '/link', 'lower');
  });

  check(
    'missing parents take the metadata they have below, also under another chain',
    async (s) => {
      const top = tarOf([{ name: 'p/q/f' }]);
      const one = await stacked(s, [
        [
          { name: 'p/', mode: 0o700, uid: 5 },
          { name: 'p/q/', mode: 0o2750 },
        ],
      ]);
      const two = await stacked(s, [[{ name: 'p/', mode: 0o711 }]]);
      const modes: unknown[] = [];
      for (const below of [one, two]) {
        const tree = await s.tree(await applied(s, below, top));
        modes.push(['/p', '/p/q'].map((path) => [tree.lstat(path)?.mode, tree.lstat(path)?.uid]));
      }
      assert.deepEqual(modes, [
        [
          [0o700, 5],
          [0o2750, 0],
        ],
        [
          [0o711, 0],
          [0o755, 0],
        ],
      ]);
    },
  );

  check('removed layers are gone and listed no more', async (s) => {
    const chain = await stacked(s, [BASE, [{ name: 'x/y' }]]);
    const ids = async (): Promise<LayerId[]> => (await Array.fromAsync(s.list())).sort();
    assert.deepEqual(await ids(), chain.map((l) => l.id).sort());
    const [base, top] = [chain[0]!.id, chain[1]!.id];
    assert.equal(((await s.usage(top)) ?? 0) > 0, true);
    await s.remove(top);
    assert.deepEqual(
      [await ids(), await s.usage(top), await s.has(chain)],
      [[base], undefined, false],
    );
  });

  check('the same layer extracted twice at once is there once', async (s) => {
    const bytes = tarOf(BASE);
    const chain = chainOf([], digestOf(bytes));
    const results = await Promise.all(
      [1, 2, 3].map(() => s.apply(chain, chunked(bytes, 700), { signal })),
    );
    assert.deepEqual(
      results.map((r) => r.ok),
      [true, true, true],
    );
    assert.deepEqual(await Array.fromAsync(s.list()), [chain[0]!.id]);
  });

  check(
    'the digest of a file is that of its header and data, and a hard link has the same',
    async (s) => {
      const chain = await stacked(s, [
        [
          { name: 'a', data: 'alpha\n' },
          { name: 'b', type: 'hardlink', link: 'a' },
        ],
      ]);
      const tree = await s.tree(chain);
      const header = 'namemode420uid0gid0size6typeflag0linknameunamegnamedevmajor0devminor0';
      const digest = digestOf(Buffer.from(`${header}alpha\n`));
      const digests: Digest[] = [];
      for (const path of ['/a', '/a', '/b']) digests.push(await tree.digest(path, signal));
      assert.deepEqual(digests, [digest, digest, digest]);
    },
  );
}

const BASE: readonly Member[] = [
  { name: 'a/' },
  { name: 'a/deep/' },
  { name: 'a/deep/f' },
  { name: 'again/' },
  { name: 'again/old' },
  { name: 'gone' },
  { name: 'touched', data: 'same' },
];

const CHANGES = `
rm -r a/deep gone again; echo 1 > a/new; mkdir again; echo y > again/young
cp -p touched t2; mv t2 touched; chmod 644 touched
echo h > h1; ln h1 h2; rm -rf nothing; mkfifo p; rm p`;

const STACK: readonly (readonly Member[])[] = [
  [
    { name: 'dir/' },
    { name: 'dir/low' },
    { name: 'dir/sub/' },
    { name: 'dir/sub/x' },
    { name: 'gone' },
    { name: 'opq/' },
    { name: 'opq/hidden' },
    { name: 'was-dir/' },
    { name: 'was-dir/x' },
    { name: 'was-file' },
  ],
  [
    { name: '.wh.gone' },
    { name: 'dir/' },
    { name: 'dir/.wh.low' },
    { name: 'new/' },
    { name: 'new/f', data: '1' },
    { name: 'opq/', mode: 0o700 },
    { name: 'opq/.wh..wh..opq' },
    { name: 'opq/shown' },
    { name: 'was-dir', data: 'file now' },
    { name: 'was-file/' },
    { name: 'was-file/x' },
  ],
  [
    { name: 'new/' },
    { name: 'new/f', data: '2' },
    { name: 'dir/' },
    { name: 'dir/low', data: 'back' },
  ],
];

const STACK_PATHS = [
  '/',
  '/dir',
  '/dir/low',
  '/dir/sub',
  '/dir/sub/x',
  '/new',
  '/new/f',
  '/opq',
  '/opq/shown',
  '/was-dir',
  '/was-file',
  '/was-file/x',
];

const LONG = `${'l'.repeat(120)}/`;
const CAPABILITY = Buffer.from('0100000200040000000000000000000000000000', 'hex');

const EVERY_KIND: readonly Member[] = [
  { name: 'Dir/', mode: 0o1777, uid: 3_000_000, gid: 4_000_000_000 },
  { name: 'Dir/blk', type: 'block', device: { major: 7, minor: 300 }, mode: 0o660 },
  { name: 'Dir/chr', type: 'char', device: { major: 4095, minor: 70_000 } },
  { name: 'Dir/fifo', type: 'fifo' },
  { name: 'Dir/setuid', data: 'program', mode: 0o6755, uid: 1, gid: 2, mtimeNs: -5_000_000_000n },
  { name: 'cap', data: 'c', xattrs: new Map([['security.capability', CAPABILITY]]) },
  { name: 'empty' },
  { name: 'first', data: 'linked' },
  { name: LONG },
  { name: `${LONG}${'m'.repeat(150)}`, data: 'long' },
  { name: 'second', type: 'hardlink', link: 'first' },
  { name: 'sym', type: 'symlink', link: '../out/of/here' },
  { name: 'sym2', type: 'symlink', link: `/${'t'.repeat(200)}` },
  { name: '\u00e4\ud83d\ude00', data: 'unicode' },
  { name: nameOfBytes(Buffer.from([0xff, 0x41])), data: 'not UTF-8' },
];

const HOSTILE: readonly (readonly [what: string, members: readonly Member[], message: string])[] = [
  [
    'a name that climbs out',
    [{ name: '../../escaped', data: 'x' }],
    'layer entry "../../escaped": "../../escaped" leads out of the root',
  ],
  [
    'a hard link to a file outside',
    [{ name: 'l', type: 'hardlink', link: '../../../etc/passwd' }],
    'layer entry "l": "../../../etc/passwd" leads out of the root',
  ],
  [
    'a hard link to an absolute path that is only on the host',
    [{ name: 'l', type: 'hardlink', link: '/etc/passwd' }],
    'layer entry "l": its link target "/etc/passwd" is not there',
  ],
  [
    'an entry through a link that climbs out',
    [
      { name: 'd', type: 'symlink', link: '../../..' },
      { name: 'd/escaped', data: 'x' },
    ],
    'layer entry "d/escaped": "d/escaped" leads out of the root through the link "/d"',
  ],
  [
    'links that lead in a circle',
    [
      { name: 'a', type: 'symlink', link: 'b' },
      { name: 'b', type: 'symlink', link: 'a' },
      { name: 'a/x', data: 'x' },
    ],
    'layer entry "a/x": there are too many symbolic links in the way',
  ],
  [
    'a device that is a whiteout in disguise',
    [{ name: 'w', type: 'char', device: { major: 0, minor: 0 } }],
    'layer entry "w": a character device 0:0 would delete the name from the layers below',
  ],
  [
    'a whiteout of the parent',
    [{ name: 'd/' }, { name: 'd/.wh...' }],
    'layer entry "d/.wh...": "d/.wh..." names nothing that could be deleted',
  ],
  [
    'an entry below a file',
    [{ name: 'f' }, { name: 'f/x' }],
    'layer entry "f/x": "/f" is in the way and no directory',
  ],
];

/** The chain with one more layer that is known by its diffID. */
function chainOf(below: LayerChain, diffId: Digest): LayerChain {
  // Brand: an outside layer's id is its diffID (ports/snapshotter.ts).
  const ref: LayerRef = { id: diffId as string as LayerId, diffId, createdAt: 1 };
  return [...below, ref];
}

async function applied(s: Snapshotter, below: LayerChain, bytes: Uint8Array): Promise<LayerChain> {
  const chain = chainOf(below, digestOf(bytes));
  const result = await s.apply(chain, chunked(bytes), { signal });
  assert.equal(result.ok ? '' : result.error.message, '');
  return chain;
}

async function stacked(
  s: Snapshotter,
  layers: readonly (readonly Member[])[],
): Promise<LayerChain> {
  let chain: LayerChain = [];
  for (const members of layers) chain = await applied(s, chain, tarOf(members));
  return chain;
}

async function collectable(tree: FileTree, path: string, text: string): Promise<void> {
  assert.equal((await collect(tree.read(path, signal))).toString(), text);
}

/** Metadata of everything in a tree that a mount shows as well. */
function walkTree(tree: FileTree): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  const visit = (path: string): void => {
    const e = tree.lstat(path);
    found[path] = e && [
      e.type,
      e.mode,
      e.uid,
      e.gid,
      e.size,
      path === '/' ? 0n : e.mtimeNs,
      e.xattrs,
    ];
    for (const name of tree.list(path)) visit(path === '/' ? `/${name}` : `${path}/${name}`);
  };
  visit('/');
  return found;
}

function walkDisk(root: string): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  const visit = (path: string): void => {
    const disk = join(root, path);
    const s = lstatSync(fsPath(disk), { bigint: true });
    const type = s.isDirectory() ? 'dir' : s.isFile() ? 'file' : 'other';
    const size = s.isFile() ? Number(s.size) : 0;
    const ids = [Number(s.uid), Number(s.gid)];
    const time = path === '/' ? 0n : s.mtimeNs;
    found[path] = [type, Number(s.mode) & 0o7777, ...ids, size, time, readXattrs(disk)];
    if (type === 'dir')
      for (const name of readdirSync(disk).sort())
        visit(path === '/' ? `/${name}` : `${path}/${name}`);
  };
  visit('/');
  return found;
}

/** All paths below a directory, to see that nothing was left; and that nothing is mounted there. */
function allPaths(root: string): string[] {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  assert.deepEqual(
    mounts.filter((line) => line.includes(root)),
    [],
  );
  return readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
}
