import {
  type Digest,
  err,
  failure,
  isRecord,
  ok,
  parseDigest,
  parseJson,
  type Result,
} from '../base/index.ts';
import type { FileEntry, FileType } from '../cachekey/index.ts';
import type { LayerEntry } from '../ports/index.ts';
import { GONE, LETTERS } from './format.ts';

const SECOND = 1_000_000_000n;
const MAX_ID = 2 ** 32 - 1;
const TYPES: ReadonlyMap<unknown, FileType> = new Map(
  // The keys of the table are the types.
  Object.entries(LETTERS).map(([type, letter]) => [letter, type as FileType]),
);

/**
 * Reads the text of an index. Paths are absolute and clean, each below a directory of the same layer that was named before
 * it, and stand once; whatever is otherwise makes the index no index.
 */
export function decodeFileIndexes(
  text: string,
): Result<ReadonlyMap<Digest, readonly LayerEntry[]>> {
  const parsed = parseJson(text);
  if (!parsed.ok) return malformed(parsed.error);
  const root = parsed.value;
  if (!isRecord(root) || root['version'] !== 1 || !Array.isArray(root['layers']))
    return malformed('expected version 1 and a list of layers');
  const layers = new Map<Digest, readonly LayerEntry[]>();
  for (const layer of root['layers'] as readonly unknown[]) {
    const diffId = isRecord(layer) ? parseDigest(String(layer['diffID'])) : undefined;
    const rows = isRecord(layer) ? layer['entries'] : undefined;
    if (diffId === undefined || !Array.isArray(rows))
      return malformed('a layer needs a diffID and entries');
    const entries = decodeEntries(rows);
    if (!entries.ok) return entries;
    layers.set(diffId, entries.value);
  }
  return ok(layers);
}

function malformed(why: string): Result<never> {
  return err(failure('RC007', 3, `file index of layers: ${why}`));
}

function decodeEntries(rows: readonly unknown[]): Result<readonly LayerEntry[]> {
  const entries: LayerEntry[] = [];
  const dirs = new Set(['']);
  const seen = new Set<string>();
  for (const row of rows) {
    const entry = Array.isArray(row) ? decodeRow(row) : undefined;
    if (entry === undefined) return malformed(`entry ${entries.length} is none`);
    const { path } = entry;
    if (seen.has(path)) return malformed(`entry ${entries.length} stands twice`);
    if (!dirs.has(path.slice(0, path.lastIndexOf('/'))))
      return malformed(`entry ${entries.length} lies in no directory of the layer`);
    seen.add(path);
    if (entry.kind === 'set' && entry.entry.type === 'dir') dirs.add(path);
    entries.push(entry);
  }
  return ok(entries);
}

function decodeRow(row: readonly unknown[]): LayerEntry | undefined {
  const [path, letter, mode, uid, gid, size, time, more] = row;
  if (typeof path !== 'string' || !isClean(path)) return undefined;
  if (letter === GONE) return { path, kind: 'gone' };
  const type = TYPES.get(letter);
  const mtimeNs = timeOf(time);
  if (
    type === undefined ||
    mtimeNs === undefined ||
    !isCount(mode, 0o7777) ||
    !isCount(uid, MAX_ID - 1) ||
    !isCount(gid, MAX_ID - 1) ||
    !isCount(size, type === 'file' ? Number.MAX_SAFE_INTEGER : 0)
  )
    return undefined;
  const facts = { type, mode, uid, gid, size, mtimeNs };
  return decodeMore(path, facts, isRecord(more) ? more : {});
}

function decodeMore(
  path: string,
  facts: Omit<FileEntry, 'xattrs'>,
  more: Readonly<Record<string, unknown>>,
): LayerEntry | undefined {
  const { type, size } = facts;
  const { link, device, inode, opaque, data } = more;
  const numbers = Array.isArray(device) ? (device as readonly unknown[]) : [];
  const [major, minor] = numbers;
  const isDevice = type === 'char' || type === 'block';
  if (type === 'symlink' && (typeof link !== 'string' || link.includes('\0'))) return undefined;
  if (isDevice && !(isCount(major, MAX_ID) && isCount(minor, MAX_ID))) return undefined;
  if (inode !== undefined && !isCount(inode, Number.MAX_SAFE_INTEGER)) return undefined;
  const bytes = typeof data === 'string' ? Buffer.from(data, 'base64') : undefined;
  if (bytes !== undefined && (type !== 'file' || bytes.length !== size)) return undefined;
  const entry: FileEntry = {
    ...facts,
    xattrs: xattrsOf(more['xattrs']),
    ...(type === 'symlink' ? { link: String(link) } : {}),
    ...(isDevice ? { device: { major: Number(major), minor: Number(minor) } } : {}),
    ...(inode === undefined || type === 'dir' ? {} : { inode: String(inode) }),
  };
  return {
    path,
    kind: 'set',
    entry,
    ...(opaque === true && type === 'dir' ? { opaque: true } : {}),
    ...(bytes === undefined ? {} : { data: bytes }),
  };
}

function xattrsOf(value: unknown): ReadonlyMap<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  if (!isRecord(value)) return found;
  for (const [name, text] of Object.entries(value)) {
    // Attributes of overlayfs itself are no part of a layer.
    if (typeof text !== 'string' || /^(?:trusted|user)\.overlay\./.test(name)) continue;
    if (name !== '' && !name.includes('\0')) found.set(name, Buffer.from(text, 'base64'));
  }
  return found;
}

/** Absolute, without empty, `.` and `..` components, and not the root. */
function isClean(path: string): boolean {
  if (!path.startsWith('/') || path.includes('\0')) return false;
  return path
    .slice(1)
    .split('/')
    .every((part) => part !== '' && part !== '.' && part !== '..');
}

function isCount(value: unknown, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max;
}

function timeOf(value: unknown): bigint | undefined {
  if (typeof value === 'number')
    return Number.isSafeInteger(value) ? BigInt(value) * SECOND : undefined;
  return typeof value === 'string' && /^-?\d{1,24}$/.test(value) ? BigInt(value) : undefined;
}
