/** A clock that jumps by days, to and fro, between the commands on one store. */
import type { Tally } from './kills.ts';
import type { Random } from './random.ts';
import { buildOf, TAR } from './scenarios.ts';
import { afterRepeat, type Ready, said } from './trial.ts';
import type { World } from './world.ts';

const DAY = 24 * 3600_000;
const JUMPS = [0, 1, 3, -2, 40, 400, -400, 4000];

/** So many commands, each at a time of its own; they succeed, and the image is what it was. */
export async function jump(
  world: World,
  ready: Ready,
  options: { readonly commands: number; readonly random: Random },
  into: Tally,
): Promise<void> {
  const place = world.place();
  const others = [
    ['cache', 'gc', '--keep-duration', '7d', '--max-used-space', '5MB'],
    ['cache', 'prune', '--force', '--filter', 'unused-for=1d'],
    ['cache', 'ls', '--sort', 'used'],
    ['cache', 'verify'],
    ['history', 'ls'],
  ] as const;
  for (let count = 0; count < options.commands; count++) {
    const days = options.random.of(JUMPS);
    const command =
      count === 0 || options.random.below(2) === 0
        ? buildOf(world, '-t', 'app', '-o', `type=image,${TAR}`)
        : { args: options.random.of(others) };
    const run = await world.run(place, command, { clockMs: days * DAY });
    into.done++;
    if (run.status !== 0)
      into.losses.push(`${days} days off, ${command.args.slice(0, 2).join(' ')}: ${said(run)}`);
  }
  const faults = await afterRepeat(world, ready, place, { groups: [], trim: true });
  into.losses.push(...faults.map((fault) => `after ${options.commands} jumps: ${fault}`));
  world.remove(place);
}
