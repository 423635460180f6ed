import type { LayerFile } from '../image/index.ts';
import { formatBytes } from './progress/text.ts';

/** What of a layer is shown. */
export interface LayerTreeOptions {
  /** Directories below this one; empty: the root. */
  readonly path: string;
  /** Levels of directories; what is deeper is counted in them. */
  readonly depth: number;
}

/** What a layer does to a path: added, written again, removed. */
export type LayerMark = 'A' | 'C' | 'D';

/** A path of a layer with what it does there. */
export interface MarkedFile {
  readonly file: LayerFile;
  readonly mark: LayerMark;
  /** A later layer writes it again or removes it. */
  readonly isLost: boolean;
}

interface Node {
  readonly children: Map<string, Node>;
  bytes: number;
  lost: number;
  files: number;
  mark?: LayerMark;
  isDirectory: boolean;
}

/** Marks the paths of each layer by what the layers below it had (OCI image-spec, layer.md, "Change Types"). */
export function markLayers(
  layers: readonly (readonly LayerFile[])[],
  lost: readonly ReadonlySet<string>[],
): readonly (readonly MarkedFile[])[] {
  const known = new Set<string>();
  return layers.map((files, i) => {
    const marked = files.map((file): MarkedFile => {
      const removed = file.type === 'removed' || file.type === 'opaque';
      const mark = removed ? 'D' : known.has(file.path) ? 'C' : 'A';
      return { file, mark, isLost: lost[i]?.has(file.path) === true };
    });
    for (const { file, mark } of marked)
      if (mark === 'D') known.delete(file.path);
      else known.add(file.path);
    return marked;
  });
}

/** The files of one layer as an indented tree, the largest first. */
export function layerTreeText(
  files: readonly MarkedFile[],
  { path, depth }: LayerTreeOptions,
): string {
  const root = node();
  const prefix = path === '' ? '' : `${path}/`;
  for (const marked of files)
    if (marked.file.path.startsWith(prefix)) add(root, marked, prefix.length);
  return linesOf(root, depth, 1).join('');
}

const node = (): Node => ({ children: new Map(), bytes: 0, lost: 0, files: 0, isDirectory: true });

function add(root: Node, { file, mark, isLost }: MarkedFile, skip: number): void {
  const isDirectory = file.type === 'dir';
  const bytes = file.type === 'file' ? file.size : 0;
  let at = root;
  for (const part of file.path.slice(skip).split('/')) {
    const below = at.children.get(part) ?? node();
    at.children.set(part, below);
    below.bytes += bytes;
    below.lost += isLost ? bytes : 0;
    below.files += isDirectory ? 0 : 1;
    at = below;
  }
  at.mark = mark;
  at.isDirectory = isDirectory || at.children.size > 0;
}

function linesOf({ children }: Node, depth: number, level: number): readonly string[] {
  return [...children]
    .sort(([x, a], [y, b]) => b.bytes - a.bytes || (x < y ? -1 : 1))
    .flatMap(([name, child]) => {
      const size = formatBytes(child.bytes).padStart(9);
      const count = child.isDirectory ? `/  (${child.files})` : '';
      const lost = child.lost === 0 ? '' : `  ${formatBytes(child.lost)} wasted`;
      const line = `${child.mark ?? ' '} ${size}  ${'  '.repeat(level - 1)}${name}${count}${lost}\n`;
      return [line, ...(level < depth ? linesOf(child, depth, level + 1) : [])];
    });
}
