/** Disks without space: at the nth write by a fault, and a small real file system whose size is swept. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { FaultPlan } from './fault-plan.ts';
import { type Tally, tally } from './kills.ts';
import { afterFault, afterRepeat, type Ready, said, sizeOf } from './trial.ts';
import type { Ended, World } from './world.ts';

type Full = NonNullable<FaultPlan['full']>;

/** Fails the nth write of a scenario, and those after it unless `once`, with ENOSPC; then repeats it with space. */
export async function fillOnce(
  world: World,
  ready: Ready,
  full: Full,
  into: Tally,
  hosted?: 'hosted',
): Promise<void> {
  const own = world.place(ready.from);
  const place = hosted === undefined ? own : { ...own, hosted: true as const };
  try {
    const happened = join(world.root, `${place.name}.happened`);
    const command = await ready.scenario.command(world, place);
    const run = await world.run(place, command, { full, happened });
    if (!existsSync(happened)) {
      into.missed++;
      return;
    }
    into.done++;
    into.points.add(readFileSync(happened, 'utf8').split('\n')[0] ?? '');
    const what = `${ready.scenario.name}, no space ${full.once ? 'for' : 'from'} write ${full.nth}${full.point === undefined ? '' : ` of "${full.point}"`}`;
    const faults = [
      ...unclear(run),
      ...afterFault(place, ready.scenario),
      ...(await afterRepeat(world, ready, place, { groups: [], trim: false })),
    ];
    into.losses.push(...faults.map((fault) => `${what}: ${fault}`));
  } finally {
    world.remove(place);
  }
}

/**
 * As `fillOnce`, first in processes that serve many commands; what is lost there is tried again with processes of their own, as
 * people run them, and counts when it is lost there too.
 */
export async function fillCheaply(
  world: World,
  ready: Ready,
  full: Full,
  into: Tally,
): Promise<void> {
  const doubts = tally();
  await fillOnce(world, ready, full, doubts, 'hosted');
  if (doubts.losses.length > 0) {
    await fillOnce(world, ready, full, into);
    return;
  }
  into.done += doubts.done;
  into.missed += doubts.missed;
  for (const point of doubts.points) into.points.add(point);
}

/** Runs a scenario on a file system with so many bytes left; then there is more space and it is repeated. False when they were enough. */
export async function fillFileSystem(
  world: World,
  ready: Ready,
  left: { readonly bytes: number; readonly on: 'tmpfs' | 'ext4' },
  into: Tally,
): Promise<boolean> {
  const place = world.place();
  const dir = dirname(place.store);
  const { bytes, on } = left;
  // What it starts from must fit.
  const size = bytes + (existsSync(ready.from.store) ? sizeOf(ready.from.store) : 0);
  if (on === 'tmpfs') mount(dir, `size=${size}`);
  else mountLoop(`${dir}.ext4`, dir);
  try {
    execFileSync('mkdir', [place.out]);
    if (existsSync(ready.from.store)) execFileSync('cp', ['-a', ready.from.store, place.store]);
    if (on === 'ext4') fillUpTo(dir, bytes);
    const run = await world.run(place, await ready.scenario.command(world, place));
    const isFull = run.status !== 0;
    if (isFull) {
      into.done++;
      into.points.add(ready.scenario.name);
    } else into.missed++;
    const what = `${ready.scenario.name}, with ${bytes} bytes of space on ${on}`;
    if (on === 'tmpfs') remount(dir, `size=${LARGE}`);
    else rmSync(join(dir, FILLER));
    const faults = [
      ...unclear(run),
      ...afterFault(place, ready.scenario),
      ...(await afterRepeat(world, ready, place, { groups: [], trim: false })),
    ];
    into.losses.push(...faults.map((fault) => `${what}: ${fault}`));
    return isFull;
  } finally {
    execFileSync('umount', ['-l', dir]);
    rmSync(`${dir}.ext4`, { force: true });
    world.remove(place);
  }
}

/** A file system on which there is space for every scenario. */
const LARGE = '1G';

/** What takes the space of a file system. */
const FILLER = 'filler';

/** A real file system in a file. */
function mountLoop(file: string, dir: string): void {
  execFileSync('truncate', ['-s', LARGE, file]);
  execFileSync('mkfs.ext4', ['-q', '-m', '0', file]);
  execFileSync('mount', ['-o', 'loop', file, dir]);
}

/** Leaves so many bytes free. */
function fillUpTo(dir: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(dir);
  const filler = Math.max(bsize, bavail * bsize - bytes);
  execFileSync('fallocate', ['-l', String(filler), join(dir, FILLER)]);
}

/**
 * A command that could not go on says so and ends with 3, or with 1 when it was a step's own program that found no space and said so;
 * one that could does not fail.
 */
export function unclear(run: Ended): string[] {
  const clear = run.status === 3 && /error\[[A-Z]{2}\d{3}\]/.test(run.stderr);
  const step = run.status === 1 && /error\[SB010\][^]*: No space left on device$/m.test(run.stderr);
  return run.status === 0 || clear || step ? [] : [`the command itself: ${said(run)}`];
}

/** Mounts an empty file system. */
export function mount(dir: string, options: string): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', dir]);
}

/** Changes the options of a file system. */
export function remount(dir: string, options: string): void {
  execFileSync('mount', ['-o', `remount,${options}`, dir]);
}
