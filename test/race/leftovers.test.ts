import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { note } from '../rig/golden.ts';
import { needsSteps } from '../rig/rig.ts';
import { databaseFaults, leftovers, temporaryNames } from '../torture/inspect.ts';
import { must, SCENARIOS } from '../torture/scenarios.ts';
import { World } from '../torture/world.ts';

/** A command that dies before it gives a file its name, after it moved one aside, or while it removes a directory. */
type Death = readonly [at: string, when: 'before' | 'after' | 'torn', nth?: number];
const DEATHS: Readonly<Record<string, readonly Death[]>> = {
  'build and export to archives': [
    ['rename contexts/*.idx', 'before'],
    ['rename snapshots/recent/*', 'before'],
    ['rename mounts/*/#/info.json', 'before'],
    ['rename content/blobs/sha#/*', 'before'],
    ['rename content/index.json', 'before'],
    ['rm snapshots/work/*', 'torn', 3],
    ['rm snapshots/work/*', 'torn', 6],
  ],
  prune: [['rename trash/*/#', 'after']],
  'compose a disk': [['rename packages/lock/*', 'before']],
  'cache warm': [['rename content/blobs/sha#/*', 'before']],
};

describe('what a killed command left unfinished', { skip: needsSteps }, () => {
  let world: World;
  before(() => {
    world = new World();
  });
  after(async () => {
    await world[Symbol.asyncDispose]();
  });

  test('is gone after the next command, whatever that is', async () => {
    const faults: string[] = [];
    let count = 0;
    for (const [name, deaths] of Object.entries(DEATHS)) {
      const scenario = SCENARIOS.find((each) => each.name === name);
      assert.ok(scenario !== undefined);
      if (scenario.lacks !== undefined && scenario.lacks !== false) {
        note(`left out: ${name}: ${scenario.lacks}`);
        continue;
      }
      const from = world.place();
      await scenario.prepare?.(world, from);
      for (const [point, when, nth = 1] of deaths) {
        count++;
        const place = world.place(from);
        const kill = { point, nth, when };
        await world.run(place, await scenario.command(world, place), { kill });
        if (unfinished(place.store).length === 0)
          faults.push(`${point}: nothing was left to remove`);
        await must(world, place, { args: ['image', 'ls'] });
        const still = [
          ...unfinished(place.store),
          ...leftovers(place.store, []),
          ...databaseFaults(place.store),
        ];
        faults.push(...still.map((text) => `${name}, killed ${when} "${point}": ${text}`));
        world.remove(place);
      }
    }
    assert.deepEqual(faults, []);
    note(`${count} commands killed over unfinished files, none left`);
  });
});

const unfinished = (store: string): readonly string[] => [
  ...temporaryNames(store),
  ...['trash', 'snapshots/work'].flatMap((folder) => globSync(`${folder}/*`, { cwd: store })),
];
