import { err, ok, type Result } from '../base/index.ts';
import type { FileTree } from './file-tree.ts';
import { resolveInTree } from './resolve.ts';

/** Why the data of a path cannot be had; `path` is where its links lead. */
export interface TreeFileFault {
  readonly kind: 'loop' | 'not-a-file' | 'too-large';
  readonly path: string;
}

/** The data of a file, symbolic links followed inside the tree; undefined where nothing is. */
export async function readTreeFile(
  tree: FileTree,
  path: string,
  options: { readonly maxBytes?: number; readonly signal: AbortSignal },
): Promise<Result<Buffer | undefined, TreeFileFault>> {
  const found = resolveInTree(tree, path, { last: true });
  if (!found.ok) return err({ kind: 'loop', path });
  const { entry, path: at } = found.value;
  if (entry === undefined) return ok(undefined);
  if (entry.type !== 'file') return err({ kind: 'not-a-file', path: at });
  if (entry.size > (options.maxBytes ?? Infinity)) return err({ kind: 'too-large', path: at });
  const parts: Uint8Array[] = [];
  // What is read may be overwritten by the next piece.
  for await (const part of tree.read(at, options.signal)) parts.push(Buffer.from(part));
  return ok(Buffer.concat(parts));
}
