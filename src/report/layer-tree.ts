import type { ReportLayer } from './data.ts';
import { bytesText, escapeHtml } from './text.ts';

/** A directory with what is known of it. */
interface Directory {
  readonly directories: Map<string, Directory>;
  readonly files: { readonly name: string; readonly size: number; readonly wasted: boolean }[];
  size: number;
  wasted: number;
}

/**
 * Layers as a tree that is opened and closed: lists and `details` elements, which browsers make usable by keyboard and name
 * to readers of screens by themselves.
 */
export function layerTree(layers: readonly ReportLayer[]): string {
  const items = layers.map((layer, i) => {
    const root = treeOf(layer);
    const more =
      layer.more.files === 0
        ? ''
        : `<li>and ${layer.more.files} smaller files, ${bytesText(layer.more.size)}</li>`;
    const name = `${i + 1} ${escapeHtml(layer.madeBy)}`;
    return branch(name, sizes(layer.size, layer.wasted), `${childrenOf(root)}${more}`);
  });
  return `<ul class="tree" aria-label="Files of each layer">${items.join('')}</ul>`;
}

function treeOf({ files }: ReportLayer): Directory {
  const root = empty();
  for (const { path, size, wasted = false } of files) {
    const parts = path.split('/');
    const name = parts.pop() ?? path;
    let at = root;
    for (const part of parts) {
      const below = at.directories.get(part) ?? empty();
      at.directories.set(part, below);
      below.size += size;
      below.wasted += wasted ? size : 0;
      at = below;
    }
    at.files.push({ name, size, wasted });
  }
  return root;
}

const empty = (): Directory => ({ directories: new Map(), files: [], size: 0, wasted: 0 });

function childrenOf({ directories, files }: Directory): string {
  const below = [...directories]
    .sort(([, a], [, b]) => b.size - a.size)
    .map(([name, directory]) => folded(name, directory));
  const own = files.map(
    ({ name, size, wasted }) => `<li>${escapeHtml(name)} ${sizes(size, wasted ? size : 0)}</li>`,
  );
  return [...below, ...own].join('');
}

/** Directories that hold one directory only are one line. */
function folded(name: string, directory: Directory): string {
  const [only] = directory.directories;
  if (only !== undefined && directory.directories.size === 1 && directory.files.length === 0)
    return folded(`${name}/${only[0]}`, only[1]);
  return branch(
    `${escapeHtml(name)}/`,
    sizes(directory.size, directory.wasted),
    childrenOf(directory),
  );
}

const branch = (name: string, size: string, children: string): string =>
  children === ''
    ? `<li>${name} ${size}</li>`
    : `<li><details><summary>${name} ${size}</summary><ul>${children}</ul></details></li>`;

const sizes = (size: number, wasted: number): string =>
  `<span class="size">${bytesText(size)}</span>${wasted === 0 ? '' : ` <strong class="wasted">${wasted === size ? 'written again or removed later' : `${bytesText(wasted)} of it written again or removed later`}</strong>`}`;
