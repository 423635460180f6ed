import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { byUtf8 } from '../base/index.ts';
import type { FileEntry, FileTree, FileType } from '../cachekey/index.ts';
import type { LayerChain, LayerId, LayerRef, PackedEntry, PackedLayer } from '../ports/index.ts';
import { OVERLAY_XATTRS } from './disk-entry.ts';
import { join as joinPath, parentOf } from './layer-path.ts';
import { isSame } from './layer-tar.ts';
import { type CopySource, PackData, type StoredData } from './pack-data.ts';
import {
  COPIED,
  DELETES,
  type Extra,
  LARGE,
  OPAQUE,
  OWN_DIGEST,
  PackIndexWriter,
  type Row,
  SAME,
} from './pack-index.ts';
import type { PackSources } from './pack-sources.ts';
import type { EarlierPacks } from './recent-packs.ts';

interface PackedParts {
  readonly id: LayerId;
  readonly parents: LayerChain;
  readonly lower: FileTree;
  /** Directory of the layer to be. */
  readonly dir: string;
  readonly earlier: EarlierPacks | undefined;
  readonly install: (chain: LayerChain) => Promise<void>;
  readonly drop: () => Promise<void>;
}

/** A layer being recorded: its data goes to the working directory at once, its entries when it is committed. */
export class RecordedLayer implements PackedLayer {
  readonly #parts: PackedParts;
  readonly #data: PackData;
  #state: 'open' | 'committed' | 'dropped' = 'open';

  constructor(parts: PackedParts) {
    this.#parts = parts;
    this.#data = new PackData(parts.dir, parts.earlier);
  }

  get id(): LayerId {
    return this.#parts.id;
  }

  get parents(): LayerChain {
    return this.#parts.parents;
  }

  get lower(): FileTree {
    return this.#parts.lower;
  }

  copy(from: CopySource, signal: AbortSignal): StoredData | Promise<StoredData> {
    return this.#data.copy(from, signal);
  }

  write(data: Uint8Array): StoredData {
    return this.#data.write(data);
  }

  stream(data: AsyncIterable<Uint8Array>): Promise<StoredData> {
    return this.#data.stream(data);
  }

  async commit(
    entries: ReadonlyMap<string, PackedEntry>,
    options: { readonly createdAt: number; readonly signal: AbortSignal },
  ): Promise<LayerRef> {
    if (this.#state !== 'open') throw new Error('the layer is finished');
    const { dir, lower } = this.#parts;
    this.#data.finish();
    const names = namesByDir(entries);
    const against = await this.#compare(entries, names, lower, options.signal);
    for (const path of against.deleted)
      if (!entries.has(path))
        names.get(parentOf(path))?.push(path.slice(path.lastIndexOf('/') + 1));
    const bytes = indexOf({ entries, names, compared: against, data: this.#data });
    writeFileSync(join(dir, 'entries'), bytes, { flag: 'wx', mode: 0o600 });
    const ref: LayerRef = { id: this.id, createdAt: options.createdAt };
    await this.#parts.install([...this.parents, ref]);
    this.#state = 'committed';
    await this.#parts.drop();
    return ref;
  }

  /** Compares with the tree below, going only into directories that both have. */
  async #compare(
    entries: ReadonlyMap<string, PackedEntry>,
    names: ReadonlyMap<string, readonly string[]>,
    lower: FileTree,
    signal: AbortSignal,
  ): Promise<Compared> {
    const same = new Set<string>();
    const deleted = new Set<string>();
    const enter = async (path: string, opaque: boolean): Promise<void> => {
      const own = names.get(path) ?? [];
      if (opaque)
        for (const name of lower.list(path))
          if (!entries.has(joinPath(path, name))) deleted.add(joinPath(path, name));
      for (const name of own) {
        signal.throwIfAborted();
        const child = joinPath(path, name);
        const below = lower.lstat(child);
        const entry = entries.get(child);
        if (below === undefined || entry === undefined) continue;
        if (entry.type === 'whiteout') {
          deleted.add(child);
          continue;
        }
        const as = entryOf(entry, entry.type);
        const read = (): AsyncIterable<Uint8Array> => this.#data.read(dataOf(entry), signal);
        if (await isSame({ entry: as, read }, below, lower, child, signal)) same.add(child);
        if (entry.type === 'dir' && below.type === 'dir')
          await enter(child, opaque || entry.opaque === true);
      }
    };
    await enter('/', false);
    return { same, deleted };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'dropped';
    this.#data.close();
    await this.#parts.drop();
  }
}

function dataOf(entry: PackedEntry): StoredData {
  if (entry.data === undefined) throw new Error('a regular file has no data');
  // `RecordedLayer` is the only maker of these.
  return entry.data as StoredData;
}

function entryOf(entry: PackedEntry, type: FileType): FileEntry {
  const { mode, uid, gid, mtimeNs, link, device } = entry;
  return {
    type,
    mode,
    uid,
    gid,
    size: entry.data?.size ?? 0,
    mtimeNs,
    xattrs: withoutOverlay(entry.xattrs),
    ...(link === undefined ? {} : { link }),
    ...(device === undefined ? {} : { device }),
  };
}

/** How a layer stands to the tree below it. */
interface Compared {
  /** Entries that equal what is below. */
  readonly same: ReadonlySet<string>;
  /** What of the tree below is gone: by whiteouts, or hidden by opaque directories. */
  readonly deleted: ReadonlySet<string>;
}

function namesByDir(entries: ReadonlyMap<string, PackedEntry>): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const path of entries.keys()) {
    if (path === '/') continue;
    const cut = path.lastIndexOf('/');
    const dir = cut === 0 ? '/' : path.slice(0, cut);
    const list = names.get(dir);
    if (list === undefined) names.set(dir, [path.slice(cut + 1)]);
    else list.push(path.slice(cut + 1));
  }
  return names;
}

/** The bytes of `entries`. */
function indexOf(what: {
  readonly entries: ReadonlyMap<string, PackedEntry>;
  readonly names: ReadonlyMap<string, string[]>;
  readonly compared: Compared;
  readonly data: PackData;
}): Uint8Array {
  const { entries, names, compared, data } = what;
  let count = 1;
  for (const list of names.values()) count += list.length;
  const writer = new PackIndexWriter(count);
  const links = linkGroups(entries);
  let visible = 0;
  const add = (path: string, name: string, parent: number): void => {
    const entry = entries.get(path);
    if (entry === undefined) {
      writer.add({ ...HIDDEN, name, parent });
      return;
    }
    visible++;
    const group = links.get(entry) ?? 0;
    const at = writer.add(rowOf(entry, { name, parent, path, group }, compared, data.sources));
    if (entry.type !== 'dir') return;
    const prefix = path === '/' ? '/' : `${path}/`;
    for (const child of (names.get(path) ?? []).sort(byUtf8)) add(prefix + child, child, at);
  };
  if (entries.get('/')?.type !== 'dir') throw new Error('a layer has a root directory');
  add('/', '', 0);
  if (visible !== entries.size) throw new Error('an entry of the layer is in no directory');
  return writer.finish(data.size);
}

const HIDDEN: Omit<Row, 'name' | 'parent'> = {
  type: 'hidden',
  flags: 0,
  mode: 0,
  uid: 0,
  gid: 0,
  mtimeNs: 0n,
  size: 0,
  offset: 0,
  crc: 0,
  group: 0,
  digest: undefined,
  extra: undefined,
};

/** Numbers for entries that have several names. */
function linkGroups(entries: ReadonlyMap<string, PackedEntry>): Map<PackedEntry, number> {
  const seen = new Set<PackedEntry>();
  const groups = new Map<PackedEntry, number>();
  for (const entry of entries.values()) {
    if (entry.type === 'dir' || entry.type === 'whiteout') continue;
    if (seen.has(entry) && !groups.has(entry)) groups.set(entry, groups.size + 1);
    seen.add(entry);
  }
  return groups;
}

function rowOf(
  entry: PackedEntry,
  at: {
    readonly name: string;
    readonly parent: number;
    readonly path: string;
    readonly group: number;
  },
  compared: Compared,
  sources: PackSources,
): Row {
  const data = entry.type === 'file' ? dataOf(entry) : undefined;
  const source = data?.source ?? -1;
  const xattrs = withoutOverlay(entry.xattrs);
  const flags =
    (entry.opaque === true ? OPAQUE : 0) |
    (compared.same.has(at.path) ? SAME : 0) |
    (entry.type === 'whiteout' && compared.deleted.has(at.path) ? DELETES : 0) |
    (data?.kind === 'large' ? LARGE : 0) |
    (source === -1 ? 0 : COPIED) |
    (source !== -1 &&
    sources.hasHeaderOf(source, xattrs === entry.xattrs ? entry : { ...entry, xattrs })
      ? OWN_DIGEST
      : 0);
  return {
    name: at.name,
    parent: at.parent,
    type: entry.type,
    flags,
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    mtimeNs: entry.mtimeNs,
    size: data?.size ?? 0,
    offset: data?.offset ?? 0,
    crc: data?.crc ?? 0,
    group: at.group,
    digest: source === -1 ? undefined : sources.digest(source),
    extra: extraOf(entry, xattrs),
  };
}

function extraOf(entry: PackedEntry, xattrs: PackedEntry['xattrs']): Extra | undefined {
  const { link, device } = entry;
  if (link === undefined && device === undefined && xattrs.size === 0) return undefined;
  return { link, device, ...(xattrs.size === 0 ? {} : { xattrs }) };
}

/** Attributes of overlayfs itself are no part of a layer. */
function withoutOverlay(xattrs: PackedEntry['xattrs']): PackedEntry['xattrs'] {
  if (xattrs.size === 0) return xattrs;
  const own = (name: string): boolean => OVERLAY_XATTRS.some((prefix) => name.startsWith(prefix));
  return new Map([...xattrs].filter(([name]) => !own(name)));
}
