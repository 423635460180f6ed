import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { branchOf } from '../../../src/cli/git-branch.ts';

test('the branch is what is said, what is checked out, or what the CI system says of a commit', () => {
  const root = mkdtempSync(join(tmpdir(), 'varve-branch-'));
  const write = (path: string, text: string): void => {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  try {
    write('a/.git/HEAD', 'ref: refs/heads/feature/one\n');
    write('a/sub/x', '');
    write('commit/.git/HEAD', '0123456789012345678901234567890123456789\n');
    write('tree/.git', 'gitdir: ../a/.git/worktrees/tree\n');
    write('a/.git/worktrees/tree/HEAD', 'ref: refs/heads/two\n');
    write('none/x', '');
    const ci = { GITHUB_REF_NAME: 'main' };
    const cases: readonly (readonly [string | undefined, Record<string, string>])[] = [
      ['a/sub', {}],
      ['a', ci],
      ['a', { VARVE_BRANCH: 'said' }],
      ['tree', {}],
      ['commit', {}],
      ['commit', ci],
      ['commit', { ...ci, GITHUB_HEAD_REF: 'pull' }],
      ['none', ci],
      [undefined, ci],
    ];
    assert.deepEqual(
      cases.map(([dir, env]) => branchOf(env, dir === undefined ? undefined : join(root, dir))),
      [
        ...['feature/one', 'feature/one', 'said', 'two', undefined],
        ...['main', 'pull', undefined, undefined],
      ],
    );
  } finally {
    rmSync(root, { recursive: true });
  }
});
