import { type Digest, err, failure, ok, type Result, sha256, soundBlob } from '../../base/index.ts';
import type { Descriptor } from '../../oci/index.ts';
import type { CacheRemote, ContentStore } from '../../ports/index.ts';
import { concurrently } from '../concurrently.ts';
import type { Source } from './block-blob.ts';
import type { Entries, EntriesDeps } from './entries.ts';
import { BLOB_PREFIX, blobKey, indexKey, packedIndexKey, packKey } from './keys.ts';
import { listKeys } from './list-keys.ts';
import {
  decodePackedIndex,
  encodePackedIndex,
  MAX_PACKED_BYTES,
  type Pack,
  type PackedBlob,
  planPacks,
} from './packs.ts';
import type { GhaPlace } from './place.ts';

/** An index is read up to here. */
const MAX_INDEX_BYTES = 16 * 2 ** 20;

type PackedIndex = { readonly packs: readonly Pack[]; readonly document: Uint8Array };
type Signalled = { readonly signal: AbortSignal };

/** A place of which is known whose branch is meant. */
type OpenPlace = GhaPlace & { readonly branch: string };

/** What is known of one repository's entries in this run, whatever name they were met under. */
export interface GhaKnown {
  readonly entries: Entries;
  /** Where blobs lie that have no entry of their own. */
  readonly packed: Map<Digest, { readonly key: string; readonly offset: number }>;
}

class GhaRemote {
  readonly name: string;
  readonly origin: string;
  readonly #deps: EntriesDeps;
  readonly #known: GhaKnown;
  readonly #place: OpenPlace;
  /** Blobs that go into packs when the index is written. */
  readonly #waiting = new Map<Digest, Descriptor>();
  /** Packs of earlier exports that blobs of this one lie in. */
  readonly #kept = new Map<string, Pack>();
  #index: Promise<Result<PackedIndex | undefined>> | undefined;
  #listed: Promise<ReadonlySet<string> | undefined> | undefined;

  constructor(deps: EntriesDeps, known: GhaKnown, place: OpenPlace, origin: string) {
    this.#deps = deps;
    this.#known = known;
    this.#place = place;
    this.origin = origin;
    this.name = `gha:${place.scope} (${place.branch})`;
  }

  async manifest({ signal }: Signalled): Promise<Result<Uint8Array>> {
    const { branch } = this.#place;
    const options = { signal, maxBytes: MAX_INDEX_BYTES };
    const plain = await this.#known.entries.readLatest(
      indexKey(this.#place.scope, branch),
      options,
    );
    if (!plain.ok) return plain;
    return plain.value === undefined
      ? err(
          failure('RC010', 3, `no cache has the name ${this.#place.scope} for ${branch} yet`, {
            help: 'a first run finds none; entries that nobody uses are removed after seven days',
          }),
        )
      : ok(plain.value);
  }

  async further({ signal }: Signalled): Promise<Result<Uint8Array | undefined>> {
    const found = await this.#loadPacked(signal);
    return found.ok ? ok(found.value?.document) : found;
  }

  async read(
    blob: Descriptor,
    { signal, maxBytes }: Signalled & { readonly maxBytes: number },
  ): Promise<Result<Uint8Array>> {
    const pulled = await pullGha(this.#known, blob, { signal });
    return pulled.ok ? await this.#deps.content.read(blob.digest, { maxBytes }) : pulled;
  }

  async write(
    blob: Descriptor,
    options: Parameters<CacheRemote['write']>[1],
  ): Promise<Result<'written' | 'exists'>> {
    const { signal, obtain, progress } = options;
    const packing = this.#place.pack && blob.size <= MAX_PACKED_BYTES;
    const there = packing ? await this.#inPack(blob, signal) : await this.#isEntry(blob, signal);
    if (!there.ok) return there;
    if (there.value) return ok('exists');
    if ((await this.#deps.content.size(blob.digest)) !== blob.size) {
      const ready = await obtain();
      if (!ready.ok) return ready;
    }
    if (packing) {
      this.#waiting.set(blob.digest, blob);
      return ok('written');
    }
    // An entry cannot be replaced.
    const sound = await soundBlob(this.#deps.content, blob.digest, { signal });
    if (!sound.ok) return sound;
    return await this.#known.entries.save(
      blobKey(blob.digest),
      blobSource(this.#deps.content, blob, signal),
      { signal, progress: (sent) => progress?.(sent, blob.size) },
    );
  }

  async publish(document: Uint8Array, { signal }: Signalled): Promise<Result<void>> {
    const { branch, scope, pack } = this.#place;
    if (!pack)
      return await this.#known.entries.saveNext(
        indexKey(scope, branch),
        bytesSource(document),
        signal,
      );
    const packs = await this.#sendPacks(signal);
    if (!packs.ok) return packs;
    const index = encodePackedIndex([...this.#kept.values(), ...packs.value], document);
    return await this.#known.entries.saveNext(
      packedIndexKey(scope, branch),
      bytesSource(index),
      signal,
    );
  }

  named(further: string): CacheRemote {
    // What hangs on a cache is read by its name alone: where packs lie is said by an index only.
    const place = { ...this.#place, scope: `${this.#place.scope}.${further}`, pack: false };
    return createGhaRemote(this.#deps, this.#known, place, this.origin);
  }

  async #isEntry(blob: Descriptor, signal: AbortSignal): Promise<Result<boolean>> {
    this.#listed ??= this.#list(signal);
    const key = blobKey(blob.digest);
    return (await this.#listed)?.has(key) === true
      ? ok(true)
      : await this.#known.entries.has(key, signal);
  }

  /** The keys that are there, where they may be listed: one request in place of one a blob. */
  async #list(signal: AbortSignal): Promise<ReadonlySet<string> | undefined> {
    const { listing, branch } = this.#place;
    if (listing === undefined) return undefined;
    const keys = await listKeys(this.#deps, listing, { prefix: BLOB_PREFIX, branch }, signal);
    return keys.ok ? keys.value : undefined;
  }

  async #inPack(blob: Descriptor, signal: AbortSignal): Promise<Result<boolean>> {
    const earlier = await this.#loadPacked(signal);
    // An index that cannot be read costs the sending of what it knows of.
    const pack = (earlier.ok ? (earlier.value?.packs ?? []) : []).find((each) =>
      each.blobs.some((b) => b.digest === blob.digest && b.size === blob.size),
    );
    if (pack === undefined) return ok(false);
    const there = await this.#known.entries.has(pack.key, signal);
    if (there.ok && there.value) this.#kept.set(pack.key, pack);
    return there;
  }

  async #loadPacked(signal: AbortSignal): Promise<Result<PackedIndex | undefined>> {
    const { branch, scope } = this.#place;
    this.#index ??= this.#readPacked(packedIndexKey(scope, branch), signal);
    return await this.#index;
  }

  async #readPacked(key: string, signal: AbortSignal): Promise<Result<PackedIndex | undefined>> {
    const found = await this.#known.entries.readLatest(key, { signal, maxBytes: MAX_INDEX_BYTES });
    if (!found.ok) return found;
    if (found.value === undefined) return ok(undefined);
    const decoded = decodePackedIndex(found.value);
    for (const pack of decoded.ok ? decoded.value.packs : [])
      for (const { digest, offset } of pack.blobs)
        this.#known.packed.set(digest, { key: pack.key, offset });
    return decoded;
  }

  async #sendPacks(signal: AbortSignal): Promise<Result<readonly Pack[]>> {
    const planned = planPacks([...this.#waiting.values()]);
    return await concurrently(planned, signal, async (blobs) => {
      const parts: Uint8Array[] = [];
      const placed: PackedBlob[] = [];
      let offset = 0;
      for (const { digest, size } of blobs) {
        const bytes = await this.#deps.content.read(digest, { maxBytes: size });
        if (!bytes.ok) return bytes;
        parts.push(bytes.value);
        placed.push({ digest, offset, size });
        offset += size;
      }
      const bytes = Buffer.concat(parts);
      const key = packKey(sha256(bytes));
      const saved = await this.#known.entries.save(key, bytesSource(bytes), { signal });
      if (!saved.ok) return saved;
      for (const { digest, offset: at } of placed)
        this.#known.packed.set(digest, { key, offset: at });
      return ok({ key, blobs: placed });
    });
  }
}

/** A cache in the cache service of GitHub Actions, in BuildKit's layout (cache/remotecache/gha), with packs if they are asked for. */
export function createGhaRemote(...args: ConstructorParameters<typeof GhaRemote>): CacheRemote {
  const remote = new GhaRemote(...args);
  return {
    name: remote.name,
    origin: remote.origin,
    form: 'config',
    manifest: (options) => remote.manifest(options),
    further: (options) => remote.further(options),
    read: (blob, options) => remote.read(blob, options),
    mayHave: () => Promise.resolve(true),
    write: (blob, options) => remote.write(blob, options),
    publish: (document, _mediaType, options) => remote.publish(document, options),
    named: (further) => remote.named(further),
  };
}

/** Downloads a blob that has an entry of its own, or lies in a pack that is known. */
export async function pullGha(
  known: GhaKnown,
  blob: Descriptor,
  options: Parameters<Entries['pull']>[2],
): Promise<Result<void>> {
  const packed = known.packed.get(blob.digest);
  if (packed !== undefined) {
    const pulled = await known.entries.pull(packed, blob, options);
    // The same blob may have been exported without packs, too.
    if (pulled.ok || pulled.error.code !== 'RC010') return pulled;
  }
  return await known.entries.pull({ key: blobKey(blob.digest) }, blob, options);
}

function bytesSource(bytes: Uint8Array): Source {
  return { size: bytes.length, read: (start, end) => bytes.subarray(start, end) };
}

function blobSource(content: ContentStore, blob: Descriptor, signal: AbortSignal): Source {
  return {
    size: blob.size,
    read: (start, end) => cut(content.stream(blob.digest, { signal, start }), end - start),
  };
}

async function* cut(data: AsyncIterable<Uint8Array>, length: number): AsyncGenerator<Uint8Array> {
  let left = length;
  for await (const chunk of data) {
    const part = chunk.subarray(0, left);
    left -= part.length;
    yield part;
    if (left === 0) return;
  }
}
