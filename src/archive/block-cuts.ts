/** Where content ends a block: a tar's members begin at multiples of it, so that it is how far a change moves what is behind it. */
const SECTOR = 512;
/** One sector in so many ends a block. */
const RARITY = 1024;
const WORDS = SECTOR / 4;
/** Of each sector so many of its words are looked at. */
const STEP = WORDS / 8;

/** Bytes of a block, whole sectors; the last may be shorter. Where both are one number, content has no say. */
export interface BlockBounds {
  readonly shortest: number;
  readonly longest: number;
}

/**
 * Cuts a stream where its content says: behind an insertion or removal of whole sectors the same blocks come again. The cuts
 * depend on nothing but the bytes. Memory that is put into `spare` (`memoryOf` a block that nobody needs any more) is used again.
 */
export async function* cutBlocks(
  source: AsyncIterable<Uint8Array>,
  { shortest, longest }: BlockBounds,
  spare: Uint8Array<ArrayBuffer>[] = [],
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const next = (): Uint8Array<ArrayBuffer> => spare.pop() ?? new Uint8Array(longest);
  let block = next();
  let filled = 0;
  let looked = shortest;
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; ) {
      const step = Math.min(chunk.length - at, longest - filled);
      block.set(chunk.subarray(at, at + step), filled);
      at += step;
      filled += step;
      for (;;) {
        looked = nextCut(block, looked, filled);
        if (looked + SECTOR > filled && filled < longest) break;
        const rest = block.subarray(looked, filled);
        yield block.subarray(0, looked);
        block = next();
        block.set(rest);
        filled = rest.length;
        looked = shortest;
      }
    }
  }
  if (filled > 0) yield block.subarray(0, filled);
}

/** All of the memory that a block lies in. */
export const memoryOf = (block: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> =>
  new Uint8Array(block.buffer);

/** The first sector from `from` on that begins a new block, else the first one that is not there as a whole. */
function nextCut(block: Uint8Array, from: number, filled: number): number {
  const words = new Uint32Array(block.buffer);
  let at = from;
  for (; at + SECTOR <= filled; at += SECTOR) {
    let mixed = 0;
    for (let word = at / 4; word < (at + SECTOR) / 4; word += STEP)
      mixed = Math.imul(mixed ^ (words[word] ?? 0), 0x9e3779b1) ^ (mixed >>> 15);
    if (mixed >>> 0 < 2 ** 32 / RARITY) return at;
  }
  return at;
}
