import { gzipSync } from 'node:zlib';
import { type Digest, sha256 } from '../../src/base/index.ts';
import { MEDIA } from '../../src/oci/index.ts';
import { tarOf } from '../conformance/tar-rig.ts';

/** A document or blob as a hostile side serves it. */
export interface ServedBlob {
  readonly bytes: Uint8Array;
  /** What the side says of it: as `Content-Type`, and as `Docker-Content-Digest`. */
  readonly type?: string;
  readonly digest?: string;
}

/** An image that is not what it says, named after the danger. */
export interface HostileImage {
  readonly danger: string;
  /** The document under the tag. */
  readonly top: ServedBlob;
  /** Everything else, by the digest under which it is asked for. */
  readonly blobs: ReadonlyMap<string, ServedBlob>;
  /** What a correct reader says: a pattern of the message; absent: it is a good image after all. */
  readonly refused?: RegExp;
  /** Reading it and refusing it are both right, as long as it is soon over. */
  readonly either?: true;
  /** Only a registry can lie in this way. */
  readonly registryOnly?: true;
}

type Json = Readonly<Record<string, unknown>>;

const text = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const LAYER = tarOf([{ name: 'hello', data: 'hello' }]);
const OTHER = tarOf([{ name: 'other', data: 'other' }]);
const PLATFORM = { architecture: 'amd64', os: 'linux' };
/** A digest that nothing has. */
const NOWHERE = sha256('nothing');

class Parts {
  readonly blobs = new Map<string, ServedBlob>();

  add(mediaType: string, bytes: Uint8Array, more: Json = {}): Json & { readonly digest: Digest } {
    const digest = sha256(bytes);
    this.blobs.set(digest, { bytes, type: mediaType });
    return { mediaType, digest, size: bytes.length, ...more };
  }

  config(diffIds: readonly string[], more: Json = {}): Json & { readonly digest: Digest } {
    const rootfs = { type: 'layers', diff_ids: diffIds };
    return this.add(MEDIA.ociConfig, text({ ...PLATFORM, rootfs, ...more }));
  }

  layer(bytes: Uint8Array = LAYER): Json & { readonly digest: Digest } {
    return this.add(MEDIA.ociLayerGzip, gzipSync(bytes));
  }

  manifest(more: Json = {}): Json & { readonly digest: Digest } {
    return this.add(MEDIA.ociManifest, this.manifestBytes(more));
  }

  manifestBytes(more: Json = {}): Buffer {
    return text({
      schemaVersion: 2,
      mediaType: MEDIA.ociManifest,
      config: this.config([sha256(LAYER)]),
      layers: [this.layer()],
      ...more,
    });
  }
}

const index = (manifests: readonly Json[]): Buffer =>
  text({ schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests });

type Made = Omit<HostileImage, 'danger' | 'blobs'>;
const asManifest = (bytes: Uint8Array): ServedBlob => ({ bytes, type: MEDIA.ociManifest });
const asIndex = (bytes: Uint8Array): ServedBlob => ({ bytes, type: MEDIA.ociIndex });

const CASES: readonly (readonly [danger: string, make: (parts: Parts) => Made])[] = [
  ['nothing wrong', (p) => ({ top: asManifest(p.manifestBytes()) })],
  ['nothing wrong, behind an index', (p) => ({ top: asIndex(index([p.manifest()])) })],
  [
    'a header that names another digest',
    (p) => ({
      top: { ...asManifest(p.manifestBytes()), digest: NOWHERE },
      refused: /has digest sha256:[0-9a-f]+, not sha256:/,
      registryOnly: true,
    }),
  ],
  [
    'a header with a digest in capital letters',
    (p) => ({
      top: { ...asManifest(p.manifestBytes()), digest: NOWHERE.toUpperCase() },
      registryOnly: true,
      refused: /names its digest as "SHA256:/,
    }),
  ],
  [
    'a header with a digest that is a path',
    (p) => ({
      top: { ...asManifest(p.manifestBytes()), digest: 'sha256:../../etc/passwd' },
      registryOnly: true,
      refused: /names its digest as "sha256:\.\./,
    }),
  ],
  [
    'another manifest under the digest that an index names',
    (p) => {
      const wanted = p.manifest();
      p.blobs.set(wanted.digest, asManifest(p.manifestBytes({ annotations: { evil: 'yes' } })));
      return {
        top: asIndex(index([wanted])),
        refused: /ha(?:s|ve) digest sha256:[0-9a-f]+|is not in/,
      };
    },
  ],
  [
    'a manifest of another size than its index says',
    (p) => ({
      top: asIndex(index([{ ...p.manifest(), size: 7 }])),
      refused: /bytes, not 7|lacks/,
    }),
  ],
  [
    'an index under a descriptor of a manifest',
    (p) => {
      const bytes = index([p.manifest()]);
      const child = p.add(MEDIA.ociIndex, bytes, { mediaType: MEDIA.ociManifest });
      return { top: asIndex(index([child])), refused: /is said to be .*manifest/ };
    },
  ],
  [
    'a manifest under a descriptor of an index',
    (p) => ({
      top: asIndex(index([{ ...p.manifest(), mediaType: MEDIA.ociIndex }])),
      refused: /is said to be .*index/,
    }),
  ],
  [
    'a layer under a descriptor of a manifest',
    (p) => ({
      top: asIndex(index([{ ...p.layer(), mediaType: MEDIA.ociManifest }])),
      refused: /no image manifest/,
    }),
  ],
  [
    'an index whose one manifest is for another platform',
    (p) => ({
      top: asIndex(index([{ ...p.manifest(), platform: { architecture: 's390x', os: 'linux' } }])),
      refused: /no match for platform|GET https:\/\/h\.test/,
    }),
  ],
  [
    'indexes in indexes without end',
    (p) => {
      let inner = p.manifest();
      for (let i = 0; i < 12; i++)
        inner = p.add(MEDIA.ociIndex, index([{ ...inner, annotations: { level: String(i) } }]));
      return { top: asIndex(index([inner])), refused: /nested|no match for platform/ };
    },
  ],
  [
    'an index that names itself a thousand times over',
    (p) => {
      let inner = p.manifest();
      for (let i = 0; i < 3; i++)
        inner = p.add(MEDIA.ociIndex, index(Array.from({ length: 1000 }, () => inner)));
      return { top: asIndex(index([inner])), either: true };
    },
  ],
  [
    'a configuration with more layers than the manifest',
    (p) => ({
      top: asManifest(p.manifestBytes({ config: p.config([sha256(LAYER), sha256(OTHER)]) })),
      refused: /1 layers?, (?:and )?its configuration 2|another number/,
    }),
  ],
  [
    'a configuration with fewer layers than the manifest',
    (p) => ({
      top: asManifest(p.manifestBytes({ config: p.config([]) })),
      refused: /1 layers?, (?:and )?its configuration 0|another number/,
    }),
  ],
  [
    'a layer that is not the one of its configuration',
    (p) => ({
      top: asManifest(p.manifestBytes({ config: p.config([sha256(OTHER)]) })),
      refused: /diffID|diff_id|digest/i,
    }),
  ],
  [
    'two layers in the wrong order',
    (p) => ({
      top: asManifest(
        p.manifestBytes({
          config: p.config([sha256(LAYER), sha256(OTHER)]),
          layers: [p.layer(OTHER), p.layer(LAYER)],
        }),
      ),
      refused: /diffID|diff_id|digest/i,
    }),
  ],
  [
    'another blob under the digest of a layer',
    (p) => {
      const top = asManifest(p.manifestBytes());
      // As long as the other one, so that only its digest tells.
      const other = gzipSync(LAYER);
      other[9] = 7;
      p.blobs.set(p.layer().digest, { bytes: other });
      return { top, refused: /digest|is not in/ };
    },
  ],
  [
    'a layer that is longer than it says',
    (p) => ({
      top: asManifest(p.manifestBytes({ layers: [{ ...p.layer(), size: 10 }] })),
      refused: /bytes|lacks|size/,
    }),
  ],
  [
    'a layer that is shorter than it says',
    (p) => ({
      top: asManifest(p.manifestBytes({ layers: [{ ...p.layer(), size: 100_000 }] })),
      refused: /bytes|lacks|size|ended/,
    }),
  ],
  [
    'another configuration under its digest',
    (p) => {
      const top = asManifest(p.manifestBytes());
      const config = p.config([sha256(LAYER)]);
      const bytes = p.blobs.get(config.digest)?.bytes ?? new Uint8Array();
      const evil = Buffer.from(Buffer.from(bytes).toString().replace('amd64', 'evil!'));
      p.blobs.set(config.digest, { bytes: evil });
      return { top, refused: /digest|is not in/ };
    },
  ],
  [
    'a configuration that is a layer',
    (p) => ({ top: asManifest(p.manifestBytes({ config: p.layer() })), refused: /configuration/ }),
  ],
  [
    'a configuration of a gigabyte',
    (p) => ({
      top: asManifest(p.manifestBytes({ config: { ...p.config([sha256(LAYER)]), size: 2 ** 30 } })),
      refused: /configuration has 1073741824 bytes|lacks|size/,
    }),
  ],
  [
    'a layer that nobody has',
    (p) => ({
      top: asManifest(
        p.manifestBytes({ layers: [{ mediaType: MEDIA.ociLayerGzip, digest: NOWHERE, size: 5 }] }),
      ),
      refused: /404|lacks|not found|is not in/,
    }),
  ],
  [
    'a layer whose bytes are to be had elsewhere',
    (p) => ({
      top: asManifest(
        p.manifestBytes({
          layers: [
            {
              mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
              digest: NOWHERE,
              size: 5,
              urls: ['http://127.0.0.1:1/layer'],
            },
          ],
        }),
      ),
      refused: /404|lacks|not found|is not in/,
    }),
  ],
  [
    'a layer of an unknown kind',
    (p) => ({
      top: asManifest(
        p.manifestBytes({ layers: [{ ...p.layer(), mediaType: 'application/x-evil' }] }),
      ),
    }),
  ],
  [
    'digests of sha512',
    (p) => ({
      top: asManifest(
        p.manifestBytes({ layers: [{ ...p.layer(), digest: `sha512:${'0'.repeat(128)}` }] }),
      ),
      refused: /needs a sha256 digest/,
    }),
  ],
  [
    'a digest in capital letters',
    (p) => ({
      top: asManifest(
        p.manifestBytes({ layers: [{ ...p.layer(), digest: p.layer().digest.toUpperCase() }] }),
      ),
      refused: /needs a sha256 digest/,
    }),
  ],
  [
    'a digest that is a path',
    (p) => ({
      top: asManifest(
        p.manifestBytes({ layers: [{ ...p.layer(), digest: 'sha256:../../../../etc/passwd' }] }),
      ),
      refused: /needs a sha256 digest/,
    }),
  ],
  [
    'an index served as a manifest',
    (p) => ({
      top: asManifest(text({ schemaVersion: 2, manifests: [p.manifest()] })),
      refused: /does not fit/,
      registryOnly: true,
    }),
  ],
];

/** All of them, each in its own bytes. */
export function hostileImages(): readonly HostileImage[] {
  return CASES.map(([danger, make]) => {
    const parts = new Parts();
    const made = make(parts);
    return { danger, ...made, blobs: parts.blobs };
  });
}
