import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { buildFiles } from '../rig/results.ts';
import { needsSteps, Rig } from '../rig/rig.ts';

describe('standard input of a build', { skip: needsSteps, concurrency: 2 }, () => {
  test('a Dockerfile, and a context, may come on standard input', async () => {
    await using rig = new Rig();
    rig.context('app', { Dockerfile: 'FROM nothing\n', 'a.txt': 'a\n' });
    const input = 'FROM scratch\nCOPY a.txt /b.txt\n';
    assert.deepEqual(await buildFiles(rig, ['-f', '-', 'app'], { input }), {
      files: { 'b.txt': 'a\n' },
      again: [],
    });
    rig.write('tar/sub/Other', input);
    rig.write('tar/a.txt', 'from the archive\n');
    const tar = execFileSync('tar', ['-cz', '-C', join(rig.work, 'tar'), '.']);
    assert.deepEqual(await buildFiles(rig, ['-f', 'sub/Other', '-'], { input: tar }), {
      files: { 'b.txt': 'from the archive\n' },
      again: [],
    });
    const text = 'FROM scratch\nCOPY <<EOF /t\ntext\nEOF\n';
    assert.deepEqual(await buildFiles(rig, ['-'], { input: text }), {
      files: { t: 'text\n' },
      again: [],
    });
  });

  test('it is not two things at once', async () => {
    await using rig = new Rig();
    rig.context('app', { other: 'FROM scratch\n' });
    const input = 'FROM scratch\nCOPY <<EOF /t\ntext\nEOF\n';
    const refused = async (...args: string[]): Promise<unknown> => {
      const { status, stderr } = await rig.varve(['build', ...args], { input });
      return [status, stderr.split('\n', 1)[0]];
    };
    assert.deepEqual(await refused('-f', '-', '-'), [
      2,
      "error[CL007]: can't use stdin for both build context and dockerfile",
    ]);
    assert.deepEqual(await refused('-f', 'app/other', '-'), [
      2,
      'error[CL007]: ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles',
    ]);
  });
});
