import { FailureError, failure } from '../base/index.ts';

/** Deflate expands up to 1032 times; up to a GiB is let through whatever it was packed to. */
const MAX_EXPANSION = 2000;
const ALWAYS_ALLOWED = 2 ** 30;

/** What bounds the result of a decoder. */
export interface ExpansionOptions {
  readonly signal: AbortSignal;
  /** The name of the format in the message; `none` is bounded by `maxBytes` only. */
  readonly format: string;
  /** Refuses to yield more than this many bytes. */
  readonly maxBytes?: number;
  /** How much packed data there is, where that is known; otherwise what was read of it so far is what it may expand from. */
  readonly packedBytes?: number;
}

/**
 * What `decode` makes of a stream, until that is more than `maxBytes`, or than 2000 times what is packed and more than a GiB: then a `FailureError` (ST203) is thrown,
 * and the decoder is closed.
 */
export async function* withinExpansion(
  packed: AsyncIterable<Uint8Array>,
  decode: (packed: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>,
  { signal, format, maxBytes = Infinity, packedBytes }: ExpansionOptions,
): AsyncGenerator<Uint8Array> {
  let read = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of packed) {
      read += chunk.length;
      yield chunk;
    }
  }
  let total = 0;
  for await (const chunk of decode(counted())) {
    signal.throwIfAborted();
    total += chunk.length;
    const unpacked = Math.max(ALWAYS_ALLOWED, (packedBytes ?? read) * MAX_EXPANSION);
    const limit = format === 'none' ? maxBytes : Math.min(maxBytes, unpacked);
    if (total > limit)
      throw new FailureError(
        failure('ST203', 3, `${format} data expands to more than ${limit} bytes`),
      );
    yield chunk;
  }
}
