import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import {
  didYouMean,
  err,
  failure,
  hexOf,
  ok,
  type Result,
  readIfThere,
  redact,
  sha256,
  writeAtomically,
} from '../base/index.ts';
import type { BlobPool } from './blob-pool.ts';
import { compactIndex, PackagesIndex, upgradedIndex } from './packages-index.ts';
import type { Release, ReleaseFile } from './release.ts';
import { unxz } from './unxz.ts';

/** Which index of which Release file. */
export interface IndexRequest {
  readonly uri: string;
  readonly suite: string;
  readonly release: Release;
  readonly component: string;
  readonly architecture: string;
  readonly offline: boolean;
  readonly signal: AbortSignal;
}

/** An index unpacks to at most this many bytes. */
const MAX_INDEX = 256 * 1024 * 1024;

/** Packages indexes in compact form, by the digest of the index that the Release file names. */
export class IndexStore {
  readonly #root: string;
  readonly #pool: BlobPool;

  constructor(root: string, pool: BlobPool) {
    this.#root = root;
    this.#pool = pool;
  }

  /** Reads an index, fetching it when it is not here. PK020: it is not what the Release file says; PK021: there is none. */
  async load(request: IndexRequest): Promise<Result<PackagesIndex>> {
    const found = locate(request);
    if (found === undefined) return err(noIndex(request));
    const path = join(this.#root, hexOf(found.plain?.sha256 ?? found.file.sha256));
    const known = await keptIndex(path);
    return known === undefined ? await this.#fetch(request, found, path) : ok(known);
  }

  async #fetch(
    request: IndexRequest,
    found: Located,
    keep: string,
  ): Promise<Result<PackagesIndex>> {
    const { file, plain, path } = found;
    const name = `${path} of ${redact(request.uri)} ${request.suite}`;
    const base = `${request.uri}/dists/${request.suite}`;
    const byHash = `${base}/${path.slice(0, path.lastIndexOf('/'))}/by-hash/SHA256/${hexOf(file.sha256)}`;
    const urls = request.offline
      ? []
      : [...(request.release.byHash ? [byHash] : []), `${base}/${path}`];
    // The compact form takes its place; the compressed one would never be read again.
    return await this.#pool.replace(
      { sha256: file.sha256, size: file.size, name, urls },
      { signal: request.signal },
      () => keptIndex(keep),
      async (packed) => {
        const unpacked = await unpack(await readFile(packed), path, {
          signal: request.signal,
          maxBytes: plain?.size ?? MAX_INDEX,
        });
        const fits =
          unpacked !== undefined && (plain === undefined || sha256(unpacked) === plain.sha256);
        if (!fits)
          return err(failure('PK020', 3, `${name} does not unpack to what the Release file names`));
        const made = compactIndex(unpacked);
        await writeAtomically(keep, made);
        const index = PackagesIndex.read(made);
        if (index === undefined) throw new Error('a compact index cannot be read back');
        return ok(index);
      },
    );
  }
}

/** The index in compact form, brought into the form of today where it is in an earlier one. */
async function keptIndex(path: string): Promise<PackagesIndex | undefined> {
  const kept = await readIfThere(path);
  const upgraded = kept === undefined ? undefined : upgradedIndex(kept);
  if (upgraded !== undefined) await writeAtomically(path, upgraded);
  const bytes = upgraded ?? kept;
  return bytes === undefined ? undefined : PackagesIndex.read(bytes);
}

interface Located {
  readonly path: string;
  readonly file: ReleaseFile;
  /** The uncompressed index, which a Release file usually lists although no mirror serves it. */
  readonly plain: ReleaseFile | undefined;
}

/** gzip unpacks five times as fast as xz, and costs a third more to fetch. */
function locate(request: IndexRequest): Located | undefined {
  const plainPath = `${request.component}/binary-${request.architecture}/Packages`;
  const plain = request.release.files.get(plainPath);
  for (const path of [`${plainPath}.gz`, `${plainPath}.xz`, plainPath]) {
    const file = request.release.files.get(path);
    if (file !== undefined && file.size <= MAX_INDEX && (plain?.size ?? 0) <= MAX_INDEX)
      return { path, file, plain };
  }
  return undefined;
}

function noIndex(request: IndexRequest) {
  const { component, architecture, release, suite, uri } = request;
  const known = release.components.map((c) => c.slice(c.lastIndexOf('/') + 1));
  const near = didYouMean(
    component,
    known.filter((c) => c !== component),
  );
  const lacksArch = !release.architectures.includes(architecture);
  const help = lacksArch
    ? `it has ${release.architectures.join(', ')}`
    : near === undefined
      ? `it has ${known.join(', ')}`
      : `did you mean "${near}"?`;
  return failure(
    'PK021',
    2,
    `${suite} of ${redact(uri)} has no ${lacksArch ? `architecture ${architecture}` : `component ${component}`}`,
    { help },
  );
}

const inflate = promisify(gunzip);

/** Unpacks at most so many bytes; undefined when there is more, or when the data is damaged. */
async function unpack(
  packed: Uint8Array,
  path: string,
  options: { readonly signal: AbortSignal; readonly maxBytes: number },
): Promise<Uint8Array | undefined> {
  const { signal, maxBytes } = options;
  try {
    if (path.endsWith('.gz'))
      return await inflate(packed, { maxOutputLength: Math.max(1, maxBytes) });
    if (!path.endsWith('.xz')) return packed;
    const parts: Uint8Array[] = [];
    for await (const part of unxz(pieces(packed), options)) parts.push(part);
    return Buffer.concat(parts);
  } catch (e) {
    signal.throwIfAborted();
    // zlib and liblzma have an error for each kind of damage; all of them mean that the data is not usable.
    if (e instanceof Error) return undefined;
    throw e;
  }
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  // A stream begins later than whoever asks for it.
  await Promise.resolve();
  for (let at = 0; at < bytes.length; at += CHUNK) yield bytes.subarray(at, at + CHUNK);
}

const CHUNK = 256 * 1024;
