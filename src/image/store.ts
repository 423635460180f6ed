import { type Digest, err, failure, ok, parseJson, type Result } from '../base/index.ts';
import {
  type Descriptor,
  decodeImageConfig,
  decodeManifest,
  decodeNamed,
  familiarReference,
  formatReference,
  type ImageConfig,
  isIndexType,
  MAX_CONFIG_BYTES,
  MAX_MANIFEST_BYTES,
  type Manifest,
  parseReference,
  REFERENCE_TYPE,
  withDefaultTag,
} from '../oci/index.ts';
import type { Clock, ContentStore, ImageDb, ImageRow } from '../ports/index.ts';
import { ATTESTATION, type AttestationManifest } from './attestation.ts';

/** What the functions over stored images need. */
export interface StoreDeps {
  readonly content: ContentStore;
  readonly images: ImageDb;
  readonly clock: Clock;
}

/** A stored image as a list shows it. */
export interface ListedImage {
  readonly name: string;
  readonly familiar: string;
  readonly digest: string;
  readonly createdAt: number;
  /** Bytes of manifest, configuration and layers of all its platforms; undefined when a manifest is missing. */
  readonly size?: number;
}

/** One platform of a stored image. */
export interface StoredImage {
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
  /** The manifest as it is written. */
  readonly manifestJson: unknown;
  readonly config: ImageConfig;
}

/** All stored images by name. */
export async function listImages(deps: StoreDeps): Promise<readonly ListedImage[]> {
  return await Promise.all(
    deps.images.list().map(async (row) => {
      const parsed = parseReference(row.name);
      const platforms = await platformsOf(deps.content, row.target, row.name);
      const size = platforms.ok
        ? platforms.value.reduce(
            (sum, p) =>
              sum +
              p.descriptor.size +
              p.manifest.config.size +
              p.manifest.layers.reduce((s, l) => s + l.size, 0),
            0,
          )
        : undefined;
      return {
        name: row.name,
        familiar: parsed.ok ? familiarReference(parsed.value) : row.name,
        digest: row.target.digest,
        createdAt: row.createdAt,
        ...(size === undefined ? {} : { size }),
      };
    }),
  );
}

/** The row of an image by what a person calls it. */
export function findImageRow(deps: StoreDeps, name: string): Result<ImageRow> {
  const full = fullName(name);
  if (!full.ok) return full;
  const row = deps.images.get(full.value);
  return row === undefined
    ? err(
        failure('ST030', 2, `no image ${name} in the store`, {
          help: '`varve image ls` lists the images there are',
        }),
      )
    : ok(row);
}

/** An image with all its platforms. */
export async function inspectImage(
  deps: StoreDeps,
  name: string,
): Promise<Result<{ readonly row: ImageRow; readonly platforms: readonly StoredImage[] }>> {
  const row = findImageRow(deps, name);
  if (!row.ok) return row;
  const platforms = await platformsOf(deps.content, row.value.target, name);
  return platforms.ok ? ok({ row: row.value, platforms: platforms.value }) : platforms;
}

/** Gives an image a further name. */
export function tagImage(deps: StoreDeps, from: string, to: string): Result<ImageRow> {
  const row = findImageRow(deps, from);
  if (!row.ok) return row;
  const name = fullName(to);
  if (!name.ok) return name;
  const tagged = { ...row.value, name: name.value, createdAt: deps.clock.now() };
  deps.images.set(tagged);
  return ok(tagged);
}

/** Deletes the name, not the bytes: another image may share them; trimming removes what nobody names. */
export function removeImage(deps: StoreDeps, name: string): Result<void> {
  const row = findImageRow(deps, name);
  if (!row.ok) return row;
  deps.images.remove(row.value.name);
  return ok(undefined);
}

/** Manifests and configurations below a manifest or index, attestations left out. */
export async function platformsOf(
  content: ContentStore,
  target: Descriptor,
  what: string,
  seen = new Set<Digest>(),
): Promise<Result<readonly StoredImage[]>> {
  seen.add(target.digest);
  const bytes = await content.read(target.digest, { maxBytes: MAX_MANIFEST_BYTES });
  if (!bytes.ok) return bytes;
  const decoded = decodeManifest(bytes.value, what, target.mediaType);
  if (!decoded.ok) return decoded;
  if (decoded.value.kind === 'index') {
    const all: StoredImage[] = [];
    for (const child of decoded.value.index.manifests) {
      if (child.annotations?.[REFERENCE_TYPE] !== undefined) continue;
      // A hostile index may name one a thousand times, again and again.
      if (seen.has(child.digest)) continue;
      // Platforms that were not pulled are named by the index all the same.
      if ((await content.size(child.digest)) === undefined) continue;
      const below = await platformsOf(content, child, what, seen);
      if (!below.ok) return below;
      all.push(...below.value);
    }
    return ok(all);
  }
  const { manifest } = decoded.value;
  const raw = await content.read(manifest.config.digest, { maxBytes: MAX_CONFIG_BYTES });
  if (!raw.ok) return raw;
  const config = decodeImageConfig(raw.value, what);
  if (!config.ok) return config;
  const json = parseJson(Buffer.from(bytes.value).toString('utf8'));
  const manifestJson = json.ok ? json.value : undefined;
  return ok([{ descriptor: target, manifest, manifestJson, config: config.value }]);
}

/** The statements about the images of an index, those that are here. */
export async function attestationsOf(
  content: ContentStore,
  target: Descriptor,
  what: string,
): Promise<Result<readonly AttestationManifest[]>> {
  if (!isIndexType(target.mediaType)) return ok([]);
  const bytes = await content.read(target.digest, { maxBytes: MAX_MANIFEST_BYTES });
  if (!bytes.ok) return bytes;
  const index = decodeManifest(bytes.value, what, target.mediaType);
  if (!index.ok) return index;
  const all: AttestationManifest[] = [];
  for (const descriptor of index.value.kind === 'index' ? index.value.index.manifests : []) {
    if (descriptor.annotations?.[REFERENCE_TYPE] !== ATTESTATION) continue;
    if ((await content.size(descriptor.digest)) === undefined) continue;
    const raw = await content.read(descriptor.digest, { maxBytes: MAX_MANIFEST_BYTES });
    if (!raw.ok) return raw;
    const decoded = decodeNamed(raw.value, what, descriptor);
    if (!decoded.ok) return decoded;
    if (decoded.value.kind !== 'manifest') continue;
    const { config, layers } = decoded.value.manifest;
    all.push({ descriptor, config, statements: layers });
  }
  return ok(all);
}

/** The normal form under which images are stored. */
export function fullName(name: string): Result<string> {
  const parsed = parseReference(name);
  return parsed.ok
    ? ok(formatReference(withDefaultTag(parsed.value)))
    : err(failure('RG005', 2, `${JSON.stringify(name)}: ${parsed.error}`));
}
