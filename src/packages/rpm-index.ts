import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { decompress } from '../archive/index.ts';
import {
  digestOfHex,
  err,
  FailureError,
  failure,
  type GoJson,
  goJson,
  hexOf,
  isRecord,
  ok,
  parseJson,
  type Result,
  readIfThere,
  redact,
  sha256,
  writeAtomically,
} from '../base/index.ts';
import {
  FilelistsReader,
  PrimaryReader,
  type Repomd,
  type RepomdFile,
  type RpmRecord,
} from '../rpm/index.ts';
import type { BlobPool } from './blob-pool.ts';
import { unxz } from './unxz.ts';

/** Which repository's metadata. */
export interface RpmIndexRequest {
  readonly uri: string;
  readonly repomd: Repomd;
  readonly offline: boolean;
  readonly signal: AbortSignal;
}

/** Metadata unpacks to at most this many bytes. */
const MAX_INDEX = 2 * 1024 ** 3;
/** Changed when the kept form of metadata changes. */
const FORMAT = 'varve.rpm-index.v1';

/** Reads a document in pieces. */
interface PieceReader<T> {
  /** Something is wrong: what follows is not looked at. */
  readonly failed: boolean;
  write(text: string): void;
  end(): Result<T>;
}

/** Metadata in the form in which it is used: read, made out of a document, written. */
interface Kept<T> {
  readonly kept: () => Promise<T | undefined>;
  readonly reader: (name: string) => PieceReader<T>;
  readonly keep: (value: T) => Promise<void>;
}

/** Metadata of repositories in the form in which it is used, by the digest of the file that repomd.xml names. */
export class RpmIndexStore {
  readonly #root: string;
  readonly #pool: BlobPool;

  constructor(root: string, pool: BlobPool) {
    this.#root = root;
    this.#pool = pool;
  }

  /** All packages of a repository. PK020: not what repomd.xml says; PK022: not readable. */
  async packages(request: RpmIndexRequest): Promise<Result<readonly RpmRecord[]>> {
    const file = fileOf(request, 'primary');
    if (!file.ok) return file;
    const path = join(this.#root, hexOf(sha256(goJson([FORMAT, file.value.sha256]))));
    // What was written here is of this shape: its digest says that it is unchanged.
    const kept = async (): Promise<readonly RpmRecord[] | undefined> =>
      (await readKept(path)) as readonly RpmRecord[] | undefined;
    const known = await kept();
    if (known !== undefined) return ok(known);
    return await this.#read<readonly RpmRecord[]>(request, file.value, {
      kept,
      reader: (name) => new PrimaryReader(name),
      // Records hold only JSON values; an interface has no index signature to say so.
      keep: (records) => writeKept(path, records as unknown as GoJson),
    });
  }

  /** Which packages hold the wanted paths, by SHA-256 of the package; only asked where the primary metadata does not say. */
  async owners(
    request: RpmIndexRequest,
    wanted: ReadonlySet<string>,
  ): Promise<Result<ReadonlyMap<string, readonly string[]>>> {
    const file = fileOf(request, 'filelists');
    if (!file.ok) return file;
    const asked = goJson([FORMAT, file.value.sha256, [...wanted].sort()]);
    const path = join(this.#root, hexOf(sha256(asked)));
    const kept = async (): Promise<ReadonlyMap<string, readonly string[]> | undefined> => {
      const rows = await readKept(path);
      // As above.
      return rows === undefined
        ? undefined
        : new Map(rows as readonly (readonly [string, string[]])[]);
    };
    const known = await kept();
    if (known !== undefined) return ok(known);
    return await this.#read<ReadonlyMap<string, readonly string[]>>(request, file.value, {
      kept,
      reader: (name) => new FilelistsReader(name, wanted),
      keep: (owners) =>
        writeKept(
          path,
          [...owners].map(([id, paths]) => [id, [...paths]]),
        ),
    });
  }

  async #read<T>(
    request: RpmIndexRequest,
    file: RepomdFile,
    { kept, reader, keep }: Kept<T>,
  ): Promise<Result<T>> {
    const url = `${request.uri}/${file.location.split('/').map(encodeURIComponent).join('/')}`;
    const name = redact(url);
    const { signal } = request;
    // The kept form takes its place; the compressed one would never be read again.
    return await this.#pool.replace(
      {
        ...{ sha256: digestOfHex(file.sha256), size: file.size, name },
        urls: request.offline ? [] : [url],
      },
      { signal },
      kept,
      async (path) => {
        const read = await readPacked(path, file, { name, reader: reader(name), signal });
        if (read.ok) await keep(read.value);
        return read;
      },
    );
  }
}

/** PK022: the repository has no such metadata, or none with a digest that holds. */
function fileOf(request: RpmIndexRequest, type: string): Result<RepomdFile> {
  const file = request.repomd.files.find((f) => f.type === type);
  const name = `${redact(request.uri)}/repodata/repomd.xml`;
  if (file === undefined) {
    const zchunk = request.repomd.files.some((f) => f.type === `${type}_zck`);
    return err(
      failure('PK022', 3, `${name} names no ${type} metadata`, {
        ...(zchunk
          ? { help: `it has them for zchunk only (${type}_zck), which is not read here` }
          : {}),
      }),
    );
  }
  if (file.sha256 !== '' && file.size > 0 && file.size <= MAX_INDEX) return ok(file);
  return err(
    failure('PK022', 3, `${name} has no SHA-256 and size of the ${type} metadata`, {
      help: 'make the repository with createrepo_c --checksum sha256',
    }),
  );
}

async function readPacked<T>(
  path: string,
  file: RepomdFile,
  to: { readonly name: string; readonly reader: PieceReader<T>; readonly signal: AbortSignal },
): Promise<Result<T>> {
  const { name, reader, signal } = to;
  const hash = createHash('sha256');
  const decoder = new TextDecoder();
  try {
    // A file stream without encoding yields buffers.
    const packed = createReadStream(path, {
      highWaterMark: 256 * 1024,
    }) as AsyncIterable<Uint8Array>;
    const plain = file.location.endsWith('.xz')
      ? unxz(packed, { signal, maxBytes: MAX_INDEX })
      : decompress(packed, { signal, maxBytes: MAX_INDEX });
    let size = 0;
    for await (const chunk of plain) {
      signal.throwIfAborted();
      size += chunk.length;
      if (size > MAX_INDEX) return err(failure('PK020', 3, `${name} unpacks to more than 2 GiB`));
      hash.update(chunk);
      reader.write(decoder.decode(chunk, { stream: true }));
      if (reader.failed) return reader.end();
    }
  } catch (e) {
    if (!(e instanceof FailureError)) throw e;
    return err(failure('PK020', 3, `${name} does not unpack: ${e.failure.message}`, { cause: e }));
  }
  if (file.openSha256 !== '' && hash.digest('hex') !== file.openSha256)
    return err(failure('PK020', 3, `${name} does not unpack to what repomd.xml names`));
  return reader.end();
}

/** What was kept, when the digest in its first line holds. */
async function readKept(path: string): Promise<unknown[] | undefined> {
  const text = (await readIfThere(path))?.toString('utf8');
  if (text === undefined) return undefined;
  const newline = text.indexOf('\n');
  const body = text.slice(newline + 1);
  if (text.slice(0, newline) !== sha256(body)) return undefined;
  const json = parseJson(body);
  const kept = json.ok && isRecord(json.value) ? json.value['kept'] : undefined;
  return Array.isArray(kept) ? kept : undefined;
}

async function writeKept(path: string, kept: GoJson): Promise<void> {
  const body = goJson({ kept });
  await writeAtomically(path, `${sha256(body)}\n${body}`);
}
