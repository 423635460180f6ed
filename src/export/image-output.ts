import { join } from 'node:path';
import {
  awaitAll,
  err,
  FailureError,
  failure,
  isRecord,
  ok,
  parseJson,
  type Result,
  readIfThere,
  wholeBlob,
  writeAtomically,
} from '../base/index.ts';
import {
  type AssembleOptions,
  type AttestationManifest,
  annotationsOn,
  assembleAttestation,
  assembleImage,
  assembleIndex,
  type BuiltImage,
  type ExportContext,
  fullName,
  type ImageDeps,
  type ImageParts,
  type Statement,
} from '../image/index.ts';
import type { Descriptor } from '../oci/index.ts';
import type { ImageDb } from '../ports/index.ts';
import { archiveImage, indexJson, layoutParts, layoutTar } from './layout-tar.ts';

/** What is attached to an image: statements about it, as blobs of a manifest of their own. */
export type Attach = (
  image: BuiltImage,
  parts: ImageParts,
  names: readonly string[],
) => Promise<Result<readonly Statement[]>>;

/** A finished image: what `--metadata-file` and `--iidfile` tell of it. */
export interface ImageResult {
  readonly target: Descriptor;
  readonly images: readonly BuiltImage[];
  /** One for each image that something was said of. */
  readonly attestations: readonly AttestationManifest[];
  readonly names: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Annotations of its entry in the index of a layout. */
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Builds the image (or, for several platforms, the index) of a result. */
export async function makeImage(
  deps: ImageDeps,
  platforms: readonly ImageParts[],
  options: AssembleOptions & {
    readonly names: readonly string[];
    readonly index?: boolean;
    readonly attach?: Attach;
  },
  context: ExportContext,
): Promise<Result<ImageResult>> {
  const images: BuiltImage[] = [];
  const attestations: AttestationManifest[] = [];
  const names: string[] = [];
  for (const name of options.names) {
    const full = fullName(name);
    if (!full.ok) return full;
    names.push(full.value);
  }
  for (const parts of platforms) {
    const image = await assembleImage(deps, parts, options, context);
    if (!image.ok) return image;
    images.push(image.value);
    const said = await options.attach?.(image.value, parts, names);
    if (said?.ok === false) return said;
    if (said !== undefined && said.value.length > 0)
      attestations.push(await assembleAttestation(deps, image.value.manifest, said.value));
  }
  const [only] = images;
  if (only === undefined) throw new Error('an image of no platform was asked for');
  const onePlatform = images.length === 1 && options.index !== true;
  const single = onePlatform && attestations.length === 0;
  const misplaced = options.annotations?.find((a) => a.on.startsWith('index'));
  if (single && misplaced !== undefined)
    return err(
      failure('EX007', 2, `annotation ${misplaced.key}: an image of one platform has no index`, {
        help: 'put it on the manifest, or give several platforms',
      }),
    );
  const target = single ? only.manifest : await assembleIndex(deps, images, attestations, options);
  const metadata = {
    ...(onePlatform ? { 'containerimage.config.digest': only.config.digest } : {}),
    'containerimage.descriptor': target,
    'containerimage.digest': target.digest,
    ...(names.length === 0 ? {} : { 'image.name': names.join(',') }),
  };
  const entry = single
    ? annotationsOn(options.annotations, 'manifest-descriptor', only.platform)
    : annotationsOn(options.annotations, 'index-descriptor');
  return ok({ target, images, attestations, names, metadata, ...entry });
}

/** Enters an image into the store under its names. */
export function storeImage(
  deps: Pick<ImageDeps, 'clock'> & { readonly images: ImageDb },
  result: ImageResult,
): void {
  for (const name of result.names) {
    deps.images.set({ name, target: result.target, createdAt: deps.clock.now() });
  }
}

/** Brings the layers of an image that are elsewhere into the content store. */
export async function fetchLayers(
  deps: ImageDeps,
  images: readonly BuiltImage[],
  context: ExportContext,
): Promise<Result<void>> {
  const layers = images.flatMap((image) => image.layers);
  const done = await awaitAll(
    layers.map(async ({ blob, layer }) => {
      if ((await deps.content.size(blob.digest)) === blob.size) return ok(undefined);
      return await deps.fetchBlob({ ...layer, blob }, context);
    }),
  );
  return done.find((d) => !d.ok) ?? ok(undefined);
}

/** Where an archive goes. */
export type ArchiveTarget =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'directory'; readonly path: string }
  /** Standard output or another stream of the caller. */
  | { readonly kind: 'stream'; readonly write: (data: AsyncIterable<Uint8Array>) => Promise<void> };

/** Writes an image as an OCI layout or docker archive: a tar that appears whole, or with `directory` a layout. */
export async function writeArchive(
  deps: ImageDeps,
  result: ImageResult,
  options: { readonly format: 'oci' | 'docker'; readonly to: ArchiveTarget },
  context: ExportContext,
): Promise<Result<void>> {
  const fetched = await fetchLayers(deps, result.images, context);
  if (!fetched.ok) return fetched;
  const { target, names, images, annotations } = result;
  const image = archiveImage(target, names, images, annotations);
  const parts = await layoutParts(deps.content, [image], { docker: options.format === 'docker' });
  if (!parts.ok) return parts;
  const { to } = options;
  try {
    if (to.kind === 'directory') {
      // Blobs first, the index last: at each moment the directory is a valid layout.
      const isIndex = (path: string): boolean => path === 'index.json';
      for (const part of parts.value) {
        if (part.kind === 'dir' || isIndex(part.path)) continue;
        const data =
          part.kind === 'bytes'
            ? part.bytes
            : wholeBlob(deps.content, part.blob.digest, { signal: context.signal });
        await writeAtomically(join(to.path, part.path), data);
      }
      await writeAtomically(
        join(to.path, 'index.json'),
        await mergedIndex(to.path, indexJson([image])),
      );
      return ok(undefined);
    }
    const tar = layoutTar(deps.content, parts.value, context.signal);
    if (to.kind === 'file') await writeAtomically(to.path, tar);
    else await to.write(tar);
    return ok(undefined);
  } catch (e) {
    context.signal.throwIfAborted();
    return writeFailure(e, to.kind === 'stream' ? 'standard output' : to.path);
  }
}

/** Entries of a layout's index that are kept beside the new ones: those under other names. */
async function mergedIndex(dir: string, bytes: Uint8Array): Promise<Uint8Array> {
  const before = (await readIfThere(join(dir, 'index.json')))?.toString('utf8');
  const parsed = before === undefined ? undefined : parseJson(before);
  const old = parsed?.ok === true && isRecord(parsed.value) ? parsed.value['manifests'] : undefined;
  const fresh = parseJson(Buffer.from(bytes).toString('utf8'));
  if (!Array.isArray(old) || !fresh.ok || !isRecord(fresh.value)) return bytes;
  const added = fresh.value['manifests'];
  if (!Array.isArray(added)) return bytes;
  const names = new Set(added.map(nameIn));
  const kept: unknown[] = old.filter((entry: unknown) => !names.has(nameIn(entry)));
  return Buffer.from(
    JSON.stringify({ ...fresh.value, manifests: [...kept, ...(added as unknown[])] }),
  );
}

function nameIn(entry: unknown): unknown {
  const annotations = isRecord(entry) ? entry['annotations'] : undefined;
  return isRecord(annotations) ? annotations['org.opencontainers.image.ref.name'] : undefined;
}

/** The failure behind an error while an output was being written; what is no system error is a bug and thrown. */
export function writeFailure(e: unknown, what: string): Result<never> {
  if (e instanceof FailureError) return err(e.failure);
  if (
    !(e instanceof Error) ||
    !('code' in e) ||
    typeof e.code !== 'string' ||
    !/^E[A-Z0-9]+$/.test(e.code)
  )
    throw e;
  const why = e.code === 'ENOSPC' ? 'no space left on the disk' : e.code;
  return err(failure('EX001', 3, `writing ${what}: ${why}`, { cause: e }));
}
