import { join } from 'node:path';
import {
  type Digest,
  err,
  goJson,
  hexOf,
  ok,
  type Result,
  sha256,
  wholeBlob,
  writeAtomically,
} from '../base/index.ts';
import {
  type Descriptor,
  decodeManifest,
  encodeIndex,
  MAX_MANIFEST_BYTES,
  MEDIA,
} from '../oci/index.ts';
import type { CacheRemote, ContentStore } from '../ports/index.ts';
import { absent, guarded, holdsBlob, readSmall, readVerified } from './directory-files.ts';
import { furtherName } from './further-name.ts';
import type { SuspectBlobs } from './suspect-blobs.ts';

const REF_NAME = 'org.opencontainers.image.ref.name';

/** Which manifest of a directory is meant. */
export interface DirectoryPlace {
  readonly dir: string;
  readonly tag: string;
  readonly digest?: Digest;
  /** No other manifest stands in when there is none with the tag. */
  readonly only?: boolean;
}

/**
 * A cache in a directory that is an OCI image layout, as BuildKit's `type=local` writes it. `layout` reads blobs of the
 * directory; it is never written through, because nothing but layout files may appear there.
 */
export function createDirectoryRemote(
  deps: {
    readonly content: ContentStore;
    readonly layout: ContentStore;
    readonly suspects?: SuspectBlobs;
  },
  place: DirectoryPlace,
): CacheRemote {
  const { dir, tag } = place;
  const { content, layout, suspects } = deps;
  const origin = `oci-layout://${dir}`;
  const pathOf = (digest: Digest): string => join(dir, 'blobs', 'sha256', hexOf(digest));
  return {
    name: `local:${dir}`,
    origin,
    manifest: async (_options, child) => {
      const digest = child === undefined ? await manifestDigest(place) : ok(child.digest);
      return digest.ok
        ? await readVerified(pathOf(digest.value), digest.value, MAX_MANIFEST_BYTES)
        : digest;
    },
    read: (blob, { maxBytes }) => readVerified(pathOf(blob.digest), blob.digest, maxBytes),
    mayHave: async (blob) => (await layout.size(blob.digest)) === blob.size,
    write: async (blob, { signal, obtain, progress }) => {
      const doubted = suspects?.has(origin, blob.digest) === true;
      if (!doubted && (await holdsBlob(pathOf(blob.digest), blob))) return ok('exists');
      if ((await content.size(blob.digest)) !== blob.size) {
        const ready = await obtain();
        if (!ready.ok) return ready;
      }
      return await guarded(dir, signal, async () => {
        const data = wholeBlob(content, blob.digest, { signal });
        await writeAtomically(pathOf(blob.digest), data);
        suspects?.clear(origin, blob.digest);
        progress?.(blob.size, blob.size);
        return 'written' as const;
      });
    },
    publish: async (manifest, mediaType, { signal }) =>
      await guarded(dir, signal, async () => {
        const digest = sha256(manifest);
        await writeAtomically(pathOf(digest), manifest);
        await writeAtomically(join(dir, 'oci-layout'), goJson({ imageLayoutVersion: '1.0.0' }));
        const named: Descriptor = {
          mediaType,
          digest,
          size: manifest.length,
          annotations: { [REF_NAME]: tag },
        };
        const before = await readIndex(dir);
        const kept = before.ok ? before.value.filter((d) => d.annotations?.[REF_NAME] !== tag) : [];
        const index = encodeIndex({ mediaType: MEDIA.ociIndex, manifests: [...kept, named] });
        await writeAtomically(join(dir, 'index.json'), index);
      }),
    named: (further) =>
      createDirectoryRemote(deps, { dir, tag: furtherName(tag, further), only: true }),
  };
}

async function manifestDigest(place: DirectoryPlace): Promise<Result<Digest>> {
  if (place.digest !== undefined) return ok(place.digest);
  const manifests = await readIndex(place.dir);
  if (!manifests.ok) return manifests;
  const found = manifests.value.find((d) => d.annotations?.[REF_NAME] === place.tag);
  const only = manifests.value.length === 1 && place.only !== true ? manifests.value[0] : undefined;
  const chosen = found ?? only;
  return chosen === undefined
    ? err(absent(`${place.dir} has no cache with the tag ${place.tag}`))
    : ok(chosen.digest);
}

async function readIndex(dir: string): Promise<Result<readonly Descriptor[]>> {
  const path = join(dir, 'index.json');
  const bytes = await readSmall(path, MAX_MANIFEST_BYTES);
  if (!bytes.ok) return bytes;
  const decoded = decodeManifest(bytes.value, path);
  if (!decoded.ok) return decoded;
  return decoded.value.kind === 'index'
    ? ok(decoded.value.index.manifests)
    : err(absent(`${path} is no index`));
}
