import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import {
  type Digest,
  digestOfHex,
  err,
  FailureError,
  failure,
  isErrno,
  ok,
  type Result,
} from '../base/index.ts';
import { recordDigest } from '../cachekey/index.ts';
import { layerBlob } from '../image/index.ts';
import { layerMediaType } from '../oci/index.ts';
import { createMaterializer, lazyShelf } from '../ops/index.ts';
import type { ContentStore, LayerId, LayerRef, Lease } from '../ports/index.ts';
import type { RootSnapshot, TemplateLock } from '../template/index.ts';
import type { BuildDeps } from './deps.ts';
import { internalVertex } from './internal-step.ts';
import type { OutputDeps, PlatformResult } from './outputs.ts';

/** A root whose snapshot is made. */
export interface WantedSnapshot {
  readonly provider: string;
  readonly root: string;
  readonly lock: TemplateLock;
}

/** Packs a finished root as a tar in zstd: the blob of its layer, which the store keeps and reuses. */
export async function makeRootSnapshot(
  wanted: WantedSnapshot,
  [result]: readonly PlatformResult[],
  work: { readonly deps: BuildDeps; readonly outputs: OutputDeps; readonly signal: AbortSignal },
): Promise<Result<RootSnapshot>> {
  const { deps, outputs, signal } = work;
  const { provider, root, lock } = wanted;
  const { lockKey } = await import('../template/index.ts');
  if (result?.chain.length !== 1) throw new Error('a root of tools is one layer');
  const { chain } = result;
  return await internalVertex(deps, `packing the root of ${root} tools`, async (step) => {
    const context = { signal, emit: deps.emit, vertex: step.op };
    const packed = await layerBlob(outputs, chain, { compression: 'zstd', force: true }, context);
    if (!packed.ok) return packed;
    const known = await (await shelfOf(deps)).exactly(lock);
    const { diffId, blob } = packed.value;
    return ok({
      ...{ provider, root, key: lockKey(lock), diffId },
      blob: { digest: blob.digest, size: blob.size },
      ...(known === undefined ? {} : { times: { epoch: known.epoch, newest: known.newest } }),
      packages: lock.packages.map(({ name, version, sha256 }) => ({ name, version, sha256 })),
    });
  });
}

/** The file of a snapshot. What is read of the store is hashed on the way: ST003 when it is not what it was. */
export async function* snapshotFile(
  snapshot: RootSnapshot,
  content: ContentStore,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { encodeRootSnapshot } = await import('../template/index.ts');
  yield encodeRootSnapshot(snapshot);
  const hash = createHash('sha256');
  for await (const chunk of content.stream(snapshot.blob.digest, { signal })) {
    hash.update(chunk);
    yield chunk;
  }
  if (digestOfHex(hash.digest('hex')) === snapshot.blob.digest) return;
  await content.quarantine(snapshot.blob.digest, 'it is not what was written');
  throw new FailureError(
    failure('TP014', 3, `the snapshot of the ${snapshot.root} tools was damaged in the store`, {
      help: 'it was set aside: run the command again',
    }),
  );
}

/** Why a file is not used. TP014 */
const unusable = (path: string, why: string): Result<never> =>
  err(failure('TP014', 3, `${path} is not used: ${why}`));

/** What a file says that it holds. TP014: it is no snapshot, or a byte of what it says is another. */
export async function readRootSnapshot(path: string): Promise<Result<RootSnapshot>> {
  const template = await import('../template/index.ts');
  try {
    await using file = await open(path, 'r');
    const head = Buffer.alloc(template.SNAPSHOT_HEAD_BYTES);
    await file.read(head, 0, head.length, 0);
    const length = template.rootSnapshotBytes(head);
    if (length === undefined) return unusable(path, 'it is no snapshot of a root of tools');
    const payload = Buffer.alloc(length);
    await file.read(payload, 0, length, head.length);
    const snapshot = template.parseRootSnapshot(payload);
    return snapshot === undefined ? unusable(path, 'it is damaged') : ok(snapshot);
  } catch (e) {
    if (!isErrno(e, 'ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR')) throw e;
    return err(failure('TP014', 2, `${path} cannot be read: ${e.code ?? ''}`));
  }
}

/**
 * Brings the root of a file into the store as the result of the operation of its key. Digest and size of the file's rest and
 * the digest of the tar must be those that its beginning names. False: the store has it already. TP014: it is damaged.
 */
export async function takeRootSnapshot(
  file: { readonly path: string; readonly snapshot: RootSnapshot },
  lock: TemplateLock,
  work: { readonly deps: BuildDeps; readonly lease: Lease; readonly signal: AbortSignal },
): Promise<Result<boolean>> {
  const { deps, signal } = work;
  const { path, snapshot } = file;
  const { key, diffId, blob, times } = snapshot;
  const { encodeRootSnapshot } = await import('../template/index.ts');
  const record = recordDigest(key, 0);
  if (await isHere(deps, record)) return ok(false);
  return await internalVertex(deps, `taking the root of ${snapshot.root} tools`, async (step) => {
    const start = encodeRootSnapshot(snapshot).length;
    const written = await deps.content.ingest(createReadStream(path, { start }), {
      ...{ signal, digest: blob.digest, size: blob.size },
    });
    if (!written.ok) return unusable(path, `it is damaged (${written.error.message})`);
    // The brand of an identifier: layers from outside have their diffID as theirs.
    const id = diffId as unknown as LayerId;
    const descriptor = { ...blob, mediaType: layerMediaType('zstd', 'oci') };
    const layer: LayerRef = { id, diffId, blob: descriptor, createdAt: deps.clock.now() };
    work.lease.add(`layer:${id}`);
    const context = { signal, emit: deps.emit, vertex: step.op };
    const ready = await createMaterializer(deps)([layer], context);
    if (!ready.ok) return unusable(path, `it is damaged (${ready.error.message})`);
    deps.layers.addBlob(id, descriptor);
    const [chain, { createdAt }] = [[layer], layer];
    // What it would take to make it here is not known, as of what caches bring.
    deps.cache.addResult(deps.cache.ensureRoot(record), { chain, createdAt, costMs: 0 });
    const packages = new Set<string>(lock.packages.map((p) => p.sha256));
    if (times !== undefined) (await shelfOf(deps)).add(lock, { chain, ...times, packages }, 0);
    return ok(true);
  });
}

const shelfOf = async (deps: BuildDeps): ReturnType<ReturnType<typeof lazyShelf>> =>
  await lazyShelf({ ...deps, snapshots: deps.snapshotter })();

/** Whether a record has a result whose files are in the store. */
async function isHere(deps: BuildDeps, digest: Digest): Promise<boolean> {
  const record = deps.cache.root(digest);
  for (const { chain } of record === undefined ? [] : deps.cache.results(record))
    if (await deps.snapshotter.has(chain)) return true;
  return false;
}
