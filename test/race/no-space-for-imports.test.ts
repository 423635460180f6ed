import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { note } from '../rig/golden.ts';
import { needsSteps } from '../rig/rig.ts';
import { fillOnce } from '../torture/full-disk.ts';
import { tally } from '../torture/kills.ts';
import { SCENARIOS } from '../torture/scenarios.ts';
import { makeReady, type Ready } from '../torture/trial.ts';
import { World } from '../torture/world.ts';

/** Writes at which a layer, a key or a configuration of the cache comes in. */
const POINTS = [
  'write content/ingest/.tmp-blob-*',
  'sync content/ingest/.tmp-blob-*',
  // The tar of a layer that is mounted, else a file of one that is extracted.
  ['write snapshots/work/*/layer/data', 'write snapshots/work/*/layer/fs/*'],
  'db insert into result',
];

describe('no space for a moment in a build from an imported cache', { skip: needsSteps }, () => {
  let world: World;
  let ready: Ready;
  before(async () => {
    world = new World();
    const scenario = SCENARIOS.find(({ name }) => name === 'build from an imported cache');
    assert.ok(scenario !== undefined);
    ready = await makeReady(world, scenario);
  });
  after(async () => {
    await world[Symbol.asyncDispose]();
  });

  test('the build fails clearly or is right, and repeated it comes to what the cache has', async () => {
    const into = tally();
    for (const either of POINTS) {
      const point = [either].flat().find((each) => ready.points.has(each));
      assert.ok(point !== undefined, [...ready.points.keys()].join('\n'));
      await fillOnce(world, ready, { point, nth: 1, once: true }, into);
    }
    assert.deepEqual(into.losses, []);
    assert.equal(into.done, POINTS.length);
    note(`${into.done} writes without space for a moment, no loss`);
  });
});
