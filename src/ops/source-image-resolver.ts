import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { err, failure, Inflight, isErrno, ok, type Result } from '../base/index.ts';
import {
  type Descriptor,
  decodeManifest,
  formatPlatform,
  formatReference,
  MAX_MANIFEST_BYTES,
  type Platform,
  parseReference,
  type Reference,
  repositoryOf,
  withDefaultTag,
} from '../oci/index.ts';
import type {
  ContentStore,
  FetchedManifest,
  ImageDb,
  Registry,
  ResolvedImage,
} from '../ports/index.ts';
import { type ImageSource, resolveImage } from '../registry/index.ts';

/** A resolved image and where its blobs can be had (`LayerRef.origin`); no origin: they are in the content store. */
export interface FoundImage extends ResolvedImage {
  readonly origin?: string;
  /** Origins of single layers, of an image whose layers come from several places. */
  readonly origins?: readonly (string | undefined)[];
}

/** How an image is looked for. */
export interface ResolveOptions {
  readonly platform: Platform;
  readonly signal: AbortSignal;
  /** `local-first` takes a stored image of that name; `registry` asks the registry always (`--pull`). */
  readonly mode: 'local-first' | 'registry';
}

/** Finds images by reference; within one build an answer is given once and stays. */
export interface ImageResolver {
  image(ref: string, options: ResolveOptions): Promise<Result<FoundImage>>;
  /** An image in an OCI layout directory: by digest, else by tag, else the only one. */
  layout(dir: string, ref: string, options: ResolveOptions): Promise<Result<FoundImage>>;
}

/** What an image resolver is made of. */
export interface ImageResolverDeps {
  readonly content: ContentStore;
  readonly registry: Registry;
  readonly images: ImageDb;
  /** A content store over a foreign OCI layout, which is only read. */
  readonly openLayout: (dir: string) => ContentStore;
}

/** Makes a resolver for one build. */
export function createImageResolver(deps: ImageResolverDeps): ImageResolver {
  const known = new Map<string, FoundImage>();
  const inflight = new Inflight<string, Result<FoundImage>>();
  const once = async (
    key: string,
    signal: AbortSignal,
    find: (signal: AbortSignal) => Promise<Result<FoundImage>>,
  ): Promise<Result<FoundImage>> => {
    const before = known.get(key);
    if (before !== undefined) return ok(before);
    const found = await inflight.do(key, signal, find);
    if (found.ok) known.set(key, found.value);
    return found;
  };
  return {
    image: (ref, options) =>
      once(`${ref} ${formatPlatform(options.platform)} ${options.mode}`, options.signal, (signal) =>
        findImage(deps, ref, { ...options, signal }),
      ),
    layout: (dir, ref, options) =>
      once(`${dir} ${ref} ${formatPlatform(options.platform)}`, options.signal, (signal) =>
        fromLayout(deps.openLayout(dir), dir, ref, { ...options, signal }),
      ),
  };
}

async function findImage(
  deps: ImageResolverDeps,
  text: string,
  options: ResolveOptions,
): Promise<Result<FoundImage>> {
  const parsed = parseReference(text);
  if (!parsed.ok) return err(failure('RG005', 2, `${JSON.stringify(text)}: ${parsed.error}`));
  const ref = withDefaultTag(parsed.value);
  if (options.mode === 'local-first') {
    const stored = await fromStore(deps, ref, options);
    if (stored !== undefined) return ok(stored);
  }
  const found = await deps.registry.resolve(formatReference(ref), options);
  return found.ok ? ok({ ...found.value, origin: `docker-image://${repositoryOf(ref)}` }) : found;
}

/** The stored image of that name, when it serves the platform and is whole as far as its configuration goes. */
async function fromStore(
  deps: ImageResolverDeps,
  ref: Reference,
  options: ResolveOptions,
): Promise<FoundImage | undefined> {
  const row = deps.images.get(formatReference(ref));
  if (row === undefined || (ref.digest !== undefined && ref.digest !== row.target.digest))
    return undefined;
  const found = await resolveImage(
    { ...ref, digest: row.target.digest },
    options,
    storeSource(deps.content),
  );
  if (!found.ok) return undefined;
  // Blobs of an image that was stored after a pull may be gone; the registry it came from has them.
  return { ...found.value, origin: `docker-image://${repositoryOf(ref)}` };
}

/** Manifests and blobs that are in one store and nowhere else. */
function storeSource(content: ContentStore): ImageSource {
  const missing = (what: string): Result<never> =>
    err(failure('RG003', 3, `${what} is not in ${content.root}`));
  return {
    content,
    manifest: async (ref) => {
      if (ref.digest === undefined) return missing(formatReference(ref));
      return await manifestIn(content, ref.digest);
    },
    pull: (blob) => Promise.resolve(missing(`blob ${blob.digest}`)),
  };
}

async function manifestIn(
  content: ContentStore,
  digest: Descriptor['digest'],
): Promise<Result<FetchedManifest>> {
  const bytes = await content.read(digest, { maxBytes: MAX_MANIFEST_BYTES });
  if (!bytes.ok) return bytes;
  const decoded = decodeManifest(bytes.value, digest);
  if (!decoded.ok) return decoded;
  const { value } = decoded;
  const { mediaType } = value.kind === 'index' ? value.index : value.manifest;
  return ok({ descriptor: { mediaType, digest, size: bytes.value.length }, bytes: bytes.value });
}

async function fromLayout(
  store: ContentStore,
  dir: string,
  text: string,
  options: ResolveOptions,
): Promise<Result<FoundImage>> {
  const parsed = parseReference(text);
  if (!parsed.ok) return err(failure('RG005', 2, `${JSON.stringify(text)}: ${parsed.error}`));
  const ref = withDefaultTag(parsed.value);
  const digest =
    ref.digest === undefined ? await taggedIn(dir, ref.tag ?? 'latest') : ok(ref.digest);
  if (!digest.ok) return digest;
  const found = await resolveImage(
    { ...ref, digest: digest.value },
    options,
    storeSource(readOnly(store)),
  );
  return found.ok ? ok({ ...found.value, origin: `oci-layout://${dir}` }) : found;
}

/** A foreign layout is never written to. */
function readOnly(store: ContentStore): ContentStore {
  return {
    root: store.root,
    path: (digest) => store.path(digest),
    size: (digest) => store.size(digest),
    read: (digest, options) => store.read(digest, options),
    stream: (digest, options) => store.stream(digest, options),
    list: () => store.list(),
    ingest: () => refused(),
    partial: () => Promise.resolve(0),
    put: () => refused(),
    remove: () => refused(),
    quarantine: () => Promise.resolve(),
  };
}

function refused(): never {
  throw new Error('a foreign OCI layout is only read');
}

/** The manifest an index.json has under a tag (image-spec, annotations.md, `org.opencontainers.image.ref.name`). */
async function taggedIn(dir: string, tag: string): Promise<Result<Descriptor['digest']>> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(join(dir, 'index.json'));
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ENOTDIR'))
      return err(failure('RG014', 2, `${dir} is no OCI layout: it has no index.json`));
    throw e;
  }
  const decoded = decodeManifest(bytes, join(dir, 'index.json'));
  if (!decoded.ok) return decoded;
  if (decoded.value.kind !== 'index')
    return err(failure('RG014', 2, `${join(dir, 'index.json')} is no index`));
  const { manifests } = decoded.value.index;
  const named = manifests.find((d) => {
    const name = d.annotations?.['org.opencontainers.image.ref.name'];
    return name === tag || name?.endsWith(`:${tag}`) === true;
  });
  const found = named ?? (manifests.length === 1 ? manifests[0] : undefined);
  return found === undefined
    ? err(
        failure('RG014', 2, `${dir} has no image with the tag ${tag}`, {
          help: 'name one by its digest',
        }),
      )
    : ok(found.digest);
}
