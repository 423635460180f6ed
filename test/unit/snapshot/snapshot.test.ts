import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { TempDir } from '../../../src/base/index.ts';
import type { LayerChain, LayerId } from '../../../src/ports/index.ts';
import { createSnapshotter, type LayerStore } from '../../../src/snapshot/index.ts';
import { mountTmpfs } from '../../../src/sys/index.ts';
import {
  chunked,
  collect,
  digestOf,
  type Member,
  membersOf,
  tarOf,
} from '../../conformance/tar-rig.ts';
import { goldenJson, needsGolden, note } from '../../rig/golden.ts';

const signal = new AbortController().signal;
const root = userInfo().uid === 0 ? {} : { skip: 'layers with owners and whiteouts need root' };

async function withStore(body: (store: LayerStore, dir: string) => Promise<void>): Promise<void> {
  await using dir = await TempDir.create(tmpdir(), 'varve-store-');
  await body(createSnapshotter({ root: dir.path }), dir.path);
}

async function apply(
  store: LayerStore,
  members: readonly Member[],
  below: LayerChain = [],
): Promise<LayerChain> {
  const bytes = tarOf(members);
  const diffId = digestOf(bytes);
  // Brand: an outside layer's id is its diffID (ports/snapshotter.ts).
  const chain = [...below, { id: diffId as string as LayerId, diffId, createdAt: 1 }];
  const result = await store.apply(chain, chunked(bytes), { signal });
  assert.equal(result.ok ? '' : result.error.message, '');
  return chain;
}

/** The only layer's directory. */
function onlyLayer(dir: string): string {
  const [name] = readdirSync(join(dir, 'layers'));
  return join(dir, 'layers', name ?? '');
}

/** Makes a layer look as if it had been written before the machine was started. */
function reboot(dir: string): void {
  const path = join(onlyLayer(dir), 'meta.json');
  writeFileSync(path, readFileSync(path, 'utf8').replace(/"boot":"[^"]*"/, '"boot":"earlier"'));
}

test('a layer that was not settled is not trusted after another boot, and swept', root, () =>
  withStore(async (store, dir) => {
    const chain = await apply(store, [{ name: 'f', data: 'x' }]);
    assert.equal(await store.has(chain), true);
    reboot(dir);
    assert.deepEqual([await store.has(chain), await Array.fromAsync(store.list())], [false, []]);
    await store.sweep();
    assert.deepEqual([readdirSync(join(dir, 'layers')), readdirSync(join(dir, 'work'))], [[], []]);
    assert.equal(await store.has(await apply(store, [{ name: 'f', data: 'x' }])), true);
  }),
);

test('a settled layer outlives a boot', root, () =>
  withStore(async (store, dir) => {
    const chain = await apply(store, [{ name: 'f', data: 'x' }]);
    store.settle();
    reboot(dir);
    await store.sweep();
    assert.equal(await store.has(chain), true);
  }),
);

test('a layer whose metadata is torn is not there, and is made again', root, () =>
  withStore(async (store, dir) => {
    const chain = await apply(store, [{ name: 'f', data: 'x' }]);
    writeFileSync(join(onlyLayer(dir), 'meta.json'), '{"id":"sha');
    assert.equal(await store.has(chain), false);
    await apply(store, [{ name: 'f', data: 'x' }]);
    assert.equal(await store.has(chain), true);
  }),
);

test('a sweep removes what a dead process left, mounts too, and nothing that is in use', root, () =>
  withStore(async (store, dir) => {
    const dead = join(dir, 'work/dead');
    mkdirSync(join(dead, 'mount1'), { recursive: true });
    writeFileSync(join(dead, 'lock'), '');
    mountTmpfs(join(dead, 'mount1'));
    const alive = await store.begin([]);
    await store.sweep();
    assert.equal(readdirSync(join(dir, 'work')).length, 1);
    assert.equal(statSync(alive.upper).isDirectory(), true);
    await alive[Symbol.asyncDispose]();
    assert.deepEqual(readdirSync(join(dir, 'work')), []);
  }),
);

test('a working directory whose owner died before it had its lock is removed', root, () =>
  withStore(async (store, dir) => {
    mkdirSync(join(dir, 'work/empty'));
    mkdirSync(join(dir, 'work/unlocked'));
    writeFileSync(join(dir, 'work/unlocked/lock.new'), '');
    await store.sweep();
    assert.deepEqual(readdirSync(join(dir, 'work')), []);
  }),
);

test('a working directory whose owner died while it removed it is removed, mounts too', root, () =>
  withStore(async (store, dir) => {
    const dead = join(dir, 'work/dead');
    mkdirSync(join(dead, 'mount1'), { recursive: true });
    mkdirSync(join(dead, 'layer'));
    writeFileSync(join(dead, 'layer/entries'), 'x');
    mountTmpfs(join(dead, 'mount1'));
    await store.sweep();
    assert.deepEqual(readdirSync(join(dir, 'work')), []);
  }),
);

test('digests are kept beside the layer, and a damaged line is not believed', root, () =>
  withStore(async (store, dir) => {
    const chain = await apply(store, [{ name: 'f', data: 'x' }]);
    const ask = async (): Promise<string> =>
      (await createSnapshotter({ root: dir }).tree(chain)).digest('/f', signal);
    const digest = await ask();
    const file = join(onlyLayer(dir), 'digests');
    const line = readFileSync(file, 'utf8');
    assert.equal(await ask(), digest);
    assert.equal(readFileSync(file, 'utf8'), line);
    writeFileSync(
      file,
      line.replace(/[0-9a-f](?= ")/, (c) => (c === '0' ? '1' : '0')),
    );
    assert.equal(await ask(), digest);
    appendFileSync(file, line.slice(0, 20));
    assert.equal(await ask(), digest);
    rmSync(file);
    assert.equal(await ask(), digest);
  }),
);

test(
  'a step on a base like that of case 09 gives the layer listing BuildKit wrote',
  { ...root, ...needsGolden },
  () =>
    withStore(async (store) => {
      const members = goldenJson<Record<string, GoldenMember[]>>(
        'cachekeys/09-deletes-links/layers.json',
      );
      let same = 0;
      for (const [base, script, index] of STEPS) {
        const below = await apply(store, base);
        await using layer = await store.begin(below);
        {
          await using mounted = await layer.mount();
          execFileSync('sh', ['-ec', `umask 022; ${script}`], { cwd: mounted.path });
        }
        const chain = [...below, await layer.commit({ createdAt: 1 })];
        const written = await membersOf(await collect(store.tar(chain, { signal })));
        assert.deepEqual(
          written.map((m) => [m.name, m.type, m.mode.toString(8).padStart(4, '0'), m.link]),
          (members[index] ?? []).map((m) => [m.name, m.type, m.mode, m.linkname]),
        );
        same++;
      }
      note(`${same} of ${STEPS.length} layer listings of case 09 equal`);
    }),
);

test('umoci unpacks what is written here to the same tree', root, () =>
  withStore(async (store, dir) => {
    const below = await apply(store, [{ name: 'd/' }, { name: 'd/old' }, { name: 'keep' }]);
    const chain = await apply(
      store,
      [
        { name: 'd/' },
        { name: 'd/.wh.old' },
        { name: 'd/new', uid: 70_000 },
        { name: 'ln', type: 'hardlink', link: 'd/new' },
      ],
      below,
    );
    const oci = join(dir, 'oci');
    const umoci = (...args: string[]): void => void execFileSync('umoci', args, { stdio: 'pipe' });
    umoci('init', '--layout', oci);
    umoci('new', '--image', `${oci}:t`);
    for (let i = 1; i <= chain.length; i++) {
      writeFileSync(join(dir, 'l.tar'), await collect(store.tar(chain.slice(0, i), { signal })));
      umoci('raw', 'add-layer', '--image', `${oci}:t`, join(dir, 'l.tar'));
    }
    umoci('unpack', '--image', `${oci}:t`, join(dir, 'bundle'));
    await using mounted = await store.mount(chain);
    const show = (path: string): string =>
      execFileSync('find', ['.', '-mindepth', '1', '-printf', '%P %y %m %U %G %l\n'], {
        cwd: path,
      })
        .toString()
        .split('\n')
        .sort()
        .join('\n');
    assert.equal(show(join(dir, 'bundle/rootfs')), show(mounted.path));
  }),
);

interface GoldenMember {
  readonly name: string;
  readonly type: string;
  readonly mode: string;
  readonly linkname?: string;
}

/** Base, step, and the golden layer that has the same shape. */
const STEPS: readonly (readonly [base: readonly Member[], script: string, index: string])[] = [
  [
    [
      { name: 'var/' },
      { name: 'var/lib/' },
      { name: 'var/lib/data/' },
      { name: 'var/lib/data/one' },
    ],
    'rm var/lib/data/one',
    '4',
  ],
  [
    [
      { name: 'd/' },
      { name: 'd/sub/' },
      { name: 'd/sub/x' },
      { name: 'var/' },
      { name: 'var/lib/' },
      { name: 'var/lib/data/' },
      { name: 'var/lib/data/two' },
    ],
    'rm -r d/sub; mv var/lib/data v; mkdir var/lib/data; mv v/two var/lib/data/t; rm -r v; rm var/lib/data/t; echo new > var/lib/data/three',
    '5',
  ],
  [[{ name: 'd/' }, { name: 'd/one' }], 'rm -r d; echo file > d', '6'],
  [[{ name: 'opt-file' }], 'rm opt-file; mkdir opt-file; touch opt-file/x', '7'],
  [[{ name: 'bin/' }], 'echo h > h1; ln h1 h2; ln h1 bin/h3; ln -s /h1 s1; ln -s ../nope s2', '8'],
  [[{ name: 'x' }], 'true', '15'],
];
