import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '../../src/base/index.ts';
import type { CacheDb, HistoryDb, LayerDb, LayerId, TraceDb } from '../../src/ports/index.ts';

export interface CacheDbs extends Disposable {
  readonly cache: CacheDb;
  readonly layers: LayerDb;
  readonly traces: TraceDb;
  readonly history: HistoryDb;
}

const A = sha256('a');
const B = sha256('b');
const OP = sha256('op');
const SEL = sha256('sel');
const layer = (id: string): { readonly id: LayerId; readonly createdAt: number } => ({
  id: id as LayerId,
  createdAt: 1,
});

/** What every implementation of the key graph and its neighbours does. */
export function runCacheDbTests(name: string, make: () => CacheDbs): void {
  const check = (title: string, body: (dbs: CacheDbs) => void): void => {
    test(`${name}: ${title}`, () => {
      using dbs = make();
      body(dbs);
    });
  };

  check('a root is known once made, and only then', ({ cache }) => {
    assert.equal(cache.root(A), undefined);
    const root = cache.ensureRoot(A);
    assert.deepEqual([cache.root(A), cache.ensureRoot(A), cache.digestOf(root)], [root, root, A]);
    assert.deepEqual(cache.inputsOf(root), []);
  });

  check('a record is found below any of its parents by input, digest and selector', ({ cache }) => {
    const [a, b] = [cache.ensureRoot(A), cache.ensureRoot(B)];
    const record = cache.ensureRecord(OP, [[{ record: a, selector: SEL }], [{ record: b }]]);
    const link = { input: 0, digest: OP, selector: SEL };
    assert.deepEqual(cache.children([a], link), [record]);
    assert.deepEqual(cache.children([b, a], link), [record]);
    assert.deepEqual(cache.children([b], { input: 1, digest: OP }), [record]);
    for (const other of [
      { ...link, input: 1 },
      { ...link, digest: A },
      { input: 0, digest: OP },
    ]) {
      assert.deepEqual(cache.children([a], other), []);
    }
    assert.deepEqual(cache.inputsOf(record), [[{ record: a, selector: SEL }], [{ record: b }]]);
  });

  check('an op is known when a record below inputs was made of it', ({ cache }) => {
    const root = cache.ensureRoot(A);
    const before = [cache.knows(OP), cache.knows(A)];
    cache.ensureRecord(OP, [[{ record: root }]]);
    assert.deepEqual([before, cache.knows(OP), cache.knows(A)], [[false, false], true, false]);
  });

  check(
    'a record below one known alternative is the same record, and learns the others',
    ({ cache }) => {
      const [a, b] = [cache.ensureRoot(A), cache.ensureRoot(B)];
      const record = cache.ensureRecord(OP, [[{ record: a }]]);
      assert.equal(cache.ensureRecord(OP, [[{ record: b }, { record: a }]]), record);
      assert.deepEqual(cache.children([b], { input: 0, digest: OP }), [record]);
      const c = cache.ensureRoot(SEL);
      assert.deepEqual(cache.children([c], { input: 0, digest: OP }), []);
      cache.addInputs(record, 0, [{ record: c }]);
      assert.deepEqual(cache.children([c], { input: 0, digest: OP }), [record]);
    },
  );

  check('records that differ in one input are two', ({ cache }) => {
    const [a, b] = [cache.ensureRoot(A), cache.ensureRoot(B)];
    const one = cache.ensureRecord(OP, [[{ record: a }], [{ record: a }]]);
    const two = cache.ensureRecord(OP, [[{ record: a }], [{ record: b }]]);
    assert.notEqual(one, two);
    assert.deepEqual([...cache.children([a], { input: 0, digest: OP })].sort(), [one, two].sort());
  });

  check('results come back newest first and go one by one', ({ cache }) => {
    const record = cache.ensureRoot(A);
    const old = { chain: [layer('x'), layer('y')], createdAt: 10, costMs: 5 };
    const young = { chain: [layer('x'), layer('z')], createdAt: 20, costMs: 6 };
    const scratch = { chain: [], createdAt: 15, costMs: 0 };
    for (const result of [old, young, scratch]) cache.addResult(record, result);
    assert.deepEqual(cache.results(record), [young, scratch, old]);
    cache.removeResult(record, scratch);
    assert.deepEqual(cache.results(record), [young, old]);
    cache.removeResult(record, young);
    assert.deepEqual(cache.results(record), [old]);
  });

  check('a result says which cache it was imported from last, if any', ({ cache }) => {
    const record = cache.ensureRoot(A);
    const own = { chain: [layer('x')], createdAt: 10, costMs: 5 };
    const imported = { chain: [layer('y')], createdAt: 5, costMs: 0, source: 'registry:a' };
    for (const result of [own, imported]) cache.addResult(record, result);
    assert.deepEqual(cache.results(record), [own, imported]);
    cache.addResult(record, { ...imported, source: 'registry:b' });
    assert.deepEqual(cache.results(record), [own, { ...imported, source: 'registry:b' }]);
    const { source: _source, ...made } = imported;
    cache.addResult(record, made);
    assert.deepEqual(cache.results(record), [own, made]);
  });

  check('what is learnt of a layer later shows in the results that use it', ({ cache, layers }) => {
    const record = cache.ensureRoot(A);
    cache.addResult(record, { chain: [layer('new:1')], createdAt: 1, costMs: 1 });
    const blob = { mediaType: 'm', digest: B, size: 3, annotations: { k: 'v' } };
    layers.setDiffId('new:1' as LayerId, A, 9);
    layers.addBlob('new:1' as LayerId, blob);
    assert.deepEqual(layers.layer('new:1' as LayerId), { diffId: A, blobs: [blob] });
    assert.deepEqual(cache.results(record), [
      { chain: [{ ...layer('new:1'), diffId: A, blob }], createdAt: 1, costMs: 1 },
    ]);
    assert.equal(layers.layer('new:2' as LayerId), undefined);
  });

  check('the last executions of a step are kept, newest first', ({ traces }) => {
    for (let at = 1; at <= 20; at++) {
      const inputs = [
        { step: 'base', record: 1 },
        { step: 'context', content: B },
      ];
      traces.remember({
        step: 'run',
        project: '',
        below: '',
        key: A,
        op: OP,
        pb: Buffer.from('pb'),
        inputs,
        at,
        costMs: 3,
      });
    }
    traces.remember({
      step: 'other',
      project: '',
      below: '',
      key: A,
      op: OP,
      describes: 'd',
      pb: Buffer.from(''),
      inputs: [],
      at: 1,
      costMs: 1,
    });
    assert.deepEqual(
      traces.traces('run', 3).map((t) => [t.at, t.inputs]),
      [20, 19, 18].map((at) => [
        at,
        [
          { step: 'base', record: 1 },
          { step: 'context', content: B },
        ],
      ]),
    );
    assert.equal(traces.traces('run', 100).length, 8);
    assert.deepEqual(
      traces.traces('other', 1).map((t) => t.describes),
      ['d'],
    );
  });

  check('builds and their steps are listed newest first and removed together', ({ history }) => {
    history.startBuild({ id: 'b1', startedAt: 1, name: 'app', request: '{}' });
    history.startBuild({ id: 'b2', startedAt: 2, name: 'app', request: '{}' });
    history.saveStep('b1', { vertex: A, name: 'RUN x', state: 'cached' });
    history.saveStep('b1', { vertex: B, name: 'RUN y', state: 'error', error: 'exit code: 1' });
    history.saveStep('b1', { vertex: A, name: 'RUN x', state: 'done' });
    history.finishBuild('b1', { at: 5, image: A });
    history.finishBuild('b2', { at: 6, failure: { code: 'SB001', exit: 1, message: 'no' } });
    assert.deepEqual(history.builds(10), [
      { id: 'b2', startedAt: 2, name: 'app', request: '{}', finishedAt: 6, error: 'no' },
      { id: 'b1', startedAt: 1, name: 'app', request: '{}', finishedAt: 5, image: A },
    ]);
    assert.deepEqual(history.steps('b1'), [
      { vertex: A, name: 'RUN x', state: 'done' },
      { vertex: B, name: 'RUN y', state: 'error', error: 'exit code: 1' },
    ]);
    assert.deepEqual(
      [history.removeBuild('b1'), history.removeBuild('b1'), history.steps('b1')],
      [true, false, []],
    );
  });
}
