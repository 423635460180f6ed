import { randomBytes } from 'node:crypto';
import { chmod, lstat, mkdir, readdir, rename, rm, symlink, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TAR_END, tarHeader, tarPadding } from '../archive/index.ts';
import { fsPath, isErrno, makeDirectory, ok, type Result, writeAtomically } from '../base/index.ts';
import type { FileEntry, FileTree } from '../cachekey/index.ts';
import { type ArchiveTarget, writeFailure } from './image-output.ts';

/** A tree of one platform; with several, each goes below `prefix` (`linux_amd64`). */
export interface OutputTree {
  readonly tree: FileTree;
  readonly prefix?: string;
  /** Files at the top that are not of the tree. */
  readonly extra?: readonly ExtraFile[];
}

/** A file that is written beside those of a result, with the rights of any document. */
export interface ExtraFile {
  /** Without a slash. */
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Nanoseconds since the Unix epoch. */
  readonly mtimeNs: bigint;
}

interface TreeOptions {
  readonly signal: AbortSignal;
  /** Times later than this many seconds since the epoch are written as it (SOURCE_DATE_EPOCH). */
  readonly epoch?: number;
}

/** Writes file trees as one tar (`type=tar`). */
export async function writeTreeTar(
  trees: readonly OutputTree[],
  to: Exclude<ArchiveTarget, { kind: 'directory' }>,
  options: TreeOptions,
): Promise<Result<void>> {
  try {
    const tar = treesTar(trees, options);
    if (to.kind === 'file') await writeAtomically(to.path, tar);
    else await to.write(tar);
    return ok(undefined);
  } catch (e) {
    options.signal.throwIfAborted();
    return writeFailure(e, to.kind === 'file' ? to.path : 'standard output');
  }
}

async function* treesTar(
  trees: readonly OutputTree[],
  options: TreeOptions,
): AsyncGenerator<Uint8Array> {
  for (const { tree, prefix, extra = [] } of trees) {
    if (prefix !== undefined) {
      const root = {
        uid: 0,
        gid: 0,
        mtimeNs: BigInt(options.epoch ?? 0) * SECOND,
        xattrs: new Map<string, Uint8Array>(),
      };
      yield tarHeader({ ...root, name: `${prefix}/`, type: 'dir', mode: 0o755, size: 0 });
    }
    const top = prefix === undefined ? '' : `${prefix}/`;
    yield* treeTar(tree, top, options);
    for (const { name, bytes, mtimeNs } of extra) {
      const size = bytes.length;
      const time = clamped(mtimeNs, options.epoch);
      const owner = { mode: EXTRA_MODE, uid: 0, gid: 0, xattrs: new Map<string, Uint8Array>() };
      yield tarHeader({ ...owner, name: `${top}${name}`, type: 'file', size, mtimeNs: time });
      yield bytes;
      yield tarPadding(size);
    }
  }
  yield TAR_END;
}

const SECOND = 1_000_000_000n;
const EXTRA_MODE = 0o644;

async function* treeTar(
  tree: FileTree,
  prefix: string,
  options: TreeOptions,
): AsyncGenerator<Uint8Array> {
  const linked = new Map<string, string>();
  for (const [path, entry] of walk(tree)) {
    options.signal.throwIfAborted();
    if (entry.type === 'socket') continue;
    const name = `${prefix}${path.slice(1)}${entry.type === 'dir' ? '/' : ''}`;
    const first =
      entry.type === 'dir' || entry.inode === undefined ? undefined : linked.get(entry.inode);
    if (entry.inode !== undefined && first === undefined) linked.set(entry.inode, name);
    const link = first ?? entry.link;
    const type = first === undefined ? entry.type : 'hardlink';
    const size = type === 'file' ? entry.size : 0;
    yield tarHeader({
      name,
      type,
      mode: entry.mode,
      uid: entry.uid,
      gid: entry.gid,
      size,
      mtimeNs: clamped(entry.mtimeNs, options.epoch),
      xattrs: entry.xattrs,
      ...(link === undefined ? {} : { link }),
      ...(entry.device === undefined ? {} : { device: entry.device }),
    });
    if (type !== 'file') continue;
    yield* tree.read(path, options.signal);
    yield tarPadding(size);
  }
}

/** All entries below the root, parents before children, in byte order of names. */
function* walk(tree: FileTree): Generator<readonly [path: string, entry: FileEntry]> {
  const stack = [...tree.list('/')].reverse().map((name) => `/${name}`);
  for (let path = stack.pop(); path !== undefined; path = stack.pop()) {
    const entry = tree.lstat(path);
    if (entry === undefined) continue;
    yield [path, entry];
    if (entry.type === 'dir')
      for (const name of [...tree.list(path)].reverse()) stack.push(`${path}/${name}`);
  }
}

function clamped(mtimeNs: bigint, epoch: number | undefined): bigint {
  const limit = epoch === undefined ? undefined : BigInt(epoch) * SECOND;
  return limit !== undefined && mtimeNs > limit ? limit : mtimeNs;
}

/**
 * Writes file trees into a directory (`type=local`), over what is there: each file appears whole. Owners are the caller's,
 * devices and sockets are left out, as BuildKit's local output has them for ordinary users.
 */
export async function writeTreeLocal(
  trees: readonly OutputTree[],
  dir: string,
  options: TreeOptions,
): Promise<Result<void>> {
  try {
    for (const { tree, prefix, extra = [] } of trees) {
      const root = prefix === undefined ? dir : join(dir, prefix);
      makeDirectory(root);
      const times: { readonly path: string; readonly entry: FileEntry }[] = [];
      for (const [path, entry] of walk(tree)) {
        options.signal.throwIfAborted();
        const target = `${root}${path}`;
        await writeEntry(tree, path, entry, target, options);
        if (entry.type === 'dir') times.push({ path: target, entry });
      }
      for (const { name, bytes } of extra) {
        await clear(join(root, name));
        await writeAtomically(join(root, name), bytes, { mode: EXTRA_MODE, durable: false });
      }
      // Writing into a directory changes its time, and its mode may forbid it: children first.
      for (const { path, entry } of times.reverse()) {
        await chmod(fsPath(path), entry.mode);
        await setTime(path, entry, options.epoch);
      }
    }
    return ok(undefined);
  } catch (e) {
    options.signal.throwIfAborted();
    return writeFailure(e, dir);
  }
}

async function writeEntry(
  tree: FileTree,
  path: string,
  entry: FileEntry,
  target: string,
  options: TreeOptions,
): Promise<void> {
  switch (entry.type) {
    case 'dir':
      await makeDir(target);
      return;
    case 'file':
      await clear(target);
      await writeAtomically(target, tree.read(path, options.signal), {
        mode: 0o600,
        durable: false,
      });
      await chmod(fsPath(target), entry.mode);
      await setTime(target, entry, options.epoch);
      return;
    case 'symlink': {
      await clear(target);
      const tmp = join(dirname(target), `.tmp-${randomBytes(6).toString('hex')}`);
      await symlink(fsPath(entry.link ?? ''), tmp);
      await rename(tmp, fsPath(target));
      return;
    }
    default:
      return;
  }
}

/** A directory where none is; what is no directory (a link that leads elsewhere above all) is replaced. */
async function makeDir(target: string): Promise<void> {
  try {
    await mkdir(fsPath(target));
  } catch (e) {
    if (!isErrno(e, 'EEXIST')) throw e;
    if (await isDirectory(target)) {
      await chmod(fsPath(target), 0o700);
      return;
    }
    await rm(fsPath(target));
    await mkdir(fsPath(target));
  }
}

async function isDirectory(path: string): Promise<boolean> {
  return (await lstat(fsPath(path))).isDirectory();
}

/** A file replaces a directory of that name; rename(2) would not. */
async function clear(target: string): Promise<void> {
  try {
    await readdir(fsPath(target));
  } catch (e) {
    if (isErrno(e, 'ENOENT', 'ENOTDIR')) return;
    throw e;
  }
  // `rm` never follows links.
  await rm(fsPath(target), { recursive: true, force: true });
}

async function setTime(path: string, entry: FileEntry, epoch: number | undefined): Promise<void> {
  const seconds = Number(clamped(entry.mtimeNs, epoch)) / 1e9;
  await utimes(fsPath(path), seconds, seconds);
}
