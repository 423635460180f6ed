import {
  type Digest,
  err,
  type Failure,
  failure,
  goJson,
  hexOf,
  ok,
  type Result,
  sha256,
} from '../base/index.ts';
import { type Descriptor, decodeManifest, encodeManifest, MEDIA } from '../oci/index.ts';
import type { CacheRemote } from '../ports/index.ts';
import { decodeMountIndex, MOUNT_LIMITS } from './mount-decode.ts';
import type { MountIndex, MountPack } from './mount-index.ts';
import { SIGNATURE_MEMBER } from './signature.ts';

/** Media type of the index of a cache mount. */
export const MOUNT_INDEX_MEDIA_TYPE = 'application/vnd.varve.cache-mount.index.v1+zstd';
/** Media type of a pack of chunks. */
export const MOUNT_PACK_MEDIA_TYPE = 'application/vnd.varve.cache-mount.pack.v1';

const KEY = 'vnd.varve.cache-mount.key';
const ID = 'vnd.varve.cache-mount.id';
const CREATED = 'org.opencontainers.image.created';

/** What tells one cache mount from another, wherever it is. */
export interface MountKey {
  /** Its id in the Dockerfile, namespace included. */
  readonly id: string;
  /** Content of its initial directory (`from=`, `mode=`, `uid=`); empty when it has none. */
  readonly base: Digest | '';
  /** `linux/amd64`. */
  readonly platform: string;
}

/** A cache mount that is kept at a remote; its index and packs are not read yet. */
export interface FoundMount {
  readonly remote: CacheRemote;
  readonly index: Descriptor;
  /** Milliseconds since the epoch of the export; 0 when it is not said. */
  readonly createdAt: number;
}

/** Makes the annotation that signs a cache mount. */
export type MountSigner = (subject: Digest) => Readonly<Record<string, string>>;

/** What of a cache mount is signed: which it is, all that is in it (the index names every pack by digest), and its time. */
function subjectOf(key: MountKey, index: Digest, created: string): Digest {
  return sha256(goJson(['varve.cache-mount.signed.v1', keyText(key), index, created]));
}

/** Where a remote keeps a cache mount: under a further name of its own. */
export function mountRemote(cache: CacheRemote, key: MountKey): Result<CacheRemote> {
  const remote = cache.named?.(`mount-${keyText(key).slice(0, 32)}`);
  return remote === undefined
    ? err(failure('RC023', 3, `${cache.name} cannot keep cache mounts`))
    : ok(remote);
}

const keyText = ({ id, base, platform }: MountKey): string =>
  hexOf(sha256(goJson(['varve.cache-mount.v1', id, base, platform])));

/** The manifest of a cache mount: an image manifest, so that registries keep its blobs. */
export function encodeMountManifest(
  key: MountKey,
  index: { readonly digest: Digest; readonly size: number },
  more: {
    readonly packs: readonly MountPack[];
    readonly createdAt: number;
    readonly sign?: MountSigner;
  },
): Uint8Array {
  const created = new Date(more.createdAt).toISOString();
  return encodeManifest({
    mediaType: MEDIA.ociManifest,
    config: { mediaType: MOUNT_INDEX_MEDIA_TYPE, digest: index.digest, size: index.size },
    layers: more.packs.map(({ digest, size }) => ({
      mediaType: MOUNT_PACK_MEDIA_TYPE,
      digest,
      size,
    })),
    annotations: {
      [KEY]: keyText(key),
      [ID]: key.id,
      [CREATED]: created,
      ...more.sign?.(subjectOf(key, index.digest, created)),
    },
  });
}

/** Looks for a cache mount; undefined when none was stored there. Reads the manifest only. */
export async function findMount(
  remote: CacheRemote,
  key: MountKey,
  options: {
    readonly signal: AbortSignal;
    /** Why one with this signature is not taken. */
    readonly refuse?: (subject: () => Digest, signature: string | undefined) => Failure | undefined;
  },
): Promise<Result<FoundMount | undefined>> {
  const bytes = await remote.manifest(options);
  if (!bytes.ok) return ABSENT.has(bytes.error.code) ? ok(undefined) : bytes;
  const document = decodeManifest(bytes.value, remote.name);
  if (!document.ok) return document;
  if (document.value.kind !== 'manifest') return err(foreign(remote));
  const { config, annotations = {} } = document.value.manifest;
  if (config.mediaType !== MOUNT_INDEX_MEDIA_TYPE || annotations[KEY] !== keyText(key))
    return err(foreign(remote));
  if (config.size > MOUNT_LIMITS.indexBytes)
    return err(failure('RC022', 3, `${remote.name}: its index has ${config.size} bytes`));
  const created = annotations[CREATED] ?? '';
  const subject = (): Digest => subjectOf(key, config.digest, created);
  const refused = options.refuse?.(subject, annotations[SIGNATURE_MEMBER]);
  if (refused !== undefined) return err(refused);
  const createdAt = Date.parse(created);
  return ok({ remote, index: config, createdAt: Number.isNaN(createdAt) ? 0 : createdAt });
}

/** What remotes say of a name that they do not have. */
const ABSENT: ReadonlySet<string> = new Set(['RG003', 'RC005', 'RC010']);

function foreign(remote: CacheRemote): ReturnType<typeof failure> {
  return failure('RC020', 3, `${remote.name} is not this cache mount`);
}

/** Reads the index of a cache mount that was found. */
export async function readMountIndex(
  found: FoundMount,
  options: { readonly signal: AbortSignal },
): Promise<Result<MountIndex>> {
  const maxBytes = MOUNT_LIMITS.indexBytes;
  const bytes = await found.remote.read(found.index, { ...options, maxBytes });
  return bytes.ok ? await decodeMountIndex(bytes.value) : bytes;
}
