import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '../../../src/base/index.ts';
import {
  type CacheConfig,
  type CacheGraph,
  decodeCacheConfig,
  encodeCacheConfig,
  type GraphLayer,
} from '../../../src/remotes/index.ts';
import { goldenJson, goldenNames, needsGolden, note } from '../../rig/golden.ts';

const layer = (name: string): GraphLayer => ({
  blob: sha256(name),
  mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
  size: name.length,
  diffId: sha256(`diff ${name}`),
});
const factsOf = (layers: readonly GraphLayer[]) => (blob: string) =>
  layers.find((l) => l.blob === blob);

test('a graph survives the way through a config, whatever the order of its records', () => {
  const [a, b, c] = [layer('a'), layer('b'), layer('c')];
  const graph: CacheGraph = {
    records: [
      {
        digest: sha256('run'),
        inputs: [[{ record: 1, selector: sha256('/') }, { record: 2 }]],
        results: [{ layers: [a, b], createdAt: '2026-01-01T00:00:00Z' }],
      },
      { digest: sha256('image'), inputs: [], results: [{ layers: [a] }] },
      { digest: sha256('content'), inputs: [], results: [] },
      {
        digest: sha256('copy'),
        inputs: [[{ record: 0 }], [{ record: 2 }]],
        results: [{ layers: [a, b, c] }],
      },
    ],
  };
  const { config, layers } = encodeCacheConfig(graph);
  const decoded = decodeCacheConfig(JSON.stringify(config), factsOf(layers));
  assert.ok(decoded.ok);
  assert.deepEqual(encodeCacheConfig(decoded.value), { config, layers });
  assert.deepEqual(
    decoded.value.records.map((r) => [r.digest, r.results]).sort(),
    graph.records.map((r) => [r.digest, r.results]).sort(),
  );
});

test('configs that name what they do not hold are refused with the reason', () => {
  const digest = sha256('x');
  const refusals = [
    'nonsense',
    '[]',
    JSON.stringify({ layers: [{ blob: 'sha256:1' }] }),
    JSON.stringify({ layers: [{ blob: digest, parent: 3 }] }),
    JSON.stringify({ layers: [{ blob: digest, parent: 0 }] }),
    JSON.stringify({ records: [{}] }),
    JSON.stringify({ records: [{ digest, inputs: [[{ link: 7 }]] }] }),
    JSON.stringify({ records: [{ digest, layers: [{ layer: 2 }] }] }),
    JSON.stringify({
      records: [
        { digest, inputs: [[{ link: 1 }]] },
        { digest, inputs: [[{ link: 0 }]] },
      ],
    }),
  ].map((text) => {
    const result = decodeCacheConfig(text, () => undefined);
    return result.ok ? 'accepted' : result.error.message;
  });
  assert.deepEqual(refusals, [
    'cache config: Unexpected token \'o\', "nonsense" is not valid JSON',
    'cache config: expected an object',
    'cache config: layer 0 needs a blob digest and an integer parent',
    'cache config: layer 0 has parent 3, which does not exist',
    'cache config: layer 0 is its own ancestor',
    'cache config: record 0 needs a digest',
    'cache config: record 0 has a link to a record that does not exist',
    'cache config: record 0 has a result with a layer that does not exist',
    'cache config: records link to each other in a circle',
  ]);
});

test('a record whose layer the manifest does not list keeps its key and loses its result', () => {
  const text = JSON.stringify({
    layers: [{ blob: sha256('a'), parent: -1 }],
    records: [{ digest: sha256('r'), layers: [{}] }],
  });
  assert.deepEqual(
    decodeCacheConfig(text, () => undefined),
    {
      ok: true,
      value: { records: [{ digest: sha256('r'), inputs: [], results: [] }] },
    },
  );
});

test('every cache that BuildKit exported is read and written again the same', needsGolden, () => {
  const cases = goldenNames('cachekeys').filter(
    (n) => /^\d/.test(n) && !n.includes('error') && !n.includes('inline'),
  );
  const different: string[] = [];
  for (const name of cases) {
    const config = goldenJson<CacheConfig>(`cachekeys/${name}/cache-config.json`);
    const facts = new Map(
      (config.layers ?? []).map((l) => [l.blob, { mediaType: 'm', size: 1, diffId: l.blob }]),
    );
    const graph = decodeCacheConfig(JSON.stringify(config), (blob) => facts.get(blob));
    assert.ok(graph.ok, name);
    const again = encodeCacheConfig(graph.value).config;
    try {
      assert.deepEqual(normal(again), normal(config));
    } catch (e) {
      different.push(`${name}: ${(e as Error).message}`);
    }
  }
  note(
    `remotes: ${cases.length - different.length} of ${cases.length} exported caches read and written equal`,
  );
  assert.deepEqual(different, []);
});

/** A config as a graph without numbers: what a reader of it can tell apart. */
function normal(config: CacheConfig): unknown {
  const layerPath = (index: number): string => {
    const row = config.layers?.[index];
    const parent = row?.parent ?? 0;
    return row === undefined ? '?' : parent === -1 ? row.blob : `${layerPath(parent)}/${row.blob}`;
  };
  const name = (index: number): string => {
    const record = config.records?.[index];
    const inputs = (record?.inputs ?? []).map((links) =>
      links
        .map((l) => `${l.selector ?? ''}>${name(l.link)}`)
        .sort()
        .join('|'),
    );
    return `${record?.digest ?? '?'}(${inputs.join(',')})`;
  };
  return (config.records ?? [])
    .map(
      (record, i) =>
        `${name(i)} = ${(record.layers ?? [])
          .map((l) => `${layerPath(l.layer)} ${l.createdAt ?? ''}`)
          .sort()
          .join(' ')}`,
    )
    .sort();
}
