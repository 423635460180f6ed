/** Kills processes at transitions of the store and at random times, and says what was lost by it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { groupsOf } from './inspect.ts';
import type { Random } from './random.ts';
import { afterFault, afterRepeat, type Ready } from './trial.ts';
import type { World } from './world.ts';

/** What came of a number of attempts. */
export interface Tally {
  /** Attempts in which the fault happened. */
  done: number;
  /** Attempts in which the command ended without reaching it. */
  missed: number;
  /** Names of transitions at which the fault happened. */
  readonly points: Set<string>;
  readonly losses: string[];
}

/** An empty tally. */
export const tally = (): Tally => ({ done: 0, missed: 0, points: new Set(), losses: [] });

/** Where one process is killed. */
export type Kill =
  | { readonly at: 'point'; readonly point: string; readonly nth: number; readonly when: When }
  | { readonly at: 'time'; readonly ms: number };

type When = 'before' | 'after' | 'torn';

/** A moment at a transition: any time that it is reached is as likely as the other. */
export function killAt(ready: Ready, point: string, random: Random): Kill {
  const when = random.of<When>(['before', 'after', 'torn']);
  return { at: 'point', point, nth: 1 + random.below(ready.points.get(point) ?? 1), when };
}

/** Any moment of a command. */
export function killSometime(ready: Ready, random: Random): Kill {
  return { at: 'time', ms: random.below(Math.ceil(ready.ms * 1.05)) };
}

/** One attempt. */
export async function killOnce(
  world: World,
  ready: Ready,
  kill: Kill,
  options: { readonly trim: boolean; readonly into: Tally },
): Promise<void> {
  const place = world.place(ready.from);
  const { into } = options;
  const what = `${ready.scenario.name}, killed ${textOf(kill)}`;
  try {
    const happened = join(world.root, `${place.name}.happened`);
    const command = await ready.scenario.command(world, place);
    let happens = true;
    if (kill.at === 'point') await world.start(place, command, { kill, happened }).done;
    else {
      const { child, done } = world.start(place, command);
      const stop = new AbortController();
      const timer = delay(kill.ms, undefined, { signal: stop.signal }).catch(() => undefined);
      await Promise.race([timer, done]);
      stop.abort();
      child.kill('SIGKILL');
      await done;
      if (child.signalCode !== 'SIGKILL') happens = false;
    }
    if (kill.at === 'point') happens = existsSync(happened);
    if (!happens) {
      into.missed++;
      return;
    }
    into.done++;
    if (kill.at === 'point') into.points.add(kill.point);
    const groups = groupsOf(place.store);
    const faults = [
      ...afterFault(place, ready.scenario),
      ...(await afterRepeat(world, ready, place, { ...options, groups })),
    ];
    into.losses.push(...faults.map((fault) => `${what}: ${fault}`));
  } finally {
    world.remove(place);
  }
}

function textOf(kill: Kill): string {
  return kill.at === 'time'
    ? `after ${kill.ms} ms`
    : `${kill.when === 'torn' ? 'in the middle of' : kill.when} "${kill.point}" (${kill.nth})`;
}
