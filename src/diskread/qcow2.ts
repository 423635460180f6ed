import { inflateRawSync } from 'node:zlib';
import { type Bytes, DamagedDisk, place } from './bytes.ts';

/** `QFI\xfb`. */
export const QCOW2_MAGIC = 0x51_46_49_fb;

const INCOMPATIBLE = { externalData: 1n << 2n, extendedL2: 1n << 4n } as const;
const OFFSET = 0x00ff_ffff_ffff_fe00n;
const COMPRESSED = 1n << 62n;

/**
 * The disk inside a QCOW2 file (QEMU, docs/interop/qcow2.rst), version 2 or 3, with or without compressed clusters. Files
 * that need another file, and encrypted ones, are refused.
 */
export function openQcow2(file: Bytes): Bytes {
  const header = file.read(0, 104);
  const version = header.readUInt32BE(4);
  const bits = header.readUInt32BE(20);
  const size = place(header.readBigUInt64BE(24));
  const features = version >= 3 ? header.readBigUInt64BE(72) : 0n;
  if (version !== 2 && version !== 3)
    throw new DamagedDisk(`version ${version} of QCOW2 is not known`);
  if (bits < 9 || bits > 21) throw new DamagedDisk(`clusters of 2^${bits} bytes`);
  if (header.readBigUInt64BE(8) !== 0n) throw new DamagedDisk('it needs a backing file');
  if (header.readUInt32BE(32) !== 0) throw new DamagedDisk('it is encrypted');
  if ((features & (INCOMPATIBLE.externalData | INCOMPATIBLE.extendedL2)) !== 0n)
    throw new DamagedDisk('it has data in another file, or extended tables');
  if (version >= 3 && header.readUInt32BE(100) > 104 && file.read(104, 1)[0] !== 0)
    throw new DamagedDisk('its clusters are not compressed by deflate');
  const cluster = 2 ** bits;
  const perTable = cluster / 8;
  const needed = Math.ceil(size / cluster / perTable);
  if (header.readUInt32BE(36) < needed) throw new DamagedDisk('its first table is too short');
  const l1 = file.read(place(header.readBigUInt64BE(40)), needed * 8);
  let known: { readonly at: number; readonly table: Buffer } | undefined;

  const entryOf = (index: number): bigint => {
    const at = place(l1.readBigUInt64BE(Math.floor(index / perTable) * 8) & OFFSET);
    if (at === 0) return 0n;
    if (known?.at !== at) known = { at, table: file.read(at, cluster) };
    return known.table.readBigUInt64BE((index % perTable) * 8);
  };
  const readCluster = (index: number): Buffer => {
    const entry = entryOf(index);
    if ((entry & COMPRESSED) !== 0n) return unpacked(file, entry, bits);
    const at = place(entry & OFFSET);
    return at === 0 || (entry & 1n) !== 0n ? Buffer.alloc(cluster) : readUpTo(file, at, cluster);
  };
  return {
    size,
    read: (at, length) => {
      if (at < 0 || length < 0 || at + length > size)
        throw new DamagedDisk(`${length} bytes at ${at} are behind the end, ${size}`);
      const out = Buffer.allocUnsafe(length);
      for (let done = 0; done < length; ) {
        const from = at + done;
        const within = from % cluster;
        const part = readCluster(Math.floor(from / cluster)).subarray(
          within,
          within + length - done,
        );
        part.copy(out, done);
        done += part.length;
      }
      return out;
    },
  };
}

/** The last cluster of a file may be cut short. */
function readUpTo(file: Bytes, at: number, length: number): Buffer {
  const there = Math.max(0, Math.min(length, file.size - at));
  return there === length
    ? file.read(at, length)
    : Buffer.concat([file.read(at, there), Buffer.alloc(length - there)]);
}

function unpacked(file: Bytes, entry: bigint, bits: number): Buffer {
  const width = BigInt(62 - (bits - 8));
  const at = place(entry & ((1n << width) - 1n));
  const sectors = Number((entry >> width) & ((1n << BigInt(bits - 8)) - 1n)) + 1;
  const packed = readUpTo(file, at, sectors * 512 - (at % 512));
  const options = { maxOutputLength: 2 ** bits };
  try {
    // What follows the stream within its sectors belongs to another cluster.
    return inflateRawSync(packed, options);
  } catch (e) {
    throw new DamagedDisk('a compressed cluster cannot be read', { cause: e });
  }
}
