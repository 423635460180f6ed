import {
  chmodSync,
  closeSync,
  constants,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  statfsSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import {
  awaitAll,
  type Digest,
  err,
  failure,
  fsPath,
  isErrno,
  ok,
  type Result,
  Semaphore,
} from '../base/index.ts';
import type { CacheRemote } from '../ports/index.ts';
import { setTimes } from '../sys/index.ts';
import { MOUNT_LIMITS } from './mount-decode.ts';
import type { MountEntry, MountIndex } from './mount-index.ts';
import { MOUNT_PACK_MEDIA_TYPE } from './mount-manifest.ts';
import { readChunk } from './mount-packs.ts';

/** What came back. */
export interface RestoredMount {
  readonly files: number;
  readonly bytes: number;
  /** Bytes of the packs that were fetched. */
  readonly fetched: number;
}

/** How a directory is made. */
export interface RestoreOptions {
  readonly signal: AbortSignal;
  readonly remote: CacheRemote;
  /** Forgets a pack that was fetched. */
  readonly forget: (pack: Digest) => Promise<void>;
  /** The directory as it is here: files of the same size and time are taken from it. */
  readonly have?: string;
}

/** Packs read at once. */
const PARALLEL = 4;

type FileEntry = Extract<MountEntry, { readonly type: 'file' }>;

/** Where the bytes of a chunk go. */
interface Use {
  readonly file: FileEntry;
  /** Part of the chunk. */
  readonly from: number;
  readonly length: number;
  readonly at: number;
}

/**
 * Makes the directory that a checked index describes in `dir`, which is empty and private. Nothing is followed: every
 * directory on the way was made here. The bytes of each chunk are verified against its digest.
 */
export async function restoreMount(
  dir: string,
  index: MountIndex,
  options: RestoreOptions,
): Promise<Result<RestoredMount>> {
  const files = index.entries.filter((e) => e.type === 'file');
  const bytes = files.reduce((sum, f) => sum + f.size, 0);
  const { bavail, bsize } = statfsSync(dir);
  if (bytes > bavail * bsize)
    return err(failure('RC022', 3, `it has ${bytes} bytes, and the disk has less free`));
  const { signal } = options;
  for (const entry of index.entries) {
    signal.throwIfAborted();
    if (entry.type === 'dir' && entry.path !== '') mkdirSync(at(dir, entry), 0o700);
  }
  const reused = new Set(files.filter((f) => reuse(dir, f, options.have)));
  const fetched = await fetchFiles(
    dir,
    index,
    files.filter((f) => !reused.has(f)),
    options,
  );
  if (!fetched.ok) return fetched;
  finish(dir, index.entries, reused);
  return ok({ files: files.length, bytes, fetched: fetched.value });
}

const at = (dir: string, entry: { readonly path: string }): string | Buffer =>
  fsPath(entry.path === '' ? dir : `${dir}/${entry.path}`);

/** Takes a file that is here already by another name; whatever is in the way of that makes it fetched. */
function reuse(dir: string, file: FileEntry, have: string | undefined): boolean {
  if (have === undefined || file.size === 0) return false;
  try {
    const here = lstatSync(at(have, file), { bigint: true });
    const same =
      here.isFile() &&
      here.nlink === 1n &&
      here.size === BigInt(file.size) &&
      here.mtimeNs === file.mtimeNs &&
      (Number(here.mode) & 0o7777) === file.mode &&
      Number(here.uid) === file.uid &&
      Number(here.gid) === file.gid;
    if (same) linkSync(at(have, file), at(dir, file));
    return same;
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ENOTDIR', 'EMLINK', 'EPERM')) return false;
    throw e;
  }
}

async function fetchFiles(
  dir: string,
  index: MountIndex,
  files: readonly FileEntry[],
  options: RestoreOptions,
): Promise<Result<number>> {
  const uses = usesOf(index, files);
  if (uses === undefined)
    return err(
      failure('RC022', 3, `its files are made of more than ${MOUNT_LIMITS.uses} parts of chunks`),
    );
  for (const file of files) closeSync(open(dir, file, constants.O_EXCL));
  const byPack = new Map<number, number[]>();
  for (const chunk of uses.keys()) {
    const pack = index.chunks[chunk]?.pack ?? 0;
    const others = byPack.get(pack);
    if (others === undefined) byPack.set(pack, [chunk]);
    else others.push(chunk);
  }
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const slots = new Semaphore(PARALLEL);
  let fetched = 0;
  let failed: Result<never> | undefined;
  const one = async (pack: number, chunks: readonly number[]): Promise<void> => {
    if (failed !== undefined) return;
    const done = await writePack(dir, index, { pack, chunks, uses }, { ...options, signal });
    if (done.ok) fetched += done.value;
    else failed ??= done;
  };
  await awaitAll(
    [...byPack].map(([pack, chunks]) => slots.run(options.signal, () => one(pack, chunks))),
  );
  return failed ?? ok(fetched);
}

/** Every place where the bytes of each chunk are needed; undefined when there are too many. */
function usesOf(index: MountIndex, files: readonly FileEntry[]): Map<number, Use[]> | undefined {
  const uses = new Map<number, Use[]>();
  let count = 0;
  const add = (chunk: number, use: Use): void => {
    count++;
    if (count > MOUNT_LIMITS.uses) return;
    const known = uses.get(chunk);
    if (known === undefined) uses.set(chunk, [use]);
    else known.push(use);
  };
  const starts: number[] = [];
  let end = 0;
  for (const chunk of index.small) {
    starts.push(end);
    end += index.chunks[chunk]?.size ?? 0;
  }
  for (const file of files) {
    if (count > MOUNT_LIMITS.uses) return undefined;
    if (typeof file.data !== 'number') {
      let offset = 0;
      for (const chunk of file.data) {
        const length = index.chunks[chunk]?.size ?? 0;
        add(chunk, { file, from: 0, length, at: offset });
        offset += length;
      }
      continue;
    }
    const [first, last] = [file.data, file.data + file.size];
    for (let i = lastAtOrBefore(starts, first); i < starts.length; i++) {
      const start = starts[i] ?? 0;
      if (start >= last) break;
      const chunk = index.small[i] ?? 0;
      const stop = Math.min(last, start + (index.chunks[chunk]?.size ?? 0));
      const from = Math.max(first, start);
      if (stop > from)
        add(chunk, { file, from: from - start, length: stop - from, at: from - first });
    }
  }
  return count > MOUNT_LIMITS.uses ? undefined : uses;
}

/** Index of the last number that is not above `value`; the numbers ascend. */
function lastAtOrBefore(numbers: readonly number[], value: number): number {
  let [low, high] = [0, numbers.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((numbers[middle] ?? 0) <= value) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}

async function writePack(
  dir: string,
  index: MountIndex,
  work: {
    readonly pack: number;
    readonly chunks: readonly number[];
    readonly uses: ReadonlyMap<number, readonly Use[]>;
  },
  { remote, signal, forget }: RestoreOptions,
): Promise<Result<number>> {
  const pack = index.packs[work.pack];
  if (pack === undefined) throw new Error('a checked index names a pack that it does not have');
  const blob = { mediaType: MOUNT_PACK_MEDIA_TYPE, digest: pack.digest, size: pack.size };
  const read = await remote.read(blob, { signal, maxBytes: pack.size });
  if (!read.ok) return read;
  await forget(pack.digest);
  for (const number of work.chunks) {
    signal.throwIfAborted();
    const chunk = index.chunks[number];
    const bytes = chunk === undefined ? undefined : await readChunk(read.value, chunk);
    if (bytes === undefined)
      return err(failure('RC021', 3, `pack ${pack.digest} has damaged chunks`));
    for (const { file, from, length, at: position } of work.uses.get(number) ?? []) {
      const fd = open(dir, file, 0);
      try {
        for (let done = 0; done < length; )
          done += writeSync(fd, bytes, from + done, length - done, position + done);
      } finally {
        closeSync(fd);
      }
    }
  }
  return ok(pack.size);
}

function open(dir: string, file: FileEntry, more: number): number {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW | more;
  return openSync(at(dir, file), flags, 0o600);
}

/** Links, owners, modes and times; of directories last, because every entry made in one changes them. */
function finish(
  dir: string,
  entries: readonly MountEntry[],
  reused: ReadonlySet<MountEntry>,
): void {
  for (const entry of entries) {
    if (entry.type === 'hardlink') linkSync(at(dir, { path: entry.link }), at(dir, entry));
    else if (entry.type === 'symlink') symlinkSync(fsPath(entry.link), at(dir, entry));
    if (entry.type === 'symlink' || (entry.type === 'file' && !reused.has(entry))) own(dir, entry);
  }
  for (const entry of entries.toReversed()) if (entry.type === 'dir') own(dir, entry);
}

function own(dir: string, entry: Exclude<MountEntry, { readonly type: 'hardlink' }>): void {
  const path = at(dir, entry);
  lchownSync(path, entry.uid, entry.gid);
  if (entry.type !== 'symlink') chmodSync(path, entry.mode);
  const disk = entry.path === '' ? dir : `${dir}/${entry.path}`;
  setTimes(disk, { atimeNs: entry.mtimeNs, mtimeNs: entry.mtimeNs });
}
