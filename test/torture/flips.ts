/** Turns single bits over in the files of a store. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Tally } from './kills.ts';
import type { Random } from './random.ts';
import { flip, image, must, packages, stored } from './scenarios.ts';
import { differences, said } from './trial.ts';
import type { Place, World } from './world.ts';

/** A store with all kinds of files, and the image that it gives. */
export interface Flippable {
  readonly from: Place;
  readonly files: readonly string[];
  readonly image: ReadonlyMap<string, string>;
  readonly packages: string;
}

/** Makes the store. */
export async function makeFlippable(world: World): Promise<Flippable> {
  const from = world.place();
  await stored(world, from);
  const wanted = await must(world, from, await packages(world, from));
  const made = await image(world, from);
  const files = readdirSync(from.store, { recursive: true, encoding: 'utf8' })
    .filter((path) => !/^(?:locks|run|tmp)\//.test(path))
    .filter((path) => {
      const stat = statSync(join(from.store, path), { throwIfNoEntry: false });
      return stat?.isFile() === true && stat.size > 0;
    })
    .sort();
  return { from, files, image: made, packages: wanted };
}

/** What a file is, for a report of what was tried. */
export const kindOf = (path: string): string =>
  path
    .replace(/[0-9a-f]{6,}/g, '*')
    .replace(/\/fs\/.*$/, '/fs/*')
    .replace(/^(compile-cache)\/.*$/, '$1')
    .replace(/\d+/g, '#');

/**
 * One bit of one file; then either a build that knows nothing of it, or `cache verify --repair` first. Whatever a command
 * says and however often it must be run again: the image is what it was, and no command says that it is when it is not.
 */
export async function flipOnce(
  world: World,
  flippable: Flippable,
  file: string,
  random: Random,
  into: Tally,
): Promise<void> {
  const place = world.place(flippable.from);
  const path = join(place.store, file);
  const at = random.below(statSync(path).size);
  const first = random.below(2) === 0 ? 'build' : 'verify';
  flip(path, at);
  into.done++;
  into.points.add(kindOf(file));
  const what = `bit at ${at} of ${file}, ${first} first`;
  const lose = (text: string): void => void into.losses.push(`${what}: ${text}`);
  try {
    if (first === 'build') await sameAgain(world, flippable, place, lose);
    const repair = await world.run(place, { args: ['cache', 'verify', '--repair'] });
    const verified =
      repair.status === 0 ? repair : await world.run(place, { args: ['cache', 'verify'] });
    if (verified.status !== 0) lose(`not repaired: ${verified.stdout}${said(verified)}`);
    await sameAgain(world, flippable, place, lose);
  } finally {
    world.remove(place);
  }
}

/** Builds and downloads again; a command may say once that something is damaged, and is run again then. */
async function sameAgain(
  world: World,
  flippable: Flippable,
  place: Place,
  lose: (text: string) => void,
): Promise<void> {
  for (const attempt of [1, 2])
    try {
      const made = await image(world, place);
      for (const text of differences(flippable.image, made)) lose(text);
      const got = await must(world, place, await packages(world, place));
      if (got !== flippable.packages) lose(`other packages: ${got}`);
      return;
    } catch (e) {
      const text = e instanceof Error ? e.message : String(e);
      if (attempt === 2 || !/ended with 3:/.test(text) || !/error\[/.test(text)) {
        lose(text);
        return;
      }
    }
}
