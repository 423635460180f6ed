import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { note } from '../rig/golden.ts';
import { needsSteps } from '../rig/rig.ts';
import { jump } from '../torture/clock.ts';
import { Coverage } from '../torture/coverage.ts';
import { crowd } from '../torture/crowd.ts';
import { spoiltDisk, staleStep } from '../torture/disks.ts';
import { flipOnce, kindsOf, makeFlippable } from '../torture/flips.ts';
import { fillCheaply, fillFileSystem, unclear } from '../torture/full-disk.ts';
import { killAt, killOnce, type Tally, tally } from '../torture/kills.ts';
import { Random } from '../torture/random.ts';
import { SCENARIOS } from '../torture/scenarios.ts';
import { afterFault, makeReady, type Ready } from '../torture/trial.ts';
import { World } from '../torture/world.ts';

/** The short form of `npm run torture`: the same attempts, fewer of them, from one seed. */
const SEED = 2026;
const [KILLS, WRITES, FLIPS, PROCESSES] = [10, 6, 6, 12];
const WANTED = ['build and export to archives', 'image load and save', 'gc'];

describe('torture of the store', { skip: needsSteps }, () => {
  const random = new Random(SEED);
  let world: World;
  const ready: Ready[] = [];

  before(async () => {
    world = new World();
    for (const scenario of SCENARIOS.filter(({ name }) => WANTED.includes(name)))
      ready.push(await makeReady(world, scenario));
  });
  after(async () => {
    await world[Symbol.asyncDispose]();
  });

  const first = (): Ready => {
    const [made] = ready;
    assert.ok(made !== undefined);
    return made;
  };
  const noLoss = (what: string, into: Tally): void => {
    assert.deepEqual(into.losses, [], `seed ${SEED}`);
    assert.ok(into.done > 0, 'something was tried');
    note(`torture: ${into.done} ${what}, no loss (seed ${SEED})`);
  };

  test('the harness sees a file that is not what its name says', () => {
    const place = world.place();
    mkdirSync(join(place.store, 'content/blobs/sha256'), { recursive: true });
    const name = `content/blobs/sha256/${'a'.repeat(64)}`;
    writeFileSync(join(place.store, name), 'torn');
    assert.deepEqual(afterFault(place), [
      `right after it: ${name} has other bytes than its name says`,
    ]);
    world.remove(place);
  });

  test('the harness tells a clear failure for lack of space from another one', () => {
    const step = 'error[SB010]: process "dd" did not complete successfully: exit code: 1\n';
    const full = "dd: error writing '/disk': No space left on device\n";
    const ends = [
      { status: 0, stderr: '' },
      { status: 3, stderr: 'error[ST001]: no space\n' },
      { status: 1, stderr: step + full },
      { status: 3, stderr: 'something happened\n' },
      { status: 1, stderr: step },
      { status: 1, stderr: full },
      { status: 70, stderr: full },
    ];
    assert.deepEqual(
      ends.map((end) => unclear({ ...end, stdout: '' }).length),
      [0, 0, 0, 1, 1, 1, 1],
    );
  });

  test('the harness goes where no fault was yet, also in the next run', () => {
    const file = join(world.root, 'covered');
    const names = ['a', 'b', 'c', 'd'];
    const coverage = new Coverage(file);
    const chosen = names.map(() => coverage.next('kills', names, random));
    assert.deepEqual(chosen.sort(), names);
    for (const name of ['a', 'c', 'd']) coverage.hit('kills', name);
    // Never reached: it comes before the others for a while, and not for ever.
    const later = Array.from({ length: 4 }, () => coverage.next('kills', names, random));
    assert.deepEqual(later.slice(0, 3), ['b', 'b', 'b']);
    assert.equal(readFileSync(file, 'utf8'), 'kills\ta\nkills\tc\nkills\td\n');
    const next = new Coverage(file);
    assert.deepEqual(
      names.map((name) => next.has('kills', name)),
      [true, false, true, true],
    );
    assert.equal(next.next('kills', names, random), 'b');
    assert.ok(!next.has('full', 'a'));
  });

  // 429 is move_mount(2).
  test('the harness sees every kind of transition that a store has', () => {
    const seen = new Set(ready.flatMap(({ points }) => [...points.keys()]));
    const wanted = [
      ...['db begin', 'db commit', 'db insert into lease', 'db insert into result', 'spawn runc'],
      ...['rename content/blobs/sha#/*', 'rename content/index.json', 'rename contexts/*.idx'],
      ...['rename snapshots/layers/*.pack', 'rename snapshots/layers/*', 'rename trash/*/#'],
      ...['rename snapshots/work/*/lock', 'rename mounts/*/#/info.json', 'system syscall 429'],
      ...['sync content/ingest/.tmp-blob-*', 'write output/.tmp-image.tar-*', 'rm trash'],
    ];
    assert.deepEqual(
      wanted.filter((name) => !seen.has(name)),
      [],
      [...seen].sort().join('\n'),
    );
    note(`torture: ${seen.size} named transitions in ${ready.length} scenarios`);
  });

  test('a command killed at any transition is repeated with the result of an undisturbed one', async () => {
    const into = tally();
    const coverage = new Coverage();
    const attempt = async (): Promise<void> => {
      const chosen = random.of(ready);
      const point = coverage.next('kills', [...chosen.points.keys()], random);
      const trim = random.below(4) === 0;
      await killOnce(world, chosen, killAt(chosen, point, random), { trim, into });
    };
    for (let i = 0; i < KILLS; i += 2) await Promise.all([attempt(), attempt()]);
    noLoss(`kills at ${into.points.size} named transitions`, into);
  });

  test('a write for which there is no space fails clearly, and nothing is lost by it', async () => {
    const into = tally();
    const attempt = async (): Promise<void> => {
      const chosen = random.of(ready);
      const [point, count] = random.of([...chosen.writes]);
      const full = { point, nth: 1 + random.below(count), once: random.below(3) === 0 };
      await fillCheaply(world, chosen, full, into);
    };
    for (let i = 0; i < WRITES; i += 2) await Promise.all([attempt(), attempt()]);
    noLoss('writes without space', into);
  });

  test('a file system with half of the space that a build needs is full, and nothing is lost by it', async () => {
    const into = tally();
    for (const on of ['tmpfs', 'ext4'] as const)
      await fillFileSystem(world, first(), { bytes: first().grown >> 1, on }, into);
    assert.equal(into.done, 2);
    noLoss('file systems without space', into);
  });

  test('a flipped bit in a file of any kind changes no image', async () => {
    const into = tally();
    const kinds = kindsOf([await makeFlippable(world)]);
    const chosen = [...kinds.values()].map((files) => random.of(files));
    const attempt = async (): Promise<void> => {
      const [file] = chosen.splice(random.below(chosen.length), 1);
      if (file !== undefined) await flipOnce(world, file, random, into);
    };
    for (let i = 0; i < FLIPS; i += 2) await Promise.all([attempt(), attempt()]);
    noLoss(`flipped bits in ${into.points.size} of ${kinds.size} kinds of files`, into);
  });

  test('short processes on one store make what each of them makes alone', async () => {
    const into = tally();
    await crowd(world, first(), { processes: PROCESSES, atOnce: 6, random }, into);
    noLoss('processes on one store', into);
  });

  test('a clock that jumps by days loses nothing', async () => {
    const into = tally();
    await jump(world, first(), { commands: 6, random }, into);
    noLoss('commands at other times', into);
  });

  test('on a disk that is read-only or full every command succeeds or says why not, with 3', async () => {
    const into = tally();
    await spoiltDisk(world, first(), 'read-only', into);
    await spoiltDisk(world, first(), 'full', into);
    noLoss('commands on read-only and full disks', into);
  });

  test('what a killed step leaves is gone after the next command, whatever that is', async () => {
    const into = tally();
    await staleStep(world, ['image', 'ls'], into);
    noLoss('killed steps', into);
  });
});
