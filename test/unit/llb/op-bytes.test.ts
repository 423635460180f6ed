import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '../../../src/base/index.ts';
import {
  decodeOp,
  encodeOp,
  type GraphNode,
  graphNode,
  inputOf,
  marshalGraph,
  type Op,
} from '../../../src/llb/index.ts';

const image = (name: string): Op => ({
  inputs: [],
  body: { kind: 'source', source: { identifier: `docker-image://${name}`, attrs: {} } },
  constraints: [],
});

const merge = (...nodes: readonly GraphNode[]): Op => ({
  inputs: nodes.map((node) => inputOf({ node, index: 0 })),
  body: { kind: 'merge', merge: { inputs: nodes.map((_, i) => i) } },
});

test('an op is its fields in order of number with the kind last', () => {
  const op: Op = {
    inputs: [],
    body: {
      kind: 'file',
      file: {
        actions: [
          {
            input: -1,
            secondaryInput: -1,
            output: 0,
            action: { kind: 'rm', rm: { path: '/a', allowNotFound: true, allowWildcard: false } },
          },
        ],
      },
    },
    constraints: [],
  };
  const hex =
    '5a00222012' + '1e08ffffffffffffffffff0110ffffffffffffffffff013a' + '06' + '0a022f611001';
  assert.equal(Buffer.from(encodeOp(op)).toString('hex'), hex);
});

test('attributes of a source are written in byte order whatever their order in the object', () => {
  const source = (attrs: Record<string, string>): Op => ({
    inputs: [],
    body: { kind: 'source', source: { identifier: 'local://c', attrs } },
  });
  assert.deepEqual(encodeOp(source({ b: '2', a: '1' })), encodeOp(source({ a: '1', b: '2' })));
});

test('a truncated op, an unknown kind and text that is not UTF-8 are errors with a reason', () => {
  const whole = encodeOp(image('a'));
  assert.deepEqual(
    [
      decodeOp(whole.subarray(0, whole.length - 1)),
      decodeOp(Uint8Array.of(0x42, 0x00)),
      decodeOp(Uint8Array.of(0x1a, 0x03, 0x0a, 0x01, 0xff)),
      decodeOp(Uint8Array.of(0x07)),
    ],
    [
      { ok: false, error: 'the message ends inside a field' },
      { ok: false, error: 'op kind 8 is not supported' },
      { ok: false, error: 'a text is not UTF-8' },
      { ok: false, error: 'field number 0' },
    ],
  );
});

test('a graph is marshalled inputs first, equal ops once with their metadata merged', () => {
  const a = graphNode(image('a'), [], { description: { name: 'first' }, caps: ['x'] });
  const b = graphNode(image('b'), []);
  const again = graphNode(image('a'), [], {
    description: { name: 'second' },
    caps: ['w'],
    ignoreCache: true,
  });
  const inner = graphNode(merge(a, b), [a, b]);
  const outer = graphNode(merge(inner, again), [inner, again]);
  const { vertices, result } = marshalGraph({ node: outer, index: 0 });
  assert.deepEqual(
    [...vertices.values()].map((v) => [v.digest, v.metadata.description, v.metadata.caps]),
    [
      [sha256(encodeOp(image('a'))), { name: 'second' }, ['w', 'x']],
      [sha256(encodeOp(image('b'))), {}, []],
      [inner.vertex.digest, {}, []],
      [outer.vertex.digest, {}, []],
    ],
  );
  assert.equal(vertices.get(a.vertex.digest)?.metadata.ignoreCache, true);
  assert.deepEqual(result, { digest: outer.vertex.digest, index: 0 });
});

test('a chain of ten thousand ops does not exhaust the stack', () => {
  let node = graphNode(image('a'), []);
  for (let i = 0; i < 10_000; i++) node = graphNode(merge(node), [node]);
  // Every link is a merge of the one before, so no two are equal.
  assert.equal(marshalGraph({ node, index: 0 }).vertices.size, 10_001);
});
