import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  isAbandoned,
  removeAbandoned,
  sweepTemporaries,
  temporaryName,
  writeAtomically,
} from '../../../src/base/index.ts';

const BASE = join(import.meta.dirname, '../../../src/base/index.ts');

/** Names that a process gave which has ended, and one of this process. */
function names(): { readonly dead: string; readonly own: string; readonly foreign: string } {
  const script = `import(${JSON.stringify(BASE)}).then((m) => console.log(m.temporaryName('x')))`;
  const dead = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' }).stdout.trim();
  const own = temporaryName('x');
  const foreign = own.replace(/n[0-9a-f]{6}-/, 'n000000-');
  return { dead, own, foreign };
}

describe('temporary names', () => {
  test('say whose they are: a dead process, this one, one that cannot be looked up, one of an earlier boot', () => {
    const { dead, own, foreign } = names();
    const earlier = own.replace(/b[0-9a-f]{6}n/, 'b000000n');
    const old = '.tmp-x-0123456789ab';
    assert.deepEqual([dead, own, foreign, earlier, old].map(isAbandoned), [
      ...[true, false, false, true, false],
    ]);
  });

  test('of dead processes go at once, others after their time, and what is no temporary name never', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'varve-names-'));
    try {
      const { dead, own, foreign } = names();
      for (const name of [dead, own, foreign, '.tmp-x-0123456789ab', 'kept'])
        writeFileSync(join(dir, name), '');
      mkdirSync(join(dir, `${dead}-dir`));
      assert.equal(removeAbandoned(dir), 2);
      assert.equal(removeAbandoned(join(dir, 'absent')), 0);
      assert.deepEqual(
        readdirSync(dir).sort(),
        [own, foreign, '.tmp-x-0123456789ab', 'kept'].sort(),
      );
      const now = statSync(join(dir, own)).mtimeMs;
      assert.equal(await sweepTemporaries(dir, { olderThanMs: 1000, now }), 0);
      assert.equal(await sweepTemporaries(dir, { olderThanMs: 1000, now: now + 2000 }), 3);
      assert.deepEqual(readdirSync(dir), ['kept']);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});

test('a file whose last bytes find no space does not appear, and leaves nothing', {
  skip: process.getuid?.() === 0 ? false : 'mounts a small file system',
}, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'varve-short-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k,nr_inodes=10', 'tmpfs', dir]);
  try {
    const whole = [Buffer.alloc(4096), Buffer.alloc(4096 * 2, 'x')];
    const chunks = async function* (last: number): AsyncGenerator<Uint8Array> {
      yield* await Promise.resolve(whole);
      // write(2) takes what there is space for, and says so.
      yield Buffer.alloc(last, 'y');
    };
    await assert.rejects(writeAtomically(join(dir, 'short'), chunks(4096 + 100)), {
      code: 'ENOSPC',
    });
    assert.deepEqual(readdirSync(dir), []);
    await writeAtomically(join(dir, 'fits'), chunks(4096));
    assert.equal(statSync(join(dir, 'fits')).size, 4 * 4096);
  } finally {
    execFileSync('umount', [dir]);
    rmSync(dir, { recursive: true });
  }
});
