import { randomBytes } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type InodeType, isErrno } from '../base/index.ts';
import { type ErofsNode, type ErofsTree, writeErofs } from '../erofs/index.ts';
import { mountErofs, mountOverlay, unmountIfMounted } from '../sys/index.ts';
import { ALIGNMENT } from './pack-data.ts';
import { LARGE, OPAQUE, PADDED, type PackIndex } from './pack-index.ts';
import type { PackView } from './pack-view.ts';

/** The block size: the data of a tar's members begins at multiples of it, too. */
const BLOCK_BITS = Math.log2(ALIGNMENT);
/** Each large file is a device of its own, which the kernel opens with the layer. */
const MOST_DEVICES = 1024;
/** Where an image has its uuid. */
const UUID_AT = 1024 + 48;
const OPAQUE_YES: readonly [string, Uint8Array] = ['trusted.overlay.opaque', Buffer.from('y')];

/**
 * Packed layers mounted as EROFS, without a file of them being made: `erofs` beside their `data` describes it to the kernel.
 * It is written when the layer is mounted first, and again after another boot: only in one boot is what was written and not
 * synced the truth.
 */
export class ErofsForm {
  readonly #uuid: Buffer;

  /** `boot`: the id of the machine's boot. */
  constructor(boot: string) {
    this.#uuid = Buffer.from(boot.replaceAll('-', '').padEnd(32, '0').slice(0, 32), 'hex');
  }

  /** Mounts a layer at a directory; false when it cannot be described, and has to be extracted. */
  mount(pack: PackView, target: string): boolean {
    const image = join(pack.dir, 'erofs');
    if (!this.#isWritten(image) && !this.#write(pack, image)) return false;
    const large = largeRows(pack.index).map((row) => pack.largePath(row));
    mountErofs({ image, devices: [join(pack.dir, 'data'), ...large], target });
    return true;
  }

  #isWritten(image: string): boolean {
    try {
      const fd = openSync(image, 'r');
      try {
        const uuid = Buffer.alloc(16);
        return readSync(fd, uuid, 0, 16, UUID_AT) === 16 && uuid.equals(this.#uuid);
      } finally {
        closeSync(fd);
      }
    } catch (e) {
      if (isErrno(e, 'ENOENT')) return false;
      throw e;
    }
  }

  #write(pack: PackView, image: string): boolean {
    const bytes = imageOf(pack, this.#uuid);
    if (bytes === undefined) return false;
    const unfinished = `${image}.${randomBytes(4).toString('hex')}`;
    writeFileSync(unfinished, bytes, { flag: 'wx', mode: 0o600 });
    renameSync(unfinished, image);
    return true;
  }

  /** What keeps layers from being mounted below `work`, which is on the store's disk; undefined: nothing. */
  obstacle(work: string): string | undefined {
    const [image, data] = [join(work, 'probe'), join(work, 'probe.data')];
    const mounts = ['lower', 'merged'].map((name) => join(work, `mount-${name}`));
    const [lower = '', merged = ''] = mounts;
    const upper = { dir: join(work, 'probe.upper'), work: join(work, 'probe.work') };
    for (const dir of [...mounts, upper.dir, upper.work]) mkdirSync(dir);
    const text = Buffer.alloc(ALIGNMENT, 'a');
    writeFileSync(data, text);
    const bytes = writeErofs(probeTree(), { blockBits: BLOCK_BITS, uuid: this.#uuid });
    writeFileSync(image, bytes ?? '');
    try {
      mountErofs({ image, devices: [data], target: lower });
      mountOverlay({ lower: [lower], upper, target: merged, mixed: true });
      const read = readFileSync(join(merged, 'file'));
      return read.equals(text) ? undefined : 'a file reads otherwise than it was written';
    } catch (e) {
      if (!(e instanceof Error) || !('code' in e)) throw e;
      return e.message;
    } finally {
      for (const dir of mounts.reverse()) unmountIfMounted(dir);
      for (const path of [image, data]) rmSync(path, { force: true });
      for (const dir of [...mounts, upper.dir, upper.work])
        rmSync(dir, { recursive: true, force: true });
    }
  }
}

/** The image of a packed layer; undefined when it cannot be described. */
function imageOf(pack: PackView, uuid: Uint8Array): Uint8Array | undefined {
  const { index } = pack;
  const large = largeRows(index);
  const isBlocks = (row: number): boolean =>
    ((index.flags[row] ?? 0) & PADDED) !== 0 || (index.size[row] ?? 0) % ALIGNMENT === 0;
  if (large.length >= MOST_DEVICES || !large.every(isBlocks)) return undefined;
  const data = statSync(join(pack.dir, 'data')).size;
  if (data % ALIGNMENT !== 0) return undefined;
  return writeErofs(treeOf(index, data, large), { blockBits: BLOCK_BITS, uuid });
}

/** Whether the image beside a packed layer, if there is one, is what the layer's index gives; whatever boot it is of. */
export function isImageSound(pack: PackView): boolean {
  try {
    const written = readFileSync(join(pack.dir, 'erofs'));
    const made = imageOf(pack, written.subarray(UUID_AT, UUID_AT + 16));
    return made !== undefined && written.equals(made);
  } catch (e) {
    if (isErrno(e, 'ENOENT')) return true;
    throw e;
  }
}

/** Rows whose data is a file of its own, in the order of these files among the devices; names of one file are one row. */
function largeRows(index: PackIndex): number[] {
  const rows: number[] = [];
  const seen = new Set<number>();
  for (let row = 0; row < index.count; row++) {
    if (((index.flags[row] ?? 0) & LARGE) === 0 || seen.has(index.offset[row] ?? 0)) continue;
    seen.add(index.offset[row] ?? 0);
    rows.push(row);
  }
  return rows;
}

function treeOf(index: PackIndex, data: number, large: readonly number[]): ErofsTree {
  const sizes = large.map((row) => index.size[row] ?? 0);
  const devices = new Map(large.map((row, i) => [index.offset[row] ?? 0, i + 1]));
  return {
    rows: index.count,
    devices: [data, ...sizes],
    type: (row) => typeOf(index, row),
    parent: (row) => index.parent[row] ?? 0,
    name: (row) => index.nameBytes(row),
    group: (row) => index.group[row] ?? 0,
    node: (row) => {
      const node = nodeOf(index, row);
      if (((index.flags[row] ?? 0) & LARGE) === 0) return node;
      return { ...node, device: devices.get(node.offset) ?? 0, offset: 0 };
    },
  };
}

function typeOf(index: PackIndex, row: number): InodeType | undefined {
  const type = index.type(row);
  if (type === 'hidden') return undefined;
  return type === 'whiteout' ? 'char' : type;
}

function nodeOf(index: PackIndex, row: number): ErofsNode {
  const extra = index.extra(row);
  const isOpaque = ((index.flags[row] ?? 0) & OPAQUE) !== 0;
  const xattrs = extra?.xattrs ?? NO_XATTRS;
  return {
    type: typeOf(index, row) ?? 'file',
    mode: index.mode[row] ?? 0,
    uid: index.uid[row] ?? 0,
    gid: index.gid[row] ?? 0,
    mtimeNs: index.mtimeNs[row] ?? 0n,
    xattrs: isOpaque ? new Map([...xattrs, OPAQUE_YES]) : xattrs,
    link: extra?.link,
    rdev: extra?.device,
    size: index.size[row] ?? 0,
    device: 0,
    offset: index.offset[row] ?? 0,
  };
}

const NO_XATTRS: ReadonlyMap<string, Uint8Array> = new Map();

/** A directory with one file of one block. */
function probeTree(): ErofsTree {
  const common = { uid: 0, gid: 0, mtimeNs: 0n, xattrs: NO_XATTRS, device: 0, offset: 0 };
  const nodes: readonly ErofsNode[] = [
    { ...common, type: 'dir', mode: 0o755, size: 0 },
    { ...common, type: 'file', mode: 0o644, size: ALIGNMENT },
  ];
  return {
    rows: nodes.length,
    devices: [ALIGNMENT],
    type: (row) => nodes[row]?.type,
    parent: () => 0,
    name: () => Buffer.from('file'),
    group: () => 0,
    node: (row) => nodes[row] ?? probeFailure(row),
  };
}

function probeFailure(row: number): never {
  throw new Error(`the probe has no row ${row}`);
}
