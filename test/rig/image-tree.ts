import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseJson } from '../../src/base/index.ts';
import { type ListedEntry, listLayer } from './tar-listing.ts';

/** What two images are compared by. */
export interface ImageContents {
  /** Path to `type mode uid:gid size-or-link digest`. */
  readonly tree: Readonly<Record<string, string>>;
  /** The part of the configuration that a runtime reads. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** The only image of an OCI layout directory. */
export function readLayout(layout: string): ImageContents {
  const blob = (digest: string): string => join(layout, 'blobs', digest.replace(':', '/'));
  const index = json<{ readonly manifests: readonly Descriptor[] }>(join(layout, 'index.json'));
  return readManifest(blob(index.manifests[0]?.digest ?? ''), blob);
}

/** An image in the form of the transport `dir:` of the tools around containers/image. */
export function readDirectory(dir: string): ImageContents {
  const blob = (digest: string): string => join(dir, digest.replace(/^.*:/, ''));
  return readManifest(join(dir, 'manifest.json'), blob);
}

/** The only image of an unpacked archive of `docker save`. */
export function readSaved(dir: string): ImageContents {
  type Saved = readonly { readonly Config: string; readonly Layers: readonly string[] }[];
  const [image] = json<Saved>(join(dir, 'manifest.json'));
  if (image === undefined) throw new Error(`${dir}: no image`);
  const layers = image.Layers.map((path) => listLayer(readFileSync(join(dir, path))));
  return { tree: treeOf(layers), config: configOf(join(dir, image.Config)) };
}

interface Descriptor {
  readonly digest: string;
}

function readManifest(path: string, blob: (digest: string) => string): ImageContents {
  const { config, layers } = json<{
    readonly config: Descriptor;
    readonly layers: readonly Descriptor[];
  }>(path);
  return {
    tree: treeOf(layers.map(({ digest }) => listLayer(readFileSync(blob(digest))))),
    config: configOf(blob(config.digest)),
  };
}

const configOf = (path: string): ImageContents['config'] =>
  json<{ readonly config?: ImageContents['config'] }>(path).config ?? {};

/** A file, which all of its hard links share. */
interface Node {
  readonly line: string;
  readonly isFile: boolean;
  links: number;
}

/** Layers on each other (OCI image-spec, layer.md), as text. */
function treeOf(layers: readonly (readonly ListedEntry[])[]): ImageContents['tree'] {
  const tree = new Map<string, Node>();
  for (const layer of layers) {
    const below = new Set(tree.keys());
    for (const entry of layer) if (entry.whiteout !== undefined) whiteOut(tree, below, entry);
    for (const entry of layer) if (entry.whiteout === undefined) place(tree, entry);
  }
  const lines = [...tree].map(([path, { line, isFile, links }]): [string, string] => [
    path,
    isFile ? `${line} links ${links}` : line,
  ]);
  return Object.fromEntries(lines.sort(([a], [b]) => (a < b ? -1 : 1)));
}

const pathOf = (name: string): string => join('/', name).replace(/(?<=.)\/$/, '');

function whiteOut(tree: Map<string, Node>, below: Iterable<string>, entry: ListedEntry): void {
  const parent = dirname(pathOf(entry.name));
  const opaque = entry.whiteout === '.wh..opq';
  const gone = join(parent, opaque ? '' : (entry.whiteout ?? ''));
  for (const path of below)
    if (path.startsWith(gone === '/' ? gone : `${gone}/`) || (!opaque && path === gone))
      remove(tree, path);
}

function remove(tree: Map<string, Node>, path: string): void {
  const node = tree.get(path);
  if (node !== undefined) node.links--;
  tree.delete(path);
}

function place(tree: Map<string, Node>, entry: ListedEntry): void {
  const path = pathOf(entry.name);
  if (path === '/') return;
  // A directory on a directory changes its attributes only.
  if (entry.type !== 'dir')
    for (const known of [...tree.keys()]) if (known.startsWith(`${path}/`)) remove(tree, known);
  const node = entry.type === 'hardlink' ? tree.get(pathOf(entry.linkname ?? '')) : nodeOf(entry);
  if (node === undefined) throw new Error(`${path} is a link to nothing`);
  remove(tree, path);
  node.links++;
  tree.set(path, node);
}

function nodeOf(entry: ListedEntry): Node {
  const { type, uid, gid, linkname, sha256 = '', size } = entry;
  const mode = entry.mode.replace(/^0+(?=.)/, '');
  const line = {
    dir: `dir ${mode} ${uid}:${gid}`,
    symlink: `link ${uid}:${gid} -> ${linkname}`,
    file: `file ${mode} ${uid}:${gid} ${size} ${sha256.slice(0, 16)}`,
  }[type];
  const other = `${type} ${mode} ${uid}:${gid} ${entry.dev?.join(':') ?? ''}`;
  return { line: line ?? other, isFile: type === 'file', links: 0 };
}

function json<T>(path: string): T {
  const parsed = parseJson(readFileSync(path, 'utf8'));
  if (!parsed.ok) throw new Error(`${path}: ${parsed.error}`);
  // Test data written by the tool under test; a wrong shape fails the comparison.
  return parsed.value as T;
}
