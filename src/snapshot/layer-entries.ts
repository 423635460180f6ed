import { byUtf8 } from '../base/index.ts';
import type { FileEntry } from '../cachekey/index.ts';
import type { LayerEntry } from '../ports/index.ts';
import { join } from './layer-path.ts';
import type { LayerView } from './layer-view.ts';
import { readSmallFile } from './read-file.ts';

/** Files whose bytes stand beside their entry: `--chown` by name reads them, and nothing else of a layer. */
const CARRIED = new Set(['/etc/passwd', '/etc/group']);
/** Larger ones are read from the layer. */
const MAX_CARRIED = 64 * 1024;

/** The entries of a layer in overlayfs form, parents before children; its root is none of them. */
export function* layerEntries(layer: LayerView, path = '/'): Generator<LayerEntry> {
  for (const name of [...layer.names(path)].sort(byUtf8)) {
    const child = join(path, name);
    const seen = layer.see(child);
    if (seen === undefined) continue;
    if (seen.type === 'whiteout') {
      yield { path: child, kind: 'gone' };
      continue;
    }
    // A socket never reaches an image.
    if (seen.type === 'socket') continue;
    const entry = seen.entry();
    if (entry.type === 'dir') {
      yield { path: child, kind: 'set', entry, ...(layer.isOpaque(child) ? { opaque: true } : {}) };
      yield* layerEntries(layer, child);
      continue;
    }
    yield { path: child, kind: 'set', entry, ...carried(layer, child, entry) };
  }
}

function carried(layer: LayerView, path: string, entry: FileEntry): { readonly data?: Uint8Array } {
  if (!CARRIED.has(path) || entry.type !== 'file' || entry.size > MAX_CARRIED) return {};
  return { data: layer.readNow(path) ?? readSmallFile(layer.diskPath(path) ?? '', entry.size) };
}
