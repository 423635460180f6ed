import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256 } from '../../src/base/index.ts';
import { rowBuild, rowWorld } from '../rig/cache-rows.ts';
import { note } from '../rig/golden.ts';
import { startRegistry } from '../rig/registry.ts';
import type { Rig } from '../rig/rig.ts';

const skip = process.getuid?.() === 0 ? false : 'needs root (mounts small disks)';
const LAYER = 400_000;

/** A disk of a fixed size, until it is disposed. */
class SmallDisk implements Disposable {
  readonly dir: string;

  constructor(dir: string, size: string) {
    mkdirSync(dir, { recursive: true });
    this.dir = dir;
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'varve-test', dir]);
  }

  /** Leaves so many bytes of it. */
  fill(left: number): void {
    const { bavail, bsize } = statfsSync(this.dir);
    writeFileSync(join(this.dir, 'ballast'), Buffer.alloc(Math.max(0, bavail * bsize - left)));
  }

  free(): void {
    rmSync(join(this.dir, 'ballast'), { force: true });
  }

  remount(how: 'ro' | 'rw'): void {
    execFileSync('mount', ['-o', `remount,${how}`, this.dir]);
  }

  [Symbol.dispose](): void {
    execFileSync('umount', [this.dir]);
  }
}

/** What is wrong with a disk, how it is made so and good again, and what is said of it. */
const DISKS: Readonly<
  Record<
    string,
    readonly [(disk: SmallDisk, blob: number) => void, (disk: SmallDisk) => void, RegExp]
  >
> = {
  full: [(disk, blob) => disk.fill(blob / 2), (disk) => disk.free(), /ENOSPC/],
  'full but for the last files': [
    (disk, blob) => disk.fill(blob + 3 * 4096),
    (disk) => disk.free(),
    /ENOSPC/,
  ],
  'not to be written': [(disk) => disk.remount('ro'), (disk) => disk.remount('rw'), /EROFS/],
};

const TYPES: Readonly<Record<string, (dir: string) => readonly [from: string, to: string]>> = {
  local: (dir) => [`type=local,src=${dir}`, `type=local,dest=${dir}`],
  dir: (dir) => [`type=dir,path=${dir}`, `type=dir,path=${dir}`],
};

/** Blobs under their final names that are not what these say, and names that lead to a cache. */
function halfWritten(rig: Rig, dir: string): readonly string[] {
  return [...(existsSync(dir) ? rig.files(dir) : [])].flatMap(([path, bytes]) => {
    const name = path.slice(dir.length + 1);
    const blob = /^(?:blobs\/sha256|scopes\/[^/]+)\/([0-9a-f]{64})$/.exec(name)?.[1];
    if (name === 'index.json' || name.startsWith('scopes/')) return [`${name} leads to a cache`];
    return blob === undefined || sha256(bytes) === `sha256:${blob}` ? [] : [`${name} is not whole`];
  });
}

/** The outcome of a build, of whose files only is told whether they are what they should be. */
async function outcome(
  rig: Rig,
  flags: readonly string[],
  want: string,
): Promise<{ readonly came: string; readonly said: string }> {
  const { status, steps, files, said } = await rowBuild(rig, flags, { output: true });
  return { came: `${status}, ${steps}, ${files === want ? 'right' : 'wrong'} files`, said };
}

test('an export onto a disk that is full or cannot be written is said, leaves nothing under a final name, and succeeds later', {
  skip,
}, async () => {
  await using rig = rowWorld();
  const large = randomBytes(LAYER * 0.75).toString('base64');
  rig.write('app/a.txt', large);
  const wrong: string[] = [];
  let rows = 0;
  const files = `${large}b\n`;
  const expect = async (
    name: string,
    flags: readonly string[],
    want: string,
    said: RegExp,
  ): Promise<void> => {
    rows++;
    const got = await outcome(rig, flags, files);
    if (got.came !== `${want}, right files` || !said.test(got.said))
      wrong.push(`${name}: ${got.came}: ${got.said}`);
  };
  const whole = join(rig.root, 'whole');
  await rowBuild(rig, ['--cache-to', `type=local,dest=${whole},mode=max`]);
  const blob = Math.max(...[...rig.files(whole)].map(([, bytes]) => bytes.length));
  for (const [type, spec] of Object.entries(TYPES))
    for (const [state, [spoil, mend, why]] of Object.entries(DISKS)) {
      using disk = new SmallDisk(join(rig.root, `${type}-${state.replaceAll(' ', '-')}`), '4m');
      const dir = join(disk.dir, 'cache');
      const [from, to] = spec(dir);
      spoil(disk, blob);
      const name = `${type}, ${state}`;
      for (const ignore of [true, false]) {
        const flags = ['--cache-to', `${to},mode=max,ignore-error=${ignore}`];
        const first = ignore
          ? '^CacheExport: the cache was not exported to '
          : '^error\\[RC006\\]: ';
        const said = new RegExp(`${first}[^|]*${why.source}`);
        await expect(name, flags, `${ignore ? 0 : 3}, DONE DONE`, said);
        wrong.push(...halfWritten(rig, dir).map((each) => `${name}: ${each}`));
      }
      mend(disk);
      await rowBuild(rig, ['--cache-to', `${to},mode=max`]);
      await expect(`${name}, then`, ['--cache-from', from], '0, CACHED CACHED', /^$/);
    }
  assert.deepEqual(wrong, []);
  note(`disks of caches that cannot be written: ${rows} rows`);
});

test('a registry whose disk is full refuses a cache; nothing has its name, and it is exported once there is space', {
  skip,
}, async () => {
  await using rig = rowWorld();
  const large = randomBytes(LAYER * 0.75).toString('base64');
  rig.write('app/a.txt', large);
  using disk = new SmallDisk(join(rig.root, 'registry'), '4m');
  await using registry = await startRegistry({ data: join(disk.dir, 'data') });
  const spec = `type=registry,ref=${registry.host}/team/cache:main`;
  disk.fill(LAYER / 2);
  const outcomes: Record<string, unknown> = {};
  for (const ignore of [true, false]) {
    const { said, ...rest } = await rowBuild(rig, [
      '--cache-to',
      `${spec},mode=max,ignore-error=${ignore}`,
    ]);
    outcomes[`ignore-error=${ignore}`] = {
      ...rest,
      said: said.replace(/[A-Z]+ http:\S+/, 'REQUEST'),
    };
  }
  const named = await fetch(`${registry.url}/v2/team/cache/manifests/main`);
  const why = 'REQUEST the registry answers 500';
  assert.deepEqual(
    { ...outcomes, named: named.status },
    {
      'ignore-error=true': {
        ...{ status: 0, steps: 'DONE DONE' },
        said: `CacheExport: the cache was not exported to ${registry.host}/team/cache:main: ${why}`,
      },
      'ignore-error=false': { status: 3, steps: 'DONE DONE', said: `error[RG001]: ${why}` },
      named: 404,
    },
  );
  disk.free();
  // What the registry itself made of its files while there was no space is not shown here.
  const other = spec.replace('team', 'other');
  assert.equal((await rowBuild(rig, ['--cache-to', `${other},mode=max`])).status, 0);
  assert.deepEqual(await outcome(rig, ['--cache-from', other], `${large}b\n`), {
    ...{ came: '0, CACHED CACHED, right files', said: '' },
  });
  // What the disk has of its blobs is what their names say.
  for (const [path, bytes] of rig.files(join(disk.dir, 'data/docker/registry/v2/blobs')))
    assert.equal(sha256(bytes), `sha256:${path.split('/').at(-2) ?? ''}`);
});
