/** Turns single bits over in the files of a store. */
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { needsDiskTools } from '../rig/disk-repo.ts';
import { digestsIn } from './inspect.ts';
import type { Tally } from './kills.ts';
import type { Random } from './random.ts';
import { buildOf, compose, flip, image, must, packages, stored, TAR } from './scenarios.ts';
import { differences, said } from './trial.ts';
import type { Place, World } from './world.ts';

/** A directory with many kinds of files, and what is made with it. */
export interface Flippable {
  /** What kinds of its files are called by. */
  readonly name: string;
  readonly from: Place;
  readonly files: readonly string[];
  /** Makes it in a place: the same each time. */
  readonly make: (place: Place) => Promise<ReadonlyMap<string, string>>;
  readonly made: ReadonlyMap<string, string>;
  /** It is a store, which can be verified and repaired. */
  readonly isStore: boolean;
}

/** One file of it. */
export interface FlippableFile {
  readonly of: Flippable;
  readonly file: string;
}

/** All of them: a store of an image and packages, a store of a disk, and a cache in a directory with cache mounts. */
export async function makeFlippables(world: World): Promise<readonly Flippable[]> {
  const all = [await makeFlippable(world), await makeShared(world)];
  return needsDiskTools === false ? [...all, await makeComposed(world)] : all;
}

/** A store with an image and packages. */
export async function makeFlippable(world: World): Promise<Flippable> {
  const from = world.place();
  await stored(world, from);
  const make = async (place: Place): Promise<ReadonlyMap<string, string>> => {
    const made = await image(world, place);
    return new Map([...made, ['packages', await must(world, place, await packages(world, place))]]);
  };
  return await flippable('', { from, make, isStore: true });
}

async function makeComposed(world: World): Promise<Flippable> {
  const from = world.place();
  const make = async (place: Place): Promise<ReadonlyMap<string, string>> => {
    await must(world, place, await compose(world));
    return digestsIn(place.out);
  };
  return await flippable('disk: ', { from, make, isStore: true });
}

async function makeShared(world: World): Promise<Flippable> {
  const [builder, from] = [world.place(), world.place()];
  await stored(world, builder);
  const to = `type=dir,path=${from.store}`;
  mkdirSync(from.store);
  await must(world, builder, { args: ['cache', 'export', '--to', to, '--mounts'] });
  const make = async (place: Place): Promise<ReadonlyMap<string, string>> => {
    const store = join(place.out, `store-${world.next()}`);
    const args = [
      ...['--cache-from', `type=dir,path=${place.store},mounts=true`],
      ...['-o', `type=oci,dest=image.tar,${TAR}`],
    ];
    await must(world, { ...place, store }, buildOf(world, ...args));
    const digest = digestsIn(place.out).get('image.tar') ?? 'missing';
    return new Map([['image.tar', digest]]);
  };
  return await flippable('shared cache: ', { from, make, isStore: false });
}

async function flippable(
  name: string,
  what: Pick<Flippable, 'from' | 'make' | 'isStore'>,
): Promise<Flippable> {
  const { from, make } = what;
  const made = await make(from);
  const files = readdirSync(from.store, { recursive: true, encoding: 'utf8' })
    .filter((path) => !/^(?:run|tmp)\//.test(path))
    .filter((path) => {
      const stat = statSync(join(from.store, path), { throwIfNoEntry: false });
      return stat?.isFile() === true && stat.size > 0;
    })
    .sort();
  return { name, files, made, ...what };
}

/** Files by kind. */
export function kindsOf(all: readonly Flippable[]): ReadonlyMap<string, readonly FlippableFile[]> {
  const files = all.flatMap((of) => of.files.map((file) => ({ of, file })));
  return Map.groupBy(files, kindOf);
}

/** What a file is, for a report of what was tried. */
export const kindOf = ({ of, file }: FlippableFile): string =>
  of.name +
  file
    .replace(/[0-9a-f]{6,}/g, '*')
    .replace(/\/fs\/.*$/, '/fs/*')
    .replace(/^(compile-cache)\/.*$/, '$1')
    .replace(/\d+/g, '#');

/**
 * One bit of one file; then either a command that knows nothing of it, or `cache verify --repair` first. Whatever a command
 * says and however often it must be run again: what is made is what it was, and no command says that it is when it is not.
 */
export async function flipOnce(
  world: World,
  chosen: FlippableFile,
  random: Random,
  into: Tally,
): Promise<void> {
  const { of, file } = chosen;
  const place = world.place(of.from);
  const path = join(place.store, file);
  const at = random.below(statSync(path).size);
  const first = random.below(2) === 0 || !of.isStore ? 'used' : 'verified';
  flip(path, at);
  into.done++;
  into.points.add(kindOf(chosen));
  const lose = (text: string): void =>
    void into.losses.push(`bit at ${at} of ${of.name}${file}, ${first} first: ${text}`);
  try {
    if (first === 'used') await sameAgain(of, place, lose);
    if (!of.isStore) return;
    await world.run(place, { args: ['cache', 'verify', '--repair'] });
    // A manifest that is nowhere else is made again with its image, and until then verify says that it is missing.
    if (first === 'verified') await sameAgain(of, place, lose);
    if (of.name === '') await stored(world, place);
    const verified = await world.run(place, { args: ['cache', 'verify'] });
    if (verified.status !== 0) lose(`not repaired: ${verified.stdout}${said(verified)}`);
  } finally {
    world.remove(place);
  }
}

/** Makes it again; a command may say once that something is damaged, and is run again then. */
async function sameAgain(
  { make, made }: Flippable,
  place: Place,
  lose: (text: string) => void,
): Promise<void> {
  for (const attempt of [1, 2])
    try {
      for (const text of differences(made, await make(place))) lose(text);
      return;
    } catch (e) {
      const text = e instanceof Error ? e.message : String(e);
      if (attempt === 2 || !/ended with 3:/.test(text) || !/error\[/.test(text)) {
        lose(text);
        return;
      }
    }
}
