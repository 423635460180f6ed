import { bytesOfName, err, ok, type Result } from '../base/index.ts';
import { crc32c } from './crc32c.ts';
import { type Dirent, directoryBlocks, emptyBlock, writeDirectory } from './directory.ts';
import { addBlocks, type Extent, extentTree } from './extents.ts';
import {
  BLOCK,
  DoesNotFit,
  type Ext4Options,
  type Ext4Source,
  type Ext4Target,
  FIRST_INODE,
  GROUP,
  JOURNAL_INODE,
  ROOT_INODE,
} from './format.ts';
import { deviceBlocks, type InodeFacts, XATTR_ROOM } from './inode.ts';
import { InodeTable, type NewInode } from './inode-table.ts';
import { Output } from './output.ts';
import { type Row, readRows } from './rows.ts';
import { geometryOf, hasCopy, Space } from './space.ts';
import { descriptors, inodeBitmap, journalHead, type Placed, superBlock } from './super.ts';
import { encodeXattrs } from './xattrs.ts';

/** Bytes that a file system which fits its content has beside it. */
const SPARE = 64 * 1024 * 1024;
const MIB = 1024 * 1024;
/** Blocks of `lost+found`, where a repair puts what it finds: it has no time to ask for more. */
const LOST_BLOCKS = 4;
/** A symbolic link shorter than this stands in its inode. */
const SHORT_LINK = 60;
/** Rows after which other work of the process is let in. */
const PAUSE = 256;

/**
 * Writes an ext4 file system with the files of a tree, and answers its size in bytes. The bytes depend on the tree and the
 * options alone: everything is placed in the order of paths, and blocks of zeros in files are holes.
 */
export async function writeExt4(
  source: Ext4Source,
  target: Ext4Target,
  options: Ext4Options,
): Promise<Result<number, string>> {
  try {
    const image = new Image(await readRows(source, options.signal), { source, target, options });
    await image.write();
    return ok(image.size);
  } catch (e) {
    if (e instanceof DoesNotFit) return err(e.message);
    throw e;
  }
}

/** Bytes of a file system that fits its content. */
function sizeFor(rows: readonly Row[]): number {
  let blocks = 0;
  for (const { node, names } of rows)
    blocks +=
      names === undefined
        ? Math.ceil(node.size / BLOCK)
        : directoryBlocks(names.map((n) => n.name));
  const bytes = (blocks * BLOCK + rows.length * 2048) * 1.15 + SPARE;
  return Math.floor(bytes / MIB) * MIB;
}

/** What the superblock repeats of the journal: its blocks, and its size with the upper half first. */
function keptOf({ own, size }: InodeFacts): Buffer {
  const kept = Buffer.alloc(68);
  kept.set(own);
  kept.writeUInt32LE(Math.floor(size / 2 ** 32), 60);
  kept.writeUInt32LE(size % 2 ** 32, 64);
  return kept;
}

class Image {
  readonly #source: Ext4Source;
  readonly #target: Ext4Target;
  readonly #options: Ext4Options;
  readonly #rows: readonly Row[];
  readonly #space: Space;
  readonly #out: Output;
  /** The beginning of every checksum. */
  readonly #seed: number;
  readonly size: number;
  readonly #ownLost: boolean;

  constructor(
    { rows, ownLost }: Awaited<ReturnType<typeof readRows>>,
    {
      source,
      target,
      options,
    }: {
      readonly source: Ext4Source;
      readonly target: Ext4Target;
      readonly options: Ext4Options;
    },
  ) {
    this.#source = source;
    this.#target = target;
    this.#options = options;
    this.#rows = rows;
    this.#ownLost = ownLost;
    this.size = options.size ?? sizeFor(rows);
    this.#space = new Space(geometryOf(this.size, Math.ceil((rows.length + FIRST_INODE) * 1.1)));
    this.#out = new Output(this.#space, target);
    this.#seed = crc32c(~0, Buffer.from(options.uuid));
  }

  async write(): Promise<void> {
    const { geometry } = this.#space;
    const blockBitmaps = this.#space.run(geometry.groups);
    const inodeBitmaps = this.#space.run(geometry.groups);
    const tables = Array.from({ length: geometry.groups }, () =>
      this.#space.run(geometry.tableBlocks),
    );
    const table = new InodeTable(this.#target, tables, geometry.inodesPerGroup);
    const journal = this.#journal();
    await this.#inodes(table, journal);
    this.#out.finish();
    table.finish();
    const lastInode = this.#rows.at(-1)?.number ?? 0;
    const placed: Placed = {
      ...{ space: this.#space, blockBitmaps, inodeBitmaps, tables, dirsOfGroup: table.dirs },
      lastInode: Math.max(lastInode, FIRST_INODE),
      ...(journal === undefined ? {} : { journal: keptOf(journal.facts) }),
    };
    this.#finish(placed);
  }

  /** Bitmaps, descriptors and superblock, and the copies of the last two. */
  #finish(placed: Placed): void {
    const { geometry, bitmap } = this.#space;
    this.#target.write(bitmap, placed.blockBitmaps * BLOCK);
    const table = descriptors(placed, this.#seed);
    for (let group = 0; group < geometry.groups; group++) {
      const own = inodeBitmap(geometry, placed.lastInode, group);
      this.#target.write(own, (placed.inodeBitmaps + group) * BLOCK);
      if (!hasCopy(group)) continue;
      const at = group * GROUP * BLOCK;
      this.#target.write(superBlock(placed, this.#options, group), group === 0 ? 1024 : at);
      this.#target.write(table, at + BLOCK);
    }
  }

  #seedOf(number: number): number {
    const own = Buffer.alloc(8);
    own.writeUInt32LE(number);
    // The generation behind the number is 0.
    return crc32c(this.#seed, own);
  }

  /** Blocks without data: the rest of the journal is never read before it is written. */
  #journal(): NewInode | undefined {
    const { journalBlocks } = this.#space.geometry;
    if (journalBlocks === 0) return undefined;
    const extents: Extent[] = [];
    for (let at = 0; at < journalBlocks; ) {
      const count = Math.min(this.#space.room, journalBlocks - at);
      addBlocks(extents, at, this.#space.take(count), count);
      at += count;
    }
    const head = journalHead(journalBlocks, this.#options.uuid);
    this.#target.write(head, (extents[0]?.start ?? 0) * BLOCK);
    const node = { type: 'file', mode: 0o600, uid: 0, gid: 0, mtimeNs: this.#epochNs } as const;
    const facts = this.#inExtents(JOURNAL_INODE, extents, {
      size: journalBlocks * BLOCK,
      links: 1,
    });
    return { node, facts, epoch: this.#options.epoch };
  }

  get #epochNs(): bigint {
    return BigInt(this.#options.epoch) * 1_000_000_000n;
  }

  #inExtents(
    number: number,
    extents: readonly Extent[],
    { size, links }: { readonly size: number; readonly links: number },
  ): InodeFacts {
    const seed = this.#seedOf(number);
    let blocks = extents.reduce((sum, { length }) => sum + length, 0);
    const own = extentTree(extents, seed, (node) => {
      blocks++;
      return this.#out.block(node);
    });
    return { number, links, size, blocks, own, isInExtents: true, xattrBlock: 0, seed };
  }

  /** Directories first, so that names stand together; inodes in the order of their numbers. */
  async #inodes(table: InodeTable, journal: NewInode | undefined): Promise<void> {
    const dirs = new Map<Row, InodeFacts>();
    for (const row of this.#rows) if (row.names !== undefined) dirs.set(row, this.#directory(row));
    const lost = this.#ownLost ? undefined : this.#lostAndFound();
    for (const [i, row] of this.#rows.entries()) {
      if (i % PAUSE === 0) {
        this.#options.signal.throwIfAborted();
        await new Promise(setImmediate);
      }
      const facts = dirs.get(row) ?? (await this.#content(row));
      table.add({
        node: row.node,
        facts: this.#withXattrs(row, facts),
        epoch: this.#options.epoch,
      });
      if (row.number !== ROOT_INODE) continue;
      if (journal !== undefined) table.add(journal);
      if (lost !== undefined) table.add(lost);
    }
  }

  #directory(row: Row): InodeFacts {
    const { number, links, above } = row;
    const seed = this.#seedOf(number);
    const dirents: Dirent[] = (row.names ?? []).map(({ name, row: child }) => ({
      ...{ name, inode: child.number, type: child.node.type },
    }));
    if (number === ROOT_INODE && !this.#ownLost)
      dirents.push({ name: Buffer.from('lost+found'), inode: FIRST_INODE, type: 'dir' });
    const blocks = writeDirectory(dirents, { self: number, above: above?.number ?? number, seed });
    const facts = this.#blocksOf(number, blocks);
    const more = number === ROOT_INODE && !this.#ownLost ? 1 : 0;
    return { ...facts, links: links + more };
  }

  #blocksOf(number: number, blocks: Iterable<Buffer>): InodeFacts {
    const extents: Extent[] = [];
    let at = 0;
    for (const block of blocks) addBlocks(extents, at++, this.#out.block(block), 1);
    return this.#inExtents(number, extents, { size: at * BLOCK, links: 2 });
  }

  #lostAndFound(): NewInode {
    const seed = this.#seedOf(FIRST_INODE);
    const [first] = writeDirectory([], { self: FIRST_INODE, above: ROOT_INODE, seed });
    if (first === undefined) throw new Error('a directory has a block');
    const others = Array.from({ length: LOST_BLOCKS - 1 }, () => emptyBlock(seed));
    return {
      node: { type: 'dir', mode: 0o700, uid: 0, gid: 0, mtimeNs: this.#epochNs },
      facts: this.#blocksOf(FIRST_INODE, [first, ...others]),
      epoch: this.#options.epoch,
    };
  }

  async #content(row: Row): Promise<InodeFacts> {
    const { node, number, links } = row;
    const plain = { number, links, size: 0, blocks: 0, xattrBlock: 0, seed: this.#seedOf(number) };
    switch (node.type) {
      case 'file': {
        const extents: Extent[] = [];
        await this.#data(row, extents);
        return this.#inExtents(number, extents, { size: node.size, links });
      }
      case 'symlink': {
        const link = bytesOfName(node.link ?? '');
        if (link.length >= SHORT_LINK) {
          const facts = this.#blocksOf(number, [Buffer.concat([link], BLOCK)]);
          return { ...facts, links, size: link.length };
        }
        return { ...plain, size: link.length, own: Buffer.concat([link], 60), isInExtents: false };
      }
      default:
        return { ...plain, own: deviceBlocks(node), isInExtents: false };
    }
  }

  async #data({ path, node }: Row, extents: Extent[]): Promise<void> {
    if (node.size === 0) return;
    using data = this.#source.open(path);
    for (let done = 0; done < node.size; ) {
      const piece = this.#out.piece(node.size - done);
      for (let read = 0; read < piece.length; ) {
        const got = data.read(piece.buffer, piece.at + read, piece.length - read);
        const n = typeof got === 'number' ? got : await got;
        if (n === 0) throw new Error(`${path} has fewer than its ${node.size} bytes`);
        read += n;
      }
      this.#out.keep(piece.length, { extents, at: done / BLOCK });
      done += piece.length;
      if (done < node.size) {
        this.#options.signal.throwIfAborted();
        await new Promise(setImmediate);
      }
    }
  }

  #withXattrs({ node, path }: Row, facts: InodeFacts): InodeFacts {
    const xattrs = encodeXattrs(node.xattrs, XATTR_ROOM, path);
    if (xattrs.kind === 'none') return facts;
    if (xattrs.kind === 'inline') return { ...facts, xattrs: xattrs.bytes };
    const { bytes } = xattrs;
    const place = Buffer.alloc(8);
    const at = this.#out.place();
    place.writeBigUInt64LE(BigInt(at));
    bytes.writeUInt32LE(crc32c(crc32c(this.#seed, place), bytes), 16);
    return { ...facts, blocks: facts.blocks + 1, xattrBlock: this.#out.block(bytes) };
  }
}
