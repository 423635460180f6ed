import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parseJson } from '../../src/base/index.ts';
import {
  graphText,
  type RecordText,
  readCacheDirectory,
  readInlineCache,
} from '../rig/cache-graph.ts';
import { GOLDEN, goldenJson, goldenNames, note } from '../rig/golden.ts';
import { type GoldenCase as Case, type Entry, writeEntries } from '../rig/golden-case.ts';
import { type ListedEntry, listLayer } from '../rig/tar-listing.ts';

const VARVE = join(import.meta.dirname, '../../bin/varve');
const skip =
  GOLDEN === undefined
    ? 'golden data of BuildKit is not beside the repository'
    : process.getuid?.() !== 0
      ? 'needs root (runs steps)'
      : false;

type States = readonly { readonly name: string; readonly state: string }[];

interface GoldenImage {
  readonly config: Readonly<Record<string, unknown>> & {
    readonly history: readonly Record<string, unknown>[];
  };
  readonly layers: readonly {
    readonly base?: boolean;
    readonly diffID: string;
    readonly reproducible: boolean;
  }[];
}

/** Rebuilds in which BuildKit's answer comes from a context it already holds; varve reads the change time and sees the edit. */
const NOTICED = new Map([
  ['01-run-chain/a.txt-same-size-and-mtime', 'a file edited within its size and mtime is noticed'],
  ['22-context-xattrs/xattr-only', 'an extended attribute changed alone is noticed'],
]);

const cases = goldenNames('cachekeys').filter((n) => /^\d/.test(n));

describe('builds equal those of BuildKit from end to end', { skip, concurrency: 1 }, () => {
  let root = '';
  const counts = { images: 0, layers: 0, rebuilds: 0, errors: 0, caches: 0, imports: 0 };

  before(() => {
    root = mkdtempSync(join(tmpdir(), 'varve-golden-'));
  });
  after(() => {
    note(
      `golden builds: ${counts.images} images and ${counts.layers} layer listings equal, ${counts.rebuilds} rebuilds with equal step states, ${counts.errors} errors with equal text; ${NOTICED.size} rebuilds differ on purpose`,
    );
    note(
      `golden caches: ${counts.caches} exported graphs equal, ${counts.imports} imports into an empty store with equal step states`,
    );
    rmSync(root, { recursive: true, force: true });
  });

  for (const name of cases) {
    test(name, () => {
      const one = goldenJson<Case>(`cachekeys/${name}/case.json`);
      const store = join(root, name);
      const context = join(root, `${name}-context`);
      writeEntries(context, one.entries);
      const cache = join(root, `${name}-cache`);
      const first = build(one, store, context, ['--cache-to', cacheTarget(one, cache)]);
      if (name.includes('error')) {
        checkError(name, first);
        return;
      }
      assert.equal(first.status, 0, first.stderr);
      checkImage(name, join(store, 'layout'));
      checkCache(name, one, join(store, 'layout'), cache);
      const rebuilds = goldenJson<Readonly<Record<string, States>>>(
        `cachekeys/${name}/rebuilds.json`,
      );
      const problems: unknown[] = [];
      for (const [change, wanted] of Object.entries(rebuilds)) {
        if (change === 'imported') continue;
        rmSync(context, { recursive: true, force: true });
        writeEntries(context, applyChange(one.entries, one.changes?.[change] ?? []));
        const again = build(one, store, context);
        assert.equal(again.status, 0, again.stderr);
        if (NOTICED.has(`${name}/${change}`)) continue;
        const [got, want] = [steps(again.states), steps(wanted)];
        try {
          assert.deepEqual(got, want);
          counts.rebuilds++;
        } catch {
          problems.push({ change, got, want });
        }
      }
      assert.deepEqual(problems, []);
      if (rebuilds['imported'] === undefined) return;
      rmSync(context, { recursive: true, force: true });
      writeEntries(context, one.entries);
      const imported = build(one, join(root, `${name}-empty`), context, [
        ...['--cache-from', `type=local,src=${cache}`],
      ]);
      assert.equal(imported.status, 0, imported.stderr);
      assert.deepEqual(steps(imported.states), steps(rebuilds['imported']));
      counts.imports++;
    });
  }

  function checkCache(name: string, one: Case, layout: string, cache: string): void {
    const golden = goldenJson<readonly (Omit<RecordText, 'results'> & Partial<RecordText>)[]>(
      `cachekeys/${name}/cache-records.json`,
    ).map((record) => ({ ...record, results: record.results ?? [] }));
    const image = goldenJson<GoldenImage>(`cachekeys/${name}/image.json`);
    const known = new Set(
      image.layers.filter((l) => l.base === true || l.reproducible).map((l) => l.diffID),
    );
    if (one.cacheMode !== 'inline') {
      assert.deepEqual(graphText(readCacheDirectory(cache), known), graphText(golden, known));
    } else {
      const member = String(readImage(layout).config['moby.buildkit.cache.v0']);
      const ours = parseJson(Buffer.from(member, 'base64').toString('utf8'));
      assert.ok(ours.ok);
      const theirs = goldenJson<Parameters<typeof readInlineCache>[0]>(
        `cachekeys/${name}/cache-inline.json`,
      );
      assert.deepEqual(
        graphText(readInlineCache(ours.value as typeof theirs), known),
        graphText(readInlineCache(theirs), known),
      );
    }
    counts.caches++;
  }

  function checkError(name: string, run: Run): void {
    const golden = goldenJson<{ readonly error: string }>(`cachekeys/${name}/error.json`);
    // The part that names the cause, without the client's prefix and the volatile reference.
    const text = golden.error
      .replace(/^error: failed to solve: (failed to compute cache key: )?/, '')
      .replace(/^failed to calculate checksum of ref REF: /, '');
    assert.equal(run.status, 1, run.stderr);
    assert.ok(run.stderr.includes(text), `expected ${text}\nin ${run.stderr}`);
    counts.errors++;
  }

  function checkImage(name: string, layout: string): void {
    const golden = goldenJson<GoldenImage>(`cachekeys/${name}/image.json`);
    const { config, layers } = readImage(layout);
    assert.deepEqual(timeless(config), timeless(golden.config));
    counts.images++;
    const wantedLayers = goldenJson<Readonly<Record<string, readonly ListedEntry[]>>>(
      `cachekeys/${name}/layers.json`,
    );
    const diffIds = (config['rootfs'] as { readonly diff_ids: readonly string[] }).diff_ids;
    const problems: unknown[] = [];
    for (const [i, golden_] of golden.layers.entries()) {
      if (golden_.base === true) continue;
      const [got, want] = withoutUnknownTimes(
        listLayer(layers[i] ?? new Uint8Array()),
        wantedLayers[String(i)] ?? [],
      );
      try {
        assert.deepEqual(got, want);
        if (golden_.reproducible) assert.equal(diffIds[i], golden_.diffID, `diffID of layer ${i}`);
        counts.layers++;
      } catch (e) {
        problems.push({ layer: i, message: (e as Error).message });
      }
    }
    assert.deepEqual(problems, []);
  }

  interface Run {
    readonly status: number | null;
    readonly stderr: string;
    readonly states: States;
  }

  function build(one: Case, store: string, context: string, more: readonly string[] = []): Run {
    const args = [
      'build',
      '--progress=rawjson',
      '--build-context',
      `base=oci-layout://${join(GOLDEN ?? '', 'cachekeys/base')}:latest`,
    ];
    for (const [key, value] of Object.entries(one.opts ?? {})) {
      if (key.startsWith('build-arg:')) args.push('--build-arg', `${key.slice(10)}=${value}`);
      else if (key.startsWith('label:')) args.push('--label', `${key.slice(6)}=${value}`);
      else args.push(`--${key}=${value}`);
    }
    const env: Record<string, string | undefined> = { ...process.env, VARVE_ROOT: store };
    for (const [id, value] of Object.entries(one.secrets ?? {})) {
      env[`SECRET_${id}`] = value;
      args.push('--secret', `id=${id},env=SECRET_${id}`);
    }
    const layout = join(store, 'layout');
    rmSync(layout, { recursive: true, force: true });
    args.push('-o', `type=oci,dest=${layout},tar=false${one.output ?? ''}`, ...more, context);
    const run = spawnSync(VARVE, args, { encoding: 'utf8', env, maxBuffer: 1 << 28 });
    return { status: run.status, stderr: run.stderr, states: statesOf(run.stderr) };
  }
});

/** Where a case keeps its cache. */
function cacheTarget(one: Case, dest: string): string {
  const { cacheMode = 'max' } = one;
  return cacheMode === 'inline' ? 'type=inline' : `type=local,dest=${dest},mode=${cacheMode}`;
}

/** The last state of each vertex in a stream of BuildKit-shaped status lines. */
function statesOf(lines: string): States {
  const vertexes = new Map<
    string,
    { name: string; cached?: boolean; started?: string; completed?: string; error?: string }
  >();
  for (const line of lines.split('\n')) {
    const parsed = parseJson(line);
    if (!parsed.ok) continue;
    const status = parsed.value as { vertexes?: { digest: string; name: string }[] } | null;
    for (const vertex of status?.vertexes ?? [])
      vertexes.set(vertex.digest, { ...vertexes.get(vertex.digest), ...vertex });
  }
  return [...vertexes.values()].map((v) => ({
    name: v.name,
    state:
      v.started === undefined
        ? 'SKIPPED'
        : (v.error ?? '') !== ''
          ? 'ERROR'
          : v.cached === true
            ? 'CACHED'
            : 'DONE',
  }));
}

/** Steps of the Dockerfile (not the internal vertices), sorted. A step that BuildKit never started need not be announced. */
function steps(states: States): string[] {
  return states
    .filter(
      (s) =>
        /^\[(?!internal|context )/.test(s.name) && !/ FROM /.test(s.name) && s.state !== 'SKIPPED',
    )
    .map((s) => `${s.state} ${s.name}`)
    .sort();
}

function applyChange(entries: readonly Entry[], change: readonly Entry[]): Entry[] {
  const byPath = new Map(entries.map((e) => [e.path, e]));
  for (const entry of change) {
    if (entry.delete === true) byPath.delete(entry.path);
    else byPath.set(entry.path, { ...byPath.get(entry.path), ...entry });
  }
  return [...byPath.values()];
}

function readImage(layout: string): {
  config: Readonly<Record<string, unknown>>;
  layers: readonly Uint8Array[];
} {
  const blob = (digest: string): Buffer =>
    readFileSync(join(layout, 'blobs', digest.replace(':', '/')));
  const json = <T>(bytes: Buffer): T => {
    const parsed = parseJson(bytes.toString());
    if (!parsed.ok) throw new Error(parsed.error);
    return parsed.value as T;
  };
  assert.ok(readdirSync(layout).includes('oci-layout'));
  const index = json<{ manifests: { digest: string }[] }>(readFileSync(join(layout, 'index.json')));
  const manifest = json<{ config: { digest: string }; layers: { digest: string }[] }>(
    blob(index.manifests[0]?.digest ?? ''),
  );
  return {
    config: json(blob(manifest.config.digest)),
    layers: manifest.layers.map((l) => blob(l.digest)),
  };
}

/** A config without what differs from build to build: creation times after the base's, diffIDs (compared apart), inline cache. */
function timeless(config: Readonly<Record<string, unknown>>): unknown {
  const history = (config['history'] as readonly Record<string, unknown>[]).map((h) => ({
    ...h,
    created: String(h['created']).startsWith('2026-') ? 'time of the build' : h['created'],
  }));
  const { rootfs: _rootfs, 'moby.buildkit.cache.v0': _inline, ...rest } = config;
  return {
    ...rest,
    history,
    created: String(config['created']).startsWith('2026-')
      ? 'time of the build'
      : config['created'],
  };
}

/** Both listings with the times cleared that the golden one leaves open (null), or that a step made. */
function withoutUnknownTimes(
  got: readonly ListedEntry[],
  want: readonly ListedEntry[],
): [unknown, unknown] {
  const open = new Set(want.filter((e) => e.mtime === null).map((e) => e.name));
  const clear = (entries: readonly ListedEntry[]): unknown =>
    entries.map((e) => (open.has(e.name) ? { ...e, mtime: null } : e));
  return [clear(got), want];
}
