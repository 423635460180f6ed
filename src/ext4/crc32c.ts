const POLYNOMIAL = 0x82f63b78;

/** `TABLES[i * 256 + byte]`: a byte that `i` further bytes follow, so that eight are taken at once. */
const TABLES = ((): Int32Array => {
  const tables = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ POLYNOMIAL;
    tables[byte] = crc;
  }
  for (let i = 256; i < 8 * 256; i++) {
    const before = tables[i - 256] ?? 0;
    tables[i] = (before >>> 8) ^ (tables[before & 0xff] ?? 0);
  }
  return tables;
})();

/** The Castagnoli CRC as ext4 uses it: nothing is inverted, the caller begins with what came before (or `~0`). */
export function crc32c(seed: number, bytes: Buffer, from = 0, to = bytes.length): number {
  const t = TABLES;
  let crc = seed | 0;
  let at = from;
  // Words are read through a view, many times faster than through methods of the buffer; it begins at a multiple of 4.
  if (((bytes.byteOffset + from) & 3) === 0) {
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + from, (to - from) >> 2);
    const pairs = words.length & ~1;
    for (let i = 0; i < pairs; i += 2) {
      // Both indexes are within the view, and the tables have every index of a byte.
      const low = (words[i] as number) ^ crc;
      const high = words[i + 1] as number;
      crc =
        (t[1792 + (low & 0xff)] as number) ^
        (t[1536 + ((low >>> 8) & 0xff)] as number) ^
        (t[1280 + ((low >>> 16) & 0xff)] as number) ^
        (t[1024 + (low >>> 24)] as number) ^
        (t[768 + (high & 0xff)] as number) ^
        (t[512 + ((high >>> 8) & 0xff)] as number) ^
        (t[256 + ((high >>> 16) & 0xff)] as number) ^
        (t[high >>> 24] as number);
    }
    at += pairs * 4;
  }
  for (; at < to; at++) crc = (crc >>> 8) ^ (t[(crc ^ (bytes[at] ?? 0)) & 0xff] ?? 0);
  return crc >>> 0;
}
