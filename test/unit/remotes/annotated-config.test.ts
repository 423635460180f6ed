import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type CacheConfig,
  decodeAnnotatedConfig,
  decodeCacheConfig,
  encodeAnnotatedConfig,
} from '../../../src/remotes/index.ts';
import { goldenJson, goldenNames, needsGolden, note } from '../../rig/golden.ts';

test(
  'every cache that BuildKit exported survives the way through a bare config',
  needsGolden,
  () => {
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
      const text = encodeAnnotatedConfig(graph.value);
      const again = decodeAnnotatedConfig(Buffer.from(text));
      if (!again.ok || encodeAnnotatedConfig(again.value) !== text) different.push(name);
    }
    note(
      `remotes: ${cases.length - different.length} of ${cases.length} exported caches as bare configs`,
    );
    assert.deepEqual(different, []);
  },
);

test('a bare config whose layers do not say what they are keeps its keys and loses results', () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  const config = { layers: [{ blob: digest, parent: -1 }], records: [{ digest, layers: [{}] }] };
  assert.deepEqual(decodeAnnotatedConfig(Buffer.from(JSON.stringify(config))), {
    ok: true,
    value: { records: [{ digest, inputs: [], results: [] }] },
  });
});
