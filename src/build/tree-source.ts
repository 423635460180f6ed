import { err, failure, ok, type Result } from '../base/index.ts';
import { type FileTree, readTreeFile } from '../cachekey/index.ts';
import type { LocalSource } from '../ports/index.ts';

/** A tree of layers in the place of a directory, to read the Dockerfile from. */
export function treeSource(tree: FileTree, describes: string): LocalSource {
  return {
    describes,
    readFile: (path, options) => readSmallFile(tree, path, options),
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

/** A small file. CX003: it cannot be had. */
export async function readSmallFile(
  tree: FileTree,
  path: string,
  options: { readonly maxBytes: number; readonly signal: AbortSignal },
): Promise<Result<Uint8Array | undefined>> {
  const read = await readTreeFile(tree, path, options);
  if (read.ok) return read;
  const why = {
    loop: ': too many links',
    'not-a-file': ' is not a file',
    'too-large': ` is larger than ${options.maxBytes} bytes`,
  };
  return err(failure('CX003', 2, `${path}${why[read.error.kind]}`));
}
