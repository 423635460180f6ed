import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { BUSYBOX, needsSteps, Rig } from '../rig/rig.ts';
import { flip } from '../torture/scenarios.ts';

for (const [what, output, made] of [
  ['an archive', 'type=oci,dest=out.tar,rewrite-timestamp=true', 'out.tar'],
  ['a layout directory', 'type=oci,dest=out,tar=false,rewrite-timestamp=true', 'out/index.json'],
] as const)
  test(`a damaged blob does not get into ${what}: the export fails, and the next one is as the first`, {
    skip: needsSteps,
  }, async () => {
    await using rig = new Rig();
    rig.context('app', { Dockerfile: `${BUSYBOX}RUN echo made > /made\n` });
    const build = ['build', '-q', '--build-arg', 'SOURCE_DATE_EPOCH=1', '-o', output, 'app'];
    const digest = (): string =>
      createHash('sha256')
        .update(readFileSync(join(rig.work, made)))
        .digest('hex');
    const first = await rig.varve(build);
    assert.equal(first.status, 0, first.stderr);
    const wanted = digest();
    await rig.varve(['tidy']);
    const blobs = join(rig.store, 'content/blobs/sha256');
    const [largest = ''] = readdirSync(blobs).sort(
      (a, b) => statSync(join(blobs, b)).size - statSync(join(blobs, a)).size,
    );
    flip(join(blobs, largest), statSync(join(blobs, largest)).size >> 1);
    const second = await rig.varve(build.map((arg) => arg.replace('dest=out', 'dest=second')));
    assert.deepEqual(
      [second.status, second.stderr.split('\n').find((line) => line.startsWith('error'))],
      [
        3,
        `error[ST014]: blob sha256:${largest} is damaged on disk; it was moved to the quarantine`,
      ],
    );
    assert.equal(existsSync(join(rig.work, made.replace('out', 'second'))), false);
    const third = await rig.varve(build);
    assert.equal(third.status, 0, third.stderr);
    assert.equal(digest(), wanted);
  });
