import { promisify } from 'node:util';
import { constants, crc32, type ZstdOptions, zstdCompress } from 'node:zlib';
import { type BlockBounds, cutBlocks, memoryOf } from './block-cuts.ts';
import { deflateBlock, type KnownBlocks, knownOrDeflated, nameOfBlock } from './gzip-blocks.ts';

/** Options of `compress`. */
export interface CompressOptions {
  readonly format: 'gzip' | 'zstd';
  readonly signal: AbortSignal;
  /** gzip 1-9 (6 when absent), zstd 1-19 (3 when absent). */
  readonly level?: number;
  /** Blocks compressed at once; it does not change the result. */
  readonly parallel?: number;
  /** Blocks of gzip that were compressed before; they do not change the result. */
  readonly known?: KnownBlocks;
}

/** Input bytes of one unit of work: part of the format, since it decides the output bytes (docs/adr/0021). */
const GZIP_BLOCK: BlockBounds = { shortest: 256 * 1024, longest: 1024 * 1024 };
const ZSTD_FRAME: BlockBounds = { shortest: 8 * 1024 * 1024, longest: 8 * 1024 * 1024 };
/** Deflate looks this far back. */
const WINDOW = 32 * 1024;

const HEADER = Uint8Array.of(0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff);

// Made when it is used: a build that compresses nothing does not load what it needs.
const zstd = (...args: [Uint8Array, ZstdOptions]): Promise<Uint8Array> =>
  promisify<Uint8Array, ZstdOptions, Uint8Array>(zstdCompress)(...args);

/**
 * Compresses a stream on all cores: the input is cut into blocks, for gzip where its content says and for zstd of a fixed size,
 * which are compressed in parallel and written in order, so the bytes depend on input and level only. gzip is one member whose
 * blocks see the 32 KiB before them (RFC 1952; no time, no name); zstd is a frame a block (RFC 8878).
 */
export async function* compress(
  source: AsyncIterable<Uint8Array>,
  options: CompressOptions,
): AsyncGenerator<Uint8Array> {
  if (options.format === 'zstd') {
    yield* zstdFrames(source, options);
    return;
  }
  yield HEADER;
  let checksum = 0;
  let size = 0;
  let offset = HEADER.length;
  let before: Uint8Array = new Uint8Array(0);
  const { known, level } = options;
  const names: string[] = [];
  const packed = inOrder(source, GZIP_BLOCK, options, (block) => {
    checksum = crc32(block, checksum);
    size = (size + block.length) % 2 ** 32;
    const work = { block, dictionary: before, level };
    before = block.slice(Math.max(0, block.length - WINDOW));
    if (known === undefined) return deflateBlock(work);
    const name = nameOfBlock(work);
    names.push(name);
    return knownOrDeflated(work, name, known);
  });
  for await (const bytes of packed) {
    const name = names.shift();
    if (name !== undefined) known?.add(name, offset, bytes);
    offset += bytes.length;
    yield bytes;
  }
  // An empty final block of fixed codes, then CRC-32 and length.
  const end = Buffer.alloc(10);
  end.set([3, 0]);
  end.writeUInt32LE(checksum, 2);
  end.writeUInt32LE(size, 6);
  yield end;
}

async function* zstdFrames(
  source: AsyncIterable<Uint8Array>,
  options: CompressOptions,
): AsyncGenerator<Uint8Array> {
  const params = {
    [constants.ZSTD_c_compressionLevel]: options.level ?? 3,
    [constants.ZSTD_c_checksumFlag]: 1,
  };
  let frames = 0;
  yield* inOrder(source, ZSTD_FRAME, options, (block) => {
    frames++;
    return zstd(block, { params });
  });
  if (frames === 0) yield await zstd(new Uint8Array(0), { params });
}

/** Runs `work` on several blocks at once and yields the results in the order of the blocks. A block is there until its work ends. */
async function* inOrder(
  source: AsyncIterable<Uint8Array>,
  bounds: BlockBounds,
  options: CompressOptions,
  work: (block: Uint8Array) => Promise<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const limit = options.parallel ?? 4;
  const running: Promise<Uint8Array>[] = [];
  // The collector would free blocks late: there is little else that it counts.
  const spare: Uint8Array<ArrayBuffer>[] = [];
  const worked = async (block: Uint8Array<ArrayBuffer>): Promise<Uint8Array> => {
    const result = await work(block);
    spare.push(memoryOf(block));
    return result;
  };
  try {
    for await (const block of cutBlocks(source, bounds, spare)) {
      options.signal.throwIfAborted();
      running.push(worked(block));
      const first = running.length >= limit ? running.shift() : undefined;
      if (first !== undefined) yield await first;
    }
    for (let next = running.shift(); next !== undefined; next = running.shift()) yield await next;
  } finally {
    await Promise.allSettled(running);
  }
}
