import {
  chmodSync,
  closeSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { posix } from 'node:path';
import { decompress, quoted, type TarEntry, TarReader } from '../archive/index.ts';
import { err, FailureError, failure, fsPath, isErrno, ok, type Result } from '../base/index.ts';
import { makeNode, setTimes, setXattr } from '../sys/index.ts';

/** What the file system refuses because of a member's name, kind, owner or attributes. */
const REFUSALS = [
  'EPERM',
  'EINVAL',
  'ENAMETOOLONG',
  'ENOTDIR',
  'ELOOP',
  'EEXIST',
  'EISDIR',
  'ENOENT',
  'ENOTSUP',
  'E2BIG',
  'ERANGE',
];

/** A context archive that expands to more than this is refused. */
const MAX_BYTES = 64 * 2 ** 30;

/**
 * Unpacks a context archive (tar, compressed or not) into an empty directory. Nothing is written outside of it: `..` stops
 * at the root, and a member below a symbolic link is refused.
 */
export async function unpackArchive(
  stream: AsyncIterable<Uint8Array>,
  dir: string,
  signal: AbortSignal,
): Promise<Result<void>> {
  const reader = new TarReader(decompress(stream, { signal, maxBytes: MAX_BYTES }));
  const times: { readonly path: string; readonly mtimeNs: bigint }[] = [];
  try {
    for (;;) {
      const entry = await reader.next();
      if (!entry.ok) return entry;
      if (entry.value === undefined) break;
      const path = placeOf(dir, entry.value.name);
      try {
        await unpack(reader, entry.value, { dir, path });
        if (entry.value.type !== 'hardlink') setXattrs(path, entry.value);
      } catch (e) {
        if (!isErrno(e, ...REFUSALS)) throw e;
        throw refused(entry.value.name, `it cannot be written (${e.code ?? ''})`);
      }
      if (entry.value.type === 'hardlink') continue;
      // A directory's time is set when nothing more is written into it.
      times.push({ path, mtimeNs: entry.value.mtimeNs });
    }
    for (const { path, mtimeNs } of times.reverse()) setTimes(path, { atimeNs: mtimeNs, mtimeNs });
    return ok(undefined);
  } catch (e) {
    if (e instanceof FailureError) return err(e.failure);
    if (isErrno(e, 'ENOSPC', 'EDQUOT', 'EACCES', 'ENAMETOOLONG'))
      return err(failure('CX008', 3, `unpacking the context archive: ${e.message}`, { cause: e }));
    throw e;
  }
}

function placeOf(dir: string, name: string): string {
  try {
    return insidePath(dir, name);
  } catch (e) {
    if (!isErrno(e, ...REFUSALS)) throw e;
    throw refused(name, `it cannot be written (${e.code ?? ''})`);
  }
}

function insidePath(dir: string, name: string): string {
  const path = posix.join('/', name).replace(/\/+$/, '');
  let parent = '';
  for (const part of path.split('/').slice(1, -1)) {
    parent += `/${part}`;
    const type = typeAt(`${dir}${parent}`);
    if (type === undefined) {
      mkdirSync(fsPath(`${dir}${parent}`));
      chmodSync(fsPath(`${dir}${parent}`), 0o755);
    } else if (type !== 'dir') throw refused(name, `its parent ${parent.slice(1)} is no directory`);
  }
  return `${dir}${path}`;
}

function typeAt(path: string): 'dir' | 'other' | undefined {
  try {
    return lstatSync(fsPath(path)).isDirectory() ? 'dir' : 'other';
  } catch (e) {
    if (isErrno(e, 'ENOENT')) return undefined;
    throw e;
  }
}

async function unpack(
  reader: TarReader,
  entry: TarEntry,
  at: { readonly dir: string; readonly path: string },
): Promise<void> {
  const target = fsPath(at.path);
  const there = typeAt(at.path);
  if (entry.type === 'dir') {
    if (there === 'other') rmSync(target);
    if (there !== 'dir') mkdirSync(target);
    chmodSync(target, entry.mode);
    return;
  }
  if (there === 'dir') throw refused(entry.name, 'a directory of that name came before');
  if (there === 'other') rmSync(target);
  switch (entry.type) {
    case 'file': {
      const fd = openSync(target, 'wx', 0o600);
      try {
        for await (const chunk of reader.data())
          for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
      } finally {
        closeSync(fd);
      }
      chmodSync(target, entry.mode);
      return;
    }
    case 'symlink':
      symlinkSync(fsPath(entry.link ?? ''), target);
      return;
    case 'hardlink': {
      const source = insidePath(at.dir, entry.link ?? '');
      if (typeAt(source) !== 'other')
        throw refused(entry.name, `it links to ${quoted(entry.link ?? '')}, which is no file`);
      linkSync(fsPath(source), target);
      return;
    }
    case 'char':
    case 'block':
    case 'fifo':
      if (
        entry.type === 'char' &&
        (entry.device?.major ?? 0) === 0 &&
        (entry.device?.minor ?? 0) === 0
      )
        throw refused(entry.name, 'a character device 0:0 deletes in a layer');
      makeNode(at.path, { type: entry.type, mode: entry.mode, ...entry.device });
  }
}

/** Attributes of overlayfs would change what a layer made of this directory means. */
function setXattrs(path: string, entry: TarEntry): void {
  for (const [name, value] of entry.xattrs)
    if (!/^(?:trusted|user)\.overlay\./.test(name)) setXattr(path, name, value);
}

function refused(name: string, why: string): FailureError {
  return new FailureError(failure('CX008', 2, `context archive: ${quoted(name)}: ${why}`));
}
