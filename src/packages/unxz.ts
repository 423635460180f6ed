import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createDecompressStream } from '@napi-rs/lzma/xz';
import { type ExpansionOptions, withinExpansion } from '../archive/index.ts';
import { FailureError, failure } from '../base/index.ts';

/** Dictionaries up to here are read; what `xz -9` makes needs 64 MiB, and the decoder keeps so much in memory. */
const MAX_DICTIONARY = 256 * 1024 * 1024;
/** Stream header and the head of the first block (the .xz file format, sections 2.1.1 and 3.1). */
const HEAD = 32;

/**
 * Unpacks xz as it comes, for packages and their indexes; it needs no program. Damaged data throws a `FailureError` (ST202), and so
 * does what expands too far or needs too much memory (ST203).
 */
export function unxz(
  packed: AsyncIterable<Uint8Array>,
  options: Omit<ExpansionOptions, 'format'>,
): AsyncGenerator<Uint8Array> {
  const decode = (bytes: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> =>
    decoded(checked(bytes), options.signal);
  return withinExpansion(packed, decode, { ...options, format: 'xz' });
}

async function* decoded(
  packed: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const decoder = createDecompressStream();
  const done = pipeline(Readable.from(packed), decoder, { signal });
  // Its failure also ends the decoder, which is where it is noticed.
  done.catch(() => undefined);
  try {
    // A stream that was not put into object mode yields buffers.
    for await (const chunk of decoder) yield chunk as Buffer;
    await done;
  } catch (e) {
    signal.throwIfAborted();
    if (e instanceof FailureError || !(e instanceof Error)) throw e;
    throw new FailureError(
      failure('ST202', 3, `xz data is damaged or cut off: ${e.message}`, { cause: e }),
    );
  } finally {
    decoder.destroy();
    await done.catch(() => undefined);
  }
}

/** The stream as it is, once the size of the dictionary in its head was looked at. */
async function* checked(packed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let head = Buffer.alloc(0);
  for await (const chunk of packed) {
    if (head.length < HEAD) {
      head = Buffer.concat([head, chunk.subarray(0, HEAD - head.length)]);
      const size = dictionaryOf(head);
      if (size > MAX_DICTIONARY)
        throw new FailureError(
          failure('ST203', 3, `xz data needs ${size} bytes of memory, more than ${MAX_DICTIONARY}`),
        );
    }
    yield chunk;
  }
}

/** The dictionary of the first block when LZMA2 is its only filter (sections 3.1.2 and 5.3.1); 0 where the head does not say. */
function dictionaryOf(head: Buffer): number {
  const flags = head[13] ?? 0xff;
  if (head.length < HEAD || head[12] === 0 || (flags & 0x03) !== 0) return 0;
  let at = 14;
  // Sizes of the block stand before its filters, seven bits a byte.
  for (const bit of [0x40, 0x80])
    if ((flags & bit) !== 0) while (at < HEAD && ((head[at++] ?? 0) & 0x80) !== 0);
  if (head[at] !== 0x21 || head[at + 1] !== 1) return 0;
  const bits = (head[at + 2] ?? 0) & 0x3f;
  return bits === 40 ? 2 ** 32 - 1 : (2 | (bits & 1)) * 2 ** (Math.floor(bits / 2) + 11);
}
