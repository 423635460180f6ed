import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fsPath, nameOfBytes } from '../base/index.ts';
import type { FileTree } from '../cachekey/index.ts';
import { removeXattr } from '../sys/index.ts';
import { isOpaque } from './disk-entry.ts';

/**
 * Takes the mark of an opaque directory from those that hide nothing. Where layers lie on several file systems overlayfs
 * marks every new directory beside merged ones (`ovl_create_upper`), to look it up faster; on other parents than it was
 * made on, the layer would hide what they have there.
 */
export function dropNeedlessOpaque(upper: string, lower: FileTree, xattr: string): void {
  const stack = ['/'];
  for (let path = stack.pop(); path !== undefined; path = stack.pop()) {
    const disk = join(upper, path);
    if (path !== '/' && isOpaque(disk) && lower.lstat(path)?.type !== 'dir') {
      removeXattr(disk, xattr);
    }
    for (const entry of readdirSync(fsPath(disk), { withFileTypes: true, encoding: 'buffer' }))
      if (entry.isDirectory()) stack.push(join(path, nameOfBytes(entry.name)));
  }
}
