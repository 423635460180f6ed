import { constants, lstatSync } from 'node:fs';
import { copyFile, type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import {
  err,
  failure,
  fsPath,
  isErrno,
  ok,
  type Result,
  removeAbandoned,
  temporaryName,
  writeAll,
} from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import type { MemoDb } from '../ports/index.ts';
import { copyRange, seek } from '../sys/index.ts';
import { type ArchiveTarget, writeFailure } from './image-output.ts';

const BLOCK = 1024 * 1024;
/** Bytes that the kernel copies at once: some hundredths of a second. */
const EXTENT = 32 * BLOCK;

/**
 * Writes one file of a tree; blocks of zeros become holes. The file appears whole, and the answer is its size. EX006: the
 * result has no such file.
 */
export async function writeTreeFile(
  from: { readonly tree: FileTree; readonly path: string; readonly memo: MemoDb },
  to: Exclude<ArchiveTarget, { kind: 'directory' }>,
  signal: AbortSignal,
): Promise<Result<number>> {
  const { tree, path, memo } = from;
  const entry = tree.lstat(path);
  if (entry?.type !== 'file') return err(failure('EX006', 2, `the result has no file ${path}`));
  try {
    if (to.kind === 'stream') await to.write(tree.read(path, signal));
    else {
      const source = identity(tree.diskPath(path));
      if (source !== undefined && knows(memo, to.path, source)) return ok(entry.size);
      await writeSparse(tree, path, { to: to.path, signal });
      if (source !== undefined) remember(memo, to.path, source);
    }
    return ok(entry.size);
  } catch (e) {
    signal.throwIfAborted();
    return writeFailure(e, to.kind === 'file' ? to.path : 'standard output');
  }
}

const WRITTEN = 'file-output';

/** What a file is as long as nobody writes to it. */
function identity(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  const stat = lstatSync(fsPath(path), { bigint: true, throwIfNoEntry: false });
  return stat?.isFile() === true
    ? [stat.dev, stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join(' ')
    : undefined;
}

/** Whether the file there is what was written of this source, untouched since. */
function knows(memo: MemoDb, to: string, source: string): boolean {
  const target = identity(to);
  const known = memo.get(WRITTEN, to);
  return (
    target !== undefined &&
    known !== undefined &&
    Buffer.from(known).toString('utf8') === `${source}\n${target}`
  );
}

function remember(memo: MemoDb, to: string, source: string): void {
  memo.set(WRITTEN, to, Buffer.from(`${source}\n${identity(to) ?? ''}`));
}

async function writeSparse(
  tree: FileTree,
  path: string,
  { to, signal }: { readonly to: string; readonly signal: AbortSignal },
): Promise<void> {
  // What a killed process left is as large as a disk.
  removeAbandoned(dirname(to));
  const tmp = join(dirname(to), temporaryName(basename(to)));
  const local = tree.diskPath(path);
  try {
    if (local === undefined) {
      await using target = await open(tmp, 'wx');
      let at = 0;
      for await (const chunk of tree.read(path, signal)) {
        await writeAll(target, chunk, at);
        at += chunk.length;
      }
    } else if (!(await cloned(local, tmp))) await copySparse(local, tmp, signal);
    await rename(tmp, to);
  } catch (e) {
    await rm(tmp, { force: true });
    throw e;
  }
}

/** Makes a file that shares its blocks with another one; false where the file system cannot (ioctl_ficlone(2)). */
async function cloned(from: string, to: string): Promise<boolean> {
  try {
    const { COPYFILE_EXCL, COPYFILE_FICLONE_FORCE } = constants;
    await copyFile(fsPath(from), to, COPYFILE_EXCL | COPYFILE_FICLONE_FORCE);
    return true;
  } catch (e) {
    if (!isErrno(e, 'ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOSYS', 'ENOTTY')) throw e;
    await rm(to, { force: true });
    return false;
  }
}

/** A file with holes is copied without them, inside the kernel; one without is read, and blocks of zeros become holes. */
async function copySparse(from: string, to: string, signal: AbortSignal): Promise<void> {
  await using source = await open(fsPath(from), 'r');
  await using target = await open(to, 'wx');
  const { size, blocks } = await source.stat();
  await target.truncate(size);
  if (blocks * 512 >= size || !(await copyExtents(source, target, { size, signal })))
    await copyBlocks(source, target, signal);
}

/** Copies what is no hole; false where the two file systems cannot. */
async function copyExtents(
  source: FileHandle,
  target: FileHandle,
  { size, signal }: { readonly size: number; readonly signal: AbortSignal },
): Promise<boolean> {
  try {
    for (let at = 0; at < size; ) {
      const from = seek(source.fd, at, 'data');
      if (from === undefined) break;
      at = seek(source.fd, from, 'hole') ?? size;
      seek(source.fd, from, 'start');
      seek(target.fd, from, 'start');
      for (let left = at - from; left > 0; ) {
        signal.throwIfAborted();
        const copied = copyRange(source.fd, target.fd, Math.min(left, EXTENT));
        if (copied === 0) throw new Error(`${left} bytes of an extent are missing`);
        left -= copied;
        // Everything else of the process goes on meanwhile.
        await new Promise(setImmediate);
      }
    }
    return true;
  } catch (e) {
    if (!isErrno(e, 'EXDEV', 'EINVAL', 'EOPNOTSUPP', 'ENOSYS')) throw e;
    return false;
  }
}

async function copyBlocks(
  source: FileHandle,
  target: FileHandle,
  signal: AbortSignal,
): Promise<void> {
  const [block, zeros] = [Buffer.allocUnsafe(BLOCK), Buffer.alloc(BLOCK)];
  for (let at = 0; ; ) {
    signal.throwIfAborted();
    const { bytesRead } = await source.read(block, 0, BLOCK, at);
    if (bytesRead === 0) return;
    if (block.compare(zeros, 0, bytesRead, 0, bytesRead) !== 0)
      await writeAll(target, block.subarray(0, bytesRead), at);
    at += bytesRead;
  }
}
