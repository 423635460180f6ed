import { awaitAll, err, failure, ok, type Result, Semaphore } from '../base/index.ts';
import type { ExportContext, ImageDeps } from '../image/index.ts';
import {
  type Descriptor,
  decodeManifest,
  formatPlatform,
  isIndexType,
  MAX_MANIFEST_BYTES,
} from '../oci/index.ts';
import type { Registry } from '../ports/index.ts';
import type { ImageResult } from './image-output.ts';

const REPORT_MS = 100;
const IMAGE = 'docker-image://';
/** The registry lacks a blob, and so does the store. */
const NOT_HERE = 'RG015';

/**
 * Pushes an image under each of its names: blobs first, then manifests, the index last, so that a name never points at
 * something incomplete. Layers that came from the same registry are mounted there, not sent.
 */
export async function pushImage(
  deps: ImageDeps & { readonly registry: Registry; readonly parallel?: number },
  result: ImageResult,
  context: ExportContext,
): Promise<Result<void>> {
  for (const name of result.names) {
    const pushed = await pushName(deps, result, name, context);
    if (!pushed.ok) return pushed;
  }
  return ok(undefined);
}

async function pushName(
  deps: ImageDeps & { readonly registry: Registry; readonly parallel?: number },
  result: ImageResult,
  name: string,
  context: ExportContext,
): Promise<Result<void>> {
  const { signal } = context;
  const complete = await hasAll(deps, result, name);
  if (!complete.ok) return complete;
  const slots = new Semaphore(deps.parallel ?? 4);
  const status = reporter(deps, context);
  const layers = new Map(result.images.flatMap((i) => i.layers).map((l) => [l.blob.digest, l]));
  const sent = await awaitAll([
    ...[...layers.values()].map(({ blob, layer }) =>
      slots.run(signal, async () => {
        const from =
          layer.origin?.startsWith(IMAGE) === true ? [layer.origin.slice(IMAGE.length)] : [];
        const progress = (current: number, total: number | undefined): void =>
          status(blob.digest, current, total ?? blob.size);
        const options = { signal, from, progress };
        // Without the bytes first: the registry may have them, or have them in another repository.
        const pushed = await deps.registry.pushBlob(name, blob, options);
        if (pushed.ok || pushed.error.code !== NOT_HERE) return pushed;
        const fetched = await deps.fetchBlob({ ...layer, blob }, context);
        return fetched.ok ? await deps.registry.pushBlob(name, blob, options) : fetched;
      }),
    ),
    ...smallBlobs(result).map((blob) =>
      slots.run(signal, () => deps.registry.pushBlob(name, blob, { signal })),
    ),
  ]);
  const failed = sent.find((s) => !s.ok);
  if (failed?.ok === false) return err(failed.error);
  const below = [
    ...result.images.map((image) => image.manifest),
    ...result.attestations.map((attestation) => attestation.descriptor),
  ].filter(({ digest }) => digest !== result.target.digest);
  for (const manifest of below) {
    const byDigest = `${name.replace(/:[^:/]*$/, '')}@${manifest.digest}`;
    const pushed = await pushStored(deps, byDigest, manifest, signal);
    if (!pushed.ok) return pushed;
  }
  return await pushStored(deps, name, result.target, signal);
}

/** Configurations, and the statements about images. */
const smallBlobs = ({ images, attestations }: ImageResult): readonly Descriptor[] => [
  ...images.map((image) => image.config),
  ...attestations.flatMap(({ config, statements }) => [config, ...statements]),
];

/** A registry takes an index only with everything it names. */
async function hasAll(
  deps: Pick<ImageDeps, 'content'>,
  { target }: ImageResult,
  name: string,
): Promise<Result<void>> {
  if (!isIndexType(target.mediaType)) return ok(undefined);
  const bytes = await deps.content.read(target.digest, { maxBytes: MAX_MANIFEST_BYTES });
  if (!bytes.ok) return bytes;
  const decoded = decodeManifest(bytes.value, name, target.mediaType);
  if (!decoded.ok) return decoded;
  const children = decoded.value.kind === 'index' ? decoded.value.index.manifests : [];
  const here = await awaitAll(children.map((child) => deps.content.size(child.digest)));
  const missing = children.filter((_, i) => here[i] === undefined);
  if (missing.length === 0) return ok(undefined);
  const what = missing.map((m) =>
    m.platform === undefined ? m.digest : formatPlatform(m.platform),
  );
  return err(
    failure('EX005', 3, `${name}: the store lacks ${what.join(', ')}, which its index names`, {
      help: 'pull the image for these platforms as well, or copy it with a tool that copies registries',
    }),
  );
}

async function pushStored(
  deps: ImageDeps & { readonly registry: Registry },
  ref: string,
  target: ImageResult['target'],
  signal: AbortSignal,
): Promise<Result<void>> {
  const bytes = await deps.content.read(target.digest, { maxBytes: MAX_MANIFEST_BYTES });
  if (!bytes.ok) return bytes;
  const pushed = await deps.registry.pushManifest(ref, bytes.value, target.mediaType, { signal });
  return pushed.ok ? ok(undefined) : pushed;
}

function reporter(
  deps: Pick<ImageDeps, 'clock'>,
  context: ExportContext,
): (id: string, current: number, total: number) => void {
  const last = new Map<string, number>();
  return (id, current, total) => {
    const now = deps.clock.now();
    const completed = current >= total;
    if (!completed && now - (last.get(id) ?? 0) < REPORT_MS) return;
    last.set(id, now);
    context.emit({
      type: 'status',
      vertex: context.vertex.digest,
      id: `pushing ${id}`,
      at: now,
      current,
      total,
      completed,
    });
  };
}
