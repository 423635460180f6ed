/** What is done to a store while its process is killed or its disk is full, and what must come of it the next time. */
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { needsDiskTools } from '../rig/disk-repo.ts';
import { digestsIn } from './inspect.ts';
import type { Command, Place, World } from './world.ts';

/** One scenario. */
export interface Scenario {
  readonly name: string;
  /** What this machine lacks for it; false when it lacks nothing. */
  readonly lacks?: string | false;
  /** Makes the store that each attempt starts from. */
  readonly prepare?: (world: World, place: Place) => Promise<void>;
  readonly command: (world: World, place: Place) => Promise<Command> | Command;
  /** What it starts from is damaged. */
  readonly damaged?: true;
  /** What is done after a fault, instead of the command again. */
  readonly again?: (world: World, place: Place) => Promise<void>;
  /** What there is when the command has succeeded; the same in every place. */
  readonly result: (world: World, place: Place) => Promise<ReadonlyMap<string, string>>;
}

const EPOCH = ['--build-arg', 'SOURCE_DATE_EPOCH=1'];
/** What makes an archive the same at any time. */
export const TAR = 'rewrite-timestamp=true';
const cacheAt = (world: World): string => join(world.root, 'made/cache');

/** A build of the context with further arguments. */
export const buildOf = (world: World, ...more: readonly string[]): Command => ({
  args: ['build', '--progress=plain', ...EPOCH, ...more, world.app],
});

/** Runs a command that has to succeed. */
export async function must(world: World, place: Place, command: Command): Promise<string> {
  const run = await world.run(place, command);
  if (run.status !== 0)
    throw new Error(`${command.args.join(' ')} ended with ${run.status}: ${run.stderr}`);
  return run.stdout;
}

/** The image as an archive, built from whatever the store holds. */
export async function image(world: World, place: Place): Promise<ReadonlyMap<string, string>> {
  await must(world, place, buildOf(world, '-o', `type=oci,dest=image.tar,${TAR}`));
  return only(place, /^image\.tar$/);
}

/** Digest of an output. */
export function digestOf(place: Place, name: string): string {
  const path = join(place.out, name);
  if (!existsSync(path)) return 'missing';
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

function only(place: Place, pattern: RegExp): ReadonlyMap<string, string> {
  return new Map([...digestsIn(place.out)].filter(([path]) => pattern.test(path)));
}

/** Everything that was put out. */
function everything(_: World, place: Place): Promise<ReadonlyMap<string, string>> {
  return Promise.resolve(digestsIn(place.out));
}

/** A store with the image in it. */
export const stored = async (world: World, place: Place): Promise<void> => {
  await must(world, place, buildOf(world, '-t', 'app', '-o', `type=image,${TAR}`));
};

/** What a registry has under a name: every manifest and blob that it leads to, hashed as they are served. */
async function served(url: string, repository: string): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  const visit = async (kind: string, digest: string): Promise<void> => {
    const accept = ['oci.image.index.v1', 'oci.image.manifest.v1'].map(
      (type) => `application/vnd.${type.replace('oci.', 'oci.')}+json`,
    );
    const answer = await fetch(`${url}/v2/${repository}/${kind}/${digest}`, {
      headers: { accept: accept.join(', ') },
    });
    const bytes = Buffer.from(await answer.arrayBuffer());
    found.set(
      `${kind} ${digest}`,
      `${answer.status} ${createHash('sha256').update(bytes).digest('hex')}`,
    );
    if (kind !== 'manifests') return;
    const text = bytes.toString();
    for (const [, name] of text.matchAll(/"digest":\s*"(sha256:[0-9a-f]{64})"/g)) {
      const next = /image\.index/.test(text) && !/"layers"/.test(text) ? 'manifests' : 'blobs';
      if (name !== undefined && !found.has(`${next} ${name}`)) await visit(next, name);
    }
  };
  await visit('manifests', 'latest');
  return found;
}

/** Turns one bit of a file over. */
export function flip(path: string, at: number): void {
  const fd = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, at);
  writeSync(fd, Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, at);
  closeSync(fd);
}

/** Locks a template and downloads its packages. */
export async function packages(world: World, place: Place): Promise<Command> {
  const { host, now } = await world.repository();
  const script = join(import.meta.dirname, 'package-child.ts');
  return { program: process.execPath, args: [script, place.store, host, String(now)] };
}

/** Makes a disk of packages. */
export async function compose(world: World): Promise<Command> {
  const output = ['--progress=plain', '-o', 'type=raw,dest=disk.img'];
  return { args: ['compose', await world.template(), ...output] };
}

/** All of them, in the order of a cache's life. */
export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'build and export to archives',
    command: (world) =>
      buildOf(
        world,
        ...['-t', 'app', '-o', `type=image,${TAR}`, '-o', `type=oci,dest=image.tar,${TAR}`],
        ...['-o', `type=docker,dest=docker.tar,${TAR}`],
      ),
    result: everything,
  },
  {
    name: 'export of what is there',
    // No name holds the image, and its layers are there with other times.
    prepare: async (world, place) => {
      await must(world, place, buildOf(world, '-o', `type=oci,dest=image.tar,${TAR}`));
    },
    command: (world) => buildOf(world, '-o', `type=oci,dest=image.tar,${TAR}`),
    result: everything,
  },
  {
    name: 'build and export to a directory',
    command: (world) => buildOf(world, '-o', 'type=local,dest=tree'),
    result: everything,
  },
  {
    name: 'compose a disk',
    lacks: needsDiskTools,
    command: compose,
    result: everything,
  },
  {
    name: 'choose packages',
    lacks: needsDiskTools,
    command: async (world) => ({
      args: ['compose', 'resolve', await world.template(), '--lock', 'os.lock'],
    }),
    result: everything,
  },
  {
    name: 'build and push',
    command: async (world, place) =>
      buildOf(
        world,
        '-o',
        `type=registry,name=${(await world.registry()).host}/${place.name}/app:latest,${TAR}`,
      ),
    result: async (world, place) => await served((await world.registry()).url, `${place.name}/app`),
  },
  {
    name: 'cache to a local directory',
    prepare: stored,
    command: (world) => buildOf(world, '--cache-to', 'type=local,dest=cache,mode=max'),
    result: everything,
  },
  {
    name: 'cache to a shared directory',
    prepare: stored,
    command: () => ({ args: ['cache', 'export', '--to', 'type=dir,path=shared', '--mounts'] }),
    result: async (world, place) => await imported(world, place, 'type=dir,path=shared'),
  },
  {
    name: 'cache to a registry',
    prepare: stored,
    command: async (world, place) => ({
      args: [
        ...['cache', 'export', '--progress=plain', '--mounts', '--to'],
        `type=registry,ref=${(await world.registry()).host}/${place.name}/cache:latest`,
      ],
    }),
    result: async (world, place) => {
      const { host } = await world.registry();
      return await imported(world, place, `type=registry,ref=${host}/${place.name}/cache:latest`);
    },
  },
  {
    name: 'build from an imported cache',
    prepare: async (world, place) => await cacheMade(world, place),
    command: (world) =>
      buildOf(
        world,
        ...['--cache-from', `type=local,src=${cacheAt(world)}`],
        // What a step makes here has other times than what it made for the cache.
        ...['-o', `type=oci,dest=image.tar,${TAR}`, '-o', 'type=oci,dest=imported.tar'],
      ),
    result: everything,
  },
  {
    name: 'cache import',
    prepare: async (world, place) => await cacheMade(world, place),
    command: (world) => ({
      args: ['cache', 'import', '--mounts', '--from', `type=local,src=${cacheAt(world)}`],
    }),
    result: image,
  },
  {
    name: 'cache warm',
    prepare: async (world, place) => await cacheMade(world, place),
    command: (world) => ({
      args: [
        ...['cache', 'warm', '--progress=plain', ...EPOCH],
        ...['--cache-from', `type=local,src=${cacheAt(world)}`, world.app],
      ],
    }),
    result: image,
  },
  {
    name: 'image pull',
    prepare: async (world, place) => {
      const name = `${(await world.registry()).host}/pulled/app:latest`;
      await must(world, place, buildOf(world, '-o', `type=registry,name=${name},${TAR}`));
      empty(world, place);
    },
    command: async (world) => ({
      args: ['image', 'pull', `${(await world.registry()).host}/pulled/app:latest`],
    }),
    result: async (world, place) => {
      const name = `${(await world.registry()).host}/pulled/app:latest`;
      await must(world, place, { args: ['image', 'save', name, '-o', 'saved.tar'] });
      return only(place, /^saved\.tar$/);
    },
  },
  {
    name: 'image load and save',
    prepare: async (world, place) => {
      const to = join(world.root, 'made/image.tar');
      world.write('made/nothing', '');
      await must(world, place, buildOf(world, '-o', `type=oci,dest=${to},${TAR}`));
      empty(world, place);
    },
    command: (world) => ({
      args: ['image', 'load', '-t', 'loaded', '-i', join(world.root, 'made/image.tar')],
    }),
    result: async (world, place) => {
      await must(world, place, { args: ['image', 'save', 'loaded', '-o', 'saved.tar'] });
      return only(place, /^saved\.tar$/);
    },
  },
  {
    name: 'prune',
    prepare: stored,
    command: () => ({ args: ['cache', 'prune', '--all', '--force'] }),
    result: image,
  },
  {
    name: 'gc',
    prepare: stored,
    command: () => ({ args: ['cache', 'gc', '--max-used-space', '1kB'] }),
    result: image,
  },
  {
    name: 'verify and repair',
    prepare: async (world, place) => {
      await stored(world, place);
      for (const dir of ['content/blobs/sha256', 'contexts']) {
        const path = largestIn(join(place.store, dir));
        flip(path, statSync(path).size >> 1);
      }
    },
    damaged: true,
    command: () => ({ args: ['cache', 'verify', '--repair'] }),
    // An image whose blob is in the quarantine is not whole before it is built again, and verify says so.
    again: async (world, place) => {
      await world.run(place, { args: ['cache', 'verify', '--repair'] });
      await stored(world, place);
    },
    result: image,
  },
  {
    name: 'package downloads',
    command: packages,
    result: (_, place) =>
      Promise.resolve(
        new Map([...digestsIn(join(place.store, 'packages'))].filter(([p]) => /^pool\//.test(p))),
      ),
  },
];

function largestIn(dir: string): string {
  const [path] = readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .map((name) => join(dir, name))
    .filter((each) => statSync(each).isFile())
    .sort((a, b) => statSync(b).size - statSync(a).size);
  if (path === undefined) throw new Error(`${dir} is empty`);
  return path;
}

/** What a new store makes of a cache: the steps that it found, and the image. */
async function imported(
  world: World,
  place: Place,
  from: string,
): Promise<ReadonlyMap<string, string>> {
  const other = { ...place, store: join(place.out, 'other') };
  const args = ['--cache-from', from, '-o', `type=oci,dest=image.tar,${TAR}`];
  const run = await world.run(other, buildOf(world, ...args));
  const cached = run.stderr.split('\n').filter((line) => / CACHED$/.test(line)).length;
  return new Map([...only(place, /^image\.tar$/), ['cached', String(cached)]]);
}

/** The cache that imports read, made once: another one has other times in its layers. */
async function cacheMade(world: World, place: Place): Promise<void> {
  await (world.made ??= makeCache(world, place));
}

async function makeCache(world: World, place: Place): Promise<void> {
  world.write('made/nothing', '');
  const to = `type=local,dest=${cacheAt(world)},mode=max,mounts=true`;
  await must(world, place, buildOf(world, '--cache-to', to));
  empty(world, place);
}

function empty(world: World, place: Place): void {
  world.remove(place);
}
