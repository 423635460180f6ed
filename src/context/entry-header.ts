import { byUtf8 } from '../base/index.ts';
import type { FileEntry } from '../cachekey/index.ts';

/** Type flags of tar headers (POSIX ustar), as they enter the digest. */
const FLAGS = { file: '0', dir: '5', symlink: '2', char: '3', block: '4', fifo: '6', socket: '0' };

/**
 * What BuildKit's digest of an entry (contenthash, version 1 of tarsum) covers before the data: metadata without name and
 * times, then extended attributes in order.
 */
export function entryHeader(entry: FileEntry): Uint8Array {
  const fields: readonly (readonly [string, string | number])[] = [
    ['name', ''],
    ['mode', entry.mode],
    ['uid', entry.uid],
    ['gid', entry.gid],
    ['size', entry.size],
    ['typeflag', FLAGS[entry.type]],
    ['linkname', entry.type === 'symlink' ? (entry.link ?? '') : ''],
    ['uname', ''],
    ['gname', ''],
    ['devmajor', entry.device?.major ?? 0],
    ['devminor', entry.device?.minor ?? 0],
  ];
  const head = Buffer.from(fields.map(([key, value]) => `${key}${value}`).join(''));
  if (entry.xattrs.size === 0) return head;
  const parts: Uint8Array[] = [head];
  for (const name of [...entry.xattrs.keys()].filter(isHashed).sort(byUtf8))
    parts.push(Buffer.from(name), entry.xattrs.get(name) ?? new Uint8Array());
  return Buffer.concat(parts);
}

function isHashed(name: string): boolean {
  if (name === 'security.capability') return true;
  return !name.startsWith('security.') && !name.startsWith('system.');
}
