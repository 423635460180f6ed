import { bytesOfName } from '../base/index.ts';
import { DoesNotFit, type Ext4Node, type Ext4Source, FIRST_INODE, ROOT_INODE } from './format.ts';

/** One inode and what it stands for. */
export interface Row {
  /** Its first path. */
  readonly path: string;
  readonly node: Ext4Node;
  readonly number: number;
  links: number;
  /** Of a directory: the one that it is in. */
  readonly above?: Row;
  /** Of a directory. */
  readonly names?: { readonly name: Uint8Array; readonly row: Row }[];
}

const MAX_NAME = 255;
const MAX_FILE_LINKS = 65_000;

/** Entries after which other work of the process is let in. */
const PAUSE = 256;

/** The inodes of a tree in the order of their numbers: parents before children, names in byte order. */
export async function readRows(
  source: Ext4Source,
  signal: AbortSignal,
): Promise<{ readonly rows: readonly Row[]; readonly ownLost: boolean }> {
  const root = source.lstat('/');
  if (root?.type !== 'dir') throw new DoesNotFit('the tree has no root directory');
  const ownLost = source.lstat('/lost+found') !== undefined;
  const top: Row = { path: '/', node: root, number: ROOT_INODE, links: 2, names: [] };
  const rows = [top];
  const groups = new Map<string, Row>();
  let next = ownLost ? FIRST_INODE : FIRST_INODE + 1;
  let seen = 0;
  const add = (dir: Row, text: string): Row | undefined => {
    const path = dir.path === '/' ? `/${text}` : `${dir.path}/${text}`;
    const node = source.lstat(path);
    if (node === undefined) throw new Error(`${path} is listed and not there`);
    const name = bytesOfName(text);
    if (name.length > MAX_NAME) throw new DoesNotFit(`${path}: a name of ${name.length} bytes`);
    const known = node.inode === undefined ? undefined : groups.get(node.inode);
    if (known !== undefined) {
      known.links++;
      if (known.links > MAX_FILE_LINKS) throw new DoesNotFit(`${path}: a file of too many names`);
      dir.names?.push({ name, row: known });
      return undefined;
    }
    const isDir = node.type === 'dir';
    if (isDir) dir.links++;
    const row: Row = {
      ...{ path, node, number: next++, links: isDir ? 2 : 1 },
      ...(isDir ? { above: dir, names: [] } : {}),
    };
    rows.push(row);
    if (node.inode !== undefined) groups.set(node.inode, row);
    dir.names?.push({ name, row });
    return isDir ? row : undefined;
  };
  const todo = [{ dir: top, names: source.list('/').values() }];
  for (let at = todo.at(-1); at !== undefined; at = todo.at(-1)) {
    const { value: text, done } = at.names.next();
    if (done === true) {
      todo.pop();
      continue;
    }
    if (seen++ % PAUSE === 0) {
      signal.throwIfAborted();
      await new Promise(setImmediate);
    }
    const dir = add(at.dir, text);
    if (dir !== undefined) todo.push({ dir, names: source.list(dir.path).values() });
  }
  return { rows, ownLost };
}
