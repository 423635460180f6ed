import { bytesOfName, INODE_TYPES, type InodeType } from '../base/index.ts';
import { type Dirent, directorySize, withDots, writeDirectory } from './directory.ts';
import { encodeXattrs, xattrUnits } from './xattrs.ts';

/*
 * EROFS, the kernel's read-only file system ("Core on-disk format" of its documentation; `fs/erofs/erofs_fs.h`), as far as
 * it is needed to describe files whose data lies elsewhere: inodes of 64 bytes, directories, links and attributes in the
 * image, the data of regular files on further devices, each of which is a range of block addresses behind those of the image.
 */
const MAGIC = 0xe0f5e1e2;
const SUPER = 1024;
const SUPER_SIZE = 128;
const DEVICE_SLOT = 128;
const DEVICE_TABLE = 0x8;
const SLOT = 32;
const INODE = 64;
/** `i_format` of an inode of 64 bytes: its data in blocks, or behind the inode. */
const PLAIN = 1;
const INLINE = 1 | (2 << 1);
/** Data of directories and links up to this size stands behind the inode. */
const INLINE_LIMIT = 384;
const SECOND = 1_000_000_000n;
/** Block addresses have 32 bits, the last of which stands for a hole. */
const BLOCK_LIMIT = 2 ** 32 - 1;

/** One inode. */
export interface ErofsNode {
  readonly type: InodeType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
  readonly link?: string | undefined;
  readonly rdev?: { readonly major: number; readonly minor: number } | undefined;
  /** Bytes of a regular file. */
  readonly size: number;
  /** Device that has them, by place in `ErofsTree.devices`, and where they begin: a multiple of the block size. */
  readonly device: number;
  readonly offset: number;
}

/** A tree by rows: the root is row 0, a directory stands before what is in it, names of a directory in byte order. */
export interface ErofsTree {
  readonly rows: number;
  /** Undefined for a row that is not part of the tree. */
  type(row: number): InodeType | undefined;
  parent(row: number): number;
  name(row: number): Uint8Array;
  /** Rows with the same number are names of one inode; 0: the only name. */
  group(row: number): number;
  node(row: number): ErofsNode;
  /** Bytes of the devices. */
  readonly devices: readonly number[];
}

/** Options of `writeErofs`. */
export interface ErofsOptions {
  /** log2 of the block size, 9 to 12: the data of files begins at multiples of it. */
  readonly blockBits: number;
  /** 16 bytes that name the image. */
  readonly uuid: Uint8Array;
}

/**
 * The image of a tree; undefined when something in it has no place there: an attribute of a kind that the format does not
 * know, data that does not begin at a block, more blocks than can be counted.
 */
export function writeErofs(tree: ErofsTree, options: ErofsOptions): Uint8Array | undefined {
  const image = new Image(tree, options);
  return image.place() ? image.write() : undefined;
}

class Image {
  readonly #tree: ErofsTree;
  readonly #options: ErofsOptions;
  readonly #block: number;
  /** First child and next sibling of each row; 0: none. */
  readonly #first: Uint32Array;
  readonly #next: Uint32Array;
  /** The first row of each group: its inode is that of all. */
  readonly #owner = new Map<number, number>();
  readonly #links: Uint32Array;
  /** Where the inode of a row begins, in slots. */
  readonly #nid: Uint32Array;
  /** Where the data of a directory or link begins that does not stand behind its inode, in blocks of the data area. */
  readonly #dataAt: Uint32Array;
  readonly #metaAt: number;
  #metaSize = INODE;
  #dataBlocks = 0;
  #inodes = 0;
  /** The block address at which each device begins. */
  #deviceAt: readonly number[] = [];

  constructor(tree: ErofsTree, options: ErofsOptions) {
    this.#tree = tree;
    this.#options = options;
    this.#block = 2 ** options.blockBits;
    this.#first = new Uint32Array(tree.rows);
    this.#next = new Uint32Array(tree.rows);
    this.#links = new Uint32Array(tree.rows);
    this.#nid = new Uint32Array(tree.rows);
    this.#dataAt = new Uint32Array(tree.rows);
    this.#metaAt = this.#blocks(SUPER + SUPER_SIZE + tree.devices.length * DEVICE_SLOT);
    for (let row = tree.rows - 1; row > 0; row--) {
      if (tree.type(row) === undefined) continue;
      if (tree.group(row) !== 0) this.#owner.set(tree.group(row), row);
      const parent = tree.parent(row);
      this.#next[row] = this.#first[parent] ?? 0;
      this.#first[parent] = row;
    }
  }

  /** Decides where everything stands. */
  place(): boolean {
    const { rows } = this.#tree;
    for (let row = 0; row < rows; row++) {
      const type = this.#tree.type(row);
      if (type === undefined) continue;
      const owner = this.#ownerOf(row);
      this.#links[owner] = (this.#links[owner] ?? 0) + (type === 'dir' ? 2 : 1);
      if (type === 'dir' && row !== 0) {
        const parent = this.#tree.parent(row);
        this.#links[parent] = (this.#links[parent] ?? 0) + 1;
      }
      if (owner === row && !this.#placeInode(row)) return false;
    }
    let at = this.#imageBlocks();
    this.#deviceAt = this.#tree.devices.map((bytes) => {
      at += this.#blocks(bytes);
      return at - this.#blocks(bytes);
    });
    return at < BLOCK_LIMIT;
  }

  #ownerOf(row: number): number {
    return this.#owner.get(this.#tree.group(row)) ?? row;
  }

  #placeInode(row: number): boolean {
    const node = this.#tree.node(row);
    const xattrs = encodeXattrs(node.xattrs);
    if (xattrs === undefined) return false;
    if (node.type === 'file' && node.size > 0 && node.offset % this.#block !== 0) return false;
    const size = this.#ownSize(row, node);
    const isInline = size <= INLINE_LIMIT;
    if (isInline)
      // The data behind an inode does not cross the end of a block.
      while (((this.#metaSize + INODE + xattrs.length) % this.#block) + size > this.#block)
        this.#metaSize += SLOT;
    else {
      this.#dataAt[row] = this.#dataBlocks;
      this.#dataBlocks += this.#blocks(size);
    }
    this.#nid[row] = this.#metaSize / SLOT;
    const end = this.#metaSize + INODE + xattrs.length + (isInline ? size : 0);
    this.#metaSize = Math.ceil(end / SLOT) * SLOT;
    this.#inodes++;
    return true;
  }

  /** Bytes that the image itself holds for an inode. */
  #ownSize(row: number, node: ErofsNode): number {
    if (node.type === 'dir') return directorySize(this.#names(row), this.#block);
    return node.type === 'symlink' ? bytesOfName(node.link ?? '').length : 0;
  }

  #names(row: number): readonly Dirent[] {
    const names: Dirent[] = [];
    for (let child = this.#first[row] ?? 0; child !== 0; child = this.#next[child] ?? 0)
      names.push(this.#dirent(child, this.#tree.name(child)));
    const up = this.#tree.parent(row);
    return withDots(names, (name) => this.#dirent(name.length === 1 ? row : up, name));
  }

  #dirent(row: number, name: Uint8Array): Dirent {
    const type = this.#tree.type(row) ?? 'file';
    return { name, nid: this.#nid[this.#ownerOf(row)] ?? 0, type: INODE_TYPES[type][1] };
  }

  /** The bytes of the image. */
  write(): Uint8Array {
    const image = Buffer.alloc(this.#imageBlocks() * this.#block);
    this.#writeSuper(image);
    for (let row = 0; row < this.#tree.rows; row++)
      if (this.#tree.type(row) !== undefined && this.#ownerOf(row) === row)
        this.#writeInode(image, row);
    return image;
  }

  #writeSuper(image: Buffer): void {
    const { devices } = this.#tree;
    image.writeUInt32LE(MAGIC, SUPER);
    image[SUPER + 12] = this.#options.blockBits;
    image.writeUInt16LE(this.#nid[0] ?? 0, SUPER + 14);
    image.writeBigUInt64LE(BigInt(this.#inodes), SUPER + 16);
    image.writeUInt32LE(this.#imageBlocks(), SUPER + 36);
    image.writeUInt32LE(this.#metaAt, SUPER + 40);
    image.set(this.#options.uuid, SUPER + 48);
    if (devices.length === 0) return;
    image.writeUInt32LE(DEVICE_TABLE, SUPER + 80);
    image.writeUInt16LE(devices.length, SUPER + 86);
    image.writeUInt16LE((SUPER + SUPER_SIZE) / DEVICE_SLOT, SUPER + 88);
    for (const [i, bytes] of devices.entries()) {
      const slot = SUPER + SUPER_SIZE + i * DEVICE_SLOT;
      image.writeUInt32LE(this.#blocks(bytes), slot + 64);
      image.writeUInt32LE(this.#deviceAt[i] ?? 0, slot + 68);
    }
  }

  #writeInode(image: Buffer, row: number): void {
    const node = this.#tree.node(row);
    const own = this.#ownSize(row, node);
    const xattrs = encodeXattrs(node.xattrs) ?? new Uint8Array(0);
    const isInline = own > 0 && own <= INLINE_LIMIT;
    const at = this.#metaAt * this.#block + (this.#nid[row] ?? 0) * SLOT;
    const seconds = (node.mtimeNs - (((node.mtimeNs % SECOND) + SECOND) % SECOND)) / SECOND;
    image.writeUInt16LE(isInline ? INLINE : PLAIN, at);
    image.writeUInt16LE(xattrUnits(xattrs), at + 2);
    image.writeUInt16LE(INODE_TYPES[node.type][0] | node.mode, at + 4);
    image.writeBigUInt64LE(BigInt(node.type === 'file' ? node.size : own), at + 8);
    image.writeUInt32LE(this.#address(row, node, isInline ? 0 : own), at + 16);
    image.writeUInt32LE(row + 1, at + 20);
    image.writeUInt32LE(node.uid, at + 24);
    image.writeUInt32LE(node.gid, at + 28);
    image.writeBigInt64LE(seconds, at + 32);
    image.writeUInt32LE(Number(node.mtimeNs - seconds * SECOND), at + 40);
    image.writeUInt32LE(this.#links[row] ?? 1, at + 44);
    image.set(xattrs, at + INODE);
    if (own === 0) return;
    const data = isInline ? at + INODE + xattrs.length : this.#dataBlock(row) * this.#block;
    if (node.type === 'dir') writeDirectory(image, data, this.#names(row), this.#block);
    else image.set(bytesOfName(node.link ?? ''), data);
  }

  /** `i_u`: where the data begins, or the number of a device. */
  #address(row: number, node: ErofsNode, own: number): number {
    if (own > 0) return this.#dataBlock(row);
    if (node.type === 'file' && node.size > 0)
      return (this.#deviceAt[node.device] ?? 0) + node.offset / this.#block;
    if (node.type !== 'char' && node.type !== 'block') return 0;
    const { major, minor } = node.rdev ?? { major: 0, minor: 0 };
    return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
  }

  #dataBlock(row: number): number {
    return this.#metaAt + this.#blocks(this.#metaSize) + (this.#dataAt[row] ?? 0);
  }

  #imageBlocks(): number {
    return this.#metaAt + this.#blocks(this.#metaSize) + this.#dataBlocks;
  }

  #blocks(bytes: number): number {
    return Math.ceil(bytes / this.#block);
  }
}
