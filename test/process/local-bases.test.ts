import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { BUSYBOX, needsSteps, Rig } from '../rig/rig.ts';

test('building on an image of the same store extracts none of its layers', {
  skip: needsSteps,
}, async () => {
  await using rig = new Rig();
  rig.context('base', { Dockerfile: `${BUSYBOX}RUN mkdir /d && echo made > /d/made\n` });
  const check = 'cat /d/made > /copied && ls / >> /copied';
  rig.context('app', { Dockerfile: `FROM local/base\nRUN --network=none ${check}\n` });
  const base = await rig.varve(['build', '-t', 'local/base', 'base']);
  assert.equal(base.status, 0, base.stderr);
  const out = ['-o', `type=local,dest=${join(rig.work, 'out')}`];
  const app = await rig.varve(['build', '--progress=plain', ...out, 'app']);
  assert.equal(app.status, 0, app.stderr);
  assert.deepEqual(app.stderr.match(/extracting .*/g), null);
  assert.match(readFileSync(join(rig.work, 'out/copied'), 'utf8'), /^made\nbin\n/);
});
