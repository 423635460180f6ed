import { decompress, quoted, TarReader } from '../archive/index.ts';
import {
  type Digest,
  err,
  FailureError,
  failure,
  isRecord,
  ok,
  parseDigest,
  parseJson,
  type Result,
} from '../base/index.ts';
import {
  type Descriptor,
  decodeImageConfig,
  decodeManifest,
  encodeManifest,
  isIndexType,
  MAX_CONFIG_BYTES,
  MAX_MANIFEST_BYTES,
  MEDIA,
} from '../oci/index.ts';
import type { ContentStore } from '../ports/index.ts';
import { checkImage } from './check-image.ts';
import { fullName, type StoreDeps } from './store.ts';

/** An image that was read from an archive. */
export interface LoadedImage {
  readonly target: Descriptor;
  readonly names: readonly string[];
}

interface Member {
  readonly digest: Digest;
  readonly size: number;
}

/** More members than this no image archive has. */
const MAX_MEMBERS = 100_000;

/**
 * Reads an OCI layout tar or a docker archive (`docker save`), compressed or not, and enters its images into the store. Members
 * are taken as blobs by the digest of their bytes; what an archive says of a name is believed only when the bytes agree.
 */
export async function loadImages(
  deps: StoreDeps,
  tar: AsyncIterable<Uint8Array>,
  options: { readonly signal: AbortSignal },
): Promise<Result<readonly LoadedImage[]>> {
  const { signal } = options;
  const members = await readMembers(deps, decompress(tar, { signal }), signal);
  if (!members.ok) return members;
  const index = members.value.get('index.json');
  const docker = members.value.get('manifest.json');
  const loaded =
    index !== undefined
      ? await fromIndex(deps, index)
      : docker !== undefined
        ? await fromDocker(deps, docker, members.value)
        : err(
            failure(
              'EX030',
              2,
              'the archive holds no image: neither index.json nor manifest.json is in it',
            ),
          );
  return loaded.ok ? named(deps, loaded.value) : loaded;
}

/** Reads an OCI layout directory: what its index names, and nothing else that lies there. */
export async function loadLayout(
  deps: StoreDeps,
  layout: { readonly content: ContentStore; readonly index: Uint8Array },
  options: { readonly signal: AbortSignal },
): Promise<Result<readonly LoadedImage[]>> {
  const decoded = decodeManifest(layout.index, 'index.json');
  if (!decoded.ok) return decoded;
  const wanted: Descriptor[] = [];
  if (decoded.value.kind === 'index') wanted.push(...decoded.value.index.manifests);
  const seen = new Set<Digest>();
  for (let blob = wanted.pop(); blob !== undefined; blob = wanted.pop()) {
    if (seen.has(blob.digest)) continue;
    seen.add(blob.digest);
    if (seen.size > MAX_MEMBERS)
      return err(failure('EX031', 3, `the layout has more than ${MAX_MEMBERS} blobs`));
    const copied = await copyBlob(deps, layout.content, blob, options.signal);
    if (!copied.ok) return copied;
    const below = await childrenOf(deps, blob);
    if (!below.ok) return below;
    wanted.push(...below.value);
  }
  const loaded = await fromIndex(deps, await member(deps, layout.index));
  return loaded.ok ? named(deps, loaded.value) : loaded;
}

async function copyBlob(
  deps: StoreDeps,
  from: ContentStore,
  blob: Descriptor,
  signal: AbortSignal,
): Promise<Result<void>> {
  const { digest, size } = blob;
  if ((await deps.content.size(digest)) === size) return ok(undefined);
  if ((await from.size(digest)) === undefined)
    return err(failure('EX032', 3, `the layout lacks ${digest}, which it names`));
  const written = await deps.content.ingest(from.stream(digest, { signal }), {
    signal,
    digest,
    size,
  });
  return written.ok ? ok(undefined) : written;
}

async function childrenOf(deps: StoreDeps, blob: Descriptor): Promise<Result<Descriptor[]>> {
  if (!isManifestType(blob.mediaType)) return ok([]);
  const bytes = await deps.content.read(blob.digest, { maxBytes: MAX_MANIFEST_BYTES });
  if (!bytes.ok) return bytes;
  const decoded = decodeManifest(bytes.value, blob.digest, blob.mediaType);
  if (!decoded.ok) return decoded;
  const { value } = decoded;
  return ok(
    value.kind === 'index'
      ? [...value.index.manifests]
      : [value.manifest.config, ...value.manifest.layers],
  );
}

const isManifestType = (type: string): boolean =>
  isIndexType(type) || type === MEDIA.ociManifest || type === MEDIA.dockerManifest;

async function member(deps: StoreDeps, bytes: Uint8Array): Promise<Member> {
  return { digest: await deps.content.put(bytes), size: bytes.length };
}

/** Enters images into the store under their names. */
function named(deps: StoreDeps, images: readonly LoadedImage[]): Result<readonly LoadedImage[]> {
  for (const { names, target } of images) {
    for (const name of names) deps.images.set({ name, target, createdAt: deps.clock.now() });
  }
  return ok(images);
}

async function readMembers(
  deps: StoreDeps,
  tar: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<Result<ReadonlyMap<string, Member>>> {
  const reader = new TarReader(tar);
  const members = new Map<string, Member>();
  try {
    for (;;) {
      const entry = await reader.next();
      if (!entry.ok) return entry;
      if (entry.value === undefined) return ok(members);
      const { type, link } = entry.value;
      const name = entry.value.name.replace(/^(?:\.?\/)+/, '');
      if (members.size > MAX_MEMBERS)
        return err(failure('EX031', 3, `the archive has more than ${MAX_MEMBERS} members`));
      if (type === 'dir') continue;
      if (type === 'symlink' || type === 'hardlink') {
        // Old docker archives link equal layers: `../<id>/layer.tar`. Names only; nothing is opened on disk.
        const target = members.get((link ?? '').replace(/^(?:\.\.?\/)+/, ''));
        if (target !== undefined) members.set(name, target);
        continue;
      }
      if (type !== 'file')
        return err(failure('EX031', 3, `the archive holds ${quoted(name)}, which is no file`));
      const promised = parseDigest(
        `sha256:${/^blobs\/sha256\/([0-9a-f]{64})$/.exec(name)?.[1] ?? ''}`,
      );
      const written = await deps.content.ingest(reader.data(), {
        signal,
        size: entry.value.size,
        ...(promised === undefined ? {} : { digest: promised }),
      });
      if (!written.ok) return written;
      members.set(name, written.value);
    }
  } catch (e) {
    if (e instanceof FailureError) return err(e.failure);
    throw e;
  } finally {
    await reader.close();
  }
}

async function fromIndex(deps: StoreDeps, member: Member): Promise<Result<readonly LoadedImage[]>> {
  const bytes = await deps.content.read(member.digest, { maxBytes: MAX_MANIFEST_BYTES });
  if (!bytes.ok) return bytes;
  const decoded = decodeManifest(bytes.value, 'index.json');
  if (!decoded.ok) return decoded;
  if (decoded.value.kind !== 'index') return err(failure('EX030', 2, 'index.json is no index'));
  const images: LoadedImage[] = [];
  for (const { annotations, ...target } of decoded.value.index.manifests) {
    const size = await deps.content.size(target.digest);
    if (size !== target.size)
      return err(failure('EX032', 3, `the archive lacks ${target.digest}, which its index names`));
    const checked = await checkImage(deps.content, target);
    if (!checked.ok) return checked;
    const ref = annotations?.['org.opencontainers.image.ref.name'];
    // A reference name may be a tag alone (image spec, annotations): that names nothing here.
    const written =
      annotations?.['io.containerd.image.name'] ??
      (ref !== undefined && /[/:]/.test(ref) ? ref : undefined);
    const name = written === undefined ? undefined : fullName(written);
    images.push({ target, names: name?.ok === true ? [name.value] : [] });
  }
  return ok(images);
}

async function fromDocker(
  deps: StoreDeps,
  member: Member,
  members: ReadonlyMap<string, Member>,
): Promise<Result<readonly LoadedImage[]>> {
  const bytes = await deps.content.read(member.digest, { maxBytes: MAX_MANIFEST_BYTES });
  if (!bytes.ok) return bytes;
  const parsed = parseJson(Buffer.from(bytes.value).toString('utf8'));
  if (!parsed.ok || !Array.isArray(parsed.value))
    return err(failure('EX030', 2, 'manifest.json is no list of images'));
  const images: LoadedImage[] = [];
  for (const item of parsed.value as readonly unknown[]) {
    const image = await dockerImage(deps, item, members);
    if (!image.ok) return image;
    images.push(image.value);
  }
  return ok(images);
}

async function dockerImage(
  deps: StoreDeps,
  item: unknown,
  members: ReadonlyMap<string, Member>,
): Promise<Result<LoadedImage>> {
  const json = isRecord(item) ? item : {};
  const config = members.get(String(json['Config']));
  if (config === undefined)
    return err(
      failure('EX032', 3, `the archive lacks the configuration ${quoted(String(json['Config']))}`),
    );
  const raw = await deps.content.read(config.digest, { maxBytes: MAX_CONFIG_BYTES });
  if (!raw.ok) return raw;
  const decoded = decodeImageConfig(raw.value, 'the configuration in the archive');
  if (!decoded.ok) return decoded;
  const layers: Descriptor[] = [];
  for (const path of texts(json['Layers'])) {
    const layer = members.get(path);
    if (layer === undefined)
      return err(failure('EX032', 3, `the archive lacks the layer ${quoted(path)}`));
    // An uncompressed layer's digest is its diffID; others are gzip in such archives.
    const plain = decoded.value.diffIds[layers.length] === layer.digest;
    layers.push({
      mediaType: plain ? MEDIA.dockerLayer : MEDIA.dockerLayerGzip,
      digest: layer.digest,
      size: layer.size,
    });
  }
  if (layers.length !== decoded.value.diffIds.length)
    return err(
      failure('EX032', 3, 'the archive has another number of layers than the configuration'),
    );
  const manifest = encodeManifest({
    mediaType: MEDIA.dockerManifest,
    config: { mediaType: MEDIA.dockerConfig, digest: config.digest, size: config.size },
    layers,
  });
  const target = {
    mediaType: MEDIA.dockerManifest,
    digest: await deps.content.put(manifest),
    size: manifest.length,
  };
  const names = texts(json['RepoTags']).flatMap((tag) => {
    const name = fullName(tag);
    return name.ok ? [name.value] : [];
  });
  return ok({ target, names });
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((v): v is string => typeof v === 'string') : [];
}
