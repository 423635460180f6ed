import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import {
  bytesOfName,
  type Digest,
  err,
  failure,
  isRecord,
  nameOfBytes,
  ok,
  parseDigest,
  parseJson,
  type Result,
} from '../base/index.ts';
import { CHUNK } from '../chunks/index.ts';
import {
  MOUNT_INDEX_VERSION,
  type MountChunk,
  type MountEntry,
  type MountIndex,
  type MountPack,
} from './mount-index.ts';
import { isBrokenZstd } from './mount-packs.ts';

/** What an index from outside may ask for; the disk's free space is looked at besides. */
export const MOUNT_LIMITS = {
  /** Compressed index. */
  indexBytes: 64 << 20,
  /** Uncompressed index. */
  textBytes: 256 << 20,
  /** Lists and values of it: what they take in memory has nothing to do with the length of their text. */
  lists: 10_000_000,
  values: 40_000_000,
  packBytes: 64 << 20,
  entries: 4_000_000,
  /** Places of files that are filled from a chunk. */
  uses: 4_000_000,
  /** All files together. */
  totalBytes: 256 * 2 ** 30,
} as const;

const unzstd = promisify(zstdDecompress);

/**
 * Reads an index that came from outside. Everything is checked before anything is made of it: each name lies directly in
 * a directory that stands before it, so that no link can lead a name out; sizes agree with chunks, chunks with packs.
 */
export async function decodeMountIndex(bytes: Uint8Array): Promise<Result<MountIndex>> {
  let text: Buffer;
  try {
    text = await unzstd(bytes, { maxOutputLength: MOUNT_LIMITS.textBytes });
  } catch (e) {
    if (!isBrokenZstd(e)) throw e;
    return err(refused(`it cannot be uncompressed (${e.message})`));
  }
  if (!isParsable(text)) return err(refused('it has more members than an index may have'));
  const json = parseJson(text.toString('utf8'));
  if (!json.ok || !isRecord(json.value)) return err(refused('it is no JSON object'));
  const { version, generation, packs, chunks, small, entries } = json.value;
  if (version !== MOUNT_INDEX_VERSION)
    return err(refused(`version ${String(version).slice(0, 40)} is not known`));
  try {
    return ok(
      new Checked().index({ generation: count(generation), packs, chunks, small, entries }),
    );
  } catch (e) {
    if (e instanceof Refusal) return err(refused(e.message));
    throw e;
  }
}

/** Whether the values that the text stands for fit into memory. Signs within names count, too, which hurts nobody. */
function isParsable(text: Uint8Array): boolean {
  let [lists, commas] = [0, 0];
  for (const byte of text) {
    if (byte === 0x2c) commas++;
    else if (byte === 0x5b || byte === 0x7b) lists++;
  }
  return lists <= MOUNT_LIMITS.lists && commas <= MOUNT_LIMITS.values;
}

function refused(why: string): ReturnType<typeof failure> {
  return failure('RC020', 3, `the index of a cache mount is refused: ${why}`);
}

/** Carries the reason out of the checks; becomes a value at once. */
class Refusal extends Error {}

function refuse(why: string): never {
  throw new Refusal(why);
}

class Checked {
  #chunks: readonly MountChunk[] = [];
  #smallBytes = 0;
  #total = 0;
  readonly #types = new Map<string, MountEntry['type']>();

  index(raw: {
    readonly generation: number;
    readonly packs: unknown;
    readonly chunks: unknown;
    readonly small: unknown;
    readonly entries: unknown;
  }): MountIndex {
    const packs = list(raw.packs, 'packs').map(packOf);
    this.#chunks = list(raw.chunks, 'chunks').map((chunk) => chunkOf(chunk, packs));
    const small = list(raw.small, 'small').map((i) => this.#chunkIndex(i));
    this.#smallBytes = small.reduce((sum, i) => sum + (this.#chunks[i]?.size ?? 0), 0);
    const given = list(raw.entries, 'entries');
    if (given.length > MOUNT_LIMITS.entries) refuse(`it has ${given.length} entries`);
    const entries = given.map((entry, i) => this.#entry(entry, i));
    if (entries[0]?.type !== 'dir') refuse('it does not begin with the directory itself');
    return { generation: raw.generation, packs, chunks: this.#chunks, small, entries };
  }

  #chunkIndex(value: unknown): number {
    const i = count(value);
    return i < this.#chunks.length ? i : refuse(`there is no chunk ${i}`);
  }

  #entry(value: unknown, at: number): MountEntry {
    const fields = list(value, 'an entry');
    const [kind, rawPath] = fields;
    const path = at === 0 && rawPath === '' ? '' : this.#path(name(rawPath));
    const entry = this.#body(kind, path, fields);
    this.#types.set(path, entry.type);
    return entry;
  }

  #body(kind: unknown, path: string, fields: readonly unknown[]): MountEntry {
    if (kind === 'h') {
      const link = name(fields[2]);
      if (this.#types.get(link) !== 'file') refuse(`${shown(path)} links to no file before it`);
      return { type: 'hardlink', path, link };
    }
    const owned = { path, uid: id(fields[2]), gid: id(fields[3]), mtimeNs: time(fields[4]) };
    switch (kind) {
      case 'd':
        return { type: 'dir', ...owned, mode: count(fields[5]) & 0o3777 };
      case 'f':
        return { type: 'file', ...owned, mode: count(fields[5]) & 0o1777, ...this.#data(fields) };
      case 'l': {
        const link = name(fields[5]);
        if (link === '' || bytesOfName(link).length > 4095 || link.includes('\0'))
          refuse(`${shown(path)} has a target that no link can have`);
        return { type: 'symlink', ...owned, link };
      }
      default:
        return refuse(`${shown(path)} is neither file, directory nor link`);
    }
  }

  #data(fields: readonly unknown[]): {
    readonly size: number;
    readonly data: number | readonly number[];
  } {
    const size = count(fields[6]);
    this.#total += size;
    if (this.#total > MOUNT_LIMITS.totalBytes)
      refuse(`its files have more than ${MOUNT_LIMITS.totalBytes} bytes`);
    const at = fields[7];
    if (typeof at === 'number') {
      const start = count(at);
      if (start + size > this.#smallBytes) refuse('a file lies behind the end of the small files');
      return { size, data: start };
    }
    const data = list(at, 'chunks of a file').map((i) => this.#chunkIndex(i));
    const length = data.reduce((sum, i) => sum + (this.#chunks[i]?.size ?? 0), 0);
    return length === size
      ? { size, data }
      : refuse('the size of a file is not that of its chunks');
  }

  /** A clean relative path whose directory stands before it. */
  #path(path: string): string {
    const parts = path.split('/');
    for (const part of parts) {
      if (part === '' || part === '.' || part === '..' || part.includes('\0'))
        refuse(`${shown(path)} is no path within the directory`);
      if (bytesOfName(part).length > 255) refuse(`${shown(path)} has a name that is too long`);
    }
    if (bytesOfName(path).length > 3500) refuse(`${shown(path)} is too long`);
    if (this.#types.has(path)) refuse(`${shown(path)} is there twice`);
    const parent = parts.slice(0, -1).join('/');
    if (this.#types.get(parent) !== 'dir') refuse(`${shown(path)} is in no directory before it`);
    return path;
  }
}

function packOf(value: unknown): MountPack {
  const [digest, size] = list(value, 'a pack');
  const bytes = count(size);
  if (bytes > MOUNT_LIMITS.packBytes) refuse(`a pack has ${bytes} bytes`);
  return { digest: digestOf(digest), size: bytes };
}

function chunkOf(value: unknown, packs: readonly MountPack[]): MountChunk {
  const [digest, size, pack, offset, stored] = list(value, 'a chunk');
  const chunk = {
    ...{ digest: digestOf(digest), size: count(size), pack: count(pack) },
    ...{ offset: count(offset), stored: count(stored) },
  };
  if (chunk.size === 0 || chunk.size > CHUNK.max) refuse(`a chunk has ${chunk.size} bytes`);
  const holder = packs[chunk.pack];
  if (holder === undefined || chunk.offset + chunk.stored > holder.size)
    refuse('a chunk lies outside its pack');
  return chunk;
}

function list(value: unknown, what: string): readonly unknown[] {
  // Array.isArray says any[]; the members are unknown.
  return Array.isArray(value) ? (value as readonly unknown[]) : refuse(`${what}: no list`);
}

function count(value: unknown): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
    ? value
    : refuse('a number is missing or no count');
}

/** A user or group; the largest value means "do not change" to chown(2). */
function id(value: unknown): number {
  const n = count(value);
  return n < 2 ** 32 - 1 ? n : refuse(`${n} is no user or group`);
}

function time(value: unknown): bigint {
  return typeof value === 'string' && /^-?\d{1,19}$/.test(value)
    ? BigInt(value)
    : refuse('a time is missing or malformed');
}

function digestOf(value: unknown): Digest {
  const digest = typeof value === 'string' ? parseDigest(`sha256:${value}`) : undefined;
  return digest ?? refuse('a digest is malformed');
}

function name(value: unknown): string {
  if (typeof value === 'string') return value.isWellFormed() ? value : refuse('a name is no text');
  const [base64] = list(value, 'a name');
  return typeof base64 === 'string'
    ? nameOfBytes(Buffer.from(base64, 'base64'))
    : refuse('a name is missing');
}

const shown = (path: string): string => JSON.stringify(path.slice(0, 200));
