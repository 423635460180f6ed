import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ok, sha256, TempDir } from '../../../src/base/index.ts';
import type { OpBody, Vertex } from '../../../src/llb/index.ts';
import { createDiffDriver } from '../../../src/ops/diff-driver.ts';
import { createMergeDriver } from '../../../src/ops/merge-driver.ts';
import type {
  LayerChain,
  LayerId,
  OpContext,
  Snapshotter,
  TreeProvider,
} from '../../../src/ports/index.ts';
import { createSnapshotter } from '../../../src/snapshot/index.ts';

const chain = (...ids: string[]): LayerChain =>
  ids.map((id) => ({ id: id as LayerId, createdAt: 1 }));

function contextOf(body: OpBody): OpContext {
  const metadata = { description: {}, ignoreCache: false, caps: [], spans: [] };
  const vertex: Vertex = {
    digest: sha256('v'),
    op: { inputs: [], body },
    pb: new Uint8Array(),
    metadata,
  };
  return { vertex, signal: new AbortController().signal, emit: () => undefined };
}

const untouched = new Proxy({} as Snapshotter & TreeProvider, {
  get: (_, name) => assert.fail(`${String(name)} was used`),
});

const merge = (inputs: readonly number[]): OpContext =>
  contextOf({ kind: 'merge', merge: { inputs } });
const diff = (lower: number, upper: number): OpContext =>
  contextOf({ kind: 'diff', diff: { lower, upper } });

test('a merge is the chain of all layers and touches none', async () => {
  const driver = createMergeDriver({ snapshotter: untouched, trees: untouched });
  assert.deepEqual(
    await driver.run(merge([0, 1, -1]), [chain('a', 'b'), chain('c')]),
    ok([chain('a', 'b', 'c')]),
  );
  assert.deepEqual(
    await driver.run(merge([0, 1]), [chain('a', 'b'), chain('a', 'b', 'c')]),
    ok([chain('a', 'b', 'c')]),
  );
  const wrong = await driver.run(merge([0, 4]), [chain('a'), chain('b')]);
  assert.equal(
    wrong.ok ? '' : wrong.error.message,
    'malformed merge op: it names input 4, which it does not have',
  );
});

test('a diff of a tree built on the other is the layers between', async () => {
  const driver = createDiffDriver({ trees: untouched });
  assert.deepEqual(
    await driver.run(diff(0, 1), [chain('a'), chain('a', 'b', 'c')]),
    ok([chain('b', 'c')]),
  );
  assert.deepEqual(await driver.run(diff(0, 0), [chain('a')]), ok([[]]));
  assert.deepEqual(await driver.run(diff(-1, 0), [chain('a')]), ok([chain('a')]));
  const unrelated = await driver.run(diff(0, 1), [chain('a'), chain('b')]);
  assert.equal(unrelated.ok ? '' : unrelated.error.code, 'GR014');
});

test(
  'a layer that would stand twice is laid on again: its files win over what lies between',
  userInfo().uid === 0 ? {} : { skip: 'making layers needs root' },
  async () => {
    await using dir = await TempDir.create(tmpdir(), 'varve-merge-');
    const snapshotter = createSnapshotter({ root: dir.path });
    const layer = async (
      parents: LayerChain,
      files: Record<string, string>,
    ): Promise<LayerChain> => {
      await using active = await snapshotter.begin(parents);
      for (const [name, text] of Object.entries(files)) {
        mkdirSync(join(active.upper, name, '..'), { recursive: true });
        writeFileSync(join(active.upper, name), text);
      }
      return [...parents, await active.commit({ createdAt: 1 })];
    };
    const base = await layer([], { 'etc/conf': 'base', 'etc/os': 'base' });
    const left = await layer(base, { 'etc/conf': 'left', 'only-left': '1' });
    const right = await layer(base, { 'only-right': '1' });
    const trees = {
      materialise: (given: LayerChain) => Promise.resolve(ok(given)),
    } as unknown as TreeProvider;
    const merged = await createMergeDriver({ snapshotter, trees }).run(merge([0, 1]), [
      left,
      right,
    ]);
    assert.ok(merged.ok);
    const [result = []] = merged.value;
    assert.deepEqual([result.length, new Set(result.map(({ id }) => id)).size], [4, 4]);
    const tree = await snapshotter.tree(result);
    assert.deepEqual(
      [tree.list('/'), tree.list('/etc')],
      [
        ['etc', 'only-left', 'only-right'],
        ['conf', 'os'],
      ],
    );
    const parts: Uint8Array[] = [];
    for await (const part of tree.read('/etc/conf', new AbortController().signal)) parts.push(part);
    assert.equal(Buffer.concat(parts).toString(), 'base');
  },
);
