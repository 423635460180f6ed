import { byUtf8 } from '../base/index.ts';
import type { FileEntry } from '../cachekey/index.ts';
import type { LayerEntry } from '../ports/index.ts';
import { entryOf, isOpaque, isWhiteout, statOf } from './disk-entry.ts';
import { join, namesIn } from './overlay-tree.ts';
import { readSmallFile } from './read-file.ts';

/** Files whose bytes stand beside their entry: `--chown` by name reads them, and nothing else of a layer. */
const CARRIED = new Set(['/etc/passwd', '/etc/group']);
/** Larger ones are read from the layer. */
const MAX_CARRIED = 64 * 1024;

/** The entries of a layer directory in overlayfs form, parents before children; its root is none of them. */
export function* layerEntries(dir: string, path = '/'): Generator<LayerEntry> {
  for (const name of namesIn(join(dir, path)).sort(byUtf8)) {
    const child = join(path, name);
    const disk = join(dir, child);
    const stat = statOf(disk);
    if (stat === undefined) continue;
    if (isWhiteout(stat)) {
      yield { path: child, kind: 'gone' };
      continue;
    }
    const entry = entryOf(disk, stat);
    // A socket never reaches an image.
    if (entry.type === 'socket') continue;
    if (entry.type === 'dir') {
      yield { path: child, kind: 'set', entry, ...(isOpaque(disk) ? { opaque: true } : {}) };
      yield* layerEntries(dir, child);
      continue;
    }
    yield { path: child, kind: 'set', entry, ...carried(child, disk, entry) };
  }
}

function carried(path: string, disk: string, entry: FileEntry): { readonly data?: Uint8Array } {
  if (!CARRIED.has(path) || entry.type !== 'file' || entry.size > MAX_CARRIED) return {};
  return { data: readSmallFile(disk, entry.size) };
}
