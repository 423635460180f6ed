/** Bytes that can be read anywhere: a file, a disk inside one, a partition of it. */
export interface Bytes {
  readonly size: number;
  /** Exactly `length` bytes. Throws `DamagedDisk` when there are not as many. */
  read(at: number, length: number): Buffer;
}

/** What is read is not what its format says. Nothing but `readDisk` catches it. */
export class DamagedDisk extends Error {
  override readonly name = 'DamagedDisk';
}

/** More than any structure of a disk that is read at once. */
export const MAX_READ = 512 * 1024 * 1024;

/** A part of other bytes. */
export function partOf(bytes: Bytes, start: number, size: number): Bytes {
  if (start < 0 || size < 0 || start + size > bytes.size)
    throw new DamagedDisk(
      `a part from ${start} to ${start + size} is behind the end, ${bytes.size}`,
    );
  return {
    size,
    read: (at, length) => {
      if (at < 0 || length < 0 || at + length > size)
        throw new DamagedDisk(`${length} bytes at ${at} are behind the end, ${size}`);
      return bytes.read(start + at, length);
    },
  };
}

/** A number of 64 bits that stands for a place. */
export function place(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER))
    throw new DamagedDisk(`${value} is no place on a disk`);
  return Number(value);
}

/** Text up to the first NUL. */
export const textOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes).toString('utf8').replace(/\0.*$/s, '').trimEnd();

/** A GUID as UEFI stores it: the first three fields little-endian (UEFI 2.10, appendix A). */
export function guidOf(bytes: Buffer): string {
  const hex = (from: number, to: number): string => bytes.toString('hex', from, to);
  const turned = (from: number, to: number): string =>
    Buffer.from(bytes.subarray(from, to)).reverse().toString('hex');
  return [turned(0, 4), turned(4, 6), turned(6, 8), hex(8, 10), hex(10, 16)]
    .join('-')
    .toUpperCase();
}

/** A UUID in the order in which it is written (RFC 9562). */
export const uuidOf = (bytes: Buffer): string =>
  bytes.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
