import { TAR_END, type TarEntry, type TarType, tarHeader, tarPadding } from '../archive/index.ts';
import { byUtf8 } from '../base/index.ts';
import type { FileEntry, FileTree } from '../cachekey/index.ts';
import { entryOf, isOpaque, isWhiteout, statOf } from './disk-entry.ts';
import { join, namesIn, parentOf } from './overlay-tree.ts';
import { readFile, readSmallFile } from './read-file.ts';

const SECOND = 1_000_000_000n;
const BATCH = 128 * 1024;
const SMALL = 64 * 1024;
const CAPABILITY = 'security.capability';

/** What a layer does to the tree below it, in the order of the archive. */
type Change =
  | { readonly kind: 'delete'; readonly path: string }
  | {
      readonly kind: 'set';
      readonly path: string;
      readonly entry: FileEntry;
      /** Equal to what is below: written only as the parent of another change. */
      readonly same: boolean;
    };

/** Options of `layerTar`. */
export interface LayerTarOptions {
  readonly signal: AbortSignal;
  readonly epoch?: number;
}

/**
 * The tar of a layer directory over the tree below it, entry by entry as containerd's overlay differ writes it, so that
 * equal layers have BuildKit's diffIDs: names in byte order of each directory, parents of changes included, nothing that
 * equals the tree below, whiteouts `.wh.<name>` with time zero also for what an opaque directory hides, hard links to the
 * first name, times in whole seconds, of the extended attributes `security.capability`, no sockets.
 */
export async function* layerTar(
  dir: string,
  lower: FileTree,
  options: LayerTarOptions,
): AsyncGenerator<Uint8Array> {
  const writer = new Batch();
  const written = new Set<string>(['/']);
  const firstNames = new Map<string, string>();
  const put = (path: string, entry: FileEntry): TarEntry => {
    const first = entry.inode === undefined ? undefined : firstNames.get(entry.inode);
    if (entry.inode !== undefined && first === undefined)
      firstNames.set(entry.inode, path.slice(1));
    if (entry.type === 'dir') written.add(path);
    const member = memberOf(path, entry, first, options.epoch);
    writer.add(tarHeader(member));
    return member;
  };
  for await (const change of changesOf(dir, lower, options.signal)) {
    options.signal.throwIfAborted();
    if (change.kind === 'set' && change.same) continue;
    for (const parent of parentsOf(change.path)) {
      if (written.has(parent)) continue;
      const stat = statOf(join(dir, parent));
      if (stat !== undefined) put(parent, entryOf(join(dir, parent), stat));
    }
    if (change.kind === 'delete') {
      writer.add(tarHeader(whiteout(change.path)));
    } else {
      const member = put(change.path, change.entry);
      const disk = join(dir, change.path);
      if (member.size > SMALL) {
        yield* writer.flush();
        yield* exactly(disk, member.size, options.signal);
      } else if (member.size > 0) {
        writer.add(readSmallFile(disk, member.size));
      }
      writer.add(tarPadding(member.size));
    }
    if (writer.size > BATCH) yield* writer.flush();
  }
  writer.add(TAR_END);
  yield* writer.flush();
}

/** Walks a layer directory; below an opaque directory that exists in the lower tree, with what that hides. */
async function* changesOf(
  dir: string,
  lower: FileTree,
  signal: AbortSignal,
  path = '/',
  opaque = false,
): AsyncGenerator<Change> {
  const names = new Set(namesIn(join(dir, path)));
  if (opaque) for (const name of lower.list(path)) names.add(name);
  for (const name of [...names].sort(byUtf8)) {
    const child = join(path, name);
    const disk = join(dir, child);
    const stat = statOf(disk);
    if (stat === undefined || isWhiteout(stat)) {
      if (lower.lstat(child) !== undefined) yield { kind: 'delete', path: child };
      continue;
    }
    const entry = entryOf(disk, stat);
    if (entry.type === 'socket') continue;
    const below = lower.lstat(child);
    const same = below !== undefined && (await isSame(entry, disk, below, lower, child, signal));
    yield { kind: 'set', path: child, entry, same };
    if (entry.type !== 'dir') continue;
    const hides = below?.type === 'dir' && (opaque || isOpaque(disk));
    yield* changesOf(dir, lower, signal, child, hides);
  }
}

/** Whether an entry equals the one below, by the rules of containerd's differ: data is compared only where times cannot tell. */
async function isSame(
  entry: FileEntry,
  disk: string,
  below: FileEntry,
  lower: FileTree,
  path: string,
  signal: AbortSignal,
): Promise<boolean> {
  const equal =
    entry.type === below.type &&
    entry.mode === below.mode &&
    entry.uid === below.uid &&
    entry.gid === below.gid &&
    entry.device?.major === below.device?.major &&
    entry.device?.minor === below.device?.minor &&
    sameBytes(entry.xattrs.get(CAPABILITY), below.xattrs.get(CAPABILITY));
  if (!equal) return false;
  if (entry.type === 'dir') return true;
  if (entry.size !== below.size || entry.mtimeNs !== below.mtimeNs) return false;
  if (entry.mtimeNs % SECOND !== 0n) return true;
  if (entry.type === 'symlink') return entry.link === below.link;
  if (entry.type !== 'file' || entry.size === 0) return true;
  return await sameData(readFile(disk, signal), lower.read(path, signal));
}

/** Whether two streams have the same bytes, however they are cut. */
async function sameData(
  a: AsyncIterable<Uint8Array>,
  b: AsyncIterable<Uint8Array>,
): Promise<boolean> {
  const other = b[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array(0);
  try {
    for await (let chunk of a) {
      while (chunk.length > 0) {
        if (rest.length === 0) {
          const next = await other.next();
          if (next.done === true) return false;
          rest = next.value;
        }
        const length = Math.min(chunk.length, rest.length);
        if (!sameBytes(chunk.subarray(0, length), rest.subarray(0, length))) return false;
        chunk = chunk.subarray(length);
        rest = rest.subarray(length);
      }
    }
    return rest.length === 0;
  } finally {
    await other.return?.();
  }
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;
}

function memberOf(
  path: string,
  entry: FileEntry,
  first: string | undefined,
  epoch: number | undefined,
): TarEntry {
  const type = tarType(entry, path);
  const capability = entry.xattrs.get(CAPABILITY);
  const seconds = (entry.mtimeNs - (((entry.mtimeNs % SECOND) + SECOND) % SECOND)) / SECOND;
  const limit = epoch === undefined ? seconds : BigInt(epoch);
  return {
    name: entry.type === 'dir' ? `${path.slice(1)}/` : path.slice(1),
    type: first === undefined ? type : 'hardlink',
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    size: first === undefined ? entry.size : 0,
    mtimeNs: (seconds < limit ? seconds : limit) * SECOND,
    xattrs: capability === undefined ? new Map() : new Map([[CAPABILITY, capability]]),
    ...(first !== undefined
      ? { link: first }
      : entry.link !== undefined
        ? { link: entry.link }
        : {}),
    ...(entry.device === undefined ? {} : { device: entry.device }),
  };
}

function tarType(entry: FileEntry, path: string): TarType {
  if (entry.type === 'socket') throw new Error(`a socket has no place in a layer: ${path}`);
  return entry.type;
}

function whiteout(path: string): TarEntry {
  const at = path.lastIndexOf('/') + 1;
  return {
    name: `${path.slice(1, at)}.wh.${path.slice(at)}`,
    type: 'file',
    mode: 0,
    uid: 0,
    gid: 0,
    size: 0,
    mtimeNs: 0n,
    xattrs: new Map(),
  };
}

/** The directories above a path from the top down, without the root. */
function parentsOf(path: string): string[] {
  const parents: string[] = [];
  for (let at = parentOf(path); at !== '/'; at = parentOf(at)) parents.unshift(at);
  return parents;
}

/** The data of a file, which must have the size its header says. */
async function* exactly(
  disk: string,
  size: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let seen = 0;
  for await (const chunk of readFile(disk, signal)) {
    seen += chunk.length;
    yield chunk;
  }
  if (seen !== size) throw new Error(`${disk} has ${seen} bytes, its metadata says ${size}`);
}

/** Joins small pieces, so that a layer of many small files is not a stream of many small chunks. */
class Batch {
  #parts: Uint8Array[] = [];
  size = 0;

  add(part: Uint8Array): void {
    this.#parts.push(part);
    this.size += part.length;
  }

  *flush(): Generator<Uint8Array> {
    if (this.size > 0) yield Buffer.concat(this.#parts);
    this.#parts = [];
    this.size = 0;
  }
}
