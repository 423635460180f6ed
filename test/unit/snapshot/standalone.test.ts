import assert from 'node:assert/strict';
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createSnapshotter } from '../../../src/snapshot/index.ts';
import { listDisk } from '../../rig/disk-listing.ts';

const needsRoot = userInfo().uid === 0 ? {} : { skip: 'needs root (overlay mounts)' };
const signal = new AbortController().signal;

test(
  'a layer that stands alone has what its parents had, and names nothing as gone',
  needsRoot,
  async () => {
    const dir = mkdtempSync(join(tmpdir(), 'varve-standalone-'));
    try {
      const snapshots = createSnapshotter({ root: dir });
      await using below = await snapshots.begin([]);
      {
        await using tree = await below.mount();
        for (const name of ['kept', 'gone', 'hidden/old', 'dir/file']) {
          mkdirSync(join(tree.path, name, '..'), { recursive: true });
          writeFileSync(join(tree.path, name), name);
        }
        linkSync(join(tree.path, 'kept'), join(tree.path, 'again'));
        utimesSync(join(tree.path, 'dir'), 1000, 1000);
      }
      const base = await below.commit({ createdAt: 0 });
      const known = (await snapshots.tree([base])).digest('/kept', signal);
      await known;
      await using above = await snapshots.begin([base]);
      {
        await using tree = await above.mount();
        rmSync(join(tree.path, 'gone'));
        rmSync(join(tree.path, 'hidden'), { recursive: true });
        mkdirSync(join(tree.path, 'hidden'));
        writeFileSync(join(tree.path, 'hidden/new'), 'new');
        writeFileSync(join(tree.path, 'dir/file'), 'changed');
        utimesSync(join(tree.path, 'dir'), 2000, 2000);
      }
      const alone = await above.commit({ createdAt: 0, standalone: true });
      await snapshots.remove(base.id);
      await using mounted = await snapshots.mount([alone]);
      const listed = Object.entries(listDisk(mounted.path)).map(
        ([path, text]) => `${path} ${text.replace(/ \d+:\d+/, '').replace(/ [0-9a-f]{16}/, '')}`,
      );
      assert.deepEqual(listed, [
        '/again file 644 4 links 2',
        '/dir dir 755',
        '/dir/file file 644 7 links 1',
        '/hidden dir 755',
        '/hidden/new file 644 3 links 1',
        '/kept file 644 4 links 2',
      ]);
      assert.equal(statSync(join(mounted.path, 'dir')).mtimeMs, 2_000_000);
      assert.equal(await (await snapshots.tree([alone])).digest('/kept', signal), await known);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
);
