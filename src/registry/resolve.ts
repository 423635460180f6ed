import { err, failure, ok, type Result } from '../base/index.ts';
import {
  type Descriptor,
  decodeImageConfig,
  decodeManifest,
  decodeNamed,
  formatPlatform,
  formatReference,
  MAX_CONFIG_BYTES,
  MAX_INDEX_NESTING,
  type Manifest,
  type Platform,
  pickPlatform,
  REFERENCE_TYPE,
  type Reference,
} from '../oci/index.ts';
import type { ContentStore, FetchedManifest, ResolvedImage } from '../ports/index.ts';

/** How manifests and blobs are had. */
export interface ImageSource {
  manifest(ref: Reference, signal: AbortSignal): Promise<Result<FetchedManifest>>;
  pull(blob: Descriptor, signal: AbortSignal): Promise<Result<void>>;
  readonly content: ContentStore;
}

/** Reads the manifest and configuration of a reference for one platform; both are kept in the content store. */
export async function resolveImage(
  ref: Reference,
  options: { readonly platform: Platform; readonly signal: AbortSignal },
  source: ImageSource,
): Promise<Result<ResolvedImage>> {
  const { signal, platform } = options;
  const what = formatReference(ref);
  const top = await read(ref, source, signal);
  if (!top.ok) return top;
  let fetched = top.value;
  let named: Descriptor | undefined;
  for (let depth = 0; ; depth++) {
    const decoded =
      named === undefined
        ? decodeManifest(fetched.bytes, what, fetched.descriptor.mediaType)
        : decodeNamed(fetched.bytes, what, named);
    if (!decoded.ok) return decoded;
    if (decoded.value.kind === 'manifest') {
      const { manifest } = decoded.value;
      return await imageOf(what, { top: top.value, fetched, manifest }, source, signal);
    }
    const { manifests } = decoded.value.index;
    const picked = pickManifest(manifests, platform);
    if (picked === undefined) return err(noMatch(what, manifests, platform));
    if (depth === MAX_INDEX_NESTING)
      return err(
        failure('RG010', 3, `${what}: indexes are nested deeper than ${MAX_INDEX_NESTING}`),
      );
    named = picked;
    const { tag: _tag, ...base } = ref;
    const next = await read({ ...base, digest: picked.digest }, source, signal);
    if (!next.ok) return next;
    fetched = next.value;
  }
}

/** The manifest of an index for a platform; an only one that names no platform is meant for every platform. */
export function pickManifest(
  manifests: readonly Descriptor[],
  platform: Platform,
): Descriptor | undefined {
  const images = manifests.filter((d) => d.annotations?.[REFERENCE_TYPE] === undefined);
  const picked = pickPlatform(images, (d) => d.platform, platform);
  if (picked !== undefined) return picked;
  return images.length === 1 && images[0]?.platform === undefined ? images[0] : undefined;
}

async function read(
  ref: Reference,
  source: ImageSource,
  signal: AbortSignal,
): Promise<Result<FetchedManifest>> {
  const { digest } = ref;
  const size = digest === undefined ? undefined : await source.content.size(digest);
  if (digest !== undefined && size !== undefined) {
    const kept = await source.content.read(digest, { maxBytes: 4 * 1024 * 1024 });
    if (kept.ok) {
      const decoded = decodeManifest(kept.value, formatReference(ref));
      if (decoded.ok) {
        const { value } = decoded;
        const { mediaType } = value.kind === 'index' ? value.index : value.manifest;
        return ok({ descriptor: { mediaType, digest, size }, bytes: kept.value });
      }
    }
  }
  const fetched = await source.manifest(ref, signal);
  if (fetched.ok) await source.content.put(fetched.value.bytes);
  return fetched;
}

async function imageOf(
  what: string,
  image: {
    readonly top: FetchedManifest;
    readonly fetched: FetchedManifest;
    readonly manifest: Manifest;
  },
  source: ImageSource,
  signal: AbortSignal,
): Promise<Result<ResolvedImage>> {
  const { config, layers } = image.manifest;
  if (config.size > MAX_CONFIG_BYTES) {
    return err(
      failure(
        'RG011',
        3,
        `${what}: its configuration has ${config.size} bytes, the limit is ${MAX_CONFIG_BYTES}`,
      ),
    );
  }
  let bytes = await source.content.read(config.digest, { maxBytes: MAX_CONFIG_BYTES });
  if (!bytes.ok) {
    const pulled = await source.pull(config, signal);
    if (!pulled.ok) return pulled;
    bytes = await source.content.read(config.digest, { maxBytes: MAX_CONFIG_BYTES });
    if (!bytes.ok) return bytes;
  }
  const decoded = decodeImageConfig(bytes.value, what);
  if (!decoded.ok) return decoded;
  const { diffIds } = decoded.value;
  if (diffIds.length !== layers.length) {
    return err(
      failure(
        'RG012',
        3,
        `${what}: its manifest has ${layers.length} layers, its configuration ${diffIds.length}`,
        {
          help: 'this is no container image, or a damaged one',
        },
      ),
    );
  }
  return ok({
    top: image.top.descriptor,
    manifest: image.fetched,
    config: bytes.value,
    configDescriptor: config,
    layers,
    diffIds,
  });
}

function noMatch(
  what: string,
  manifests: readonly Descriptor[],
  wanted: Platform,
): ReturnType<typeof failure> {
  const has = manifests.flatMap((d) =>
    d.platform === undefined ? [] : [formatPlatform(d.platform)],
  );
  return failure(
    'RG013',
    3,
    `${what}: no match for platform ${formatPlatform(wanted)} in manifest: not found`,
    {
      ...(has.length === 0 ? {} : { help: `it has ${[...new Set(has)].slice(0, 20).join(', ')}` }),
    },
  );
}
