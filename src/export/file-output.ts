import { lstatSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import {
  err,
  failure,
  fsPath,
  ok,
  type Result,
  removeAbandoned,
  temporaryName,
  writeAll,
} from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import type { MemoDb } from '../ports/index.ts';
import { type ArchiveTarget, writeFailure } from './image-output.ts';

const BLOCK = 1024 * 1024;

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
  try {
    await using target = await open(tmp, 'wx');
    const size = tree.lstat(path)?.size ?? 0;
    const local = tree.diskPath(path);
    if (local === undefined) {
      let at = 0;
      for await (const chunk of tree.read(path, signal)) {
        await writeAll(target, chunk, at);
        at += chunk.length;
      }
    } else await copyBlocks(local, target, signal);
    await target.truncate(size);
    await rename(tmp, to);
  } catch (e) {
    await rm(tmp, { force: true });
    throw e;
  }
}

async function copyBlocks(
  from: string,
  target: Awaited<ReturnType<typeof open>>,
  signal: AbortSignal,
): Promise<void> {
  await using source = await open(fsPath(from), 'r');
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
