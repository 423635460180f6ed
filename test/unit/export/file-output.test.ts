import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { sha256 } from '../../../src/base/index.ts';
import { writeTreeFile } from '../../../src/export/index.ts';
import { MemoryTree } from '../../rig/memory-tree.ts';

const { signal } = new AbortController();
const MIB = 1024 * 1024;
const memo = { get: () => undefined, set: () => undefined, setAll: () => undefined };
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

  test('is written with the bytes and the holes that it has on disk', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'varve-disk-'));
    try {
      const differing: string[] = [];
      for (const [name, extents] of Object.entries({
        holes: [0, 3, 9],
        'hole at both ends': [4, 5],
        'only a hole': [],
        'no hole, zeros inside': 'zeros',
      } as const)) {
        const from = join(dir, 'from');
        const fd = openSync(from, 'w');
        ftruncateSync(fd, 10 * MIB);
        if (extents === 'zeros') {
          writeSync(fd, Buffer.alloc(10 * MIB));
          writeSync(fd, 'x', MIB * 2 + 5);
        } else
          for (const at of extents) writeSync(fd, Buffer.alloc(70_000, 'x'), 0, 70_000, at * MIB);
        closeSync(fd);
        const tree = new MemoryTree([{ path: '/disk.raw', type: 'file', content: '' }]);
        const to = { kind: 'file', path: join(dir, 'to') } as const;
        Object.defineProperty(tree, 'diskPath', { value: () => from });
        const written = await writeTreeFile({ tree, path: '/disk.raw', memo }, to, signal);
        assert.ok(written.ok);
        if (sha256(readFileSync(to.path)) !== sha256(readFileSync(from)))
          differing.push(`${name}: bytes`);
        if (statSync(to.path).blocks * 512 > 3 * MIB) differing.push(`${name}: no holes`);
      }
      assert.deepEqual(differing, []);
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
