import { byUtf8 } from '../base/index.ts';
import type { PackedEntry } from '../ports/index.ts';
import { OVERLAY_XATTRS } from './disk-entry.ts';
import type { StoredData } from './pack-data.ts';
import {
  COPIED,
  DELETES,
  type Extra,
  LARGE,
  OPAQUE,
  OWN_DIGEST,
  PADDED,
  PackIndexWriter,
  type Row,
  SAME,
} from './pack-index.ts';
import type { PackSources } from './pack-sources.ts';

/** Where the data of a regular file of a packed layer lies. */
export function dataOf(entry: PackedEntry): StoredData {
  if (entry.data === undefined) throw new Error('a regular file has no data');
  // What stores data makes these, and nobody else.
  return entry.data as StoredData;
}

/** How a layer stands to the tree below it. */
export interface Compared {
  /** Entries that equal what is below. */
  readonly same: ReadonlySet<string>;
  /** What of the tree below is gone: by whiteouts, or hidden by opaque directories. */
  readonly deleted: ReadonlySet<string>;
}

/** The names in each directory, in the order of `entries`. */
export function namesByDir(entries: ReadonlyMap<string, PackedEntry>): Map<string, string[]> {
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
export function indexOf(what: {
  readonly entries: ReadonlyMap<string, PackedEntry>;
  readonly names: ReadonlyMap<string, string[]>;
  readonly compared: Compared;
  readonly data: { readonly size: number; readonly sources: PackSources };
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
    (data?.padded === true ? PADDED : 0) |
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
export function withoutOverlay(xattrs: PackedEntry['xattrs']): PackedEntry['xattrs'] {
  if (xattrs.size === 0) return xattrs;
  const own = (name: string): boolean => OVERLAY_XATTRS.some((prefix) => name.startsWith(prefix));
  return new Map([...xattrs].filter(([name]) => !own(name)));
}
