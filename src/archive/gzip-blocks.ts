import { promisify } from 'node:util';
import {
  constants,
  crc32,
  deflateRaw,
  deflateRawSync,
  inflateRaw,
  type ZlibOptions,
} from 'node:zlib';
import { isNoise, sampleOfNoise } from './incompressible.ts';

/** Where compressed blocks are remembered. A name says what decides the bytes of a block, but not for certain. */
export interface KnownBlocks {
  /** What may be the compressed form of a block: it is unpacked and compared. */
  get(name: string): Promise<Uint8Array | undefined>;
  /** A block stands at `offset` of the result. */
  add(name: string, offset: number, bytes: Uint8Array): void;
}

/** A block of a gzip member with what it is compressed behind. */
export interface GzipBlock {
  readonly block: Uint8Array;
  readonly dictionary: Uint8Array;
  /** 1-9; absent: 6, and noise is stored. */
  readonly level: number | undefined;
}

/** More than storing adds: five bytes in 65,535. */
const STORED_EXTRA = 4096;

/** What a flushed block ends with: an empty stored one (RFC 1951, 3.2.4). */
const FLUSHED = Buffer.from([0, 0, 0xff, 0xff]);

// Made when they are used: a build that compresses nothing does not load what they need.
const deflate = (...args: [Uint8Array, ZlibOptions]): Promise<Uint8Array> =>
  promisify<Uint8Array, ZlibOptions, Uint8Array>(deflateRaw)(...args);
const inflate = (...args: [Uint8Array, ZlibOptions]): Promise<Uint8Array> =>
  promisify<Uint8Array, ZlibOptions, Uint8Array>(inflateRaw)(...args);

/**
 * Checksums find a block again; whether it is the same is found out by comparing. Another version of the compressor gives other
 * bytes, and finds nothing of this one.
 */
export function nameOfBlock({ block, dictionary, level }: GzipBlock): string {
  compressor ??= crc32(deflateRawSync(SAMPLE));
  const made = [VERSION, compressor, level ?? 'default'];
  return [...made, crc32(block), block.length, crc32(dictionary)].join(' ');
}

/** Another one where a block is compressed otherwise than before. */
const VERSION = 2;

/** What the compressor makes of this tells it from others. */
const SAMPLE = Array.from({ length: 2000 }, (_, i) => (i * 7919) % 1009).join(' ');
let compressor: number | undefined;

/** The compressed form of a block: one that is known, since unpacking takes a tenth of the time, or one made now. */
export async function knownOrDeflated(
  work: GzipBlock,
  name: string,
  known: KnownBlocks,
): Promise<Uint8Array> {
  const packed = await known.get(name);
  return packed !== undefined && (await isPacked(packed, work)) ? packed : await deflateBlock(work);
}

async function isPacked(packed: Uint8Array, { block, dictionary }: GzipBlock): Promise<boolean> {
  if (!FLUSHED.equals(packed.subarray(-FLUSHED.length))) return false;
  try {
    const unpacked = await inflate(packed, {
      finishFlush: constants.Z_SYNC_FLUSH,
      maxOutputLength: block.length,
      ...(dictionary.length === 0 ? {} : { dictionary }),
    });
    return Buffer.compare(unpacked, block) === 0;
  } catch {
    // Not what was written there.
    return false;
  }
}

/**
 * Deflates a block. With no level asked for, a block of noise (compressed or encrypted data, weights of models) is stored:
 * deflating it takes longest and gains nothing.
 */
export async function deflateBlock({ block, dictionary, level }: GzipBlock): Promise<Uint8Array> {
  const sample = level === undefined ? sampleOfNoise(block) : undefined;
  const tried = sample === undefined ? 0 : (await deflate(sample, { level: 1 })).length;
  const finishFlush = constants.Z_SYNC_FLUSH;
  if (sample !== undefined && isNoise(sample, tried))
    // How it is stored depends on the room that there is: with enough of it at once it takes two thirds of the time.
    return deflate(block, { level: 0, finishFlush, chunkSize: block.length + STORED_EXTRA });
  const window = dictionary.length === 0 ? {} : { dictionary };
  return deflate(block, { level: level ?? 6, finishFlush, ...window });
}
