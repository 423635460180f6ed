/** Where blocks may end: a tar's members begin at multiples of it, so that it is how far a change moves what is behind it. */
const SECTOR = 512;
/** Bounds of a block; between them one sector in 1,024 ends it. */
const SHORTEST = 256 * 1024;
const LONGEST = 1024 * 1024;
const RARITY = 1024;
const WORDS = SECTOR / 4;
/** Of each sector so many of its words are looked at. */
const STEP = WORDS / 8;

/**
 * Cuts a stream where its content says: behind an insertion or removal of whole sectors the same blocks come again. The cuts
 * depend on nothing but the bytes.
 */
export async function* contentBlocks(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let block = new Uint8Array(LONGEST);
  let filled = 0;
  let looked = SHORTEST;
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; ) {
      const step = Math.min(chunk.length - at, LONGEST - filled);
      block.set(chunk.subarray(at, at + step), filled);
      at += step;
      filled += step;
      for (;;) {
        const cut = firstCut(block, looked, filled);
        looked = cut ?? lastLooked(looked, filled);
        if (cut === undefined && filled < LONGEST) break;
        const end = cut ?? LONGEST;
        const rest = block.subarray(end, filled);
        yield block.subarray(0, end);
        block = new Uint8Array(LONGEST);
        block.set(rest);
        filled = rest.length;
        looked = SHORTEST;
      }
    }
  }
  if (filled > 0) yield block.subarray(0, filled);
}

/** The first sector from `from` on that is there as a whole and begins a new block. */
function firstCut(block: Uint8Array, from: number, filled: number): number | undefined {
  const words = new Uint32Array(block.buffer);
  for (let at = from; at + SECTOR <= filled; at += SECTOR) {
    let mixed = 0;
    for (let word = at / 4; word < (at + SECTOR) / 4; word += STEP)
      mixed = Math.imul(mixed ^ (words[word] ?? 0), 0x9e3779b1) ^ (mixed >>> 15);
    if (mixed >>> 0 < 2 ** 32 / RARITY) return at;
  }
  return undefined;
}

function lastLooked(from: number, filled: number): number {
  return from + Math.max(0, Math.floor((filled - from) / SECTOR)) * SECTOR;
}
