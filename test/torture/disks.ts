/** A store on a file system that is read-only, or has no space left; and what a killed step leaves. */
import { execFileSync } from 'node:child_process';
import { chmodSync, globSync, readdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { mount, remount, unclear } from './full-disk.ts';
import { databaseFaults, groupsOf, leftovers } from './inspect.ts';
import type { Tally } from './kills.ts';
import { buildOf, must, packages, stored, TAR } from './scenarios.ts';
import { afterRepeat, type Ready } from './trial.ts';
import type { Command, Place, World } from './world.ts';

/** Commands of every kind; none may fail in another way than with a clear error and 3. */
async function commands(world: World, place: Place): Promise<readonly Command[]> {
  const to = join(world.root, `outputs-${place.name}`);
  execFileSync('mkdir', ['-p', to]);
  const registry = (await world.registry()).host;
  return [
    buildOf(world, '-t', 'app', '-o', `type=image,${TAR}`),
    buildOf(world, '--no-cache', '-o', `type=oci,dest=${to}/image.tar`),
    buildOf(world, '-o', `type=registry,name=${registry}/disks/app:latest`),
    buildOf(world, '--cache-to', `type=local,dest=${to}/cache`),
    { args: ['image', 'pull', `${registry}/disks/absent:latest`] },
    ...[
      ['image', 'ls'],
      ['image', 'save', 'app', '-o', `${to}/saved.tar`],
      ['image', 'load', '-i', `${to}/saved.tar`],
      ['image', 'tag', 'app', 'other'],
      ['history', 'ls'],
      ['why'],
      ['cache', 'df'],
      ['cache', 'ls'],
      ['cache', 'verify'],
      ['cache', 'verify', '--repair'],
      ['cache', 'export', '--to', `type=local,dest=${to}/exported`],
      ['cache', 'pin', 'app'],
      ['tidy'],
      ['doctor'],
      ['cache', 'gc', '--max-used-space', '1kB'],
      ['cache', 'prune', '--all', '--force'],
    ].map((args) => ({ args })),
  ];
}

/** Every command on a store whose file system became read-only, or full; then it is as before. */
export async function spoiltDisk(
  world: World,
  ready: Ready,
  how: 'read-only' | 'full',
  into: Tally,
): Promise<void> {
  const place = world.place();
  const dir = dirname(place.store);
  mount(dir, 'size=64m');
  try {
    execFileSync('mkdir', [place.out]);
    await stored(world, place);
    if (how === 'read-only') remount(dir, 'ro');
    else fill(dir);
    const all = [...(await commands(world, place)), await packages(world, place)];
    for (const command of all) {
      // The child that only downloads packages throws what it is told; the others are the program.
      if (command.program !== undefined) continue;
      const run = await world.run(place, command);
      into.done++;
      const what = `on a disk that is ${how}, ${command.args.slice(0, 3).join(' ')}`;
      // Its report is what it says on standard output.
      const reports = command.args[0] === 'doctor' && run.status === 3 && run.stdout !== '';
      if (!reports) into.losses.push(...unclear(run).map((text) => `${what}: ${text}`));
    }
    if (how === 'read-only') remount(dir, 'rw');
    else for (const name of readdirSync(dir)) if (name.startsWith('filler')) rmFile(dir, name);
    const faults = await afterRepeat(world, ready, place, { groups: [], trim: true });
    into.losses.push(...faults.map((fault) => `after a disk that was ${how}: ${fault}`));
  } finally {
    execFileSync('umount', ['-l', dir]);
    world.remove(place);
  }
}

function fill(dir: string): void {
  for (const [i, bytes] of [1 << 20, 4096].entries())
    for (let n = 0; statfsSync(dir).bavail * statfsSync(dir).bsize >= bytes; n++)
      writeFileSync(join(dir, `filler-${i}-${n}`), Buffer.alloc(bytes));
}

function rmFile(dir: string, name: string): void {
  execFileSync('rm', [join(dir, name)]);
}

/** Kills a build while its step runs; the next command, which builds nothing, removes all that it left. */
export async function staleStep(world: World, next: readonly string[], into: Tally): Promise<void> {
  const place = world.place();
  const steps = 'COPY busybox /bin/sh\nCOPY busybox /bin/busybox\nRUN busybox sleep 600\n';
  world.write('slow/Dockerfile', `FROM scratch\n${steps}`);
  world.write('slow/busybox', readFileSync('/bin/busybox'));
  try {
    chmodSync(join(world.root, 'slow/busybox'), 0o755);
    const args = ['build', '--progress=plain', join(world.root, 'slow')];
    const { child, done } = world.start(place, { args });
    while (!isRunning(place)) await delay(20);
    const groups = groupsOf(place.store);
    child.kill('SIGKILL');
    await done;
    await must(world, place, { args: next });
    into.done++;
    const faults = [...leftovers(place.store, groups), ...databaseFaults(place.store)];
    const what = `a step killed with its build, then ${next.join(' ')}`;
    into.losses.push(...faults.map((fault) => `${what}: ${fault}`));
  } finally {
    world.remove(place);
  }
}

/** Whether a process of the step is there. */
function isRunning({ store }: Place): boolean {
  return groupsOf(store).some((group) =>
    globSync(`/sys/fs/cgroup/{${group},*/${group}}/cgroup.procs`).some(
      (file) => readFileSync(file, 'utf8').trim() !== '',
    ),
  );
}
