import { createReadStream, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { type Digest, sha256 } from '../../../src/base/index.ts';
import type { FileEntry, FileTree, FileType } from '../../../src/cachekey/index.ts';
import { readXattrs } from '../../../src/sys/index.ts';

/** A directory as a tree, read from disk at every call. */
export function diskTree(root: string, rootHeader: FileTree['rootHeader'] = 'entry'): FileTree {
  return {
    rootHeader,
    lstat: (path) => entryOf(root + path),
    list: (path) => {
      const at = lstatSync(root + path, { throwIfNoEntry: false });
      return at?.isDirectory() === true ? readdirSync(root + path).sort() : [];
    },
    digest: (path) => Promise.resolve(digestOf(root + path)),
    read: (path) => createReadStream(root + path),
    diskPath: (path) => root + path,
  };
}

/** Tells entries apart; it is not BuildKit's digest. */
function digestOf(path: string): Digest {
  const { type, mode, uid, gid, link = '' } = entryOf(path) ?? {};
  const data = type === 'file' ? readFileSync(path, 'base64') : '';
  return sha256([type, mode, uid, gid, link, data].join(' '));
}

function entryOf(path: string): FileEntry | undefined {
  const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  const types: [FileType, boolean][] = [
    ['file', stat.isFile()],
    ['dir', stat.isDirectory()],
    ['symlink', stat.isSymbolicLink()],
    ['char', stat.isCharacterDevice()],
    ['block', stat.isBlockDevice()],
    ['fifo', stat.isFIFO()],
    ['socket', stat.isSocket()],
  ];
  const type = types.find(([, is]) => is)?.[0] ?? 'file';
  const xattrs = [...readXattrs(path)].filter(([name]) => !name.startsWith('trusted.overlay.'));
  return {
    type,
    mode: Number(stat.mode & 0o7777n),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    size: type === 'file' ? Number(stat.size) : 0,
    mtimeNs: stat.mtimeNs,
    xattrs: new Map(xattrs),
    ...(type === 'symlink' ? { link: readlinkSync(path) } : {}),
    ...(type === 'file' && stat.nlink > 1n ? { inode: String(stat.ino) } : {}),
  };
}
