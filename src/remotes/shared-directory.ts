import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Digest,
  goJson,
  hexOf,
  isErrno,
  ok,
  type Result,
  sha256,
  wholeBlob,
  writeAtomically,
} from '../base/index.ts';
import { type Descriptor, encodeIndex, MAX_MANIFEST_BYTES, MEDIA } from '../oci/index.ts';
import type { CacheRemote, ContentStore } from '../ports/index.ts';
import { entriesOf, namesIn, scopeFolder } from './directory-entries.ts';
import { absent, guarded, holdsBlob, modifiedAt, readVerified, sizeOf } from './directory-files.ts';
import { type DirectoryRules, serverTime, sweepNowAndThen } from './directory-sweep.ts';
import { furtherName } from './further-name.ts';
import { scopeTag } from './scope.ts';
import type { SuspectBlobs } from './suspect-blobs.ts';

/** A scope of a directory that several hosts share. */
export interface SharedDirectoryPlace {
  readonly dir: string;
  readonly scope: string;
}

interface Deps {
  readonly content: ContentStore;
  /** Reads blobs of the directory; it is never written through. */
  readonly layout: ContentStore;
  readonly rules: DirectoryRules;
  readonly suspects?: SuspectBlobs;
}

/** A blob that is in use already is marked as written now when it is older than this. */
const REFRESH_S = 3600;

/**
 * A cache in a directory that many hosts write at once (docs/adr/0060): blobs by digest, and a file for every export in the
 * folder of its scope. Every file is written under another name in its own folder and renamed; none is changed afterwards.
 * Nothing is locked: what two exports add at the same time stands side by side, and readers take all of it together.
 */
export function createSharedDirectory(deps: Deps, place: SharedDirectoryPlace): CacheRemote {
  return remoteAt(deps, place.dir, { scope: place.scope, folder: scopeTag(place.scope) });
}

function remoteAt(
  deps: Deps,
  dir: string,
  { scope, folder }: { readonly scope: string; readonly folder: string },
): CacheRemote {
  const { content, layout, suspects } = deps;
  const origin = `oci-layout://${dir}`;
  const pathOf = (digest: Digest): string => join(dir, 'blobs', 'sha256', hexOf(digest));
  /** How the blobs of this export can be written again. */
  const sent = new Map<Digest, (signal: AbortSignal) => Promise<Result<void>>>();
  let asked: Promise<number> | undefined;
  const now = (): Promise<number> => (asked ??= serverTime(dir));
  const store = async (
    blob: Descriptor,
    signal: AbortSignal,
    obtain: () => Promise<Result<void>>,
  ): Promise<Result<void>> => {
    if ((await content.size(blob.digest)) !== blob.size) {
      const ready = await obtain();
      if (!ready.ok) return ready;
    }
    return await guarded(dir, signal, async () => {
      const data = wholeBlob(content, blob.digest, { signal });
      await writeAtomically(pathOf(blob.digest), data);
      suspects?.clear(origin, blob.digest);
    });
  };
  return {
    name: `dir:${dir}@${scope}`,
    origin,
    manifest: async (_options, child) => {
      if (child !== undefined)
        return await readVerified(pathOf(child.digest), child.digest, MAX_MANIFEST_BYTES);
      const [newest] = await entriesOf(dir, folder);
      if (newest === undefined)
        return { ok: false, error: absent(`${dir} has no cache of the scope ${scope}`) };
      return await readVerified(newest.path, newest.digest, MAX_MANIFEST_BYTES);
    },
    manifests: async () => {
      const entries = await entriesOf(dir, folder);
      return await Promise.all(
        entries
          .slice(0, deps.rules.keepExports)
          .map(({ path, digest }) => readVerified(path, digest, MAX_MANIFEST_BYTES)),
      );
    },
    read: (blob, { maxBytes }) => readVerified(pathOf(blob.digest), blob.digest, maxBytes),
    mayHave: async (blob) => (await layout.size(blob.digest)) === blob.size,
    write: async (blob, { signal, obtain, progress }) => {
      sent.set(blob.digest, (again) => store(blob, again, obtain));
      const doubted = suspects?.has(origin, blob.digest) === true;
      if (!doubted && (await holdsBlob(pathOf(blob.digest), blob))) {
        await refresh(pathOf(blob.digest), now);
        return ok('exists');
      }
      const stored = await store(blob, signal, obtain);
      if (!stored.ok) return stored;
      progress?.(blob.size, blob.size);
      return ok('written');
    },
    publish: async (manifest, mediaType, { signal }) => {
      const digest = sha256(manifest);
      const published = await guarded(dir, signal, async () => {
        await writeAtomically(pathOf(digest), manifest);
        await writeAtomically(join(scopeFolder(dir, folder), hexOf(digest)), manifest);
      });
      if (!published.ok) return published;
      // A sweep that did not see this export yet may have taken a blob that it found unused.
      for (const [each, write] of sent) {
        if ((await sizeOf(pathOf(each))) !== undefined) continue;
        const written = await write(signal);
        if (!written.ok) return written;
      }
      return await guarded(dir, signal, async () => {
        await writeLayout(dir, { mediaType, digest, size: manifest.length });
        await sweepNowAndThen(dir, deps.rules, signal);
      });
    },
    named: (further) => remoteAt(deps, dir, { scope, folder: furtherName(folder, further) }),
  };
}

/** Keeps a blob that is used again from being taken for an old one; only its owner may do that. */
async function refresh(path: string, now: () => Promise<number>): Promise<void> {
  try {
    const at = await modifiedAt(path);
    const seconds = (await now()) / 1000;
    if (at !== undefined && seconds - at / 1000 >= REFRESH_S) await utimes(path, seconds, seconds);
  } catch (e) {
    // What is not marked is looked for after the export is published.
    if (!isErrno(e, 'EPERM', 'EACCES', 'EROFS', 'ENOENT', 'ESTALE', 'ENOSPC', 'EDQUOT')) throw e;
  }
}

/** The newest export of every scope, for readers of OCI layouts (BuildKit's `type=local`); varve itself reads no index. */
async function writeLayout(dir: string, last: Descriptor): Promise<void> {
  const manifests: Descriptor[] = [];
  for (const scope of [...(await namesIn(join(dir, 'scopes')))].sort()) {
    const [newest] = await entriesOf(dir, scope);
    if (newest === undefined) continue;
    const size = await sizeOf(newest.path);
    if (size === undefined) continue;
    const { mediaType } = newest.digest === last.digest ? last : { mediaType: MEDIA.ociManifest };
    manifests.push({
      ...{ mediaType, digest: newest.digest, size },
      annotations: { 'org.opencontainers.image.ref.name': scope },
    });
  }
  await writeAtomically(join(dir, 'oci-layout'), goJson({ imageLayoutVersion: '1.0.0' }));
  const index = encodeIndex({ mediaType: MEDIA.ociIndex, manifests });
  await writeAtomically(join(dir, 'index.json'), index);
}
