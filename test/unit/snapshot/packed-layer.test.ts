import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FailureError, sha256, TempDir } from '../../../src/base/index.ts';
import type { FileEntry, FileTree } from '../../../src/cachekey/index.ts';
import type { LayerChain, LayerId, PackedEntry, PackedLayer } from '../../../src/ports/index.ts';
import { createSnapshotter, type LayerStore } from '../../../src/snapshot/index.ts';
import { chunked, collect, digestOf, type Member, tarOf } from '../../conformance/tar-rig.ts';

const signal = new AbortController().signal;
const root = userInfo().uid === 0 ? {} : { skip: 'layers with owners and whiteouts need root' };
const SECOND = 1_000_000_000n;

async function withStore(body: (store: LayerStore, dir: string) => Promise<void>): Promise<void> {
  await using dir = await TempDir.create(tmpdir(), 'varve-packed-');
  await body(createSnapshotter({ root: dir.path }), dir.path);
}

async function applied(
  store: LayerStore,
  below: LayerChain,
  bytes: Uint8Array,
): Promise<LayerChain> {
  const diffId = digestOf(bytes);
  // Brand: an outside layer's id is its diffID (ports/snapshotter.ts).
  const chain = [...below, { id: diffId as string as LayerId, diffId, createdAt: 1 }];
  const result = await store.apply(chain, chunked(bytes), { signal });
  assert.equal(result.ok ? '' : result.error.message, '');
  return chain;
}

function entry(type: PackedEntry['type'], more: Partial<PackedEntry> = {}): PackedEntry {
  const mode = type === 'dir' ? 0o755 : 0o644;
  return { type, mode, uid: 0, gid: 0, mtimeNs: 7n * SECOND, xattrs: new Map(), ...more };
}

async function commit(
  layer: PackedLayer,
  entries: Readonly<Record<string, PackedEntry>>,
): Promise<LayerChain> {
  const all = new Map([['/', entry('dir')], ...Object.entries(entries)]);
  return [...layer.parents, await layer.commit(all, { createdAt: 1, signal })];
}

/** A source whose reads are counted. */
class Source implements FileTree {
  readonly rootHeader = 'entry';
  readonly reads: string[] = [];
  readonly #files: Readonly<Record<string, string>>;

  constructor(files: Readonly<Record<string, string>>) {
    this.#files = files;
  }
  lstat(path: string): FileEntry {
    const size = Buffer.from(this.#files[path] ?? '').length;
    const meta = { mode: 0o644, uid: 0, gid: 0, mtimeNs: 7n * SECOND, xattrs: new Map() };
    return { type: 'file', size, ...meta };
  }
  list(): readonly string[] {
    return [];
  }
  digest(path: string): Promise<ReturnType<typeof sha256>> {
    return Promise.resolve(this.knownDigest(path));
  }
  knownDigest(path: string): ReturnType<typeof sha256> {
    return sha256(this.#files[path] ?? '');
  }
  readNow(path: string): Uint8Array {
    this.reads.push(path);
    return Buffer.from(this.#files[path] ?? '');
  }
  read(): AsyncIterable<Uint8Array> {
    throw new Error('not asked for');
  }
  diskPath(): undefined {
    return undefined;
  }
}

async function copyAll(
  store: LayerStore,
  files: Readonly<Record<string, string>>,
): Promise<{ readonly chain: LayerChain; readonly reads: readonly string[] }> {
  const source = new Source(files);
  await using layer = await store.pack([], { like: 'the op' });
  const entries: Record<string, PackedEntry> = {};
  for (const path of Object.keys(files)) {
    const from = { tree: source, path, entry: source.lstat(path) };
    entries[path] = entry('file', { data: await layer.copy(from, signal) });
  }
  return { chain: await commit(layer, entries), reads: source.reads };
}

const BELOW: readonly Member[] = [
  { name: 'etc/' },
  { name: 'etc/keep', data: 'keep' },
  { name: 'etc/same', data: 'same', mtimeNs: 7n * SECOND },
  { name: 'etc/gone', data: 'gone' },
  { name: 'old/' },
  { name: 'old/hidden', data: 'hidden' },
];

async function everyKind(store: LayerStore): Promise<LayerChain> {
  await using layer = await store.pack(await applied(store, [], tarOf(BELOW)));
  const linked = entry('file', { data: layer.write(Buffer.from('linked')), mode: 0o4755 });
  const bytes = [Buffer.alloc(200_000, 'a'), Buffer.alloc(200_000, 'b')];
  const data = await layer.stream(
    (async function* () {
      yield* bytes;
      await Promise.resolve();
    })(),
  );
  return await commit(layer, {
    '/etc': entry('dir'),
    '/etc/same': entry('file', { data: layer.write(Buffer.from('same')) }),
    '/etc/gone': entry('whiteout'),
    '/etc/a': linked,
    '/etc/b': linked,
    '/old': entry('dir', { opaque: true }),
    '/old/large': entry('file', { data, uid: 5, gid: 6 }),
    '/old/link': entry('symlink', { link: '../etc/a', mode: 0o777 }),
    '/old/pipe': entry('fifo', { xattrs: new Map() }),
    '/empty': entry('file', { data: layer.write(new Uint8Array(0)) }),
  });
}

test('a packed layer, its tar extracted, and its mount show the same tree', root, () =>
  withStore(async (store) => {
    const packed = await everyKind(store);
    const bytes = await collect(store.tar(packed, { signal }));
    const extracted = await applied(store, packed.slice(0, 1), bytes);
    const show = async (chain: LayerChain): Promise<string> => {
      await using mounted = await store.mount(chain);
      const find = ['.', '-printf', '%p %y %m %U %G %s %T@ %l\n', '-type', 'f'];
      const list = execFileSync('find', [...find, '-exec', 'sha256sum', '{}', ';'], {
        cwd: mounted.path,
        encoding: 'utf8',
      });
      // The root is no part of a layer's tar.
      return list
        .split('\n')
        .filter((l) => !l.startsWith('. '))
        .sort()
        .join('\n');
    };
    assert.equal(await show(packed), await show(extracted));
    assert.deepEqual(await collect(store.tar(extracted, { signal })), bytes);
    const tree = await store.tree(packed);
    assert.deepEqual(
      ['/', '/etc', '/old'].map((dir) => tree.list(dir)),
      [
        ['empty', 'etc', 'old'],
        ['a', 'b', 'keep', 'same'],
        ['large', 'link', 'pipe'],
      ],
    );
  }),
);

test('a packed layer becomes a directory when it is mounted, not before', root, () =>
  withStore(async (store, dir) => {
    const chain = await everyKind(store);
    const forms = (): number => readdirSync(join(dir, 'layers')).length;
    const before = forms();
    const tree = await store.tree(chain);
    await collect(store.tar(chain, { signal }));
    await collect(tree.read('/old/large', signal));
    assert.equal(forms(), before);
    {
      await using _mounted = await store.mount(chain);
      assert.equal(forms(), before + 1);
    }
    const top = chain.at(-1);
    assert.ok(top !== undefined);
    await store.remove(top.id);
    assert.deepEqual([forms(), await store.has(chain)], [1, false]);
  }),
);

test(
  'what did not change comes from the layer before, also when the contents take turns',
  root,
  () =>
    withStore(async (store) => {
      const first = { '/a': 'one', '/b': 'two', '/c': 'three' };
      const reads: (readonly string[])[] = [];
      for (const files of [first, { ...first, '/b': 'zwei' }, { ...first, '/d': 'one' }]) {
        const made = await copyAll(store, files);
        reads.push(made.reads);
        const tree = await store.tree(made.chain);
        for (const [path, text] of Object.entries(files))
          assert.equal(String(await collect(tree.read(path, signal))), text);
      }
      // The third looks in the latest layer only, as long as little is missing there.
      assert.deepEqual(reads, [['/a', '/b', '/c'], ['/b'], ['/b']]);
    }),
);

test('damaged data is passed over as a source, and a failure where it is read', root, () =>
  withStore(async (store, dir) => {
    const files = { '/a': 'one', '/b': 'two' };
    const first = await copyAll(store, files);
    const [name = ''] = readdirSync(join(dir, 'layers'));
    const path = join(dir, 'layers', name, 'data');
    writeFileSync(path, readFileSync(path, 'utf8').replace('one', 'oNe'));
    const fresh = createSnapshotter({ root: dir });
    assert.deepEqual((await copyAll(fresh, files)).reads, ['/a']);
    await assert.rejects(
      collect(fresh.tar(first.chain, { signal })),
      (e) => e instanceof FailureError && e.failure.code === 'ST304',
    );
    writeFileSync(join(dir, 'layers', name, 'entries'), 'torn');
    const again = createSnapshotter({ root: dir });
    await assert.rejects(
      async () => (await again.tree(first.chain)).list('/'),
      (e) => e instanceof FailureError && e.failure.code === 'ST304',
    );
  }),
);

test('a packed layer that was not committed leaves nothing', root, () =>
  withStore(async (store, dir) => {
    {
      await using layer = await store.pack([]);
      layer.write(Buffer.alloc(2_000_000));
    }
    assert.deepEqual([readdirSync(join(dir, 'layers')), readdirSync(join(dir, 'work'))], [[], []]);
  }),
);
