import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '../../../src/base/index.ts';
import {
  decodeInlineCache,
  encodeInlineCache,
  INLINE_CACHE_MEMBER,
} from '../../../src/remotes/index.ts';

const layers = ['a', 'b'].map((name) => ({
  mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
  digest: sha256(name),
  size: 10,
}));

function config(member: string, diffIds: number = layers.length): Uint8Array {
  return Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: ['da', 'db'].slice(0, diffIds).map((d) => sha256(d)) },
      history: [
        { created: '2026-01-01T00:00:00Z' },
        { created: '2026-01-02T00:00:00Z', empty_layer: true },
        { created: '2026-01-03T00:00:00Z' },
      ],
      [INLINE_CACHE_MEMBER]: member,
    }),
  );
}

test('an inline cache comes back as results of the lowest layers of its image', () => {
  const createdAt = '2026-01-04T00:00:00Z';
  const member = encodeInlineCache([
    { digest: sha256('root'), inputs: [], results: [] },
    { digest: sha256('run'), inputs: [[{ link: 0 }]], results: [{ layers: 1, createdAt }] },
    { digest: sha256('copy'), inputs: [[{ link: 1 }]], results: [{ layers: 2, createdAt }] },
  ]);
  const [a, b] = ['a', 'b'].map((name, i) => ({
    blob: sha256(name),
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    size: 10,
    diffId: sha256(`d${name}`),
    createdAt: i === 0 ? '2026-01-01T00:00:00Z' : '2026-01-03T00:00:00Z',
  }));
  assert.deepEqual(decodeInlineCache(config(member), layers), {
    ok: true,
    value: {
      records: [
        { digest: sha256('root'), inputs: [], results: [] },
        { digest: sha256('run'), inputs: [[{ record: 0 }]], results: [{ layers: [a], createdAt }] },
        {
          digest: sha256('copy'),
          inputs: [[{ record: 1 }]],
          results: [{ layers: [a, b], createdAt }],
        },
      ],
    },
  });
});

test('images without a cache, and with one that cannot be meant, are told apart', () => {
  const answer = (bytes: Uint8Array): string => {
    const read = decodeInlineCache(bytes, layers);
    return read.ok
      ? read.value === undefined
        ? 'none'
        : 'a cache'
      : `${read.error.code} ${read.error.message}`;
  };
  const member = (json: string): string => Buffer.from(json).toString('base64');
  assert.deepEqual(
    [
      answer(Buffer.from('{}')),
      answer(Buffer.from('nonsense')),
      answer(config(member('[]'), 1)),
      answer(config(member('{'))),
      answer(config(member('[{"digest":"x"}]'))),
      answer(config(member(`[{"digest":"${sha256('r')}","layers":[{"layer":2}]}]`))),
    ],
    [
      'none',
      'none',
      'RC003 inline cache: the image has not as many layers as diffIDs',
      "RC003 inline cache: Expected property name or '}' in JSON at position 1 (line 1 column 2)",
      'RC001 cache config: record 0 needs a digest',
      'RC001 cache config: record 0 has a result with a layer that does not exist',
    ],
  );
});
