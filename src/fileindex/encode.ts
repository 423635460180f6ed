import { byCodeUnit, type Digest } from '../base/index.ts';
import type { FileEntry } from '../cachekey/index.ts';
import type { LayerEntry } from '../ports/index.ts';
import { GONE, LETTERS } from './format.ts';

/** A layer and what it has. */
export interface IndexedLayer {
  readonly diffId: Digest;
  readonly entries: Iterable<LayerEntry>;
}

const SECOND = 1_000_000_000n;
const CAPABILITY = 'security.capability';

/** The text of an index of layers, before compression; the same layers give the same text. */
export function encodeFileIndexes(layers: readonly IndexedLayer[]): Uint8Array {
  const texts = layers.map(({ diffId, entries }) => {
    const rows: string[] = [];
    const inodes = new Map<string, number>();
    for (const entry of entries) rows.push(JSON.stringify(row(entry, inodes)));
    return `{"diffID":"${diffId}","entries":[\n${rows.join(',\n')}]}`;
  });
  return Buffer.from(`{"version":1,"layers":[${texts.join(',')}]}`);
}

/** Entries of a layer made here as they come out of its tar: whole seconds, and of the attributes only file capabilities. */
export function* inTarForm(entries: Iterable<LayerEntry>): Generator<LayerEntry> {
  for (const each of entries) {
    if (each.kind === 'gone') {
      yield each;
      continue;
    }
    const { entry } = each;
    const capability = entry.xattrs.get(CAPABILITY);
    const below = ((entry.mtimeNs % SECOND) + SECOND) % SECOND;
    yield {
      ...each,
      entry: {
        ...entry,
        mtimeNs: entry.mtimeNs - below,
        xattrs: capability === undefined ? new Map() : new Map([[CAPABILITY, capability]]),
      },
    };
  }
}

function row(each: LayerEntry, inodes: Map<string, number>): readonly unknown[] {
  if (each.kind === 'gone') return [each.path, GONE];
  const { entry } = each;
  if (entry.type === 'socket') throw new Error(`a socket has no place in a layer: ${each.path}`);
  const { mode, uid, gid, size, mtimeNs } = entry;
  const time = mtimeNs % SECOND === 0n ? Number(mtimeNs / SECOND) : String(mtimeNs);
  const more = moreOf(each.opaque === true, entry, each.data, inodes);
  const facts = [each.path, LETTERS[entry.type], mode, uid, gid, size, time];
  return Object.keys(more).length === 0 ? facts : [...facts, more];
}

function moreOf(
  opaque: boolean,
  entry: FileEntry,
  data: Uint8Array | undefined,
  inodes: Map<string, number>,
): Readonly<Record<string, unknown>> {
  const { link, device, inode, xattrs } = entry;
  if (inode !== undefined && !inodes.has(inode)) inodes.set(inode, inodes.size);
  const attributes = [...xattrs]
    .sort(([a], [b]) => byCodeUnit(a, b))
    .map(([name, value]) => [name, Buffer.from(value).toString('base64')] as const);
  return {
    ...(opaque ? { opaque } : {}),
    ...(link === undefined ? {} : { link }),
    ...(device === undefined ? {} : { device: [device.major, device.minor] }),
    ...(inode === undefined ? {} : { inode: inodes.get(inode) }),
    ...(attributes.length === 0 ? {} : { xattrs: Object.fromEntries(attributes) }),
    ...(data === undefined ? {} : { data: Buffer.from(data).toString('base64') }),
  };
}
