import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Digest, ok, parseDigest, sha256 } from '../../../src/base/index.ts';
import { openStateDb } from '../../../src/cachedb/index.ts';
import {
  contentRecordDigest,
  imageChainKey,
  imageManifestKey,
  opKey,
  recordDigest,
  sourceKey,
} from '../../../src/cachekey/index.ts';
import { type Definition, decodeOp, type OpInput, type Vertex } from '../../../src/llb/index.ts';
import type { CacheMap, LayerId, LayerRef, OpDriver } from '../../../src/ports/index.ts';
import { createSolver, exportRecords } from '../../../src/solve/index.ts';
import { GOLDEN, goldenJson, goldenNames, needsGolden, note } from '../../rig/golden.ts';

interface LlbVertex {
  readonly digest: string;
  readonly inputs: readonly string[];
  readonly pb: string;
  readonly metadata: { readonly description?: Record<string, string> };
}
interface GoldenRecord {
  readonly digest: string;
  readonly what: string;
  readonly inputs?: readonly (readonly { readonly link: number; readonly selector?: string }[])[];
  readonly results?: readonly (readonly string[])[];
}

const digestOf = (text: string): Digest => {
  const parsed = parseDigest(text);
  assert.ok(parsed, text);
  return parsed;
};

/** The graph as text: each record by digest, with its inputs by digest and selector, and the number of result layers. */
function graphText(
  records: readonly {
    readonly digest: string;
    readonly inputs?: GoldenRecord['inputs'];
    readonly layers: readonly number[];
  }[],
): string[] {
  return records
    .map(({ digest, inputs = [], layers }) => {
      const links = inputs.map((alternatives) =>
        alternatives
          .map(
            ({ link, selector }) => `${records[link]?.digest}${selector ? ` via ${selector}` : ''}`,
          )
          .sort(),
      );
      return JSON.stringify([digest, links, layers]);
    })
    .sort();
}

/** Solves a golden case with drivers that take content keys from the exported records; returns the export. */
async function simulate(
  name: string,
  mode: 'min' | 'max',
): Promise<{ readonly ours: string[]; readonly theirs: string[] }> {
  const dir = mkdtempSync(join(tmpdir(), 'varve-golden-'));
  try {
    const records = goldenJson<GoldenRecord[]>(`cachekeys/${name}/cache-records.json`);
    const llb = goldenJson<LlbVertex[]>(`cachekeys/${name}/llb.json`);
    const config = goldenJson<{ config: { rootfs: { diff_ids: string[] } } }>(
      `cachekeys/${name}/image.json`,
    );
    let now = 1;
    const clock = { now: (): number => now++ };
    const opened = openStateDb({ path: join(dir, 'state.db'), clock });
    assert.ok(opened.ok);
    using db = opened.value;
    const definition = definitionOf(llb);
    const base = config.config.rootfs.diff_ids.slice(0, 2).map(digestOf);
    const realContent = new Map<string, string>();
    const solver = createSolver({
      ...{ cache: db.cache, traces: db.traces, locks: db.locks, leases: db.leases, clock },
      resolver: (vertex) => driver(vertex, { records, base, realContent }),
      available: () => Promise.resolve(true),
      maxParallel: 4,
    });
    const solved = await solver.solve(definition, {
      signal: new AbortController().signal,
      emit: () => undefined,
    });
    assert.ok(solved.ok);
    const exported = exportRecords(db.cache, solved.value.records, mode);
    return {
      ours: graphText(
        exported.map(({ digest, inputs, results }) => ({
          digest: realContent.get(digest) ?? digest,
          inputs,
          layers: results.map(({ chain }) => chain.length),
        })),
      ),
      theirs: graphText(
        records.map((r) => ({ ...r, layers: (r.results ?? []).map((chain) => chain.length) })),
      ),
    };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function definitionOf(llb: readonly LlbVertex[]): Definition {
  const vertices = new Map<Digest, Vertex>();
  let result: OpInput | undefined;
  for (const each of llb) {
    const pb = Buffer.from(each.pb, 'base64');
    const op = decodeOp(pb);
    assert.ok(op.ok);
    if (op.value.body.kind === 'terminal') {
      result = op.value.inputs[0];
      continue;
    }
    const digest = digestOf(each.digest);
    const metadata = {
      description: each.metadata.description ?? {},
      ignoreCache: false,
      caps: [],
      spans: [],
    };
    vertices.set(digest, { digest, op: op.value, pb, metadata });
  }
  assert.ok(result);
  return { vertices, result };
}

interface Answers {
  readonly records: readonly GoldenRecord[];
  readonly base: readonly Digest[];
  /** From the digest of a stand-in content record to BuildKit's. */
  readonly realContent: Map<string, string>;
}

let layers = 0;

function driver(vertex: Vertex, answers: Answers): OpDriver {
  const map = cacheMapOf(vertex, answers.base);
  const layer = (id: string): LayerRef => ({ id: id as LayerId, createdAt: 1 });
  return {
    cacheMap: () => Promise.resolve(ok(map)),
    contentKey: (_context, index) => Promise.resolve(ok(standIn(map, index, answers))),
    run: (_context, inputs) => {
      const { body } = vertex.op;
      if (body.kind === 'source') {
        return Promise.resolve(ok([map.volatile ? [layer('local')] : answers.base.map(layer)]));
      }
      // What only reads a local directory starts from scratch.
      const parents = (inputs[0] ?? []).filter(({ id }) => id !== 'local');
      return Promise.resolve(ok([[...parents, layer(`new:${++layers}`)]]));
    },
  };
}

/** A content digest that stands for the one behind BuildKit's content record (whose own digest cannot be inverted). */
function standIn(map: CacheMap, index: number, { records, realContent }: Answers): Digest {
  const own = recordDigest(map.digest, 0);
  for (const record of records.filter((each) => each.digest === own)) {
    for (const { link, selector } of record.inputs?.[index] ?? []) {
      const target = records[link];
      if (selector !== undefined || target?.what !== 'content key') continue;
      const digest = sha256(`content behind ${target.digest}`);
      realContent.set(contentRecordDigest(digest), target.digest);
      return digest;
    }
  }
  return sha256(`no content record of ${own} ${index}`);
}

function cacheMapOf(vertex: Vertex, base: readonly Digest[]): CacheMap {
  const { op } = vertex;
  if (op.body.kind === 'source') {
    const { identifier } = op.body.source;
    if (identifier.startsWith('local://')) {
      return { digest: sha256(`random ${identifier}`), deps: [], volatile: true };
    }
    const manifest = digestOf(identifier.slice(identifier.indexOf('@') + 1));
    const platform = op.platform ?? { Architecture: 'amd64', OS: 'linux' };
    return {
      digest: sourceKey(imageManifestKey(manifest, platform)),
      deps: [],
      alternatives: [sourceKey(imageChainKey(base) ?? '')],
    };
  }
  const key = opKey(op);
  assert.ok(key.ok);
  return {
    digest: key.value.digest,
    deps: key.value.deps.map(({ selector, content }) => ({
      hasContentKey: content !== undefined,
      ...(selector === undefined ? {} : { selector }),
    })),
  };
}

test('solving BuildKit’s own graphs exports its records and links', needsGolden, async () => {
  const differences: string[] = [];
  let equal = 0;
  let cases = 0;
  for (const name of goldenNames('cachekeys')) {
    const has = (file: string): boolean => existsSync(join(GOLDEN ?? '', 'cachekeys', name, file));
    if (!has('cache-records.json') || !has('llb.json') || has('cache-inline.json')) continue;
    const { cacheMode = 'max' } = goldenJson<{ cacheMode?: 'min' | 'max' }>(
      `cachekeys/${name}/case.json`,
    );
    cases++;
    const { ours, theirs } = await simulate(name, cacheMode);
    const missing = theirs
      .filter((line) => !ours.includes(line))
      .map((line) => `${name} lacks ${line}`);
    const extra = ours
      .filter((line) => !theirs.includes(line))
      .map((line) => `${name} adds  ${line}`);
    if (missing.length + extra.length === 0) equal++;
    differences.push(...missing, ...extra);
  }
  note(`cachekeys: ${equal} of ${cases} exported graphs equal`);
  assert.deepEqual(differences, []);
});
