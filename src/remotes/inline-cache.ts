import {
  type Digest,
  err,
  failure,
  type GoJson,
  goJson,
  isRecord,
  ok,
  parseJson,
  type Result,
} from '../base/index.ts';
import { type Descriptor, decodeImageConfig } from '../oci/index.ts';
import type { CacheGraph, GraphLayer } from './cache-graph.ts';
import { decodeConfigValue } from './decode-cache-config.ts';

/** Member of an image configuration with the base64 of an inline cache (BuildKit exptypes.ExporterInlineCache). */
export const INLINE_CACHE_MEMBER = 'moby.buildkit.cache.v0';

/** A record of an inline cache: its results are trees of the image's own lowest layers. */
export interface InlineRecord {
  readonly digest: Digest;
  readonly inputs: readonly (readonly { readonly link: number; readonly selector?: Digest }[])[];
  /** Number of layers of the result, at least one, and when it was made (RFC 3339). */
  readonly results: readonly { readonly layers: number; readonly createdAt: string }[];
}

/** Writes records as the member of an image configuration (BuildKit cache/remotecache/inline). */
export function encodeInlineCache(records: readonly InlineRecord[]): string {
  const json = records.map(
    ({ digest, inputs, results }): GoJson => ({
      layers:
        results.length === 0
          ? undefined
          : results.map(({ layers, createdAt }) => ({ layer: layers - 1, createdAt })),
      digest,
      inputs:
        inputs.length === 0
          ? undefined
          : inputs.map((links) => links.map(({ selector, link }) => ({ selector, link }))),
    }),
  );
  return Buffer.from(goJson(json)).toString('base64');
}

/** Reads the cache inside an image; undefined when the image has none. */
export function decodeInlineCache(
  config: Uint8Array,
  layers: readonly Descriptor[],
): Result<CacheGraph | undefined> {
  const parsed = parseJson(Buffer.from(config).toString('utf8'));
  const member =
    parsed.ok && isRecord(parsed.value) ? parsed.value[INLINE_CACHE_MEMBER] : undefined;
  if (typeof member !== 'string') return ok(undefined);
  const image = decodeImageConfig(config, 'the image with the inline cache');
  if (!image.ok) return image;
  const { diffIds, history } = image.value;
  if (diffIds.length !== layers.length)
    return err(failure('RC003', 3, 'inline cache: the image has not as many layers as diffIDs'));
  const records = parseJson(Buffer.from(member, 'base64').toString('utf8'));
  if (!records.ok) return err(failure('RC003', 3, `inline cache: ${records.error}`));
  const times = history.filter((item) => item.empty_layer !== true).map((item) => item.created);
  const facts = new Map<string, Omit<GraphLayer, 'blob'>>();
  for (const [i, { digest, mediaType, size }] of layers.entries()) {
    const [diffId, createdAt] = [diffIds[i], times[i]];
    if (diffId === undefined) continue;
    facts.set(digest, {
      ...{ mediaType, size, diffId },
      ...(createdAt === undefined ? {} : { createdAt }),
    });
  }
  const rows = layers.map(({ digest }, i) => ({ blob: digest, parent: i - 1 }));
  return decodeConfigValue({ layers: rows, records: records.value }, (blob) => facts.get(blob));
}
