import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { writeTreeFile } from '../../../src/export/index.ts';
import { MemoryTree } from '../../rig/memory-tree.ts';

const { signal } = new AbortController();
const memo = { get: () => undefined, set: () => undefined };
const BASE = join(import.meta.dirname, '../../../src/base/index.ts');

describe('a file of a tree as a disk image', () => {
  test('takes the place of what a killed process left of it', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'varve-disk-'));
    try {
      const script = `import(${JSON.stringify(BASE)}).then((m) => console.log(m.temporaryName('disk.raw')))`;
      const dead = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' }).stdout.trim();
      writeFileSync(join(dir, dead), 'half');
      writeFileSync(join(dir, '.tmp-of-the-user'), '');
      const tree = new MemoryTree([{ path: '/disk.raw', type: 'file', content: 'whole' }]);
      const to = { kind: 'file', path: join(dir, 'disk.raw') } as const;
      const written = await writeTreeFile({ tree, path: '/disk.raw', memo }, to, signal);
      assert.deepEqual(written, { ok: true, value: 5 });
      assert.deepEqual(readdirSync(dir).sort(), ['.tmp-of-the-user', 'disk.raw']);
      assert.equal(readFileSync(to.path, 'utf8'), 'whole');
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  test('is not written when its disk takes only a part of it', {
    skip: process.getuid?.() === 0 ? false : 'mounts a small file system',
  }, async () => {
    const dir = mkdtempSync(join(tmpdir(), 'varve-disk-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k,nr_inodes=10', 'tmpfs', dir]);
    try {
      const content = Buffer.alloc(4 * 4096 + 100, 'x');
      const tree = new MemoryTree([{ path: '/disk.raw', type: 'file', content }]);
      const to = { kind: 'file', path: join(dir, 'disk.raw') } as const;
      const written = await writeTreeFile({ tree, path: '/disk.raw', memo }, to, signal);
      assert.deepEqual(written.ok ? written : [written.error.code, written.error.message], [
        'EX001',
        `writing ${to.path}: no space left on the disk`,
      ]);
      assert.deepEqual(readdirSync(dir), []);
    } finally {
      execFileSync('umount', [dir]);
      rmSync(dir, { recursive: true });
    }
  });
});
