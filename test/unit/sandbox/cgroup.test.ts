import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { makeParentGroup, removeParentGroup } from '../../../src/sandbox/cgroup.ts';

const LIMITS = { memoryBytes: 1_000_000, cpus: 1.5, pids: 7 };

/** A directory that looks like a hierarchy whose group has the named files. */
function hierarchy(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'varve-cgroup-'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

test('a build’s group of version 2 is limited in memory without swap, and may hand its controllers on', () => {
  const controllers = 'cpuset cpu io memory pids\n';
  const names = ['memory.max', 'memory.swap.max', 'cpu.max', 'pids.max'];
  const root = hierarchy({
    'cgroup.controllers': controllers,
    'ci/cgroup.controllers': controllers,
    ...Object.fromEntries(names.map((name) => [`ci/varve-build-x/${name}`, 'max'])),
  });
  try {
    makeParentGroup({ version: 2, roots: [root], controllers: [] }, '/ci/varve-build-x', LIMITS);
    const read = (path: string): string => readFileSync(join(root, path), 'utf8');
    assert.deepEqual(
      names.map((name) => read(`ci/varve-build-x/${name}`)),
      ['1000000', '0', '150000 100000', '7'],
    );
    assert.equal(read('cgroup.subtree_control'), '+memory +cpu +pids');
    assert.equal(read('ci/cgroup.subtree_control'), '+memory +cpu +pids');
    assert.equal(existsSync(join(root, 'ci/varve-build-x/memory.limit_in_bytes')), false);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('a build’s groups of version 1 are limited each by its controller, and stay while something is in them', () => {
  const memory = hierarchy({
    'g/memory.limit_in_bytes': '',
    'g/memory.memsw.limit_in_bytes': '',
    'g/memory.use_hierarchy': '0',
  });
  const cpu = hierarchy({ 'g/cpu.cfs_period_us': '', 'g/cpu.cfs_quota_us': '' });
  const mounts = { version: 1 as const, roots: [memory, cpu], controllers: ['memory', 'cpu'] };
  try {
    makeParentGroup(mounts, '/g', LIMITS);
    const read = (root: string, name: string): string =>
      readFileSync(join(root, 'g', name), 'utf8');
    assert.deepEqual(
      [
        read(memory, 'memory.use_hierarchy'),
        read(memory, 'memory.limit_in_bytes'),
        read(memory, 'memory.memsw.limit_in_bytes'),
        read(cpu, 'cpu.cfs_period_us'),
        read(cpu, 'cpu.cfs_quota_us'),
      ],
      ['1', '1000000', '1000000', '100000', '150000'],
    );
    removeParentGroup(mounts, '/g');
    assert.deepEqual(
      [memory, cpu].map((root) => existsSync(join(root, 'g'))),
      [true, true],
    );
    removeParentGroup(mounts, '/none');
  } finally {
    for (const root of [memory, cpu]) rmSync(root, { recursive: true });
  }
});
