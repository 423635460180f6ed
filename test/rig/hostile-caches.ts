import { gzipSync } from 'node:zlib';
import { sha256 } from '../../src/base/index.ts';
import { MEDIA } from '../../src/oci/index.ts';

/** A descriptor, or what a hostile side writes in its place. */
export type Named = Readonly<Record<string, unknown>>;

/** A cache whose documents can be changed before they are written. */
export interface CacheParts {
  /** Layers by index, the first is that of the first step. */
  readonly layers: readonly Named[];
  /** The cache config; `layers` in it name blobs, `records` results. */
  readonly config: { readonly layers: readonly Named[]; readonly records: readonly Named[] };
}

/** What a side writes in the place of a good cache. */
export interface HostileCache {
  readonly danger: string;
  /** What is changed of the parts. */
  readonly change?: (parts: CacheParts) => { readonly layers?: unknown; readonly config?: unknown };
  /** The document under the name itself. */
  readonly document?: Uint8Array;
  /** Changes of the manifest, where there is one. */
  readonly manifest?: (manifest: Named) => unknown;
  /** That a step runs; else it may be found. Whatever is found is right. */
  readonly refused?: true;
  /** What is left of the cache is used, and nothing is said. */
  readonly quiet?: true;
}

const first = (rows: readonly Named[], change: Named): readonly Named[] =>
  rows.map((row, i) => (i === 0 ? { ...row, ...change } : row));
const named =
  (change: Named): NonNullable<HostileCache['change']> =>
  (parts) => ({
    layers: first(parts.layers, change),
  });
const inConfig =
  (change: (config: CacheParts['config']) => Named): NonNullable<HostileCache['change']> =>
  ({ config }) => ({ config: { ...config, ...change(config) } });
const layer = (change: Named): NonNullable<HostileCache['change']> =>
  inConfig((config) => ({ layers: first(config.layers, change) }));
const records = (change: (row: Named, at: number) => Named): NonNullable<HostileCache['change']> =>
  inConfig((config) => ({
    records: config.records.map((row, at) => ({ ...row, ...change(row, at) })),
  }));
const text = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const deep = (levels: number): Buffer =>
  Buffer.from(`${'{"layers":['.repeat(levels)}${']}'.repeat(levels)}`);
const PATHS = 'sha256:../../../../../../etc/passwd';

/** Documents that are wrong in themselves, or name what they should not. */
export const HOSTILE_CACHES: readonly HostileCache[] = [
  { danger: 'nothing wrong' },
  ...(
    [
      ['no JSON', Buffer.from('\0\x1b]0;owned\x07')],
      ['nothing', Buffer.alloc(0)],
      ['null', Buffer.from('null')],
      ['a number', Buffer.from('7')],
      ['a list', Buffer.from('[]')],
      ['levels without end', deep(100_000)],
      ['17 MiB of blanks', Buffer.from(`{}${' '.repeat(17 << 20)}`)],
    ] as const
  ).map(([danger, document]): HostileCache => ({ danger, document, refused: true })),
  {
    // As a config it is one without anything.
    danger: 'an index that names one nobody has',
    document: text({
      schemaVersion: 2,
      mediaType: MEDIA.ociIndex,
      manifests: [{ mediaType: MEDIA.ociIndex, digest: sha256('x'), size: 1 }],
    }),
    refused: true,
    quiet: true,
  },
  { danger: 'a layer that is longer', change: named({ size: 7 }), refused: true },
  { danger: 'a layer that is shorter', change: named({ size: 10_000 }), refused: true },
  { danger: 'a layer of 8 PiB', change: named({ size: 2 ** 53 - 1 }), refused: true },
  { danger: 'a layer of a negative size', change: named({ size: -1 }), refused: true, quiet: true },
  { danger: 'a layer of half a byte', change: named({ size: 0.5 }), refused: true, quiet: true },
  {
    danger: 'a layer of a size in words',
    change: named({ size: 'many' }),
    refused: true,
    quiet: true,
  },
  { danger: 'a layer of an unknown kind', change: named({ mediaType: 'application/x-evil' }) },
  { danger: 'a layer that is a manifest', change: named({ mediaType: MEDIA.ociManifest }) },
  {
    danger: 'a layer that is not compressed as it says',
    change: named({ mediaType: MEDIA.ociLayerZstd }),
  },
  {
    danger: 'a layer of another content',
    change: named({ diffId: sha256('other') }),
    refused: true,
  },
  {
    danger: 'a layer whose content has a path for a digest',
    change: named({ diffId: PATHS }),
    refused: true,
    quiet: true,
  },
  {
    danger: 'a layer with a path for a digest',
    change: named({ digest: PATHS }),
    refused: true,
    quiet: true,
  },
  {
    danger: 'a layer that nobody has',
    change: (p) => ({
      ...named({ digest: sha256('gone') })(p),
      ...layer({ blob: sha256('gone') })(p),
    }),
    refused: true,
  },
  {
    danger: 'a digest of sha512',
    change: (p) => ({ ...named({ digest: `sha512:${'0'.repeat(128)}` })(p) }),
    refused: true,
    quiet: true,
  },
  { danger: 'no layers at all', change: () => ({ layers: [] }), refused: true, quiet: true },
  {
    danger: 'layers that are no list',
    change: () => ({ layers: 'x' }),
    refused: true,
    quiet: true,
  },
  { danger: 'a blob with a path for a digest', change: layer({ blob: PATHS }), refused: true },
  { danger: 'a blob that is no text', change: layer({ blob: 7 }), refused: true },
  { danger: 'a layer on itself', change: layer({ parent: 0 }), refused: true },
  {
    danger: 'layers in a circle',
    change: inConfig((c) => ({
      layers: c.layers.map((l, i) => ({ ...l, parent: (i + 1) % c.layers.length })),
    })),
    refused: true,
  },
  { danger: 'a layer on one that is not there', change: layer({ parent: 99 }), refused: true },
  { danger: 'a layer on a negative one', change: layer({ parent: -7 }), refused: true },
  { danger: 'a layer on half of one', change: layer({ parent: 0.5 }), refused: true },
  {
    danger: 'a tower of 2000 layers',
    change: inConfig((c) => ({
      layers: Array.from({ length: 2000 }, (_, i) => ({ ...c.layers[0], parent: i - 1 })),
    })),
    refused: true,
  },
  {
    danger: 'a result of a layer that is not there',
    change: records(() => ({ layers: [{ layer: 99 }] })),
    refused: true,
  },
  {
    danger: 'a result of a negative layer',
    change: records(() => ({ layers: [{ layer: -1 }] })),
    refused: true,
  },
  {
    danger: 'a result of no number',
    change: records(() => ({ layers: [{ layer: '__proto__' }] })),
    refused: true,
  },
  { danger: 'results that are no list', change: records(() => ({ layers: { length: 3 } })) },
  {
    danger: 'a record that leads to one that is not there',
    change: records((r) => ({ ...r, inputs: [[{ link: 99 }]] })),
    refused: true,
  },
  {
    danger: 'a record that leads to itself',
    change: records((_, at) => ({ inputs: [[{ link: at }]] })),
    refused: true,
  },
  {
    danger: 'records in a circle',
    change: inConfig((c) => ({
      records: c.records.map((r, i) => ({
        ...r,
        inputs: [[{ link: (i + 1) % c.records.length }]],
      })),
    })),
    refused: true,
  },
  {
    danger: 'a record of half a number',
    change: records((r) => ({ ...r, inputs: [[{ link: 0.5 }]] })),
    refused: true,
  },
  { danger: 'a record without a digest', change: records(() => ({ digest: 'x' })), refused: true },
  {
    danger: 'a record with a path for a digest',
    change: records(() => ({ digest: PATHS })),
    refused: true,
  },
  {
    danger: 'a selector that climbs',
    change: records((r) => ({ ...r, inputs: [[{ link: 0, selector: '../../..' }]] })),
  },
  {
    danger: 'a name that every object has',
    change: inConfig(() => ({ __proto__: { polluted: true }, constructor: 7 })),
  },
  {
    danger: 'a time of another world',
    change: records(({ layers = [] }) => ({
      layers: (layers as readonly Named[]).map((l) => ({ ...l, createdAt: '+999999-99-99' })),
    })),
  },
  { danger: 'records that are no list', change: inConfig(() => ({ records: 'x' })) },
  { danger: 'a config that is no object', change: () => ({ config: [] }), refused: true },
  {
    danger: 'a config that is larger',
    manifest: (m) => ({ ...m, config: { ...(m['config'] as Named), size: 7 } }),
  },
  {
    danger: 'a config of a TiB',
    manifest: (m) => ({ ...m, config: { ...(m['config'] as Named), size: 2 ** 40 } }),
    refused: true,
  },
  {
    danger: 'a config with a path for a digest',
    manifest: (m) => ({ ...m, config: { ...(m['config'] as Named), digest: PATHS } }),
    refused: true,
  },
  {
    danger: 'a config that is a layer',
    manifest: (m) => ({ ...m, config: (m['layers'] as Named[])[0] }),
    refused: true,
  },
  {
    danger: 'a manifest that calls itself an index',
    manifest: (m) => ({ ...m, mediaType: MEDIA.ociIndex }),
    refused: true,
  },
];

/** The layer of a tar in the place of the first one. */
export function hostileLayer(tar: Uint8Array): {
  readonly blob: Uint8Array;
  readonly change: NonNullable<HostileCache['change']>;
} {
  const blob = gzipSync(tar);
  const digest = sha256(blob);
  const descriptor = {
    mediaType: MEDIA.ociLayerGzip,
    digest,
    size: blob.length,
    diffId: sha256(tar),
  };
  return {
    blob,
    change: (parts) => ({ ...named(descriptor)(parts), ...layer({ blob: digest })(parts) }),
  };
}
