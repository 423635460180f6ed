import { TAR_END, tarHeader, tarPadding } from '../archive/index.ts';
import {
  byCodeUnit,
  type Digest,
  err,
  failure,
  goJson,
  hexOf,
  ok,
  type Result,
  wholeBlob,
} from '../base/index.ts';
import { type BuiltImage, platformsOf } from '../image/index.ts';
import {
  type Descriptor,
  decodeManifest,
  descriptorJson,
  familiarReference,
  MAX_MANIFEST_BYTES,
  MEDIA,
  parseReference,
} from '../oci/index.ts';
import type { ContentStore } from '../ports/index.ts';

/** An image to be written as an archive or layout: its blobs must be in the content store. */
export interface ArchiveImage {
  readonly target: Descriptor;
  /** Full names (`docker.io/library/app:1`). */
  readonly names: readonly string[];
  /** RFC 3339; becomes an annotation of the index. */
  readonly created?: string;
  /** Further annotations of its entry there. */
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A member of a layout, in order. */
export type LayoutPart =
  | { readonly path: string; readonly kind: 'dir' }
  | { readonly path: string; readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly path: string; readonly kind: 'blob'; readonly blob: Descriptor };

/**
 * The members of an OCI image layout with the blobs of some images (image-spec, image-layout.md); with `docker` also the
 * `manifest.json` that `docker load` reads. Sorted by name: the same images give the same bytes.
 */
export async function layoutParts(
  content: ContentStore,
  images: readonly ArchiveImage[],
  options: { readonly docker: boolean },
): Promise<Result<readonly LayoutPart[]>> {
  const blobs = new Map<Digest, Descriptor>();
  const loads: { Config: string; RepoTags: readonly string[] | null; Layers: readonly string[] }[] =
    [];
  for (const image of images) {
    const below = await blobsBelow(content, image.target);
    if (!below.ok) return below;
    for (const blob of below.value) blobs.set(blob.digest, blob);
    if (!options.docker) continue;
    const platforms = await platformsOf(
      content,
      image.target,
      image.names[0] ?? image.target.digest,
    );
    if (!platforms.ok) return platforms;
    const [first, second] = platforms.value;
    if (first === undefined || second !== undefined) {
      return err(
        failure('EX020', 2, 'a docker archive holds images of one platform only', {
          help: 'choose one with --platform, or write type=oci',
        }),
      );
    }
    const { config, layers } = first.manifest;
    loads.push({
      Config: blobPath(config.digest),
      RepoTags: image.names.length === 0 ? null : image.names.map(shortName),
      Layers: layers.map((layer) => blobPath(layer.digest)),
    });
  }
  const parts: LayoutPart[] = [
    { path: 'blobs', kind: 'dir' },
    { path: 'blobs/sha256', kind: 'dir' },
    ...[...blobs.values()].map(
      (blob) => ({ path: blobPath(blob.digest), kind: 'blob', blob }) as const,
    ),
    { path: 'index.json', kind: 'bytes', bytes: indexJson(images) },
    { path: 'oci-layout', kind: 'bytes', bytes: Buffer.from('{"imageLayoutVersion":"1.0.0"}') },
    ...(options.docker
      ? [{ path: 'manifest.json', kind: 'bytes', bytes: Buffer.from(goJson(loads)) } as const]
      : []),
  ];
  return ok(parts.sort((a, b) => byCodeUnit(a.path, b.path)));
}

/** The members as a tar stream. */
export async function* layoutTar(
  content: ContentStore,
  parts: readonly LayoutPart[],
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const base = { uid: 0, gid: 0, mtimeNs: 0n, xattrs: new Map<string, Uint8Array>() };
  for (const part of parts) {
    if (part.kind === 'dir') {
      yield tarHeader({ ...base, name: `${part.path}/`, type: 'dir', mode: 0o755, size: 0 });
      continue;
    }
    const size = part.kind === 'bytes' ? part.bytes.length : part.blob.size;
    yield tarHeader({ ...base, name: part.path, type: 'file', mode: 0o444, size });
    if (part.kind === 'bytes') yield part.bytes;
    else yield* wholeBlob(content, part.blob.digest, { signal });
    yield tarPadding(size);
  }
  yield TAR_END;
}

/** Everything an index or manifest names, itself included. */
async function blobsBelow(
  content: ContentStore,
  target: Descriptor,
  seen = new Set<Digest>(),
): Promise<Result<readonly Descriptor[]>> {
  seen.add(target.digest);
  const bytes = await content.read(target.digest, { maxBytes: MAX_MANIFEST_BYTES });
  if (!bytes.ok) return bytes;
  const decoded = decodeManifest(bytes.value, target.digest, target.mediaType);
  if (!decoded.ok) return decoded;
  const all: Descriptor[] = [target];
  if (decoded.value.kind === 'manifest') {
    all.push(decoded.value.manifest.config, ...decoded.value.manifest.layers);
    return ok(all);
  }
  for (const child of decoded.value.index.manifests) {
    if (seen.has(child.digest)) continue;
    const below = await blobsBelow(content, child, seen);
    if (!below.ok) return below;
    all.push(...below.value);
  }
  return ok(all);
}

/** `index.json`: one entry a name, so that tools find each; an unnamed image has one entry. */
export function indexJson(images: readonly ArchiveImage[]): Uint8Array {
  const manifests = images.flatMap((image) =>
    (image.names.length === 0 ? [undefined] : image.names).map((name) => {
      const annotations = {
        ...image.target.annotations,
        ...image.annotations,
        ...(name === undefined
          ? {}
          : { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': tagOf(name) }),
        ...(image.created === undefined
          ? {}
          : { 'org.opencontainers.image.created': image.created }),
      };
      return descriptorJson({
        ...image.target,
        ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
      });
    }),
  );
  return Buffer.from(goJson({ schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests }));
}

function tagOf(name: string): string {
  const parsed = parseReference(name);
  return (parsed.ok ? parsed.value.tag : undefined) ?? 'latest';
}

function shortName(name: string): string {
  const parsed = parseReference(name);
  return parsed.ok ? familiarReference(parsed.value) : name;
}

const blobPath = (digest: Digest): string => `blobs/sha256/${hexOf(digest)}`;

/** The archive entry of built images: one target, an index over several platforms or the only manifest. */
export function archiveImage(
  target: Descriptor,
  names: readonly string[],
  images: readonly BuiltImage[],
  annotations?: Readonly<Record<string, string>>,
): ArchiveImage {
  const created = images[0]?.created;
  return {
    target,
    names,
    ...(created === undefined ? {} : { created }),
    ...(annotations === undefined ? {} : { annotations }),
  };
}
