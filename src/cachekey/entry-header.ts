import { bytesOfName, byUtf8 } from '../base/index.ts';
import type { FileEntry, FileType } from './file-tree.ts';

const TYPE_FLAG: Readonly<Record<FileType, string>> = {
  file: '0',
  symlink: '2',
  char: '3',
  block: '4',
  dir: '5',
  fifo: '6',
  // A socket never reaches a tree; BuildKit's client turns it into an empty file.
  socket: '0',
};

/**
 * The bytes that are hashed for an entry before its data (BuildKit cache/contenthash/filehash.go and tarsum.go): the tar
 * header without name and time, then the extended attributes. The entry's digest is the SHA-256 of these bytes followed by
 * the data of a regular file. BuildKit counts device numbers only in a tree that came from a client: `devices` says which.
 */
export function entryHeader(
  entry: FileEntry,
  devices: 'numbered' | 'unnumbered' = 'unnumbered',
): Uint8Array {
  const symlink = entry.type === 'symlink';
  const isDevice = entry.type === 'char' || entry.type === 'block';
  const device = isDevice && devices === 'numbered' ? entry.device : undefined;
  const fields: (string | Uint8Array)[] = [
    'name',
    `mode${symlink ? 0o777 : entry.mode & 0o7777}`,
    `uid${entry.uid}`,
    `gid${entry.gid}`,
    `size${entry.type === 'file' ? entry.size : 0}`,
    `typeflag${TYPE_FLAG[entry.type]}`,
    'linkname',
    bytesOfName(symlink ? (entry.link ?? '') : ''),
    'uname',
    'gname',
    `devmajor${device?.major ?? 0}`,
    `devminor${device?.minor ?? 0}`,
  ];
  for (const name of [...entry.xattrs.keys()].filter(isHashed).sort(byUtf8))
    fields.push(name, entry.xattrs.get(name) ?? '');
  return Buffer.concat(fields.map((f) => (typeof f === 'string' ? Buffer.from(f) : f)));
}

/** Attributes of the system are not content, but file capabilities are. */
function isHashed(name: string): boolean {
  if (name === 'security.capability') return true;
  return !name.startsWith('security.') && !name.startsWith('system.');
}
