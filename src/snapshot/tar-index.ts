import { crc32 } from 'node:zlib';
import { type TarEntry, TarReader } from '../archive/index.ts';
import { bytesOfName, err, FailureError, ok, type Result } from '../base/index.ts';
import type { PackedEntry } from '../ports/index.ts';
import { OVERLAY_XATTRS } from './disk-entry.ts';
import { parentOf } from './layer-path.ts';
import { cleanName, entryFailure } from './member.ts';
import type { StoredData } from './pack-data.ts';

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';
/** What file systems hold of the attributes of one file at least (a block of ext4, less its headers). */
const XATTR_ROOM = 3000;
/** The longest name of an attribute (linux/limits.h). */
const XATTR_NAME_MAX = 255;
/** Times that ext4 can hold, in seconds. */
const TIMES = [-(2n ** 31n), 2n ** 33n] as const;
const SECOND = 1_000_000_000n;

/** An extracted layer's root, as it is made. */
const ROOT: PackedEntry = {
  type: 'dir',
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtimeNs: 0n,
  xattrs: new Map(),
};

/** Something that only an extraction can settle: thrown and caught within this file. */
class Unusual extends Error {}

/**
 * Reads a layer tar without making anything of it: its entries, and where in the stream the data of its files is. The
 * answer is undefined when the layer has to be extracted: it takes something from the layers below (`LayerExtractor`), goes
 * through its own links, replaces its own entries, or has what not every file system would take. Reads the whole stream
 * but after a failure.
 */
export async function indexTar(
  tar: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<Result<ReadonlyMap<string, PackedEntry> | undefined>> {
  const reader = new TarReader(tar);
  const indexer = new Indexer(reader);
  let last = '';
  try {
    for (;;) {
      signal.throwIfAborted();
      const next = await reader.next();
      if (!next.ok) return next;
      if (next.value === undefined) break;
      last = next.value.name;
      await indexer.add(next.value);
      if (!indexer.isUsual) break;
    }
    await reader.drain();
  } catch (e) {
    const failed = entryFailure(last, e);
    if (failed instanceof FailureError) return err(failed.failure);
    throw failed;
  } finally {
    await reader.close();
  }
  return ok(indexer.isUsual ? indexer.entries : undefined);
}

class Indexer {
  readonly entries = new Map<string, PackedEntry>([['/', ROOT]]);
  isUsual = true;
  readonly #reader: TarReader;

  constructor(reader: TarReader) {
    this.#reader = reader;
  }

  async add(member: TarEntry): Promise<void> {
    try {
      await this.#add(member);
    } catch (e) {
      // A refused name is refused by the extraction, which says why.
      if (!(e instanceof Unusual || (e instanceof FailureError && e.failure.code === 'ST301')))
        throw e;
      this.isUsual = false;
    }
  }

  async #add(member: TarEntry): Promise<void> {
    const path = cleanName(member.name, member.name);
    if (path === '/') return;
    const parent = parentOf(path);
    if (this.entries.get(parent)?.type !== 'dir') throw new Unusual();
    const base = path.slice(parent === '/' ? 1 : parent.length + 1);
    if (base === OPAQUE) this.#makeOpaque(parent);
    else if (base.startsWith(WHITEOUT)) this.#whiteout(parent, base.slice(WHITEOUT.length));
    else if (member.type === 'hardlink') this.#hardLink(path, member);
    else await this.#entry(path, member);
  }

  async #entry(path: string, member: TarEntry): Promise<void> {
    const { type, mode, uid, gid, mtimeNs, link, device } = member;
    if (type === 'hardlink') throw new Error('hard links are made elsewhere');
    const before = this.entries.get(path);
    // What was in a directory is gone with it.
    if (before?.type === 'dir' && type !== 'dir') throw new Unusual();
    const opaque = type === 'dir' && this.#hides(before);
    check(member);
    const xattrs = xattrsOf(member);
    if (before?.type === 'dir' && before.xattrs.size + xattrs.size > 0) throw new Unusual();
    const data = type === 'file' ? await this.#data(member.size) : undefined;
    const entry = { type, mode, uid, gid, mtimeNs, xattrs, link, device, data, opaque };
    this.entries.set(path, entry);
  }

  /** Whether a directory hides what is below: it stands in the place of a whiteout, or did so already. */
  #hides(before: PackedEntry | undefined): boolean {
    if (before === undefined) return false;
    if (before.type === 'whiteout') return true;
    if (before.type !== 'dir') throw new Unusual();
    return before.opaque === true;
  }

  async #data(size: number): Promise<StoredData> {
    const offset = this.#reader.dataOffset;
    const whole = this.#reader.dataNow();
    let crc = whole === undefined ? 0 : crc32(whole);
    if (whole === undefined) for await (const part of this.#reader.data()) crc = crc32(part, crc);
    return { kind: 'small', offset, size, crc, source: -1 };
  }

  #makeOpaque(path: string): void {
    const dir = this.entries.get(path);
    if (path === '/' || dir === undefined) throw new Unusual();
    this.entries.set(path, { ...dir, opaque: true });
  }

  #whiteout(parent: string, hidden: string): void {
    if (hidden === '' || hidden === '.' || hidden === '..') throw new Unusual();
    if (hidden.startsWith(WHITEOUT)) return;
    const path = parent === '/' ? `/${hidden}` : `${parent}/${hidden}`;
    const own = this.entries.get(path);
    if (own === undefined) this.entries.set(path, { ...ROOT, type: 'whiteout', mode: 0 });
    else if (own.type === 'dir') this.#makeOpaque(path);
  }

  #hardLink(path: string, member: TarEntry): void {
    const target = cleanName(member.link ?? '', member.name);
    const entry = this.entries.get(target);
    if (entry === undefined || entry.type === 'dir' || entry.type === 'whiteout')
      throw new Unusual();
    if (target === path) return;
    const before = this.entries.get(path);
    if (before !== undefined && before.type !== 'whiteout') throw new Unusual();
    this.entries.set(path, entry);
  }
}

/** Throws for what a file system may refuse or hold otherwise than it is given. */
function check({ type, link, device, mtimeNs, name }: TarEntry): void {
  const length = bytesOfName(link ?? '').length;
  const isOdd =
    (type === 'symlink' && (length === 0 || length > 4095)) ||
    (type === 'char' && device?.major === 0 && device.minor === 0) ||
    (device !== undefined && (device.major > 0xfff || device.minor > 0xfffff)) ||
    mtimeNs < TIMES[0] * SECOND ||
    mtimeNs > TIMES[1] * SECOND ||
    name.length > 4000;
  if (isOdd) throw new Unusual();
}

/** Whether the kernel takes the bytes for capabilities of a file (linux/capability.h: revisions 2 and 3). */
function isCapabilityData(value: Uint8Array): boolean {
  const revision = value[3];
  return (value.length === 20 && revision === 2) || (value.length === 24 && revision === 3);
}

/** The attributes that an extraction would set. */
function xattrsOf({ type, xattrs }: TarEntry): ReadonlyMap<string, Uint8Array> {
  if (xattrs.size === 0) return xattrs;
  let size = 0;
  for (const [name, value] of xattrs) {
    const isCapability = name === 'security.capability';
    if (!isCapability && !/^(?:user|trusted)\.[^\0]+$/.test(name)) throw new Unusual();
    if (bytesOfName(name).length > XATTR_NAME_MAX) throw new Unusual();
    if (isCapability && (type !== 'file' || !isCapabilityData(value))) throw new Unusual();
    size += name.length + value.length + 16;
  }
  if (size > XATTR_ROOM) throw new Unusual();
  const isHeld = (name: string): boolean =>
    !OVERLAY_XATTRS.some((prefix) => name.startsWith(prefix)) &&
    (type === 'file' || type === 'dir' || !name.startsWith('user.'));
  return new Map([...xattrs].filter(([name]) => isHeld(name)));
}
