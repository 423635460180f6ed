import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { note } from '../rig/golden.ts';
import { needsSteps } from '../rig/rig.ts';
import { trimBeside } from '../torture/beside.ts';
import { tally } from '../torture/kills.ts';
import { SCENARIOS } from '../torture/scenarios.ts';
import { makeReady } from '../torture/trial.ts';
import { World } from '../torture/world.ts';

/** Where each command has looked up what it needs and not yet used it. */
const POINTS: readonly (readonly [scenario: string, point: RegExp])[] = [
  ['export of what is there', /^open output\/\.tmp-image\.tar/],
  // A layer was compressed, the others were not; the cache mount comes behind them.
  // The index is downloaded, and not yet in its place.
  ['choose packages', /^rename packages\/index\/\*$/],
  ['cache to a shared directory', /^sync content\/ingest\/\.tmp-blob-\*/],
];

describe('a trim of everything in the middle of another command', { skip: needsSteps }, () => {
  let world: World;
  before(() => {
    world = new World();
  });
  after(async () => {
    await world[Symbol.asyncDispose]();
  });

  for (const [name, pattern] of POINTS)
    test(`${name}: what was found in place is still there when it is used`, {
      skip: SCENARIOS.find((each) => each.name === name)?.lacks ?? false,
    }, async () => {
      const scenario = SCENARIOS.find((each) => each.name === name);
      assert.ok(scenario !== undefined);
      const ready = await makeReady(world, scenario);
      const point = [...ready.points.keys()].find((each) => pattern.test(each));
      assert.ok(point !== undefined, [...ready.points.keys()].join('\n'));
      const into = tally();
      for (const planned of [true, false])
        await trimBeside(world, ready, { point, nth: 1, planned }, into);
      assert.deepEqual(into.losses, []);
      assert.equal(into.done, 2, 'both trims ran');
      note(`trimmed before "${point}"`);
    });
});
