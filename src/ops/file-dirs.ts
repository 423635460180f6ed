import { fileError } from './file-error.ts';
import type { EntryMetadata, FileLayer } from './file-layer.ts';

/**
 * Makes a directory and its missing parents (Go's `MkdirAll`); `path` has its links resolved. New directories get the
 * metadata, root as owner when it names none. Returns what was made, outermost first.
 */
export function makeDirs(
  layer: FileLayer,
  path: string,
  metadata: EntryMetadata & { readonly mode: number },
): string[] {
  const missing: string[] = [];
  for (let at = path; at !== '/'; at = at.slice(0, at.lastIndexOf('/')) || '/') {
    const entry = layer.lstat(at);
    if (entry?.type === 'dir') break;
    if (entry !== undefined) throw fileError('mkdir', at, 'ENOTDIR');
    missing.unshift(at);
  }
  for (const dir of missing) {
    layer.makeDir(dir, metadata.mode);
    const { mode: _mode, ...rest } = metadata;
    layer.setMetadata(dir, rest);
  }
  return missing;
}
