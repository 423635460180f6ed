/** Trims the store in the middle of another command, at a transition that is chosen and not by chance. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { FaultPlan } from './fault-plan.ts';
import type { Tally } from './kills.ts';
import type { Random } from './random.ts';
import { differences, type Ready, said } from './trial.ts';
import type { Ended, Place, World } from './world.ts';

/** What trims; it has its plan when it gets to `PLANNED`. */
const TRIM = { args: ['cache', 'prune', '--all', '--force'] };
const PLANNED = 'rm trash';
/** A trim that waits for what the standing command holds is let wait so long. */
const PATIENCE_MS = 20_000;
/** What was written so shortly before a command began counts as written by it. */
const FRESH_MS = 2100;

/** Where a command stands while the store is trimmed, and whether the trim made its plan before the command began. */
export interface Beside {
  readonly point: string;
  readonly nth: number;
  readonly planned: boolean;
}

/** Whether a trim could begin at a transition: not in the middle of a transaction of the database. */
export const isOutside = (point: string): boolean => !/^db (?!begin$)/.test(point);

/** A transition, and which of the times that it is reached. */
export function besideAt(ready: Ready, point: string, random: Random): Beside {
  const nth = 1 + random.below(ready.points.get(point) ?? 1);
  return { point, nth, planned: random.below(2) === 0 };
}

/** The command succeeds with the result of an undisturbed one although everything that nothing holds is removed meanwhile. */
export async function trimBeside(
  world: World,
  ready: Ready,
  at: Beside,
  into: Tally,
): Promise<void> {
  const place = world.place(ready.from);
  await delay(FRESH_MS);
  const when = at.planned ? 'planned before it began and carried out' : 'trimmed';
  const what = `${ready.scenario.name}, ${when} before "${at.point}" (${at.nth})`;
  try {
    const trim = new Paused(world, place, { point: PLANNED, nth: 1 });
    if (at.planned) await trim.start(TRIM);
    const command = new Paused(world, place, at);
    const reached = await command.start(await ready.scenario.command(world, place));
    const trimmed = reached ? await trim.finish(TRIM) : undefined;
    const run = await command.finish();
    await trim.finish();
    if (
      trimmed === undefined ||
      run === undefined ||
      trimmed.stderr.includes('has locked it for too long')
    ) {
      into.missed++;
      return;
    }
    into.done++;
    into.points.add(at.point);
    const faults = trimmed.status === 0 ? [] : [`the trim: ${said(trimmed)}`];
    if (run.status === 0)
      faults.push(...differences(ready.result, await ready.scenario.result(world, place)));
    else faults.push(`the command: ${said(run)}`);
    into.losses.push(...faults.map((fault) => `${what}: ${fault}`));
  } finally {
    world.remove(place);
  }
}

/** A command that stands still at a transition until it may go on. */
class Paused {
  readonly #world: World;
  readonly #place: Place;
  readonly #pause: NonNullable<FaultPlan['pause']>;
  #ended: Promise<Ended> | undefined;

  constructor(world: World, place: Place, at: { readonly point: string; readonly nth: number }) {
    this.#world = world;
    this.#place = place;
    const file = join(world.root, `${place.name}.${at.point.replaceAll(/\W/g, '')}${at.nth}`);
    this.#pause = { point: at.point, nth: at.nth, reached: `${file}.reached`, go: `${file}.go` };
  }

  /** Runs it to the transition; false when it ended without getting there. */
  async start(command: Parameters<World['run']>[1]): Promise<boolean> {
    this.#ended = this.#world.run(this.#place, command, { pause: this.#pause });
    const ended = this.#ended.then(() => 'ended' as const);
    while (!existsSync(this.#pause.reached))
      if ((await Promise.race([ended, delay(5)])) === 'ended') return false;
    return true;
  }

  /** Lets it go on to its end, or runs `command` when it was never started; undefined when it takes too long. */
  async finish(command?: Parameters<World['run']>[1]): Promise<Ended | undefined> {
    writeFileSync(this.#pause.go, '');
    if (command !== undefined) this.#ended ??= this.#world.run(this.#place, command);
    const stop = new AbortController();
    const waited = delay(command === undefined ? 2 * PATIENCE_MS : PATIENCE_MS, undefined, stop);
    return await Promise.race([this.#ended, waited]).finally(() => stop.abort());
  }
}
