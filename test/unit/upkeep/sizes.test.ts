import assert from 'node:assert/strict';
import { linkSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Measured } from '../../../src/ports/index.ts';
import { Sizes } from '../../../src/upkeep/sizes.ts';

const root = mkdtempSync(join(tmpdir(), 'varve-sizes-'));
after(() => rmSync(root, { recursive: true, force: true }));

/** What a look at the trees counts, in files of the same size, and whether it has to be repeated; what it remembers is known then. */
function look(known: Map<string, Measured>, trees: readonly string[]): readonly unknown[] {
  const sizes = new Sizes(new Map(known));
  const empty = statSync(join(root, 'empty')).blocks * 512;
  const file = statSync(join(root, 'a/file')).blocks * 512;
  const counted = trees.map((tree) => {
    const { bytes, shared } = sizes.stamped(tree, 'stamp', [join(root, tree)]);
    return `${tree} ${(bytes - empty) / file}+${shared / file}`;
  });
  for (const [id, size] of sizes.fresh) known.set(id, size);
  return [...counted, sizes.doubtful];
}

test('a file of two trees counts once, whatever was measured before the second one was linked to it', () => {
  for (const name of ['a', 'b', 'empty']) mkdirSync(join(root, name));
  writeFileSync(join(root, 'a/file'), Buffer.alloc(100_000, 'x'));
  linkSync(join(root, 'a/file'), join(root, 'a/again'));
  const known = new Map<string, Measured>();
  assert.deepEqual(look(known, ['a', 'empty']), ['a 1+0', 'empty 0+0', false]);
  linkSync(join(root, 'a/file'), join(root, 'b/file'));
  // The first tree is known, the second is new and has a file that somebody else may have counted.
  assert.deepEqual(look(known, ['a', 'b', 'empty']), ['a 1+0', 'b 1+0', 'empty 0+0', true]);
  known.clear();
  const once = ['a 1+0', 'b 0+1', 'empty 0+0', false];
  assert.deepEqual(look(known, ['a', 'b', 'empty']), once);
  // Again, and again: neither of the two is remembered.
  assert.deepEqual(look(known, ['a', 'b', 'empty']), once);
  assert.deepEqual(look(known, ['b', 'a', 'empty']), ['b 1+0', 'a 0+1', 'empty 0+0', false]);
});
