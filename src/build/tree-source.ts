import { err, failure, ok, type Result } from '../base/index.ts';
import { type FileTree, resolveInTree } from '../cachekey/index.ts';
import type { LocalSource } from '../ports/index.ts';

/** A tree of layers in the place of a directory, to read the Dockerfile from. */
export function treeSource(tree: FileTree, describes: string): LocalSource {
  return {
    describes,
    readFile: (path, options) => readTreeFile(tree, path, options),
    tree: () => Promise.resolve(ok(tree)),
  };
}

/** A context that is not opened yet: nothing is in it. */
export function emptySource(describes: string): LocalSource {
  return {
    describes,
    readFile: () => Promise.resolve(ok(undefined)),
    tree: () => {
      throw new Error('a remote context is no directory');
    },
  };
}

/** A small file; symbolic links are followed inside the tree. */
export async function readTreeFile(
  tree: FileTree,
  path: string,
  options: { readonly maxBytes: number; readonly signal: AbortSignal },
): Promise<Result<Uint8Array | undefined>> {
  const found = resolveInTree(tree, path, { last: true });
  if (!found.ok) return err(failure('CX003', 2, `${path}: ${found.error}`));
  const { entry } = found.value;
  if (entry === undefined) return ok(undefined);
  if (entry.type !== 'file') return err(failure('CX003', 2, `${path} is not a file`));
  if (entry.size > options.maxBytes)
    return err(failure('CX003', 2, `${path} is larger than ${options.maxBytes} bytes`));
  const chunks: Uint8Array[] = [];
  for await (const chunk of tree.read(found.value.path, options.signal)) chunks.push(chunk);
  return ok(Buffer.concat(chunks));
}
