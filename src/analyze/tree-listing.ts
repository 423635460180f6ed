import { createHash } from 'node:crypto';
import { type TarEntry, TarReader } from '../archive/index.ts';
import { byCodeUnit, ok, type Result } from '../base/index.ts';

/** A file tree as text: path to everything but times. */
export type TreeListing = ReadonlyMap<string, string>;

/** Lists a file tree that comes as a tar: type, mode, owner, size, content, link, device and extended attributes. */
export async function listTree(tar: AsyncIterable<Uint8Array>): Promise<Result<TreeListing>> {
  const reader = new TarReader(tar);
  const listing = new Map<string, string>();
  for (;;) {
    const entry = await reader.next();
    if (!entry.ok) return entry;
    if (entry.value === undefined) break;
    const hash = createHash('sha256');
    if (entry.value.type === 'file') for await (const part of reader.data()) hash.update(part);
    listing.set(`/${entry.value.name.replace(/\/$/, '')}`, line(entry.value, hash.digest('hex')));
  }
  await reader.drain();
  return ok(listing);
}

function line(entry: TarEntry, digest: string): string {
  const { type, mode, uid, gid, link, device, xattrs } = entry;
  const attributes = [...xattrs]
    .map(([name, value]) => `${name}=${Buffer.from(value).toString('hex')}`)
    .sort(byCodeUnit);
  return [
    ...[type, (mode & 0o7777).toString(8).padStart(4, '0'), `${uid}:${gid}`],
    ...(type === 'file' ? [`${entry.size} bytes`, digest.slice(0, 16)] : []),
    ...(link === undefined ? [] : [`-> ${link}`]),
    ...(device === undefined ? [] : [`${device.major},${device.minor}`]),
    ...attributes,
  ].join(' ');
}

/** One path that two trees do not agree on. */
export interface TreeDifference {
  readonly path: string;
  /** Absent where the path is not there. */
  readonly before?: string;
  readonly after?: string;
}

/** The paths that two trees do not agree on, in order. */
export function diffTrees(before: TreeListing, after: TreeListing): readonly TreeDifference[] {
  const paths = [...new Set([...before.keys(), ...after.keys()])].sort(byCodeUnit);
  return paths.flatMap((path) => {
    const [a, b] = [before.get(path), after.get(path)];
    if (a === b) return [];
    return [
      { path, ...(a === undefined ? {} : { before: a }), ...(b === undefined ? {} : { after: b }) },
    ];
  });
}
