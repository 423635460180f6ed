import { deepEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { decodeImageConfig, decodeManifest, MEDIA } from '../../../src/oci/index.ts';
import { note } from '../../rig/golden.ts';

const DIGEST = `sha256:${'0'.repeat(64)}`;
const CONFIG = { mediaType: MEDIA.ociConfig, digest: DIGEST, size: 2 };
const manifest = (more: object): string =>
  JSON.stringify({
    schemaVersion: 2,
    mediaType: MEDIA.ociManifest,
    config: CONFIG,
    layers: [],
    ...more,
  });
const layer = (more: object): string =>
  manifest({ layers: [{ mediaType: MEDIA.ociLayerGzip, digest: DIGEST, size: 1, ...more }] });

const MANIFESTS: readonly (readonly [danger: string, text: string])[] = [
  ['more than 4 MiB', `${manifest({})}${' '.repeat(4 * 2 ** 20)}`],
  ['four million brackets deep', '['.repeat(4_000_000)],
  ['deep objects that end', `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`],
  ['schema 1', JSON.stringify({ schemaVersion: 1, name: 'x', fsLayers: [] })],
  ['a manifest that is an index too', manifest({ manifests: [] })],
  [
    'an index under the media type of a manifest',
    JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.ociManifest, manifests: [] }),
  ],
  ['a manifest under the media type of an index', manifest({ mediaType: MEDIA.ociIndex })],
  ['a digest of sha512', layer({ digest: `sha512:${'0'.repeat(128)}` })],
  ['a digest of no known kind', layer({ digest: `md5:${'0'.repeat(32)}` })],
  ['a digest in capital letters', layer({ digest: `sha256:${'A'.repeat(64)}` })],
  ['a digest that is a path', layer({ digest: 'sha256:../../../../etc/passwd' })],
  ['a digest with a line behind it', layer({ digest: `${DIGEST}\n` })],
  ['a negative size', layer({ size: -1 })],
  ['a size beyond what numbers hold', layer({ size: 2 ** 60 })],
  ['a size with a fraction', layer({ size: 1.5 })],
  ['a size in text', layer({ size: '1' })],
  ['layers that are no list', manifest({ layers: { length: 1 } })],
  ['a configuration that is null', manifest({ config: null })],
  ['a list', '[]'],
  ['bytes that are no text', '\ufffd\u0000'],
];

test('a manifest that could be read in two ways, or names what is no digest, is refused with its name', () => {
  const wrong: string[] = [];
  for (const [danger, text] of MANIFESTS) {
    try {
      const decoded = decodeManifest(Buffer.from(text), 'evil:1');
      const said = decoded.ok ? 'accepted' : decoded.error.message;
      if (!said.startsWith('evil:1 is no image manifest: ')) wrong.push(`${danger}: ${said}`);
      if (said.length > 400) wrong.push(`${danger}: a message of ${said.length} characters`);
    } catch (e) {
      wrong.push(`${danger}: threw ${String(e).slice(0, 200)}`);
    }
  }
  deepEqual(wrong, []);
  note(`hostile inputs, manifests: ${MANIFESTS.length} refused`);
});

const CONFIGS: readonly (readonly [danger: string, text: string])[] = [
  ['brackets without end', '['.repeat(1_000_000)],
  ['no object', 'null'],
  [
    'layers that are no digests',
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: ['sha256:x'] },
    }),
  ],
  [
    'layers with sha512',
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: [`sha512:${'0'.repeat(128)}`] },
    }),
  ],
];

test('a configuration that is none is refused with the name of its image', () => {
  const wrong: string[] = [];
  for (const [danger, text] of CONFIGS) {
    try {
      const decoded = decodeImageConfig(Buffer.from(text), 'evil:1');
      if (decoded.ok || !decoded.error.message.includes('evil:1'))
        wrong.push(`${danger}: ${decoded.ok ? 'accepted' : decoded.error.message}`);
    } catch (e) {
      wrong.push(`${danger}: threw ${String(e).slice(0, 200)}`);
    }
  }
  deepEqual(wrong, []);
  note(`hostile inputs, configurations: ${CONFIGS.length} refused`);
});
