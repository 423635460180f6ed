import { deepEqual } from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Semaphore } from '../../src/base/index.ts';
import { documentOf, partsOf, startKinds } from '../rig/cache-kinds.ts';
import { rowWorld } from '../rig/cache-rows.ts';
import { note } from '../rig/golden.ts';
import { HOSTILE_CACHES, hostileLayer } from '../rig/hostile-caches.ts';
import { hostileTars } from '../rig/hostile-tars.ts';
import { varveHere } from '../rig/in-process.ts';
import { type Rig, statesOf } from '../rig/rig.ts';

const { signal } = new AbortController();
const PARALLEL = 4;
const SOME = 8;

interface Built {
  readonly status: number | null;
  readonly steps: string;
  readonly said: string;
  readonly image: string;
}

/** Builds, and gives the digest of the image's files with all that a tar says of them. */
async function build(rig: Rig, store: string, args: readonly string[], env = {}): Promise<Built> {
  const out = join(rig.root, `${store}.tar`);
  const run = await varveHere(
    rig,
    rig.work,
    ['build', '--progress=rawjson', ...args, '-o', `type=tar,dest=${out}`, 'app'],
    { ...env, VARVE_NETWORK_TRIES: '1', VARVE_ROOT: join(rig.root, store) },
  ).catch((e: unknown) => ({ status: 70, stdout: '', stderr: `internal: ${String(e)}` }));
  const said = [...run.stderr.matchAll(/"short":"([^"]*)"/g)].map(([, short]) =>
    Buffer.from(short ?? '', 'base64').toString(),
  );
  const image =
    run.status === 0 ? createHash('sha256').update(readFileSync(out)).digest('hex') : '';
  rmSync(out, { force: true });
  const steps = Object.entries(statesOf(run.stderr)).filter(([step]) => step.startsWith('['));
  return {
    status: run.status,
    steps: steps.map(([, state]) => state).join(' '),
    said: [...said, ...(/^(?:error|internal).*$/m.exec(run.stderr) ?? [])].join(' | '),
    image,
  };
}

/** All below a directory with what stat says of it. */
const listing = (dir: string): readonly unknown[] =>
  ['', ...readdirSync(dir)].map((name) => {
    const { mode, uid, gid, nlink, mtimeMs } = statSync(join(dir, name));
    return [
      name,
      mode,
      uid,
      gid,
      nlink,
      mtimeMs,
      name === '' ? '' : readFileSync(join(dir, name), 'utf8'),
    ];
  });

const NAMED = /^(?:CacheImport|CacheLayerLost): [^|]*(?:is not used|cannot be used|: layer|lacks)/;

test('no cache, however it lies and whatever its layers are, does more than that its steps run', async () => {
  await using rig = rowWorld();
  await using stack = new AsyncDisposableStack();
  const kinds = await startKinds(rig, stack);
  const outside = join(rig.root, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'secret'), 'secret');
  const before = listing(outside);
  const exported = join(rig.root, 'exported');
  // Layers have times of whole seconds.
  for (const name of ['a.txt', 'b.txt']) utimesSync(join(rig.work, 'app', name), 1, 1);
  const clean = await build(rig, 'clean', ['--cache-to', `type=local,dest=${exported},mode=max`]);
  const { parts, blobs } = partsOf(exported);
  const tars = hostileTars(outside).map(({ danger, bytes, refusedByAll }) => {
    const { blob, change } = hostileLayer(bytes);
    return {
      danger,
      change,
      blob,
      tar: true,
      ...(refusedByAll === undefined ? {} : { refused: true as const }),
    };
  });
  const wrong: string[] = [];
  const counts = { rows: 0, refused: 0, found: 0 };
  for (const kind of Object.values(kinds)) await kind.put('good', blobs, Buffer.from('{}'));
  const slots = new Semaphore(PARALLEL);
  const rows: Promise<void>[] = [];
  for (const [at, [type, kind]] of Object.entries(kinds).entries())
    for (const [i, row] of [...HOSTILE_CACHES, ...tars].entries()) {
      // What takes layers apart does not know where they came from: all come from one place, and some from each other one.
      if ('tar' in row && type !== 'local' && i % SOME !== at) continue;
      const made = documentOf(row, parts, kind.form);
      if (made === undefined) continue;
      rows.push(
        slots.run(signal, async () => {
          const name = `row${i}`;
          const layer = 'blob' in row ? [row.blob] : [];
          await kind.put(name, [...made.blobs, ...layer], made.document);
          const [where, store] = [`${type}, ${row.danger}`, `${type}-${i}`];
          const got = await build(rig, store, ['--cache-from', kind.from(name)], kind.env);
          const ran = got.steps.includes('DONE');
          counts.rows++;
          counts[ran ? 'refused' : 'found']++;
          const fine = got.status === 0 && /^(?:DONE|CACHED) (?:DONE|CACHED)$/.test(got.steps);
          if (!fine) wrong.push(`${where}: exit ${got.status} ${got.steps} ${got.said}`);
          if (row.refused === true && !ran) wrong.push(`${where}: ${got.steps}`);
          if (row.refused === true && !('quiet' in row) && !NAMED.test(got.said))
            wrong.push(`${where}: said "${got.said}"`);
          // What a layer is, only who signs caches can promise; a layer that is taken is below the root of its image.
          if ((ran || !('tar' in row)) && got.image !== clean.image)
            wrong.push(`${where}: another image`);
          if (ran && ('tar' in row || type === 'local')) {
            const again = await build(rig, store, []);
            if (again.image !== clean.image)
              wrong.push(`${where}: then another image: ${again.said}`);
          }
          rmSync(join(rig.root, store), { recursive: true, force: true });
          if (JSON.stringify(listing(outside)) !== JSON.stringify(before))
            wrong.push(`${where}: changed what is outside`);
        }),
      );
    }
  await Promise.all(rows);
  deepEqual(wrong.sort(), []);
  deepEqual(Object.getPrototypeOf({}), Object.prototype);
  note(
    `hostile caches: ${counts.rows} in ${Object.keys(kinds).length} kinds of places (${HOSTILE_CACHES.length} documents, ${tars.length} layers): ${counts.refused} not used, ${counts.found} harmless`,
  );
});
