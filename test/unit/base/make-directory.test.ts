import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeDirectory } from '../../../src/base/index.ts';

const codeOf = (path: string): unknown => {
  try {
    makeDirectory(path);
    return 'made';
  } catch (e) {
    return e instanceof Error && 'code' in e ? e.code : e;
  }
};

test('a directory is made with all above it, and one that is there is left as it is', () => {
  const dir = mkdtempSync(join(tmpdir(), 'varve-test-'));
  try {
    const deep = join(dir, 'a/b/c');
    makeDirectory(deep, 0o700);
    assert.deepEqual(
      [deep, dir].map((each) => statSync(each).mode & 0o777),
      [0o700, 0o700],
    );
    makeDirectory(join(dir, 'a'), 0o755);
    assert.equal(statSync(join(dir, 'a')).mode & 0o777, 0o700);
    writeFileSync(join(dir, 'file'), '');
    assert.deepEqual(
      [codeOf(join(dir, 'file')), codeOf(join(dir, 'file/x'))],
      ['EEXIST', 'ENOTDIR'],
    );
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('a file system that makes no directories is an error, however deep the path below it', () => {
  assert.ok(existsSync('/proc/self'), '/proc is not mounted');
  assert.deepEqual(['/proc/none', '/proc/none/deeper/still'].map(codeOf), ['EPERM', 'EPERM']);
});
