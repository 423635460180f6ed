/** A block is judged by this many pieces of it, evenly spread: what is compressible for longer than their distance is met. */
const PIECES = 16;
const PIECE = 4096;
/** Shorter blocks are not worth a judgement. */
const SMALLEST = 256 * 1024;
/** A sample that shrinks by less than this part, and bytes as evenly spread as this, are noise. */
const LEAST_GAIN = 1 / 256;
const EVENNESS = 1.02;

/** The sample of a block whose bytes are spread so evenly that it may be noise; undefined where it surely is not. */
export function sampleOfNoise(block: Uint8Array): Uint8Array | undefined {
  if (block.length < SMALLEST) return undefined;
  const step = Math.floor(block.length / PIECES);
  const sample = new Uint8Array(PIECES * PIECE);
  for (let i = 0; i < PIECES; i++)
    sample.set(block.subarray(i * step, i * step + PIECE), i * PIECE);
  const counts = new Uint32Array(256);
  for (const byte of sample) counts[byte] = (counts[byte] ?? 0) + 1;
  let squares = 0;
  for (const count of counts) squares += count * count;
  return squares <= (sample.length ** 2 / 256) * EVENNESS ? sample : undefined;
}

/** Whether a sample that was compressed to so many bytes says that its block is noise. */
export function isNoise(sample: Uint8Array, compressed: number): boolean {
  return compressed >= sample.length * (1 - LEAST_GAIN);
}
