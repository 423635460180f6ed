/** Many short processes on one store at once. */
import type { Tally } from './kills.ts';
import type { Random } from './random.ts';
import { buildOf, digestOf, TAR } from './scenarios.ts';
import { afterRepeat, type Ready, said } from './trial.ts';
import type { Command, Ended, World } from './world.ts';

const VARIANTS = 4;

/** What a process of the crowd does; builds say which of the variants they make. */
type Errand = { readonly command: Command; readonly out?: string; readonly variant?: number };

/** Runs so many processes, some at once, each with an errand of its own; every image must be the one made in quiet. */
export async function crowd(
  world: World,
  ready: Ready,
  options: { readonly processes: number; readonly atOnce: number; readonly random: Random },
  into: Tally,
): Promise<void> {
  const quiet: string[] = [];
  for (let variant = 0; variant < VARIANTS; variant++) {
    const place = world.place();
    const errand = buildErrand(world, variant, 'quiet.tar');
    const run = await world.run(place, errand.command);
    quiet.push(run.status === 0 ? digestOf(place, 'quiet.tar') : said(run));
    world.remove(place);
  }
  const place = world.place();
  let left = options.processes;
  const one = async (): Promise<void> => {
    while (left-- > 0) {
      const number = left;
      const errand = choose(world, options.random, number);
      const run = await world.run(place, errand.command);
      into.done++;
      const what = `process ${number}, ${errand.command.args.slice(0, 3).join(' ')}`;
      if (run.status !== 0 && !foundNothing(errand, run)) into.losses.push(`${what}: ${said(run)}`);
      else if (run.status === 0 && errand.out !== undefined && errand.variant !== undefined) {
        const digest = digestOf(place, errand.out);
        if (digest !== quiet[errand.variant]) into.losses.push(`${what}: another image`);
      }
    }
  };
  await Promise.all(Array.from({ length: options.atOnce }, one));
  const faults = await afterRepeat(world, ready, place, { groups: [], trim: true });
  into.losses.push(...faults.map((fault) => `after ${options.processes} processes: ${fault}`));
  world.remove(place);
}

/** Right behind a `prune --all` there is nothing to export, and the command says so (RC042). */
function foundNothing({ command: { args } }: Errand, { status, stderr }: Ended): boolean {
  return args[1] === 'export' && status === 2 && stderr.startsWith('error[RC042]');
}

function buildErrand(world: World, variant: number, out: string): Errand {
  const command = buildOf(
    world,
    ...['--build-arg', `VARIANT=${variant}`, '-f', `${world.app}/Dockerfile.variant`],
    ...['-t', `variant${variant}`, '-o', 'type=image', '-o', `type=oci,dest=${out},${TAR}`],
  );
  return { command, out, variant };
}

function choose(world: World, random: Random, number: number): Errand {
  const errand = random.below(10);
  if (errand < 5) return buildErrand(world, random.below(VARIANTS), `crowd${number}.tar`);
  const others: readonly (readonly string[])[] = [
    ['cache', 'df'],
    ['cache', 'ls', '--json'],
    ['cache', 'prune', '--all', '--force'],
    ['cache', 'gc', '--max-used-space', '1MB'],
    ['cache', 'export', '--to', `type=local,dest=cache${number}`],
  ];
  return { command: { args: random.of(others) } };
}
