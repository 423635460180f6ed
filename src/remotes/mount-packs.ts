import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import { type Digest, sha256 } from '../base/index.ts';

/** A pack is closed when it has so many bytes: few requests, and what is read for one chunk stays small. */
const PACK_BYTES = 8 << 20;
/** Chunks compressed at once. */
const PARALLEL = 8;
/** Level of the frames; part of what makes the same directory the same packs. */
const LEVEL = 3;
/** Magic number of a skippable frame (RFC 8878, section 3.1.2). */
const SKIPPABLE = 0x184d2a50;

const zstd = promisify(zstdCompress);
const unzstd = promisify(zstdDecompress);

/** Where a chunk was put; known once its pack is closed. */
export interface PackedChunk {
  pack: Digest;
  offset: number;
  stored: number;
}

/** A pack that was written. */
export interface WrittenPack {
  readonly digest: Digest;
  readonly size: number;
}

/** Gathers chunks in packs; each pack is handed to `put` when it is full. */
export class PackWriter {
  readonly #put: (bytes: Uint8Array) => Promise<Digest>;
  readonly #generation: number;
  readonly #pending: { readonly frame: Promise<Uint8Array>; readonly at: PackedChunk }[] = [];
  #frames: Uint8Array[] = [];
  #open: PackedChunk[] = [];
  #size = 0;
  readonly written: WrittenPack[] = [];

  constructor(put: (bytes: Uint8Array) => Promise<Digest>, generation: number) {
    this.#put = put;
    this.#generation = generation;
  }

  /** Adds a chunk; the order of calls is the order in the packs. */
  async add(chunk: Uint8Array): Promise<PackedChunk> {
    const at: PackedChunk = { pack: sha256(''), offset: 0, stored: 0 };
    const frame = zstd(chunk, { params: { [constants.ZSTD_c_compressionLevel]: LEVEL } });
    // Awaited in turn; a failure before that must not count as unobserved.
    frame.catch(() => undefined);
    this.#pending.push({ frame, at });
    if (this.#pending.length >= PARALLEL) await this.#take();
    return at;
  }

  /** Closes the last pack. */
  async finish(): Promise<void> {
    while (this.#pending.length > 0) await this.#take();
    await this.#close();
  }

  async #take(): Promise<void> {
    const next = this.#pending.shift();
    if (next === undefined) return;
    const frame = await next.frame;
    if (this.#frames.length === 0 && this.#generation > 0) this.#append(header(this.#generation));
    next.at.offset = this.#size;
    next.at.stored = frame.length;
    this.#append(frame);
    this.#open.push(next.at);
    if (this.#size >= PACK_BYTES) await this.#close();
  }

  #append(bytes: Uint8Array): void {
    this.#frames.push(bytes);
    this.#size += bytes.length;
  }

  async #close(): Promise<void> {
    if (this.#open.length === 0) return;
    const digest = await this.#put(Buffer.concat(this.#frames));
    for (const at of this.#open) at.pack = digest;
    this.written.push({ digest, size: this.#size });
    this.#frames = [];
    this.#open = [];
    this.#size = 0;
  }
}

/** Makes a pack another blob than a damaged one with the same chunks: a frame that readers skip. */
function header(generation: number): Uint8Array {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32LE(SKIPPABLE, 0);
  bytes.writeUInt32LE(4, 4);
  bytes.writeUInt32LE(generation, 8);
  return bytes;
}

/** The bytes of one chunk of a pack, or undefined when they are not what they should be. */
export async function readChunk(
  pack: Uint8Array,
  chunk: {
    readonly digest: Digest;
    readonly size: number;
    readonly offset: number;
    readonly stored: number;
  },
): Promise<Uint8Array | undefined> {
  const frame = pack.subarray(chunk.offset, chunk.offset + chunk.stored);
  let bytes: Uint8Array;
  try {
    bytes = await unzstd(frame, { maxOutputLength: chunk.size });
  } catch (e) {
    if (isBrokenZstd(e)) return undefined;
    throw e;
  }
  return bytes.length === chunk.size && sha256(bytes) === chunk.digest ? bytes : undefined;
}

/** Whether a decoder refused its input: damaged, cut off, or longer than was allowed. */
export function isBrokenZstd(e: unknown): e is Error {
  if (!(e instanceof Error) || !('code' in e)) return false;
  const code = String(e.code);
  return code.startsWith('ZSTD_') || code === 'Z_BUF_ERROR' || code === 'ERR_BUFFER_TOO_LARGE';
}
