import { TAR_END, type TarEntry, type TarType, tarHeader, tarPadding } from '../archive/index.ts';
import { byUtf8 } from '../base/index.ts';
import type { FileEntry, FileTree } from '../cachekey/index.ts';
import { join, parentOf } from './layer-path.ts';
import type { LayerView } from './layer-view.ts';
import { readSmallFile } from './read-file.ts';

const SECOND = 1_000_000_000n;
const BATCH = 128 * 1024;
const SMALL = 64 * 1024;
/** What comes behind a full batch, nearly always: a small file with its header. */
const ROOM = SMALL + 4096;
const CAPABILITY = 'security.capability';

/** What a layer does to the tree below it, in the order of the archive. */
export type Change =
  | { readonly kind: 'delete'; readonly path: string }
  | {
      readonly kind: 'set';
      readonly path: string;
      readonly entry: FileEntry;
      /** Equal to what is below: written only as the parent of another change. */
      readonly same: boolean;
      /** All data of a small file, where it is at hand. */
      readonly data?: Uint8Array | undefined;
    };

/** Options of `layerTar`. */
export interface LayerTarOptions {
  readonly signal: AbortSignal;
  readonly epoch?: number;
}

/**
 * The tar of a layer over the tree below it, entry by entry as containerd's overlay differ writes it, so that equal
 * layers have BuildKit's diffIDs: names in byte order of each directory, parents of changes included, nothing that
 * equals the tree below, whiteouts `.wh.<name>` with time zero also for what an opaque directory hides, hard links to the
 * first name, times in whole seconds, of the extended attributes `security.capability`, no sockets.
 */
export function layerTar(
  view: LayerView,
  lower: FileTree,
  options: LayerTarOptions,
): AsyncGenerator<Uint8Array> {
  return tarOfChanges(view, changesOf(view, lower, options.signal), options);
}

/** The tar of a layer whose changes are known. */
export async function* tarOfChanges(
  view: LayerView,
  changes: Iterable<Change> | AsyncIterable<Change>,
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
  for await (const change of changes) {
    options.signal.throwIfAborted();
    if (change.kind === 'set' && change.same) continue;
    if (!written.has(parentOf(change.path)))
      for (const parent of parentsOf(change.path)) {
        if (written.has(parent)) continue;
        const seen = view.see(parent);
        if (seen !== undefined) put(parent, seen.entry());
      }
    if (change.kind === 'delete') {
      writer.add(tarHeader(whiteout(change.path)));
    } else {
      const member = put(change.path, change.entry);
      if (member.size > SMALL && change.data === undefined) {
        yield* writer.flush();
        yield* exactly(view.read(change.path, options.signal), change.path, member.size);
      } else if (member.size > 0) {
        writer.add(change.data ?? smallData(view, change.path, member.size));
      }
      if (member.size > 0) writer.add(tarPadding(member.size));
    }
    if (writer.size > BATCH) yield* writer.flush();
  }
  writer.add(TAR_END);
  yield* writer.flush();
}

function smallData(view: LayerView, path: string, size: number): Uint8Array {
  const data = view.readNow(path) ?? readSmallFile(view.diskPath(path) ?? '', size);
  if (data.length !== size)
    throw new Error(`${path} has ${data.length} bytes, its metadata says ${size}`);
  return data;
}

/** Walks a layer; below an opaque directory that exists in the lower tree, with what that hides. */
export async function* changesOf(
  view: LayerView,
  lower: FileTree,
  signal: AbortSignal,
  path = '/',
  opaque = false,
): AsyncGenerator<Change> {
  const names = new Set(view.names(path));
  if (opaque) for (const name of lower.list(path)) names.add(name);
  for (const name of [...names].sort(byUtf8)) {
    const child = join(path, name);
    const seen = view.see(child);
    if (seen === undefined || seen.type === 'whiteout') {
      if (lower.lstat(child) !== undefined) yield { kind: 'delete', path: child };
      continue;
    }
    if (seen.type === 'socket') continue;
    const entry = seen.entry();
    const below = lower.lstat(child);
    const same =
      below !== undefined &&
      (await isSame({ entry, read: () => view.read(child, signal) }, below, lower, child, signal));
    yield { kind: 'set', path: child, entry, same };
    if (entry.type !== 'dir') continue;
    const hides = below?.type === 'dir' && (opaque || view.isOpaque(child));
    yield* changesOf(view, lower, signal, child, hides);
  }
}

/** Whether an entry equals the one below, by the rules of containerd's differ: data is compared only where times cannot tell. */
export async function isSame(
  own: { readonly entry: FileEntry; readonly read: () => AsyncIterable<Uint8Array> },
  below: FileEntry,
  lower: FileTree,
  path: string,
  signal: AbortSignal,
): Promise<boolean> {
  const { entry } = own;
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
  return await sameData(own.read(), lower.read(path, signal));
}

/** Whether two streams have the same bytes, however each is cut into chunks. */
async function sameData(
  a: AsyncIterable<Uint8Array>,
  b: AsyncIterable<Uint8Array>,
): Promise<boolean> {
  const other = b[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array(0);
  try {
    for await (const chunk of a) {
      for (let at = 0; at < chunk.length; ) {
        if (rest.length === 0) {
          const next = await other.next();
          if (next.done === true) return false;
          rest = next.value;
        }
        const length = Math.min(rest.length, chunk.length - at);
        if (!sameBytes(chunk.subarray(at, at + length), rest.subarray(0, length))) return false;
        rest = rest.subarray(length);
        at += length;
      }
    }
    return rest.length === 0 && (await other.next()).done === true;
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
  data: AsyncIterable<Uint8Array>,
  path: string,
  size: number,
): AsyncGenerator<Uint8Array> {
  let seen = 0;
  for await (const chunk of data) {
    seen += chunk.length;
    yield chunk;
  }
  if (seen !== size) throw new Error(`${path} has ${seen} bytes, its metadata says ${size}`);
}

/** Joins small pieces, so that a layer of many small files is not a stream of many small chunks. Pieces are copied at once. */
class Batch {
  #bytes: Uint8Array = NOTHING;
  size = 0;

  add(part: Uint8Array): void {
    const end = this.size + part.length;
    if (end > this.#bytes.length) {
      const more = Buffer.allocUnsafeSlow(Math.max(BATCH + ROOM, end));
      more.set(this.#bytes.subarray(0, this.size));
      this.#bytes = more;
    }
    this.#bytes.set(part, this.size);
    this.size = end;
  }

  *flush(): Generator<Uint8Array> {
    if (this.size > 0) yield this.#bytes.subarray(0, this.size);
    // Whoever got the bytes may keep them.
    this.#bytes = NOTHING;
    this.size = 0;
  }
}

const NOTHING = new Uint8Array(0);
