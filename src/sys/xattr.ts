import { nameOfBytes } from '../base/index.ts';
import { call, cString, must, systemError } from './libc.ts';

const ENOENT_ATTRIBUTE = 61;
const ERANGE = 34;
const NOT_SUPPORTED = 95;

/** Names of the extended attributes of `path` itself (links are not followed); empty where the file system has none. */
export function listXattrs(path: string): string[] {
  const target = cString(path);
  for (let size = 1024; ; size *= 4) {
    const buffer = new Uint8Array(size);
    const length = call('llistxattr', target, buffer, size);
    if (length === -ERANGE) continue;
    if (length === -NOT_SUPPORTED) return [];
    if (length < 0) throw systemError(-length, 'llistxattr', path);
    if (length === 0) return [];
    return nameOfBytes(buffer.subarray(0, length - 1)).split('\0');
  }
}

/** Value of an extended attribute of `path` itself, or undefined when it has none of that name. */
export function getXattr(path: string, name: string): Uint8Array | undefined {
  const target = cString(path);
  const key = cString(name);
  for (let size = 256; ; size = 65_536) {
    const buffer = new Uint8Array(size);
    const length = call('lgetxattr', target, key, buffer, size);
    if (length === -ERANGE && size < 65_536) continue;
    if (length === -ENOENT_ATTRIBUTE || length === -NOT_SUPPORTED) return undefined;
    if (length < 0) throw systemError(-length, 'lgetxattr', path);
    return buffer.slice(0, length);
  }
}

/** Sets an extended attribute of `path` itself. */
export function setXattr(path: string, name: string, value: Uint8Array): void {
  must('lsetxattr', path, cString(path), cString(name), value, value.length, 0);
}

/** Removes an extended attribute of `path` itself; no error when it has none of that name. */
export function removeXattr(path: string, name: string): void {
  const result = call('lremovexattr', cString(path), cString(name));
  if (result < 0 && result !== -ENOENT_ATTRIBUTE) throw systemError(-result, 'lremovexattr', path);
}

/** All extended attributes of `path` itself, by name in byte order. */
export function readXattrs(path: string): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  for (const name of listXattrs(path).sort()) {
    const value = getXattr(path, name);
    if (value !== undefined) found.set(name, value);
  }
  return found;
}
