import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  cpSync,
  existsSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Semaphore, sha256 } from '../../src/base/index.ts';
import { readJson } from '../rig/cache-graph.ts';
import { rowBuild, rowWorld } from '../rig/cache-rows.ts';
import { note } from '../rig/golden.ts';

const { signal } = new AbortController();
const PARALLEL = 4;

/** What can have become of a file. */
const DAMAGE: Readonly<Record<string, (path: string) => void>> = {
  missing: (path) => rmSync(path),
  corrupt: (path) => {
    const bytes = readFileSync(path);
    const at = bytes.length >> 1;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(path, bytes);
  },
  truncated: (path) => truncateSync(path, statSync(path).size >> 1),
  // Sparse: who reads it whole is caught by the memory of the machine.
  oversized: (path) => truncateSync(path, 2 ** 40),
};

interface Index {
  readonly manifests: readonly { readonly digest: string }[];
}
interface Manifest {
  readonly config: { readonly digest: string };
  readonly layers: readonly {
    readonly digest: string;
    readonly mediaType: string;
    readonly size: number;
  }[];
}

/** The files of a cache in a directory by what they are. */
function partsOf(dir: string): Readonly<Record<string, string>> {
  const blob = (digest: string): string => `blobs/sha256/${digest.slice('sha256:'.length)}`;
  const [top] = readJson<Index>(join(dir, 'index.json')).manifests;
  assert.ok(top !== undefined);
  const manifest = readJson<Manifest>(join(dir, blob(top.digest)));
  const of = (name: string, type: string): Readonly<Record<string, string>> => {
    // The largest: that of the first step.
    const [found] = manifest.layers
      .filter(({ mediaType }) => mediaType.includes(type))
      .sort((a, b) => b.size - a.size);
    return found === undefined ? {} : { [name]: blob(found.digest) };
  };
  const shared = existsSync(join(dir, 'scopes'));
  const named = shared
    ? { entry: `scopes/main/${top.digest.slice('sha256:'.length)}` }
    : { index: 'index.json', manifest: blob(top.digest) };
  return {
    ...named,
    config: blob(manifest.config.digest),
    ...of('layer', 'tar+zstd'),
    ...of('file index', 'file-index'),
    ...of('traces', 'step-traces'),
  };
}

/** Parts of a cache that are not what they should be. */
function damagedParts(dir: string): readonly string[] {
  return Object.entries(partsOf(dir)).flatMap(([part, path]) => {
    const bytes = existsSync(join(dir, path)) ? readFileSync(join(dir, path)) : Buffer.from('gone');
    const [name = ''] = path.split('/').slice(-1);
    return part === 'index' || sha256(bytes) === `sha256:${name}` ? [] : [part];
  });
}

const ALL = 'CACHED CACHED';
const READ_AT_ONCE = /^(?:index|manifest|entry|config)$/;

test('whatever a directory has in place of its files, imports run what is missing and the next export mends it', async () => {
  await using rig = rowWorld();
  // Larger than what an export reads of the blobs that are there.
  const large = randomBytes(150_000).toString('base64');
  rig.write('app/a.txt', large);
  const files = `${large}b\n`;
  const wrong: string[] = [];
  const slots = new Semaphore(PARALLEL);
  const rows: Promise<void>[] = [];
  for (const [type, key] of Object.entries({ local: ['src', 'dest'], dir: ['path', 'path'] })) {
    const spec = (dir: string, at: number): string => `type=${type},${key[at] ?? ''}=${dir}`;
    const good = join(rig.root, `${type}-good`);
    await rowBuild(rig, ['--cache-to', `${spec(good, 1)},mode=max`]);
    for (const [part, path] of Object.entries(partsOf(good)))
      for (const [damage, change] of Object.entries(DAMAGE)) {
        const row = async (): Promise<void> => {
          const dir = join(rig.root, `${type}-${part}-${damage}`.replaceAll(' ', '-'));
          cpSync(good, dir, { recursive: true });
          change(join(dir, path));
          const name = `${type} ${part} ${damage}`;
          const [from, to] = [spec(dir, 0), `${spec(dir, 1)},mode=max`];
          const flags = ['--cache-from', from, '--cache-to', to];
          const used = part === 'file index' || part === 'traces';
          const got = await rowBuild(rig, flags, { output: true });
          const steps = used ? ALL : 'DONE DONE';
          if (got.status !== 0 || got.steps !== steps || got.files !== files)
            wrong.push(`${name}: ${got.status} ${got.steps} ${got.said}`);
          const report = READ_AT_ONCE.test(part)
            ? /^CacheImport: [^|]* is not used: [^|]*$/
            : /CacheLayerLost: layer|CacheImport: 2 results of the cache \S+ cannot be used: it lacks layer/;
          if (!used && !report.test(got.said)) wrong.push(`${name}: said "${got.said}"`);
          const damaged = damagedParts(dir);
          if (damaged.length > 0) wrong.push(`${name}: then ${damaged.join(', ')} is damaged`);
          const { said, ...again } = await rowBuild(rig, ['--cache-from', from], { output: true });
          // Of a shared directory the export beside it, which cannot be mended, is still said.
          const gone = part === 'entry' && damage === 'missing';
          const kept = type === 'dir' && READ_AT_ONCE.test(part) && !gone;
          const quiet = kept ? /^CacheImport: an export in [^|]* is not used/ : /^$/;
          if (JSON.stringify(again) !== JSON.stringify({ status: 0, steps: ALL, files }))
            wrong.push(`${name}: then ${again.status} ${again.steps}`);
          if (!quiet.test(said)) wrong.push(`${name}: then said ${said}`);
          rmSync(dir, { recursive: true });
        };
        rows.push(slots.run(signal, row));
      }
  }
  await Promise.all(rows);
  assert.deepEqual(wrong.sort(), []);
  note(`damaged directories: ${rows.length} rows`);
});
