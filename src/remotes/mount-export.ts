import { awaitAll, type Digest, err, failure, ok, type Result, Semaphore } from '../base/index.ts';
import { MEDIA } from '../oci/index.ts';
import type { CacheRemote, Clock, ContentStore } from '../ports/index.ts';
import { encodeMountIndex, type MountIndex } from './mount-index.ts';
import {
  encodeMountManifest,
  findMount,
  MOUNT_INDEX_MEDIA_TYPE,
  MOUNT_PACK_MEDIA_TYPE,
  type MountKey,
  type MountSigner,
  readMountIndex,
} from './mount-manifest.ts';
import { type MountSnapshot, snapshotMount } from './mount-snapshot.ts';

/** What an export of a cache mount came to. */
export interface ExportedMount {
  /** Of the index: what the remote holds now. */
  readonly index: Digest;
  readonly files: number;
  /** Bytes of all its files. */
  readonly bytes: number;
  /** Bytes that were sent. */
  readonly sent: number;
  readonly restless: readonly string[];
}

/** A cache mount on this machine, and the remote under its name. */
export interface MountExport {
  readonly key: MountKey;
  readonly remote: CacheRemote;
  /** Opens the directory in a state in which no step changes it; undefined when steps do not let go of it, `gone` when it was removed. */
  readonly hold: () => Promise<(Disposable & { readonly path: string }) | 'gone' | undefined>;
  /** The index at the remote whose packs turned out to be damaged: nothing of it is built upon. */
  readonly damaged?: Digest;
  /** Signs what is written. */
  readonly sign?: MountSigner;
}

/** Transfers at once. */
const TRANSFERS = 4;
/** How a registry says that a manifest names what it does not have (404, 400). */
const LOST: ReadonlySet<string> = new Set(['RG003', 'RG004']);
/** A pack of which less than this part is still needed is not built upon. */
const WORTH_KEEPING = 0.5;
/** More packs than this below this size are put together. */
const SMALL_PACKS = { count: 16, bytes: 1 << 20 } as const;

/**
 * Stores a cache mount: chunks that the remote has are not sent again. The directory is read while it is held, and sent
 * after that. Undefined when it could not be held, or is empty.
 */
export async function exportMount(
  deps: { readonly content: ContentStore; readonly clock: Clock },
  mount: MountExport,
  options: { readonly signal: AbortSignal },
): Promise<Result<ExportedMount | 'busy' | 'empty' | 'gone'>> {
  const before = await previousOf(mount, deps.clock, options);
  const made = new Set<Digest>();
  const put = async (bytes: Uint8Array): Promise<Digest> => {
    const digest = await deps.content.put(bytes);
    made.add(digest);
    return digest;
  };
  const attempt = async (
    base: Awaited<ReturnType<typeof previousOf>>,
  ): Promise<Result<ExportedMount | 'busy' | 'empty' | 'gone'>> => {
    const snapshot = await takeSnapshot(mount, { ...options, ...base, put });
    if (snapshot === 'busy' || snapshot === 'gone') return ok(snapshot);
    if (snapshot.index.entries.length <= 1) return ok('empty');
    return await send(deps, mount, snapshot, { ...options, put });
  };
  try {
    const done = await attempt(before);
    // A registry refuses a manifest that names blobs which it has lost: then nothing is built upon.
    const lost = !done.ok && LOST.has(done.error.code) && before.previous !== undefined;
    return lost ? await attempt({ generation: before.generation }) : done;
  } finally {
    for (const digest of made) await deps.content.remove(digest);
  }
}

/** What is there and can be built upon. A remote that cannot be read now will say so when it is written to. */
async function previousOf(
  mount: MountExport,
  clock: Clock,
  options: { readonly signal: AbortSignal },
): Promise<{ readonly previous?: MountIndex; readonly generation: number }> {
  const found = await findMount(mount.remote, mount.key, options);
  if (!found.ok || found.value === undefined) return { generation: 0 };
  const index = await readMountIndex(found.value, options);
  // Blobs that are there under their digests but damaged stay as they are: others take their place.
  const anew = { generation: Math.floor(clock.now() / 1000) };
  if (!index.ok || mount.damaged === found.value.index.digest) return anew;
  const { generation, packs } = index.value;
  const gone = new Set<number>();
  for (const [i, { digest, size }] of packs.entries())
    if (!(await mount.remote.mayHave({ mediaType: MOUNT_PACK_MEDIA_TYPE, digest, size })))
      gone.add(i);
  return { generation, previous: without(index.value, gone) };
}

function without(index: MountIndex, packs: ReadonlySet<number>): MountIndex {
  return packs.size === 0
    ? index
    : { ...index, chunks: index.chunks.filter((chunk) => !packs.has(chunk.pack)) };
}

async function takeSnapshot(
  mount: MountExport,
  options: {
    readonly signal: AbortSignal;
    readonly previous?: MountIndex;
    readonly generation: number;
    readonly put: (bytes: Uint8Array) => Promise<Digest>;
  },
): Promise<MountSnapshot | 'busy' | 'gone'> {
  const now = await mount.hold();
  if (now === undefined) return 'busy';
  if (now === 'gone') return now;
  using held = now;
  const snapshot = await snapshotMount(held.path, options);
  const { previous } = options;
  if (previous === undefined) return snapshot;
  const wasteful = wastefulPacks(snapshot, previous);
  if (wasteful.size === 0) return snapshot;
  return await snapshotMount(held.path, { ...options, previous: without(previous, wasteful) });
}

/** Packs of an earlier export of which little is needed, and small ones when they have become many. */
function wastefulPacks({ index }: MountSnapshot, previous: MountIndex): ReadonlySet<number> {
  const live = new Map<Digest, number>();
  for (const { pack, stored } of index.chunks) {
    const digest = index.packs[pack]?.digest;
    if (digest !== undefined) live.set(digest, (live.get(digest) ?? 0) + stored);
  }
  const used = [...previous.packs.entries()].filter(([, pack]) => live.has(pack.digest));
  const small = used.filter(([, pack]) => pack.size < SMALL_PACKS.bytes);
  const merged = small.length > SMALL_PACKS.count ? new Set(small.map(([i]) => i)) : new Set();
  return new Set(
    used
      .filter(
        ([i, pack]) => merged.has(i) || (live.get(pack.digest) ?? 0) < pack.size * WORTH_KEEPING,
      )
      .map(([i]) => i),
  );
}

async function send(
  deps: { readonly content: ContentStore; readonly clock: Clock },
  { key, remote, sign }: MountExport,
  snapshot: MountSnapshot,
  options: {
    readonly signal: AbortSignal;
    readonly put: (bytes: Uint8Array) => Promise<Digest>;
  },
): Promise<Result<ExportedMount>> {
  const { signal } = options;
  const bytes = await encodeMountIndex(snapshot.index);
  const index = { digest: await options.put(bytes), size: bytes.length };
  const { files, restless } = snapshot;
  const result = { index: index.digest, files, bytes: snapshot.bytes, restless };
  const before = await findMount(remote, key, { signal });
  // What is there may carry no signature, or one whose time passes.
  const there = sign === undefined && before.ok ? before.value?.index.digest : undefined;
  if (there === index.digest) return ok({ ...result, sent: 0 });
  const blobs = [
    ...snapshot.written.map((pack) => ({ mediaType: MOUNT_PACK_MEDIA_TYPE, ...pack })),
    { mediaType: MOUNT_INDEX_MEDIA_TYPE, ...index },
  ];
  const slots = new Semaphore(TRANSFERS);
  const obtain = (): Promise<Result<void>> =>
    Promise.resolve(err(failure('ST015', 3, 'a pack of a cache mount vanished from the store')));
  const written = await awaitAll(
    blobs.map((blob) => slots.run(signal, () => remote.write(blob, { signal, obtain }))),
  );
  const failed = written.find((each) => !each.ok);
  if (failed?.ok === false) return failed;
  const manifest = encodeMountManifest(key, index, {
    packs: snapshot.index.packs,
    createdAt: deps.clock.now(),
    ...(sign === undefined ? {} : { sign }),
  });
  const published = await remote.publish(manifest, MEDIA.ociManifest, { signal });
  if (!published.ok) return published;
  const packs = blobs.filter((_, i) => {
    const state = written[i];
    return state?.ok === true && state.value === 'written';
  });
  const sent = packs.reduce((sum, { size }) => sum + size, manifest.length);
  return ok({ ...result, sent });
}
