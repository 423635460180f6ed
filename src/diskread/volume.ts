import { type Bytes, textOf, uuidOf } from './bytes.ts';
import { openExt4 } from './ext4.ts';
import { openFat } from './fat.ts';

/** A name in a file system. */
export interface VolumeEntry {
  /** Absolute within the file system. */
  readonly path: string;
  readonly type: 'file' | 'dir' | 'symlink' | 'other';
  /** Absent where the file system has none. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly size: number;
  readonly link?: string;
  /** The bytes of a file. */
  readonly read: () => Buffer;
}

/** A file system that can be read. */
export interface Volume {
  /** Parents before children, by name. */
  entries(): Iterable<VolumeEntry>;
}

/** What a partition holds. */
export interface FoundFs {
  readonly kind: 'fat' | 'ext4' | 'squashfs' | 'erofs' | 'iso9660' | 'swap' | 'verity';
  readonly label: string;
  readonly uuid: string;
  /** Absent where the content is not read. */
  readonly volume?: Volume;
  /** Of a tree of hashes: what it is of (veritysetup(8), the superblock's version 1). */
  readonly verity?: {
    readonly algorithm: string;
    readonly dataBlocks: number;
    readonly salt: string;
  };
}

const head = (bytes: Bytes, at: number, length: number): Buffer =>
  at + length <= bytes.size ? bytes.read(at, length) : Buffer.alloc(length);

/** The file system at the beginning of a partition, by its magic number; undefined where none is known. */
export function findFs(bytes: Bytes): FoundFs | undefined {
  const first = head(bytes, 0, 512);
  const second = head(bytes, 1024, 512);
  if (second.readUInt16LE(56) === 0xef53) return openExt4(bytes);
  if (second.readUInt32LE(0) === 0xe0f5_e1e2)
    return {
      kind: 'erofs',
      label: textOf(second.subarray(64, 80)),
      uuid: uuidOf(second.subarray(48, 64)),
    };
  if (first.toString('latin1', 0, 4) === 'hsqs') return { kind: 'squashfs', label: '', uuid: '' };
  if (first.toString('latin1', 0, 8) === 'verity\0\0')
    return {
      kind: 'verity',
      label: '',
      uuid: uuidOf(first.subarray(16, 32)),
      verity: {
        algorithm: textOf(first.subarray(32, 64)),
        dataBlocks: Number(first.readBigUInt64LE(72)),
        salt: first.toString('hex', 88, 88 + Math.min(256, first.readUInt16LE(80))),
      },
    };
  if (head(bytes, 4086, 10).toString('latin1') === 'SWAPSPACE2')
    return {
      kind: 'swap',
      label: textOf(head(bytes, 1052, 16)),
      uuid: uuidOf(head(bytes, 1036, 16)),
    };
  // The letters of ECMA-119, 8.4.2.
  if (head(bytes, 32_769, 5).readUIntBE(0, 5) === 0x43_44_30_30_31)
    return { kind: 'iso9660', label: textOf(head(bytes, 32_808, 32)), uuid: '' };
  const fat = [first.toString('latin1', 54, 57), first.toString('latin1', 82, 85)];
  if (first.readUInt16LE(510) === 0xaa55 && fat.includes('FAT')) return openFat(bytes);
  return undefined;
}
