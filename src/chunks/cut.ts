import { gearTable } from './gear.ts';

/** Lengths of chunks in bytes; part of the format. */
export const CHUNK = { min: 16 * 1024, normal: 64 * 1024, max: 256 * 1024 } as const;

/** Bits that must be zero at a cut: more before the normal length, fewer behind it (normalised chunking). */
const STRICT = -1 << (32 - 18);
const LOOSE = -1 << (32 - 14);

/**
 * Length of the first chunk of `data[start..end)` by content: a cut lies where the gear hash of the bytes before it has
 * zeros in its upper bits, so that the same bytes are cut alike wherever they stand (FastCDC: Xia et al., USENIX ATC 2016).
 * `data` must hold `CHUNK.max` bytes or end the stream.
 */
export function cutLength(data: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length <= CHUNK.min) return length;
  const normal = start + Math.min(CHUNK.normal, length);
  const last = start + Math.min(CHUNK.max, length);
  const gear = gearTable();
  let hash = 0;
  let at = start + CHUNK.min;
  for (; at < normal; at++) {
    hash = ((hash << 1) + (gear[data[at] ?? 0] ?? 0)) | 0;
    if ((hash & STRICT) === 0) return at + 1 - start;
  }
  for (; at < last; at++) {
    hash = ((hash << 1) + (gear[data[at] ?? 0] ?? 0)) | 0;
    if ((hash & LOOSE) === 0) return at + 1 - start;
  }
  return last - start;
}
