import { deepEqual, equal } from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Result } from '../../../src/base/index.ts';
import { createContentStore } from '../../../src/content/index.ts';
import { unpackArchive } from '../../../src/context/index.ts';
import { loadImages } from '../../../src/image/index.ts';
import { createFileDriver } from '../../../src/ops/index.ts';
import { readDeb } from '../../../src/packages/deb.ts';
import { extractDeb } from '../../../src/packages/extract.ts';
import type { ImageDb, LayerId, Snapshotter } from '../../../src/ports/index.ts';
import { createSnapshotter } from '../../../src/snapshot/index.ts';
import { listXattrs } from '../../../src/sys/index.ts';
import { chunked, digestOf, tarOf } from '../../conformance/tar-rig.ts';
import { arOf } from '../../rig/ar.ts';
import { note } from '../../rig/golden.ts';
import { hostileTars } from '../../rig/hostile-tars.ts';
import { chainOf, copyAction, World } from '../ops/world.ts';

const needsRoot = process.getuid?.() === 0 ? {} : { skip: 'not root: devices and owners are made' };
const signal = new AbortController().signal;

/** Takes a layer's archive as images have it, and reads it again. */
async function applyLayer(
  bytes: Uint8Array,
  dir: string,
  form: 'directories' | 'erofs',
): Promise<Result<unknown>> {
  // Brand constructor: the layer's id is the digest of its tar.
  const id = digestOf(bytes) as string as LayerId;
  const chain = [{ id, createdAt: 0 }];
  const store = createSnapshotter({ root: dir, form });
  const applied = await store.apply(chain, chunked(bytes, 1000), { signal });
  if (!applied.ok) return applied;
  for await (const _ of store.tar(chain, { signal })) continue;
  return applied;
}

/** Everything that takes an archive from outside: imports it below `dir`. */
const IMPORTERS: Readonly<
  Record<string, (bytes: Uint8Array, dir: string) => Promise<Result<unknown>>>
> = {
  'layers of images': async (bytes, dir) => await applyLayer(bytes, dir, 'directories'),
  'layers of images, mounted': async (bytes, dir) => await applyLayer(bytes, dir, 'erofs'),
  'image load': async (bytes, dir) => {
    const images = { set: () => undefined } as unknown as ImageDb;
    const deps = { content: createContentStore(dir), images, clock: { now: () => 0 } };
    return await loadImages(deps, chunked(bytes, 1000), { signal });
  },
  'context archives': async (bytes, dir) => await unpackArchive(chunked(bytes, 1000), dir, signal),
  'ADD of archives': async (bytes, dir) => {
    await using world = new World();
    const source = world.layer('');
    writeFileSync(join(world.upper(source[0]), 'a.tar'), bytes);
    // The driver only begins layers in it.
    const snapshotter = world.snapshotter as Snapshotter;
    const driver = createFileDriver({ snapshotter, trees: world.trees, clock: { now: () => 0 } });
    const op = chainOf(
      copyAction('/a.txt', '/', { src: '/a.tar', attemptUnpackDockerCompatibility: true }),
    );
    const result = await driver.run(world.context(op), [world.layer(''), source]);
    // What it made is looked at where the others write.
    const layer = result.ok ? result.value[0]?.at(-1) : undefined;
    if (layer !== undefined) check(world.upper(layer), join(dir, '..'));
    return result;
  },
  'Debian packages': async (bytes, dir) => {
    const path = join(dir, '..', 'x.deb');
    writeFileSync(
      path,
      arOf([
        ['debian-binary', Buffer.from('2.0\n')],
        ['control.tar', tarOf([])],
        ['data.tar', bytes],
      ]),
    );
    const deb = await readDeb(path);
    return deb.ok ? await extractDeb(deb.value, dir, signal) : deb;
  },
};

/** What no import may make: a device that deletes, and attributes with which overlayfs reads other files. */
function check(root: string, world: string): void {
  const all = { encoding: 'latin1', maxBuffer: 2 ** 26 } as const;
  const devices = execFileSync('find', [root, '-type', 'c', '-printf', '%P\\n'], all);
  for (const name of devices.split('\n').filter((line) => line !== ''))
    if (lstatSync(join(root, name)).rdev === 0) appendFinding(world, `whiteout ${name}`);
  const attributes = [
    '-R',
    '-P',
    '-h',
    '--absolute-names',
    '-m',
    '^(trusted|user)[.]overlay',
    root,
  ];
  const found = execFileSync('getfattr', attributes, {
    ...all,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  if (found !== '') appendFinding(world, found);
}

function appendFinding(world: string, text: string): void {
  writeFileSync(join(world, 'findings'), `${text}\n`, { flag: 'a' });
}

/** The directory that no import may touch, with all that could be changed in it. */
function snapshotOf(dir: string): string {
  return readdirSync(dir, { recursive: true })
    .map(String)
    .sort()
    .concat('.')
    .map((name) => {
      const path = join(dir, name);
      const { mode, uid, mtimeMs, nlink } = lstatSync(path);
      const data = lstatSync(path).isFile() ? readFileSync(path, 'utf8') : '';
      return [name, mode, uid, mtimeMs, name === '.' ? 0 : nlink, data, listXattrs(path)].join(' ');
    })
    .join('\n');
}

for (const [importer, run] of Object.entries(IMPORTERS)) {
  test(
    `${importer}: no hostile archive writes outside, deletes, misleads overlayfs or crashes`,
    needsRoot,
    async () => {
      const base = mkdtempSync(join(tmpdir(), 'varve-hostile-'));
      try {
        const outside = join(base, 'outside');
        mkdirSync(outside, { mode: 0o755 });
        writeFileSync(join(outside, 'secret'), 'original');
        const before = snapshotOf(outside);
        const wrong: string[] = [];
        let [refused, tamed] = [0, 0];
        for (const { danger, bytes, refusedByAll } of hostileTars(outside)) {
          const world = mkdtempSync(join(base, 'w-'));
          const dir = join(world, 'root');
          mkdirSync(dir);
          let said: string;
          try {
            const result = await run(bytes, dir);
            said = result.ok ? 'ok' : result.error.message;
          } catch (e) {
            said = `THROWN ${e instanceof Error ? `${e.message} ${e.stack ?? ''}` : String(e)}`;
          }
          if (importer === 'context archives' || importer === 'Debian packages') check(dir, world);
          if (said.startsWith('THROWN')) wrong.push(`${danger}: ${said}`);
          if (snapshotOf(outside) !== before)
            wrong.push(`${danger}: changed what is outside: ${snapshotOf(outside)}`);
          if (readdirSync(base).length > 2) wrong.push(`${danger}: wrote beside the root`);
          const findings = readdirSync(world).includes('findings')
            ? readFileSync(join(world, 'findings'), 'utf8')
            : '';
          if (findings !== '') wrong.push(`${danger}: ${findings}`);
          if (!said.startsWith('THROWN') && /[\x00-\x1f\x7f-\x9f]/.test(said))
            wrong.push(`${danger}: control characters in ${JSON.stringify(said)}`);
          // What does not begin like an archive is a file for ADD.
          if (refusedByAll === true && said === 'ok' && importer !== 'ADD of archives')
            wrong.push(`${danger}: accepted`);
          if (said === 'ok') tamed++;
          else refused++;
          rmSync(world, { recursive: true, force: true });
        }
        deepEqual(wrong, []);
        equal(refused > 15, true);
        note(
          `hostile inputs, ${importer}: ${refused + tamed} archives, ${refused} refused, ${tamed} tamed`,
        );
      } finally {
        rmSync(base, { recursive: true, force: true });
      }
    },
  );
}

test(
  'a layer is refused for the same reason whether it would be extracted or mounted',
  needsRoot,
  async () => {
    const base = mkdtempSync(join(tmpdir(), 'varve-hostile-'));
    try {
      const odd: readonly (readonly [string, Readonly<Record<string, Buffer>>])[] = [
        ['capabilities of the first revision', { 'security.capability': Buffer.alloc(12, 1) }],
        ['capabilities of no revision', { 'security.capability': Buffer.alloc(20, 9) }],
        ['an attribute with the longest name', { [`user.${'n'.repeat(250)}`]: Buffer.from('v') }],
        ['an attribute with a longer name', { [`user.${'n'.repeat(251)}`]: Buffer.from('v') }],
        ['an attribute without a name', { 'user.': Buffer.from('v') }],
        ['an attribute of another kind', { 'system.data': Buffer.from('v') }],
      ];
      const archives = [
        ...hostileTars(join(base, 'outside')),
        ...odd.map(([danger, xattrs]) => ({
          danger,
          bytes: tarOf([{ name: 'f', data: 'f', xattrs: new Map(Object.entries(xattrs)) }]),
        })),
      ];
      const said = async (form: 'directories' | 'erofs'): Promise<readonly string[]> => {
        const all: string[] = [];
        for (const { danger, bytes } of archives) {
          const result = await applyLayer(bytes, mkdtempSync(join(base, `${form}-`)), form);
          all.push(`${danger}: ${result.ok ? 'taken' : result.error.message}`);
        }
        return all;
      };
      deepEqual(await said('erofs'), await said('directories'));
    } finally {
      rmSync(base, { recursive: true, force: true });
    }
  },
);
