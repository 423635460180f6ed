import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256 } from '../../../src/base/index.ts';
import { openStateDb, type StateDb } from '../../../src/cachedb/index.ts';
import type { LayerId, LayerRef, RecordId } from '../../../src/ports/index.ts';
import {
  type CacheGraph,
  importGraph as enter,
  type GraphLayer,
  type ImportClaims,
  noClaims,
} from '../../../src/remotes/index.ts';

const ORIGIN = 'docker-image://registry.test/cache';
const MEDIA_TYPE = 'application/vnd.oci.image.layer.v1.tar+gzip';

const SOURCE = 'registry:registry.test/cache:main';

/** Enters a graph as a build does whose caches gave `claims` so far. */
function importGraph(
  db: StateDb,
  graph: CacheGraph,
  from: { readonly origin?: string; readonly source?: string; readonly claims?: ImportClaims } = {},
): { readonly records: number; readonly results: number } {
  const { origin = ORIGIN, source = SOURCE, claims = noClaims() } = from;
  const { records, results } = enter(db.cache, graph, { origin, source, claims });
  return { records, results };
}

function withDb(work: (db: StateDb) => void): void {
  const dir = mkdtempSync(join(tmpdir(), 'varve-import-'));
  try {
    const opened = openStateDb({ path: join(dir, 'state.db'), clock: { now: () => 5000 } });
    assert.ok(opened.ok);
    using db = opened.value;
    work(db);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const layer = (name: string): GraphLayer => ({
  ...{
    blob: sha256(name),
    mediaType: MEDIA_TYPE,
    size: name.length,
    diffId: sha256(`diff ${name}`),
  },
  createdAt: '1970-01-01T00:00:01.5Z',
});

const ref = (name: string, origin = ORIGIN): LayerRef => ({
  id: sha256(`diff ${name}`) as string as LayerId,
  diffId: sha256(`diff ${name}`),
  blob: { mediaType: MEDIA_TYPE, digest: sha256(name), size: name.length },
  origin,
  createdAt: 1500,
});

/** The step stands before the records that it links to. */
const GRAPH: CacheGraph = {
  records: [
    {
      digest: sha256('step'),
      inputs: [[{ record: 1, selector: sha256('/') }, { record: 2 }]],
      results: [{ layers: [layer('a'), layer('b')], createdAt: '1970-01-01T00:00:02.000250Z' }],
    },
    { digest: sha256('image'), inputs: [], results: [] },
    { digest: sha256('content'), inputs: [], results: [] },
  ],
};

/** The one record of the step below one of its parents. */
function step(db: StateDb, parent: string, selector?: string): RecordId {
  const root = db.cache.root(sha256(parent));
  assert.ok(root);
  const link = { input: 0, digest: sha256('step') };
  const found = db.cache.children(
    [root],
    selector === undefined ? link : { ...link, selector: sha256(selector) },
  );
  assert.equal(found.length, 1);
  const [record] = found;
  assert.ok(record);
  return record;
}

test('an imported step is found below each of its inputs, with layers that stay at their origin', () => {
  withDb((db) => {
    assert.deepEqual(importGraph(db, GRAPH), { records: 3, results: 1 });
    const record = step(db, 'image', '/');
    assert.equal(step(db, 'content'), record);
    assert.deepEqual(db.cache.results(record), [
      { chain: [ref('a'), ref('b')], createdAt: 2000.25, costMs: 0, source: SOURCE },
    ]);
  });
});

test('importing a graph again adds nothing, and moves its layers to where they are now', () => {
  withDb((db) => {
    importGraph(db, GRAPH);
    const moved = 'oci-layout:///cache';
    assert.deepEqual(importGraph(db, GRAPH, { origin: moved }), { records: 3, results: 1 });
    assert.deepEqual(db.cache.results(step(db, 'content')), [
      { chain: [ref('a', moved), ref('b', moved)], createdAt: 2000.25, costMs: 0, source: SOURCE },
    ]);
  });
});

test('a result of this store comes before an imported one, however new that is', () => {
  withDb((db) => {
    const root = db.cache.ensureRoot(sha256('content'));
    const record = db.cache.ensureRecord(sha256('step'), [[{ record: root }]]);
    const own: LayerRef = { id: 'new:1' as LayerId, createdAt: 7 };
    db.cache.addResult(record, { chain: [own], createdAt: 10, costMs: 3 });
    importGraph(db, GRAPH);
    assert.deepEqual(
      db.cache.results(step(db, 'content')).map(({ chain }) => chain.map(({ id }) => id)),
      [['new:1'], [ref('a').id, ref('b').id]],
    );
  });
});

test('a record that one of its inputs never leads to is left out with all above it', () => {
  withDb((db) => {
    const graph: CacheGraph = {
      records: [
        { digest: sha256('image'), inputs: [], results: [] },
        { digest: sha256('broken'), inputs: [[{ record: 0 }], []], results: [] },
        { digest: sha256('above'), inputs: [[{ record: 1 }]], results: [{ layers: [layer('a')] }] },
      ],
    };
    assert.deepEqual(importGraph(db, graph), { records: 1, results: 0 });
  });
});

test('of several caches of one build the first one keeps what all have, and the others stand by', () => {
  withDb((db) => {
    const claims = noClaims();
    importGraph(db, GRAPH, { claims });
    const second = { origin: 'oci-layout:///second', source: 'local:/second' };
    importGraph(db, GRAPH, { claims, ...second });
    assert.deepEqual(db.cache.results(step(db, 'content')), [
      { chain: [ref('a'), ref('b')], createdAt: 2000.25, costMs: 0, source: SOURCE },
    ]);
    assert.deepEqual(claims.layers.get(ref('a').id), {
      ...{ source: SOURCE, origin: ORIGIN },
      elsewhere: [{ source: second.source, layer: ref('a', second.origin) }],
    });
    importGraph(db, GRAPH, second);
    assert.deepEqual(db.cache.results(step(db, 'content')), [
      {
        chain: [ref('a', second.origin), ref('b', second.origin)],
        ...{ createdAt: 2000.25, costMs: 0, source: second.source },
      },
    ]);
  });
});
