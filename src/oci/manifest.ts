import {
  byCodeUnit,
  err,
  type Failure,
  failure,
  type GoJson,
  isRecord,
  ok,
  parseDigest,
  parseJson,
  type Result,
} from '../base/index.ts';
import { goJsonIndent } from './indent.ts';
import { isIndexType, isManifestType, MEDIA } from './media-types.ts';
import type { Descriptor, Platform } from './types.ts';

/** The most bytes a manifest or index may have (the limit of Docker's registry and of containerd's puller). */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;

/** Indexes may name indexes; nobody nests them deeper. */
export const MAX_INDEX_NESTING = 3;

/** An image manifest (image-spec, manifest.md). */
export interface Manifest {
  readonly mediaType: string;
  readonly artifactType?: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** An image index (image-spec, image-index.md) or Docker manifest list. */
export interface Index {
  readonly mediaType: string;
  readonly artifactType?: string;
  readonly manifests: readonly Descriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
}

/** The bytes of a manifest as BuildKit writes them. */
export function encodeManifest(m: Manifest): Uint8Array {
  return goJsonIndent({
    schemaVersion: 2,
    mediaType: m.mediaType,
    artifactType: m.artifactType,
    config: descriptorJson(m.config),
    layers: m.layers.map(descriptorJson),
    subject: m.subject === undefined ? undefined : descriptorJson(m.subject),
    annotations: sortedMap(m.annotations),
  });
}

/** The bytes of an index as BuildKit writes them. */
export function encodeIndex(index: Index): Uint8Array {
  return goJsonIndent({
    schemaVersion: 2,
    mediaType: index.mediaType,
    artifactType: index.artifactType,
    manifests: index.manifests.map(descriptorJson),
    annotations: sortedMap(index.annotations),
  });
}

/** A descriptor with its members in the order of the Go structure. */
export function descriptorJson(d: Descriptor): GoJson {
  return {
    mediaType: d.mediaType,
    digest: d.digest,
    size: d.size,
    urls: d.urls === undefined || d.urls.length === 0 ? undefined : d.urls,
    annotations: sortedMap(d.annotations),
    platform: d.platform === undefined ? undefined : platformJson(d.platform),
    artifactType: d.artifactType,
  };
}

function platformJson(p: Platform): GoJson {
  return {
    architecture: p.architecture,
    os: p.os,
    'os.version': p['os.version'],
    'os.features': p['os.features'],
    variant: p.variant,
  };
}

/** Go writes maps in the order of their keys, and leaves out empty ones. */
function sortedMap(map: Readonly<Record<string, string>> | undefined): GoJson | undefined {
  const entries = Object.entries(map ?? {});
  if (entries.length === 0) return undefined;
  return Object.fromEntries(entries.sort(([a], [b]) => byCodeUnit(a, b)));
}

/** A manifest or an index, told apart by its media type or, where it names none, by its members. */
export type ManifestOrIndex =
  | { readonly kind: 'manifest'; readonly manifest: Manifest }
  | { readonly kind: 'index'; readonly index: Index };

/** Reads a manifest or index of any size up to the limit; what is missing or of the wrong type is named. `what` names it in errors. */
export function decodeManifest(
  bytes: Uint8Array,
  what: string,
  servedAs?: string,
): Result<ManifestOrIndex> {
  if (bytes.length > MAX_MANIFEST_BYTES) {
    return err(malformed(what, `it has ${bytes.length} bytes, the limit is ${MAX_MANIFEST_BYTES}`));
  }
  const parsed = parseJson(Buffer.from(bytes).toString('utf8'));
  if (!parsed.ok) return err(malformed(what, parsed.error));
  const json = parsed.value;
  if (!isRecord(json)) return err(malformed(what, 'expected an object'));
  if (json['schemaVersion'] !== 2) {
    return err(
      malformed(what, `schema version ${JSON.stringify(json['schemaVersion'])}, expected 2`),
    );
  }
  // A document must not be readable as both (CVE-2021-41190).
  if (
    json['manifests'] !== undefined &&
    (json['layers'] !== undefined || json['config'] !== undefined)
  ) {
    return err(malformed(what, 'it is both an index and a manifest'));
  }
  const named = json['mediaType'];
  const isIndex = json['manifests'] !== undefined;
  const fallback = isIndex ? MEDIA.ociIndex : MEDIA.ociManifest;
  const mediaType = typeof named === 'string' && named !== '' ? named : (servedAs ?? fallback);
  if (!(isIndex ? isIndexType(mediaType) : isManifestType(mediaType))) {
    return err(malformed(what, `media type ${JSON.stringify(mediaType)} does not fit its members`));
  }
  return isIndex ? indexOf(json, mediaType, what) : manifestOf(json, mediaType, what);
}

/** As `decodeManifest`, of a document that an index names: it must have the size and be of the kind that its descriptor says. */
export function decodeNamed(
  bytes: Uint8Array,
  what: string,
  named: Descriptor,
): Result<ManifestOrIndex> {
  const { digest, size, mediaType } = named;
  if (bytes.length !== size)
    return err(malformed(what, `${digest} has ${bytes.length} bytes, not ${size}`));
  const decoded = decodeManifest(bytes, what, mediaType);
  if (!decoded.ok) return decoded;
  const { kind } = decoded.value;
  return (kind === 'index' ? isIndexType(mediaType) : isManifestType(mediaType))
    ? decoded
    : err(malformed(what, `${digest} is said to be ${mediaType}, but is of the kind ${kind}`));
}

type Json = Readonly<Record<string, unknown>>;

function indexOf(json: Json, mediaType: string, what: string): Result<ManifestOrIndex> {
  const manifests = descriptors(json['manifests']);
  if (typeof manifests === 'string') return err(malformed(what, `manifests: ${manifests}`));
  return ok({ kind: 'index', index: { mediaType, manifests, ...common(json) } });
}

function manifestOf(json: Json, mediaType: string, what: string): Result<ManifestOrIndex> {
  const config = decodeDescriptor(json['config']);
  if (typeof config === 'string') return err(malformed(what, `config: ${config}`));
  const layers = descriptors(json['layers'] ?? []);
  if (typeof layers === 'string') return err(malformed(what, `layers: ${layers}`));
  return ok({ kind: 'manifest', manifest: { mediaType, config, layers, ...common(json) } });
}

function common(json: Json): Pick<Manifest, 'artifactType' | 'annotations'> {
  const annotations = textMap(json['annotations']);
  const artifactType = json['artifactType'];
  return {
    ...(typeof artifactType === 'string' ? { artifactType } : {}),
    ...(annotations === undefined ? {} : { annotations }),
  };
}

function descriptors(value: unknown): Descriptor[] | string {
  if (!Array.isArray(value)) return 'expected a list';
  const list: Descriptor[] = [];
  for (const [i, item] of value.entries()) {
    const d = decodeDescriptor(item);
    if (typeof d === 'string') return `[${i}] ${d}`;
    list.push(d);
  }
  return list;
}

/** Reads a descriptor; the answer is a text that says what is wrong, or the descriptor. */
export function decodeDescriptor(value: unknown): Descriptor | string {
  if (!isRecord(value)) return 'expected a descriptor';
  const { mediaType, digest, size } = value;
  if (typeof mediaType !== 'string') return 'needs a media type';
  const parsed = typeof digest === 'string' ? parseDigest(digest) : undefined;
  if (parsed === undefined)
    return `needs a sha256 digest, not ${JSON.stringify(digest ?? null).slice(0, 100)}`;
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    return `needs a size in bytes, not ${JSON.stringify(size ?? null).slice(0, 100)}`;
  }
  const annotations = textMap(value['annotations']);
  const platform = decodePlatform(value['platform']);
  const urls = texts(value['urls']);
  const artifactType = value['artifactType'];
  return {
    mediaType,
    digest: parsed,
    size,
    ...(annotations === undefined ? {} : { annotations }),
    ...(platform === undefined ? {} : { platform }),
    ...(typeof artifactType === 'string' ? { artifactType } : {}),
    ...(urls === undefined ? {} : { urls }),
  };
}

function decodePlatform(value: unknown): Platform | undefined {
  if (!isRecord(value)) return undefined;
  const { architecture, os, variant } = value;
  if (typeof architecture !== 'string' || typeof os !== 'string') return undefined;
  const version = value['os.version'];
  const features = texts(value['os.features']);
  return {
    architecture,
    os,
    ...(typeof variant === 'string' && variant !== '' ? { variant } : {}),
    ...(typeof version === 'string' && version !== '' ? { 'os.version': version } : {}),
    ...(features === undefined ? {} : { 'os.features': features }),
  };
}

function texts(value: unknown): readonly string[] | undefined {
  return Array.isArray(value) && value.every((v) => typeof v === 'string') ? value : undefined;
}

function textMap(value: unknown): Readonly<Record<string, string>> | undefined {
  if (!isRecord(value)) return undefined;
  // `Object.fromEntries` defines members: a key `__proto__` is one like others.
  return Object.fromEntries(
    Object.entries(value).filter((e): e is [string, string] => typeof e[1] === 'string'),
  );
}

function malformed(what: string, why: string): Failure {
  return failure('RG010', 3, `${what} is no image manifest: ${why}`);
}
