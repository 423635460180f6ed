import { chmodSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { isErrno } from './errno.ts';

/**
 * Makes a directory and those above it, as Node's `mkdir` with `recursive` does, which never returns where the kernel says
 * ENOENT although the parent is there (below /proc). That becomes the EPERM of mkdir(2): "does not support the creation of
 * directories".
 */
export function makeDirectory(path: string, mode = 0o777): void {
  const missing: string[] = [];
  for (let at = path; !make(at, mode); at = dirname(at)) {
    if (at === dirname(at)) throw refused(path);
    missing.push(at);
  }
  for (const each of missing.reverse()) if (!make(each, mode)) throw refused(each);
}

/**
 * Makes a directory of a tree that becomes part of an image, and those above it that are missing: their mode is this one, whatever the
 * mask of the process.
 */
export function makeImageDirectory(path: string, mode = 0o755): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return;
  const first = mkdirSync(path, { recursive: true });
  if (first === undefined) return;
  for (let at = path; at.length >= first.length; at = dirname(at)) chmodSync(at, mode);
}

/** False when the parent is not there, or is said not to be. */
function make(path: string, mode: number): boolean {
  try {
    mkdirSync(path, { mode });
    return true;
  } catch (e) {
    if (isErrno(e, 'ENOENT')) return false;
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return true;
    throw e;
  }
}

function refused(path: string): Error {
  const text = `EPERM: the file system makes no directories, mkdir '${path}'`;
  return Object.assign(new Error(text), { code: 'EPERM', syscall: 'mkdir', path });
}
