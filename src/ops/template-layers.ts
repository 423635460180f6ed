import { dirname } from 'node:path';
import { byCodeUnit } from '../base/index.ts';
import { type FileEntry, type FileTree, readTreeFile } from '../cachekey/index.ts';
import type { Clock, LayerChain, LayerRef, Snapshotter } from '../ports/index.ts';
import { FileLayer } from './file-layer.ts';
import { child } from './file-paths.ts';

/** A name of the root that is no directory, or an empty one. */
interface Item {
  readonly path: string;
  readonly entry: FileEntry;
}

/**
 * Divides a root of Debian packages into at most `budget` layers: the source packages with the most bytes have one each,
 * the others share one, and what belongs to no package (the package database, generated files, accounts) is in the last.
 * A layer holds what its packages hold and nothing else says: directories have the root's time, and the layers below do not
 * matter, so that another version of a package, or one package more, changes its layer and the last.
 */
export async function layerRoot(
  root: LayerChain,
  options: { readonly budget: number; readonly epoch: number; readonly signal: AbortSignal },
  deps: { readonly snapshots: Snapshotter; readonly clock: Clock },
): Promise<LayerChain> {
  const tree = await deps.snapshots.tree(root);
  const origins = await originsOf(tree, options.signal);
  let chain: LayerChain = [];
  for (const items of parts(itemsOf(tree), origins, options.budget))
    chain = [...chain, await makeLayer(tree, items, { ...options, ...deps, chain })];
  return chain;
}

/** Everything but directories that have something in them. */
function itemsOf(tree: FileTree, path = '/'): readonly Item[] {
  return tree.list(path).flatMap((name) => {
    const at = child(path, name);
    const entry = tree.lstat(at);
    if (entry === undefined || entry.type === 'socket') return [];
    if (entry.type === 'dir' && tree.list(at).length > 0) return itemsOf(tree, at);
    return [{ path: at, entry }];
  });
}

const INFO = '/var/lib/dpkg/info';
/** What a merged /usr makes of the paths that packages have. */
const merged = (path: string): string => path.replace(/^\/(s?bin|lib[0-9x]*)\//, '/usr/$1/');

/** The source package of each path that the package database knows, that of its own files included. */
async function originsOf(
  tree: FileTree,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const sources = new Map<string, string>();
  for (const stanza of (await textOf(tree, '/var/lib/dpkg/status', signal)).split(/\n\n+/)) {
    const field = (name: string): string | undefined =>
      new RegExp(`^${name}: (\\S+)`, 'm').exec(stanza)?.[1];
    const name = field('Package');
    if (name !== undefined) sources.set(name, field('Source') ?? name);
  }
  const origins = new Map<string, string>();
  for (const file of tree.list(INFO)) {
    const owner = ownerOf(file, sources);
    if (owner === undefined) continue;
    origins.set(child(INFO, file), owner);
    if (!file.endsWith('.list')) continue;
    for (const path of (await textOf(tree, child(INFO, file), signal)).split('\n'))
      if (path !== '') origins.set(merged(path), owner);
  }
  return origins;
}

/** Files are called `name.list` or `name:architecture.list`; names have dots themselves. */
function ownerOf(file: string, sources: ReadonlyMap<string, string>): string | undefined {
  for (let end = file.lastIndexOf('.'); end > 0; end = file.lastIndexOf('.', end - 1)) {
    const owner = sources.get(file.slice(0, end).replace(/:[a-z0-9-]+$/, ''));
    if (owner !== undefined) return owner;
  }
  return undefined;
}

function parts(
  items: readonly Item[],
  origins: ReadonlyMap<string, string>,
  budget: number,
): readonly (readonly Item[])[] {
  const groups = Map.groupBy(items, ({ path }) => origins.get(path));
  const unowned = groups.get(undefined) ?? [];
  groups.delete(undefined);
  const bySize = [...groups]
    .map(([name, own]) => ({
      ...{ name: name ?? '', own },
      bytes: own.reduce((sum, { entry }) => sum + entry.size, 0),
    }))
    .sort((a, b) => b.bytes - a.bytes || byCodeUnit(a.name, b.name));
  const alone = bySize.slice(0, Math.max(0, budget - 2));
  const shared = bySize.slice(alone.length).flatMap(({ own }) => own);
  const last = budget === 1 ? [[...shared, ...unowned]] : [shared, unowned];
  return [
    ...alone.sort((a, b) => byCodeUnit(a.name, b.name)).map(({ own }) => own),
    ...last,
  ].filter((own) => own.length > 0);
}

async function makeLayer(
  tree: FileTree,
  items: readonly Item[],
  work: {
    readonly snapshots: Snapshotter;
    readonly clock: Clock;
    readonly chain: LayerChain;
    readonly epoch: number;
    readonly signal: AbortSignal;
  },
): Promise<LayerRef> {
  const epochNs = BigInt(work.epoch) * 1_000_000_000n;
  await using active = await work.snapshots.pack(work.chain);
  const layer = new FileLayer(active, epochNs);
  /** First name in the layer of each file with several. */
  const names = new Map<string, string>();
  const makeDir = (path: string): void => {
    if (layer.lstat(path) !== undefined) return;
    makeDir(dirname(path));
    const entry = tree.lstat(path);
    if (entry === undefined) throw new Error(`${path} is above an entry`);
    layer.makeDir(path, entry.mode);
    layer.setMetadata(path, { ...metadataOf(entry), mtimeNs: epochNs });
  };
  for (const { path, entry } of items) {
    work.signal.throwIfAborted();
    if (entry.type === 'dir') {
      makeDir(path);
      continue;
    }
    makeDir(dirname(path));
    const first = entry.inode === undefined ? undefined : names.get(entry.inode);
    if (first !== undefined) {
      layer.link(first, path);
      continue;
    }
    if (entry.inode !== undefined) names.set(entry.inode, path);
    await make(layer, { tree, path, entry }, work.signal);
    layer.setMetadata(path, metadataOf(entry));
  }
  return await active.commit(layer.finish(), { createdAt: work.clock.now(), signal: work.signal });
}

const metadataOf = (entry: FileEntry): Parameters<FileLayer['setMetadata']>[1] => ({
  owner: { uid: entry.uid, gid: entry.gid },
  ...(entry.type === 'symlink' ? {} : { mode: entry.mode }),
  xattrs: entry.xattrs,
  mtimeNs: entry.mtimeNs,
});

async function make(
  layer: FileLayer,
  from: { readonly tree: FileTree; readonly path: string; readonly entry: FileEntry },
  signal: AbortSignal,
): Promise<void> {
  const { path, entry } = from;
  if (entry.type === 'file') await layer.copyFile(from, path, signal);
  else if (entry.type === 'symlink') layer.makeSymlink(entry.link ?? '', path);
  else if (entry.type === 'char' || entry.type === 'block' || entry.type === 'fifo')
    layer.makeNode(path, {
      ...{ type: entry.type, mode: entry.mode },
      ...(entry.device === undefined ? {} : { device: entry.device }),
    });
}

async function textOf(tree: FileTree, path: string, signal: AbortSignal): Promise<string> {
  const read = await readTreeFile(tree, path, { signal });
  return read.ok ? (read.value?.toString('latin1') ?? '') : '';
}
