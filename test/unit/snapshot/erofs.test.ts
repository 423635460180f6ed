import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fsPath, nameOfBytes, TempDir } from '../../../src/base/index.ts';
import { writeErofs } from '../../../src/erofs/index.ts';
import type { LayerChain, LayerId, PackedEntry } from '../../../src/ports/index.ts';
import {
  createSnapshotter,
  type LayerStore,
  obstacleToMounting,
} from '../../../src/snapshot/index.ts';
import { mountErofs, readXattrs, unmount } from '../../../src/sys/index.ts';
import { chunked, digestOf, type Member, tarOf } from '../../conformance/tar-rig.ts';

const signal = new AbortController().signal;
const obstacle = userInfo().uid === 0 ? await obstacleToMounting(tmpdir()) : 'needs root';
const mounting = obstacle === undefined ? {} : { skip: obstacle };

type Form = 'erofs' | 'directories';

async function applied(
  store: LayerStore,
  layers: readonly (readonly Member[])[],
): Promise<LayerChain> {
  let chain: LayerChain = [];
  for (const members of layers) {
    const bytes = tarOf(members);
    const diffId = digestOf(bytes);
    // Brand: an outside layer's id is its diffID (ports/snapshotter.ts).
    chain = [...chain, { id: diffId as string as LayerId, diffId, createdAt: 1 }];
    const result = await store.apply(chain, chunked(bytes, 10_007), { signal });
    assert.equal(result.ok ? '' : result.error.message, '');
  }
  return chain;
}

/** Everything lstat, readlink, the attributes and the data of a mounted tree say, but for what the root is. */
function listing(root: string, path = ''): string[] {
  const lines: string[] = [];
  for (const raw of readdirSync(fsPath(root + path), { encoding: 'buffer' })) {
    const name = `${path}/${nameOfBytes(raw)}`;
    const disk = fsPath(root + name);
    const stat = lstatSync(disk, { bigint: true });
    const isDir = stat.isDirectory();
    const line = {
      name,
      mode: stat.mode.toString(8),
      owner: `${stat.uid}:${stat.gid}`,
      mtime: String(stat.mtimeNs),
      rdev: String(stat.rdev),
      xattrs: [...readXattrs(root + name)].map(
        ([key, value]) => `${key}=${Buffer.from(value).toString('hex')}`,
      ),
      ...(isDir ? {} : { links: String(stat.nlink), size: String(stat.size) }),
      ...(stat.isSymbolicLink() ? { link: readlinkSync(disk, 'latin1') } : {}),
      ...(stat.isFile()
        ? { sha1: createHash('sha1').update(readFileSync(disk)).digest('hex') }
        : {}),
    };
    lines.push(JSON.stringify(line));
    if (isDir) lines.push(...listing(root, name));
  }
  return lines.sort();
}

/** What a chain shows read-only and with an empty layer on top, and how the mounts of the process look meanwhile. */
async function shown(store: LayerStore, chain: LayerChain): Promise<readonly string[]> {
  await using top = await store.begin(chain);
  await using over = await top.mount();
  await using alone = await store.mount(chain);
  const both = [listing(over.path), listing(alone.path)] as const;
  assert.deepEqual(both[0], both[1]);
  return both[0];
}

async function inForm<T>(
  form: Form,
  body: (store: LayerStore, dir: string) => Promise<T>,
): Promise<T> {
  await using dir = await TempDir.create(tmpdir(), `varve-${form}-`);
  await using store = createSnapshotter({ root: dir.path, form });
  return await body(store, dir.path);
}

const noise = (size: number): Buffer =>
  Buffer.concat(
    Array.from({ length: Math.ceil(size / 32) }, (_, i) =>
      createHash('sha256').update(`${size} ${i}`).digest(),
    ),
  ).subarray(0, size);
const CAPABILITY = Buffer.from('0100000200040000000000000000000000000000', 'hex');

const STACK: readonly (readonly Member[])[] = [
  [
    { name: 'd/', mode: 0o1777, uid: 3_000_000, gid: 4_000_000_000 },
    { name: 'd/block', type: 'block', device: { major: 7, minor: 300 } },
    { name: 'd/char', type: 'char', device: { major: 4095, minor: 70_000 } },
    { name: 'd/fifo', type: 'fifo' },
    { name: 'd/gone', data: 'x' },
    { name: 'd/setuid', data: 'p', mode: 0o6755, uid: 1, mtimeNs: -5_000_000_000n },
    { name: 'hidden/' },
    { name: 'hidden/x', data: 'x' },
    { name: 'large', data: noise(3_000_001), mtimeNs: 1_700_000_000_123_456_789n },
    { name: 'one', data: 'linked', xattrs: new Map([['user.note', Buffer.from('n')]]) },
    { name: 'same-size', data: noise(512) },
    { name: 'sym', type: 'symlink', link: 'x'.repeat(4000) },
    { name: 'two', type: 'hardlink', link: 'one' },
    { name: nameOfBytes(Buffer.from([0xff, 0x41])), data: 'not UTF-8' },
    ...Array.from({ length: 300 }, (_, i) => ({
      name: `hidden/${'n'.repeat(240)}${i}`,
      data: `${i}`,
    })),
  ],
  [
    { name: 'd/' },
    { name: 'd/.wh.gone' },
    { name: 'hidden/', xattrs: new Map([['trusted.note', Buffer.from('t')]]) },
    { name: 'hidden/.wh..wh..opq' },
    { name: 'hidden/y', data: 'y', xattrs: new Map([['security.capability', CAPABILITY]]) },
    { name: 'again/' },
    { name: 'again/f', data: 'f' },
  ],
  [{ name: '.wh.again' }, { name: 'again/', mode: 0o700 }, { name: 'again/new', data: 'n' }],
];

test(
  'layers mounted as EROFS show what the same layers show when they are extracted',
  mounting,
  async () => {
    const [mounted, extracted] = [
      await inForm('erofs', async (store, dir) => {
        const chain = await applied(store, STACK);
        const seen = await shown(store, chain);
        const forms = readdirSync(join(dir, 'layers')).map((name) =>
          name.replace(/^[0-9a-f]+/, ''),
        );
        assert.deepEqual(forms, ['.pack', '.pack', '.pack']);
        return seen;
      }),
      await inForm('directories', async (store) => await shown(store, await applied(store, STACK))),
    ];
    assert.deepEqual(mounted, extracted);
  },
);

test(
  'a store of mounted layers is read by a process that extracts them, and the other way round',
  mounting,
  async () => {
    await using dir = await TempDir.create(tmpdir(), 'varve-forms-');
    await using stores = new AsyncDisposableStack();
    const open = (form: Form): LayerStore =>
      stores.use(createSnapshotter({ root: dir.path, form }));
    await applied(open('erofs'), STACK.slice(0, 2));
    const top = await applied(open('directories'), STACK);
    const seen = await shown(open('erofs'), top);
    assert.deepEqual(await shown(open('directories'), top), seen);
    assert.deepEqual(await shown(open('erofs'), top), seen);
  },
);

test(
  'recorded layers of file steps are mounted with their small and large files, without being extracted',
  mounting,
  async () => {
    const sizes = [0, 1, 511, 512, 513, 262_143, 262_144, 300_001];
    const entry = (type: PackedEntry['type'], data?: PackedEntry['data']): PackedEntry => ({
      type,
      mode: type === 'dir' ? 0o755 : 0o640,
      uid: 5,
      gid: 6,
      mtimeNs: 7_000_000_123n,
      xattrs: new Map(),
      data,
    });
    const made = (form: Form): Promise<readonly [readonly string[], readonly string[]]> =>
      inForm(form, async (store, dir) => {
        const layer = await store.pack([]);
        const entries = new Map([['/', entry('dir')]]);
        for (const size of sizes) entries.set(`/f${size}`, entry('file', layer.write(noise(size))));
        const streamed = entry('file', await layer.stream(chunked(noise(400_003))));
        entries.set('/streamed', streamed);
        entries.set('/streamed-too', streamed);
        const chain = [await layer.commit(entries, { createdAt: 1, signal })];
        const seen = await shown(store, chain);
        const tree = await store.tree(chain);
        const data: Buffer[] = [];
        for await (const part of tree.read('/streamed', signal)) data.push(Buffer.from(part));
        assert.ok(Buffer.concat(data).equals(noise(400_003)));
        const forms = readdirSync(join(dir, 'layers')).map((name) =>
          name.replace(/^[0-9a-f]+/, ''),
        );
        return [seen, forms.sort()];
      });
    const [mounted, extracted] = [await made('erofs'), await made('directories')];
    // An extracted layer shares a large file with its packed form, which the number of links shows.
    const withoutLinks = (lines: readonly string[]): string[] =>
      lines.map((line) => line.replace(/"links":"\d+",/, ''));
    assert.deepEqual(withoutLinks(mounted[0]), withoutLinks(extracted[0]));
    assert.deepEqual([mounted[1], extracted[1]], [['.pack'], ['', '.pack']]);
  },
);

test(
  'layers are mounted once for all overlays of a process, and gone when it is done with the store',
  mounting,
  async () => {
    await using dir = await TempDir.create(tmpdir(), 'varve-erofs-');
    const mounts = (): readonly string[] =>
      readFileSync('/proc/self/mountinfo', 'utf8')
        .split('\n')
        .filter((line) => line.includes(dir.path))
        .map((line) => line.split(' - ')[1]?.split(' ')[0] ?? '');
    const store = createSnapshotter({ root: dir.path, form: 'erofs' });
    const chain = await applied(store, STACK.slice(0, 2));
    const first = await store.mount(chain.slice(0, 1));
    const second = await store.mount(chain);
    assert.deepEqual(mounts(), ['tmpfs', 'erofs', 'overlay', 'erofs', 'overlay']);
    await second[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    assert.deepEqual(mounts(), ['overlay']);
    assert.equal(readFileSync(join(first.path, 'one'), 'utf8'), 'linked');
    await first[Symbol.asyncDispose]();
    assert.deepEqual([mounts(), readdirSync(join(dir.path, 'work'))], [[], []]);
  },
);

test('a layer that was removed and made again is mounted again', mounting, async () => {
  await inForm('erofs', async (store) => {
    const chain = await applied(store, STACK.slice(0, 1));
    const before = await shown(store, chain);
    const [layer] = chain;
    assert.ok(layer);
    await store.remove(layer.id);
    const again = await applied(store, STACK.slice(0, 1));
    assert.deepEqual(
      again.map(({ id }) => id),
      [layer.id],
    );
    assert.deepEqual(await shown(store, again), before);
  });
});

test(
  'a layer is described to the kernel anew after a boot, and when that was damaged',
  mounting,
  async () => {
    await using dir = await TempDir.create(tmpdir(), 'varve-erofs-');
    /** What a process of its own sees. */
    const look = async (): Promise<unknown> => {
      await using store = createSnapshotter({ root: dir.path, form: 'erofs' });
      return await shown(store, await applied(store, STACK.slice(0, 1)));
    };
    const before = await look();
    const [name = ''] = readdirSync(join(dir.path, 'layers'));
    const image = join(dir.path, 'layers', name, 'erofs');
    const first = readFileSync(image);
    const other = Buffer.from(first).fill(1, 1072, 1088).fill(0, 1536);
    writeFileSync(image, other);
    assert.deepEqual(await look(), before);
    assert.ok(readFileSync(image).equals(first));
    truncateSync(image, 100);
    assert.deepEqual(await look(), before);
    // Of this boot, and yet nothing that the kernel takes: the layer is extracted.
    writeFileSync(image, Buffer.from(first).fill(0, 1024, 1028));
    assert.deepEqual(await look(), before);
    assert.deepEqual(
      readdirSync(join(dir.path, 'layers'))
        .map((layer) => layer.replace(/^[0-9a-f]+/, ''))
        .sort(),
      ['', '.pack'],
    );
  },
);

test(
  'an image of 100,000 files and one of 5 GiB is mounted, and the last byte of it read',
  mounting,
  async () => {
    await using dir = await TempDir.create(tmpdir(), 'varve-erofs-');
    const size = 5 * 2 ** 30 + 1;
    const [data, image, target] = ['data', 'image', 'mount'].map((name) =>
      join(dir.path, name),
    ) as [string, string, string];
    const fd = openSync(data, 'w');
    writeSync(fd, 'end', size - 3);
    truncateSync(data, Math.ceil(size / 512) * 512);
    const rows = 100_002;
    const bytes = writeErofs(
      {
        rows,
        devices: [Math.ceil(size / 512) * 512],
        type: (row) => (row === 0 ? 'dir' : 'file'),
        parent: () => 0,
        name: (row) => Buffer.from(`file-${String(row).padStart(6, '0')}`),
        group: () => 0,
        node: (row) => ({
          type: row === 0 ? 'dir' : 'file',
          mode: 0o700,
          uid: 0,
          gid: 0,
          mtimeNs: 0n,
          xattrs: new Map(),
          size: row === rows - 1 ? size : 512,
          device: 0,
          offset: 0,
        }),
      },
      { blockBits: 9, uuid: Buffer.alloc(16) },
    );
    assert.ok(bytes);
    writeFileSync(image, bytes);
    mkdirSync(target);
    mountErofs({ image, devices: [data], target });
    try {
      const names = readdirSync(target);
      const last = openSync(join(target, `file-${rows - 1}`), 'r');
      const end = Buffer.alloc(10);
      const read = readSync(last, end, 0, 10, size - 3);
      assert.deepEqual(
        [
          names.length,
          names[0],
          end.subarray(0, read).toString(),
          lstatSync(join(target, 'file-000077')).size,
        ],
        [rows - 1, 'file-000001', 'end', 512],
      );
    } finally {
      unmount(target, { lazy: true });
    }
  },
);
