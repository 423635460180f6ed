/** One scenario made ready: its starting store, its transitions, and what it comes to undisturbed. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { databaseFaults, falseNames, leftovers, temporaryNames } from './inspect.ts';
import { must, type Scenario } from './scenarios.ts';
import type { Ended, Place, World } from './world.ts';

/** By then a file that is not finished is nobody's. */
const TWO_DAYS = 48 * 3600_000;

/** A scenario that attempts start from. */
export interface Ready {
  readonly scenario: Scenario;
  readonly from: Place;
  /** Transitions by name, with how often each is reached. */
  readonly points: ReadonlyMap<string, number>;
  /** Those of them that need space. */
  readonly writes: ReadonlyMap<string, number>;
  /** Bytes that the undisturbed run added to the disk. */
  readonly grown: number;
  readonly result: ReadonlyMap<string, string>;
  readonly ms: number;
}

/** Prepares a scenario, and runs it twice undisturbed: what differs between the two could not be compared. */
export async function makeReady(world: World, scenario: Scenario): Promise<Ready> {
  const from = world.place();
  await scenario.prepare?.(world, from);
  const results: ReadonlyMap<string, string>[] = [];
  const [points, writes] = [new Map<string, number>(), new Map<string, number>()];
  let [grown, ms] = [0, 0];
  for (const record of ['points', 'again']) {
    const place = world.place(from);
    const log = join(world.root, `${place.name}.${record}`);
    const started = performance.now();
    const plan = { record: log };
    const run = await world.run(place, await scenario.command(world, place), plan);
    ms = performance.now() - started;
    if (run.status !== 0) throw new Error(`${scenario.name}, undisturbed: ${run.stderr}`);
    grown = sizeOf(dirname(place.store)) - (existsSync(from.store) ? sizeOf(from.store) : 0);
    results.push(await scenario.result(world, place));
    if (record === 'points')
      for (const line of readFileSync(log, 'utf8').trim().split('\n')) {
        const name = line.slice(2);
        for (const map of line.startsWith('w') ? [points, writes] : [points])
          map.set(name, (map.get(name) ?? 0) + 1);
      }
    world.remove(place);
  }
  const [result, again] = results as [ReadonlyMap<string, string>, ReadonlyMap<string, string>];
  const unlike = differences(result, again);
  if (unlike.length > 0)
    throw new Error(`${scenario.name} differs undisturbed: ${unlike.join('; ')}`);
  return { scenario, from, points, writes, grown, result, ms };
}

/** Bytes on disk of everything in a directory. */
export function sizeOf(dir: string): number {
  return Number.parseInt(execFileSync('du', ['-s', '--block-size=1', dir]).toString(), 10);
}

/** Right after a command died or failed: what has its final name is whole. */
export function afterFault(place: Place, scenario?: Scenario): string[] {
  if (scenario?.damaged === true) return [];
  return [place.store, place.out].flatMap((dir) =>
    falseNames(dir).map((text) => `right after it: ${text}`),
  );
}

/**
 * Repeats the command, then looks at everything: it succeeds, its result is the undisturbed one, nothing is left of the one
 * before, the database and everything in the store is sound; with `trim`, no temporary name outlives a
 * `prune --all` two days later.
 */
export async function afterRepeat(
  world: World,
  { scenario, result }: Ready,
  place: Place,
  options: { readonly groups: readonly string[]; readonly trim: boolean },
): Promise<string[]> {
  if (scenario.again === undefined) {
    const command = await scenario.command(world, place);
    const repeated = await world.run(place, command);
    if (repeated.status !== 0) return [`the repeated command: ${said(repeated)}`];
  } else await scenario.again(world, place);
  const faults = leftovers(place.store, options.groups);
  try {
    faults.push(...differences(result, await scenario.result(world, place)));
    faults.push(...databaseFaults(place.store));
    if (existsSync(join(place.store, 'state.db')))
      await must(world, place, { args: ['cache', 'verify'] });
    if (options.trim) {
      const prune = { args: ['cache', 'prune', '--all', '--force'] };
      const pruned = await world.run(place, prune, { clockMs: TWO_DAYS });
      if (pruned.status !== 0) faults.push(`pruning: ${said(pruned)}`);
      const names = temporaryNames(place.store);
      if (names.length > 0) faults.push(`temporary names after a prune: ${names.join(', ')}`);
    }
  } catch (e) {
    faults.push(e instanceof Error ? e.message : String(e));
  }
  return faults;
}

/** How a command ended, for a report. */
export function said({ status, stderr }: Ended): string {
  return `exit code ${status ?? 'none'}: ${stderr.slice(-1500)}`;
}

/** What a result lacks or has otherwise. */
export function differences(
  wanted: ReadonlyMap<string, string>,
  actual: ReadonlyMap<string, string>,
): string[] {
  return [...wanted].flatMap(([name, digest]) => {
    const found = actual.get(name);
    return found === digest
      ? []
      : [`${name} is ${found === undefined ? 'missing' : `${found}, not ${digest}`}`];
  });
}
